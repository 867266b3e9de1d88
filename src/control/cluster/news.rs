//! What of a cluster is told to people.

use std::fmt;

use crate::cluster::NodeName;
use crate::config::duration::spell;
use crate::control::cluster::bundles::Told;
use crate::control::cluster::clocks::apart_text;
use crate::control::cluster::drift::DRIFT_TOLD;
use crate::control::cluster::drift::have;
use crate::control::effect::count;

/// Something that happened in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeNews {
    /// The node that it is about.
    pub node: NodeName,
    /// Where it stands.
    pub site: Box<str>,
    /// What happened.
    pub kind: NewsKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// The node's file names it from now on, or at another site.
    Added,
    /// The node's file names it no more.
    Removed,
    /// A node is heard.
    Seen,
    /// A node is heard no more.
    Lost,
    /// A prober has lost its own network; why, if it is that of this node.
    Isolated(Box<str>),
    /// It has it back.
    Connected,
    /// Fewer sites vote than must: verdicts stay as they are.
    TooFewVoters {
        /// On how many targets.
        targets: usize,
    },
    /// Enough sites vote again.
    EnoughVoters,
    /// Targets have had no probe result for three intervals: this node has no word on them.
    Unprobed {
        /// How many.
        targets: usize,
    },
    /// There are results again.
    ProbedAgain,
    /// Nodes have had different things for long.
    Drift {
        /// What: `config`, `geo`, `rtt`, `verdicts` or `records`.
        what: &'static str,
        /// Who differs from whom.
        who: Box<str>,
    },
    /// They have the same again.
    DriftOver {
        /// What.
        what: &'static str,
    },
    /// A node's wall clock has differed from this one's for long.
    ClockOff {
        /// By how many milliseconds it is ahead.
        ahead_ms: i64,
    },
    /// It differs no more.
    ClockRight,
    /// Clients are led to others: its hook has withdrawn it.
    Withdrawn,
    /// They are led to it: its hook has announced it.
    Announced,
    /// Its hook fails, and is run again.
    HookFailed {
        /// How.
        why: Box<str>,
    },
    /// A record of this node cannot be told to the others: it counts here alone.
    NotShared {
        /// Which.
        record: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// What is said to be written at one node was heard of another, which may be because the writer is away.
    ToldBy {
        /// Which.
        record: Box<str>,
        /// At which node it is said to be written.
        writer: NodeName,
        /// Who says so.
        from: NodeName,
    },
    /// Something about a bundle of files, or a table that nodes hand to each other.
    Bundle(Told),
    /// A record of another node cannot be taken in.
    NotHeard {
        /// Which.
        record: Box<str>,
        /// Why.
        why: Box<str>,
    },
}

