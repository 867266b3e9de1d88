//! `[resolver]`: how names of endpoints are resolved.

use std::time::Duration;

use crate::config::Problems;
use crate::config::keys::MAX_REFRESH;
use crate::config::keys::MIN_REFRESH;
use crate::config::keys::RESOLVER_TIMEOUT;
use crate::config::networks::read_networks;
use crate::config::node::read_listen;
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
