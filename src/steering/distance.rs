//! Great-circle distances, the same to the metre on every machine, and which of them are ties.

use crate::model::Location;
use crate::model::policy::Bias;

/// Mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Metres between two points, by the haversine formula, rounded.
///
/// Uses the pure-Rust `libm`, not the system's: a last bit of difference would send one client to two places.
pub fn metres(a: Location, b: Location) -> u64 {
    let (lat_a, lat_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half_lat = libm::sin((lat_b - lat_a) / 2.0);
    let half_lon = libm::sin((b.longitude - a.longitude).to_radians() / 2.0);
    let h = half_lat * half_lat + libm::cos(lat_a) * libm::cos(lat_b) * half_lon * half_lon;
    (2.0 * EARTH_RADIUS_M * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)))) as u64
}

/// Radii that are told apart, in kilometres: those that MaxMind writes, without the smallest.
const RADII_KM: [u16; 8] = [0, 10, 20, 50, 100, 200, 500, 1000];

/// Radius of a location without one, in kilometres: the distance within which vendors of city databases count a
/// location as right. Who knows better writes a radius into an overlay.
const RADIUS_UNKNOWN_KM: u16 = 50;

/// How far from its location a client may be: one of few steps, so that classes stay few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Radius {
    metres: u64,
}

impl Radius {
    /// The next step above a radius in kilometres; 1,000 km for all that is more, 50 km for none.
    pub fn of(accuracy_km: Option<u16>) -> Self {
        let accuracy_km = accuracy_km.unwrap_or(RADIUS_UNKNOWN_KM);
        let step = RADII_KM.into_iter().find(|step| *step >= accuracy_km);
        let kilometres = step.unwrap_or(RADII_KM[RADII_KM.len() - 1]);
        Self { metres: u64::from(kilometres) * 1000 }
    }

    /// Whether two distances, the nearer one first, are as good as each other.
    pub fn ties(self, nearer: u64, farther: u64) -> bool {
        farther - nearer < self.metres.max(1)
    }

    /// Most metres by which a distance may be longer than another that is as good.
    pub fn slack(self) -> u64 {
        self.metres.saturating_sub(1)
    }
}

/// A distance after bias: a target with a factor of 1.2 counts as 1.2 times nearer.
pub fn biased(metres: u64, bias: Bias) -> u64 {
    match bias {
        Bias::Factor(thousandths) => metres * 1000 / u64::from(thousandths.max(1)),
        Bias::Metres(taken) => metres.saturating_add_signed(taken.saturating_neg()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::rank::groups;

    #[test]
    fn radii_are_taken_to_the_next_step_above() {
        let metres = |km| Radius::of(km).metres;
        assert_eq!([Some(0), Some(1), Some(10), Some(11)].map(metres), [0, 10_000, 10_000, 20_000]);
        assert_eq!([Some(1000), Some(u16::MAX), None].map(metres), [1_000_000, 1_000_000, 50_000]);
    }

    #[test]
    fn what_is_less_than_the_radius_farther_ties_and_ties_stand_as_written() {
        let order =
            |distances: &[u64], km| groups(distances, Radius::of(Some(km)).slack(), None).concat();
        assert_eq!(order(&[30_000, 10_000, 20_000], 0), [1, 2, 0]);
        assert_eq!(order(&[30_000, 10_001, 20_000], 20), [0, 1, 2]);
        assert_eq!(order(&[30_000, 10_000, 20_000], 20), [1, 2, 0], "just not less");
        assert_eq!(order(&[7, 7, 7], 0), [0, 1, 2]);
    }

    #[test]
    fn a_tie_is_with_the_nearest_and_not_with_a_neighbour() {
        // 0 and 8 tie, 8 and 16 would, but 16 is measured from 0; then 16 and 24 tie.
        let distances = [24_000, 16_000, 8_000, 0];
        assert_eq!(groups(&distances, Radius::of(Some(10)).slack(), None).concat(), [2, 3, 0, 1]);
        assert_eq!(
            groups(&[u64::MAX, 5, u64::MAX], Radius::of(Some(1000)).slack(), None).concat(),
            [1, 0, 2]
        );
    }

    #[test]
    fn distances_agree_with_the_atlas() {
        let frankfurt = Location { latitude: 50.11, longitude: 8.68 };
        let ashburn = Location { latitude: 38.95, longitude: -77.45 };
        let auckland = Location { latitude: -36.85, longitude: 174.76 };
        assert_eq!(metres(frankfurt, ashburn) / 1000, 6553);
        assert_eq!(metres(frankfurt, frankfurt), 0);
        assert_eq!(metres(auckland, frankfurt), metres(frankfurt, auckland));
        assert_eq!(biased(6_000, Bias::Factor(1200)), 5_000);
        assert_eq!(biased(6_000, Bias::Metres(1000)), 5_000);
        assert_eq!(biased(6_000, Bias::Metres(-1000)), 7_000);
        assert_eq!(biased(6_000, Bias::Metres(7000)), 0);
    }
}
