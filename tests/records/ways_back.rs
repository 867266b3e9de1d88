//! Pools whose clients come back by and by: all nodes keep the same record of it, whatever order they heard flips in.

use std::time::Duration;

use rhumb::model::Verdict;

use crate::bus::Bus;
use crate::bus::FILES;

const ENDPOINTS: [&str; 2] = ["eu/fra-1", "eu/fra-2"];

fn ramped() -> String {
    FILES.replace("[pool.eu]", "[pool.eu]\nfailback = { ramp = '10m' }")
}

fn see(bus: &mut Bus, names: &[&'static str], verdict: Verdict) {
    for name in names {
        ENDPOINTS.iter().for_each(|endpoint| bus.see(name, endpoint, verdict));
    }
}

/// Pools that have not got all their clients back, by node.
fn waiting(bus: &mut Bus) -> Vec<Option<String>> {
    let waits = |name, bus: &mut Bus| {
        let pools = bus.status(name).pools;
        pools.into_iter().find(|pool| &*pool.name == "eu").unwrap().failback
    };
    ["a", "b", "c"].into_iter().map(|name| waits(name, bus)).collect()
}

fn is_alike(all: &[Option<String>]) -> bool {
    all.iter().all(|one| one.is_some() == all[0].is_some())
}

#[test]
fn nodes_that_heard_flips_in_another_order_come_to_the_same_way_back() {
    let mut differed = 0;
    for cut in ["a", "b", "c"] {
        let mut bus = Bus::with(&ramped());
        see(&mut bus, &["a", "b", "c", "d"], Verdict::Up);
        bus.pass(5);
        // For less than a life nobody hears of one node, which hears of nobody: it misses a flip there and back.
        bus.cut = Some(cut);
        let others: Vec<&str> =
            ["a", "b", "c", "d"].into_iter().filter(|one| *one != cut).collect();
        see(&mut bus, &others, Verdict::Down);
        bus.pass(2);
        see(&mut bus, &others, Verdict::Up);
        bus.pass(1);
        bus.heal();
        bus.pass(1);
        differed += usize::from(!is_alike(&waiting(&mut bus)));
        bus.pass(6);
        let all = waiting(&mut bus);
        assert!(is_alike(&all), "{cut} was cut off: {all:?}");
        bus.pass(900);
        assert_eq!(waiting(&mut bus), [None, None, None], "and it ends");
    }
    assert!(differed > 0, "the order must matter at first, or this tests nothing");
}

#[test]
fn files_that_end_a_way_back_at_one_node_end_it_there_alone() {
    let mut bus = Bus::with(&ramped());
    for verdict in [Verdict::Up, Verdict::Down] {
        see(&mut bus, &["a", "b", "c", "d"], verdict);
        bus.pass(5);
    }
    assert!(waiting(&mut bus).iter().all(Option::is_some));
    for name in ["a", "b", "c"] {
        bus.load(name, FILES);
        bus.pass(10);
        let all = waiting(&mut bus);
        let count = all.iter().filter(|one| one.is_some()).count();
        assert_eq!(count, 2, "{name}: {all:?}");
        bus.load(name, &ramped());
        bus.pass(10);
        assert!(
            waiting(&mut bus).iter().all(Option::is_some),
            "{name} has the others' files again"
        );
    }
}

#[test]
fn a_ramp_is_through_where_a_clock_has_jumped_and_nowhere_else() {
    for (jumped, others) in [("a", [1, 2]), ("b", [0, 2]), ("c", [0, 1])] {
        let mut bus = Bus::with(&ramped());
        for verdict in [Verdict::Up, Verdict::Down, Verdict::Up] {
            see(&mut bus, &["a", "b", "c", "d"], verdict);
            bus.pass(5);
        }
        bus.nodes.get_mut(jumped).unwrap().ahead = Duration::from_secs(3600);
        bus.pass(70);
        let all = waiting(&mut bus);
        assert!(others.iter().all(|other| all[*other].is_some()), "{jumped}: {all:?}");
        assert_eq!(all.iter().filter(|one| one.is_none()).count(), 1, "{jumped}: {all:?}");
        bus.nodes.get_mut(jumped).unwrap().ahead = Duration::ZERO;
        bus.pass(70);
        let all = waiting(&mut bus);
        assert!(all[0].is_some() && all.iter().all(|one| *one == all[0]), "{jumped}: {all:?}");
    }
}

#[test]
fn who_comes_when_nobody_is_healthy_remembers_who_was_last() {
    let www = "name.www.steer = 'world'";
    let files = FILES.replace(www, &format!("{www}\nname.www.on_all_down = 'last_good'"));
    let all = ["a", "b", "c", "d"];
    for late in ["a", "b", "c"] {
        let mut bus = Bus::with(&files);
        for name in all {
            ENDPOINTS.iter().for_each(|endpoint| bus.see(name, endpoint, Verdict::Up));
        }
        bus.pass(5);
        for endpoint in ENDPOINTS {
            all.into_iter().for_each(|name| bus.see(name, endpoint, Verdict::Down));
            bus.pass(5);
        }
        let memory = |bus: &Bus, name: &str| {
            let kept = bus.nodes[name].kept.get("last_good eu IPv4").map(|one| format!("{one:?}"));
            kept.unwrap_or_default()
        };
        assert!(memory(&bus, "a").contains("eu/fra-2"), "{:?}", memory(&bus, "a"));
        let node = bus.nodes.get_mut(late).unwrap();
        node.is_dead = true;
        node.kept.clear();
        bus.pass(20);
        bus.start(late);
        for endpoint in ENDPOINTS {
            bus.see(late, endpoint, Verdict::Down);
        }
        bus.pass(20);
        for name in ["b", "c"] {
            assert_eq!(memory(&bus, name), memory(&bus, "a"), "{name}, when {late} came late");
        }
        for endpoint in ENDPOINTS {
            all.into_iter().for_each(|name| bus.see(name, endpoint, Verdict::Up));
        }
        bus.pass(20);
        assert!(["a", "b", "c"].iter().all(|name| memory(&bus, name).is_empty()));
    }
}
