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
fn a_broken_rhumb_toml_does_not_hide_faults_of_zones() {
    let folder = folder(&[("rhumb.toml", "[server\n"), ("zones/shop.toml", "nonsense = 1\n")]);
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(output.contains("rhumb.toml:1"), "{output}");
    assert!(output.contains("zones/shop.toml:1"), "{output}");
    std::fs::remove_file(folder.path().join("rhumb.toml")).unwrap();
    let (code, output) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(output.contains("error: rhumb.toml: "), "{output}");
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
    assert!(output.contains("warning: zones: no zone is served"), "{output}");
    assert!(output.contains("fine: 0 zones, "), "{output}");
    assert_eq!(check_json(folder.path()), (0, vec![("zones".into(), 0, "warning".into())]));
    std::fs::write(folder.path().join("zones/shop.toml"), ZONE).unwrap();
    assert_eq!(check_json(folder.path()), (0, vec![]));
}
