//! Great-circle distances, the same to the metre on every machine.

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

/// A distance after bias: a target with bias 1.2 counts as 1.2 times nearer.
pub fn biased(metres: u64, bias: Bias) -> u64 {
    metres * 1000 / u64::from(bias.0.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_agree_with_the_atlas() {
        let frankfurt = Location { latitude: 50.11, longitude: 8.68 };
        let ashburn = Location { latitude: 38.95, longitude: -77.45 };
        let auckland = Location { latitude: -36.85, longitude: 174.76 };
        assert_eq!(metres(frankfurt, ashburn) / 1000, 6553);
        assert_eq!(metres(frankfurt, frankfurt), 0);
        assert_eq!(metres(auckland, frankfurt), metres(frankfurt, auckland));
        assert_eq!(biased(6_000, Bias(1200)), 5_000);
    }
}
