//! Round-trip times from a node to the targets of a shard, as it says them: one octet each, in steps of a fifth.
//!
//! ```text
//!   0   1                         9
//!   +---+-------------------------+- - - -+
//!   | 1 | layout of the shard     | codes | one each: 0 none, n: 0.1 ms x 2^((n - 1) / 4)
//!   +---+-------------------------+- - - -+
//! ```

use std::time::Duration;

/// Version that this one writes and reads.
const VERSION: u8 = 1;
/// Where codes begin.
const CODES: usize = 9;
/// The time of the first code, in microseconds.
const FIRST_US: f64 = 100.0;
/// Codes that double a time.
const STEPS: f64 = 4.0;
/// The last code: nearly an hour.
const CODE_MAX: f64 = 120.0;

/// The nearest code of a time.
pub fn code(time: Duration) -> u8 {
    let us = (time.as_secs_f64() * 1e6).max(FIRST_US);
    (1.0 + ((us / FIRST_US).log2() * STEPS).round()).min(CODE_MAX) as u8
}

/// The time of a code; `None` if there is none.
pub fn time_of(code: u8) -> Option<Duration> {
    let steps = f64::from(code.checked_sub(1)?).min(CODE_MAX) / STEPS;
    Some(Duration::from_secs_f64(FIRST_US * steps.exp2() / 1e6))
}

/// Whether a code says something else than another: a step to either side is noise.
pub fn is_news(before: u8, after: u8) -> bool {
    (before == 0) != (after == 0) || before.abs_diff(after) > 1
}

/// A shard as it is said.
pub fn pack(layout: u64, codes: &[u8]) -> Box<[u8]> {
    let mut octets = vec![VERSION];
    octets.extend(layout.to_be_bytes());
    octets.extend(codes);
    octets.into()
}

/// The codes of a shard of `count` targets by that layout; `None` if it is of another.
pub fn unpack(octets: &[u8], layout: u64, count: usize) -> Option<&[u8]> {
    let (head, codes) = octets.split_at_checked(CODES)?;
    let is_of = head[0] == VERSION && head[1..] == layout.to_be_bytes() && codes.len() == count;
    is_of.then_some(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_comes_back_within_a_tenth() {
        for us in [100, 150, 999, 1000, 12_345, 180_000, 2_000_000, 59_000_000] {
            let time = Duration::from_micros(us);
            let back = time_of(code(time)).unwrap();
            let ratio = back.as_secs_f64() / time.as_secs_f64();
            assert!((0.91..1.1).contains(&ratio), "{time:?} {back:?}");
        }
        assert_eq!((code(Duration::ZERO), time_of(0)), (1, None));
        assert_eq!(code(Duration::MAX), CODE_MAX as u8);
    }

    #[test]
    fn a_step_is_no_news_and_two_are() {
        assert!(!is_news(40, 41) && !is_news(41, 40) && !is_news(0, 0));
        assert!(is_news(40, 42) && is_news(0, 1) && is_news(1, 0));
    }

    proptest! {
        #[test]
        fn a_shard_is_read_by_its_own_layout_only(
            layout: u64, other: u64, codes in prop::collection::vec(any::<u8>(), 0..256)
        ) {
            let said = pack(layout, &codes);
            prop_assert_eq!(unpack(&said, layout, codes.len()), Some(&codes[..]));
            prop_assert_eq!(unpack(&said, layout, codes.len() + 1), None);
            if other != layout {
                prop_assert_eq!(unpack(&said, other, codes.len()), None);
            }
        }

        #[test]
        fn any_octets_and_codes_are_taken(
            octets in prop::collection::vec(any::<u8>(), 0..300), count in 0usize..300, code: u8
        ) {
            let _ = unpack(&octets, 1, count);
            prop_assert_eq!(time_of(code).is_some(), code > 0);
        }
    }
}
