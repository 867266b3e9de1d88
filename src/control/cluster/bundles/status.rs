//! Bundles as people and tools see them.

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Manifest;
use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::cluster::Sealed;
use crate::control::Controller;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::Bundles;
use crate::control::cluster::bundles::lead::Phase;
use crate::control::cluster::bundles::lead::described;
use crate::control::cluster::bundles::lead::millis;
use crate::model::Now;

/// Which versions there are, and how nodes stand to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleStatus {
    /// This node.
    pub node: String,
    /// Whether this node takes bundles.
    pub takes: bool,
    /// The version whose files it serves; `None`: those that `[config]` names.
    pub in_force: Option<VersionStatus>,
    /// The one that is decided and waits for its instant.
    pub coming: Option<VersionStatus>,
    /// The one that is being pushed, here or elsewhere.
    pub push: Option<PushStatus>,
    /// How the last push of this node ended.
    pub last: Option<Outcome>,
    /// Every other node that has said something, and this one, by name.
    pub nodes: Vec<NodeBundleStatus>,
    /// Versions that a rollback can bring back, the newest first.
    pub kept: Vec<VersionStatus>,
}

/// A version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStatus {
    /// Its number.
    pub number: u64,
    /// Where it was pushed.
    pub node: String,
    /// SHA-256 of the index of its files.
    pub digest: String,
    /// Octets of them.
    pub octets: u64,
    /// How many.
    pub files: u32,
    /// Who pushed it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When, in seconds since 1970.
    pub made_s: u64,
    /// Who has signed it.
    pub signed_by: String,
    /// The version whose files it brought back, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// From when on it counts, in milliseconds since 1970, if that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

/// A push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStatus {
    /// What is pushed.
    pub version: VersionStatus,
    /// What is being done: `checked`, `offered` or `canary`.
    pub phase: String,
    /// Who serves it before the others.
    pub canary: Option<String>,
    /// Whether an operator let it go on from there to all nodes.
    #[serde(default)]
    pub goes_on: bool,
    /// Seconds in this phase, if it is led here.
    pub for_s: Option<u64>,
}

/// A node and bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBundleStatus {
    /// Its name.
    pub node: String,
    /// `server` or `agent`.
    pub role: String,
    /// Whether it is heard.
    pub is_live: bool,
    /// Whether it takes bundles; `None`: it has not said.
    pub takes: Option<bool>,
    /// Number of the version that it serves.
    pub in_force: Option<u64>,
    /// What it says to the version that comes: `fetching`, `checking`, `ready`, `canary` or `refused`.
    pub state: Option<String>,
    /// Which version that is.
    pub to: Option<u64>,
    /// Why it refuses, or why it takes long.
    pub why: String,
}

/// How this node stands to pushed files, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesGauges {
    /// Number of the version in force; 0: files that `[config]` names.
    pub version: u64,
    /// Living nodes that serve another version, but for a canary.
    pub differing: usize,
    /// Whether which version counts is on disk.
    pub is_kept: bool,
}

/// How a push ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Number of the version.
    pub number: u64,
    /// Whether it counts.
    pub is_decided: bool,
    /// From when on, or when it was given up, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened, in words; problems of files with line and caret.
    pub text: String,
}

impl Outcome {
    pub(super) fn decided(manifest: &Manifest, at_ms: u64) -> Self {
        let text = format!("{} is decided", described(manifest));
        Self { number: manifest.version.number, is_decided: true, at_ms, text }
    }

    pub(super) fn given_up(manifest: &Manifest, why: String, now: Now) -> Self {
        let (number, at_ms) = (manifest.version.number, millis(now.unix));
        Self { number, is_decided: false, at_ms, text: why }
    }
}

impl VersionStatus {
    fn new(sealed: &Sealed, at_ms: Option<u64>) -> Self {
        let Sealed { manifest, by, signature: _ } = sealed;
        let Manifest { version, parcel, octets, files, author, reason, made_s, restores, force: _ } =
            manifest;
        Self {
            number: version.number,
            node: version.node.to_string(),
            digest: parcel.to_string(),
            octets: *octets,
            files: *files,
            author: author.to_string(),
            reason: reason.to_string(),
            made_s: *made_s,
            signed_by: by.to_string(),
            restores: *restores,
            at_ms,
        }
    }

    fn of(active: &Active) -> Self {
        Self::new(&active.sealed, Some(active.at_ms))
    }
}

