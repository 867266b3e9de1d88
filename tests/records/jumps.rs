//! Wall clocks that jump: one node's clock ends nothing at the others.

use std::time::Duration;

use rhumb::cluster::NodeName;
use rhumb::cluster::Topic;
use rhumb::cluster::registry::Stamp;
use rhumb::cluster::registry::Writing;
use rhumb::cluster::registry::topic_of;
use rhumb::control::Command;
use rhumb::control::command::Action;
use rhumb::model::Now;
use serde_json::value::RawValue;

use crate::bus::Bus;
use crate::bus::NAMES;

const HOUR: u64 = 3600;

fn drain(bus: &mut Bus, at: &'static str, hours: u64) {
    let until_s = Some(bus.now.unix.as_secs() + hours * HOUR);
    let order = Command::Order {
        target: "eu/fra-1".into(),
        action: Action::Drain,
        reason: "upgrade".into(),
        author: "ann".into(),
        until_s,
        force: false,
    };
    bus.command(at, order).unwrap();
}

fn set_clock(bus: &mut Bus, name: &str, ahead_s: u64) {
    bus.nodes.get_mut(name).unwrap().ahead = Duration::from_secs(ahead_s);
}

fn nodes_with_an_order(bus: &Bus) -> Vec<&'static str> {
    let has_one = |name: &&str| bus.nodes[*name].controller.order_count() > 0;
    NAMES.into_iter().filter(has_one).collect()
}

#[test]
fn an_order_ends_where_a_clock_has_jumped_and_nowhere_else() {
    for jumped in ["a", "b", "d"] {
        let mut bus = Bus::new();
        drain(&mut bus, "a", 2);
        set_clock(&mut bus, jumped, 3 * HOUR);
        bus.pass(30);
        let others: Vec<&str> = NAMES.into_iter().filter(|name| *name != jumped).collect();
        assert_eq!(nodes_with_an_order(&bus), others);
        set_clock(&mut bus, jumped, 0);
        bus.pass(10);
        assert_eq!(nodes_with_an_order(&bus), NAMES, "the clock is right again");
        bus.now.unix += Duration::from_secs(2 * HOUR);
        bus.pass(30);
        assert_eq!(nodes_with_an_order(&bus), [] as [&str; 0], "it ends everywhere by itself");
        bus.pass(60);
        assert_eq!(nodes_with_an_order(&bus), [] as [&str; 0]);
    }
}

#[test]
fn a_node_whose_clock_is_ahead_takes_an_order_once_its_clock_is_right() {
    let mut bus = Bus::new();
    set_clock(&mut bus, "b", 3 * HOUR);
    drain(&mut bus, "a", 2);
    bus.pass(10);
    assert_eq!(nodes_with_an_order(&bus), ["a", "c", "d"]);
    set_clock(&mut bus, "b", 0);
    bus.pass(10);
    assert_eq!(nodes_with_an_order(&bus), NAMES);
    bus.withdraw("c", "eu/fra-1");
    bus.pass(10);
    assert_eq!(nodes_with_an_order(&bus), [] as [&str; 0]);
}

#[test]
fn a_shift_with_an_end_ends_where_a_clock_has_jumped_and_nowhere_else() {
    let mut bus = Bus::new();
    let shift = Command::Shift {
        policy: "world".into(),
        target: "us".into(),
        share: 500_000_000,
        over_s: 0,
        watch_s: 60,
        until_s: Some(bus.now.unix.as_secs() + 2 * HOUR),
        reason: "canary".into(),
        author: "ann".into(),
        force: false,
    };
    bus.command("a", shift).unwrap();
    let shifted = |bus: &Bus| -> Vec<&str> {
        let has_one = |name: &&str| !bus.nodes[*name].controller.shifts().is_empty();
        NAMES.into_iter().filter(has_one).collect()
    };
    set_clock(&mut bus, "b", 3 * HOUR);
    bus.pass(30);
    assert_eq!(shifted(&bus), ["a", "c", "d"]);
    set_clock(&mut bus, "b", 0);
    bus.pass(10);
    assert_eq!(shifted(&bus), NAMES);
}

