//! `[pool.NAME]` and its endpoints.

use std::net::IpAddr;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::read::each_of;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
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
) -> Option<PoolSpec> {
    let site = section.take("site").and_then(|value| value.string(problems));
    let check = section.take("check").and_then(|value| value.string(problems));
    let min_healthy =
        section.take("min_healthy").and_then(|value| value.parsed(read_min_healthy, problems));
    let panic_below =
        section.take("panic_below").and_then(|value| value.parsed(read_percent, problems));
    let mut endpoints = Vec::new();
    let endpoint = section.need("endpoint", "[pool.NAME.endpoint.a] with addresses", problems);
    if let Some(value) = &endpoint {
        each_of(value, true, problems, &mut |name, section, problems| {
            endpoints.extend(read_endpoint(name, section, problems));
        });
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
    Some(PoolSpec { name, site, check, min_healthy, panic_below, endpoints })
}

fn read_endpoint(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<EndpointSpec> {
    let addresses = section.need("addresses", "[\"192.0.2.10\", \"2001:db8::10\"]", problems);
    let weight =
        section.take("weight").and_then(|value| value.integer(0..=65535, "(standby)", problems));
    section.finish(problems);
    let value = addresses?;
    let texts = value.strings(problems)?;
    if texts.is_empty() {
        problems.error(&value.place, &value.path, "no address is named", "write [\"192.0.2.10\"]");
        return None;
    }
    let mut addresses: Vec<At<IpAddr>> = Vec::new();
    for text in texts {
        let refusal = match text.value.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => Some((
                format!("nobody can connect to {address}"),
                "write the endpoint's own address",
            )),
            Ok(address)
                if addresses.iter().any(|other| other.value.is_ipv4() == address.is_ipv4()) =>
            {
                Some(("a second address of one family".into(), "make it an endpoint of its own"))
            }
            Ok(address) => {
                addresses.push(At { value: address, place: text.place.clone() });
                None
            }
            Err(_) => Some((
                format!("\"{}\" is not an address", text.value),
                "write an IPv4 or IPv6 address",
            )),
        };
        if let Some((fault, remedy)) = refusal {
            problems.error(&text.place, &value.path, fault, remedy);
        }
    }
    let weight = weight.map_or(1, |at| at.value as u16);
    Some(EndpointSpec { name, addresses, weight })
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
