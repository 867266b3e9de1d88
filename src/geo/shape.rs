//! Where vendors keep the fields of a place in their records, and which vendor's records these are.
//! Reads no field itself.

use crate::geo::data::Damage;
use crate::geo::data::Data;
use crate::geo::data::Value;

/// Records looked at to find the shape of a file, at most.
pub const SAMPLE: usize = 1_000;

/// Keys of a record looked at to find its shape. The widest records sold have about 40.
const KEYS_MAX: usize = 64;

/// How a vendor lays out records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// MaxMind, DB-IP, IP2Location and our own: `country.iso_code`, `location.latitude`.
    Nested,
    /// IPinfo Lite: `country` is a name, `country_code` the code, `asn` as "AS64496".
    IpinfoLite,
    /// IPinfo's free country and ASN database: `country` is a code, `country_name` the name.
    IpinfoCountryAsn,
    /// IPinfo's location databases: `country` is a code, `lat` and `lng` are texts or numbers.
    IpinfoLocation,
    /// IPinfo's ASN database: `country` is where the system is registered, so it is not read.
    IpinfoAsn,
    /// One level of keys, such as `country_code` and `latitude`.
    Flat,
}

/// A field of a place, as far as it is read from one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) enum Field {
    Continent,
    Country,
    Subdivision,
    City,
    Latitude,
    Longitude,
    Radius,
    Asn,
}

/// Keys that lead to a field; `0` is the first element of a list.
pub(in crate::geo) type Rule = (&'static [&'static str], Field);

const NESTED: &[Rule] = &[
    (&["continent", "code"], Field::Continent),
    (&["country", "iso_code"], Field::Country),
    // The first is the largest: a state, not its county.
    (&["subdivisions", "0", "iso_code"], Field::Subdivision),
    (&["city", "names", "en"], Field::City),
    (&["location", "latitude"], Field::Latitude),
    (&["location", "longitude"], Field::Longitude),
    (&["location", "accuracy_radius"], Field::Radius),
    (&["autonomous_system_number"], Field::Asn),
    (&["traits", "autonomous_system_number"], Field::Asn),
];

const IPINFO_LITE: &[Rule] = &[
    (&["continent_code"], Field::Continent),
    (&["country_code"], Field::Country),
    (&["country"], Field::Country),
    (&["asn"], Field::Asn),
];

const IPINFO_COUNTRY_ASN: &[Rule] =
    &[(&["continent"], Field::Continent), (&["country"], Field::Country), (&["asn"], Field::Asn)];

const IPINFO_LOCATION: &[Rule] = &[
    (&["continent_code"], Field::Continent),
    (&["country_code"], Field::Country),
    (&["country"], Field::Country),
    (&["region_code"], Field::Subdivision),
    (&["city"], Field::City),
    (&["lat"], Field::Latitude),
    (&["lng"], Field::Longitude),
    (&["latitude"], Field::Latitude),
    (&["longitude"], Field::Longitude),
    (&["radius"], Field::Radius),
    (&["asn"], Field::Asn),
];

const IPINFO_ASN: &[Rule] = &[(&["asn"], Field::Asn)];

