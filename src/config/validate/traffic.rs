//! What clients bring: a CSV file beside the one whose `[[assert]]` names it.
//!
//! ```text
//! country,asn,name,load
//! DE,,www,420
//! DE,3320,api,37.5
//! ```

use std::ops::Range;

use crate::config::Files;
use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::read::parse_clients;
use crate::config::reader::Refusal;
use crate::config::reader::closest;
use crate::config::rules;
use crate::config::validate::assertions::Steered;
use crate::config::validate::pools::missing_file_remedy;
use crate::model::Clients;
use crate::model::SteerId;
use crate::model::TrafficRow;

/// Most rows of a file that are shown as wrong.
const FAULTS_MAX: usize = 20;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Prefix,
    Continent,
    Country,
    Subdivision,
    System,
    Name,
    Load,
}

/// Columns by name; several names for what others export.
const COLUMNS: [(&str, Column); 10] = [
    ("prefix", Column::Prefix),
    ("network", Column::Prefix),
    ("continent", Column::Continent),
    ("country", Column::Country),
    ("subdivision", Column::Subdivision),
    ("asn", Column::System),
    ("name", Column::Name),
    ("load", Column::Load),
    ("share", Column::Load),
    ("qps", Column::Load),
];

/// A field and where it stands.
struct Field<'t> {
    text: &'t str,
    span: Range<usize>,
}

/// Reads a traffic file; `None` if it has a mistake.
pub(super) fn read(
    files: &Files,
    (name, key): (&At<String>, &str),
    steers: &[SteerId],
    steered: &Steered<'_>,
    problems: &mut Problems,
) -> Option<Vec<TrafficRow>> {
    let Some((id, file)) = files.find_beside(name.place.file, &name.value) else {
        let fault = format!("there is no file \"{}\"", name.value);
        let remedy = missing_file_remedy(files, name);
        problems.error(&name.place, key, fault, remedy).rule(&rules::MISSING_FILE);
        return None;
    };
    let before = problems.len();
    let mut lines = lines(file);
    let Some(header) = lines.next() else {
        let remedy = "begin with a line of names, as: country,load";
        problems.error(&name.place, key, "the file is empty", remedy);
        return None;
    };
    let columns = read_header(id, &header, problems)?;
    let mut rows = Vec::new();
    for line in lines {
        let row = Row { file: id, columns: &columns, line: &line, steers, steered };
        rows.extend(row.read(problems));
        if problems.len() >= before + FAULTS_MAX {
            break;
        }
    }
    if rows.is_empty() && problems.len() == before {
        let remedy = "add a line for each country or network, as: DE,420";
        problems.error(&name.place, key, "the file has no row", remedy);
    }
    (problems.len() == before).then_some(rows)
}

/// Lines that say something, as fields.
fn lines(file: &SourceFile) -> impl Iterator<Item = Vec<Field<'_>>> {
    let text = file.text.as_str();
    let lines = text.split_inclusive('\n').scan(0, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    });
    let lines = lines.map(|(at, line)| match line.strip_prefix('\u{feff}') {
        Some(rest) => (at + line.len() - rest.len(), rest),
        None => (at, line),
    });
    let lines = lines.map(|(at, line)| (at, line.split('#').next().unwrap_or(line)));
    let said = lines.filter(|(_, line)| !line.trim().is_empty());
    said.map(|(at, line)| {
        let mut start = at;
        let field = |part: &'_ str| {
            let text = part.trim();
            let inner = start + (part.len() - part.trim_start().len());
            start += part.len() + 1;
            (inner, text.len())
        };
        let spans: Vec<(usize, usize)> = line.split(',').map(field).collect();
        let fields = spans.into_iter().map(|(start, len)| Field {
            text: &text[start..start + len],
            span: start..start + len,
        });
        fields.collect()
    })
}

