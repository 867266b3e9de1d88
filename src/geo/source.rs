//! The readable source of a geo database: one network a line, comma-separated.
//! Reports every problem at once; does not write a database.
//!
//! ```text
//! # comment
//! network,continent,country,subdivision,city,latitude,longitude,accuracy_km,asn
//! 192.0.2.0/28,EU,DE,HE,Frankfurt,50.1109,8.6821,20,64496
//! 2001:db8:1::/48,EU,DE,,,,,,
//! ```
//!
//! The header names the columns, in any order; `network` must be there. `prefix`, `lat` and `lon` are other words for
//! `network`, `latitude` and `longitude`. A value with a comma stands in double quotes, a quote inside is
//! doubled (RFC 4180).

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::Point;
use crate::geo::Rows;
use crate::geo::layer::NETWORKS_MAX;
use crate::geo::place::find_code;
use crate::geo::record::TEXT_MAX;

/// Most problems reported of one source; the rest wait for the next run.
pub const PROBLEMS_MAX: usize = 1_000;

const COLUMNS: [&str; 9] = [
    "network",
    "continent",
    "country",
    "subdivision",
    "city",
    "latitude",
    "longitude",
    "accuracy_km",
    "asn",
];

/// Other words for columns.
const OTHER_WORDS: [(&str, &str); 3] =
    [("prefix", "network"), ("lat", "latitude"), ("lon", "longitude")];

const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Space that readers of the format take as aliases of IPv4, so that it can hold no data.
const ALIASES: [&str; 3] = ["::ffff:0:0/96", "2001::/32", "2002::/16"];

/// One line of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNetwork {
    /// The network, without bits beyond its prefix.
    pub network: IpNet,
    /// What the line says about it.
    pub place: Place,
}

/// A fault in a source, where it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProblem {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// Reads a whole source. More specific networks win over wider ones, whatever their order.
///
/// # Errors
/// All problems of all lines, in their order, up to about [`PROBLEMS_MAX`]; never empty.
pub fn parse_source(text: &str) -> Result<Vec<SourceNetwork>, Vec<SourceProblem>> {
    let mut parser = Parser::default();
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        parser.line = line;
        if parser.columns.is_empty() {
            parser.read_header(text);
        } else {
            parser.read_row(text);
        }
        if parser.is_full() {
            break;
        }
    }
    parser.line = parser.line.max(1);
    if parser.columns.is_empty() {
        parser.problem(1, "there is no header".into(), format!("begin with {}", COLUMNS.join(",")));
    }
    parser.finish()
}

/// A value and the column in characters where it begins, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::geo) struct Field {
    pub column: u32,
    pub text: String,
}

/// Cuts a line at its commas. Values are trimmed; an open quote ends with the line.
pub(in crate::geo) fn cut(line: &str) -> Vec<Field> {
    let mut fields = vec![Field { column: 1, text: String::new() }];
    let mut quoted = false;
    let mut characters = (1..).zip(line.chars()).peekable();
    while let Some((column, character)) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match character {
            '"' if quoted && characters.next_if(|(_, next)| *next == '"').is_some() => {
                field.text.push('"');
            }
            '"' if quoted || field.text.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(Field { column: column + 1, text: String::new() }),
            _ => field.text.push(character),
        }
    }
    for field in &mut fields {
        let spaces = field.text.chars().take_while(|c| c.is_whitespace()).count() as u32;
        field.column += spaces;
        field.text = field.text.trim().to_string();
    }
    fields
}

/// A source while it is read, line by line.
#[derive(Default)]
pub(in crate::geo) struct Parser {
    pub line: u32,
    /// Position in [`COLUMNS`] of each column of this source; empty before the header.
    columns: Vec<usize>,
    pub networks: Vec<SourceNetwork>,
    seen: HashMap<IpNet, u32>,
    pub problems: Vec<SourceProblem>,
}

/// Whether an address without a length is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) enum SingleAddress {
    Allowed,
    Refused,
}

impl Parser {
    /// Everything read, or every problem.
    pub fn finish(mut self) -> Result<Vec<SourceNetwork>, Vec<SourceProblem>> {
        if self.networks.len() > NETWORKS_MAX {
            let remedy = format!("keep to {NETWORKS_MAX} networks a source");
            self.problem(1, "too many networks".into(), remedy);
        }
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        if self.problems.is_empty() { Ok(self.networks) } else { Err(self.problems) }
    }

