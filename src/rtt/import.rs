//! The operator's own table of round-trip times: CSV with a header. Reports every problem at once.
//!
//! ```text
//! # comment
//! prefix,site,rtt_ms,samples
//! 192.0.2.0/24,fra,12.4,250
//! 2001:db8:1::/48,iad,98,30
//! ```

use std::collections::HashMap;

use ipnet::IpNet;

use crate::rtt::Ground;
use crate::rtt::PROBLEMS_MAX;
use crate::rtt::ROWS_MAX;
use crate::rtt::RttProblem;
use crate::rtt::Source;
use crate::rtt::Window;

/// Columns, in any order.
const COLUMNS: [&str; 4] = ["prefix", "site", "rtt_ms", "samples"];

/// Most samples a row may stand for.
pub const SAMPLES_MAX: u32 = 1_000_000;

/// A line of the table that can be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// From where.
    pub network: IpNet,
    /// To where.
    pub site: Box<str>,
    /// Mean, in microseconds.
    pub rtt_us: u32,
    /// Of how many.
    pub samples: u32,
}

/// Reads a whole table.
///
/// # Errors
/// All problems of all lines, at most [`PROBLEMS_MAX`]; never empty.
pub fn parse_import(text: &str, ground: &Ground<'_>) -> Result<Vec<ImportRow>, Vec<RttProblem>> {
    let mut reader = Reader {
        ground: *ground,
        line: 0,
        columns: Vec::new(),
        seen: HashMap::new(),
        rows: Vec::new(),
        problems: Vec::new(),
    };
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        reader.line = line;
        if reader.columns.is_empty() {
            reader.header(text);
            if !reader.problems.is_empty() {
                break; // Nothing else in it can be understood.
            }
        } else if reader.problems.len() < PROBLEMS_MAX {
            reader.row(text);
        }
    }
    if reader.columns.is_empty() {
        reader.line = 1;
        let remedy = format!("make the first line {}", COLUMNS.join(","));
        reader.problem(1, "there is no header".into(), remedy);
    }
    if reader.problems.is_empty() { Ok(reader.rows) } else { Err(reader.problems) }
}

/// The rows, gathered by network.
pub fn window_of(rows: &[ImportRow]) -> Window {
    let mut window = Window::for_import();
    for ImportRow { network, site, rtt_us, samples } in rows {
        // There are not more rows than it has room for.
        let _ = window.add(*network, site, Source::Import, (*samples, *rtt_us));
    }
    window
}

/// A table while it is read, line by line.
struct Reader<'a> {
    ground: Ground<'a>,
    line: u32,
    /// Position in [`COLUMNS`] of each column; empty before the header.
    columns: Vec<usize>,
    seen: HashMap<(IpNet, Box<str>), u32>,
    rows: Vec<ImportRow>,
    problems: Vec<RttProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, column: u32, fault: String, remedy: String) {
        self.problems.push(RttProblem { line: self.line, column, fault, remedy });
    }

    fn header(&mut self, line: &str) {
        for (column, text) in cut(line) {
            let known = COLUMNS.iter().position(|name| *name == text);
            let is_double = known.is_some_and(|known| self.columns.contains(&known));
            if is_double || known.is_none() {
                let what = if is_double { "stands twice" } else { "is no column" };
                let remedy = format!("make the first line {}", COLUMNS.join(","));
                self.problem(column, format!("`{text}` {what}"), remedy);
            }
            self.columns.extend(known);
        }
        for (index, name) in COLUMNS.into_iter().enumerate() {
            if !self.columns.contains(&index) && self.problems.is_empty() {
                let remedy = format!("make the first line {}", COLUMNS.join(","));
                self.problem(1, format!("there is no column `{name}`"), remedy);
            }
        }
    }

    fn row(&mut self, line: &str) {
        let cells = cut(line);
        if cells.len() != COLUMNS.len() {
            let fault = format!("{} values for {} columns", cells.len(), COLUMNS.len());
            return self.problem(1, fault, "give one value for each column".into());
        }
        let mut row = [(1, ""); COLUMNS.len()];
        for (column, cell) in self.columns.iter().zip(cells) {
            row[*column] = cell;
        }
        let [prefix, site, rtt, samples] = row;
        let network = self.value(prefix, find_network, "write a network, such as 192.0.2.0/24");
        let rtt_us = self.value(rtt, find_rtt, "write milliseconds, such as 12.4");
        let most = format!("write 1 to {SAMPLES_MAX}");
        let samples = self.value(samples, find_samples, &most);
        let (Some(network), Some(rtt_us), Some(samples)) = (network, rtt_us, samples) else {
            return;
        };
        let judged = self.ground.judge(network, site.1, rtt_us).map(|site| site.name.clone());
        let name = match judged {
            Ok(name) => name,
            Err(why) => {
                let is_site = matches!(why, crate::rtt::Refusal::UnknownSite { .. });
                let column = if is_site { site.0 } else { rtt.0 };
                return self.problem(column, why.to_string(), why.remedy());
            }
        };
        if let Some(first) = self.seen.insert((network, name.clone()), self.line) {
            let fault = format!("{network} to {name} stands already in line {first}");
            return self.problem(prefix.0, fault, "join the two lines".into());
        }
        if self.rows.len() >= ROWS_MAX {
            let remedy = "give wider networks, or fewer".into();
            return self.problem(1, format!("more than {ROWS_MAX} lines"), remedy);
        }
        let rtt_us = rtt_us.unsigned_abs();
        self.rows.push(ImportRow { network, site: name, rtt_us, samples });
    }

    fn value<T>(
        &mut self,
        (column, text): (u32, &str),
        find: impl Fn(&str) -> Option<T>,
        remedy: &str,
    ) -> Option<T> {
        let value = find(text);
        if value.is_none() {
            self.problem(column, format!("`{text}` is not allowed here"), remedy.into());
        }
        value
    }
}

