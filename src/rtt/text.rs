//! The file of a table: text that depends on nothing but the table, named by its digest.
//!
//! ```text
//! rhumb-rtt 1
//! built 2026-11-21T17:00:00Z
//! activates 2026-11-21T17:05:00Z
//! sites fra iad
//! 192.0.2.0/24 fra 24.310 - 24.000 - 12.500:31.000 100.000:24.000
//! DE/AS64496 fra 3.200 9.100 31.000 - 250.000:12.040 -
//! end 2
//! ```
//!
//! A row: network or group, site, what counts (`-`: what is expected), what may count after the next window, the level that a change is compared
//! with, then weight and mean of handshakes, beacons and imports. Times are milliseconds; those of a group are on top
//! of the prior.

use std::fmt::Write as _;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use sha2::Digest;
use sha2::Sha256;

use crate::rtt::Evidence;
use crate::rtt::Key;
use crate::rtt::PROBLEMS_MAX;
use crate::rtt::ROWS_MAX;
use crate::rtt::RTT_MAX_US;
use crate::rtt::Row;
use crate::rtt::RttProblem;
use crate::rtt::Source;
use crate::rtt::Standing;
use crate::rtt::Table;
use crate::rtt::estimate::WEIGHT_MAX_MILLI;
use crate::rtt::find_ms;
use crate::rtt::spell_ms;

/// First line: what the file is, and the version of its form.
const HEADER: &str = "rhumb-rtt 1";

/// What file names begin and end with.
const NAME_ENDS: (&str, &str) = ("rtt-", ".table");

/// Words of a row.
const WORDS: usize = 5 + Source::ALL.len();

/// What to do about a file that is not what it was.
const COPY_AGAIN: &str = "copy the file again, or remove it";

/// The table as text.
pub fn render(table: &Table) -> String {
    let mut text = format!(
        "{HEADER}\nbuilt {}\nactivates {}\nsites {}\n",
        spell_instant(table.built_s),
        spell_instant(table.activates_s),
        table.sites.join(" "),
    );
    for ((key, site), row) in &table.rows {
        let Row { standing, level_us, evidence } = row;
        let site = &table.sites[usize::from(*site)];
        let pending = standing.pending_us.map_or("-".into(), spell_ms);
        let counts = standing.counts_us.map_or("-".into(), spell_ms);
        let level = spell_ms(*level_us);
        // Writing into a String does not fail.
        let _ = write!(text, "{key} {site} {counts} {pending} {level}");
        for Evidence { weight_milli, mean_us } in evidence {
            let _ = match weight_milli {
                0 => write!(text, " -"),
                weight => {
                    write!(text, " {}.{:03}:{}", weight / 1000, weight % 1000, spell_ms(*mean_us))
                }
            };
        }
        text.push('\n');
    }
    let _ = writeln!(text, "end {}", table.rows.len());
    text
}

/// Name of the file of a text: `rtt-` and the first eight octets of its SHA-256, in hexadecimal.
pub fn file_name(text: &str) -> String {
    let digest = Sha256::digest(text);
    let hex: String = digest[..8].iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{}{hex}{}", NAME_ENDS.0, NAME_ENDS.1)
}

