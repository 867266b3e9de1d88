//! What the prober keeps of one target between its probes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::time::delay_queue;

use crate::health::Degree;
use crate::health::Observation;
use crate::health::Schedule;
use crate::health::Thresholds;
use crate::health::Tracker;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::plan::Plan;

/// Names a slot; never used again, so that a late result of a removed target finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SlotId(pub(super) u64);

/// Where a target stands.
///
/// ```text
///  Waiting ── due ──▶ Ready ── fewer than the limit run ──▶ Probing ── result ──▶ Waiting
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// In the queue of timers.
    Waiting(delay_queue::Key),
    /// Due, and waiting for its turn.
    Ready,
    /// Its probe runs.
    Probing(AbortHandle),
}

/// One target with its history.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) target: ProbeTarget,
    pub(super) plan: Arc<Plan>,
    pub(super) schedule: Schedule,
    pub(super) state: State,
    tracker: Tracker,
    degree: Degree,
}

impl Slot {
    pub(super) fn new(
        target: ProbeTarget,
        plan: Plan,
        schedule: Schedule,
        timer: delay_queue::Key,
    ) -> Self {
        let tracker = Tracker::new(Thresholds::from(&*target.check), target.initial);
        let degree = Degree::new(target.degraded);
        let state = State::Waiting(timer);
        Self { target, plan: Arc::new(plan), schedule, state, tracker, degree }
    }

    /// Whether `target` asks the same thing of the same place, so that what is known stays true.
    pub(super) fn is_same_probe(&self, target: &ProbeTarget) -> bool {
        self.target.address == target.address && self.target.check.is_same_probe(&target.check)
    }

    /// Takes over new thresholds of the same probe.
    pub(super) fn set_target(&mut self, target: ProbeTarget, now: Duration) {
        self.tracker.set_thresholds(Thresholds::from(&*target.check), now);
        self.target = target;
    }

    /// Counts a result in and says what it means.
    pub(super) fn report(&mut self, result: ProbeResult, at: Duration) -> ProbeReport {
        let flip = match &result.outcome {
            Ok(_) => self.tracker.observe(Observation::Pass, at),
            Err(failure) if failure.is_local() => None,
            Err(_) => self.tracker.observe(Observation::Fail, at),
        };
        if result.outcome.is_ok() {
            self.degree.observe(result.duration, &self.target.check);
        }
        let verdict = self.tracker.verdict();
        ProbeReport {
            key: self.target.key.clone(),
            flip,
            verdict,
            degraded: self.degree.level(),
            result,
            at,
            consecutive_passes: self.tracker.consecutive_passes(),
            consecutive_fails: self.tracker.consecutive_fails(),
            holding: self.tracker.holding(at),
        }
    }
}
