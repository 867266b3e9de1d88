//! A version on this node: got, compiled, held ready, and put in force at its instant.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::Sealed;
use crate::cluster::Version;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Job;
use crate::control::Product;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::Answer;
use crate::control::cluster::bundles::AnswerState;
use crate::control::cluster::bundles::Bundles;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::Offer;
use crate::control::cluster::bundles::guard;
use crate::control::cluster::bundles::lead::described;
use crate::control::cluster::bundles::lead::millis;
use crate::control::cluster::bundles::told::Told;
use crate::control::cluster::bundles::word::rank;
use crate::control::parts::ZoneFiles;
use crate::model::Now;

/// How long to wait before files that nobody could give are asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long to wait before a decided version that this node could not serve is tried once more.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long files may be on their way without a word of it before they are asked for once more.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// How long to wait before it is tried once more to write which versions count.
const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long a version whose instant has come waits for a disk that does not answer.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// A version that this node gets ready.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) sealed: Sealed,
    /// From when on it counts, in milliseconds since 1970; `None`: that is not decided.
    pub(super) decided_at_ms: Option<u64>,
    /// From when on this node is to serve it before the others.
    pub(super) trial_at_ms: Option<u64>,
    pub(super) preparation: Preparation,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Preparation {
    /// Files are on their way.
    Fetching {
        /// When they are asked for again, on the monotonic clock, whatever has become of it.
        again: Duration,
        /// What is to be told of it.
        state: FetchState,
    },
    /// They are compiled.
    Checking(Arc<ZoneFiles>),
    /// It can be served at once.
    Ready(Box<Ready>),
    /// It cannot be served.
    Refused(Box<str>),
}

/// How far files are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchState {
    /// They are asked for.
    Asked,
    /// So many pieces are still to come.
    Left(usize),
    /// Nobody could give them.
    NobodyGives,
}

/// Files that compiled, and what they compiled to.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) zones: Arc<ZoneFiles>,
    /// What they come to with the geo data and the round-trip times for which they were compiled; `None` once it is served.
    product: Option<Product>,
    /// The job that is being compiled, as geo data or round-trip times are others by now.
    pub(super) remade: Option<[u8; 32]>,
}

/// A decided version that is ready, and waits for its instant.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) active: Active,
    pub(super) ready: Box<Ready>,
    /// Whether it is on disk that it counts: else a restart just after its instant would go back.
    pub(super) is_kept: bool,
    /// What this node goes on offering until that is on disk, if it leads the push.
    pub(super) offer: Option<Offer>,
    /// Since when it waits, on the monotonic clock.
    since: Option<Duration>,
}

impl Staged {
    fn new(sealed: Sealed, now: Now) -> Self {
        let again = now.monotonic + FETCH_MAX;
        let preparation = Preparation::Fetching { again, state: FetchState::Asked };
        Self { sealed, decided_at_ms: None, trial_at_ms: None, preparation }
    }

    fn version(&self) -> &Version {
        &self.sealed.manifest.version
    }

    /// What it becomes once it is decided; `None` if it is not ready.
    pub(super) fn into_coming(self, active: Active) -> Option<Coming> {
        match self.preparation {
            Preparation::Ready(ready) => {
                Some(Coming { active, ready, is_kept: false, offer: None, since: None })
            }
            Preparation::Fetching { .. } | Preparation::Checking(_) | Preparation::Refused(_) => {
                None
            }
        }
    }
}

impl Bundles {
    /// What this node says to the version that it gets ready, or to the decided one that it cannot serve.
    pub(super) fn answer(&self) -> Option<Answer> {
        let Some(staged) = &self.staged else {
            let (sealed, why) = self.given_up.last()?;
            let (version, parcel) = (sealed.manifest.version.clone(), sealed.manifest.parcel);
            return Some(Answer { version, parcel, state: AnswerState::Refused, why: why.clone() });
        };
        let version = staged.version();
        let (state, why) = match &staged.preparation {
            Preparation::Fetching { state, again: _ } => (
                AnswerState::Fetching,
                match state {
                    FetchState::Asked => Box::default(),
                    FetchState::Left(1) => "1 piece is still to come".into(),
                    FetchState::Left(left) => format!("{left} pieces are still to come").into(),
                    FetchState::NobodyGives => "nobody could give it yet".into(),
                },
            ),
            Preparation::Checking(_) => (AnswerState::Checking, Box::default()),
            Preparation::Ready(_) if self.trial.as_ref() == Some(version) => {
                (AnswerState::Trial, Box::default())
            }
            Preparation::Ready(_) => (AnswerState::Ready, Box::default()),
            Preparation::Refused(why) => (AnswerState::Refused, why.clone()),
        };
        let (version, parcel) = (version.clone(), staged.sealed.manifest.parcel);
        Some(Answer { version, parcel, state, why })
    }

