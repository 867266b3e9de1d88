//! Turns events into effects: what changed, what to publish, what to probe, what to tell.
//!
//! Pure: it owns all mutable state of the control plane and no socket, file or clock. Time comes with each event.
#![forbid(unsafe_code)]

mod brake;
pub mod command;
pub mod effect;
pub mod event;
pub mod failback;
pub mod geo;
mod health;
pub mod job;
pub mod order;
pub mod record;
pub mod resolve;
pub mod round_trips;
pub mod shift;
pub mod status;
pub mod weights;

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
pub use record::Written;
pub use resolve::Resolution;
pub use shift::Shift;

use crate::control::brake::Brake;
use crate::control::effect::Change;
use crate::control::failback::Side;
use crate::control::failback::WayBack;
use crate::control::job::GeoDigest;
use crate::control::job::Rejection;
use crate::control::resolve::Resolutions;
use crate::control::round_trips::RoundTrips;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::quorum;
use crate::snapshot::Compiled;
use crate::snapshot::Snapshot;
use crate::steering::plan::FamilyPlan;

/// The control plane's state.
#[derive(Debug, Default)]
pub struct Controller {
    /// Digest of the files being compiled.
    wanted: Option<[u8; 32]>,
    /// Digest of the files in force.
    in_force: Option<[u8; 32]>,
    /// Digest of what is served: that of the files in force, unless their geo data is refused.
    served: Option<[u8; 32]>,
    /// Digest of the geo data in force.
    geo_in_force: Option<GeoDigest>,
    /// The files that were refused, if they were the last ones tried.
    refused: Option<Refused>,
    /// The geo data that was refused, if it is that of the files in force.
    refused_geo: Option<Refused>,
    snapshot: Option<Arc<Snapshot>>,
    generation: u64,
    /// What this site says, and why.
    verdicts: HashMap<TargetKey, Known>,
    orders: BTreeMap<Scope, Order>,
    remembered: HashMap<(Box<str>, Family), Memory>,
    /// Stamps of `remembered`: higher is later.
    stamp: u64,
    /// Pools that lost their qualification and have not got all clients back.
    ways_back: BTreeMap<Side, WayBack>,
    /// Weights that differ from those of the files, by policy.
    shifts: BTreeMap<Box<str>, Shift>,
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
    round_trips: RoundTrips,
}

/// Who of a pool was healthy just before nobody was: by name, since positions hold within one snapshot only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Higher is later.
    pub(crate) stamp: u64,
    /// `pool/endpoint` of each.
    pub(crate) endpoints: Vec<Arc<str>>,
}

