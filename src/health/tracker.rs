//! The state machine of one target at one site: rise, fall, hold-down and damping.
//!
//! Does not probe, and knows nothing of other sites.

use std::fmt;
use std::time::Duration;

use crate::health::Damping;
use crate::health::Penalty;
use crate::model::Check;
use crate::model::Verdict;

/// What one probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The probe succeeded.
    Pass,
    /// The probe failed.
    Fail,
}

/// How many results make a verdict, and how long a fall lasts at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures in a row that take the target down; 0 counts as 1.
    pub fall: u8,
    /// Successes in a row that bring it back; 0 counts as 1.
    pub rise: u8,
    /// Least time from going down to being up again.
    pub hold_down: Duration,
    /// Half-life of the penalty for flaps; `None`: flaps are not damped.
    pub damping: Option<Duration>,
}

impl From<&Check> for Thresholds {
    fn from(check: &Check) -> Self {
        let Check { fall, rise, hold_down, damping, .. } = *check;
        Self { fall, rise, hold_down, damping }
    }
}

/// Why a target that passes is not up yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holding {
    /// Hold-down runs for so long.
    HoldDown(Duration),
    /// It has flapped.
    Damped {
        /// Its penalty.
        penalty: f64,
        /// Until it is released, if it does not fall again.
        left: Duration,
    },
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |left: Duration| {
            let seconds = Duration::from_secs(left.as_secs_f64().ceil() as u64);
            humantime::format_duration(seconds).to_string()
        };
        match *self {
            Self::HoldDown(left) => write!(f, "hold-down for {}", whole(left)),
            Self::Damped { penalty, left } => {
                write!(f, "damped, penalty {penalty:.1}, for {}", whole(left))
            }
        }
    }
}

/// What is known of one target at this site.
///
/// ```text
///             first success                 fall failures in a row
///  Unknown ────────────────────▶ Up ─────────────────────────────────▶ Down ◀─┐
///     │                          ▲ ▲                                   │ │ ▲  │
///     │                          │ └── rise successes, nothing holds ──┘ │ │  │
///     │        success, nothing holds            rise successes in a row,│ │ one
///     │                          │               hold-down or damping holds│ failure
///     │                          └────────────── Held ◀──────────────────┘ │  │
///     │                                            └───────────────────────┼──┘
///     └─────────────────────────── first failure ──────────────────────────┘
/// ```
///
/// Hold-down runs from the moment `Up` or `Unknown` was left; falling back from `Held` does not start
/// it again. Only the way up is ever delayed. `Held` has not earned trust, so one failure ends it. Each way to `Down`
/// but that from `Unknown` is a flap and adds to the penalty of [`Damping`].
#[derive(Clone, Debug)]
pub struct Tracker {
    thresholds: Thresholds,
    verdict: Verdict,
    since: Option<Duration>,
    fallen_at: Option<Duration>,
    damping: Damping,
    passes: u32,
    fails: u32,
}

impl Tracker {
    /// A tracker that starts with a verdict from before, or with [`Verdict::Unknown`].
    ///
    /// The moment of an earlier fall is not known: for `initial` `Down` and `Held`, hold-down runs from
    /// the first observation.
    pub fn new(thresholds: Thresholds, initial: Verdict) -> Self {
        Self {
            thresholds,
            verdict: initial,
            since: None,
            fallen_at: None,
            damping: Damping::new(thresholds.damping),
            passes: 0,
            fails: 0,
        }
    }

    /// The same with a penalty of before, which decays from the first observation on.
    pub fn with_penalty(self, penalty: Penalty) -> Self {
        Self { damping: self.damping.with(penalty), ..self }
    }

    /// Takes one result in; `Some` only when the verdict changes.
    ///
    /// `now` is monotonic and never earlier than in the call before.
    pub fn observe(&mut self, observation: Observation, now: Duration) -> Option<Verdict> {
        self.since.get_or_insert(now);
        self.damping.begin(now);
        self.count(observation);
        let next = self.next_verdict(observation, now);
        if next == self.verdict {
            return None;
        }
        if next == Verdict::Down && self.verdict != Verdict::Held {
            self.fallen_at = Some(now);
        }
        if next == Verdict::Down && self.verdict != Verdict::Unknown {
            self.damping.fell(now);
        }
        self.verdict = next;
        self.since = Some(now);
        Some(next)
    }

