//! Keeps what counts here and what the cluster knows alike.
//!
//! The registry says which records there are. One may end at this node alone, without a word to the others: its files do not go
//! with it, or its clock says that it is over. It counts again once files and clock are right. What each node notes by itself and
//! one says for all, the others follow, as with the brake.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::value::to_raw_value;

use crate::cluster::NodeName;
use crate::cluster::registry::GONE_KEPT_S;
use crate::cluster::registry::Writing;
use crate::cluster::registry::first_of;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Shift;
use crate::control::cluster::records::desk;
use crate::control::cluster::records::is_same;
use crate::control::failback::Stage;
use crate::control::stored::Change;
use crate::control::stored::Stored;
use crate::control::stored::last_good_key;
use crate::control::stored::order_key;
use crate::control::stored::shift_key;
use crate::control::stored::way_back_key;
use crate::model::Failback;
use crate::model::Family;
use crate::model::Now;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So long must a difference last before anything is done: by then who writes for all has heard the same, and has said it.
const SETTLED: Duration = Duration::from_secs(3);

/// How long a record is kept after its time is over, in seconds: as long as an end.
const OVER_KEPT_S: u64 = GONE_KEPT_S;

/// What is known of differences.
#[derive(Debug, Default)]
pub(super) struct Accord {
    /// Keys that ended here since the last time that changes were said, and that are not to be said.
    ended_here: BTreeSet<Box<str>>,
    /// Since when what counts here differs from what is known.
    since: BTreeMap<Box<str>, Duration>,
    next_look: Duration,
}

/// What is to be done about a difference.
#[derive(Debug)]
enum Step {
    /// It counts here, too.
    Take(Writing),
    /// It counts here no more.
    Drop,
    /// All are told what counts here.
    Say(Stored),
    /// It ends everywhere: nobody's files go with it.
    End,
}

impl Controller {
    /// Notes that a record has ended at this node alone: its end is no news to others.
    pub(in crate::control) fn end_here(&mut self, key: String) {
        if let Some(records) = &mut self.records {
            records.accord.ended_here.insert(key.into());
        }
    }

    /// Keys that ended at this node alone since the last time.
    pub(super) fn take_ended_here(&mut self) -> BTreeSet<Box<str>> {
        let accord = self.records.as_mut().map(|records| &mut records.accord);
        accord.map(|accord| std::mem::take(&mut accord.ended_here)).unwrap_or_default()
    }

    /// Who writes for all about something, if anybody lives.
    fn scribe_of(&self, key: &str) -> Option<NodeName> {
        first_of(desk(key), &self.living_servers()).cloned()
    }

    /// Whether a node says that it has the files that this one has.
    fn has_our_files(&self, node: &NodeName) -> bool {
        let Some(panel) = &self.cluster else { return false };
        let own = self.digests_of_parts().config;
        let said = panel.book.page(node).map(|page| page.beat().digests.config);
        own != 0 && (node == panel.own_name() || said == Some(own))
    }

    /// Whether the files in force here go with a record.
    pub(super) fn goes_with_files(&self, record: &Stored) -> bool {
        let Ok(model) = self.model() else { return false };
        match record {
            Stored::Shift { .. } => {
                let shift = Shift::of_form(record.clone());
                shift.is_some_and(|(policy, shift)| shift.place_in(model, &policy).is_ok())
            }
            Stored::WayBack { pool, family, ramp, .. } => {
                let stage = if ramp.is_some() { RAMP } else { Stage::Away };
                let has_side = |id| self.qualifies(id)[Family::from(*family).index()];
                self.is_way_back_of_files(pool, stage)
                    && model.find_pool(pool).and_then(has_side).is_some()
            }
            Stored::LastGood { pool, .. } => model.find_pool(pool).is_some(),
            _ => true,
        }
    }

