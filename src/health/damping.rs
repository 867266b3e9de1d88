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

/// The penalty of one target.
#[derive(Clone, Debug)]
pub struct Damping {
    /// `None`: nothing is ever held back.
    half_life: Option<Duration>,
    /// As it was at `counted_at`.
    penalty: f64,
    counted_at: Duration,
    is_suppressed: bool,
}

impl Damping {
    /// No penalty yet.
    pub fn new(half_life: Option<Duration>) -> Self {
        Self { half_life, penalty: 0.0, counted_at: Duration::ZERO, is_suppressed: false }
    }

    /// Replaces the half-life from `now` on; the penalty so far stays. Without one it is forgotten.
    pub fn set_half_life(&mut self, half_life: Option<Duration>, now: Duration) {
        self.penalty = self.penalty(now);
        self.counted_at = now;
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
        self.counted_at = now;
        self.is_suppressed |= self.penalty > SUPPRESS_ABOVE;
    }

    /// Whether the target is held back at `now`.
    pub fn holds(&mut self, now: Duration) -> bool {
        self.is_suppressed &= self.penalty(now) >= RELEASE_BELOW;
        self.is_suppressed
    }

    /// The penalty at `now`.
    pub fn penalty(&self, now: Duration) -> f64 {
        let Some(half_life) = self.half_life.filter(|half_life| !half_life.is_zero()) else {
            return 0.0;
        };
        let age = now.saturating_sub(self.counted_at).as_secs_f64();
        self.penalty * (-age / half_life.as_secs_f64()).exp2()
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
