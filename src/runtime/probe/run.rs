//! The prober's task: moments, turns, results, and the change of the set of targets.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;

use crate::model::CheckKind;
use crate::model::ResolverSettings;
use crate::runtime::probe::Limits;
use crate::runtime::probe::Phases;
use crate::runtime::probe::ProbeFailure;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::agenda::Agenda;
use crate::runtime::probe::agenda::STEP;
use crate::runtime::probe::board::Board;
use crate::runtime::probe::board::Places;
use crate::runtime::probe::counters::Cap;
use crate::runtime::probe::counters::ProbeCounters;
use crate::runtime::probe::deadline::Deadline;
use crate::runtime::probe::gate::Gate;
use crate::runtime::probe::gate::Rate;
use crate::runtime::probe::lines::Lines;
use crate::runtime::probe::lines::Pace;
use crate::runtime::probe::outcome::Probed;
use crate::runtime::probe::plan::Plan;
use crate::runtime::probe::plan::Planner;
use crate::runtime::probe::roster::Roster;
use crate::runtime::probe::slot::Run;
use crate::runtime::probe::slot::State;
use crate::runtime::probe::slot::Turn;
use crate::runtime::supervise::panic_text;

/// Reports that wait for room in the channel; from then on no result is taken.
const OUTBOX_MAX: usize = 1024;

/// Results taken at once.
const RESULTS_MAX: usize = 64;

/// Entries of the agenda that may be stale: beside as many as there are probes, before it is looked through.
const STALE_MAX: usize = 4096;

/// What a probe's task leaves behind.
struct Finished {
    turn: Turn,
    started: Duration,
    result: ProbeResult,
}

/// All that the prober's task owns; `P` runs one probe.
pub(super) struct Runner<P> {
    clock_start: Instant,
    probe: P,
    planner: Planner,
    roster: Roster,
    /// Due probes, and deadlines of those that run.
    agenda: Agenda<Turn>,
    lines: Lines,
    node: (Rate, Gate),
    address_rate: Rate,
    /// Of addresses that were probed a moment ago.
    addresses: HashMap<IpAddr, Gate>,
    /// What made those wait that stand in line.
    held_up_by: Cap,
    finished: (mpsc::UnboundedSender<Finished>, mpsc::UnboundedReceiver<Finished>),
    /// Reports that are not sent yet.
    outbox: VecDeque<ProbeReport>,
    /// When the reports are sent; together, for each time wakes who takes them.
    outbox_due: Option<Duration>,
    random: RandomState,
    counters: Arc<ProbeCounters>,
    /// Kept for its room.
    due: Vec<Turn>,
}

