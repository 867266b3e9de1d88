//! Where an endpoint is: its name resolved now, and endpoints that a source tells of.
#![allow(clippy::disallowed_methods, reason = "the command line tells how long a name took")]

use std::net::IpAddr;
use std::time::Duration;
use std::time::Instant;

use serde::Serialize;
use tokio::time::timeout;

use crate::cli::output::block_on;
use crate::control::Discovered;
use crate::control::Event;
use crate::discovery::members;
use crate::discovery::members::in_order;
use crate::model::Endpoint;
use crate::model::Found;
use crate::model::Model;
use crate::model::Resolved;
use crate::model::ResolverSettings;
use crate::runtime::discover::Discoverer;
use crate::runtime::resolve;

/// How long a source of endpoints is waited for.
const SOURCE_MAX: Duration = Duration::from_secs(10);

/// What the name of an endpoint came to.
#[derive(Debug, Serialize)]
pub(super) struct NameReport {
    pub(super) name: String,
    /// How long it took to resolve it.
    pub(super) dns_ms: f64,
    /// Addresses that are probed.
    pub(super) addresses: Vec<IpAddr>,
    /// Addresses that are not, and why.
    pub(super) refused: Vec<(IpAddr, &'static str)>,
    /// Why there are none.
    pub(super) error: Option<String>,
}

impl NameReport {
    /// As the server keeps them: in its order, and no more of them.
    pub(super) fn believed(&self) -> Resolved {
        Resolved::of(self.addresses.iter().copied())
    }
}

/// Resolves an endpoint that is a name.
pub(super) fn resolve(
    endpoint: &Endpoint,
    settings: &ResolverSettings,
) -> Result<Option<NameReport>, String> {
    let Some(name) = endpoint.target() else { return Ok(None) };
    let begun = Instant::now();
    let looked = block_on(resolve::look_up(settings, &name.to_string()));
    let dns_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let found = looked.map_err(|why| why.to_string())?.addresses();
    let (all, error) = match found {
        Ok(all) => (all, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let refusal = |address: IpAddr| Some((address, settings.refusal(address)?));
    let refused: Vec<_> = all.iter().copied().filter_map(refusal).collect();
    let believed = all.iter().copied().filter(|address| settings.refusal(*address).is_none());
    let addresses = Resolved::of(believed).iter().collect();
    Ok(Some(NameReport { name: name.to_string(), dns_ms, addresses, refused, error }))
}

/// The model with the endpoints that a source tells of, if the one that is meant may be among them.
pub(super) fn with_found(
    model: Model,
    text: &str,
    settings: &ResolverSettings,
) -> Result<Model, String> {
    let Some((pool, _)) = text.split_once('/') else { return Ok(model) };
    let pool = model.written_pools().find(|one| *one.name == *pool);
    let Some(pool) = pool.filter(|pool| pool.endpoints.iter().all(|one| *one.key != *text)) else {
        return Ok(model);
    };
    let Some(discovery) = &pool.discover else { return Ok(model) };
    let source = &discovery.source;
    let asked = block_on(async {
        let mut discoverer = Discoverer::spawn(settings.clone(), |_| {});
        discoverer.set_sources(vec![source.clone()]);
        timeout(SOURCE_MAX, discoverer.next()).await
    });
    let told = match asked.map_err(|why| why.to_string())? {
        Ok(Event::Discovered(Discovered { result, .. })) => result,
        Ok(_) => Err("it told something else".into()),
        Err(_) => Err(format!("no word within {} s", SOURCE_MAX.as_secs()).into()),
    };
    let entries = told.map_err(|why| {
        format!("the endpoints of pool {} are found by {source}: {why}", pool.name)
    })?;
    let members = members(&entries, pool, discovery, &model.sites, &settings.allow);
    let found = Found::from([(pool.name.clone(), in_order(&members.endpoints))]);
    Ok(model.with_found(&found))
}