fn read_header(file: FileId, header: &[Field<'_>], problems: &mut Problems) -> Option<Vec<Column>> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let before = problems.len();
    let mut columns = Vec::new();
    for field in header {
        let place = Place { file, span: field.span.clone() };
        let known = COLUMNS.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.text));
        match known {
            Some((_, column)) if columns.contains(column) => {
                let fault = format!("a second column of \"{}\"", field.text);
                problems.error(&place, "", fault, "keep one");
            }
            Some((_, column)) => columns.push(*column),
            None => {
                let remedy = match closest(field.text, &names) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("begin with a line of names; known are: {}", names.join(", ")),
                };
                let fault = format!("\"{}\" is no column of traffic", field.text);
                problems.error(&place, "", fault, remedy).rule(&rules::UNKNOWN_KEY);
            }
        }
    }
    let says_who = columns.iter().any(|column| !matches!(column, Column::Name | Column::Load));
    if problems.len() == before && (!says_who || !columns.contains(&Column::Load)) {
        let end = header.last().map_or(0, |field| field.span.end);
        let start = header.first().map_or(0, |field| field.span.start);
        let fault = "the columns do not say who brings how much";
        let remedy = "name a column of clients and one of load, as: country,load";
        problems.error(&Place { file, span: start..end }, "", fault, remedy);
    }
    (problems.len() == before).then_some(columns)
}

/// One line with what it takes to read it.
struct Row<'a> {
    file: FileId,
    columns: &'a [Column],
    line: &'a [Field<'a>],
    steers: &'a [SteerId],
    steered: &'a Steered<'a>,
}

impl Row<'_> {
    fn read(&self, problems: &mut Problems) -> Option<TrafficRow> {
        let whole = self.line[0].span.start..self.line[self.line.len() - 1].span.end;
        let whole = Place { file: self.file, span: whole };
        if self.line.len() != self.columns.len() {
            let fault = format!("{} fields, not {}", self.line.len(), self.columns.len());
            problems.error(&whole, "", fault, "write one for each name of the first line");
            return None;
        }
        let before = problems.len();
        let (mut clients, mut load, mut steer) = (Vec::new(), None, None);
        for (column, field) in self.columns.iter().zip(self.line) {
            let place = Place { file: self.file, span: field.span.clone() };
            let mut refuse = |(fault, remedy): Refusal| {
                problems.error(&place, "", fault, remedy);
            };
            match column {
                Column::Load => load = read_load(field.text).map_err(refuse).ok(),
                _ if field.text.is_empty() => {}
                Column::Name => {
                    let name = At { value: field.text.to_owned(), place };
                    steer = self.steered.find(&name, "", problems);
                }
                Column::Prefix
                | Column::Continent
                | Column::Country
                | Column::Subdivision
                | Column::System => match read_clients(*column, field.text) {
                    Ok(found) => clients.extend(found),
                    Err(refusal) => refuse(refusal),
                },
            }
        }
        if clients.is_empty() && problems.len() == before {
            let remedy = "say whose load it is: a country, a network";
            problems.error(&whole, "", "this row is about nobody", remedy);
        }
        let steer = match (steer, self.steers) {
            (Some(steer), _) => steer,
            (None, [only]) => *only,
            (None, _) => {
                if problems.len() == before {
                    let fault = "this row does not say for which name";
                    let remedy = "add a column \"name\", or name = \"…\" to the [[assert]]";
                    problems.error(&whole, "", fault, remedy);
                }
                return None;
            }
        };
        let row = TrafficRow { steer, clients, load: load? };
        (problems.len() == before && self.steers.contains(&steer)).then_some(row)
    }
}

fn read_clients(column: Column, text: &str) -> Result<Option<Clients>, Refusal> {
    match column {
        Column::Prefix => parse_clients(text).and_then(|clients| match clients {
            Some(Clients::Network(_)) => Ok(clients),
            _ => Err((format!("\"{text}\" is no network"), "write one as 192.0.2.0/24".to_owned())),
        }),
        Column::Continent => parse_clients(&format!("continent:{text}")),
        Column::Country => parse_clients(&format!("country:{text}")),
        Column::Subdivision => parse_clients(&format!("subdivision:{text}")),
        Column::System => {
            parse_clients(&format!("asn:{}", text.strip_prefix("AS").unwrap_or(text)))
        }
        Column::Name | Column::Load => Ok(None),
    }
}

fn read_load(text: &str) -> Result<f64, Refusal> {
    let load = text.trim_end_matches('%').parse::<f64>().ok();
    load.filter(|load| load.is_finite() && *load >= 0.0).ok_or_else(|| {
        let remedy = "write a number in the unit of capacity, as 420 or 37.5";
        (format!("\"{text}\" is not a load"), remedy.to_owned())
    })
}
