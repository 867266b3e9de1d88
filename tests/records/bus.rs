//! Controllers with a bus between them, on a virtual clock; every word reaches every node that is there.

use std::collections::BTreeMap;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::NodeName;
use rhumb::cluster::Role;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Command;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Occurrence;
use rhumb::control::Reply;
use rhumb::control::Restored;
use rhumb::control::Vote;
use rhumb::control::command::Action;
use rhumb::control::job::GeoFiles;
use rhumb::control::status::Status;
use rhumb::control::stored::Stored;
use rhumb::health::Penalty;
use rhumb::model::ClusterTerms;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Peer;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;

/// What every node has.
pub const FILES: &str = "\
zone = { name = 'x.test', nameservers = ['ns.example.net'] }
name.www.steer = 'world'
name.api.steer = 'busy'
check.web = { kind = 'http', load = 'orca' }
policy.world = { kind = 'weighted', weights = { eu = 99, us = 1 } }
policy.busy = { kind = 'nearest', targets = ['eu', 'us'] }
site.fra = { latitude = 50.1, longitude = 8.7 }
site.iad = { latitude = 38.9, longitude = -77.4 }
[pool.eu]
site = 'fra'
check = 'web'
shed = { start = 0.6, full = 0.8 }
endpoint.fra-1.addresses = ['192.0.2.1']
endpoint.fra-2.addresses = ['192.0.2.2']
[pool.us]
site = 'iad'
check = 'web'
endpoint.iad-1.addresses = ['198.51.100.1']
";

pub struct Node {
    pub controller: Controller,
    pub generation: u64,
    pub sequence: u64,
    /// What it keeps on disk.
    pub kept: BTreeMap<Box<str>, Stored>,
    pub version: u64,
    pub is_dead: bool,
    /// Its wall clock is ahead by so much.
    pub ahead: Duration,
    pub text: String,
    /// What was told in words since last asked.
    pub told: Vec<String>,
}

