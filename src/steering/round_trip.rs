//! Round-trip times that nobody measured, estimated from distance; and which of them are ties.

/// What even the nearest client waits for: its own line, in microseconds.
///
/// The same for every site, so that it changes no order; it makes estimates comparable with measurements.
const FLOOR_US: u64 = 5_000;

/// Microseconds for 1,000 km and back: light in fibre takes 10 us a kilometre there and back, cables are about twice as
/// long as the great circle.
const PER_MEGAMETRE_US: u64 = 21_000;

/// Microseconds within which two estimates are as good as each other.
pub const TIE_US: u64 = 10_000;

/// The estimate for a distance in metres, in microseconds.
pub fn prior(metres: u64) -> u64 {
    FLOOR_US + metres * PER_MEGAMETRE_US / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_kilometres_cost_21_milliseconds_above_the_floor() {
        assert_eq!(prior(0), 5_000);
        assert_eq!(prior(1_000_000), 26_000);
    }
}
