//! Replays the corpus of each fuzz target: what a fuzzer once found stays found.
#![allow(clippy::disallowed_methods, reason = "the corpus is files")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Gives each file under `fuzz/corpus/<target>` to `run`, in the order of their names.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("each target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    for path in paths {
        let data = std::fs::read(&path).expect("a readable file");
        println!("{}", path.display()); // shown only if it fails
        run(&data);
    }
}

#[test]
fn packets_of_the_corpus_get_replies_or_nothing() {
    let world = targets::world();
    replay("query", |data| targets::query(&world, data));
}

#[test]
fn master_files_of_the_corpus_are_read_or_refused() {
    replay("master", targets::master);
}

#[test]
fn configurations_of_the_corpus_are_loaded_or_refused() {
    replay("config", targets::config);
}

#[test]
fn round_trip_times_of_the_corpus_are_read_or_refused() {
    replay("rtt", targets::rtt);
}

#[test]
fn lists_of_targets_of_the_corpus_are_read_or_refused() {
    replay("targets", targets::targets);
}

#[test]
fn loads_of_the_corpus_are_believed_or_not() {
    replay("load", targets::load);
}

#[test]
fn responses_of_the_corpus_come_to_the_same_however_they_are_cut() {
    replay("response", targets::response);
}

#[test]
fn databases_of_the_corpus_are_read_or_refused() {
    replay("geo", targets::geo);
    replay("overlay", targets::overlay);
}
