//! The compile job as the server runs it, for large geo data and many policies, and what a flip of health costs.
//!
//! Guess, on one core:
//! - 300,000 networks, 20 sites, 50 policies: places 0.1 s as benches/places.rs has it; 70,000 pairs of point and radius
//!   in 50 orders at 0.3 us: 1 s; 50 covers of 600,000 leaves at 30 ns: 0.9 s. Three columns of an octet and a class:
//!   90 MB, and half of that again on the way.
//! - 4,000,000 networks, 10 policies: places 1.5 s, 300,000 pairs: 1 s, 10 covers of 6 million leaves: 2 s. 180 MB of
//!   covers, 100 MB of places, 200 MB on the way.
//! - a flip of one of 20 pools, 50 policies of 1,000 classes: a look at each class for both families at 3 ns: 0.3 ms.
//! - the same after which no pool qualifies: with the passes run for each class and family four walks over 20
//!   candidates, 400 ns: 20 ms (measured: 22.7 ms). Left to the passes of whoever asks: eight looks, 0.3 ms.
//!
//! CPU time and the peak of memory are those of a process of its own for each line.
//!
//! Run: `cargo bench --bench classes`, or one line of it: `-- small`, `full`, `flips`
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

mod atlas;

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use atlas::Random;
use atlas::Size;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::config::load;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::geo::DatabaseFile;
use rhumb::geo::GeoInput;
use rhumb::health::Penalty;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::snapshot::Cached;
use rhumb::snapshot::compile;

const RUNS: usize = 3;
const FLIP_ROUNDS: usize = 5;
const DARK_ROUNDS: usize = 20;

/// Longer than the brake counts a loss.
const BRAKE_WINDOW: Duration = Duration::from_secs(1200);

const SITES: [(&str, f64, f64); 20] = [
    ("fra", 50.1, 8.7),
    ("lhr", 51.5, -0.1),
    ("cdg", 48.9, 2.4),
    ("mad", 40.4, -3.7),
    ("arn", 59.3, 18.1),
    ("waw", 52.2, 21.0),
    ("ist", 41.0, 28.9),
    ("jnb", -26.2, 28.0),
    ("los", 6.5, 3.4),
    ("iad", 39.0, -77.5),
    ("ord", 41.9, -87.6),
    ("dfw", 32.8, -96.8),
    ("sjc", 37.4, -121.9),
    ("gru", -23.5, -46.6),
    ("scl", -33.4, -70.7),
    ("bom", 19.1, 72.9),
    ("sin", 1.4, 103.8),
    ("hkg", 22.3, 114.2),
    ("nrt", 35.7, 139.8),
    ("syd", -33.9, 151.2),
];

const SMALL: Size = Size { v4: 270_000, v6: 30_000, towns: 24_000, divided_len: 18 };
const FULL: Size = Size { v4: 3_300_000, v6: 700_000, towns: 96_000, divided_len: 22 };

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["run", "small", what] => run(SMALL, 50, what),
        ["run", "full", what] => run(FULL, 10, what),
        [] => ["small", "full", "flips"].iter().for_each(|what| each(what)),
        ref some => some.iter().for_each(|what| each(what)),
    }
}

/// Runs one line of the benchmark, each run in a process of its own.
fn each(what: &str) {
    let (size, parts) = match what {
        "flips" => ("small", &["flips"][..]),
        size => (size, &["job", "steps"][..]),
    };
    for part in parts {
        for _ in 0..if *part == "job" { RUNS } else { 1 } {
            let own = std::env::current_exe().unwrap();
            let status = Command::new(own).args(["run", size, part]).status().unwrap();
            assert!(status.success());
        }
    }
}

