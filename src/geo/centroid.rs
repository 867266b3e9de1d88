//! What follows from a country when nothing finer is known: its continent, and its centre for a location.
//! Does not say where a network is; [`countries`](crate::geo::countries) has the numbers.

use crate::geo::Place;
use crate::geo::Point;
use crate::geo::countries::COUNTRIES;
use crate::geo::countries::Country;
use crate::geo::countries::SUBDIVISIONS;

/// Continents by code, and their names in English.
const CONTINENTS: [([u8; 2], &str); 8] = [
    (*b"AF", "Africa"),
    (*b"AN", "Antarctica"),
    (*b"AS", "Asia"),
    (*b"EU", "Europe"),
    (*b"NA", "North America"),
    (*b"OC", "Oceania"),
    (*b"OC", "Australia"),
    (*b"SA", "South America"),
];

impl Place {
    /// Whether [`Place::with_centre`] may add to it.
    pub(in crate::geo) fn lacks_centre(&self) -> bool {
        self.country.is_some() && (self.continent.is_none() || self.location.is_none())
    }

    /// This place, with the continent of its country and, if it has no location, a centre: that of its subdivision,
    /// else of its country. The radius is that of a circle with the land's area.
    pub fn with_centre(mut self) -> Self {
        let Some(code) = self.country else { return self };
        let Some(&(_, continent, latitude, longitude, radius_km, _)) = find_country(code) else {
            return self;
        };
        self.continent = self.continent.or(Some(continent));
        if self.location.is_some() {
            return self;
        }
        let part = self.subdivision.as_deref().and_then(|part| find_subdivision(code, part));
        let (latitude, longitude, radius_km) = part.unwrap_or((latitude, longitude, radius_km));
        let degrees = |tenths: i16| f64::from(tenths) / 10.0;
        self.location = Point::from_degrees(degrees(latitude), degrees(longitude));
        self.accuracy_km = Some(radius_km);
        self
    }
}

/// The continent of a country, if the code is one of ISO 3166-1.
pub(in crate::geo) fn continent_of(country: [u8; 2]) -> Option<[u8; 2]> {
    find_country(country).map(|&(_, continent, ..)| continent)
}

/// Whether there is a country of this code.
pub(in crate::geo) fn is_country(code: [u8; 2]) -> bool {
    find_country(code).is_some()
}

fn find_country(code: [u8; 2]) -> Option<&'static Country> {
    let at = COUNTRIES.binary_search_by_key(&code, |country| country.0).ok()?;
    Some(&COUNTRIES[at])
}

fn find_subdivision(country: [u8; 2], part: &str) -> Option<(i16, i16, u16)> {
    let key = |row: &(_, &'static str, _, _, _)| (row.0, row.1);
    let at = SUBDIVISIONS.binary_search_by_key(&(country, part), key).ok()?;
    let (_, _, latitude, longitude, radius_km) = SUBDIVISIONS[at];
    Some((latitude, longitude, radius_km))
}

/// The code of a country by one of its names in English.
pub(in crate::geo) fn find_country_named(name: &str) -> Option<[u8; 2]> {
    let has = |country: &&Country| country.5.iter().any(|known| known.eq_ignore_ascii_case(name));
    COUNTRIES.iter().find(has).map(|country| country.0)
}

/// The code of a continent by its code or its name in English.
pub(in crate::geo) fn find_continent(text: &str) -> Option<[u8; 2]> {
    let is = |known: &&([u8; 2], &str)| {
        known.0.eq_ignore_ascii_case(text.as_bytes()) || known.1.eq_ignore_ascii_case(text)
    };
    CONTINENTS.iter().find(is).map(|known| known.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn centre(country: &[u8; 2], part: Option<&str>) -> String {
        let subdivision = part.map(Into::into);
        Place { country: Some(*country), subdivision, ..Place::default() }.with_centre().to_string()
    }

    #[test]
    fn every_country_of_iso_3166_has_a_centre_on_earth_and_stands_once_in_order() {
        assert_eq!(COUNTRIES.len(), 249);
        assert!(COUNTRIES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SUBDIVISIONS.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
        for (code, continent, latitude, longitude, radius_km, names) in COUNTRIES {
            assert!((-900..=900).contains(&latitude) && (-1800..=1800).contains(&longitude));
            assert!(CONTINENTS.iter().any(|known| known.0 == continent) && radius_km > 0);
            assert!(!names.is_empty(), "{code:?}");
            for name in names {
                assert_eq!(find_country_named(name), Some(code), "{name} is one country's");
            }
        }
        assert!(SUBDIVISIONS.iter().all(|part| find_country(part.0).is_some() && part.4 > 0));
    }

    #[test]
    fn a_country_alone_gets_its_centre_and_a_state_its_own() {
        assert_eq!(centre(b"DE", None), "EU DE 51.100,10.400 ±337 km");
        assert_eq!(centre(b"US", Some("CA")), "NA US CA 37.200,-119.500 ±367 km");
        assert_eq!(centre(b"DE", Some("HE")), "EU DE HE 51.100,10.400 ±337 km");
        assert_eq!(centre(b"XX", None), "XX");
    }

    #[test]
    fn a_location_of_its_own_stays_with_its_own_radius() {
        let place = Place {
            country: Some(*b"FR"),
            location: Point::from_degrees(43.3, 5.4),
            ..Place::default()
        };
        assert_eq!(place.with_centre().to_string(), "EU FR 43.300,5.400");
        assert!(Place::default().with_centre().is_unknown());
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find_country_named("united states"), Some(*b"US"));
        assert_eq!(find_country_named("Atlantis"), None);
        assert_eq!(find_continent("Europe"), Some(*b"EU"));
        assert_eq!(find_continent("na"), Some(*b"NA"));
    }
}
