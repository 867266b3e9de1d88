//! Reads a MaxMind DB file of any vendor into a [`Layer`]. The bytes may be damaged or hostile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;
use maxminddb::Reader;

use crate::geo::GeoFault;
use crate::geo::Layer;
use crate::geo::Place;
use crate::geo::Shape;
use crate::geo::data::Damage;
use crate::geo::data::Data;
use crate::geo::layer::PLACES_MAX;
use crate::geo::record::read_record;
use crate::geo::shape::Detected;
use crate::geo::shape::Evidence;
use crate::geo::shape::SAMPLE;
use crate::geo::tree::Found;
use crate::geo::tree::Tree;
use crate::geo::tree::TreeNetwork;

/// Octets between the tree and the data (format, "Data Section Separator").
const SEPARATOR: usize = 16;

/// What stands before the metadata, at the end of the file.
const METADATA_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// A file with more odd records than this, and than [`ODD_PERCENT_MAX`] of all, is refused.
const ODD_ALWAYS: usize = 10;

/// Share of odd records, in percent, that a vendor is forgiven: more is damage, or a wrong shape.
const ODD_PERCENT_MAX: usize = 5;

/// What a database says about itself, and how much was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Vendor's name of the kind, such as "GeoLite2-City".
    pub database_type: String,
    /// When it was built, in seconds since 1970.
    pub build_epoch: u64,
    /// Free text, in English if there is one.
    pub description: String,
    /// Networks with a record, both families together; aliases of IPv4 are counted once.
    pub networks: usize,
    /// Distinct records.
    pub records: usize,
    /// Distinct records in which at least one field was understood; 0 means a foreign shape.
    pub places: usize,
    /// 4: IPv4 only. 6: both families.
    pub ip_version: u8,
    /// How its records are laid out; `None` if no record has a field that we know.
    pub shape: Option<Shape>,
    /// Why it was taken for that.
    pub shape_why: String,
    /// Distinct records that have each field.
    pub fields: FieldCounts,
    /// Records with a value that makes no sense; it was left out.
    pub odd_records: usize,
    /// One of them: its network and the value.
    pub odd_example: Option<String>,
}

/// Records that have each field of a [`Place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounts {
    /// With a continent.
    pub continent: usize,
    /// With a country.
    pub country: usize,
    /// With a subdivision.
    pub subdivision: usize,
    /// With a city.
    pub city: usize,
    /// With coordinates.
    pub location: usize,
    /// With an accuracy radius.
    pub accuracy: usize,
    /// With an autonomous system.
    pub asn: usize,
}

impl FieldCounts {
    fn add(&mut self, place: &Place) {
        let Place { continent, country, subdivision, city, location, accuracy_km, asn, .. } = place;
        self.continent += usize::from(continent.is_some());
        self.country += usize::from(country.is_some());
        self.subdivision += usize::from(subdivision.is_some());
        self.city += usize::from(city.is_some());
        self.location += usize::from(location.is_some());
        self.accuracy += usize::from(accuracy_km.is_some());
        self.asn += usize::from(asn.is_some());
    }
}

impl DatabaseInfo {
    /// What an operator should know although the file is served; empty if all is well.
    pub fn warnings(&self) -> Vec<(String, &'static str)> {
        let mut warnings = Vec::new();
        if self.places == 0 && self.networks > 0 {
            let kind = &self.database_type;
            let fault = format!("no record of this {kind:?} database has a field we know");
            warnings.push((fault, "name its shape, if `rhumb geo inspect` is wrong about it"));
        }
        if let Some(example) = &self.odd_example {
            let fault = format!(
                "{} of {} records have a value that makes no sense, first {example}",
                self.odd_records, self.records
            );
            warnings.push((fault, "tell the vendor; such values are left out"));
        }
        warnings
    }
}

/// Reads all networks of a database, whose shape is detected. `name` is for the errors only.
///
/// # Errors
/// As [`read_database_as`].
pub fn read_database(name: &str, bytes: &[u8]) -> Result<(Layer, DatabaseInfo), GeoFault> {
    read_database_as(name, bytes, None)
}

