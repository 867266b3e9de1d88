//! The brake in a cluster: nodes that saw losses in another order come to hold the same.
//!
//! Three controllers with a bus between them, on a virtual clock. Whoever is cut off hears all losses at once later on.
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
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::health::Penalty;
use rhumb::model::Anchors;
use rhumb::model::ClusterTerms;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Peer;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Four sites with one endpoint each: two may go within a minute, the third is held.
const FILES: &str = "\
zone = { name = 'x.test', nameservers = ['ns.example.net'] }
name.www.steer = 'world'
check.web = { kind = 'http', hold_down = '0s' }
policy.world = { kind = 'failover', targets = ['p1', 'p2', 'p3', 'p4'] }
site.s1 = { latitude = 1, longitude = 1 }
site.s2 = { latitude = 2, longitude = 2 }
site.s3 = { latitude = 3, longitude = 3 }
site.s4 = { latitude = 4, longitude = 4 }
pool.p1 = { site = 's1', check = 'web', endpoint.x.addresses = ['192.0.2.1'] }
pool.p2 = { site = 's2', check = 'web', endpoint.x.addresses = ['192.0.2.2'] }
pool.p3 = { site = 's3', check = 'web', endpoint.x.addresses = ['192.0.2.3'] }
pool.p4 = { site = 's4', check = 'web', endpoint.x.addresses = ['192.0.2.4'] }
";

fn terms(own: &str) -> ClusterTerms {
    let name = |text: &str| NodeName::parse(text).unwrap();
    let peer = |other: &str| Peer {
        node: name(other),
        address: None,
        pins: Vec::new(),
        site: format!("site-{other}").into(),
        role: Role::Server,
    };
    ClusterTerms {
        name: "test".into(),
        node: name(own),
        listen: None,
        key: "cluster.key".into(),
        role: Role::Server,
        anchors: Vec::new(),
        withdraw: Box::default(),
        nats: None,
        bundles: false,
        peers: NAMES.into_iter().filter(|other| *other != own).map(peer).collect(),
    }
}

fn key(pool: &str) -> TargetKey {
    let endpoint = format!("{pool}/x").into();
    TargetKey { endpoint, check: "web".into(), family: Family::V4, address: None }
}

struct Bus {
    nodes: BTreeMap<&'static str, (Controller, u64)>,
    now: Now,
    store: BTreeMap<(&'static str, Topic), Heard>,
    mail: Vec<(&'static str, Heard)>,
    cut: Option<&'static str>,
}

impl Bus {
    fn new() -> Self {
        let now =
            Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(1_800_000_000) };
        let (nodes, store) = (BTreeMap::new(), BTreeMap::new());
        let mut bus = Self { nodes, now, store, mail: Vec::new(), cut: None };
        for name in NAMES {
            let mut controller = Controller::default();
            controller.join(&terms(name), &format!("site-{name}"));
            bus.nodes.insert(name, (controller, 0));
            let files = Files::new(vec![SourceFile::new("zones/x.toml", FILES)]);
            let job = Job::new(files, GeoFiles::default(), NodeTerms::default());
            bus.handle(name, Event::Files(job));
            bus.handle(name, Event::Anchors(Anchors::Pass));
        }
        for pool in ["p1", "p2", "p3", "p4"] {
            bus.see(pool, Verdict::Up);
        }
        bus.pass(5);
        assert!(NAMES.iter().all(|name| bus.verdicts(name).contains("up up up up")));
        bus
    }

    fn handle(&mut self, name: &'static str, event: Event) {
        let mut effects = Vec::new();
        self.nodes.get_mut(name).unwrap().0.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Compile(job) => self.handle(name, Event::Compiled(job.run())),
                Effect::Say(Say { topic, payload, .. }) => {
                    let (_, sequence) = self.nodes.get_mut(name).unwrap();
                    *sequence += 1;
                    let said = Heard::Value {
                        node: NodeName::parse(name).unwrap(),
                        generation: Generation(1),
                        topic,
                        sequence: *sequence,
                        payload,
                    };
                    self.store.insert((name, topic), said.clone());
                    self.mail.push((name, said));
                }
                _ => {}
            }
        }
    }

    /// All nodes see the same of an endpoint.
    fn see(&mut self, pool: &str, verdict: Verdict) {
        for name in NAMES {
            let (reason, penalty) = ("seen".into(), Penalty::default());
            let vote = Vote { key: key(pool), verdict, degraded: 0, reason, penalty };
            self.handle(name, Event::Vote(vote));
        }
    }

    /// Lets time pass, in quarters of a second; nobody hears of who is cut off, and it hears nobody.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.now.monotonic += Duration::from_millis(250);
            self.now.unix += Duration::from_millis(250);
            for name in NAMES {
                self.handle(name, Event::Settle);
            }
            for (from, said) in std::mem::take(&mut self.mail) {
                for to in NAMES.into_iter().filter(|to| *to != from) {
                    if self.cut.is_none_or(|cut| cut != from && cut != to) {
                        self.handle(to, Event::Heard(said.clone()));
                    }
                }
            }
            for name in NAMES {
                self.handle(name, Event::Settle);
            }
        }
    }

    /// Brings everything to everybody that was said meanwhile.
    fn heal(&mut self) {
        self.cut = None;
        let all: Vec<_> =
            self.store.iter().map(|((from, _), said)| (*from, said.clone())).collect();
        self.mail.extend(all);
    }

    /// What holds at a node, and what its brake holds.
    fn verdicts(&self, name: &str) -> String {
        let (controller, _) = &self.nodes[name];
        let pools = ["p1", "p2", "p3", "p4"];
        let verdicts = pools.map(|pool| controller.verdict(&key(pool)).to_string()).join(" ");
        format!("{verdicts}, {} held", controller.held_by_brake())
    }

    #[track_caller]
    fn expect_alike(&self) -> String {
        let all = NAMES.map(|name| self.verdicts(name));
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        all[0].clone()
    }
}