fn run(size: Size, policies: usize, what: &str) {
    let made = atlas::atlas(size);
    let files = Files::new(vec![SourceFile::new("zones/a.toml", &zone(policies, what == "flips"))]);
    let octets: Arc<[u8]> = made.octets.into();
    println!(
        "{} networks, {} records, {} MB of database; {policies} policies",
        made.networks,
        made.records,
        octets.len() >> 20
    );
    let geo = GeoFiles::new(vec![("a.mmdb".into(), Arc::clone(&octets))]);
    match what {
        "job" => {
            let job = Job::new(files, geo, NodeTerms::default());
            let product = measured("the whole job", || job.run());
            drop(product.compiled().unwrap().clone());
        }
        "steps" => steps(&files, octets),
        "flips" => flips(Job::new(files, geo, NodeTerms::default())),
        other => panic!("{other}?"),
    }
}

/// The parts of the job, one after the other.
fn steps(files: &Files, octets: Arc<[u8]>) {
    let database = DatabaseFile { name: "a.mmdb".into(), octets, shape: None };
    let input = GeoInput { databases: vec![database], overlays: Vec::new() };
    let table = measured("  reading the database", || input.read().unwrap());
    let places = measured("  places", || table.compile());
    let leaves = (places.leaves_v4().starts.len(), places.leaves_v6().starts.len());
    println!("  {} places, leaves: {} and {}", places.places().len(), leaves.0, leaves.1);
    drop(table);
    let model = measured("  the model", || load(files).0.unwrap());
    let places = Arc::new(places);
    let compiled = measured("  classes", || compile(model, places, NodeTerms::default()).unwrap());
    let mut counts: Vec<usize> = compiled.classes.iter().map(|c| c.trees().len()).collect();
    counts.sort_unstable();
    println!("  classes of a policy: {counts:?}");
}

/// Prints CPU time and how far the peak of memory stands above what was in use before.
fn measured<T>(what: &str, work: impl FnOnce() -> T) -> T {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, cpu, started) = (memory("VmRSS"), cpu(), Instant::now());
    let done = work();
    let (took, wall) = (self::cpu() - cpu, started.elapsed());
    println!(
        "{what}: CPU {took:.2?}, wall {wall:.2?}, peak +{} MB, then +{} MB",
        (memory("VmHWM").saturating_sub(before)) / 1024,
        (memory("VmRSS").saturating_sub(before)) / 1024
    );
    done
}

/// A line of the process's status, in kB.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// From a verdict to the snapshot to publish, for each target: down, then up again.
fn flips(job: Job) {
    let (mut controller, mut now) = (started(job), Now::default());
    let mut times = Vec::new();
    let cpu_before = cpu();
    for _ in 0..FLIP_ROUNDS {
        for (key, _) in controller.verdicts() {
            for verdict in [Verdict::Down, Verdict::Up] {
                times.push(flip(&mut controller, key.clone(), verdict, now));
            }
        }
    }
    // The kernel's clock of CPU time is too coarse for one flip.
    report("flips", (cpu() - cpu_before) / times.len() as u32, times);

    // The last target that is left: no pool qualifies any more, of no class.
    let mut keys: Vec<TargetKey> = controller.verdicts().into_iter().map(|(key, _)| key).collect();
    let last = keys.pop().unwrap();
    let first_of_last = last.endpoint.clone();
    keys.retain(|key| key.endpoint != first_of_last);
    for key in keys {
        now.monotonic += BRAKE_WINDOW;
        flip(&mut controller, key, Verdict::Down, now);
    }
    let (mut times, mut spent) = (Vec::new(), Duration::ZERO);
    for _ in 0..DARK_ROUNDS {
        now.monotonic += BRAKE_WINDOW;
        let cpu_before = cpu();
        times.push(flip(&mut controller, last.clone(), Verdict::Down, now));
        spent += cpu() - cpu_before;
        let snapshot = controller.snapshot().unwrap();
        let all_down = (0..snapshot.compiled.routes.len())
            .all(|route| snapshot.cached(route, 0, Family::V4) == Cached::Late);
        assert!(all_down, "no pool qualifies");
        flip(&mut controller, last.clone(), Verdict::Up, now);
    }
    report("flips after which nothing qualifies", spent / DARK_ROUNDS as u32, times);
}

