//! What operators order: a push, its end, its way on behind a canary, and the way back.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Manifest;
use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::Role;
use crate::cluster::Version;
use crate::cluster::manifest::WORDS_MAX;
use crate::control::Controller;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::Bundles;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::lead::LEAD;
use crate::control::cluster::bundles::lead::Phase;
use crate::control::cluster::bundles::lead::Push;
use crate::control::cluster::bundles::lead::described;
use crate::control::cluster::bundles::word::beginning;
use crate::model::Now;

/// Farthest instant that a version may be pushed for.
const AT_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What is to become of a version, whatever files it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTerms {
    /// Why.
    pub reason: String,
    /// Who.
    pub author: String,
    /// The node that serves it before the others.
    #[serde(default)]
    pub canary: Option<String>,
    /// Seconds since 1970 when it is to count at the earliest.
    #[serde(default)]
    pub at_s: Option<u64>,
    /// Even if names lose all their addresses, and though few servers are alive.
    #[serde(default)]
    pub force: bool,
}

/// The files of a version that is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushFiles {
    /// Digest of their index.
    pub parcel: PieceId,
    /// Octets of their archive.
    pub octets: u64,
    /// How many they are.
    pub files: u32,
}

impl Controller {
    /// Pushes files that the shell has on this node's disk.
    pub(in crate::control) fn push(
        &mut self,
        files: &PushFiles,
        terms: &PushTerms,
        now: Now,
    ) -> Result<String, String> {
        let bundles = self.bundles_for_orders()?;
        bundles.begin(files, terms, None, now)
    }

    /// Pushes the files of an earlier version once more.
    pub(in crate::control) fn roll_back(
        &mut self,
        to: Option<u64>,
        terms: &PushTerms,
        now: Now,
    ) -> Result<String, String> {
        let bundles = self.bundles_for_orders()?;
        let manifest = bundles.find_earlier(to)?.sealed.manifest.clone();
        let Manifest { parcel, octets, files, .. } = manifest;
        bundles.begin(&PushFiles { parcel, octets, files }, terms, Some(manifest.origin()), now)
    }

    /// Lets a version go on to all nodes that a canary has served long enough.
    pub(in crate::control) fn go_on(&mut self, now: Now) -> Result<String, String> {
        let bundles = self.bundles_for_orders()?;
        let elsewhere = bundles.led_elsewhere();
        let Some(push) = &mut bundles.push else {
            return Err(elsewhere.unwrap_or_else(|| "nothing is being pushed".into()));
        };
        match &mut push.phase {
            Phase::Canary { goes_on, .. } => {
                *goes_on = true;
                push.since = now.monotonic;
                Ok(format!("{} goes on to all nodes", described(&push.manifest)))
            }
            Phase::Here | Phase::Offered => {
                Err("no canary serves it yet: rhumb cluster push --status shows who is waited for"
                    .into())
            }
        }
    }

    /// Gives a push up that is not decided yet.
    pub(in crate::control) fn abort(&mut self, author: &str, now: Now) -> Result<String, String> {
        let bundles = self.bundles_for_orders()?;
        let Some(push) = &bundles.push else {
            return Err(bundles.led_elsewhere().unwrap_or_else(|| {
                "nothing is being pushed; what is decided is taken back by rhumb cluster rollback".into()
            }));
        };
        let text = format!("{} is given up", described(&push.manifest));
        bundles.give_up(format!("given up by {author}"), now);
        Ok(text)
    }

    fn bundles_for_orders(&mut self) -> Result<&mut Bundles, String> {
        let Some(bundles) = self.bundles.as_deref_mut() else {
            return Err("this node stands alone: its rhumb.toml has no [cluster]".into());
        };
        match (bundles.role, bundles.takes) {
            (Role::Agent, _) => Err("this node is an agent: push at a server of the cluster".into()),
            (Role::Server, false) => {
                Err("this node has its files by other tools: write bundles = true in [cluster], and restart it".into())
            }
            (Role::Server, true) => Ok(bundles),
        }
    }
}

