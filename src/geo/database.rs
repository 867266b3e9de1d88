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
use crate::geo::record::Record;
use crate::geo::tree::Found;
use crate::geo::tree::Tree;
use crate::geo::tree::TreeNetwork;

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
    /// Distinct records in which at least one field was understood; 0 means a foreign shape.
    pub places: usize,
    /// 4: IPv4 only. 6: both families.
    pub ip_version: u8,
}

/// Reads all networks of a database. `name` is for the errors only.
///
/// Each distinct record is decoded once. Memory is bounded by a multiple of the file's size and by
/// the limits of a [`Layer`]. Time is linear in the size of an honest file; one made of overlapping
/// records can be slow, so read what strangers sent on a worker.
///
/// # Errors
/// [`GeoFault`]; a damaged file never gives a part of its networks.
pub fn read_database(name: &str, bytes: &[u8]) -> Result<(Layer, DatabaseInfo), GeoFault> {
    let reader = Reader::from_source(bytes)
        .map_err(|error| GeoFault::NotADatabase { name: name.into(), detail: error.to_string() })?;
    let metadata = reader.metadata();
    let tree = Tree {
        bytes,
        node_count: metadata.node_count,
        record_size: metadata.record_size,
        ip_version: metadata.ip_version,
    };
    let mut collector =
        Collector { name, reader: &reader, layer: Layer::new(), seen: HashMap::new() };
    tree.walk(|found| collector.take(found)).map_err(|stop| match stop {
        Stop::Tree(detail) => GeoFault::BadTree { name: name.into(), detail },
        Stop::Fault(fault) => fault,
    })?;
    let layer = collector.layer;
    let description = metadata.description.get("en").or(metadata.description.values().next());
    let info = DatabaseInfo {
        database_type: metadata.database_type.clone(),
        build_epoch: metadata.build_epoch,
        description: description.cloned().unwrap_or_default(),
        networks: layer.len(),
        places: layer.places.iter().filter(|place| !place.is_unknown()).count(),
        ip_version: if metadata.ip_version == 4 { 4 } else { 6 },
    };
    Ok((layer, info))
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

/// Builds the layer while the tree is walked.
struct Collector<'a> {
    name: &'a str,
    reader: &'a Reader<&'a [u8]>,
    layer: Layer,
    /// Record to place in `layer`.
    seen: HashMap<u32, u32>,
}

impl Collector<'_> {
    fn take(&mut self, found: Found) -> Result<(), Stop> {
        let place = match self.seen.get(&found.record) {
            Some(place) => *place,
            None => {
                let place = self.decode(found).map_err(|detail| {
                    let (name, network) = (self.name.into(), text(found.network));
                    Stop::Fault(GeoFault::BadRecord { name, network, detail })
                })?;
                let place = self.layer.add_place(place).map_err(Stop::Fault)?;
                self.seen.insert(found.record, place);
                place
            }
        };
        match found.network {
            TreeNetwork::V4(start, prefix_len) => self.layer.add_v4(start, prefix_len, place),
            TreeNetwork::V6(start, prefix_len) => self.layer.add_v6(start, prefix_len, place),
        }
        .map_err(Stop::Fault)
    }

    /// The place of a record, by way of an address that has it.
    fn decode(&self, found: Found) -> Result<Place, String> {
        let address = if self.reader.metadata().ip_version == 4 {
            IpAddr::V4(Ipv4Addr::from_bits(found.tree_address as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(found.tree_address))
        };
        let lookup = self.reader.lookup(address).map_err(|error| error.to_string())?;
        let record: Option<Record> = lookup.decode().map_err(|error| error.to_string())?;
        record.unwrap_or_default().into_place()
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
}
