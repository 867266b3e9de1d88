//! What keeping state costs: the control loop's share of a flip, the writer's share of a batch, and a start with 50,000 targets.
//!
//! Guess, on one core: for the loop 2 us a flip (two texts, one digest, a few allocations); for the writer 20 us a verdict in a
//! large batch (JSON, a lookup, two inserts, its share of two fsyncs) and 5 ms a commit; to read 50,000 verdicts
//! at 2 us each, and compare each with its target, 0.3 s.
//!
//! A list of found endpoints: 10 us for each of its own, and nothing for the others.
//!
//! Run: `cargo bench --bench state -- 250 200` (pools, endpoints of each); `TMPDIR` says on which disk.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Controller;
use rhumb::control::Discovered;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Restored;
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::control::stored::Entry;
use rhumb::control::stored::Kept;
use rhumb::discovery::list;
use rhumb::health::Penalty;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::runtime::state::FILE_NAME;
use rhumb::runtime::state::Store;

/// How many pools there are, and endpoints in each.
#[derive(Clone, Copy)]
struct Shape {
    pools: usize,
    endpoints: usize,
}

/// A server without sockets and clocks.
struct Loop {
    controller: Controller,
    now: Now,
    entries: Vec<Entry>,
    kept: Option<Box<Kept>>,
}

impl Loop {
    fn start(restored: Option<Restored>) -> Self {
        let now =
            Now { monotonic: Duration::from_secs(1 << 30), unix: Duration::from_secs(1 << 30) };
        let mut started =
            Self { controller: Controller::default(), now, entries: Vec::new(), kept: None };
        if let Some(restored) = restored {
            started.handle(Event::Restored(restored));
        }
        started
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Persist(entry) => self.entries.push(entry),
                Effect::Keep(kept) => self.kept = Some(kept),
                Effect::Compile(job) => self.handle(Event::Compiled(job.run())),
                _ => {}
            }
        }
    }

    fn load(&mut self, zone: &str) {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", zone)]);
        self.handle(Event::Files(Job::new(files, GeoFiles::default(), NodeTerms::default())));
        self.handle(Event::Settle);
    }

    /// Votes of these targets, in batches as they come from the prober.
    fn vote(&mut self, keys: &[TargetKey], verdict: Verdict, batch: usize) -> Duration {
        let started = Instant::now();
        for keys in keys.chunks(batch) {
            self.now.unix += Duration::from_millis(10);
            self.now.monotonic += Duration::from_millis(10);
            for key in keys {
                let reason = "connection refused (3 in a row)".into();
                self.handle(Event::Vote(Vote {
                    key: key.clone(),
                    verdict,
                    degraded: 0,
                    reason,
                    penalty: Penalty::default(),
                }));
            }
            self.handle(Event::Settle);
        }
        started.elapsed()
    }

    fn keys(&self) -> Vec<TargetKey> {
        self.controller.verdicts().into_iter().map(|(key, _)| key).collect()
    }
}

fn address(Shape { endpoints, .. }: Shape, pool: usize, endpoint: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + (pool * endpoints + endpoint) as u32)
}

const ZONE: &str = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n[check.web]\nkind = \"http\"\n";

fn zone(shape: Shape) -> String {
    let mut text = String::from(ZONE);
    for pool in 0..shape.pools {
        writeln!(text, "[pool.p{pool}]\ncheck = \"web\"").unwrap();
        for endpoint in 0..shape.endpoints {
            let address = address(shape, pool, endpoint);
            writeln!(text, "endpoint.e{endpoint}.addresses = [\"{address}\"]").unwrap();
        }
        writeln!(text, "[name.n{pool}]\nsteer = \"p{pool}\"").unwrap();
    }
    text
}

/// The same endpoints, found: a list for each pool, and then a list of one pool with one endpoint less.
fn discover(shape: Shape) {
    let mut text = String::from(ZONE);
    for pool in 0..shape.pools {
        let discover = format!("discover = {{ file = \"p{pool}.json\" }}");
        writeln!(text, "[pool.p{pool}]\ncheck = \"web\"\n{discover}").unwrap();
        writeln!(text, "[name.n{pool}]\nsteer = \"p{pool}\"").unwrap();
    }
    let mut found = Loop::start(None);
    found.load(&text);
    let model = Arc::clone(&found.controller.snapshot().unwrap().compiled.model);
    let list = |pool: usize, endpoints: usize| {
        let targets = (0..endpoints).map(|one| format!("\"{}:80\"", address(shape, pool, one)));
        let targets = targets.collect::<Vec<_>>().join(",");
        let entries = list::read(&format!("[{{\"targets\": [{targets}]}}]")).unwrap();
        let source = Arc::clone(&model.pools[pool].discover.as_ref().unwrap().source);
        Event::Discovered(Discovered { source, result: Ok(entries) })
    };
    let mut tell = |pool, endpoints| {
        let event = list(pool, endpoints);
        let started = Instant::now();
        found.now.unix += Duration::from_millis(10);
        found.now.monotonic += Duration::from_millis(10);
        found.handle(event);
        found.handle(Event::Settle);
        started.elapsed()
    };
    let first: Vec<Duration> = (0..shape.pools).map(|pool| tell(pool, shape.endpoints)).collect();
    per("lists found, one after the other", first.iter().sum(), first.len());
    println!("the last of them: {:.2?}", first[first.len() - 1]);
    let less: Vec<Duration> = (0..5).map(|pool| tell(pool, shape.endpoints - 1)).collect();
    per("lists with one endpoint less", less.iter().sum(), less.len());
    assert_eq!(found.keys().len(), shape.pools * shape.endpoints - 5);
}

