//! Nodes with a network between them, on a virtual clock. All chance comes from one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::NodeName;
use rhumb::cluster::Placed;
use rhumb::cluster::Role;
use rhumb::cluster::Roster;
use rhumb::cluster::Say;
use rhumb::cluster::Served;
use rhumb::cluster::Topic;
use rhumb::control::cluster::Panel;
use rhumb::control::cluster::Seat;
use rhumb::model::Anchors;
use rhumb::model::ClusterTerms;
use rhumb::model::Family;
use rhumb::model::Peer;
use rhumb::model::Quorum;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::model::Voting;
use rhumb::model::Word;

use crate::random::Random;

/// How often nodes turn.
pub const TURN: Duration = Duration::from_millis(250);

/// Longest way of a message.
const DELAY_MAX_MS: u64 = 2000;

/// A value as it travels.
#[derive(Clone)]
pub struct Value {
    pub node: usize,
    pub generation: u64,
    pub topic: Topic,
    pub sequence: u64,
    pub payload: Box<[u8]>,
}

/// The newest of each node, by another book: life, and by topic number and payload.
pub type Newest = BTreeMap<usize, (u64, BTreeMap<Topic, (u64, Box<[u8]>)>)>;

/// A node, or what is left of it.
pub struct Node {
    pub name: NodeName,
    pub site: usize,
    pub panel: Panel,
    generation: u64,
    /// Its own monotonic clock is ahead by so much.
    clock: Duration,
    pub is_dead: bool,
    /// It does nothing until then, and loses nothing either.
    stopped_until: Duration,
    /// What it saw last, by target, and when it probes next.
    probes_at: Duration,
    pub lies: bool,
    pub anchors: Anchors,
    /// What it knows of everybody, itself included: for gossip.
    store: BTreeMap<(usize, Topic), Value>,
    sequences: BTreeMap<Topic, u64>,
    inbox: Vec<(Duration, Value)>,
    /// What holds here.
    pub known: BTreeMap<TargetKey, (Verdict, u8)>,
    /// What reached the panel.
    pub newest: Newest,
}

/// All of them.
pub struct Fleet {
    pub random: Random,
    pub now: Duration,
    pub nodes: Vec<Node>,
    pub sites: usize,
    pub targets: Vec<TargetKey>,
    pub homes: Vec<Option<usize>>,
    pub quorum: Quorum,
    /// What each site sees of each target.
    pub truth: Vec<Vec<Word>>,
    /// Who does not reach whom.
    pub cut: Vec<Vec<bool>>,
    pub loss_percent: u64,
    pub delay_ms: u64,
    /// Whether gossip reaches everybody.
    pub is_healed: bool,
    /// Whether a target was ever down anywhere.
    pub was_down: bool,
}

fn site_name(site: usize) -> String {
    format!("s{site}")
}

impl Fleet {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sites = 1 + random.below(5) as usize;
        let mut stands_at: Vec<usize> = (0..sites).collect();
        for site in 0..sites {
            let more = if random.chance(25) { random.below(3) as usize } else { 0 };
            stands_at.extend(std::iter::repeat_n(site, more));
        }
        let key = |number| TargetKey {
            endpoint: format!("p/{number}").into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        let targets: Vec<TargetKey> = (0..1 + random.below(5)).map(key).collect();
        let home = |random: &mut Random| {
            let is_there = random.chance(60);
            is_there.then(|| random.below(sites as u64) as usize)
        };
        let homes: Vec<Option<usize>> = targets.iter().map(|_| home(&mut random)).collect();
        let quorum = match random.below(6) {
            0 => Quorum::AtLeast(1 + random.below(5) as u8),
            1 => Quorum::Share(rhumb::model::Percent(random.below(101) as u8)),
            _ => Quorum::Majority,
        };
        let count = stands_at.len();
        let mut fleet = Self {
            now: Duration::from_secs(1000),
            nodes: Vec::new(),
            sites,
            truth: vec![vec![Word::Up(0); targets.len()]; sites],
            targets,
            homes,
            quorum,
            cut: vec![vec![false; count]; count],
            loss_percent: random.below(40),
            delay_ms: 1 + random.below(DELAY_MAX_MS),
            is_healed: false,
            was_down: false,
            random,
        };
        for node in 0..count {
            let born = fleet.born(node, &stands_at, 1);
            fleet.nodes.push(born);
        }
        fleet
    }