impl Controller {
    /// Bundles, as this node sees them; `None` without a cluster.
    pub fn bundle_status(&self, now: Now) -> Option<BundleStatus> {
        let bundles = self.bundles.as_deref()?;
        let panel = self.cluster.as_ref()?;
        let is_it =
            |active: &&Active| Some(&active.sealed.manifest.version) == bundles.in_force.as_ref();
        let living = panel.living_servers();
        let mut nodes: Vec<NodeBundleStatus> = Vec::new();
        for (node, member) in panel.roster.members() {
            let own = (*node == bundles.own).then(|| bundles.word());
            let word = own.as_ref().or(bundles.words.get(node).map(|spoken| &spoken.word));
            let answer = word.and_then(|word| word.answer.as_ref());
            nodes.push(NodeBundleStatus {
                node: node.to_string(),
                role: Role::word(member.role).to_owned(),
                is_live: panel.voters.iter().any(|voter| voter.node == *node && voter.is_live),
                takes: word.map(|word| word.takes),
                in_force: word
                    .and_then(|word| word.in_force.as_ref())
                    .map(|version| version.number),
                state: answer.map(|answer| answer.state.word().to_owned()),
                to: answer.map(|answer| answer.version.number),
                why: answer.map_or_else(String::new, |answer| answer.why.to_string()),
            });
        }
        Some(BundleStatus {
            node: bundles.own.to_string(),
            takes: bundles.takes,
            in_force: bundles.versions.iter().find(is_it).map(VersionStatus::of),
            coming: bundles.coming.as_ref().map(|coming| VersionStatus::of(&coming.active)),
            push: bundles.push_status(&living, now),
            last: bundles.last.clone(),
            nodes,
            kept: bundles.versions.iter().map(VersionStatus::of).collect(),
        })
    }
}

impl Controller {
    /// How this node stands to pushed files; `None` if it takes none.
    pub(in crate::control) fn files_gauges(&self) -> Option<FilesGauges> {
        let bundles = self.bundles.as_deref().filter(|bundles| bundles.takes)?;
        let panel = self.cluster.as_ref()?;
        let in_force = bundles.in_force.as_ref();
        let is_live =
            |node: &NodeName| panel.voters.iter().any(|voter| voter.node == *node && voter.is_live);
        let others = bundles.words.iter().filter(|(node, spoken)| {
            spoken.word.takes
                && spoken.word.in_force.as_ref() != in_force
                && panel.on_trial.as_ref() != Some(node)
                && is_live(node)
        });
        Some(FilesGauges {
            version: in_force.map_or(0, |version| version.number),
            differing: others.count(),
            is_kept: !bundles.is_unkept,
        })
    }

    /// Which version is in force here and which one comes, in a line; empty if this node takes no bundles.
    pub(in crate::control) fn files_line(&self, now: Now) -> String {
        let Some(status) = self.bundle_status(now).filter(|status| status.takes) else {
            return String::new();
        };
        let mut line = match &status.in_force {
            Some(VersionStatus { number, node, digest, .. }) => {
                format!("version {number} of {node} {}", digest.get(..16).unwrap_or(digest))
            }
            None => "those that [config] names".to_owned(),
        };
        if let Some(coming) = &status.coming {
            line += &format!("; version {} is decided", coming.number);
        }
        if let Some(push) = &status.push {
            line += &format!("; version {} is {}", push.version.number, push.phase);
        }
        let canary = status.push.as_ref().and_then(|push| push.canary.as_deref());
        if let Some(canary) = canary {
            line += &format!(" at {canary}");
        }
        let number = status.in_force.as_ref().map(|version| version.number);
        let differs = |node: &&NodeBundleStatus| {
            node.is_live
                && node.takes == Some(true)
                && node.in_force != number
                && canary != Some(&*node.node)
        };
        let others: Vec<&str> =
            status.nodes.iter().filter(differs).map(|node| &*node.node).collect();
        if !others.is_empty() {
            line += &format!("; DIFFERS at {}", others.join(", "));
        }
        line
    }
}

impl Bundles {
    fn push_status(
        &self,
        living: &std::collections::BTreeSet<crate::cluster::NodeName>,
        now: Now,
    ) -> Option<PushStatus> {
        if let Some(push) = &self.push {
            let unsigned = || Sealed {
                manifest: push.manifest.clone(),
                by: self.own.clone(),
                signature: Box::default(),
            };
            let sealed = push.sealed.clone().unwrap_or_else(unsigned);
            let phase = match push.phase {
                Phase::Here => "checked",
                Phase::Offered => "offered",
                Phase::Canary { .. } => "canary",
            };
            return Some(PushStatus {
                version: VersionStatus::new(&sealed, None),
                phase: phase.to_owned(),
                canary: push.canary.as_ref().map(ToString::to_string),
                goes_on: matches!(push.phase, Phase::Canary { goes_on: true, .. }),
                for_s: Some(now.monotonic.saturating_sub(push.since).as_secs()),
            });
        }
        let (sealed, trial) = self.best_offer(living)?;
        Some(PushStatus {
            version: VersionStatus::new(sealed, None),
            phase: if trial.is_some() { "canary" } else { "offered" }.to_owned(),
            canary: trial.map(|trial| trial.node.to_string()),
            goes_on: false,
            for_s: None,
        })
    }
}
