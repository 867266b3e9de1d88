//! What a start took up of what was kept, in numbers and words. Takes nothing up itself.

use std::fmt;
use std::time::Duration;

use crate::config::duration::spell;
use crate::control::effect::count;

/// What a start took up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// Verdicts that count from before.
    pub verdicts: usize,
    /// Verdicts that do not: too old, or the target is gone or probed otherwise.
    pub left_out: usize,
    /// Orders, ways back, shifts, pools that shed or take nobody, and what the brake holds.
    pub records: usize,
    /// Endpoints that were found before.
    pub found: usize,
    /// How long ago state was written last; `None`: nothing was kept. The server may have lived on for a while.
    pub written: Option<Duration>,
}

impl fmt::Display for TakenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdicts, left_out, records, found, written } = *self;
        let Some(written) = written else {
            return f.write_str("started, nothing is kept from before");
        };
        let written = spell(Duration::from_secs(written.as_secs()));
        let (verdicts, records) = (count(verdicts, "verdict"), count(records, "record"));
        write!(f, "started, state was last written {written} ago: ")?;
        match found {
            0 => write!(f, "{verdicts} and {records} from before")?,
            _ => {
                let found = count(found, "found endpoint");
                write!(f, "{verdicts}, {records} and {found} from before")?;
            }
        }
        match left_out {
            0 => Ok(()),
            _ => write!(f, ", {} left out", count(left_out, "verdict")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_claim_no_more_than_is_known() {
        let written = Some(Duration::from_millis(25_900));
        for (taken, text) in [
            (TakenUp::default(), "started, nothing is kept from before"),
            (
                TakenUp { verdicts: 1, records: 2, written, ..TakenUp::default() },
                "started, state was last written 25s ago: 1 verdict and 2 records from before",
            ),
            (
                TakenUp { verdicts: 2, left_out: 1, records: 0, found: 3, written },
                "started, state was last written 25s ago: 2 verdicts, 0 records and 3 found endpoints from before, 1 verdict left out",
            ),
        ] {
            assert_eq!(taken.to_string(), text);
        }
    }
}
