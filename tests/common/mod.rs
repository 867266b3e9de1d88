//! What several tests share: a world made of texts, and questions asked of it.
#![allow(dead_code, reason = "each test uses its own part")]

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use rhumb::answer::Outcome;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::answer;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::geo::Layer;
use rhumb::geo::PlaceMap;
use rhumb::geo::parse_source;
use rhumb::model::Model;
use rhumb::model::NodeTerms;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::health::AllUnknown;

/// A moment that tests ask at: 2027-01-15T08:00:00Z.
pub const NOON: u64 = 1_800_000_000;

/// Cities of documentation networks, for tests that need no more.
pub const GEO: &str =
    "network,continent,country,subdivision,city,latitude,longitude,accuracy_km,asn
192.0.2.0/25,EU,DE,HE,Frankfurt,50.11,8.68,20,64496
192.0.2.128/25,NA,US,VA,Ashburn,39.04,-77.49,20,64497
198.51.100.0/24,AS,SG,,Singapore,1.35,103.82,20,64498
203.0.113.0/26,EU,GB,ENG,London,51.51,-0.13,50,64499
2001:db8:1::/48,EU,DE,HE,Frankfurt,50.11,8.68,20,64496
2001:db8:2::/48,NA,US,VA,Ashburn,39.04,-77.49,20,64497
2001:db8:3::/48,AS,SG,,Singapore,1.35,103.82,20,64498
";

/// Reads files of (name, text); panics with every problem if one is an error.
#[track_caller]
pub fn model(files: &[(&str, &str)]) -> Model {
    let files = Files::new(files.iter().map(|(name, text)| SourceFile::new(name, text)).collect());
    let (model, problems) = config::load(&files);
    model.unwrap_or_else(|| panic!("{}", config::render::for_people(&files, &problems, false)))
}

/// Compiles geo data from its readable form.
#[track_caller]
pub fn places(source: &str) -> PlaceMap {
    let mut layer = Layer::new();
    for network in parse_source(source).expect("the geo source is right") {
        layer.insert(network.network, network.place).expect("the networks fit");
    }
    PlaceMap::compile(&[layer])
}

/// A snapshot of one TOML zone with [`GEO`], in which every endpoint is unknown, so served.
#[track_caller]
pub fn snapshot(zone: &str) -> Snapshot {
    snapshot_of(&[("zones/test.toml", zone)])
}

/// As [`snapshot`], of several files.
#[track_caller]
pub fn snapshot_of(files: &[(&str, &str)]) -> Snapshot {
    let model = model(files);
    let compiled = compile(model, Arc::new(places(GEO)), NodeTerms::of_identity(b"ns-test-1"))
        .expect("classes are few");
    Snapshot::new(Arc::new(compiled), 1, &AllUnknown)
}

/// A query that came by UDP at [`NOON`].
pub fn request(client: &str) -> Request {
    let client: IpAddr = client.parse().expect("an address");
    Request { client, local: None, transport: Transport::Udp, unix_s: NOON }
}

/// Answers octets; returns what happened and the reply's octets.
pub fn answer_octets(snapshot: &Snapshot, request: &Request, query: &[u8]) -> (Outcome, Vec<u8>) {
    let mut frame = vec![0xa5; 65_535];
    frame[..query.len()].copy_from_slice(query);
    let outcome = answer(snapshot, request, &mut frame, query.len());
    frame.truncate(outcome.reply_len);
    (outcome, frame)
}

/// Answers a message, and has hickory-proto read the reply.
#[track_caller]
pub fn ask(snapshot: &Snapshot, request: &Request, query: &Message) -> Message {
    let (_, reply) =
        answer_octets(snapshot, request, &query.to_vec().expect("a query can be written"));
    Message::from_vec(&reply).expect("hickory-proto reads the reply")
}
