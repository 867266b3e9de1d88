//! Records that all nodes share: what operators order, and what follows from it. The last writer counts.
//!
//! A record is said by whoever wrote it. If nobody who lives says it, one of those who know it does, so that it outlives its
//! writer and reaches nodes that come later. What was taken back is remembered for a while, or an old word would bring it back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::Digest;
use sha2::Sha256;

use crate::cluster::Generation;
use crate::cluster::NodeName;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::Say;
use crate::cluster::Topic;

/// How long it is remembered that a record was taken back, in seconds: 30 days.
///
/// A node that was away for longer brings back what it was never told the end of.
pub const GONE_KEPT_S: u64 = 30 * 86_400;

/// Most records, those that were taken back included.
pub const RECORDS_MAX: usize = 4096;

/// Highest version that is heard: more is none that nodes have counted to, and the end of all counting.
pub const VERSION_MAX: u64 = 1 << 62;

/// Up to this version each record counts on from all others. A higher one is invented and stands for its own record alone, or
/// one member could use up the versions of all.
pub const COUNTED_MAX: u64 = 1 << 48;

/// Which of two writings of a record counts: the one of the higher version, then that of the node whose name comes later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Above all that its writer had seen.
    pub version: u64,
    /// The writer.
    #[serde(with = "name")]
    pub node: NodeName,
}

/// A name of a node as text.
pub(crate) mod name {
    use serde::Deserialize as _;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    use crate::cluster::NodeName;

    pub(crate) fn serialize<S: Serializer>(
        name: &NodeName,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<NodeName, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        NodeName::parse(&text).ok_or_else(|| D::Error::custom("no name of a node"))
    }
}

/// One writing of a record, as it is said and kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Writing {
    /// What it is about.
    pub key: Box<str>,
    /// Whether it counts.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// When, in seconds since 1970; it decides nothing but when an end is forgotten.
    pub at_s: u64,
    /// What it says, as JSON; `None`: the record was taken back.
    pub value: Option<Box<RawValue>>,
}

impl Writing {
    /// What it says, as text.
    pub fn text(&self) -> Option<&str> {
        self.value.as_deref().map(RawValue::get)
    }

    /// Of two writings of a record the greater one counts. A node that was set back may use a stamp twice: then what it
    /// says decides, so that all nodes agree.
    fn rank(&self) -> (&Stamp, u64, Option<&str>) {
        (&self.stamp, self.at_s, self.text())
    }

    fn octets(&self) -> Option<Box<[u8]>> {
        let octets = serde_json::to_vec(self).ok()?;
        (octets.len() <= PAYLOAD_MAX).then(|| octets.into())
    }
}

impl PartialEq for Writing {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.rank() == other.rank()
    }
}

impl Eq for Writing {}

/// What came of a word on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is known, or older than what is known.
    Known,
    /// It counts from now on.
    Newer(Writing),
    /// It cannot be read, or there is no room for it.
    Refused(&'static str),
}

/// Why a record cannot be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotShared {
    /// It is longer than what nodes say at once.
    TooLong,
    /// There are too many.
    TooMany,
    /// Another node has written it under the highest version that there is.
    Outranked,
}

#[derive(Debug)]
struct Record {
    writing: Writing,
    /// Other nodes that say just this.
    speakers: BTreeSet<NodeName>,
    /// Whether this node says it.
    is_said: bool,
    /// How many looks in a row found nobody who says it.
    silent: u8,
}

/// All records that this node knows.
#[derive(Debug)]
pub struct Registry {
    own: NodeName,
    records: BTreeMap<Box<str>, Record>,
    /// In which life each node spoke last.
    lives: BTreeMap<NodeName, Generation>,
    /// Records that were written or heard since they were last taken.
    touched: BTreeSet<Box<str>>,
    /// First words of records that this version knows; none: it knows all.
    kinds: &'static [&'static str],
    /// What is taken back of records that had to make room.
    evicted: Vec<Say>,
}

impl Registry {
    /// One that knows nothing.
    pub fn new(own: NodeName) -> Self {
        Self::knowing(own, &[])
    }

