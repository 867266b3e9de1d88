//! What nodes of a cluster say to each other, as values.
//!
//! Knows no socket, clock or key file: who is connected is the engine's matter (`runtime::cluster`), and what follows
//! from what was heard is that of `control`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod assignment;
pub mod beat;
pub mod book;
pub mod door;
pub mod envelope;
pub mod frame;
pub mod gossip;
pub mod heard;
mod lateness;
pub mod layout;
pub mod manifest;
pub mod membership;
pub mod node;
mod peer;
pub mod piece;
pub mod registry;
pub mod roster;
pub mod round_trips;
pub mod shard;
pub mod topic;
mod wire;

pub use beat::Beat;
pub use beat::Digests;
pub use beat::Served;
pub use book::Book;
pub use book::Change;
pub use envelope::Envelope;
pub use envelope::Origin;
pub use envelope::SigningKey;
pub use heard::Heard;
pub use heard::PAYLOAD_MAX;
pub use heard::Say;
pub use layout::Layout;
pub use layout::Placed;
pub use manifest::Manifest;
pub use manifest::Sealed;
pub use manifest::Version;
pub use membership::Membership;
pub use node::Generation;
pub use node::NodeName;
pub use node::Pin;
pub use node::Role;
pub use piece::PieceId;
pub use registry::Registry;
pub use roster::Member;
pub use roster::Roster;
pub use topic::Slot;
pub use topic::Topic;
