//! Bundles of files in the controller: which version counts, which one is coming, and what each node says about it.
//!
//! ```text
//!   push here --> checked here --> offered --> all living servers ready --> decided: counts from an instant on
//!                      |              |  \
//!                   refused        refused  a canary serves it before the others, until an operator says go on
//! ```
//!
//! The node at which a version was pushed leads it: it offers it, hears the others, and decides. Every node that has a decided
//! version ready keeps it on disk, says so itself, and serves it when the instant comes. So who heard nothing of a push hears
//! of its end from anybody, and of two versions the greater counts wherever both are known. Nothing here waits without an end.
//!
//! The disk, the links and the worker are the shell's: it does what [`Deed`] says, and tells by [`BundleNews`] what came of it.

pub mod guard;
mod lead;
pub mod orders;
mod prepare;
pub mod status;
mod tables;
pub mod told;
pub mod word;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use told::Told;
pub use word::Active;
pub use word::Answer;
pub use word::AnswerState;
pub use word::Offer;
pub use word::TableWord;
pub use word::Trial;
pub use word::Word;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::Manifest;
use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::Role;
use crate::cluster::Say;
use crate::cluster::Sealed;
use crate::cluster::Topic;
use crate::cluster::Version;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Job;
use crate::control::Occurrence;
use crate::control::Product;
use crate::control::cluster::bundles::lead::Push;
use crate::control::cluster::bundles::prepare::Coming;
use crate::control::cluster::bundles::prepare::Staged;
use crate::control::cluster::bundles::status::Outcome;
use crate::control::cluster::bundles::word::rank;
use crate::control::cluster::news::NewsKind;
use crate::model::ClusterTerms;
use crate::model::Now;

/// Versions that are kept, with that in force: so far a rollback goes back.
pub const KEPT_MAX: usize = 6;

/// So far a number may be above all others.
const NUMBERS_MAX: u64 = 1 << 32;

/// What the shell is to do.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Sign what was pushed here.
    Seal(Manifest),
    /// Sign what counts as this node, if whoever has signed it is no server any more, or has another key now.
    Vouch(Sealed),
    /// Get the files of a version: from this node's disk, else from others.
    Stage(Sealed),
    /// Compile them.
    Check(Sealed, Arc<Job>),
    /// Stop getting what was to be staged.
    Drop,
    /// Keep on disk which versions count, before anything of it is lost.
    Keep(Memory),
    /// Read files from this bundle's folder from now on; `None`: from those that `[config]` names.
    Read(Option<PieceId>),
    /// Get a table of round-trip times, and put it into the folder.
    Table(TableWord),
}

/// What came of it.
#[derive(Debug)]
pub enum BundleNews {
    /// It is signed.
    Sealed(Sealed),
    /// What counts is signed by this node now.
    Vouched(Sealed),
    /// The files of a version are here, or cannot be used. Nobody can give them now: `Ok(None)`.
    Staged(Sealed, Result<Option<Box<Job>>, String>),
    /// They were compiled.
    Checked(Sealed, Box<Product>),
    /// So many pieces of a version's files are still to come.
    Progress(PieceId, usize),
    /// Which versions count is on disk, the newest of them this one; or why not.
    Kept(Result<Option<Version>, String>),
    /// Tables of round-trip times in the folder, with the digests of their indexes.
    Tables(Vec<(Box<str>, PieceId)>),
    /// A table was put into the folder, or could not be had.
    Table(Box<str>, Result<(), String>),
    /// A table is too large to be given to others.
    TooLarge(Box<str>, u64),
}

/// What was kept of bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Versions that count, or did, the newest first.
    pub versions: Vec<Active>,
    /// The one whose files were read at the start.
    pub in_force: Option<Version>,
}

/// What another node says.
#[derive(Debug)]
struct Spoken {
    generation: Generation,
    sequence: u64,
    word: Word,
}

