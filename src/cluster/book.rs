//! What every node said last.
//!
//! Values come late, twice and in any order. Of a node its latest life counts, of a topic its highest number, and nothing
//! else: so whoever has heard the same values knows the same, and what is stale never beats what is newer. Whether a node
//! lives is known by when its beats came, on this node's own monotonic clock. No wall clock is looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::NodeName;
use crate::cluster::Slot;
use crate::cluster::Topic;
use crate::cluster::beat::Beat;
use crate::cluster::frame::SLOTS_MAX;
use crate::cluster::lateness::Lateness;
use crate::model::BUS_NODES_MAX;

/// How long a node lives after a beat came, were it not late.
///
/// Source: design, section 5.10: 5 s after it was said, of which half a second is for the line.
pub const LIFE: Duration = Duration::from_millis(4_500);

/// How long it lives after the first beat that is heard of it: that may be what is left of a node which died long ago.
pub const FIRST_LIFE: Duration = Duration::from_secs(2);

/// Most nodes of which anything is kept: as many as a cluster may have, and as many that are not known yet.
const NODES_MAX: usize = 2 * BUS_NODES_MAX;

/// All that was heard.
#[derive(Debug, Default)]
pub struct Book {
    pages: BTreeMap<NodeName, Page>,
}

/// What one node said.
#[derive(Debug, Default)]
pub struct Page {
    generation: Option<Generation>,
    /// How many beats of this generation came.
    beats: u64,
    /// When the last came, or would have come were it not late.
    beat_at: Option<Duration>,
    beat: Beat,
    lateness: Lateness,
    /// The last value of each slot: votes on a shard by one layout take the place of those by another, as they do on their way.
    values: BTreeMap<Slot, Value>,
    round_trip: Option<Duration>,
    /// Since when there is no connection with it.
    unlinked_since: Option<Duration>,
}

/// The last value of a slot.
#[derive(Debug)]
struct Value {
    topic: Topic,
    sequence: u64,
    /// What was taken back is empty, so that it does not come back.
    words: Box<[u8]>,
}

/// What became of something that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was known, or is out of date.
    Nothing,
    /// The node lives, and says this of itself.
    Beat {
        /// What it said before.
        before: Beat,
        /// Whether it is another life: all that was said in the one before is forgotten.
        is_reborn: bool,
    },
    /// It says something else about a topic.
    Words {
        /// What it said before, and about which topic of that slot: the same one, or votes by another layout.
        before: Option<(Topic, Box<[u8]>)>,
        /// As with beats.
        is_reborn: bool,
    },
}

impl Page {
    /// Which of its lives is known.
    pub fn generation(&self) -> Option<Generation> {
        self.generation
    }

    /// Whether it is alive.
    pub fn is_alive(&self, now: Duration) -> bool {
        self.dies_at().is_some_and(|at| now < at)
    }

    /// Until when it is alive, if nothing more comes.
    pub fn dies_at(&self) -> Option<Duration> {
        let life = if self.beats > 1 { LIFE } else { FIRST_LIFE };
        self.beat_at.map(|at| at + life)
    }

    /// When its last beat came, or would have come were it not late.
    pub fn heard_at(&self) -> Option<Duration> {
        self.beat_at
    }

    /// What it says of itself.
    pub fn beat(&self) -> &Beat {
        &self.beat
    }

    /// What it says about a topic; empty if nothing.
    pub fn words(&self, topic: Topic) -> &[u8] {
        let value = self.values.get(&topic.place()).filter(|value| value.topic == topic);
        value.map_or(&[], |value| &value.words)
    }

    /// Topics of votes that it speaks about.
    pub fn votes(&self) -> impl Iterator<Item = Topic> {
        let is_said =
            |value: &&Value| matches!(value.topic, Topic::Votes { .. }) && !value.words.is_empty();
        self.values.values().filter(is_said).map(|value| value.topic)
    }

    /// The last round trip to it; `None` without a connection.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Since when there is no connection with it, if there is none.
    pub fn unlinked_since(&self) -> Option<Duration> {
        self.unlinked_since
    }

    /// Begins another life, if `generation` is later. False if it is out of date.
    fn enter(&mut self, generation: Generation) -> Option<bool> {
        match self.generation {
            Some(known) if generation < known => None,
            Some(known) if generation == known => Some(false),
            Some(_) | None => {
                self.begin_again(Some(generation));
                Some(true)
            }
        }
    }

    fn begin_again(&mut self, generation: Option<Generation>) {
        let (round_trip, unlinked_since) = (self.round_trip, self.unlinked_since);
        *self = Self { generation, round_trip, unlinked_since, ..Self::default() };
    }
}

