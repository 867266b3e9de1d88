//! The JSON Schemas against the validator: never looser where a schema can say it, and never narrower on good files.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "mistakes/table.rs"]
#[allow(dead_code, reason = "the other test of these mistakes needs the rest")]
mod table;

use std::path::Path;

use jsonschema::Validator;
use rhumb::config::keys;
use rhumb::config::keys::NODE_FILE;
use rhumb::config::keys::ZONE_FILE;
use serde_json::Value;
use table::Case;

/// Mistakes that a schema cannot say, by the reason.
const BEYOND: &[(&str, &[&str])] = &[
    (
        "a name is known or not, and what it names fits or not, by other tables and files",
        &[
            "an unknown site",
            "an unknown site with nothing near it",
            "a site in another case than it has",
            "an unknown check",
            "a target with a typo",
            "a weighted target with a typo",
            "a rule with an unknown target",
            "an unknown default",
            "an unknown list",
            "a rule that lacks a family",
            "a rule that lacks a family, before one that has it",
            "fastest over a pool without a site",
            "an unknown entry",
            "an unknown pool for when all is down",
            "a policy for when all is down",
            "a pool without the family for when all is down",
            "a fence that lacks a family",
            "nearest over a pool without a site",
            "nearest over a policy over a pool without a site",
            "a policy that contains itself",
            "three policies in a circle, and one that leads to them",
            "policies nested ten deep",
            "addresses and names in one pool",
            "addresses and names under one name",
            "a pool of names for when all is down",
            "an assertion of an unknown site",
            "an assertion about an unknown name",
            "an assertion where nothing is steered",
            "a load of endpoints without capacity",
            "targets by site in a pool without one",
            "names written beside endpoints that are found",
            "an endpoint that differs in what is not there",
            "a check that is made of itself",
            "three checks in a circle, and one that leads to them",
            "shedding without a check and a site",
            "shedding by a check that reads no load",
            "shedding by a check that asks too seldom",
        ],
    ),
    (
        "one name twice: in several files, in several spellings, or in two tables",
        &[
            "one pool in two files",
            "one zone in two files",
            "a pool and a policy of one name",
            "one site in two cases",
            "two endpoints that differ in case only",
            "one name twice, in another case",
            "one name twice, with its dot",
        ],
    ),
    (
        "one value is judged by another: a schema compares with constants only",
        &[
            "a timeout longer than the interval",
            "a request that takes longer than its interval",
            "shedding that is at full pace before it starts",
            "a timeout longer than the default interval",
            "a panic limit above the default minimum",
            "a panic limit above the minimum",
            "a minimum above the number of endpoints",
            "a status range that runs backwards",
            "names resolved again sooner than they may be",
            "a bias for what is no target",
            "a spill for what is no target",
            "a weight of fastest for what is no target",
            "a weight of nothing among equals",
            "a budget of time for a distance",
            "one condition in two rules",
            "one network in the lists of two rules",
            "a list of a file and of entries",
            "sticky and a period",
            "a body of a reply to HEAD",
            "levels of slowness that are no steps",
            "datagrams without anything to send",
            "a regular expression that is none, and one of another dialect",
            "an assertion that is false",
            "an assertion that cannot hold whatever is down",
        ],
    ),
    (
        "nodes of a cluster are compared, and one table with another",
        &[
            "pushed files that no restart would find",
            "an agent that is dialled, and dials nobody",
            "an agent with an address",
        ],
    ),
    (
        "networks are compared, and their bits counted",
        &["networks with bits beyond their prefix, as IPv6 that is IPv4, and twice"],
    ),
    (
        "the file that is named is another one",
        &[
            "a file of certificates that is not there",
            "a file of certificates without one",
            "a file of records that is not there",
            "a file of networks that is not there",
            "a file of networks with mistakes",
            "a mistake in a file of records",
            "a fault in a file of records is not followed by another",
            "a file of traffic that is not there",
            "mistakes in a file of traffic",
            "traffic of unknown columns",
        ],
    ),
    (
        "an owner is compared with the zone's name, with made records, or with other tables",
        &[
            "a name outside its zone",
            "a name server inside the zone without an address",
            "a steered name below a delegation",
            "a steered name below a DNAME at the apex",
            "an alias at the apex",
            "a CNAME at the apex by steering",
            "a record beside a steered CNAME",
            "an SRV record beside steered ones",
            "a name server that is steered to a CNAME",
        ],
    ),
    (
        "record data is a language of its own for each type (RFC 1035 section 5), not a text of one pattern",
        &[
            "hints that follow what has no addresses",
            "hints that follow another server's name",
            "hints that must be there and may not be",
            "hints of a record that only leads on",
            "an MX without its preference",
            "an MX without its name",
            "an MX with a word too many, in the second text",
            "a TXT with a quote that never ends",
            "a TXT that would be cut at its semicolon",
            "a TXT of 256 octets",
            "two records in one text",
            "an SRV with a bad port",
            "a CAA without its value",
            "a CAA with a flag beyond an octet",
            "an A with a bad address",
            "a faulty address of a name server is not missing",
        ],
    ),
];

