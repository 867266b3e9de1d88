//! Where an address is, as far as geo data knows. Does not know addresses.

use std::fmt;

use crate::geo::centroid;

/// Micro-degrees in a degree: the resolution of a [`Point`], about 11 cm.
const MICRO: f64 = 1e6;

/// A point on Earth, kept in whole micro-degrees so that equal points are equal bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    latitude_micro: i32,
    longitude_micro: i32,
}

impl Point {
    /// The point at these degrees, rounded to micro-degrees.
    ///
    /// `None` unless latitude is in -90..=90 and longitude in -180..=180.
    pub fn from_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let inside = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        inside.then(|| Self {
            latitude_micro: (latitude * MICRO).round() as i32,
            longitude_micro: (longitude * MICRO).round() as i32,
        })
    }

    /// Degrees north of the equator, -90..=90.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_micro) / MICRO
    }

    /// Degrees east of Greenwich, -180..=180.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_micro) / MICRO
    }

    /// Latitude and longitude in micro-degrees.
    pub fn micro_degrees(self) -> (i32, i32) {
        (self.latitude_micro, self.longitude_micro)
    }
}

/// What geo data says about a network. Every field may be absent; all absent is "unknown".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Continent code: AF, AN, AS, EU, NA, OC or SA.
    pub continent: Option<[u8; 2]>,
    /// ISO 3166-1 alpha-2 code, upper case.
    pub country: Option<[u8; 2]>,
    /// Part after the dash of the ISO 3166-2 code: "CA" of "US-CA".
    pub subdivision: Option<Box<str>>,
    /// City name in English.
    pub city: Option<Box<str>>,
    /// Best guess of the position.
    pub location: Option<Point>,
    /// Radius around `location` that holds most of the users, in kilometres.
    pub accuracy_km: Option<u16>,
    /// Autonomous system number of the network.
    pub asn: Option<u32>,
    /// Whether the network's owner says that it has no location (RFC 8805 section 2.1.2): nothing but the autonomous
    /// system is filled in from elsewhere.
    pub is_withheld: bool,
    /// What other tables have for the network.
    pub rows: Rows,
}

/// A table beside geo data that knows networks, see [`PlaceMap::refined`](crate::geo::PlaceMap::refined).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Networks that rules of policies name.
    Networks,
    /// Measured round-trip times.
    RoundTrips,
}

/// A row number for each [`Table`]; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rows([u32; 2]);

impl Rows {
    /// The row of a table; 0 is none.
    pub fn row(self, table: Table) -> u32 {
        self.0[table as usize]
    }

    /// These rows, with another one of a table.
    pub fn with(mut self, table: Table, row: u32) -> Self {
        self.0[table as usize] = row;
        self
    }

    /// Every row.
    pub fn all(self) -> [u32; 2] {
        self.0
    }
}

impl Place {
    /// Whether no field is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// This place, with what is absent filled from `other`.
    ///
    /// Own fields always win. From the first field on, coarse to fine, that both know and disagree
    /// about, nothing finer is taken: "DE" is not completed by a "Paris" of FR. The radius comes
    /// along only with its own location. The autonomous system is filled in any case.
    pub fn filled_from(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        merged.asn = self.asn.or(other.asn);
        // A country says more than the continent of another one.
        let is_elsewhere = matches!((self.country, other.country), (Some(a), Some(b)) if a != b);
        if self.is_withheld
            || is_elsewhere
            || !fill(&mut merged.continent, &other.continent)
            || !fill(&mut merged.country, &other.country)
            || !fill(&mut merged.subdivision, &other.subdivision)
            || !fill(&mut merged.city, &other.city)
        {
            return merged;
        }
        if self.location.is_none() && other.location.is_some() {
            merged.location = other.location;
            merged.accuracy_km = other.accuracy_km;
        }
        merged
    }
}

/// Fills `own` from `other` if it is absent; false if both are known and differ.
fn fill<T: Clone + PartialEq>(own: &mut Option<T>, other: &Option<T>) -> bool {
    match (&own, other) {
        (Some(mine), Some(theirs)) => mine == theirs,
        (Some(_), None) => true,
        (None, theirs) => {
            *own = theirs.clone();
            true
        }
    }
}

