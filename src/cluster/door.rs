//! What is let in of a gossip message: nothing but what the node in whose name it is has signed.
//!
//! A member may relay, hold back and repeat; it cannot invent a value, a key, a version, or a life of another node.
//! What is refused goes no further from here, so that it does not spread.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cluster::envelope::Envelope;
use crate::cluster::envelope::Origin;
use crate::cluster::envelope::Refused;
use crate::cluster::gossip::Gossip;
use crate::cluster::gossip::Known;
use crate::cluster::gossip::News;
use crate::cluster::heard::Heard;
use crate::cluster::membership::Membership;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::node::Role;

/// Lives of a node that are remembered; the oldest go first.
const LIVES_MAX: usize = 16;

/// Most values of a node: votes on a million targets.
const SLOTS_MAX: usize = 4096;

/// A value that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Under which key it is kept.
    pub slot: String,
    /// Its version.
    pub sequence: u64,
    /// As it came.
    pub sealed: Box<[u8]>,
}

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

/// Judges what comes; remembers what it has let in.
#[derive(Debug)]
pub struct Door {
    members: Arc<Membership>,
    seen: BTreeMap<NodeName, Seen>,
}

/// What was let in of a node.
#[derive(Debug, Default)]
struct Seen {
    /// Lives that are real: the node itself has said so.
    lives: BTreeSet<Generation>,
    /// The newest value of each slot: its life and sequence, and the value itself.
    newest: BTreeMap<String, (Generation, u64, Box<[u8]>)>,
}

impl Door {
    /// A door that lets in members of `members`; `own` is this node's life.
    pub fn new(members: Arc<Membership>, own: Generation) -> Self {
        let mut door = Self { members, seen: BTreeMap::new() };
        let node = door.members.own().clone();
        door.meet(&node, own);
        door
    }

    /// The members change; what is of nobody any more is forgotten.
    pub fn follow(&mut self, members: Arc<Membership>) {
        self.seen.retain(|node, _| members.find(node).is_some());
        self.members = members;
    }

    /// A node has said over its own connection in which life it is.
    pub fn meet(&mut self, node: &NodeName, generation: Generation) {
        self.seen.entry(node.clone()).or_default().add_life(generation);
    }

    /// Lets in a message. Values that are new here are added to `heard`.
    pub fn admit(
        &mut self,
        gossip: Gossip,
        heard: &mut Vec<Heard>,
        refusals: &mut Refusals,
    ) -> Gossip<Admitted> {
        match gossip {
            Gossip::Ask(known) => Gossip::Ask(self.admit_known(known)),
            Gossip::Answer(known, news) => {
                // Values first: they may show that a life is real.
                let news = self.admit_news(news, heard, refusals);
                Gossip::Answer(self.admit_known(known), news)
            }
            Gossip::Rest(news) => Gossip::Rest(self.admit_news(news, heard, refusals)),
        }
    }

    fn admit_known(&self, known: Vec<Known>) -> Vec<Known> {
        let is_real = |known: &Known| {
            self.seen.get(&known.node).is_some_and(|seen| seen.lives.contains(&known.generation))
        };
        let collected = |known: Known| Known { collected: 0, ..known };
        let mut real: Vec<_> = known.into_iter().filter(is_real).map(collected).collect();
        real.sort_by(|one, two| (&one.node, one.generation).cmp(&(&two.node, two.generation)));
        real.dedup_by(|one, two| one.node == two.node && one.generation == two.generation);
        real
    }

    fn admit_news(
        &mut self,
        news: Vec<News<Box<[u8]>>>,
        heard: &mut Vec<Heard>,
        refusals: &mut Refusals,
    ) -> Vec<News<Admitted>> {
        let mut admitted: Vec<News<Admitted>> = Vec::new();
        for News { node, generation, after, values, .. } in news {
            let is_twice =
                |other: &News<Admitted>| other.node == node && other.generation == generation;
            if admitted.iter().any(is_twice) {
                continue;
            }
            let mut good: Vec<Admitted> = Vec::new();
            for sealed in values {
                let last = good.last().map_or(after, |last| last.sequence);
                match self.open(&node, generation, &sealed, heard) {
                    // What follows a gap would hide it, and the gap would never be filled.
                    Ok(value) if value.sequence > last => good.push(value),
                    Ok(_) => {
                        refusals.malformed += 1;
                        break;
                    }
                    Err(refusal) => {
                        refusals.add(refusal);
                        break;
                    }
                }
            }
            if !good.is_empty() {
                admitted.push(News { node, generation, collected: 0, after, values: good });
            }
        }
        admitted
    }