/// Reads all networks of a database of this shape, or of the one that its records show.
///
/// Each distinct record is decoded once. Memory and time are bounded by multiples of the file's size and by the limits of a
/// [`Layer`], whatever the file holds. A value that makes no sense is left out and counted.
///
/// # Errors
/// [`GeoFault`]; a damaged file never gives a part of its networks.
pub fn read_database_as(
    name: &str,
    bytes: &[u8],
    shape: Option<Shape>,
) -> Result<(Layer, DatabaseInfo), GeoFault> {
    let not_a_database = |detail| GeoFault::NotADatabase { name: name.into(), detail };
    let bad_tree = |detail| GeoFault::BadTree { name: name.into(), detail };
    let reader = Reader::from_source(bytes).map_err(|error| not_a_database(error.to_string()))?;
    let metadata = reader.metadata();
    let tree = Tree {
        bytes,
        node_count: metadata.node_count,
        record_size: metadata.record_size,
        ip_version: metadata.ip_version,
    };
    let mut records = Records::default();
    tree.walk(|found| records.take(found)).map_err(|stop| match stop {
        Stop::Tree(detail) => bad_tree(detail),
        Stop::Fault(fault) => fault,
    })?;
    let section = find_data(bytes, tree).ok_or_else(|| not_a_database("no data".into()))?;
    let mut data = Data::new(section, bytes.len());
    let offsets = records.find_offsets(tree).ok_or_else(|| bad_tree("no such record".into()))?;
    let detected = match shape {
        Some(shape) => Some(Detected { shape, why: "the configuration says so".into() }),
        None => detect(&mut data, &offsets)
            .map_err(|(index, why)| damaged(name, &records.layer, index, why))?,
    };
    let read_as = detected.as_ref().map_or(Shape::Nested, |detected| detected.shape);
    let odd = decode(name, &mut data, &offsets, read_as, &mut records.layer)?;
    let layer = records.layer;
    let mut fields = FieldCounts::default();
    layer.places.iter().for_each(|place| fields.add(place));
    let description = metadata.description.get("en").or(metadata.description.values().next());
    let info = DatabaseInfo {
        database_type: metadata.database_type.clone(),
        build_epoch: metadata.build_epoch,
        description: description.cloned().unwrap_or_default(),
        networks: layer.len(),
        records: offsets.len(),
        places: layer.places.iter().filter(|place| !place.is_unknown()).count(),
        ip_version: if metadata.ip_version == 4 { 4 } else { 6 },
        shape: detected.as_ref().map(|detected| detected.shape),
        shape_why: detected.map_or_else(
            || String::from("no sampled record has a field that we know"),
            |detected| detected.why,
        ),
        fields,
        odd_records: odd.records,
        odd_example: odd.example,
    };
    Ok((layer, info))
}

/// The octets between the tree and the metadata.
fn find_data<'a>(bytes: &'a [u8], tree: Tree<'_>) -> Option<&'a [u8]> {
    let node_octets = usize::from(tree.record_size) / 4;
    let start = node_octets.checked_mul(tree.node_count as usize)?.checked_add(SEPARATOR)?;
    let end = bytes.windows(METADATA_MARK.len()).rposition(|window| window == METADATA_MARK)?;
    bytes.get(start..end)
}

/// Records with a value that makes no sense.
#[derive(Default)]
struct Odd {
    records: usize,
    example: Option<String>,
}

/// Reads all records into `layer`, in the order of `offsets`.
fn decode(
    name: &str,
    data: &mut Data<'_>,
    offsets: &[usize],
    shape: Shape,
    layer: &mut Layer,
) -> Result<Odd, GeoFault> {
    let mut all = Odd::default();
    for (index, offset) in offsets.iter().enumerate() {
        let record =
            read_record(data, *offset, shape).map_err(|why| damaged(name, layer, index, why))?;
        if let Some(odd) = record.odd {
            all.records += 1;
            all.example.get_or_insert_with(|| format!("{}: {odd}", first_network(layer, index)));
        }
        layer.add_place(record.place)?;
    }
    if all.records > ODD_ALWAYS && all.records * 100 > offsets.len() * ODD_PERCENT_MAX {
        return Err(GeoFault::TooManyOdd {
            name: name.into(),
            odd: all.records,
            records: offsets.len(),
            example: all.example.unwrap_or_default(),
        });
    }
    Ok(all)
}

