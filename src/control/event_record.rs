//! The history's form of what happened: one flat record an event, for people as a line and for machines as JSON.
//!
//! Who, what, why and when are fields; `text` says it in words. Decides nothing.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::control::DiskNews;
use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Scope;
use crate::control::Shift;
use crate::control::effect::short_digest;
use crate::control::failback::Side;
use crate::model::Model;
use crate::model::Target;
use crate::model::TargetKey;

/// Something that happened. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventRecord {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The publication it is in, or the one in force if it changes no answer.
    pub generation: u64,
    /// What kind of event: `verdict`, `order`, `reload` …
    pub event: Box<str>,
    /// `pool/endpoint`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Box<str>>,
    /// Name of the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Box<str>>,
    /// `IPv4` or `IPv6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Box<str>>,
    /// The address, of an endpoint that is a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Box<str>>,
    /// A pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Box<str>>,
    /// A policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<str>>,
    /// A site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Box<str>>,
    /// A name that is resolved for endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<str>>,
    /// What it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<str>>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// All of it in words.
    pub text: String,
}

impl EventRecord {
    fn new(event: &str, text: String) -> Self {
        Self { event: event.into(), text, ..Self::default() }
    }

    /// What is kept of an occurrence; `None` of one that changes nothing.
    pub fn of(occurrence: &Occurrence, at: Duration) -> Option<Self> {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        // The lists of problems are in the log; here the first line is enough.
        let text = occurrence.to_string().lines().next().unwrap_or_default().to_owned();
        let new = |event: &str| Self { at_ms, ..Self::new(event, text.clone()) };
        Some(match occurrence {
            Occurrence::Unchanged
            | Occurrence::Watching
            | Occurrence::StillRefused
            | Occurrence::Unheard { .. } => {
                return None;
            }
            Occurrence::Verdict { key, before, after, reason } => {
                new("verdict").about(key).before(before).after(after).because(reason)
            }
            Occurrence::Degraded { key, level: _, weight, reason } => {
                let left = format!("{} %", weight.0);
                new("degraded").about(key).after(left).because(reason)
            }
            Occurrence::Started(_) => new("start"),
            Occurrence::Disk(DiskNews::Faulty(why)) => new("state_faulty").because(why),
            Occurrence::Disk(DiskNews::Kept) => new("state_kept"),
            Occurrence::Disk(DiskNews::Lost(what)) => new("state_lost").because(what),
            Occurrence::Reloaded { digest, change, .. } => {
                let why = if change.geo { "other geo data" } else { "other files" };
                new("reload").after(short_digest(digest)).because(why)
            }
            Occurrence::Refused { text, .. } => new("refused").because(first_line(text)),
            Occurrence::GeoRefused { text, .. } => new("geo_refused").because(first_line(text)),
            Occurrence::GeoAccepted => new("geo_accepted"),
            Occurrence::TablesRefused { text, .. } => {
                new("tables_refused").because(first_line(text))
            }
            Occurrence::TablesAccepted => new("tables_accepted"),
            Occurrence::TableMade { name, .. } => new("table_made").after(name),
            Occurrence::TableCounts { name, .. } => new("table").after(name),
            Occurrence::Resolved { name, .. } => new("resolved").of_name(name),
            Occurrence::NotResolved { name, reason, .. } => {
                new("not_resolved").of_name(name).because(reason)
            }
            Occurrence::Cluster(news) => {
                let told = new(news.kind.event()).of_site(&news.site);
                match news.kind.detail() {
                    Some(detail) => told.because(&detail),
                    None => told,
                }
            }
            Occurrence::Discovery { pool, news } => {
                let told = new(news.event()).of_pool(pool);
                match news.why() {
                    (Some(by), Some(reason)) => told.because(reason).by(by),
                    (None, Some(reason)) => told.because(reason),
                    (_, None) => told,
                }
            }
            Occurrence::Ordered { scope, order } => {
                new("order").ordered(scope, order).after(order.admin).by(&order.author)
            }
            Occurrence::Withdrawn { scope, order, by } => {
                new("order_withdrawn").ordered(scope, order).before(order.admin).by(by)
            }
            Occurrence::Expired { scope, order } => {
                new("order_expired").ordered(scope, order).before(order.admin)
            }
            Occurrence::WayBack { pool, family, .. } => {
                Self { family: text_of(family), ..new("failback").of_pool(pool) }
            }
            Occurrence::Shed { pool, before, level, .. } => {
                let sixteenths = |level: &u8| format!("{level}/16");
                new("shed").of_pool(pool).before(sixteenths(before)).after(sixteenths(level))
            }
            Occurrence::Laden { pool, is_closed, .. } => {
                let what = if *is_closed { "closed" } else { "open" };
                new("laden").of_pool(pool).after(what)
            }
            Occurrence::BroughtBack { pool, by, reason } => {
                new("failback").of_pool(pool).because(reason).by(by)
            }
            Occurrence::Shifted { policy, shift } => {
                let written = &shift.written;
                let told = new("shift").of_policy(policy).after(shift.share());
                told.because(&written.reason).by(&written.author)
            }
            Occurrence::ShiftEnded { policy, shift, why } => {
                new("shift_ended").of_policy(policy).before(shift.share()).because(why)
            }
            Occurrence::Braked { key, reason } => new("brake").about(key).because(reason),
            Occurrence::BrakeEased { key } => {
                new("brake_eased").about(key).because("its probes pass again")
            }
            Occurrence::BrakeReleased { by, reason, .. } => {
                new("brake_released").because(reason).by(by)
            }
        })
    }

