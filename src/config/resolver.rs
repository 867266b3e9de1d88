//! `[resolver]`: how names of endpoints are resolved.

use std::time::Duration;

use ipnet::IpNet;

use crate::config::Problems;
use crate::config::keys::MAX_REFRESH;
use crate::config::keys::MIN_REFRESH;
use crate::config::keys::RESOLVER_TIMEOUT;
use crate::config::node::read_listen;
use crate::config::problem::At;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::ResolverSettings;

/// What counts when nothing is said.
pub(super) fn default() -> ResolverSettings {
    ResolverSettings {
        servers: Vec::new(),
        timeout: RESOLVER_TIMEOUT,
        min_refresh: MIN_REFRESH,
        max_refresh: MAX_REFRESH,
        allow: Vec::new(),
    }
}

pub(super) fn read(value: &Value<'_>, problems: &mut Problems) -> ResolverSettings {
    let mut settings = default();
    let Some(mut section) = value.section(problems) else { return settings };
    if let Some(servers) = section.take("servers") {
        let servers = read_listen(&servers, "servers = [\"192.0.2.53:53\"]", problems);
        settings.servers = servers.into_iter().map(|at| at.value).collect();
    }
    let mut duration = |key: &'static str, default: Duration| {
        let read = section.take(key).and_then(|value| value.duration(problems));
        (read.as_ref().map_or(default, |at| at.value), read.map(|at| at.place))
    };
    (settings.timeout, _) = duration("timeout", RESOLVER_TIMEOUT);
    let (min, min_place) = duration("min_refresh", MIN_REFRESH);
    let (max, max_place) = duration("max_refresh", MAX_REFRESH);
    (settings.min_refresh, settings.max_refresh) = (min, max);
    if let Some(place) = max_place.or(min_place).filter(|_| min > max) {
        let fault = "max_refresh is below min_refresh";
        let remedy = "raise max_refresh, or lower min_refresh";
        problems.error(&place, "resolver.max_refresh", fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
    let allow = section.take("allow").map(|value| read_networks(&value, problems));
    settings.allow = allow.unwrap_or_default();
    section.finish(problems);
    settings
}

fn read_networks(value: &Value<'_>, problems: &mut Problems) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for At { value: text, place } in value.strings(problems).unwrap_or_default() {
        match text.parse::<IpNet>() {
            Ok(network) if network.trunc() == network => networks.push(network),
            Ok(network) => {
                let fault = format!("{network} has bits beyond its length");
                let remedy = format!("write \"{}\"", network.trunc());
                problems.error(&place, &value.path, fault, remedy);
            }
            Err(_) => {
                let fault = format!("\"{text}\" is not a network");
                let remedy = "write an address and a prefix length, as \"127.0.0.0/8\"";
                problems.error(&place, &value.path, fault, remedy);
            }
        }
    }
    networks
}
