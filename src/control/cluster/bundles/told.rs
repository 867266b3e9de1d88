//! What of bundles is told to people: in the log, and in the history that stays.

use std::fmt;

/// Something that happened to a version, or to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A version was pushed at this node, and is offered to the others.
    Pushed(Box<str>),
    /// One node is to serve it before the others.
    ForCanary(Box<str>),
    /// This node serves it before the others.
    Trial(Box<str>),
    /// This node serves it no more, as it was given up.
    TrialOver(Box<str>),
    /// It is decided, and ready here: it counts from its instant on.
    Decided(Box<str>),
    /// It is served here.
    InForce(Box<str>),
    /// The push of this node was given up.
    GivenUp {
        /// Which version.
        what: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// This node cannot serve a version.
    Refused {
        /// Which version.
        what: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// Which versions count could not be written to the disk.
    NotKept(Box<str>),
    /// They are on the disk again.
    Kept,
    /// A table of round-trip times came from another node.
    TableCame(Box<str>),
    /// A table could not be had.
    TableLacking {
        /// Which.
        table: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// A table of this node is too large for others.
    TableTooLarge {
        /// Which.
        table: Box<str>,
        /// How many octets it has.
        octets: u64,
    },
}

impl Told {
    /// Under which name the history has it.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Pushed(_) => "bundle_pushed",
            Self::ForCanary(_) => "bundle_canary",
            Self::Trial(_) => "bundle_trial",
            Self::TrialOver(_) => "bundle_trial_over",
            Self::Decided(_) => "bundle_decided",
            Self::InForce(_) => "bundle_in_force",
            Self::GivenUp { .. } => "bundle_given_up",
            Self::Refused { .. } => "bundle_refused",
            Self::NotKept(_) => "bundle_not_kept",
            Self::Kept => "bundle_kept",
            Self::TableCame(_) => "table_came",
            Self::TableLacking { .. } => "table_lacking",
            Self::TableTooLarge { .. } => "table_too_large",
        }
    }

    /// Whether somebody may have to do something.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::GivenUp { .. }
            | Self::Refused { .. }
            | Self::TrialOver(_)
            | Self::NotKept(_)
            | Self::TableLacking { .. }
            | Self::TableTooLarge { .. } => true,
            Self::Pushed(_)
            | Self::ForCanary(_)
            | Self::Trial(_)
            | Self::Decided(_)
            | Self::InForce(_)
            | Self::Kept
            | Self::TableCame(_) => false,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pushed(what) => write!(f, "{what}; offered to all nodes"),
            Self::ForCanary(what) => write!(f, "{what}; all are ready, the canary goes first"),
            Self::Trial(what) => write!(f, "{what}; served here before the others"),
            Self::TrialOver(version) => {
                write!(f, "version {version} is given up; this node goes back to the one before it")
            }
            Self::Decided(what) => write!(f, "{what}; decided, and ready here"),
            Self::InForce(what) => write!(f, "{what}; in force"),
            Self::GivenUp { what, why } => write!(f, "{what}; given up: {why}"),
            Self::Refused { what, why } => write!(f, "{what}; cannot be served here: {why}"),
            Self::NotKept(why) => {
                write!(
                    f,
                    "which version of the files counts is not on disk, a restart may forget it: {why}"
                )
            }
            Self::Kept => f.write_str("which version of the files counts is on disk again"),
            Self::TableCame(table) => write!(f, "table {table} came from another node"),
            Self::TableLacking { table, why } => write!(f, "table {table} cannot be had: {why}"),
            Self::TableTooLarge { table, octets } => write!(
                f,
                "table {table} has {octets} octets and is not given to other nodes: at most {} are",
                crate::cluster::piece::PARCEL_MAX
            ),
        }
    }
}