fn damaged(name: &str, layer: &Layer, index: usize, Damage(detail): Damage) -> GeoFault {
    let network = first_network(layer, index);
    GeoFault::BadRecord { name: name.into(), network, detail: detail.into() }
}

/// The shape of a file by up to [`SAMPLE`] of its records, spread evenly; with damage, the record that has it.
fn detect(data: &mut Data<'_>, offsets: &[usize]) -> Result<Option<Detected>, (usize, Damage)> {
    let mut evidence = Evidence::default();
    let sample = offsets.len().min(SAMPLE);
    for nth in 0..sample {
        let index = nth * offsets.len() / sample;
        evidence.add(data, offsets[index]).map_err(|why| (index, why))?;
    }
    Ok(evidence.detect())
}

/// The first network that has the record of this position, for people.
fn first_network(layer: &Layer, index: usize) -> String {
    let is = |place: u32| place as usize == index;
    let v4 = layer.networks_v4.iter().find(|network| is(network.place));
    let v6 = layer.networks_v6.iter().find(|network| is(network.place));
    match (v4, v6) {
        (Some(v4), _) => text(TreeNetwork::V4(v4.start, v4.prefix_len)),
        (None, Some(v6)) => text(TreeNetwork::V6(v6.start, v6.prefix_len)),
        (None, None) => String::from("no network"),
    }
}

/// A network for people.
fn text(network: TreeNetwork) -> String {
    let (address, prefix_len) = match network {
        TreeNetwork::V4(start, len) => (IpAddr::V4(Ipv4Addr::from_bits(start)), len),
        TreeNetwork::V6(start, len) => (IpAddr::V6(Ipv6Addr::from_bits(start)), len),
    };
    IpNet::new(address, prefix_len).map_or_else(|_| address.to_string(), |net| net.to_string())
}

/// Why the walk ended early.
enum Stop {
    Tree(String),
    Fault(GeoFault),
}

impl From<String> for Stop {
    fn from(detail: String) -> Self {
        Self::Tree(detail)
    }
}

/// Networks and the distinct records that they name, while the tree is walked. The layer's places come later.
#[derive(Default)]
struct Records {
    layer: Layer,
    /// Record to its position.
    seen: HashMap<u32, u32>,
    /// By position, as the tree names them.
    numbers: Vec<u32>,
}

impl Records {
    /// Where the records are in the data, by position.
    fn find_offsets(&self, tree: Tree<'_>) -> Option<Vec<usize>> {
        let first = tree.node_count as usize + SEPARATOR;
        self.numbers.iter().map(|number| (*number as usize).checked_sub(first)).collect()
    }

