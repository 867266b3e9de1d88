//! How many endpoints a source may take away: never too many at once, and never the last.

use std::time::Duration;

use crate::model::DROP_WINDOW;
use crate::model::Percent;

/// What a source took away lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// When, and how many; oldest first.
    dropped: Vec<(Duration, usize)>,
}

impl Floor {
    /// Whether `going` of `size` endpoints may go at `now`, monotonic.
    ///
    /// Within [`DROP_WINDOW`] at most `max_drop` of those that were there go, rounded down, but one always may, unless
    /// `max_drop` is 0%. All of `going` may, or none of them.
    pub fn allows(&self, now: Duration, size: usize, going: usize, max_drop: Percent) -> bool {
        let recent = self.recent(now);
        let share = (size + recent) * usize::from(max_drop.0) / 100;
        let most = if max_drop.0 == 0 { 0 } else { share.max(1) };
        going == 0 || recent + going <= most
    }

    /// Notes that as many went.
    pub fn note(&mut self, now: Duration, gone: usize) {
        self.dropped.retain(|(at, _)| now.saturating_sub(*at) < DROP_WINDOW);
        if gone > 0 {
            self.dropped.push((now, gone));
        }
    }

    /// What went within the window, with its moments; for what is kept over a restart.
    pub fn dropped(&self, now: Duration) -> impl Iterator<Item = (Duration, usize)> {
        let recent = self.dropped.iter().copied();
        recent.filter(move |(at, _)| now.saturating_sub(*at) < DROP_WINDOW)
    }

    /// What [`Floor::dropped`] told, on the clock of now.
    pub fn restored(dropped: impl Iterator<Item = (Duration, usize)>) -> Self {
        let mut dropped: Vec<_> = dropped.collect();
        dropped.sort_unstable();
        Self { dropped }
    }

    fn recent(&self, now: Duration) -> usize {
        self.dropped(now).map(|(_, gone)| gone).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_third_goes_and_half_is_held() {
        let floor = Floor::default();
        assert!(floor.allows(at(0), 10, 3, Percent(30)));
        assert!(!floor.allows(at(0), 10, 4, Percent(30)));
        assert!(floor.allows(at(0), 10, 0, Percent(0)));
        assert!(!floor.allows(at(0), 10, 1, Percent(0)));
        assert!(floor.allows(at(0), 2, 1, Percent(30)), "one may always go");
    }

    #[test]
    fn what_goes_one_by_one_counts_together_for_ten_minutes() {
        let mut floor = Floor::default();
        let mut size = 10;
        for second in 0..3 {
            assert!(floor.allows(at(second), size, 1, Percent(30)), "{second}");
            floor.note(at(second), 1);
            size -= 1;
        }
        assert!(!floor.allows(at(3), size, 1, Percent(30)));
        assert!(!floor.allows(at(599), size, 1, Percent(30)));
        assert!(floor.allows(at(602), size, 1, Percent(30)), "they are forgotten");
    }

    /// What the law says, from the whole history.
    fn most_allowed(history: &[(u64, usize, usize)], now: u64, size: usize, percent: u8) -> usize {
        let recent = history.iter().filter(|(at, ..)| now - at < 600);
        let recent: usize = recent.map(|(_, gone, _)| gone).sum();
        let whole = (size + recent) as f64 * f64::from(percent) / 100.0;
        let most = if percent == 0 { 0 } else { (whole.floor() as usize).max(1) };
        most.saturating_sub(recent)
    }

    proptest! {
        #[test]
        fn no_ten_minutes_take_more_than_the_share(
            steps in prop::collection::vec((0..400u64, 0..12usize, 0..6usize), 1..60),
            percent in 0..=100u8,
        ) {
            let (mut floor, mut size, mut now) = (Floor::default(), 20usize, 0);
            let mut history: Vec<(u64, usize, usize)> = Vec::new();
            for (wait, going, coming) in steps {
                now += wait;
                let going = going.min(size);
                let allowed = floor.allows(at(now), size, going, Percent(percent));
                prop_assert_eq!(allowed, going <= most_allowed(&history, now, size, percent));
                if allowed {
                    floor.note(at(now), going);
                    history.push((now, going, size));
                    size -= going;
                }
                size += coming;
                // In each window that ends now, whatever came meanwhile.
                let window: Vec<_> = history.iter().filter(|(at, ..)| now - at < 600).collect();
                let gone: usize = window.iter().map(|(_, gone, _)| gone).sum();
                let most_there = gone + size;
                prop_assert!(gone <= 1 || gone * 100 <= most_there * usize::from(percent));
            }
        }
    }
}
