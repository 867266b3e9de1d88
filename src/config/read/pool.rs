//! `[pool.NAME]` and its endpoints.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::config::Problems;
use crate::config::keys::ENDPOINTS_MAX;
use crate::config::keys::MIN_HEALTHY_PERCENT;
use crate::config::keys::PRIORITY;
use crate::config::keys::WEIGHT;
use crate::config::problem::At;
use crate::config::read::check::read_host;
use crate::config::read::check::read_path;
use crate::config::read::each_of;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::EndpointSpec;
use crate::config::spec::LeafSpec;
use crate::config::spec::PoolSpec;
use crate::config::spec::SpecialSpec;
use crate::model::Failback;
use crate::model::MinHealthy;
use crate::model::Percent;
use crate::model::Service;
use crate::wire::Name;

/// Keys that say what an endpoint is.
const LEAF_KEYS: [&str; 4] = ["addresses", "alias", "cname", "srv"];

pub(super) fn read_pool(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> PoolSpec {
    let site = section.take("site").and_then(|value| value.string(problems));
    let check = section.take("check").and_then(|value| value.string(problems));
    let min_healthy =
        section.take("min_healthy").and_then(|value| read_min_healthy(&value, problems));
    let panic_below = section.take("panic_below").and_then(|value| value.percent(problems));
    let panic_below = panic_below.map(|at| At { value: Percent(at.value), place: at.place });
    let failback = section.take("failback").and_then(|value| read_failback(&value, problems));
    let mut endpoints = Vec::new();
    let faults_before = problems.len();
    if let Some(value) = section.take("endpoint") {
        each_of(&value, true, problems, &mut |name, section, problems| {
            endpoints.push(read_endpoint(name, section, problems));
        });
    }
    refuse_alike(&endpoints, &section.path, problems);
    let is_silent = problems.len() == faults_before && !section.has_typo_of("endpoint");
    if endpoints.is_empty() && is_silent {
        let remedy = format!(
            "add one: [{}] with addresses = [\"192.0.2.10\"]",
            dotted(&format!("{}.endpoint", section.path), "a")
        );
        problems
            .error(&section.place, &section.path, "the pool has no endpoint", remedy)
            .rule(&rules::MISSING_KEY);
    }
    let (path, place) = (section.path.clone(), section.place.clone());
    section.finish(problems);
    if endpoints.len() > ENDPOINTS_MAX {
        let fault = format!("a pool of {} endpoints", endpoints.len());
        problems.error(
            &place,
            path,
            fault,
            format!("use at most {ENDPOINTS_MAX}, and several pools"),
        );
    }
    let min_healthy = min_healthy.unwrap_or(At {
        value: MinHealthy::Share(Percent(MIN_HEALTHY_PERCENT)),
        place: name.place.clone(),
    });
    let failback = failback.unwrap_or_default();
    PoolSpec { name, site, check, min_healthy, panic_below, failback, endpoints }
}

/// `"auto"`, `"manual"` or `{ ramp = "10m" }`
fn read_failback(value: &Value<'_>, problems: &mut Problems) -> Option<Failback> {
    if value.is_string() {
        return Some(match value.word(problems)?.value {
            "auto" => Failback::Auto,
            _ => Failback::Manual,
        });
    }
    let wanted = "\"auto\", \"manual\" or { ramp = \"10m\" }";
    let mut section = value.section_like(wanted, problems)?;
    let ramp = section.need("ramp", problems).and_then(|value| value.duration(problems));
    section.finish(problems);
    ramp.map(|at| Failback::Ramp(at.value))
}

/// TOML refuses a name twice; two that differ in case only would be taken for one another.
fn refuse_alike(endpoints: &[EndpointSpec], pool: &str, problems: &mut Problems) {
    for (position, EndpointSpec { name, .. }) in endpoints.iter().enumerate() {
        let mut before = endpoints[..position].iter().map(|endpoint| &endpoint.name);
        let alike = before.find(|other| other.value.eq_ignore_ascii_case(&name.value));
        let Some(first) = alike else { continue };
        let key = dotted(&format!("{pool}.endpoint"), &name.value);
        let fault = format!("there is an endpoint \"{}\" already", first.value);
        let remedy = "choose another; names that differ in case only are taken for one another";
        let also = (first.place.clone(), "the first is here");
        problems.error_with(&name.place, key, fault, remedy, also).rule(&rules::DUPLICATE_NAME);
    }
}

fn read_endpoint(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> EndpointSpec {
    let leaf = read_leaf(&mut section, problems);
    let weight = section.take("weight").and_then(|value| value.integer(problems));
    let capacity = section.take("capacity").and_then(|value| value.number(problems));
    let mut probe = Vec::new();
    if let Some(value) = section.take("probe") {
        each_of(&value, true, problems, &mut |name, section, problems| {
            probe.push(read_special(name, section, problems));
        });
    }
    section.finish(problems);
    let weight = weight.map_or(WEIGHT, |at| at.value as u16);
    EndpointSpec { name, leaf, weight, capacity: capacity.map(|at| at.value), probe }
}

/// `probe.CHECK = { port = 8080 }`
fn read_special(
    check: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> SpecialSpec {
    let faults_before = problems.len();
    let port = section.take("port").and_then(|value| value.integer(problems));
    let port = port.map(|at| At { value: at.value as u16, place: at.place });
    let host = section.take("host").and_then(|value| value.parsed(read_host, problems));
    let path = section.take("path").and_then(|value| value.parsed(read_path, problems));
    let (key, place) = (section.path.clone(), section.place.clone());
    section.finish(problems);
    let is_empty = port.is_none() && host.is_none() && path.is_none();
    if is_empty && problems.len() == faults_before {
        let remedy = "add port, host or path, or leave it out";
        let fault = "nothing is different for this endpoint";
        problems.error(&place, key, fault, remedy).rule(&rules::MISSING_KEY);
    }
    SpecialSpec { check, port, host, path }
}

/// What an endpoint is in an answer: exactly one of four things.
fn read_leaf(section: &mut Section<'_>, problems: &mut Problems) -> Option<LeafSpec> {
    let said = LEAF_KEYS.map(|key| section.find_key(key));
    let mut said = LEAF_KEYS.iter().zip(said).filter_map(|(key, place)| Some((*key, place?)));
    let (first, second) = (said.next(), said.next());
    let [alias, cname, srv] = ["alias", "cname", "srv"].map(|key| section.take(key));
    let is_typo = ["alias", "cname", "srv"].iter().any(|key| section.has_typo_of(key));
    let addresses = match first.is_some() || is_typo {
        true => section.take("addresses"),
        false => section.need("addresses", problems),
    };
    if let (Some((key, place)), Some((other, also))) = (first, second) {
        let fault = format!("an endpoint is one thing, and this one has {key} and {other}");
        let remedy = "keep one, or make two endpoints";
        let path = dotted(&section.path, other);
        problems.error_with(&also, path, fault, remedy, (place, "beside this"));
        return None;
    }
    if let Some(value) = alias {
        return read_target(&value, problems).map(LeafSpec::Alias);
    }
    if let Some(value) = cname {
        return read_target(&value, problems).map(LeafSpec::Cname);
    }
    if let Some(value) = srv {
        return read_service(&value, problems).map(LeafSpec::Srv);
    }
    Some(LeafSpec::Addresses(read_addresses(&addresses?, problems)))
}

/// A whole name, with or without its last dot: a pool lies in no zone.
fn read_target(value: &Value<'_>, problems: &mut Problems) -> Option<At<Name>> {
    let parse = |text: &str| {
        let remedy = "write a whole name, as \"www.example.net\"".to_owned();
        match Name::absolute(text) {
            Ok(name) if name.labels().count() > 1 => Ok(name),
            Ok(_) => Err((format!("\"{text}\" is no name of a host"), remedy)),
            Err(why) => Err((why.to_string(), remedy)),
        }
    };
    value.parsed(parse, problems)
}

/// `{ target = "…", port = 5060, priority = 0 }`
fn read_service(value: &Value<'_>, problems: &mut Problems) -> Option<At<Service>> {
    let mut section =
        value.section_like("{ target = \"sip-1.example.net\", port = 5060 }", problems)?;
    let target = section.need("target", problems);
    let target = target.and_then(|value| read_target(&value, problems));
    let port = section.need("port", problems).and_then(|value| value.integer(problems));
    let priority = section.take("priority").and_then(|value| value.integer(problems));
    section.finish(problems);
    let priority = priority.map_or(PRIORITY, |at| at.value as u16);
    let service = Service { target: target?.value, port: port?.value as u16, priority };
    Some(At { value: service, place: value.place.clone() })
}

/// One address a family. A refused one keeps its place, so that its family is not missed as well.
pub(super) fn read_addresses(value: &Value<'_>, problems: &mut Problems) -> Vec<At<IpAddr>> {
    let Some(texts) = value.strings(problems) else { return Vec::new() };
    if texts.is_empty() {
        problems.error(&value.place, &value.path, "no address is named", "write [\"192.0.2.10\"]");
    }
    let mut addresses: Vec<At<IpAddr>> = Vec::new();
    for text in texts {
        let (address, refusal) = match text.value.parse::<IpAddr>() {
            Ok(address) if nobody_connects_to(address) => {
                let fault = format!("nobody can connect to {address}");
                (address, Some((fault, "write the endpoint's own address")))
            }
            Ok(address) => (address, None),
            Err(_) => {
                let remedy = "write an IPv4 or IPv6 address, without port or prefix length";
                let fault = format!("\"{}\" is not an address", text.value);
                (placeholder(&text.value), Some((fault, remedy)))
            }
        };
        let twin = addresses.iter().find(|other| other.value.is_ipv4() == address.is_ipv4());
        if let Some((fault, remedy)) = refusal {
            problems.error(&text.place, &value.path, fault, remedy);
        } else if let Some(first) = twin {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            problems.error_with(
                &text.place,
                &value.path,
                format!("a second {family} address"),
                "make it an endpoint of its own",
                (first.place.clone(), "the first"),
            );
        }
        if twin.is_none() {
            addresses.push(At { value: address, place: text.place });
        }
    }
    addresses
}

fn nobody_connects_to(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Stands for a text that is no address, in the family that was likely meant.
fn placeholder(text: &str) -> IpAddr {
    match text.contains(':') && !text.contains('.') {
        true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// `"50%"` or `"2 members"`
fn read_min_healthy(value: &Value<'_>, problems: &mut Problems) -> Option<At<MinHealthy>> {
    let is_members = |text: &str| !text.trim_end().ends_with('%');
    let text = value.find_text().filter(|text| is_members(text));
    let Some(text) = text else {
        let percent = value.percent(problems)?;
        return Some(At { value: MinHealthy::Share(Percent(percent.value)), place: percent.place });
    };
    let members = text.strip_suffix("members").or_else(|| text.strip_suffix("member"));
    let count = members.and_then(|number| number.trim_matches(' ').parse::<u16>().ok());
    match count.filter(|&count| count > 0) {
        Some(count) => Some(At { value: MinHealthy::Members(count), place: value.place.clone() }),
        None => {
            let fault = format!("\"{text}\" is not a share of a pool");
            problems.error(&value.place, &value.path, fault, "write \"50%\" or \"2 members\"");
            None
        }
    }
}
