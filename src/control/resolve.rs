//! What the names of endpoints resolve to: who has to be resolved, and the last good addresses of each.
//!
//! A name that stops resolving keeps its addresses: an empty set never replaces one that is not.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::tracked::Tracked;
use crate::model::Endpoint;
use crate::model::Leaf;
use crate::model::Model;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Resolved;
use crate::wire::Name;

/// What came of resolving a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Which name.
    pub name: Name,
    /// Its addresses, or why there are none.
    pub result: Result<Vec<IpAddr>, Box<str>>,
    /// By [`crate::model::Family::index`]: the question for it has not been answered once, so that nobody knows of any or none.
    pub unheard: [bool; 2],
}

/// What is known of each name that is wanted.
#[derive(Debug, Default)]
pub(crate) struct Resolutions {
    known: Tracked<Name, Known>,
}

/// What is known of one name.
#[derive(Clone, Debug, Default)]
struct Known {
    addresses: Resolved,
    /// Why it was not resolved the last time, and since when that is so.
    failing: Option<(Box<str>, Duration)>,
}

/// How a name stands, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameState {
    /// Which name.
    pub name: Name,
    /// How many addresses it has.
    pub addresses: usize,
    /// Whether it could not be resolved the last time.
    pub is_failing: bool,
}

impl Resolutions {
    /// The addresses of an endpoint that is a name, the last good ones; none for one that is not.
    pub(super) fn of(&self, endpoint: &Endpoint) -> Option<&Resolved> {
        self.known.get(endpoint.target()?).map(|known| &known.addresses)
    }

    /// Puts back the last good addresses of a name.
    pub(super) fn restore(&mut self, name: Name, addresses: Resolved) {
        self.known.insert(name, Known { addresses, failing: None });
    }

    /// Has every name written once more.
    pub(super) fn touch_all(&mut self) {
        self.known.touch_all();
    }

    /// Names that may have other addresses than before, with those they have.
    pub(super) fn take_touched(&mut self) -> Vec<(Name, Option<Resolved>)> {
        let touched = self.known.take_touched().into_iter();
        let found = |known: &Known| Some(known.addresses.clone()).filter(|all| !all.is_empty());
        touched.map(|name| (name.clone(), self.known.get(&name).and_then(found))).collect()
    }

    /// What people are told of an endpoint that is a name; empty for one that is not.
    pub(super) fn text(&self, endpoint: &Endpoint, is_wanted: bool, now: Now) -> String {
        let what = match &endpoint.leaf {
            Leaf::Addresses { .. } => return String::new(),
            Leaf::Alias(target) => format!("alias {target}"),
            Leaf::Cname(target) => format!("CNAME {target}"),
            Leaf::Srv(service) => format!("SRV {} port {}", service.target, service.port),
        };
        let known = endpoint.target().and_then(|target| self.known.get(target));
        let how = match known {
            Some(Known { addresses, failing: Some((why, since)) }) => {
                let seconds = now.monotonic.saturating_sub(*since).as_secs();
                let kept = if addresses.is_empty() { "" } else { ", last addresses kept" };
                format!(", does not resolve for {seconds}s{kept}: {why}")
            }
            Some(Known { failing: None, .. }) => String::new(),
            None if is_wanted => ", not resolved yet".into(),
            None => String::new(),
        };
        what + &how
    }
}

/// Whether the addresses of an endpoint are needed: to answer with, or to probe.
pub(super) fn is_wanted(pool: &Pool, endpoint: &Endpoint) -> bool {
    match &endpoint.leaf {
        Leaf::Addresses { .. } => false,
        Leaf::Alias(_) => true,
        Leaf::Cname(_) | Leaf::Srv(_) => pool.check.is_some(),
    }
}

/// The names that a model needs the addresses of, each once.
fn wanted(model: &Model) -> BTreeSet<&Name> {
    let pools = model.written_pools();
    let endpoints = pools.flat_map(|pool| pool.endpoints.iter().map(move |one| (pool, one)));
    let wanted = endpoints.filter(|(pool, endpoint)| is_wanted(pool, endpoint));
    wanted.filter_map(|(_, endpoint)| endpoint.target()).collect()
}

impl Controller {
    /// The names to resolve from now on; what is known of others is forgotten.
    pub(super) fn want_names(&mut self, model: &Model) -> Effect {
        let names = wanted(model);
        self.resolutions.known.retain(|name, _| names.contains(name));
        Effect::Resolve(names.into_iter().cloned().collect())
    }

    /// Takes what came of resolving a name; nobody else may know that it is no longer wanted.
    pub(super) fn take_resolution(
        &mut self,
        Resolution { name, result, unheard }: Resolution,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let pools = self.pools_with(&name);
        if pools.is_empty() {
            return;
        }
        let before = self.resolutions.known.get(&name).cloned().unwrap_or_default();
        let found = result.and_then(|addresses| match addresses.is_empty() {
            true => Err("it has no addresses".into()),
            false => Ok(before.addresses.replaced_by(addresses, unheard)),
        });
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(reason) => {
                let since = before.failing.as_ref().map_or(now.monotonic, |(_, since)| *since);
                let is_new = before.failing.is_none();
                let kept = before.addresses.iter().count();
                let known =
                    Known { failing: Some((reason.clone(), since)), addresses: before.addresses };
                self.resolutions.known.insert(name.clone(), known);
                if is_new {
                    let failed = Occurrence::NotResolved { name, reason, kept };
                    effects.push(Effect::Record(failed));
                }
                return;
            }
        };
        let is_same = addresses == before.addresses;
        if is_same && before.failing.is_none() {
            return;
        }
        let known = Known { addresses: addresses.clone(), failing: None };
        if is_same {
            self.resolutions.known.insert(name.clone(), known);
        } else {
            let cause = Cause::Operator(format!("{name} resolves to other addresses").into());
            self.change(&pools, &cause, now, effects, |controller| {
                controller.resolutions.known.insert(name.clone(), known);
                controller.forget_gone_targets();
            });
            effects.push(Effect::Probe(self.probe_orders(now)));
        }
        let addresses = addresses.iter().collect();
        effects.push(Effect::Record(Occurrence::Resolved { name, addresses }));
    }

    /// How every wanted name stands.
    pub fn names(&self) -> Vec<NameState> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let state = |name: &Name| {
            let known = self.resolutions.known.get(name);
            NameState {
                name: name.clone(),
                addresses: known.map_or(0, |known| known.addresses.iter().count()),
                is_failing: known.is_some_and(|known| known.failing.is_some()),
            }
        };
        wanted(&snapshot.compiled.model).into_iter().map(state).collect()
    }

    /// Whether every wanted name was resolved once, or could not be.
    pub(super) fn has_tried_names(&self) -> bool {
        let Some(snapshot) = &self.snapshot else { return true };
        let names = wanted(&snapshot.compiled.model);
        names.into_iter().all(|name| self.resolutions.known.contains_key(name))
    }

    /// Pools with an endpoint that needs the addresses of a name.
    fn pools_with(&self, name: &Name) -> Vec<PoolId> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let has = |pool: &Pool| {
            let mut endpoints = pool.endpoints.iter();
            pool.is_written()
                && endpoints.any(|one| one.target() == Some(name) && is_wanted(pool, one))
        };
        let pools = snapshot.compiled.model.pools.iter().enumerate();
        pools.filter(|(_, pool)| has(pool)).map(|(at, _)| PoolId::at(at)).collect()
    }
}