    /// A node that has just been started.
    fn born(&mut self, node: usize, stands_at: &[usize], generation: u64) -> Node {
        let name = |node: usize| NodeName::parse(&format!("n{node}")).unwrap();
        let peer = |other: usize| Peer {
            node: name(other),
            address: None,
            pins: Vec::new(),
            site: site_name(stands_at[other]).into(),
            role: Role::Server,
        };
        let peers = (0..stands_at.len()).filter(|other| *other != node).map(peer).collect();
        let terms = ClusterTerms {
            name: "c".into(),
            node: name(node),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers,
            nats: None,
        };
        let mut panel = Panel::new(Roster::new(&terms, &site_name(stands_at[node])));
        panel.set_seats(self.seats(), &BTreeMap::new());
        let anchors = *self.random.pick(&[Anchors::Unset, Anchors::Unset, Anchors::Pass]);
        panel.set_anchors(anchors);
        Node {
            name: name(node),
            site: stands_at[node],
            panel,
            generation,
            clock: Duration::from_millis(self.random.below(1 << 40)),
            is_dead: false,
            stopped_until: Duration::ZERO,
            probes_at: Duration::ZERO,
            lies: false,
            anchors,
            store: BTreeMap::new(),
            sequences: BTreeMap::new(),
            inbox: Vec::new(),
            known: BTreeMap::new(),
            newest: BTreeMap::new(),
        }
    }

    fn seats(&self) -> Vec<Seat> {
        let seat = |(number, key): (usize, &TargetKey)| Seat {
            placed: Placed {
                group: "".into(),
                key: key.clone(),
                address: [192, 0, 2, number as u8].into(),
                port: 80,
            },
            voting: Voting { quorum: self.quorum, ..Voting::default() },
            site: self.homes[number].map(|home| site_name(home).into()),
            region: None,
            interval: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            is_open: true,
        };
        self.targets.iter().enumerate().map(seat).collect()
    }

    /// Whether a node has not turned in this turn, so that it has not judged yet.
    pub fn is_late(&self, name: &NodeName) -> bool {
        self.nodes.iter().any(|node| node.name == *name && self.now < node.stopped_until)
    }

    /// Kills a node at once and starts it again: it has forgotten everything.
    pub fn restart(&mut self, node: usize) {
        let stands_at: Vec<usize> = self.nodes.iter().map(|node| node.site).collect();
        let generation = self.nodes[node].generation + 1 + self.random.below(1000);
        let lies = self.nodes[node].lies;
        let born = self.born(node, &stands_at, generation);
        self.nodes[node] = Node { lies, ..born };
    }

    pub fn stop(&mut self, node: usize, lasts: Duration) {
        self.nodes[node].stopped_until = self.now + lasts;
    }

    /// Its monotonic clock jumps, as after a machine was suspended.
    pub fn jump(&mut self, node: usize, by: Duration) {
        self.nodes[node].clock += by;
    }