const FLAT: &[Rule] = &[
    (&["continent_code"], Field::Continent),
    (&["continent"], Field::Continent),
    (&["country_code"], Field::Country),
    (&["country_iso_code"], Field::Country),
    (&["iso_code"], Field::Country),
    (&["country"], Field::Country),
    (&["country_name"], Field::Country),
    (&["region_code"], Field::Subdivision),
    (&["subdivision_code"], Field::Subdivision),
    (&["state_code"], Field::Subdivision),
    (&["city"], Field::City),
    (&["city_name"], Field::City),
    (&["latitude"], Field::Latitude),
    (&["lat"], Field::Latitude),
    (&["longitude"], Field::Longitude),
    (&["lng"], Field::Longitude),
    (&["lon"], Field::Longitude),
    (&["accuracy_radius"], Field::Radius),
    (&["radius"], Field::Radius),
    (&["asn"], Field::Asn),
    (&["as_number"], Field::Asn),
    (&["autonomous_system_number"], Field::Asn),
];

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 6] = [
        Self::Nested,
        Self::IpinfoLite,
        Self::IpinfoCountryAsn,
        Self::IpinfoLocation,
        Self::IpinfoAsn,
        Self::Flat,
    ];

    /// The names of [`Shape::ALL`].
    pub const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].name();
            at += 1;
        }
        names
    };

    /// As `rhumb.toml` and `rhumb geo inspect` write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nested => "nested",
            Self::IpinfoLite => "ipinfo-lite",
            Self::IpinfoCountryAsn => "ipinfo-country-asn",
            Self::IpinfoLocation => "ipinfo-location",
            Self::IpinfoAsn => "ipinfo-asn",
            Self::Flat => "flat",
        }
    }

    /// The shape of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }

    /// Where its fields are; of several rules for one field, the first that finds something counts.
    pub(in crate::geo) fn rules(self) -> &'static [Rule] {
        match self {
            Self::Nested => NESTED,
            Self::IpinfoLite => IPINFO_LITE,
            Self::IpinfoCountryAsn => IPINFO_COUNTRY_ASN,
            Self::IpinfoLocation => IPINFO_LOCATION,
            Self::IpinfoAsn => IPINFO_ASN,
            Self::Flat => FLAT,
        }
    }
}

/// A shape that was found, and on what grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The shape.
    pub shape: Shape,
    /// Why, for people.
    pub why: String,
}

/// What records have been seen to hold: in how many of them each thing stands.
#[derive(Clone, Debug, Default)]
pub(in crate::geo) struct Evidence {
    records: usize,
    /// A map under `country`, `continent`, `location`, ..., or MaxMind's key of AS numbers.
    nested: usize,
    country_code: usize,
    /// `country` is two letters.
    short_country: usize,
    /// `country` is a longer text.
    long_country: usize,
    /// `country_name` or `continent_name`.
    names: usize,
    /// `lat` and `lng`, or `latitude` and `longitude`.
    point: usize,
    /// `asn` is a text that begins with AS.
    asn_text: usize,
    /// `as_name`, `as_domain`, `name`, `domain`, `route` or `type`.
    as_words: usize,
    /// Any key of the flat shapes.
    flat: usize,
}

impl Evidence {
    /// Looks at the record at `at`. One that is no map shows nothing.
    pub fn add(&mut self, data: &mut Data<'_>, at: usize) -> Result<(), Damage> {
        let (Value::Map { count, mut at }, _) = data.value(at)? else { return Ok(()) };
        self.records += 1;
        let mut seen = Self::default();
        let (mut latitude, mut longitude) = (false, false);
        for _ in 0..count.min(KEYS_MAX) {
            let (key, next) = data.value(at)?;
            let at_value = next.ok_or(Damage("a key that is no text"))?;
            let (value, next) = data.value(at_value)?;
            at = match next {
                Some(next) => next,
                None => data.skip(at_value)?,
            };
            let Value::Text(key) = key else { return Err(Damage("a key that is no text")) };
            latitude |= key == b"lat" || key == b"latitude";
            longitude |= key == b"lng" || key == b"longitude" || key == b"lon";
            seen.note(key, value);
        }
        seen.point = usize::from(latitude && longitude);
        self.count(&seen);
        Ok(())
    }

    fn note(&mut self, key: &[u8], value: Value<'_>) {
        match (key, value) {
            (
                b"continent"
                | b"country"
                | b"registered_country"
                | b"city"
                | b"location"
                | b"traits",
                Value::Map { .. },
            )
            | (b"subdivisions", Value::Array { .. })
            | (b"autonomous_system_number", _) => self.nested = 1,
            (b"country_code", Value::Text(_)) => self.country_code = 1,
            (b"country", Value::Text([_, _])) => self.short_country = 1,
            (b"country", Value::Text([_, _, _, ..])) => self.long_country = 1,
            (b"country_name" | b"continent_name", Value::Text(_)) => self.names = 1,
            (b"asn", Value::Text([b'A', b'S', ..])) => self.asn_text = 1,
            (b"as_name" | b"as_domain" | b"name" | b"domain" | b"route" | b"type", _) => {
                self.as_words = 1;
            }
            _ => {}
        }
        let is_flat = FLAT.iter().any(|(path, _)| path[0].as_bytes() == key);
        let is_open = matches!(value, Value::Map { .. } | Value::Array { .. });
        self.flat |= usize::from(is_flat && !is_open);
    }

