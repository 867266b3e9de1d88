//! Turns events into effects: what changed, what to publish, what to probe, what to tell.
//!
//! Pure: it owns all mutable state of the control plane and no socket, file or clock. Time comes with each event.
#![forbid(unsafe_code)]

pub mod admin_states;
mod attempt;
mod ballot;
mod brake;
pub mod by_hand;
pub mod cluster;
pub mod command;
pub mod discover;
pub mod effect;
pub mod event;
pub mod event_record;
pub mod failback;
pub mod geo;
mod health;
pub mod job;
mod load;
mod losses;
pub mod order;
mod order_begin;
mod order_end;
mod parts;
pub mod parts_status;
pub mod past;
pub mod record;
pub mod rejection;
pub mod resolve;
pub mod restart;
pub mod round_trips;
pub mod shed;
mod shell_status;
pub mod shift;
mod standing;
pub mod started;
pub mod status;
pub mod stored;
mod target_status;
pub mod tracked;
pub mod weights;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use command::Command;
pub use command::Reply;
pub use discover::Discovered;
pub use effect::Effect;
pub use effect::Occurrence;
pub use effect::ProbeOrder;
pub use event::DiskNews;
pub use event::Event;
pub use event::Vote;
pub use job::Job;
pub use job::Product;
pub use order::Order;
pub use order::Scope;
pub use record::Written;
pub use resolve::Resolution;
pub use restart::Restored;
pub use shed::LoadReport;
pub use shift::Shift;

use crate::control::brake::Brake;
use crate::control::cluster::Panel;
use crate::control::cluster::Records;
use crate::control::cluster::bundles::Bundles;
use crate::control::discover::Discoveries;
use crate::control::failback::Side;
use crate::control::failback::WayBack;
use crate::control::load::Loading;
use crate::control::resolve::Resolutions;
use crate::control::restart::Keeping;
use crate::control::round_trips::RoundTrips;
use crate::control::shed::Loads;
use crate::control::stored::last_good_key;
use crate::control::tracked::Tracked;
use crate::control::tracked::TrackedHash;
use crate::health::Penalty;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::snapshot::Snapshot;
use crate::steering::plan::FamilyPlan;

/// The control plane's state.
#[derive(Debug, Default)]
pub struct Controller {
    loading: Loading,
    snapshot: Option<Arc<Snapshot>>,
    generation: u64,
    /// What this site says, and why.
    verdicts: TrackedHash<TargetKey, Known>,
    /// The same of the parts of checks that are made of others.
    parts: TrackedHash<TargetKey, Known>,
    orders: Tracked<Scope, Order>,
    remembered: Tracked<Side, Memory>,
    /// Stamps of `remembered`: higher is later.
    stamp: u64,
    /// Pools that lost their qualification and have not got all clients back.
    ways_back: Tracked<Side, WayBack>,
    /// Weights that differ from those of the files, by policy.
    shifts: Tracked<Box<str>, Shift>,
    /// How shifts ended, by policy, for people.
    shift_notes: BTreeMap<Box<str>, Box<str>>,
    /// Policies whose weights changed since the last publication.
    reweighed: BTreeSet<PolicyId>,
    /// What keeps probes from taking too much at once.
    brake: Brake,
    /// Version of the record written last.
    version: u64,
    /// The shell will look at the files once more by itself, just after the start.
    is_look_due: bool,
    /// Pools whose members changed since the last publication.
    changed: BTreeSet<PoolId>,
    /// What the names of endpoints resolve to.
    resolutions: Resolutions,
    /// What sources tell of endpoints.
    discoveries: Discoveries,
    round_trips: RoundTrips,
    /// What is to survive a restart.
    keeping: Keeping,
    /// What endpoints say of their load.
    loads: Loads,
    /// What pools shed for their load.
    sheds: Tracked<Box<str>, shed::Record>,
    /// What other nodes say; `None`: there are none.
    cluster: Option<Box<Panel>>,
    /// Versions of files that all nodes are to have; `None`: there are no others.
    bundles: Option<Box<Bundles>>,
    /// What all nodes of a cluster know alike; `None`: there are no others.
    records: Option<Records>,
}

