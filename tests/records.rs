//! Records in a cluster: an order that is given at one node counts at all, whoever dies and whoever comes later.
//!
//! Controllers with a bus between them, on a virtual clock; every word reaches every node that is there.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "records/bus.rs"]
mod bus;
#[path = "records/jumps.rs"]
mod jumps;
#[path = "records/roll_out.rs"]
mod roll_out;
#[path = "records/ways_back.rs"]
mod ways_back;

use bus::Bus;
use bus::NAMES;
use rhumb::cluster::NodeName;
use rhumb::cluster::registry::Stamp;
use rhumb::cluster::registry::Writing;
use rhumb::cluster::registry::topic_of;
use rhumb::control::Command;
use rhumb::control::Event;
use rhumb::control::LoadReport;
use rhumb::control::command::Action;
use rhumb::model::Family;
use rhumb::model::TargetKey;

#[test]
fn an_order_given_at_one_node_counts_at_all_and_is_taken_back_at_any() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    let orders = bus.orders();
    assert_eq!(orders.len(), 1);
    assert!(orders[0].contains("ann") && orders[0].contains("upgrade"), "{orders:?}");
    bus.order("b", "eu/fra-2", Action::ForceDown);
    assert_eq!(bus.orders().len(), 2);
    bus.withdraw("c", "eu/fra-1");
    assert_eq!(bus.orders().len(), 1);
    bus.pass(60);
    assert_eq!(bus.orders().len(), 1, "nothing comes back by itself");
}

#[test]
fn what_was_taken_back_while_a_node_was_away_stays_so() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    bus.order("a", "us/iad-1", Action::ForceUp);
    bus.nodes.get_mut("a").unwrap().is_dead = true;
    bus.pass(20);
    bus.withdraw("b", "eu/fra-1");
    bus.start("a");
    bus.pass(30);
    let orders = bus.orders();
    assert!(orders.len() == 1 && orders[0].contains("iad-1"), "{orders:?}");
}

#[test]
fn who_comes_later_hears_of_orders_whose_author_is_gone() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    bus.nodes.get_mut("a").unwrap().is_dead = true;
    // This one knows nothing.
    bus.nodes.get_mut("c").unwrap().is_dead = true;
    bus.nodes.get_mut("c").unwrap().kept.clear();
    bus.pass(15);
    bus.start("c");
    bus.pass(30);
    assert_eq!(bus.orders().len(), 1);
}

#[test]
fn who_told_of_an_order_in_another_nodes_name_is_in_the_history() {
    let mut bus = Bus::new();
    bus.order("a", "eu/fra-1", Action::Drain);
    assert!(!bus.nodes["c"].told.join(" ").contains("as told by"), "a said so itself");
    let forged = Writing {
        key: "order endpoint eu/fra-1".into(),
        stamp: Stamp { version: 99, node: NodeName::parse("a").unwrap() },
        at_s: 1_800_000_000,
        value: None,
    };
    bus.say("b", topic_of(&forged.key), &serde_json::to_vec(&forged).unwrap());
    bus.deliver();
    assert_eq!(bus.nodes["c"].controller.order_count(), 0);
    let told = bus.nodes["c"].told.join("\n");
    assert!(told.contains("\"order endpoint eu/fra-1\" of node a as told by node b"), "{told}");
}

#[test]
fn of_two_orders_at_once_all_nodes_keep_the_same() {
    let mut bus = Bus::new();
    for (at, action) in [("b", Action::ForceDown), ("a", Action::Drain)] {
        let order = Command::Order {
            target: "eu/fra-1".into(),
            action,
            reason: "at once".into(),
            author: at.into(),
            until_s: None,
            force: false,
        };
        bus.handle(at, Event::Command(order));
        bus.handle(at, Event::Settle);
    }
    bus.deliver();
    let orders = bus.orders();
    assert!(orders.len() == 1 && orders[0].contains("\"b\""), "the later name: {orders:?}");
    bus.pass(30);
    assert_eq!(bus.orders(), orders);
}

#[test]
fn a_shift_goes_its_way_everywhere_and_ends_everywhere() {
    let mut bus = Bus::new();
    bus.shift("a", 100_000_000, 0);
    assert_eq!(bus.shifts().len(), 1);
    bus.shift("b", 300_000_000, 600);
    bus.pass(300);
    let half = bus.shifts();
    assert!(half.len() == 1 && half[0].contains("20"), "{half:?}");
    let back = Command::ShiftBack { policy: "world".into(), author: "bob".into() };
    bus.command("c", back).unwrap();
    for name in bus.living() {
        let status = bus.status(name);
        assert!(status.shifts.iter().all(|shift| shift.ended.is_some()), "{name}: {status:?}");
    }
}

#[test]
fn an_agent_takes_no_orders_but_obeys_those_of_servers() {
    let mut bus = Bus::new();
    let order = Command::Order {
        target: "eu/fra-1".into(),
        action: Action::Drain,
        reason: "x".into(),
        author: "ann".into(),
        until_s: None,
        force: false,
    };
    let refused = bus.command("d", order).unwrap_err();
    assert!(refused.contains("agent"), "{refused}");
    assert!(bus.orders().is_empty());
    bus.order("a", "eu/fra-1", Action::Disable);
    assert_eq!(bus.nodes["d"].controller.order_count(), 1);
}

#[test]
fn one_node_decides_for_all_what_is_shed() {
    let mut bus = Bus::new();
    // Each node sees another load.
    let loads = [("a", 0.95), ("b", 0.1), ("c", 0.7), ("d", 0.95)];
    let mut was_shed = false;
    for _ in 0..12 {
        for (name, load) in loads {
            let report = |endpoint: &str, load: f64| LoadReport {
                key: TargetKey {
                    endpoint: endpoint.into(),
                    check: "web".into(),
                    family: Family::V4,
                    address: None,
                },
                load,
            };
            let reports =
                vec![report("eu/fra-1", load), report("eu/fra-2", load), report("us/iad-1", 0.1)];
            bus.handle(name, Event::Loads(reports));
        }
        bus.pass(30);
        let levels = |bus: &Bus| -> Vec<Option<u8>> {
            let of = |name: &&str| {
                let gauges = bus.nodes[*name].controller.snapshot()?;
                let pools = &gauges.compiled.model.pools;
                let eu = pools.iter().position(|pool| &*pool.name == "eu")?;
                Some(gauges.pools[eu].shedding().level)
            };
            NAMES.iter().map(of).collect()
        };
        let levels = levels(&bus);
        assert!(levels.iter().all(|level| *level == levels[0]), "{levels:?}");
        was_shed |= levels[0].is_some_and(|level| level > 0);
    }
    assert!(was_shed, "the scribe is one that sees a high load");
}