#[test]
fn an_order_that_was_over_a_month_ago_is_forgotten_everywhere() {
    let mut bus = Bus::new();
    drain(&mut bus, "a", 2);
    bus.pass(10);
    let is_kept = |bus: &Bus| {
        bus.nodes.values().any(|node| node.kept.keys().any(|key| key.starts_with("writing order")))
    };
    bus.now.unix += Duration::from_secs(3 * HOUR);
    bus.pass(20);
    assert!(is_kept(&bus));
    bus.now.unix += Duration::from_secs(31 * 24 * HOUR);
    bus.pass(30);
    assert!(!is_kept(&bus));
}

/// What `rhumb cluster status` says is wrong at a node with clocks or records.
fn problems(bus: &Bus, name: &str) -> Vec<String> {
    let node = &bus.nodes[name];
    let now = Now { unix: bus.now.unix + node.ahead, ..bus.now };
    let mut problems = node.controller.cluster_status(now).unwrap().problems;
    problems.retain(|one| one.contains("clock") || one.contains("records"));
    problems
}

#[test]
fn a_clock_that_is_off_and_what_it_makes_of_records_is_shown_and_told() {
    let mut bus = Bus::new();
    drain(&mut bus, "a", 2);
    bus.pass(20);
    assert_eq!(problems(&bus, "a"), [] as [&str; 0]);
    set_clock(&mut bus, "b", 3 * HOUR);
    bus.pass(80);
    let of_a = problems(&bus, "a");
    assert!(
        of_a.iter()
            .any(|one| one == "the clock of b at site-b is 10800.0 s ahead of that of this node")
    );
    assert!(of_a.iter().any(|one| one.starts_with("records differ for")), "{of_a:?}");
    let of_b = problems(&bus, "b");
    assert!(
        of_b.iter().any(|one| one == "this node's clock is 10800.0 s ahead of those of a, c, d")
    );
    let told = std::mem::take(&mut bus.nodes.get_mut("a").unwrap().told).join("\n");
    assert!(told.contains("node b at site-b: its clock is 10800.0 s ahead of that of this node"));
    assert!(told.contains("records have differed between nodes for 1m: b ("), "{told}");
    set_clock(&mut bus, "b", 0);
    bus.pass(20);
    assert_eq!(problems(&bus, "a"), [] as [&str; 0]);
    assert_eq!(problems(&bus, "b"), [] as [&str; 0]);
}

#[test]
fn an_order_that_counts_at_one_node_alone_is_a_difference() {
    let mut bus = Bus::new();
    bus.cut = Some("b");
    bus.order("b", "eu/fra-1", Action::Drain);
    bus.mail.clear();
    // What it said is lost for good, as if it had never been shared.
    bus.store.retain(|(from, topic), _| *from != "b" || *topic == Topic::Beat);
    bus.cut = None;
    bus.pass(70);
    assert_eq!(nodes_with_an_order(&bus), ["b"]);
    assert!(problems(&bus, "c").iter().any(|one| one.starts_with("records differ for")));
}

#[test]
fn a_request_that_clocks_make_too_old_is_told_where_it_is_not_done() {
    let mut bus = Bus::new();
    set_clock(&mut bus, "b", 3 * HOUR);
    bus.pass(20);
    let release = |bus: &mut Bus| {
        let command = Command::ReleaseBrake { reason: "real".into(), author: "ann".into() };
        bus.command("a", command)
    };
    // Nothing is held, so that nobody is asked.
    assert!(release(&mut bus).is_err());
    let told = |bus: &Bus, name: &str| bus.nodes[name].told.join("\n");
    let request = Writing {
        key: "request release_brake".into(),
        stamp: Stamp { version: 99, node: NodeName::parse("a").unwrap() },
        at_s: bus.now.unix.as_secs(),
        value: Some(
            RawValue::from_string(
                r#"{"request":"release_brake","reason":"real","author":"ann"}"#.into(),
            )
            .unwrap(),
        ),
    };
    bus.say("a", topic_of(&request.key), &serde_json::to_vec(&request).unwrap());
    bus.deliver();
    let text = "\"request release_brake\" of node a is left out: the clocks of that node and this one are 3h apart";
    assert!(told(&bus, "b").contains(text), "{}", told(&bus, "b"));
    assert!(!told(&bus, "c").contains("left out"), "it was done there");
}