impl Bundles {
    pub(super) fn begin(
        &mut self,
        files: &PushFiles,
        terms: &PushTerms,
        restores: Option<u64>,
        now: Now,
    ) -> Result<String, String> {
        if let Some(push) = &self.push {
            let what = described(&push.manifest);
            return Err(format!(
                "{what} is being pushed: wait for it, or end it with rhumb cluster push --abort"
            ));
        }
        if let Some(coming) = &self.coming {
            let what = described(&coming.active.sealed.manifest);
            return Err(format!("{what} is decided and counts in a moment: wait for it"));
        }
        let canary = terms.canary.as_deref().map(|name| self.find_canary(name)).transpose()?;
        let at = terms.at_s.map(Duration::from_secs);
        if at.is_some_and(|at| at > now.unix + AT_MAX) {
            return Err(format!(
                "the instant is more than {} days away",
                AT_MAX.as_secs() / 86_400
            ));
        }
        if terms.force && terms.reason.trim().is_empty() {
            return Err("say why it is forced: --reason".into());
        }
        let Some(number) = self.highest.checked_add(1) else {
            return Err(
                "the numbers of versions have come to an end: a server has said the last one"
                    .into(),
            );
        };
        self.highest = number;
        let PushFiles { parcel, octets, files } = *files;
        let manifest = Manifest {
            version: Version { number, node: self.own.clone() },
            parcel,
            octets,
            files,
            author: plain(&terms.author),
            reason: plain(&terms.reason),
            made_s: now.unix.as_secs(),
            force: terms.force,
            restores,
        };
        let text = format!("pushed as {}", described(&manifest));
        self.last = None;
        self.deeds.push(Deed::Seal(manifest.clone()));
        self.push = Some(Push {
            manifest,
            sealed: None,
            canary,
            canary_trial: None,
            at,
            lead: LEAD,
            force: terms.force,
            phase: Phase::Here,
            since: now.monotonic,
            stalled: None,
            base: self.newest_decided().map(|manifest| manifest.version.clone()),
        });
        Ok(text)
    }

    fn find_canary(&self, name: &str) -> Result<NodeName, String> {
        let servers = || self.servers.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
        let found = self.servers.iter().find(|node| node.as_str() == name);
        let found =
            found.ok_or_else(|| format!("no server is named {name}; there are {}", servers()))?;
        if self.words.get(found).is_some_and(|spoken| !spoken.word.takes) {
            return Err(format!(
                "{name} has its files by other tools: it cannot serve a version before the others"
            ));
        }
        Ok(found.clone())
    }

    /// The version whose files a rollback brings: the named one, else the newest kept one before those in force.
    ///
    /// A rollback of a rollback goes further back, not to and fro.
    fn find_earlier(&self, to: Option<u64>) -> Result<&Active, String> {
        let is_it =
            |active: &&Active| Some(&active.sealed.manifest.version) == self.in_force.as_ref();
        let now = self.versions.iter().find(is_it).map(|active| &active.sealed.manifest);
        let kept: Vec<String> = self
            .versions
            .iter()
            .map(|active| active.sealed.manifest.version.number.to_string())
            .collect();
        let kept = kept.join(", ");
        if let Some(number) = to {
            let found =
                self.versions.iter().find(|active| active.sealed.manifest.version.number == number);
            return found
                .ok_or_else(|| format!("version {number} is not kept here; those are: {kept}"));
        }
        let Some(now) = now else {
            return Err(
                "no version was pushed before: this node serves the files that [config] names"
                    .into(),
            );
        };
        let earlier = self.versions.iter().filter(|active| {
            let other = &active.sealed.manifest;
            other.version.number < now.origin() && other.parcel != now.parcel
        });
        earlier.max_by_key(|active| &active.sealed.manifest.version).ok_or_else(|| {
            format!(
                "no files before those of version {} are kept here (kept: {kept}; name one with --to); \
                 to have those back that [config] names push their folder",
                now.origin()
            )
        })
    }

    /// Where the push is led that goes on at another node.
    fn led_elsewhere(&self) -> Option<String> {
        let offers = self.words.values().filter_map(|spoken| spoken.word.offer.as_ref());
        let version = offers.map(|offer| &offer.sealed.manifest.version).max()?;
        Some(format!("version {version} is pushed at node {0}: say it there", version.node))
    }
}

/// A text without what a terminal would obey, of bounded length.
fn plain(text: &str) -> Box<str> {
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    beginning(&text, WORDS_MAX).trim().into()
}
