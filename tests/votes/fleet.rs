//! Nodes with a network between them, on a virtual clock. All chance comes from one seed.
//!
//! While they run their files change, one after the other: another target, another member, one member less. Besides votes
//! they say records.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::NodeName;
use rhumb::cluster::Placed;
use rhumb::cluster::Role;
use rhumb::cluster::Roster;
use rhumb::cluster::Say;
use rhumb::cluster::Served;
use rhumb::cluster::Slot;
use rhumb::cluster::Topic;
use rhumb::cluster::book::LIFE;
use rhumb::control::cluster::Panel;
use rhumb::control::cluster::Seat;
use rhumb::model::Anchors;
use rhumb::model::ClusterTerms;
use rhumb::model::Family;
use rhumb::model::Peer;
use rhumb::model::Quorum;
use rhumb::model::TargetKey;
use rhumb::model::Vantage;
use rhumb::model::Verdict;
use rhumb::model::Voting;
use rhumb::model::Word;

use crate::random::Random;
use crate::records::Shelf;

/// How often nodes turn.
pub const TURN: Duration = Duration::from_millis(250);

/// Longest way of a message.
const DELAY_MAX_MS: u64 = 2000;

/// Values that are remembered for those who say them again.
const ARCHIVE_MAX: usize = 200;

/// The target that only later files have: nobody ever sees it up, so that a word on it under another name would show.
pub const LATER: &str = "p/0-later";

/// A value as it travels.
#[derive(Clone)]
pub struct Value {
    pub node: usize,
    pub generation: u64,
    pub topic: Topic,
    pub sequence: u64,
    pub payload: Box<[u8]>,
}

/// The newest of each node, by another book: life, and by slot topic, number and payload.
pub type Newest = BTreeMap<usize, (u64, BTreeMap<Slot, (Topic, u64, Box<[u8]>)>)>;

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
    /// What it knows of everybody, itself included: for gossip. As in every engine, a node has one value a slot.
    store: BTreeMap<(usize, Slot), Value>,
    sequence: u64,
    inbox: Vec<(Duration, Value)>,
    /// What holds here.
    pub known: BTreeMap<TargetKey, (Verdict, u8)>,
    /// What reached the panel.
    pub newest: Newest,
    /// When the last beat that was news came, by this node's clock.
    pub beat_at: BTreeMap<usize, Duration>,
    /// Whether its file has the later targets.
    pub has_later_targets: bool,
    /// Whether its file has the later members.
    pub has_later_members: bool,
    /// Records.
    pub shelf: Shelf,
}

/// What becomes of the last node, which stands at a site of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// It is a member like any other.
    Stays,
    /// Others do not know it until they read their files again.
    Joins,
    /// Others know it until they read their files again; it goes on talking.
    Leaves,
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
    pub vantage: Vantage,
    pub guest: Guest,
    stands_at: Vec<usize>,
    /// What was said at some time by somebody, for those who say it again.
    archive: Vec<Value>,
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
    /// Whether one was ever up anywhere.
    pub was_up: bool,
}