/// For people: `EU DE HE Frankfurt 50.110,8.680 ±20 km AS64496`, or `unknown`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for code in [self.continent, self.country].into_iter().flatten() {
            words.push(code_text(code));
        }
        words.extend([&self.subdivision, &self.city].into_iter().flatten().map(|s| s.to_string()));
        if let Some(point) = self.location {
            words.push(format!("{:.3},{:.3}", point.latitude(), point.longitude()));
        }
        if let Some(km) = self.accuracy_km {
            words.push(format!("±{km} km"));
        }
        if let Some(asn) = self.asn {
            words.push(format!("AS{asn}"));
        }
        if self.is_withheld {
            words.push("location withheld".into());
        }
        if words.is_empty() {
            return f.pad("unknown");
        }
        f.pad(&words.join(" "))
    }
}

/// A two-letter code as text; bytes that are not ASCII show as `?`.
pub fn code_text(code: [u8; 2]) -> String {
    code.iter().map(|byte| if byte.is_ascii_graphic() { *byte as char } else { '?' }).collect()
}

/// Reads a two-letter code in either case; `None` if it is anything else.
pub fn find_code(text: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|byte| byte.to_ascii_uppercase()))
}

/// Codes of all continents.
pub const CONTINENTS: [[u8; 2]; 7] = [*b"AF", *b"AN", *b"AS", *b"EU", *b"NA", *b"OC", *b"SA"];

/// Whether ISO 3166-1 has a country of this code.
pub fn is_country(code: [u8; 2]) -> bool {
    centroid::is_country(code)
}

/// The continent of a country, if there is such a country.
pub fn continent_of(country: [u8; 2]) -> Option<[u8; 2]> {
    centroid::continent_of(country)
}

/// The code of the country of this English name, in any case.
pub fn find_country_named(name: &str) -> Option<[u8; 2]> {
    centroid::find_country_named(name)
}

/// A place in one [`PlaceMap`](crate::geo::PlaceMap).
///
/// Lives inside one snapshot: never log or send it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

impl PlaceId {
    /// The place nothing is known about; the same in every map.
    pub const UNKNOWN: Self = Self(0);

    /// The position as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frankfurt() -> Place {
        Place {
            continent: Some(*b"EU"),
            country: Some(*b"DE"),
            subdivision: Some("HE".into()),
            city: Some("Frankfurt".into()),
            location: Point::from_degrees(50.11, 8.68),
            accuracy_km: Some(20),
            asn: Some(64496),
            is_withheld: false,
            rows: Rows::default(),
        }
    }

    #[test]
    fn shows_all_fields_to_people_and_unknown_for_none() {
        assert_eq!(frankfurt().to_string(), "EU DE HE Frankfurt 50.110,8.680 ±20 km AS64496");
        assert_eq!(Place::default().to_string(), "unknown");
    }

    #[test]
    fn points_outside_earth_are_refused() {
        assert!(Point::from_degrees(90.0, -180.0).is_some());
        assert!(Point::from_degrees(90.1, 0.0).is_none());
        assert!(Point::from_degrees(0.0, 180.1).is_none());
        assert!(Point::from_degrees(f64::NAN, 0.0).is_none());
        assert!(Point::from_degrees(0.0, f64::INFINITY).is_none());
    }

    #[test]
    fn absent_fields_are_filled_and_own_fields_win() {
        let asn_only = Place { asn: Some(65536), ..Place::default() };
        let filled = asn_only.filled_from(&frankfurt());
        assert_eq!(filled, Place { asn: Some(65536), ..frankfurt() });
        let country_only = Place { country: Some(*b"DE"), ..Place::default() };
        assert_eq!(country_only.filled_from(&frankfurt()), frankfurt());
    }

    #[test]
    fn nothing_finer_than_a_disagreement_is_filled() {
        let france = Place { country: Some(*b"FR"), ..Place::default() };
        let filled = france.filled_from(&frankfurt());
        assert_eq!(filled, Place { asn: Some(64496), ..france });
    }

    #[test]
    fn what_is_withheld_is_filled_with_nothing_but_the_autonomous_system() {
        let withheld = Place { is_withheld: true, ..Place::default() };
        let filled = withheld.filled_from(&frankfurt());
        assert_eq!(filled.to_string(), "AS64496 location withheld");
        assert!(!withheld.is_unknown());
    }

    #[test]
    fn a_radius_never_joins_a_foreign_location() {
        let own = Place { location: Point::from_degrees(1.0, 2.0), ..Place::default() };
        assert_eq!(own.filled_from(&frankfurt()).accuracy_km, None);
    }
}
