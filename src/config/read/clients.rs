//! Words for clients and for where endpoints stand: `country:DE`, `asn:64500`, `site:fra`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::reader::Refusal;
use crate::config::spec::AreaSpec;
use crate::geo::continent_of;
use crate::geo::place::find_code;
use crate::model::Clients;

/// Codes of continents.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// `continent:EU`, `country:DE`, `subdivision:US-CA`, `asn:64500` or a network; `any` is none of them.
pub fn parse_clients(text: &str) -> Result<Option<Clients>, Refusal> {
    if text == "any" {
        return Ok(None);
    }
    let clients = match text.split_once(':') {
        Some(("continent", code)) => Clients::Continent(parse_continent(code)?),
        Some(("country", code)) => Clients::Country(parse_country(code)?),
        Some(("subdivision", code)) => parse_subdivision(code)?,
        Some(("asn", number)) => Clients::System(parse_system(number)?),
        _ => Clients::Network(parse_network(text)?),
    };
    Ok(Some(clients))
}

/// `continent:EU`, `country:DE` or `site:fra`
pub fn parse_area(text: &str) -> Result<AreaSpec, Refusal> {
    match text.split_once(':') {
        Some(("continent", code)) => parse_continent(code).map(AreaSpec::Continent),
        Some(("country", code)) => parse_country(code).map(AreaSpec::Country),
        Some(("site", name)) => Ok(AreaSpec::Site(name.to_owned())),
        _ => Err((
            format!("\"{text}\" is no place where endpoints stand"),
            "write \"continent:EU\", \"country:DE\" or \"site:NAME\"".to_owned(),
        )),
    }
}

fn parse_continent(code: &str) -> Result<[u8; 2], Refusal> {
    let upper = code.to_ascii_uppercase();
    let found = CONTINENTS.contains(&&*upper).then(|| find_code(&upper)).flatten();
    found.ok_or_else(|| {
        let remedy = format!("use one of {}", CONTINENTS.join(", "));
        (format!("\"{code}\" is not a continent"), remedy)
    })
}

fn parse_country(code: &str) -> Result<[u8; 2], Refusal> {
    let found = find_code(code).filter(|code| continent_of(*code).is_some());
    found.ok_or_else(|| {
        let remedy = "write two letters of ISO 3166-1, as \"country:DE\"";
        (format!("\"{code}\" is not a country code"), remedy.to_owned())
    })
}

fn parse_subdivision(code: &str) -> Result<Clients, Refusal> {
    let refusal = || {
        let remedy = "write a code of ISO 3166-2, as \"subdivision:US-CA\"";
        (format!("\"{code}\" is not a subdivision code"), remedy.to_owned())
    };
    let (country, part) = code.split_once('-').ok_or_else(refusal)?;
    let is_part =
        (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if !is_part {
        return Err(refusal());
    }
    Ok(Clients::Subdivision(parse_country(country)?, part.to_ascii_uppercase().into()))
}

/// A number with or without `AS` before it.
pub fn parse_system(text: &str) -> Result<u32, Refusal> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit()) && !text.is_empty();
    text.parse::<u32>().ok().filter(|_| digits).ok_or_else(|| {
        let remedy = "write a number up to 4294967295, as \"asn:64500\"";
        (format!("\"{text}\" is not the number of an autonomous system"), remedy.to_owned())
    })
}

/// A network, or a single address.
pub fn parse_network(text: &str) -> Result<IpNet, Refusal> {
    let remedy = "write \"country:DE\", \"continent:EU\", \"subdivision:US-CA\", \"asn:64500\", a network as \"192.0.2.0/24\", or \"any\"";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet =
        text.parse().map_err(|_| (format!("\"{text}\" names no clients"), remedy.to_owned()))?;
    if network.trunc() != network {
        let remedy = format!("write \"{}\"", network.trunc());
        return Err((format!("\"{text}\" has bits beyond its prefix"), remedy));
    }
    Ok(network)
}
