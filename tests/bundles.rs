//! One version of the files on all nodes: pushed, checked everywhere, in force at one instant; laws under failures.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod bundles {
    pub mod bus;
}

use bundles::bus::Bus;
use bundles::bus::NAMES;
use bundles::bus::OWN;
use bundles::bus::because;
use bundles::bus::files;
use rhumb::control::Command;
use rhumb::control::cluster::bundles::orders::PushTerms;

/// A small generator of numbers, the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % most
    }
}

#[test]
fn what_is_pushed_at_one_node_is_in_force_at_all_at_one_instant() {
    let mut bus = Bus::new();
    assert_eq!(bus.answers(), [OWN; 4]);
    let text = bus.push("a", &files(1)).unwrap();
    assert!(text.contains("version 1 of a") && text.contains("by ann: new"), "{text}");
    let mut seen = Vec::new();
    for _ in 0..100 {
        bus.pass_ms(100);
        seen.push(bus.answers());
    }
    seen.dedup();
    assert_eq!(seen, [[OWN; 4], [1; 4]], "nobody before or after the others");
    for name in NAMES {
        let status = bus.status(name);
        let version = status.in_force.unwrap();
        assert_eq!((version.number, &*version.node, &*version.signed_by), (1, "a", "a"));
        assert!(status.nodes.iter().all(|node| node.in_force == Some(1)), "{:?}", status.nodes);
        assert_eq!((status.push, status.coming), (None, None));
    }
    bus.push("c", &files(2)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4]);
    assert_eq!(bus.status("a").kept.len(), 2);
}

#[test]
fn files_that_are_wrong_are_refused_at_the_node_that_is_asked_and_nobody_hears_of_them() {
    let mut bus = Bus::new();
    bus.push("a", &files(1).replace("addresses", "adresses")).unwrap();
    bus.pass(5);
    let why = bus.why("a");
    assert!(
        why.contains("refused here") && why.contains("x.toml:4:14") && why.contains("^^"),
        "{why}"
    );
    assert!(why.contains("addresses"), "the remedy: {why}");
    assert_eq!(bus.answers(), [OWN; 4]);
    assert!(bus.status("b").push.is_none());
    bus.push("a", &files(3)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [3; 4], "the next one is not held up");
    assert_eq!(bus.status("b").in_force.unwrap().number, 2, "a number is not given twice");
}

#[test]
fn one_node_that_refuses_stops_it_everywhere_and_says_why() {
    let mut bus = Bus::new();
    bus.nodes.get_mut("b").unwrap().lacks = true;
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    let why = bus.why("a");
    assert!(
        why.contains("refused by b") && why.contains("x.toml:3:1: ca.pem is not here"),
        "{why}"
    );
    assert_eq!(bus.answers(), [OWN; 4]);
    assert!(NAMES.iter().all(|name| bus.nodes[name].disk.is_empty()));
}

#[test]
fn a_node_that_gets_nothing_is_waited_for_and_named() {
    let mut bus = Bus::new();
    bus.nodes.get_mut("c").unwrap().is_starved = true;
    bus.push("a", &files(1)).unwrap();
    bus.pass(100);
    let status = bus.status("a");
    let starved = status.nodes.iter().find(|node| node.node == "c").unwrap();
    assert_eq!(starved.state.as_deref(), Some("fetching"));
    assert!(status.push.is_some() && starved.why.contains("nobody could give it"));
    bus.pass(30);
    assert!(bus.why("a").contains("c got no further for 120 s"), "{}", bus.why("a"));
    assert_eq!(bus.answers(), [OWN; 4]);
}

#[test]
fn a_dead_node_is_not_waited_for_and_follows_when_it_is_back() {
    let mut bus = Bus::new();
    bus.nodes.get_mut("c").unwrap().is_dead = true;
    bus.pass(10);
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [1, 1, OWN, 1]);
    bus.start("c");
    bus.pass(5);
    assert_eq!(bus.answers(), [1; 4]);
    assert_eq!(bus.nodes["c"].disk.len(), 1);
}

