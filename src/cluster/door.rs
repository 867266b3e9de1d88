//! What is let in of what others send: nothing but what the node in whose name it is has signed. The newest value of each
//! slot is kept, and summed up, so that two nodes find out cheaply what one of them lacks.
//!
//! A member may relay, hold back and repeat; it cannot invent a value, a version, or a life of another node. What is
//! refused goes no further from here, so that it does not spread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::cluster::envelope::Envelope;
use crate::cluster::envelope::Origin;
use crate::cluster::envelope::Refused;
use crate::cluster::frame::Have;
use crate::cluster::frame::NODES_MAX;
use crate::cluster::frame::Pushed;
use crate::cluster::frame::SLOTS_MAX;
use crate::cluster::frame::Sum;
use crate::cluster::membership::Member;
use crate::cluster::membership::Membership;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::node::Role;
use crate::cluster::topic::Slot;
use crate::cluster::topic::Topic;

/// Octets of values of a node, at most: a hundred times what votes and round-trip times on 50,000 targets take, as records may
/// be of 6 KB.
pub const OCTETS_MAX: usize = 8 * 1024 * 1024;

/// How much was refused of what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Values of nodes that are no members.
    pub stranger: u64,
    /// Values without form, or too long.
    pub malformed: u64,
    /// Values that nobody has signed who may.
    pub unsigned: u64,
    /// Values that an agent may not say.
    pub forbidden: u64,
    /// Values beyond the most that a node may have.
    pub excess: u64,
}

impl Refusals {
    /// All of them.
    pub fn sum(&self) -> u64 {
        let Self { stranger, malformed, unsigned, forbidden, excess } = self;
        stranger + malformed + unsigned + forbidden + excess
    }

    /// Adds what was refused elsewhere.
    pub fn add(&mut self, other: Self) {
        let Self { stranger, malformed, unsigned, forbidden, excess } = other;
        self.stranger += stranger;
        self.malformed += malformed;
        self.unsigned += unsigned;
        self.forbidden += forbidden;
        self.excess += excess;
    }
}

/// Judges what comes, and keeps what it has let in.
#[derive(Debug)]
pub struct Door {
    members: Arc<Membership>,
    pages: BTreeMap<NodeName, Page>,
}

/// What is kept of a node: of its latest life, the newest value of each slot.
#[derive(Debug)]
struct Page {
    generation: Generation,
    /// The node's name as a number.
    number: u64,
    /// Of all values that last; 0 if there are none.
    sum: u64,
    octets: usize,
    beat_at: Option<Duration>,
    kept: BTreeMap<Slot, Kept>,
}

#[derive(Debug)]
struct Kept {
    topic: Topic,
    /// The slot's number.
    number: u64,
    sequence: u64,
    sealed: Arc<[u8]>,
}

impl Kept {
    /// What it adds to the sum of its node.
    fn share(&self) -> u64 {
        if self.topic.is_fleeting() { 0 } else { mix(self.number, self.sequence) }
    }
}

impl Door {
    /// A door that lets in members of `members`.
    pub fn new(members: Arc<Membership>) -> Self {
        Self { members, pages: BTreeMap::new() }
    }

    /// Who is let in.
    pub fn members(&self) -> &Membership {
        &self.members
    }

    /// The members change. What is of nobody any more is forgotten, and what was signed by a key that counts no more. Returns
    /// the nodes of which nothing is left, so that their lives do not count either.
    pub fn follow(&mut self, members: Arc<Membership>) -> Vec<NodeName> {
        let before = std::mem::replace(&mut self.members, Arc::clone(&members));
        let mut gone = Vec::new();
        self.pages.retain(|node, page| {
            if node != members.own() && members.find(node) != before.find(node) {
                page.judge_again(members.cluster(), node, members.find(node));
            }
            if page.kept.is_empty() {
                gone.push(node.clone());
            }
            !page.kept.is_empty()
        });
        gone
    }

    /// Forgets what others said: what this node said is left.
    pub fn forget_others(&mut self) {
        let own = self.members.own();
        self.pages.retain(|node, _| node == own);
    }

    /// Keeps what this node says; false if that is too much.
    pub fn say(
        &mut self,
        generation: Generation,
        topic: Topic,
        sequence: u64,
        sealed: Arc<[u8]>,
    ) -> bool {
        let own = self.members.own().clone();
        // Two tasks that say something about one topic may come here in the other order.
        let is_later = |page: &Page| page.find(topic).is_some_and(|kept| kept.sequence > sequence);
        if self.pages.get(&own).is_some_and(is_later) {
            return true;
        }
        self.keep(&own, generation, Kept::new(topic, sequence, sealed)).is_ok()
    }

