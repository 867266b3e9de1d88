//! Nodes that share what they see: their names, keys and roles, and what one node's file says of them.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

/// Name of a node in its cluster: 1 to 63 of `a-z`, `0-9` and `-`, not beginning with `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// Longest name of a node, and of a cluster, in octets.
pub const NODE_NAME_MAX: usize = 63;

impl NodeName {
    /// The name, if `text` is one.
    pub fn parse(text: &str) -> Option<Self> {
        is_node_name(text).then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a text may name a node or a cluster.
pub fn is_node_name(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=NODE_NAME_MAX).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-')
}

/// What a node may do in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It probes, answers, and is dialled by others.
    #[default]
    Server,
    /// It probes and dials out; it answers nobody and may publish votes and round-trip times only.
    Agent,
}

impl Role {
    /// Both, as they are written.
    pub const WORDS: [(&str, Self); 2] = [("server", Self::Server), ("agent", Self::Agent)];

    /// How it is written.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// The public half of a node's Ed25519 key (RFC 8032): whoever has the other half is that node.
///
/// ```
/// # use rhumb::model::Pin;
/// let text = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// let pin: Pin = text.parse().unwrap();
/// assert_eq!(pin.to_string(), text);
/// assert_eq!(pin.octets()[..2], [0xd7, 0x5a]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

/// What the text of a pin begins with.
const PIN_KIND: &str = "ed25519:";

/// Why a text is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPin;

impl Pin {
    /// The pin of a public key.
    pub fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The public key.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::str::FromStr for Pin {
    type Err = NoPin;

    /// One key has one text: base64url (RFC 4648 section 5) without padding and without stray bits.
    fn from_str(text: &str) -> Result<Self, NoPin> {
        let text = text.strip_prefix(PIN_KIND).ok_or(NoPin)?;
        let octets = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NoPin)?;
        octets.try_into().map(Self).map_err(|_| NoPin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PIN_KIND}{}", BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Most nodes of a cluster that are all connected with each other.
pub const LINKED_NODES_MAX: usize = 64;

/// Most nodes of a cluster that hear each other by a bus.
pub const BUS_NODES_MAX: usize = 512;

/// This node's place in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTerms {
    /// Name of the cluster; it is signed into everything.
    pub name: Box<str>,
    /// Name of this node.
    pub node: NodeName,
    /// Where servers of the cluster dial this node; an agent has none.
    pub listen: Option<SocketAddr>,
    /// File of this node's key.
    pub key: PathBuf,
    /// What this node does.
    pub role: Role,
    /// Whether this node takes bundles of files that are pushed to all nodes.
    pub bundles: bool,
    /// Where TCP connects tell whether this node's own network works.
    pub anchors: Vec<SocketAddr>,
    /// The program that withdraws this node and announces it, and its arguments; empty if there is none.
    pub withdraw: Box<[Box<str>]>,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// The bus that carries everything; if absent, nodes are connected with each other.
    pub nats: Option<NatsTerms>,
}

/// Where the bus is, and how this node shows to it who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsTerms {
    /// Host and port of its servers.
    pub servers: Vec<Box<str>>,
    /// File of the certificates by which servers are known.
    pub ca: PathBuf,
    /// File of this node's certificate.
    pub certificate: PathBuf,
    /// File of its key.
    pub key: PathBuf,
}

impl NatsTerms {
    /// The same with other paths.
    pub fn with_paths(self, place: impl Fn(&Path) -> PathBuf) -> Self {
        let Self { servers, ca, certificate, key } = self;
        Self { servers, ca: place(&ca), certificate: place(&certificate), key: place(&key) }
    }
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub node: NodeName,
    /// Where it is dialled; if absent, it dials.
    pub address: Option<SocketAddr>,
    /// Its keys: one, or two while it changes them.
    pub pins: Vec<Pin>,
    /// Name of the site where it stands.
    pub site: Box<str>,
    /// What it does.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_small_ascii() {
        for text in ["a", "fra-1", "0", &"x".repeat(63)] {
            assert_eq!(NodeName::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "-a", "A", "a.b", "a_b", "ä", "a b", "a\0", &"x".repeat(64)] {
            assert_eq!(NodeName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_pin_has_one_text_only() {
        let pin = Pin::new([0xfb; 32]);
        let text = pin.to_string();
        assert_eq!(text.len(), 51);
        assert_eq!(text.parse(), Ok(pin));
        let body = text.strip_prefix("ed25519:").unwrap();
        for wrong in [
            String::new(),
            "ed25519:".to_owned(),
            body.to_owned(),
            format!("ED25519:{body}"),
            format!("{text}="),
            format!(" {text}"),
            // The last character stands for four bits and two that must be zero.
            format!("{}-", &text[..50]),
            text.replace('-', "+"),
            format!("ed25519:{}", BASE64URL_NOPAD.encode(&[1; 31])),
        ] {
            assert_eq!(wrong.parse::<Pin>(), Err(NoPin), "{wrong:?}");
        }
    }

    #[test]
    fn roles_are_written_as_they_are_read() {
        for (word, role) in Role::WORDS {
            assert_eq!(role.word(), word);
        }
    }
}
