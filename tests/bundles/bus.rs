//! Controllers with a bus between them, and a shell for each that does what it is told of bundles, on a virtual clock.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::Manifest;
use rhumb::cluster::NodeName;
use rhumb::cluster::PieceId;
use rhumb::cluster::Role;
use rhumb::cluster::Say;
use rhumb::cluster::Sealed;
use rhumb::cluster::Topic;
use rhumb::cluster::Version;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Command;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Reply;
use rhumb::control::cluster::bundles::Active;
use rhumb::control::cluster::bundles::BundleNews;
use rhumb::control::cluster::bundles::Deed;
use rhumb::control::cluster::bundles::Memory;
use rhumb::control::cluster::bundles::Word;
use rhumb::control::cluster::bundles::orders::PushFiles;
use rhumb::control::cluster::bundles::orders::PushTerms;
use rhumb::control::cluster::bundles::status::BundleStatus;
use rhumb::control::job::GeoFiles;
use rhumb::model::ClusterTerms;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Peer;

/// Servers `a`, `b` and `c`, and an agent `d`.
pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Files that steer www to an address that tells them apart.
pub fn files(number: u8) -> String {
    format!(
        "zone = {{ name = 'x.test', nameservers = ['ns.example.net'] }}\n\
         name.www.steer = 'eu'\n\
         [pool.eu]\nendpoint.one.addresses = ['192.0.2.{number}']\n"
    )
}

/// Files before any push.
pub const OWN: u8 = 200;

pub struct Node {
    pub controller: Controller,
    generation: u64,
    sequence: u64,
    /// What it keeps on disk of versions.
    pub disk: Vec<Active>,
    /// And which it served last.
    disk_in_force: Option<Version>,
    /// Whose files it reads; `None`: its own.
    pub reads: Option<PieceId>,
    pub is_dead: bool,
    /// Nobody can give it pieces.
    pub is_starved: bool,
    /// Something that files need is lacking here.
    pub lacks: bool,
    /// It dies when it is to keep something, before that is on disk.
    pub dies_at_keep: bool,
    /// Its disk takes no word of which version counts.
    pub is_full: bool,
    /// What it told people.
    pub told: Vec<String>,
    /// What is still to be done of deeds: a shell takes its time.
    pending: Vec<Deed>,
    /// The newest version that it served, but for trials.
    newest: Option<Version>,
}