fn per(what: &str, elapsed: Duration, count: usize) {
    println!("{what}: {elapsed:.2?}, {:.2?} each of {count}", elapsed / count as u32);
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let shape = match numbers[..] {
        [pools, endpoints, ..] => Shape { pools, endpoints },
        [] | [_] => Shape { pools: 250, endpoints: 200 },
    };
    if shape.endpoints > 1 {
        discover(shape);
    }
    let zone = zone(shape);
    let folder = tempfile::tempdir().unwrap();
    let (mut keeping, mut plain) = (Loop::start(Some(Restored::default())), Loop::start(None));
    for one in [&mut keeping, &mut plain] {
        one.load(&zone);
    }
    let started = Instant::now();
    let controller = &plain.controller;
    let listed =
        (controller.verdicts().len(), controller.admin_states().len(), controller.names().len());
    println!("lists of all targets, orders and names {listed:?}: {:.2?}", started.elapsed());
    let keys = keeping.keys();
    assert_eq!(keys.len(), shape.pools * shape.endpoints);
    let with = keeping.vote(&keys, Verdict::Up, 500);
    let without = plain.vote(&keys, Verdict::Up, 500);
    per("loop, first round, keeping", with, keys.len());
    per("loop, first round, not keeping", without, keys.len());
    let some = &keys[..2_000];
    per("loop, single flips, keeping", keeping.vote(some, Verdict::Down, 1), some.len());
    per("loop, single flips, not keeping", plain.vote(some, Verdict::Down, 1), some.len());

    let store = Store::open(folder.path()).unwrap();
    let started = Instant::now();
    store.keep(&keeping.kept.take().unwrap(), u64::MAX).unwrap().unwrap();
    println!("writer, files of {} octets: {:.2?}", zone.len(), started.elapsed());
    let (first, flips) = keeping.entries.split_at(keeping.entries.len() - some.len());
    let started = Instant::now();
    store.write(first).unwrap();
    per("writer, first round in one batch", started.elapsed(), keys.len());
    let started = Instant::now();
    for flip in &flips[..50] {
        store.write(std::slice::from_ref(flip)).unwrap();
    }
    per("writer, a commit for each flip", started.elapsed(), 50);
    let started = Instant::now();
    for flips in flips[50..].chunks(100) {
        store.write(flips).unwrap();
    }
    per("writer, batches of 100 flips", started.elapsed(), some.len() - 50);
    let started = Instant::now();
    let changed = store.write(first).unwrap().anything;
    println!("writer, the same again (changed: {changed}): {:.2?}", started.elapsed());
    store.write(&keeping.entries).unwrap();
    drop(store);
    let size = folder.path().join(FILE_NAME).metadata().unwrap().len();
    println!("file: {size} octets, {} a target", size / keys.len() as u64);

    for _ in 0..3 {
        let started = Instant::now();
        let store = Store::open(folder.path()).unwrap();
        let opened = started.elapsed();
        let (restored, unread) = store.reader().unwrap().restore().unwrap();
        assert_eq!(unread, 0);
        let read = started.elapsed();
        let mut again = Loop::start(None);
        again.now = keeping.now;
        let loading = Instant::now();
        again.load(&zone);
        let plain = loading.elapsed();
        let mut again = Loop::start(None);
        again.now = keeping.now;
        again.handle(Event::Restored(restored));
        let loading = Instant::now();
        again.load(&zone);
        let restoring = loading.elapsed();
        let known =
            again.controller.verdicts().iter().filter(|(_, v)| *v != Verdict::Unknown).count();
        println!(
            "start: opened {opened:.2?}, read {read:.2?}; files alone {plain:.2?}, with {known} verdicts {restoring:.2?}"
        );
    }
}
