//! Zones made for lookup: the longest apex, then one hash to the name's node.
//!
//! Knows records and where steering begins; does not choose addresses and does not write replies.
#![forbid(unsafe_code)]

pub mod hash;
pub mod index;
mod layout;
pub mod lookup;
mod node;
pub mod tree;

pub use index::ZoneIndex;
pub use lookup::Delegation;
pub use lookup::Found;
pub use lookup::Redirection;
pub use tree::Rrset;
pub use tree::Zone;