impl<P, F> Runner<P>
where
    P: Fn(Plan, Deadline) -> F,
    F: Future<Output = Probed> + Send + 'static,
{
    pub(super) fn new(
        limits: Limits,
        clock_start: Instant,
        counters: Arc<ProbeCounters>,
        probe: P,
    ) -> Self {
        Self {
            clock_start,
            probe,
            planner: Planner::default(),
            roster: Roster::default(),
            agenda: Agenda::new(),
            lines: Lines::new(limits.max_in_flight),
            node: (Rate::per_second(limits.per_second), Gate::default()),
            address_rate: Rate::per_second(limits.per_second_and_address),
            addresses: HashMap::new(),
            held_up_by: Cap::InFlight,
            finished: mpsc::unbounded_channel(),
            outbox: VecDeque::new(),
            outbox_due: None,
            random: RandomState::new(),
            counters,
            due: Vec::new(),
        }
    }

    /// The same with a board on which others report.
    pub(super) fn with_board(mut self, board: Arc<Board>) -> Self {
        self.planner = self.planner.with_board(board);
        self
    }

    /// The same that resolves names as these settings say.
    pub(super) fn with_resolver(mut self, resolver: Arc<ResolverSettings>) -> Self {
        self.planner = self.planner.with_resolver(resolver);
        self
    }

    /// Probes until nobody sets targets or takes reports any more.
    pub(super) async fn run(
        mut self,
        mut targets: watch::Receiver<Arc<[ProbeTarget]>>,
        reports: mpsc::Sender<ProbeReport>,
    ) {
        targets.mark_changed();
        let mut results = Vec::with_capacity(RESULTS_MAX);
        let mut timer = pin!(sleep_until(self.clock_start));
        let mut timer_at = Duration::ZERO;
        loop {
            let now = self.now();
            self.take_due(now);
            self.start_ready(now);
            let Ok(is_full) = self.send_reports(&reports, now) else { return };
            let wake_at = self.wake_at(is_full);
            if let Some(at) = wake_at.filter(|at| *at != timer_at) {
                timer.as_mut().reset(self.clock_start + at);
                timer_at = at;
            }
            tokio::select! {
                biased;
                changed = targets.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let targets = Arc::clone(&targets.borrow_and_update());
                    self.set_targets(&targets);
                }
                permit = reports.reserve(), if is_full => {
                    if permit.is_err() {
                        return;
                    }
                }
                () = reports.closed(), if !is_full => return,
                _ = self.finished.1.recv_many(&mut results, RESULTS_MAX), if self.outbox.len() < OUTBOX_MAX => {
                    results.drain(..).for_each(|finished| self.finish(finished));
                }
                () = timer.as_mut(), if wake_at.is_some() => timer_at = Duration::ZERO,
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock_start.elapsed()
    }

    /// When something is to be done though nothing comes in.
    fn wake_at(&self, is_full: bool) -> Option<Duration> {
        let outbox = self.outbox_due.filter(|_| !is_full);
        let (rate, gate) = &self.node;
        let is_gate_shut = self.lines.is_waited_in() && self.held_up_by == Cap::Node;
        let node = is_gate_shut.then(|| gate.opens(*rate));
        [self.agenda.next(), outbox, node].into_iter().flatten().min()
    }

    /// Puts in line what is due, and rings for those whose time is over.
    fn take_due(&mut self, now: Duration) {
        let mut due = std::mem::take(&mut self.due);
        self.agenda.take_due(now, &mut due);
        for turn in due.drain(..) {
            // What is stale was removed, or has ended before its deadline.
            let Some(slot) = self.roster.find(turn) else { continue };
            match &mut slot.state {
                State::Waiting => {
                    let gate = self.addresses.entry(slot.address).or_default();
                    let at = gate.reserve(self.address_rate, now);
                    if at > now {
                        slot.state = State::Admitted;
                        self.agenda.insert(at, turn);
                        self.counters.count_delay(Cap::Address, now);
                        continue;
                    }
                    slot.state = State::Ready;
                    self.lines.push(turn, slot.pace, now);
                }
                State::Admitted => {
                    slot.state = State::Ready;
                    self.lines.push(turn, slot.pace, now);
                }
                State::Probing(run) => run.alarm = None,
                State::Ready => {}
            }
        }
        self.due = due;
    }

    /// Starts due probes as long as the limits allow.
    fn start_ready(&mut self, now: Duration) {
        while let Some((turn, since)) = self.lines.pop() {
            // A removed target may still stand in line.
            let Some(slot) = self.roster.find(turn) else { continue };
            let (rate, gate) = &mut self.node;
            if gate.opens(*rate) > now {
                let pace = slot.pace;
                self.lines.put_back(turn, pace, since);
                self.held_up_by = Cap::Node;
                return;
            }
            gate.reserve(*rate, now);
            if since < now {
                self.counters.count_delay(self.held_up_by, now);
            }
            self.start(turn);
        }
        self.held_up_by = Cap::InFlight;
    }

    /// Starts one probe.
    fn start(&mut self, ready: Turn) {
        let started = self.now();
        let turn = self.roster.next_turn(ready.slot);
        let Some(slot) = self.roster.find(ready) else { return };
        let Some(key) = slot.first_key() else { return };
        let mut plan = self.planner.plan(slot.address, &slot.check, key);
        plan.resume(&mut slot.tickets);
        let (alarm, deadline) = Deadline::new();
        let probe = AssertUnwindSafe((self.probe)(plan, deadline)).catch_unwind();
        let (clock_start, finished) = (self.clock_start, self.finished.0.clone());
        // Not an async block: it would keep room for the probe twice.
        let task = tokio::spawn(probe.map(move |probed| {
            let Probed { outcome, phases } = probed.unwrap_or_else(|panic| Probed {
                outcome: Err(ProbeFailure::Panicked(panic_text(panic.as_ref()).into())),
                phases: Phases::default(),
            });
            let duration = clock_start.elapsed().saturating_sub(started);
            // Whoever does not take it has no use for it any more.
            let _ = finished.send(Finished {
                turn,
                started,
                result: ProbeResult { outcome, duration, phases },
            });
        }));
        let pace = slot.pace;
        self.counters.count_start(started.saturating_sub(slot.due), started);
        self.agenda.insert(started + slot.check.timeout, turn);
        let run = Run { alarm: Some(alarm), pace, _task: AbortOnDropHandle::new(task) };
        self.roster.enter_as(turn, State::Probing(run));
        self.lines.begin(pace);
        self.counters.set_in_flight(self.lines.running());
    }

    /// Counts a result in and sets the moment of the next probe.
    fn finish(&mut self, Finished { turn, started, result }: Finished) {
        let now = self.now();
        let random = self.random.hash_one((turn.slot, now)) as u32;
        let waiting = self.roster.next_turn(turn.slot);
        // Of a removed target comes nothing any more.
        let Some(slot) = self.roster.find(turn) else { return };
        if let State::Probing(run) = &slot.state {
            self.lines.end(run.pace);
        }
        let late = started.saturating_sub(slot.due);
        let is_slow = matches!(result.outcome, Err(ProbeFailure::TimedOut { .. }));
        slot.pace = if is_slow { Pace::Slow } else { Pace::Quick };
        slot.due = slot.schedule.next(started, now, random);
        self.outbox.extend(slot.report(&result, (late, now, slot.due)));
        self.agenda.insert(slot.due, waiting);
        self.roster.enter_as(waiting, State::Waiting);
        self.outbox_due.get_or_insert(now + STEP);
        self.counters.set_in_flight(self.lines.running());
    }

    /// Sends what waits if it is time to; true if the channel has no room for all, an error if nobody takes it.
    fn send_reports(
        &mut self,
        reports: &mpsc::Sender<ProbeReport>,
        now: Duration,
    ) -> Result<bool, TrySendError<()>> {
        if self.outbox_due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        while let Some(report) = self.outbox.pop_front() {
            match reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(report)) => {
                    self.outbox.push_front(report);
                    return Ok(true);
                }
                Err(TrySendError::Closed(_)) => return Err(TrySendError::Closed(())),
            }
        }
        self.outbox_due = None;
        Ok(false)
    }

    /// Follows a new set of targets.
    fn set_targets(&mut self, targets: &[ProbeTarget]) {
        let now = self.now();
        // Certificates of the system are read anew.
        let shared = std::mem::take(&mut self.planner).into_shared();
        shared.board.set_places(places(targets));
        self.planner = Planner::new(shared);
        let change = self.roster.replace(targets, now);
        for (turn, due) in change.moved {
            self.agenda.insert(due, turn);
        }
        for slot in change.stopped {
            if let State::Probing(run) = &slot.state {
                self.lines.end(run.pace);
            }
        }
        self.outbox.retain(|report| change.kept.contains(&report.key));
        self.addresses.retain(|_, gate| !gate.is_idle(now));
        let roster = &self.roster;
        if self.agenda.len() > 2 * roster.len() + STALE_MAX {
            self.agenda.retain(|turn| roster.is_live(*turn));
        }
        self.counters.set_size(targets.len(), roster.len());
        self.counters.set_in_flight(self.lines.running());
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
    use crate::health::Penalty;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::Family;
    use crate::model::Sources;
    use crate::model::Talk;
    use crate::model::TargetKey;
    use crate::model::Verdict;
    use crate::runtime::probe::Limits;
    use crate::runtime::probe::Phase;
    use crate::runtime::probe::Phases;
    use crate::runtime::probe::ProbeCounters;
    use crate::runtime::probe::ProbeFailure;
    use crate::runtime::probe::ProbeReport;
    use crate::runtime::probe::ProbeTarget;
    use crate::runtime::probe::Success;
    use crate::runtime::probe::counters::Cap;
    use crate::runtime::probe::deadline::Deadline;
    use crate::runtime::probe::outcome::Probed;
    use crate::runtime::probe::plan::Plan;
    use std::collections::HashMap;
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

    const TIMED_OUT: ProbeFailure =
        ProbeFailure::TimedOut { after: Duration::from_secs(1), phase: Phase::Connecting };

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
            timeout: Duration::from_secs(60),
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
            penalty: Penalty::default(),
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
        last: Duration,
    }

    impl Bench {
        async fn next(&mut self) -> ProbeReport {
            self.reports.recv().await.unwrap()
        }
    }

    /// A probe without anything to tell but its outcome.
    async fn probed(outcome: impl Future<Output = Outcome> + Send + 'static) -> Probed {
        let outcome = outcome.await.map(|()| Success::default());
        Probed { outcome, phases: Phases::default() }
    }

    /// A probe that passes at once.
    fn passed() -> Ready {
        std::future::ready(Probed { outcome: Ok(Success::default()), phases: Phases::default() })
    }

    type Ready = std::future::Ready<Probed>;

    fn start<P, F>(targets: &[ProbeTarget], max_in_flight: usize, room: usize, probe: P) -> Bench
    where
        P: Fn(u16) -> F + Send + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        start_runner(targets, room, |clock_start| {
            let probe = move |plan: Plan, deadline: Deadline| {
                let probe = probe(plan.address().port());
                probed(async move {
                    tokio::select! {
                        outcome = probe => outcome,
                        () = deadline => Err(TIMED_OUT),
                    }
                })
            };
            Runner::new(
                Limits { max_in_flight, ..Limits::default() },
                clock_start,
                Arc::default(),
                probe,
            )
        })
    }

    fn start_runner<P, F>(
        targets: &[ProbeTarget],
        room: usize,
        make: impl FnOnce(Instant) -> Runner<P>,
    ) -> Bench
    where
        P: Fn(Plan, Deadline) -> F + Send + 'static,
        F: Future<Output = Probed> + Send + 'static,
    {
        let (targets, seen) = watch::channel(Arc::from(targets));
        let (sender, reports) = mpsc::channel(room);
        tokio::spawn(make(Instant::now()).run(seen, sender));
        Bench { targets, reports, last: Duration::ZERO }
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

    /// A target at another address, which the fake probes do not see.
    fn at(address: &str, target: ProbeTarget) -> ProbeTarget {
        ProbeTarget { address: address.parse().unwrap(), ..target }
    }

    fn named(endpoint: &str, target: &ProbeTarget) -> ProbeTarget {
        let key = TargetKey { endpoint: endpoint.into(), ..target.key.clone() };
        ProbeTarget { key, ..target.clone() }
    }

    #[tokio::test(start_paused = true)]
    async fn targets_that_ask_the_same_share_a_probe_and_judge_by_their_own_thresholds() {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let tolerant = with_check(&named("b/1", &target(1)), |check| {
            (check.name, check.fall) = ("patient".into(), 9);
        });
        let known = |target| ProbeTarget { initial: Verdict::Up, ..target };
        let targets = [known(named("a/1", &target(1))), known(tolerant)];
        let mut bench = start(&targets, 8, 8, move |_| {
            count.fetch_add(1, SeqCst);
            async { Err(ProbeFailure::Refused) }
        });
        let mut flips = Vec::new();
        for round in 1..=9_u32 {
            for endpoint in ["a/1", "b/1"] {
                let report = bench.next().await;
                assert_eq!((&*report.key.endpoint, report.consecutive_fails), (endpoint, round));
                flips.extend(report.flip.map(|_| (endpoint, round)));
            }
        }
        assert_eq!(flips, [("a/1", 3), ("b/1", 9)]);
        assert_eq!(runs.load(SeqCst), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn another_interval_timeout_port_or_address_is_another_probe() {
        let one = target(1);
        let others = [
            with_check(&named("a/1", &one), |check| check.interval = Duration::from_secs(2)),
            with_check(&named("b/1", &one), |check| check.timeout = Duration::from_secs(2)),
            with_check(&named("c/1", &one), |check| check.port = 2),
            at("192.0.2.9", named("d/1", &one)),
            one,
        ];
        let mut runner = idle_runner(Limits::default());
        runner.set_targets(&others);
        assert_eq!(runner.roster.len(), 5);
        runner.set_targets(&[named("x/1", &others[4]), others[4].clone()]);
        assert_eq!(runner.roster.len(), 1);
    }

    fn idle_runner(limits: Limits) -> Runner<impl Fn(Plan, Deadline) -> Ready> {
        let probe = |_: Plan, _: Deadline| passed();
        Runner::new(limits, Instant::now(), Arc::default(), probe)
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_probe_at_the_timeout_of_its_check() {
        let late = with_check(&target(1), |check| check.timeout = Duration::from_millis(300));
        let mut bench = start(&[late], 8, 8, |_| pending());
        for _ in 0..5 {
            let result = bench.next().await.result;
            assert_eq!(result.outcome, Err(TIMED_OUT));
            let over = result.duration.checked_sub(Duration::from_millis(300)).unwrap();
            assert!(over <= Duration::from_millis(7), "{over:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_time_out_delay_nobody_else_even_where_all_room_is_taken() {
        let stalls = |port: u16| port.is_multiple_of(2);
        let short = |target| with_check(&target, |c| c.timeout = Duration::from_millis(900));
        let place = |port: u16| at(&format!("192.0.2.{port}"), target(port));
        let targets: Vec<_> = (1..=200).map(|port| short(place(port))).collect();
        // Alone the 100 that stall would hold 90 places all the time.
        let mut bench = start(&targets, 40, 1024, move |port| async move {
            if stalls(port) { pending().await } else { Ok(()) }
        });
        let mut seen = 0;
        while seen < 500 {
            let report = bench.next().await;
            let port: u16 = report.key.endpoint[5..].parse().unwrap();
            assert_eq!(report.result.outcome.is_err(), stalls(port));
            if report.at > Duration::from_secs(10) && !stalls(port) {
                assert!(report.late <= Duration::from_millis(20), "{:?}", report.late);
                seen += 1;
            }
        }
    }

    /// When probes began, of so many reports after ten seconds.
    async fn starts(bench: &mut Bench, count: usize) -> Vec<Duration> {
        let mut starts = Vec::new();
        while starts.len() < count {
            let report = bench.next().await;
            if report.at > Duration::from_secs(10) {
                starts.push(report.at - report.result.duration);
            }
        }
        starts.sort();
        starts
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_probed_no_oftener_than_its_cap_and_others_are_not_held_up() {
        let many = (1..=50).map(target);
        let other = at("192.0.2.2", target(99));
        let targets: Vec<_> = many.chain([other.clone()]).collect();
        let counters = Arc::<ProbeCounters>::default();
        let counted = Arc::clone(&counters);
        let limits = Limits { per_second_and_address: 20, ..Limits::default() };
        let mut bench = start_runner(&targets, 64, |clock_start| {
            let probe = |_: Plan, _: Deadline| passed();
            Runner::new(limits, clock_start, counted, probe)
        });
        let (mut begun, mut others) = (Vec::new(), 0);
        while begun.len() < 200 {
            let report = bench.next().await;
            if report.key == other.key {
                assert!(report.late <= Duration::from_millis(6), "{:?}", report.late);
                others += 1;
            } else {
                begun.push(report.at - report.result.duration);
            }
        }
        let took = begun[199] - begun[0];
        assert!(took >= Duration::from_millis(9700) && took <= Duration::from_secs(11), "{took:?}");
        assert!(others >= 9, "{others}");
        assert!(counters.totals().delayed[Cap::Address as usize] >= 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_starts_no_more_probes_a_second_than_its_cap_and_says_that_they_are_late() {
        let targets: Vec<_> = (1..=60).map(target).collect();
        let counters = Arc::<ProbeCounters>::default();
        let counted = Arc::clone(&counters);
        let limits = Limits { per_second: 30, ..Limits::default() };
        let mut bench = start_runner(&targets, 64, |clock_start| {
            let probe = |_: Plan, _: Deadline| passed();
            Runner::new(limits, clock_start, counted, probe)
        });
        let starts = starts(&mut bench, 120).await;
        let took = starts[119] - starts[0];
        assert!(took.abs_diff(Duration::from_secs(4)) <= Duration::from_millis(200), "{took:?}");
        let totals = counters.totals();
        assert!(totals.delayed[Cap::Node as usize] > 100, "{totals:?}");
        assert!(totals.late_p99_ms >= Some(1000), "{totals:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_new_targets_are_spread_and_the_old_ones_keep_their_times() {
        let slow =
            |target: ProbeTarget| with_check(&target, |c| c.interval = Duration::from_secs(10));
        let numbered = |number: u32| {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
            let target = named(&format!("pool/{number}"), &slow(target(1)));
            ProbeTarget { address: address.into(), ..target }
        };
        let old: Vec<_> = (0..100).map(numbered).collect();
        let mut bench = start(&old, 100, 1024, |_| async { Ok(()) });
        let mut begun = HashMap::new();
        while begun.len() < 100 || bench.last < Duration::from_secs(11) {
            let report = bench.next().await;
            bench.last = report.at;
            begun.insert(report.key, report.at);
        }
        let all: Vec<_> = (0..10_100).map(numbered).collect();
        let reload = bench.last;
        bench.targets.send_replace(all.into());
        let mut first = Vec::new();
        while first.len() < 10_000 {
            let report = bench.next().await;
            match begun.get_mut(&report.key) {
                None => first.push(report.at - reload),
                Some(before) => {
                    let step = report.at - *before;
                    let is_kept =
                        step.abs_diff(Duration::from_secs(10)) <= Duration::from_millis(20);
                    assert!(is_kept || report.at < Duration::from_secs(21), "{step:?}");
                    *before = report.at;
                }
            }
        }
        let busiest = (0..10).map(|second| {
            let second = Duration::from_secs(second);
            let is_in = |at: &&Duration| **at >= second && **at < second + Duration::from_secs(1);
            first.iter().filter(is_in).count()
        });
        assert!(busiest.max().unwrap() <= 2800, "2,500 a second, spread by chance");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_target_that_joins_a_probe_hears_of_it_within_a_second() {
        let known = |target| ProbeTarget { initial: Verdict::Up, ..target };
        let slow = with_check(&target(1), |check| check.interval = Duration::from_secs(3600));
        let mut bench = start(&[known(slow.clone())], 8, 8, |_| async { Ok(()) });
        sleep(Duration::from_secs(10)).await;
        let joined = named("new/1", &slow);
        bench.targets.send_replace(Arc::new([known(slow), joined]));
        for endpoint in ["pool/1", "new/1"] {
            let report = bench.next().await;
            assert_eq!(&*report.key.endpoint, endpoint);
            assert!(report.at <= Duration::from_millis(11_010), "{:?}", report.at);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_leave_no_heap_of_stale_moments() {
        let mut runner = idle_runner(Limits::default());
        for round in 0..2000_u64 {
            let targets: Vec<_> = (1..=20).map(target).collect();
            let interval = Duration::from_secs(3600 + round);
            let changed =
                targets.iter().map(|one| with_check(one, |check| check.interval = interval));
            runner.set_targets(&changed.collect::<Vec<_>>());
        }
        assert_eq!(runner.roster.len(), 20);
        assert!(runner.agenda.len() <= 5000, "{}", runner.agenda.len());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_nobody_listens() {
        let (_targets, seen) = watch::channel(Arc::from([target(1)]));
        let (sender, reports) = mpsc::channel(1);
        drop(reports);
        let probe = |_, _| passed();
        Runner::new(Limits::default(), Instant::now(), Arc::default(), probe)
            .run(seen, sender)
            .await;
    }
}
