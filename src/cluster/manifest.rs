//! What a bundle is, who made it, and a server's signature on that.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::Serialize;

use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::Pin;
use crate::cluster::envelope::SIGNATURE;
use crate::cluster::envelope::SigningKey;
use crate::cluster::envelope::is_signed_by;
use crate::cluster::registry::name;

/// What stands before everything that is signed, so that a signature means nothing elsewhere.
const DOMAIN: &[u8] = b"rhumb/1 bundle";

/// Longest author and reason, in octets.
pub const WORDS_MAX: usize = 300;

/// Which of two bundles is the newer: that of the higher version, then that of the node whose name comes later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Above all that the node had heard of.
    pub number: u64,
    /// The node at which it was pushed.
    #[serde(with = "name")]
    pub node: NodeName,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.number, self.node)
    }
}

/// What a bundle is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which one.
    #[serde(flatten)]
    pub version: Version,
    /// Digest of its index.
    pub parcel: PieceId,
    /// Octets of its archive.
    pub octets: u64,
    /// How many files it has.
    pub files: u32,
    /// Who pushed it.
    pub author: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// When, in seconds since 1970: for people.
    pub made_s: u64,
    /// Even if names lose all their addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// The number of the version whose files it brings back, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
}

impl Manifest {
    /// The number of the version that had these files first.
    pub fn origin(&self) -> u64 {
        self.restores.unwrap_or(self.version.number)
    }

    /// Whether its words are as long as they may be, and its numbers can be.
    pub fn is_sound(&self) -> bool {
        let Self { author, reason, octets, files, .. } = self;
        author.len() <= WORDS_MAX
            && reason.len() <= WORDS_MAX
            && *octets <= crate::cluster::piece::PARCEL_MAX as u64
            && *files as usize <= crate::cluster::archive::FILES_MAX
    }
}

/// A manifest that a server has signed.
///
/// The signer is the node at which it was pushed, or another server that has it in force, if the first one's key is no
/// member's any more: any server may push, so any server's word for a bundle is as good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// What is signed.
    pub manifest: Manifest,
    /// Who signed.
    #[serde(with = "name")]
    pub by: NodeName,
    /// The signature (RFC 8032), as base64url.
    pub signature: Box<str>,
}

impl Sealed {
    /// Signs a manifest as `by`.
    pub fn new(manifest: Manifest, cluster: &str, by: &NodeName, key: &SigningKey) -> Self {
        let signature = key.sign(&signed_octets(&manifest, cluster, by));
        let signature = BASE64URL_NOPAD.encode(&signature).into();
        Self { manifest, by: by.clone(), signature }
    }

    /// Whether one of these pins, which are the signer's, has signed it.
    pub fn is_signed_by(&self, cluster: &str, pins: &[Pin]) -> bool {
        let Ok(signature) = BASE64URL_NOPAD.decode(self.signature.as_bytes()) else { return false };
        let Ok(signature) = <[u8; SIGNATURE]>::try_from(signature) else { return false };
        let message = signed_octets(&self.manifest, cluster, &self.by);
        pins.iter().any(|pin| is_signed_by(pin, &message, &signature))
    }
}

/// What is signed: every part with its length, so that no two manifests have the same octets.
fn signed_octets(manifest: &Manifest, cluster: &str, by: &NodeName) -> Vec<u8> {
    let Manifest { version, parcel, octets, files, author, reason, made_s, force, restores } =
        manifest;
    let restores = restores.map(u64::to_be_bytes);
    let parts: [&[u8]; 13] = [
        DOMAIN,
        cluster.as_bytes(),
        by.as_str().as_bytes(),
        &version.number.to_be_bytes(),
        version.node.as_str().as_bytes(),
        parcel.octets(),
        &octets.to_be_bytes(),
        &files.to_be_bytes(),
        author.as_bytes(),
        reason.as_bytes(),
        &made_s.to_be_bytes(),
        &[u8::from(*force)],
        restores.as_ref().map_or(&[][..], |number| number),
    ];
    let mut signed = Vec::new();
    for part in parts {
        signed.extend((part.len() as u32).to_be_bytes());
        signed.extend(part);
    }
    signed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::tests::key;

    fn manifest() -> Manifest {
        let node = NodeName::parse("fra-1").unwrap();
        Manifest {
            version: Version { number: 8, node },
            parcel: PieceId::of(b"x"),
            octets: 1,
            files: 2,
            author: "eva".into(),
            reason: "new pool".into(),
            made_s: 3,
            force: false,
            restores: None,
        }
    }

    #[test]
    fn a_signature_is_of_one_manifest_one_cluster_and_one_signer() {
        let by = NodeName::parse("fra-1").unwrap();
        let sealed = Sealed::new(manifest(), "prod", &by, &key(1));
        let pins = [key(2).pin(), key(1).pin()];
        assert!(sealed.is_signed_by("prod", &pins));
        assert!(!sealed.is_signed_by("prod", &pins[..1]));
        assert!(!sealed.is_signed_by("test", &pins));
        let other = NodeName::parse("sin-1").unwrap();
        assert!(!Sealed { by: other.clone(), ..sealed.clone() }.is_signed_by("prod", &pins));
        type Change = fn(&mut Manifest);
        let changes: [Change; 9] = [
            |one| one.version.number += 1,
            |one| one.version.node = NodeName::parse("sin-1").unwrap(),
            |one| one.parcel = PieceId::of(b"y"),
            |one| one.octets += 1,
            |one| one.files += 1,
            |one| one.author = "eve".into(),
            |one| one.reason = "".into(),
            |one| one.force = true,
            |one| one.restores = Some(0),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = sealed.clone();
            change(&mut changed.manifest);
            assert!(!changed.is_signed_by("prod", &pins), "change {number}");
        }
        let short = Sealed { signature: "AAAA".into(), ..sealed };
        assert!(!short.is_signed_by("prod", &pins));
    }

    #[test]
    fn the_higher_version_is_newer_and_of_equal_ones_the_later_node() {
        let version = |number, node: &str| Version { number, node: NodeName::parse(node).unwrap() };
        assert!(version(2, "a") > version(1, "z") && version(2, "b") > version(2, "a"));
    }
}
