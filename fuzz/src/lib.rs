//! What each fuzz target does with foreign octets, and what must hold whatever they are.
//!
//! `tests/corpus.rs` includes this file, so that `cargo test` replays the corpus without a fuzzer.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::answer;
use rhumb::cluster::Generation;
use rhumb::cluster::Membership;
use rhumb::cluster::NodeName;
use rhumb::cluster::Pin;
use rhumb::cluster::Role;
use rhumb::cluster::frame::Frame;
use rhumb::cluster::frame::HEADER;
use rhumb::cluster::gossip::Gossip;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::discovery::Members;
use rhumb::discovery::list;
use rhumb::discovery::members;
use rhumb::geo::PlaceMap;
use rhumb::geo::parse_overlay;
use rhumb::geo::read_database;
use rhumb::health::LoadWord;
use rhumb::health::load::LoadFault;
use rhumb::health::load::of_body;
use rhumb::health::load::of_headers;
use rhumb::http1::Asked;
use rhumb::http1::Fault;
use rhumb::http1::HEAD_MAX;
use rhumb::http1::Progress;
use rhumb::http1::Reader;
use rhumb::model::ClusterTerms;
use rhumb::model::Model;
use rhumb::model::Peer;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::health::AllUnknown;
use rhumb::wire::Name;
use rhumb::zonefile;
use rhumb::zonefile::NoIncludes;
use rhumb::zonefile::Source;

/// The zone that packets are asked of; a seed of `config` too.
const WORLD: &str = include_str!("../corpus/config/world.toml");

/// The world of [`query`], made once a run.
pub fn world() -> Snapshot {
    let files = Files::new(vec![SourceFile::new("zones/world.toml", WORLD)]);
    let (model, problems) = config::load(&files);
    let Some(model) = model else {
        panic!("{}", config::render::for_people(&files, &problems, false))
    };
    snapshot(model)
}

fn snapshot(model: Model) -> Snapshot {
    let compiled = compile(
        model,
        Arc::new(PlaceMap::compile(&[])),
        rhumb::model::NodeTerms::of_identity(b"fuzz"),
    );
    Snapshot::new(Arc::new(compiled.expect("classes are few")), 1, &AllUnknown)
}

/// A packet gets a reply of its id and within its limit, or none; octets behind it change nothing.
pub fn query(world: &Snapshot, data: &[u8]) {
    let data = &data[..data.len().min(65_535)];
    for (transport, limit) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let request = Request { client, local: None, transport, unix_s: 1_800_000_000 };
        let replies = [0x00, 0xa5].map(|filling| {
            let mut frame = vec![filling; 65_535];
            frame[..data.len()].copy_from_slice(data);
            let outcome = answer(world, &request, &mut frame, data.len());
            frame.truncate(outcome.reply_len);
            (outcome, frame)
        });
        assert_eq!(replies[0], replies[1], "the reply depends on octets behind the query");
        let [(outcome, reply), _] = replies;
        assert_eq!(outcome.rcode.is_some(), !reply.is_empty());
        if reply.is_empty() {
            continue;
        }
        assert!((12..=limit).contains(&reply.len()));
        assert_eq!(reply[..2], data[..2]);
        assert_eq!(reply[2] & 0x80, 0x80);
    }
}

/// Faults of a master file lie in its text; names and data it holds can be written and read back.
pub fn master(data: &[u8]) {
    let Ok(file) = SourceFile::from_octets("fuzz.zone", data.to_vec()) else { return };
    let text = &**file.text;
    let origin = Name::absolute("fuzz.test").expect("a name");
    let source = Source { file: 0, text };
    let parsed = zonefile::parse(source, &origin, 3600, &NoIncludes);
    for (_, fault) in &parsed.faults {
        assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
    }
    assert_eq!(parsed.records.len(), parsed.places.len());
    for (record, place) in parsed.records.iter().zip(&parsed.places) {
        assert!(text.get(place.start as usize..place.end as usize).is_some(), "{place:?}");
        let owner = record.owner_name();
        assert_eq!(Name::absolute(&owner.to_string()).as_ref(), Ok(&owner));
        assert!(zonefile::has_form(record.rtype, record.rdata), "{record:?}");
        let mut line = String::new();
        zonefile::write_record(&owner, 0, record.rtype, record.rdata, &mut line);
        let source = Source { file: 0, text: &line };
        let again = zonefile::parse(source, &Name::root(), 0, &NoIncludes);
        assert_eq!(again.faults, [], "{line}");
        assert_eq!(again.records.get(0).rdata, record.rdata, "{line}");
    }
}

