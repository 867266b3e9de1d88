//! Records of a node in the simulation: what it knows, and what is left of it on its disk.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::NodeName;
use rhumb::cluster::Registry;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::cluster::registry::Stamp;
use rhumb::cluster::registry::Writing;
use serde_json::value::RawValue;

use crate::random::Random;

/// What operators write about.
pub const KEYS: [&str; 3] = ["order pool one", "order pool two", "shift www"];

/// As the controller does.
const ADOPT_EVERY: Duration = Duration::from_secs(10);

/// Records of one node.
pub struct Shelf {
    pub registry: Registry,
    /// What a restart finds.
    disk: BTreeMap<Box<str>, Writing>,
    next_adopt: Duration,
    /// Stamps that were ever in force here.
    highest: BTreeMap<Box<str>, Stamp>,
    /// Seconds on its wall clock, which is whatever it is.
    wall_s: u64,
}

impl Shelf {
    pub fn new(own: NodeName, now: Duration) -> Self {
        Self {
            registry: Registry::new(own),
            disk: BTreeMap::new(),
            next_adopt: now + ADOPT_EVERY,
            highest: BTreeMap::new(),
            wall_s: 1_800_000_000,
        }
    }

    /// Takes up what is on the disk of the life before.
    pub fn restore(&mut self, before: &Self) {
        self.disk = before.disk.clone();
        self.highest = before.highest.clone();
        self.disk.values().for_each(|writing| self.registry.restore(writing.clone()));
    }

    pub fn write(&mut self, random: &mut Random) -> Vec<Say> {
        // Clocks jump, ahead and back.
        self.wall_s = 1_800_000_000 + random.below(1_000_000);
        let value = random.chance(70).then(|| RawValue::from_string(random.below(99).to_string()));
        let value = value.transpose().unwrap();
        let version = self.registry.version() + 1;
        let key = *random.pick(&KEYS);
        let say = self.registry.write(key, value, version, self.wall_s);
        self.keep();
        vec![say.unwrap()]
    }

    pub fn meet(&mut self, node: &NodeName, generation: u64) {
        self.registry.meet(node, Generation(generation));
    }

    pub fn hear(&mut self, from: &NodeName, topic: Topic, payload: &[u8]) -> Vec<Say> {
        let mut says = Vec::new();
        self.registry.hear(from, topic, payload, &mut says);
        self.keep();
        says
    }

    pub fn advance(&mut self, living: &BTreeSet<NodeName>, now: Duration) -> Vec<Say> {
        if now < self.next_adopt {
            return Vec::new();
        }
        self.next_adopt = now + ADOPT_EVERY;
        self.registry.adopt(living)
    }

    /// Writes to the disk what changed; what is older never takes the place of what is newer.
    fn keep(&mut self) {
        for (key, writing) in self.registry.take_touched() {
            let writing = writing.expect("nothing is forgotten within minutes");
            let before = self.highest.insert(key.clone(), writing.stamp.clone());
            assert!(before.is_none_or(|before| before <= writing.stamp), "{key}: {writing:?}");
            self.disk.insert(key, writing);
        }
    }

    /// All that it knows, for comparison.
    pub fn all(&self) -> Vec<Option<&Writing>> {
        KEYS.iter().map(|key| self.registry.get(key)).collect()
    }
}
