//! `rhumb zone` as an operator uses it: what it writes is loaded again, by us and by other servers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test runs the program")]

#[allow(dead_code, reason = "this test only loads zones")]
#[path = "rdata/judges.rs"]
mod judges;

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use judges::Judge;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::zonefile::Record;
use serde_json::Value;
use tempfile::TempDir;

const STEERED: &str = r#"
[zone]
name = "gtm.test"
nameservers = ["ns1.example.net"]
[pool.eu]
[pool.eu.endpoint.fra-1]
addresses = ["192.0.2.10", "2001:db8::10"]
[pool.eu.endpoint.fra-2]
addresses = ["192.0.2.11"]
weight = 0
[pool.us.endpoint.iad-1]
addresses = ["198.51.100.10"]
[policy.world]
kind = "failover"
targets = ["us", "eu"]
[name.www]
steer = "world"
[name.www.records]
TXT = ["hello"]
[name.api]
steer = "eu"
[name."*.a".records]
A = ["192.0.2.80"]
[name."@".records]
HTTPS = ["1 . alpn=h2 ohttp"]
WALLET = ["BTC bc1q"]
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join("zones").join(name), text).unwrap();
    }
    folder
}

/// Exit code, standard output and standard error of `rhumb zone`.
fn zone(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    let output = command.arg("zone").args(arguments).current_dir(folder).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Records of a zone as the loader gives them, in one order.
#[track_caller]
fn records(name: &str, text: &str) -> Vec<String> {
    let files = Files::new(vec![SourceFile::new(name, text)]);
    let (model, problems) = config::load(&files);
    let Some(model) = model else {
        panic!("{}", config::render::for_people(&files, &problems, false))
    };
    let line = |record: Record<'_>| {
        format!("{} {} {} {:?}", record.owner_name(), record.ttl, record.rtype, record.rdata)
    };
    let mut records: Vec<String> = model.zones[0].records.iter().map(line).collect();
    records.sort();
    records
}

/// A zone of every good line of the table, and the zone itself.
fn rich() -> String {
    let table = include_str!("rdata/good.txt").lines().filter(|line| !line.starts_with('#'));
    let mut text = "$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n".to_owned();
    for (position, line) in table.enumerate() {
        let [mnemonic, _, _, data, ..] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        // These are refused by some whatever their form, or mean something in a zone.
        let is_special = ["SOA", "NS", "DS", "MD", "MF", "NXT"].contains(&mnemonic);
        if !is_special && !data.starts_with("TYPE65280 13") {
            text += &format!("r{position} {mnemonic} {data}\n");
        }
    }
    text
}

#[test]
fn an_exported_zone_of_every_type_is_the_same_zone_again() {
    let rich = rich();
    let folder = folder(&[("example.zone", &rich)]);
    let (code, exported, errors) = zone(folder.path(), &["export", "example"]);
    assert_eq!(code, 0, "{errors}");
    let (before, after) = (records("example.zone", &rich), records("other.zone", &exported));
    assert!(before.len() > 150);
    assert_eq!(before, after);
    assert_eq!(exported, zone(folder.path(), &["export", "EXAMPLE."]).1);
    for judge in Judge::ALL {
        match judge.find() {
            Err(why) => println!("skipped: {why}"),
            Ok(version) => assert!(judge.loads(&exported), "{version}:\n{exported}"),
        }
    }
}

#[test]
fn steered_names_are_comments_and_the_order_is_canonical() {
    let folder = folder(&[("gtm.test.toml", STEERED)]);
    let (code, exported, errors) = zone(folder.path(), &["export", "gtm.test"]);
    assert_eq!(code, 0, "{errors}");
    let begins: Vec<_> = exported
        .lines()
        .map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        begins,
        [
            "; gtm.test. as written",
            "gtm.test. 86400 IN SOA",
            "gtm.test. 86400 IN NS",
            "gtm.test. 3600 IN HTTPS",
            "gtm.test. 3600 IN TYPE262",
            "*.a.gtm.test. 3600 IN A",
            "www.gtm.test. 3600 IN TXT",
            "; api.gtm.test. is steered",
            "; www.gtm.test. is steered",
        ]
    );
    assert!(exported.contains("IN HTTPS 1 . alpn=\"h2\" key8\n"), "{exported}");
    assert!(exported.contains("www.gtm.test. is steered by \"world\": A and AAAA depend on the"));
}

