//! Signed values: whoever relays one cannot change it, nor say it in another's name.
//!
//! Does not know who is a member: the pins of the node in whose name a value is come with the question.

use std::fmt;

use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::UnparsedPublicKey;

use crate::cluster::heard::PAYLOAD_MAX;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::node::Pin;
use crate::cluster::topic::TOPIC_MAX;
use crate::cluster::topic::Topic;
use crate::cluster::wire::Reader;
use crate::cluster::wire::put_short;

/// What stands before everything that is signed, so that a signature means nothing elsewhere.
const DOMAIN: &[u8] = b"rhumb/1 value";

/// Octets of a signature (RFC 8032).
pub const SIGNATURE: usize = 64;

/// Longest sealed value, in octets; as base64url it stays below 8 KB.
pub const SEALED_MAX: usize = 1 + TOPIC_MAX + 8 + PAYLOAD_MAX + SIGNATURE;

/// In whose name a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'o> {
    /// Which cluster.
    pub cluster: &'o str,
    /// Which node.
    pub node: &'o NodeName,
    /// In which of its lives.
    pub generation: Generation,
}

/// A node's own key.
pub struct SigningKey(Ed25519KeyPair);

/// Why octets are no key: they are no Ed25519 key in PKCS#8 (RFC 8410).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl SigningKey {
    /// Reads PKCS#8, with or without the public half.
    pub fn from_pkcs8(octets: &[u8]) -> Result<Self, NoKey> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(octets).map(Self).map_err(|_| NoKey)
    }

    /// The public half.
    pub fn pin(&self) -> Pin {
        let octets = self.0.public_key().as_ref();
        Pin::new(octets.try_into().expect("an Ed25519 public key has 32 octets"))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let signature = self.0.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 octets")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.pin())
    }
}

/// A value, as it was before it was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// About what.
    pub topic: Topic,
    /// Counts what a node says in a generation.
    pub sequence: u64,
    /// What it says.
    pub payload: Box<[u8]>,
}

/// Why a sealed value is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It is longer than it may be.
    TooLong,
    /// It has no form.
    Malformed,
    /// No pin of that node has signed this, for that node, cluster and generation.
    BadSignature,
}

impl Envelope {
    /// Seals the value: topic, sequence, payload, and a signature over these and over whose they are.
    ///
    /// ```text
    /// +-----+-------------+----------+-------------+----------------+
    /// | len | topic (len) | sequence | payload ... | signature (64) |
    /// |  1  |    ASCII    |    8     |             |                |
    /// +-----+-------------+----------+-------------+----------------+
    /// ```
    ///
    /// # Panics
    /// If the payload is longer than [`PAYLOAD_MAX`]: that is the speaker's to keep.
    pub fn seal(&self, origin: &Origin<'_>, key: &SigningKey) -> Box<[u8]> {
        assert!(self.payload.len() <= PAYLOAD_MAX, "payloads are bounded before they are said");
        let topic = self.topic.to_string();
        let mut sealed = Vec::with_capacity(SEALED_MAX.min(self.payload.len() + 128));
        put_short(&mut sealed, topic.as_bytes());
        sealed.extend(self.sequence.to_be_bytes());
        sealed.extend(&*self.payload);
        let signature = key.sign(&signed_octets(origin, &topic, self.sequence, &self.payload));
        sealed.extend(signature);
        sealed.into()
    }

    /// Opens a sealed value if one of `pins` has signed it as `origin`. Total: any octets may come.
    pub fn open(sealed: &[u8], origin: &Origin<'_>, pins: &[Pin]) -> Result<Self, Refused> {
        if sealed.len() > SEALED_MAX {
            return Err(Refused::TooLong);
        }
        let (body, signature) = sealed.split_last_chunk::<SIGNATURE>().ok_or(Refused::Malformed)?;
        let envelope = Self::read(body).ok_or(Refused::Malformed)?;
        let Self { topic, sequence, payload } = &envelope;
        let message = signed_octets(origin, &topic.to_string(), *sequence, payload);
        if pins.iter().any(|pin| is_signed_by(pin, &message, signature)) {
            Ok(envelope)
        } else {
            Err(Refused::BadSignature)
        }
    }

    /// What a sealed value claims to be about, and its number; nobody has verified it.
    pub fn claim(sealed: &[u8]) -> Option<(Topic, u64)> {
        let mut reader = Reader::new(sealed);
        let topic = std::str::from_utf8(reader.short()?).ok()?.parse().ok()?;
        Some((topic, reader.u64()?))
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let topic = std::str::from_utf8(reader.short()?).ok()?.parse().ok()?;
        let sequence = reader.u64()?;
        let payload = reader.rest();
        (payload.len() <= PAYLOAD_MAX).then(|| Self { topic, sequence, payload: payload.into() })
    }
}

/// Whether the key of a pin has signed a message.
pub(crate) fn is_signed_by(pin: &Pin, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
    UnparsedPublicKey::new(&ED25519, pin.octets()).verify(message, signature).is_ok()
}

