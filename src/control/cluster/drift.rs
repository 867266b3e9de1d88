//! Whether all nodes have the same: files, geo data, round-trip times, verdicts, orders and other records. Who differs from whom, and since when.
//!
//! Agents answer nobody: only their files are compared.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Digests;
use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::config::duration::spell;

/// A difference that lasts so long is told: files reach nodes one after the other, and verdicts are always on their way.
pub const DRIFT_TOLD: Duration = Duration::from_secs(60);

/// So many of its own last digests of verdicts and records a node remembers, one a second: another's is older by its way here.
const OWN_MAX: usize = 8;

/// Most nodes of a group that are named.
const NAMED_MAX: usize = 8;

/// What nodes compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Files.
    Config,
    /// Geo data.
    Geo,
    /// Round-trip times that count.
    Rtt,
    /// Verdicts.
    Verdicts,
    /// Orders and other records.
    Records,
}

impl What {
    /// All of it.
    pub const ALL: [Self; 5] = [Self::Config, Self::Geo, Self::Rtt, Self::Verdicts, Self::Records];

    /// As it is named in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Geo => "geo",
            Self::Rtt => "rtt",
            Self::Verdicts => "verdicts",
            Self::Records => "records",
        }
    }

    fn of(self, digests: &Digests) -> u64 {
        match self {
            Self::Config => digests.config,
            Self::Geo => digests.geo,
            Self::Rtt => digests.rtt,
            Self::Verdicts => digests.verdicts,
            Self::Records => digests.records,
        }
    }

    /// Whether it changes all the time, so that another node's is that of a moment ago.
    fn is_lively(self) -> bool {
        matches!(self, Self::Verdicts | Self::Records)
    }

    /// Whether a node says what it has: one of a former version knows no digest of records.
    fn is_told(self, digests: &Digests) -> bool {
        self != Self::Records || digests.records != 0
    }

    /// Whether a node is to have the same as others.
    fn concerns(self, said: &Said) -> bool {
        let is_of_files = matches!(self, Self::Config | Self::Verdicts);
        (self == Self::Config || said.role == Role::Server) && !(said.is_on_trial && is_of_files)
    }
}

/// What a node that lives says that it has.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which node.
    pub node: NodeName,
    /// What it does.
    pub role: Role,
    /// Whether it serves other files before the others, as an operator wants it to.
    pub is_on_trial: bool,
    /// What it has.
    pub digests: Digests,
}

/// Nodes that have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// First octets of the digest in hexadecimal; empty if they have none.
    pub digest: String,
    /// Their names.
    pub nodes: Vec<String>,
}

/// A difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftStatus {
    /// `config`, `geo`, `rtt`, `verdicts` or `records`.
    pub what: String,
    /// For how long, in seconds.
    pub since_s: u64,
    /// Whether it has lasted so long that it is an alarm.
    pub is_alarm: bool,
    /// Who has what, most nodes first.
    pub groups: Vec<Group>,
}

impl fmt::Display for DriftStatus {
    /// `config differs for 2m: sin-1 (9f8e7d6c) from most, fra-1 and iad-1 (1a2b3c4d)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, since_s, groups, .. } = self;
        let differ = if have(what) == "have" { "differ" } else { "differs" };
        write!(f, "{what} {differ} for {}: ", spell(Duration::from_secs(*since_s)))?;
        f.write_str(&who_differs(groups))
    }
}

/// `has` or `have`, by what differs.
pub(super) fn have(what: &str) -> &'static str {
    if what.ends_with('s') { "have" } else { "has" }
}

/// Who differs from whom, in words.
fn who_differs(groups: &[Group]) -> String {
    let shown = |group: &Group| {
        let Group { digest, nodes } = group;
        let digest = if digest.is_empty() { "none" } else { digest };
        format!("{} ({digest})", names(nodes))
    };
    let all = groups.iter().map(|group| group.nodes.len()).sum::<usize>();
    let most = groups.first().filter(|most| most.nodes.len() * 2 > all);
    let others = groups.iter().skip(usize::from(most.is_some()));
    let others: Vec<String> = others.map(shown).collect();
    match most {
        Some(most) => format!("{} from most, {}", others.join(", "), shown(most)),
        None => format!("{}; no majority", others.join(" / ")),
    }
}