/// Problems can be shown; what is accepted, as TOML or as a master file, can be compiled and asked.
pub fn config(data: &[u8]) {
    for name in ["zones/fuzz.test.toml", "zones/fuzz.test.zone"] {
        let Ok(file) = SourceFile::from_octets(name, data.to_vec()) else { continue };
        let files = Files::new(vec![file]);
        let (model, problems) = config::load(&files);
        config::render::for_people(&files, &problems, false);
        if let Some(model) = model {
            let apexes: Vec<Name> = model.zones.iter().map(|zone| zone.apex.clone()).collect();
            let snapshot = snapshot(model);
            for apex in apexes {
                for rtype in [1, 6, 15, 28] {
                    query(&snapshot, &question(&apex, rtype));
                }
            }
        }
    }
}

/// A query for a name.
fn question(name: &Name, rtype: u8) -> Vec<u8> {
    [&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], name.as_wire(), &[0, rtype, 0, 1]].concat()
}

/// An overlay has networks or problems, each with a place in the text.
pub fn overlay(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().count().max(1) as u32;
    if let Err(problems) = parse_overlay(text) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|p| (1..=lines).contains(&p.line) && p.column > 0));
    }
}

/// A table that is read is written as it was; imports and posts have rows or problems, each with a place.
pub fn rtt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(table) = rhumb::rtt::parse_table(&rhumb::rtt::file_name(text), data) {
        let written = rhumb::rtt::render(&table);
        let again = rhumb::rtt::parse_table(&rhumb::rtt::file_name(&written), written.as_bytes());
        assert_eq!(again, Ok(table));
    }
    let places = PlaceMap::empty();
    let location = rhumb::model::Location { latitude: 50.11, longitude: 8.68 };
    let site =
        rhumb::model::Site { name: "fra".into(), location, country: None, region: None, cost: 1.0 };
    let ground = rhumb::rtt::Ground { places: &places, sites: &[site] };
    let lines = text.lines().count().max(1);
    if let Err(problems) = rhumb::rtt::parse_import(text, &ground) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|p| (1..=lines as u32).contains(&p.line) && p.column > 0));
    }
    let sender = rhumb::rtt::beacon::Sender::Trusted(None);
    let (beacons, faults) = rhumb::rtt::read_beacons(text, sender, &ground);
    assert!(beacons.iter().all(|beacon| beacon.rtt_us > 0 && *beacon.site == *"fra"));
    assert!(beacons.len() + faults.len() <= lines);
    assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
}

/// A database is refused or read; what is read can be compiled.
pub fn geo(data: &[u8]) {
    if let Ok((layer, _)) = read_database("fuzz.mmdb", data) {
        PlaceMap::compile(&[layer]);
    }
}

/// The pool of [`targets`]; every key of `discover` that judges targets is set.
const FINDS: &str = r#"
site.fra = { latitude = 50.11, longitude = 8.68 }
pool.p = { site = "fra", discover = { file = "t.json", site_label = "site", name_label = "id" } }
pool.q = { discover = { file = "t.json", port = "ignore" }, endpoint.a.addresses = ["192.0.2.1"] }
"#;

/// Mistakes of a list lie in its text; whatever targets it has, endpoints get valid names and believable addresses.
pub fn targets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let entries = match list::read(text) {
        Ok(entries) => entries,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(fault.offset <= text.len(), "{fault:?}");
            }
            return;
        }
    };
    let files = Files::new(vec![SourceFile::new("zones/finds.toml", FINDS)]);
    let model = config::load(&files).0.expect("the files are sound");
    for pool in &model.pools {
        let discovery = pool.discover.as_ref().expect("each finds endpoints");
        let made = |entries: &[_]| members(entries, pool, discovery, &model.sites, &[]);
        let Members { endpoints, refused, elsewhere } = made(&entries);
        assert!(endpoints.len() + refused.len() + elsewhere <= entries.len());
        for (name, endpoint) in endpoints {
            assert!(rhumb::config::reader::is_plain(&name), "{name}");
            for family in rhumb::model::Family::BOTH {
                let address = endpoint.address(family);
                let refusal = address.and_then(|one| rhumb::model::reach::refusal(&[], one));
                assert_eq!(refusal, None, "{address:?}");
            }
        }
    }
}

