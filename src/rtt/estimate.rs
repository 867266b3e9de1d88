//! From samples to an estimate, and from an estimate to one that counts. Knows no key and no site.

use std::time::Duration;

/// After which time a sample counts half.
pub const HALF_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How many samples the prior counts for, in thousandths.
const PRIOR_WEIGHT_MILLI: i64 = 5_000;

/// Least change that counts, in microseconds.
const MARGIN_MIN_US: i64 = 5_000;

/// Least change that counts, as a part of what it is a change of: one in ten.
const MARGIN_PART: i64 = 10;

/// Most samples that are remembered of one row and source, in thousandths.
pub const WEIGHT_MAX_MILLI: u32 = 1_000_000_000;

/// Samples with a mean; they lose weight with age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How many they count for, in thousandths.
    pub weight_milli: u32,
    /// Their mean in microseconds.
    pub mean_us: i32,
}

impl Evidence {
    /// So many samples with this mean.
    pub fn new(samples: u32, mean_us: i32) -> Self {
        Self { weight_milli: samples.saturating_mul(1000).min(WEIGHT_MAX_MILLI), mean_us }
    }

    /// The same, older: half of the weight after [`HALF_LIFE`].
    pub fn aged(self, elapsed: Duration) -> Self {
        let half_lives = elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64();
        // The pure-Rust `libm`, so that nodes of all kinds make the same table.
        let weight = f64::from(self.weight_milli) * libm::exp2(-half_lives);
        Self { weight_milli: weight as u32, ..self }
    }

    /// Both together.
    pub fn joined(self, other: Self) -> Self {
        let (mine, theirs) = (i64::from(self.weight_milli), i64::from(other.weight_milli));
        let weight = mine + theirs;
        if weight == 0 {
            return Self::default();
        }
        let sum = mine * i64::from(self.mean_us) + theirs * i64::from(other.mean_us);
        let weight_milli = weight.min(i64::from(WEIGHT_MAX_MILLI)) as u32;
        Self { weight_milli, mean_us: (sum / weight) as i32 }
    }

    /// The prior, moved towards the mean: the more, the more samples there are; by half at five samples.
    pub fn shrunk_to(self, prior_us: i64) -> i64 {
        let weight = i64::from(self.weight_milli);
        (prior_us * PRIOR_WEIGHT_MILLI + i64::from(self.mean_us) * weight)
            / (PRIOR_WEIGHT_MILLI + weight)
    }
}

/// The estimate that counts, and one that may follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What clients are steered by, in microseconds; nothing until two windows agree that it is not as expected.
    pub counts_us: Option<i32>,
    /// What the last window with samples said, if that was worth a change.
    pub pending_us: Option<i32>,
}

impl Standing {
    /// What counts after a window with samples.
    ///
    /// `estimate` is made of all samples, `window` of those of this window. A change counts only if both differ by
    /// 5 ms and by a tenth of `level` from what counts, or from what is `expected` as long as nothing does, to the same
    /// side, in two windows after each other: one burst of samples, however wild, moves nobody. Where nothing is
    /// expected the second window counts as it is.
    pub fn after(
        self,
        estimate_us: i64,
        window_us: i64,
        level_us: i64,
        expected_us: Option<i64>,
    ) -> Self {
        let margin = MARGIN_MIN_US.max(level_us / MARGIN_PART);
        let Some(from) = self.counts_us.map(i64::from).or(expected_us) else {
            return match self.pending_us {
                Some(_) => Self::settled(estimate_us),
                None => Self { pending_us: Some(clamp(estimate_us)), ..self },
            };
        };
        let side = |value: i64| match value - from {
            above if above >= margin => 1,
            below if below <= -margin => -1,
            _ => 0,
        };
        let now = side(estimate_us);
        if now == 0 || side(window_us) != now {
            return Self { pending_us: None, ..self };
        }
        let before = self.pending_us.map_or(0, |pending| (i64::from(pending) - from).signum());
        match before == now {
            true => Self::settled(estimate_us),
            false => Self { pending_us: Some(clamp(estimate_us)), ..self },
        }
    }

    /// What counts at once.
    pub fn settled(estimate_us: i64) -> Self {
        Self { counts_us: Some(clamp(estimate_us)), pending_us: None }
    }
}

