//! Why geo data cannot be used, with the remedy. Says nothing of data that is fine but poor.

use std::fmt;

/// Why bytes are not a geo database, or networks do not fit into one. Names the fault and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeoFault {
    /// The file as a whole cannot be opened as a MaxMind DB.
    NotADatabase {
        /// File name as the caller gave it.
        name: String,
        /// What the format reader found.
        detail: String,
    },
    /// The search tree contradicts itself.
    BadTree {
        /// File name as the caller gave it.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// One record cannot be decoded.
    BadRecord {
        /// File name as the caller gave it.
        name: String,
        /// First network that uses the record.
        network: String,
        /// What is wrong with it.
        detail: String,
    },
    /// So many records have a value that makes no sense that nothing of the file is trusted.
    TooManyOdd {
        /// File name as the caller gave it.
        name: String,
        /// Records with such a value.
        odd: usize,
        /// All records.
        records: usize,
        /// The first of them.
        example: String,
    },
    /// More than [`NETWORKS_MAX`](crate::geo::layer::NETWORKS_MAX) networks.
    TooManyNetworks,
    /// More than [`PLACES_MAX`](crate::geo::layer::PLACES_MAX) distinct places.
    TooManyPlaces,
    /// A network cannot be written to a database.
    NotWritable {
        /// What the format writer said.
        detail: String,
    },
}

impl fmt::Display for GeoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADatabase { name, detail } => write!(
                f,
                "{name}: not a complete MaxMind DB file ({detail}); download or build it again"
            ),
            Self::BadTree { name, detail } => write!(
                f,
                "{name}: damaged search tree ({detail}); download or build the file again"
            ),
            Self::BadRecord { name, network, detail } => write!(
                f,
                "{name}: damaged record for {network} ({detail}); download or build the file again"
            ),
            Self::TooManyOdd { name, odd, records, example } => write!(
                f,
                "{name}: {odd} of {records} records have a value that makes no sense (first \
                 {example}); name the right shape, or download the file again"
            ),
            Self::TooManyNetworks => write!(
                f,
                "more than {} networks in one source; use a coarser database",
                crate::geo::layer::NETWORKS_MAX
            ),
            Self::TooManyPlaces => write!(
                f,
                "more than {} places in one source; use a coarser database",
                crate::geo::layer::PLACES_MAX
            ),
            Self::NotWritable { detail } => {
                write!(f, "cannot be written as a MaxMind DB: {detail}; leave that network out")
            }
        }
    }
}

impl std::error::Error for GeoFault {}
