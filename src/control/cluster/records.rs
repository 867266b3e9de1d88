//! Records in a cluster: what this node writes is said to all, and what others write counts here too.
//!
//! Operators write anywhere. What the cluster writes by itself (who is away, what is shed) one node writes for all, its scribe:
//! the first of the living servers for that record. So nodes that saw a moment in another order still end alike.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::cluster::Heard;
use crate::cluster::NodeName;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::Registry;
use crate::cluster::Topic;
use crate::cluster::registry::NotShared;
use crate::cluster::registry::Stamp;
use crate::cluster::registry::Word;
use crate::cluster::registry::Writing;
use crate::cluster::registry::first_of;
use crate::config::duration::spell;
use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Scope;
use crate::control::Shift;
use crate::control::cluster::accord::Accord;
use crate::control::cluster::clocks::is_off;
use crate::control::cluster::commands::Request;
use crate::control::cluster::news::NewsKind;
use crate::control::failback::Side;
use crate::control::failback::Stage;
use crate::control::stored;
use crate::control::stored::Change;
use crate::control::stored::Stored;
use crate::model::Admin;
use crate::model::AllDown;
use crate::model::ClusterTerms;
use crate::model::Now;
use crate::model::PoolId;
use crate::model::Role;

/// How often it is looked at whether every record is said by somebody who lives.
const ADOPT_EVERY: Duration = Duration::from_secs(10);

/// How long a request counts: who hears of it later was not there when it was made.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Name under which pools that shed for their load have their scribe: one law decides about all of them.
const SHEDS: &str = "shed";

/// The same of who was healthy last: stamps of one node are in one order.
const LAST_GOOD: &str = "last_good";

/// Most octets of a writing around what it says: its name, version, node and time.
const OVERHEAD_MAX: usize = 600;

/// Most pools of which all nodes remember alike who was healthy last: orders must always find room.
const LAST_GOOD_MAX: usize = 512;

/// Records of this node in its cluster.
#[derive(Debug)]
pub struct Records {
    pub(super) registry: Registry,
    pub(super) role: Role,
    next_adopt: Option<Duration>,
    /// What this node said last of what its brake holds.
    pub(super) said_brake: Option<Box<[u8]>>,
    pub(super) accord: Accord,
}

impl Records {
    /// None yet.
    pub fn new(terms: &ClusterTerms) -> Self {
        let registry = Registry::knowing(terms.node.clone(), &KINDS);
        let accord = Accord::default();
        Self { registry, role: terms.role, next_adopt: None, said_brake: None, accord }
    }
}

/// First words of all records that this version shares.
const KINDS: [&str; 6] = ["order", "shift", "way_back", SHEDS, LAST_GOOD, "request"];

/// How a change of state is shared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Whoever makes it says so: an operator's word, or the end of something.
    Always,
    /// Its scribe says so.
    ByScribe,
    /// It is this node's own.
    Never,
}

/// How a change is shared.
fn sharing(change: &Change) -> Sharing {
    let kind = change.key.split(' ').next().unwrap_or_default();
    match (kind, &change.value) {
        ("order" | "shift", _) | ("way_back", None) => Sharing::Always,
        ("way_back", Some(_)) | ("shed" | "last_good", _) => Sharing::ByScribe,
        _ => Sharing::Never,
    }
}

/// Under which name a record has its scribe. Those that are weighed against each other have one in common.
pub(super) fn desk(key: &str) -> &str {
    match key.split(' ').next() {
        Some(SHEDS) => SHEDS,
        Some(LAST_GOOD) => LAST_GOOD,
        _ => key,
    }
}

/// Whether two states of a record differ in what nodes do not each count for themselves: the steps of a ramp or a shift.
pub(super) fn is_same(one: &Stored, other: &Stored) -> bool {
    match (one, other) {
        (
            Stored::WayBack { ramp: Some((since, _)), pool, family, .. },
            Stored::WayBack { ramp: Some((then, _)), pool: other, family: side, .. },
        ) => (since, pool, family) == (then, other, side),
        (Stored::Shift { written, .. }, Stored::Shift { written: other, .. }) => written == other,
        _ => one == other,
    }
}

impl Controller {
    /// Servers that live, this node among them if it is one.
    pub(super) fn living_servers(&self) -> BTreeSet<NodeName> {
        self.cluster.as_ref().map(|panel| panel.living_servers()).unwrap_or_default()
    }

    /// Whether this node writes for all about something; it does if it is alone.
    fn is_scribe(&self, key: &str) -> bool {
        let living = self.living_servers();
        self.cluster.as_ref().is_none_or(|panel| first_of(key, &living) == Some(panel.own_name()))
    }

    /// Whether this node decides what pools shed.
    pub(in crate::control) fn decides_sheds(&self) -> bool {
        self.is_scribe(SHEDS)
    }