/// Frames, messages and values of other nodes: read or refused, in one form, and nothing that nobody has signed gets in.
pub fn cluster(data: &[u8]) {
    let Some((&kind, content)) = data.split_first() else { return };
    if let Some(frame) = Frame::read(kind, content) {
        assert_eq!(frame.write()[HEADER..], *content);
    }
    let own = Pin::new([1; 32]);
    let node = NodeName::parse("a").expect("it is a name");
    let terms = ClusterTerms {
        name: "prod".into(),
        node: node.clone(),
        listen: None,
        key: "k".into(),
        role: Role::Server,
        anchors: Vec::new(),
        withdraw: Box::default(),
        bundles: false,
        nats: None,
        peers: vec![Peer {
            node: NodeName::parse("b").expect("it is a name"),
            address: None,
            pins: vec![Pin::new([2; 32])],
            site: "fra".into(),
            role: Role::Server,
        }],
    };
    let mut gossip = Gossip::new(Arc::new(Membership::new(&terms, own)), Generation(1));
    let peer = &terms.peers[0].node;
    gossip.connect(peer, 1, Generation(1));
    // Several frames, each after its kind and length.
    let mut left = data;
    while let Some((head, rest)) = left.split_first_chunk::<3>() {
        let (content, rest) =
            rest.split_at(usize::from(u16::from_be_bytes([head[1], head[2]])).min(rest.len()));
        if let Some(frame) = Frame::read(head[0], content) {
            let now = Duration::from_millis(100 * (data.len() - left.len()) as u64);
            let outcome = gossip.hear(peer, frame, now);
            assert!(outcome.heard.is_empty(), "nobody has signed anything");
        }
        for frame in gossip.write(peer, 1, 1 << 20) {
            assert!(!matches!(frame, Frame::Push(_)), "there are no values");
        }
        left = rest;
    }
    assert_eq!(gossip.total(), 0);
}

/// What an endpoint says of its load is a number from 0 to 100, or does not count; whoever says nothing is not asked twice.
pub fn load(data: &[u8]) {
    let judge = |word: LoadWord| match word {
        LoadWord::Says(load) => assert!((0.0..=100.0).contains(&load), "{load}"),
        LoadWord::Faulty(LoadFault::NotBelieved(load)) => {
            assert!(!(0.0..=100.0).contains(&load), "{load}");
        }
        LoadWord::Faulty(LoadFault::Missing | LoadFault::Unreadable | LoadFault::TooLong) => {}
        LoadWord::Unasked => panic!("it was asked"),
    };
    // Every form of the header, in turn and all at once.
    for wanted in
        ["endpoint-load-metrics", "endpoint-load-metrics-bin", "x-endpoint-load-metrics-json"]
    {
        judge(of_headers(|name| (name == wanted).then_some(data)));
    }
    judge(of_headers(|_| Some(data)));
    assert_eq!(of_headers(|_| None), LoadWord::Faulty(LoadFault::Missing));
    // The first line is a pointer, the rest a body.
    let cut = data.iter().position(|octet| *octet == b'\n').unwrap_or(data.len());
    let (pointer, body) = data.split_at(cut);
    let pointer = String::from_utf8_lossy(pointer);
    for (pointer, most) in [(&*pointer, 1.0), ("/load", 50.0), ("", 1e-300)] {
        judge(of_body(body, pointer, most));
    }
}

/// A response comes to the same however it is cut, never to more than came, and nothing follows its end.
pub fn response(data: &[u8]) {
    let (Some((&size, data)), true) = (data.split_first(), data.len() <= 4 * HEAD_MAX) else {
        return;
    };
    for asked in [Asked::Whole, Asked::Head] {
        let whole = read_response(asked, [data]);
        assert_eq!(read_response(asked, data.chunks(usize::from(size).max(1))), whole);
        let (_, body, _, _) = whole;
        assert!(body.len() <= data.len());
        assert!(asked == Asked::Whole || body.is_empty());
    }
}

/// Fields, body, whether it is whole, and why not.
type Read = (Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>, bool, Option<Fault>);

fn read_response<'a>(asked: Asked, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut reader = Reader::new(asked);
    let (mut fields, mut body) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut octets = piece;
        loop {
            let (progress, rest) = match reader.feed(octets) {
                Ok(fed) => fed,
                Err(fault) => return (fields, body, false, Some(fault)),
            };
            octets = rest;
            match progress {
                Progress::More => break,
                Progress::Head(head) => {
                    assert!((100..1000).contains(&head.status()));
                    fields.extend(head.fields().map(|(name, value)| (name.into(), value.into())));
                }
                Progress::Body(piece) => body.extend_from_slice(piece),
                Progress::End => return (fields, body, true, None),
            }
        }
        assert!(octets.is_empty());
    }
    let ended = reader.ends_with_connection();
    (fields, body, ended == Ok(true), ended.err())
}