/// `fra-1, iad-1 and sin-1`
fn names(nodes: &[String]) -> String {
    match nodes {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if nodes.len() <= NAMED_MAX => {
            format!("{} and {last}", first.join(", "))
        }
        _ => {
            let more = nodes.len() - NAMED_MAX;
            format!("{} and {more} more", nodes[..NAMED_MAX].join(", "))
        }
    }
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriftNews {
    /// It has differed for long; who from whom.
    Begun(What, Box<str>),
    /// All have the same again.
    Over(What),
}

#[derive(Debug)]
struct Drift {
    since: Duration,
    is_told: bool,
    groups: Vec<Group>,
}

/// All differences.
#[derive(Debug, Default)]
pub struct Drifts {
    own: BTreeMap<What, VecDeque<u64>>,
    open: BTreeMap<What, Drift>,
}

impl Drifts {
    /// Looks at what the nodes that live say, this one among them.
    pub fn observe(&mut self, own: &NodeName, said: &[Said], now: Duration) -> Vec<DriftNews> {
        if let Some(said) = said.iter().find(|said| said.node == *own) {
            for what in What::ALL.into_iter().filter(|what| what.is_lively()) {
                let last = self.own.entry(what).or_default();
                last.push_front(what.of(&said.digests));
                last.truncate(OWN_MAX);
            }
        }
        let look = |what| self.look(what, said, now);
        What::ALL.into_iter().filter_map(look).collect()
    }

    fn look(&mut self, what: What, said: &[Said], now: Duration) -> Option<DriftNews> {
        let groups = self.groups(what, said);
        if groups.len() < 2 {
            return self
                .open
                .remove(&what)
                .filter(|drift| drift.is_told)
                .map(|_| DriftNews::Over(what));
        }
        let begun = || Drift { since: now, is_told: false, groups: Vec::new() };
        let drift = self.open.entry(what).or_insert_with(begun);
        drift.groups = groups;
        if drift.is_told || now < drift.since + DRIFT_TOLD {
            return None;
        }
        drift.is_told = true;
        Some(DriftNews::Begun(what, who_differs(&drift.groups).into()))
    }

    /// Who has what, most nodes first.
    fn groups(&self, what: What, said: &[Said]) -> Vec<Group> {
        let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let is_asked = |said: &&Said| what.concerns(said) && what.is_told(&said.digests);
        for said in said.iter().filter(is_asked) {
            let digest = what.of(&said.digests);
            // What this node had a moment ago is what it has: the other has not heard the rest yet.
            let own = self.own.get(&what).filter(|own| own.contains(&digest));
            let digest = own.and_then(|own| own.front().copied()).unwrap_or(digest);
            groups.entry(digest).or_default().push(said.node.to_string());
        }
        let group = |(digest, mut nodes): (u64, Vec<String>)| {
            nodes.sort();
            Group { digest: short(digest), nodes }
        };
        let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
        groups
            .sort_by(|a, b| b.nodes.len().cmp(&a.nodes.len()).then_with(|| a.nodes.cmp(&b.nodes)));
        groups
    }

    /// All of them, as they are shown.
    pub fn statuses(&self, now: Duration) -> Vec<DriftStatus> {
        let status = |(what, drift): (&What, &Drift)| DriftStatus {
            what: what.word().to_owned(),
            since_s: now.saturating_sub(drift.since).as_secs(),
            is_alarm: drift.is_told,
            groups: drift.groups.clone(),
        };
        self.open.iter().map(status).collect()
    }

    /// What has differed for long.
    pub fn alarms(&self) -> impl Iterator<Item = What> + '_ {
        self.open.iter().filter(|(_, drift)| drift.is_told).map(|(what, _)| *what)
    }
}

