//! The node at which a version was pushed: it offers it, hears the others, and decides or gives up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Manifest;
use crate::cluster::NodeName;
use crate::cluster::Sealed;
use crate::cluster::Version;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::Answer;
use crate::control::cluster::bundles::AnswerState;
use crate::control::cluster::bundles::Bundles;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::KEPT_MAX;
use crate::control::cluster::bundles::Memory;
use crate::control::cluster::bundles::Offer;
use crate::control::cluster::bundles::Trial;
use crate::control::cluster::bundles::prepare::Preparation;
use crate::control::cluster::bundles::prepare::Staged;
use crate::control::cluster::bundles::status::Outcome;
use crate::control::cluster::bundles::told::Told;
use crate::control::cluster::bundles::word::rank;
use crate::model::Now;

/// How long others may stand still while they get a version ready; then it is given up, and who was waited for is told.
pub const READY_MAX: Duration = Duration::from_secs(120);

/// How long too few servers are borne: after a start, or a cut, they are heard again within seconds.
const FEW_MAX: Duration = Duration::from_secs(15);

/// How long a canary may serve a version alone; then it is given up.
pub const CANARY_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long before its instant a version is decided at the latest: all nodes are to have heard of it by then.
///
/// A changed value is everywhere within a second; a node that hears of it later follows at once.
pub const LEAD: Duration = Duration::from_secs(3);

/// A version that was pushed here and is not decided yet.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) manifest: Manifest,
    /// Once it is signed.
    pub(super) sealed: Option<Sealed>,
    /// The node that serves it before the others.
    pub(super) canary: Option<NodeName>,
    /// That it does, from an instant on.
    pub(super) canary_trial: Option<Trial>,
    /// When it is to count at the earliest, since 1970.
    pub(super) at: Option<Duration>,
    /// How far ahead it is decided.
    pub(super) lead: Duration,
    /// Whether it may be decided by few.
    pub(super) force: bool,
    pub(super) phase: Phase,
    /// Since when it is in this phase, on the monotonic clock.
    pub(super) since: Duration,
    /// For what it waits, and since when.
    pub(super) stalled: Option<(Still, Duration)>,
    /// The newest version that was decided when it began.
    pub(super) base: Option<Version>,
}

/// What a push waits for: while it stays the same nobody gets further.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Still {
    answers: Vec<(NodeName, Option<Answer>)>,
    is_few: bool,
}

/// How far a push is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is checked here, and nobody else knows of it.
    Here,
    /// All living servers are to get it ready.
    Offered,
    /// One node serves it, from this instant on; an operator says whether it goes on.
    Canary {
        /// In milliseconds since 1970.
        at_ms: u64,
        /// Whether it goes on.
        goes_on: bool,
    },
}

impl Push {
    /// What others are told of it.
    pub(super) fn offer(&self) -> Option<Offer> {
        let sealed = self.sealed.clone().filter(|_| self.phase != Phase::Here)?;
        Some(Offer { sealed, trial: self.trial().cloned() })
    }

    /// Who serves it before the others, if anybody does yet.
    pub(super) fn trial(&self) -> Option<&Trial> {
        self.canary_trial.as_ref()
    }
}

/// How the others stand to a version.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Servers that could serve it, this one included.
    pub(super) ready: Vec<NodeName>,
    /// Who cannot, and why.
    pub(super) refused: Vec<(NodeName, Box<str>)>,
    /// Who has not said yet.
    pub(super) waiting: Vec<NodeName>,
    /// How many servers take part, dead ones included.
    pub(super) all: usize,
}

impl Tally {
    /// How many of so many must be ready: more than half; of two one.
    pub(super) fn needed(&self) -> usize {
        match self.all {
            0..=2 => 1,
            all => all / 2 + 1,
        }
    }
}

impl Bundles {
    pub(super) fn take_seal(&mut self, sealed: Sealed) {
        if let Some(push) = self.push.as_mut().filter(|push| push.manifest == sealed.manifest) {
            push.sealed = Some(sealed);
        }
    }

