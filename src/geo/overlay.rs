//! The operator's own networks: our CSV with a header, or a geofeed (RFC 8805). Knows no database.
//!
//! ```text
//! # a geofeed has no header: prefix,country,region,city,postal
//! 192.0.2.0/24,DE,DE-HE,Frankfurt,
//! 198.51.100.7,US,US-CA,,
//! 203.0.113.0/24,,,,          # has no location, whatever a database says
//! ```

use std::net::IpAddr;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::SourceNetwork;
use crate::geo::SourceProblem;
use crate::geo::parse_source;
use crate::geo::place::find_code;
use crate::geo::source::Field;
use crate::geo::source::Parser;
use crate::geo::source::SingleAddress;
use crate::geo::source::cut;
use crate::geo::source::find_city;
use crate::geo::source::find_subdivision;

/// Code of ISO 3166-1's user range by which older feeds say "no location" (RFC 8805 section 2.1.2).
const NOWHERE: [u8; 2] = *b"ZZ";

/// Reads an overlay of either kind. A file whose first line begins with a network is a geofeed.
///
/// # Errors
/// All problems of all lines, as [`parse_source`] gives them.
pub fn parse_overlay(text: &str) -> Result<Vec<SourceNetwork>, Vec<SourceProblem>> {
    if is_geofeed(text) { parse_geofeed(text) } else { parse_source(text) }
}

/// Whether the first line that says anything begins with an address or a network. An empty file is an empty geofeed.
fn is_geofeed(text: &str) -> bool {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let first = lines.map(without_comment).find(|line| !line.trim().is_empty());
    first.is_none_or(|line| {
        let word = line.split(',').next().unwrap_or("").trim().trim_matches('"');
        word.parse::<IpNet>().is_ok()
            || word.parse::<IpAddr>().is_ok()
            || (word.contains('/') && word.starts_with(|first: char| first.is_ascii_hexdigit()))
    })
}

/// Text from `#` to the end of a line is a comment (RFC 8805 section 2.1).
fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or(line)
}

/// Reads a geofeed. Further fields, such as the retired postal code, are ignored.
fn parse_geofeed(text: &str) -> Result<Vec<SourceNetwork>, Vec<SourceProblem>> {
    let mut parser = Parser::default();
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let text = without_comment(text);
        if text.trim().is_empty() {
            continue;
        }
        parser.line = line;
        read_entry(&mut parser, text);
        if parser.is_full() {
            break;
        }
    }
    parser.finish()
}

fn read_entry(parser: &mut Parser, line: &str) {
    let mut fields = cut(line).into_iter().map(|field| Some(field).filter(|f| !f.text.is_empty()));
    let mut next = || fields.next().flatten();
    let (prefix, country, region, city) = (next(), next(), next(), next());
    let network = parser.network(prefix, SingleAddress::Allowed);
    let country = parser.value(country, find_code, "use two letters of ISO 3166-1, such as DE");
    let country = country.filter(|code| *code != NOWHERE);
    let (region_country, subdivision) = read_region(parser, region, country);
    let city = parser.value(city, find_city, "use at most 256 bytes without control characters");
    let mut place =
        Place { country: country.or(region_country), subdivision, city, ..Place::default() };
    place.is_withheld = place.is_unknown();
    parser.networks.extend(network.map(|network| SourceNetwork { network, place }));
}

/// Country and subdivision of a code of ISO 3166-2, which must be of `country` if there is one.
fn read_region(
    parser: &mut Parser,
    field: Option<Field>,
    country: Option<[u8; 2]>,
) -> (Option<[u8; 2]>, Option<Box<str>>) {
    let column = field.as_ref().map_or(1, |field| field.column);
    let split = |text: &str| {
        let (country, part) = text.split_once('-')?;
        Some((find_code(country)?, find_subdivision(&part.to_ascii_uppercase())?))
    };
    let remedy = "use a code of ISO 3166-2, such as US-CA, or leave it empty";
    let Some((found, part)) = parser.value(field, split, remedy) else { return (None, None) };
    if country.is_some_and(|country| country != found) {
        let message = "the region is not of the country before it".into();
        parser.problem(column, message, "correct one of the two".into());
    }
    (Some(found), Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<String> {
        let networks = parse_overlay(text).unwrap();
        networks.iter().map(|row| format!("{} {}", row.network, row.place)).collect()
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = parse_overlay(text).unwrap_err();
        problems.iter().map(|p| format!("{}:{}: {}", p.line, p.column, p.message)).collect()
    }

    #[test]
    fn reads_the_examples_of_rfc_8805() {
        let feed = "# prefix,country_code,region_code,city,postal\r\n\
            192.0.2.0/25,US,US-AL,,\r\n\
            192.0.2.5,us,us-al,Alabaster,\r\n\
            192.0.2.128/25,PL,PL-MZ,,\r\n\r\n\
            2001:db8::/32,PL,,, # trailing\r\n\
            2001:db8:cafe::/48,PL,PL-MZ,,02-784\r\n";
        assert_eq!(
            rows(feed),
            [
                "192.0.2.0/25 US AL",
                "192.0.2.5/32 US AL Alabaster",
                "192.0.2.128/25 PL MZ",
                "2001:db8::/32 PL",
                "2001:db8:cafe::/48 PL MZ",
            ]
        );
    }

    #[test]
    fn blank_fields_and_zz_withhold_the_location() {
        let feed = "192.0.2.0/24,,,,\n198.51.100.0/24,ZZ\n203.0.113.0/24";
        assert!(rows(feed).iter().all(|row| row.ends_with("location withheld")), "{feed}");
        assert_eq!(rows("192.0.2.0/24,,US-CA"), ["192.0.2.0/24 US CA"], "the region says it");
    }

    #[test]
    fn every_problem_of_a_feed_is_told_with_its_place() {
        let feed = "192.0.2.1/24,DE\n198.51.100.0/24,Germany,DE-HE\n203.0.113.0/24,DE,US-CA\n\
            203.0.113.0/24,DE,Hesse\n";
        assert_eq!(
            problems(feed),
            [
                "1:1: 192.0.2.1/24 has bits beyond its prefix",
                "2:17: `Germany` is not allowed here",
                "3:19: the region is not of the country before it",
                "4:1: 203.0.113.0/24 stands already in line 3",
                "4:19: `Hesse` is not allowed here",
            ]
        );
    }

    #[test]
    fn a_header_makes_it_our_own_form() {
        let own = "# ours\nprefix,country,lat,lon\n192.0.2.0/24,DE,50.1,8.7\n";
        assert_eq!(rows(own), ["192.0.2.0/24 DE 50.100,8.700"]);
        assert_eq!(problems("network,country\n192.0.2.0/24,Germany\n").len(), 1);
        assert!(problems("192.0.2.0/33,DE\n")[0].contains("not a network"), "still a geofeed");
        assert!(rows("# nothing yet\n").is_empty());
    }
}