fn validator(file: &'static keys::Table) -> Validator {
    let schema = keys::schema(file, "test");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("it is a schema")
}

/// TOML as JSON; nothing if it is not TOML, which no schema is asked about.
fn json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    Some(serde_json::to_value(table).expect("TOML fits JSON"))
}

/// The TOML files of a case, and whether each is one.
fn texts(text: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut is_toml = true;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.trim_end().strip_prefix("-- ") {
            is_toml = name.ends_with(".toml --");
            texts.extend(is_toml.then(String::new));
        } else if is_toml {
            *texts.last_mut().expect("there is one") += line;
        }
    }
    texts
}

/// Titles of the cases that the schema lets pass, and how many it refuses; those of broken syntax are neither.
fn judge(cases: &[Case], validator: &Validator) -> (Vec<&'static str>, usize) {
    let (mut passed, mut refused) = (Vec::new(), 0);
    for case in cases.iter().filter(|case| !case.title.starts_with("warning")) {
        let parsed: Option<Vec<Value>> = texts(case.text).iter().map(|text| json(text)).collect();
        let Some(parsed) = parsed else { continue };
        match parsed.iter().all(|value| validator.is_valid(value)) {
            true => passed.push(case.title),
            false => refused += 1,
        }
    }
    (passed, refused)
}

#[test]
fn mistakes_that_a_schema_can_say_are_refused_by_it() {
    let (mut passed, refused) = judge(table::ZONE_FILES, &validator(&ZONE_FILE));
    let (of_node, refused_of_node) = judge(table::NODE_FILES, &validator(&NODE_FILE));
    passed.extend(of_node);
    let listed: Vec<&str> = BEYOND.iter().flat_map(|(_, titles)| *titles).copied().collect();
    let loose: Vec<_> = passed.iter().filter(|title| !listed.contains(title)).collect();
    let stale: Vec<_> = listed.iter().filter(|title| !passed.contains(title)).collect();
    assert!(loose.is_empty(), "the schema lets pass: {loose:#?}");
    assert!(stale.is_empty(), "the schema refuses, or no case is: {stale:#?}");
    assert!(refused >= 60 && refused_of_node >= 9, "{refused} and {refused_of_node} are refused");
}

#[track_caller]
fn assert_passes(validator: &Validator, name: &str, text: &str) {
    let value = json(text).unwrap_or_else(|| panic!("{name} is TOML"));
    let faults: Vec<_> = validator
        .iter_errors(&value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}");
}

#[test]
fn what_loads_passes_the_schema() {
    let zone = validator(&ZONE_FILE);
    let fine = table::FINE.iter().copied();
    let warned = table::ZONE_FILES.iter().filter(|case| case.title.starts_with("warning"));
    for text in fine.chain(warned.map(|case| case.text)) {
        assert_passes(&zone, text, text);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["zones", "zones/shared"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_passes(&zone, &path.display().to_string(), &text);
                count += 1;
            }
        }
    }
    assert!(count >= 7, "{count} examples");
}

#[test]
fn the_files_in_the_readme_and_of_the_demo_pass_the_schema() {
    let readme = include_str!("../README.md");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [zone, node] = blocks[..] else { panic!("the README has {} TOML blocks", blocks.len()) };
    assert_passes(&validator(&ZONE_FILE), "README", zone);
    assert_passes(&validator(&NODE_FILE), "README", node);
    assert_passes(&validator(&NODE_FILE), "a node without a file", "");
}

#[test]
fn durations_of_one_unit_are_judged_exactly() {
    let validator = validator(&ZONE_FILE);
    let is_valid = |interval: &str| {
        let text = format!("[check.x]\nkind = 'http'\ninterval = '{interval}'\n");
        validator.is_valid(&json(&text).unwrap())
    };
    for good in
        ["100ms", "3600000ms", "1s", "3600s", "60m", "1h", "010s", "10 s", "1m 30s", "1m30s"]
    {
        assert!(is_valid(good), "{good}");
    }
    for bad in ["99ms", "3600001ms", "0s", "3601s", "61m", "2h", "1d", "10", "", "s", "1y", "1.5s"]
    {
        assert!(!is_valid(bad), "{bad}");
    }
}

#[test]
fn editors_are_told_what_a_key_is_and_its_default() {
    let schema = keys::schema(&ZONE_FILE, "Rhumb zone file");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let check = &schema["properties"]["check"]["additionalProperties"]["properties"];
    assert_eq!(check["interval"]["default"], "10s");
    let about = check["interval"]["description"].as_str().unwrap();
    assert!(
        about.contains("from the start of a probe") && about.contains("100ms to 1h"),
        "{about}"
    );
    assert_eq!(check["kind"]["enum"][2], "http");
    let records = &schema["properties"]["name"]["additionalProperties"]["properties"]["records"];
    assert!(records["properties"]["MX"].is_object() && records["properties"]["SOA"].is_null());
}