    /// What is got ready of a version; if somebody else has signed it, it is got once more only while it is not ready.
    fn is_staged(&mut self, sealed: &Sealed) -> Option<&mut Staged> {
        self.staged.as_mut().filter(|staged| {
            let is_ready = matches!(staged.preparation, Preparation::Ready(_));
            staged.sealed == *sealed || is_ready && rank(&staged.sealed) == rank(sealed)
        })
    }

    /// So many pieces of a version are still to come.
    pub(super) fn note_progress(&mut self, parcel: &PieceId, left: usize, now: Now) {
        let staged = self.staged.as_mut().filter(|one| one.sealed.manifest.parcel == *parcel);
        if let Some(Staged { preparation: Preparation::Fetching { again, state }, .. }) = staged {
            (*again, *state) = (now.monotonic + FETCH_MAX, FetchState::Left(left));
        }
    }

    /// Tells people once why this node cannot serve a version: all of it, for the others hear only its beginning.
    fn tell_refused(&mut self, sealed: &Sealed, why: &str) {
        let it = Some((sealed.manifest.version.clone(), sealed.manifest.parcel));
        if std::mem::replace(&mut self.told_refused, it.clone()) != it {
            let what = described(&sealed.manifest);
            self.tell(Told::Refused { what, why: why.trim_end().into() });
        }
    }

    /// What is to be got ready: what is decided goes before what is offered.
    fn wanted(&self, living: &BTreeSet<NodeName>) -> Option<(Sealed, Option<u64>, Option<u64>)> {
        if !self.takes {
            return None;
        }
        // What was decided before a restart, and is not served yet, comes first.
        let is_waited_for = |active: &&Active| {
            let manifest = &active.sealed.manifest;
            self.coming.is_none()
                && Some(&manifest.version) != self.in_force.as_ref()
                && !self.is_given_up(&active.sealed)
        };
        if let Some(active) = self.decided_elsewhere().or(self.adopted().filter(is_waited_for)) {
            return Some((active.sealed.clone(), Some(active.at_ms), None));
        }
        let (sealed, trial) = self.best_offer(living)?;
        let trial = trial.filter(|trial| trial.node == self.own).map(|trial| trial.at_ms);
        Some((sealed.clone(), None, trial))
    }

    /// Files may have changed what was wrong here: what was refused is tried once more.
    pub(in crate::control) fn try_again(&mut self) {
        self.given_up.clear();
        if self
            .staged
            .as_ref()
            .is_some_and(|staged| matches!(staged.preparation, Preparation::Refused(_)))
        {
            self.staged = None;
        }
    }
}

impl Controller {
    /// Gets ready what is to be got ready, and nothing else.
    pub(super) fn mind_stage(
        &mut self,
        bundles: &mut Bundles,
        living: &BTreeSet<NodeName>,
        now: Now,
    ) {
        let wanted = bundles.wanted(living);
        let Some((sealed, decided_at_ms, trial_at_ms)) = wanted else {
            if bundles.staged.take().is_some() {
                bundles.deeds.push(Deed::Drop);
            }
            return;
        };
        if bundles.is_staged(&sealed).is_none() {
            bundles.staged = Some(Staged::new(sealed.clone(), now));
            bundles.deeds.push(Deed::Stage(sealed.clone()));
        }
        let Some(staged) = bundles.is_staged(&sealed) else { return };
        (staged.decided_at_ms, staged.trial_at_ms) = (decided_at_ms, trial_at_ms);
        match &mut staged.preparation {
            Preparation::Fetching { again, state: _ } if *again <= now.monotonic => {
                // To ask once more is no progress that others should hear of.
                *again = now.monotonic + FETCH_MAX;
                bundles.deeds.push(Deed::Stage(sealed));
            }
            Preparation::Ready(_) => match decided_at_ms {
                // As it was verified here.
                Some(at_ms) => {
                    let sealed = staged.sealed.clone();
                    bundles.adopt(Active { sealed, at_ms });
                }
                None => self.mind_ready(bundles, &sealed, now),
            },
            Preparation::Refused(why) => {
                let why = why.clone();
                bundles.tell_refused(&sealed, &why);
                if decided_at_ms.is_some() {
                    bundles.given_up_until = Some(now.monotonic + REFUSED_AGAIN_AFTER);
                    bundles.given_up.push((sealed, why));
                }
            }
            Preparation::Fetching { .. } | Preparation::Checking(_) => {}
        }
    }