/// The value, or the nearest that is kept.
fn clamp(micros: i64) -> i32 {
    let most = i64::from(crate::rtt::RTT_MAX_US);
    micros.clamp(-most, most) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence() -> impl Strategy<Value = Evidence> {
        (0..2_000_000_u32, 0..500_000_i32)
            .prop_map(|(weight_milli, mean_us)| Evidence { weight_milli, mean_us })
    }

    #[test]
    fn five_samples_count_as_much_as_the_prior_and_half_of_them_a_day_later() {
        let five = Evidence::new(5, 20_000);
        assert_eq!(five.shrunk_to(100_000), 60_000);
        let older = five.aged(HALF_LIFE);
        assert_eq!(older.weight_milli, 2_500);
        assert_eq!(older.shrunk_to(100_000), 73_333);
    }

    #[test]
    fn without_samples_the_prior_counts() {
        assert_eq!(Evidence::default().shrunk_to(12_345), 12_345);
        assert_eq!(Evidence::new(3, 1).aged(HALF_LIFE * 60).shrunk_to(777), 777, "all forgotten");
    }

    #[test]
    fn a_change_counts_after_two_windows_in_a_row() {
        let first = Standing::settled(50_000).after(40_000, 40_000, 50_000, None);
        assert_eq!(first, Standing { counts_us: Some(50_000), pending_us: Some(40_000) });
        assert_eq!(first.after(39_000, 38_000, 50_000, None), Standing::settled(39_000));
        assert_eq!(
            first.after(49_000, 49_000, 50_000, None),
            Standing::settled(50_000),
            "taken back"
        );
        let other_side = first.after(60_000, 60_000, 50_000, None);
        assert_eq!(other_side, Standing { counts_us: Some(50_000), pending_us: Some(60_000) });
        let burst = first.after(40_500, 80_000, 50_000, None);
        assert_eq!(burst, Standing::settled(50_000), "the new samples do not confirm it");
    }

    #[test]
    fn nothing_counts_as_long_as_it_is_as_expected_or_nothing_is_expected() {
        let none = Standing::default();
        assert_eq!(none.after(52_000, 52_000, 50_000, Some(50_000)), none);
        let moved = none.after(60_000, 60_000, 50_000, Some(50_000));
        assert_eq!(moved, Standing { counts_us: None, pending_us: Some(60_000) });
        assert_eq!(moved.after(61_000, 61_000, 50_000, Some(50_000)), Standing::settled(61_000));
        let first = none.after(97_000, 97_000, 97_000, None);
        assert_eq!(first.after(98_000, 98_000, 97_000, None), Standing::settled(98_000));
    }

    #[test]
    fn the_margin_is_5_ms_and_a_tenth() {
        let moves = |from: i32, to: i64| {
            Standing::settled(from.into()).after(to, to, from.into(), None).pending_us.is_some()
        };
        assert!(!moves(20_000, 24_999) && moves(20_000, 25_000));
        assert!(!moves(200_000, 219_999) && moves(200_000, 180_000));
    }

    proptest! {
        #[test]
        fn an_estimate_lies_between_prior_and_mean(one in evidence(), prior in 0..500_000_i64) {
            let mean = i64::from(one.mean_us);
            let estimate = one.shrunk_to(prior);
            prop_assert!((prior.min(mean)..=prior.max(mean)).contains(&estimate));
        }

        #[test]
        fn slower_samples_and_slower_priors_never_give_a_faster_estimate(
            one in evidence(), prior in 0..500_000_i64, more in 0..100_000_i32,
        ) {
            let slower = Evidence { mean_us: one.mean_us + more, ..one };
            prop_assert!(slower.shrunk_to(prior) >= one.shrunk_to(prior));
            prop_assert!(one.shrunk_to(prior + i64::from(more)) >= one.shrunk_to(prior));
        }

        #[test]
        fn more_samples_never_leave_the_estimate_farther_from_their_mean(
            one in evidence(), prior in 0..500_000_i64, more in 0..1_000_000_u32,
        ) {
            let mean = i64::from(one.mean_us);
            let surer = Evidence { weight_milli: one.weight_milli + more, ..one };
            let distance = |evidence: Evidence| (evidence.shrunk_to(prior) - mean).abs();
            prop_assert!(distance(surer) <= distance(one) + 1);
        }

        #[test]
        fn nothing_changes_below_the_margin_however_long_it_lasts(
            start in 1_000..500_000_i32, walk in prop::collection::vec(-999..1000_i64, 1..50),
        ) {
            let level = i64::from(start);
            let margin = 5_000.max(level / 10);
            let mut standing = Standing::settled(level);
            for step in walk {
                let near = level + step * (margin - 1) / 1000;
                standing = standing.after(near, near, level, None);
                prop_assert_eq!(standing, Standing::settled(level));
            }
        }

        #[test]
        fn evidence_joins_in_any_order_to_the_same_within_a_rounding(a in evidence(), b in evidence()) {
            prop_assert_eq!(a.joined(b), b.joined(a));
            prop_assert_eq!(a.joined(Evidence::default()), if a.weight_milli == 0 { Evidence::default() } else { a });
        }
    }
}
