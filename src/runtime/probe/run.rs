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
use crate::model::CheckKind;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::runtime::probe::Limits;
use crate::runtime::probe::Phases;
use crate::runtime::probe::ProbeFailure;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::board::Board;
use crate::runtime::probe::board::Places;
use crate::runtime::probe::outcome::Probed;
use crate::runtime::probe::plan::Plan;
use crate::runtime::probe::plan::Planner;
use crate::runtime::probe::plan::Shared;
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
    /// What plans share.
    shared: Shared,
}

impl<P, F> Runner<P>
where
    P: Fn(Arc<Plan>) -> F,
    F: Future<Output = Probed> + Send + 'static,
{
    pub(super) fn new(limits: Limits, clock_start: Instant, probe: P) -> Self {
        Self {
            limits,
            clock_start,
            probe,
            slots: HashMap::new(),
            by_key: HashMap::new(),
            slot_count: 0,
            timers: DelayQueue::new(),
            ready: VecDeque::new(),
            in_flight: JoinSet::new(),
            outbox: None,
            random: RandomState::new(),
            shared: Shared::default(),
        }
    }

    /// The same with a board on which others report.
    pub(super) fn with_board(mut self, board: Arc<Board>) -> Self {
        self.shared.board = board;
        self
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
                let probed = AssertUnwindSafe(probe).catch_unwind().await;
                let Probed { outcome, phases } = probed.unwrap_or_else(|panic| Probed {
                    outcome: Err(ProbeFailure::Panicked(panic_text(panic.as_ref()).into())),
                    phases: Phases::default(),
                });
                let duration = clock_start.elapsed().saturating_sub(started);
                Finished { slot: id, started, result: ProbeResult { outcome, duration, phases } }
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
        self.shared.board.set_places(places(targets));
        let mut planner = Planner::new(self.shared.clone());
        for target in targets {
            debug_assert!(!self.by_key.contains_key(&target.key), "{} twice", target.key);
            let kept = gone.remove(&target.key).and_then(|id| self.keep(id, target, &mut planner));
            let id = kept.unwrap_or_else(|| self.add(target, &mut planner));
            self.by_key.insert(target.key.clone(), id);
        }
        for id in gone.into_values() {
            self.remove(id);
        }
        self.shared = planner.into_shared();
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
        slot.plan = Arc::new(planner.plan(target));
        slot.set_target(target.clone(), self.clock_start.elapsed());
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
        let plan = planner.plan(target);
        self.slots.insert(id, Slot::new(target.clone(), plan, schedule, timer));
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

/// Who may report on which endpoints.
fn places(targets: &[ProbeTarget]) -> Places {
    let mut places = Places::new();
    for target in targets {
        let CheckKind::Push(push) = &target.check.kind else { continue };
        let place = places.entry((*target.key.check).into());
        let (_, endpoints) = place.or_insert_with(|| (push.tokens.clone(), Vec::new()));
        endpoints.push((*target.key.endpoint).into());
    }
    places
}

#[cfg(test)]
mod tests {
    use super::Runner;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::Family;
    use crate::model::Sources;
    use crate::model::Talk;
    use crate::model::TargetKey;
    use crate::model::Verdict;
    use crate::runtime::probe::Limits;
    use crate::runtime::probe::Phases;
    use crate::runtime::probe::ProbeFailure;
    use crate::runtime::probe::ProbeReport;
    use crate::runtime::probe::ProbeTarget;
    use crate::runtime::probe::Success;
    use crate::runtime::probe::outcome::Probed;
    use crate::runtime::probe::plan::Plan;
    use std::future::Future;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::sync::oneshot;
    use tokio::sync::watch;
    use tokio::time::Instant;
    use tokio::time::sleep;

    type Outcome = Result<(), ProbeFailure>;

    /// A target that the fake probes know by its port; the interval is one second.
    fn target(port: u16) -> ProbeTarget {
        let check = Check {
            name: "tcp".into(),
            kind: CheckKind::Tcp(Talk::default()),
            port,
            source: Sources::default(),
            invert: false,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            fall: 3,
            rise: 2,
            hold_down: Duration::ZERO,
            damping: None,
            jitter_percent: 0,
            degraded: Vec::new(),
        };
        ProbeTarget {
            key: TargetKey {
                endpoint: format!("pool/{port}").into(),
                check: "tcp".into(),
                family: Family::V4,
                address: None,
            },
            address: "192.0.2.1".parse().unwrap(),
            check: Arc::new(check),
            initial: Verdict::Unknown,
            degraded: 0,
        }
    }

    fn with_check(target: &ProbeTarget, change: impl FnOnce(&mut Check)) -> ProbeTarget {
        let mut check = (*target.check).clone();
        change(&mut check);
        ProbeTarget { check: Arc::new(check), ..target.clone() }
    }

    struct Bench {
        targets: watch::Sender<Arc<[ProbeTarget]>>,
        reports: mpsc::Receiver<ProbeReport>,
    }

    impl Bench {
        async fn next(&mut self) -> ProbeReport {
            self.reports.recv().await.unwrap()
        }
    }

    /// A probe without anything to tell but its outcome.
    fn probed(
        outcome: impl Future<Output = Outcome> + Send + 'static,
    ) -> impl Future<Output = Probed> + Send + 'static {
        async {
            let outcome = outcome.await.map(|()| Success::default());
            Probed { outcome, phases: Phases::default() }
        }
    }

    fn start<P, F>(targets: &[ProbeTarget], max_in_flight: usize, room: usize, probe: P) -> Bench
    where
        P: Fn(u16) -> F + Send + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        start_runner(targets, room, |clock_start| {
            let probe = move |plan: Arc<Plan>| probed(probe(plan.address().port()));
            Runner::new(Limits { max_in_flight }, clock_start, probe)
        })
    }

    fn start_runner<P, F>(
        targets: &[ProbeTarget],
        room: usize,
        make: impl FnOnce(Instant) -> Runner<P>,
    ) -> Bench
    where
        P: Fn(Arc<Plan>) -> F + Send + 'static,
        F: Future<Output = Probed> + Send + 'static,
    {
        let (targets, seen) = watch::channel(Arc::from(targets));
        let (sender, reports) = mpsc::channel(room);
        tokio::spawn(make(Instant::now()).run(seen, sender));
        Bench { targets, reports }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_result_decides_and_the_next_come_once_an_interval() {
        let mut bench = start(&[target(1)], 8, 8, |_| async { Ok(()) });
        let first = bench.next().await;
        assert_eq!((first.flip, first.verdict), (Some(Verdict::Up), Verdict::Up));
        assert!(first.at <= Duration::from_secs(1));
        let second = bench.next().await;
        for count in 1..10_u32 {
            let next = bench.next().await;
            assert_eq!((next.flip, next.consecutive_passes), (None, count + 2));
            let late = next.at - second.at - Duration::from_secs(1) * count;
            assert!(late <= Duration::from_millis(1), "{late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_probe_is_a_failed_probe_and_no_more() {
        let mut bench = start(&[target(1), target(2)], 8, 8, |port| async move {
            assert_ne!(port, 1, "one is bad");
            Ok(())
        });
        for _ in 0..6 {
            let report = bench.next().await;
            match report.result.outcome {
                Ok(_) => assert_eq!(&*report.key.endpoint, "pool/2"),
                Err(failure) => {
                    assert_eq!(&*report.key.endpoint, "pool/1");
                    assert!(failure.to_string().contains("one is bad"), "{failure}");
                    assert_eq!(report.verdict, Verdict::Down);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_probes_run_at_once_than_the_limit_and_all_get_their_turn() {
        let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let targets: Vec<_> = (1..=20).map(target).collect();
        let count = (Arc::clone(&running), Arc::clone(&peak));
        let mut bench = start(&targets, 3, 64, move |_| {
            let (running, peak) = count.clone();
            async move {
                peak.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(Duration::from_secs(1)).await;
                running.fetch_sub(1, SeqCst);
                Ok(())
            }
        });
        let mut seen = std::collections::HashSet::new();
        while seen.len() < targets.len() {
            seen.insert(bench.next().await.key);
        }
        assert_eq!(peak.load(SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_longer_than_the_interval_skips_slots_and_never_overlaps() {
        let running = Arc::new(AtomicUsize::new(0));
        let mut bench = start(&[target(1)], 8, 8, move |_| {
            let running = Arc::clone(&running);
            async move {
                assert_eq!(running.fetch_add(1, SeqCst), 0, "overlap");
                sleep(Duration::from_millis(2500)).await;
                running.fetch_sub(1, SeqCst);
                Ok(())
            }
        });
        bench.next().await;
        let mut before = bench.next().await.at;
        for _ in 0..5 {
            let report = bench.next().await;
            assert!(report.result.outcome.is_ok());
            let step = report.at - before;
            assert!(step.abs_diff(Duration::from_secs(3)) <= Duration::from_millis(2), "{step:?}");
            before = report.at;
        }
    }

    /// Tells when it is dropped.
    struct Tell(Option<oneshot::Sender<()>>);

    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_target_stops_in_mid_probe_and_starts_afresh_when_it_returns() {
        let (started, mut starts) = mpsc::unbounded_channel();
        let mut bench = start(&[target(1), target(2)], 8, 8, move |port| {
            let (told, dropped) = oneshot::channel();
            let tell = Tell(Some(told));
            let started = started.clone();
            async move {
                if port == 1 {
                    started.send(dropped).unwrap();
                    pending::<()>().await;
                }
                drop(tell);
                Ok(())
            }
        });
        let dropped = starts.recv().await.unwrap();
        bench.targets.send_replace(Arc::new([target(2)]));
        dropped.await.unwrap();
        for _ in 0..5 {
            assert_eq!(&*bench.next().await.key.endpoint, "pool/2");
        }
        bench.targets.send_replace(Arc::new([target(1), target(2)]));
        starts.recv().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_stays_when_thresholds_change_and_goes_when_the_address_does() {
        let mut bench = start(&[target(1)], 8, 1, |_| async { Ok(()) });
        for _ in 0..3 {
            bench.next().await;
        }
        let changed = with_check(&target(1), |check| {
            (check.fall, check.interval) = (9, Duration::from_secs(5));
        });
        bench.targets.send_replace(Arc::new([changed.clone()]));
        let kept = bench.next().await;
        assert_eq!((kept.flip, kept.consecutive_passes), (None, 4));
        let (one, other) = (bench.next().await.at, bench.next().await.at);
        assert!((other - one).abs_diff(Duration::from_secs(5)) <= Duration::from_millis(2));

        let moved = ProbeTarget { address: "192.0.2.2".parse().unwrap(), ..changed };
        bench.targets.send_replace(Arc::new([moved]));
        let afresh = bench.next().await;
        assert_eq!((afresh.flip, afresh.consecutive_passes), (Some(Verdict::Up), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_loses_no_report() {
        let targets: Vec<_> = (1..=9).map(target).collect();
        let mut bench = start(&targets, 8, 1, |port| async move {
            if port % 2 == 0 { Ok(()) } else { Err(ProbeFailure::Refused) }
        });
        let mut first = std::collections::HashSet::new();
        while first.len() < 9 {
            sleep(Duration::from_secs(7)).await;
            let report = bench.next().await;
            assert_eq!(report.flip.is_some(), first.insert(report.key));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_this_host_counts_neither_way() {
        let mut bench =
            start(&[target(1)], 8, 8, |_| async { Err(ProbeFailure::Local("no files".into())) });
        for _ in 0..5 {
            let report = bench.next().await;
            assert_eq!((report.flip, report.verdict), (None, Verdict::Unknown));
            assert_eq!(report.consecutive_fails, 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_nobody_listens() {
        let (_targets, seen) = watch::channel(Arc::from([target(1)]));
        let (sender, reports) = mpsc::channel(1);
        drop(reports);
        let probe = |_| probed(async { Ok(()) });
        Runner::new(Limits::default(), Instant::now(), probe).run(seen, sender).await;
    }
}
