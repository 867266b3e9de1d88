//! What distance alone says of a round-trip time: what to expect, and what cannot be. Measures no distance.

use crate::steering::round_trip;

/// Microseconds of round trip that no path beats for a kilometre: light in fibre goes about 200 km a millisecond, one way.
pub const LIGHT_US_PER_KM: i64 = 10;

/// The round-trip time to expect over `metres`, in microseconds; where they are not known the same for every site.
pub fn expected_us(metres: Option<u64>) -> i64 {
    metres.map_or(round_trip::PRIOR_UNKNOWN_US, round_trip::prior) as i64
}

/// The shortest round-trip time over `metres`, if the client may be `slack_m` metres from where it is thought to be.
pub fn shortest_us(metres: u64, slack_m: u64) -> i64 {
    // No two points are more than 20,038 km apart.
    metres.saturating_sub(slack_m).min(21_000_000) as i64 * LIGHT_US_PER_KM / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_kilometres_are_expected_to_take_26_ms_and_cannot_take_less_than_10() {
        assert_eq!(expected_us(Some(1_000_000)), 26_000);
        assert_eq!(shortest_us(1_000_000, 0), 10_000);
        assert_eq!(shortest_us(1_000_000, 250_000), 7_500);
        assert_eq!(shortest_us(1_000_000, 2_000_000), 0);
        assert_eq!(expected_us(None), 100_000);
    }
}