/// What is signed: every part with its length, so that no two values have the same octets.
fn signed_octets(origin: &Origin<'_>, topic: &str, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let Origin { cluster, node, generation } = origin;
    let mut octets = Vec::with_capacity(payload.len() + 160);
    let sequence = sequence.to_be_bytes();
    let generation = generation.0.to_be_bytes();
    let parts: [&[u8]; 7] = [
        DOMAIN,
        cluster.as_bytes(),
        node.as_str().as_bytes(),
        &generation,
        topic.as_bytes(),
        &sequence,
        payload,
    ];
    for part in parts {
        octets.extend((part.len() as u32).to_be_bytes());
        octets.extend(part);
    }
    octets
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key for tests, made of one octet.
    pub(crate) fn key(seed: u8) -> SigningKey {
        // PKCS#8 of RFC 8410 section 7: version 0, id-Ed25519, an octet string in an octet string.
        let mut octets =
            vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        octets.extend([seed; 32]);
        SigningKey::from_pkcs8(&octets).unwrap()
    }

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn value() -> Envelope {
        let topic = Topic::Votes { layout: 7, shard: 3 };
        Envelope { topic, sequence: 9, payload: [1, 2, 3].into() }
    }

    #[test]
    fn what_is_sealed_is_opened_by_either_of_two_pins_and_by_no_other() {
        let node = name("fra-1");
        let origin = Origin { cluster: "prod", node: &node, generation: Generation(5) };
        let sealed = value().seal(&origin, &key(1));
        let (one, two) = (key(1).pin(), key(2).pin());
        assert_eq!(Envelope::open(&sealed, &origin, &[one]), Ok(value()));
        assert_eq!(Envelope::open(&sealed, &origin, &[two, one]), Ok(value()));
        assert_eq!(Envelope::open(&sealed, &origin, &[two]), Err(Refused::BadSignature));
        assert_eq!(Envelope::open(&sealed, &origin, &[]), Err(Refused::BadSignature));
    }

    #[test]
    fn a_value_counts_for_its_own_cluster_node_and_generation_only() {
        let (node, other) = (name("fra-1"), name("fra-2"));
        let origin = Origin { cluster: "prod", node: &node, generation: Generation(5) };
        let sealed = value().seal(&origin, &key(1));
        let pins = [key(1).pin()];
        for wrong in [
            Origin { cluster: "test", ..origin.clone() },
            Origin { node: &other, ..origin.clone() },
            Origin { generation: Generation(6), ..origin.clone() },
        ] {
            assert_eq!(Envelope::open(&sealed, &wrong, &pins), Err(Refused::BadSignature));
        }
    }

    #[test]
    fn every_changed_octet_is_noticed() {
        let node = name("a");
        let origin = Origin { cluster: "c", node: &node, generation: Generation(1) };
        let sealed = value().seal(&origin, &key(1));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(Envelope::open(&changed, &origin, &[key(1).pin()]).is_err(), "octet {at}");
        }
        for length in 0..sealed.len() {
            let cut = &sealed[..length];
            assert!(Envelope::open(cut, &origin, &[key(1).pin()]).is_err(), "{length} octets");
        }
    }

    #[test]
    fn the_longest_value_fits_and_one_octet_more_does_not() {
        let node = name("a");
        let origin = Origin { cluster: "c", node: &node, generation: Generation(1) };
        let payload = vec![7; PAYLOAD_MAX].into();
        let envelope = Envelope { topic: Topic::Record { id: u128::MAX }, sequence: 1, payload };
        let sealed = envelope.seal(&origin, &key(1));
        assert_eq!(sealed.len(), SEALED_MAX);
        assert!(SEALED_MAX.div_ceil(3) * 4 <= 8192);
        assert_eq!(Envelope::open(&sealed, &origin, &[key(1).pin()]), Ok(envelope));
        let longer = [&*sealed, &[0]].concat();
        assert_eq!(Envelope::open(&longer, &origin, &[key(1).pin()]), Err(Refused::TooLong));
    }

    #[test]
    fn a_key_has_the_pin_that_its_public_half_is() {
        // RFC 8032 section 7.1, test 1.
        let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let secret = data_encoding::HEXLOWER.decode(secret.as_bytes()).unwrap();
        let mut octets =
            vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        octets.extend(&secret);
        let key = SigningKey::from_pkcs8(&octets).unwrap();
        let text = key.pin().to_string();
        assert_eq!(text, "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(format!("{key:?}"), format!("SigningKey({text})"), "no secret is shown");
        assert!(SigningKey::from_pkcs8(&secret).is_err());
    }

    proptest! {
        #[test]
        fn any_octets_are_refused_and_nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let node = name("a");
            let origin = Origin { cluster: "c", node: &node, generation: Generation(1) };
            prop_assert!(Envelope::open(&octets, &origin, &[key(1).pin()]).is_err());
        }
    }
}
