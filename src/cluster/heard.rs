//! What goes between the controller and an engine: what other nodes said, and what this one says.

use std::time::Duration;

use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::topic::Topic;

/// Most octets of a payload: with its envelope it stays below the 8 KB that an engine carries as one text.
pub const PAYLOAD_MAX: usize = 5_800;

/// Something that an engine heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A value of another node, verified: signature, cluster, size, and that its role may speak about the topic.
    ///
    /// Sequence and generation are the listener's to judge: values come more than once, late, and in any order.
    Value {
        /// Whose it is.
        node: NodeName,
        /// Of which of its lives.
        generation: Generation,
        /// About what.
        topic: Topic,
        /// Counts all values of a node in a generation, whatever they are about, from 1; higher is newer.
        sequence: u64,
        /// What it says.
        payload: Box<[u8]>,
    },
    /// Nothing counts any more that a node has said: the key that signed it has no pin now. Whatever life it says next is its own.
    Forgotten {
        /// Which node.
        node: NodeName,
    },
    /// Round trip to a peer over its connection; `None` if there is no connection. For people only: never health.
    Link {
        /// Which peer.
        node: NodeName,
        /// There and back.
        round_trip: Option<Duration>,
    },
}

impl Heard {
    /// Which node it is about.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Value { node, .. } | Self::Forgotten { node } | Self::Link { node, .. } => node,
        }
    }
}

/// Something that this node says to all others.
///
/// The engine numbers and signs it. The last payload of a topic wins; it is written at most once in 200 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// About what.
    pub topic: Topic,
    /// What; at most [`PAYLOAD_MAX`] octets.
    pub payload: Box<[u8]>,
    /// Whether it goes before what is not urgent.
    pub urgent: bool,
}