    /// One whose records begin with one of these words; others are passed on, and make room first.
    pub fn knowing(own: NodeName, kinds: &'static [&'static str]) -> Self {
        let (records, lives, touched) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { own, records, lives, touched, kinds, evicted: Vec::new() }
    }

    /// What holds of a record.
    pub fn get(&self, key: &str) -> Option<&Writing> {
        self.records.get(key).map(|record| &record.writing)
    }

    /// What holds of every record.
    pub fn iter(&self) -> impl Iterator<Item = &Writing> {
        self.records.values().map(|record| &record.writing)
    }

    /// The highest version that was seen, of those that nodes have counted to.
    pub fn version(&self) -> u64 {
        let versions = self.records.values().map(|record| record.writing.stamp.version);
        versions.filter(|version| *version <= COUNTED_MAX).max().unwrap_or(0)
    }

    /// Writes a record, or takes it back, and returns what to say.
    ///
    /// # Errors
    ///
    /// If it is too long, there are too many, or what is written counts for more: then nothing is written.
    pub fn write(
        &mut self,
        key: &str,
        value: Option<Box<RawValue>>,
        version: u64,
        at_s: u64,
    ) -> Result<Say, NotShared> {
        self.make_room(key)?;
        let known = self.get(key).map_or(0, |known| known.stamp.version);
        let least = self.version().max(known).saturating_add(1);
        let version = version.min(COUNTED_MAX).max(least).min(VERSION_MAX);
        let stamp = Stamp { version, node: self.own.clone() };
        let writing = Writing { key: key.into(), stamp, at_s, value };
        let payload = writing.octets().ok_or(NotShared::TooLong)?;
        if self.get(key).is_some_and(|known| known.rank() > writing.rank()) {
            return Err(NotShared::Outranked);
        }
        let record = Record { writing, speakers: BTreeSet::new(), is_said: true, silent: 0 };
        self.records.insert(key.into(), record);
        self.touched.insert(key.into());
        Ok(Say { topic: topic_of(key), payload, urgent: true })
    }

    /// Takes up what was kept; it is said again by [`Self::adopt`], if nobody else does.
    pub fn restore(&mut self, writing: Writing) {
        let is_older = self.get(&writing.key).is_some_and(|known| known.rank() >= writing.rank());
        let is_counted = writing.stamp.version <= VERSION_MAX;
        if is_counted && !is_older && self.make_room(&writing.key).is_ok() {
            let key = writing.key.clone();
            let record = Record { writing, speakers: BTreeSet::new(), is_said: false, silent: 0 };
            self.records.insert(key, record);
        }
    }

    /// Takes in which life a node is in: in a new one it says nothing yet of what it said before.
    pub fn meet(&mut self, node: &NodeName, generation: Generation) {
        let known = self.lives.get(node).copied();
        if known == Some(generation) {
            return;
        }
        self.lives.insert(node.clone(), generation);
        if known.is_some() {
            for record in self.records.values_mut() {
                record.speakers.remove(node);
            }
        }
    }

    /// Takes in what a node says about a record; `says` gets what this node takes back for it.
    pub fn hear(
        &mut self,
        from: &NodeName,
        topic: Topic,
        payload: &[u8],
        says: &mut Vec<Say>,
    ) -> Word {
        if payload.is_empty() {
            self.hush(from, topic);
            return Word::Known;
        }
        let Ok(writing) = serde_json::from_slice::<Writing>(payload) else {
            return Word::Refused("it cannot be read");
        };
        if topic_of(&writing.key) != topic {
            return Word::Refused("it is about something else than it says");
        }
        if writing.stamp.version > VERSION_MAX {
            return Word::Refused("its version is above all that nodes count to");
        }
        if let Some(record) = self.records.get_mut(&writing.key) {
            match writing.rank().cmp(&record.writing.rank()) {
                std::cmp::Ordering::Less => {
                    record.speakers.remove(from);
                    return Word::Known;
                }
                std::cmp::Ordering::Equal => {
                    record.speakers.insert(from.clone());
                    return Word::Known;
                }
                std::cmp::Ordering::Greater => {}
            }
        } else if self.make_room(&writing.key).is_err() {
            return Word::Refused("there are too many records");
        }
        let record = Record {
            writing: writing.clone(),
            speakers: BTreeSet::from([from.clone()]),
            is_said: false,
            silent: 0,
        };
        let before = self.records.insert(writing.key.clone(), record);
        if before.is_some_and(|before| before.is_said) {
            says.push(unsaid(&writing.key));
        }
        self.touched.insert(writing.key.clone());
        Word::Newer(writing)
    }

    /// A node says nothing about a topic any more.
    fn hush(&mut self, from: &NodeName, topic: Topic) {
        if let Some((_, record)) = self.records.iter_mut().find(|(key, _)| topic_of(key) == topic) {
            record.speakers.remove(from);
        }
    }

    /// Says the records that no living node says, if that is this node's part: its own, and of others those for which it comes
    /// first among the living. Whoever comes first may not know the record, or only what it was before: what is not said at
    /// the second look either, all say who know it.
    pub fn adopt(&mut self, living: &BTreeSet<NodeName>) -> Vec<Say> {
        let mut says = std::mem::take(&mut self.evicted);
        for (key, record) in &mut self.records {
            record.speakers.retain(|node| living.contains(node));
            if record.is_said || !record.speakers.is_empty() {
                record.silent = 0;
                continue;
            }
            record.silent = record.silent.saturating_add(1);
            let is_own = record.writing.stamp.node == self.own;
            if !is_own && record.silent < 2 && first_of(key, living) != Some(&self.own) {
                continue;
            }
            if let Some(payload) = record.writing.octets() {
                record.is_said = true;
                says.push(Say { topic: topic_of(key), payload, urgent: false });
            }
        }
        says
    }

    /// Forgets what was taken back long ago, and what has ended long ago by itself: `over`.
    pub fn forget_old(&mut self, now_s: u64, over: Vec<Box<str>>) -> Vec<Say> {
        let is_old = |record: &Record| {
            let writing = &record.writing;
            writing.value.is_none() && now_s > writing.at_s.saturating_add(GONE_KEPT_S)
        };
        let old = self.records.iter().filter(|(_, record)| is_old(record));
        let mut old: Vec<Box<str>> = old.map(|(key, _)| key.clone()).collect();
        old.extend(over);
        let mut says = Vec::new();
        for key in old {
            if self.records.remove(&key).is_some_and(|record| record.is_said) {
                says.push(unsaid(&key));
            }
            self.touched.insert(key);
        }
        says
    }

    /// Keys of records that changed since the last time, with what holds now; `None`: forgotten.
    pub fn take_touched(&mut self) -> Vec<(Box<str>, Option<Writing>)> {
        let touched = std::mem::take(&mut self.touched);
        let with_writing = |key: Box<str>| {
            let writing = self.get(&key).cloned();
            (key, writing)
        };
        touched.into_iter().map(with_writing).collect()
    }

    /// Has everything kept once more.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.records.keys().cloned());
    }

    /// Whether only a later version knows what a record is about, or nobody does.
    fn is_strange(&self, key: &str) -> bool {
        let kind = key.split(' ').next().unwrap_or_default();
        !self.kinds.is_empty() && !self.kinds.contains(&kind)
    }

    /// Makes room for a record: what this version does not know is forgotten first, then the end that was written first. For
    /// what it does not know nothing is.
    fn make_room(&mut self, key: &str) -> Result<(), NotShared> {
        if self.records.contains_key(key) || self.records.len() < RECORDS_MAX {
            return Ok(());
        }
        if self.is_strange(key) {
            return Err(NotShared::TooMany);
        }
        let ranks = self.records.values().filter_map(|Record { writing, .. }| {
            let is_known = !self.is_strange(&writing.key);
            let may_go = !is_known || writing.value.is_none();
            may_go.then(|| (is_known, writing.at_s, writing.key.clone()))
        });
        let (.., gone) = ranks.min().ok_or(NotShared::TooMany)?;
        if self.records.remove(&gone).is_some_and(|record| record.is_said) {
            self.evicted.push(unsaid(&gone));
        }
        self.touched.insert(gone);
        Ok(())
    }
}

