//! Who speaks: a node, in one of its lives.

use std::fmt;

pub use crate::model::NodeName;
pub use crate::model::Pin;
pub use crate::model::Role;

/// One life of a node: the instant its process started, in milliseconds of Unix time, but above that of its last life.
///
/// What a node said in an earlier life counts no more once a later one is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// That of a process which starts at `unix_ms`; `last` is the one before it, as far as anybody knows.
    pub fn at_start(unix_ms: u64, last: Option<Self>) -> Self {
        let least = last.map_or(0, |last| last.0.saturating_add(1));
        Self(unix_ms.max(least))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_does_not_bring_an_old_generation() {
        let first = Generation::at_start(5_000, None);
        assert_eq!(first, Generation(5_000));
        assert_eq!(Generation::at_start(4_000, Some(first)), Generation(5_001));
        assert_eq!(Generation::at_start(5_000, Some(first)), Generation(5_001));
        assert_eq!(Generation::at_start(9_000, Some(first)), Generation(9_000));
        assert_eq!(Generation::at_start(0, Some(Generation(u64::MAX))), Generation(u64::MAX));
    }
}