impl Book {
    /// Takes in what was heard.
    pub fn hear(&mut self, heard: Heard, now: Duration) -> Change {
        let (Heard::Link { node, .. } | Heard::Value { node, .. } | Heard::Forgotten { node }) =
            &heard;
        if self.pages.len() >= NODES_MAX && !self.pages.contains_key(node) {
            return Change::Nothing;
        }
        match heard {
            Heard::Forgotten { node } => {
                if let Some(page) = self.pages.get_mut(&node) {
                    page.begin_again(None);
                }
                Change::Nothing
            }
            Heard::Link { node, round_trip } => {
                let page = self.pages.entry(node).or_default();
                page.note_link(round_trip, now);
                Change::Nothing
            }
            Heard::Value { node, generation, topic, sequence, payload } => {
                let page = self.pages.entry(node).or_default();
                page.note_link(page.round_trip, now);
                let Some(is_reborn) = page.enter(generation) else { return Change::Nothing };
                page.take(topic, sequence, payload, is_reborn, now)
            }
        }
    }

    /// Forgets all other nodes.
    pub fn retain(&mut self, is_kept: impl Fn(&NodeName) -> bool) {
        self.pages.retain(|node, _| is_kept(node));
    }

    /// What a node said; `None` if it was never heard of.
    pub fn page(&self, node: &NodeName) -> Option<&Page> {
        self.pages.get(node)
    }
}

impl Page {
    fn note_link(&mut self, round_trip: Option<Duration>, now: Duration) {
        self.round_trip = round_trip;
        self.unlinked_since = match round_trip {
            Some(_) => None,
            None => Some(self.unlinked_since.unwrap_or(now)),
        };
    }