    /// Compiles what is ready once more if geo data or round-trip times are others by now.
    fn mind_ready(&self, bundles: &mut Bundles, sealed: &Sealed, now: Now) {
        let Some(staged) = bundles.is_staged(sealed) else { return };
        let Preparation::Ready(ready) = &mut staged.preparation else { return };
        if let Some(job) = self.find_remake(ready, now) {
            bundles.deeds.push(Deed::Check(sealed.clone(), Arc::new(job)));
        }
    }

    /// The job that makes what is ready anew, if it must be.
    fn find_remake(&self, ready: &mut Ready, now: Now) -> Option<Job> {
        let product = ready.product.as_ref()?;
        let job = self.job_beside(&ready.zones, now)?;
        let digest = job.digest();
        if digest == product.digest || ready.remade == Some(digest) {
            return None;
        }
        ready.remade = Some(digest);
        Some(job)
    }

    /// Files came, or did not.
    pub(super) fn take_staged(
        &mut self,
        bundles: &mut Bundles,
        sealed: &Sealed,
        found: Result<Option<Box<Job>>, String>,
        now: Now,
    ) {
        let Some(staged) = bundles.is_staged(sealed) else { return };
        if !matches!(staged.preparation, Preparation::Fetching { .. }) {
            return;
        }
        let preparation = match found {
            Ok(None) => Preparation::Fetching {
                again: now.monotonic + AGAIN_AFTER,
                state: FetchState::NobodyGives,
            },
            Err(why) => Preparation::Refused(why.into()),
            Ok(Some(job)) => {
                let beside =
                    job.zones.and_then(|zones| Some((self.job_beside(&zones, now)?, zones)));
                match beside {
                    Some((job, zones)) => {
                        bundles.deeds.push(Deed::Check(sealed.clone(), Arc::new(job)));
                        Preparation::Checking(zones)
                    }
                    None => Preparation::Refused("nothing is served here yet\n".into()),
                }
            }
        };
        if let Some(staged) = bundles.is_staged(sealed) {
            staged.preparation = preparation;
        }
    }

    /// A version was compiled.
    pub(super) fn take_checked(
        &mut self,
        bundles: &mut Bundles,
        sealed: &Sealed,
        product: Product,
    ) {
        let is_sound = product.faults.zones.is_none();
        if let Some(coming) = &mut bundles.coming
            && rank(&coming.active.sealed) == rank(sealed)
        {
            coming.ready.product = Some(product).filter(|_| is_sound);
            return;
        }
        let Some(staged) = bundles.is_staged(sealed) else { return };
        let is_free = staged.decided_at_ms.is_some()
            || sealed.manifest.force
            || sealed.manifest.restores.is_some();
        match &mut staged.preparation {
            Preparation::Checking(zones) => {
                let zones = Arc::clone(zones);
                staged.preparation = match self.find_objection(&product, is_free) {
                    Some(why) => Preparation::Refused(why),
                    None => Preparation::Ready(Box::new(Ready {
                        zones,
                        product: Some(product),
                        remade: None,
                    })),
                };
            }
            Preparation::Ready(ready) if is_sound => ready.product = Some(product),
            Preparation::Ready(_) => {
                // With other geo data it does not hold any more.
                let why = self.find_objection(&product, true).unwrap_or_default();
                staged.preparation = Preparation::Refused(why);
            }
            Preparation::Fetching { .. } | Preparation::Refused(_) => {}
        }
    }

    /// Why what was compiled is not served; `is_free`: it may take away what it likes.
    fn find_objection(&self, product: &Product, is_free: bool) -> Option<Box<str>> {
        if let Some(why) = &product.faults.zones {
            return Some(why.text.as_str().into());
        }
        let Some(settled) = &product.settled else {
            return Some("it does not hold with the geo data in force here\n".into());
        };
        let before = self.base().filter(|_| !is_free)?;
        let losses = guard::losses(&before.compiled, &settled.base.compiled);
        guard::told(&losses).map(Into::into)
    }