#[test]
fn a_node_that_dies_while_a_version_waits_for_its_instant_starts_with_the_right_one() {
    for wait_ms in (0..8000).step_by(700) {
        let mut bus = Bus::new();
        bus.push("a", &files(1)).unwrap();
        bus.pass_ms(wait_ms);
        bus.nodes.get_mut("b").unwrap().is_dead = true;
        bus.start("b");
        bus.pass(15);
        assert_eq!(bus.answers(), [1; 4], "after {wait_ms} ms");
        // With the network down it starts with it, too.
        bus.apart.insert("b");
        bus.start("b");
        assert_eq!(bus.answer("b"), 1);
    }
}

#[test]
fn the_node_that_leads_may_die_at_any_moment() {
    for wait_ms in (0..8000).step_by(500) {
        for dies_at_keep in [false, true] {
            let mut bus = Bus::new();
            bus.nodes.get_mut("a").unwrap().dies_at_keep = dies_at_keep;
            bus.push("a", &files(1)).unwrap();
            bus.pass_ms(wait_ms);
            bus.nodes.get_mut("a").unwrap().is_dead = true;
            bus.pass(20);
            let others = [bus.answer("b"), bus.answer("c"), bus.answer("d")];
            assert!(others == [OWN; 3] || others == [1; 3], "{wait_ms}: {others:?}");
            bus.start("a");
            bus.pass(20);
            assert_eq!(bus.answers(), [others[0]; 4], "{wait_ms} {dies_at_keep}");
            assert!(bus.status("b").push.is_none(), "nothing is left of it");
        }
    }
}

#[test]
fn a_canary_serves_it_alone_until_an_operator_says_go_on() {
    let mut bus = Bus::new();
    let terms = PushTerms { canary: Some("b".into()), ..because("try") };
    bus.push_with("a", &files(1), terms).unwrap();
    bus.pass(60);
    assert_eq!(bus.answers(), [OWN, 1, OWN, OWN]);
    assert!(NAMES.iter().all(|name| bus.nodes[name].disk.is_empty()), "it is not decided");
    let error = bus.command("c", Command::PushOn { author: "bob".into() }).unwrap_err();
    assert!(error.contains("pushed at node a"), "{error}");
    bus.command("a", Command::PushOn { author: "bob".into() }).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [1; 4]);
}

#[test]
fn a_canary_goes_back_when_it_is_given_up() {
    for end in ["abort", "leader dies", "canary restarts"] {
        let mut bus = Bus::new();
        bus.push("a", &files(1)).unwrap();
        bus.pass(10);
        let terms = PushTerms { canary: Some("b".into()), ..because("try") };
        bus.push_with("a", &files(2), terms).unwrap();
        bus.pass(10);
        assert_eq!(bus.answers(), [1, 2, 1, 1], "{end}");
        match end {
            "abort" => drop(bus.command("a", Command::PushOff { author: "bob".into() }).unwrap()),
            "leader dies" => bus.nodes.get_mut("a").unwrap().is_dead = true,
            _ => {
                bus.start("b");
                assert_eq!(bus.answer("b"), 1, "what is tried is forgotten by a restart");
                bus.pass(10);
                assert_eq!(bus.answers(), [1, 2, 1, 1], "and goes on after it");
                bus.command("a", Command::PushOff { author: "bob".into() }).unwrap();
            }
        }
        bus.pass(10);
        assert_eq!(bus.answers(), [1; 4], "{end}");
    }
}

#[test]
fn a_dead_canary_ends_it() {
    let mut bus = Bus::new();
    let terms = PushTerms { canary: Some("b".into()), ..because("try") };
    bus.push_with("a", &files(1), terms).unwrap();
    bus.pass(10);
    bus.nodes.get_mut("b").unwrap().is_dead = true;
    bus.pass(10);
    assert!(bus.why("a").contains("canary b is not heard"), "{}", bus.why("a"));
    bus.start("b");
    bus.pass(10);
    assert_eq!(bus.answers(), [OWN; 4]);
}