    /// Adds one record's marks.
    fn count(&mut self, seen: &Self) {
        let pairs = [
            (&mut self.nested, seen.nested),
            (&mut self.country_code, seen.country_code),
            (&mut self.short_country, seen.short_country),
            (&mut self.long_country, seen.long_country),
            (&mut self.names, seen.names),
            (&mut self.point, seen.point),
            (&mut self.asn_text, seen.asn_text),
            (&mut self.as_words, seen.as_words),
            (&mut self.flat, seen.flat),
        ];
        for (sum, one) in pairs {
            *sum += one;
        }
    }

    /// The shape that these records have; `None` if no record has a field that we know.
    pub fn detect(&self) -> Option<Detected> {
        let half = |count: usize| count > 0 && count * 2 >= self.records;
        let (shape, count, what) = if half(self.nested) {
            (Shape::Nested, self.nested, "keys of MaxMind's nested records")
        } else if half(self.country_code) && half(self.long_country) && half(self.asn_text) {
            let what = "`country` as a name beside `country_code`, and `asn` as \"AS...\"";
            (Shape::IpinfoLite, self.long_country, what)
        } else if half(self.short_country) && half(self.names) && half(self.asn_text) {
            let what = "`country` as a code beside its name, and `asn` as \"AS...\"";
            (Shape::IpinfoCountryAsn, self.short_country, what)
        } else if half(self.point) && half(self.short_country.max(self.long_country)) {
            (Shape::IpinfoLocation, self.point, "coordinates beside `country`")
        } else if half(self.asn_text) && half(self.as_words) && !half(self.country_code) {
            (Shape::IpinfoAsn, self.asn_text, "`asn` as \"AS...\" beside its name")
        } else if self.flat > 0 && self.flat >= self.nested {
            (Shape::Flat, self.flat, "keys of one level that we know")
        } else if self.nested > 0 {
            (Shape::Nested, self.nested, "keys of MaxMind's nested records")
        } else {
            return None;
        };
        let why = format!("{count} of {} sampled records have {what}", self.records);
        Some(Detected { shape, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::read_database;
    use crate::geo::read_database_as;
    use crate::geo::samples::SAMPLES;

    #[test]
    fn each_vendors_shape_is_detected_and_read() {
        for sample in &SAMPLES {
            let (layer, info) = read_database(sample.kind, &sample.octets()).unwrap();
            assert_eq!(info.shape, Some(sample.shape), "{}: {}", sample.kind, info.shape_why);
            assert_eq!((info.odd_records, &info.odd_example), (0, &None), "{}", sample.kind);
            for ((network, _), expected) in sample.rows.iter().zip(sample.places) {
                let network: ipnet::IpNet = network.parse().unwrap();
                let place = layer.find(network.addr()).unwrap();
                assert_eq!(place.to_string(), *expected, "{} {network}", sample.kind);
            }
        }
    }

    #[test]
    fn a_shape_that_is_named_is_used_whatever_the_records_say() {
        let asn = SAMPLES.iter().find(|sample| sample.shape == Shape::IpinfoAsn).unwrap();
        let (layer, info) = read_database_as("x", &asn.octets(), Some(Shape::Flat)).unwrap();
        assert_eq!(info.shape_why, "the configuration says so");
        let place = layer.find("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(place.to_string(), "US AS64496", "where the system is registered");
    }

    #[test]
    fn names_of_shapes_are_found_again() {
        assert!(Shape::ALL.iter().all(|shape| Shape::find(shape.name()) == Some(*shape)));
        assert_eq!(Shape::find("maxmind"), None);
    }

    #[test]
    fn records_without_a_known_field_have_no_shape_and_a_warning() {
        let rows = [("192.0.2.0/24".parse().unwrap(), mmdb_writer::Value::map([("score", 7_u32)]))];
        let bytes = crate::geo::samples::database("Risk", rows.into_iter());
        let (_, info) = read_database("risk.mmdb", &bytes).unwrap();
        assert_eq!((info.shape, info.places), (None, 0));
        assert!(info.warnings()[0].0.contains("no record of this \"Risk\""));
    }
}
