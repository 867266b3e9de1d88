//! The controller in a cluster: its prober's words are votes, and verdicts are what all votes come to.
//!
//! Without a cluster nothing here does anything. Who is connected to whom is the engine's matter.

mod accord;
pub mod brakes;
pub mod bundles;
pub mod clocks;
pub mod commands;
pub mod drift;
pub mod isolation;
pub mod judgement;
mod members;
pub mod news;
mod own;
pub mod panel;
pub mod paths;
pub mod rates;
pub mod records;
pub mod seats;
pub mod status;
pub mod troubles;
pub mod turn;
pub mod withdrawal;

use std::collections::BTreeMap;
use std::time::Duration;

pub use commands::Request;
pub use judgement::Judgement;
pub use news::NewsKind;
pub use news::NodeNews;
pub use panel::Panel;
pub use records::Records;
pub use seats::Seat;

use crate::cluster::Digests;
use crate::cluster::Heard;
use crate::cluster::Layout;
use crate::cluster::Placed;
use crate::cluster::Roster;
use crate::cluster::Served;
use crate::cluster::Topic;
use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Known;
use crate::control::Occurrence;
use crate::control::Vote;
use crate::control::ballot::Voice;
use crate::control::cluster::rates::Pace;
use crate::control::cluster::rates::paces;
use crate::control::cluster::withdrawal::HookReport;
use crate::control::cluster::withdrawal::Withdrawal;
use crate::control::health::targets_of;
use crate::control::health::with_parts;
use crate::health::Penalty;
use crate::model::Admin;
use crate::model::Anchors;
use crate::model::Check;
use crate::model::ClusterTerms;
use crate::model::Model;
use crate::model::Now;
use crate::model::PoolId;
use crate::model::Site;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::model::Word;

impl Controller {
    /// Belongs to a cluster from now on; this node stands at `site`.
    pub fn join(&mut self, terms: &ClusterTerms, site: &str) {
        let mut panel = Panel::new(Roster::new(terms, site));
        panel.withdrawal = Withdrawal::new(!terms.withdraw.is_empty());
        self.cluster = Some(Box::new(panel));
        self.records = Some(Records::new(terms));
    }

    /// Takes in that a probe ended, whether that is news or not: a word is withdrawn if no result comes any more.
    pub fn note_result(&mut self, key: &TargetKey, passed: bool, now: Now) {
        if let Some(panel) = &mut self.cluster {
            panel.note_result(key, passed, now.monotonic);
        }
    }

    /// Takes in how long a probe took to a target and back: for people only.
    pub fn note_round_trip(&mut self, key: &TargetKey, time: Duration) {
        if let Some(panel) = &mut self.cluster {
            panel.note_round_trip(key, time);
        }
    }

    /// How long it takes from each site to a target, or to what it is made of; empty without a cluster.
    pub(super) fn round_trips_to(&self, keys: &[TargetKey]) -> Vec<(Box<str>, Duration)> {
        let Some(panel) = &self.cluster else { return Vec::new() };
        let all = keys.iter().map(|key| panel.round_trips(key));
        all.into_iter().find(|times| !times.is_empty()).unwrap_or_default()
    }

    /// Which target stands where in what nodes say.
    pub fn cluster_layout(&self) -> Option<&Layout> {
        self.cluster.as_ref().map(|panel| panel.layout())
    }

    /// When there is something to say or to decide at the latest, on the monotonic clock.
    pub fn next_wake(&self) -> Option<Duration> {
        self.cluster.as_ref().map(|panel| panel.next_wake())
    }

    pub(super) fn take_heard(&mut self, heard: Heard, now: Now, effects: &mut Vec<Effect>) {
        if let (Heard::Value { node, generation, .. }, Some(records)) = (&heard, &mut self.records)
        {
            records.registry.meet(node, *generation);
        }
        if let Heard::Forgotten { .. } = heard {
            self.hear_bundles(&heard);
        }
        if let Heard::Value { topic: Topic::Record { .. }, .. } = heard {
            self.take_record(heard, now, effects);
        } else if let Heard::Value { topic: Topic::Bundle, .. } = heard {
            self.hear_bundles(&heard);
        } else if let Some(panel) = &mut self.cluster {
            panel.hear_at(heard, now);
        }
    }