/// Who of a pool was healthy just before nobody was: by name, since positions hold within one snapshot only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Higher is later.
    pub(crate) stamp: u64,
    /// `pool/endpoint` of each.
    pub(crate) endpoints: Vec<Arc<str>>,
}

/// What makes an endpoint count as healthy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// It is served: never probed counts too.
    Any,
    /// It has passed a probe, or an operator says so.
    Probed,
}

/// What made something change.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// Probes: which target, and its result.
    Health(Box<str>),
    /// An order or files.
    Operator(Box<str>),
}

impl Cause {
    fn is_health(&self) -> bool {
        match self {
            Self::Health(_) => true,
            Self::Operator(_) => false,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Health(text) | Self::Operator(text) => text,
        }
    }
}

/// A verdict with its history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) verdict: Verdict,
    pub(crate) since: Now,
    pub(crate) reason: Box<str>,
    /// How slow it is, as a level of its check.
    pub(crate) degraded: u8,
    /// For its flaps, as it was at `since`.
    pub(crate) penalty: Penalty,
}

impl Controller {
    /// Handles one event; what follows from it is added to `effects`.
    ///
    /// Changes of verdicts are published by the next [`Event::Settle`], so that flips of one moment are one snapshot.
    pub fn handle(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        let before = effects.len();
        let is_settling = matches!(event, Event::Settle);
        self.do_handle(event, now, effects);
        self.note_events(&effects[before..], now);
        if is_settling {
            self.note_changes(now, effects);
        }
    }

    fn do_handle(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        self.expire_orders(now, effects);
        self.advance_ways_back(now, effects);
        self.advance_shifts(now, effects);
        self.mind_instants(now, effects);
        self.mind_windows(now, effects);
        self.mind_loads(now, effects);
        match event {
            Event::Files(job) => {
                self.take_files(job, now, effects);
                if let Some(bundles) = &mut self.bundles {
                    bundles.try_again();
                }
            }
            Event::Measured(measurements) => self.take_measurements(&measurements),
            Event::TableMade(made) => self.take_table(made, effects),
            Event::Compiled(product) => self.take_product(product, now, effects),
            Event::Restored(restored) => self.take_restored(restored, now),
            Event::Vote(vote) => self.take_vote(vote, now, effects),
            Event::Heard(heard) => self.take_heard(heard, now, effects),
            Event::Members(terms) => self.take_members(&terms, now, effects),
            Event::Anchors(anchors) => self.take_anchors(anchors),
            Event::Hooked(report) => self.take_hook_report(&report),
            Event::Bundle(news) => self.take_bundle_news(news, now),
            Event::Resolved(resolution) => self.take_resolution(resolution, now, effects),
            Event::Discovered(discovered) => self.take_discovery(discovered, now, effects),
            Event::Loads(reports) => self.take_loads(&reports),
            Event::Command(command) => {
                let reply = self.obey(command, now, effects);
                effects.push(Effect::Reply(reply));
            }
            Event::KeepAll => self.touch_all(),
            Event::Disk(news) => effects.push(Effect::Record(Occurrence::Disk(news))),
            Event::Settle => {
                self.advance_cluster(now, effects);
                self.advance_brake(now, effects);
                self.say_brake(effects);
                self.advance_discoveries(now, effects);
                self.publish_changes(effects);
            }
        }
    }

    /// Expects that the shell looks at the files once more by itself, just after the start.
    pub fn expect_look(&mut self) {
        self.is_look_due = true;
    }

