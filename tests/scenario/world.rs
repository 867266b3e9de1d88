//! The machines of a server on a virtual clock, driven by the steps of a scenario.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::ClientSubnet;
use hickory_proto::rr::rdata::opt::EdnsOption;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::explain::Question;
use rhumb::answer::explain::explain;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Command;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Occurrence;
use rhumb::control::ProbeOrder;
use rhumb::control::Reply;
use rhumb::control::Resolution;
use rhumb::control::Restored;
use rhumb::control::Vote;
use rhumb::control::command::Action;
use rhumb::control::effect::short_digest;
use rhumb::control::job::GeoFiles;
use rhumb::geo::WriteInfo;
use rhumb::geo::parse_source;
use rhumb::geo::write_database;
use rhumb::health::Degree;
use rhumb::health::Observation;
use rhumb::health::Penalty;
use rhumb::health::Thresholds;
use rhumb::health::Tracker;
use rhumb::model::Check;
use rhumb::model::EcsTrust;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::Source;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::rtt::Shelf;

use crate::common::GEO;
use crate::common::NOON;
use crate::common::ask;
use crate::scenario::ledger::Ledger;
use crate::scenario::peers::Peers;

/// Sites and a check that most scenarios use.
const SHARED: &str = include_str!("shared.toml");

/// A server on a virtual clock.
pub struct World {
    files: BTreeMap<String, String>,
    /// Geo data in the readable form; `None`: octets that are no database.
    geo: Option<String>,
    /// The folder of tables of round-trip times: names and content.
    pub(super) tables: Vec<(Box<str>, Vec<u8>)>,
    /// What this node's own file says.
    node: NodeTerms,
    pub(super) controller: Controller,
    pub(super) trackers: BTreeMap<TargetKey, (Tracker, Degree)>,
    /// Names that are to be resolved.
    pub(super) resolving: Vec<String>,
    /// Who is asked for endpoints.
    pub(super) sources: Vec<Arc<Source>>,
    /// Where and how each target is probed.
    probed: BTreeMap<TargetKey, (IpAddr, Arc<Check>)>,
    pub(super) now: Now,
    /// Jobs of a slow worker, oldest first.
    jobs: VecDeque<Arc<Job>>,
    is_worker_slow: bool,
    /// What the last step brought.
    pub(super) reply: Option<Message>,
    pub(super) reply_before: Option<Message>,
    pub(super) told: Vec<String>,
    /// The steps of the last explanation.
    pub(super) reason: Vec<String>,
    /// The same steps in JSON.
    pub(super) trace: Vec<String>,
    command_result: Option<Result<String, String>>,
    pub(super) published: usize,
    /// First octets of the digest that was told last.
    pub(super) digest_loaded: String,
    /// State on a disk, and what was answered when.
    pub(super) ledger: Ledger,
    /// Other nodes.
    pub(super) peers: Peers,
    /// What each client of the crowd got when it was noted.
    pub(super) noted: Vec<Vec<String>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            geo: Some(GEO.into()),
            tables: Vec::new(),
            node: NodeTerms::of_identity(b"ns-test-1"),
            controller: Controller::default(),
            trackers: BTreeMap::new(),
            resolving: Vec::new(),
            sources: Vec::new(),
            probed: BTreeMap::new(),
            now: Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(NOON) },
            jobs: VecDeque::new(),
            is_worker_slow: false,
            reply: None,
            reply_before: None,
            told: Vec::new(),
            reason: Vec::new(),
            trace: Vec::new(),
            command_result: None,
            published: 0,
            digest_loaded: String::new(),
            ledger: Ledger::default(),
            peers: Peers::default(),
            noted: Vec::new(),
        }
    }
}

impl World {
    /// A server that keeps state, and finds none.
    pub fn start() -> Self {
        let mut world = Self::default();
        world.handle(Event::Restored(Restored::default()));
        world
    }