/// All nodes of a cluster.
pub struct Bus {
    pub nodes: BTreeMap<&'static str, Node>,
    pub now: Now,
    mail: Vec<(&'static str, Heard)>,
    /// What each said last about each topic: what gossip tells those who come later.
    store: BTreeMap<(&'static str, Topic), Heard>,
    pub parcels: BTreeMap<PieceId, String>,
    /// Nodes that hear, and are heard by, only each other.
    pub apart: BTreeSet<&'static str>,
    /// Nodes that take bundles.
    takers: BTreeSet<&'static str>,
    /// Which key each has, if it is not the first.
    keys: BTreeMap<&'static str, u32>,
    /// Nodes that the files of the others do not name.
    pub strangers: BTreeSet<&'static str>,
}

fn role(name: &str) -> Role {
    if name == "d" { Role::Agent } else { Role::Server }
}

fn terms(own: &str, bundles: bool, strangers: &BTreeSet<&str>) -> ClusterTerms {
    let name = |text: &str| NodeName::parse(text).unwrap();
    let others = NAMES.into_iter().filter(|other| *other != own && !strangers.contains(other));
    ClusterTerms {
        name: "test".into(),
        node: name(own),
        listen: None,
        key: "cluster.key".into(),
        role: role(own),
        bundles,
        withdraw: Box::default(),
        nats: None,
        anchors: Vec::new(),
        peers: others
            .map(|other| Peer {
                node: name(other),
                address: None,
                pins: Vec::new(),
                site: format!("site-{other}").into(),
                role: role(other),
            })
            .collect(),
    }
}

fn job(text: &str) -> Job {
    let files = Files::new(vec![SourceFile::new("zones/x.toml", text)]);
    Job::new(files, GeoFiles::default(), NodeTerms::default())
}

impl Bus {
    pub fn new() -> Self {
        Self::of_takers(&NAMES)
    }

    pub fn of_takers(takers: &[&'static str]) -> Self {
        let now =
            Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(1_800_000_000) };
        let mut bus = Self {
            nodes: BTreeMap::new(),
            now,
            mail: Vec::new(),
            store: BTreeMap::new(),
            parcels: BTreeMap::new(),
            apart: BTreeSet::new(),
            takers: takers.iter().copied().collect(),
            keys: BTreeMap::new(),
            strangers: BTreeSet::new(),
        };
        for name in NAMES {
            bus.start(name);
        }
        bus.pass(10);
        bus
    }

    /// Starts a node with what it kept, as the shell does.
    pub fn start(&mut self, name: &'static str) {
        let before = self.nodes.remove(name);
        // A full disk is the one excuse for going back.
        let newest = |node: &Node| node.newest.clone().filter(|_| !node.is_full);
        let kept = |node: Node| (node.generation, newest(&node), node.disk, node.disk_in_force);
        let (generation, newest, disk, disk_in_force) = before.map_or_else(Default::default, kept);
        let now_ms = self.now.unix.as_millis() as u64;
        let counts = |active: &&Active| {
            let version = Some(&active.sealed.manifest.version);
            active.at_ms <= now_ms || version <= disk_in_force.as_ref()
        };
        let active = disk.iter().find(counts);
        let reads = active.map(|active| active.sealed.manifest.parcel);
        let in_force = active.map(|active| active.sealed.manifest.version.clone());
        assert!(
            newest <= in_force || in_force.is_none() && newest.is_none(),
            "{name} went back at its start"
        );
        let memory = Memory { versions: disk.clone(), in_force };
        let mut controller = Controller::default();
        let terms = self.terms(name);
        controller.join(&terms, &format!("site-{name}"));
        controller.take_bundles(&terms, false, memory);
        let node = Node {
            controller,
            generation: generation + 1,
            sequence: 0,
            disk,
            disk_in_force,
            reads,
            is_dead: false,
            is_starved: false,
            lacks: false,
            dies_at_keep: false,
            is_full: false,
            told: Vec::new(),
            pending: Vec::new(),
            newest,
        };
        self.nodes.insert(name, node);
        self.read(name);
        let hears = |other: &str| {
            self.hears(name, other) && self.nodes.get(other).is_some_and(|node| !node.is_dead)
        };
        let told = self.store.iter().filter(|((other, _), _)| *other != name && hears(other));
        let told: Vec<Heard> = told.map(|(_, said)| said.clone()).collect();
        told.into_iter().for_each(|said| drop(self.handle(name, Event::Heard(said))));
        self.handle(name, Event::Settle);
    }

    fn terms(&self, name: &str) -> ClusterTerms {
        terms(name, self.takers.contains(name), &self.strangers)
    }

    /// Every living node reads its peers and their pins anew.
    pub fn reload(&mut self) {
        for name in self.living() {
            let terms = self.terms(name);
            self.handle(name, Event::Members(terms));
        }
    }

    /// A node has another key from now on, and the files of all have its pin instead of the one before.
    pub fn change_key(&mut self, name: &'static str) {
        *self.keys.entry(name).or_default() += 1;
        self.reload();
    }

    fn seal(&self, name: &str, manifest: Manifest) -> Sealed {
        let signature = self.keys.get(name).copied().unwrap_or(0).to_string();
        Sealed { manifest, by: NodeName::parse(name).unwrap(), signature: signature.into() }
    }

    fn is_sealed(&self, sealed: &Sealed) -> bool {
        *sealed == self.seal(sealed.by.as_str(), sealed.manifest.clone())
    }

    /// Reads the files that count at a node.
    fn read(&mut self, name: &'static str) {
        let text = match self.nodes[name].reads {
            Some(parcel) => self.parcels[&parcel].clone(),
            None => files(OWN),
        };
        self.handle(name, Event::Files(job(&text)));
    }

    pub fn handle(&mut self, name: &'static str, event: Event) -> Option<Reply> {
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(name).unwrap();
        node.controller.handle(event, self.now, &mut effects);
        let mut reply = None;
        for effect in effects {
            let node = self.nodes.get_mut(name).unwrap();
            match effect {
                Effect::Compile(job) => drop(self.handle(name, Event::Compiled(job.run()))),
                Effect::Reply(told) => reply = Some(told),
                Effect::Bundle(deed) => node.pending.push(deed),
                Effect::Record(occurrence) => node.told.push(format!("{occurrence:?}")),
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
                _ => {}
            }
        }
        self.judge(name);
        reply
    }

    /// Laws that hold at every moment.
    fn judge(&mut self, name: &'static str) {
        let node = self.nodes.get_mut(name).unwrap();
        let Some(status) = node.controller.bundle_status(self.now) else { return };
        let Some(version) = status.in_force else { return };
        let own = status.nodes.iter().find(|other| other.node == name).unwrap();
        if own.state.as_deref() == Some("canary") {
            return;
        }
        let version =
            Version { number: version.number, node: NodeName::parse(&version.node).unwrap() };
        assert!(
            Some(&version) >= node.newest.as_ref(),
            "{name} went from {:?} to {version}",
            node.newest
        );
        node.newest = Some(version);
    }

    /// Does what the controller of a node has said, with what follows from it.
    pub fn work(&mut self, name: &'static str) {
        for deed in std::mem::take(&mut self.nodes.get_mut(name).unwrap().pending) {
            let is_sealed = match &deed {
                Deed::Vouch(sealed) | Deed::Stage(sealed) => self.is_sealed(sealed),
                _ => true,
            };
            let node = self.nodes.get_mut(name).unwrap();
            if node.is_dead {
                return;
            }
            let news = match deed {
                Deed::Seal(manifest) => BundleNews::Sealed(self.seal(name, manifest)),
                Deed::Vouch(_) if is_sealed => continue,
                Deed::Vouch(sealed) => BundleNews::Vouched(self.seal(name, sealed.manifest)),
                Deed::Stage(sealed) if !is_sealed => {
                    BundleNews::Staged(sealed, Err("its signature is of no pin here\n".into()))
                }
                Deed::Stage(sealed) if node.is_starved => BundleNews::Staged(sealed, Ok(None)),
                Deed::Stage(sealed) if node.lacks => {
                    BundleNews::Staged(sealed, Err("x.toml:3:1: ca.pem is not here\n".into()))
                }
                Deed::Stage(sealed) => {
                    let text = self.parcels[&sealed.manifest.parcel].clone();
                    BundleNews::Staged(sealed, Ok(Some(Box::new(job(&text)))))
                }
                Deed::Check(sealed, job) => BundleNews::Checked(sealed, Box::new(job.run())),
                Deed::Keep(_) if node.dies_at_keep => {
                    node.is_dead = true;
                    return;
                }
                Deed::Keep(_) if node.is_full => BundleNews::Kept(Err("No space left".into())),
                Deed::Keep(Memory { versions, in_force }) => {
                    let is_older = versions.first().map(|one| &one.sealed.manifest.version)
                        < node.disk.first().map(|one| &one.sealed.manifest.version);
                    assert!(!is_older, "{name} keeps an older version");
                    (node.disk, node.disk_in_force) = (versions, in_force);
                    let newest = node.disk.first().map(|one| one.sealed.manifest.version.clone());
                    BundleNews::Kept(Ok(newest))
                }
                Deed::Read(parcel) => {
                    node.reads = parcel;
                    self.read(name);
                    continue;
                }
                Deed::Drop | Deed::Table(_) => continue,
            };
            self.handle(name, Event::Bundle(news));
            self.handle(name, Event::Settle);
        }
    }

    /// What is ready at a node is compiled anew, and does not hold any more.
    pub fn spoil_check(&mut self, name: &'static str) {
        let sealed = self.staged_at(name);
        let product = job("zone = {").run();
        self.handle(name, Event::Bundle(BundleNews::Checked(sealed, Box::new(product))));
        self.handle(name, Event::Settle);
    }

    /// The version that is offered to all, as a node hears it.
    fn staged_at(&self, name: &str) -> Sealed {
        let push = self.status(name).push.expect("something is pushed");
        let said = &self.store[&(NAMES[0], Topic::Bundle)];
        let Heard::Value { payload, .. } = said else { panic!("{said:?}") };
        let offer = Word::of_octets(payload).unwrap().offer.unwrap();
        assert_eq!(offer.sealed.manifest.version.number, push.version.number);
        offer.sealed
    }

    /// A server says that a version of this number counts.
    pub fn say_number(&mut self, name: &'static str, number: u64) {
        self.nodes.get_mut(name).unwrap().sequence += 1;
        let Some(Heard::Value { node, generation, topic, sequence, payload }) =
            self.store.get(&(name, Topic::Bundle)).cloned()
        else {
            panic!("it has said nothing");
        };
        let mut word = Word::of_octets(&payload).unwrap();
        word.active.as_mut().unwrap().sealed.manifest.version.number = number;
        let (sequence, payload) = (sequence + 1, word.to_octets());
        self.mail.push((name, Heard::Value { node, generation, topic, sequence, payload }));
    }

    pub fn living(&self) -> Vec<&'static str> {
        NAMES.into_iter().filter(|name| !self.nodes[name].is_dead).collect()
    }

    fn hears(&self, one: &str, other: &str) -> bool {
        self.apart.contains(one) == self.apart.contains(other)
            && !self.strangers.contains(one)
            && !self.strangers.contains(other)
    }

    /// Brings every word to everybody who hears it.
    pub fn deliver(&mut self) {
        let mail = std::mem::take(&mut self.mail);
        for to in self.living() {
            for (from, said) in &mail {
                if *from != to && self.hears(to, from) {
                    self.handle(to, Event::Heard(said.clone()));
                }
            }
            self.handle(to, Event::Settle);
        }
    }

    /// What was said while nodes were apart is heard by gossip.
    pub fn heal(&mut self) {
        self.apart.clear();
        let said: Vec<_> =
            self.store.iter().map(|((from, _), said)| (*from, said.clone())).collect();
        self.mail.extend(said);
    }

    /// Lets time pass, in steps of 100 ms.
    pub fn pass_ms(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now.monotonic += Duration::from_millis(100);
            self.now.unix += Duration::from_millis(100);
            for name in self.living() {
                self.handle(name, Event::Settle);
                self.work(name);
            }
            self.deliver();
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.pass_ms(seconds * 1000);
    }

    /// Gives a command at a node.
    pub fn command(&mut self, at: &'static str, command: Command) -> Result<String, String> {
        let reply = self.handle(at, Event::Command(command)).unwrap();
        self.handle(at, Event::Settle);
        match reply {
            Reply::Done { text } => Ok(text),
            Reply::Failed { error, .. } => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// Has files on a node's disk, to be pushed.
    pub fn upload(&mut self, text: &str) -> PushFiles {
        let parcel = PieceId::of(text.as_bytes());
        self.parcels.insert(parcel, text.to_owned());
        PushFiles { parcel, octets: text.len() as u64, files: 1 }
    }

    pub fn push_with(
        &mut self,
        at: &'static str,
        text: &str,
        terms: PushTerms,
    ) -> Result<String, String> {
        let files = self.upload(text);
        self.command(at, Command::Push { files, terms })
    }

    pub fn push(&mut self, at: &'static str, text: &str) -> Result<String, String> {
        self.push_with(at, text, because("new"))
    }

    pub fn status(&self, name: &str) -> BundleStatus {
        self.nodes[name].controller.bundle_status(self.now).unwrap()
    }

    /// Why the last push of a node was given up.
    #[track_caller]
    pub fn why(&self, name: &str) -> String {
        let last = self.status(name).last.expect("a push has ended");
        assert!(!last.is_decided, "{}", last.text);
        last.text
    }

    /// The last octet of the address that a node answers with.
    pub fn answer(&self, name: &str) -> u8 {
        let snapshot = self.nodes[name].controller.snapshot().unwrap();
        let pool = snapshot.compiled.model.find_pool("eu").unwrap();
        let pool = &snapshot.compiled.model.pools[pool.index()];
        let text = format!("{:?}", pool.endpoints[0].leaf);
        let rest = text.split("192.0.2.").nth(1).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }

    pub fn answers(&self) -> Vec<u8> {
        NAMES.iter().map(|name| self.answer(name)).collect()
    }
}

pub fn because(reason: &str) -> PushTerms {
    PushTerms { reason: reason.into(), author: "ann".into(), ..PushTerms::default() }
}
