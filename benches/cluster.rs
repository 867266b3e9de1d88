//! What a cluster costs: octets on the wire when idle, and how long a change, a late joiner and a thousand flips take.
//!
//! Guess: with 5 nodes a digest has 150 octets and is sent twelve times a second, mostly repeats; four beats of 130
//! octets come each second: 2 kB/s. With 30 nodes 29 beats of 130 octets and digests of 750: 8 kB/s. A pushed change
//! is everywhere after three hops.
//!
//!     cargo bench --bench cluster -- 5 40        # nodes, shards of votes of each
//!
//! All nodes are in one process, connected over loopback with TLS; octets are those of TCP's payload, both directions.
#![allow(clippy::disallowed_methods, reason = "a benchmark asks the clock")]

#[path = "../tests/links/node.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod node;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use node::Keys;
use node::Node;
use rhumb::cluster::Heard;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::Engine;
use tokio::sync::mpsc;

/// Octets of a shard of votes.
const SHARD: usize = 500;

/// Octets of a beat.
const BEAT: usize = 48;

/// How long the idle cluster is watched.
const IDLE: Duration = Duration::from_secs(20);

/// A change that a node has heard of: which node, which shard, which turn.
type Arrival = (usize, u16, u8, Instant);

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let (nodes, shards) = (numbers.next().unwrap_or(5), numbers.next().unwrap_or(40) as u16);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(run(nodes, shards));
}

fn votes(shard: u16, turn: u8) -> Say {
    let topic = Topic::Votes { layout: 1, shard };
    // Votes compress badly after many flips: these do not at all.
    let noise = |at: usize| (at as u32).wrapping_mul(2_654_435_761).wrapping_add(shard.into());
    let mut payload: Vec<u8> = (0..SHARD).map(|at| (noise(at) >> 13) as u8).collect();
    payload[0] = turn;
    Say { topic, payload: payload.into(), urgent: turn > 0 }
}

