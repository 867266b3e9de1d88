//! Geo data: bytes of a database to a finished place map, and lookups in it.
//!
//! Guess, on one core, for 300,000 random IPv4 networks (/20 to /24, 3,000 distinct places):
//! - read: walks 1.3 million tree nodes at 50 ns and decodes 3,000 records: 100 ms.
//! - compile: 300,000 networks become 600,000 steps and 1 million leaves, hashed once: 50 ms.
//! - lookup: an index entry, a binary search over the 15 leaves of a /16 on average, and two
//!   columns, 10 MB in all: 50 ns with random addresses, 15 ns within one /16.
//!
//! - classes of `nearest` over 20 sites, for 30,000 points: 600,000 distances at 60 ns and 30,000 orders at 2 us: 100 ms.
//!   Radii on points that are shared by 10 places: up to 8 orders a point instead of one, so up to 5 times as long.
//!
//! Run: `cargo bench --bench places`
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use ipnet::IpNet;
use ipnet::Ipv4Net;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::config::load;
use rhumb::geo::Layer;
use rhumb::geo::Leaf;
use rhumb::geo::Place;
use rhumb::geo::PlaceMap;
use rhumb::geo::Point;
use rhumb::geo::SourceNetwork;
use rhumb::geo::WriteInfo;
use rhumb::geo::read_database;
use rhumb::geo::write_database;
use rhumb::model::NodeTerms;
use rhumb::snapshot::compile;

const NETWORKS: usize = 300_000;
const PLACES: usize = 3_000;
const RUNS: usize = 5;
const LOOKUPS: usize = 4_000_000;

/// xorshift64: the same sequence on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn main() {
    let started = Instant::now();
    let bytes = database();
    println!("database: {} bytes, written in {:.2?}", bytes.len(), started.elapsed());

    let (layer, info) = read_database("bench", &bytes).unwrap();
    let map = PlaceMap::compile(std::slice::from_ref(&layer));
    let leaves = map.leaves_v4().starts.len();
    println!("networks: {}, leaves: {leaves}, places: {}", info.networks, map.places().len());

    report("read", || drop(black_box(read_database("bench", &bytes).unwrap())));
    let one = [layer];
    report("compile, one layer", || drop(black_box(PlaceMap::compile(&one))));
    report("read and compile", || {
        let (layer, _) = read_database("bench", &bytes).unwrap();
        drop(black_box(PlaceMap::compile(&[layer])));
    });
    let two = [one[0].clone(), asn_layer()];
    report("compile, with 100,000 networks of AS numbers", || {
        drop(black_box(PlaceMap::compile(&two)));
    });
    lookups(&map);
    classes();
}

/// Compiles a `nearest` policy of 20 sites over 300,000 places at 30,000 points: all with one radius, as if there
/// were no ties, then with MaxMind's nine radii mixed.
fn classes() {
    let mut zone = String::from("[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n");
    let mut random = Random(17);
    for site in 0..20 {
        let latitude = (random.next() % 120) as f64 - 60.0;
        let longitude = (random.next() % 360) as f64 - 180.0;
        zone += &format!("[site.s{site}]\nlatitude = {latitude:.1}\nlongitude = {longitude:.1}\n");
        zone += &format!("[pool.p{site}]\nsite = \"s{site}\"\n");
        zone += &format!("endpoint.e.addresses = [\"198.18.0.{site}\"]\n");
    }
    let names: Vec<String> = (0..20).map(|site| format!("\"p{site}\"")).collect();
    zone += &format!("[policy.n]\nkind = \"nearest\"\ntargets = [{}]\n", names.join(", "));
    zone += "[name.www]\nsteer = \"n\"\n";
    let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", &zone)]));
    let model = model.unwrap_or_else(|| panic!("{problems:?}"));
    for (what, radii) in [
        ("classes, radius 0", &[0][..]),
        ("classes, nine radii", &[1, 5, 10, 20, 50, 100, 200, 500, 1000]),
    ] {
        let mut layer = Layer::new();
        for index in 0..300_000_u32 {
            let point = f64::from(index % 30_000);
            let location = Point::from_degrees(point % 173.0 - 86.0, (point * 7.3) % 359.0 - 179.0);
            let accuracy_km = Some(radii[(index / 30_000 + index) as usize % radii.len()]);
            let place = Place { location, accuracy_km, asn: Some(index + 1), ..Place::default() };
            let network = Ipv4Net::new(Ipv4Addr::from_bits(index << 10), 22).unwrap();
            layer.insert(IpNet::V4(network), place).unwrap();
        }
        let places = Arc::new(PlaceMap::compile(&[layer]));
        let compiled =
            || compile(model.clone(), Arc::clone(&places), NodeTerms::default()).unwrap();
        println!("{what}: {} classes", compiled().classes[0].trees().len());
        report(what, || drop(black_box(compiled())));
    }
}

