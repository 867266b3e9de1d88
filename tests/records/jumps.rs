//! Wall clocks that jump: one node's clock ends nothing at the others.

use std::time::Duration;

use rhumb::control::Command;
use rhumb::control::command::Action;

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
