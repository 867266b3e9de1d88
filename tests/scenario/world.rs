//! The machines of a server on a virtual clock, driven by the steps of a scenario.

use std::collections::BTreeMap;
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
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;
use rhumb::answer::Request;
use rhumb::answer::Transport;
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
use rhumb::control::Vote;
use rhumb::control::command::Action;
use rhumb::control::job::GeoFiles;
use rhumb::geo::WriteInfo;
use rhumb::geo::parse_source;
use rhumb::geo::write_database;
use rhumb::health::Observation;
use rhumb::health::Thresholds;
use rhumb::health::Tracker;
use rhumb::model::Now;
use rhumb::model::TargetKey;

use crate::common::GEO;
use crate::common::NOON;
use crate::common::ask;

/// A server on a virtual clock.
pub struct World {
    files: BTreeMap<String, String>,
    geo: String,
    controller: Controller,
    trackers: BTreeMap<TargetKey, Tracker>,
    now: Now,
    /// What the last step brought.
    reply: Option<Message>,
    told: Vec<String>,
    command_result: Option<Result<String, String>>,
    published: usize,
}

impl Default for World {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            geo: GEO.into(),
            controller: Controller::default(),
            trackers: BTreeMap::new(),
            now: Now { monotonic: Duration::from_secs(1000), unix: Duration::from_secs(NOON) },
            reply: None,
            told: Vec::new(),
            command_result: None,
            published: 0,
        }
    }
}

impl World {
    /// Does one step; an error says what differs.
    pub fn step(&mut self, step: &str, rest: &str, block: &str) -> Result<(), String> {
        match step {
            "FILE" => drop(self.files.insert(rest.into(), block.into())),
            "REMOVE" => drop(self.files.remove(rest).ok_or("there is no such file")?),
            "EDIT" => self.edit(rest)?,
            "GEO" => self.geo = block.into(),
            "LOAD" | "RELOAD" => self.load()?,
            "PROBE" => self.probe(rest)?,
            "TIME" => self.pass_time(rest)?,
            "DRAIN" => self.order(Action::Drain, rest),
            "FORCE-UP" => self.order(Action::ForceUp, rest),
            "FORCE-DOWN" => self.order(Action::ForceDown, rest),
            "UNDRAIN" => {
                self.command(Command::Withdraw { target: rest.into(), author: "ann".into() });
            }
            "QUERY" => self.query(rest)?,
            "EXPECT" => self.expect(rest, block)?,
            "EXPECT-ONE-OF" => self.expect_one_of(rest)?,
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
            "EXPECT-SPREAD" => self.expect_spread(rest)?,
            _ => return Err("this step is not known".into()),
        }
        Ok(())
    }

    /// `FILE: old => new`
    fn edit(&mut self, rest: &str) -> Result<(), String> {
        let (name, change) = rest.split_once(": ").ok_or("write FILE: old => new")?;
        let (old, new) = change.split_once(" => ").ok_or("write FILE: old => new")?;
        let text = self.files.get_mut(name).ok_or("there is no such file")?;
        if text.matches(old).count() != 1 {
            return Err(format!("the file holds {old:?} {} times", text.matches(old).count()));
        }
        *text = text.replace(old, new);
        Ok(())
    }