/// What this node knows of bundles.
#[derive(Debug)]
pub struct Bundles {
    own: NodeName,
    role: Role,
    /// Whether this node takes bundles.
    takes: bool,
    /// Whether it has a folder of tables.
    takes_tables: bool,
    /// Every server by the configuration, this node included if it is one.
    servers: BTreeSet<NodeName>,
    words: BTreeMap<NodeName, Spoken>,
    /// Versions that were decided and are ready here, the newest first.
    versions: Vec<Active>,
    in_force: Option<Version>,
    /// The version that this node serves before the others.
    trial: Option<Version>,
    staged: Option<Staged>,
    coming: Option<Coming>,
    push: Option<Push>,
    /// How the last push of this node ended.
    last: Option<Outcome>,
    /// The highest number that was ever heard of.
    highest: u64,
    /// Decided versions that this node cannot serve: what comes after them, or is signed by another, is looked at all the same.
    given_up: Vec<(Sealed, Box<str>)>,
    /// When those are tried once more, on the monotonic clock.
    given_up_until: Option<Duration>,
    /// Which version people were told of that this node cannot serve.
    told_refused: Option<(Version, PieceId)>,
    /// When it is tried again to have on disk which versions count, on the monotonic clock.
    keep_again: Option<Duration>,
    /// Whether it is not on disk.
    is_unkept: bool,
    tables: tables::Tables,
    said: Option<Word>,
    deeds: Vec<Deed>,
    news: Vec<Told>,
}

impl Bundles {
    /// Of a node that has kept `memory`.
    pub fn new(terms: &ClusterTerms, takes_tables: bool, memory: Memory) -> Self {
        let Memory { versions, in_force } = memory;
        let highest = versions.iter().map(|one| one.sealed.manifest.version.number).max();
        let mut bundles = Self {
            own: terms.node.clone(),
            role: terms.role,
            takes: terms.bundles,
            takes_tables: takes_tables && terms.bundles,
            servers: BTreeSet::new(),
            words: BTreeMap::new(),
            versions,
            in_force,
            trial: None,
            staged: None,
            coming: None,
            push: None,
            last: None,
            highest: highest.unwrap_or(0),
            given_up: Vec::new(),
            given_up_until: None,
            told_refused: None,
            keep_again: None,
            is_unkept: false,
            tables: tables::Tables::default(),
            said: None,
            deeds: Vec::new(),
            news: Vec::new(),
        };
        bundles.follow(terms);
        bundles
    }

    /// Other members, or other keys of them: who is new is waited for, and who is gone is not.
    fn follow(&mut self, terms: &ClusterTerms) {
        let peers = terms.peers.iter().map(|peer| (&peer.node, peer.role));
        let all = peers.chain([(&terms.node, terms.role)]);
        let servers = all.filter(|(_, role)| *role == Role::Server).map(|(node, _)| node.clone());
        self.servers = servers.collect();
        self.words.retain(|node, _| terms.peers.iter().any(|peer| peer.node == *node));
        // Who signed what counts here may be a stranger to whoever comes later.
        let counting = self.adopted().filter(|_| self.role == Role::Server);
        let vouch = counting.map(|active| Deed::Vouch(active.sealed.clone()));
        // And what is being pushed must be verified by all, with the key of now.
        let pushed = self.push.as_ref().filter(|push| push.sealed.is_some());
        let seal = pushed.map(|push| Deed::Seal(push.manifest.clone()));
        self.deeds.extend(vouch.into_iter().chain(seal));
    }

    /// What counts is signed anew.
    fn take_vouched(&mut self, sealed: Sealed) {
        let mut versions = self.versions.iter_mut();
        if let Some(active) = versions.find(|active| active.sealed.manifest == sealed.manifest) {
            active.sealed = sealed;
            self.keep();
        }
    }

    /// The newest version that was decided, as far as it is ready here.
    fn adopted(&self) -> Option<&Active> {
        self.versions.first()
    }

    fn is_server(&self, node: &NodeName) -> bool {
        self.servers.contains(node)
    }

