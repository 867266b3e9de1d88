//! A zone of a million records: octets of the master file to a zone that answers.
//!
//! Guess, on one core: words and numbers of 22 MB at 10 ns an octet, 0.25 s; a hash and two cache misses an
//! owner, twice, 0.2 s; checks and tables, 0.1 s: 0.55 s. Octets a record: 22 of text, 38 in the arena, 20 for its
//! node, 12 for its set, 8 for its slots and 16 of scaffolding: 116 MB at the peak.
//!
//! Run: `cargo bench --bench load`
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::config::load;
use rhumb::geo::PlaceMap;
use rhumb::snapshot::compile;

const RECORDS: u32 = 1_000_000;
const RUNS: usize = 5;

fn main() {
    let file = SourceFile::from_octets("zones/example.test.zone", zone().into_bytes());
    let file = file.expect("the zone is text");
    let files = Files::new(vec![file]);
    println!("peak before: {} MiB", peak_mib());
    for _ in 0..RUNS {
        let started = Instant::now();
        let (model, problems) = load(&files);
        let read = started.elapsed();
        assert!(problems.is_empty());
        let places = Arc::new(PlaceMap::compile(&[]));
        let compiled = compile(model.unwrap(), places, rhumb::model::NodeTerms::default()).unwrap();
        let whole = started.elapsed();
        drop(compiled);
        println!("read and checked: {read:.2?}, laid out: {whole:.2?}, peak: {} MiB", peak_mib());
    }
}

/// The zone of the peers' benchmark: one A record for each of a million hosts.
fn zone() -> String {
    let mut text = String::from(
        "$TTL 300\n@ SOA ns1 hostmaster 1 7200 1800 259200 300\n@ NS ns1\nns1 A 192.0.2.1\n",
    );
    for host in 0..RECORDS {
        let [_, a, b, c] = host.to_be_bytes();
        writeln!(text, "h{host} A 10.{a}.{b}.{c}").unwrap();
    }
    text
}

/// Most memory this process has had in use.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
