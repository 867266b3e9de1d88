//! `answer()` alone: octets in, octets out, no sockets.
//!
//! Guess, on one core:
//! - static A, one of 1,000 names: reads the name (20 ns), hashes three labels (10 ns), two table
//!   look-ups (10 ns), writes one record and the header (10 ns): 60 ns.
//! - NXDOMAIN: the same, hashes the apex again and writes an SOA: 80 ns.
//! - nearest with a client subnet, 100,000 networks: the name, an OPT record each way (30 ns), the
//!   place (50 ns, as benches/places.rs has it), the decision made ahead: 140 ns.
//! - weighted of 3 inside nearest: as before, and three scores of a key (15 ns): 160 ns.
//! - pool of 8, 2 answers: no place; eight scores (40 ns) and their order (20 ns): 120 ns.
//!
//! Measured on one of two shared, busy cores of an AMD EPYC, median of 5 runs, and instructions by
//! callgrind, the copy of the query into the frame included: static A 140 to 186 ns, 1,339;
//! NXDOMAIN 220 ns, 1,708; nearest 404 ns, 1,987; weighted 250 ns, 2,515; pool of 8 288 ns, 2,673.
//! The guesses were too low by half; moving the 500-octet query and its name about is 230 instructions.
//!
//! Run: `cargo bench --bench answer`, or with a case and the number of queries a run: `-- static 1000`
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::hint::black_box;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use ipnet::Ipv4Net;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::answer;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::geo::Layer;
use rhumb::geo::Place;
use rhumb::geo::PlaceMap;
use rhumb::geo::Point;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::health::AllUnknown;
use rhumb::wire::Name;

const NETWORKS: usize = 100_000;
const NAMES: usize = 1_000;
const QUERIES: usize = 4_096;
const RUNS: usize = 5;
const COUNT: usize = 4_000_000;

/// Sites with a pool each: name, latitude, longitude.
const SITES: [(&str, f64, f64); 6] = [
    ("fra", 50.1, 8.7),
    ("iad", 39.0, -77.5),
    ("sin", 1.4, 103.8),
    ("syd", -33.9, 151.2),
    ("gru", -23.5, -46.6),
    ("sjc", 37.4, -121.9),
];

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

/// One query and who sends it.
struct Asked {
    client: IpAddr,
    octets: Vec<u8>,
}

fn main() {
    let count = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(COUNT);
    let snapshot = snapshot();
    let mut random = Random(11);
    let mut queries = |name: &dyn Fn(usize) -> String, subnet: bool| -> Vec<Asked> {
        (0..QUERIES).map(|_| asked(&mut random, name, subnet)).collect()
    };
    let host = |number: usize| format!("host-{}.shop.test", number % NAMES);
    report("static A", &snapshot, &queries(&host, false), count);
    report("static A, client subnet", &snapshot, &queries(&host, true), count);
    let gone = |number: usize| format!("gone-{}.shop.test", number % NAMES);
    report("NXDOMAIN", &snapshot, &queries(&gone, false), count);
    let near = |_| "near.shop.test".into();
    report("nearest, client subnet", &snapshot, &queries(&near, true), count);
    let split = |_| "split.shop.test".into();
    report("weighted of 3 in nearest, client subnet", &snapshot, &queries(&split, true), count);
    let many = |_| "many.shop.test".into();
    report("pool of 8, 2 answers", &snapshot, &queries(&many, false), count);
}

/// Prints nanoseconds an answer: median and spread of [`RUNS`] runs.
fn report(what: &str, snapshot: &Snapshot, queries: &[Asked], count: usize) {
    let mut only = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    if only.any(|arg| arg.parse::<usize>().is_err() && !what.starts_with(&arg)) {
        return;
    }
    let mut frame = [0u8; 1232];
    let mut reply_len = 0;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            for number in 0..count {
                let Asked { client, octets } = &queries[number % QUERIES];
                frame[..octets.len()].copy_from_slice(octets);
                let request = Request {
                    client: *client,
                    local: None,
                    transport: Transport::Udp,
                    unix_s: 1_800_000_000,
                };
                reply_len = answer(snapshot, &request, &mut frame, octets.len()).reply_len;
                black_box(&mut frame);
            }
            started.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, least, most) = (times[RUNS / 2], times[0], times[RUNS - 1]);
    println!("{what}: median {median:.1} ns ({least:.1} to {most:.1}), {reply_len} octets");
}

