//! Records: what the control plane decided or was told, with who, why and when. They live in memory.
//!
//! Whatever has a history after the verdicts is one: orders, the way back of a pool, shifted weights, shed levels. Each is
//! for one thing, replaces the one before, and carries a version that grows with every record written.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::control::order::instant;

/// Who wrote a record, why and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Higher is later.
    pub version: u64,
    /// An operator, or `rhumb` itself.
    pub author: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// When, since 1970.
    pub at: Duration,
}

/// Author of the records that nobody ordered.
pub const OURSELVES: &str = "rhumb";

/// The same for people and machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenStatus {
    /// Higher is later.
    pub version: u64,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

impl From<&Written> for WrittenStatus {
    fn from(written: &Written) -> Self {
        Self {
            version: written.version,
            author: written.author.to_string(),
            reason: written.reason.to_string(),
            at: instant(written.at),
        }
    }
}