#[test]
fn a_snapshot_has_the_addresses_of_the_pool_that_a_name_fails_open_to() {
    let folder = folder(&[("gtm.test.toml", STEERED)]);
    let arguments = ["export", "gtm.test", "--steered-as", "fail-open"];
    let (code, exported, errors) = zone(folder.path(), &arguments);
    assert_eq!(code, 0, "{errors}");
    let (_, steered) = exported.split_once("; api").unwrap();
    let lines: Vec<_> = steered.lines().filter(|line| line.contains(" IN ")).collect();
    assert_eq!(
        lines,
        [
            "api.gtm.test. 30 IN A 192.0.2.10",
            "api.gtm.test. 30 IN AAAA 2001:db8::10",
            // No member of the first pool has an IPv6 address: the next one answers for it.
            "www.gtm.test. 30 IN A 198.51.100.10",
            "www.gtm.test. 30 IN AAAA 2001:db8::10",
        ]
    );
    for judge in Judge::ALL.into_iter().filter(|judge| judge.find().is_ok()) {
        assert!(judge.loads_as("gtm.test", &exported), "{judge:?}:\n{exported}");
    }
}

#[test]
fn zones_and_records_are_there_as_json() {
    let folder = folder(&[("gtm.test.toml", STEERED), ("example.zone", &rich())]);
    let (code, list, _) = zone(folder.path(), &["list", "--json"]);
    assert_eq!(code, 0);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["apex"], "example.");
    assert_eq!(list[0]["serial"], 1);
    assert_eq!(list[1]["apex"], "gtm.test.");
    assert_eq!(list[1]["steered"], 2);
    let (_, text, _) = zone(folder.path(), &["list"]);
    assert!(text.starts_with("example.  serial 1, "), "{text}");
    let (code, exported, _) = zone(folder.path(), &["export", "gtm.test", "--json"]);
    assert_eq!(code, 0);
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported["records"][0]["type"], "SOA");
    assert_eq!(exported["records"][3]["type"], "WALLET");
    assert_eq!(exported["records"][3]["data"], "\"BTC\" \"bc1q\"");
    assert_eq!(exported["steered"][1]["owner"], "www.gtm.test.");
    assert_eq!(exported["steered"][1]["steer"], "world");
    assert_eq!(exported["steered"][1]["addresses"], Value::Null);
}

#[test]
fn a_zone_that_is_not_there_and_zones_with_problems_are_refused() {
    let folder = folder(&[("gtm.test.toml", STEERED)]);
    let (code, output, errors) = zone(folder.path(), &["export", "other.test"]);
    assert_eq!((code, &output[..]), (1, ""));
    assert!(errors.contains("there is no zone other.test."), "{errors}");
    std::fs::write(folder.path().join("zones/bad.zone"), "@ MX ten\n").unwrap();
    for arguments in [&["list"][..], &["export", "gtm.test"]] {
        let (code, output, errors) = zone(folder.path(), arguments);
        assert_eq!((code, &output[..]), (1, ""));
        assert!(errors.contains("bad.zone:1"), "{errors}");
    }
}

#[test]
fn octets_that_are_no_utf8_are_exported_and_a_mistake_beside_them_is_shown_at_its_column() {
    let zone_file = b"@ SOA ns1.example.net. host 1 1 1 1 1\n@ NS ns1.example.net.\n\
                      ; caf\xe9\n$INCLUDE texts\nt TXT \"caf\xe9\" \\\xe9\n";
    let folder = folder(&[]);
    let write = |name: &str, octets: &[u8]| {
        std::fs::write(folder.path().join("zones").join(name), octets).unwrap();
    };
    write("l.test.zone", zone_file);
    write("texts", b"i TXT \xfc ; \xfc\n");
    let (code, exported, errors) = zone(folder.path(), &["export", "l.test"]);
    assert_eq!(code, 0, "{errors}");
    assert!(exported.contains("i.l.test. 3600 IN TXT \"\\252\"\n"), "{exported}");
    assert!(exported.contains("t.l.test. 3600 IN TXT \"caf\\233\" \"\\233\"\n"), "{exported}");
    write("texts", b"i TXT \xfc\xfc \xe9 ; \xfc\n\xe9 A \xfc\n");
    let (code, _, errors) = zone(folder.path(), &["export", "l.test"]);
    assert_eq!(code, 1);
    assert!(errors.contains("zones/texts:2:5\n"), "{errors}");
    assert!(errors.contains("\u{fffd} A \u{fffd}\n"), "{errors}");
    assert!(errors.contains("\"\\252\" is not an IPv4 address"), "{errors}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder(&[("example.zone", &rich())]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(["zone", "export", "example"]).current_dir(folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}
