//! Everything an operator wants to see of a cluster at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Digests;
use crate::cluster::layout::Shard;
use crate::cluster::shard::is_shard;
use crate::cluster::shard::word_at;
use crate::control::Controller;
use crate::control::Reply;
use crate::control::cluster::bundles::status::FilesGauges;
use crate::control::cluster::drift::DriftStatus;
use crate::control::cluster::drift::What;
use crate::control::cluster::drift::short;
use crate::control::cluster::judgement::Bench;
use crate::control::cluster::panel::Panel;
use crate::control::cluster::rates::RateStatus;
use crate::control::cluster::rates::rates;
use crate::control::cluster::troubles::troubles;
use crate::model::Anchors;
use crate::model::Now;
use crate::model::Role;
use crate::model::TargetKey;

/// Most disagreements that are shown.
const DISAGREEMENTS_MAX: usize = 100;

/// The cluster, as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// What somebody should look at, in words: nothing, if all is well.
    pub problems: Vec<String>,
    /// This node.
    pub node: String,
    /// Where it stands.
    pub site: String,
    /// Every node, this one included, by name.
    pub members: Vec<MemberStatus>,
    /// How many sites the cluster has.
    pub sites: usize,
    /// How many of them have a node that lives and is not isolated.
    pub sites_live: usize,
    /// How many targets there are.
    pub targets: usize,
    /// In how many shards.
    pub shards: usize,
    /// Targets on which too few sites vote.
    pub too_few_voters: usize,
    /// What has differed between nodes for at least a second.
    pub drift: Vec<DriftStatus>,
    /// Targets of which this node's prober has had no result for three intervals.
    pub unprobed: usize,
    /// `announced` or `withdrawn`, if the hook has done either.
    pub presence: Option<String>,
    /// Why the hook fails, if it does.
    pub hook_fault: Option<String>,
    /// Targets on which sites differ: the first hundred.
    pub disagreements: Vec<Disagreement>,
    /// How many such targets there are.
    pub disagreeing: usize,
    /// Which version of the files is in force, and which one comes, in a line.
    #[serde(default)]
    pub files: String,
    /// How often an endpoint is probed by all nodes together.
    pub rates: Vec<RateStatus>,
    /// How this node stands with the bus, if a bus carries what nodes say. Whoever has the bus adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<BusStatus>,
    /// What is wrong with what this node says. Whoever says it adds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// How a node stands with the bus that carries what nodes say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusStatus {
    /// Whether it gives back what this node says.
    pub is_reachable: bool,
    /// Since when, in seconds of Unix time.
    pub since_unix_s: u64,
    /// Why it is not reachable; empty if it is.
    pub why: String,
    /// Milliseconds there and back.
    pub round_trip_ms: Option<f64>,
}

impl ClusterStatus {
    /// Tells what is wrong, by all else that is in it.
    pub fn judge(&mut self) {
        self.problems = troubles(self);
    }
}

/// The same as numbers, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterGauges {
    /// Nodes by the configuration.
    pub members: usize,
    /// Nodes that are heard.
    pub live: usize,
    /// Nodes whose prober has lost its own network.
    pub isolated: usize,
    /// Whether that of this node has.
    pub is_isolated: bool,
    /// Targets on which too few sites vote.
    pub too_few_voters: usize,
    /// What has differed between nodes for long.
    pub drift: Vec<What>,
    /// Whether the hook has withdrawn this node.
    pub is_withdrawn: bool,
    /// Pushed files, if this node takes them.
    pub files: Option<FilesGauges>,
    /// By how many milliseconds each node's wall clock is ahead of this one's.
    pub clocks_ahead_ms: Vec<(String, i64)>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its name.
    pub node: String,
    /// Where it stands.
    pub site: String,
    /// `server` or `agent`.
    pub role: String,
    /// Whether it is this node.
    pub is_this: bool,
    /// Which of its lives is known.
    pub generation: Option<u64>,
    /// Which of its snapshots is in force.
    pub serves: Option<u64>,
    /// Whether its votes count, but for isolation.
    pub is_live: bool,
    /// Milliseconds since it was heard.
    pub heard_ms: Option<u64>,
    /// Milliseconds there and back over its connection, if there is one.
    pub round_trip_ms: Option<f64>,
    /// Seconds without a connection, if there is none.
    pub unlinked_s: Option<u64>,
    /// Whether its prober has lost its own network.
    pub is_isolated: bool,
    /// Why, if it is this node.
    pub isolated_for: Option<String>,
    /// Whether its hook has withdrawn it: clients are led to others.
    pub is_withdrawn: bool,
    /// `pass`, `fail` or `unset`.
    pub anchors: String,
    /// On how many targets it says that it has a vote.
    pub votes: u32,
    /// How many of these are about targets of this node's files.
    pub votes_here: usize,
    /// Votes of other files, by shards.
    pub shards_elsewhere: usize,
    /// First octets of the digest of its files, and of other things.
    pub digests: DigestsStatus,
    /// By how many milliseconds its wall clock is ahead of this node's.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
    /// What of these differs from this node's.
    pub differs: Vec<String>,
}