/// Says nothing any more about a record.
fn unsaid(key: &str) -> Say {
    Say { topic: topic_of(key), payload: Box::default(), urgent: false }
}

/// The topic of a record.
pub fn topic_of(key: &str) -> Topic {
    let digest = Sha256::digest(key);
    Topic::Record { id: digest[..16].iter().fold(0, |id, octet| id << 8 | u128::from(*octet)) }
}

/// Who of some nodes comes first for a record: rendezvous, so that each has its share.
pub fn first_of<'a>(key: &str, nodes: &'a BTreeSet<NodeName>) -> Option<&'a NodeName> {
    let score = |node: &&NodeName| {
        Sha256::new().chain_update(key).chain_update([0]).chain_update(node.as_str()).finalize()
    };
    nodes.iter().max_by_key(score)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_node_said_before_its_restart_is_said_by_another_if_it_says_it_no_more() {
        let (mut one, mut other) = (Registry::new(node("a")), Registry::new(node("b")));
        let said = other.write("order x", json("1"), 1, 9).unwrap();
        one.meet(&node("b"), Generation(1));
        one.hear(&node("b"), said.topic, &said.payload, &mut Vec::new());
        let living = BTreeSet::from([node("a"), node("b")]);
        assert!(one.adopt(&living).is_empty(), "b says it");
        one.meet(&node("b"), Generation(1));
        assert!(one.adopt(&living).is_empty(), "it still does");
        // The new b has lost its disk, and does not know of the record.
        one.meet(&node("b"), Generation(2));
        let first = first_of("order x", &living) == Some(&node("a"));
        assert_eq!(one.adopt(&living).len(), usize::from(first));
        assert_eq!(one.adopt(&living).len(), usize::from(!first), "b comes first and is silent");
    }

    fn node(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn json(text: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(format!("{text:?}")).unwrap())
    }

    fn living(names: &[&str]) -> BTreeSet<NodeName> {
        names.iter().map(|name| node(name)).collect()
    }

    /// What one says, heard by another.
    fn tell(from: &str, say: &Say, to: &mut Registry) -> (Word, Vec<Say>) {
        let mut says = Vec::new();
        (to.hear(&node(from), say.topic, &say.payload, &mut says), says)
    }

    #[test]
    fn the_last_writer_counts_and_of_two_at_once_the_later_name() {
        let (mut a, mut b) = (Registry::new(node("a")), Registry::new(node("b")));
        let first = a.write("order pool:eu", json("drained"), 0, 5).unwrap();
        assert!(matches!(tell("a", &first, &mut b).0, Word::Newer(_)));
        assert_eq!(tell("a", &first, &mut b).0, Word::Known, "it comes twice");
        let back = b.write("order pool:eu", None, 0, 6).unwrap();
        let (word, says) = tell("b", &back, &mut a);
        assert!(matches!(word, Word::Newer(Writing { value: None, .. })));
        assert!(says[0].payload.is_empty(), "what it had said is taken back");
        assert_eq!(tell("a", &first, &mut b).0, Word::Known, "an old word comes late");
        assert_eq!(a.get("order pool:eu"), b.get("order pool:eu"));

        // Both write at once.
        let ours = a.write("order pool:us", json("drained"), 0, 7).unwrap();
        let theirs = b.write("order pool:us", json("disabled"), 0, 7).unwrap();
        tell("b", &theirs, &mut a);
        assert_eq!(tell("a", &ours, &mut b).0, Word::Known);
        assert_eq!(a.get("order pool:us").unwrap().text(), Some("\"disabled\""));
        assert_eq!(a.get("order pool:us"), b.get("order pool:us"));
    }

    #[test]
    fn a_record_outlives_its_writer() {
        let (mut b, mut c) = (Registry::new(node("b")), Registry::new(node("c")));
        let said = Registry::new(node("a")).write("shift canary", json("5%"), 0, 5).unwrap();
        tell("a", &said, &mut b);
        tell("a", &said, &mut c);
        let all = living(&["a", "b", "c"]);
        assert!(b.adopt(&all).is_empty() && c.adopt(&all).is_empty(), "its writer says it");
        let rest = living(&["b", "c"]);
        let (by_b, by_c) = (b.adopt(&rest), c.adopt(&rest));
        assert_eq!(by_b.len() + by_c.len(), 1, "one of the two says it");
        let mut late = Registry::new(node("d"));
        let (word, _) = tell("b", by_b.iter().chain(&by_c).next().unwrap(), &mut late);
        assert!(matches!(word, Word::Newer(_)));
        assert_eq!(late.get("shift canary").unwrap().stamp.node, node("a"));
        // The other one hears it.
        by_b.iter().for_each(|say| drop(tell("b", say, &mut c)));
        by_c.iter().for_each(|say| drop(tell("c", say, &mut b)));
        assert!(b.adopt(&rest).is_empty() && c.adopt(&rest).is_empty(), "once");
    }

    #[test]
    fn what_a_node_kept_it_says_again_unless_it_was_overtaken() {
        let mut a = Registry::new(node("a"));
        a.write("order pool:eu", json("drained"), 0, 5).unwrap();
        let (_, kept) = a.take_touched().remove(0);
        let mut again = Registry::new(node("a"));
        again.restore(kept.clone().unwrap());
        assert!(again.take_touched().is_empty());
        assert_eq!(again.adopt(&living(&["a", "b"])).len(), 1);

        let mut b = Registry::new(node("b"));
        b.restore(kept.unwrap());
        let back = b.write("order pool:eu", None, 0, 9).unwrap();
        let (word, says) = tell("b", &back, &mut again);
        assert!(matches!(word, Word::Newer(_)) && says.len() == 1);
    }

    /// What a member says that invents a version.
    fn invented(key: &str, version: u64, by: &str) -> Say {
        let stamp = Stamp { version, node: node(by) };
        let writing = Writing { key: key.into(), stamp, at_s: 1, value: json("x") };
        Say { topic: topic_of(key), payload: writing.octets().unwrap(), urgent: false }
    }

    #[test]
    fn a_version_that_a_member_invents_counts_for_its_record_and_for_no_other() {
        let mut a = Registry::new(node("a"));
        let refused = Word::Refused("its version is above all that nodes count to");
        assert_eq!(tell("z", &invented("order x", u64::MAX, "z"), &mut a).0, refused);
        assert_eq!(tell("z", &invented("order x", VERSION_MAX + 1, "z"), &mut a).0, refused);
        tell("z", &invented("order x", COUNTED_MAX + 1, "z"), &mut a);
        assert_eq!(a.version(), 0);
        a.write("order y", json("drained"), u64::MAX, 2).unwrap();
        assert_eq!(a.get("order y").unwrap().stamp.version, COUNTED_MAX, "as far as it goes");
        a.write("order y", json("up"), 1, 3).unwrap();
        assert_eq!(a.get("order y").unwrap().stamp.version, COUNTED_MAX + 1);
        a.write("order x", json("ours"), 1, 3).unwrap();
        assert_eq!(a.get("order x").unwrap().stamp.version, COUNTED_MAX + 2, "it can be mended");
    }

    #[test]
    fn a_record_under_the_highest_version_is_told_of_and_does_not_wrap() {
        let mut a = Registry::new(node("a"));
        tell("z", &invented("order x", VERSION_MAX, "z"), &mut a);
        assert_eq!(a.write("order x", json("ours"), 1, 9), Err(NotShared::Outranked));
        assert_eq!(a.get("order x").unwrap().text(), Some("\"x\""));
        let mut later = Registry::new(node("zz"));
        tell("z", &invented("order x", VERSION_MAX, "z"), &mut later);
        assert!(later.write("order x", json("ours"), 1, 9).is_ok(), "a later name counts");
        assert_eq!(later.get("order x").unwrap().stamp.version, VERSION_MAX);
        let mut kept = Registry::new(node("a"));
        let Ok(writing) = serde_json::from_slice(&invented("order x", u64::MAX, "z").payload)
        else {
            panic!("it is one")
        };
        kept.restore(writing);
        assert!(kept.get("order x").is_none(), "an earlier version of rhumb kept it");
    }

    #[test]
    fn records_of_a_kind_that_nobody_knows_make_room_first_and_push_nothing_out() {
        let mut a = Registry::knowing(node("a"), &["order"]);
        a.write("order gone", None, 0, 1).unwrap();
        for number in 1..RECORDS_MAX {
            tell("z", &invented(&format!("junk {number}"), 1, "z"), &mut a);
        }
        let more = tell("z", &invented("junk more", 1, "z"), &mut a).0;
        assert_eq!(more, Word::Refused("there are too many records"));
        assert_eq!(a.adopt(&living(&["a"])).len(), RECORDS_MAX - 1, "all are passed on");
        for number in 0..100 {
            a.write(&format!("order {number}"), json("drained"), 0, 2).unwrap();
        }
        assert!(a.get("order gone").is_some(), "what was taken back does not come back for junk");
        assert!((0..100).all(|number| a.get(&format!("order {number}")).is_some()));
        assert_eq!(a.adopt(&living(&["a"])).len(), 100, "what made room is taken back");
    }

    #[test]
    fn an_end_is_remembered_for_a_month_and_makes_room_before() {
        let mut a = Registry::new(node("a"));
        a.write("order pool:eu", json("drained"), 0, 100).unwrap();
        a.write("order pool:eu", None, 0, 200).unwrap();
        assert!(a.forget_old(200 + GONE_KEPT_S, Vec::new()).is_empty());
        assert_eq!(a.forget_old(201 + GONE_KEPT_S, Vec::new()), [unsaid("order pool:eu")]);
        assert!(a.get("order pool:eu").is_none());
        for number in 0..RECORDS_MAX {
            a.write(&format!("order {number}"), json("drained"), 0, 300).unwrap();
        }
        assert_eq!(a.write("one more", json("x"), 0, 300), Err(NotShared::TooMany));
        a.write("order 7", None, 0, 301).unwrap();
        assert!(a.write("one more", json("x"), 0, 302).is_ok());
        assert!(a.get("order 7").is_none());
    }

    #[test]
    fn what_is_too_long_is_not_written_and_what_cannot_be_read_not_heard() {
        let mut a = Registry::new(node("a"));
        let long = "x".repeat(PAYLOAD_MAX);
        assert_eq!(a.write("order pool:eu", json(&long), 0, 5), Err(NotShared::TooLong));
        assert!(a.get("order pool:eu").is_none() && a.take_touched().is_empty());
        let said = Registry::new(node("b")).write("order pool:eu", json("x"), 0, 5).unwrap();
        let other = Say { topic: topic_of("order pool:us"), ..said.clone() };
        assert!(matches!(tell("b", &other, &mut a).0, Word::Refused(_)));
        for cut in 1..said.payload.len() {
            let part = Say { payload: said.payload[..cut].into(), ..said.clone() };
            assert!(matches!(tell("b", &part, &mut a).0, Word::Refused(_)), "{cut}");
        }
    }

    proptest! {
        /// Whatever is written where, and in whatever order it is heard, all end with the same.
        #[test]
        fn all_nodes_end_with_the_same(
            writes in prop::collection::vec((0usize..3, 0u8..4, prop::option::of(0u8..9)), 1..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 90),
        ) {
            let names = ["a", "b", "c"];
            let mut nodes: Vec<Registry> = names.map(|name| Registry::new(node(name))).into();
            let mut mail: Vec<(usize, usize, Say)> = Vec::new();
            for (turn, (who, key, value)) in writes.into_iter().enumerate() {
                let value = value.and_then(|value| json(&value.to_string()));
                let say = nodes[who].write(&format!("k{key}"), value, 0, turn as u64).unwrap();
                for other in (0..3).filter(|other| *other != who) {
                    mail.push((who, other, say.clone()));
                }
                // Some of the mail arrives before the next is written.
                if let Some(index) = order.get(turn) {
                    let (from, to, say) = mail.remove(index.index(mail.len()));
                    tell(names[from], &say, &mut nodes[to]);
                }
            }
            for index in order {
                if mail.is_empty() {
                    break;
                }
                let (from, to, say) = mail.remove(index.index(mail.len()));
                tell(names[from], &say, &mut nodes[to]);
            }
            for (from, to, say) in mail {
                tell(names[from], &say, &mut nodes[to]);
            }
            for key in 0..4 {
                let key = format!("k{key}");
                prop_assert_eq!(nodes[0].get(&key), nodes[1].get(&key));
                prop_assert_eq!(nodes[1].get(&key), nodes[2].get(&key));
            }
        }
    }
}