    fn take(
        &mut self,
        topic: Topic,
        sequence: u64,
        payload: Box<[u8]>,
        is_reborn: bool,
        now: Duration,
    ) -> Change {
        let slot = topic.place();
        let known = self.values.get(&slot).map_or(0, |value| value.sequence);
        if sequence <= known {
            return Change::Nothing;
        }
        if topic == Topic::Beat {
            let Some(beat) = Beat::of_octets(&payload) else { return Change::Nothing };
            self.values.insert(slot, Value { topic, sequence, words: Box::default() });
            let Some(late) = self.lateness.observe(beat.said_at, now) else {
                return Change::Nothing;
            };
            let at = self.beat_at.unwrap_or_default().max(now.saturating_sub(late));
            (self.beats, self.beat_at) = (self.beats + 1, Some(at));
            let before = std::mem::replace(&mut self.beat, beat);
            return Change::Beat { before, is_reborn };
        }
        // More is a fault of the node, and the door lets it not in.
        if known == 0 && self.values.len() >= SLOTS_MAX {
            return Change::Nothing;
        }
        let before = self.values.insert(slot, Value { topic, sequence, words: payload });
        let before = before.map(|Value { topic, sequence: _, words }| (topic, words));
        Change::Words { before, is_reborn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::beat::Digests;
    use proptest::prelude::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn node() -> NodeName {
        NodeName::parse("sin-1").unwrap()
    }

    fn votes(shard: u64) -> Topic {
        Topic::Votes { layout: 7, shard }
    }

    fn value(generation: u64, topic: Topic, sequence: u64, payload: &[u8]) -> Heard {
        let (node, generation) = (node(), Generation(generation));
        Heard::Value { node, generation, topic, sequence, payload: payload.into() }
    }

    fn beat(generation: u64, sequence: u64) -> Heard {
        value(generation, Topic::Beat, sequence, &Beat::default().to_octets())
    }

    fn words(book: &Book, topic: Topic) -> Vec<u8> {
        book.page(&node()).map_or(Vec::new(), |page| page.words(topic).to_vec())
    }

    #[test]
    fn a_higher_number_counts_and_a_lower_one_does_not() {
        let mut book = Book::default();
        let new = Change::Words { before: None, is_reborn: true };
        assert_eq!(book.hear(value(5, votes(0), 2, &[2]), s(1)), new);
        assert_eq!(book.hear(value(5, votes(0), 1, &[1]), s(1)), Change::Nothing);
        assert_eq!(book.hear(value(5, votes(0), 2, &[9]), s(1)), Change::Nothing, "said twice");
        let next = Change::Words { before: Some((votes(0), [2].into())), is_reborn: false };
        assert_eq!(book.hear(value(5, votes(0), 3, &[3]), s(1)), next);
        assert_eq!(words(&book, votes(0)), [3]);
        assert_eq!(words(&book, votes(1)), [] as [u8; 0]);
    }

    #[test]
    fn what_was_taken_back_does_not_come_back() {
        let mut book = Book::default();
        book.hear(value(5, votes(0), 1, &[1]), s(1));
        book.hear(value(5, votes(0), 3, &[]), s(1));
        assert_eq!(book.page(&node()).unwrap().votes().count(), 0);
        assert_eq!(book.hear(value(5, votes(0), 2, &[2]), s(1)), Change::Nothing);
    }

    #[test]
    fn words_by_another_layout_take_the_place_of_those_before_however_often_that_happens() {
        let mut book = Book::default();
        let by = |layout, shard| Topic::Votes { layout, shard };
        for turn in 0..30 {
            for shard in 0..391 {
                let sequence = turn * 391 + shard + 1;
                let heard = value(5, by(turn, shard), sequence, &[turn as u8]);
                assert!(
                    matches!(book.hear(heard, s(turn)), Change::Words { .. }),
                    "{turn} {shard}"
                );
            }
        }
        assert_eq!(words(&book, by(29, 390)), [29]);
        assert_eq!(words(&book, by(28, 390)), [] as [u8; 0], "said by other files, and over");
        assert_eq!(book.page(&node()).unwrap().votes().count(), 391);
        let late = value(5, by(28, 0), 28 * 391 + 1, &[28]);
        assert_eq!(book.hear(late, s(40)), Change::Nothing);
        let before = Some((by(29, 0), [29].into()));
        let taken_back = book.hear(value(5, by(29, 0), 99_999, &[]), s(40));
        assert_eq!(taken_back, Change::Words { before, is_reborn: false });
    }

    #[test]
    fn the_largest_cluster_is_heard_whole_and_as_many_that_are_not_known_yet() {
        let mut book = Book::default();
        let name = |number: usize| NodeName::parse(&format!("n-{number}")).unwrap();
        for number in 0..300 {
            book.hear(Heard::Link { node: name(number), round_trip: None }, s(1));
        }
        assert!((0..300).all(|number| book.page(&name(number)).is_some()));
    }

    #[test]
    fn another_life_forgets_the_one_before_and_the_one_before_is_not_heard() {
        let mut book = Book::default();
        book.hear(value(5, votes(0), 9, &[1]), s(1));
        book.hear(beat(5, 1), s(1));
        book.hear(beat(5, 2), s(1));
        assert_eq!(book.hear(beat(4, 99), s(3)), Change::Nothing);
        assert!(matches!(book.hear(beat(6, 1), s(2)), Change::Beat { is_reborn: true, .. }));
        assert_eq!(words(&book, votes(0)), [] as [u8; 0], "no word of before");
        assert_eq!(book.hear(value(5, votes(0), 10, &[1]), s(2)), Change::Nothing);
        let page = book.page(&node()).unwrap();
        assert_eq!((page.generation(), page.dies_at()), (Some(Generation(6)), Some(s(4))));
    }

    #[test]
    fn a_node_lives_for_a_while_after_a_beat_and_for_two_seconds_after_the_first() {
        let mut book = Book::default();
        book.hear(value(5, votes(0), 1, &[1]), s(10));
        assert!(!book.page(&node()).unwrap().is_alive(s(10)), "words are no beats");
        book.hear(beat(5, 1), s(10));
        let alive =
            |book: &Book, ms| book.page(&node()).unwrap().is_alive(Duration::from_millis(ms));
        assert!(alive(&book, 11_999) && !alive(&book, 12_000));
        book.hear(beat(5, 2), s(12));
        assert!(alive(&book, 16_499) && !alive(&book, 16_500));
        book.hear(beat(5, 2), s(16));
        assert!(!alive(&book, 16_500), "the same beat once more is none");
    }

    #[test]
    fn a_beat_that_comes_late_gives_no_longer_life_than_one_that_comes_in_time() {
        let mut book = Book::default();
        let say = |second: u64| {
            let said = Beat { said_at: s(100 + second), ..Beat::default() };
            value(5, Topic::Beat, second, &said.to_octets())
        };
        let dies_at = |book: &Book| book.page(&node()).unwrap().dies_at();
        (1..=3).for_each(|second| drop(book.hear(say(second), s(second))));
        assert_eq!(dies_at(&book), Some(s(3) + LIFE));
        book.hear(say(4), s(7));
        assert_eq!(dies_at(&book), Some(s(4) + LIFE + Duration::from_millis(4)), "4 ms of drift");
        let late = book.hear(say(5), s(12));
        assert_eq!(late, Change::Nothing, "held back for 7 s, it proves nothing");
        assert!(!book.page(&node()).unwrap().is_alive(s(12)));
    }

    #[test]
    fn a_node_that_was_forgotten_may_be_in_any_life() {
        let mut book = Book::default();
        book.hear(value(u64::MAX, votes(0), 9, &[1]), s(1));
        book.hear(beat(u64::MAX, 10), s(1));
        assert_eq!(book.hear(beat(5, 1), s(1)), Change::Nothing, "a life that a thief invented");
        book.hear(Heard::Forgotten { node: node() }, s(1));
        assert!(!book.page(&node()).unwrap().is_alive(s(1)));
        assert!(matches!(book.hear(beat(5, 2), s(1)), Change::Beat { is_reborn: true, .. }));
        assert_eq!(words(&book, votes(0)), [] as [u8; 0]);
    }

    #[test]
    fn links_are_for_people() {
        let mut book = Book::default();
        let link = |round_trip| Heard::Link { node: node(), round_trip };
        assert_eq!(book.hear(link(Some(s(1))), s(1)), Change::Nothing);
        let page = book.page(&node()).unwrap();
        assert_eq!((page.round_trip(), page.is_alive(s(1))), (Some(s(1)), false));
        book.hear(beat(5, 1), s(2));
        book.hear(link(None), s(2));
        assert!(book.page(&node()).unwrap().is_alive(s(3)), "a lost link kills nobody");
    }

    #[test]
    fn a_node_that_never_stops_talking_fills_no_memory() {
        let mut book = Book::default();
        for shard in 0..u64::from(u16::MAX) {
            book.hear(value(5, votes(shard), 1, &[1]), s(1));
        }
        assert_eq!(book.page(&node()).unwrap().votes().count(), SLOTS_MAX);
        assert!(matches!(book.hear(value(5, votes(1), 2, &[2]), s(1)), Change::Words { .. }));
    }

    #[test]
    fn of_more_nodes_than_there_can_be_nothing_is_kept_until_others_are_forgotten() {
        let mut book = Book::default();
        let name = |number: usize| NodeName::parse(&format!("n-{number}")).unwrap();
        let link = |number| Heard::Link { node: name(number), round_trip: None };
        (0..NODES_MAX + 9).for_each(|number| drop(book.hear(link(number), s(1))));
        assert!(book.page(&name(NODES_MAX - 1)).is_some() && book.page(&name(NODES_MAX)).is_none());
        book.retain(|node| *node == name(3));
        assert!(book.page(&name(3)).is_some() && book.page(&name(4)).is_none());
        book.hear(link(NODES_MAX), s(1));
        assert!(book.page(&name(NODES_MAX)).is_some());
    }

    #[test]
    fn beats_that_are_none_are_not_heard() {
        let mut book = Book::default();
        assert_eq!(book.hear(value(5, Topic::Beat, 1, &[1, 2]), s(1)), Change::Nothing);
        assert!(!book.page(&node()).unwrap().is_alive(s(1)));
        let digests = Digests { config: 4, ..Digests::default() };
        let said = Beat { digests, ..Beat::default() };
        book.hear(value(5, Topic::Beat, 2, &said.to_octets()), s(1));
        assert_eq!(*book.page(&node()).unwrap().beat(), said);
    }

    proptest! {
        #[test]
        fn in_any_order_and_any_number_of_times_the_same_is_known(
            values in prop::collection::vec((1u64..4, 0u64..3, 1u64..6), 1..40),
            order in any::<u64>(),
        ) {
            // A node says one thing a number in each of its lives.
            let heard = |&(generation, shard, sequence): &(u64, u64, u64)| {
                let payload = [generation as u8, shard as u8, sequence as u8];
                value(generation, votes(shard), sequence, &payload)
            };
            let mut turned = values.clone();
            turned.extend(values.clone());
            let len = turned.len();
            for at in 0..len {
                turned.swap(at, (order.rotate_left(at as u32) % len as u64) as usize);
            }
            let (mut one, mut other) = (Book::default(), Book::default());
            values.iter().for_each(|value| drop(one.hear(heard(value), s(1))));
            turned.iter().for_each(|value| drop(other.hear(heard(value), s(1))));
            let latest = values.iter().map(|(generation, _, _)| *generation).max();
            for shard in 0..3 {
                let of = values.iter().filter(|value| Some(value.0) == latest && value.1 == shard);
                let highest = of.max_by_key(|value| value.2);
                let known = highest.map_or(Vec::new(), |&(a, b, c)| vec![a as u8, b as u8, c as u8]);
                prop_assert_eq!(words(&one, votes(shard)), known.clone());
                prop_assert_eq!(words(&other, votes(shard)), known);
            }
        }
    }
}
