//! Flap damping: each fall adds to a penalty that decays; a high penalty holds a target back until it is low.
//!
//! Knows no verdicts: the tracker says when the target fell and asks whether it may come back.

use std::time::Duration;

/// What one fall adds to the penalty.
const FLAP: f64 = 1.0;

/// Penalty above which a target is held back (design of changes).
pub const SUPPRESS_ABOVE: f64 = 3.0;

/// Penalty below which it is held back no more.
pub const RELEASE_BELOW: f64 = 1.0;

/// Highest penalty: three half-lives above the release, so that a target that stays well is back after them at the latest.
pub const PENALTY_MAX: f64 = 8.0;

/// A penalty that is handed on: over a restart, or from who probes to who keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Penalty {
    /// How high it is, 0 to [`PENALTY_MAX`].
    pub value: f64,
    /// Whether it holds the target back.
    pub is_suppressed: bool,
}

impl Penalty {
    /// What is left of it some time later; nothing where flaps are not damped.
    pub fn after(self, age: Duration, half_life: Option<Duration>) -> Self {
        let Some(half_life) = half_life else { return Self::default() };
        let value = decayed(self.value.clamp(0.0, PENALTY_MAX), age, half_life);
        Self { value, is_suppressed: self.is_suppressed && value >= RELEASE_BELOW }
    }
}

/// What is left of a penalty.
fn decayed(penalty: f64, age: Duration, half_life: Duration) -> f64 {
    match half_life.is_zero() {
        true => 0.0,
        false => penalty * (-age.as_secs_f64() / half_life.as_secs_f64()).exp2(),
    }
}

/// The penalty of one target.
#[derive(Clone, Debug)]
pub struct Damping {
    /// `None`: nothing is ever held back.
    half_life: Option<Duration>,
    /// As it was at `counted_at`.
    penalty: f64,
    /// `None`: its clock has not begun, for it is from before a restart.
    counted_at: Option<Duration>,
    is_suppressed: bool,
}

impl Damping {
    /// No penalty yet.
    pub fn new(half_life: Option<Duration>) -> Self {
        Self { half_life, penalty: 0.0, counted_at: None, is_suppressed: false }
    }

    /// Goes on from a penalty of before; it decays from [`Damping::begin`] on.
    pub fn with(self, penalty: Penalty) -> Self {
        let Penalty { value, is_suppressed } = penalty.after(Duration::ZERO, self.half_life);
        Self { penalty: value, is_suppressed, counted_at: None, ..self }
    }

    /// Says that it is `now`, if nobody has yet.
    pub fn begin(&mut self, now: Duration) {
        self.counted_at.get_or_insert(now);
    }

    /// The penalty as it is handed on.
    pub fn kept(&self, now: Duration) -> Penalty {
        Penalty { value: self.penalty(now), is_suppressed: self.left(now).is_some() }
    }

    /// Replaces the half-life from `now` on; the penalty so far stays. Without one it is forgotten.
    pub fn set_half_life(&mut self, half_life: Option<Duration>, now: Duration) {
        self.penalty = self.penalty(now);
        self.counted_at = Some(now);
        self.half_life = half_life;
        if half_life.is_none() {
            (self.penalty, self.is_suppressed) = (0.0, false);
        }
    }

    /// Counts a fall.
    pub fn fell(&mut self, now: Duration) {
        if self.half_life.is_none() {
            return;
        }
        self.penalty = (self.penalty(now) + FLAP).min(PENALTY_MAX);
        self.counted_at = Some(now);
        self.is_suppressed |= self.penalty > SUPPRESS_ABOVE;
    }

    /// Whether the target is held back at `now`.
    pub fn holds(&mut self, now: Duration) -> bool {
        self.is_suppressed &= self.penalty(now) >= RELEASE_BELOW;
        self.is_suppressed
    }