/// All nodes of a cluster: `a`, `b` and `c`, one a site; `d` is an agent.
pub struct Bus {
    pub nodes: BTreeMap<&'static str, Node>,
    pub now: Now,
    pub mail: Vec<(&'static str, Heard)>,
    /// What each said last about each topic: what gossip tells those who come later.
    pub store: BTreeMap<(&'static str, Topic), Heard>,
    /// Hears nobody, and nobody hears it.
    pub cut: Option<&'static str>,
}

pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn role(name: &str) -> Role {
    if name == "d" { Role::Agent } else { Role::Server }
}

fn terms(own: &str) -> ClusterTerms {
    let name = |text: &str| NodeName::parse(text).unwrap();
    let others = NAMES.into_iter().filter(|other| *other != own);
    ClusterTerms {
        name: "test".into(),
        node: name(own),
        listen: None,
        key: "cluster.key".into(),
        role: role(own),
        bundles: false,
        anchors: Vec::new(),
        withdraw: Box::default(),
        peers: others
            .map(|other| Peer {
                node: name(other),
                address: None,
                pins: Vec::new(),
                site: format!("site-{other}").into(),
                role: role(other),
            })
            .collect(),
        nats: None,
    }
}

impl Bus {
    pub fn new() -> Self {
        Self::with(FILES)
    }

    /// All of them with these files.
    pub fn with(text: &str) -> Self {
        let now =
            Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(1_800_000_000) };
        let mut bus = Self {
            nodes: BTreeMap::new(),
            now,
            mail: Vec::new(),
            store: BTreeMap::new(),
            cut: None,
        };
        for name in NAMES {
            bus.start_with(name, text);
        }
        bus.pass(30);
        bus
    }

    /// Starts a node with what it kept.
    pub fn start(&mut self, name: &'static str) {
        let text = self.nodes[name].text.clone();
        self.start_with(name, &text);
    }

    fn start_with(&mut self, name: &'static str, text: &str) {
        let before = self.nodes.remove(name);
        let (generation, kept, version) =
            before.map_or_else(Default::default, |node| (node.generation, node.kept, node.version));
        let stored = kept.values().cloned().collect();
        let mut controller = Controller::default();
        controller.join(&terms(name), &format!("site-{name}"));
        let generation = generation + 1;
        let node = Node {
            controller,
            generation,
            sequence: 0,
            kept,
            version,
            is_dead: false,
            ahead: Duration::ZERO,
            text: text.into(),
            told: Vec::new(),
        };
        self.nodes.insert(name, node);
        let alive = Some(self.now.unix);
        let restored = Restored { stored, alive, version, ..Restored::default() };
        self.handle(name, Event::Restored(restored));
        self.load(name, text);
        let lives = |other: &str| self.nodes.get(other).is_some_and(|node| !node.is_dead);
        let told = self.store.iter().filter(|((other, _), _)| *other != name && lives(other));
        let told: Vec<Heard> = told.map(|(_, said)| said.clone()).collect();
        told.into_iter().for_each(|said| drop(self.handle(name, Event::Heard(said))));
        self.handle(name, Event::Settle);
    }

    /// A node reads its files again, in which there is this.
    pub fn load(&mut self, name: &'static str, text: &str) {
        self.nodes.get_mut(name).unwrap().text = text.into();
        let files = Files::new(vec![SourceFile::new("zones/x.toml", text)]);
        let job = Job::new(files, GeoFiles::default(), NodeTerms::default());
        self.handle(name, Event::Files(job));
        self.handle(name, Event::Settle);
    }

    /// Has a node say something, whatever it is.
    pub fn say(&mut self, name: &'static str, topic: Topic, payload: &[u8]) {
        let node = self.nodes.get_mut(name).unwrap();
        node.sequence += 1;
        let said = Heard::Value {
            node: NodeName::parse(name).unwrap(),
            generation: Generation(node.generation),
            topic,
            sequence: node.sequence,
            payload: payload.into(),
        };
        self.store.insert((name, topic), said.clone());
        self.mail.push((name, said));
    }

    /// What a node says of an endpoint by its own probes.
    pub fn see(&mut self, name: &'static str, endpoint: &str, verdict: Verdict) {
        let key = TargetKey {
            endpoint: endpoint.into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        let (reason, penalty) = ("seen".into(), Penalty::default());
        self.handle(name, Event::Vote(Vote { key, verdict, degraded: 0, reason, penalty }));
        self.handle(name, Event::Settle);
    }

    pub fn handle(&mut self, name: &'static str, event: Event) -> Option<Reply> {
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(name).unwrap();
        let now = Now { unix: self.now.unix + node.ahead, ..self.now };
        node.controller.handle(event, now, &mut effects);
        let mut reply = None;
        for effect in effects {
            let node = self.nodes.get_mut(name).unwrap();
            match effect {
                Effect::Compile(job) => drop(self.handle(name, Event::Compiled(job.run()))),
                Effect::Reply(told) => reply = Some(told),
                Effect::Record(Occurrence::Refused { text, .. }) => panic!("{text}"),
                Effect::Record(occurrence) => node.told.push(occurrence.to_string()),
                Effect::Say(Say { topic, payload, .. }) => {
                    self.say(name, topic, &payload);
                }
                Effect::Persist(entry) => {
                    node.version = entry.version;
                    for change in entry.changes {
                        match change.value {
                            Some(value) => drop(node.kept.insert(change.key, value)),
                            None => drop(node.kept.remove(&change.key)),
                        }
                    }
                }
                _ => {}
            }
        }
        reply
    }

    pub fn living(&self) -> Vec<&'static str> {
        NAMES.into_iter().filter(|name| !self.nodes[name].is_dead).collect()
    }

    /// Brings every word to everybody, and the words that follow from it.
    pub fn deliver(&mut self) {
        for turn in 0.. {
            assert!(turn < 20, "words follow from words without end");
            let mail = std::mem::take(&mut self.mail);
            if mail.is_empty() {
                return;
            }
            for to in self.living() {
                let is_heard =
                    |from: &str| from != to && self.cut.is_none_or(|cut| cut != from && cut != to);
                let heard: Vec<_> = mail.iter().filter(|(from, _)| is_heard(from)).collect();
                for (_, said) in heard {
                    self.handle(to, Event::Heard(said.clone()));
                }
                self.handle(to, Event::Settle);
            }
        }
    }

    /// Brings everything to everybody that was said meanwhile.
    pub fn heal(&mut self) {
        self.cut = None;
        let all = self.store.iter().filter(|((from, _), _)| !self.nodes[from].is_dead);
        let all: Vec<_> = all.map(|((from, _), said)| (*from, said.clone())).collect();
        self.mail.extend(all);
        self.deliver();
    }

    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.monotonic += Duration::from_secs(1);
            self.now.unix += Duration::from_secs(1);
            for name in self.living() {
                self.handle(name, Event::Settle);
            }
            self.deliver();
        }
    }

    /// Gives an order at a node; all words are delivered at once, without any time.
    pub fn command(&mut self, at: &'static str, command: Command) -> Result<String, String> {
        let reply = self.handle(at, Event::Command(command)).unwrap();
        self.handle(at, Event::Settle);
        self.deliver();
        match reply {
            Reply::Done { text } => Ok(text),
            Reply::Failed { error, .. } => Err(error),
            other => panic!("{other:?}"),
        }
    }

    pub fn order(&mut self, at: &'static str, target: &str, action: Action) {
        let until_s = None;
        let (target, reason, author) = (target.into(), "upgrade".into(), "ann".into());
        let order = Command::Order { target, action, reason, author, until_s, force: false };
        self.command(at, order).unwrap();
    }

    pub fn withdraw(&mut self, at: &'static str, target: &str) {
        let (target, author) = (target.into(), "bob".into());
        self.command(at, Command::Withdraw { target, author }).unwrap();
    }

    pub fn shift(&mut self, at: &'static str, share: u32, over_s: u64) {
        let shift = Command::Shift {
            policy: "world".into(),
            target: "us".into(),
            share,
            over_s,
            watch_s: 60,
            until_s: None,
            reason: "canary".into(),
            author: "ann".into(),
            force: false,
        };
        self.command(at, shift).unwrap();
    }

    pub fn status(&mut self, name: &'static str) -> Status {
        match self.handle(name, Event::Command(Command::Status)) {
            Some(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Orders in force, as each living node that says the same as the others has them.
    pub fn orders(&mut self) -> Vec<String> {
        let of = |status: Status| -> Vec<String> {
            status.orders.iter().map(|order| format!("{order:?}")).collect()
        };
        let mut all = self.living().into_iter().map(|name| (name, self.status(name)));
        let all: Vec<_> = all.by_ref().map(|(name, status)| (name, of(status))).collect();
        for (name, orders) in &all {
            assert_eq!(orders, &all[0].1, "{name} and {}", all[0].0);
        }
        all[0].1.clone()
    }

    /// Shifts in force, alike everywhere.
    pub fn shifts(&mut self) -> Vec<String> {
        let of = |status: Status| -> Vec<String> {
            status.shifts.iter().map(|shift| format!("{shift:?}")).collect()
        };
        let all: Vec<_> = self.living().into_iter().map(|name| of(self.status(name))).collect();
        all.iter().for_each(|shifts| assert_eq!(shifts, &all[0]));
        all[0].clone()
    }
}
