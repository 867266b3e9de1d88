//! What people are told of the endpoints that a pool finds.

use std::fmt;

use crate::control::effect::count;

/// What happened to the endpoints that a pool finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// There are others.
    Changed {
        /// The source that tells of them.
        source: Box<str>,
        /// Names that were not there before.
        added: Vec<Box<str>>,
        /// Names that are there no longer.
        removed: Vec<Box<str>>,
        /// How many there are now.
        found: usize,
    },
    /// The source says nothing that can be used.
    Failing {
        /// The source.
        source: Box<str>,
        /// Why.
        reason: Box<str>,
        /// How many endpoints stay.
        kept: usize,
    },
    /// It does again.
    Recovered {
        /// The source.
        source: Box<str>,
    },
    /// So many have gone from the list that they stay.
    Held {
        /// Which.
        names: Vec<Box<str>>,
        /// Of how many.
        found: usize,
    },
    /// Nothing is held any more.
    Eased,
    /// Other targets than before are refused; none if `count` is 0.
    Refused {
        /// How many.
        count: usize,
        /// Which, and why.
        text: Box<str>,
    },
    /// An operator lets go what was held.
    Accepted {
        /// How many.
        count: usize,
        /// Who.
        by: Box<str>,
        /// Why.
        reason: Box<str>,
    },
}

impl News {
    /// What the history calls it.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "discovered",
            Self::Failing { .. } => "discovery_failing",
            Self::Recovered { .. } => "discovery_recovered",
            Self::Held { .. } => "discovery_held",
            Self::Eased => "discovery_eased",
            Self::Refused { .. } => "discovery_refused",
            Self::Accepted { .. } => "discovery_accepted",
        }
    }

    /// Whose word it is, and why, as far as there is one.
    pub fn why(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Accepted { by, reason, .. } => (Some(by), Some(reason)),
            Self::Failing { reason, .. } => (None, Some(reason)),
            Self::Refused { text, .. } => (None, Some(text)),
            Self::Changed { source, .. } | Self::Recovered { source } => (None, Some(source)),
            Self::Held { .. } => (None, Some("more than max_drop in 10 minutes")),
            Self::Eased => (None, Some("the list has them again, or there is room")),
        }
    }
}

/// Names as people read them: the first few, and how many more.
pub(super) fn listed(names: &[Box<str>]) -> String {
    match names {
        [] => "none".into(),
        _ if names.len() <= 5 => names.join(", "),
        _ => format!("{} and {} more", names[..5].join(", "), names.len() - 5),
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { source: _, added, removed, found } => {
                write!(f, "{} found", count(*found, "endpoint"))?;
                for (what, names) in [("new", added), ("gone", removed)] {
                    if !names.is_empty() {
                        write!(f, "; {what}: {}", listed(names))?;
                    }
                }
                Ok(())
            }
            Self::Failing { source, reason, kept: 0 } => {
                write!(f, "{source} tells of no endpoint, and none is known: {reason}")
            }
            Self::Failing { source, reason, kept } => {
                let kept = count(*kept, "endpoint");
                write!(
                    f,
                    "{source} tells of no endpoint, the last good list stays, {kept}: {reason}"
                )
            }
            Self::Recovered { source } => write!(f, "{source} tells of endpoints again"),
            Self::Held { names, found } => write!(
                f,
                "{} of {found} found have gone from the list at once and stay: {}; \
                 `rhumb discovery accept` lets them go",
                names.len(),
                listed(names)
            ),
            Self::Eased => f.write_str("nothing is held any more"),
            Self::Refused { count: 0, .. } => f.write_str("no target is refused any more"),
            Self::Refused { count: number, text } => {
                write!(f, "{} refused: {text}", count(*number, "target"))
            }
            Self::Accepted { count: number, by, reason } => {
                write!(f, "{} let go by {by}: {reason}", count(*number, "held endpoint"))
            }
        }
    }
}
