//! What packages ship besides the binary: completion scripts, manual pages, schemas.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::process::Command;
use std::process::Output;

fn rhumb(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_rhumb")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What a tool says about a file; nothing if the tool is not there.
fn run_tool(tool: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(tool).args(arguments).output();
    if output.is_err() {
        println!("skipped: {tool} is not installed");
    }
    output.ok()
}

#[test]
fn bash_completes_commands_options_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("rhumb.bash");
    std::fs::write(&script, rhumb(&["completions", "bash"]).stdout).unwrap();
    let script = script.to_str().unwrap();
    let Some(output) = run_tool("bash", &["-n", script]) else { return };
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (line, expected) in [
        ("rhumb ser", "serve"),
        ("rhumb check --for", "--format"),
        ("rhumb check --format sa", "sarif"),
        ("rhumb completions fi", "fish"),
        ("rhumb geo loo", "lookup"),
    ] {
        // What bash does at a tab: the words, the one under the cursor, and the function of the command.
        let ask = format!(
            "source {script}; line='{line}'; COMP_WORDS=($line); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             COMP_LINE=\"$line\"; COMP_POINT=${{#line}}; \
             _rhumb rhumb \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let output = run_tool("bash", &["--norc", "-c", &ask]).expect("bash has run before");
        assert_eq!(text(&output.stdout).trim(), expected, "{line}: {}", text(&output.stderr));
    }
}

#[test]
fn other_shells_have_scripts_that_load() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, begins) in [("zsh", "#compdef rhumb"), ("fish", "complete")] {
        let script = rhumb(&["completions", shell]).stdout;
        assert!(text(&script).contains(begins), "{shell}");
        let path = folder.path().join(shell);
        std::fs::write(&path, script).unwrap();
        if let Some(output) = run_tool(shell, &["-n", path.to_str().unwrap()]) {
            assert!(output.status.success(), "{shell}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn every_command_has_a_manual_page_without_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    rhumb(&["man", "--folder", folder.path().to_str().unwrap()]);
    let mut pages: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> =
        pages.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["rhumb.1", "rhumb-serve.1", "rhumb-geo-lookup.1", "rhumb-man.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for path in &pages {
        let page = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(page.contains(".TH") && page.contains(".SH NAME"), "{page}");
        assert!(page.contains(&name.replace('-', "\\-")) || page.contains(name), "{name}: {page}");
        let path = path.to_str().unwrap();
        let Some(output) = run_tool("groff", &["-man", "-ww", "-z", path]) else { continue };
        let faults = text(&output.stderr);
        assert!(output.status.success() && faults.is_empty(), "{path}: {faults}");
    }
    assert_eq!(rhumb(&["man"]).stdout, std::fs::read(folder.path().join("rhumb.1")).unwrap());
}

#[test]
fn schemas_are_printed_and_the_reference_too() {
    let zone: serde_json::Value = serde_json::from_slice(&rhumb(&["schema"]).stdout).unwrap();
    let named: serde_json::Value =
        serde_json::from_slice(&rhumb(&["schema", "zone"]).stdout).unwrap();
    assert_eq!(zone, named);
    assert!(zone["properties"]["pool"].is_object());
    let node: serde_json::Value =
        serde_json::from_slice(&rhumb(&["schema", "node"]).stdout).unwrap();
    assert!(node["properties"]["server"].is_object());
    let reference = text(&rhumb(&["schema", "--markdown"]).stdout);
    for part in ["### [pool.NAME.endpoint.NAME]", "| `weight` |", "| `unknown-key` |"] {
        assert!(reference.contains(part), "{part}");
    }
}

#[test]
fn the_reference_is_renewed_in_place_and_a_missing_part_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("configuration.md");
    let good = include_str!("../docs/configuration.md");
    std::fs::write(&path, good.replace("| `weight` |", "| `wieght` |")).unwrap();
    rhumb(&["schema", "--renew", path.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), good);
    std::fs::write(&path, good.replace("schema: site.NAME", "schema: sites")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    let output = command.args(["schema", "--renew"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no table \"sites\""), "{output:?}");
}