fn asked(random: &mut Random, name: &dyn Fn(usize) -> String, subnet: bool) -> Asked {
    let client = Ipv4Addr::from_bits(random.next() as u32);
    let owner = Name::absolute(&name(random.next() as usize)).unwrap();
    let mut octets = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet)];
    octets.extend_from_slice(owner.as_wire());
    octets.extend_from_slice(&[0, 1, 0, 1]);
    if subnet {
        let [a, b, c, _] = client.octets();
        octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11]);
        octets.extend_from_slice(&[0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
    }
    Asked { client: IpAddr::V4(client), octets }
}

fn snapshot() -> Snapshot {
    let text = zone();
    let files = Files::new(vec![SourceFile::new("zones/shop.toml", &text)]);
    let (model, problems) = config::load(&files);
    let model = model.unwrap_or_else(|| {
        panic!("{}", config::render::for_people(&files, &problems, false));
    });
    let places = PlaceMap::compile(&[layer()]);
    let compiled = compile(model, Arc::new(places), rhumb::model::NodeTerms::default()).unwrap();
    let classes = compiled.classes.iter().map(|classes| classes.trees().len()).max();
    println!("networks: {NETWORKS}, classes: {}", classes.unwrap());
    Snapshot::new(Arc::new(compiled), 1, &AllUnknown)
}

fn zone() -> String {
    let mut text = "
[zone]
name = 'shop.test'
nameservers = ['ns1.example.net', 'ns2.example.net']
[name.near]
steer = 'near'
[name.split]
steer = 'split'
[name.many]
steer = 'many'
answers = 2
[policy.near]
kind = 'nearest'
targets = ['fra', 'iad', 'sin', 'syd', 'gru', 'sjc']
[policy.split]
kind = 'nearest'
targets = ['west', 'east']
[policy.west]
kind = 'weighted'
weights = { iad = 60, gru = 30, sjc = 10 }
[policy.east]
kind = 'weighted'
weights = { fra = 60, sin = 30, syd = 10 }
[pool.many]
"
    .to_owned();
    for member in 1..=8 {
        text += &format!("[pool.many.endpoint.m{member}]\naddresses = ['198.18.99.{member}']\n");
    }
    for (number, (site, latitude, longitude)) in SITES.iter().enumerate() {
        text += &format!("[site.{site}]\nlatitude = {latitude}\nlongitude = {longitude}\n");
        text += &format!("[pool.{site}]\nsite = '{site}'\n");
        text += &format!("[pool.{site}.endpoint.a]\naddresses = ['198.18.{number}.1']\n");
    }
    for number in 0..NAMES {
        let (high, low) = (number / 250, number % 250);
        text += &format!("[name.host-{number}.records]\nA = ['198.19.{high}.{low}']\n");
    }
    text
}

/// Random networks of /16 to /24, each at one of 3,000 points.
fn layer() -> Layer {
    let mut random = Random(7);
    let mut layer = Layer::new();
    for _ in 0..NETWORKS {
        let address = Ipv4Addr::from_bits(random.next() as u32);
        let prefix_len = [16, 20, 21, 22, 22, 23, 24, 24][random.next() as usize % 8];
        let network = Ipv4Net::new(address, prefix_len).unwrap().trunc();
        let point = random.next() % 3_000;
        let (latitude, longitude) =
            ((point % 120) as f64 - 50.0, (point / 120) as f64 * 14.4 - 180.0);
        let location = Point::from_degrees(latitude, longitude);
        layer.insert(IpNet::V4(network), Place { location, ..Place::default() }).unwrap();
    }
    layer
}