    /// How the servers stand to a version.
    pub(super) fn tally(&self, manifest: &Manifest, living: &BTreeSet<NodeName>) -> Tally {
        let mut tally = Tally::default();
        let own = self.answer();
        for node in &self.servers {
            let word = self.words.get(node).map(|spoken| &spoken.word);
            if word.is_some_and(|word| !word.takes) {
                continue;
            }
            tally.all += 1;
            let is_own = *node == self.own;
            if !is_own && !living.contains(node) {
                continue;
            }
            let answer = match is_own {
                true => own.as_ref(),
                false => word.and_then(|word| word.answer.as_ref()),
            };
            // A node that was set back may have given the same number to other files.
            match answer.filter(|answer| {
                answer.version == manifest.version && answer.parcel == manifest.parcel
            }) {
                Some(answer) if answer.state.is_ready() => tally.ready.push(node.clone()),
                Some(answer) if answer.state == AnswerState::Refused => {
                    tally.refused.push((node.clone(), answer.why.clone()));
                }
                Some(_) | None => tally.waiting.push(node.clone()),
            }
        }
        tally
    }

    /// Goes on with a push, or gives it up.
    pub(super) fn mind_push(&mut self, living: &BTreeSet<NodeName>, now: Now) {
        let Some(push) = &self.push else { return };
        if let Some(why) = self.yields(living) {
            return self.give_up(why, now);
        }
        let waited = now.monotonic.saturating_sub(push.since);
        match &push.phase {
            Phase::Here => self.mind_here(waited, now),
            Phase::Offered => self.mind_offered(living, now),
            Phase::Canary { goes_on, .. } => {
                let goes_on = *goes_on;
                self.mind_canary(living, goes_on, waited, now);
            }
        }
    }

    /// Why a push goes no further: another one goes before it.
    fn yields(&self, living: &BTreeSet<NodeName>) -> Option<String> {
        let Push { manifest: Manifest { version, .. }, base, .. } = self.push.as_ref()?;
        // Files that were made from those of before do not have what that one brought.
        if let Some(other) =
            self.newest_decided().filter(|other| Some(&other.version) > base.as_ref())
        {
            let (other, author) = (&other.version, &other.author);
            return Some(format!(
                "version {other} was decided meanwhile, pushed by {author}: look at it, and push again"
            ));
        }
        let (other, _) = self.best_offer(living)?;
        let is_greater = other.manifest.version > *version;
        is_greater.then(|| {
            let Manifest { version: other, author, .. } = &other.manifest;
            format!("version {other} is pushed at the same time by {author}, and goes before it: look at it, and push again")
        })
    }

    /// The newest version that was decided anywhere, though this node may not have it, or not be able to serve it.
    pub(super) fn newest_decided(&self) -> Option<&Manifest> {
        let heard = self.words.values().filter_map(|spoken| spoken.word.active.as_ref());
        let all = heard.chain(self.adopted()).map(|active| &active.sealed.manifest);
        all.max_by_key(|manifest| &manifest.version)
    }

    fn mind_here(&mut self, waited: Duration, now: Now) {
        let version = self.push.as_ref().map(|push| push.manifest.version.clone());
        let staged = self
            .staged
            .as_ref()
            .filter(|staged| Some(&staged.sealed.manifest.version) == version.as_ref());
        match staged.map(|staged| &staged.preparation) {
            Some(Preparation::Ready(_)) => {
                let Some(push) = &mut self.push else { return };
                (push.phase, push.since) = (Phase::Offered, now.monotonic);
                let told = Told::Pushed(described(&push.manifest));
                self.tell(told);
            }
            Some(Preparation::Refused(why)) => {
                let why = format!("refused here:\n{why}");
                self.give_up(why, now);
            }
            Some(Preparation::Fetching { .. } | Preparation::Checking(_)) | None
                if waited >= READY_MAX =>
            {
                let why = format!("it was not checked here within {} s", READY_MAX.as_secs());
                self.give_up(why, now);
            }
            Some(Preparation::Fetching { .. } | Preparation::Checking(_)) | None => {}
        }
    }