    /// Whether there is no use in reading on.
    pub fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX || self.networks.len() > NETWORKS_MAX
    }

    pub fn problem(&mut self, column: u32, message: String, remedy: String) {
        self.problems.push(SourceProblem { line: self.line, column, message, remedy });
    }

    fn read_header(&mut self, line: &str) {
        for field in cut(line) {
            let other = OTHER_WORDS.iter().find(|(word, _)| *word == field.text);
            let text = other.map_or(field.text.as_str(), |(_, column)| column);
            let known = COLUMNS.iter().position(|name| *name == text);
            match known {
                Some(column) if self.columns.contains(&column) => {
                    let message = format!("column `{}` stands twice", field.text);
                    self.problem(field.column, message, "remove one".into());
                }
                Some(_) => {}
                None => {
                    let message = format!("there is no column `{}`", field.text);
                    self.problem(field.column, message, format!("use {}", COLUMNS.join(",")));
                }
            }
            self.columns.push(known.unwrap_or(COLUMNS.len()));
        }
        if !self.columns.contains(&0) {
            let remedy = format!("make the first line {}", COLUMNS.join(","));
            self.problem(1, "the header has no column `network`".into(), remedy);
        }
    }

    fn read_row(&mut self, line: &str) {
        let fields = cut(line);
        if fields.len() != self.columns.len() {
            let message = format!("{} values for {} columns", fields.len(), self.columns.len());
            let remedy = "keep the commas of empty values; quote a value that has a comma";
            self.problem(1, message, remedy.into());
            return;
        }
        let mut row: [Option<Field>; COLUMNS.len()] = Default::default();
        for (column, field) in self.columns.iter().zip(fields) {
            if let Some(cell) = row.get_mut(*column).filter(|_| !field.text.is_empty()) {
                *cell = Some(field);
            }
        }
        let [network, continent, country, subdivision, city, latitude, longitude, radius, asn] =
            row;
        let network = self.network(network, SingleAddress::Refused);
        let location = self.location(latitude, longitude);
        let place = Place {
            continent: self.value(continent, find_continent, "use AF, AN, AS, EU, NA, OC or SA"),
            country: self.value(country, find_upper_code, "use two capital letters, such as DE"),
            subdivision: self.value(
                subdivision,
                find_subdivision,
                "use the part after the dash of the ISO 3166-2 code, such as CA for US-CA",
            ),
            city: self.value(city, find_city, "use at most 256 bytes without control characters"),
            accuracy_km: self.radius(radius, location.is_some()),
            location,
            is_withheld: false,
            rows: Rows::default(),
            asn: self.value(asn, find_asn, "use 1 to 4294967295"),
        };
        if let Some(network) = network {
            self.networks.push(SourceNetwork { network, place });
        }
    }

    /// A value that `find` understands, or a problem with `remedy`.
    pub fn value<T>(
        &mut self,
        field: Option<Field>,
        find: impl Fn(&str) -> Option<T>,
        remedy: &str,
    ) -> Option<T> {
        let field = field?;
        let value = find(&field.text);
        if value.is_none() {
            self.problem(
                field.column,
                format!("`{}` is not allowed here", field.text),
                remedy.into(),
            );
        }
        value
    }

    /// A network that has not been named before, or a problem.
    pub fn network(&mut self, field: Option<Field>, single: SingleAddress) -> Option<IpNet> {
        let Some(Field { column, text }) = field else {
            self.problem(
                1,
                "the network is missing".into(),
                "write it, such as 192.0.2.0/24".into(),
            );
            return None;
        };
        let alone = text.parse::<IpAddr>().ok().filter(|_| single == SingleAddress::Allowed);
        let Ok(network) = alone.map_or_else(|| text.parse::<IpNet>(), |one| Ok(one.into())) else {
            let remedy = match text.parse::<IpAddr>() {
                Ok(address) => format!("write {}", IpNet::from(address)),
                Err(_) => "write it as address/length, such as 192.0.2.0/24".into(),
            };
            self.problem(column, format!("`{text}` is not a network"), remedy);
            return None;
        };
        if network != network.trunc() {
            let message = format!("{network} has bits beyond its prefix");
            self.problem(column, message, format!("write {}", network.trunc()));
            return None;
        }
        if let Some(alias) = find_alias(network) {
            let message = format!("{network} is in {alias}, which stands for IPv4 addresses");
            self.problem(column, message, "write the IPv4 network".into());
            return None;
        }
        if let Some(line) = self.seen.insert(network, self.line) {
            let message = format!("{network} stands already in line {line}");
            self.problem(column, message, "remove one of the two lines".into());
            return None;
        }
        Some(network)
    }

    fn location(&mut self, latitude: Option<Field>, longitude: Option<Field>) -> Option<Point> {
        let column = latitude.as_ref().or(longitude.as_ref()).map_or(1, |field| field.column);
        let lonely = latitude.is_some() != longitude.is_some();
        let north = "use degrees from -90 to 90, such as 50.11";
        let east = "use degrees from -180 to 180, such as 8.68";
        let latitude = self.value(latitude, |text| find_degrees(text, 90.0), north);
        let longitude = self.value(longitude, |text| find_degrees(text, 180.0), east);
        if lonely {
            let message = "latitude and longitude go together".into();
            self.problem(column, message, "give both or none".into());
        }
        Point::from_degrees(latitude?, longitude?)
    }

    fn radius(&mut self, field: Option<Field>, has_location: bool) -> Option<u16> {
        let column = field.as_ref().map_or(1, |field| field.column);
        let radius = self.value(field, find_number::<u16>, "use whole kilometres, 0 to 65535")?;
        if !has_location {
            let message = "a radius without a location".into();
            self.problem(column, message, "give latitude and longitude, or leave it out".into());
        }
        Some(radius)
    }
}

