//! Real processes on roads that are slow or closed, and among peers that lie: an endpoint fails everywhere or nowhere.
//!
//! `RHUMB_ROUNDS=20 cargo test --test partitions -- --nocapture end_to_end` measures how long it takes from an endpoint that
//! fails to answers without it, at each of five nodes, and holds it against the figure of the issue; `what_is_drained` does
//! the same for an order.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod fleet;
#[path = "partitions/hostile.rs"]
mod hostile;
mod live;
#[path = "partitions/measure.rs"]
mod measure;
#[path = "partitions/orders.rs"]
mod orders;
mod process;

use std::time::Duration;
use std::time::Instant;

use fleet::Fleet;
use fleet::Plan;
use fleet::web::Web;
use live::wait_until;

const FIRST: &str = "127.0.0.1";
const SECOND: &str = "127.0.0.2";

/// Longer than a silence after which connections are cut and nodes are believed dead.
const LONG: Duration = Duration::from_secs(8);

/// Nodes that hear each other, and the two endpoints that they probe: both are up.
fn start(sites: &[&'static str]) -> (Fleet, [Web; 2]) {
    let webs = Web::start_all([FIRST, SECOND]);
    let fleet = Fleet::start(Plan::failover(sites, webs[0].address, webs[1].address));
    fleet.wait_for_answer(FIRST);
    for node in &fleet.nodes {
        wait_until("both are up", || {
            node.verdict("one/a") == "up" && node.verdict("two/b") == "up"
        });
    }
    (fleet, webs)
}

#[test]
fn end_to_end_all_nodes_leave_a_failed_endpoint_out_and_take_it_back() {
    measure::run();
}

#[test]
fn what_is_drained_at_one_node_is_left_out_at_all_five_and_taken_back_too() {
    orders::run();
}

#[test]
fn a_prober_that_has_lost_its_own_network_abstains_and_answers_by_the_words_of_others() {
    let (fleet, mut webs) = start(&["fra", "iad", "sin"]);
    let [fra, _, sin] = [0, 1, 2].map(|node: usize| &fleet.nodes[node]);
    webs.iter().for_each(|web| web.set_deaf("/sin", true));
    wait_until("it says so", || sin.member("sin-1").is_isolated);
    wait_until("others hear it", || fra.member("sin-1").is_isolated);
    let why = sin.member("sin-1").isolated_for.unwrap();
    assert!(why.contains("2 of its 2 targets fail together"), "{why}");
    assert_eq!(sin.metric("rhumb_cluster_isolated"), 1.0);
    assert!(fleet.all_answer(FIRST), "what it alone sees takes nothing down");
    assert_eq!(fra.cluster().sites_live, 2);
    // The others decide, it follows.
    webs[0].stop();
    fleet.wait_for_answer(SECOND);
    webs[0].start_again();
    fleet.wait_for_answer(FIRST);
    webs.iter().for_each(|web| web.set_deaf("/sin", false));
    wait_until("its votes count again", || !fra.member("sin-1").is_isolated);
}

#[test]
fn a_name_server_that_hears_nobody_holds_what_it_knew_and_goes_on_answering() {
    let (fleet, mut webs) = start(&["fra", "iad", "sin"]);
    let [fra, iad, sin] = [0, 1, 2].map(|node: usize| &fleet.nodes[node]);
    fleet.isolate(2);
    wait_until("it hears nobody", || sin.live() == 1);
    for node in [fra, iad] {
        wait_until("nobody hears it", || node.live() == 2);
    }
    wait_until("it shows that too few vote", || sin.cluster().too_few_voters == 2);
    assert_eq!(sin.cluster().sites_live, 1);
    webs[0].stop();
    for node in [fra, iad] {
        wait_until("those who hear each other decide", || node.answer() == SECOND);
    }
    let start = Instant::now();
    wait_until("it has held for long", || {
        assert_eq!(sin.answer(), FIRST, "what it sees alone decides nothing");
        start.elapsed() > LONG
    });
    assert!(sin.process().has_logged("too few sites vote on 2 targets"));
    assert_eq!(sin.metric("rhumb_cluster_too_few_voters"), 2.0);
    fleet.open_all();
    fleet.wait_for_answer(SECOND);
    fleet.wait_for_all();
    assert_eq!(sin.cluster().too_few_voters, 0);
}

/// With roads closed as `close` does, all hear all by the third, nothing flips, and what fails is left out everywhere.
fn all_is_as_if_no_road_were_closed(close: impl Fn(&Fleet)) {
    let (fleet, mut webs) = start(&["fra", "iad", "sin"]);
    let flips: Vec<usize> = fleet.nodes.iter().map(fleet::Node::flips).collect();
    close(&fleet);
    let start = Instant::now();
    wait_until("it has been so for long", || {
        assert!(fleet.all_answer(FIRST));
        start.elapsed() > LONG
    });
    for (node, flips) in fleet.nodes.iter().zip(flips) {
        assert_eq!(node.live(), 3, "{} hears all by the third", node.name);
        assert_eq!(node.flips(), flips);
        assert!(!node.process().has_logged("not heard for too long"), "{}", node.name);
    }
    webs[0].stop();
    let gone = Instant::now();
    fleet.wait_for_answer(SECOND);
    println!("left out everywhere after {:?}", gone.elapsed());
    fleet.open_all();
    webs[0].start_again();
    fleet.wait_for_answer(FIRST);
}

#[test]
fn two_nodes_without_a_road_between_them_hear_each_other_by_a_third() {
    all_is_as_if_no_road_were_closed(|fleet| fleet.close_both(0, 2));
}

#[test]
fn where_a_road_is_closed_in_one_direction_only_all_still_hear_all() {
    all_is_as_if_no_road_were_closed(|fleet| fleet.close(0, 2));
}

#[test]
fn of_five_nodes_cut_in_two_the_three_decide_and_the_two_hold() {
    let (fleet, mut webs) = start(&["ams", "fra", "iad", "sin", "syd"]);
    for one in 0..3 {
        (3..5).for_each(|other| fleet.close_both(one, other));
    }
    for (node, count) in fleet.nodes.iter().zip([3, 3, 3, 2, 2]) {
        wait_until("it hears its side only", || node.live() == count);
    }
    webs[0].stop();
    for node in &fleet.nodes[..3] {
        wait_until("three of five decide", || node.answer() == SECOND);
    }
    for node in &fleet.nodes[3..] {
        wait_until("two of five see that they are too few", || node.cluster().too_few_voters == 2);
        assert_eq!(node.answer(), FIRST);
    }
    fleet.open_all();
    let healed = Instant::now();
    fleet.wait_for_answer(SECOND);
    println!("all five agree {:?} after roads are open again", healed.elapsed());
    fleet.wait_for_all();
}