/// Digests in hexadecimal; empty if a node has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestsStatus {
    /// Files.
    pub config: String,
    /// Geo data.
    pub geo: String,
    /// Round-trip times that count.
    pub rtt: String,
    /// Verdicts.
    pub verdicts: String,
    /// Orders and other records.
    #[serde(default)]
    pub records: String,
}

/// A target on which sites differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Which.
    pub target: String,
    /// What holds.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// What each site says, by its name.
    pub sites: BTreeMap<String, String>,
}

impl From<&Digests> for DigestsStatus {
    fn from(digests: &Digests) -> Self {
        let Digests { config, geo, rtt, verdicts, records } = *digests;
        let [config, geo, rtt, verdicts, records] =
            [config, geo, rtt, verdicts, records].map(short);
        Self { config, geo, rtt, verdicts, records }
    }
}

/// What of two nodes differs, in words.
fn differences(own: &Digests, other: &Digests) -> Vec<String> {
    let parts = [
        ("config", own.config, other.config),
        ("geo", own.geo, other.geo),
        ("rtt", own.rtt, other.rtt),
        ("verdicts", own.verdicts, other.verdicts),
    ];
    let told = [("records", own.records, other.records)].into_iter();
    let parts = parts.into_iter().chain(told.filter(|(_, a, b)| *a != 0 && *b != 0));
    parts.filter(|(_, a, b)| a != b).map(|(name, ..)| name.to_owned()).collect()
}

impl Controller {
    /// The cluster, as this node sees it; `None` without one.
    pub fn cluster_status(&self, now: Now) -> Option<ClusterStatus> {
        let panel = self.cluster.as_ref()?;
        let own = Digests { records: self.records_digest(now), ..self.digests() };
        let (disagreements, disagreeing) = self.disagreements(panel);
        let mut sites: Vec<usize> = panel.live_sites().collect();
        sites.dedup();
        let (withdrawal, own_name) = (&panel.withdrawal, panel.roster.own());
        let mut status = ClusterStatus {
            problems: Vec::new(),
            node: panel.roster.own().to_string(),
            site: panel.roster.sites()[panel.roster.own_site()].to_string(),
            members: panel.members(&own, self.generation, now),
            sites: panel.roster.sites().len(),
            sites_live: sites.len(),
            targets: panel.terms.len(),
            shards: panel.layout.shards().len(),
            too_few_voters: panel.held_count(),
            drift: panel.drifts.statuses(now.monotonic),
            unprobed: panel.unprobed,
            presence: withdrawal.done().map(|presence| presence.word().to_owned()),
            hook_fault: withdrawal.fault().map(|(presence, why)| {
                format!("{own_name} cannot be {} by its hook: {why}", presence.word())
            }),
            disagreements,
            disagreeing,
            files: self.files_line(now),
            rates: self.model().map_or_else(|_| Vec::new(), |model| rates(model, &panel.roster)),
            bus: None,
            faults: Vec::new(),
        };
        status.judge();
        Some(status)
    }

    /// The cluster, for who asks.
    pub(in crate::control) fn cluster_reply(&self, now: Now) -> Reply {
        match self.cluster_status(now) {
            Some(status) => Reply::Cluster(Box::new(status)),
            None => Reply::failed("this node stands alone: its rhumb.toml has no [cluster]".into()),
        }
    }

    /// The same as numbers.
    pub(in crate::control) fn cluster_gauges(&self) -> Option<ClusterGauges> {
        let panel = self.cluster.as_ref()?;
        let live = panel.voters.iter().filter(|voter| voter.is_live);
        Some(ClusterGauges {
            members: panel.voters.len(),
            live: live.clone().count(),
            isolated: live.filter(|voter| voter.is_isolated).count(),
            is_isolated: panel.is_isolated(),
            too_few_voters: panel.held_count(),
            drift: panel.drifts.alarms().collect(),
            is_withdrawn: panel.is_withdrawn(),
            files: self.files_gauges(),
            clocks_ahead_ms: panel
                .voters
                .iter()
                .filter_map(|voter| {
                    Some((voter.node.to_string(), panel.clocks.ahead_ms(&voter.node)?))
                })
                .collect(),
        })
    }