fn find_alias(network: IpNet) -> Option<&'static str> {
    ALIASES.into_iter().find(|alias| IpNet::from_str(alias).is_ok_and(|a| a.contains(&network)))
}

fn find_continent(text: &str) -> Option<[u8; 2]> {
    CONTINENTS.contains(&text).then(|| find_code(text))?
}

fn find_upper_code(text: &str) -> Option<[u8; 2]> {
    find_code(text).filter(|code| code == text.as_bytes())
}

pub(in crate::geo) fn find_subdivision(text: &str) -> Option<Box<str>> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (text.len() <= 3 && text.bytes().all(allowed)).then(|| text.into())
}

pub(in crate::geo) fn find_city(text: &str) -> Option<Box<str>> {
    (text.len() <= TEXT_MAX && !text.contains(char::is_control)).then(|| text.into())
}

fn find_degrees(text: &str, max: f64) -> Option<f64> {
    text.parse().ok().filter(|degrees: &f64| degrees.abs() <= max)
}

fn find_number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn find_asn(text: &str) -> Option<u32> {
    find_number(text.strip_prefix("AS").unwrap_or(text)).filter(|asn| *asn != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "network,continent,country,subdivision,city,latitude,longitude,accuracy_km,asn\n";

    fn problems(rows: &str) -> Vec<String> {
        let problems = parse_source(&format!("{HEADER}{rows}")).unwrap_err();
        problems
            .iter()
            .map(|p| format!("{}:{}: {}; {}", p.line, p.column, p.message, p.remedy))
            .collect()
    }

    #[test]
    fn reads_comments_empty_values_quotes_and_any_order_of_columns() {
        let text = "# demo\ncity,network,asn\n\n\
            \"Washington, \"\"D.C.\"\"\",192.0.2.0/24,AS64496\n,2001:db8::/32,\n";
        let networks = parse_source(text).unwrap();
        assert_eq!(networks[0].place.city.as_deref(), Some("Washington, \"D.C.\""));
        assert_eq!(networks[0].place.asn, Some(64496));
        assert_eq!(networks[1].network.to_string(), "2001:db8::/32");
        assert!(networks[1].place.is_unknown());
    }

    #[test]
    fn all_problems_come_at_once_each_with_line_column_and_remedy() {
        let rows = "192.0.2.1/24,XX,de,HESSE,Frankfurt,91,,20,0\n198.51.100.7,EU\n";
        assert_eq!(
            problems(rows),
            [
                "2:1: 192.0.2.1/24 has bits beyond its prefix; write 192.0.2.0/24",
                "2:14: `XX` is not allowed here; use AF, AN, AS, EU, NA, OC or SA",
                "2:17: `de` is not allowed here; use two capital letters, such as DE",
                "2:20: `HESSE` is not allowed here; use the part after the dash of the ISO 3166-2 \
                 code, such as CA for US-CA",
                "2:36: `91` is not allowed here; use degrees from -90 to 90, such as 50.11",
                "2:36: latitude and longitude go together; give both or none",
                "2:40: a radius without a location; give latitude and longitude, or leave it out",
                "2:43: `0` is not allowed here; use 1 to 4294967295",
                "3:1: 2 values for 9 columns; keep the commas of empty values; quote a value that \
                 has a comma",
            ]
        );
    }

    #[test]
    fn addresses_doubles_and_aliases_are_refused() {
        let found = problems(
            "192.0.2.7,,,,,,,,\n198.51.100.0/24,,,,,,,,\n198.51.100.0/24,,,,,,,,\n\
             2002:c000::/24,,,,,,,,\n",
        );
        assert!(found[0].ends_with("write 192.0.2.7/32"));
        assert!(found[1].contains("already in line 3"));
        assert!(found[2].contains("2002::/16"));
    }

    #[test]
    fn a_source_without_header_or_with_a_wrong_one_is_refused() {
        assert!(parse_source("# nothing\n").unwrap_err()[0].message.contains("no header"));
        let wrong = parse_source("net,country\n").unwrap_err();
        assert!(wrong[0].message.contains("`net`") && wrong[1].message.contains("`network`"));
    }
}
