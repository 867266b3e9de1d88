//! What is in force of each part, for people and machines.

use serde::Deserialize;
use serde::Serialize;

use crate::control::effect::short_digest;
use crate::control::parts::Parts;

/// First octets of the digest of each part that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsStatus {
    /// Of zones and what they share.
    pub zones: String,
    /// Of geo data.
    pub geo: String,
    /// Of the table of round-trip times, if one counts.
    pub table: Option<String>,
}

impl From<&Parts> for PartsStatus {
    fn from(Parts { zones, geo, table }: &Parts) -> Self {
        Self {
            zones: short_digest(zones),
            geo: short_digest(geo),
            table: table.as_ref().map(short_digest),
        }
    }
}
