//! Other nodes of a cluster, as a scenario has them: they beat each second and say what the steps let them say.

use std::collections::BTreeMap;
use std::time::Duration;

use rhumb::cluster::Beat;
use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::Layout;
use rhumb::cluster::NodeName;
use rhumb::cluster::Role;
use rhumb::cluster::Say;
use rhumb::cluster::Slot;
use rhumb::cluster::Topic;
use rhumb::cluster::shard::pack;
use rhumb::cluster::shard::word_at;
use rhumb::control::Event;
use rhumb::model::Anchors;
use rhumb::model::ClusterTerms;
use rhumb::model::Peer;
use rhumb::model::TargetKey;
use rhumb::model::Word;

use crate::scenario::neighbours::Having;
use crate::scenario::neighbours::Hook;
use crate::scenario::neighbours::held;
use crate::scenario::neighbours::measured;
use crate::scenario::world::World;
use crate::scenario::world::duration;

/// The cluster of a scenario; there is none unless a step says so.
#[derive(Default)]
pub struct Peers {
    terms: Option<(ClusterTerms, String)>,
    speakers: BTreeMap<String, Speaker>,
    /// What this node said last, by topic.
    said: BTreeMap<Topic, Box<[u8]>>,
    /// How often it said votes.
    says: usize,
    /// How often it said how far targets are.
    says_of_paths: usize,
    pub(super) hook: Hook,
    /// Whether its prober brings no results any more.
    hangs: bool,
}

/// Another node.
#[derive(Default)]
struct Speaker {
    generation: u64,
    is_silent: bool,
    has_other_files: bool,
    beat: Beat,
    beats: u64,
    words: BTreeMap<TargetKey, Word>,
    having: Having,
    /// Numbers of what was said, by topic.
    sequences: BTreeMap<Slot, u64>,
}

impl Peers {
    fn is_on(&self) -> bool {
        self.terms.is_some()
    }

    /// Notes what this node says to others.
    pub fn note(&mut self, say: Say) {
        self.says += usize::from(matches!(say.topic, Topic::Votes { .. }));
        self.says_of_paths += usize::from(matches!(say.topic, Topic::Rtt { .. }));
        self.said.insert(say.topic, say.payload);
    }
}

fn node(text: &str) -> Result<(NodeName, &str), String> {
    let (name, site) = text.split_once('@').ok_or("write NODE@SITE")?;
    Ok((NodeName::parse(name).ok_or("this is no name of a node")?, site))
}

fn word(text: &str) -> Result<Word, String> {
    Ok(match text {
        "up" => Word::Up(0),
        "held" => Word::Held,
        "down" => Word::Down,
        "unknown" => Word::Unknown,
        "abstains" => Word::Abstain,
        _ => match text.strip_prefix("up:").and_then(|level| level.parse().ok()) {
            Some(level) => Word::Up(level),
            None => return Err("write up, up:2, held, down, unknown or abstains".into()),
        },
    })
}

impl World {
    /// `NODE@SITE …`: this node, then the others.
    pub(super) fn cluster(&mut self, rest: &str) -> Result<(), String> {
        self.name_peers(rest)?;
        self.rejoin();
        Ok(())
    }

    /// `NODE@SITE …`, this node first: a reload finds these in the node's file.
    pub(super) fn members(&mut self, rest: &str) -> Result<(), String> {
        self.name_peers(rest)?;
        let (terms, _) = self.peers.terms.clone().ok_or("write CLUSTER before")?;
        self.handle(Event::Members(terms));
        self.handle(Event::Settle);
        Ok(())
    }

    fn name_peers(&mut self, rest: &str) -> Result<(), String> {
        let mut nodes = rest.split_whitespace().peekable();
        let has_hook = nodes.next_if_eq(&"withdraws").is_some();
        let (own, site) = node(nodes.next().ok_or("name this node")?)?;
        let mut peers = Vec::new();
        for text in nodes {
            let (node, site) = node(text)?;
            let speaker = Speaker { generation: 1, ..Speaker::default() };
            self.peers.speakers.entry(node.to_string()).or_insert(speaker);
            let (address, pins, role) = (None, Vec::new(), Role::Server);
            peers.push(Peer { node, address, pins, site: site.into(), role });
        }
        let terms = ClusterTerms {
            name: "test".into(),
            node: own,
            listen: None,
            key: "cluster.key".into(),
            role: Role::Server,
            bundles: false,
            anchors: Vec::new(),
            withdraw: if has_hook { Box::new(["hook".into()]) } else { Box::default() },
            peers,
            nats: None,
        };
        self.peers.terms = Some((terms, site.into()));
        Ok(())
    }

    /// Has a new controller belong to the cluster, if there is one.
    pub(super) fn rejoin(&mut self) {
        if let Some((terms, site)) = &self.peers.terms {
            self.controller.join(terms, site);
        }
    }

