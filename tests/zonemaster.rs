//! Zonemaster's opinion of a zone that we serve: `tests/judges/zonemaster.sh` says what is asked and what is not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::process::Command;

#[test]
fn zonemaster_finds_nothing_worse_than_a_notice() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/zonemaster.sh");
    let mut command = Command::new("bash");
    let output = command.arg(script).arg(env!("CARGO_BIN_EXE_rhumb")).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}");
    let is_known = said.contains("nothing worse than a NOTICE") || said.starts_with("skipped: ");
    assert!(is_known, "{said}");
}
