//! Real processes that are a cluster: what they agree on, and what a death, a stop, a reload and a broken key do to them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod fleet;
mod live;
mod process;

use std::time::Duration;
use std::time::Instant;

use fleet::Fleet;
use fleet::Node;
use fleet::Plan;
use fleet::web::Web;
use live::Folder;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::runtime::cluster::key;

const SITES: [&str; 3] = ["fra", "iad", "sin"];

/// What answers are while all is well, and once the first endpoint is down.
const FIRST: &str = "127.0.0.1";
const SECOND: &str = "127.0.0.2";

/// Three nodes that hear each other, and the two endpoints that they probe: both are up.
fn start() -> (Fleet, [Web; 2]) {
    let webs = Web::start_all([FIRST, SECOND]);
    let fleet = Fleet::start(Plan::failover(&SITES, webs[0].address, webs[1].address));
    fleet.wait_for_answer(FIRST);
    for node in &fleet.nodes {
        wait_until("both are up", || {
            node.verdict("one/a") == "up" && node.verdict("two/b") == "up"
        });
    }
    (fleet, webs)
}

/// What the sites say of the first endpoint, as a node hears it, if they differ.
fn words(node: &Node) -> String {
    let all = node.cluster().disagreements;
    let one = all.into_iter().find(|one| one.target.starts_with("one/a"));
    let words = one.map(|one| one.sites.into_iter().map(|(site, word)| format!("{site} {word}")));
    words.map_or_else(String::new, |words| words.collect::<Vec<_>>().join(", "))
}

/// Flips that a node tells of, once all is known: two endpoints came up.
const AT_START: usize = 2;

#[test]
fn three_nodes_agree_that_an_endpoint_is_down_and_up_again() {
    let (fleet, mut webs) = start();
    webs[0].stop();
    let gone = Instant::now();
    fleet.wait_for_answer(SECOND);
    println!("down everywhere after {:?}", gone.elapsed());
    webs[0].start_again();
    fleet.wait_for_answer(FIRST);
}

#[test]
fn a_peer_that_a_reload_adds_votes_at_once_and_one_that_it_takes_out_no_more() {
    let webs = Web::start_all([FIRST, SECOND]);
    let mut fleet = Fleet::make(Plan::failover(&SITES, webs[0].address, webs[1].address));
    for node in [0, 1] {
        fleet.write_settings(node, &[0, 1]);
        fleet.run(node);
    }
    for node in &fleet.nodes[..2] {
        wait_until("two vote", || {
            let status = node.cluster();
            status.sites == 2 && status.members.iter().all(|member| member.votes_here == 2)
        });
        wait_until("both are up", || node.flips() == AT_START);
    }
    // What only iad does not see down is not down: of two sites both must say so.
    webs[0].set_deaf("/fra", true);
    wait_until("fra says down", || words(&fleet.nodes[1]) == "fra down, iad up");
    assert_eq!(fleet.nodes[0].answer(), FIRST);
    webs[0].set_deaf("/sin", true);
    for node in [0, 1, 2] {
        fleet.write_settings(node, &[0, 1, 2]);
    }
    fleet.run(2);
    fleet.nodes[..2].iter().for_each(Node::reload);
    // Of three sites two are enough, and one of them is new.
    fleet.wait_for_answer(SECOND);
    for node in &fleet.nodes[..2] {
        assert_eq!(words(node), "fra down, iad up, sin down");
        assert_eq!((node.cluster().sites, node.flips()), (3, AT_START + 1));
        assert!(node.process().has_logged("node sin-1 at sin: a member from now on"));
    }
    for node in [0, 1] {
        fleet.write_settings(node, &[0, 1]);
        fleet.nodes[node].reload();
    }
    for node in &fleet.nodes[..2] {
        wait_until("it is up by the words that are left", || node.answer() == FIRST);
        assert_eq!((node.cluster().sites, node.live()), (2, 2));
        assert!(node.process().has_logged("node sin-1 at sin: a member no more"));
    }
}

#[test]
fn a_killed_node_comes_back_as_one_voter_and_what_it_said_before_counts_no_more() {
    let (mut fleet, webs) = start();
    webs[0].set_deaf("/sin", true);
    for node in &fleet.nodes {
        wait_until("sin says down", || words(node) == "fra up, iad up, sin down");
    }
    let before = fleet.nodes[0].member("sin-1").generation.unwrap();
    fleet.nodes[2].kill();
    fleet.run(2);
    for node in &fleet.nodes[..2] {
        wait_until("the later life is heard, and is one vote", || {
            let status = node.cluster();
            assert_eq!((status.members.len(), status.sites), (3, 3));
            assert_eq!(node.verdict("one/a"), "up", "two votes of one node would make a tie");
            node.member("sin-1").generation.is_some_and(|now| now > before)
                && words(node) == "fra up, iad up, sin down"
        });
    }
    // What it says in its next life is what it sees in it.
    fleet.nodes[2].kill();
    webs[0].set_deaf("/sin", false);
    fleet.run(2);
    fleet.wait_for_all();
    for node in &fleet.nodes[..2] {
        wait_until("the word of before is forgotten", || words(node).is_empty());
        assert_eq!(node.flips(), AT_START, "{:?}", node.process().lines());
    }
    fleet.wait_for_answer(FIRST);
}