    /// Says what changed here. What was heard and is now as it was heard says itself: it is known already.
    pub(in crate::control) fn share(
        &mut self,
        changes: &[Change],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.records.as_ref().is_none_or(|records| records.role == Role::Agent) {
            return;
        }
        let ended = self.take_ended_here();
        let is_news = |change: &&Change| change.value.is_some() || !ended.contains(&change.key);
        for change in changes.iter().filter(is_news) {
            let is_shared = match sharing(change) {
                Sharing::Always => true,
                Sharing::ByScribe => self.is_scribe(desk(&change.key)) && self.is_worth_it(change),
                Sharing::Never => false,
            };
            if is_shared && !self.is_known(change) {
                let value = change.value.as_ref();
                let value = value.and_then(|value| serde_json::value::to_raw_value(value).ok());
                self.say_record(&change.key, value, now, effects);
            }
        }
    }

    /// Whether others need to know: who was healthy last matters where a policy answers with it.
    pub(super) fn is_worth_it(&self, change: &Change) -> bool {
        let (Some(records), true) = (&self.records, desk(&change.key) == LAST_GOOD) else {
            return true;
        };
        let known = records.registry.iter().filter(|one| desk(&one.key) == LAST_GOOD);
        let has_room = || known.count() < LAST_GOOD_MAX;
        let is_short = |value: &Stored| {
            serde_json::to_vec(value).is_ok_and(|octets| octets.len() < PAYLOAD_MAX - OVERHEAD_MAX)
        };
        let routes = self.snapshot.iter().flat_map(|one| one.compiled.routes.iter());
        let answers = |on_all_down| on_all_down == AllDown::LastGood;
        change.value.as_ref().is_none_or(is_short)
            && { routes }.map(|route| route.terms.on_all_down).any(answers)
            && (records.registry.get(&change.key).is_some() || has_room())
    }

    pub(super) fn say_record(
        &mut self,
        key: &str,
        value: Option<Box<RawValue>>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(records) = &mut self.records else { return };
        let kind = key.split(' ').next().unwrap_or_default();
        debug_assert!(KINDS.contains(&kind), "{key} is shared and is none of the kinds");
        match records.registry.write(key, value, self.version.saturating_add(1), now.unix.as_secs())
        {
            Ok(say) => {
                self.version = self.version.max(records.registry.version());
                effects.push(Effect::Say(say));
            }
            Err(why) => {
                let why = match why {
                    NotShared::TooLong => "it is too long",
                    NotShared::TooMany => "there are too many",
                    NotShared::Outranked => "another node has written it under the highest version",
                };
                let kind = NewsKind::NotShared { record: key.into(), why: why.into() };
                self.tell_cluster(kind, effects);
            }
        }
    }

    /// Whether the cluster knows a change already.
    fn is_known(&self, change: &Change) -> bool {
        let Some(records) = &self.records else { return true };
        let known = records.registry.get(&change.key);
        match (known.map(Writing::text), &change.value) {
            // What nobody ever wrote need not be taken back.
            (None | Some(None), None) => true,
            (Some(Some(text)), Some(value)) => {
                serde_json::from_str(text).is_ok_and(|known: Stored| is_same(&known, value))
            }
            (None | Some(None), Some(_)) | (Some(Some(_)), None) => false,
        }
    }

    /// Takes in what another node says about a record.
    pub(super) fn take_record(&mut self, heard: Heard, now: Now, effects: &mut Vec<Effect>) {
        let Heard::Value { node, topic: topic @ Topic::Record { .. }, payload, .. } = heard else {
            return;
        };
        let Some(records) = &mut self.records else { return };
        let mut says = Vec::new();
        let word = records.registry.hear(&node, topic, &payload, &mut says);
        effects.extend(says.into_iter().map(Effect::Say));
        match word {
            Word::Known => {}
            Word::Refused(why) => {
                let record = format!("of node {node}").into();
                self.tell_cluster(NewsKind::NotHeard { record, why: why.into() }, effects);
            }
            Word::Newer(writing) => {
                self.version = self.version.max(records.registry.version());
                self.tell_teller(&writing, &node, effects);
                self.take_writing(&writing, now, effects);
            }
        }
    }

    /// Tells who told of what an operator wrote, if that is not the node at which it was written: nobody has signed for that.
    fn tell_teller(&mut self, writing: &Writing, from: &NodeName, effects: &mut Vec<Effect>) {
        let is_of_operators =
            ["order ", "shift ", "request "].iter().any(|kind| writing.key.starts_with(kind));
        if is_of_operators && writing.stamp.node != *from {
            let (record, writer) = (writing.key.clone(), writing.stamp.node.clone());
            let kind = NewsKind::ToldBy { record, writer, from: from.clone() };
            self.tell_cluster(kind, effects);
        }
    }

