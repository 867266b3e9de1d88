//! What a cluster over NATS costs: octets and processor when idle, and how long a change, a late joiner and many flips take.
//!
//! Guess: a value is one message of about 330 octets to the bus and one to each node. Idle, 30 nodes beat once a second: 30
//! messages of 200 octets in, 6 kB/s a node, 45 us of verifying each: 0.14 % of a core. A change is two hops: below 2 ms on
//! loopback. A joiner of 30 nodes with 196 shards verifies 5,700 values: 0.3 s.
//!
//!     cargo bench --bench nats -- 5 40          # nodes, shards of votes of each
//!     cargo bench --bench nats -- 300 4 256     # and octets of a shard; default 128, what votes have
//!
//! All nodes are in one process and the bus is a `nats-server` beside it, over loopback with TLS; octets are those of the NATS
//! protocol before TLS. A line that begins with `{` is for `benches/results`.
#![allow(clippy::disallowed_methods, reason = "a benchmark asks the clock")]

#[path = "../tests/nats/bus.rs"]
mod bus;
#[path = "../tests/links/node.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod node;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use bus::Certificates;
use bus::NatsServer;
use bus::processor_time;
use node::Keys;
use node::Node;
use rhumb::cluster::Envelope;
use rhumb::cluster::Generation;
use rhumb::cluster::Heard;
use rhumb::cluster::Origin;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::Engine;
use rhumb::runtime::cluster::key::NodeKey;
use tokio::sync::mpsc;

/// Octets of a shard of votes, if nothing is said.
const SHARD: usize = 128;

/// Octets of a beat.
const BEAT: usize = 38;

/// How long the idle cluster is watched.
const IDLE: Duration = Duration::from_secs(20);

/// A change that a node has heard of: which node, which shard, which turn.
type Arrival = (usize, u64, u8, Instant);

/// What a run is about.
#[derive(Clone, Copy)]
struct Plan {
    nodes: usize,
    shards: u16,
    octets: usize,
}

fn main() {
    if bus::is_missing() {
        return;
    }
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let mut next = |otherwise| numbers.next().unwrap_or(otherwise);
    let (nodes, shards, octets) = (next(5), next(40) as u16, next(SHARD));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(run(Plan { nodes, shards, octets }));
}

