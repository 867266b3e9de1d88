//! Runs every `tests/scenarios/*.scn`: what users see, on a virtual clock.
//!
//! A scenario is a text of steps; `tests/scenarios/README.md` lists them. The pure machines run as in the server:
//! probe results go through health trackers, votes through the controller, questions through `answer()`.

mod common;
mod scenario;

use std::path::Path;

#[test]
fn every_scenario_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "scn"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 40, "only {} scenarios", paths.len());
    let failures: Vec<String> = paths.iter().filter_map(|path| scenario::run(path).err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} scenarios fail:\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n")
    );
}

#[test]
fn a_scenario_that_is_wrong_fails() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario/wrong.scn");
    let failure = scenario::run(&path).unwrap_err();
    assert!(failure.contains("wrong.scn:21"), "{failure}");
}