/// A controller with what a job made in force.
fn started(job: Job) -> Controller {
    let mut controller = Controller::default();
    let mut effects = Vec::new();
    controller.handle(Event::Files(job), Now::default(), &mut effects);
    let Some(Effect::Compile(job)) = effects.pop() else { panic!("a job") };
    controller.handle(Event::Compiled(job.run()), Now::default(), &mut effects);
    let compiled = &controller.snapshot().unwrap().compiled;
    let classes: usize = compiled.classes.iter().map(|classes| classes.trees().len()).sum();
    println!("{} routes, {classes} classes in all", compiled.routes.len());
    controller
}

/// One verdict, until there is a snapshot to publish.
fn flip(controller: &mut Controller, key: TargetKey, verdict: Verdict, now: Now) -> Duration {
    let (reason, penalty) = ("bench".into(), Penalty::default());
    let vote = Vote { key, verdict, degraded: 0, reason, penalty };
    let mut effects = Vec::new();
    let started = Instant::now();
    controller.handle(Event::Vote(vote), now, &mut effects);
    controller.handle(Event::Settle, now, &mut effects);
    let took = started.elapsed();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Publish(_))));
    took
}

/// Prints CPU time a flip, and how wall time spreads.
fn report(what: &str, mean: Duration, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{} {what}: CPU mean {mean:.1?}; wall least {:.1?}, median {:.1?}, 90 % {:.1?}",
        times.len(),
        at(0),
        at(50),
        at(90)
    );
}

/// A zone with a pool at each site and so many policies, most of them `nearest` over some of the pools.
///
/// With `twofold` a second one stands behind each, so that classes are many.
fn zone(policies: usize, twofold: bool) -> String {
    let mut zone = String::from(
        "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n[check.tcp]\nkind = \"tcp\"\nport = 80\n",
    );
    for (number, (site, latitude, longitude)) in SITES.iter().enumerate() {
        write!(
            zone,
            "[site.{site}]\nlatitude = {latitude:.1}\nlongitude = {longitude:.1}\n\
             [pool.p{number}]\nsite = \"{site}\"\ncheck = \"tcp\"\n\
             endpoint.e.addresses = [\"198.18.0.{number}\", \"2001:db8::{number}\"]\n"
        )
        .unwrap();
    }
    let mut random = Random(17);
    for policy in 0..policies {
        let mut pools: Vec<usize> = (0..SITES.len()).collect();
        for place in 0..pools.len() {
            pools.swap(place, random.below(place + 1));
        }
        pools.truncate(if policy % 5 == 0 { 20 } else { 8 + random.below(13) });
        let names: Vec<String> = pools.iter().map(|pool| format!("\"p{pool}\"")).collect();
        let (names, bias) = (names.join(", "), 800 + random.below(600));
        write!(zone, "[policy.n{policy}]\nkind = \"nearest\"\ntargets = [{names}]\n").unwrap();
        if policy % 3 == 0 {
            writeln!(zone, "bias = {{ p{} = {:.3} }}", pools[0], bias as f64 / 1000.0).unwrap();
        }
        let behind = match policy % 10 {
            _ if twofold => format!("n{}", (policy + 7) % policies),
            8 => format!("p{}", random.below(20)),
            _ => String::new(),
        };
        let entry = if behind.is_empty() { format!("n{policy}") } else { format!("f{policy}") };
        if !behind.is_empty() {
            let targets = format!("targets = [\"n{policy}\", \"{behind}\"]");
            write!(zone, "[policy.{entry}]\nkind = \"failover\"\n{targets}\n").unwrap();
        }
        write!(zone, "[name.www{policy}]\nsteer = \"{entry}\"\n").unwrap();
    }
    zone
}