    /// Whether all who are to be ready are; gives up if one refuses, or if it takes too long.
    fn are_all_ready(&mut self, living: &BTreeSet<NodeName>, now: Now) -> bool {
        let Some(push) = &self.push else { return false };
        let tally = self.tally(&push.manifest, living);
        let is_few = tally.ready.len() < tally.needed() && !push.force;
        let waited = self.waited(&tally.waiting, is_few, now);
        let names =
            |nodes: &[NodeName]| nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
        if let Some((node, why)) = tally.refused.first() {
            let nodes: Vec<NodeName> = tally.refused.iter().map(|(node, _)| node.clone()).collect();
            let why = format!(
                "refused by {}; nothing has changed anywhere\n{node} says:\n{why}",
                names(&nodes)
            );
            self.give_up(why, now);
            return false;
        }
        if !tally.waiting.is_empty() {
            if waited >= READY_MAX {
                let nodes = names(&tally.waiting);
                let why = format!(
                    "{nodes} got no further for {} s; nothing has changed anywhere",
                    READY_MAX.as_secs()
                );
                self.give_up(why, now);
            }
            return false;
        }
        if is_few {
            if waited < FEW_MAX {
                return false;
            }
            let (ready, all, needed) = (tally.ready.len(), tally.all, tally.needed());
            let why = format!(
                "{ready} of {all} servers can be reached, and {needed} must be: others may push too, where they are; \
                 push with --force if those are dead"
            );
            self.give_up(why, now);
            return false;
        }
        true
    }

    /// How long the same nodes have stood still, or too few have been heard.
    fn waited(&mut self, waiting: &[NodeName], is_few: bool, now: Now) -> Duration {
        let answer = |node: &NodeName| {
            let heard = self.words.get(node).and_then(|spoken| spoken.word.answer.clone());
            (node.clone(), if *node == self.own { self.answer() } else { heard })
        };
        let still = Still { answers: waiting.iter().map(answer).collect(), is_few };
        let Some(push) = &mut self.push else { return Duration::ZERO };
        if waiting.is_empty() && !is_few {
            push.stalled = None;
            return Duration::ZERO;
        }
        match &push.stalled {
            Some((before, since)) if *before == still => now.monotonic.saturating_sub(*since),
            _ => {
                push.stalled = Some((still, now.monotonic));
                Duration::ZERO
            }
        }
    }

    fn mind_offered(&mut self, living: &BTreeSet<NodeName>, now: Now) {
        if !self.are_all_ready(living, now) {
            return;
        }
        let Some(push) = &mut self.push else { return };
        if let Some(node) = push.canary.clone() {
            let at_ms = millis(now.unix + push.lead);
            push.canary_trial = Some(Trial { node, at_ms });
            (push.phase, push.since) = (Phase::Canary { at_ms, goes_on: false }, now.monotonic);
            let told = Told::ForCanary(described(&push.manifest));
            return self.tell(told);
        }
        self.decide_in_time(now);
    }

    fn mind_canary(
        &mut self,
        living: &BTreeSet<NodeName>,
        goes_on: bool,
        waited: Duration,
        now: Now,
    ) {
        let canary = self.push.as_ref().and_then(|push| push.canary.clone());
        if let Some(canary) = canary.filter(|canary| !living.contains(canary)) {
            let why = format!(
                "the canary {canary} is not heard any more; nothing has changed at the others"
            );
            return self.give_up(why, now);
        }
        if waited >= CANARY_MAX {
            let why =
                format!("nobody said within {} h that it goes on", CANARY_MAX.as_secs() / 3600);
            return self.give_up(why, now);
        }
        let manifest = self.push.as_ref().map(|push| push.manifest.clone());
        let Some(manifest) = manifest else { return };
        let has_refusals = !self.tally(&manifest, living).refused.is_empty();
        if (goes_on || has_refusals) && self.are_all_ready(living, now) {
            self.decide_in_time(now);
        }
    }

