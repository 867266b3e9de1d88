//! Reads one record of a MaxMind DB file into a place, by the rules of its shape.
//! What a vendor wrote wrongly is left out and counted; what contradicts the format is damage.

use std::str;

use crate::geo::Place;
use crate::geo::Point;
use crate::geo::centroid::find_continent;
use crate::geo::centroid::find_country_named;
use crate::geo::data::Damage;
use crate::geo::data::Data;
use crate::geo::data::Value;
use crate::geo::place::find_code;
use crate::geo::shape::Field;
use crate::geo::shape::Shape;

/// Longest text taken from a record, in bytes. The longest city name there is has 168.
pub(in crate::geo) const TEXT_MAX: usize = 256;

/// Longest subdivision code, in characters (ISO 3166-2).
const SUBDIVISION_MAX: usize = 3;

/// What vendors write for "not known".
const NOTHING: [&str; 5] = ["", "-", "ZZ", "None", "N/A"];

/// A record as far as it was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::geo) struct Record {
    /// What it says.
    pub place: Place,
    /// A value that makes no sense, for people; it is left out.
    pub odd: Option<String>,
}

/// Reads the record at `at`.
///
/// # Errors
/// [`Damage`] if it cannot be decoded.
pub(in crate::geo) fn read_record(
    data: &mut Data<'_>,
    at: usize,
    shape: Shape,
) -> Result<Record, Damage> {
    let mut draft = Draft { shape, ..Draft::default() };
    match data.value(at)? {
        (Value::Map { count, at }, _) => {
            let rules = (1 << shape.rules().len()) - 1;
            draft.read_map(data, count, at, rules, 0)?;
        }
        (Value::Text(_) | Value::Number(_) | Value::Array { .. } | Value::Other, _) => {
            draft.odd = Some("a record that is no map".into());
        }
    }
    Ok(draft.finish())
}

/// A record while it is read. `taken_by` has the rule that a field is from: earlier rules win.
struct Draft {
    shape: Shape,
    place: Place,
    latitude: Option<f64>,
    longitude: Option<f64>,
    radius_km: Option<u16>,
    taken_by: [usize; FIELDS],
    odd: Option<String>,
}

/// How many fields there are.
const FIELDS: usize = Field::Asn as usize + 1;

impl Default for Draft {
    fn default() -> Self {
        Self {
            shape: Shape::Nested,
            place: Place::default(),
            latitude: None,
            longitude: None,
            radius_km: None,
            taken_by: [usize::MAX; FIELDS],
            odd: None,
        }
    }
}

impl Draft {
    /// Reads a map whose keys are the `depth`-th of the `rules` (a set of bits); returns where it ends.
    fn read_map(
        &mut self,
        data: &mut Data<'_>,
        count: usize,
        mut at: usize,
        rules: u32,
        depth: usize,
    ) -> Result<usize, Damage> {
        for _ in 0..count {
            let (Value::Text(key), Some(at_value)) = data.value(at)? else {
                return Err(Damage("a key that is no text"));
            };
            at = self.read_below(data, key, at_value, rules, depth)?;
        }
        Ok(at)
    }

    /// Reads the value at `at` under `key`; returns where it ends.
    fn read_below(
        &mut self,
        data: &mut Data<'_>,
        key: &[u8],
        at: usize,
        rules: u32,
        depth: usize,
    ) -> Result<usize, Damage> {
        let mut below = 0;
        for (index, (path, _)) in self.shape.rules().iter().enumerate() {
            let is_key = path.get(depth).is_some_and(|word| word.as_bytes() == key);
            if rules & 1 << index != 0 && is_key {
                below |= 1 << index;
            }
        }
        if below == 0 {
            return data.skip(at);
        }
        let (value, next) = data.value(at)?;
        let end = match value {
            Value::Map { count, at } => self.read_map(data, count, at, below, depth + 1)?,
            Value::Array { count, at: mut within } => {
                for index in 0..count {
                    within = match index {
                        0 => self.read_below(data, b"0", within, below, depth + 1)?,
                        _ => data.skip(within)?,
                    };
                }
                within
            }
            Value::Text(_) | Value::Number(_) | Value::Other => {
                self.take(below, depth, value);
                at
            }
        };
        Ok(next.unwrap_or(end))
    }

    /// Takes a scalar for the first of `rules` that ends here, unless an earlier rule has given the field.
    fn take(&mut self, rules: u32, depth: usize, value: Value<'_>) {
        for (index, &(path, field)) in self.shape.rules().iter().enumerate() {
            let ends_here = rules & 1 << index != 0 && path.len() == depth + 1;
            if !ends_here || self.taken_by[field as usize] <= index {
                continue;
            }
            let taken = match value {
                Value::Text(octets) => match str::from_utf8(octets) {
                    Ok(text) if NOTHING.contains(&text.trim()) => continue,
                    Ok(text) if text.len() <= TEXT_MAX => self.take_text(field, text.trim()),
                    Ok(_) | Err(_) => false,
                },
                Value::Number(number) => self.take_number(field, number),
                Value::Map { .. } | Value::Array { .. } | Value::Other => false,
            };
            match taken {
                true => self.taken_by[field as usize] = index,
                false => self.note_odd(&path.join("."), value),
            }
        }
    }