    /// When a record is over by itself, in time since 1970.
    pub(super) fn ends_at(&self, record: &Stored) -> Option<Duration> {
        match record {
            Stored::Order { until_ms, .. } | Stored::Shift { until_ms, .. } => {
                until_ms.map(Duration::from_millis)
            }
            Stored::WayBack { pool, ramp: Some((since_ms, _)), .. } => {
                let model = self.model().ok()?;
                let pool = &model.pools[model.find_pool(pool)?.index()];
                match pool.failback {
                    Failback::Ramp(over) => Some(Duration::from_millis(*since_ms) + over),
                    Failback::Auto | Failback::Manual => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a record counts at a node with these files at this time.
    pub(super) fn counts_here(&self, record: &Stored, now: Now) -> bool {
        self.goes_with_files(record) && self.ends_at(record).is_none_or(|end| now.unix < end)
    }

    /// Keys of records whose time was over so long ago that they may be forgotten.
    pub(super) fn over_for_long(&self, now_s: u64) -> Vec<Box<str>> {
        let Some(records) = &self.records else { return Vec::new() };
        let is_over = |writing: &&Writing| {
            let end = record_of(writing).and_then(|record| self.ends_at(&record));
            end.is_some_and(|end| now_s > end.as_secs().saturating_add(OVER_KEPT_S))
        };
        let over = records.registry.iter().filter(is_over);
        over.map(|writing| writing.key.clone()).collect()
    }

    /// The same number on every node at which the same records count; never 0.
    pub(super) fn records_digest(&self, now: Now) -> u64 {
        let Some(records) = &self.records else { return 0 };
        let here = self.records_here();
        let mut sum = fingerprint("", 0, "", true);
        let mut known = BTreeSet::new();
        for writing in records.registry.iter().filter(|writing| writing.value.is_some()) {
            let record = record_of(writing);
            let end = record.as_ref().and_then(|record| self.ends_at(record));
            if end.is_some_and(|end| end <= now.unix) {
                continue;
            }
            let counts = record.is_none_or(|record| match &record {
                Stored::Order { .. } | Stored::Shift { .. } => {
                    let own = here.get(&*writing.key);
                    own.is_some_and(|own| is_same(own, &record))
                }
                _ => true,
            });
            let (version, node) = (writing.stamp.version, writing.stamp.node.as_str());
            sum = sum.wrapping_add(fingerprint(&writing.key, version, node, counts));
            known.insert(&*writing.key);
        }
        // What counts here alone.
        let alone = here.keys().filter(|key| !known.contains(&***key));
        let sum = alone.fold(sum, |sum, key| sum.wrapping_add(fingerprint(key, 0, "", true)));
        sum.max(1)
    }

    /// Orders and shifts that count here, by key.
    fn records_here(&self) -> BTreeMap<String, Stored> {
        let orders = self.orders.iter();
        let mut here: BTreeMap<String, Stored> =
            orders.map(|(scope, order)| (order_key(scope), Stored::order(scope, order))).collect();
        for (policy, shift) in self.shifts.iter() {
            here.insert(shift_key(policy), Stored::shift(policy, shift));
        }
        here
    }

    /// Makes what counts here and what is known alike, where they have differed for a while.
    pub(super) fn advance_accord(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let is_loaded = self.snapshot.is_some();
        let Some(records) = self.records.as_mut().filter(|_| is_loaded) else { return };
        if now.monotonic < records.accord.next_look {
            return;
        }
        records.accord.next_look = now.monotonic + LOOK_EVERY;
        let steps = self.differences(now);
        let Some(Accord { since, .. }) = self.records.as_mut().map(|records| &mut records.accord)
        else {
            return;
        };
        since.retain(|key, _| steps.contains_key(key));
        let mut due = Vec::new();
        for (key, step) in steps {
            let begun = *since.entry(key.clone()).or_insert(now.monotonic);
            if now.monotonic >= begun + SETTLED {
                since.remove(&key);
                due.push((key, step));
            }
        }
        for (key, step) in due {
            self.do_step(&key, step, now, effects);
        }
    }

    fn do_step(&mut self, key: &str, step: Step, now: Now, effects: &mut Vec<Effect>) {
        match step {
            Step::Take(writing) => self.take_writing(&writing, now, effects),
            Step::Drop => {
                self.end_here(key.into());
                self.end_noted(key, effects);
            }
            Step::Say(record) => {
                let value = to_raw_value(&record).ok();
                if self.is_worth_it(&Change { key: key.into(), value: Some(record) }) {
                    self.say_record(key, value, now, effects);
                }
            }
            Step::End => self.say_record(key, None, now, effects),
        }
    }

    /// What differs now.
    fn differences(&self, now: Now) -> BTreeMap<Box<str>, Step> {
        let mut steps = BTreeMap::new();
        let Some(records) = &self.records else { return steps };
        let here = self.keys_here();
        for writing in records.registry.iter() {
            let Some(record) = record_of(writing) else { continue };
            let is_here = here.contains(&*writing.key);
            let counts = self.counts_here(&record, now);
            if counts && !is_here {
                steps.insert(writing.key.clone(), Step::Take(writing.clone()));
            } else if !is_here && !self.goes_with_files(&record) && self.all_have_our_files(writing)
            {
                steps.insert(writing.key.clone(), Step::End);
            }
        }
        let ways = self.ways_back.iter().map(|(side, way)| Stored::way_back(side, way));
        let memories = self.remembered.iter().map(|(side, one)| Stored::last_good(side, one));
        for own in ways.chain(memories) {
            let key = own.key();
            let known = records.registry.get(&key);
            let record = known.and_then(record_of).filter(|record| self.counts_here(record, now));
            if record.as_ref().is_some_and(|record| is_same(record, &own)) {
                continue;
            }
            // Who has other files may see another pool.
            let Some(scribe) = self.scribe_of(&key).filter(|scribe| self.has_our_files(scribe))
            else {
                continue;
            };
            let is_scribe = self.is_own_name(&scribe);
            let step = match (known, record.is_some(), &own) {
                // There may be no room for it.
                (None, _, Stored::LastGood { .. }) => continue,
                _ if is_scribe => Step::Say(own),
                (Some(writing), true, _) => Step::Take(writing.clone()),
                (None | Some(_), _, _) => Step::Drop,
            };
            steps.insert(key.into(), step);
        }
        steps
    }

    /// Whether this node writes for all about a record, and all servers that live have its files.
    fn all_have_our_files(&self, writing: &Writing) -> bool {
        let living = self.living_servers();
        self.scribe_of(&writing.key).is_some_and(|scribe| self.is_own_name(&scribe))
            && living.iter().all(|node| self.has_our_files(node))
    }

    fn is_own_name(&self, node: &NodeName) -> bool {
        self.cluster.as_ref().is_some_and(|panel| panel.own_name() == node)
    }

    /// Keys of what counts here.
    fn keys_here(&self) -> BTreeSet<String> {
        let orders = self.orders.keys().map(order_key);
        let shifts = self.shifts.keys().map(|policy| shift_key(policy));
        let sides = self.ways_back.keys().map(way_back_key);
        let sides = sides.chain(self.remembered.keys().map(last_good_key));
        orders.chain(shifts).chain(sides).collect()
    }
}

/// FNV-1a of a record as it counts.
fn fingerprint(key: &str, version: u64, node: &str, counts: bool) -> u64 {
    let texts = key.bytes().chain([0]).chain(node.bytes()).chain([0, u8::from(counts)]);
    texts.chain(version.to_be_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A ramp at its beginning.
const RAMP: Stage = Stage::Ramp { since: Duration::ZERO, tenths: 0 };

/// What a writing says, if it is of those that all nodes keep alike.
pub(super) fn record_of(writing: &Writing) -> Option<Stored> {
    let kind = writing.key.split(' ').next().unwrap_or_default();
    if !matches!(kind, "order" | "shift" | "way_back" | "last_good") {
        return None;
    }
    let record: Stored = serde_json::from_str(writing.text()?).ok()?;
    (record.key() == *writing.key).then_some(record)
}