#[test]
fn a_rollback_brings_earlier_files_under_a_new_version_and_not_to_and_fro() {
    let mut bus = Bus::new();
    let error =
        bus.command("a", Command::RollBack { to: None, terms: because("oops") }).unwrap_err();
    assert!(error.contains("no version was pushed before"), "{error}");
    for number in 1..=3 {
        bus.push("a", &files(number)).unwrap();
        bus.pass(10);
    }
    bus.command("b", Command::RollBack { to: None, terms: because("oops") }).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4]);
    let now = bus.status("c").in_force.unwrap();
    assert_eq!((now.number, now.restores, &*now.node), (4, Some(2), "b"));
    bus.command("c", Command::RollBack { to: None, terms: because("still bad") }).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [1; 4], "further back");
    let error =
        bus.command("a", Command::RollBack { to: None, terms: because("more") }).unwrap_err();
    assert!(error.contains("no files before those of version 1"), "{error}");
    bus.command("a", Command::RollBack { to: Some(3), terms: because("it was not that") }).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [3; 4]);
    let error =
        bus.command("a", Command::RollBack { to: Some(99), terms: because("x") }).unwrap_err();
    assert!(error.contains("version 99 is not kept"), "{error}");
}

#[test]
fn of_two_pushes_at_once_one_goes_on_and_the_other_is_told() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.push("b", &files(2)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4], "the later name goes first");
    assert!(bus.why("a").contains("version 1 of b"), "{}", bus.why("a"));
    assert!(bus.push("b", &files(3)).is_ok());
    let error = bus.push("b", &files(4)).unwrap_err();
    assert!(error.contains("is being pushed"), "{error}");
}

#[test]
fn what_is_taken_away_must_be_meant() {
    let both = "zone = { name = 'x.test', nameservers = ['ns.example.net'] }\n\
         name.www.steer = 'eu'\nname.api.steer = 'us'\n\
         [pool.eu]\nendpoint.one.addresses = ['192.0.2.1', '2001:db8::1']\n\
         [pool.us]\nendpoint.one.addresses = ['198.51.100.1']\n";
    let mut bus = Bus::new();
    bus.push("a", both).unwrap();
    bus.pass(10);
    // www loses IPv6, api goes away.
    bus.push("a", &files(2)).unwrap();
    bus.pass(10);
    let why = bus.why("a");
    assert!(why.contains("www.x.test. has IPv6 addresses, and none in the new files"), "{why}");
    assert!(why.contains("api.x.test. has IPv4 addresses") && why.contains("--force"), "{why}");
    assert_eq!(bus.answers(), [1; 4]);
    // A record or an alias in their place is as good.
    let records = both.replace("name.api.steer = 'us'", "name.api.records.A = ['192.0.2.77']");
    bus.push("a", &records.replace("192.0.2.1'", "192.0.2.3'")).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [3; 4]);
    let terms = PushTerms { force: true, ..because("api is no more") };
    bus.push_with("a", &files(4), terms).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [4; 4]);
    let other = files(5).replace("x.test", "y.test");
    bus.push("a", &other).unwrap();
    bus.pass(10);
    assert!(
        bus.why("a").contains("zone x.test. is served, and is not in the new files"),
        "{}",
        bus.why("a")
    );
}

#[test]
fn who_was_away_for_a_forced_version_and_a_later_one_takes_the_later_one_as_it_is() {
    let wide = files(1)
        + "[pool.us]\nendpoint.one.addresses = ['198.51.100.1']\n[name.api]\nsteer = 'us'\n";
    let mut bus = Bus::new();
    bus.push("a", &wide).unwrap();
    bus.pass(10);
    bus.nodes.get_mut("c").unwrap().is_dead = true;
    bus.pass(10);
    bus.push_with("a", &files(2), PushTerms { force: true, ..because("no api") }).unwrap();
    bus.pass(10);
    bus.push("a", &files(3)).unwrap();
    bus.pass(10);
    bus.start("c");
    bus.pass(10);
    assert_eq!(bus.answers(), [3; 4], "what was judged by the living is not judged again");
}

#[test]
fn few_servers_push_nothing_unless_that_is_said() {
    let mut bus = Bus::new();
    for name in ["b", "c"] {
        bus.nodes.get_mut(name).unwrap().is_dead = true;
    }
    bus.pass(10);
    bus.push("a", &files(1)).unwrap();
    bus.pass(20);
    assert!(
        bus.why("a").contains("1 of 3 servers can be reached, and 2 must be"),
        "{}",
        bus.why("a")
    );
    bus.push_with("a", &files(1), PushTerms { force: true, ..because("b and c are gone") })
        .unwrap();
    bus.pass(10);
    assert_eq!((bus.answer("a"), bus.answer("d")), (1, 1));
}