    /// Takes in what another node says. What agents say counts for themselves only.
    fn hear(&mut self, heard: &Heard) {
        if let Heard::Forgotten { node } = heard {
            self.words.remove(node);
        }
        let Heard::Value { node, generation, sequence, topic: Topic::Bundle, payload } = heard
        else {
            return;
        };
        let is_old =
            |known: &Spoken| (known.generation, known.sequence) >= (*generation, *sequence);
        if *node == self.own || self.words.get(node).is_some_and(is_old) {
            return;
        }
        let Some(mut word) = Word::of_octets(payload) else { return };
        if !self.is_server(node) {
            (word.active, word.offer, word.tables) = (None, None, Vec::new());
        }
        // A number that nobody can have come to would leave none for others.
        let is_far = |sealed: &Sealed| {
            sealed.manifest.version.number > self.highest.saturating_add(NUMBERS_MAX)
        };
        word.active = word.active.take().filter(|active| !is_far(&active.sealed));
        word.offer = word.offer.take().filter(|offer| !is_far(&offer.sealed));
        // Nobody leads another's push.
        word.offer = word.offer.take().filter(|offer| offer.sealed.manifest.version.node == *node);
        let numbers = word
            .active
            .iter()
            .map(|one| &one.sealed)
            .chain(word.offer.iter().map(|one| &one.sealed));
        let highest = numbers.map(|sealed| sealed.manifest.version.number).max();
        self.highest = self.highest.max(highest.unwrap_or(0));
        let (generation, sequence) = (*generation, *sequence);
        self.words.insert(node.clone(), Spoken { generation, sequence, word });
    }

    /// What this node says of bundles now.
    ///
    /// A decision is said once it is on disk: else whoever dies before that comes back without it, while others have it.
    fn word(&self) -> Word {
        let unkept = self.coming.as_ref().filter(|coming| !coming.is_kept);
        let offer = self.push.as_ref().and_then(Push::offer);
        Word {
            takes: self.takes,
            active: self.versions.get(usize::from(unkept.is_some())).cloned(),
            in_force: self.trial.as_ref().or(self.in_force.as_ref()).cloned(),
            offer: offer.or(unkept.and_then(|coming| coming.offer.clone())),
            answer: self.answer(),
            tables: self.tables.told(),
        }
    }

    /// The decided version that is newer than what this node has, if any server has one.
    fn decided_elsewhere(&self) -> Option<&Active> {
        let own = self.adopted().map(|active| rank(&active.sealed));
        let all = self
            .words
            .iter()
            .filter_map(|(node, spoken)| Some((node, spoken.word.active.as_ref()?)));
        let newer = all.filter(|(_, active)| {
            Some(rank(&active.sealed)) > own && !self.is_given_up(&active.sealed)
        });
        // Whoever speaks has a key that is known here: a signature of its own is as good.
        let best =
            newer.max_by_key(|(node, active)| (rank(&active.sealed), active.sealed.by == **node));
        best.map(|(_, active)| active)
    }

    fn is_given_up(&self, sealed: &Sealed) -> bool {
        self.given_up.iter().any(|(refused, _)| refused == sealed)
    }

    /// The push that goes before all others: of those that living servers lead, this node's own among them.
    fn best_offer(&self, living: &BTreeSet<NodeName>) -> Option<(&Sealed, Option<&Trial>)> {
        let heard = self.words.iter().filter(|(node, _)| living.contains(*node));
        let heard = heard.filter_map(|(_, spoken)| spoken.word.offer.as_ref());
        let heard = heard.map(|offer| (&offer.sealed, offer.trial.as_ref()));
        let own = self.push.iter().filter_map(|push| Some((push.sealed.as_ref()?, push.trial())));
        let adopted = self.adopted().map(|active| &active.sealed.manifest.version);
        let newer = heard.chain(own).filter(|(sealed, _)| Some(&sealed.manifest.version) > adopted);
        newer.max_by_key(|(sealed, _)| rank(sealed))
    }

    /// The node that serves a version before the others, by the push that goes before all others.
    fn on_trial(&self, living: &BTreeSet<NodeName>) -> Option<NodeName> {
        let (_, trial) = self.best_offer(living)?;
        trial.map(|trial| trial.node.clone())
    }