    fn note_odd(&mut self, key: &str, value: Value<'_>) {
        let shown = match value {
            Value::Text(octets) => {
                let text = String::from_utf8_lossy(octets);
                format!("{:?}", text.chars().take(40).collect::<String>())
            }
            Value::Number(number) => number.to_string(),
            Value::Map { .. } | Value::Array { .. } | Value::Other => "of a wrong type".into(),
        };
        self.odd.get_or_insert_with(|| format!("`{key}` is {shown}"));
    }

    /// Whether the text makes sense for the field.
    fn take_text(&mut self, field: Field, text: &str) -> bool {
        let place = &mut self.place;
        match field {
            Field::Continent => place.continent = find_continent(text).or(place.continent),
            Field::Country => {
                place.country =
                    find_code(text).or_else(|| find_country_named(text)).or(place.country);
            }
            Field::Subdivision => {
                // Some vendors write the whole code, US-CA.
                let code = text.split_once('-').map_or(text, |(_, code)| code);
                if (1..=SUBDIVISION_MAX).contains(&code.len())
                    && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
                {
                    place.subdivision = Some(code.to_ascii_uppercase().into());
                }
            }
            Field::City => place.city = Some(text.into()),
            Field::Latitude | Field::Longitude | Field::Radius => {
                return text.parse().is_ok_and(|number| self.take_number(field, number));
            }
            Field::Asn => {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                return digits.parse::<u32>().is_ok_and(|asn| {
                    place.asn = Some(asn).filter(|asn| *asn != 0);
                    true
                });
            }
        }
        match field {
            Field::Continent => place.continent.is_some(),
            Field::Country => place.country.is_some(),
            Field::Subdivision => place.subdivision.is_some(),
            Field::City | Field::Latitude | Field::Longitude | Field::Radius | Field::Asn => true,
        }
    }

    /// Whether the number makes sense for the field.
    fn take_number(&mut self, field: Field, number: f64) -> bool {
        match field {
            Field::Latitude if (-90.0..=90.0).contains(&number) => self.latitude = Some(number),
            Field::Longitude if (-180.0..=180.0).contains(&number) => self.longitude = Some(number),
            // `as` saturates: a radius beyond 65,535 km is the whole Earth all the same.
            Field::Radius if number >= 0.0 => self.radius_km = Some(number as u16),
            Field::Asn if (0.0..=f64::from(u32::MAX)).contains(&number) => {
                self.place.asn = Some(number as u32).filter(|asn| *asn != 0);
            }
            Field::Latitude | Field::Longitude | Field::Radius | Field::Asn => return false,
            Field::Continent | Field::Country | Field::Subdivision | Field::City => return false,
        }
        true
    }

    fn finish(self) -> Record {
        let Self { mut place, latitude, longitude, radius_km, odd, .. } = self;
        if let (Some(latitude), Some(longitude)) = (latitude, longitude) {
            // Some vendors write 0,0 for "not known": a point in the sea, where nobody is.
            if (latitude, longitude) != (0.0, 0.0) {
                place.location = Point::from_degrees(latitude, longitude);
                place.accuracy_km = radius_km;
            }
        }
        Record { place, odd }
    }
}

#[cfg(test)]
mod tests {
    use mmdb_writer::Value as Written;
    use mmdb_writer::Writer;

    use super::*;
    use crate::geo::database::read_database_as;

    /// The place that one record becomes.
    fn place(record: Written, shape: Option<Shape>) -> (String, Option<String>) {
        let mut writer = Writer::builder("Test").build();
        let network: ipnet::IpNet = "192.0.2.0/24".parse().unwrap();
        writer.insert_value(network, record).unwrap();
        let (layer, info) = read_database_as("x", &writer.to_bytes().unwrap(), shape).unwrap();
        let place = layer.find("192.0.2.1".parse().unwrap()).unwrap().to_string();
        (place, info.odd_example)
    }

    fn flat(fields: &[(&str, Written)], shape: Shape) -> (String, Option<String>) {
        place(Written::map(fields.iter().cloned()), Some(shape))
    }

    #[test]
    fn earlier_rules_win_whatever_the_order_of_keys() {
        let fields = [("country", "France".into()), ("country_code", "fr".into())];
        assert_eq!(flat(&fields, Shape::Flat).0, "FR");
        let fields = [("country_code", "".into()), ("country", "France".into())];
        assert_eq!(flat(&fields, Shape::Flat).0, "FR", "what is empty says nothing");
    }

    #[test]
    fn values_of_wrong_types_and_impossible_ones_are_left_out_and_told() {
        let (place, odd) =
            flat(&[("country", "Atlantis".into()), ("asn", 7_u32.into())], Shape::Flat);
        assert_eq!(
            (place.as_str(), odd.unwrap().as_str()),
            ("AS7", "192.0.2.0/24: `country` is \"Atlantis\"")
        );
        let (place, odd) = flat(&[("lat", 91.0.into()), ("lon", 0.0.into())], Shape::Flat);
        assert_eq!(
            (place.as_str(), odd.unwrap().as_str()),
            ("unknown", "192.0.2.0/24: `lat` is 91")
        );
        let (place, odd) = flat(&[("city", "x".repeat(TEXT_MAX + 1).as_str().into())], Shape::Flat);
        assert!(place == "unknown" && odd.is_some());
    }

    #[test]
    fn what_vendors_write_for_not_known_is_not_known() {
        let fields = [
            ("country_code", "-".into()),
            ("latitude", 0.0.into()),
            ("longitude", 0.0.into()),
            ("asn", "".into()),
        ];
        assert_eq!(flat(&fields, Shape::Flat), ("unknown".into(), None));
    }
}