    /// Records that were written or heard since the last time, for keeping.
    pub(in crate::control) fn take_touched_writings(&mut self) -> Vec<(Box<str>, Option<Writing>)> {
        self.records.as_mut().map(|records| records.registry.take_touched()).unwrap_or_default()
    }

    /// Has all of them kept once more.
    pub(in crate::control) fn touch_writings(&mut self) {
        if let Some(records) = &mut self.records {
            records.registry.touch_all();
        }
    }

    /// Takes up a writing that was kept; what it says was kept by itself.
    pub(in crate::control) fn restore_writing(&mut self, stored: Stored) {
        let Stored::Writing { record, version, node, at_s, text } = stored else { return };
        let (Some(records), Some(node)) = (&mut self.records, NodeName::parse(&node)) else {
            return;
        };
        let value = text.map(|text| RawValue::from_string(text.into()));
        let Ok(value) = value.transpose() else { return };
        let stamp = Stamp { version, node };
        records.registry.restore(Writing { key: record, stamp, at_s, value });
    }

    /// Says the records that nobody says any more, and forgets what is long over.
    pub(super) fn advance_records(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let living = self.living_servers();
        let Some(records) = &mut self.records else { return };
        // At first others are heard: what this node kept may be out of date.
        let due = *records.next_adopt.get_or_insert(now.monotonic + ADOPT_EVERY);
        if now.monotonic < due {
            return;
        }
        records.next_adopt = Some(now.monotonic + ADOPT_EVERY);
        let mut says = match records.role {
            Role::Server => records.registry.adopt(&living),
            Role::Agent => Vec::new(),
        };
        let now_s = now.unix.as_secs();
        let over = self.over_for_long(now_s);
        if let Some(records) = &mut self.records {
            says.extend(records.registry.forget_old(now_s, over));
        }
        effects.extend(says.into_iter().map(Effect::Say));
    }

    /// Has this node do what a record says.
    pub(super) fn take_writing(&mut self, writing: &Writing, now: Now, effects: &mut Vec<Effect>) {
        let Some(text) = writing.text() else {
            return self.take_end(&writing.key, &writing.stamp.node, now, effects);
        };
        if let Ok(request) = serde_json::from_str::<Request>(text) {
            let written = Duration::from_secs(writing.at_s);
            let age = now.unix.abs_diff(written);
            if age < REQUEST_MAX {
                return self.do_request(request, now, effects);
            }
            // Who comes later hears of what was asked for long ago. If a clock is off nobody knows how long ago it was.
            let node = &writing.stamp.node;
            if written > now.unix || self.is_clock_off(node) {
                let record = format!("\"{}\" of node {node}", writing.key).into();
                let age = spell(Duration::from_secs(age.as_secs()));
                let why = format!("the clocks of that node and this one are {age} apart").into();
                self.tell_cluster(NewsKind::NotHeard { record, why }, effects);
            }
            return;
        }
        // A kind of record that only a later version knows is passed on, and nothing else.
        let Ok(stored) = serde_json::from_str::<Stored>(text) else { return };
        if stored.key() != *writing.key {
            return;
        }
        if !self.counts_here(&stored, now) && self.snapshot.is_some() {
            return self.leave_out(&stored, now, effects);
        }
        match stored {
            Stored::Order { scope, order, reason, author, since_ms, until_ms } => {
                let order = Order {
                    admin: order.into(),
                    reason,
                    author,
                    since: Duration::from_millis(since_ms),
                    until: until_ms.map(Duration::from_millis),
                };
                self.take_order(scope, order, now, effects);
            }
            Stored::Shift { .. } => {
                let Some((policy, shift)) = Shift::of_form(stored) else { return };
                let told = Occurrence::Shifted { policy: policy.clone(), shift: shift.clone() };
                effects.push(Effect::Record(told));
                self.shift_notes.remove(&*policy);
                self.reweighed.extend(self.policy_id(&policy));
                self.shifts.insert(policy, shift);
            }
            Stored::WayBack { ref pool, family, .. } => {
                self.changed.extend(self.pool_id(pool));
                let side: Side = (pool.clone(), family.into());
                self.restore_record(stored);
                self.tell_way_back(&side, effects);
            }
            Stored::LastGood { ref pool, .. } => {
                self.changed.extend(self.pool_id(pool));
                self.restore_record(stored);
            }
            Stored::Shed { ref pool, .. } => {
                self.changed.extend(self.pool_id(pool));
                self.take_shed(stored, effects);
            }
            _ => {}
        }
    }

    /// Whether the wall clock of a node is known to differ from this one's.
    fn is_clock_off(&self, node: &NodeName) -> bool {
        let ahead = self.cluster.as_ref().and_then(|panel| panel.clocks.ahead_ms(node));
        ahead.is_some_and(is_off)
    }