/// A bus, and what it takes to be on it.
struct World {
    keys: Keys,
    certificates: Certificates,
    server: NatsServer,
    names: Vec<String>,
    plan: Plan,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl World {
    fn votes(&self, shard: u16, turn: u8) -> Say {
        let topic = Topic::Votes { layout: 1, shard: shard.into() };
        let noise = |at: usize| (at as u32).wrapping_mul(2_654_435_761).wrapping_add(shard.into());
        let mut payload: Vec<u8> =
            (0..self.plan.octets).map(|at| (noise(at) >> 13) as u8).collect();
        payload[0] = turn;
        Say { topic, payload: payload.into(), urgent: turn > 0 }
    }

    /// Starts the next node, and tells what it hears.
    async fn start(&self, all: &mut Vec<(Cluster, Node)>) {
        let (place, names) = (all.len(), self.names.iter().map(String::as_str).collect::<Vec<_>>());
        let nats = Some(self.certificates.terms("member", &self.server));
        let terms = rhumb::model::ClusterTerms {
            listen: None,
            nats,
            ..self.keys.terms(names[place], &names)
        };
        let mut node = Node::start(terms).await;
        let (_, none) = mpsc::channel(1);
        let mut heard = std::mem::replace(&mut node.heard, none);
        let arrivals = self.arrivals.clone();
        tokio::spawn(async move {
            while let Some(heard) = heard.recv().await {
                if let Heard::Value { topic: Topic::Votes { shard, .. }, payload, .. } = heard {
                    let _ = arrivals.send((place, shard, payload[0], Instant::now()));
                }
            }
        });
        let cluster = node.cluster.clone();
        tokio::spawn(beat(cluster.clone(), place));
        all.push((cluster, node));
    }
}

/// Beats each second, as a controller does; not all nodes in one moment.
async fn beat(cluster: Cluster, place: usize) {
    let mut count = 0u8;
    tokio::time::sleep(Duration::from_millis(place as u64 * 37 % 1000)).await;
    loop {
        count = count.wrapping_add(1);
        cluster.say(Say { topic: Topic::Beat, payload: [count; BEAT].into(), urgent: false });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What sealing and opening a value cost, in microseconds.
fn seals(plan: Plan) -> [f64; 2] {
    const TURNS: u32 = 5_000;
    let keys = Keys::new();
    keys.pin("a");
    let key = NodeKey::read(&keys.path("a")).expect("it was just made");
    let node = node::name("a");
    let origin = Origin { cluster: "prod", node: &node, generation: Generation(1) };
    let seal = |turn: u32| {
        let topic = Topic::Votes { layout: 1, shard: turn as u64 };
        let payload = vec![7; plan.octets].into();
        Envelope { topic, sequence: turn.into(), payload }.seal(&origin, &key.signing)
    };
    let begin = Instant::now();
    let sealed: Vec<_> = (0..TURNS).map(seal).collect();
    let sealing = begin.elapsed();
    let begin = Instant::now();
    let opened = sealed.iter().filter(|sealed| Envelope::open(sealed, &origin, &[key.pin]).is_ok());
    assert_eq!(opened.count(), TURNS as usize);
    [sealing, begin.elapsed()].map(|time| time.as_secs_f64() * 1e6 / f64::from(TURNS))
}

async fn run(plan: Plan) {
    let [seal, open] = seals(plan);
    println!("sealing a value takes {seal:.1} us, opening it {open:.1} us");
    let certificates = Certificates::new();
    let server = NatsServer::start(&certificates);
    let (arrivals, mut incoming) = mpsc::unbounded_channel();
    let names = (0..plan.nodes).map(|number| format!("n{number}")).collect();
    let world = World { keys: Keys::new(), certificates, server, names, plan, arrivals };
    let Plan { nodes, shards, octets } = plan;
    let mut all = Vec::new();
    let begin = Instant::now();
    for _ in 1..nodes {
        world.start(&mut all).await;
        let cluster = &all.last().expect("one was started").0;
        (0..shards).for_each(|shard| cluster.say(world.votes(shard, 0)));
    }
    let expected = (nodes - 1) * (nodes - 2) * usize::from(shards);
    wait(&mut incoming, expected, |_| true).await;
    let together = begin.elapsed();
    println!("{nodes} nodes, {shards} shards of {octets}: all but one know all after {together:?}");
    let begin = Instant::now();
    world.start(&mut all).await;
    let expected = (nodes - 1) * usize::from(shards);
    let last = wait(&mut incoming, expected, |arrival| arrival.0 == nodes - 1).await;
    let join = last.duration_since(begin);
    println!("a cold joiner knows all {expected} shards after {join:?}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let memory = memory_kilobytes() / nodes as u64;
    println!("{memory} kB of memory a node");
    let quiet = idle(&world, &all).await;
    let [median, p99, most] = changes(&world, &all, &mut incoming).await;
    let (flipped, flips) = flips(&world, &all, &mut incoming).await;
    let sum = |read: fn(&Cluster) -> u64| all.iter().map(|(one, _)| read(one)).sum::<u64>();
    let refused = sum(|cluster| cluster.counters().refused().sum());
    let dropped = sum(|cluster| cluster.counters().bus_dropped.load(Relaxed));
    let trips: Vec<f64> = all.iter().filter_map(|(one, _)| one.bus()?.round_trip_ms).collect();
    let trip = trips.iter().sum::<f64>() / trips.len().max(1) as f64;
    println!("refused {refused}, dropped and asked for again {dropped}, round trip {trip:.2} ms");
    println!(
        "{{\"bench\":\"nats\",\"nodes\":{nodes},\"shards\":{shards},\"octets\":{octets},\"seal_us\":{seal:.1},\"open_us\":{open:.1},\"together_ms\":{},\
         \"join_ms\":{},\"memory_kb\":{memory},{quiet},\"change_median_us\":{},\"change_p99_us\":{},\"change_most_us\":{},\
         \"flipped_shards\":{flipped},\"flips_ms\":{},\"dropped\":{dropped},\"refused\":{refused},\"round_trip_ms\":{trip:.2}}}",
        together.as_millis(),
        join.as_millis(),
        median.as_micros(),
        p99.as_micros(),
        most.as_micros(),
        flips.as_millis(),
    );
}

/// Memory of this process, all nodes of it.
fn memory_kilobytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Waits for so many arrivals; the last of them.
async fn wait(
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    count: usize,
    counts: impl Fn(&Arrival) -> bool,
) -> Instant {
    let (mut seen, mut last, mut total) = (BTreeMap::new(), Instant::now(), 0);
    while total < count {
        let next = tokio::time::timeout(Duration::from_secs(120), arrivals.recv()).await;
        let Ok(Some(arrival)) = next else { panic!("{total} of {count} arrived: {seen:?}") };
        if counts(&arrival) {
            total += 1;
            *seen.entry(arrival.0).or_insert(0) += 1;
            last = arrival.3;
        }
    }
    last
}

/// What the cluster costs while nothing happens but beats.
async fn idle(world: &World, all: &[(Cluster, Node)]) -> String {
    type Read = fn(&Cluster) -> &AtomicU64;
    let reads: [Read; 4] = [
        |cluster| &cluster.counters().octets_out,
        |cluster| &cluster.counters().octets_in,
        |cluster| &cluster.counters().writes,
        |cluster| &cluster.counters().frames_in,
    ];
    let sums = || reads.map(|read| all.iter().map(|(one, _)| read(one).load(Relaxed)).sum::<u64>());
    let times = || [std::process::id(), world.server.id()].map(processor_time);
    let (before, spent) = (sums(), times());
    tokio::time::sleep(IDLE).await;
    let (after, spent_after) = (sums(), times());
    let each = |at: usize| (after[at] - before[at]) as f64 / IDLE.as_secs_f64() / all.len() as f64;
    let share =
        |at: usize| (spent_after[at] - spent[at]).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let (node, server) = (share(0) / all.len() as f64, share(1));
    let [out, into, said, heard] = [0, 1, 2, 3].map(each);
    println!(
        "idle: out {out:.0} octets/s a node, in {into:.0}, {said:.1} messages/s out and {heard:.1} in; \
         processor: {node:.2} % of a core a node, {server:.2} % the bus"
    );
    format!(
        "\"idle_out\":{out:.0},\"idle_in\":{into:.0},\"idle_said\":{said:.1},\"idle_heard\":{heard:.1},\
         \"idle_node_percent\":{node:.3},\"idle_bus_percent\":{server:.2}"
    )
}

async fn changes(
    world: &World,
    all: &[(Cluster, Node)],
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
) -> [Duration; 3] {
    let mut times = Vec::new();
    for turn in 1..=100u8 {
        let begin = Instant::now();
        all[usize::from(turn) % all.len()].0.say(world.votes(0, turn));
        let is_it = |arrival: &Arrival| arrival.1 == 0 && arrival.2 == turn;
        let last = wait(arrivals, all.len() - 1, is_it).await;
        times.push(last.duration_since(begin));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    let shown = [times[50], times[98], times[99]];
    println!(
        "a changed vote at every node: median {:?}, p99 {:?}, most {:?}",
        shown[0], shown[1], shown[2]
    );
    shown
}

/// Very many flips of one moment: every shard of up to five nodes changes.
async fn flips(
    world: &World,
    all: &[(Cluster, Node)],
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
) -> (usize, Duration) {
    const TURN: u8 = 200;
    let begin = Instant::now();
    let speakers = all.len().min(5);
    for (cluster, _) in &all[..speakers] {
        (0..world.plan.shards).for_each(|shard| cluster.say(world.votes(shard, TURN)));
    }
    let shards = speakers * usize::from(world.plan.shards);
    let last = wait(arrivals, shards * (all.len() - 1), |arrival| arrival.2 == TURN).await;
    let time = last.duration_since(begin);
    println!("{shards} shards change at once: everywhere after {time:?}");
    (shards, time)
}
