//! What nodes say of targets, and how a check wants it counted.

use std::fmt;
use std::time::Duration;

use crate::model::Percent;
use crate::model::Verdict;

/// What a node, or a site, says of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Word {
    /// It has seen nothing yet.
    #[default]
    Unknown,
    /// Its probes pass; how slow they are, as a level of the check, 0 being none.
    Up(u8),
    /// Its probes pass again, but hold-down or damping holds.
    Held,
    /// Its probes fail.
    Down,
    /// It could speak and does not: nodes of one site differ, or a prober has lost its own network.
    Abstain,
}

/// Highest level of slowness that a word can have.
pub const LEVEL_MAX: u8 = 7;

impl Word {
    /// What a tracker's verdict is as a word.
    pub fn of(verdict: Verdict, level: u8) -> Self {
        match verdict {
            Verdict::Unknown => Self::Unknown,
            Verdict::Up => Self::Up(level.min(LEVEL_MAX)),
            Verdict::Held => Self::Held,
            Verdict::Down => Self::Down,
        }
    }

    /// Whether it counts as a vote.
    pub fn is_vote(self) -> bool {
        match self {
            Self::Up(_) | Self::Held | Self::Down => true,
            Self::Unknown | Self::Abstain => false,
        }
    }

    /// The word without its level.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Unknown | Self::Abstain => Verdict::Unknown,
            Self::Up(_) => Verdict::Up,
            Self::Held => Verdict::Held,
            Self::Down => Verdict::Down,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abstain => f.write_str("abstains"),
            Self::Up(level @ 1..) => write!(f, "up, level {level}"),
            Self::Unknown | Self::Up(0) | Self::Held | Self::Down => self.verdict().fmt(f),
        }
    }
}

/// Whether a node's own network works, as far as its anchors tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchors {
    /// It has none, or has not asked them yet.
    #[default]
    Unset,
    /// At least half of them answer.
    Pass,
    /// Most of them do not.
    Fail,
}

/// How many sites must agree that a target is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// More than half of those that vote.
    #[default]
    Majority,
    /// So many, or all sites if there are fewer.
    AtLeast(u8),
    /// This share of those that vote, and at least two where two or more vote.
    Share(Percent),
}

/// Sites whose votes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VoteScope {
    /// All.
    #[default]
    Global,
    /// Those of the endpoint's region.
    Region,
}

/// Sites that probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vantage {
    /// All.
    #[default]
    All,
    /// So many, or all if there are fewer.
    Sites(u8),
}

/// Who probes by a check, who has a vote, and how many must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voting {
    /// How many must agree.
    pub quorum: Quorum,
    /// Who has a vote.
    pub scope: VoteScope,
    /// Who probes.
    pub vantage: Vantage,
    /// Least time between two probes of an address by all nodes together, on average; zero is no limit.
    pub fleet_interval: Duration,
}