#[test]
fn two_halves_that_both_pushed_end_with_one_version() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    bus.apart.insert("a");
    bus.pass(10);
    bus.push_with("a", &files(2), PushTerms { force: true, ..because("alone") }).unwrap();
    bus.push("b", &files(3)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [2, 3, 3, 3]);
    bus.heal();
    bus.pass(10);
    assert_eq!(bus.answers(), [3; 4], "of two versions of one number that of the later name");
    assert_eq!(bus.status("a").in_force.unwrap().number, 2);
}

#[test]
fn a_version_for_a_later_instant_waits_for_it_and_can_be_given_up_until_then() {
    let mut bus = Bus::new();
    let at_s = Some(bus.now.unix.as_secs() + 600);
    bus.push_with("a", &files(1), PushTerms { at_s, ..because("at night") }).unwrap();
    bus.pass(590);
    assert_eq!(bus.answers(), [OWN; 4]);
    bus.pass(9);
    assert_eq!(bus.answers(), [OWN; 4]);
    bus.pass(2);
    assert_eq!(bus.answers(), [1; 4]);
    let at_s = Some(bus.now.unix.as_secs() + 600);
    bus.push_with("a", &files(2), PushTerms { at_s, ..because("at night") }).unwrap();
    bus.pass(300);
    bus.start("c");
    bus.pass(100);
    bus.command("a", Command::PushOff { author: "eva".into() }).unwrap();
    bus.pass(600);
    assert_eq!(bus.answers(), [1; 4]);
    let at_s = Some(bus.now.unix.as_secs() + 8 * 86_400);
    assert!(bus.push_with("a", &files(2), PushTerms { at_s, ..because("") }).is_err());
}

#[test]
fn a_server_with_files_of_its_own_is_left_alone_and_an_agent_pushes_nothing() {
    let mut bus = Bus::of_takers(&["a", "b", "d"]);
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [1, 1, OWN, 1]);
    let own = bus.status("a").nodes.into_iter().find(|node| node.node == "c").unwrap();
    assert_eq!(own.takes, Some(false));
    let error = bus.push("c", &files(2)).unwrap_err();
    assert!(error.contains("bundles = true"), "{error}");
    let error = bus.push("d", &files(2)).unwrap_err();
    assert!(error.contains("agent"), "{error}");
    let terms = PushTerms { canary: Some("x".into()), ..because("try") };
    let error = bus.push_with("a", &files(2), terms).unwrap_err();
    assert!(error.contains("there are a, b, c"), "{error}");
}

#[test]
fn who_comes_after_the_signer_has_another_key_takes_what_another_server_vouches_for() {
    for is_pusher_dead in [false, true] {
        let mut bus = Bus::new();
        bus.nodes.get_mut("c").unwrap().is_dead = true;
        bus.pass(10);
        bus.push("a", &files(1)).unwrap();
        bus.pass(10);
        bus.nodes.get_mut("a").unwrap().is_dead = is_pusher_dead;
        bus.change_key("a");
        bus.pass(10);
        bus.start("c");
        bus.pass(5);
        assert_eq!(bus.answers(), [1; 4], "the pusher is dead: {is_pusher_dead}");
        let signed_by = bus.status("b").in_force.unwrap().signed_by;
        assert_eq!(&*signed_by, "b", "by a's new key nobody has signed it but a");
        assert_eq!(bus.status("c").in_force.unwrap().number, 1, "it is no other version");
        bus.push("b", &files(2)).unwrap();
        bus.pass(10);
        assert_eq!(bus.answer("c"), 2);
    }
}

#[test]
fn a_server_that_a_reload_adds_takes_part_in_the_next_push_and_one_that_it_takes_out_does_not() {
    let mut bus = Bus::new();
    bus.strangers.insert("c");
    bus.reload();
    bus.pass(10);
    assert_eq!(bus.push("a", &files(1)).map(drop), Ok(()));
    bus.pass(10);
    assert_eq!(bus.answers(), [1, 1, OWN, 1]);
    let named = |bus: &Bus| bus.status("a").nodes.iter().any(|node| node.node == "c");
    assert!(!named(&bus), "{:?}", bus.status("a").nodes);
    bus.strangers.clear();
    bus.reload();
    bus.heal();
    bus.pass(10);
    assert_eq!(bus.answers(), [1; 4], "it takes what counts");
    bus.nodes.get_mut("c").unwrap().lacks = true;
    bus.push("a", &files(2)).unwrap();
    bus.pass(10);
    assert!(bus.why("a").contains("refused by c"), "{}", bus.why("a"));
}