    /// Replaces the thresholds; verdict, counts, hold-down and penalty go on, the new numbers decide from
    /// the next result.
    pub fn set_thresholds(&mut self, thresholds: Thresholds, now: Duration) {
        if thresholds.damping != self.thresholds.damping {
            self.damping.set_half_life(thresholds.damping, now);
        }
        self.thresholds = thresholds;
    }

    /// What keeps a held target from being up.
    pub fn holding(&self, now: Duration) -> Option<Holding> {
        if self.verdict != Verdict::Held {
            return None;
        }
        let penalty = self.damping.penalty(now);
        let damped = self.damping.left(now).map(|left| Holding::Damped { penalty, left });
        let fallen_at = self.fallen_at.unwrap_or(now);
        let left = (fallen_at + self.thresholds.hold_down).saturating_sub(now);
        match damped {
            Some(Holding::Damped { left: longer, .. }) if longer > left => damped,
            Some(_) | None => Some(Holding::HoldDown(left)),
        }
    }

    /// The penalty as the next life goes on from it.
    pub fn penalty(&self, now: Duration) -> Penalty {
        self.damping.kept(now)
    }

    /// What the site says of the target now.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When the verdict began, monotonic; for an initial verdict, the first observation, if any.
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// Successes in a row up to the last result.
    pub fn consecutive_passes(&self) -> u32 {
        self.passes
    }

    /// Failures in a row up to the last result.
    pub fn consecutive_fails(&self) -> u32 {
        self.fails
    }

    fn count(&mut self, observation: Observation) {
        match observation {
            Observation::Pass => {
                self.passes = self.passes.saturating_add(1);
                self.fails = 0;
            }
            Observation::Fail => {
                self.fails = self.fails.saturating_add(1);
                self.passes = 0;
            }
        }
    }

    fn next_verdict(&mut self, observation: Observation, now: Duration) -> Verdict {
        match (self.verdict, observation) {
            (Verdict::Unknown, Observation::Pass) => Verdict::Up,
            (Verdict::Unknown, Observation::Fail) => Verdict::Down,
            (Verdict::Up, Observation::Pass) => Verdict::Up,
            (Verdict::Up, Observation::Fail) => {
                let fallen = self.fails >= u32::from(self.thresholds.fall.max(1));
                if fallen { Verdict::Down } else { Verdict::Up }
            }
            (Verdict::Down | Verdict::Held, Observation::Fail) => {
                self.fallen_at.get_or_insert(now);
                Verdict::Down
            }
            (Verdict::Down, Observation::Pass) => {
                let free = self.is_free(now);
                let risen = self.passes >= u32::from(self.thresholds.rise.max(1));
                match (risen, free) {
                    (false, _) => Verdict::Down,
                    (true, false) => Verdict::Held,
                    (true, true) => Verdict::Up,
                }
            }
            (Verdict::Held, Observation::Pass) => {
                if self.is_free(now) {
                    Verdict::Up
                } else {
                    Verdict::Held
                }
            }
        }
    }

    /// Tells whether neither hold-down nor damping holds; starts hold-down when the moment of the fall is not known.
    fn is_free(&mut self, now: Duration) -> bool {
        let fallen_at = *self.fallen_at.get_or_insert(now);
        now.saturating_sub(fallen_at) >= self.thresholds.hold_down && !self.damping.holds(now)
    }
}

#[cfg(test)]
mod tests {
    use super::Observation;
    use super::Observation::Fail;
    use super::Observation::Pass;
    use super::Thresholds;
    use super::Tracker;
    use crate::model::Verdict;
    use proptest::prelude::*;
    use std::time::Duration;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn thresholds(fall: u8, rise: u8, hold_down_s: u64) -> Thresholds {
        Thresholds { fall, rise, hold_down: s(hold_down_s), damping: None }
    }

