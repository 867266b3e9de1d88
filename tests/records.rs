//! Records in a cluster: an order that is given at one node counts at all, whoever dies and whoever comes later.
//!
//! Controllers with a bus between them, on a virtual clock; every word reaches every node that is there.
#![allow(clippy::unwrap_used, reason = "a test")]

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
use rhumb::control::LoadReport;
use rhumb::control::Occurrence;
use rhumb::control::Reply;
use rhumb::control::Restored;
use rhumb::control::command::Action;
use rhumb::control::job::GeoFiles;
use rhumb::control::status::Status;
use rhumb::control::stored::Stored;
use rhumb::model::ClusterTerms;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Peer;
use rhumb::model::TargetKey;

/// What every node has.
const FILES: &str = "\
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

struct Node {
    controller: Controller,
    generation: u64,
    sequence: u64,
    /// What it keeps on disk.
    kept: BTreeMap<Box<str>, Stored>,
    version: u64,
    is_dead: bool,
}

/// All nodes of a cluster: `a`, `b` and `c`, one a site; `d` is an agent.
struct Bus {
    nodes: BTreeMap<&'static str, Node>,
    now: Now,
    mail: Vec<(&'static str, Heard)>,
    /// What each said last about each topic: what gossip tells those who come later.
    store: BTreeMap<(&'static str, Topic), Heard>,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

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
    fn new() -> Self {
        let now =
            Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(1_800_000_000) };
        let mut bus =
            Self { nodes: BTreeMap::new(), now, mail: Vec::new(), store: BTreeMap::new() };
        for name in NAMES {
            bus.start(name);
        }
        bus.pass(30);
        bus
    }

    /// Starts a node with what it kept.
    fn start(&mut self, name: &'static str) {
        let before = self.nodes.remove(name);
        let (generation, kept, version) =
            before.map_or_else(Default::default, |node| (node.generation, node.kept, node.version));
        let stored = kept.values().cloned().collect();
        let mut controller = Controller::default();
        controller.join(&terms(name), &format!("site-{name}"));
        let generation = generation + 1;
        let node = Node { controller, generation, sequence: 0, kept, version, is_dead: false };
        self.nodes.insert(name, node);
        let alive = Some(self.now.unix);
        let restored = Restored { stored, alive, version, ..Restored::default() };
        self.handle(name, Event::Restored(restored));
        let files = Files::new(vec![SourceFile::new("zones/x.toml", FILES)]);
        let job = Job::new(files, GeoFiles::default(), NodeTerms::default());
        self.handle(name, Event::Files(job));
        self.handle(name, Event::Settle);
        let lives = |other: &str| self.nodes.get(other).is_some_and(|node| !node.is_dead);
        let told = self.store.iter().filter(|((other, _), _)| *other != name && lives(other));
        let told: Vec<Heard> = told.map(|(_, said)| said.clone()).collect();
        told.into_iter().for_each(|said| drop(self.handle(name, Event::Heard(said))));
        self.handle(name, Event::Settle);
    }

    fn handle(&mut self, name: &'static str, event: Event) -> Option<Reply> {
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(name).unwrap();
        node.controller.handle(event, self.now, &mut effects);
        let mut reply = None;
        for effect in effects {
            let node = self.nodes.get_mut(name).unwrap();
            match effect {
                Effect::Compile(job) => drop(self.handle(name, Event::Compiled(job.run()))),
                Effect::Reply(told) => reply = Some(told),
                Effect::Record(Occurrence::Refused { text, .. }) => panic!("{text}"),
                Effect::Say(Say { topic, payload, .. }) => {
                    node.sequence += 1;
                    let said = Heard::Value {
                        node: NodeName::parse(name).unwrap(),
                        generation: Generation(node.generation),
                        topic,
                        sequence: node.sequence,
                        payload,
                    };
                    self.store.insert((name, topic), said.clone());
                    self.mail.push((name, said));
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

    fn living(&self) -> Vec<&'static str> {
        NAMES.into_iter().filter(|name| !self.nodes[name].is_dead).collect()
    }

    /// Brings every word to everybody, and the words that follow from it.
    fn deliver(&mut self) {
        for turn in 0.. {
            assert!(turn < 20, "words follow from words without end");
            let mail = std::mem::take(&mut self.mail);
            if mail.is_empty() {
                return;
            }
            for to in self.living() {
                for (from, said) in mail.iter().filter(|(from, _)| *from != to) {
                    let _ = from;
                    self.handle(to, Event::Heard(said.clone()));
                }
                self.handle(to, Event::Settle);
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
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
    fn command(&mut self, at: &'static str, command: Command) -> Result<String, String> {
        let reply = self.handle(at, Event::Command(command)).unwrap();
        self.handle(at, Event::Settle);
        self.deliver();
        match reply {
            Reply::Done { text } => Ok(text),
            Reply::Failed { error, .. } => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn order(&mut self, at: &'static str, target: &str, action: Action) {
        let until_s = None;
        let (target, reason, author) = (target.into(), "upgrade".into(), "ann".into());
        let order = Command::Order { target, action, reason, author, until_s, force: false };
        self.command(at, order).unwrap();
    }

    fn withdraw(&mut self, at: &'static str, target: &str) {
        let (target, author) = (target.into(), "bob".into());
        self.command(at, Command::Withdraw { target, author }).unwrap();
    }

    fn shift(&mut self, at: &'static str, share: u32, over_s: u64) {
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

    fn status(&mut self, name: &'static str) -> Status {
        match self.handle(name, Event::Command(Command::Status)) {
            Some(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Orders in force, as each living node that says the same as the others has them.
    fn orders(&mut self) -> Vec<String> {
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
    fn shifts(&mut self) -> Vec<String> {
        let of = |status: Status| -> Vec<String> {
            status.shifts.iter().map(|shift| format!("{shift:?}")).collect()
        };
        let all: Vec<_> = self.living().into_iter().map(|name| of(self.status(name))).collect();
        all.iter().for_each(|shifts| assert_eq!(shifts, &all[0]));
        all[0].clone()
    }
}

#[test]
fn an_order_given_at_one_node_counts_at_all_and_is_taken_back_at_any() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    let orders = bus.orders();
    assert_eq!(orders.len(), 1);
    assert!(orders[0].contains("ann") && orders[0].contains("upgrade"), "{orders:?}");
    bus.order("b", "eu/fra-2", Action::ForceDown);
    assert_eq!(bus.orders().len(), 2);
    bus.withdraw("c", "eu/fra-1");
    assert_eq!(bus.orders().len(), 1);
    bus.pass(60);
    assert_eq!(bus.orders().len(), 1, "nothing comes back by itself");
}

#[test]
fn what_was_taken_back_while_a_node_was_away_stays_so() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    bus.order("a", "us/iad-1", Action::ForceUp);
    bus.nodes.get_mut("a").unwrap().is_dead = true;
    bus.pass(20);
    bus.withdraw("b", "eu/fra-1");
    bus.start("a");
    bus.pass(30);
    let orders = bus.orders();
    assert!(orders.len() == 1 && orders[0].contains("iad-1"), "{orders:?}");
}

#[test]
fn who_comes_later_hears_of_orders_whose_author_is_gone() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    bus.nodes.get_mut("a").unwrap().is_dead = true;
    // This one knows nothing.
    bus.nodes.get_mut("c").unwrap().is_dead = true;
    bus.nodes.get_mut("c").unwrap().kept.clear();
    bus.pass(15);
    bus.start("c");
    bus.pass(30);
    assert_eq!(bus.orders().len(), 1);
}

#[test]
fn of_two_orders_at_once_all_nodes_keep_the_same() {
    let mut bus = Bus::new();
    for (at, action) in [("b", Action::ForceDown), ("a", Action::Drain)] {
        let order = Command::Order {
            target: "eu/fra-1".into(),
            action,
            reason: "at once".into(),
            author: at.into(),
            until_s: None,
            force: false,
        };
        bus.handle(at, Event::Command(order));
        bus.handle(at, Event::Settle);
    }
    bus.deliver();
    let orders = bus.orders();
    assert!(orders.len() == 1 && orders[0].contains("\"b\""), "the later name: {orders:?}");
    bus.pass(30);
    assert_eq!(bus.orders(), orders);
}

#[test]
fn a_shift_goes_its_way_everywhere_and_ends_everywhere() {
    let mut bus = Bus::new();
    bus.shift("a", 100_000_000, 0);
    assert_eq!(bus.shifts().len(), 1);
    bus.shift("b", 300_000_000, 600);
    bus.pass(300);
    let half = bus.shifts();
    assert!(half.len() == 1 && half[0].contains("20"), "{half:?}");
    let back = Command::ShiftBack { policy: "world".into(), author: "bob".into() };
    bus.command("c", back).unwrap();
    for name in bus.living() {
        let status = bus.status(name);
        assert!(status.shifts.iter().all(|shift| shift.ended.is_some()), "{name}: {status:?}");
    }
}

#[test]
fn an_agent_takes_no_orders_but_obeys_those_of_servers() {
    let mut bus = Bus::new();
    let order = Command::Order {
        target: "eu/fra-1".into(),
        action: Action::Drain,
        reason: "x".into(),
        author: "ann".into(),
        until_s: None,
        force: false,
    };
    let refused = bus.command("d", order).unwrap_err();
    assert!(refused.contains("agent"), "{refused}");
    assert!(bus.orders().is_empty());
    bus.order("a", "eu/fra-1", Action::Disable);
    assert_eq!(bus.nodes["d"].controller.order_count(), 1);
}

#[test]
fn one_node_decides_for_all_what_is_shed() {
    let mut bus = Bus::new();
    // Each node sees another load.
    let loads = [("a", 0.95), ("b", 0.1), ("c", 0.7), ("d", 0.95)];
    let mut was_shed = false;
    for _ in 0..12 {
        for (name, load) in loads {
            let report = |endpoint: &str, load: f64| LoadReport {
                key: TargetKey {
                    endpoint: endpoint.into(),
                    check: "web".into(),
                    family: Family::V4,
                    address: None,
                },
                load,
            };
            let reports =
                vec![report("eu/fra-1", load), report("eu/fra-2", load), report("us/iad-1", 0.1)];
            bus.handle(name, Event::Loads(reports));
        }
        bus.pass(30);
        let levels = |bus: &Bus| -> Vec<Option<u8>> {
            let of = |name: &&str| {
                let gauges = bus.nodes[*name].controller.snapshot()?;
                let pools = &gauges.compiled.model.pools;
                let eu = pools.iter().position(|pool| &*pool.name == "eu")?;
                Some(gauges.pools[eu].shedding().level)
            };
            NAMES.iter().map(of).collect()
        };
        let levels = levels(&bus);
        assert!(levels.iter().all(|level| *level == levels[0]), "{levels:?}");
        was_shed |= levels[0].is_some_and(|level| level > 0);
    }
    assert!(was_shed, "the scribe is one that sees a high load");
}