    /// Every target with its verdict, and every part of one whose check is made of others.
    pub fn verdicts(&self) -> Vec<(TargetKey, Verdict)> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let with_verdict = |target: health::Target<'_>| {
            let verdict = self.verdict(&target.key);
            (target.key, verdict)
        };
        self.told_in(&snapshot.compiled.model).into_iter().map(with_verdict).collect()
    }

    /// What is known of a target, or of a part.
    pub fn verdict(&self, key: &TargetKey) -> Verdict {
        self.known(key).map_or(Verdict::Unknown, |known| known.verdict)
    }

    /// How slow a target or a part is, as a level of its check.
    pub fn degraded(&self, key: &TargetKey) -> u8 {
        self.known(key).map_or(0, |known| known.degraded)
    }

    fn known(&self, key: &TargetKey) -> Option<&Known> {
        self.verdicts.get(key).or_else(|| self.parts.get(key))
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// How many orders are in force.
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// A snapshot with the weights that changed, and the pools that did weighed anew.
    fn with_changes(&mut self, mut snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let reweighed = self.take_reweighed();
        if !reweighed.is_empty() {
            snapshot = Arc::new(snapshot.with_weights(self.generation, &reweighed));
        }
        let changed: Vec<PoolId> = std::mem::take(&mut self.changed).into_iter().collect();
        if !changed.is_empty() {
            let health = self.health(&snapshot.compiled.model);
            snapshot = Arc::new(snapshot.with_changed(self.generation, &changed, &health));
        }
        Arc::make_mut(&mut snapshot).standing =
            self.standing_text(&snapshot.compiled.node.identity);
        snapshot
    }

    /// The next record's version, with who writes it and why.
    fn write(&mut self, author: &str, reason: &str, now: Now) -> Written {
        self.version = self.version.saturating_add(1);
        let (author, reason) = (author.into(), reason.into());
        Written { version: self.version, author, reason, at: now.unix }
    }

    /// Publishes once for everything that changed since the last time.
    fn publish_changes(&mut self, effects: &mut Vec<Effect>) {
        let Some(before) = self.snapshot.clone() else { return };
        if self.changed.is_empty() && self.reweighed.is_empty() {
            return;
        }
        self.generation += 1;
        let snapshot = self.with_changes(before);
        self.snapshot = Some(Arc::clone(&snapshot));
        effects.push(Effect::Publish(snapshot));
    }

    /// Makes a change to members of some pools: they are weighed anew at the next publication, and if the change
    /// leaves a pool with nobody healthy, who was healthy just before is remembered.
    fn change(
        &mut self,
        pools: &[PoolId],
        cause: &Cause,
        now: Now,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut Self),
    ) {
        let qualified =
            |pool| if self.has_way_back(pool) { self.qualifies(pool) } else { [None; 2] };
        let of = |&pool: &PoolId| (self.healthy(pool, Evidence::Probed), qualified(pool));
        let before: Vec<_> = pools.iter().map(of).collect();
        change(self);
        for (&pool, (before, qualified)) in pools.iter().zip(before) {
            self.note_way_back(pool, qualified, cause, now, effects);
            let after = self.healthy(pool, Evidence::Any);
            for family in Family::BOTH {
                let Some(name) = self.pool_name(pool) else { continue };
                let [before, after] = [&before, &after].map(|healthy| &healthy[family.index()]);
                if !after.is_empty() {
                    self.remembered.remove(&(name, family));
                } else if !before.is_empty() {
                    self.stamp += 1;
                    let memory = Memory { stamp: self.stamp, endpoints: before.clone() };
                    self.remembered.insert((name, family), memory);
                }
            }
            self.changed.insert(pool);
        }
    }

    /// Forgets who was healthy of pools that the files do not have any more.
    fn review_memories(&mut self, model: &Model) {
        let gone = self.remembered.keys().filter(|(pool, _)| model.find_pool(pool).is_none());
        let gone: Vec<Side> = gone.cloned().collect();
        for side in gone {
            self.remembered.remove(&side);
            self.end_here(last_good_key(&side));
        }
    }

    /// Keys of the healthy endpoints of a pool by family.
    fn healthy(&self, pool: PoolId, evidence: Evidence) -> [Vec<Arc<str>>; 2] {
        let Some(snapshot) = &self.snapshot else { return Default::default() };
        let pool = &snapshot.compiled.model.pools[pool.index()];
        let (states, resolved) = (self.states(pool), self.resolved(pool));
        let key = |id: EndpointId| Arc::clone(&pool.endpoints[id.index()].key);
        Family::BOTH.map(|family| {
            let healthy =
                FamilyPlan::healthy_endpoints(pool, &states, &resolved, family).into_iter();
            let is_known = |id: &EndpointId| {
                evidence == Evidence::Any || states[id.index()].verdict(family) != Verdict::Unknown
            };
            healthy.filter(is_known).map(key).collect()
        })
    }

    fn pool_name(&self, pool: PoolId) -> Option<Box<str>> {
        self.snapshot
            .as_ref()
            .map(|snapshot| snapshot.compiled.model.pools[pool.index()].name.clone())
    }
}