    /// Observes the same result at each of the seconds.
    fn observe(
        tracker: &mut Tracker,
        observation: Observation,
        at: &[u64],
    ) -> Vec<Option<Verdict>> {
        at.iter().map(|at| tracker.observe(observation, s(*at))).collect()
    }

    #[test]
    fn the_first_result_of_an_unknown_target_decides() {
        let mut tracker = Tracker::new(thresholds(3, 5, 60), Verdict::Unknown);
        assert_eq!(tracker.observe(Pass, s(1)), Some(Verdict::Up));
        let mut tracker = Tracker::new(thresholds(3, 5, 60), Verdict::Unknown);
        assert_eq!(tracker.observe(Fail, s(1)), Some(Verdict::Down));
        assert_eq!(tracker.since(), Some(s(1)));
    }

    #[test]
    fn falls_after_three_failures_in_a_row_and_one_success_resets_the_count() {
        let mut tracker = Tracker::new(thresholds(3, 5, 60), Verdict::Up);
        assert_eq!(observe(&mut tracker, Fail, &[1, 2]), [None, None]);
        assert_eq!(tracker.observe(Pass, s(3)), None);
        assert_eq!(observe(&mut tracker, Fail, &[4, 5, 6]), [None, None, Some(Verdict::Down)]);
        assert_eq!((tracker.consecutive_fails(), tracker.consecutive_passes()), (3, 0));
    }

    #[test]
    fn rises_after_five_successes_in_a_row_and_one_failure_resets_the_count() {
        let mut tracker = Tracker::new(thresholds(1, 5, 0), Verdict::Up);
        assert_eq!(tracker.observe(Fail, s(0)), Some(Verdict::Down));
        assert_eq!(observe(&mut tracker, Pass, &[1, 2, 3, 4]), [None; 4]);
        assert_eq!(tracker.observe(Fail, s(5)), None);
        assert_eq!(observe(&mut tracker, Pass, &[6, 7, 8, 9]), [None; 4]);
        assert_eq!(tracker.observe(Pass, s(10)), Some(Verdict::Up));
    }

    #[test]
    fn is_held_while_hold_down_runs_and_up_at_the_first_success_at_its_end() {
        let mut tracker = Tracker::new(thresholds(1, 2, 60), Verdict::Up);
        tracker.observe(Fail, s(100));
        assert_eq!(observe(&mut tracker, Pass, &[110, 120]), [None, Some(Verdict::Held)]);
        assert_eq!(observe(&mut tracker, Pass, &[130, 159]), [None, None]);
        assert_eq!(tracker.observe(Pass, s(160)), Some(Verdict::Up));
    }

    #[test]
    fn a_rise_at_the_end_of_hold_down_is_never_held() {
        let mut tracker = Tracker::new(thresholds(1, 2, 60), Verdict::Up);
        tracker.observe(Fail, s(100));
        assert_eq!(observe(&mut tracker, Pass, &[159, 160]), [None, Some(Verdict::Up)]);
    }

    #[test]
    fn held_falls_at_one_failure_needs_the_whole_rise_again_and_keeps_its_hold_down() {
        let mut tracker = Tracker::new(thresholds(3, 2, 60), Verdict::Up);
        observe(&mut tracker, Fail, &[98, 99, 100]);
        observe(&mut tracker, Pass, &[110, 120]);
        assert_eq!(tracker.observe(Fail, s(158)), Some(Verdict::Down));
        assert_eq!(observe(&mut tracker, Pass, &[159, 160]), [None, Some(Verdict::Up)]);
    }

    #[test]
    fn a_second_fall_starts_its_own_hold_down() {
        let mut tracker = Tracker::new(thresholds(1, 1, 10), Verdict::Up);
        tracker.observe(Fail, s(0));
        assert_eq!(tracker.observe(Pass, s(10)), Some(Verdict::Up));
        assert_eq!(tracker.observe(Fail, s(11)), Some(Verdict::Down));
        assert_eq!(
            observe(&mut tracker, Pass, &[20, 21]),
            [Some(Verdict::Held), Some(Verdict::Up)]
        );
    }

