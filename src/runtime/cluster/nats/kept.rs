//! What this node has said, the last of each topic: what others ask for when they lack something.
//!
//! Values have one count, so a listener sees by the next value that it has missed one.

use std::collections::BTreeMap;

use crate::cluster::Envelope;
use crate::cluster::Generation;
use crate::cluster::NodeName;
use crate::cluster::Origin;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::Pin;
use crate::cluster::Say;
use crate::cluster::SigningKey;
use crate::cluster::Topic;
use crate::cluster::door::OCTETS_MAX;
use crate::cluster::envelope::SEALED_MAX;
use crate::cluster::frame::SLOTS_MAX;
use crate::runtime::cluster::nats::message::Message;

/// Most octets of a sealed value besides its payload.
const HEAD: usize = SEALED_MAX - PAYLOAD_MAX;

/// A value on its way to the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// The slot of its topic.
    pub(super) slot: String,
    /// The message.
    pub(super) octets: Vec<u8>,
}

/// The last value of each topic.
#[derive(Debug)]
pub(super) struct Kept {
    cluster: Box<str>,
    node: NodeName,
    generation: Generation,
    sequence: u64,
    signed_by: Option<Pin>,
    values: BTreeMap<String, Value>,
    /// Of all payloads.
    octets: usize,
}

#[derive(Debug)]
struct Value {
    topic: Topic,
    payload: Box<[u8]>,
    sequence: u64,
    sealed: Box<[u8]>,
}

impl Kept {
    pub(super) fn new(cluster: &str, node: &NodeName, generation: Generation) -> Self {
        let (cluster, node) = (cluster.into(), node.clone());
        let (signed_by, values) = (None, BTreeMap::new());
        Self { cluster, node, generation, sequence: 0, signed_by, values, octets: 0 }
    }

    /// Numbers, seals and keeps a value.
    /// `None` if that is more than others keep of a node.
    pub(super) fn say(&mut self, say: &Say, key: &SigningKey) -> Option<Outgoing> {
        let old = self.values.get(&say.topic.slot());
        let octets = self.octets + say.payload.len() - old.map_or(0, |old| old.payload.len());
        let is_new = old.is_none();
        if octets + self.values.len() * HEAD > OCTETS_MAX
            || is_new && self.values.len() >= SLOTS_MAX
        {
            return None;
        }
        self.octets = octets;
        self.signed_by.get_or_insert_with(|| key.pin());
        Some(self.put(say.topic, say.payload.clone(), key))
    }

    /// Seals everything anew if this node has another key now.
    pub(super) fn follow(&mut self, key: &SigningKey) -> Vec<Outgoing> {
        if self.signed_by.replace(key.pin()).is_none_or(|before| before == key.pin()) {
            return Vec::new();
        }
        let values = std::mem::take(&mut self.values).into_values();
        values.map(|value| self.put(value.topic, value.payload, key)).collect()
    }

    /// What was said after `since` in a life, in order; everything if that was another life.
    pub(super) fn since(&self, generation: Generation, since: u64) -> Vec<Outgoing> {
        let mut after = if generation == self.generation { since } else { 0 };
        let mut later: Vec<_> =
            self.values.iter().filter(|(_, value)| value.sequence > after).collect();
        later.sort_unstable_by_key(|(_, value)| value.sequence);
        let outgoing = |(slot, value): (&String, &Value)| {
            let message = self.message(after, &value.sealed);
            after = value.sequence;
            Outgoing { slot: slot.clone(), octets: message.write() }
        };
        later.into_iter().map(outgoing).collect()
    }

    /// The last value that was said: who hears it sees whether anything before it is missing.
    pub(super) fn newest(&self) -> Option<Outgoing> {
        let mut sequences: Vec<u64> = self.values.values().map(|value| value.sequence).collect();
        sequences.sort_unstable_by(|a, b| b.cmp(a));
        let before = sequences.get(1).copied().unwrap_or(0);
        self.since(self.generation, before).pop()
    }

    fn put(&mut self, topic: Topic, payload: Box<[u8]>, key: &SigningKey) -> Outgoing {
        let after = self.sequence;
        self.sequence += 1;
        let origin =
            Origin { cluster: &self.cluster, node: &self.node, generation: self.generation };
        let envelope = Envelope { topic, sequence: self.sequence, payload: payload.clone() };
        let sealed = envelope.seal(&origin, key);
        let octets = self.message(after, &sealed).write();
        let slot = topic.slot();
        self.values.insert(slot.clone(), Value { topic, payload, sequence: self.sequence, sealed });
        Outgoing { slot, octets }
    }

