//! The prober's task: timers, turns, results, and the change of the set of targets.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::time::DelayQueue;

use crate::health::Schedule;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::runtime::probe::Limits;
use crate::runtime::probe::ProbeFailure;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::plan::Plan;
use crate::runtime::probe::plan::Planner;
use crate::runtime::probe::slot::Slot;
use crate::runtime::probe::slot::SlotId;
use crate::runtime::probe::slot::State;
use crate::runtime::supervise::panic_text;

/// What a probe's task leaves behind.
struct Finished {
    slot: SlotId,
    started: Duration,
    result: ProbeResult,
}

/// All that the prober's task owns; `P` runs one probe.
pub(super) struct Runner<P> {
    limits: Limits,
    clock_start: Instant,
    probe: P,
    announce: bool,
    slots: HashMap<SlotId, Slot>,
    by_key: HashMap<TargetKey, SlotId>,
    slot_count: u64,
    timers: DelayQueue<SlotId>,
    /// Due targets in the order of their turns.
    ready: VecDeque<SlotId>,
    in_flight: JoinSet<Finished>,
    /// A report that the channel had no room for yet. While there is one, no result is taken.
    outbox: Option<(SlotId, ProbeReport)>,
    random: RandomState,
}

impl<P, F> Runner<P>
where
    P: Fn(Arc<Plan>) -> F,
    F: Future<Output = Result<(), ProbeFailure>> + Send + 'static,
{
    /// `announce`: each target's first report carries its verdict, changed or not.
    pub(super) fn new(limits: Limits, clock_start: Instant, probe: P, announce: bool) -> Self {
        Self {
            limits,
            clock_start,
            probe,
            announce,
            slots: HashMap::new(),
            by_key: HashMap::new(),
            slot_count: 0,
            timers: DelayQueue::new(),
            ready: VecDeque::new(),
            in_flight: JoinSet::new(),
            outbox: None,
            random: RandomState::new(),
        }
    }

    /// Probes until nobody sets targets or takes reports any more.
    pub(super) async fn run(
        mut self,
        mut targets: watch::Receiver<Arc<[ProbeTarget]>>,
        reports: mpsc::Sender<ProbeReport>,
    ) {
        targets.mark_changed();
        loop {
            self.start_ready();
            tokio::select! {
                biased;
                changed = targets.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let targets = Arc::clone(&targets.borrow_and_update());
                    self.set_targets(&targets);
                }
                permit = reports.reserve(), if self.outbox.is_some() => {
                    let Ok(permit) = permit else { return };
                    if let Some((_, report)) = self.outbox.take() {
                        permit.send(report);
                    }
                }
                () = reports.closed(), if self.outbox.is_none() => return,
                Some(finished) = self.in_flight.join_next(), if self.outbox.is_none() => {
                    self.finish(finished);
                }
                Some(due) = self.timers.next() => self.make_ready(due.into_inner()),
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock_start.elapsed()
    }

    fn make_ready(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.state = State::Ready;
            self.ready.push_back(id);
        }
    }

    /// Starts due probes as long as the limit allows.
    fn start_ready(&mut self) {
        while self.in_flight.len() < self.limits.max_in_flight.max(1) {
            let Some(id) = self.ready.pop_front() else { return };
            let started = self.now();
            // A removed target may still stand in line.
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            let probe = (self.probe)(Arc::clone(&slot.plan));
            let clock_start = self.clock_start;
            let task = self.in_flight.spawn(async move {
                let outcome = AssertUnwindSafe(probe).catch_unwind().await;
                let outcome = outcome.unwrap_or_else(|panic| {
                    Err(ProbeFailure::Panicked(panic_text(panic.as_ref()).into()))
                });
                let duration = clock_start.elapsed().saturating_sub(started);
                Finished { slot: id, started, result: ProbeResult { outcome, duration } }
            });
            slot.state = State::Probing(task);
        }
    }

    /// Counts a result in and sets the timer of the next probe.
    fn finish(&mut self, finished: Result<Finished, JoinError>) {
        // The only error is an abort: the target was removed.
        let Ok(Finished { slot: id, started, result }) = finished else { return };
        let now = self.now();
        let random = self.random.hash_one((id.0, now)) as u32;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let due = slot.schedule.next(started, now, random);
        slot.state = State::Waiting(self.timers.insert_at(id, self.clock_start + due));
        self.outbox = Some((id, slot.report(result, now)));
    }

    /// Keeps what stays, removes what goes, adds what is new.
    fn set_targets(&mut self, targets: &[ProbeTarget]) {
        let mut gone = std::mem::take(&mut self.by_key);
        let mut planner = Planner::default();
        for target in targets {
            debug_assert!(!self.by_key.contains_key(&target.key), "{} twice", target.key);
            let kept = gone.remove(&target.key).and_then(|id| self.keep(id, target, &mut planner));
            let id = kept.unwrap_or_else(|| self.add(target, &mut planner));
            self.by_key.insert(target.key.clone(), id);
        }
        for id in gone.into_values() {
            self.remove(id);
        }
        self.announce = false;
    }

    /// Keeps a target that is still the same; removes it if it is not.
    fn keep(&mut self, id: SlotId, target: &ProbeTarget, planner: &mut Planner) -> Option<SlotId> {
        let slot = self.slots.get_mut(&id)?;
        if !slot.is_same_probe(target) {
            self.remove(id);
            return None;
        }
        let (old, new) = (Arc::clone(&slot.target.check), Arc::clone(&target.check));
        if old == new {
            return Some(id);
        }
        slot.plan = Arc::new(planner.plan(target.address, &new));
        slot.set_target(target.clone());
        if (old.interval, old.jitter_percent) != (new.interval, new.jitter_percent) {
            let now = self.clock_start.elapsed();
            slot.schedule = Schedule::new(&target.key, &new);
            let due = slot.schedule.first(now, true);
            if let State::Waiting(timer) = &slot.state {
                self.timers.reset_at(timer, self.clock_start + due);
            }
        }
        Some(id)
    }

    fn add(&mut self, target: &ProbeTarget, planner: &mut Planner) -> SlotId {
        let id = SlotId(self.slot_count);
        self.slot_count += 1;
        let mut schedule = Schedule::new(&target.key, &target.check);
        let due = schedule.first(self.now(), target.initial != Verdict::Unknown);
        let timer = self.timers.insert_at(id, self.clock_start + due);
        let plan = planner.plan(target.address, &target.check);
        self.slots.insert(id, Slot::new(target.clone(), plan, schedule, timer, self.announce));
        id
    }

    /// Forgets a target; a probe of it ends here, and its report is not sent.
    fn remove(&mut self, id: SlotId) {
        match self.slots.remove(&id).map(|slot| slot.state) {
            Some(State::Waiting(timer)) => drop(self.timers.remove(&timer)),
            Some(State::Probing(task)) => task.abort(),
            Some(State::Ready) | None => {}
        }
        if self.outbox.as_ref().is_some_and(|(of, _)| *of == id) {
            self.outbox = None;
        }
    }
}