    /// Opens a value that came in a node's name, and keeps it; `None` if it is not news.
    pub fn open(
        &mut self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
        now: Duration,
    ) -> Result<Option<Envelope>, Refusals> {
        // What others say of this node is no news to it, and what is known need not be verified again.
        if node == self.members.own() || self.is_old(node, generation, sealed) {
            return Ok(None);
        }
        let envelope = self.verify(node, generation, sealed)?;
        let kept = Kept::new(envelope.topic, envelope.sequence, sealed.into());
        let page = self
            .keep(node, generation, kept)
            .map_err(|TooMuch| Refusals { excess: 1, ..Refusals::default() })?;
        if envelope.topic == Topic::Beat {
            page.beat_at = Some(now);
        }
        Ok(Some(envelope))
    }

    /// Whether a value is what a node has said, who may say it.
    pub fn verify(
        &self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
    ) -> Result<Envelope, Refusals> {
        let none = Refusals::default();
        let member = self.members.find(node).ok_or(Refusals { stranger: 1, ..none })?;
        let origin = Origin { cluster: self.members.cluster(), node, generation };
        let envelope = Envelope::open(sealed, &origin, &member.pins).map_err(|why| match why {
            Refused::TooLong | Refused::Malformed => Refusals { malformed: 1, ..none },
            Refused::BadSignature => Refusals { unsigned: 1, ..none },
        })?;
        if member.role == Role::Agent && !envelope.topic.is_for_agents() {
            return Err(Refusals { forbidden: 1, ..none });
        }
        Ok(envelope)
    }

    /// The number of a value that is just what is kept: it was verified when it came.
    pub fn find_kept(&self, node: &NodeName, generation: Generation, sealed: &[u8]) -> Option<u64> {
        let page = self.pages.get(node).filter(|page| page.generation == generation)?;
        let kept = page.find(Envelope::claim(sealed)?.0)?;
        (*kept.sealed == *sealed).then_some(kept.sequence)
    }

    /// Whether a value claims to be no newer than what is known. It may lie: then it is not let in, which is right.
    fn is_old(&self, node: &NodeName, generation: Generation, sealed: &[u8]) -> bool {
        let Some(page) = self.pages.get(node) else { return false };
        let is_known = |(topic, sequence): (Topic, u64)| {
            page.find(topic).is_some_and(|kept| sequence <= kept.sequence)
        };
        generation < page.generation
            || generation == page.generation && Envelope::claim(sealed).is_some_and(is_known)
    }

    fn keep(
        &mut self,
        node: &NodeName,
        generation: Generation,
        kept: Kept,
    ) -> Result<&mut Page, TooMuch> {
        let new = || Page::new(node, generation);
        let page = self.pages.entry(node.clone()).or_insert_with(new);
        if generation > page.generation {
            *page = new();
        }
        page.keep(kept)?;
        Ok(page)
    }

    /// One number for everything that lasts: nodes that have it know the same.
    pub fn total(&self) -> u64 {
        let all = self.pages.values().filter(|page| page.sum != 0);
        let shares = all.map(|page| mix(mix(page.number, page.generation.0), page.sum));
        shares.fold(0, u64::wrapping_add)
    }

    /// A number for what is known of each node.
    pub fn sums(&self) -> Vec<Sum> {
        let all = self.pages.iter().filter(|(_, page)| page.sum != 0).take(NODES_MAX);
        let sum = |(node, page): (&NodeName, &Page)| Sum {
            node: node.clone(),
            generation: page.generation,
            sum: page.sum,
        };
        all.map(sum).collect()
    }

    /// What is known of a node in short: its life and sum.
    pub fn known(&self, node: &NodeName) -> Option<(Generation, u64)> {
        self.pages.get(node).map(|page| (page.generation, page.sum))
    }

    /// What is known of a node at length.
    pub fn have(&self, node: &NodeName) -> Have {
        let page = self.pages.get(node);
        let lasting = page.into_iter().flat_map(|page| page.lasting());
        Have {
            node: node.clone(),
            generation: page.map_or(Generation(0), |page| page.generation),
            slots: lasting.map(|(_, kept)| (kept.number, kept.sequence)).collect(),
        }
    }