    /// The penalty at `now`.
    pub fn penalty(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.counted_at.unwrap_or(now));
        self.half_life.map_or(0.0, |half_life| decayed(self.penalty, age, half_life))
    }

    /// How long a target that is held back stays so if it does not fall again.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let half_life = self.half_life.filter(|_| self.is_suppressed)?;
        let half_lives = (self.penalty(now) / RELEASE_BELOW).log2();
        (half_lives > 0.0).then(|| half_life.mul_f64(half_lives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE: Duration = Duration::from_secs(600);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn damping() -> Damping {
        Damping::new(Some(HALF_LIFE))
    }

    #[test]
    fn the_penalty_halves_in_a_half_life() {
        let mut damping = damping();
        damping.fell(s(100));
        assert_eq!(damping.penalty(s(100)), 1.0);
        assert!((damping.penalty(s(700)) - 0.5).abs() < 1e-12);
        damping.fell(s(700));
        assert!((damping.penalty(s(1300)) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn three_falls_at_once_are_borne_and_the_fourth_is_not() {
        let mut damping = damping();
        for _ in 0..3 {
            damping.fell(s(10));
            assert!(!damping.holds(s(10)));
        }
        damping.fell(s(10));
        assert!(damping.holds(s(10)));
        assert_eq!(damping.left(s(10)), Some(s(1200)), "4 to 1 are two half-lives");
    }

    #[test]
    fn is_held_until_below_one_though_below_three_before() {
        let mut damping = damping();
        (0..4).for_each(|_| damping.fell(s(0)));
        assert!(damping.penalty(s(600)) < SUPPRESS_ABOVE && damping.holds(s(600)));
        assert!(damping.holds(s(1200)), "exactly 1 is not below 1");
        assert!(!damping.holds(s(1201)));
        assert_eq!(damping.left(s(1201)), None);
        damping.fell(s(1201));
        assert!(!damping.holds(s(1201)), "it starts over from what is left");
    }

    #[test]
    fn however_often_it_fell_it_is_back_after_three_half_lives() {
        let mut damping = damping();
        (0..1000).for_each(|_| damping.fell(s(50)));
        assert!(damping.holds(s(50 + 1799)));
        assert!(!damping.holds(s(50 + 1801)));
    }

    #[test]
    fn a_penalty_of_before_goes_on_and_is_never_negative_nor_more_than_the_most() {
        let mut before = damping();
        (0..4).for_each(|_| before.fell(s(0)));
        let kept = before.kept(s(300));
        assert!(kept.is_suppressed && (kept.value - 4.0 * 0.5f64.sqrt()).abs() < 1e-12);
        // Five minutes between two lives, and a clock of another zero.
        let left = kept.after(s(300), Some(HALF_LIFE));
        let mut after = damping().with(left);
        assert!(after.holds(s(7)) && (after.penalty(s(7)) - 2.0).abs() < 1e-12);
        after.begin(s(1000));
        assert_eq!(after.left(s(1000)), Some(s(600)));
        assert!(!after.holds(s(1601)), "as if there had been no restart");
        let none = Penalty::default();
        assert!(!kept.after(s(3600), Some(HALF_LIFE)).is_suppressed);
        assert_eq!(kept.after(s(0), None), none);
        assert_eq!(Damping::new(None).with(kept).kept(s(0)), none);
        for (value, bounded) in [(-3.0, 0.0), (1e300, PENALTY_MAX)] {
            let wrong = Penalty { value, is_suppressed: true };
            assert_eq!(damping().with(wrong).penalty(s(0)), bounded);
        }
    }

    #[test]
    fn without_a_half_life_nothing_is_counted_and_nothing_held() {
        let mut damping = Damping::new(None);
        (0..9).for_each(|_| damping.fell(s(1)));
        assert!(!damping.holds(s(1)) && damping.penalty(s(1)) == 0.0);
    }

    #[test]
    fn another_half_life_counts_from_when_it_is_set_and_none_forgives() {
        let mut damping = damping();
        (0..4).for_each(|_| damping.fell(s(0)));
        damping.set_half_life(Some(s(60)), s(600));
        assert!(
            (damping.penalty(s(660)) - 1.0).abs() < 1e-12,
            "2 after one of the old, 1 after one of the new"
        );
        damping.set_half_life(None, s(660));
        assert!(!damping.holds(s(660)));
    }
}
