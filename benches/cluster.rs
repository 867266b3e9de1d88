//! What a cluster costs and how fast it is, over lines of different length: octets when idle, and how long a change, a
//! thousand flips, a late joiner, a death and the end of a partition take.
//!
//! Guess: a beat has 170 octets with its record of TLS, a ping and its answer 90. So with 5 nodes a node sends 1 kB/s when
//! idle, with 30 nodes 7.5 kB/s. A change is everywhere after the longest line and 5 ms; a joiner knows all after eight
//! times the longest line; a death is noticed 4.5 s after the last beat.
//!
//!     cargo bench --bench cluster -- 5 40 20 150     # nodes, shards of votes of each; shortest, longest delay one way, ms
//!
//! All nodes are in one process, connected with TLS over loopback, each pair over a line of its own whose delay is drawn
//! evenly from that range (0 0: directly). Octets are those of TCP's payload. Whether a node lives is asked of the same book that the
//! controller keeps. Each line of the output is an object of JSON.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark asks the clock and locks"
)]

#[path = "../tests/common/delay.rs"]
mod delay;
#[path = "../tests/links/node.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod node;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use delay::Line;
use node::Keys;
use node::Node;
use node::name;
use rhumb::cluster::Beat;
use rhumb::cluster::Book;
use rhumb::cluster::Heard;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::Engine;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Octets of a full shard of votes: 256 targets of four bits.
const SHARD: usize = 128;

/// How long the idle cluster is watched.
const IDLE: Duration = Duration::from_secs(20);

/// How long the partition lasts.
const PARTED: Duration = Duration::from_secs(8);

