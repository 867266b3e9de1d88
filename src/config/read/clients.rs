//! Words for clients and for where endpoints stand: `country:DE`, `asn:64500`, `site:fra`.

use crate::config::read::condition;
use crate::config::reader::Refusal;
use crate::config::spec::AreaSpec;
use crate::config::spec::NetworkSpec;
use crate::model::Clients;
use crate::model::policy::Region;

/// Kinds of regions, as they are written.
const REGIONS: [&str; 3] = ["continent:", "country:", "subdivision:"];

/// `continent:EU`, `country:DE`, `subdivision:US-CA`, `asn:64500` or a network; `any` is none of them.
pub fn parse_clients(text: &str) -> Result<Option<Clients>, Refusal> {
    if text == "any" {
        return Ok(None);
    }
    if REGIONS.iter().any(|kind| text.starts_with(kind)) {
        return condition::region(text).map(|region| Some(of_region(region)));
    }
    let forms = "write \"country:DE\", \"continent:EU\", \"subdivision:US-CA\", \"asn:64500\", a network as \"192.0.2.0/24\", or \"any\"";
    match condition::network(text) {
        Ok(NetworkSpec::System(number)) => Ok(Some(Clients::System(number))),
        Ok(NetworkSpec::Prefix(network)) => Ok(Some(Clients::Network(network))),
        Ok(NetworkSpec::List(_)) => {
            Err((format!("\"{text}\" is a list, which is not looked up here"), forms.to_owned()))
        }
        Err((fault, remedy)) if remedy.contains("list:") => Err((fault, forms.to_owned())),
        Err(refusal) => Err(refusal),
    }
}

/// `continent:EU`, `country:DE` or `site:fra`
pub fn parse_area(text: &str) -> Result<AreaSpec, Refusal> {
    if let Some(name) = text.strip_prefix("site:") {
        return Ok(AreaSpec::Site(name.to_owned()));
    }
    let forms = || "write \"continent:EU\", \"country:DE\" or \"site:NAME\"".to_owned();
    if !REGIONS.iter().any(|kind| text.starts_with(kind)) {
        return Err((format!("\"{text}\" is no place where endpoints stand"), forms()));
    }
    match condition::region(text)? {
        Region::Continent(code) => Ok(AreaSpec::Continent(code)),
        Region::Country(code) => Ok(AreaSpec::Country(code)),
        Region::Subdivision(..) => {
            Err((format!("\"{text}\": of sites only the country is known"), forms()))
        }
    }
}

fn of_region(region: Region) -> Clients {
    match region {
        Region::Continent(code) => Clients::Continent(code),
        Region::Country(code) => Clients::Country(code),
        Region::Subdivision(country, part) => Clients::Subdivision(country, part),
    }
}
