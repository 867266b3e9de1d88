//! How late a beat is, without a clock that nodes have in common.
//!
//! A beat says when it was said, on the speaker's monotonic clock. The least difference between that and the moment at
//! which it came, on ours, is that of the fastest beat; what a later one took longer, it is late: on a line that stalled,
//! at a node that held it back, in a queue of this one. Nobody but the speaker can set the stamp, as it is signed.

use std::time::Duration;

use crate::cluster::book::LIFE;

/// How much clocks may part: 1 ms a second, ten times what quartz does. So a line that has become slower for good is
/// taken for what it is, in time.
const DRIFT: i64 = 1000;

/// Beats that are as late as each other but for this, and come that far apart, show that the speaker's clock stood still: a
/// machine that was suspended.
const STEADY_MS: i64 = 500;

/// Beats that are less late are waited out: their node has life enough left until the next one.
const LATE_MIN: Duration = Duration::from_secs(1);

/// So many beats that are as late as each other, yet not so late that they prove nothing, show it too. Left alone such a node
/// would be dead and alive again each second, until what clocks part has made up for it an hour later.
const STEADY_BEATS: u32 = 3;

/// What is known of the difference between a node's clock and ours, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lateness {
    /// The least one, and when that was reckoned.
    least: Option<(i64, i64)>,
    /// Late beats, as late as each other.
    late: Option<Run>,
}

/// Beats that are as late as each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The difference of the last one.
    difference: i64,
    /// When that came.
    at: i64,
    /// How many they are.
    count: u32,
}

impl Run {
    /// The run with one beat more; a new one if that is not as late, or came at once after the last one.
    fn after(before: Option<Self>, difference: i64, at: i64) -> Self {
        let is_steady = |run: &Self| {
            difference.abs_diff(run.difference) <= STEADY_MS.unsigned_abs()
                && at - run.at >= STEADY_MS
        };
        let count = before.filter(is_steady).map_or(0, |run| run.count);
        Self { difference, at, count: count + 1 }
    }
}

impl Lateness {
    /// How late a beat is that says it was said at `said`, and came at `now`; `None` if it proves nothing any more.
    pub fn observe(&mut self, said: Duration, now: Duration) -> Option<Duration> {
        if said.is_zero() {
            // It does not tell.
            return Some(Duration::ZERO);
        }
        let [said, now] = [said, now].map(|at| i64::try_from(at.as_millis()).unwrap_or(i64::MAX));
        let difference = now - said;
        let parted = |(least, at): (i64, i64)| least.saturating_add((now - at) / DRIFT);
        let least = self.least.map_or(difference, parted);
        let late = difference.saturating_sub(least).max(0);
        let late = u64::try_from(late).map_or(Duration::MAX, Duration::from_millis);
        self.late = (late >= LATE_MIN).then(|| Run::after(self.late, difference, now));
        let count = self.late.map_or(0, |run| run.count);
        let late = match late {
            late if count >= if late < LIFE { STEADY_BEATS } else { 2 } => {
                (self.least, self.late) = (None, None);
                Duration::ZERO
            }
            late if late < LIFE => late,
            _ => return None,
        };
        // What it parted counts once a whole millisecond of it is there.
        match self.least {
            Some((known, _)) if known <= difference && least == known => {}
            Some(_) => self.least = Some((least.min(difference), now)),
            None => self.least = Some((difference, now)),
        }
        Some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_beat_is_as_late_as_it_took_longer_than_the_fastest() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.observe(ms(70_000), ms(1_100)), Some(ms(0)));
        assert_eq!(lateness.observe(ms(71_000), ms(2_050)), Some(ms(0)), "it was faster");
        assert_eq!(lateness.observe(ms(72_000), ms(3_100)), Some(ms(49)), "50, and 1 of drift");
        assert_eq!(lateness.observe(ms(73_000), ms(7_050)), Some(ms(2_996)), "3 s, 4 of drift");
        assert_eq!(lateness.observe(ms(74_000), ms(7_060)), Some(ms(2_006)));
        assert_eq!(lateness.observe(ms(0), ms(9_000)), Some(ms(0)), "it does not tell");
    }

    #[test]
    fn what_comes_all_at_once_after_a_long_time_proves_nothing() {
        let mut lateness = Lateness::default();
        lateness.observe(ms(1_000), ms(1_000));
        let burst = (2..6).map(|second| lateness.observe(ms(second * 1000), ms(12_000)));
        assert_eq!(burst.collect::<Vec<_>>(), [None; 4]);
        assert_eq!(lateness.observe(ms(12_100), ms(12_150)), Some(ms(39)), "it lives");
    }

    #[test]
    fn a_clock_that_stood_still_is_followed_from_the_second_beat_on() {
        let mut lateness = Lateness::default();
        lateness.observe(ms(1_000), ms(1_000));
        assert_eq!(lateness.observe(ms(2_000), ms(3_602_000)), None);
        assert_eq!(lateness.observe(ms(3_000), ms(3_603_000)), Some(ms(0)));
        assert_eq!(lateness.observe(ms(4_000), ms(3_604_100)), Some(ms(99)));
    }

    #[test]
    fn a_line_that_is_slower_for_good_is_taken_for_what_it_is() {
        let mut lateness = Lateness::default();
        lateness.observe(ms(1_000), ms(1_000));
        assert_eq!(lateness.observe(ms(2_000), ms(2_900)), Some(ms(899)));
        for at in 3..1_000 {
            lateness.observe(ms(at * 1000), ms(at * 1000 + 900));
        }
        assert_eq!(lateness.observe(ms(1_000_000), ms(1_000_900)), Some(ms(0)));
    }

    #[test]
    fn a_clock_that_stood_still_for_nearly_a_life_does_not_leave_its_node_half_dead() {
        let mut lateness = Lateness::default();
        lateness.observe(ms(1_000), ms(1_000));
        assert_eq!(lateness.observe(ms(2_000), ms(6_200)), Some(ms(4_195)));
        assert_eq!(lateness.observe(ms(3_000), ms(7_000)), Some(ms(3_995)));
        assert_eq!(lateness.observe(ms(4_000), ms(8_300)), Some(ms(0)), "so it is");
        assert_eq!(lateness.observe(ms(5_000), ms(9_100)), Some(ms(0)));
    }

    #[test]
    fn a_line_that_stalls_now_and_then_is_late_each_time() {
        let mut lateness = Lateness::default();
        lateness.observe(ms(1_000), ms(1_000));
        for at in (2..100).step_by(3) {
            // Three at once, and so on.
            let burst = [0, 1, 2]
                .map(|more| lateness.observe(ms((at + more) * 1000), ms(at * 1000 + 3_500 + more)));
            let late = burst.map(|late| late.unwrap() / 1000 * 1000);
            let least = late[2];
            assert!(late[0] >= least + ms(1_900) && least >= ms(1_300), "{burst:?}");
        }
    }

    proptest! {
        #[test]
        fn no_stamp_makes_it_fail(beats in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
            let mut lateness = Lateness::default();
            for (said, now) in beats {
                let late = lateness.observe(ms(said), ms(now));
                prop_assert!(late.is_none_or(|late| late < LIFE));
            }
        }
    }
}
