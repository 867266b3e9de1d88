//! The examples under `zones/` and the reference: what they show must load, answer and be complete.
#![allow(clippy::disallowed_methods, reason = "tests read the files that they are about")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use common::GEO;
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
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::model::Model;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
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
    let expected = ["failover", "nearest", "nested", "shop", "static", "weighted"];
    assert_eq!(apexes, expected.map(|name| format!("{name}.example.")).into());
}

#[test]
fn each_example_loads_with_the_shared_tables_alone() {
    let mut shared = read_all("zones/shared");
    shared.extend(read_all("zones/parts"));
    let is_own = |name: &str| !name.contains("/shared/") && !name.contains("/parts/");
    for (name, text) in read_all("zones").iter().filter(|(name, _)| is_own(name)) {
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
fn every_example_zone_answers_for_its_soa_and_every_steered_name_for_an_address() {
    let model = model();
    let steered: Vec<String> = model.steers.iter().map(|steer| steer.owner.to_string()).collect();
    let apexes: Vec<String> = model.zones.iter().map(|zone| zone.apex.to_string()).collect();
    let compiled = compile(model, Arc::new(places(GEO)), Box::from(*b"ns-test-1"));
    let snapshot = Snapshot::new(Arc::new(compiled.expect("classes are few")), 1, &AllUnknown);
    let soa = apexes.into_iter().map(|name| (name, RecordType::SOA));
    let addresses = steered.into_iter().map(|name| (name, RecordType::A));
    for (name, rtype) in soa.chain(addresses) {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(&name).expect("a name"), rtype));
        let reply = ask(&snapshot, &request("192.0.2.7"), &query);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError, "{name} {rtype}");
        assert!(reply.metadata.authoritative, "{name} {rtype}");
        assert!(reply.answers.iter().any(|record| record.record_type() == rtype), "{name} {rtype}");
    }
}

#[test]
fn examples_use_addresses_and_names_of_nobody() {
    let model = model();
    for endpoint in model.pools.iter().flat_map(|pool| &pool.endpoints) {
        if let Some(v4) = endpoint.v4 {
            assert!(v4.is_documentation(), "{v4} of {}", endpoint.key);
        }
        if let Some(v6) = endpoint.v6 {
            assert_eq!(v6.segments()[..2], [0x2001, 0xdb8], "{v6} of {}", endpoint.key);
        }
    }
    for zone in &model.zones {
        assert!(zone.apex.to_string().ends_with(".example."), "{}", zone.apex);
    }
}

/// What TOML 1.1 allows and 1.0 does not, in a text that parses: the first place, if any.
fn find_newer_toml(text: &str) -> Option<&'static str> {
    let (mut braces, mut last, mut quote) = (0, ' ', None);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('"'), '\\') => match characters.next() {
                Some('e' | 'x') => return Some("the escapes \\e and \\x"),
                _ => continue,
            },
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => continue,
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') => {
                while characters.peek().is_some_and(|&next| next != '\n') {
                    characters.next();
                }
                continue;
            }
            (None, '{') => braces += 1,
            (None, '}') if last == ',' => return Some("a comma before a closing brace"),
            (None, '}') => braces -= 1,
            (None, '\n') if braces > 0 => return Some("a table in braces over several lines"),
            _ => {}
        }
        if !character.is_whitespace() {
            last = character;
        }
    }
    None
}

#[test]
fn examples_are_toml_1_0() {
    for (name, text) in read_all("zones").iter().filter(|(name, _)| name.ends_with(".toml")) {
        toml::from_str::<toml::Table>(text).expect("it is TOML");
        assert!(!text.contains("\"\"\"") && !text.contains("'''"), "the scan knows no long texts");
        assert_eq!(find_newer_toml(text), None, "{name}");
    }
    assert!(find_newer_toml("a = { b = 1,\n c = 2 }").is_some());
    assert!(find_newer_toml("a = { b = 1, }").is_some());
    assert!(find_newer_toml("a = \"\\e\"").is_some());
    assert!(find_newer_toml("a = [\n1,\n] # {\nb = '\\e{'").is_none());
}

#[test]
fn every_example_is_in_the_reference() {
    let reference = read("docs/configuration.md");
    for (name, _) in read_all("zones") {
        assert!(reference.contains(&format!("[{name}](../{name})")), "{name} is not mentioned");
    }
}

/// Keys that the readers take, found in their source.
fn keys_in_source() -> BTreeSet<String> {
    let mut files = read_all("src/config/read");
    for name in ["src/config/node.rs", "src/config/encrypted.rs"] {
        files.push((name.into(), read(name)));
    }
    let mut keys = BTreeSet::new();
    for (_, text) in &files {
        // Calls may be broken over lines: `.take(\n    "interval"`.
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let calls = [
            ".take(\"",
            ".need(\"",
            "read_path(&mutconfig,\"",
            "read_path(&mutadmin,\"",
            "read_ttl(&mutsection,\"",
            "read_file(&mutsection,\"",
            "each(&mutroot,\"",
        ];
        for call in calls {
            for found in text.split(call).skip(1) {
                keys.extend(found.split('"').next().map(str::to_owned));
            }
        }
    }
    keys
}

/// Keys in the first column of the reference's tables of keys, and the tables themselves.
fn keys_in_reference() -> BTreeSet<String> {
    let reference = read("docs/configuration.md");
    let mut keys = BTreeSet::new();
    let mut is_key_table = false;
    for line in reference.lines() {
        if let Some(header) = line.strip_prefix("### [") {
            keys.extend(header.split([']', '.']).next().map(str::to_owned));
        }
        if line.starts_with("| key |") {
            is_key_table = true;
        } else if !line.starts_with('|') {
            is_key_table = false;
        } else if let Some(key) = line.strip_prefix("| `").filter(|_| is_key_table) {
            keys.extend(key.split('`').next().map(str::to_owned));
        }
    }
    keys
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let (source, reference) = (keys_in_source(), keys_in_reference());
    assert!(source.len() > 50, "{source:?}");
    let missing: Vec<_> = source.difference(&reference).collect();
    let invented: Vec<_> = reference.difference(&source).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:?}, invented {invented:?}"
    );
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