#[test]
fn a_full_disk_refuses_what_it_cannot_take_and_does_not_hold_up_what_is_decided() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    // Its files fit, but not the word that they count: the others are not held up, and it follows.
    bus.nodes.get_mut("c").unwrap().is_full = true;
    bus.push("a", &files(2)).unwrap();
    bus.pass(20);
    assert_eq!(bus.answers(), [2; 4]);
    assert!(bus.nodes["c"].told.iter().any(|told| told.contains("No space left")), "it is told");
    assert_eq!(bus.nodes["c"].disk.len(), 1);
    // It begins with the version before, and takes the other from the rest.
    bus.start("c");
    assert_eq!(bus.answer("c"), 1);
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4]);
    assert_eq!(bus.nodes["c"].disk.len(), 2);
}

#[test]
fn what_a_disk_did_not_take_is_written_once_there_is_room() {
    let mut bus = Bus::new();
    bus.nodes.get_mut("c").unwrap().is_full = true;
    bus.push("a", &files(1)).unwrap();
    bus.pass(100);
    let told = |bus: &Bus, what: &str| {
        bus.nodes["c"].told.iter().filter(|told| told.contains(what)).count()
    };
    assert_eq!((bus.answer("c"), told(&bus, "NotKept"), bus.nodes["c"].disk.len()), (1, 1, 0));
    bus.nodes.get_mut("c").unwrap().is_full = false;
    bus.pass(40);
    assert_eq!(
        (told(&bus, "Kept)"), bus.nodes["c"].disk.len()),
        (1, 1),
        "{:?}",
        bus.nodes["c"].told
    );
}

#[test]
fn files_that_were_made_before_another_push_was_decided_do_not_undo_it() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    // A canary at one node; meanwhile the others, which do not hear it, decide another version.
    bus.apart.insert("c");
    let terms = PushTerms { canary: Some("c".into()), force: true, ..because("try it") };
    bus.push_with("c", &files(2), terms.clone()).unwrap();
    // Its number is the higher one: that alone would let it go on.
    bus.command("c", Command::PushOff { author: "eva".into() }).unwrap();
    bus.push_with("c", &files(2), terms).unwrap();
    bus.push("a", &files(3)).unwrap();
    bus.pass(30);
    bus.heal();
    bus.pass(5);
    let _ = bus.command("c", Command::PushOn { author: "eva".into() });
    bus.pass(30);
    assert_eq!(bus.answers(), [3; 4]);
    assert!(bus.why("c").contains("was decided meanwhile"), "{}", bus.why("c"));
}

#[test]
fn a_leader_that_cannot_serve_it_any_more_does_not_decide_it() {
    let mut bus = Bus::new();
    let at_s = bus.now.unix.as_secs() + 600;
    let terms = PushTerms { at_s: Some(at_s), ..because("later") };
    bus.push_with("a", &files(1), terms).unwrap();
    bus.pass(10);
    // Geo data that do not fit to it: what was ready is compiled anew, and is not.
    bus.spoil_check("a");
    bus.pass(600);
    assert!(bus.why("a").contains("refused by a"), "{}", bus.why("a"));
    assert_eq!(bus.answers(), [OWN; 4]);
}

#[test]
fn a_canary_must_take_bundles() {
    let mut bus = Bus::of_takers(&["a", "b", "d"]);
    let terms = PushTerms { canary: Some("c".into()), ..because("try it") };
    let why = bus.push_with("a", &files(1), terms).unwrap_err();
    assert!(why.contains("c has its files by other tools"), "{why}");
}

#[test]
fn too_few_servers_are_borne_for_a_moment() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    bus.apart.insert("a");
    bus.pass(7);
    bus.push("a", &files(2)).unwrap();
    bus.pass(8);
    bus.heal();
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4]);
}

