//! What the prober keeps of one probe between its runs, and of the targets that it is made for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::health::Degree;
use crate::health::Observation;
use crate::health::Schedule;
use crate::health::Thresholds;
use crate::health::Tracker;
use crate::model::Check;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::deadline::Alarm;
use crate::runtime::probe::lines::Pace;
use crate::runtime::probe::sessions::Tickets;

/// Position of a slot among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SlotId(pub(super) u32);

/// One state of one slot; never the same again, so that what comes late finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) slot: SlotId,
    pub(super) stamp: u64,
}

/// Where a probe stands.
///
/// ```text
///  Waiting ── due, its address allows it ──▶ Ready ── has its turn ──▶ Probing ── result ──▶ Waiting
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// In the agenda until it is due.
    Waiting,
    /// In the agenda until its address may be probed once more.
    Admitted,
    /// Due, and waiting for its turn.
    Ready,
    /// It runs, and its deadline is in the agenda.
    Probing(Run),
}

/// A probe that runs; dropping it stops it.
#[derive(Debug)]
pub(super) struct Run {
    /// Dropped at the deadline.
    pub(super) alarm: Option<Alarm>,
    /// What it was when it began.
    pub(super) pace: Pace,
    pub(super) _task: AbortOnDropHandle<()>,
}

/// One probe: what is asked of which address how often, and for whom.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) address: IpAddr,
    pub(super) check: Arc<Check>,
    pub(super) schedule: Schedule,
    pub(super) state: State,
    /// Of its present state.
    pub(super) stamp: u64,
    /// When it is, or was, to begin.
    pub(super) due: Duration,
    pub(super) pace: Pace,
    /// TLS sessions to resume.
    pub(super) tickets: Option<Arc<Tickets>>,
    /// Whose it is, if nobody else can share it.
    key: Option<TargetKey>,
    watchers: Vec<Watcher>,
}

/// A target of a probe with its history.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) key: TargetKey,
    pub(super) history: History,
    /// Its own thresholds.
    check: Arc<Check>,
}

/// What is known of a target.
#[derive(Debug)]
pub(super) struct History {
    tracker: Tracker,
    degree: Degree,
}

/// How late a probe began, when it ended, and when the next is due.
pub(super) type Times = (Duration, Duration, Duration);

impl History {
    /// That of a target which the prober does not know yet.
    pub(super) fn new(target: &ProbeTarget) -> Self {
        let tracker = Tracker::new(Thresholds::from(&*target.check), target.initial);
        let tracker = tracker.with_penalty(target.penalty);
        Self { tracker, degree: Degree::new(target.degraded) }
    }

    /// Whether it says anything.
    pub(super) fn is_known(&self) -> bool {
        self.tracker.verdict() != Verdict::Unknown
    }
}

impl Watcher {
    /// Counts a result in and says what it means.
    fn report(&mut self, result: &ProbeResult, (late, at, next): Times) -> ProbeReport {
        let History { tracker, degree } = &mut self.history;
        let flip = match &result.outcome {
            Ok(_) => tracker.observe(Observation::Pass, at),
            Err(failure) if failure.is_local() => None,
            Err(_) => tracker.observe(Observation::Fail, at),
        };
        if result.outcome.is_ok() {
            degree.observe(result.duration, &self.check);
        }
        ProbeReport {
            key: self.key.clone(),
            flip,
            verdict: tracker.verdict(),
            degraded: degree.level(),
            result: result.clone(),
            late,
            at,
            next,
            consecutive_passes: tracker.consecutive_passes(),
            consecutive_fails: tracker.consecutive_fails(),
            holding: tracker.holding(at),
            penalty: tracker.penalty(at),
        }
    }
}

impl Slot {
    /// A probe for nobody yet, with its grid.
    pub(super) fn new(target: &ProbeTarget, stamp: u64) -> Self {
        Self {
            address: target.address,
            check: Arc::clone(&target.check),
            schedule: Schedule::new(target.address, &target.check),
            state: State::Waiting,
            stamp,
            due: Duration::ZERO,
            pace: Pace::Quick,
            tickets: None,
            key: target.check.kind.is_of_endpoint().then(|| target.key.clone()),
            watchers: Vec::with_capacity(1),
        }
    }

    /// Whether one run serves `target` as well: the same question to the same place as often.
    pub(super) fn serves(&self, target: &ProbeTarget) -> bool {
        let (own, other) = (&self.check, &target.check);
        let times = |check: &Check| (check.interval, check.timeout, check.jitter_percent);
        let is_own = self.key.as_ref().is_none_or(|key| *key == target.key);
        is_own
            && self.is_same_probe(target)
            && (times(own), own.source) == (times(other), other.source)
    }

    /// Whether `target` asks the same thing of the same place, so that what is known stays true.
    pub(super) fn is_same_probe(&self, target: &ProbeTarget) -> bool {
        let (own, other) = (&self.check, &target.check);
        self.address == target.address && (Arc::ptr_eq(own, other) || own.is_same_probe(other))
    }

    /// Reports to `target` too from now on; `history` is what is known of it.
    pub(super) fn watch(&mut self, target: &ProbeTarget, mut history: History, now: Duration) {
        history.tracker.set_thresholds(Thresholds::from(&*target.check), now);
        let check = Arc::clone(&target.check);
        self.check = Arc::clone(&check);
        self.watchers.push(Watcher { key: target.key.clone(), history, check });
    }

    /// Takes all targets away.
    pub(super) fn take_watchers(&mut self) -> Vec<Watcher> {
        std::mem::take(&mut self.watchers)
    }

    /// One of its targets; there is one as long as it is probed.
    pub(super) fn first_key(&self) -> Option<&TargetKey> {
        self.watchers.first().map(|watcher| &watcher.key)
    }

    /// Whether it is made for nobody.
    pub(super) fn is_unwatched(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Counts a result in and says what it means for each of its targets.
    pub(super) fn report<'a>(
        &'a mut self,
        result: &'a ProbeResult,
        times: Times,
    ) -> impl Iterator<Item = ProbeReport> + 'a {
        self.watchers.iter_mut().map(move |watcher| watcher.report(result, times))
    }
}