    /// Opens a value that came in a node's name; what is new here is added to `heard`.
    pub fn open(
        &mut self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<Admitted, Refusals> {
        let none = Refusals::default();
        let members = Arc::clone(&self.members);
        let member = members.find(node).ok_or(Refusals { stranger: 1, ..none })?;
        let envelope = match self.find_known(node, generation, sealed) {
            Some(known) => return Ok(known),
            None => {
                let origin = Origin { cluster: members.cluster(), node, generation };
                Envelope::open(sealed, &origin, &member.pins).map_err(|refused| match refused {
                    Refused::TooLong | Refused::Malformed => Refusals { malformed: 1, ..none },
                    Refused::BadSignature => Refusals { unsigned: 1, ..none },
                })?
            }
        };
        let Envelope { topic, sequence, payload } = envelope;
        if member.role == Role::Agent && !topic.is_for_agents() {
            return Err(Refusals { forbidden: 1, ..none });
        }
        let slot = topic.slot();
        let seen = self.seen.entry(node.clone()).or_default();
        if !seen.newest.contains_key(&slot) && seen.newest.len() >= SLOTS_MAX {
            return Err(Refusals { excess: 1, ..none });
        }
        seen.add_life(generation);
        let known = seen.newest.get(&slot).map(|(life, sequence, _)| (*life, *sequence));
        if known < Some((generation, sequence)) {
            seen.newest.insert(slot.clone(), (generation, sequence, sealed.into()));
            // What others say of this node is no news to it.
            if node != members.own() {
                let node = node.clone();
                heard.push(Heard::Value { node, generation, topic, sequence, payload });
            }
        }
        Ok(Admitted { slot, sequence, sealed: sealed.into() })
    }

    /// A value that was let in before, octet by octet: it need not be verified again.
    fn find_known(
        &self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
    ) -> Option<Admitted> {
        let slot = Envelope::claimed_topic(sealed)?.slot();
        let (life, sequence, known) = self.seen.get(node)?.newest.get(&slot)?;
        (*life == generation && **known == *sealed).then(|| Admitted {
            slot,
            sequence: *sequence,
            sealed: sealed.into(),
        })
    }
}

impl Seen {
    fn add_life(&mut self, generation: Generation) {
        self.lives.insert(generation);
        while self.lives.len() > LIVES_MAX {
            self.lives.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::SigningKey;
    use crate::cluster::envelope::tests::key;
    use crate::cluster::membership::tests::terms;
    use crate::cluster::topic::Topic;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    /// The door of node a, whose peers are b and the agent c.
    fn door() -> Door {
        let [a, b, c] = [1, 2, 3].map(|seed| key(seed).pin());
        let terms = terms("a", &[("b", b, Role::Server), ("c", c, Role::Agent)]);
        Door::new(Arc::new(Membership::new(&terms, a)), Generation(100))
    }

    fn sealed(node: &str, signer: &SigningKey, topic: Topic, sequence: u64) -> Box<[u8]> {
        let node = name(node);
        let origin = Origin { cluster: "prod", node: &node, generation: Generation(7) };
        Envelope { topic, sequence, payload: [sequence as u8].into() }.seal(&origin, signer)
    }

    fn news(node: &str, after: u64, values: Vec<Box<[u8]>>) -> Gossip {
        let generation = Generation(7);
        Gossip::Rest(vec![News { node: name(node), generation, collected: 3, after, values }])
    }

    /// What is let in of a message: sequences, what is heard, and what is refused.
    fn admit(door: &mut Door, gossip: Gossip) -> (Vec<u64>, usize, Refusals) {
        let (mut heard, mut refusals) = (Vec::new(), Refusals::default());
        let admitted = door.admit(gossip, &mut heard, &mut refusals);
        let Gossip::Rest(news) = admitted else { panic!("{admitted:?}") };
        let sequences = news.iter().flat_map(|news| &news.values).map(|value| value.sequence);
        (sequences.collect(), heard.len(), refusals)
    }

    const VOTES: Topic = Topic::Votes { layout: 1, shard: 0 };

    #[test]
    fn a_signed_value_is_let_in_and_heard_once() {
        let mut door = door();
        let values = || vec![sealed("b", &key(2), Topic::Beat, 4), sealed("b", &key(2), VOTES, 5)];
        let first = admit(&mut door, news("b", 0, values()));
        assert_eq!(first, (vec![4, 5], 2, Refusals::default()));
        let again = admit(&mut door, news("b", 0, values()));
        assert_eq!(again, (vec![4, 5], 0, Refusals::default()), "it is passed on, but no news");
    }

    #[test]
    fn a_member_cannot_speak_for_another_nor_a_stranger_at_all() {
        let mut door = door();
        let forged = news("b", 0, vec![sealed("b", &key(3), Topic::Beat, 4)]);
        let unsigned = Refusals { unsigned: 1, ..Refusals::default() };
        assert_eq!(admit(&mut door, forged), (vec![], 0, unsigned));
        let strange = news("x", 0, vec![sealed("x", &key(9), Topic::Beat, 4)]);
        let stranger = Refusals { stranger: 1, ..Refusals::default() };
        assert_eq!(admit(&mut door, strange), (vec![], 0, stranger));
    }

    #[test]
    fn an_agent_tells_what_it_sees_and_orders_nothing() {
        let mut door = door();
        let record = Topic::Record { id: 1 };
        let values = vec![sealed("c", &key(3), VOTES, 1), sealed("c", &key(3), record, 2)];
        let forbidden = Refusals { forbidden: 1, ..Refusals::default() };
        assert_eq!(admit(&mut door, news("c", 0, values)), (vec![1], 1, forbidden));
    }

    #[test]
    fn nothing_is_let_in_behind_a_value_that_is_refused() {
        let mut door = door();
        let values = vec![
            sealed("b", &key(2), Topic::Beat, 4),
            [0xff; 70].into(),
            sealed("b", &key(2), VOTES, 6),
        ];
        let malformed = Refusals { malformed: 1, ..Refusals::default() };
        assert_eq!(admit(&mut door, news("b", 0, values)), (vec![4], 1, malformed));
        let backwards = vec![sealed("b", &key(2), VOTES, 9), sealed("b", &key(2), Topic::State, 8)];
        assert_eq!(admit(&mut door, news("b", 0, backwards)).0, [9]);
    }

    #[test]
    fn a_replayed_old_value_is_no_news() {
        let mut door = door();
        let old = || news("b", 0, vec![sealed("b", &key(2), VOTES, 5)]);
        assert_eq!(admit(&mut door, old()).1, 1);
        assert_eq!(admit(&mut door, news("b", 5, vec![sealed("b", &key(2), VOTES, 9)])).1, 1);
        assert_eq!(admit(&mut door, old()).1, 0);
    }

    #[test]
    fn a_life_that_the_node_never_had_is_not_let_in() {
        let mut door = door();
        let known = |generation| Known {
            node: name("b"),
            generation: Generation(generation),
            heartbeat: 1,
            collected: 9,
            newest: 1,
        };
        let ask = |door: &mut Door, known| {
            let gossip = Gossip::Ask(known);
            match door.admit(gossip, &mut Vec::new(), &mut Refusals::default()) {
                Gossip::Ask(known) => known,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ask(&mut door, vec![known(7)]), []);
        admit(&mut door, news("b", 0, vec![sealed("b", &key(2), Topic::Beat, 4)]));
        let real = Known { collected: 0, ..known(7) };
        let asked = ask(&mut door, vec![known(8), known(7), known(7)]);
        assert_eq!(asked, std::slice::from_ref(&real));
        door.meet(&name("b"), Generation(8));
        assert_eq!(ask(&mut door, vec![known(8)]).len(), 1);
        let mut members = terms("a", &[]);
        members.peers.clear();
        door.follow(Arc::new(Membership::new(&members, key(1).pin())));
        assert_eq!(ask(&mut door, vec![known(8), real]), []);
    }

    #[test]
    fn a_new_layout_takes_the_place_of_the_old_one() {
        let mut door = door();
        let other = Topic::Votes { layout: 2, shard: 0 };
        let values = vec![sealed("b", &key(2), VOTES, 1), sealed("b", &key(2), other, 2)];
        assert_eq!(admit(&mut door, news("b", 0, values)).1, 2);
        assert_eq!(door.seen[&name("b")].newest.len(), 1);
    }
}