#[test]
fn a_node_that_stands_still_for_ten_seconds_counts_no_more_and_comes_back_without_a_flip() {
    let (fleet, mut webs) = start();
    let others = [&fleet.nodes[0], &fleet.nodes[2]];
    fleet.nodes[1].process().signal("STOP");
    let stopped = Instant::now();
    for node in others {
        wait_until("it counts no more", || !node.member("iad-1").is_live);
    }
    let noticed = stopped.elapsed();
    println!("a node that stands still is noticed after {noticed:?}");
    wait_until("it has stood still for ten seconds", || {
        for node in others {
            assert_eq!(node.answer(), FIRST, "a lost node takes nothing down");
        }
        stopped.elapsed() > Duration::from_secs(10)
    });
    fleet.nodes[1].process().signal("CONT");
    fleet.wait_for_all();
    for node in &fleet.nodes {
        assert_eq!(node.answer(), FIRST);
        assert_eq!(node.flips(), AT_START, "{}: {:?}", node.name, node.process().lines());
    }
    webs[0].stop();
    fleet.wait_for_answer(SECOND);
}

#[test]
fn a_pin_that_is_taken_out_by_a_reload_cuts_its_node_off() {
    let (mut fleet, _webs) = start();
    let stranger = key::make(&fleet.nodes[0].folder.path("other.key")).unwrap().to_string();
    fleet.pins[1] = vec![stranger];
    fleet.write_settings(0, &[0, 1, 2]);
    let [fra, iad, sin] = [0, 1, 2].map(|node: usize| &fleet.nodes[node]);
    fra.reload();
    fra.process().wait_for_log("connection lost: it was replaced, or its pin was taken out");
    wait_until("the one without a pin counts no more", || !fra.member("iad-1").is_live);
    assert!(fra.member("sin-1").is_live);
    assert!(sin.member("iad-1").is_live, "the others still hear it");
    iad.process().wait_for_log("add what rhumb cluster pin prints here to the pins there");
}

#[test]
fn a_key_is_changed_while_votes_change_and_nobody_is_lost_by_it() {
    let (mut fleet, webs) = start();
    let folder = &fleet.nodes[2].folder;
    let new = key::make(&folder.path("new.key")).unwrap().to_string();
    let old = std::mem::take(&mut fleet.pins[2]).remove(0);
    let tell = |fleet: &mut Fleet, pins: Vec<String>| {
        fleet.pins[2] = pins;
        for node in [0, 1] {
            fleet.write_settings(node, &[0, 1, 2]);
            fleet.nodes[node].reload();
        }
    };
    // Votes of the node change all the while, and are heard.
    let change = |fleet: &Fleet, times: usize| {
        for turn in 0..times {
            let is_deaf = turn % 2 == 0;
            webs[0].set_deaf("/sin", is_deaf);
            for node in &fleet.nodes[..2] {
                wait_until("its word is heard", || {
                    assert!(node.member("sin-1").is_live);
                    words(node).contains("sin down") == is_deaf
                });
            }
        }
    };
    tell(&mut fleet, vec![old, new.clone()]);
    change(&fleet, 2);
    let folder = &fleet.nodes[2].folder;
    std::fs::rename(folder.path("new.key"), folder.path("cluster.key")).unwrap();
    fleet.nodes[2].reload();
    change(&fleet, 4);
    tell(&mut fleet, vec![new]);
    change(&fleet, 4);
    for node in &fleet.nodes[..2] {
        assert_eq!(node.flips(), AT_START);
        assert!(!node.process().has_logged("node sin-1 at sin: not heard"));
    }
}

#[test]
fn a_key_is_made_once_and_its_pin_is_printed_for_the_peers() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(RHUMB);
        let output =
            command.current_dir(folder.path("zones")).arg("cluster").args(arguments).output();
        let output = output.unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, lines, _) = run(&["keygen", "--out", "fra.key"]);
    assert_eq!(code, Some(0));
    let pin = run(&["pin", "fra.key"]).1;
    assert!(pin.starts_with("ed25519:") && lines.contains(pin.trim()), "{lines}");
    assert!(lines.contains("[[cluster.peer]]") && !lines.contains("PRIVATE"), "{lines}");
    let (code, _, error) = run(&["keygen", "--out", "fra.key"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is not overwritten"), "{error}");
    assert_eq!(run(&["pin", "fra.key"]).1, pin);
    let (code, _, error) = run(&["pin", "none.key"]);
    assert!(code == Some(1) && error.contains("rhumb cluster keygen"), "{error}");
}

#[test]
fn a_node_without_its_key_or_with_one_that_others_can_read_does_not_start() {
    let fleet = Fleet::make(Plan::failover(
        &SITES,
        "127.0.0.1:9".parse().unwrap(),
        "127.0.0.2:9".parse().unwrap(),
    ));
    fleet.write_settings(0, &[0, 1, 2]);
    let folder = &fleet.nodes[0].folder;
    std::fs::rename(folder.path("cluster.key"), folder.path("away.key")).unwrap();
    let mut process = Process::spawn(folder);
    process.wait_for_log("make one with rhumb cluster keygen");
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
    std::fs::rename(folder.path("away.key"), folder.path("cluster.key")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(folder.path("cluster.key"), mode).unwrap();
    let process = Process::spawn(folder);
    process.wait_for_log("chmod 600");
    assert_eq!(process.wait(), Some(1));
}