/// First four octets of a digest in hexadecimal; empty if there is none.
pub fn short(digest: u64) -> String {
    match digest {
        0 => String::new(),
        digest => format!("{:08x}", digest >> 32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Servers with their digests of files; all else is alike.
    fn said(nodes: &[(&str, u64)]) -> Vec<Said> {
        let said = |(node, config): &(&str, u64)| Said {
            is_on_trial: false,
            node: name(node),
            role: Role::Server,
            digests: Digests { config: config << 32, ..Digests::default() },
        };
        nodes.iter().map(said).collect()
    }

    #[test]
    fn a_difference_is_told_after_a_minute_and_when_it_ends() {
        let mut drifts = Drifts::default();
        let differing = said(&[("fra-1", 1), ("iad-1", 1), ("sin-1", 2)]);
        let mut at = |now, said: &[Said]| drifts.observe(&name("fra-1"), said, s(now));
        assert_eq!(at(10, &differing), []);
        assert_eq!(at(69, &differing), []);
        let text = "sin-1 (00000002) from most, fra-1 and iad-1 (00000001)";
        assert_eq!(at(70, &differing), [DriftNews::Begun(What::Config, text.into())]);
        assert_eq!(at(71, &differing), [], "once");
        let alike = said(&[("fra-1", 2), ("iad-1", 2), ("sin-1", 2)]);
        assert_eq!(at(72, &alike), [DriftNews::Over(What::Config)]);
        assert_eq!(at(73, &alike), []);
    }

    #[test]
    fn a_short_difference_is_shown_and_never_told() {
        let mut drifts = Drifts::default();
        let differing = said(&[("fra-1", 1), ("iad-1", 0)]);
        assert_eq!(drifts.observe(&name("fra-1"), &differing, s(10)), []);
        let shown = drifts.statuses(s(12));
        let text = "config differs for 2s: fra-1 (00000001) / iad-1 (none); no majority";
        assert_eq!((shown[0].to_string(), shown[0].is_alarm), (text.to_owned(), false));
        assert_eq!(drifts.observe(&name("fra-1"), &said(&[("fra-1", 1)]), s(60)), []);
        assert_eq!(drifts.observe(&name("fra-1"), &differing, s(71)), [], "it began anew");
        assert_eq!(drifts.alarms().count(), 0);
    }

    #[test]
    fn agents_are_asked_for_their_files_only() {
        let mut both = said(&[("fra-1", 1), ("office-1", 1)]);
        both[1].role = Role::Agent;
        both[1].digests.geo = 7;
        both[1].digests.verdicts = 7;
        let mut drifts = Drifts::default();
        drifts.observe(&name("fra-1"), &both, s(0));
        assert_eq!(drifts.statuses(s(0)), []);
        both[1].digests.config = 9;
        drifts.observe(&name("fra-1"), &both, s(0));
        assert_eq!(drifts.statuses(s(0)).len(), 1);
    }

    #[test]
    fn a_canary_is_to_have_other_files_and_nothing_else() {
        let mut drifts = Drifts::default();
        let mut both = said(&[("fra-1", 1), ("iad-1", 2)]);
        (both[1].is_on_trial, both[1].digests.verdicts) = (true, 7);
        drifts.observe(&name("fra-1"), &both, s(0));
        assert_eq!(drifts.statuses(s(0)), []);
        both[1].digests.geo = 7;
        drifts.observe(&name("fra-1"), &both, s(0));
        assert_eq!(drifts.statuses(s(0))[0].what, "geo");
    }

    #[test]
    fn verdicts_that_this_node_had_a_moment_ago_are_no_difference() {
        let mut drifts = Drifts::default();
        let mut both = said(&[("fra-1", 1), ("iad-1", 1)]);
        for second in 0..200 {
            (both[0].digests.verdicts, both[1].digests.verdicts) = (second + 3, second + 1);
            assert_eq!(drifts.observe(&name("fra-1"), &both, s(second)), []);
        }
        let mut told = Vec::new();
        for second in 200..400 {
            (both[0].digests.verdicts, both[1].digests.verdicts) = (second + 3, 1);
            told.extend(drifts.observe(&name("fra-1"), &both, s(second)));
        }
        assert_eq!(told.len(), 1, "who hears nothing any more differs");
    }

    #[test]
    fn records_that_differ_are_told_and_a_node_that_does_not_tell_is_not_asked() {
        let mut drifts = Drifts::default();
        let mut both = said(&[("fra-1", 1), ("iad-1", 1)]);
        both[0].digests.records = 7 << 32;
        assert_eq!(drifts.observe(&name("fra-1"), &both, s(0)), []);
        assert_eq!(drifts.statuses(s(0)), []);
        both[1].digests.records = 8 << 32;
        drifts.observe(&name("fra-1"), &both, s(10));
        let text = "records differ for 1m: fra-1 (00000007) / iad-1 (00000008); no majority";
        assert_eq!(drifts.statuses(s(70))[0].to_string(), text);
        assert_eq!(drifts.observe(&name("fra-1"), &both, s(70)).len(), 1);
    }

    #[test]
    fn many_nodes_are_counted() {
        let nodes: Vec<String> = (10..40).map(|number| format!("n-{number}")).collect();
        assert!(names(&nodes).ends_with("n-17 and 22 more"), "{}", names(&nodes));
    }
}