/// Changes that are timed.
const CHANGES: u8 = 100;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let mut next = |or| numbers.next().unwrap_or(or);
    let (nodes, shards, delays) = (next(5) as usize, next(40) as u16, next(0)..=next(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let begin = (Instant::now(), cpu());
    runtime.block_on(run(nodes, shards, delays));
    let used = cpu() - begin.1;
    show("all", json!({ "wall_s": seconds(begin.0.elapsed()), "cpu_s": seconds(used) }));
}

/// Time of this process on all cores.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    // Fields 14 and 15, in hundredths of a second, after the name, which is in brackets.
    let fields = stat.rsplit(')').next().expect("a name is there").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Most memory that this process has had, in MB.
fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

fn show(what: &str, mut figures: serde_json::Value) {
    figures["what"] = what.into();
    println!("{figures}");
}

fn votes(shard: u16, turn: u8) -> Say {
    let topic = Topic::Votes { layout: 1, shard: shard.into() };
    let mut payload = vec![0x11; SHARD];
    payload[0] = turn;
    Say { topic, payload: payload.into(), urgent: turn > 0 }
}

/// Something that a node has come to know.
enum Event {
    /// The votes of a turn.
    Votes(u8),
    /// Whether a node lives.
    Lives(usize, bool),
}

/// What all nodes know, as far as it was told.
struct Fleet {
    keys: Keys,
    names: Vec<String>,
    delays: std::ops::RangeInclusive<u64>,
    members: Vec<Option<Member>>,
    lines: BTreeMap<(usize, usize), Line>,
    told: mpsc::UnboundedSender<(usize, Event, Instant)>,
    events: mpsc::UnboundedReceiver<(usize, Event, Instant)>,
    /// How many values of each turn have arrived anywhere.
    arrived: [usize; 256],
    /// Who lives, as whom sees it.
    alive: std::collections::BTreeSet<(usize, usize)>,
}

struct Member {
    node: Node,
    tasks: [JoinHandle<()>; 2],
    /// When it said its last beat.
    beat_at: Arc<Mutex<Instant>>,
}

/// Beats each second, as a controller does.
async fn beat(cluster: Cluster, beat_at: Arc<Mutex<Instant>>) {
    let begin = Instant::now() - Duration::from_secs(1);
    loop {
        let beat = Beat { said_at: begin.elapsed(), ..Beat::default() };
        *beat_at.lock().expect("nobody panics with it") = Instant::now();
        cluster.say(Say { topic: Topic::Beat, payload: beat.to_octets(), urgent: false });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Keeps a book of what a node hears, and tells what is news in it.
async fn listen(
    own: usize,
    names: Vec<String>,
    mut heard: mpsc::Receiver<Heard>,
    told: mpsc::UnboundedSender<(usize, Event, Instant)>,
) {
    let (mut book, begin) = (Book::default(), Instant::now());
    let mut alive = vec![false; names.len()];
    let nodes: Vec<_> = names.iter().map(|text| name(text)).collect();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = heard.recv() => {
                let Some(heard) = heard else { return };
                let turn = match &heard {
                    Heard::Value { topic: Topic::Votes { .. }, payload, .. } => Some(payload[0]),
                    _ => None,
                };
                let change = book.hear(heard, begin.elapsed());
                if let (Some(turn), rhumb::cluster::Change::Words { .. }) = (turn, change) {
                    let _ = told.send((own, Event::Votes(turn), Instant::now()));
                }
            }
            _ = tick.tick() => for (place, node) in nodes.iter().enumerate() {
                let lives = book.page(node).is_some_and(|page| page.is_alive(begin.elapsed()));
                if std::mem::replace(&mut alive[place], lives) != lives {
                    let _ = told.send((own, Event::Lives(place, lives), Instant::now()));
                }
            }
        }
    }
}

impl Fleet {
    /// Starts the next node, which dials all before it.
    async fn start(&mut self) -> usize {
        let own = self.members.len();
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let mut terms = self.keys.terms(names[own], &names);
        for (place, member) in self.members.iter().enumerate() {
            let Some(member) = member else { continue };
            let mut address = member.node.address();
            if *self.delays.end() > 0 {
                // Evenly spread over the range, and the same at each run.
                let step = (place * 7 + own * 13) as u64 % 101;
                let range = self.delays.end() - self.delays.start();
                let delay = Duration::from_millis(self.delays.start() + range * step / 100);
                let line = Line::start(address, delay);
                address = line.address();
                self.lines.insert((own, place), line);
            }
            let peer = terms.peers.iter_mut().find(|peer| peer.node == member.node.terms.node);
            peer.expect("every node is a peer").address = Some(address);
        }
        let mut node = Node::start(terms).await;
        let heard = std::mem::replace(&mut node.heard, mpsc::channel(1).1);
        let beat_at = Arc::new(Mutex::new(Instant::now()));
        let listening = listen(own, self.names.clone(), heard, self.told.clone());
        let beating = beat(node.cluster.clone(), Arc::clone(&beat_at));
        let tasks = [tokio::spawn(listening), tokio::spawn(beating)];
        self.members.push(Some(Member { node, tasks, beat_at }));
        own
    }

    /// Takes in what comes until something holds; when that began.
    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Instant {
        let mut last = Instant::now();
        while !holds(self) {
            let next = tokio::time::timeout(Duration::from_secs(120), self.events.recv()).await;
            let Ok(Some((place, event, at))) = next else {
                panic!("{what}: {:?} arrived, {} alive", self.arrived, self.alive.len())
            };
            last = at;
            match event {
                Event::Votes(turn) => self.arrived[usize::from(turn)] += 1,
                Event::Lives(whom, true) => drop(self.alive.insert((place, whom))),
                Event::Lives(whom, false) => drop(self.alive.remove(&(place, whom))),
            }
        }
        last
    }

    fn living(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    fn say(&self, place: usize, shards: std::ops::Range<u16>, turn: u8) {
        let member = self.members[place].as_ref().expect("it lives");
        shards.for_each(|shard| member.node.cluster.say(votes(shard, turn)));
    }

    /// Each of so many nodes sees all others.
    fn sees_all(&self, count: usize) -> bool {
        self.alive.len() == count * (count - 1)
    }

    /// Stalls or opens the lines that `is_meant` names.
    fn lines(&self, is_meant: impl Fn(usize, usize) -> bool, act: impl Fn(&Line)) {
        let meant = self.lines.iter().filter(|((from, to), _)| is_meant(*from, *to));
        meant.for_each(|(_, line)| act(line));
    }
}

async fn run(count: usize, shards: u16, delays: std::ops::RangeInclusive<u64>) {
    let (told, events) = mpsc::unbounded_channel();
    show(
        "bench",
        json!({
            "nodes": count, "shards": shards, "targets": usize::from(shards) * 256,
            "delay_ms_one_way": [delays.start(), delays.end()],
        }),
    );
    let mut fleet = Fleet {
        keys: Keys::new(),
        names: (0..count).map(|number| format!("n{number}")).collect(),
        delays,
        members: Vec::new(),
        lines: BTreeMap::new(),
        told,
        events,
        arrived: [0; 256],
        alive: std::collections::BTreeSet::new(),
    };
    join(&mut fleet, count, shards).await;
    idle(&fleet).await;
    change(&mut fleet, count).await;
    flip(&mut fleet, count, shards).await;
    if !fleet.lines.is_empty() {
        part(&mut fleet, count).await;
        die(&mut fleet, count).await;
    }
    let sum = |read: fn(&Cluster) -> u64| -> u64 {
        fleet.living().map(|member| read(&member.node.cluster)).sum()
    };
    show(
        "counters",
        json!({
            "refused": sum(|cluster| cluster.counters().refused().sum()),
            "engine_restarts": sum(|cluster| cluster.counters().engine_restarts.load(Relaxed)),
            "pushed": sum(|cluster| cluster.counters().pushed.load(Relaxed)),
            "heard": sum(|cluster| cluster.counters().values_heard.load(Relaxed)),
            "compared": sum(|cluster| cluster.counters().compared.load(Relaxed)),
            "connections": sum(|cluster| cluster.counters().connections.load(Relaxed)),
            "cut_slow": sum(|cluster| cluster.counters().cut_slow.load(Relaxed)),
            "handshakes_shed": sum(|cluster| cluster.counters().handshakes_shed.load(Relaxed)),
            "memory_mb": memory_mb(),
        }),
    );
}

/// All but one start together, then the last one.
async fn join(fleet: &mut Fleet, count: usize, shards: u16) {
    let (begin, used) = (Instant::now(), cpu());
    for _ in 1..count {
        let own = fleet.start().await;
        fleet.say(own, 0..shards, 0);
    }
    let all = (count - 1) * (count - 2) * usize::from(shards);
    let filled = fleet.until("first fill", |fleet| fleet.arrived[0] >= all).await;
    fleet.until("all but one alive", |fleet| fleet.sees_all(count - 1)).await;
    show(
        "first_fill",
        json!({
            "nodes": count - 1, "s": seconds(filled - begin), "cpu_s": seconds(cpu() - used),
        }),
    );
    let (begin, used) = (Instant::now(), cpu());
    let own = fleet.start().await;
    let all = all + (count - 1) * usize::from(shards);
    let filled = fleet.until("the joiner knows all", |fleet| fleet.arrived[0] >= all).await;
    let last = fleet.until("all alive", |fleet| fleet.sees_all(count)).await;
    show(
        "cold_joiner",
        json!({
            "knows_all_s": seconds(filled - begin), "all_see_all_s": seconds(last.max(filled) - begin),
            "cpu_s": seconds(cpu() - used),
        }),
    );
    fleet.say(own, 0..shards, 1);
    let all = (count - 1) * usize::from(shards);
    fleet.until("the joiner is heard", |fleet| fleet.arrived[1] >= all).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

async fn idle(fleet: &Fleet) {
    let read = || -> Vec<[u64; 4]> {
        let of = |member: &Member| {
            let counters = member.node.cluster.counters();
            [&counters.octets_out, &counters.octets_in, &counters.writes, &counters.compared]
                .map(|counter| counter.load(Relaxed))
        };
        fleet.living().map(of).collect()
    };
    let (before, used) = (read(), cpu());
    tokio::time::sleep(IDLE).await;
    let (after, used) = (read(), cpu() - used);
    let rates = |part: usize| {
        let pairs = after.iter().zip(&before);
        let each: Vec<f64> = pairs
            .map(|(after, before)| (after[part] - before[part]) as f64 / IDLE.as_secs_f64())
            .collect();
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        json!({ "mean": mean.round(), "most": each.iter().copied().fold(0.0, f64::max).round() })
    };
    show(
        "idle",
        json!({
            "octets_out_a_second": rates(0), "octets_in_a_second": rates(1), "writes_a_second": rates(2),
            "compared_a_second": rates(3), "cpu_percent_of_a_core_all_nodes":
                (used.as_secs_f64() / IDLE.as_secs_f64() * 1000.0).round() / 10.0,
        }),
    );
}

async fn change(fleet: &mut Fleet, count: usize) {
    let mut times = Vec::new();
    for turn in 2..2 + CHANGES {
        let begin = Instant::now();
        fleet.say(usize::from(turn) % count, 0..1, turn);
        let is_there = |fleet: &Fleet| fleet.arrived[usize::from(turn)] >= count - 1;
        times.push(fleet.until("a change", is_there).await - begin);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    let at = |share: usize| seconds(times[times.len() * share / 100 - 1]);
    show(
        "one_vote_everywhere",
        json!({
            "changes": CHANGES, "median_s": at(50), "p99_s": at(99), "most_s": at(100),
        }),
    );
}

/// A thousand flips of one moment: every shard of every node changes.
async fn flip(fleet: &mut Fleet, count: usize, shards: u16) {
    const TURN: u8 = 200;
    let (begin, used) = (Instant::now(), cpu());
    (0..count).for_each(|place| fleet.say(place, 0..shards, TURN));
    let all = count * usize::from(shards) * (count - 1);
    let last = fleet.until("flips", |fleet| fleet.arrived[usize::from(TURN)] >= all).await;
    show(
        "flips_everywhere",
        json!({
            "shards_changed": count * usize::from(shards), "s": seconds(last - begin),
            "cpu_s": seconds(cpu() - used),
        }),
    );
}

/// The first two fifths of all nodes are alone; each node changes a vote meanwhile.
async fn part(fleet: &mut Fleet, count: usize) {
    const TURN: u8 = 210;
    let few = count * 2 / 5;
    let is_between = |from: usize, to: usize| (from < few) != (to < few);
    let begin = Instant::now();
    fleet.lines(is_between, Line::stall);
    let within = few * (few - 1) + (count - few) * (count - few - 1);
    let lost = fleet.until("sides lose each other", |fleet| fleet.alive.len() == within).await;
    (0..count).for_each(|place| fleet.say(place, 0..1, TURN));
    tokio::time::sleep(PARTED.saturating_sub(begin.elapsed())).await;
    let healed = Instant::now();
    fleet.lines(is_between, Line::open);
    let all = count * (count - 1);
    let arrived = |fleet: &Fleet| fleet.arrived[usize::from(TURN)] >= all;
    let known = fleet.until("votes of the partition", arrived).await;
    let seen = fleet.until("all alive again", |fleet| fleet.sees_all(count)).await;
    show(
        "partition",
        json!({
            "nodes": [few, count - few], "stalled_s": seconds(healed - begin), "lost_after_s": seconds(lost - begin),
            "healed_votes_s": seconds(known - healed), "healed_all_alive_s": seconds(seen.max(known) - healed),
        }),
    );
}

/// A node's host dies: nothing is heard of it any more, not even the end of its connections.
async fn die(fleet: &mut Fleet, count: usize) {
    let dead = count / 2;
    let begin = Instant::now();
    fleet.lines(|from, to| from == dead || to == dead, Line::stall);
    let member = fleet.members[dead].take().expect("it lives");
    member.tasks.iter().for_each(JoinHandle::abort);
    let beat_at = *member.beat_at.lock().expect("nobody panics with it");
    drop(member);
    fleet.alive.retain(|(place, _)| *place != dead);
    let is_gone = |fleet: &Fleet| !fleet.alive.iter().any(|(_, whom)| *whom == dead);
    let last = fleet.until("the death is noticed", is_gone).await;
    show(
        "death",
        json!({
            "noticed_everywhere_s": seconds(last - begin), "after_the_last_beat_s": seconds(last - beat_at),
        }),
    );
}
