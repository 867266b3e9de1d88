//! Reads one record of a MaxMind DB file into a place, whatever vendor's shape it has.
//! Decodes the few fields a [`Place`] has and skips the rest.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::geo::Place;
use crate::geo::Point;
use crate::geo::place::find_code;

/// Longest text taken from a record, in bytes. The longest city name there is has 168.
pub(in crate::geo) const TEXT_MAX: usize = 256;

/// Longest subdivision code, in characters (ISO 3166-2).
const SUBDIVISION_MAX: usize = 3;

/// What a record says, as far as it was understood.
#[derive(Clone, Debug, Default)]
pub(in crate::geo) struct Record {
    place: Place,
    latitude: Option<f64>,
    longitude: Option<f64>,
    radius_km: Option<u16>,
}

impl Record {
    /// The place.
    ///
    /// # Errors
    /// A text if the location is not on Earth.
    pub fn into_place(self) -> Result<Place, String> {
        let Self { mut place, latitude, longitude, radius_km } = self;
        if let (Some(latitude), Some(longitude)) = (latitude, longitude) {
            let point = Point::from_degrees(latitude, longitude);
            place.location =
                Some(point.ok_or_else(|| format!("no such location: {latitude},{longitude}"))?);
            place.accuracy_km = radius_km;
        }
        Ok(place)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::default();
        Cursor { at: At::Root, record: &mut record }.deserialize(deserializer)?;
        Ok(record)
    }
}

/// Where in a record we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Root,
    Continent,
    Country,
    Subdivisions,
    Subdivision,
    City,
    CityNames,
    Location,
    Traits,
    Latitude,
    Longitude,
    Radius,
    Asn,
}

impl At {
    /// Where `key` leads: MaxMind's and DB-IP's nested shape, and the flat ones of the others.
    fn find_child(self, key: &str) -> Option<Self> {
        Some(match (self, key) {
            (Self::Root, "continent" | "continent_code") => Self::Continent,
            (Self::Root, "country" | "country_code") => Self::Country,
            (Self::Root, "subdivisions") => Self::Subdivisions,
            (Self::Root, "region_code") => Self::Subdivision,
            (Self::Root, "city") => Self::City,
            (Self::Root, "location") => Self::Location,
            (Self::Root, "traits") => Self::Traits,
            (Self::Continent, "code") => Self::Continent,
            (Self::Country, "iso_code") => Self::Country,
            (Self::Subdivision, "iso_code") => Self::Subdivision,
            (Self::City, "names") => Self::CityNames,
            (Self::CityNames, "en") => Self::City,
            (Self::Root | Self::Location, "latitude" | "lat") => Self::Latitude,
            (Self::Root | Self::Location, "longitude" | "lng" | "lon") => Self::Longitude,
            (Self::Root | Self::Location, "accuracy_radius" | "radius") => Self::Radius,
            (Self::Root | Self::Traits, "autonomous_system_number" | "asn") => Self::Asn,
            _ => return None,
        })
    }
}

/// Takes the value at one position of a record. Values of an unexpected type are skipped.
struct Cursor<'r> {
    at: At,
    record: &'r mut Record,
}

impl Cursor<'_> {
    fn take_text(&mut self, text: &str) {
        let place = &mut self.record.place;
        match self.at {
            At::Continent => place.continent = find_code(text).or(place.continent),
            At::Country => place.country = find_code(text).or(place.country),
            At::Subdivision => {
                let code = (1..=SUBDIVISION_MAX).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if code {
                    place.subdivision = Some(text.to_ascii_uppercase().into());
                }
            }
            At::City if !text.is_empty() => place.city = Some(text.into()),
            At::Latitude | At::Longitude | At::Radius => {
                if let Ok(number) = text.trim().parse() {
                    self.take_number(number);
                }
            }
            At::Asn => {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                place.asn = digits.parse().ok().filter(|asn| *asn != 0).or(place.asn);
            }
            At::Root | At::City | At::CityNames => {}
            At::Subdivisions | At::Location | At::Traits => {}
        }
    }

    fn take_number(&mut self, number: f64) {
        match self.at {
            At::Latitude => self.record.latitude = Some(number),
            At::Longitude => self.record.longitude = Some(number),
            // `as` saturates: a radius beyond 65,535 km is the whole Earth all the same.
            At::Radius => self.record.radius_km = (number >= 0.0).then_some(number as u16),
            At::Asn if (1.0..=f64::from(u32::MAX)).contains(&number) => {
                self.record.place.asn = Some(number as u32);
            }
            At::Asn | At::Root | At::Continent | At::Country | At::Subdivisions => {}
            At::Subdivision | At::City | At::CityNames | At::Location | At::Traits => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for Cursor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cursor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a geo record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            match self.at.find_child(key) {
                Some(at) => map.next_value_seed(Cursor { at, record: &mut *self.record })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        if self.at == At::Subdivisions {
            // The first is the largest: a state, not its county.
            seq.next_element_seed(Cursor { at: At::Subdivision, record: self.record })?;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        if text.len() > TEXT_MAX {
            return Err(E::custom(format!("a text of {} bytes, over {TEXT_MAX}", text.len())));
        }
        self.take_text(text);
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        self.take_number(number);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(json: &'static str) -> String {
        let record: Record = serde_json::from_str(json).unwrap();
        record.into_place().unwrap().to_string()
    }

    #[test]
    fn reads_the_nested_shape_of_maxmind_and_db_ip() {
        let nested = r#"{"continent":{"code":"NA","names":{"en":"North America"}},
            "country":{"iso_code":"US","geoname_id":1}, "registered_country":{"iso_code":"CA"},
            "subdivisions":[{"iso_code":"CA"},{"iso_code":"X"}],
            "city":{"names":{"de":"San Franzisko","en":"San Francisco"}},
            "location":{"latitude":37.77,"longitude":-122.42,"accuracy_radius":20},
            "traits":{"autonomous_system_number":64496,"is_anycast":true}}"#;
        assert_eq!(place(nested), "NA US CA San Francisco 37.770,-122.420 ±20 km AS64496");
    }

    #[test]
    fn reads_flat_shapes_with_strings() {
        let flat = r#"{"asn":"AS64497","city":"Paris","continent":"Europe","continent_code":"EU",
            "country":"France","country_code":"fr","lat":"48.85","lng":"2.35","region_code":"IDF"}"#;
        assert_eq!(place(flat), "EU FR IDF Paris 48.850,2.350 AS64497");
        assert_eq!(place(r#"{"country":"DE","latitude":50.1,"longitude":8.7}"#), "DE 50.100,8.700");
    }

    #[test]
    fn values_of_unexpected_types_are_skipped() {
        let odd = r#"{"country":["DE"],"city":7,"location":"here","asn":{"x":1},"traits":null_}"#
            .replace("null_", "false");
        let record: Record = serde_json::from_str(&odd).unwrap();
        assert!(record.into_place().unwrap().is_unknown());
    }

    #[test]
    fn impossible_locations_and_endless_names_are_refused() {
        let record: Record = serde_json::from_str(r#"{"lat":91,"lng":0}"#).unwrap();
        assert!(record.into_place().unwrap_err().contains("91"));
        let long = format!(r#"{{"city":"{}"}}"#, "x".repeat(TEXT_MAX + 1));
        assert!(serde_json::from_str::<Record>(&long).is_err());
    }
}
