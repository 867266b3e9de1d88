//! Files that reach nodes one after the other: what does not go with one node's files ends at that node alone.

use crate::bus::Bus;
use crate::bus::FILES;
use crate::bus::NAMES;

/// The file after a shift to `us` that is through, as operations.md has it.
fn through() -> String {
    FILES.replace("{ eu = 99, us = 1 }", "{ eu = 0, us = 1 }")
}

fn servers_with_a_shift(bus: &mut Bus) -> Vec<&'static str> {
    let has_one = |name: &&'static str, bus: &mut Bus| {
        bus.status(name).shifts.iter().any(|shift| shift.ended.is_none())
    };
    NAMES[..3].iter().copied().filter(|name| has_one(name, bus)).collect()
}

#[test]
fn a_shift_that_one_nodes_files_end_goes_on_at_the_others_until_all_have_these_files() {
    let mut bus = Bus::new();
    bus.shift("a", 1_000_000_000, 0);
    bus.load("b", &through());
    bus.deliver();
    bus.pass(30);
    assert_eq!(servers_with_a_shift(&mut bus), ["a", "c"], "no client goes back to eu");
    bus.load("a", &through());
    bus.load("c", &through());
    bus.load("d", &through());
    bus.pass(30);
    assert_eq!(servers_with_a_shift(&mut bus), [] as [&str; 0]);
    // It was ended for good.
    NAMES.into_iter().for_each(|name| bus.load(name, FILES));
    bus.pass(30);
    assert_eq!(servers_with_a_shift(&mut bus), [] as [&str; 0]);
}

#[test]
fn a_shift_counts_again_at_a_node_that_gets_its_old_files_back() {
    let mut bus = Bus::new();
    let canary = FILES.replace("name.www.steer = 'world'", "name.www.steer = 'busy'");
    let canary = canary.replace("policy.world", "policy.planet");
    bus.load("b", &canary);
    bus.shift("a", 500_000_000, 0);
    bus.pass(10);
    assert_eq!(servers_with_a_shift(&mut bus), ["a", "c"]);
    bus.load("b", FILES);
    bus.pass(10);
    assert_eq!(servers_with_a_shift(&mut bus), ["a", "b", "c"]);
    bus.load("b", &canary);
    bus.pass(10);
    assert_eq!(servers_with_a_shift(&mut bus), ["a", "c"]);
    bus.nodes.get_mut("b").unwrap().is_dead = true;
    bus.start("b");
    bus.pass(10);
    bus.load("b", FILES);
    bus.pass(10);
    assert_eq!(servers_with_a_shift(&mut bus), ["a", "b", "c"], "a restart in between is no end");
}