    /// What somebody who has this lacks of that node.
    pub fn lacking(&self, have: &Have) -> Vec<Slot> {
        let Some(page) = self.pages.get(&have.node) else { return Vec::new() };
        if page.generation < have.generation {
            return Vec::new();
        }
        let is_same_life = page.generation == have.generation;
        let had: BTreeMap<u64, u64> = have.slots.iter().copied().collect();
        let is_lacking = |kept: &Kept| {
            !is_same_life || had.get(&kept.number).is_none_or(|sequence| *sequence < kept.sequence)
        };
        page.lasting().filter(|(_, kept)| is_lacking(kept)).map(|(slot, _)| *slot).collect()
    }

    /// A value of a node of a later life than `generation`, its beat if there is one: it proves that life.
    pub fn find_later(&self, node: &NodeName, generation: Generation) -> Option<Slot> {
        let page = self.pages.get(node).filter(|page| page.generation > generation)?;
        page.kept.keys().next().copied()
    }

    /// The value of a slot, to be sent.
    pub fn find(&self, node: &NodeName, slot: Slot) -> Option<Pushed> {
        let page = self.pages.get(node)?;
        let sealed = Arc::clone(&page.kept.get(&slot)?.sealed);
        Some(Pushed { node: node.clone(), generation: page.generation, sealed })
    }

    /// Nodes whose last beat came after `since`.
    pub fn beaten_after(&self, since: Duration) -> impl Iterator<Item = &NodeName> {
        let is_later = move |page: &Page| page.beat_at.is_some_and(|at| at > since);
        self.pages.iter().filter(move |(_, page)| is_later(page)).map(|(node, _)| node)
    }
}

/// A node says more than is kept.
struct TooMuch;

impl Kept {
    fn new(topic: Topic, sequence: u64, sealed: Arc<[u8]>) -> Self {
        Self { topic, number: topic.place().number(), sequence, sealed }
    }
}

impl Page {
    fn new(node: &NodeName, generation: Generation) -> Self {
        let digest = Sha256::digest(node.as_str().as_bytes());
        let number = u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 octets"));
        let kept = BTreeMap::new();
        Self { generation, number, sum: 0, octets: 0, beat_at: None, kept }
    }

    fn find(&self, topic: Topic) -> Option<&Kept> {
        self.kept.get(&topic.place())
    }

    fn keep(&mut self, kept: Kept) -> Result<(), TooMuch> {
        let slot = kept.topic.place();
        let old = self.kept.get(&slot);
        let octets = self.octets + kept.sealed.len() - old.map_or(0, |old| old.sealed.len());
        if octets > OCTETS_MAX || old.is_none() && self.kept.len() >= SLOTS_MAX {
            return Err(TooMuch);
        }
        let gone = old.map_or(0, Kept::share);
        self.sum = self.sum.wrapping_sub(gone).wrapping_add(kept.share());
        self.octets = octets;
        self.kept.insert(slot, kept);
        Ok(())
    }

    fn lasting(&self) -> impl Iterator<Item = (&Slot, &Kept)> {
        self.kept.iter().filter(|(_, kept)| !kept.topic.is_fleeting())
    }

    /// Keeps what a node may say by the keys and the role that it has now.
    fn judge_again(&mut self, cluster: &str, node: &NodeName, member: Option<&Member>) {
        let origin = Origin { cluster, node, generation: self.generation };
        let is_said = |kept: &Kept| {
            member.is_some_and(|member| {
                (member.role == Role::Server || kept.topic.is_for_agents())
                    && Envelope::open(&kept.sealed, &origin, &member.pins).is_ok()
            })
        };
        self.kept.retain(|_, kept| is_said(kept));
        self.sum = self.kept.values().map(Kept::share).fold(0, u64::wrapping_add);
        self.octets = self.kept.values().map(|kept| kept.sealed.len()).sum();
    }
}

