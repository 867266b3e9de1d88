//! Whom a rule of `geo` or `networks` fits, and entries of lists.

use ipnet::IpNet;

use crate::config::Problems;
use crate::config::networks::Misread;
use crate::config::networks::parse_network;
use crate::config::problem::At;
use crate::config::reader::Refusal;
use crate::config::reader::Value;
use crate::config::reader::is_plain;
use crate::config::rules;
use crate::config::spec::NetworkSpec;
use crate::geo::place::CONTINENTS;
use crate::geo::place::find_code;
use crate::geo::place::find_country_named;
use crate::geo::place::is_country;
use crate::model::policy::Region;

/// Makes one condition of a text.
pub(super) type Condition<C> = fn(&str) -> Result<C, Refusal>;

/// Conditions of one rule, all or none.
pub(super) fn read<C>(
    value: &Value<'_>,
    parse: Condition<C>,
    problems: &mut Problems,
) -> Option<Vec<At<C>>> {
    let texts = value.strings(problems)?;
    if texts.is_empty() {
        let remedy = "say whom it fits, or take the rule out";
        problems.error(&value.place, &value.path, "the rule fits nobody", remedy);
        return None;
    }
    let count = texts.len();
    let conditions = texts.into_iter().filter_map(|At { value: text, place }| match parse(&text) {
        Ok(condition) => Some(At { value: condition, place }),
        Err((fault, remedy)) => {
            problems.error(&place, &value.path, fault, remedy).rule(&rules::BAD_VALUE);
            None
        }
    });
    let conditions: Vec<_> = conditions.collect();
    (conditions.len() == count).then_some(conditions)
}

/// `continent:EU`, `country:DE` or `subdivision:US-CA`
pub(super) fn region(text: &str) -> Result<Region, Refusal> {
    const FORMS: &str = "write \"continent:EU\", \"country:DE\" or \"subdivision:US-CA\"";
    let Some((kind, code)) = text.split_once(':') else {
        return Err((format!("\"{text}\" is no region"), FORMS.into()));
    };
    match kind {
        "continent" => match find_upper(code).filter(|code| CONTINENTS.contains(code)) {
            Some(code) => Ok(Region::Continent(code)),
            None => Err((
                format!("\"{code}\" is no continent"),
                "use AF, AN, AS, EU, NA, OC or SA (NA is North, SA South America)".into(),
            )),
        },
        "country" => country(code).map(Region::Country),
        "subdivision" => {
            let Some((of, part)) = code.split_once('-') else {
                let fault = format!("\"{code}\" is no subdivision");
                return Err((fault, "write country and part, as \"subdivision:US-CA\"".into()));
            };
            let is_part = |octet: u8| octet.is_ascii_uppercase() || octet.is_ascii_digit();
            if !(1..=3).contains(&part.len()) || !part.bytes().all(is_part) {
                let fault = format!("\"{part}\" is no part of a country");
                let remedy =
                    "write the code of ISO 3166-2, 1 to 3 capitals or digits, as \"US-CA\"";
                return Err((fault, remedy.into()));
            }
            Ok(Region::Subdivision(country(of)?, part.into()))
        }
        other => {
            let fault = format!("\"{other}\" is no kind of region");
            let remedy = match network(text) {
                Ok(_) => format!("{FORMS}; networks are for kind = \"networks\""),
                Err(_) => FORMS.into(),
            };
            Err((fault, remedy))
        }
    }
}

fn find_upper(code: &str) -> Option<[u8; 2]> {
    find_code(code).filter(|_| code.bytes().all(|octet| octet.is_ascii_uppercase()))
}

fn country(code: &str) -> Result<[u8; 2], Refusal> {
    if let Some(found) = find_upper(code).filter(|code| is_country(*code)) {
        return Ok(found);
    }
    let fault = format!("\"{code}\" is no country");
    let named = find_country_named(code).map(|[a, b]| format!("{}{}", a as char, b as char));
    let remedy = match (code, named) {
        ("UK", _) => "write \"GB\", the code of the United Kingdom".to_owned(),
        (_, Some(named)) => format!("write \"{named}\""),
        (_, None) => "write the code of ISO 3166-1, two capitals, as \"DE\"".to_owned(),
    };
    Err((fault, remedy))
}

/// `203.0.113.0/24`, `2001:db8::/32`, `asn:64500` or `list:partners`
pub(super) fn network(text: &str) -> Result<NetworkSpec, Refusal> {
    const FORMS: &str =
        "write \"203.0.113.0/24\", \"2001:db8::/32\", \"asn:64500\" or \"list:NAME\"";
    if let Some(number) = text.strip_prefix("asn:") {
        return system(number).map(NetworkSpec::System);
    }
    if let Some(name) = text.strip_prefix("list:") {
        return match is_plain(name) {
            true => Ok(NetworkSpec::List(name.to_owned())),
            false => Err((format!("\"{name}\" is no name of a list"), FORMS.into())),
        };
    }
    if ["continent:", "country:", "subdivision:"].iter().any(|kind| text.starts_with(kind)) {
        let fault = format!("\"{text}\" is no network");
        return Err((fault, format!("{FORMS}; regions are for kind = \"geo\"")));
    }
    match text.contains(['.', ':']) {
        true => prefix(text).map(NetworkSpec::Prefix),
        false => Err((format!("\"{text}\" is no network"), FORMS.into())),
    }
}

/// An entry of a list: `203.0.113.0/24`, `203.0.113.7` or `AS64500`.
pub fn entry(text: &str) -> Result<NetworkSpec, Refusal> {
    const FORMS: &str = "write a network as 203.0.113.0/24, an address, or AS64500";
    if let Some(number) = text.strip_prefix("AS") {
        return system(number).map(NetworkSpec::System);
    }
    match text.contains(['.', ':']) {
        true => prefix(text).map(NetworkSpec::Prefix),
        false => Err((format!("\"{text}\" is no network"), FORMS.into())),
    }
}

fn system(number: &str) -> Result<u32, Refusal> {
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let parsed = number.parse::<u32>().ok().filter(|&number| is_number && number > 0);
    parsed.ok_or_else(|| {
        let fault = format!("\"{number}\" is no number of an autonomous system");
        (fault, "use 1 to 4294967295".into())
    })
}

/// A prefix without bits beyond its length; an address is one of its whole length.
fn prefix(text: &str) -> Result<IpNet, Refusal> {
    parse_network(text).map_err(|Misread { fault, remedy }| (fault, remedy))
}