    /// Does one step; an error says what differs.
    pub fn step(&mut self, step: &str, rest: &str, block: &str) -> Result<(), String> {
        match step {
            "FILE" => drop(self.files.insert(rest.into(), block.into())),
            "REMOVE" => drop(self.files.remove(rest).ok_or("there is no such file")?),
            "EDIT" => self.edit(rest)?,
            "GEO" => self.geo = Some(block.into()),
            "BREAK-GEO" => self.geo = None,
            "BREAK-TABLE" => {
                let (_, octets) = self.tables.last_mut().ok_or("there is no table")?;
                octets.truncate(octets.len() / 2);
            }
            "RTT" => self.import_round_trips(rest, block)?,
            "MAKE-TABLES" => self.make_tables(rest)?,
            "MEASURE" => self.measure(rest)?,
            "ECS-FROM" => {
                let network = |text: &str| text.parse().map_err(|_| format!("{text}: no network"));
                let networks: Result<Vec<_>, _> = rest.split_whitespace().map(network).collect();
                self.node.ecs_from = EcsTrust::Networks(networks?);
            }
            "SHARED" => drop(self.files.insert("zones/shared/basics.toml".into(), SHARED.into())),
            "LOAD" | "RELOAD" => {
                self.is_worker_slow = rest == "slowly";
                self.load()?;
            }
            "COMPILED" => {
                let job = self.jobs.pop_front().ok_or("nothing is being compiled")?;
                self.handle(Event::Compiled(job.run()));
            }
            "RESTART" => self.restart(rest)?,
            "PROBE" => self.probe(rest)?,
            "VOTE" => self.vote(rest)?,
            "RESOLVE" => self.resolve(rest)?,
            "DISCOVER" => self.discover(rest)?,
            "ACCEPT" => self.command(Command::AcceptDiscovery {
                pool: rest.into(),
                reason: "it is true".into(),
                author: "ann".into(),
            }),
            "TIME" => self.pass_time(rest)?,
            "DRAIN" => self.order(Action::Drain, rest),
            "DISABLE" => self.order(Action::Disable, rest),
            "FORCE-UP" => self.order(Action::ForceUp, rest),
            "FORCE-DOWN" => self.order(Action::ForceDown, rest),
            "UNDRAIN" => {
                self.command(Command::Withdraw { target: rest.into(), author: "ann".into() });
            }
            "FAILBACK" => self.command(Command::Failback {
                pool: rest.into(),
                reason: "it is well".into(),
                author: "ann".into(),
            }),
            "SHIFT" => self.shift(rest)?,
            "RELEASE-BRAKE" => self.command(Command::ReleaseBrake {
                reason: "it is true".into(),
                author: "ann".into(),
            }),
            "LOADS" => self.report_loads(rest)?,
            "CLUSTER" => self.cluster(rest)?,
            "MEMBERS" => self.members(rest)?,
            "PEER" => self.peer(rest)?,
            "ANCHORS" => self.own_anchors(rest)?,
            "PROBER" => self.prober(rest)?,
            "HOOK" => self.hook(rest)?,
            "EXPECT-HOOK" => self.expect_hook(rest)?,
            "EXPECT-SAID" => self.expect_said(rest)?,
            "EXPECT-CLUSTER" => self.expect_cluster(rest)?,
            "QUERY" => self.query(rest)?,
            "EXPECT" => self.expect(rest, block)?,
            "EXPECT-ONE-OF" => self.expect_one_of(rest)?,
            "EXPECT-ALL-OF" => self.expect_all_of(rest)?,
            "EXPLAIN" => (self.reason, self.trace) = self.explain(rest)?,
            "EXPECT-TRACE" => self.expect_trace(rest)?,
            "EXPECT-REASON" => self.expect_reason(rest)?,
            "EXPECT-SAME" => self.expect_same()?,
            "EXPECT-SCOPE" => self.expect_scope(rest)?,
            "EXPECT-TTL" => self.expect_ttl(rest)?,
            "EXPECT-EDE" => self.expect_ede(rest)?,
            "EXPECT-PROBED" => self.expect_probed(rest)?,
            "EXPECT-RESOLVED" => self.expect_resolved(rest)?,
            "EXPECT-FOUND" => self.expect_found(rest)?,
            "EXPECT-STATUS" => self.expect_status(rest)?,
            "EXPECT-TOLD" => self.expect_told(rest)?,
            "EXPECT-NOT-TOLD" => self.expect_not_told(rest)?,
            "EXPECT-DONE" => match &self.command_result {
                Some(Ok(text)) if text.contains(rest) => {}
                other => return Err(format!("the command came to {other:?}")),
            },
            "EXPECT-FAILED" => match &self.command_result {
                Some(Err(text)) if text.contains(rest) => {}
                other => return Err(format!("the command came to {other:?}")),
            },
            "EXPECT-PUBLISHED" => self.expect_published(rest)?,
            "EXPECT-WRITTEN" => match (self.ledger.take_noted(), rest) {
                (0, "nothing") => {}
                (noted, _) if noted > 0 && rest == noted.to_string() => {}
                (noted, _) => return Err(format!("{noted} keys are to be written")),
            },
            "EXPECT-EVENT" => {
                self.handle(Event::Settle);
                let parts: Vec<&str> = rest.split(" ; ").collect();
                let event = self.ledger.find_event(&parts)?;
                if event.generation == 0 || event.at_ms == 0 || event.text.is_empty() {
                    return Err(format!("it lacks its generation, time or text: {event:?}"));
                }
            }
            "EXPECT-SPREAD" => self.expect_spread(rest)?,
            "NOTE" => self.note(rest)?,
            "EXPECT-MOVED" => self.expect_moved(rest)?,
            "EXPECT-PAIRS" => self.expect_pairs(rest)?,
            _ => return Err("this step is not known".into()),
        }
        Ok(())
    }