/// Two numbers made one, so that sums of such tell their parts (the finalizer of splitmix64).
fn mix(one: u64, two: u64) -> u64 {
    let mut mixed = one.wrapping_add(two.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::SigningKey;
    use crate::cluster::envelope::tests::key;
    use crate::cluster::membership::tests::terms;

    const NOW: Duration = Duration::ZERO;
    const VOTES: Topic = Topic::Votes { layout: 1, shard: 0 };

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    /// The members of node a's cluster: b, whose key is `seed`, and the agent c.
    fn members(seed: u8) -> Arc<Membership> {
        let [a, b, c] = [1, seed, 3].map(|seed| key(seed).pin());
        let terms = terms("a", &[("b", b, Role::Server), ("c", c, Role::Agent)]);
        Arc::new(Membership::new(&terms, a))
    }

    fn sealed_in(
        life: u64,
        node: &str,
        signer: &SigningKey,
        topic: Topic,
        sequence: u64,
    ) -> Box<[u8]> {
        let node = name(node);
        let origin = Origin { cluster: "prod", node: &node, generation: Generation(life) };
        Envelope { topic, sequence, payload: [sequence as u8].into() }.seal(&origin, signer)
    }

    fn sealed(node: &str, signer: &SigningKey, topic: Topic, sequence: u64) -> Box<[u8]> {
        sealed_in(7, node, signer, topic, sequence)
    }

    /// Whether a value is news.
    fn open(door: &mut Door, node: &str, sealed: &[u8]) -> Result<bool, Refusals> {
        door.open(&name(node), Generation(7), sealed, NOW).map(|news| news.is_some())
    }

    const NONE: Refusals =
        Refusals { stranger: 0, malformed: 0, unsigned: 0, forbidden: 0, excess: 0 };

    #[test]
    fn a_signed_value_is_news_once_and_an_older_one_never() {
        let mut door = Door::new(members(2));
        assert_eq!(open(&mut door, "b", &sealed("b", &key(2), VOTES, 5)), Ok(true));
        assert_eq!(open(&mut door, "b", &sealed("b", &key(2), VOTES, 5)), Ok(false));
        assert_eq!(open(&mut door, "b", &sealed("b", &key(2), VOTES, 4)), Ok(false));
        assert_eq!(open(&mut door, "b", &sealed("b", &key(2), Topic::Beat, 4)), Ok(true));
        let earlier = sealed_in(6, "b", &key(2), Topic::State, 9);
        assert!(matches!(door.open(&name("b"), Generation(6), &earlier, NOW), Ok(None)));
    }

    #[test]
    fn what_this_node_said_earlier_and_comes_later_replaces_nothing() {
        let mut door = Door::new(members(2));
        let say = |door: &mut Door, sequence| {
            door.say(Generation(7), VOTES, sequence, sealed("a", &key(1), VOTES, sequence).into())
        };
        assert!(say(&mut door, 2));
        let before = door.total();
        assert!(say(&mut door, 1), "that is not too much");
        assert_eq!(door.total(), before);
        assert!(say(&mut door, 3));
        assert_ne!(door.total(), before);
    }

    #[test]
    fn a_value_that_is_just_what_is_kept_is_known_by_its_octets() {
        let mut door = Door::new(members(2));
        let mut value = sealed("b", &key(2), VOTES, 5);
        open(&mut door, "b", &value).unwrap();
        let find =
            |door: &Door, life, value: &[u8]| door.find_kept(&name("b"), Generation(life), value);
        assert_eq!(find(&door, 7, &value), Some(5));
        assert_eq!(find(&door, 6, &value), None, "of another life");
        *value.last_mut().unwrap() ^= 1;
        assert_eq!(find(&door, 7, &value), None, "by another signature");
        assert_eq!(find(&door, 7, &[]), None);
    }

    #[test]
    fn a_member_cannot_speak_for_another_nor_a_stranger_at_all() {
        let mut door = Door::new(members(2));
        let forged = sealed("b", &key(3), Topic::Beat, 4);
        assert_eq!(open(&mut door, "b", &forged), Err(Refusals { unsigned: 1, ..NONE }));
        let later = door.open(&name("b"), Generation(8), &sealed("b", &key(2), VOTES, 1), NOW);
        assert_eq!(later.err(), Some(Refusals { unsigned: 1, ..NONE }), "a life it has not had");
        let strange = sealed("x", &key(9), Topic::Beat, 4);
        assert_eq!(open(&mut door, "x", &strange), Err(Refusals { stranger: 1, ..NONE }));
        let formless = Err(Refusals { malformed: 1, ..NONE });
        assert_eq!(open(&mut door, "b", &[0xff; 200]), formless);
        assert_eq!(open(&mut door, "a", &forged), Ok(false), "nobody tells a node of itself");
        assert_eq!((door.total(), door.sums().len()), (0, 0));
    }

    #[test]
    fn an_agent_tells_what_it_sees_and_orders_nothing() {
        let mut door = Door::new(members(2));
        assert_eq!(open(&mut door, "c", &sealed("c", &key(3), VOTES, 1)), Ok(true));
        let order = sealed("c", &key(3), Topic::Record { id: 1 }, 2);
        assert_eq!(open(&mut door, "c", &order), Err(Refusals { forbidden: 1, ..NONE }));
    }

    #[test]
    fn another_life_and_another_layout_take_the_place_of_the_one_before() {
        let mut door = Door::new(members(2));
        let other = Topic::Votes { layout: 2, shard: 0 };
        open(&mut door, "b", &sealed("b", &key(2), VOTES, 1)).unwrap();
        open(&mut door, "b", &sealed("b", &key(2), other, 2)).unwrap();
        open(&mut door, "b", &sealed("b", &key(2), Topic::State, 3)).unwrap();
        assert_eq!(door.have(&name("b")).slots.len(), 2);
        let reborn = sealed_in(8, "b", &key(2), VOTES, 1);
        assert!(matches!(door.open(&name("b"), Generation(8), &reborn, NOW), Ok(Some(_))));
        let have = door.have(&name("b"));
        assert_eq!((have.generation, have.slots.len()), (Generation(8), 1));
    }

    #[test]
    fn sums_are_equal_exactly_if_the_same_is_known_and_beats_do_not_count() {
        let (mut one, mut other) = (Door::new(members(2)), Door::new(members(2)));
        for sequence in [1, 2, 3] {
            let topic = Topic::Rtt { shard: sequence % 2 };
            open(&mut one, "b", &sealed("b", &key(2), topic, sequence)).unwrap();
        }
        for sequence in [3, 2, 1] {
            let is_equal = (one.total(), one.sums()) == (other.total(), other.sums());
            assert_eq!(is_equal, sequence == 1, "the first one is not the newest of its slot");
            assert_eq!(other.lacking(&one.have(&name("b"))), []);
            let topic = Topic::Rtt { shard: sequence % 2 };
            open(&mut other, "b", &sealed("b", &key(2), topic, sequence)).unwrap();
        }
        open(&mut other, "b", &sealed("b", &key(2), Topic::Beat, 9)).unwrap();
        assert_eq!((one.total(), one.sums()), (other.total(), other.sums()));
        assert_eq!(one.lacking(&other.have(&name("b"))), []);
        open(&mut one, "b", &sealed("b", &key(2), Topic::State, 10)).unwrap();
        assert_eq!(one.lacking(&other.have(&name("b"))), [Topic::State.place()]);
        assert_eq!(other.lacking(&one.have(&name("b"))), []);
    }

    #[test]
    fn who_has_an_earlier_life_lacks_everything_and_who_has_a_later_one_nothing() {
        let mut door = Door::new(members(2));
        open(&mut door, "b", &sealed("b", &key(2), VOTES, 5)).unwrap();
        let have = |life| Have { generation: Generation(life), ..door.have(&name("b")) };
        assert_eq!(door.lacking(&have(6)), [VOTES.place()]);
        assert_eq!(door.lacking(&have(8)), []);
        assert_eq!(door.lacking(&Have { node: name("c"), ..have(0) }), []);
    }

    #[test]
    fn what_a_key_signed_that_counts_no_more_is_forgotten() {
        let mut door = Door::new(members(2));
        open(&mut door, "b", &sealed("b", &key(2), VOTES, 5)).unwrap();
        open(&mut door, "c", &sealed("c", &key(3), VOTES, 5)).unwrap();
        let before = door.total();
        assert_eq!(door.follow(members(2)), []);
        assert_eq!(door.total(), before);
        assert_eq!(door.follow(members(4)), [name("b")]);
        assert_eq!(door.sums().len(), 1, "c is as it was");
        let earlier = sealed_in(6, "b", &key(4), VOTES, 1);
        let news = door.open(&name("b"), Generation(6), &earlier, NOW);
        assert!(
            matches!(news, Ok(Some(_))),
            "the lives that a thief invented are gone with its key"
        );
        door.follow(Arc::new(Membership::new(&terms("a", &[]), key(1).pin())));
        assert_eq!((door.total(), door.sums().len()), (0, 0));
    }

    #[test]
    fn a_node_that_never_stops_talking_fills_no_memory() {
        let mut door = Door::new(members(2));
        for shard in 0..=SLOTS_MAX as u64 {
            let kept = Kept::new(Topic::Rtt { shard }, 1, Arc::from([0; 64]));
            let is_kept = door.keep(&name("b"), Generation(7), kept).is_ok();
            assert_eq!(is_kept, shard < SLOTS_MAX as u64);
        }
        let mut door = Door::new(members(2));
        let large = |shard| Kept::new(Topic::Rtt { shard }, 1, vec![0; OCTETS_MAX / 2].into());
        let mut keep = |shard| door.keep(&name("b"), Generation(7), large(shard)).is_ok();
        assert!(keep(0) && keep(1) && keep(0) && !keep(2));
    }
}
