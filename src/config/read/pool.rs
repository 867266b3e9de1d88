//! `[pool.NAME]` and its endpoints.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::read::each_of;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::spec::EndpointSpec;
use crate::config::spec::PoolSpec;
use crate::model::MinHealthy;
use crate::model::Percent;

/// Most endpoints of one pool: a query looks at each of them.
const ENDPOINTS_MAX: usize = 256;

/// `min_healthy` when nothing is said.
const MIN_HEALTHY: MinHealthy = MinHealthy::Share(Percent(50));

pub(super) fn read_pool(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> PoolSpec {
    let site = section.take("site").and_then(|value| value.string(problems));
    let check = section.take("check").and_then(|value| value.string(problems));
    let min_healthy =
        section.take("min_healthy").and_then(|value| value.parsed(read_min_healthy, problems));
    let panic_below =
        section.take("panic_below").and_then(|value| value.parsed(read_percent, problems));
    let mut endpoints = Vec::new();
    let faults_before = problems.len();
    if let Some(value) = section.take("endpoint") {
        each_of(&value, true, problems, &mut |name, section, problems| {
            endpoints.push(read_endpoint(name, section, problems));
        });
    }
    if endpoints.is_empty() && problems.len() == faults_before {
        let remedy = format!(
            "add one: [{}] with addresses = [\"192.0.2.10\"]",
            dotted(&format!("{}.endpoint", section.path), "a")
        );
        problems.error(&section.place, &section.path, "the pool has no endpoint", remedy);
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
    let min_healthy = min_healthy.unwrap_or(At { value: MIN_HEALTHY, place: name.place.clone() });
    PoolSpec { name, site, check, min_healthy, panic_below, endpoints }
}

fn read_endpoint(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> EndpointSpec {
    let addresses = section.need("addresses", "[\"192.0.2.10\", \"2001:db8::10\"]", problems);
    let weight =
        section.take("weight").and_then(|value| value.integer(0..=65535, "(standby)", problems));
    section.finish(problems);
    let weight = weight.map_or(1, |at| at.value as u16);
    let addresses = addresses.map(|value| read_addresses(&value, problems)).unwrap_or_default();
    EndpointSpec { name, addresses, weight }
}

/// One address a family. A refused one keeps its place, so that its family is not missed as well.
fn read_addresses(value: &Value<'_>, problems: &mut Problems) -> Vec<At<IpAddr>> {
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
fn read_min_healthy(text: &str) -> Result<MinHealthy, Refusal> {
    if text.ends_with('%') {
        return read_percent(text).map(MinHealthy::Share);
    }
    let members = text.strip_suffix("members").or_else(|| text.strip_suffix("member"));
    let count =
        members.and_then(|number| number.trim().parse::<u16>().ok()).filter(|&count| count > 0);
    count.map(MinHealthy::Members).ok_or_else(|| {
        (format!("\"{text}\" is not a share of a pool"), "write \"50%\" or \"2 members\"".into())
    })
}

fn read_percent(text: &str) -> Result<Percent, Refusal> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u8>().ok());
    percent.filter(|&percent| percent <= 100).map(Percent).ok_or_else(|| {
        (format!("\"{text}\" is not a percentage"), "write \"0%\" to \"100%\"".into())
    })
}
