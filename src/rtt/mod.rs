//! Round-trip times from clients' networks to sites: from single measurements to the table that `fastest` ranks by.
//!
//! Pure: text, measurements and instants come in as arguments. It reads no file and orders no target.
//!
//! ```text
//! CSV   --parse_import---> Window --import_table--> Table --render--> rtt-DIGEST.table
//! NDJSON --read_beacons--> Window --next_table----> Table --> the same
//! rtt-DIGEST.table --parse_table--> Table   (the one in force: the latest whose instant has come)
//! ```
//!
//! What the estimates mean is written in `docs/decisions/0020-round-trip-times.md`.
#![forbid(unsafe_code)]

mod assemble;
pub mod beacon;
mod estimate;
pub mod ground;
pub mod import;
pub mod key;
mod lookup;
pub mod prior;
pub mod shelf;
pub mod table;
pub mod text;
pub mod window;

use std::fmt;

pub use assemble::Moment;
pub use assemble::import_table;
pub use assemble::next_table;
pub use beacon::Beacon;
pub use beacon::LineFault;
pub use beacon::read_beacons;
pub use estimate::Evidence;
pub use estimate::Standing;
pub use ground::Ground;
pub use ground::Refusal;
pub use import::ImportRow;
pub use import::parse_import;
pub use key::Group;
pub use key::Key;
pub use shelf::Shelf;
pub use shelf::Shelved;
pub use table::Row;
pub use table::Table;
pub use text::file_name;
pub use text::parse_table;
pub use text::render;
pub use window::Window;

/// Longest round-trip time that is believed, in microseconds: ten seconds. What takes longer is no path but a fault.
pub const RTT_MAX_US: i32 = 10_000_000;

/// Most rows of a table: a network or group and a site each.
pub const ROWS_MAX: usize = 1_000_000;

/// Most problems told of one file; the rest wait for the next run.
pub const PROBLEMS_MAX: usize = 1_000;

/// Where a measurement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// TCP handshakes of resolvers at a node: near the clients, but not the clients.
    Handshake,
    /// Browsers that fetched something from a site.
    Beacon,
    /// The operator's own table.
    Import,
}

impl Source {
    /// All, the least trusted first.
    pub const ALL: [Self; 3] = [Self::Handshake, Self::Beacon, Self::Import];

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Beacon => "beacon",
            Self::Import => "import",
        }
    }

    /// Position in [`Source::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fault in a file, where it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RttProblem {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: String,
}

/// `line:column: fault; remedy`
impl fmt::Display for RttProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, fault, remedy } = self;
        write!(f, "{line}:{column}: {fault}; {remedy}")
    }
}

/// Microseconds as milliseconds with three decimals: `24.310`.
pub fn spell_ms(micros: i32) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:03}", micros / 1000, micros % 1000)
}

/// Reads milliseconds with at most three decimals, as microseconds.
pub fn find_ms(text: &str) -> Option<i32> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) || part.len() > 3 || whole.len() > 7 {
        return None;
    }
    let part = format!("{part:0<3}").parse::<i64>().ok()?;
    let micros = i32::try_from(whole.parse::<i64>().ok()? * 1000 + part).ok()?;
    Some(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_read_as_they_are_spelt() {
        for micros in [0, 1, 999, 1000, 24_310, -5_001, RTT_MAX_US] {
            assert_eq!(find_ms(&spell_ms(micros)), Some(micros));
        }
        assert_eq!(find_ms("24.3"), Some(24_300));
        assert_eq!(find_ms("24"), Some(24_000));
        for wrong in ["", ".", "1.", ".5", "1.2345", "+1", "1e3", "NaN", "99999999", "--1", "1 "] {
            assert_eq!(find_ms(wrong), None, "{wrong}");
        }
    }
}