/// Prints the median and the spread of `RUNS` runs.
fn report(what: &str, mut run: impl FnMut()) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "{what}: median {:.1?} ({:.1?} to {:.1?})",
        times[RUNS / 2],
        times[0],
        times[RUNS - 1]
    );
}

/// Prints nanoseconds a lookup, for addresses drawn ahead.
fn report_lookups<A: Copy>(what: &str, addresses: &[A], mut find: impl FnMut(A) -> u32) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            let mut sum = 0_u32;
            for address in addresses {
                sum = sum.wrapping_add(find(*address));
            }
            black_box(sum);
            started.elapsed().as_nanos() as f64 / addresses.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{what}: median {:.1} ns ({:.1} to {:.1})",
        times[RUNS / 2],
        times[0],
        times[RUNS - 1]
    );
}

/// Uses every column of a leaf, as a query does; otherwise the compiler leaves loads out.
fn all(leaf: Leaf) -> u32 {
    leaf.place.0 ^ u32::from(leaf.prefix_len) ^ leaf.index
}

fn lookups(map: &PlaceMap) {
    let mut random = Random(11);
    let anywhere: Vec<Ipv4Addr> =
        (0..LOOKUPS).map(|_| Ipv4Addr::from_bits(random.next() as u32)).collect();
    report_lookups("lookup, IPv4 anywhere", &anywhere, |address| all(map.find_v4(address)));
    // Each address depends on the last answer, as when lookups cannot overlap.
    let mut last = 0;
    report_lookups("lookup, IPv4 anywhere, one after the other", &anywhere, |address| {
        last = all(map.find_v4(Ipv4Addr::from_bits(address.to_bits() ^ (last & 1))));
        last
    });
    let near: Vec<Ipv4Addr> = (0..LOOKUPS)
        .map(|_| Ipv4Addr::from_bits(0x5000_0000 | (random.next() as u32 & 0xffff)))
        .collect();
    report_lookups("lookup, IPv4 in one /16", &near, |address| all(map.find_v4(address)));
    let v6: Vec<Ipv6Addr> = (0..LOOKUPS)
        .map(|_| Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(random.next()) << 32))
        .collect();
    report_lookups("lookup, IPv6", &v6, |address| all(map.find_v6(address)));
}

fn database() -> Vec<u8> {
    let mut random = Random(7);
    let mut taken = vec![false; 1 << 20];
    let mut networks = Vec::with_capacity(NETWORKS);
    while networks.len() < NETWORKS {
        let prefix_len = [20, 21, 22, 22, 23, 24, 24, 24][random.next() as usize % 8];
        let address = (1 << 24) + (random.next() as u32) % (223 << 24);
        let block = (address >> 12) as usize;
        if address >> 24 == 127 || taken[block] {
            continue;
        }
        taken[block] = true;
        let network = Ipv4Net::new(Ipv4Addr::from_bits(address), prefix_len).unwrap().trunc();
        let place = place(random.next() as usize % PLACES);
        networks.push(SourceNetwork { network: IpNet::V4(network), place });
    }
    for index in 0..20_000 {
        let network = format!("2001:db8:{index:x}::/48").parse().unwrap();
        networks.push(SourceNetwork { network, place: place(random.next() as usize % PLACES) });
    }
    let (database_type, description) = ("GeoLite2-City".into(), "synthetic".into());
    write_database(&networks, &WriteInfo { database_type, description, build_epoch: 0 }).unwrap()
}

fn place(index: usize) -> Place {
    const COUNTRIES: [([u8; 2], [u8; 2], f64, f64); 8] = [
        (*b"EU", *b"DE", 51.5, 10.5),
        (*b"EU", *b"GB", 51.5, -0.1),
        (*b"EU", *b"FR", 46.0, 2.0),
        (*b"NA", *b"US", 37.7, -97.8),
        (*b"NA", *b"CA", 45.4, -75.7),
        (*b"AS", *b"CN", 35.0, 105.0),
        (*b"AS", *b"JP", 35.7, 139.8),
        (*b"AS", *b"IN", 20.0, 77.0),
    ];
    let (continent, country, latitude, longitude) = COUNTRIES[index % COUNTRIES.len()];
    let (north, east) = ((index % 97) as f64 / 50.0, (index % 89) as f64 / 50.0);
    Place {
        continent: Some(continent),
        country: Some(country),
        city: Some(format!("City{index}").into()),
        location: Point::from_degrees(latitude + north, longitude + east),
        accuracy_km: Some(20),
        ..Place::default()
    }
}

fn asn_layer() -> Layer {
    let mut random = Random(13);
    let mut layer = Layer::new();
    for _ in 0..100_000 {
        let prefix_len = 16 + (random.next() % 9) as u8;
        let address = Ipv4Addr::from_bits(random.next() as u32);
        let network = Ipv4Net::new(address, prefix_len).unwrap().trunc();
        let asn = Some(65_536 + (random.next() % 60_000) as u32);
        layer.insert(IpNet::V4(network), Place { asn, ..Place::default() }).unwrap();
    }
    layer
}