    /// A tenth of a pool's clients that has come back.
    pub(super) fn ramp_step((pool, family): &Side, tenths: u8, at: Duration) -> Self {
        let text = format!("pool {pool} {family}: {} % of its clients are back", tenths * 10);
        Self {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            pool: Some(pool.clone()),
            family: Some(family.to_string().into()),
            after: Some(format!("{} %", tenths * 10).into()),
            ..Self::new("ramp_step", text)
        }
    }

    /// A hundredth of the way of a shift.
    pub(super) fn shift_step(policy: &str, shift: &Shift, at: Duration) -> Self {
        Self {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            policy: Some(policy.into()),
            after: Some(shift.share().to_string().into()),
            ..Self::new("shift_step", format!("policy {policy}: {shift}"))
        }
    }

    fn about(self, TargetKey { endpoint, check, family, address }: &TargetKey) -> Self {
        Self {
            endpoint: Some((**endpoint).into()),
            check: Some((**check).into()),
            family: Some(family.to_string().into()),
            address: address.map(|address| address.to_string().into()),
            ..self
        }
    }

    fn ordered(self, scope: &Scope, order: &Order) -> Self {
        let mut told = self.because(&order.reason);
        match scope {
            Scope::Site(name) => told.site = Some(name.clone()),
            Scope::Pool(name) => told.pool = Some(name.clone()),
            Scope::Endpoint(key) => told.endpoint = Some(key.clone()),
        }
        told
    }

    fn before(self, what: impl Display) -> Self {
        Self { before: text_of(what), ..self }
    }

    fn after(self, what: impl Display) -> Self {
        Self { after: text_of(what), ..self }
    }

    fn because(self, why: impl Display) -> Self {
        Self { reason: text_of(why), ..self }
    }

    fn by(self, who: impl Display) -> Self {
        Self { by: text_of(who), ..self }
    }

    fn of_pool(self, pool: impl Display) -> Self {
        Self { pool: text_of(pool), ..self }
    }

    fn of_site(self, site: impl Display) -> Self {
        Self { site: text_of(site), ..self }
    }

    fn of_policy(self, policy: impl Display) -> Self {
        Self { policy: text_of(policy), ..self }
    }

    fn of_name(self, name: impl Display) -> Self {
        Self { name: text_of(name), ..self }
    }

    /// Whether it is about any of `subjects`. What is about nothing in particular is about every name, and no endpoint.
    pub fn concerns(&self, subjects: &Subjects) -> bool {
        let has = |set: &BTreeSet<Box<str>>, name: &str| set.contains(name);
        let Self { endpoint, pool, policy, site, name, .. } = self;
        match (endpoint, pool, policy, site, name) {
            (Some(key), ..) => match &subjects.endpoint {
                Some(wanted) => wanted == key,
                None => key.split_once('/').is_some_and(|(pool, _)| subjects.pools.contains(pool)),
            },
            (None, Some(pool), ..) => has(&subjects.pools, pool),
            (None, None, Some(policy), ..) => has(&subjects.policies, policy),
            (None, None, None, Some(site), _) => has(&subjects.sites, site),
            (None, None, None, None, Some(name)) => has(&subjects.names, name),
            (None, None, None, None, None) => subjects.endpoint.is_none(),
        }
    }
}

/// The first of several problems; the log has all of them.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A text that there is.
fn text_of(what: impl Display) -> Option<Box<str>> {
    Some(what.to_string().into())
}

/// What events are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Of the pools only this `pool/endpoint`.
    endpoint: Option<Box<str>>,
    pools: BTreeSet<Box<str>>,
    policies: BTreeSet<Box<str>>,
    sites: BTreeSet<Box<str>>,
    /// Names that endpoints resolve to.
    names: BTreeSet<Box<str>>,
}

impl Subjects {
    /// An endpoint, with its pool and its site.
    pub fn of_endpoint(model: &Model, key: &str) -> Result<Self, String> {
        let found = model.written_pools().find_map(|pool| {
            let endpoint = pool.endpoints.iter().find(|endpoint| *endpoint.key == *key)?;
            Some((pool, endpoint))
        });
        let Some((pool, endpoint)) = found else {
            // It may have been there.
            let (pool, _) = key.split_once('/').ok_or_else(|| {
                format!("{key} is no endpoint: write pool/endpoint; `rhumb status` lists them")
            })?;
            let pools = [pool.into()].into();
            return Ok(Self { endpoint: Some(key.into()), pools, ..Self::default() });
        };
        let site = pool.site.map(|site| model.sites[site.index()].name.clone());
        Ok(Self {
            endpoint: Some(key.into()),
            pools: [pool.name.clone()].into(),
            policies: BTreeSet::new(),
            sites: site.into_iter().collect(),
            names: endpoint.target().map(|name| name.to_string().into()).into_iter().collect(),
        })
    }