    /// One turn of everybody.
    pub fn turn(&mut self) {
        self.now += TURN;
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_dead || self.now < self.nodes[node].stopped_until {
                continue;
            }
            self.listen(node);
            self.probe(node);
            self.speak(node);
        }
    }

    /// Takes what has arrived, in the order in which it did.
    fn listen(&mut self, at: usize) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.nodes[at].inbox)
            .into_iter()
            .partition(|(when, _)| *when <= now);
        self.nodes[at].inbox = later;
        let mut due: Vec<(Duration, Value)> = due;
        due.sort_by_key(|(when, _)| *when);
        for (_, value) in due {
            let node = &mut self.nodes[at];
            if value.node == at {
                continue;
            }
            let heard = Heard::Value {
                node: NodeName::parse(&format!("n{}", value.node)).unwrap(),
                generation: Generation(value.generation),
                topic: value.topic,
                sequence: value.sequence,
                payload: value.payload.clone(),
            };
            node.panel.hear(heard, now + node.clock);
            note_newest(&mut node.newest, &value);
            keep(&mut node.store, value);
        }
    }

    fn probe(&mut self, at: usize) {
        let late = Duration::from_millis(self.random.below(400));
        let node = &mut self.nodes[at];
        if self.now < node.probes_at {
            return;
        }
        node.probes_at = self.now + Duration::from_millis(1800) + late;
        let now = self.now + node.clock;
        for (number, key) in self.targets.iter().enumerate() {
            let mut word = self.truth[node.site][number];
            if node.lies {
                word = *self.random.pick(&[Word::Up(0), Word::Up(3), Word::Held, Word::Down]);
            }
            if !word.is_vote() {
                continue;
            }
            node.panel.note_result(key, word != Word::Down, now);
            if node.panel.wants(key, word) {
                node.panel.set_word(key, word, "");
            }
        }
    }

    /// Decides, and says what is to be said: urgent things to everybody, all that it knows to somebody at times.
    fn speak(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let (says, _) = node.panel.advance(Served::default, self.now + node.clock);
        let known = &node.known;
        let before = |key: &TargetKey| Some(known.get(key).copied().unwrap_or_default());
        let judged = node.panel.judge(before, self.now + node.clock);
        for judgement in judged {
            self.was_down |= judgement.verdict == Verdict::Down;
            node.known.insert(judgement.key, (judgement.verdict, judgement.level));
        }
        for Say { topic, payload, urgent } in says {
            let node = &mut self.nodes[at];
            let sequence = node.sequences.entry(topic).or_default();
            *sequence += 1;
            let (generation, sequence) = (node.generation, *sequence);
            let value = Value { node: at, generation, topic, sequence, payload };
            keep(&mut node.store, value.clone());
            if urgent {
                (0..self.nodes.len()).for_each(|to| self.send(at, to, &value));
            }
        }
        if self.random.chance(50) {
            // Whoever is not told for long may take what it then hears of a dead node for a sign of life: a healed network
            // leaves nobody out.
            let one = self.random.below(self.nodes.len() as u64) as usize;
            let to = if self.is_healed { 0..self.nodes.len() } else { one..one + 1 };
            let all: Vec<Value> = self.nodes[at].store.values().cloned().collect();
            to.for_each(|to| all.iter().for_each(|value| self.send(at, to, value)));
        }
    }

    /// A message on its way: it may be lost, late, or come twice.
    fn send(&mut self, from: usize, to: usize, value: &Value) {
        if from == to || self.cut[from][to] || self.nodes[to].is_dead {
            return;
        }
        let times = if self.random.chance(10) { 2 } else { 1 };
        for _ in 0..times {
            if !self.random.chance(self.loss_percent) {
                let delay = Duration::from_millis(self.random.below(self.delay_ms));
                self.nodes[to].inbox.push((self.now + delay, value.clone()));
            }
        }
    }
}

/// Keeps a value if it is newer than what is there.
fn keep(store: &mut BTreeMap<(usize, Topic), Value>, value: Value) {
    let newest = store.values().filter(|other| other.node == value.node);
    let newest = newest.map(|other| other.generation).max().unwrap_or(0);
    if value.generation < newest {
        return;
    }
    if value.generation > newest {
        store.retain(|(node, _), _| *node != value.node);
    }
    let place = (value.node, value.topic);
    if store.get(&place).is_none_or(|other| other.sequence < value.sequence) {
        store.insert(place, value);
    }
}

/// The same for what a panel has heard, written another way.
fn note_newest(newest: &mut Newest, value: &Value) {
    let (generation, topics) = newest.entry(value.node).or_default();
    if value.generation > *generation {
        (*generation, *topics) = (value.generation, BTreeMap::new());
    }
    if value.generation == *generation {
        let known = topics.get(&value.topic).map_or(0, |(sequence, _)| *sequence);
        if value.sequence > known {
            topics.insert(value.topic, (value.sequence, value.payload.clone()));
        }
    }
}