    #[test]
    fn hold_down_of_an_earlier_life_runs_from_the_first_observation() {
        for initial in [Verdict::Down, Verdict::Held] {
            let mut tracker = Tracker::new(thresholds(1, 1, 10), initial);
            tracker.observe(Pass, s(50));
            assert_eq!(tracker.verdict(), Verdict::Held);
            assert_eq!(observe(&mut tracker, Pass, &[59, 60]), [None, Some(Verdict::Up)]);
        }
    }

    #[test]
    fn new_thresholds_keep_the_counts_and_decide_at_the_next_result() {
        let mut tracker = Tracker::new(thresholds(5, 5, 60), Verdict::Up);
        observe(&mut tracker, Fail, &[1, 2, 3]);
        tracker.set_thresholds(thresholds(4, 1, 0), s(3));
        assert_eq!(tracker.verdict(), Verdict::Up);
        assert_eq!(tracker.observe(Fail, s(4)), Some(Verdict::Down));
        assert_eq!(tracker.observe(Pass, s(5)), Some(Verdict::Up));
    }

    /// The slow twin: keeps every result and verdict, and looks back through all of them each time.
    struct Twin {
        thresholds: Thresholds,
        results: Vec<(Observation, Duration)>,
        verdicts: Vec<Verdict>,
    }

    impl Twin {
        fn run(&self, of: Observation) -> usize {
            self.results.iter().rev().take_while(|(result, _)| *result == of).count()
        }

        /// The last step from serving to down; without one, the first result of all.
        fn fallen_at(&self) -> Duration {
            let is_fall =
                |pair: &[Verdict]| matches!(pair, [Verdict::Up | Verdict::Unknown, Verdict::Down]);
            self.verdicts
                .windows(2)
                .rposition(is_fall)
                .map_or(self.results[0].1, |index| self.results[index].1)
        }

        fn observe(&mut self, observation: Observation, now: Duration) -> Option<Verdict> {
            self.results.push((observation, now));
            let before = self.verdicts[self.verdicts.len() - 1];
            let over = now >= self.fallen_at() + self.thresholds.hold_down;
            let up_or_held = if over { Verdict::Up } else { Verdict::Held };
            let after = if before == Verdict::Unknown {
                if observation == Pass { Verdict::Up } else { Verdict::Down }
            } else if before == Verdict::Up {
                let fallen = self.run(Fail) >= usize::from(self.thresholds.fall);
                if fallen { Verdict::Down } else { Verdict::Up }
            } else if observation == Fail {
                Verdict::Down
            } else if before == Verdict::Held || self.run(Pass) >= usize::from(self.thresholds.rise)
            {
                up_or_held
            } else {
                Verdict::Down
            };
            self.verdicts.push(after);
            (after != before).then_some(after)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_twin_that_remembers_everything(
            fall in 1u8..5,
            rise in 1u8..5,
            hold_down_s in 0u64..40,
            initial in prop::sample::select(vec![
                Verdict::Unknown, Verdict::Up, Verdict::Held, Verdict::Down,
            ]),
            results in prop::collection::vec((prop::bool::weighted(0.6), 0u64..12), 1..200),
        ) {
            let thresholds = thresholds(fall, rise, hold_down_s);
            let mut tracker = Tracker::new(thresholds, initial);
            let mut twin = Twin { thresholds, results: vec![], verdicts: vec![initial] };
            let mut now = s(0);
            for (passes, step_s) in results {
                now += s(step_s);
                let observation = if passes { Pass } else { Fail };
                prop_assert_eq!(tracker.observe(observation, now), twin.observe(observation, now));
                prop_assert_eq!(tracker.consecutive_passes() as usize, twin.run(Pass));
                prop_assert_eq!(tracker.consecutive_fails() as usize, twin.run(Fail));
            }
        }
    }
}