    /// Everything that an answer for a steered name can depend on.
    pub fn of_name(model: &Model, name: &str) -> Result<Self, String> {
        let wanted = crate::wire::Name::absolute(name).map_err(|why| format!("{name}: {why}"))?;
        let steers = model.steers.iter().filter(|steer| steer.owner == wanted);
        let mut subjects = Self::default();
        let mut entries: Vec<Target> = steers.map(|steer| steer.target).collect();
        if entries.is_empty() {
            return Err(format!("{name} is not steered: nothing that happens changes its answers"));
        }
        while let Some(entry) = entries.pop() {
            match entry {
                Target::Pool(id) => {
                    let pool = &model.pools[id.index()];
                    subjects.pools.insert(pool.name.clone());
                    let site = pool.site.map(|site| model.sites[site.index()].name.clone());
                    subjects.sites.extend(site);
                    let names = pool.endpoints.iter().filter_map(|endpoint| endpoint.target());
                    subjects.names.extend(names.map(|name| Box::from(name.to_string())));
                    entries.extend(pool.part_pools().into_iter().map(Target::Pool));
                }
                Target::Policy(id) => {
                    let policy = &model.policies[id.index()];
                    if subjects.policies.insert(policy.name.clone()) {
                        entries.extend(policy.kind.targets());
                    }
                }
            }
        }
        Ok(subjects)
    }
}

/// Some of what happened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EventPage {
    /// In the order it happened.
    pub events: Vec<EventRecord>,
    /// Where to go on, if there is more.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::model::Family;
    use crate::model::Verdict;

    const FILE: &str = "site.fra = { latitude = 1, longitude = 1 }\nsite.iad = { latitude = 1, longitude = 9 }\n\
        check.web = { kind = 'tcp', port = 80 }\n\
        pool.eu = { site = 'fra', check = 'web', endpoint.a.addresses = ['192.0.2.1'], endpoint.b.addresses = ['192.0.2.3'] }\n\
        pool.us = { site = 'iad', check = 'web', endpoint.a.addresses = ['192.0.2.2'] }\n\
        policy.world = { kind = 'failover', targets = ['eu'] }\n\
        policy.other = { kind = 'failover', targets = ['us'] }\n\
        name.www.steer = 'world'\nname.api.steer = 'other'\n\
        [zone]\nname = 'shop.test'\nnameservers = ['ns1.example.net']\n";

    fn model() -> Model {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", FILE)]);
        config::load(&files).0.expect("it loads")
    }

    fn verdict(endpoint: &str) -> EventRecord {
        let key = TargetKey {
            endpoint: endpoint.into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        let reason = "refused".into();
        let (before, after) = (Verdict::Up, Verdict::Down);
        let occurrence = Occurrence::Verdict { key, before, after, reason };
        EventRecord::of(&occurrence, Duration::from_secs(1)).expect("it is an event")
    }

    fn order(scope: Scope) -> EventRecord {
        let order = Order {
            admin: crate::model::Admin::Drained,
            reason: "works".into(),
            author: "ann".into(),
            since: Duration::ZERO,
            until: None,
        };
        EventRecord::of(&Occurrence::Ordered { scope, order }, Duration::ZERO).expect("one")
    }

    #[test]
    fn an_event_is_found_by_what_it_can_change() {
        let model = model();
        let www = Subjects::of_name(&model, "www.shop.test").unwrap();
        let endpoint = Subjects::of_endpoint(&model, "eu/a").unwrap();
        let reload = EventRecord::new("reload", String::new());
        for (event, of_name, of_endpoint) in [
            (verdict("eu/a"), true, true),
            (verdict("eu/b"), true, false),
            (verdict("us/a"), false, false),
            (order(Scope::Pool("eu".into())), true, true),
            (order(Scope::Site("fra".into())), true, true),
            (order(Scope::Site("iad".into())), false, false),
            (order(Scope::Endpoint("eu/b".into())), true, false),
            (reload, true, false),
        ] {
            assert_eq!(event.concerns(&www), of_name, "{}", event.text);
            assert_eq!(event.concerns(&endpoint), of_endpoint, "{}", event.text);
        }
        assert!(Subjects::of_name(&model, "ns1.shop.test").is_err());
        assert!(Subjects::of_endpoint(&model, "fra-1").is_err());
        let gone = Subjects::of_endpoint(&model, "gone/a").unwrap();
        assert!(verdict("gone/a").concerns(&gone), "what is gone has a history too");
    }

    #[test]
    fn a_record_says_who_what_why_and_leaves_out_the_rest() {
        let text = serde_json::to_string(&verdict("eu/a")).unwrap();
        assert_eq!(
            text,
            r#"{"at_ms":1000,"generation":0,"event":"verdict","endpoint":"eu/a","check":"web","family":"IPv4","before":"up","after":"down","reason":"refused","text":"eu/a web IPv4: up -> down: refused"}"#
        );
        assert_eq!(EventRecord::of(&Occurrence::Unchanged, Duration::ZERO), None);
    }
}
