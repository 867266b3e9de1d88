//! When a target is probed next: a fixed grid of slots, spread over the targets, moved by jitter.
//!
//! Slots lie at `phase + k * interval` from the start of the clock for ever, so nothing drifts; a slot
//! that passed while a probe was still running is skipped. Does not keep timers.

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::model::Check;

/// Shortest interval the grid works with; config allows none this short.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Key of the hash that spreads targets; a constant, so that a restart keeps the order of probes.
const SPREAD_KEY: (u64, u64) = (0x7268_756d_625f_7072, 0x6f62_655f_7068_6173);

/// The grid of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    jitter_percent: u8,
    /// Where in its interval the probe stands: a share of 2^32.
    spread: u32,
    /// Number of the slot that was handed out last.
    slot: u64,
}

impl Schedule {
    /// The grid of a check at an address; its phase comes of the address, the port and the name of the check.
    pub fn new(address: IpAddr, check: &Check) -> Self {
        Self {
            interval: check.interval.max(INTERVAL_MIN),
            jitter_percent: check.jitter_percent,
            spread: spread(address, check),
            slot: 0,
        }
    }

    /// When a target that was known before is probed next: in its slot, at most one interval from `now`.
    pub fn first(&mut self, now: Duration) -> Duration {
        self.slot = self.slot_from(now);
        self.time_of(self.slot)
    }

    /// When a never-known target is probed first: within `window` and within an interval, spread over the shorter.
    pub fn first_within(&mut self, window: Duration, now: Duration) -> Duration {
        self.slot = self.slot_from(now).saturating_sub(1);
        now + share(self.interval.min(window), self.spread)
    }

    /// When the next probe is due, after one that began at `started` and is over at `now`.
    ///
    /// `random` is uniform over all of `u32` and moves the slot by up to the jitter either way. The
    /// result is never before `now`, nor less than half an interval after `started`.
    pub fn next(&mut self, started: Duration, now: Duration, random: u32) -> Duration {
        self.slot = self.slot_from(now).max(self.slot + 1);
        let due = self.moved(self.time_of(self.slot), random);
        due.max(started + self.interval / 2).max(now)
    }

    /// The first slot at or after `now`.
    fn slot_from(&self, now: Duration) -> u64 {
        let since_phase = now.saturating_sub(share(self.interval, self.spread));
        let slot = since_phase.as_nanos().div_ceil(self.interval.as_nanos());
        u64::try_from(slot).unwrap_or(u64::MAX - 1)
    }

    fn time_of(&self, slot: u64) -> Duration {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(slot));
        let since_phase = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        since_phase.saturating_add(share(self.interval, self.spread))
    }

    fn moved(&self, slot: Duration, random: u32) -> Duration {
        let jitter = self.interval * u32::from(self.jitter_percent) / 100;
        (slot + share(jitter * 2, random)).saturating_sub(jitter)
    }
}