impl NewsKind {
    /// Under which name the history has it.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Added => "member_added",
            Self::Removed => "member_removed",
            Self::Seen => "member_seen",
            Self::Lost => "member_lost",
            Self::Isolated(_) => "isolated",
            Self::Connected => "connected",
            Self::TooFewVoters { .. } => "too_few_voters",
            Self::EnoughVoters => "enough_voters",
            Self::Unprobed { .. } => "unprobed",
            Self::ProbedAgain => "probed_again",
            Self::Drift { .. } => "drift",
            Self::DriftOver { .. } => "drift_over",
            Self::ClockOff { .. } => "clock_off",
            Self::ClockRight => "clock_right",
            Self::Withdrawn => "withdrawn",
            Self::Announced => "announced",
            Self::HookFailed { .. } => "hook_failed",
            Self::NotShared { .. } => "record_not_shared",
            Self::NotHeard { .. } => "record_not_heard",
            Self::ToldBy { .. } => "record_told_by",
            Self::Bundle(told) => told.event(),
        }
    }

    /// What the history is to say besides.
    pub fn detail(&self) -> Option<String> {
        match self {
            // Of problems with files the history has the first line, the log all.
            Self::Bundle(told) => told.to_string().lines().next().map(Into::into),
            Self::Added
            | Self::Removed
            | Self::Drift { .. }
            | Self::DriftOver { .. }
            | Self::ClockOff { .. }
            | Self::ClockRight
            | Self::Withdrawn
            | Self::Announced
            | Self::HookFailed { .. }
            | Self::Seen
            | Self::Lost
            | Self::Isolated(_)
            | Self::Connected
            | Self::TooFewVoters { .. }
            | Self::EnoughVoters
            | Self::Unprobed { .. }
            | Self::ProbedAgain
            | Self::NotShared { .. }
            | Self::ToldBy { .. }
            | Self::NotHeard { .. } => None,
        }
    }

    /// Whether somebody may have to do something.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Bundle(told) => told.is_bad(),
            Self::Lost
            | Self::Isolated(_)
            | Self::TooFewVoters { .. }
            | Self::Unprobed { .. }
            | Self::Drift { .. }
            | Self::ClockOff { .. }
            | Self::Withdrawn
            | Self::HookFailed { .. }
            | Self::NotShared { .. }
            | Self::NotHeard { .. } => true,
            Self::Added
            | Self::Removed
            | Self::Seen
            | Self::Connected
            | Self::EnoughVoters
            | Self::ProbedAgain
            | Self::Announced
            | Self::ToldBy { .. }
            | Self::ClockRight
            | Self::DriftOver { .. } => false,
        }
    }
}

impl fmt::Display for NodeNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, site, kind } = self;
        write!(f, "node {node} at {site}: ")?;
        match kind {
            NewsKind::Added => f.write_str("a member from now on"),
            NewsKind::Removed => f.write_str("a member no more, its votes count no more"),
            NewsKind::Seen => f.write_str("seen"),
            NewsKind::Lost => f.write_str("not heard for too long, its votes count no more"),
            NewsKind::Isolated(why) if why.is_empty() => {
                f.write_str("isolated, its votes do not count")
            }
            NewsKind::Isolated(why) => write!(f, "isolated, its votes do not count: {why}"),
            NewsKind::Connected => f.write_str("isolated no more, its votes count again"),
            NewsKind::TooFewVoters { targets } => {
                let targets = count(*targets, "target");
                write!(f, "too few sites vote on {targets}, verdicts stay as they are")
            }
            NewsKind::EnoughVoters => f.write_str("enough sites vote again"),
            NewsKind::Unprobed { targets } => {
                let targets = count(*targets, "target");
                write!(f, "no probe result for three intervals of {targets}, its word is withdrawn")
            }
            NewsKind::ProbedAgain => f.write_str("every target has probe results again"),
            NewsKind::Drift { what, who } => {
                let long = spell(DRIFT_TOLD);
                let have = have(what);
                write!(f, "{what} {have} differed between nodes for {long}: {who}")
            }
            NewsKind::DriftOver { what } => write!(f, "all nodes have the same {what} again"),
            NewsKind::ClockOff { ahead_ms } => {
                write!(f, "its clock is {} that of this node", apart_text(*ahead_ms))
            }
            NewsKind::ClockRight => f.write_str("its clock agrees with that of this node again"),
            NewsKind::Withdrawn => f.write_str("withdrawn by its hook, clients are led to others"),
            NewsKind::Announced => f.write_str("announced by its hook, clients are led to it"),
            NewsKind::HookFailed { why } => {
                write!(f, "its hook fails and is run again until it does not: {why}")
            }
            NewsKind::NotShared { record, why } => {
                write!(f, "\"{record}\" counts here alone, the others cannot be told: {why}")
            }
            NewsKind::ToldBy { record, writer, from } => {
                write!(f, "\"{record}\" of node {writer} as told by node {from}")
            }
            NewsKind::Bundle(told) => write!(f, "{told}"),
            NewsKind::NotHeard { record, why } => {
                write!(f, "a record {record} is left out: {why}")
            }
        }
    }
}