    /// Has other nodes belong to the cluster: who is new votes from now on, and who is gone does not.
    pub(super) fn take_members(
        &mut self,
        terms: &ClusterTerms,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(panel) = &mut self.cluster else { return };
        let roster = panel.roster_of(terms);
        if panel.set_roster(roster) {
            self.order_probes(now, effects);
        }
        self.follow_in_bundles(terms);
    }

    pub(super) fn take_anchors(&mut self, anchors: Anchors) {
        if let Some(panel) = &mut self.cluster {
            panel.set_anchors(anchors);
        }
    }

    pub(super) fn take_hook_report(&mut self, report: &HookReport) {
        if let Some(panel) = &mut self.cluster {
            panel.take_hook_report(report);
        }
    }

    /// Has exactly that probed which is to be probed here now.
    pub(super) fn order_probes(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(mut panel) = self.cluster.take() {
            if let Ok(model) = self.model() {
                let region = |site: &Site| Some((site.name.clone(), site.region.clone()?));
                let regions: BTreeMap<_, _> = model.sites.iter().filter_map(region).collect();
                panel.set_seats(self.seats(model), &regions);
            }
            self.cluster = Some(panel);
        }
        effects.push(Effect::Probe(self.probe_orders(now)));
    }

    /// Whether a target is probed by this node.
    pub(super) fn is_ours(&self, key: &TargetKey) -> bool {
        self.cluster.as_ref().is_none_or(|panel| panel.is_ours(key))
    }

    /// How often a target is probed from here, if that differs from what its check says.
    pub(super) fn stretched(&self, key: &TargetKey, check: &Check) -> Option<Duration> {
        let interval = self.cluster.as_ref()?.interval(key)?;
        (interval != check.interval).then_some(interval)
    }

    /// What this node itself says of a target, if that is not what holds.
    pub(super) fn own_verdict(&self, key: &TargetKey) -> Option<Verdict> {
        let word = self.cluster.as_ref()?.own_word(key);
        (word != Word::Unknown).then(|| word.verdict())
    }

    /// Whether so few sites vote on a target that nothing is decided.
    pub(super) fn has_too_few_voters(&self, key: &TargetKey) -> bool {
        let Some(panel) = self.cluster.as_ref().filter(|panel| panel.held_count() > 0) else {
            return false;
        };
        let Ok(model) = self.model() else { return false };
        let parts = self.find_target(key).map(|target| target.parts(model));
        panel.is_held(key) || parts.into_iter().flatten().any(|part| panel.is_held(&part.key))
    }

    /// Every target that is probed by any node, disabled or not: an order must not move the others.
    fn seats(&self, model: &Model) -> Vec<Seat> {
        let mut seats = Vec::new();
        for pool in model.written_pools() {
            let Some(check) = pool.check else { continue };
            let site = pool.site.map(|site| &model.sites[site.index()]);
            let paces = match &self.cluster {
                Some(panel) => paces(model, &panel.roster, pool),
                None => Vec::new(),
            };
            let written = pool.discover.as_ref().map_or(usize::MAX, |discovery| discovery.written);
            for (position, endpoint) in pool.endpoints.iter().enumerate() {
                let is_open = self.admin_of(model, pool, endpoint) != Admin::Disabled;
                let targets = targets_of(model, endpoint, check, &self.resolutions).into_iter();
                let leaves = targets.flat_map(|target| with_parts(model, target));
                for target in leaves.filter(|target| target.composite().is_none()) {
                    let is_learnt = position >= written || target.key.address.is_some();
                    let check = target.check();
                    let group = if is_learnt { pool.name.clone() } else { Box::default() };
                    let (address, port) = (target.address, check.port);
                    seats.push(Seat {
                        voting: check.voting,
                        site: site.map(|site| site.name.clone()),
                        region: site.and_then(|site| site.region.clone()),
                        interval: interval_by(&paces, model, &check),
                        fall: check.fall,
                        rise: check.rise,
                        is_open,
                        placed: Placed { group, key: target.key, address, port },
                    });
                }
            }
        }
        seats
    }