#[test]
fn a_number_that_nobody_came_to_is_not_believed() {
    let mut bus = Bus::new();
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    bus.say_number("b", u64::MAX);
    bus.pass(5);
    bus.push("a", &files(2)).unwrap();
    bus.pass(10);
    assert_eq!(bus.answers(), [2; 4]);
    assert_eq!(bus.status("a").in_force.unwrap().number, 2);
}

#[test]
fn what_a_node_refuses_though_it_is_decided_is_shown_there_and_in_its_log_wholly() {
    let mut bus = Bus::new();
    bus.nodes.get_mut("c").unwrap().is_dead = true;
    bus.pass(10);
    bus.push("a", &files(1)).unwrap();
    bus.pass(10);
    bus.start("c");
    bus.nodes.get_mut("c").unwrap().lacks = true;
    bus.pass(20);
    let status = bus.status("a");
    let lacking = status.nodes.iter().find(|node| node.node == "c").unwrap();
    assert_eq!((lacking.state.as_deref(), lacking.to), (Some("refused"), Some(1)));
    assert!(lacking.why.contains("ca.pem is not here"), "{}", lacking.why);
    let told = bus.nodes["c"].told.iter().filter(|told| told.contains("ca.pem is not here"));
    assert_eq!(told.count(), 1);
    bus.nodes.get_mut("c").unwrap().lacks = false;
    bus.pass(61);
    assert_eq!(bus.answers(), [1; 4]);
}

/// Pushes, rollbacks, deaths, restarts, partitions, starved and lacking nodes, in any order; at the end all is well.
fn play(seed: u64) {
    let mut chance = Chance(seed);
    let mut bus = Bus::new();
    let servers = ["a", "b", "c"];
    for _ in 0..30 {
        let name = servers[chance.below(3) as usize];
        let is_dead = bus.nodes[name].is_dead;
        match chance.below(12) {
            0..=3 if !is_dead => {
                let number = 1 + chance.below(190) as u8;
                let canary =
                    (chance.below(4) == 0).then(|| servers[chance.below(3) as usize].to_owned());
                let force = chance.below(3) == 0;
                let _ = bus.push_with(
                    name,
                    &files(number),
                    PushTerms { canary, force, ..because("new") },
                );
            }
            4 if !is_dead => drop(bus.command(name, Command::PushOn { author: "eva".into() })),
            5 if !is_dead => {
                let _ = bus.command(name, Command::RollBack { to: None, terms: because("back") });
            }
            6 => bus.nodes.get_mut(name).unwrap().is_dead = true,
            7 => bus.start(name),
            8 => drop(bus.apart.insert(name)),
            9 => bus.heal(),
            10 => bus.nodes.get_mut(name).unwrap().is_starved ^= true,
            _ => bus.nodes.get_mut(name).unwrap().dies_at_keep ^= true,
        }
        bus.pass_ms(100 * chance.below(60));
    }
    for name in NAMES {
        let node = bus.nodes.get_mut(name).unwrap();
        (node.is_starved, node.dies_at_keep) = (false, false);
        if node.is_dead {
            bus.start(name);
        }
    }
    bus.heal();
    bus.pass(5);
    for name in servers {
        let _ = bus.command(name, Command::PushOff { author: "eva".into() });
    }
    bus.pass(20);
    let answers = bus.answers();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "seed {seed}: {answers:?}");
    let versions: Vec<_> = NAMES.iter().map(|name| bus.status(name).in_force).collect();
    assert!(versions.iter().all(|version| *version == versions[0]), "seed {seed}: {versions:?}");
    let disks: Vec<_> = NAMES.iter().map(|name| bus.nodes[name].disk.first().cloned()).collect();
    assert!(disks.iter().all(|disk| *disk == disks[0]), "seed {seed}: {disks:?}");
}

#[test]
fn whatever_fails_all_nodes_end_with_one_version_and_none_ever_goes_back() {
    let seeds = std::env::var("RHUMB_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let only = std::env::var("RHUMB_SEED").ok().and_then(|text| text.parse().ok());
    for seed in (0..seeds).filter(|seed| only.is_none_or(|only: u64| only == *seed)) {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "seed {seed}");
    }
}