    fn load(&mut self) -> Result<(), String> {
        let files = self.files.iter().map(|(name, text)| SourceFile::new(name, text)).collect();
        let networks = parse_source(&self.geo).map_err(|problems| format!("{problems:?}"))?;
        let info = WriteInfo {
            database_type: "Test-City".into(),
            description: "scenario".into(),
            build_epoch: 1,
        };
        let octets = write_database(&networks, &info).map_err(|why| why.to_string())?;
        let geo = GeoFiles::new(vec![("scenario".into(), octets.into())]);
        self.handle(Event::Files(Job::new(Files::new(files), geo, Box::from(*b"ns-test-1"))));
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Publish(_) => self.published += 1,
                Effect::Compile(job) => self.handle(Event::Compiled(job.run())),
                Effect::Probe(orders) => self.set_targets(orders),
                Effect::Record(occurrence) => self.tell(&occurrence),
                Effect::Reply(reply) => {
                    self.command_result = Some(match reply {
                        Reply::Done { text } => Ok(text),
                        Reply::Failed { error } => Err(error),
                        Reply::Status(_) | Reply::Explanation(_) => Ok(String::new()),
                    });
                }
            }
        }
    }

    fn tell(&mut self, occurrence: &Occurrence) {
        self.told.push(occurrence.to_string());
    }

    /// As the prober does: what is known keeps its tracker, what is gone is forgotten.
    fn set_targets(&mut self, orders: Vec<ProbeOrder>) {
        let mut before = std::mem::take(&mut self.trackers);
        for ProbeOrder { key, address: _, check, verdict } in orders {
            let tracker = match before.remove(&key) {
                Some(mut tracker) => {
                    tracker.set_thresholds(Thresholds::from(&*check));
                    tracker
                }
                None => Tracker::new(Thresholds::from(&*check), verdict),
            };
            self.trackers.insert(key, tracker);
        }
    }

    /// `pool/endpoint[:4|:6] pass|fail [xN] [every DURATION]`
    fn probe(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let (endpoint, family) = match words.next().ok_or("name an endpoint")?.split_once(':') {
            Some((endpoint, "4")) => (endpoint, Some(rhumb::model::Family::V4)),
            Some((endpoint, "6")) => (endpoint, Some(rhumb::model::Family::V6)),
            Some(_) => return Err("write :4 or :6".into()),
            None => (rest.split_whitespace().next().unwrap_or(""), None),
        };
        let observation = match words.next() {
            Some("pass") => Observation::Pass,
            Some("fail") => Observation::Fail,
            _ => return Err("write pass or fail".into()),
        };
        let (mut times, mut every) = (1, Duration::ZERO);
        while let Some(word) = words.next() {
            match word.strip_prefix('x') {
                Some(number) => times = number.parse().map_err(|_| "write xN")?,
                None if word == "every" => every = duration(words.next().unwrap_or(""))?,
                None => return Err(format!("{word} is not known")),
            }
        }
        let keys: Vec<TargetKey> = self
            .trackers
            .keys()
            .filter(|key| {
                &*key.endpoint == endpoint && family.is_none_or(|family| family == key.family)
            })
            .cloned()
            .collect();
        if keys.is_empty() {
            return Err(format!("{endpoint} is not probed"));
        }
        for round in 0..times {
            if round > 0 {
                self.advance(every);
            }
            for key in &keys {
                let now = self.now.monotonic;
                let flip = self
                    .trackers
                    .get_mut(key)
                    .and_then(|tracker| tracker.observe(observation, now));
                if let Some(verdict) = flip {
                    let reason = format!("{observation:?}").into();
                    self.handle(Event::Vote(Vote { key: key.clone(), verdict, reason }));
                }
            }
            self.handle(Event::Settle);
        }
        Ok(())
    }

    /// `+DURATION`, or `-DURATION` for the wall clock alone.
    fn pass_time(&mut self, rest: &str) -> Result<(), String> {
        if let Some(back) = rest.strip_prefix('-') {
            self.now.unix -= duration(back)?;
        } else {
            self.advance(duration(rest.strip_prefix('+').ok_or("write +DURATION or -DURATION")?)?);
        }
        self.handle(Event::Settle);
        Ok(())
    }

    fn advance(&mut self, by: Duration) {
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

    fn command(&mut self, command: Command) {
        self.handle(Event::Command(command));
        self.handle(Event::Settle);
    }

    /// `NAME TYPE from ADDRESS [ecs PREFIX/LEN] [plain] [tcp]`
    fn query(&mut self, rest: &str) -> Result<(), String> {
        self.reply = Some(self.answer(rest)?);
        Ok(())
    }

    fn answer(&self, rest: &str) -> Result<Message, String> {
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

    /// `RCODE [aa] [tc] [scope N] [ede WORDS…]`, then the records of answer and authority.
    fn expect(&self, rest: &str, block: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let (rest, ede) = match rest.split_once(" ede ") {
            Some((rest, text)) => (rest, Some(text)),
            None => (rest, None),
        };
        let mut words = rest.split_whitespace();
        let rcode = format!("{:?}", reply.metadata.response_code).to_uppercase();
        let wanted = words.next().unwrap_or("");
        if rcode != wanted {
            return Err(format!("the code is {rcode}"));
        }
        let (mut aa, mut tc, mut scope) = (false, false, None);
        while let Some(word) = words.next() {
            match word {
                "aa" => aa = true,
                "tc" => tc = true,
                "scope" => scope = words.next().and_then(|bits| bits.parse::<u8>().ok()),
                _ => return Err(format!("{word} is not known")),
            }
        }
        if (reply.metadata.authoritative, reply.metadata.truncation) != (aa, tc) {
            return Err(format!(
                "aa is {}, tc is {}",
                reply.metadata.authoritative, reply.metadata.truncation
            ));
        }
        if scope.is_some() && scope != scope_of(reply) {
            return Err(format!("the scope is {:?}", scope_of(reply)));
        }
        let said = ede_of(reply);
        match (ede, &said) {
            (Some(words), Some(text)) if text.contains(words) => {}
            (None, None) => {}
            _ => return Err(format!("the extended error is {said:?}")),
        }
        let records: String = reply
            .answers
            .iter()
            .chain(&reply.authorities)
            .map(|record| record.to_string().replace(" IN ", " ") + "\n")
            .collect();
        // An SOA's serial is a digest: dots stand for it.
        let same = records.lines().count() == block.lines().count()
            && records.lines().zip(block.lines()).all(|(got, want)| {
                match want.strip_suffix("...") {
                    Some(start) => got.starts_with(start),
                    None => got == want,
                }
            });
        if same { Ok(()) } else { Err(format!("the records are\n{records}")) }
    }

    /// `ADDRESS ADDRESS …`: the one answer is among them.
    fn expect_one_of(&self, rest: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let answers: Vec<String> =
            reply.answers.iter().map(|record| record.data.to_string()).collect();
        match &answers[..] {
            [one] if rest.split_whitespace().any(|address| address == one) => Ok(()),
            _ => Err(format!("the answers are {answers:?}")),
        }
    }

    fn expect_told(&mut self, rest: &str) -> Result<(), String> {
        match self.told.iter().position(|text| text.contains(rest)) {
            Some(position) => {
                self.told.drain(..=position);
                Ok(())
            }
            None => Err(format!("what was told is {:#?}", self.told)),
        }
    }

    fn expect_not_told(&self, rest: &str) -> Result<(), String> {
        match self.told.iter().find(|text| text.contains(rest)) {
            Some(text) => Err(format!("it was told: {text}")),
            None => Ok(()),
        }
    }

    /// `N`: so many snapshots since the last time this was asked.
    fn expect_published(&mut self, rest: &str) -> Result<(), String> {
        let count = std::mem::take(&mut self.published);
        if rest.parse() == Ok(count) {
            Ok(())
        } else {
            Err(format!("{count} snapshots were published"))
        }
    }

    /// `NAME TYPE ADDRESS=PERCENT …`: over 2,000 client networks, within 4 points.
    fn expect_spread(&self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, rtype, shares @ ..] = &words[..] else {
            return Err("write NAME TYPE ADDRESS=PERCENT".into());
        };
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        const CLIENTS: u32 = 2000;
        for client in 0..CLIENTS {
            let address = IpAddr::from([100, 64 + (client >> 8) as u8, client as u8, 1]);
            let reply = self.answer(&format!("{name} {rtype} from {address}"))?;
            for record in &reply.answers {
                *counts.entry(record.data.to_string()).or_default() += 1;
            }
        }
        for share in shares {
            let (address, percent) = share.split_once('=').ok_or("write ADDRESS=PERCENT")?;
            let wanted: f64 = percent.parse().map_err(|_| "not a percentage")?;
            let got = f64::from(counts.remove(address).unwrap_or(0)) * 100.0 / f64::from(CLIENTS);
            if (got - wanted).abs() > 4.0 || (wanted == 0.0 && got > 0.0) {
                return Err(format!("{address} got {got} %"));
            }
        }
        if counts.is_empty() { Ok(()) } else { Err(format!("others answered too: {counts:?}")) }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|why| format!("{text}: {why}"))
}

fn scope_of(reply: &Message) -> Option<u8> {
    match reply.edns.as_ref()?.options().get(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(subnet.scope_prefix()),
        _ => None,
    }
}

/// The text of an extended error (RFC 8914).
fn ede_of(reply: &Message) -> Option<String> {
    match reply.edns.as_ref()?.options().get(EdnsCode::from(15))? {
        EdnsOption::Unknown(_, octets) => {
            Some(String::from_utf8_lossy(octets.get(2..)?).into_owned())
        }
        _ => None,
    }
}