/// Beats each second, as a controller does.
async fn beat(cluster: Cluster) {
    let mut count = 0u8;
    loop {
        count = count.wrapping_add(1);
        cluster.say(Say { topic: Topic::Beat, payload: [count; BEAT].into(), urgent: false });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Starts a node that dials all before it, and tells what it hears.
async fn start(
    keys: &Keys,
    names: &[&str],
    all: &mut Vec<(Cluster, Node)>,
    arrivals: &mpsc::UnboundedSender<Arrival>,
) {
    let place = all.len();
    let mut terms = keys.terms(names[place], names);
    for (_, other) in all.iter() {
        let peer = terms.peers.iter_mut().find(|peer| peer.node == other.terms.node);
        peer.expect("every node is a peer").address = Some(other.address());
    }
    let mut node = Node::start(terms).await;
    let (_, none) = mpsc::channel(1);
    let mut heard = std::mem::replace(&mut node.heard, none);
    let arrivals = arrivals.clone();
    tokio::spawn(async move {
        while let Some(heard) = heard.recv().await {
            if let Heard::Value { topic: Topic::Votes { shard, .. }, payload, .. } = heard {
                let _ = arrivals.send((place, shard, payload[0], Instant::now()));
            }
        }
    });
    let cluster = node.cluster.clone();
    tokio::spawn(beat(cluster.clone()));
    all.push((cluster, node));
}

async fn run(count: usize, shards: u16) {
    let keys = Keys::new();
    let names: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (to, mut arrivals) = mpsc::unbounded_channel();
    let mut all = Vec::new();
    let begin = Instant::now();
    for _ in 1..count {
        start(&keys, &names, &mut all, &to).await;
        let cluster = &all.last().expect("one was started").0;
        (0..shards).for_each(|shard| cluster.say(votes(shard, 0)));
    }
    let expected = (count - 1) * (count - 2) * usize::from(shards);
    wait(&mut arrivals, expected, |_| true).await;
    println!("{count} nodes, {shards} shards: all but one know all after {:?}", begin.elapsed());
    let begin = Instant::now();
    start(&keys, &names, &mut all, &to).await;
    let joiner = count - 1;
    let expected = (count - 1) * usize::from(shards);
    wait(&mut arrivals, expected, |arrival| arrival.0 == joiner).await;
    println!("a cold joiner knows all {expected} shards after {:?}", begin.elapsed());
    tokio::time::sleep(Duration::from_secs(5)).await;
    idle(&all).await;
    changes(&all, &mut arrivals, count).await;
    flips(&all, &mut arrivals, shards).await;
    let sums =
        |read: fn(&Cluster) -> u64| all.iter().map(|(cluster, _)| read(cluster)).sum::<u64>();
    println!(
        "refused {}, gossip dropped {}, engine restarts {}, pushed {}",
        sums(|cluster| cluster.counters().refused().sum()),
        sums(|cluster| cluster.counters().gossip_dropped.load(Relaxed)),
        sums(|cluster| cluster.counters().engine_restarts.load(Relaxed)),
        sums(|cluster| cluster.counters().pushed.load(Relaxed)),
    );
}

/// Waits for so many arrivals; the last of them.
async fn wait(
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    count: usize,
    counts: impl Fn(&Arrival) -> bool,
) -> Instant {
    let (mut seen, mut last) = (std::collections::BTreeMap::new(), Instant::now());
    let mut total = 0;
    while total < count {
        let next = tokio::time::timeout(Duration::from_secs(60), arrivals.recv()).await;
        let Ok(Some(arrival)) = next else { panic!("{total} of {count} arrived: {seen:?}") };
        if counts(&arrival) {
            total += 1;
            *seen.entry(arrival.0).or_insert(0) += 1;
            last = arrival.3;
        }
    }
    last
}

async fn idle(all: &[(Cluster, Node)]) {
    let read = || {
        let of = |cluster: &Cluster| {
            let counters = cluster.counters();
            (
                counters.octets_out.load(Relaxed),
                counters.octets_in.load(Relaxed),
                counters.gossip_messages.load(Relaxed),
            )
        };
        all.iter().map(|(cluster, _)| of(cluster)).collect::<Vec<_>>()
    };
    let before = read();
    tokio::time::sleep(IDLE).await;
    let after = read();
    let seconds = IDLE.as_secs_f64();
    let rates = |part: fn(&(u64, u64, u64)) -> u64| {
        let each: Vec<f64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| (part(after) - part(before)) as f64 / seconds)
            .collect();
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        (mean, each.iter().copied().fold(0.0, f64::max))
    };
    let (out, into, messages) = (rates(|all| all.0), rates(|all| all.1), rates(|all| all.2));
    println!(
        "idle: out {:.0} octets/s a node (most {:.0}), in {:.0} ({:.0}), {:.1} messages/s of {:.0} octets",
        out.0,
        out.1,
        into.0,
        into.1,
        messages.0,
        out.0 / messages.0
    );
}

async fn changes(
    all: &[(Cluster, Node)],
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    count: usize,
) {
    let mut times = Vec::new();
    for turn in 1..=100u8 {
        let begin = Instant::now();
        all[usize::from(turn) % count].0.say(votes(0, turn));
        let last = wait(arrivals, count - 1, |arrival| arrival.1 == 0 && arrival.2 == turn).await;
        times.push(last.duration_since(begin));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    println!(
        "a changed vote at every node: median {:?}, p99 {:?}, most {:?}",
        times[50], times[98], times[99]
    );
}

/// A thousand flips of one moment: every shard of five nodes changes.
async fn flips(
    all: &[(Cluster, Node)],
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    shards: u16,
) {
    const TURN: u8 = 200;
    let begin = Instant::now();
    let speakers = all.len().min(5);
    for (cluster, _) in &all[..speakers] {
        (0..shards).for_each(|shard| cluster.say(votes(shard, TURN)));
    }
    let expected = speakers * usize::from(shards) * (all.len() - 1);
    let last = wait(arrivals, expected, |arrival| arrival.2 == TURN).await;
    println!(
        "{} shards change at once: everywhere after {:?}",
        speakers * usize::from(shards),
        last.duration_since(begin)
    );
}
