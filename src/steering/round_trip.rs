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

/// Where the place of clients is not known, what comes on top of the prior comes on top of this: no site is nearer.
pub const PRIOR_UNKNOWN_US: u64 = 100_000;

/// What was measured of the way from some clients to a site, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Measured {
    /// Nothing.
    #[default]
    Nothing,
    /// From these clients: the whole estimate.
    Total(u32),
    /// From clients of their kind: what comes on top of the prior, or is less.
    OnTop(i32),
}

impl Measured {
    /// The estimate, if anything is known: measured, or at least how far it is.
    pub fn estimate(self, prior: Option<u64>) -> Option<u64> {
        match self {
            Self::Nothing => prior,
            Self::Total(micros) => Some(micros.into()),
            Self::OnTop(micros) => {
                Some(prior.unwrap_or(PRIOR_UNKNOWN_US).saturating_add_signed(micros.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_kilometres_cost_21_milliseconds_above_the_floor() {
        assert_eq!(prior(0), 5_000);
        assert_eq!(prior(1_000_000), 26_000);
    }

    #[test]
    fn what_is_measured_replaces_the_prior_or_is_added_to_it() {
        assert_eq!(Measured::Nothing.estimate(Some(26_000)), Some(26_000));
        assert_eq!(Measured::Nothing.estimate(None), None);
        assert_eq!(Measured::Total(9_000).estimate(Some(26_000)), Some(9_000));
        assert_eq!(Measured::OnTop(-6_000).estimate(Some(26_000)), Some(20_000));
        assert_eq!(Measured::OnTop(-60_000).estimate(Some(26_000)), Some(0));
        assert_eq!(Measured::OnTop(5_000).estimate(None), Some(105_000));
    }
}