/// The values of a line, each with its column in characters from 1.
fn cut(line: &str) -> Vec<(u32, &str)> {
    let mut column = 1;
    let cells = line.split(',').map(|cell| {
        let spaces = cell.chars().take_while(|c| c.is_whitespace()).count() as u32;
        let at = column + spaces;
        column += cell.chars().count() as u32 + 1;
        (at, cell.trim())
    });
    cells.collect()
}

fn find_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().filter(|network| *network == network.trunc())
}

/// Milliseconds with any number of decimals, as microseconds; whether it can be is judged later.
pub(in crate::rtt) fn find_rtt(text: &str) -> Option<i32> {
    let plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let micros = text.parse::<f64>().ok().filter(|_| plain)? * 1000.0;
    // Beyond the range of the type it is beyond what is believed, too.
    Some(micros.round() as i32)
}

fn find_samples(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|samples| plain && (1..=SAMPLES_MAX).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtt::ground::tests::places;
    use crate::rtt::ground::tests::sites;

    fn parse(text: &str) -> Result<Vec<ImportRow>, Vec<String>> {
        let (places, sites) = (places(), sites());
        let parsed = parse_import(text, &Ground { places: &places, sites: &sites });
        parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn reads_columns_in_any_order_with_comments() {
        let rows = parse("# ours\nsite,samples,prefix,rtt_ms\n\nfra, 250 ,192.0.2.0/24,12.4567\n");
        let network = "192.0.2.0/24".parse().unwrap();
        let row = ImportRow { network, site: "fra".into(), rtt_us: 12_457, samples: 250 };
        assert_eq!(rows, Ok(vec![row]));
    }

    #[test]
    fn every_problem_of_every_line_is_told_with_its_place() {
        let text = "prefix,site,rtt_ms,samples\n192.0.2.1/24,fra,1e3,0\n192.0.2.0/24,ams,12,5\n\
            192.0.2.0/24,iad,12,5\n192.0.2.0/24,fra,0,5\n192.0.2.0/24,fra,9,5\n\
            192.0.2.0/24,fra,8,5\n192.0.2.0/24,fra\n";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "2:1: `192.0.2.1/24` is not allowed here; write a network, such as 192.0.2.0/24",
                "2:18: `1e3` is not allowed here; write milliseconds, such as 12.4",
                "2:22: `0` is not allowed here; write 1 to 1000000",
                "3:14: there is no site `ams`; name a site of the configuration: fra, iad",
                "4:18: impossible: 6553 km take at least 65.133 ms in fibre; measure again, or \
                 correct where geo data has the network or the site",
                "5:18: the round-trip time is out of range; give above 0 to 10000 ms",
                "7:1: 192.0.2.0/24 to fra stands already in line 6; join the two lines",
                "8:1: 2 values for 4 columns; give one value for each column",
            ]
        );
    }

    #[test]
    fn a_wrong_header_is_the_only_problem() {
        assert_eq!(parse("# nothing\n").unwrap_err().len(), 1);
        let wrong = parse("prefix,site,ms,samples\n192.0.2.1/24,fra,x,0\n").unwrap_err();
        assert_eq!(
            wrong,
            ["1:13: `ms` is no column; make the first line prefix,site,rtt_ms,samples"]
        );
        let short = parse("prefix,site,rtt_ms\n").unwrap_err();
        assert!(short[0].starts_with("1:1: there is no column `samples`"), "{short:?}");
    }

    #[test]
    fn parts_of_a_24_become_one_row() {
        let text = "prefix,site,rtt_ms,samples\n192.0.2.0/25,fra,10,1\n192.0.2.128/25,fra,40,2\n";
        let window = window_of(&parse(text).unwrap());
        let cells: Vec<_> = window.cells().collect();
        assert_eq!(cells.len(), 1);
        assert_eq!(cells[0].2[Source::Import.index()], crate::rtt::Evidence::new(3, 30_000));
    }
}
