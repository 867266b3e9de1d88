//! The examples under `zones/` and the reference: what they show must load, answer and be complete.
#![allow(clippy::disallowed_methods, reason = "tests read the files that they are about")]

mod common;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use common::GEO;
use common::NOON;
use common::ask;
use common::places;
use common::request;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use rhumb::assertion::judge;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::model::Family;
use rhumb::model::LeafRecords;
use rhumb::model::Model;
use rhumb::model::NodeTerms;
use rhumb::model::PolicyKind;
use rhumb::model::Steered;
use rhumb::rtt::Ground;
use rhumb::rtt::Moment;
use rhumb::rtt::Table;
use rhumb::rtt::import::window_of;
use rhumb::rtt::import_table;
use rhumb::rtt::parse_import;
use rhumb::snapshot::Contents;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::compile_measured;
use rhumb::snapshot::health::AllUnknown;

/// Every file below `folder`, with its path from the root of the repository.
fn read_all(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut out = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            out.extend(read_all(&name));
        } else {
            let text = std::fs::read_to_string(entry.path()).expect("it is text");
            out.push((name, text));
        }
    }
    out.sort();
    out
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
}

fn examples() -> Files {
    let files = read_all("zones");
    Files::new(files.iter().map(|(name, text)| SourceFile::new(name, text)).collect())
}

fn model() -> Model {
    let files = examples();
    let (model, problems) = config::load(&files);
    let shown = config::render::for_people(&files, &problems, false);
    assert!(problems.is_empty(), "{shown}");
    model.expect("there is no problem")
}

#[test]
fn all_examples_load_together_without_any_problem() {
    let model = model();
    let apexes: BTreeSet<String> = model.zones.iter().map(|zone| zone.apex.to_string()).collect();
    let expected = "alias all assert canary cdn cheap checks cname discovered failback failover fastest fence geo nearest nested networks regions shed shop srv-https static votes weighted";
    let expected = expected.split(' ').map(|name| format!("{name}.example."));
    assert_eq!(apexes, expected.collect());
}

#[test]
fn each_example_loads_with_the_shared_tables_alone() {
    let mut shared = read_all("zones/shared");
    shared.extend(read_all("zones/parts"));
    let is_below = |name: &str| name.contains("/shared/") || name.contains("/parts/");
    let is_own = |name: &str| name.ends_with(".toml") || name.ends_with(".zone");
    let top = read_all("zones").into_iter().filter(|(name, _)| !is_below(name));
    let (own, attached): (Vec<_>, Vec<_>) = top.partition(|(name, _)| is_own(name));
    shared.extend(attached);
    for (name, text) in &own {
        let own = [(name.clone(), text.clone())];
        let files = shared.iter().chain(&own).map(|(name, text)| SourceFile::new(name, text));
        let files = Files::new(files.collect());
        let (model, problems) = config::load(&files);
        let shown = config::render::for_people(&files, &problems, false);
        assert!(model.is_some(), "{shown}");
        let of_own =
            problems.iter().filter(|problem| *files.get(problem.place.file).name == **name);
        assert_eq!(of_own.count(), 0, "{shown}");
    }
}

#[test]
fn every_example_zone_answers_for_its_soa_and_every_steered_name_for_its_type() {
    let model = model();
    let asked = |steered: &Steered| {
        let rtype = match steered.records {
            LeafRecords::Addresses => RecordType::A,
            LeafRecords::Cname => RecordType::CNAME,
            LeafRecords::Srv => RecordType::SRV,
        };
        (steered.owner.to_string(), rtype)
    };
    let steered: Vec<_> = model.zones.iter().flat_map(|zone| &zone.steered).map(asked).collect();
    let apexes: Vec<String> = model.zones.iter().map(|zone| zone.apex.to_string()).collect();
    let compiled = compile(model, Arc::new(places(GEO)), NodeTerms::of_identity(b"ns-test-1"));
    let snapshot = Snapshot::new(Arc::new(compiled.expect("classes are few")), 1, &AllUnknown);
    let soa = apexes.into_iter().map(|name| (name, RecordType::SOA));
    for (name, rtype) in soa.chain(steered) {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(&name).expect("a name"), rtype));
        let reply = ask(&snapshot, &request("192.0.2.7"), &query);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError, "{name} {rtype}");
        assert!(reply.metadata.authoritative, "{name} {rtype}");
        assert!(reply.answers.iter().any(|record| record.record_type() == rtype), "{name} {rtype}");
    }
}

