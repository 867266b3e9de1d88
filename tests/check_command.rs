//! `rhumb check` as an operator uses it: every problem of every file at once.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const ZONE: &str = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Exit code and standard output of `rhumb check` in a folder.
fn check(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.arg("check").args(arguments).args(["--config", "rhumb.toml"]).current_dir(folder);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// File, line and severity of every problem.
fn check_json(folder: &Path) -> (i32, Vec<(String, u64, String)>) {
    let (code, output) = check(folder, &["--json"]);
    let value: Value = serde_json::from_str(&output).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let problem = |value: &Value| {
        (text(&value["file"]), value["line"].as_u64().unwrap(), text(&value["severity"]))
    };
    (code, value.as_array().unwrap().iter().map(problem).collect())
}

fn error(file: &str, line: u64) -> (String, u64, String) {
    (file.into(), line, "error".into())
}

#[test]
fn problems_of_settings_zones_and_geo_data_are_shown_together() {
    let folder = folder(&[
        (
            "rhumb.toml",
            "[server]\nlisten = 1\n[config]\nzones = \"ours\"\n[geo]\ndatabases = [\"bad.mmdb\", \"gone.mmdb\"]\n",
        ),
        ("ours/shop.toml", "nonsense = 1\n"),
        ("bad.mmdb", "no database"),
    ]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    for part in ["rhumb.toml:2", "ours/shop.toml:1", "bad.mmdb: not a complete", "gone.mmdb: "] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("fine:"), "{output}");
    let (code, mut problems) = check_json(folder.path());
    assert_eq!(code, 1);
    problems.sort();
    problems.dedup();
    assert_eq!(
        problems,
        [
            error("bad.mmdb", 0),
            error("gone.mmdb", 0),
            error("ours/shop.toml", 1),
            error("rhumb.toml", 2)
        ]
    );
}

#[test]
fn lists_of_targets_are_checked_line_by_line_all_at_once() {
    let pool = |name: &str, file: &str| {
        format!(
            "[pool.{name}]\ndiscover = {{ file = \"{file}\" }}\n[name.{name}]\nsteer = \"{name}\"\n"
        )
    };
    let pools = [("eu", "parts/eu.json"), ("us", "parts/us.json"), ("gone", "gone.json")];
    let pools: String = pools.iter().map(|(name, file)| pool(name, file)).collect();
    let folder = folder(&[
        ("rhumb.toml", ""),
        ("zones/shop.toml", &(ZONE.to_owned() + &pools)),
        (
            "zones/parts/eu.json",
            "[\n  { \"targets\": [\"127.0.0.1:80\",\n    \"192.0.2.1:80\", \"web:80\"] }\n]\n",
        ),
        ("zones/parts/us.json", "[\n  { \"target\": [] },\n  { \"targets\": [7] }\n]\n"),
    ]);
    let (code, mut problems) = check_json(folder.path());
    problems.sort();
    problems.dedup();
    assert_eq!(code, 1);
    assert_eq!(
        problems,
        [
            error("zones/gone.json", 0),
            error("zones/parts/eu.json", 2),
            error("zones/parts/eu.json", 3),
            error("zones/parts/us.json", 2),
            error("zones/parts/us.json", 3),
        ]
    );
    let (_, output) = check(folder.path(), &[]);
    for part in ["it is loopback", "no name of a host", "\"target\" is not known", "^^^"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

#[test]
fn a_broken_rhumb_toml_does_not_hide_faults_of_zones() {
    let folder = folder(&[("rhumb.toml", "[server\n"), ("zones/shop.toml", "nonsense = 1\n")]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(output.contains("rhumb.toml:1"), "{output}");
    assert!(output.contains("zones/shop.toml:1"), "{output}");
    std::fs::remove_file(folder.path().join("rhumb.toml")).unwrap();
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(output.contains("error[unreadable-file]: rhumb.toml: "), "{output}");
    assert!(output.contains("zones/shop.toml:1"), "{output}");
}

#[test]
fn damaged_geo_data_alone_is_not_fine() {
    let files = [
        ("rhumb.toml", "[geo]\ndatabases = [\"bad.mmdb\"]\n"),
        ("zones/shop.toml", ZONE),
        ("bad.mmdb", "no database"),
    ];
    let folder = folder(&files);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(!output.contains("fine:"), "{output}");
    assert!(output.contains("1 error, 0 warnings"), "{output}");
    assert_eq!(check_json(folder.path()), (1, vec![error("bad.mmdb", 0)]));
}

#[test]
fn a_folder_without_zones_is_warned_of() {
    let folder = folder(&[("rhumb.toml", ""), ("zones/readme.txt", "empty")]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 0);
    assert!(output.contains("warning[no-zone]: zones: no zone is served"), "{output}");
    assert!(output.contains("fine: 0 zones, "), "{output}");
    assert_eq!(check_json(folder.path()), (0, vec![("zones".into(), 0, "warning".into())]));
    std::fs::write(folder.path().join("zones/shop.toml"), ZONE).unwrap();
    assert_eq!(check_json(folder.path()), (0, vec![]));
}

#[test]
fn a_site_of_the_node_that_no_file_has_is_warned_of() {
    let site = "[site.fra]\nlatitude = 1\nlongitude = 1\n";
    let zone = format!("{ZONE}{site}");
    let folder = folder(&[("rhumb.toml", "[server]\nsite = \"frq\"\n"), ("zones/a.toml", &zone)]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 0);
    let said = "rhumb.toml: server.site: there is no site \"frq\"; did you mean \"fra\"?";
    assert!(output.contains(said), "{output}");
    std::fs::write(folder.path().join("rhumb.toml"), "[server]\nsite = \"fra\"\n").unwrap();
    assert_eq!(check_json(folder.path()), (0, vec![]));
}

/// The SARIF log of a folder, judged by the schema of OASIS.
fn check_sarif(folder: &Path) -> (i32, Value) {
    let (code, output) = check(folder, &["--format", "sarif"]);
    let log: Value = serde_json::from_str(&output).unwrap();
    // From the crate serde-sarif 0.8.0; it names where OASIS publishes it.
    // A pattern of languages has a bracket too many, which not every engine takes.
    let schema = include_str!("sarif/schema-2.1.0.json").replace("{2}]?$", "{2}$");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&log)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0" })), "it can refuse");
    (code, log)
}

#[test]
fn sarif_names_rule_place_and_the_other_place() {
    let folder = folder(&[
        ("rhumb.toml", "[geo]\ndatabases = [\"gone.mmdb\"]\n"),
        ("zones/a.toml", ZONE),
        ("zones/ä b.toml", "[pool.x]\nendpoint.a.addresses = [\"192.0.2.1\"] # 東京\n"),
        (
            "zones/b.toml",
            "pool.x = { site = \"東𝄞\", endpoint.a.addresses = [\"192.0.2.1\"], wieght = 1 }\n",
        ),
    ]);
    let (code, log) = check_sarif(folder.path());
    assert_eq!(code, 1);
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let results = run["results"].as_array().unwrap();
    let found = |rule: &str| {
        let result = results.iter().find(|result| result["ruleId"] == rule);
        result.unwrap_or_else(|| panic!("no {rule} in {log:#}"))
    };
    for result in results {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert_eq!(result["level"], "error");
    }
    // Columns count characters: two of them stand before, of 3 and 4 octets, of 1 and 2 units of UTF-16.
    let unknown = &found("unknown-key")["locations"][0]["physicalLocation"];
    assert_eq!(unknown["artifactLocation"]["uri"], "zones/b.toml");
    let region = serde_json::json!(
        { "startLine": 1, "startColumn": 63, "endLine": 1, "endColumn": 69 }
    );
    assert_eq!(unknown["region"], region);
    let twice = found("duplicate-name");
    assert_eq!(
        twice["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "zones/%C3%A4%20b.toml"
    );
    let related = &twice["relatedLocations"][0];
    assert_eq!(related["message"]["text"], "the first is here");
    assert_eq!(related["physicalLocation"]["region"]["startColumn"], 6);
    let file = &found("unreadable-file")["locations"][0]["physicalLocation"];
    assert_eq!(file["artifactLocation"]["uri"], "gone.mmdb");
    assert!(file["region"].is_null());
}

#[test]
fn sarif_of_files_without_a_problem_has_no_result() {
    let folder = folder(&[("rhumb.toml", ""), ("zones/shop.toml", ZONE)]);
    let (code, log) = check_sarif(folder.path());
    assert_eq!((code, log["runs"][0]["results"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn json_has_a_short_form_and_formats_do_not_mix() {
    let folder = folder(&[("rhumb.toml", "[servr]\n"), ("zones/shop.toml", ZONE)]);
    let long = check(folder.path(), &["--format", "json"]);
    assert_eq!(long, check(folder.path(), &["--json"]));
    let problems: Value = serde_json::from_str(&long.1).unwrap();
    assert_eq!(problems[0]["rule"], "unknown-key");
    assert!(check(folder.path(), &[]).1.contains("error[unknown-key]: servr: "));
    assert_eq!(check(folder.path(), &["--json", "--format", "sarif"]).0, 2);
}

/// Two pools, a check each, and one assertion.
const SHOP: &str = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
    [site.fra]\nlatitude = 50.11\nlongitude = 8.68\ncountry = \"DE\"\n\
    [site.iad]\nlatitude = 38.95\nlongitude = -77.45\ncountry = \"US\"\n\
    [check.web]\nkind = \"http\"\n\
    [pool.eu]\nsite = \"fra\"\ncheck = \"web\"\nendpoint.a.addresses = [\"192.0.2.1\"]\n\
    [pool.us]\nsite = \"iad\"\ncheck = \"web\"\nendpoint.a.addresses = [\"192.0.2.2\"]\n\
    [policy.p]\nkind = \"failover\"\ntargets = [\"eu\", \"us\"]\n\
    [name.www]\nsteer = \"p\"\n";

#[test]
fn an_assertion_that_does_not_hold_is_shown_with_client_way_and_remedy() {
    let assertion = "[[assert]]\nclients = \"192.0.2.0/24\"\nstays_in = \"continent:EU\"\n";
    let zone = format!("{SHOP}{assertion}");
    let folder = folder(&[("rhumb.toml", ""), ("zones/shop.toml", &zone)]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1, "{output}");
    let line = zone.lines().position(|line| line == "[[assert]]").unwrap() + 1;
    for part in [
        format!("zones/shop.toml:{line}:1"),
        "error[assertion]".into(),
        "clients in 192.0.2.0/24".into(),
        "get pool \"us\" at site iad in US with everything down but pool \"us\"".into(),
        "fence = true".into(),
        "pass 1: pool us taken".into(),
        "rhumb explain www.shop.test. A --offline --client 192.0.2.1 --down eu".into(),
        "nothing of this would be served".into(),
    ] {
        assert!(output.contains(&part), "{part}: {output}");
    }
    let (_, json) = check(folder.path(), &["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["rule"], "assertion");
    assert!(json[0]["notes"].as_array().unwrap().len() >= 3, "{json:#}");
    let (code, log) = check_sarif(folder.path());
    assert_eq!((code, &log["runs"][0]["results"][0]["ruleId"]), (1, &"assertion".into()));
    // The command that it shows shows the same.
    let mut explain = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    let arguments = ["explain", "www.shop.test.", "A", "--offline", "--client", "192.0.2.1"];
    let output = explain.args(arguments).args(["--down", "eu"]).args(["--config", "rhumb.toml"]);
    let output = output.current_dir(folder.path()).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains("192.0.2.2"), "{output}");
    std::fs::write(
        folder.path().join("zones/shop.toml"),
        zone.replace("[\"eu\", \"us\"]", "[\"eu\"]"),
    )
    .unwrap();
    assert_eq!(check(folder.path(), &[]).0, 0);
}

#[test]
fn sites_that_carry_too_much_are_shown_in_a_table() {
    let zone = SHOP
        .replace("endpoint.a.addresses", "endpoint.a.capacity = 100\nendpoint.a.addresses")
        + "[[assert]]\nmax_load = \"100%\"\ntraffic = \"t.csv\"\n";
    let traffic = "prefix,load\n192.0.2.0/24,60\n198.51.100.0/24,50\n";
    let folder =
        folder(&[("rhumb.toml", ""), ("zones/shop.toml", &zone), ("zones/t.csv", traffic)]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("site fra carries 110% of its capacity with everything up"),
        "{output}"
    );
    let row: Vec<&str> =
        output.lines().find(|line| line.contains("fra  ")).unwrap().split_whitespace().collect();
    assert!(row.ends_with(&["fra", "110.0", "100.0", "110%"]), "{row:?}");
    std::fs::write(folder.path().join("zones/t.csv"), traffic.replace("60", "40")).unwrap();
    assert_eq!(check(folder.path(), &[]).0, 0);
}

#[test]
fn how_long_a_failover_takes_is_printed_for_each_name() {
    let folder = folder(&[("rhumb.toml", ""), ("zones/shop.toml", SHOP)]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 0, "{output}");
    for part in [
        "failover at worst: interval x fall + timeout + quorum + propagation + TTL",
        "www.shop.test.  63s = 10s x 3 + 2s + 0s + 1s + 30s (check \"web\")",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let (_, json) = check(folder.path(), &["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let note = json.as_array().unwrap().iter().find(|one| one["severity"] == "note").unwrap();
    assert_eq!(note["key"], "www.shop.test.");
    let terms = &note["failover"]["slowest"];
    assert_eq!((&terms["total_ms"], &terms["fall"]), (&63_000.into(), &3.into()));
}
