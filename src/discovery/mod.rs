//! Endpoints that a source tells of: its list read, made into endpoints of a pool, and kept above a floor.
//!
//! Asks nobody: lists come as text or as records, and what to do about one that is missing is for `control` to say.
#![forbid(unsafe_code)]

pub mod again;
pub mod floor;
pub mod list;
pub mod members;
pub mod name;
pub mod srv;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use again::members_again;
pub use floor::Floor;
pub use list::Misread;
pub use members::Members;
pub use members::Refused;
pub use members::members;

/// Most targets of one list, of whatever pools: beyond it a mistake is more likely than a plan.
pub const TARGETS_MAX: usize = 10_000;

/// Largest list that is read, in octets: room for [`TARGETS_MAX`] targets with a dozen labels each.
pub const LIST_OCTETS_MAX: usize = 4 << 20;

/// Labels of a target.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// One target as its source tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `192.0.2.10:8080`, `[2001:db8::1]:8080` or `host:8080`; the port may be left out.
    pub target: Box<str>,
    /// What is said of it.
    pub labels: Arc<Labels>,
    /// The weight that the source itself gives it.
    pub weight: Option<u16>,
    /// Where it stands in a text, in octets.
    pub offset: usize,
}
