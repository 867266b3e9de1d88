//! What distance alone says of a round-trip time: what to expect, and what cannot be. Measures no distance.

/// Round-trip time of any path before distance counts, in microseconds: access network and servers.
pub const FLOOR_US: i64 = 5_000;

/// Microseconds of round trip to expect for a kilometre of great circle: fibre needs 10, and paths are twice as long
/// as great circles (0.021 ms/km, the slope that measurements between cities show).
pub const US_PER_KM: i64 = 21;

/// Microseconds of round trip that no path beats for a kilometre: light in fibre goes about 200 km a millisecond, one way.
pub const LIGHT_US_PER_KM: i64 = 10;

/// What to expect where a client's place is not known, in microseconds: the same for every site.
pub const UNKNOWN_US: i64 = 100_000;

/// The round-trip time to expect over `metres`, in microseconds.
pub fn expected_us(metres: Option<u64>) -> i64 {
    metres.map_or(UNKNOWN_US, |metres| FLOOR_US + micros(metres, US_PER_KM))
}

/// The shortest round-trip time over `metres`, if the client may be `slack_m` metres from where it is thought to be.
pub fn shortest_us(metres: u64, slack_m: u64) -> i64 {
    micros(metres.saturating_sub(slack_m), LIGHT_US_PER_KM)
}

fn micros(metres: u64, us_per_km: i64) -> i64 {
    // No two points are more than 20,038 km apart.
    metres.min(21_000_000) as i64 * us_per_km / 1000
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
        assert_eq!(expected_us(Some(0)), FLOOR_US);
        assert_eq!(expected_us(None), UNKNOWN_US);
    }
}