/// Whether a file of this name is a table of ours.
pub fn is_table_name(name: &str) -> bool {
    let hex = name.strip_prefix(NAME_ENDS.0).and_then(|rest| rest.strip_suffix(NAME_ENDS.1));
    hex.is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// An instant as tables have it: `2026-11-21T17:00:00Z`.
pub fn spell_instant(unix_s: u64) -> String {
    let instant = UNIX_EPOCH + Duration::from_secs(unix_s.min(INSTANT_MAX_S));
    humantime::format_rfc3339_seconds(instant).to_string()
}

/// Last second of the year 9999: no instant beyond it can be written.
const INSTANT_MAX_S: u64 = 253_402_300_799;

fn find_instant(text: &str) -> Option<u64> {
    let instant = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    (spell_instant(instant.as_secs()) == text).then_some(instant.as_secs())
}

/// Reads a table. `name`, the file's own without folder, has to be that of its content.
///
/// # Errors
/// All problems of all lines, at most [`PROBLEMS_MAX`]; never empty.
pub fn parse_table(name: &str, octets: &[u8]) -> Result<Table, Vec<RttProblem>> {
    let mut reader = Reader::default();
    let Ok(text) = std::str::from_utf8(octets) else {
        reader.line = 1;
        reader.problem(1, "this is not a table of round-trip times".into(), COPY_AGAIN);
        return Err(reader.problems);
    };
    reader.read(text);
    if reader.problems.is_empty() && file_name(text) != name {
        reader.line = 1;
        let fault = format!("the content is that of {}", file_name(text));
        reader.problem(1, fault, COPY_AGAIN);
    }
    if reader.problems.is_empty() { Ok(reader.table) } else { Err(reader.problems) }
}

/// A table while it is read, line by line.
#[derive(Default)]
struct Reader {
    line: u32,
    table: Table,
    problems: Vec<RttProblem>,
}

impl Reader {
    fn problem(&mut self, column: usize, fault: String, remedy: &str) {
        let (line, column) = (self.line, column as u32);
        self.problems.push(RttProblem { line, column, fault, remedy: remedy.into() });
    }

    fn read(&mut self, text: &str) {
        let mut lines = text.lines();
        self.line = 1;
        if lines.next() != Some(HEADER) {
            let remedy = "make it by `rhumb rtt import` of this version";
            return self.problem(1, format!("the first line is not `{HEADER}`"), remedy);
        }
        self.table.built_s = self.head(lines.next(), "built ", find_instant).unwrap_or(0);
        self.table.activates_s = self.head(lines.next(), "activates ", find_instant).unwrap_or(0);
        self.table.sites = self.head(lines.next(), "sites ", find_sites).unwrap_or_default();
        let mut end = None;
        for line in lines {
            self.line += 1;
            if self.problems.len() >= PROBLEMS_MAX {
                return;
            }
            if end.is_some() {
                return self.problem(1, "something follows the end".into(), COPY_AGAIN);
            }
            match line.strip_prefix("end ") {
                Some(count) => end = Some(count.parse::<usize>().ok()),
                None => self.row(line),
            }
        }
        if self.problems.is_empty() && end != Some(Some(self.table.rows.len())) {
            let fault = "the last line does not count the rows: the file is cut off".into();
            self.problem(1, fault, COPY_AGAIN);
        }
    }

    /// The value of a line of the head.
    fn head<T>(
        &mut self,
        line: Option<&str>,
        word: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.line += 1;
        let value = line.and_then(|line| line.strip_prefix(word)).and_then(find);
        if value.is_none() {
            let fault = format!("the line is not `{word}` with its value");
            self.problem(1, fault, COPY_AGAIN);
        }
        value
    }

    fn row(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let Ok([key, site, counts, pending, level, evidence @ ..]) =
            <[&str; WORDS]>::try_from(words.as_slice())
        else {
            let fault = format!("{} words instead of {WORDS}", words.len());
            return self.problem(1, fault, COPY_AGAIN);
        };
        let wrong = |word: &str| {
            let column = word.as_ptr() as usize - line.as_ptr() as usize + 1;
            (column, format!("`{word}` is not allowed here"))
        };
        let mut faults = Vec::new();
        let mut found = |is_there: bool, word: &str| {
            if !is_there {
                faults.push(wrong(word));
            }
        };
        let (key_found, site_found) = (Key::find(key), self.table.site_index(site));
        found(key_found.is_some(), key);
        found(site_found.is_some(), site);
        let counts_us = find_optional(counts, find_us);
        let level_us = find_us(level);
        found(counts_us.is_some(), counts);
        let pending_us = find_optional(pending, find_us);
        found(pending_us.is_some(), pending);
        found(level_us.is_some(), level);
        let samples = evidence.map(|word| find_optional(word, find_evidence));
        evidence.iter().zip(&samples).for_each(|(word, sample)| found(sample.is_some(), word));
        for (column, fault) in faults {
            self.problem(column, fault, COPY_AGAIN);
        }
        if let (Some(key), Some(site), Some(counts_us), Some(pending_us), Some(level_us)) =
            (key_found, site_found, counts_us, pending_us, level_us)
        {
            let evidence = samples.map(|sample| sample.flatten().unwrap_or_default());
            let standing = Standing { counts_us, pending_us };
            self.insert((key, site), Row { standing, level_us, evidence });
        }
    }

    fn insert(&mut self, at: (Key, u16), row: Row) {
        if self.table.rows.len() >= ROWS_MAX {
            let remedy = "import fewer networks";
            return self.problem(1, format!("more than {ROWS_MAX} rows"), remedy);
        }
        if self.table.rows.last_key_value().is_some_and(|(last, _)| *last >= at) {
            return self.problem(1, "the row is not in its order".into(), COPY_AGAIN);
        }
        self.table.rows.insert(at, row);
    }
}

/// Names in order, each once.
fn find_sites(text: &str) -> Option<Vec<Box<str>>> {
    let names: Vec<Box<str>> = text.split(' ').filter(|n| !n.is_empty()).map(Into::into).collect();
    let in_order = names.is_sorted_by(|a, b| a < b);
    (in_order && names.join(" ") == text && names.len() <= usize::from(u16::MAX)).then_some(names)
}

/// `-` for nothing, else what `find` finds; `None` for neither.
fn find_optional<T>(text: &str, find: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { find(text).map(Some) }
}

fn find_us(text: &str) -> Option<i32> {
    find_ms(text).filter(|micros| (-RTT_MAX_US..=RTT_MAX_US).contains(micros))
}

fn find_evidence(text: &str) -> Option<Evidence> {
    let (weight, mean) = text.split_once(':')?;
    let (whole, part) = weight.split_once('.').filter(|(_, part)| part.len() == 3)?;
    let weight = whole.parse::<u64>().ok()?.checked_mul(1000)? + part.parse::<u64>().ok()?;
    let weight_milli = u32::try_from(weight).ok().filter(|w| (1..=WEIGHT_MAX_MILLI).contains(w))?;
    Some(Evidence { weight_milli, mean_us: find_us(mean)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "rhumb-rtt 1\nbuilt 2026-11-21T17:00:00Z\nactivates 2026-11-21T17:05:00Z\n\
        sites fra iad\n192.0.2.0/24 fra 24.310 - 24.000 - 12.500:31.000 100.000:24.000\n\
        DE/AS64496 fra -3.200 9.100 31.000 - 250.000:12.040 -\nend 2\n";

    fn parse(text: &str) -> Result<Table, Vec<String>> {
        let parsed = parse_table(&file_name(text), text.as_bytes());
        parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_example_is_read_and_written_as_it_is() {
        let table = parse(GOOD).unwrap();
        assert_eq!(table.rows.len(), 2);
        assert_eq!(render(&table), GOOD);
        let row = table.find(Key::find("DE/AS64496").unwrap(), "fra").unwrap();
        assert_eq!(row.standing, Standing { counts_us: Some(-3_200), pending_us: Some(9_100) });
        assert_eq!(spell_instant(table.activates_s), "2026-11-21T17:05:00Z");
    }

    #[test]
    fn every_problem_comes_with_line_and_column_at_once() {
        let bad = GOOD.replace(" 24.310 -", " 24.31x ?").replace("DE/AS64496 fra", "DE/64496 ams");
        assert_eq!(
            parse(&bad).unwrap_err(),
            [
                "5:18: `24.31x` is not allowed here; copy the file again, or remove it",
                "5:25: `?` is not allowed here; copy the file again, or remove it",
                "6:1: `DE/64496` is not allowed here; copy the file again, or remove it",
                "6:10: `ams` is not allowed here; copy the file again, or remove it",
            ]
        );
    }

    #[test]
    fn a_file_that_is_cut_off_or_changed_is_refused() {
        for (at, _) in GOOD.char_indices().skip(1) {
            assert!(parse(&GOOD[..at]).is_err() || at == GOOD.len() - 1, "cut at {at}");
        }
        let name = file_name(GOOD);
        let changed = GOOD.replace("24.310", "24.311");
        let problems = parse_table(&name, changed.as_bytes()).unwrap_err();
        assert!(problems[0].fault.starts_with("the content is that of rtt-"), "{problems:?}");
        let swapped = "sites iad fra";
        assert!(parse(&GOOD.replace("sites fra iad", swapped)).is_err());
        assert!(parse(&(GOOD.to_owned() + "end 2\n")).is_err());
        assert!(parse_table(&name, b"\xff").is_err());
    }

    #[test]
    fn names_are_told_from_other_files() {
        assert!(is_table_name(&file_name(GOOD)));
        for other in ["rtt-.table", "rtt-0123456789abcdeg.table", "rtt-0123456789abcdef.table~"] {
            assert!(!is_table_name(other), "{other}");
        }
    }

    fn row() -> impl Strategy<Value = Row> {
        let evidence = (0..WEIGHT_MAX_MILLI, -1000..RTT_MAX_US).prop_map(|(weight_milli, mean)| {
            Evidence { weight_milli, mean_us: if weight_milli == 0 { 0 } else { mean } }
        });
        let counts = prop::option::of(-RTT_MAX_US..RTT_MAX_US);
        let standing = (counts, prop::option::of(0..RTT_MAX_US))
            .prop_map(|(counts_us, pending_us)| Standing { counts_us, pending_us });
        (standing, 0..RTT_MAX_US, prop::array::uniform3(evidence))
            .prop_map(|(standing, level_us, evidence)| Row { standing, level_us, evidence })
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            (any::<[u8; 4]>(), 0..=24_u8).prop_map(|(octets, len)| {
                let network = ipnet::IpNet::new(std::net::IpAddr::from(octets), len).unwrap();
                Key::Prefix(network.trunc())
            }),
            (any::<[u8; 16]>(), 0..=48_u8).prop_map(|(octets, len)| {
                let network = ipnet::IpNet::new(std::net::IpAddr::from(octets), len).unwrap();
                Key::Prefix(network.trunc())
            }),
            (1..u32::MAX).prop_map(|asn| Key::Group(crate::rtt::Group { country: *b"DE", asn })),
        ]
    }

    proptest! {
        #[test]
        fn every_table_is_read_as_it_is_written(
            rows in prop::collection::btree_map((key(), 0..2_u16), row(), 0..30),
            built_s in 0..4_000_000_000_u64,
        ) {
            let sites = ["fra", "iad"].map(Into::into).into();
            let table = Table { built_s, activates_s: built_s + 300, sites, rows };
            let text = render(&table);
            prop_assert_eq!(parse(&text), Ok(table));
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_table("rtt-0000000000000000.table", &octets);
            let mixed = [GOOD.as_bytes(), &octets].concat();
            prop_assert!(octets.is_empty() || parse_table(&file_name(GOOD), &mixed).is_err());
        }
    }
}
