//! From an order at one node to the first answer that follows it, at each of five nodes, with 20 to 150 ms between them.

use std::time::Duration;
use std::time::Instant;

use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::command::Action;

use crate::FIRST;
use crate::SECOND;
use crate::fleet::Fleet;
use crate::fleet::Node;
use crate::fleet::Plan;
use crate::fleet::web::Web;
use crate::live::wait_until;
use crate::measure::SITES;
use crate::measure::delay;
use crate::measure::first_answers;
use crate::measure::rounds;

/// Within this an order is to count everywhere.
///
/// Source: the issue.
const MOST: Duration = Duration::from_secs(1);

/// What a loaded machine may take where nobody measures.
const PATIENCE: Duration = Duration::from_secs(10);

fn give(node: &Node, command: &Command) {
    let reply = node.command(command);
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

/// Measures, and prints a line of JSON for each round.
pub fn run() {
    let webs = Web::start_all([FIRST, SECOND]);
    let plan = Plan::failover(&SITES, webs[0].address, webs[1].address);
    let fleet = Fleet::start(Plan { delay, ..plan });
    fleet.wait_for_answer(FIRST);
    for node in &fleet.nodes {
        wait_until("both are up", || node.flips() >= 2);
    }
    let mut slowest = Duration::ZERO;
    for round in 0..rounds().unwrap_or(1) {
        for node in &fleet.nodes {
            let (target, author) = ("one/a".to_owned(), "ann".to_owned());
            let start = Instant::now();
            give(
                node,
                &Command::Order {
                    target: target.clone(),
                    action: Action::Drain,
                    reason: "upgrade".into(),
                    author: author.clone(),
                    until_s: None,
                    force: false,
                },
            );
            let drained = first_answers(&fleet, SECOND, start);
            let start = Instant::now();
            give(node, &Command::Withdraw { target, author });
            let back = first_answers(&fleet, FIRST, start);
            let ms = |all: &[Duration]| all.iter().map(Duration::as_millis).collect::<Vec<_>>();
            println!(
                "{{\"round\":{round},\"at\":\"{}\",\"drained_ms\":{:?},\"back_ms\":{:?}}}",
                node.name,
                ms(&drained),
                ms(&back)
            );
            slowest = drained.into_iter().chain(back).fold(slowest, Duration::max);
        }
    }
    let most = if rounds().is_some() { MOST } else { PATIENCE };
    assert!(slowest <= most, "the slowest took {slowest:?}");
    println!("an order counts at all nodes after {slowest:?} at most");
}