fn node_name(node: usize) -> NodeName {
    NodeName::parse(&format!("n{node}")).unwrap()
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
        let mut targets: Vec<TargetKey> = (0..1 + random.below(5)).map(key).collect();
        targets.push(TargetKey { endpoint: LATER.into(), ..key(0) });
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
        let guest = match random.below(6) {
            0 if sites < 5 => Guest::Joins,
            1 if sites < 5 => Guest::Leaves,
            _ => Guest::Stays,
        };
        let sites = sites + usize::from(guest != Guest::Stays);
        stands_at.extend((guest != Guest::Stays).then_some(sites - 1));
        let vantage = match random.chance(15) {
            true => Vantage::Sites(1 + random.below(3) as u8),
            false => Vantage::All,
        };
        let mut truth = vec![vec![Word::Up(0); targets.len()]; sites];
        truth.iter_mut().for_each(|seen| seen[targets.len() - 1] = Word::Down);
        let count = stands_at.len();
        let mut fleet = Self {
            now: Duration::from_secs(1000),
            nodes: Vec::new(),
            sites,
            truth,
            vantage,
            guest,
            stands_at,
            archive: Vec::new(),
            targets,
            homes,
            quorum,
            cut: vec![vec![false; count]; count],
            loss_percent: random.below(40),
            delay_ms: 1 + random.below(DELAY_MAX_MS),
            is_healed: false,
            was_down: false,
            was_up: false,
            random,
        };
        for node in 0..count {
            let born = fleet.born(node, 1, [false; 2]);
            fleet.nodes.push(born);
        }
        fleet
    }

    /// From now on every site must agree, by a number.
    pub fn want_all_sites(&mut self) {
        self.quorum = Quorum::AtLeast(self.sites as u8);
        for node in 0..self.nodes.len() {
            let seats = self.seats(self.nodes[node].has_later_targets);
            self.nodes[node].panel.set_seats(seats, &BTreeMap::new());
        }
    }

    /// Who is a member by a node's file.
    pub fn members(&self, node: usize, has_later: bool) -> Vec<usize> {
        let guest = self.stands_at.len() - 1;
        let is_known = match self.guest {
            Guest::Stays => true,
            Guest::Joins => has_later,
            Guest::Leaves => !has_later,
        };
        (0..=guest).filter(|other| *other < guest || is_known || node == guest).collect()
    }

    fn terms(&self, node: usize, has_later: bool) -> ClusterTerms {
        let peer = |other: usize| Peer {
            node: node_name(other),
            address: None,
            pins: Vec::new(),
            site: site_name(self.stands_at[other]).into(),
            role: Role::Server,
        };
        let others = self.members(node, has_later).into_iter().filter(|other| *other != node);
        ClusterTerms {
            name: "c".into(),
            node: node_name(node),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            bundles: false,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers: others.map(peer).collect(),
            nats: None,
        }
    }

    /// A node that has just been started.
    fn born(&mut self, node: usize, generation: u64, has_later: [bool; 2]) -> Node {
        let [has_later_targets, has_later_members] = has_later;
        let terms = self.terms(node, has_later_members);
        let site = self.stands_at[node];
        let mut panel = Panel::new(Roster::new(&terms, &site_name(site)));
        panel.set_seats(self.seats(has_later_targets), &BTreeMap::new());
        let anchors = *self.random.pick(&[Anchors::Unset, Anchors::Unset, Anchors::Pass]);
        panel.set_anchors(anchors);
        let clock = Duration::from_millis(self.random.below(1 << 40));
        Node {
            name: node_name(node),
            site,
            panel,
            generation,
            clock,
            is_dead: false,
            stopped_until: Duration::ZERO,
            probes_at: Duration::ZERO,
            lies: false,
            anchors,
            store: BTreeMap::new(),
            sequence: 0,
            inbox: Vec::new(),
            known: BTreeMap::new(),
            newest: BTreeMap::new(),
            beat_at: BTreeMap::new(),
            has_later_targets,
            has_later_members,
            shelf: Shelf::new(node_name(node), self.now + clock),
        }
    }

    fn seats(&self, has_later: bool) -> Vec<Seat> {
        // Some stand in files, others in pools whose endpoints are found.
        let seat = |(number, key): (usize, &TargetKey)| Seat {
            placed: Placed {
                group: ["", "found", "resolved"][number % 3].into(),
                key: key.clone(),
                address: [192, 0, 2, number as u8].into(),
                port: 80,
            },
            voting: Voting { quorum: self.quorum, vantage: self.vantage, ..Voting::default() },
            site: self.homes[number].map(|home| site_name(home).into()),
            region: None,
            interval: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            is_open: true,
        };
        let count = self.targets.len() - usize::from(!has_later);
        self.targets.iter().take(count).enumerate().map(seat).collect()
    }

    /// A node reads its files again, in which there is one target more.
    pub fn change_targets(&mut self, node: usize) {
        let seats = self.seats(true);
        self.nodes[node].has_later_targets = true;
        self.nodes[node].panel.set_seats(seats, &BTreeMap::new());
    }

    /// A node reads its own file again, in which there are other members.
    pub fn change_members(&mut self, node: usize) {
        let terms = self.terms(node, true);
        let seats = self.seats(self.nodes[node].has_later_targets);
        let node = &mut self.nodes[node];
        node.has_later_members = true;
        if node.panel.set_roster(node.panel.roster_of(&terms)) {
            node.panel.set_seats(seats, &BTreeMap::new());
        }
    }

    /// A member says again what others said, in any life of theirs.
    pub fn replay(&mut self, from: usize, to: usize) {
        for _ in 0..self.random.below(40) {
            if !self.archive.is_empty() {
                let value = self.random.pick(&self.archive).clone();
                self.send(from, to, &value);
            }
        }
    }

    /// An operator writes a record at a node, or takes it back.
    pub fn write(&mut self, node: usize) {
        let Self { random, nodes, .. } = self;
        let says = nodes[node].shelf.write(random);
        says.into_iter().for_each(|say| self.say(node, say));
    }

    /// Whether a node has not turned in this turn, so that it has not judged yet.
    pub fn is_late(&self, name: &NodeName) -> bool {
        self.nodes.iter().any(|node| node.name == *name && self.now < node.stopped_until)
    }

    /// Kills a node at once and starts it again: it has forgotten everything but its records, or these too.
    pub fn restart(&mut self, node: usize) {
        let Node { generation, lies, has_later_targets, has_later_members, .. } = self.nodes[node];
        let generation = generation + 1 + self.random.below(1000);
        let mut born = self.born(node, generation, [has_later_targets, has_later_members]);
        if self.random.chance(80) {
            born.shelf.restore(&self.nodes[node].shelf);
        }
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
        for (_, value) in due.into_iter().filter(|(_, value)| value.node != at) {
            self.take(at, value);
        }
    }

    fn take(&mut self, at: usize, value: Value) {
        let is_member = self.members(at, self.nodes[at].has_later_members).contains(&value.node);
        let is_record = matches!(value.topic, Topic::Record { .. });
        // The panel minds itself who is a member; for records it is the engine that does.
        if is_record && !is_member {
            return;
        }
        let (now, from) = (self.now, node_name(value.node));
        let node = &mut self.nodes[at];
        let is_news = note_newest(&mut node.newest, &value);
        if is_news && is_member {
            node.shelf.meet(&from, value.generation);
        }
        if is_news && value.topic == Topic::Beat {
            node.beat_at.insert(value.node, now + node.clock);
        }
        if !is_record {
            let heard = Heard::Value {
                node: from,
                generation: Generation(value.generation),
                topic: value.topic,
                sequence: value.sequence,
                payload: value.payload.clone(),
            };
            node.panel.hear(heard, now + node.clock);
        } else if is_news {
            let says = node.shelf.hear(&from, value.topic, &value.payload);
            says.into_iter().for_each(|say| self.say(at, say));
        }
        keep(&mut self.nodes[at].store, value);
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
            let is_late = &*judgement.key.endpoint == LATER;
            self.was_down |= judgement.verdict == Verdict::Down && !is_late;
            self.was_up |= judgement.verdict == Verdict::Up && !is_late;
            node.known.insert(judgement.key, (judgement.verdict, judgement.level));
        }
        // What is said at once is one value a slot, the last.
        let says: BTreeMap<Slot, Say> =
            says.into_iter().map(|say| (say.topic.place(), say)).collect();
        says.into_values().for_each(|say| self.say(at, say));
        let living = self.living(at);
        let node = &mut self.nodes[at];
        let says = node.shelf.advance(&living, self.now + node.clock);
        says.into_iter().for_each(|say| self.say(at, say));
        if self.random.chance(50) {
            // Whoever is not told for long may take what it then hears of a dead node for a sign of life: a healed network
            // leaves nobody out.
            let one = self.random.below(self.nodes.len() as u64) as usize;
            let to = if self.is_healed { 0..self.nodes.len() } else { one..one + 1 };
            let all: Vec<Value> = self.nodes[at].store.values().cloned().collect();
            to.for_each(|to| all.iter().for_each(|value| self.send(at, to, value)));
        }
    }

    /// Who lives as far as a node knows, itself among them.
    fn living(&self, at: usize) -> BTreeSet<NodeName> {
        let members = self.members(at, self.nodes[at].has_later_members).into_iter();
        members.filter(|other| *other == at || self.is_heard(at, *other)).map(node_name).collect()
    }

    /// Whether a beat of a node that was news came to another within a life.
    pub fn is_heard(&self, at: usize, other: usize) -> bool {
        let node = &self.nodes[at];
        node.beat_at.get(&other).is_some_and(|then| self.now + node.clock < *then + LIFE)
    }

    /// Says something: to everybody at once if it is urgent.
    fn say(&mut self, at: usize, say: Say) {
        let Say { topic, payload, urgent } = say;
        let node = &mut self.nodes[at];
        node.sequence += 1;
        let (generation, sequence) = (node.generation, node.sequence);
        let value = Value { node: at, generation, topic, sequence, payload };
        keep(&mut node.store, value.clone());
        if self.archive.len() < ARCHIVE_MAX {
            self.archive.push(value.clone());
        } else if self.random.chance(10) {
            let place = self.random.below(ARCHIVE_MAX as u64) as usize;
            self.archive[place] = value.clone();
        }
        if urgent {
            (0..self.nodes.len()).for_each(|to| self.send(at, to, &value));
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
fn keep(store: &mut BTreeMap<(usize, Slot), Value>, value: Value) {
    let newest = store.values().filter(|other| other.node == value.node);
    let newest = newest.map(|other| other.generation).max().unwrap_or(0);
    if value.generation < newest {
        return;
    }
    if value.generation > newest {
        store.retain(|(node, _), _| *node != value.node);
    }
    let place = (value.node, value.topic.place());
    if store.get(&place).is_none_or(|other| other.sequence < value.sequence) {
        store.insert(place, value);
    }
}

/// The same for what a panel has heard, written another way; true if it is news.
fn note_newest(newest: &mut Newest, value: &Value) -> bool {
    let (generation, slots) = newest.entry(value.node).or_default();
    if value.generation > *generation {
        (*generation, *slots) = (value.generation, BTreeMap::new());
    }
    if value.generation == *generation {
        let slot = value.topic.place();
        let known = slots.get(&slot).map_or(0, |(_, sequence, _)| *sequence);
        if value.sequence > known {
            slots.insert(slot, (value.topic, value.sequence, value.payload.clone()));
            return true;
        }
    }
    false
}
