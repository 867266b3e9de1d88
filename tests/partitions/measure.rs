//! From a real endpoint that fails to the first answer without it, at each of five nodes, with 20 to 150 ms between them.

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::time::Duration;
use std::time::Instant;

use crate::FIRST;
use crate::SECOND;
use crate::fleet::Fleet;
use crate::fleet::NAME;
use crate::fleet::Plan;
use crate::fleet::web::Web;
use crate::live::PATIENCE;
use crate::live::query;
use crate::live::read_answer;

pub const SITES: [&str; 5] = ["ams", "fra", "iad", "sin", "syd"];

/// How the endpoint is probed.
const INTERVAL: Duration = Duration::from_millis(1000);
const TIMEOUT: Duration = Duration::from_millis(500);
const FALL: u32 = 3;

/// What the cluster may add to what one node needs by itself.
///
/// Source: the issue.
const ADDED_MAX: Duration = Duration::from_millis(1500);

/// How often each node is asked meanwhile.
const ASKED_EVERY: Duration = Duration::from_millis(5);

/// One way: 20 to 150 ms, another for each pair.
pub fn delay(one: usize, other: usize) -> Duration {
    let (low, high) = (one.min(other), one.max(other));
    let pair = (0..low).map(|first| SITES.len() - 1 - first).sum::<usize>() + high - low - 1;
    Duration::from_micros(20_000 + 130_000 * pair as u64 / 9)
}

/// How the endpoint fails.
#[derive(Clone, Copy, Debug)]
enum Failing {
    /// Its process ends: connections are refused at once.
    Ends,
    /// It takes connections and says nothing: probes end by their timeout.
    Hangs,
}

/// How long after `start` a node answers with this address for the first time.
fn first_answer(node: SocketAddr, address: &str, start: Instant) -> Duration {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = [0; 1232];
    for id in 0..=u16::MAX {
        socket.send(&query(id, NAME, hickory_proto::rr::RecordType::A)).unwrap();
        let len = socket.recv(&mut reply).expect("no reply is lost");
        let answer = read_answer(id, &reply[..len]);
        if answer.addresses.iter().any(|one| one.to_string() == address) {
            return start.elapsed();
        }
        assert!(start.elapsed() < PATIENCE, "in vain waited for {address}");
        std::thread::sleep(ASKED_EVERY);
    }
    panic!("asked in vain");
}

/// The same of all nodes at once, in their order.
pub fn first_answers(fleet: &Fleet, address: &str, start: Instant) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let ask = |node: SocketAddr| scope.spawn(move || first_answer(node, address, start));
        let asked: Vec<_> = fleet.nodes.iter().map(|node| ask(node.process().address())).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Rounds that are asked for; none: one of each kind, and only the order of things is looked at.
pub fn rounds() -> Option<usize> {
    std::env::var("RHUMB_ROUNDS").ok().map(|text| text.parse().unwrap())
}

/// Measures, and prints a line of JSON for each round.
pub fn run() {
    let mut webs = Web::start_all([FIRST, SECOND]);
    let check = format!(
        "port = {}\ninterval = \"{}ms\"\ntimeout = \"{}ms\"\nfall = {FALL}\nrise = 2\nhold_down = \"0s\"\ndamping = \"off\"\n",
        webs[0].address.port(),
        INTERVAL.as_millis(),
        TIMEOUT.as_millis()
    );
    let plan = Plan::failover(&SITES, webs[0].address, webs[1].address);
    let fleet = Fleet::start(Plan { check, delay, ..plan });
    fleet.wait_for_answer(FIRST);
    let most = INTERVAL * FALL + TIMEOUT + ADDED_MAX;
    let mut late = Vec::new();
    for round in 0..rounds().unwrap_or(1) {
        for failing in [Failing::Ends, Failing::Hangs] {
            // Where in the interval it happens is left to chance by the time that answers took.
            let start = Instant::now();
            match failing {
                Failing::Ends => webs[0].stop(),
                Failing::Hangs => webs[0].set_deaf("/", true),
            }
            let down = first_answers(&fleet, SECOND, start);
            let back = Instant::now();
            match failing {
                Failing::Ends => webs[0].start_again(),
                Failing::Hangs => webs[0].set_deaf("/", false),
            }
            let up = first_answers(&fleet, FIRST, back);
            let ms = |all: &[Duration]| all.iter().map(Duration::as_millis).collect::<Vec<_>>();
            println!(
                "{{\"round\":{round},\"failing\":\"{failing:?}\",\"most_ms\":{},\"down_ms\":{:?},\"up_ms\":{:?}}}",
                most.as_millis(),
                ms(&down),
                ms(&up)
            );
            late.extend(down.into_iter().filter(|took| *took > most));
        }
    }
    assert!(rounds().is_none() || late.is_empty(), "later than {most:?}: {late:?}");
}
