//! Synthetic databases in the shapes of vendors, made for tests. Holds no vendor's data.

use ipnet::IpNet;
use mmdb_writer::Value;
use mmdb_writer::Writer;

use crate::geo::Shape;

/// One made-up database.
pub(in crate::geo) struct Sample {
    /// As a vendor names the kind.
    pub kind: &'static str,
    /// What must be detected.
    pub shape: Shape,
    /// Networks with their records as JSON.
    pub rows: &'static [(&'static str, &'static str)],
    /// What must come out, for each of `rows`.
    pub places: &'static [&'static str],
}

/// MaxMind's and DB-IP's nested shape, four of IPinfo's, and flat ones of others.
pub(in crate::geo) const SAMPLES: [Sample; 9] = [
    Sample {
        kind: "Sample-MaxMind-City",
        shape: Shape::Nested,
        rows: &[
            (
                "192.0.2.0/24",
                r#"{"continent":{"code":"NA","names":{"en":"North America"}},
                "country":{"iso_code":"US","geoname_id":1},"registered_country":{"iso_code":"CA"},
                "subdivisions":[{"iso_code":"CA"},{"iso_code":"X"}],
                "city":{"names":{"de":"San Franzisko","en":"San Francisco"}},
                "location":{"latitude":37.77,"longitude":-122.42,"accuracy_radius":20},
                "traits":{"autonomous_system_number":64496,"is_anycast":true}}"#,
            ),
            ("2001:db8::/32", r#"{"registered_country":{"iso_code":"CA"}}"#),
        ],
        places: &["NA US CA San Francisco 37.770,-122.420 ±20 km AS64496", "unknown"],
    },
    Sample {
        kind: "Sample-DBIP-City-Lite",
        shape: Shape::Nested,
        rows: &[(
            "198.51.100.0/24",
            r#"{"city":{"names":{"en":"Frankfurt am Main"}},"continent":{"code":"EU","geoname_id":1},
            "country":{"iso_code":"DE","is_in_european_union":true,"names":{"en":"Germany"}},
            "location":{"latitude":50.11,"longitude":8.68},
            "subdivisions":[{"names":{"en":"Hesse"}}]}"#,
        )],
        places: &["EU DE Frankfurt am Main 50.110,8.680"],
    },
    Sample {
        kind: "Sample-ASN",
        shape: Shape::Nested,
        rows: &[(
            "198.51.100.0/24",
            r#"{"autonomous_system_number":64500,"autonomous_system_organization":"Example"}"#,
        )],
        places: &["AS64500"],
    },
    Sample {
        kind: "Sample-ipinfo-lite",
        shape: Shape::IpinfoLite,
        rows: &[
            (
                "192.0.2.0/24",
                r#"{"asn":"AS64496","as_name":"Example","as_domain":"example.com","country":"Germany",
                "country_code":"DE","continent":"Europe","continent_code":"EU"}"#,
            ),
            (
                "2001:db8::/32",
                r#"{"asn":"","as_name":"","country":"France","country_code":"","continent_code":"EU"}"#,
            ),
            (
                "203.0.113.0/24",
                r#"{"asn":"AS64498","country":"Japan","country_code":"JP","continent_code":"AS"}"#,
            ),
        ],
        places: &["EU DE AS64496", "EU FR", "AS JP AS64498"],
    },
    Sample {
        kind: "Sample-ipinfo-country-asn",
        shape: Shape::IpinfoCountryAsn,
        rows: &[(
            "192.0.2.0/24",
            r#"{"continent":"EU","continent_name":"Europe","country":"DE","country_name":"Germany",
            "asn":"AS64496","as_name":"Example","as_domain":"example.com"}"#,
        )],
        places: &["EU DE AS64496"],
    },
    Sample {
        kind: "Sample-ipinfo-location",
        shape: Shape::IpinfoLocation,
        rows: &[
            (
                "192.0.2.0/24",
                r#"{"city":"Mountain View","country":"US","lat":"37.4056","lng":"-122.0775",
                "postal_code":"94043","region":"California","timezone":"America/Los_Angeles"}"#,
            ),
            (
                "198.51.100.0/24",
                r#"{"city":"Paris","country":"France","lat":48.85,"lng":2.35,"region_code":"IDF"}"#,
            ),
        ],
        places: &["US Mountain View 37.406,-122.078", "FR IDF Paris 48.850,2.350"],
    },
    Sample {
        kind: "Sample-ipinfo-asn",
        shape: Shape::IpinfoAsn,
        rows: &[(
            "192.0.2.0/24",
            r#"{"asn":"AS64496","country":"US","domain":"example.com","name":"Example","type":"hosting"}"#,
        )],
        places: &["AS64496"],
    },
    Sample {
        kind: "Sample-flat-country",
        shape: Shape::Flat,
        rows: &[("192.0.2.0/24", r#"{"country_code":"AU"}"#)],
        places: &["AU"],
    },
    Sample {
        kind: "Sample-flat-city",
        shape: Shape::Flat,
        rows: &[(
            "192.0.2.0/24",
            r#"{"city_name":"Berlin","country_code":"de","latitude":52.5,"longitude":13.4,
            "state_code":"DE-BE","as_number":64496,"radius":5}"#,
        )],
        places: &["DE BE Berlin 52.500,13.400 ±5 km AS64496"],
    },
];

impl Sample {
    /// The file.
    pub fn octets(&self) -> Vec<u8> {
        let rows = self.rows.iter().map(|(network, json)| {
            let value = serde_json::from_str(json).expect("a sample is JSON");
            (network.parse().expect("a sample has networks"), written(&value))
        });
        database(self.kind, rows)
    }
}

/// A file of these records.
pub(in crate::geo) fn database(kind: &str, rows: impl Iterator<Item = (IpNet, Value)>) -> Vec<u8> {
    let mut writer = Writer::builder(kind).build_epoch(std::time::UNIX_EPOCH).build();
    for (network, record) in rows {
        writer.insert_value(network, record).expect("the network is no alias");
    }
    writer.to_bytes().expect("a small file can be written")
}

/// JSON as the format has it: whole numbers that fit are 32 bits without a sign.
fn written(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => Value::from(text.as_str()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match number.as_u64().and_then(|whole| u32::try_from(whole).ok()) {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or(0.0)),
        },
        Json::Array(items) => Value::array(items.iter().map(written)),
        Json::Object(fields) => {
            Value::map(fields.iter().map(|(key, value)| (key.as_str(), written(value))))
        }
        Json::Null => Value::from(""),
    }
}