    /// Says what is to be said, and decides what votes have changed.
    pub(super) fn advance_cluster(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(mut panel) = self.cluster.take() else { return };
        let served = || {
            let digests = Digests { records: self.records_digest(now), ..self.digests() };
            Served { digests, generation: self.generation, unix: now.unix }
        };
        let (says, is_moved) = panel.advance(served, now.monotonic);
        effects.extend(says.into_iter().map(Effect::Say));
        effects.extend(panel.take_hook_order().map(Effect::Hook));
        // The brake hears everything about what it holds.
        let known = |key: &TargetKey| {
            (!self.is_near_brake(key)).then(|| (self.verdict(key), self.degraded(key)))
        };
        let judged = panel.judge(known, now.monotonic);
        let news = panel.take_news().into_iter();
        effects.extend(news.map(|news| Effect::Record(Occurrence::Cluster(news))));
        self.cluster = Some(panel);
        self.advance_records(now, effects);
        self.advance_accord(now, effects);
        self.advance_bundles(now, effects);
        for judgement in judged {
            self.take_judgement(judgement, now, effects);
        }
        if is_moved {
            effects.push(Effect::Probe(self.probe_orders(now)));
        }
    }

    fn take_judgement(&mut self, judgement: Judgement, now: Now, effects: &mut Vec<Effect>) {
        let Judgement { key, verdict, level, reason } = judgement;
        if verdict != Verdict::Unknown {
            let penalty = self.cluster.as_ref().map(|panel| panel.penalty(&key));
            let penalty = penalty.unwrap_or_default();
            let vote = Vote { key, verdict, degraded: level, reason, penalty };
            return self.count_vote(vote, now, effects);
        }
        let Some(Voice { pool, check: _, whole }) = self.voice(&key) else { return };
        let Some(whole) = whole else { return self.give_up(pool, key, reason, now, effects) };
        let penalty = Penalty::default();
        let known = Known { verdict, since: now, reason: reason.clone(), degraded: 0, penalty };
        self.parts.insert(key, known);
        if self.composed(&whole) == Some(Verdict::Unknown) {
            self.give_up(pool, whole, reason, now, effects);
        }
    }

    /// What was up is nobody knows what: it is served as before.
    fn give_up(
        &mut self,
        pool: PoolId,
        key: TargetKey,
        reason: Box<str>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (before, after) = (self.verdict(&key), Verdict::Unknown);
        if before != Verdict::Up {
            return;
        }
        let penalty = Penalty::default();
        let known =
            Known { verdict: after, since: now, reason: reason.clone(), degraded: 0, penalty };
        let cause = Cause::Health(format!("{key} is {after}: {reason}").into());
        let told = Occurrence::Verdict { key: key.clone(), before, after, reason };
        effects.push(Effect::Record(told));
        self.change(&[pool], &cause, now, effects, |controller| {
            controller.verdicts.insert(key, known);
        });
    }

    /// Which node of a cluster this is; `None` without one.
    pub(super) fn seat_text(&self) -> Option<String> {
        let roster = &self.cluster.as_ref()?.roster;
        Some(format!("node {} at {}", roster.own(), roster.sites()[roster.own_site()]))
    }

    /// First octets of the digests of what this node has.
    fn digests(&self) -> Digests {
        Digests { verdicts: self.verdicts_digest(), ..self.digests_of_parts() }
    }

    /// The same but for verdicts.
    pub(super) fn digests_of_parts(&self) -> Digests {
        let first = |digest: &[u8]| {
            digest[..8].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
        };
        let base = self.base();
        let parts = base.map(|base| &base.parts);
        Digests {
            config: base.map_or(0, |base| first(&base.config)),
            geo: parts.map_or(0, |parts| first(&parts.geo)),
            rtt: parts.and_then(|parts| parts.table).map_or(0, |table| first(&table)),
            verdicts: 0,
            records: 0,
        }
    }

    /// The same number on every node that has the same verdicts, in whatever order they came.
    fn verdicts_digest(&self) -> u64 {
        let known = self.verdicts.iter().filter(|(_, known)| known.verdict != Verdict::Unknown);
        known.fold(0, |sum, (key, known)| sum.wrapping_add(fingerprint(key, known)))
    }
}

/// How often a check is probed.
fn interval_by(paces: &[Pace], model: &Model, check: &Check) -> Duration {
    let of_check = |pace: &&Pace| model.checks[pace.check.index()].name == check.name;
    paces.iter().find(of_check).map_or(check.interval, |pace| pace.interval)
}

/// FNV-1a of a target and what holds of it.
fn fingerprint(key: &TargetKey, known: &Known) -> u64 {
    let TargetKey { endpoint, check, family, address } = key;
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let last = [0, family.index() as u8, known.verdict as u8, known.degraded];
    let texts = endpoint.bytes().chain([0]).chain(check.bytes()).chain([0]).chain(address.bytes());
    texts.chain(last).fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