    fn take(&mut self, found: Found) -> Result<(), Stop> {
        let next = self.numbers.len();
        let place = *self.seen.entry(found.record).or_insert(next as u32);
        if place as usize == next {
            if next >= PLACES_MAX {
                return Err(Stop::Fault(GeoFault::TooManyPlaces));
            }
            self.numbers.push(found.record);
        }
        match found.network {
            TreeNetwork::V4(start, prefix_len) => self.layer.add_v4(start, prefix_len, place),
            TreeNetwork::V6(start, prefix_len) => self.layer.add_v6(start, prefix_len, place),
        }
        .map_err(Stop::Fault)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::geo::PlaceMap;
    use crate::geo::WriteInfo;
    use crate::geo::parse_source;
    use crate::geo::write_database;

    const DEMO: &[u8] = include_bytes!("../../geodb/demo.mmdb");

    #[test]
    fn the_demo_database_is_the_build_of_its_source_and_reads_back_as_it() {
        let networks = parse_source(include_str!("../../geodb/demo.csv")).unwrap();
        let (layer, info) = read_database("demo.mmdb", DEMO).unwrap();
        let write = WriteInfo {
            database_type: info.database_type.clone(),
            description: info.description.clone(),
            build_epoch: info.build_epoch,
        };
        assert!(write_database(&networks, &write).unwrap() == DEMO, "run `rhumb geo build`");
        let map = PlaceMap::compile(&[layer]);
        for network in &networks {
            let leaf = map.find(network.network.addr());
            assert_eq!(map.place(leaf.place), &network.place);
            assert_eq!(leaf.prefix_len, network.network.prefix_len(), "{}", network.network);
        }
        assert_eq!(info.networks, networks.len());
        assert_eq!(info.ip_version, 6);
    }

    #[test]
    fn finds_the_networks_that_maxminddb_finds() {
        let reader = Reader::from_source(DEMO).unwrap();
        let networks = reader.networks(Default::default()).unwrap();
        let expected: Vec<String> =
            networks.map(|found| found.unwrap().network().unwrap().to_string()).collect();
        let tree = Tree {
            bytes: DEMO,
            node_count: reader.metadata().node_count,
            record_size: reader.metadata().record_size,
            ip_version: reader.metadata().ip_version,
        };
        let mut networks = Vec::new();
        let done = tree.walk(|found| {
            networks.push(text(found.network));
            Ok::<(), String>(())
        });
        assert_eq!((done, networks), (Ok(()), expected));
    }

    #[test]
    fn every_truncation_is_refused_with_a_remedy() {
        for len in 0..DEMO.len() {
            let fault = read_database("demo.mmdb", &DEMO[..len]).unwrap_err().to_string();
            assert!(fault.starts_with("demo.mmdb: ") && fault.contains("again"), "{len}: {fault}");
        }
    }

    /// xorshift64: a fixed sequence, so that a failure repeats.
    fn next(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as usize
    }

    #[test]
    fn flipped_bits_never_panic_and_never_grow_without_bound() {
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        let mut refused = 0;
        for round in 0..6_000 {
            let mut bytes = DEMO.to_vec();
            for _ in 0..=round % 8 {
                let at = next(&mut seed) % bytes.len();
                bytes[at] ^= 1 << (next(&mut seed) % 8);
            }
            let read = catch_unwind(|| read_database("demo.mmdb", &bytes).map(|read| read.1));
            match read.unwrap_or_else(|_| panic!("panicked in round {round}")) {
                Ok(info) => assert!(info.networks < 100_000),
                Err(fault) => {
                    assert!(fault.to_string().starts_with("demo.mmdb: "));
                    refused += 1;
                }
            }
        }
        assert!(refused > 1_000, "only {refused} of 6,000 were refused");
    }

    #[test]
    fn random_metadata_and_random_trees_never_panic() {
        let mut seed = 0x2545_f491_4f6c_dd1d;
        let marker = b"\xab\xcd\xefMaxMind.com";
        let metadata = DEMO.windows(marker.len()).rposition(|w| w == marker).unwrap();
        for round in 0..2_000 {
            let mut bytes = DEMO.to_vec();
            let range =
                if round % 2 == 0 { metadata + marker.len()..DEMO.len() } else { 0..metadata };
            for _ in 0..32 {
                let at = range.start + next(&mut seed) % range.len();
                bytes[at] = next(&mut seed) as u8;
            }
            let read = catch_unwind(|| read_database("x", &bytes).map(|read| read.1));
            assert!(read.is_ok(), "panicked in round {round}");
        }
    }

    #[test]
    fn what_is_no_database_is_said_so() {
        let fault = read_database("hosts.txt", b"127.0.0.1 localhost").unwrap_err();
        assert!(matches!(fault, GeoFault::NotADatabase { .. }));
    }

    #[test]
    fn flipped_bits_in_the_shape_of_any_vendor_never_panic() {
        let mut seed = 0x1234_5678_9abc_def1;
        let mut refused = 0;
        for sample in &crate::geo::samples::SAMPLES {
            let whole = sample.octets();
            for len in 0..whole.len() {
                assert!(read_database("x", &whole[..len]).is_err(), "{} cut to {len}", sample.kind);
            }
            for _ in 0..400 {
                let mut bytes = whole.clone();
                for _ in 0..3 {
                    let at = next(&mut seed) % bytes.len();
                    bytes[at] ^= 1 << (next(&mut seed) % 8);
                }
                let read = catch_unwind(|| read_database("x", &bytes).is_err());
                refused += usize::from(read.expect("it does not panic"));
            }
        }
        assert!(refused > 100, "only {refused} were refused");
    }

    /// 100 records, of which some have a country that is no country.
    fn with_odd(count: u32) -> Vec<u8> {
        let rows = (0..100_u32).map(|index| {
            let network = format!("10.0.{index}.0/24").parse().unwrap();
            let code = if index < count { format!("Nowhere {index}") } else { "DE".into() };
            let fields =
                [("country_code", code.into()), ("asn", mmdb_writer::Value::from(index + 1))];
            (network, mmdb_writer::Value::map(fields))
        });
        crate::geo::samples::database("Odd", rows)
    }

    #[test]
    fn a_few_odd_records_are_counted_and_many_refuse_the_file() {
        let (layer, info) = read_database("odd.mmdb", &with_odd(3)).unwrap();
        let example = "10.0.0.0/24: `country_code` is \"Nowhere 0\"";
        assert_eq!((info.odd_records, info.odd_example.as_deref()), (3, Some(example)));
        let warnings = info.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].0.starts_with("3 of 100 records"), "{warnings:?}");
        let place = layer.find("10.0.1.1".parse().unwrap()).unwrap();
        assert_eq!(place.to_string(), "AS2", "the rest of an odd record is kept");
        let fault = read_database("odd.mmdb", &with_odd(11)).unwrap_err();
        assert!(matches!(fault, GeoFault::TooManyOdd { odd: 11, records: 100, .. }), "{fault}");
        assert!(read_database("odd.mmdb", &with_odd(0)).unwrap().1.warnings().is_empty());
    }

    /// A file of 230 kB with 4,000 records that share one country of 20,000 keys: 160 million steps.
    fn overlapping() -> Vec<u8> {
        const NODES: u32 = 4_095;
        const RECORD: &[u8] = b"\xe1\x47country\x20\x00";
        let mut country = vec![0xfe, 0x4d, 0x03];
        (0..20_000).for_each(|_| country.extend_from_slice(b"\x40\x00\x07"));
        let first = NODES + SEPARATOR as u32 + country.len() as u32;
        let mut file = Vec::new();
        for child in (0..NODES).flat_map(|node| [2 * node + 1, 2 * node + 2]) {
            let record = first + child.saturating_sub(NODES) % 4_000 * RECORD.len() as u32;
            file.extend_from_slice(&if child < NODES { child } else { record }.to_be_bytes());
        }
        file.extend_from_slice(&[0; SEPARATOR]);
        file.extend_from_slice(&country);
        file.extend_from_slice(&RECORD.repeat(4_000));
        let small = crate::geo::samples::database("Overlap", std::iter::empty());
        let mark = small.windows(METADATA_MARK.len()).rposition(|w| w == METADATA_MARK).unwrap();
        let mut metadata = small[mark..].to_vec();
        replace(&mut metadata, b"node_count", &[0xc2, (NODES >> 8) as u8, NODES as u8]);
        replace(&mut metadata, b"record_size", &[0xa1, 32]);
        file.extend_from_slice(&metadata);
        file
    }

    /// Writes another value behind a key of the metadata.
    fn replace(metadata: &mut Vec<u8>, key: &[u8], value: &[u8]) {
        let at = metadata.windows(key.len()).position(|w| w == key).unwrap() + key.len();
        let old = 1 + usize::from(metadata[at] & 31);
        metadata.splice(at..at + old, value.iter().copied());
    }

    #[test]
    fn overlapping_records_end_at_the_budget_of_their_file() {
        let file = overlapping();
        let fault = read_database("overlap.mmdb", &file).unwrap_err().to_string();
        assert!(fault.contains("more steps than a file of this size may"), "{fault}");
    }
}
