//! This node's key on disk: PKCS#8 in PEM, for its eyes only.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use data_encoding::BASE64;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use crate::cluster::Pin;
use crate::cluster::SigningKey;

/// DER before the 32 octets of an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410 section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{path}: the key cannot be read: {source}{}", no_file(.source))]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner and group may read it.
    #[error(
        "{path}: others may read this key (mode {mode:04o}), so it may be theirs: chmod 600 {path}, \
         or make a new one with rhumb cluster keygen"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("{path}: this is no Ed25519 key in PKCS#8: make one with rhumb cluster keygen")]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// It is there already.
    #[error("{path}: a file is there already, and is not overwritten: name another one with --out")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{path}: the key cannot be written: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What to do where there is no file.
fn no_file(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => "; make one with rhumb cluster keygen",
        _ => "",
    }
}

/// This node's key, for signatures and for TLS.
pub struct NodeKey {
    /// It signs values.
    pub signing: SigningKey,
    /// It shows to peers who this is.
    pub certified: Arc<CertifiedKey>,
    /// Its public half.
    pub pin: Pin,
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.pin)
    }
}

impl NodeKey {
    /// Reads a key. Blocks.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: path.into(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o007 != 0 {
            return Err(KeyError::Exposed { path: path.into(), mode });
        }
        let text = std::fs::read(path).map_err(failed)?;
        Self::from_pem(&text).ok_or_else(|| KeyError::NoKey { path: path.into() })
    }

    fn from_pem(text: &[u8]) -> Option<Self> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(text).ok()?;
        let signing = SigningKey::from_pkcs8(pkcs8.secret_pkcs8_der()).ok()?;
        let pin = signing.pin();
        let own = any_eddsa_type(&pkcs8).ok()?;
        let public = CertificateDer::from([&SPKI[..], pin.octets()].concat());
        Some(Self { signing, certified: Arc::new(CertifiedKey::new(vec![public], own)), pin })
    }
}

/// The pin of a raw public key as TLS carries it (RFC 7250).
pub(super) fn pin_of(public: &[u8]) -> Option<Pin> {
    let octets = public.strip_prefix(&SPKI)?;
    octets.try_into().ok().map(Pin::new)
}

/// Makes a key, in a file that was not there. Blocks.
pub fn make(path: &Path) -> Result<Pin, KeyError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.into() },
        _ => KeyError::Write { path: path.into(), source },
    };
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let unspecified = |_| failed(std::io::Error::other("the system gives no randomness"));
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(unspecified)?;
    let text = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        wrap(&BASE64.encode(document.as_ref()))
    );
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    drop(file);
    NodeKey::read(path).map(|key| key.pin)
}

/// Lines of 64 characters (RFC 7468).
fn wrap(text: &str) -> String {
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        let pin = make(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let key = NodeKey::read(&path).unwrap();
        assert_eq!(key.pin, pin);
        assert_eq!(pin_of(&key.certified.cert[0]), Some(pin));
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(make(&path), Err(KeyError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        make(&path).unwrap();
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            NodeKey::read(&path)
        };
        let error = set(0o644).unwrap_err().to_string();
        assert!(error.contains("(mode 0644)") && error.contains("chmod 600"), "{error}");
        assert!(set(0o640).is_ok(), "a group is the owner's choice");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        let error = NodeKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("rhumb cluster keygen"), "{error}");
        for text in
            ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(NodeKey::read(&path), Err(KeyError::NoKey { .. })), "{text}");
        }
    }
}