    fn disagreements(&self, panel: &Panel) -> (Vec<Disagreement>, usize) {
        let (mut shown, mut count) = (Vec::new(), 0);
        for (position, shard) in panel.layout.shards().iter().enumerate() {
            let bench = Bench::new(panel, position);
            for place in shard.start..shard.start + shard.count {
                let votes = bench.votes(place);
                let mut verdicts = votes.iter().filter(|(_, vote)| vote.word.is_vote());
                let Some((_, first)) = verdicts.next() else { continue };
                if verdicts.all(|(_, vote)| vote.word.verdict() == first.word.verdict()) {
                    continue;
                }
                count += 1;
                if shown.len() < DISAGREEMENTS_MAX {
                    let key = &panel.layout.targets()[place].key;
                    let site = |(site, vote): &(usize, crate::quorum::SiteVote)| {
                        (panel.roster.sites()[*site].to_string(), vote.word.to_string())
                    };
                    shown.push(Disagreement {
                        target: key.to_string(),
                        verdict: self.verdict(key).to_string(),
                        reason: self.why_it_holds(key, bench.why(place, &votes)),
                        sites: votes.iter().map(site).collect(),
                    });
                }
            }
        }
        (shown, count)
    }

    /// Why the verdict on a target is what it is; `judged` is what sites come to.
    fn why_it_holds(&self, key: &TargetKey, judged: String) -> String {
        match self.brake.probed_verdict(key) {
            Some(_) => format!("{judged}; held by the brake"),
            None => judged,
        }
    }
}

impl Panel {
    /// Sites with a node that lives and is not isolated, in order, some several times.
    fn live_sites(&self) -> impl Iterator<Item = usize> {
        let mut live: Vec<usize> = self
            .voters
            .iter()
            .filter(|voter| voter.is_live && !voter.is_isolated)
            .map(|voter| voter.site)
            .collect();
        live.sort_unstable();
        live.into_iter()
    }

    fn members(&self, own: &Digests, serves: u64, now: Now) -> Vec<MemberStatus> {
        let status = |(node, member): (&crate::cluster::NodeName, &crate::cluster::Member)| {
            let is_this = node == self.roster.own();
            let voter = self.voters.iter().find(|voter| voter.node == *node);
            let page = self.book.page(node);
            let beat = page.map(|page| *page.beat()).unwrap_or_default();
            let digests = if is_this { *own } else { beat.digests };
            let shards = self.layout.shards().iter();
            let votes_here = match is_this {
                true => self.own.votes(),
                false => shards
                    .map(|shard| votes_in(page.map_or(&[], |page| page.words(shard.topic)), shard))
                    .sum(),
            };
            let elsewhere =
                |topic: &crate::cluster::Topic| self.layout.shard_of_topic(*topic).is_none();
            MemberStatus {
                node: node.to_string(),
                site: self.roster.sites()[member.site].to_string(),
                role: Role::word(member.role).to_owned(),
                is_this,
                generation: page.and_then(|page| page.generation()).map(|one| one.0),
                serves: match is_this {
                    true => Some(serves),
                    false => Some(beat.generation).filter(|generation| *generation > 0),
                },
                is_live: voter.is_some_and(|voter| voter.is_live),
                heard_ms: page.and_then(|page| page.heard_at()).map(|at| {
                    let age = now.monotonic.saturating_sub(at).as_millis();
                    u64::try_from(age).unwrap_or(u64::MAX)
                }),
                round_trip_ms: page
                    .and_then(|page| page.round_trip())
                    .map(|time| time.as_secs_f64() * 1000.0),
                unlinked_s: page
                    .and_then(|page| page.unlinked_since())
                    .map(|since| now.monotonic.saturating_sub(since).as_secs()),
                is_isolated: voter.is_some_and(|voter| voter.is_isolated),
                isolated_for: (is_this && self.is_isolated())
                    .then(|| self.isolation.why().to_owned()),
                is_withdrawn: if is_this { self.is_withdrawn() } else { beat.is_withdrawn },
                anchors: match voter.map_or(Anchors::Unset, |voter| voter.anchors) {
                    Anchors::Pass => "pass",
                    Anchors::Fail => "fail",
                    Anchors::Unset => "unset",
                }
                .into(),
                votes: if is_this { votes_here as u32 } else { beat.votes },
                votes_here,
                shards_elsewhere: page.map_or(0, |page| page.votes().filter(elsewhere).count()),
                digests: DigestsStatus::from(&digests),
                clock_ahead_ms: if is_this { None } else { self.clocks.ahead_ms(node) },
                differs: match page.is_some_and(|page| page.heard_at().is_some()) {
                    true => differences(own, &digests),
                    false => Vec::new(),
                },
            }
        };
        self.roster.members().iter().map(status).collect()
    }

    /// Whether this node's prober has lost its own network.
    pub fn is_isolated(&self) -> bool {
        self.isolation.is_isolated()
    }
}

/// How many votes a shard has.
fn votes_in(words: &[u8], shard: &Shard) -> usize {
    match is_shard(words, shard.count) {
        true => (0..shard.count).filter(|place| word_at(words, *place).is_vote()).count(),
        false => 0,
    }
}
