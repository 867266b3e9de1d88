//! A whole controller among nodes that say anything: whatever they say, whoever asks gets an address.

use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use rhumb::cluster::Beat;
use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::NodeName;
use rhumb::cluster::Role;
use rhumb::cluster::Topic;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::health::Penalty;
use rhumb::model::Anchors;
use rhumb::model::ClusterTerms;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Peer;
use rhumb::model::Verdict;

use crate::common::ask;
use crate::common::request;
use crate::random::Random;

const SITES: [&str; 4] = ["s0", "s1", "s2", "s3"];

/// One node with its peers' mouths.
struct Node {
    controller: Controller,
    now: Now,
    sequences: u64,
}

impl Node {
    fn new() -> Self {
        let mut text = String::from("check.c = { kind = \"tcp\", port = 1 }\n");
        for (number, site) in SITES.iter().enumerate() {
            text += &format!("site.{site} = {{ latitude = 1, longitude = {number} }}\n");
        }
        for (number, site) in SITES.iter().enumerate() {
            text += &format!("[pool.p{number}]\nsite = \"{site}\"\ncheck = \"c\"\n");
            text += &format!("endpoint.a.addresses = [\"198.18.{number}.1\"]\n");
            text += &format!("endpoint.b.addresses = [\"198.18.{number}.2\"]\n");
        }
        text += "[policy.all]\nkind = \"failover\"\ntargets = [\"p0\", \"p1\", \"p2\", \"p3\"]\n";
        text += "[name.www]\nsteer = \"all\"\n[zone]\nname = \"shop.test\"\n";
        text += "nameservers = [\"ns.example.net\"]\n";
        let name = |site: &str| NodeName::parse(&format!("{site}-1")).unwrap();
        let peer = |site: &&str| Peer {
            node: name(site),
            address: None,
            pins: Vec::new(),
            site: (*site).into(),
            role: Role::Server,
        };
        let terms = ClusterTerms {
            name: "c".into(),
            node: name(SITES[0]),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            bundles: false,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers: SITES[1..].iter().map(peer).collect(),
            nats: None,
        };
        let now =
            Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(1_800_000_000) };
        let mut node = Self { controller: Controller::default(), now, sequences: 0 };
        node.controller.join(&terms, SITES[0]);
        let files = Files::new(vec![SourceFile::new("zones/a.toml", &text)]);
        node.handle(Event::Files(Job::new(files, GeoFiles::default(), NodeTerms::default())));
        node
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            if let Effect::Compile(job) = effect {
                self.handle(Event::Compiled(job.run()));
            }
        }
    }

    /// A peer says anything at all.
    fn babble(&mut self, random: &mut Random) {
        let node = NodeName::parse(&format!("{}-1", SITES[1 + random.below(3) as usize])).unwrap();
        self.sequences += random.below(3);
        let layout = self.controller.cluster_layout().expect("it has joined");
        let anchors = *random.pick(&[Anchors::Unset, Anchors::Pass, Anchors::Fail]);
        let beat = Beat { is_isolated: random.chance(10), anchors, ..Beat::default() };
        let words: Vec<u8> = (0..4).map(|_| random.next() as u8).collect();
        let (topic, payload) = match random.below(3) {
            0 => (layout.shards()[0].topic, words.into()),
            1 => (layout.shards()[0].topic, vec![0xaa; 4].into()),
            _ => (Topic::Beat, beat.to_octets()),
        };
        let generation = Generation(random.below(2));
        let sequence = self.sequences;
        self.handle(Event::Heard(Heard::Value { node, generation, topic, sequence, payload }));
    }

    /// This node's prober says something.
    fn vote(&mut self, random: &mut Random) {
        let layout = self.controller.cluster_layout().expect("it has joined");
        let key = random.pick(layout.targets()).key.clone();
        let verdict = *random.pick(&[Verdict::Up, Verdict::Held, Verdict::Down, Verdict::Down]);
        self.controller.note_result(&key, verdict != Verdict::Down, self.now);
        let (reason, penalty) = ("".into(), Penalty::default());
        self.handle(Event::Vote(Vote { key, verdict, degraded: 0, reason, penalty }));
    }

    fn assert_answers(&self) {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii("www.shop.test.").unwrap(), RecordType::A));
        let snapshot = self.controller.snapshot().expect("files are served");
        let reply = ask(snapshot, &request("192.0.2.1"), &message);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(!reply.answers.is_empty(), "an answer is empty");
    }
}

/// Says anything for a while, and asks after each word. Returns how often a verdict was down.
pub fn babble(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut node = Node::new();
    let mut down = 0;
    for _ in 0..120 {
        match random.below(10) {
            0..=5 => node.babble(&mut random),
            6..=7 => node.vote(&mut random),
            8 => node.handle(Event::Anchors(Anchors::Pass)),
            _ => {
                let by =
                    Duration::from_millis(random.below(*random.clone().pick(&[500, 500, 700_000])));
                node.now.monotonic += by;
                node.now.unix += Duration::from_secs(random.below(2)) + by;
            }
        }
        node.handle(Event::Settle);
        node.assert_answers();
        down += node.controller.verdicts().iter().filter(|(_, one)| *one == Verdict::Down).count();
    }
    down
}