/// Files that are there but not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Digest of the job that has them.
    pub(crate) digest: [u8; 32],
    pub(crate) since: Now,
    pub(crate) why: Rejection,
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
        self.advance_ways_back(now, effects);
        self.advance_shifts(now, effects);
        self.mind_round_trips(now, effects);
        match event {
            Event::Files(job) => {
                let job = self.with_table(job, now);
                self.compile_unless_known(job, effects);
            }
            Event::Measured(measurements) => self.take_measurements(&measurements),
            Event::TableMade(made) => self.take_table(made, effects),
            Event::Compiled(product) => self.take_product(product, now, effects),
            Event::Vote(vote) => self.take_vote(vote, now, effects),
            Event::Resolved(resolution) => self.take_resolution(resolution, now, effects),
            Event::Command(command) => {
                let reply = self.obey(command, now, effects);
                effects.push(Effect::Reply(reply));
            }
            Event::Settle => {
                self.advance_brake(now, effects);
                self.publish_changes(effects);
            }
        }
    }

    /// Expects that the shell looks at the files once more by itself, just after the start.
    pub fn expect_look(&mut self) {
        self.is_look_due = true;
    }

    /// Every target with its verdict.
    pub fn verdicts(&self) -> Vec<(TargetKey, Verdict)> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let with_verdict = |target: health::Target<'_>| {
            let verdict = self.verdict(&target.key);
            (target.key, verdict)
        };
        let targets = health::targets(&snapshot.compiled.model, &self.resolutions).into_iter();
        targets.map(with_verdict).collect()
    }

    /// What is known of a target.
    pub fn verdict(&self, key: &TargetKey) -> Verdict {
        self.verdicts.get(key).map_or(Verdict::Unknown, |known| known.verdict)
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// Whether files are being compiled.
    pub fn is_compiling(&self) -> bool {
        self.wanted.is_some()
    }

    /// Why the files read last are not served, if they are not.
    pub fn refused(&self) -> Option<&Rejection> {
        self.refused.as_ref().map(|refused| &refused.why)
    }

    /// Why the geo data beside the files in force is not used, if it is not.
    pub fn refused_geo(&self) -> Option<&Rejection> {
        self.refused_geo.as_ref().map(|refused| &refused.why)
    }

    /// How many orders are in force.
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// Compiles files, unless they are being compiled, in force, or refused already: equal files compile to equal
    /// results, so that one fault is told once, however often the files are read.
    fn compile_unless_known(&mut self, job: Job, effects: &mut Vec<Effect>) {
        let digest = Some(job.digest());
        let is_first_look = std::mem::take(&mut self.is_look_due);
        if self.wanted == digest {
            effects.push(Effect::Record(Occurrence::Unchanged));
        } else if self.in_force == digest {
            // Whatever was tried meanwhile has been taken back.
            (self.wanted, self.refused) = (None, None);
            self.note_table_in_force(&job, effects);
            let told = if is_first_look { Occurrence::Watching } else { Occurrence::Unchanged };
            effects.push(Effect::Record(told));
        } else if self.refused.as_ref().map(|refused| refused.digest) == digest {
            self.wanted = None;
            effects.push(Effect::Record(Occurrence::StillRefused));
        } else {
            self.wanted = digest;
            effects.push(Effect::Compile(Arc::new(job)));
        }
    }

    /// Puts compiled files in force, or says why not. A product of files that were replaced meanwhile is dropped, and so
    /// is one that came before.
    fn take_product(&mut self, product: Product, now: Now, effects: &mut Vec<Effect>) {
        if self.wanted != Some(product.digest) || self.in_force == Some(product.digest) {
            return;
        }
        self.wanted = None;
        let digest = product.digest;
        let compiled = match self.refuse_emptiness(product.result) {
            Ok(compiled) => compiled,
            Err(why) => {
                let Rejection { text, problems, list: _ } = why.clone();
                self.refused = Some(Refused { digest, since: now, why });
                effects.push(Effect::Record(Occurrence::Refused { text, problems }));
                return;
            }
        };
        (self.in_force, self.refused) = (Some(digest), None);
        self.note_geo(product.geo_fault, digest, now, effects);
        self.note_table(product.table.as_ref(), product.is_table_left_out, effects);
        if self.served.replace(product.served) == Some(product.served) {
            // Only geo data that is refused came or went.
            return;
        }
        let names = self.want_names(&compiled.model);
        let known = self.unchanged_targets(&compiled.model);
        self.verdicts.retain(|key, _| known.contains(key));
        self.remembered
            .retain(|(pool, _), _| compiled.model.pools.iter().any(|other| other.name == *pool));
        self.changed.clear();
        let change = self.change_to(&compiled.model, product.geo);
        self.geo_in_force = Some(product.geo);
        self.generation += 1;
        self.brake.set_model(&compiled.model, |key| known.contains(key));
        let health = self.health(&compiled.model);
        let snapshot = Arc::new(Snapshot::new(Arc::clone(&compiled), self.generation, &health));
        self.snapshot = Some(Arc::clone(&snapshot));
        let mut reviewed = Vec::new();
        self.review_ways_back(now, &mut reviewed);
        self.review_shifts(&mut reviewed);
        // What the review changed is in this publication, not in one of its own.
        let snapshot = self.with_changes(snapshot);
        self.snapshot = Some(Arc::clone(&snapshot));
        effects.push(names);
        effects.push(Effect::Probe(self.probe_orders()));
        effects.push(Effect::Record(Occurrence::Reloaded {
            generation: self.generation,
            digest: product.served,
            zones: snapshot.compiled.model.zones.len(),
            warnings: product.warnings,
            warning_text: product.warning_text,
            change,
        }));
        effects.append(&mut reviewed);
        effects.push(Effect::Publish(snapshot));
    }

    /// A snapshot with the weights that changed, and the pools that did weighed anew.
    fn with_changes(&mut self, mut snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let reweighed = self.take_reweighed();
        if !reweighed.is_empty() {
            snapshot = Arc::new(snapshot.with_weights(self.generation, &reweighed));
        }
        let changed: Vec<PoolId> = std::mem::take(&mut self.changed).into_iter().collect();
        if changed.is_empty() {
            return snapshot;
        }
        let health = self.health(&snapshot.compiled.model);
        Arc::new(snapshot.with_changed(self.generation, &changed, &health))
    }

    /// The next record's version, with who writes it and why.
    fn write(&mut self, author: &str, reason: &str, now: Now) -> Written {
        self.version += 1;
        let (author, reason) = (author.into(), reason.into());
        Written { version: self.version, author, reason, at: now.unix }
    }

    /// Tells of geo data that is refused, once, and when it is right again.
    fn note_geo(
        &mut self,
        fault: Option<Rejection>,
        digest: [u8; 32],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.refused_geo.take();
        match (before, fault) {
            (None, None) => {}
            (Some(_), None) => effects.push(Effect::Record(Occurrence::GeoAccepted)),
            (Some(before), Some(why)) if before.why == why => self.refused_geo = Some(before),
            (_, Some(why)) => {
                let Rejection { text, problems, list: _ } = why.clone();
                self.refused_geo = Some(Refused { digest, since: now, why });
                effects.push(Effect::Record(Occurrence::GeoRefused { text, problems }));
            }
        }
    }

    /// What files change that are about to be put in force.
    fn change_to(&self, next: &Model, geo: GeoDigest) -> Change {
        let Some(snapshot) = &self.snapshot else { return Change::default() };
        let apexes = |model: &Model| -> BTreeSet<Box<str>> {
            model.zones.iter().map(|zone| zone.apex.to_string().into()).collect()
        };
        let (before, after) = (apexes(&snapshot.compiled.model), apexes(next));
        Change {
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
            geo: self.geo_in_force != Some(geo),
        }
    }

    /// Refuses files without a zone while zones are served: a folder that is just being replaced, or a disk that is
    /// not mounted, must not take every name away.
    fn refuse_emptiness(
        &self,
        result: Result<Arc<Compiled>, Rejection>,
    ) -> Result<Arc<Compiled>, Rejection> {
        let compiled = result?;
        let before = self.snapshot.as_ref().map_or(0, |now| now.compiled.model.zones.len());
        if before == 0 || !compiled.model.zones.is_empty() {
            return Ok(compiled);
        }
        let text = format!(
            "no file has a zone, but {} served: add a zone, or stop the server to serve none\n",
            if before == 1 { "1 zone is".to_owned() } else { format!("{before} zones are") },
        );
        Err(Rejection::one(text))
    }

    /// Takes this site's word on a target; one that is probed no more is not heard.
    fn take_vote(&mut self, vote: Vote, now: Now, effects: &mut Vec<Effect>) {
        let Some(pool) = self.pool_of(&vote.key) else { return };
        let before = self.verdicts.get(&vote.key).map_or(Verdict::Unknown, |known| known.verdict);
        let after = quorum::decide([vote.verdict], before);
        if self.is_held_by_brake(&vote.key, pool, after, effects) || before == after {
            return;
        }
        let Vote { key, reason, .. } = vote;
        if self.brakes(&key, before, after, &reason, now, effects) {
            return;
        }
        let known = Known { verdict: after, since: now, reason: reason.clone() };
        let cause = Cause::Health(format!("{key} is {after}: {reason}").into());
        let told = Occurrence::Verdict { key: key.clone(), before, after, reason };
        effects.push(Effect::Record(told));
        self.change(&[pool], &cause, now, effects, |controller| {
            controller.verdicts.insert(key, known);
        });
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
        let of = |&pool: &PoolId| (self.healthy(pool, Evidence::Probed), self.qualifies(pool));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::control::job::GeoFiles;
    use crate::geo::GeoInput;
    use crate::geo::OverlayFile;

    fn job(text: &str) -> Job {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", text)]);
        Job::new(files, GeoFiles::default(), crate::model::NodeTerms::default())
    }

    fn zone(name: &str) -> String {
        format!("[zone]\nname = \"{name}\"\nnameservers = [\"ns1.example.net\"]\n")
    }

    /// What comes of files, compiled if the controller asks for it: occurrences and publications.
    fn read(controller: &mut Controller, text: &str) -> Vec<String> {
        read_job(controller, job(text))
    }

    fn read_job(controller: &mut Controller, job: Job) -> Vec<String> {
        let mut effects = Vec::new();
        controller.handle(Event::Files(job), Now::default(), &mut effects);
        if let Some(Effect::Compile(job)) = effects.first() {
            let product = job.run();
            effects.clear();
            controller.handle(Event::Compiled(product), Now::default(), &mut effects);
        }
        let tell = |effect: Effect| match effect {
            Effect::Record(Occurrence::Reloaded { generation, .. }) => {
                format!("reloaded {generation}")
            }
            Effect::Record(Occurrence::Refused { .. }) => "refused".into(),
            Effect::Record(Occurrence::GeoRefused { problems, .. }) => format!("geo {problems}"),
            Effect::Record(occurrence) => occurrence.to_string(),
            Effect::Publish(_) => "published".into(),
            Effect::Compile(_) => "compiling".into(),
            Effect::Probe(_) | Effect::Resolve(_) | Effect::Reply(_) => String::new(),
            Effect::MakeTable(_) | Effect::WriteTable { .. } => String::new(),
        };
        effects.into_iter().map(tell).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn bad_files_are_refused_once_and_the_ones_in_force_are_not_compiled_again() {
        let mut controller = Controller::default();
        let good = zone("shop.test");
        let digest = short_digest_of(&good);
        assert_eq!(read(&mut controller, &good), ["reloaded 1", "published"]);
        assert_eq!(read(&mut controller, &good), ["the files have not changed"]);
        assert_eq!(read(&mut controller, "[zone]"), ["refused"]);
        assert!(read(&mut controller, "[zone]")[0].starts_with("the files are still the refused"));
        assert_eq!(controller.status(Now::default()).config, digest, "what is served");
        assert_eq!(read(&mut controller, &good), ["the files have not changed"]);
        assert_eq!(read(&mut controller, "[zone]"), ["refused"], "it is a new attempt");
        assert_eq!(read(&mut controller, &zone("other.test")), ["reloaded 2", "published"]);
    }

    /// A job with an overlay, which knows the places in force as the shell tells them.
    fn job_with_geo(controller: &Controller, text: &str, overlay: &str) -> Job {
        let overlay = OverlayFile { name: "feed.csv".into(), octets: overlay.as_bytes().into() };
        let geo = GeoFiles::of(GeoInput { overlays: vec![overlay], ..GeoInput::default() });
        let job = Job::new(
            Files::new(vec![SourceFile::new("zones/a.toml", text)]),
            geo,
            crate::model::NodeTerms::default(),
        );
        match (controller.geo_in_force, controller.snapshot()) {
            (Some(digest), Some(now)) => job.knowing(digest, Arc::clone(&now.compiled.geo)),
            _ => job,
        }
    }

    #[test]
    fn damaged_geo_data_is_told_once_and_holds_back_no_zone() {
        let (one, two) = (zone("shop.test"), zone("other.test"));
        let (good, bad) = ("192.0.2.0/24,DE\n", "192.0.2.0/24,Germany\n192.0.2.1/24,DE\n");
        let mut controller = Controller::default();
        let mut read = |text: &str, overlay: &str| {
            let job = job_with_geo(&controller, text, overlay);
            let told = read_job(&mut controller, job);
            let status = controller.status(Now::default());
            (told, status.config, status.places, status.refused_geo.map(|geo| geo.problems))
        };
        let told = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(read(&one, bad).0, ["refused"], "there are no places before it");
        let (first, first_digest, places, _) = read(&one, good);
        assert_eq!(first, ["reloaded 1", "published"]);
        let same = (first_digest.clone(), places, Some(2));
        let (damaged, digest, seen, refused) = read(&one, bad);
        assert_eq!((damaged, (digest, seen, refused)), (told(&["geo 2"]), same));
        assert_eq!(read(&one, bad).0, ["the files have not changed"]);
        let (changed, digest, seen, refused) = read(&two, bad);
        assert_eq!(changed, ["reloaded 2", "published"], "the zone counts, the fault is known");
        assert_eq!((seen, refused), (places, Some(2)));
        let (right, again, _, refused) = read(&two, good);
        assert_eq!((right, refused), (told(&["the geo data is right again"]), None));
        assert_eq!(again, digest, "what is served has one digest, whatever was refused beside it");
        assert_ne!(again, first_digest);
        assert_eq!(read("[zone]", bad).0, ["refused"]);
        assert_eq!(read(&two, good).0, ["the files have not changed"]);
    }

    fn short_digest_of(text: &str) -> String {
        effect::short_digest(&job(text).digest())
    }

    #[test]
    fn files_without_a_zone_replace_none() {
        let mut controller = Controller::default();
        assert_eq!(
            read(&mut controller, ""),
            ["reloaded 1", "published"],
            "at the start it is fine"
        );
        assert_eq!(read(&mut controller, &zone("shop.test")), ["reloaded 2", "published"]);
        assert_eq!(read(&mut controller, ""), ["refused"]);
    }

    #[test]
    fn a_product_of_files_that_were_taken_back_is_dropped() {
        let mut controller = Controller::default();
        read(&mut controller, &zone("shop.test"));
        let mut effects = Vec::new();
        let slow = job(&zone("other.test"));
        let product = slow.run();
        controller.handle(Event::Files(slow), Now::default(), &mut effects);
        controller.handle(Event::Files(job(&zone("shop.test"))), Now::default(), &mut effects);
        effects.clear();
        controller.handle(Event::Compiled(product), Now::default(), &mut effects);
        assert!(effects.is_empty());
        assert_eq!(controller.snapshot().map(|snapshot| snapshot.generation), Some(1));
    }
}
