//! How many probes a second go to one address, and from this node: no more than so many, the rest wait.
//!
//! A virtual schedule (GCRA, ITU-T I.371): one number a gate, no refills. Knows no clock.

use std::time::Duration;

/// How much may come at once: what its rate allows in this time, and at least one.
const BURST: Duration = Duration::from_millis(100);

/// A rate with its allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    period: Duration,
    tolerance: Duration,
}

impl Rate {
    /// So many a second; 0 counts as 1.
    pub(super) fn per_second(count: u32) -> Self {
        let period = Duration::from_secs(1) / count.max(1);
        Self { period, tolerance: BURST.saturating_sub(period) }
    }
}

/// What has passed at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    /// When the next would be due if all kept to the rate exactly.
    next: Duration,
}

impl Gate {
    /// The earliest moment for one more, `now` or later; it is taken with that.
    pub(super) fn reserve(&mut self, rate: Rate, now: Duration) -> Duration {
        let start = self.opens(rate).max(now);
        self.next = self.next.max(now) + rate.period;
        start
    }

    /// When one more may pass.
    pub(super) fn opens(&self, rate: Rate) -> Duration {
        self.next.saturating_sub(rate.tolerance)
    }

    /// Whether it is as if nothing had ever passed.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.next <= now
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use super::Rate;
    use proptest::prelude::*;
    use std::time::Duration;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_tenth_of_a_second_may_come_at_once_and_then_one_a_period() {
        let (mut gate, rate) = (Gate::default(), Rate::per_second(100));
        let at: Vec<Duration> = (0..13).map(|_| gate.reserve(rate, ms(5000))).collect();
        assert!(at[..10].iter().all(|at| *at == ms(5000)), "{at:?}");
        assert_eq!(at[10..], [ms(5010), ms(5020), ms(5030)]);
        assert!(!gate.is_idle(ms(5129)) && gate.is_idle(ms(5130)));
    }

    #[test]
    fn a_rate_below_ten_a_second_lets_one_pass_at_a_time() {
        let (mut gate, rate) = (Gate::default(), Rate::per_second(2));
        assert_eq!([0, 0, 0].map(|at| gate.reserve(rate, ms(at))), [ms(0), ms(500), ms(1000)]);
        assert_eq!(gate.reserve(rate, ms(10_000)), ms(10_000));
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate_and_its_burst(
            per_second in 1u32..500,
            waits in prop::collection::vec(0u64..50, 1..400),
        ) {
            let (mut gate, rate) = (Gate::default(), Rate::per_second(per_second));
            let mut now = Duration::ZERO;
            let mut passed = Vec::new();
            for wait in waits {
                now += ms(wait);
                let at = gate.reserve(rate, now);
                prop_assert!(at >= now);
                passed.push(at);
            }
            for from in &passed {
                let within = passed.iter().filter(|at| *at >= from && **at < *from + ms(1000)).count();
                prop_assert!(within <= (per_second + per_second / 10 + 1) as usize, "{within}");
            }
        }
    }
}