#[test]
fn what_the_examples_assert_is_so_and_would_be_refused_if_it_were_not() {
    let failures = |model: Model| {
        let compiled = compile(model, Arc::new(places(GEO)), NodeTerms::default());
        let compiled = compiled.expect("classes are few");
        let failures = judge(&compiled);
        failures.iter().map(|failure| failure.assertion).collect::<Vec<_>>()
    };
    let mut model = model();
    assert!(model.assertions.len() >= 5, "each claim is shown");
    assert!(failures(model.clone()).is_empty());
    for policy in &mut model.policies {
        policy.fence = false;
    }
    let europe = model.policies.iter().position(|policy| &*policy.name == "assert-europe");
    let world = model.policies.iter().position(|policy| &*policy.name == "assert-world");
    let [europe, world] = [europe, world].map(|at| at.expect("the example has it"));
    let kind = PolicyKind::Failover(model.policies[world].kind.targets());
    model.policies[europe].kind = kind;
    for endpoint in model.pools.iter_mut().flat_map(|pool| &mut pool.endpoints) {
        endpoint.capacity = endpoint.capacity.map(|capacity| capacity / 2.0);
    }
    assert_eq!(failures(model), [0, 4], "accounts leave Europe, and a loss fills another site");
}

#[test]
fn the_example_of_measured_times_sends_singapore_to_frankfurt() {
    let geo = Arc::new(places(&read("geodb/demo.csv")));
    let sites = model().sites;
    let ground = Ground { places: &geo, sites: &sites };
    let rows = parse_import(&read("zones/parts/fastest.csv"), &ground).expect("each can be true");
    let moment = Moment { built_s: NOON, activates_s: NOON };
    let (table, left_out) = import_table(&Table::default(), &window_of(&rows), &ground, moment);
    assert_eq!(left_out, 0);
    let address = |table: Option<&Table>| {
        let compiled =
            compile_measured(Contents::new(model()), Arc::clone(&geo), NodeTerms::default(), table);
        let snapshot = Snapshot::new(Arc::new(compiled.expect("few")), 1, &AllUnknown);
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii("www.fastest.example").expect("a name");
        query.add_query(Query::query(name, RecordType::A));
        let reply = ask(&snapshot, &request("203.0.113.40"), &query);
        reply.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(address(None), ["203.0.113.81"]);
    assert_eq!(address(Some(&table)), ["192.0.2.81"]);
}

#[test]
fn examples_use_addresses_and_names_of_nobody() {
    let model = model();
    for endpoint in model.pools.iter().flat_map(|pool| &pool.endpoints) {
        if let Some(IpAddr::V4(v4)) = endpoint.address(Family::V4) {
            assert!(v4.is_documentation(), "{v4} of {}", endpoint.key);
        }
        if let Some(IpAddr::V6(v6)) = endpoint.address(Family::V6) {
            assert_eq!(v6.segments()[..2], [0x2001, 0xdb8], "{v6} of {}", endpoint.key);
        }
        if let Some(target) = endpoint.target() {
            let target = target.to_string();
            let is_nobodys = |end: &&str| target.ends_with(end);
            let ends = [".example.", ".example.com.", ".example.net.", ".example.org."];
            assert!(ends.iter().any(is_nobodys), "{target} of {}", endpoint.key);
        }
    }
    for zone in &model.zones {
        assert!(zone.apex.to_string().ends_with(".example."), "{}", zone.apex);
    }
}

#[test]
fn every_example_is_in_the_reference() {
    let reference = read("docs/configuration.md");
    for (name, _) in read_all("zones") {
        assert!(reference.contains(&format!("[{name}](../{name})")), "{name} is not mentioned");
    }
}

/// The reference has every key and no other, since what it shows of them is made from the table of keys.
#[test]
fn the_reference_is_in_step_with_the_table_of_keys() {
    let reference = read("docs/configuration.md");
    let renewed = rhumb::config::keys::renew(&reference).expect("each table has its part");
    assert!(renewed == reference, "renew it: cargo run -- schema --renew docs/configuration.md");
}

#[test]
fn the_files_in_the_readme_are_right() {
    let readme = include_str!("../README.md");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [zone, node] = blocks[..] else { panic!("the README has {} TOML blocks", blocks.len()) };
    let files = Files::new(vec![SourceFile::new("zones/gtm.example.com.toml", zone)]);
    let (model, problems) = config::load(&files);
    assert!(model.is_some() && problems.is_empty(), "{problems:?}");
    let (node, problems, _) = config::node::load_node(&SourceFile::new("rhumb.toml", node));
    assert!(node.is_some() && problems.is_empty(), "{problems:?}");
}