    /// Lets time pass in seconds in which everybody beats; false if there is no cluster.
    pub(super) fn advance_with_peers(&mut self, by: Duration) -> bool {
        if !self.peers.is_on() {
            return false;
        }
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1));
            left -= step;
            self.now.monotonic += step;
            self.now.unix += step;
            self.keep_probing();
            self.all_beat();
            self.handle(Event::Settle);
        }
        true
    }

    /// Results go on as they were.
    fn keep_probing(&mut self) {
        if self.peers.hangs {
            return;
        }
        for (key, (tracker, _)) in &self.trackers {
            let (passes, fails) = (tracker.consecutive_passes(), tracker.consecutive_fails());
            if passes + fails > 0 {
                self.controller.note_result(key, passes > 0, self.now);
            }
        }
    }

    pub(super) fn all_beat(&mut self) {
        let names: Vec<String> = self.peers.speakers.keys().cloned().collect();
        for name in names {
            self.beat(&name);
        }
    }

    fn beat(&mut self, name: &str) {
        let Some(speaker) = self.peers.speakers.get_mut(name) else { return };
        speaker.beats += 1;
        let own = self.peers.said.get(&Topic::Beat).map(|own| &own[..]);
        speaker.having.put(&mut speaker.beat, own, self.now);
        let (sequence, payload) = (speaker.beats, speaker.beat.to_octets());
        self.say(name, Topic::Beat, sequence, payload);
    }

    fn say(&mut self, name: &str, topic: Topic, sequence: u64, payload: Box<[u8]>) {
        let Some(speaker) = self.peers.speakers.get(name) else { return };
        let Some(node) = NodeName::parse(name).filter(|_| !speaker.is_silent) else { return };
        let generation = Generation(speaker.generation);
        let heard = Heard::Value { node, generation, topic, sequence, payload };
        self.handle(Event::Heard(heard));
    }

    /// `NODE says TARGETS WORD`, `NODE silent`, `NODE speaks`, `NODE isolated`, `NODE connected`, `NODE anchors WORD`,
    /// `NODE restarts`, `NODE has other files`, `NODE has our files`, and what [`Having`] learns
    pub(super) fn peer(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (name, words) = words.split_first().ok_or("name a node")?;
        let targets = match words {
            ["says" | "measures", targets, _] => self.find_seats(targets)?,
            ["holds", targets] if *targets != "nothing" => self.find_seats(targets)?,
            _ => Vec::new(),
        };
        let layout = self.controller.cluster_layout().ok_or("write CLUSTER before")?;
        let others = match words {
            ["measures", _, time] => measured(layout, &targets, duration(time)?),
            ["holds", _] => vec![(Topic::State, held(layout, &targets))],
            _ => Vec::new(),
        };
        let speaker = self.peers.speakers.get_mut(*name).ok_or("there is no such node")?;
        let is_learnt = speaker.having.learn(words)? || !others.is_empty();
        match words {
            _ if is_learnt => {}
            ["says", _, text] => {
                let word = word(text)?;
                speaker.words.extend(targets.into_iter().map(|key| (key, word)));
            }
            ["silent"] => speaker.is_silent = true,
            ["speaks"] => speaker.is_silent = false,
            ["isolated"] => speaker.beat.is_isolated = true,
            ["connected"] => speaker.beat.is_isolated = false,
            ["anchors", text] => speaker.beat.anchors = anchors(text)?,
            ["restarts"] => {
                let generation = speaker.generation + 1;
                *speaker = Speaker { generation, ..Speaker::default() };
            }
            ["has", "other", "files"] => speaker.has_other_files = true,
            ["has", "our", "files"] => speaker.has_other_files = false,
            _ => return Err("this is not known of a peer".into()),
        }
        self.beat(name);
        for (topic, payload) in others {
            let speaker = self.peers.speakers.get_mut(*name).ok_or("there is no such node")?;
            let sequence = speaker.sequences.entry(topic.place()).or_default();
            *sequence += 1;
            let sequence = *sequence;
            self.say(name, topic, sequence, payload);
        }
        self.say_all(name)?;
        self.handle(Event::Settle);
        Ok(())
    }

    /// Says every shard of a node in which it has a word.
    fn say_all(&mut self, name: &str) -> Result<(), String> {
        let layout = self.controller.cluster_layout().ok_or("write CLUSTER before")?;
        let speaker = self.peers.speakers.get_mut(name).ok_or("there is no such node")?;
        let mut says = Vec::new();
        for shard in layout.shards() {
            let targets = &layout.targets()[shard.start..shard.start + shard.count];
            let word = |key| speaker.words.get(key).copied().unwrap_or_default();
            let words: Vec<Word> = targets.iter().map(|target| word(&target.key)).collect();
            let topic = match (shard.topic, speaker.has_other_files) {
                (Topic::Votes { layout, shard }, true) => Topic::Votes { layout: !layout, shard },
                (topic, _) => topic,
            };
            let sequence = speaker.sequences.entry(topic.place()).or_default();
            *sequence += 1;
            says.push((topic, *sequence, pack(&words)));
        }
        for (topic, sequence, payload) in says {
            self.say(name, topic, sequence, payload);
        }
        Ok(())
    }

    /// As `find_targets`, of all that any node probes.
    fn find_seats(&self, text: &str) -> Result<Vec<TargetKey>, String> {
        let layout = self.controller.cluster_layout().ok_or("write CLUSTER before")?;
        let fits = |key: &TargetKey| {
            text.split(',').any(|part| match part.strip_suffix('*') {
                Some(start) => key.endpoint.starts_with(start),
                None => *key.endpoint == *part,
            })
        };
        let keys = layout.targets().iter().map(|target| &target.key);
        let found: Vec<TargetKey> = keys.filter(|key| fits(key)).cloned().collect();
        if found.is_empty() { Err(format!("{text} is no target")) } else { Ok(found) }
    }

    /// `pass`, `fail` or `unset`: what this node's anchors tell.
    pub(super) fn own_anchors(&mut self, rest: &str) -> Result<(), String> {
        self.handle(Event::Anchors(anchors(rest)?));
        self.handle(Event::Settle);
        Ok(())
    }

    /// `hangs` or `runs`
    pub(super) fn prober(&mut self, rest: &str) -> Result<(), String> {
        self.peers.hangs = match rest {
            "hangs" => true,
            "runs" => false,
            _ => return Err("write hangs or runs".into()),
        };
        Ok(())
    }

    /// `TARGET WORD`: what this node said last of a target; `times N`: how often it said shards since last asked.
    pub(super) fn expect_said(&mut self, rest: &str) -> Result<(), String> {
        let (target, wanted) = rest.split_once(' ').ok_or("write TARGET WORD")?;
        if target == "round-trips" {
            let says = std::mem::take(&mut self.peers.says_of_paths);
            let is_so = says.to_string() == wanted;
            return if is_so { Ok(()) } else { Err(format!("it said round trips {says} times")) };
        }
        if target == "times" {
            let says = std::mem::take(&mut self.peers.says);
            let is_so = says.to_string() == wanted;
            return if is_so { Ok(()) } else { Err(format!("it said shards {says} times")) };
        }
        let keys = self.find_seats(target)?;
        let layout = self.controller.cluster_layout().ok_or("write CLUSTER before")?;
        for key in keys {
            let said = said_of(layout, &self.peers.said, &key);
            if said != word(wanted)? {
                return Err(format!("it said of {key}: {said}"));
            }
        }
        Ok(())
    }

    pub(super) fn expect_cluster(&self, rest: &str) -> Result<(), String> {
        let status = self.controller.cluster_status(self.now).ok_or("there is no cluster")?;
        let mut lines = Vec::new();
        for one in &status.members {
            let mut line = format!("{} at {}: ", one.node, one.site);
            line += if one.is_live { "live" } else { "lost" };
            line += if one.is_isolated { ", isolated" } else { "" };
            line +=
                &format!(", anchors {}, {} votes, {} here", one.anchors, one.votes, one.votes_here);
            line += &format!(", {} shards elsewhere", one.shards_elsewhere);
            line += &one.isolated_for.iter().map(|why| format!(", for {why}")).collect::<String>();
            if !one.differs.is_empty() {
                line += &format!(", differs in {}", one.differs.join(", "));
            }
            lines.push(line);
        }
        lines.extend(status.drift.iter().map(ToString::to_string));
        lines.extend(status.problems.iter().map(|problem| format!("problem: {problem}")));
        lines.push(format!("{} of {} sites live", status.sites_live, status.sites));
        lines.push(format!("{} targets in {} shards", status.targets, status.shards));
        lines.push(format!("too few voters on {}", status.too_few_voters));
        for one in &status.disagreements {
            let sites = one.sites.iter().map(|(site, word)| format!("{site} {word}"));
            let sites: Vec<String> = sites.collect();
            lines.push(format!("{} is {}: {}", one.target, one.verdict, sites.join(", ")));
        }
        for one in &status.rates {
            let (check, sites, nodes) = (&one.check, one.sites, one.nodes);
            lines.push(format!(
                "{check}: {sites} sites, {nodes} nodes, {:.2} a second",
                one.a_second
            ));
        }
        match lines.iter().any(|line| line.contains(rest)) {
            true => Ok(()),
            false => Err(format!("the cluster is {lines:#?}")),
        }
    }
}

fn anchors(text: &str) -> Result<Anchors, String> {
    match text {
        "pass" => Ok(Anchors::Pass),
        "fail" => Ok(Anchors::Fail),
        "unset" => Ok(Anchors::Unset),
        _ => Err("write pass, fail or unset".into()),
    }
}

fn said_of(layout: &Layout, said: &BTreeMap<Topic, Box<[u8]>>, key: &TargetKey) -> Word {
    let Some(place) = layout.place_of(key) else { return Word::Unknown };
    let shard = &layout.shards()[layout.shard_of_place(place)];
    said.get(&shard.topic).map_or(Word::Unknown, |words| word_at(words, place - shard.start))
}