    /// Serves a version before the others while it is to be tried here, and goes back when it is not any more.
    pub(super) fn mind_trial(
        &mut self,
        bundles: &mut Bundles,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (trial, coming) = (bundles.trial.clone(), &bundles.coming);
        let coming = coming.as_ref().map(|coming| coming.active.sealed.manifest.version.clone());
        if let Some(staged) = &mut bundles.staged
            && let Preparation::Ready(ready) = &mut staged.preparation
            && staged.trial_at_ms.is_some_and(|at_ms| is_due(at_ms, now))
        {
            if trial.as_ref() != Some(&staged.sealed.manifest.version) {
                self.put_ready(&ready.zones, ready.product.take(), now, effects);
                bundles.trial = Some(staged.sealed.manifest.version.clone());
                let (what, parcel) =
                    (described(&staged.sealed.manifest), staged.sealed.manifest.parcel);
                bundles.deeds.push(Deed::Read(Some(parcel)));
                bundles.tell(Told::Trial(what));
            }
            return;
        }
        let Some(trial) = trial.filter(|trial| coming.as_ref() != Some(trial)) else { return };
        bundles.trial = None;
        let before = bundles.parcel_in_force();
        bundles.deeds.push(Deed::Read(before));
        bundles.tell(Told::TrialOver(trial.to_string().into()));
    }

    /// Puts a decided version in force when its instant has come.
    pub(super) fn mind_coming(
        &mut self,
        bundles: &mut Bundles,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut coming) = bundles.coming.take() else { return };
        let since = *coming.since.get_or_insert(now.monotonic);
        let is_late = now.monotonic.saturating_sub(since) >= KEPT_WITHIN;
        if !is_due(coming.active.at_ms, now) || !(coming.is_kept || is_late) {
            if let Some(job) = self.find_remake(&mut coming.ready, now) {
                bundles.deeds.push(Deed::Check(coming.active.sealed.clone(), Arc::new(job)));
            }
            bundles.coming = Some(coming);
            return;
        }
        let Coming { active, ready, is_kept: _, offer: _, since: _ } = coming;
        let Ready { zones, product, remade: _ } = *ready;
        self.put_ready(&zones, product, now, effects);
        let manifest = &active.sealed.manifest;
        (bundles.in_force, bundles.trial) = (Some(manifest.version.clone()), None);
        // Who starts with a clock that is behind is to begin with it all the same.
        bundles.keep();
        bundles.deeds.push(Deed::Read(Some(manifest.parcel)));
        bundles.tell(Told::InForce(described(manifest)));
    }
}

impl Bundles {
    /// It is on disk which versions count, or is not, and why. A faulty disk holds nothing up: it is told, and tried again.
    pub(super) fn take_kept(&mut self, kept: Result<Option<Version>, String>, now: Now) {
        match kept {
            Ok(version) => {
                self.note_kept(version.as_ref());
                if std::mem::take(&mut self.is_unkept) {
                    self.tell(Told::Kept);
                }
                self.keep_again = None;
            }
            Err(why) => {
                self.note_kept(None);
                self.keep_again = Some(now.monotonic + KEEP_AGAIN_AFTER);
                if !std::mem::replace(&mut self.is_unkept, true) {
                    self.tell(Told::NotKept(why.into()));
                }
            }
        }
    }

    /// Tries once more to have on disk which versions count.
    pub(super) fn mind_kept(&mut self, now: Now) {
        if self.keep_again.take_if(|again| *again <= now.monotonic).is_some() {
            self.keep();
        }
    }

    fn note_kept(&mut self, version: Option<&Version>) {
        if let Some(coming) = &mut self.coming {
            let own = &coming.active.sealed.manifest.version;
            coming.is_kept |= version.is_none_or(|kept| kept == own);
        }
    }

    /// Whose files are served, if those of a bundle are.
    fn parcel_in_force(&self) -> Option<PieceId> {
        let is_it =
            |active: &&Active| Some(&active.sealed.manifest.version) == self.in_force.as_ref();
        self.versions.iter().find(is_it).map(|active| active.sealed.manifest.parcel)
    }
}

fn is_due(at_ms: u64, now: Now) -> bool {
    millis(now.unix) >= at_ms
}