    /// Ends what another node ended.
    fn take_end(&mut self, key: &str, by: &NodeName, now: Now, effects: &mut Vec<Effect>) {
        let scope = self.orders.keys().find(|scope| stored::order_key(scope) == key).cloned();
        if let Some(scope) = scope {
            let Some(order) = self.orders.get(&scope).cloned() else { return };
            let by = format!("at node {by}").into();
            effects.push(Effect::Record(Occurrence::Withdrawn { scope: scope.clone(), order, by }));
            return self.remove_order(&scope, now, effects);
        }
        let policy = self.shifts.keys().find(|policy| stored::shift_key(policy) == key).cloned();
        if let Some(policy) = policy {
            return self.end_shift(&policy, &format!("it has ended at node {by}"), effects);
        }
        self.end_noted(key, effects);
    }

    /// Ends what each node notes by itself.
    pub(super) fn end_noted(&mut self, key: &str, effects: &mut Vec<Effect>) {
        let side = self.ways_back.keys().find(|side| stored::way_back_key(side) == key).cloned();
        if let Some(side) = side {
            return self.drop_way_back(&side, effects);
        }
        let side = self.remembered.keys().find(|side| stored::last_good_key(side) == key).cloned();
        if let Some(side) = side {
            self.remembered.remove(&side);
            self.changed.extend(self.pool_id(&side.0));
        }
    }

    /// Ends at this node what was written anew so that it does not count here.
    fn leave_out(&mut self, record: &Stored, now: Now, effects: &mut Vec<Effect>) {
        match record {
            Stored::Order { scope, .. } if self.orders.contains_key(scope) => {
                self.end_here(record.key());
                self.remove_order(scope, now, effects);
            }
            Stored::Shift { policy, .. } if self.shifts.contains_key(policy) => {
                self.end_here(record.key());
                self.end_shift(
                    policy,
                    "another one came, and the files do not go with it",
                    effects,
                );
            }
            Stored::WayBack { pool, family, .. } => {
                self.end_here(record.key());
                self.drop_way_back(&(pool.clone(), (*family).into()), effects);
            }
            _ => {}
        }
    }

    pub(super) fn drop_way_back(&mut self, side: &Side, effects: &mut Vec<Effect>) {
        if self.ways_back.remove(side).is_some() {
            self.changed.extend(self.pool_id(&side.0));
            self.tell_way_back(side, effects);
        }
    }

    fn take_order(&mut self, scope: Scope, order: Order, now: Now, effects: &mut Vec<Effect>) {
        let told = Occurrence::Ordered { scope: scope.clone(), order: order.clone() };
        effects.push(Effect::Record(told));
        let cause = Cause::Operator(format!("{scope} is {order}").into());
        let pools = self.pools_in(&scope);
        let before = self.orders.get(&scope).cloned();
        self.change(&pools, &cause, now, effects, |controller| {
            controller.orders.insert(scope, order.clone());
        });
        // What was disabled is probed again, and what is disabled now no more.
        let is_disabled = |order: &&Order| order.admin == Admin::Disabled;
        if let Some(order) = before.iter().chain([&order]).find(is_disabled) {
            self.probe_as_ordered(order, now, effects);
        }
    }

    fn tell_way_back(&self, (pool, family): &Side, effects: &mut Vec<Effect>) {
        let way = self.ways_back.get(&(pool.clone(), *family));
        let Some(id) = self.pool_id(pool) else { return };
        let Ok(model) = self.model() else { return };
        let failback = model.pools[id.index()].failback;
        let stage: Option<Stage> = way.map(|way| way.stage);
        let (pool, family) = (pool.clone(), *family);
        effects.push(Effect::Record(Occurrence::WayBack { pool, family, failback, stage }));
    }

    fn take_shed(&mut self, stored: Stored, effects: &mut Vec<Effect>) {
        let Stored::Shed { pool, .. } = &stored else { return };
        let pool = pool.clone();
        let level = |controller: &Self| {
            controller.sheds.get(&pool).map_or(0, |record| record.course.shedding.level)
        };
        let before = level(self);
        self.restore_record(stored);
        let (level, load) = (level(self), self.load_of(&pool));
        if level != before {
            let told = Occurrence::Shed { pool: pool.clone(), before, level, load };
            effects.push(Effect::Record(told));
        }
    }

    fn pool_id(&self, name: &str) -> Option<PoolId> {
        let pools = &self.model().ok()?.pools;
        pools.iter().position(|pool| *pool.name == *name).map(PoolId::at)
    }

    fn tell_cluster(&mut self, kind: NewsKind, effects: &mut Vec<Effect>) {
        let news = self.cluster.as_ref().map(|panel| panel.news_of_own(kind));
        effects.extend(news.map(|news| Effect::Record(Occurrence::Cluster(news))));
    }
}