    /// Decides, once the instant is near.
    fn decide_in_time(&mut self, now: Now) {
        let Some(push) = &self.push else { return };
        let soonest = now.unix + push.lead;
        let at = push.at.unwrap_or_default();
        if at > soonest {
            return;
        }
        let Some(sealed) = push.sealed.clone() else { return };
        let active = Active { sealed, at_ms: millis(soonest.max(at)) };
        let (manifest, offer) = (push.manifest.clone(), push.offer());
        self.push = None;
        self.last = Some(Outcome::decided(&manifest, active.at_ms));
        self.adopt(active);
        if let Some(coming) = &mut self.coming {
            coming.offer = offer;
        }
    }

    /// A decided version is ready here: it counts from its instant on, whatever happens.
    pub(super) fn adopt(&mut self, active: Active) {
        let is_it = |staged: &mut Staged| rank(&staged.sealed) == rank(&active.sealed);
        let Some(staged) = self.staged.take_if(is_it) else { return };
        let is_known = |known: &Active| rank(&known.sealed) == rank(&active.sealed);
        let is_kept = self.adopted().is_some_and(is_known);
        if !is_kept {
            self.tell(Told::Decided(described(&active.sealed.manifest)));
            self.versions.insert(0, active.clone());
            forget_old(&mut self.versions, self.in_force.as_ref());
            self.keep();
        }
        self.coming = staged.into_coming(active);
        if let Some(coming) = &mut self.coming {
            coming.is_kept = is_kept;
        }
        self.given_up.clear();
    }

    /// Has on disk which versions count.
    pub(super) fn keep(&mut self) {
        let (versions, in_force) = (self.versions.clone(), self.in_force.clone());
        self.deeds.push(Deed::Keep(Memory { versions, in_force }));
    }

    /// Gives the push of this node up; nothing has changed, but at its canary, which goes back.
    pub(super) fn give_up(&mut self, why: String, now: Now) {
        let Some(push) = self.push.take() else { return };
        self.tell(Told::GivenUp { what: described(&push.manifest), why: first_words(&why) });
        self.last = Some(Outcome::given_up(&push.manifest, why, now));
    }
}

/// Forgets versions that are too old to go back to. What is served is kept, however many come before their instants.
fn forget_old(versions: &mut Vec<Active>, in_force: Option<&Version>) {
    let mut count = 0;
    versions.retain(|active| {
        count += 1;
        count <= KEPT_MAX || Some(&active.sealed.manifest.version) == in_force
    });
}

/// The first line, and what it announces.
fn first_words(why: &str) -> Box<str> {
    let (first, rest) = why.split_once('\n').unwrap_or((why, ""));
    match first.ends_with(':') {
        true => format!("{first} {}", rest.lines().next().unwrap_or_default()).trim_end().into(),
        false => first.into(),
    }
}

/// A version for people.
pub(super) fn described(manifest: &Manifest) -> Box<str> {
    let Manifest { version, parcel, author, reason, restores, .. } = manifest;
    let restores =
        restores.map_or_else(String::new, |number| format!(", files of version {number}"));
    format!("version {version} ({}{restores}) by {author}: {reason}", parcel.short()).into()
}

