//! Writes networks as a MaxMind DB file, in MaxMind's nested shape. Does not read one.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use mmdb_writer::Value;
use mmdb_writer::Writer;

use crate::geo::GeoFault;
use crate::geo::Place;
use crate::geo::SourceNetwork;
use crate::geo::place::code_text;

/// What a database says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteInfo {
    /// Kind of the database, such as "Rhumb-City".
    pub database_type: String,
    /// Free text in English.
    pub description: String,
    /// When it was built, in seconds since 1970.
    pub build_epoch: u64,
}

/// Writes a database: IPv4 and IPv6, equal bytes for equal arguments.
///
/// The most specific network of an address gives the whole record; it inherits nothing from wider
/// ones. The autonomous system stands as `autonomous_system_number` in the same record.
///
/// # Errors
/// [`GeoFault::NotWritable`] for a network in space that the format keeps for aliases of IPv4.
pub fn write_database(networks: &[SourceNetwork], info: &WriteInfo) -> Result<Vec<u8>, GeoFault> {
    let fault = |error: mmdb_writer::Error| GeoFault::NotWritable { detail: error.to_string() };
    let WriteInfo { database_type, description, build_epoch } = info;
    let epoch = UNIX_EPOCH.checked_add(Duration::from_secs(*build_epoch)).ok_or_else(|| {
        GeoFault::NotWritable { detail: format!("{build_epoch} s is beyond any calendar") }
    })?;
    let mut writer = Writer::builder(database_type.as_str())
        .description(&[("en", description.as_str())])
        .build_epoch(epoch)
        .build();
    // The writer lets the last network win, so the most specific ones come last.
    let mut order: Vec<&SourceNetwork> = networks.iter().collect();
    order.sort_by_key(|source| source.network.prefix_len());
    for SourceNetwork { network, place } in order {
        writer.insert_value(*network, record(place)).map_err(fault)?;
    }
    writer.to_bytes().map_err(fault)
}

/// The record of a place; absent fields have no key.
fn record(place: &Place) -> Value {
    // The format has no word for what is withheld: such a network gets an empty record.
    let Place { continent, country, subdivision, city, location, accuracy_km, asn, .. } = place;
    let mut fields: Vec<(&str, Value)> = Vec::new();
    if let Some(code) = continent {
        fields.push(("continent", Value::map([("code", code_text(*code).as_str())])));
    }
    if let Some(code) = country {
        fields.push(("country", Value::map([("iso_code", code_text(*code).as_str())])));
    }
    if let Some(code) = subdivision {
        let subdivision = Value::map([("iso_code", code.as_ref())]);
        fields.push(("subdivisions", Value::array([subdivision])));
    }
    if let Some(name) = city {
        fields.push(("city", Value::map([("names", Value::map([("en", name.as_ref())]))])));
    }
    if let Some(point) = location {
        let mut location = vec![
            ("latitude", Value::from(point.latitude())),
            ("longitude", Value::from(point.longitude())),
        ];
        location.extend(accuracy_km.map(|km| ("accuracy_radius", Value::from(km))));
        fields.push(("location", Value::map(location)));
    }
    fields.extend(asn.map(|asn| ("autonomous_system_number", Value::from(asn))));
    Value::map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::PlaceMap;
    use crate::geo::parse_source;
    use crate::geo::read_database;

    fn info() -> WriteInfo {
        let (database_type, description) = ("Rhumb-City".into(), "test".into());
        WriteInfo { database_type, description, build_epoch: 1_700_000_000 }
    }

    #[test]
    fn nested_networks_read_back_whatever_their_order() {
        let text = "network,country,latitude,longitude,accuracy_km\n\
            198.51.100.128/25,FR,-1.5,2.25,0\n198.51.100.0/24,DE,,,\n2001:db8::/32,GB,,,\n";
        let mut networks = parse_source(text).unwrap();
        let bytes = write_database(&networks, &info()).unwrap();
        networks.reverse();
        assert!(write_database(&networks, &info()).unwrap() == bytes, "equal bytes");
        let (layer, read) = read_database("test", &bytes).unwrap();
        assert_eq!((read.database_type.as_str(), read.build_epoch), ("Rhumb-City", 1_700_000_000));
        let map = PlaceMap::join(&[layer]);
        let place = |address: &str| map.place(map.find(address.parse().unwrap()).place).to_string();
        assert_eq!(place("198.51.100.1"), "DE");
        assert_eq!(place("198.51.100.200"), "FR -1.500,2.250 ±0 km");
        assert_eq!(place("2001:db8::1"), "GB");
        assert_eq!(place("::ffff:198.51.100.1"), "DE");
    }

    #[test]
    fn space_of_aliases_is_refused() {
        let network = "2002:c000:200::/48".parse().unwrap();
        let networks = [SourceNetwork { network, place: Place::default() }];
        assert!(matches!(write_database(&networks, &info()), Err(GeoFault::NotWritable { .. })));
    }
}