    fn message(&self, after: u64, sealed: &[u8]) -> Message {
        Message { generation: self.generation, after, sealed: sealed.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::envelope::tests::key;

    fn say(topic: Topic, payload: u8) -> Say {
        Say { topic, payload: [payload].into(), urgent: false }
    }

    fn kept() -> Kept {
        Kept::new("prod", &NodeName::parse("a").unwrap(), Generation(5))
    }

    /// What a listener makes of messages: after, sequence and payload of each.
    fn opened(outgoing: &[Outgoing], pin: Pin) -> Vec<(u64, u64, u8)> {
        let node = NodeName::parse("a").unwrap();
        let open = |outgoing: &Outgoing| {
            let Message { generation, after, sealed } = Message::read(&outgoing.octets).unwrap();
            let origin = Origin { cluster: "prod", node: &node, generation };
            let envelope = Envelope::open(&sealed, &origin, &[pin]).unwrap();
            (after, envelope.sequence, envelope.payload[0])
        };
        outgoing.iter().map(open).collect()
    }

    #[test]
    fn the_newest_value_tells_what_was_before_it() {
        let mut kept = kept();
        assert_eq!(kept.newest(), None);
        let topics = [Topic::State, Topic::Rtt { shard: 1 }, Topic::State];
        for topic in topics {
            kept.say(&Say { topic, payload: [1].into(), urgent: false }, &key(1)).unwrap();
        }
        let newest = Message::read(&kept.newest().unwrap().octets).unwrap();
        assert_eq!((newest.after, kept.newest().unwrap().slot), (2, Topic::State.slot()));
    }

    #[test]
    fn values_have_one_count_and_what_is_asked_for_is_a_chain_without_gaps() {
        let (mut kept, key) = (kept(), key(1));
        let votes = |shard| Topic::Votes { layout: 1, shard };
        let said: Vec<_> = [(votes(0), 10), (votes(1), 11), (Topic::Beat, 12), (votes(0), 13)]
            .map(|(topic, payload)| kept.say(&say(topic, payload), &key).unwrap())
            .into();
        let pin = key.pin();
        assert_eq!(opened(&said, pin), [(0, 1, 10), (1, 2, 11), (2, 3, 12), (3, 4, 13)]);
        let all = opened(&kept.since(Generation(5), 0), pin);
        assert_eq!(all, [(0, 2, 11), (2, 3, 12), (3, 4, 13)], "what was replaced is not said");
        assert_eq!(opened(&kept.since(Generation(5), 2), pin), [(2, 3, 12), (3, 4, 13)]);
        assert_eq!(
            opened(&kept.since(Generation(4), 3), pin),
            all,
            "of another life nothing counts"
        );
        assert!(
            kept.since(Generation(5), 4).is_empty() && kept.since(Generation(5), 99).is_empty()
        );
    }

    #[test]
    fn more_than_others_keep_of_a_node_is_not_said() {
        let (mut kept, key) = (kept(), key(1));
        let large = |shard| Say {
            topic: Topic::Votes { layout: 1, shard },
            payload: vec![7; PAYLOAD_MAX].into(),
            urgent: false,
        };
        let said =
            (0..OCTETS_MAX as u64).take_while(|shard| kept.say(&large(*shard), &key).is_some());
        let most = said.count() as u64;
        assert!(most as usize * SEALED_MAX <= OCTETS_MAX && most > 1000, "{most}");
        assert!(kept.say(&large(0), &key).is_some(), "what takes the place of another is no more");
    }

    #[test]
    fn another_key_seals_everything_anew_and_the_same_one_nothing() {
        let mut kept = kept();
        kept.say(&say(Topic::State, 1), &key(1)).unwrap();
        kept.say(&say(Topic::Beat, 2), &key(1)).unwrap();
        assert!(kept.follow(&key(1)).is_empty());
        let anew = kept.follow(&key(2));
        assert_eq!(opened(&anew, key(2).pin()), [(2, 3, 2), (3, 4, 1)]);
        assert!(kept.follow(&key(2)).is_empty());
    }
}
