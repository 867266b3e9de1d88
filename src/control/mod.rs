//! Turns events into effects: what changed, what to publish, what to probe, what to tell.
//!
//! Pure: it owns all mutable state of the control plane and no socket, file or clock. Time comes with each event.
#![forbid(unsafe_code)]

pub mod command;
pub mod effect;
pub mod event;
mod health;
pub mod job;
mod order;
pub mod status;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

pub use command::Command;
pub use command::Reply;
pub use effect::Effect;
pub use effect::Occurrence;
pub use effect::ProbeOrder;
pub use event::Event;
pub use event::Vote;
pub use job::Job;
pub use job::Product;
pub use order::Order;
pub use order::Scope;

use crate::control::job::Rejection;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Now;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::quorum;
use crate::snapshot::Snapshot;
use crate::steering::plan::FamilyPlan;

/// The control plane's state.
#[derive(Debug, Default)]
pub struct Controller {
    /// Digest of the files being compiled, or compiled last.
    wanted: Option<[u8; 32]>,
    /// Digest of the files that are served.
    in_force: Option<[u8; 32]>,
    snapshot: Option<Arc<Snapshot>>,
    generation: u64,
    /// What this site says, and why.
    verdicts: HashMap<TargetKey, Known>,
    orders: BTreeMap<Scope, Order>,
    remembered: HashMap<(Box<str>, Family), Memory>,
    /// Stamps of `remembered`: higher is later.
    stamp: u64,
    /// Pools whose members changed since the last publication.
    changed: BTreeSet<PoolId>,
}

/// Who of a pool was healthy just before nobody was: by name, since positions hold within one snapshot only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Higher is later.
    pub(crate) stamp: u64,
    /// `pool/endpoint` of each.
    pub(crate) endpoints: Vec<Arc<str>>,
}

/// A verdict with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) verdict: Verdict,
    pub(crate) since: Now,
    pub(crate) reason: Box<str>,
}

impl Controller {
    /// Handles one event; what follows from it is added to `effects`.
    ///
    /// Changes of verdicts are published by the next [`Event::Settle`], so that flips of one moment are one snapshot.
    pub fn handle(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        self.expire_orders(now, effects);
        match event {
            Event::Files(job) => self.take_files(job, effects),
            Event::Compiled(product) => self.take_product(product, effects),
            Event::Vote(vote) => self.take_vote(vote, now, effects),
            Event::Command(command) => {
                let reply = self.obey(command, now, effects);
                effects.push(Effect::Reply(reply));
            }
            Event::Settle => self.publish_changes(effects),
        }
    }

    /// Every target with its verdict.
    pub fn verdicts(&self) -> Vec<(TargetKey, Verdict)> {
        self.probe_orders().into_iter().map(|order| (order.key, order.verdict)).collect()
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// How many orders are in force.
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// Compiles files unless they are the ones in force.
    fn take_files(&mut self, job: Job, effects: &mut Vec<Effect>) {
        let is_known = [self.wanted, self.in_force].contains(&Some(job.digest()));
        // Back to the files in force: what is being compiled meanwhile is wanted no more.
        self.wanted = Some(job.digest());
        if is_known {
            effects.push(Effect::Record(Occurrence::Unchanged));
            return;
        }
        effects.push(Effect::Compile(Arc::new(job)));
    }

    /// Puts compiled files in force, or says why not. A product of files that were replaced meanwhile is dropped, and so
    /// is one that came before.
    fn take_product(&mut self, product: Product, effects: &mut Vec<Effect>) {
        if self.wanted != Some(product.digest) || self.in_force == Some(product.digest) {
            return;
        }
        let compiled = match product.result {
            Ok(compiled) => compiled,
            Err(Rejection { text, problems }) => {
                // The same files may be tried again once something else about them is mended.
                self.wanted = self.in_force;
                effects.push(Effect::Record(Occurrence::Refused { text, problems }));
                return;
            }
        };
        let keys: BTreeSet<TargetKey> =
            health::targets(&compiled.model).map(|target| target.key).collect();
        self.verdicts.retain(|key, _| keys.contains(key));
        self.remembered
            .retain(|(pool, _), _| compiled.model.pools.iter().any(|other| other.name == *pool));
        self.changed.clear();
        self.in_force = Some(product.digest);
        self.generation += 1;
        let health = self.health(&compiled.model);
        let snapshot = Arc::new(Snapshot::new(Arc::clone(&compiled), self.generation, &health));
        self.snapshot = Some(Arc::clone(&snapshot));
        effects.push(Effect::Probe(self.probe_orders()));
        effects.push(Effect::Record(Occurrence::Reloaded {
            generation: self.generation,
            digest: product.digest,
            zones: snapshot.compiled.model.zones.len(),
            warnings: product.warnings,
        }));
        effects.push(Effect::Publish(snapshot));
    }

    /// Takes this site's word on a target; one that is probed no more is not heard.
    fn take_vote(&mut self, vote: Vote, now: Now, effects: &mut Vec<Effect>) {
        let Some(pool) = self.pool_of(&vote.key) else { return };
        let before = self.verdicts.get(&vote.key).map_or(Verdict::Unknown, |known| known.verdict);
        let after = quorum::decide([vote.verdict], before);
        if before == after {
            return;
        }
        let Vote { key, reason, .. } = vote;
        let known = Known { verdict: after, since: now, reason: reason.clone() };
        self.change(&[pool], |controller| {
            controller.verdicts.insert(key.clone(), known);
        });
        effects.push(Effect::Record(Occurrence::Verdict { key, before, after, reason }));
    }

    /// Publishes once for everything that changed since the last time.
    fn publish_changes(&mut self, effects: &mut Vec<Effect>) {
        let Some(before) = &self.snapshot else { return };
        if self.changed.is_empty() {
            return;
        }
        self.generation += 1;
        let changed: Vec<PoolId> = self.changed.iter().copied().collect();
        let health = self.health(&before.compiled.model);
        let snapshot = Arc::new(before.with_changed(self.generation, &changed, &health));
        self.changed.clear();
        self.snapshot = Some(Arc::clone(&snapshot));
        effects.push(Effect::Publish(snapshot));
    }

    /// Makes a change to members of some pools: they are weighed anew at the next publication, and if the change
    /// leaves a pool with nobody healthy, who was healthy just before is remembered.
    fn change(&mut self, pools: &[PoolId], change: impl FnOnce(&mut Self)) {
        let before: Vec<_> = pools.iter().map(|&pool| self.healthy(pool)).collect();
        change(self);
        for (&pool, before) in pools.iter().zip(before) {
            let after = self.healthy(pool);
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

    /// Keys of the healthy endpoints of a pool by family.
    fn healthy(&self, pool: PoolId) -> [Vec<Arc<str>>; 2] {
        let Some(snapshot) = &self.snapshot else { return Default::default() };
        let pool = &snapshot.compiled.model.pools[pool.index()];
        let states = self.states(pool);
        let key = |id: EndpointId| Arc::clone(&pool.endpoints[id.index()].key);
        Family::BOTH.map(|family| {
            FamilyPlan::healthy_endpoints(pool, &states, family).into_iter().map(key).collect()
        })
    }

    fn pool_name(&self, pool: PoolId) -> Option<Box<str>> {
        self.snapshot
            .as_ref()
            .map(|snapshot| snapshot.compiled.model.pools[pool.index()].name.clone())
    }
}