/// Milliseconds since 1970.
pub(super) fn millis(unix: Duration) -> u64 {
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Generation;
    use crate::cluster::PieceId;
    use crate::cluster::Role;
    use crate::control::cluster::bundles::Spoken;
    use crate::control::cluster::bundles::Word;
    use crate::control::cluster::bundles::orders::PushFiles;
    use crate::control::cluster::bundles::orders::PushTerms;
    use crate::model::ClusterTerms;
    use crate::model::Peer;

    fn node(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    /// Two servers, `a` (this one) and `b`.
    fn terms() -> ClusterTerms {
        ClusterTerms {
            name: "test".into(),
            node: node("a"),
            listen: None,
            key: "cluster.key".into(),
            role: Role::Server,
            bundles: true,
            withdraw: Box::default(),
            nats: None,
            anchors: Vec::new(),
            peers: vec![Peer {
                node: node("b"),
                address: None,
                pins: Vec::new(),
                site: "sin".into(),
                role: Role::Server,
            }],
        }
    }

    fn after(hours: u64, seconds: u64) -> Now {
        let passed = Duration::from_secs(hours * 3600 + seconds);
        Now { monotonic: passed, unix: Duration::from_secs(1_800_000_000) + passed }
    }

    /// A push of files `x` that waits for all.
    fn offered() -> Bundles {
        let mut bundles = Bundles::new(&terms(), false, Memory::default());
        let files = PushFiles { parcel: PieceId::of(b"x"), octets: 1, files: 1 };
        bundles.begin(&files, &PushTerms::default(), None, after(0, 0)).unwrap();
        bundles.push.as_mut().unwrap().phase = Phase::Offered;
        bundles
    }

    #[test]
    fn who_is_ready_for_other_files_of_the_same_number_is_not_ready() {
        let mut bundles = offered();
        let manifest = bundles.push.as_ref().unwrap().manifest.clone();
        let living = BTreeSet::from([node("a"), node("b")]);
        for (files, is_ready) in [(b"y", false), (b"x", true)] {
            let (version, parcel) = (manifest.version.clone(), PieceId::of(files));
            let state = AnswerState::Ready;
            let answer = Answer { version, parcel, state, why: Box::default() };
            let word = Word { takes: true, answer: Some(answer), ..Word::default() };
            let spoken = Spoken { generation: Generation(1), sequence: 1, word };
            bundles.words.insert(node("b"), spoken);
            let tally = bundles.tally(&manifest, &living);
            assert_eq!(tally.ready == [node("b")], is_ready);
            assert!(tally.waiting.contains(&node("a")), "this one has nothing ready yet");
        }
    }

    #[test]
    fn what_is_served_is_kept_however_many_versions_come() {
        let sealed = |number| {
            let mut manifest = offered().push.unwrap().manifest;
            manifest.version.number = number;
            Sealed { manifest, by: node("a"), signature: Box::default() }
        };
        let all = (1..=9).rev().map(|number| Active { sealed: sealed(number), at_ms: 0 });
        let mut versions: Vec<Active> = all.collect();
        let in_force = Version { number: 2, node: node("a") };
        forget_old(&mut versions, Some(&in_force));
        let numbers = versions.iter().map(|active| active.sealed.manifest.version.number);
        assert_eq!(numbers.collect::<Vec<_>>(), [9, 8, 7, 6, 5, 4, 2]);
    }

    #[test]
    fn a_canary_serves_alone_for_a_day_at_most() {
        let mut bundles = Bundles::new(&terms(), false, Memory::default());
        let files = PushFiles { parcel: PieceId::of(b"x"), octets: 1, files: 1 };
        let terms = PushTerms { canary: Some("b".into()), ..PushTerms::default() };
        bundles.begin(&files, &terms, None, after(0, 0)).unwrap();
        let push = bundles.push.as_mut().unwrap();
        push.phase = Phase::Canary { at_ms: 0, goes_on: false };
        let living = BTreeSet::from([node("a"), node("b")]);
        bundles.mind_push(&living, after(23, 3599));
        assert!(bundles.push.is_some());
        bundles.mind_push(&living, after(24, 0));
        assert!(bundles.push.is_none());
        let why = bundles.last.unwrap().text;
        assert!(why.contains("nobody said within 24 h that it goes on"), "{why}");
    }
}