    fn tell(&mut self, kind: Told) {
        self.news.push(kind);
    }
}

impl Controller {
    /// Knows of bundles from now on; after [`Controller::join`].
    pub fn take_bundles(&mut self, terms: &ClusterTerms, takes_tables: bool, memory: Memory) {
        self.bundles = Some(Box::new(Bundles::new(terms, takes_tables, memory)));
    }

    /// When a version begins to count, since 1970: to be woken then.
    pub fn next_switch(&self) -> Option<Duration> {
        let bundles = self.bundles.as_ref()?;
        let coming = bundles.coming.as_ref().map(|coming| coming.active.at_ms);
        let trial = bundles.staged.as_ref().and_then(|staged| staged.trial_at_ms);
        let trial = trial.filter(|_| bundles.trial.is_none());
        coming.into_iter().chain(trial).min().map(Duration::from_millis)
    }

    pub(super) fn follow_in_bundles(&mut self, terms: &ClusterTerms) {
        if let Some(bundles) = &mut self.bundles {
            bundles.follow(terms);
        }
    }

    pub(super) fn hear_bundles(&mut self, heard: &Heard) {
        if let Some(bundles) = &mut self.bundles {
            bundles.hear(heard);
        }
    }

    pub(in crate::control) fn take_bundle_news(&mut self, news: BundleNews, now: Now) {
        let Some(mut bundles) = self.bundles.take() else { return };
        match news {
            BundleNews::Sealed(sealed) => bundles.take_seal(sealed),
            BundleNews::Vouched(sealed) => bundles.take_vouched(sealed),
            BundleNews::Staged(sealed, found) => {
                self.take_staged(&mut bundles, &sealed, found, now)
            }
            BundleNews::Checked(sealed, product) => {
                self.take_checked(&mut bundles, &sealed, *product)
            }
            BundleNews::Progress(parcel, left) => bundles.note_progress(&parcel, left, now),
            BundleNews::Kept(kept) => bundles.take_kept(kept, now),
            BundleNews::Tables(found) => {
                let shelf = Arc::clone(self.shelf());
                bundles.tables.set_own(found, &shelf);
            }
            BundleNews::Table(name, result) => bundles.take_table(name, result, now),
            BundleNews::TooLarge(name, octets) => {
                bundles.tell(Told::TableTooLarge { table: name, octets });
            }
        }
        self.bundles = Some(bundles);
    }

    /// Does what time and others' words ask for.
    pub(super) fn advance_bundles(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(mut bundles) = self.bundles.take() else { return };
        let living = self.living_servers();
        if bundles.given_up_until.is_some_and(|until| until <= now.monotonic) {
            bundles.given_up.clear();
            bundles.given_up_until = None;
        }
        bundles.mind_push(&living, now);
        self.mind_stage(&mut bundles, &living, now);
        self.mind_trial(&mut bundles, now, effects);
        self.mind_coming(&mut bundles, now, effects);
        let shelf = Arc::clone(self.shelf());
        bundles.mind_tables(&living, &shelf, now);
        bundles.mind_kept(now);
        if let Some(panel) = &mut self.cluster {
            panel.on_trial = bundles.on_trial(&living);
        }
        effects.extend(std::mem::take(&mut bundles.deeds).into_iter().map(Effect::Bundle));
        let word = bundles.word();
        if bundles.said.as_ref() != Some(&word) {
            let payload = word.to_octets();
            bundles.said = Some(word);
            effects.push(Effect::Say(Say { topic: Topic::Bundle, payload, urgent: true }));
        }
        let news = std::mem::take(&mut bundles.news);
        self.bundles = Some(bundles);
        for kind in news {
            let told = self.cluster.as_ref().map(|panel| panel.news_of_own(NewsKind::Bundle(kind)));
            effects.extend(told.map(|news| Effect::Record(Occurrence::Cluster(news))));
        }
    }
}