/// `whole * part / 2^32`.
fn share(whole: Duration, part: u32) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(part)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The same number for the same check at the same address, whatever runs and restarts.
fn spread(address: IpAddr, check: &Check) -> u32 {
    let mut hasher = SipHasher24::new_with_keys(SPREAD_KEY.0, SPREAD_KEY.1);
    match address {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write(&check.port.to_be_bytes());
    hasher.write(check.name.as_bytes());
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use super::spread;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::Sources;
    use crate::model::Talk;
    use proptest::prelude::*;
    use std::net::IpAddr;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn check(interval: Duration, jitter_percent: u8) -> Check {
        Check {
            name: "tcp".into(),
            kind: CheckKind::Tcp(Talk::default()),
            port: 80,
            source: Sources::default(),
            invert: false,
            interval,
            timeout: Duration::from_secs(1),
            fall: 3,
            rise: 5,
            hold_down: Duration::ZERO,
            damping: None,
            jitter_percent,
            degraded: Vec::new(),
            voting: crate::model::Voting::default(),
        }
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn schedule(number: u32, interval: Duration, jitter_percent: u8) -> Schedule {
        Schedule::new(address(number), &check(interval, jitter_percent))
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_phase_depends_on_place_and_check_alone_and_fills_the_interval() {
        let mut tenths = [0; 10];
        for number in 0..1000 {
            let first = |at| schedule(number, ms(10_000), 0).first(at);
            assert_eq!(first(ms(0)), first(ms(0)));
            assert_eq!(first(ms(10_000)), first(ms(0)) + ms(10_000));
            tenths[(first(ms(0)).as_millis() / 1000) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_spread_never_changes_and_sees_address_port_and_check() {
        let check = check(ms(1000), 0);
        let one = spread(address(1), &check);
        assert_eq!(one, 2_667_628_694);
        assert_ne!(one, spread(address(2), &check));
        assert_ne!(one, spread("2001:db8::1".parse().unwrap(), &check));
        assert_ne!(one, spread(address(1), &Check { name: "web".into(), ..check.clone() }));
        assert_ne!(one, spread(address(1), &Check { port: 443, ..check.clone() }));
        assert_eq!(one, spread(address(1), &Check { fall: 9, interval: ms(1), ..check.clone() }));
    }

    #[test]
    fn a_never_known_target_is_probed_within_the_window_and_a_known_one_in_its_slot() {
        let mut later_than_a_second = 0;
        for number in 0..100 {
            let now = ms(123_456);
            let mut schedule = schedule(number, ms(30_000), 20);
            for window in [ms(1000), ms(7000)] {
                let first = schedule.clone().first_within(window, now);
                assert!(first >= now && first <= now + window);
            }
            let first = schedule.first(now);
            assert!(first >= now && first <= now + ms(30_000));
            later_than_a_second += u32::from(first > now + ms(1000));
        }
        assert!(later_than_a_second > 50);
    }

    #[test]
    fn a_never_known_target_of_a_short_interval_is_probed_within_that_interval() {
        for number in 0..100 {
            let first = schedule(number, ms(200), 0).first_within(ms(20_000), ms(0));
            assert!(first <= ms(200));
        }
    }

    #[test]
    fn slots_that_passed_during_a_long_probe_are_skipped() {
        let mut schedule = schedule(1, ms(1000), 0);
        let first = schedule.first(ms(5000));
        let next = schedule.next(first, first + ms(3500), 0);
        assert_eq!(next, first + ms(4000));
        assert_eq!(schedule.next(next, next + ms(1), 0), next + ms(1000));
    }

    proptest! {
        #[test]
        fn probes_stay_on_the_grid_and_half_an_interval_apart(
            number in 0u32..1000,
            interval_ms in 10u64..60_000,
            jitter_percent in 0u8..=50,
            is_known: bool,
            start_ms in 0u64..1_000_000,
            steps in prop::collection::vec((any::<u32>(), 0u64..90_000), 1..100),
        ) {
            let interval = ms(interval_ms);
            let mut schedule = schedule(number, interval, jitter_percent);
            let phase = schedule.clone().first(ms(0));
            let mut started = match is_known {
                true => schedule.first(ms(start_ms)),
                false => schedule.first_within(ms(1000), ms(start_ms)),
            };
            for (random, took_ms) in steps {
                let now = started + ms(took_ms.min(interval_ms * 3));
                let due = schedule.next(started, now, random);
                prop_assert!(due >= now);
                prop_assert!(due >= started + interval / 2);
                prop_assert!(due <= now + interval * 2);
                if jitter_percent == 0 && due > now && due > started + interval / 2 {
                    prop_assert_eq!((due - phase).as_nanos() % interval.as_nanos(), 0);
                }
                started = due;
            }
        }

        #[test]
        fn never_drifts(number in 0u32..1000, randoms in prop::collection::vec(any::<u32>(), 1..300)) {
            let interval = ms(1000);
            let mut schedule = schedule(number, interval, 50);
            let first = schedule.first(ms(0));
            let mut due = first;
            let count = randoms.len() as u32;
            for random in randoms {
                due = schedule.next(due, due + ms(1), random);
            }
            let slot = first + interval * count;
            prop_assert!(due + interval / 2 >= slot && due <= slot + interval, "{due:?} {slot:?}");
        }
    }
}