#[test]
fn losses_of_one_moment_are_held_alike_without_a_word() {
    let mut bus = Bus::new();
    for pool in ["p3", "p1", "p2"] {
        bus.see(pool, Verdict::Down);
    }
    bus.pass(1);
    assert_eq!(bus.expect_alike(), "down down up up, 1 held");
    bus.pass(30);
    assert_eq!(bus.expect_alike(), "down down up up, 1 held");
}

#[test]
fn who_heard_of_losses_in_another_order_comes_to_hold_what_the_others_do() {
    let mut differed = 0;
    for cut in NAMES {
        let mut bus = Bus::new();
        bus.cut = Some(cut);
        bus.pass(10);
        for pool in ["p3", "p2", "p1"] {
            bus.see(pool, Verdict::Down);
            bus.pass(2);
        }
        bus.heal();
        bus.pass(1);
        let apart: Vec<String> = NAMES.map(|name| bus.verdicts(name)).into();
        differed += usize::from(apart.iter().any(|one| *one != apart[0]));
        bus.pass(6);
        let alike = bus.expect_alike();
        assert!(alike.ends_with("1 held") && alike.matches("down").count() == 2, "{alike}");
        bus.pass(60);
        assert_eq!(bus.expect_alike(), alike, "and it stays so, whoever was cut off ({cut})");
    }
    assert!(differed > 0, "the order must matter at first, or this tests nothing");
}

#[test]
fn what_is_released_at_one_node_goes_at_all_and_what_comes_back_is_held_nowhere() {
    let mut bus = Bus::new();
    for pool in ["p1", "p2", "p3"] {
        bus.see(pool, Verdict::Down);
    }
    bus.pass(2);
    let release = Command::ReleaseBrake { reason: "real".into(), author: "ann".into() };
    bus.handle("b", Event::Command(release));
    bus.pass(1);
    assert_eq!(bus.expect_alike(), "down down down up, 0 held");
    bus.pass(10);
    assert_eq!(bus.expect_alike(), "down down down up, 0 held");
    bus.see("p2", Verdict::Up);
    bus.pass(1);
    assert_eq!(bus.expect_alike(), "down up down up, 0 held");
}

#[test]
fn what_is_held_for_a_quarter_of_an_hour_is_believed_everywhere_within_seconds() {
    let mut bus = Bus::new();
    for pool in ["p1", "p2", "p3"] {
        bus.see(pool, Verdict::Down);
    }
    bus.pass(890);
    assert_eq!(bus.expect_alike(), "down down up up, 1 held");
    bus.pass(20);
    assert_eq!(bus.expect_alike(), "down down down up, 0 held");
}