    /// `FILE: old => new`; `\n` in `new` ends a line, and nothing takes `old` out.
    fn edit(&mut self, rest: &str) -> Result<(), String> {
        let (name, change) = rest.split_once(": ").ok_or("write FILE: old => new")?;
        let (old, new) = change.split_once(" =>").ok_or("write FILE: old => new")?;
        let new = new.trim_start().replace("\\n", "\n");
        let text = self.files.get_mut(name).ok_or("there is no such file")?;
        if text.matches(old).count() != 1 {
            return Err(format!("the file holds {old:?} {} times", text.matches(old).count()));
        }
        *text = text.replace(old, &new);
        Ok(())
    }

    pub(super) fn load(&mut self) -> Result<(), String> {
        let files = self.files.iter().map(|(name, text)| SourceFile::new(name, text)).collect();
        let octets = match &self.geo {
            Some(text) => database(text)?,
            None => b"no database".to_vec(),
        };
        let geo = GeoFiles::new(vec![("scenario".into(), octets.into())]);
        let job = Job::new(Files::new(files), geo, self.node.clone());
        self.handle(Event::Files(job.with_shelf(Shelf::read(self.tables.clone()))));
        Ok(())
    }

    pub(super) fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Publish(_) => self.published += 1,
                Effect::Compile(job) if self.is_worker_slow => self.jobs.push_back(job),
                Effect::Compile(job) => self.handle(Event::Compiled(job.run())),
                Effect::Probe(orders) => self.set_targets(orders),
                Effect::Resolve(names) => {
                    self.resolving = names.iter().map(ToString::to_string).collect();
                }
                Effect::Discover(sources) => self.sources = sources,
                Effect::Say(say) => self.peers.note(say),
                Effect::Hook(order) => self.peers.hook.note(order),
                Effect::Bundle(_) => {}
                Effect::Record(occurrence) => self.tell(&occurrence),
                Effect::Persist(entry) => self.ledger.persist(entry),
                Effect::Keep(kept) => self.ledger.keep(&kept),
                Effect::KeepTable(table) => self.ledger.latest = Some(table),
                Effect::MakeTable(job) => self.handle(Event::TableMade(Some(job.run()))),
                Effect::WriteTable { name, text } => {
                    self.tables.push((name.into(), text.into_bytes()));
                    self.load().expect("what was loaded is loaded again");
                }
                Effect::Reply(reply) => {
                    self.command_result = Some(match reply {
                        Reply::Done { text } => Ok(text),
                        Reply::Failed { error, problems: _ } => Err(error),
                        Reply::Status(_)
                        | Reply::Cluster(_)
                        | Reply::Bundles(_)
                        | Reply::Explanation(_)
                        | Reply::Events(_) => Ok(String::new()),
                    });
                }
            }
        }
    }

    fn tell(&mut self, occurrence: &Occurrence) {
        if let Occurrence::Reloaded { digest, .. } = occurrence {
            self.digest_loaded = short_digest(digest);
        }
        self.told.push(occurrence.to_string());
    }

    /// As the prober does: what is known keeps its tracker, what is gone is forgotten.
    fn set_targets(&mut self, orders: Vec<ProbeOrder>) {
        let mut before = std::mem::take(&mut self.trackers);
        let probed = std::mem::take(&mut self.probed);
        for ProbeOrder { key, address, check, verdict, degraded, penalty } in orders {
            let is_same = probed.get(&key).is_some_and(|(old_address, old)| {
                *old_address == address && old.is_same_probe(&check)
            });
            let tracker = match before.remove(&key).filter(|_| is_same) {
                Some((mut tracker, degree)) => {
                    tracker.set_thresholds(Thresholds::from(&*check), self.now.monotonic);
                    (tracker, degree)
                }
                None => {
                    let tracker = Tracker::new(Thresholds::from(&*check), verdict);
                    let tracker = tracker.with_penalty(penalty);
                    (tracker, Degree::new(degraded))
                }
            };
            self.probed.insert(key.clone(), (address, check));
            self.trackers.insert(key, tracker);
        }
    }

    /// `TARGETS [CHECK] pass|fail [in DURATION] [xN] [every DURATION]`
    fn probe(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let mut keys = self.find_targets(words.next().ok_or("name a target")?)?;
        let mut word = words.next();
        if let Some(check) = word.filter(|word| !["pass", "fail"].contains(word)) {
            keys.retain(|key| *key.check == *check);
            if keys.is_empty() {
                return Err(format!("it is not probed by {check}"));
            }
            word = words.next();
        }
        let observation = match word {
            Some("pass") => Observation::Pass,
            Some("fail") => Observation::Fail,
            _ => return Err("write pass or fail".into()),
        };
        let (mut times, mut every, mut took) = (1, Duration::ZERO, Duration::ZERO);
        while let Some(word) = words.next() {
            match word.strip_prefix('x') {
                Some(number) => times = number.parse().map_err(|_| "write xN")?,
                None if word == "in" => took = duration(words.next().unwrap_or(""))?,
                None if word == "every" => every = duration(words.next().unwrap_or(""))?,
                None => return Err(format!("{word} is not known")),
            }
        }
        for round in 0..times {
            if round > 0 {
                self.advance(every);
            }
            for key in &keys {
                let now = self.now.monotonic;
                let Some((tracker, degree)) = self.trackers.get_mut(key) else { continue };
                let flip = tracker.observe(observation, now);
                let level = match (observation, self.probed.get(key)) {
                    (Observation::Pass, Some((_, check))) => degree.observe(took, check),
                    (Observation::Pass | Observation::Fail, _) => None,
                };
                self.controller.note_result(key, observation == Observation::Pass, self.now);
                if !took.is_zero() {
                    self.controller.note_round_trip(key, took);
                }
                let (verdict, degraded) = (tracker.verdict(), degree.level());
                let is_news = match self.controller.cluster_layout() {
                    Some(_) => self.controller.wants_vote(key, verdict, degraded),
                    None => flip.is_some() || level.is_some(),
                };
                if is_news {
                    let held = tracker.holding(now).map(|why| format!("; held: {why}"));
                    let reason = format!("{observation:?}{}", held.unwrap_or_default()).into();
                    let penalty = tracker.penalty(now);
                    let vote = Vote { key: key.clone(), verdict, degraded, reason, penalty };
                    self.handle(Event::Vote(vote));
                }
            }
            self.handle(Event::Settle);
        }
        Ok(())
    }

    /// Targets that are probed, by `pool/endpoint[:4|:6|@ADDRESS]`, `pool/*` or `*`, several with commas.
    fn find_targets(&self, text: &str) -> Result<Vec<TargetKey>, String> {
        let mut found = Vec::new();
        for part in text.split(',') {
            let (part, address) = match part.split_once('@') {
                Some((part, address)) => {
                    let address: Result<IpAddr, _> = address.parse();
                    (part, Some(address.map_err(|why| why.to_string())?))
                }
                None => (part, None),
            };
            let (endpoint, family) = split_family(part)?;
            let is_meant = |key: &&TargetKey| {
                let fits = match endpoint.strip_suffix('*') {
                    Some(start) => key.endpoint.starts_with(start),
                    None => *key.endpoint == *endpoint,
                };
                let is_there = address.is_none() || address == key.address;
                fits && is_there && family.is_none_or(|family| family == key.family)
            };
            let before = found.len();
            found.extend(self.trackers.keys().filter(is_meant).cloned());
            if found.len() == before {
                return Err(format!("{part} is not probed"));
            }
        }
        Ok(found)
    }

    /// `pool/endpoint:4|:6 CHECK up|held|down`: a vote that no tracker of ours has cast.
    fn vote(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [target, check, verdict] = words[..] else {
            return Err("write TARGET CHECK VERDICT".into());
        };
        let (endpoint, family) = split_family(target)?;
        let key = TargetKey {
            endpoint: endpoint.into(),
            check: check.into(),
            family: family.ok_or("write :4 or :6")?,
            address: None,
        };
        let verdict = match verdict {
            "up" => Verdict::Up,
            "held" => Verdict::Held,
            "down" => Verdict::Down,
            _ => return Err("write up, held or down".into()),
        };
        let reason = "a late vote".into();
        let penalty = Penalty::default();
        self.handle(Event::Vote(Vote { key, verdict, degraded: 0, reason, penalty }));
        self.handle(Event::Settle);
        Ok(())
    }

    /// `NAME -> ADDRESS …`, `NAME -> nothing` or `NAME fails WHY`: what came of resolving a name, wanted or not.
    fn resolve(&mut self, rest: &str) -> Result<(), String> {
        let (rest, unheard) = match rest.strip_suffix(" silent about IPv6") {
            Some(rest) => (rest, [false, true]),
            None => (rest, [false; 2]),
        };
        let (name, result) = match (rest.split_once(" -> "), rest.split_once(" fails ")) {
            (Some((name, addresses)), _) => {
                let words = addresses.split_whitespace().filter(|word| *word != "nothing");
                let addresses = words.map(str::parse);
                let addresses: Result<Vec<IpAddr>, _> = addresses.collect();
                (name, Ok(addresses.map_err(|why| why.to_string())?))
            }
            (None, Some((name, why))) => (name, Err(why.into())),
            (None, None) => return Err("write NAME -> ADDRESS … or NAME fails WHY".into()),
        };
        let name = rhumb::wire::Name::absolute(name).map_err(|why| why.to_string())?;
        self.handle(Event::Resolved(Resolution { name, result, unheard }));
        self.handle(Event::Settle);
        Ok(())
    }

    /// A process that knows nothing but its files; also: another node.
    ///
    /// `kept`: the same node, with its state; `kept DURATION`: after so long; `kept DURATION clock +1h`: the wall clock is
    /// another one then.
    fn restart(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let restored = match words.next() {
            None => {
                self.ledger.check()?;
                self.ledger = Ledger::default();
                Restored::default()
            }
            Some("kept") => {
                // As the server does after everything.
                self.handle(Event::Settle);
                let restored = self.ledger.restore();
                self.advance(words.next().map_or(Ok(Duration::ZERO), duration)?);
                if let (Some("clock"), Some(jump)) = (words.next(), words.next()) {
                    match (jump.strip_prefix('+'), jump.strip_prefix('-')) {
                        (Some(ahead), _) => self.now.unix += duration(ahead)?,
                        (_, Some(back)) => self.now.unix -= duration(back)?,
                        _ => return Err("write clock +1h or clock -1h".into()),
                    }
                }
                restored
            }
            Some(_) => return Err("write RESTART kept DURATION".into()),
        };
        self.controller = Controller::default();
        self.rejoin();
        self.trackers.clear();
        self.resolving.clear();
        self.sources.clear();
        self.probed.clear();
        self.jobs.clear();
        self.told.clear();
        self.handle(Event::Restored(restored));
        Ok(())
    }

    /// `+DURATION`; `-DURATION` and `+DURATION wall` for the wall clock alone.
    fn pass_time(&mut self, rest: &str) -> Result<(), String> {
        if let Some(back) = rest.strip_prefix('-') {
            self.now.unix -= duration(back)?;
        } else if let Some(ahead) = rest.strip_prefix('+').and_then(|it| it.strip_suffix(" wall")) {
            self.now.unix += duration(ahead)?;
        } else {
            self.advance(duration(rest.strip_prefix('+').ok_or("write +DURATION or -DURATION")?)?);
        }
        self.handle(Event::Settle);
        Ok(())
    }

    pub(super) fn advance(&mut self, by: Duration) {
        if self.advance_with_peers(by) {
            return;
        }
        self.now.monotonic += by;
        self.now.unix += by;
    }

    /// `TARGET [for DURATION] [--force]`
    fn order(&mut self, action: Action, rest: &str) {
        let mut words = rest.split_whitespace();
        let target = words.next().unwrap_or("").to_owned();
        let (mut until_s, mut force) = (None, false);
        while let Some(word) = words.next() {
            match word {
                "for" => {
                    let lasts = duration(words.next().unwrap_or("")).unwrap_or_default();
                    until_s = Some((self.now.unix + lasts).as_secs());
                }
                _ => force = word == "--force",
            }
        }
        let (reason, author) = ("maintenance".into(), "ann".into());
        self.command(Command::Order { target, action, reason, author, until_s, force });
    }

    /// `POLICY TARGET=PERCENT [over DURATION] [watch DURATION] [for DURATION] [--force]`, or `POLICY back`
    fn shift(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let policy = words.next().ok_or("name a policy")?.to_owned();
        let author = "ann".into();
        let share = words.next().ok_or("write TARGET=PERCENT or back")?;
        if share == "back" {
            self.command(Command::ShiftBack { policy, author });
            return Ok(());
        }
        let (target, percent) = share.split_once('=').ok_or("write TARGET=PERCENT")?;
        let percent: f64 = percent.parse().map_err(|_| "write TARGET=PERCENT")?;
        let (mut over, mut watch, mut until_s) = (Duration::ZERO, Duration::from_secs(600), None);
        let force = rest.ends_with(" --force");
        while let Some(word) = words.next().filter(|word| *word != "--force") {
            let lasts = duration(words.next().unwrap_or(""))?;
            match word {
                "over" => over = lasts,
                "watch" => watch = lasts,
                "for" => until_s = Some((self.now.unix + lasts).as_secs()),
                _ => return Err(format!("{word} is not known")),
            }
        }
        self.command(Command::Shift {
            policy,
            target: target.into(),
            share: (percent * 1e7).round() as u32,
            over_s: over.as_secs(),
            watch_s: watch.as_secs(),
            until_s,
            reason: "canary".into(),
            author,
            force,
        });
        Ok(())
    }

    fn command(&mut self, command: Command) {
        self.handle(Event::Command(command));
        self.handle(Event::Settle);
    }

    /// `NAME TYPE from ADDRESS [ecs PREFIX/LEN] [size N] [plain] [tcp]`
    fn query(&mut self, rest: &str) -> Result<(), String> {
        self.reply_before = self.reply.take();
        self.reply = Some(self.answer(rest)?);
        self.note_answer(rest)
    }

    /// Remembers what was asked and what came of it, to be explained afterwards.
    fn note_answer(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, rtype, "from", client, ..] = words[..] else { return Ok(()) };
        let question = Question {
            name: name.into(),
            rtype: rtype.into(),
            client: client.parse().map_err(|_| "not an address")?,
            resolver: None,
            direct: false,
            unix_s: self.now.unix.as_secs(),
        };
        self.handle(Event::Settle);
        let command =
            Command::Explain { question: question.clone(), down: Vec::new(), at_ms: None };
        let mut effects = Vec::new();
        self.controller.handle(Event::Command(command), self.now, &mut effects);
        for effect in effects {
            // A type that `explain` does not know, or a reply that it cannot read, has no reason to remember.
            if let Effect::Reply(Reply::Explanation(explanation)) = effect {
                self.ledger.note(question.clone(), *explanation);
            }
        }
        Ok(())
    }

    /// `NAME TYPE for ADDRESS`: the steps of an explanation.
    fn explain(&self, rest: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, rtype, "for", client] = words[..] else {
            return Err("write NAME TYPE for ADDRESS".into());
        };
        let question = Question {
            name: name.into(),
            rtype: rtype.into(),
            client: client.parse().map_err(|_| "not an address")?,
            resolver: None,
            direct: false,
            unix_s: self.now.unix.as_secs(),
        };
        let snapshot = self.controller.snapshot().ok_or("nothing is loaded")?;
        let explanation = explain(snapshot, &question)?;
        let of_hints = explanation.hints.into_iter().filter_map(|hint| {
            let steering = hint.steering?;
            Some((format!("{}: ", hint.parameter), steering))
        });
        let own = explanation.steering.map(|steering| (String::new(), steering));
        let (mut lines, mut trace) = (Vec::new(), Vec::new());
        for (whose, steering) in own.into_iter().chain(of_hints) {
            assert_eq!(steering.steps.len(), steering.trace.len(), "words and types go together");
            lines.extend(steering.steps.iter().map(|step| format!("{whose}{step}")));
            lines.push(format!("{whose}ground: {}", steering.ground));
            trace.extend(steering.trace.iter().filter_map(|step| serde_json::to_string(step).ok()));
        }
        match lines.is_empty() {
            true => Err("it is not steered".into()),
            false => Ok((lines, trace)),
        }
    }

    pub(super) fn answer(&self, rest: &str) -> Result<Message, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, rtype, "from", client, options @ ..] = &words[..] else {
            return Err("write NAME TYPE from ADDRESS".into());
        };
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.')))
            .map_err(|why| why.to_string())?;
        message.add_query(Query::query(
            name,
            rtype.parse::<RecordType>().map_err(|why| why.to_string())?,
        ));
        let mut transport = Transport::Udp;
        let mut edns = hickory_proto::op::Edns::new();
        edns.set_max_payload(1232);
        let mut with_edns = true;
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match *option {
                "ecs" => {
                    let subnet: ClientSubnet =
                        options.next().unwrap_or(&"").parse().map_err(|why| format!("{why:?}"))?;
                    edns.options_mut().insert(EdnsOption::Subnet(subnet));
                }
                "size" => {
                    let size = options.next().and_then(|size| size.parse().ok());
                    edns.set_max_payload(size.ok_or("write size N")?);
                }
                "plain" => with_edns = false,
                "tcp" => transport = Transport::Tcp,
                other => return Err(format!("{other} is not known")),
            }
        }
        if with_edns {
            message.set_edns(edns);
        }
        let client: IpAddr = client.parse().map_err(|_| "not an address")?;
        let snapshot = self.controller.snapshot().ok_or("nothing is loaded")?;
        let request = Request { client, local: None, transport, unix_s: self.now.unix.as_secs() };
        Ok(ask(&Arc::clone(snapshot), &request, &message))
    }
}

/// A geo database of its readable form.
fn database(text: &str) -> Result<Vec<u8>, String> {
    let networks = parse_source(text).map_err(|problems| format!("{problems:?}"))?;
    let info = WriteInfo {
        database_type: "Test-City".into(),
        description: "scenario".into(),
        build_epoch: 1,
    };
    write_database(&networks, &info).map_err(|why| why.to_string())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|why| format!("{text}: {why}"))
}

/// `pool/endpoint[:4|:6]`
fn split_family(text: &str) -> Result<(&str, Option<Family>), String> {
    match text.split_once(':') {
        Some((endpoint, "4")) => Ok((endpoint, Some(Family::V4))),
        Some((endpoint, "6")) => Ok((endpoint, Some(Family::V6))),
        Some(_) => Err("write :4 or :6".into()),
        None => Ok((text, None)),
    }
}
