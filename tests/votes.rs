//! Nodes of a cluster on a network that loses, delays, doubles and cuts: what must hold whatever happens.
//!
//! `RHUMB_SEED=7` replays one case, `RHUMB_CASES=full` runs 10,000. Each case is its own fleet: one to five sites, one
//! to eleven nodes, their own clocks, and a minute or two of failures. Laws are checked at every turn; then the network heals, and the
//! fleet must come to what all can see.
//!
//! A case may also roll out files with another target, or with other members, node by node; its operators write records.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "votes/answers.rs"]
mod answers;
mod common;
#[path = "votes/fleet.rs"]
mod fleet;
#[path = "votes/losses.rs"]
mod losses;
#[path = "worlds/random.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod random;
#[path = "votes/records.rs"]
mod records;
#[path = "votes/twin.rs"]
mod twin;

use std::time::Duration;

use fleet::Fleet;
use fleet::Guest;
use fleet::LATER;
use random::Random;
use random::for_each_seed_of;
use rhumb::cluster::Topic;
use rhumb::model::Anchors;
use rhumb::model::Vantage;
use rhumb::model::Word;
use rhumb::quorum;
use rhumb::quorum::Decision;
use rhumb::quorum::SiteVote;

/// Fleets of an everyday run: one in a hundred.
const CASES: u64 = 100;
/// Fleets of a full run.
const CASES_FULL: u64 = 10_000;

/// What a case may do to its fleet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Faults {
    /// Links are lost, messages are late, nodes stop and start: but all targets are up, and nobody lies.
    Links,
    /// The same, but all targets are down.
    Dead,
    /// The same, and targets go down at some sites.
    Targets,
    /// The same, and one node says whatever it likes.
    Liar,
}

fn any_word(random: &mut Random) -> Word {
    match random.below(8) {
        0 => Word::Unknown,
        1 => Word::Abstain,
        2 => Word::Held,
        3 | 4 => Word::Down,
        5 => Word::Up(1 + random.below(7) as u8),
        _ => Word::Up(0),
    }
}

/// Cuts some links: all of one node, one way between two, between two that both reach a third, or the fleet in two.
fn cut_links(fleet: &mut Fleet) {
    let count = fleet.nodes.len() as u64;
    let [one, other] = [fleet.random.below(count) as usize, fleet.random.below(count) as usize];
    match fleet.random.below(5) {
        0 => {
            for node in 0..count as usize {
                (fleet.cut[one][node], fleet.cut[node][one]) = (true, true);
            }
        }
        1 => fleet.cut[one][other] = true,
        2 => (fleet.cut[one][other], fleet.cut[other][one]) = (true, true),
        3 => {
            let side = fleet.random.next();
            let side = |node: usize| side >> node & 1;
            for (from, row) in fleet.cut.iter_mut().enumerate() {
                row.iter_mut().enumerate().for_each(|(to, cut)| *cut |= side(from) != side(to));
            }
        }
        _ => fleet.cut.iter_mut().flatten().for_each(|cut| *cut = false),
    }
}

/// Something bad, or something good.
fn disturb(fleet: &mut Fleet, faults: Faults) {
    let node = fleet.random.below(fleet.nodes.len() as u64) as usize;
    match fleet.random.below(17) {
        0..=2 => cut_links(fleet),
        3 => fleet.restart(node),
        4 => {
            let lasts = Duration::from_millis(fleet.random.below(10_000));
            fleet.stop(node, lasts);
        }
        5 => {
            let by = Duration::from_millis(fleet.random.below(20_000));
            fleet.jump(node, by);
        }
        6 => fleet.loss_percent = fleet.random.below(60),
        12 => fleet.change_targets(node),
        13 => fleet.change_members(node),
        14 => {
            let to = fleet.random.below(fleet.nodes.len() as u64) as usize;
            fleet.replay(node, to);
        }
        15 | 16 => fleet.write(node),
        7..=11 if matches!(faults, Faults::Targets | Faults::Liar) => {
            let site = fleet.random.below(fleet.sites as u64) as usize;
            let target = fleet.random.below(fleet.targets.len() as u64 - 1) as usize;
            let word = match any_word(&mut fleet.random) {
                Word::Unknown | Word::Abstain => Word::Down,
                word => word,
            };
            fleet.truth[site][target] = word;
        }
        _ => {}
    }
}

/// Laws of every moment.
fn assert_laws(fleet: &Fleet, faults: Faults) {
    for (at, node) in fleet.nodes.iter().enumerate() {
        let members = fleet.members(at, node.has_later_members);
        for (other, (_, slots)) in node.newest.iter().filter(|(other, _)| members.contains(other)) {
            let is_told = |topic: &Topic| !matches!(topic, Topic::Record { .. } | Topic::Beat);
            for (topic, _, payload) in slots.values().filter(|(topic, ..)| is_told(topic)) {
                let known = node.panel.words_of(&fleet.nodes[*other].name, *topic);
                assert_eq!(known, &payload[..], "n{at} knows the newest of n{other} and no other");
            }
        }
    }
    if faults == Faults::Links {
        assert!(!fleet.was_down, "lost links alone take nothing down");
    }
    if faults == Faults::Dead {
        assert!(!fleet.was_up, "nor do they bring up what is dead");
    }
    for key in &fleet.targets {
        let panels = fleet.nodes.iter().enumerate().filter(|(at, node)| {
            assert_votes_are_of_the_living(fleet, *at, key);
            !node.is_dead && (&*key.endpoint != LATER || node.has_later_targets)
        });
        let judged = panels.filter(|(_, node)| !node.panel.is_held(key)).map(|(at, node)| {
            let before = node.known.get(key).copied().unwrap_or_default();
            // Who has other files may judge otherwise.
            let files = (fleet.members(at, node.has_later_members), node.has_later_targets);
            (&node.name, (node.panel.votes_on(key), files), before)
        });
        let judged: Vec<_> = judged.collect();
        for (one, votes, verdict) in &judged {
            for (other, other_votes, other_verdict) in &judged {
                if votes == other_votes && !fleet.is_late(one) && !fleet.is_late(other) {
                    assert_eq!(verdict, other_verdict, "{key} at {one} and {other}: {votes:?}");
                }
            }
        }
    }
}

/// Nobody has a vote for longer than its prober's life: a site votes only if a node of it was heard just now.
fn assert_votes_are_of_the_living(fleet: &Fleet, at: usize, key: &rhumb::model::TargetKey) {
    let node = &fleet.nodes[at];
    if node.is_dead || fleet.is_late(&node.name) {
        return;
    }
    let members = fleet.members(at, node.has_later_members);
    let mut sites: Vec<usize> = members.iter().map(|member| fleet.nodes[*member].site).collect();
    sites.sort_unstable();
    sites.dedup();
    for (site, vote) in sites.into_iter().zip(node.panel.votes_on(key)) {
        let lives = |member: &usize| {
            fleet.nodes[*member].site == site && (*member == at || fleet.is_heard(at, *member))
        };
        let is_alive = members.iter().any(lives);
        assert!(is_alive || !vote.word.is_vote(), "{key}: s{site} has a vote at n{at}: {vote:?}");
    }
}

/// What sites see, if all nodes live and nobody is late.
fn expected_votes(fleet: &Fleet, target: usize) -> Vec<SiteVote> {
    let site = |site: usize| {
        let nodes = fleet.nodes.iter().filter(|node| node.site == site && !node.is_dead);
        let word = |node: &fleet::Node| match node.panel.is_isolated() {
            true => Word::Abstain,
            false => fleet.truth[site][target],
        };
        let words: Vec<Word> = nodes.clone().map(word).collect();
        let pass = nodes.clone().filter(|node| node.anchors == Anchors::Pass).count();
        SiteVote {
            word: twin::word_of_site(&words),
            anchors: if pass > 0 { Anchors::Pass } else { Anchors::Unset },
            is_at_home: fleet.homes[target] == Some(site),
        }
    };
    // Who was taken out of the files is not asked.
    let sites = fleet.sites - usize::from(fleet.guest == Guest::Leaves);
    (0..sites).map(site).collect()
}

/// The network heals, perhaps without one site, and everybody must come to what there is to see.
fn assert_converges(fleet: &mut Fleet, seed: u64) {
    fleet.cut.iter_mut().flatten().for_each(|cut| *cut = false);
    (fleet.loss_percent, fleet.delay_ms, fleet.is_healed) = (0, 500, true);
    for node in 0..fleet.nodes.len() {
        fleet.stop(node, Duration::ZERO);
        fleet.nodes[node].lies = false;
        fleet.change_targets(node);
        fleet.change_members(node);
    }
    let lost = fleet.random.below(2 * fleet.sites as u64) as usize;
    for node in fleet.nodes.iter_mut().filter(|node| node.site == lost) {
        node.is_dead = true;
    }
    // A life, what was on its way, two looks at who says which record, and a few rounds of gossip; besides, where shards move,
    // fifteen seconds of peace and a prober's thresholds.
    let turns = if fleet.vantage == Vantage::All { 112 } else { 140 };
    (0..turns).for_each(|_| fleet.turn());
    let guest = fleet.nodes.len() - 1;
    let is_out = |at: usize| fleet.guest == Guest::Leaves && at == guest;
    let live = || {
        let nodes = fleet.nodes.iter().enumerate();
        nodes.filter(|(at, node)| !node.is_dead && !is_out(*at)).map(|(_, node)| node)
    };
    let mut records = live().map(|node| (&node.name, node.shelf.all()));
    if let Some((first, known)) = records.next() {
        for (other, others) in records {
            assert_eq!(known, others, "seed {seed}: records of {first} and {other}");
        }
    }
    for (number, key) in fleet.targets.iter().enumerate() {
        if fleet.vantage != Vantage::All {
            let deciding = live().filter(|node| !node.panel.is_held(key));
            let known = deciding.map(|node| node.known.get(key).copied().unwrap_or_default());
            let known: Vec<_> = known.collect();
            let is_alike = known.windows(2).all(|two| two[0] == two[1]);
            assert!(is_alike, "seed {seed}: {key} is {known:?}");
            continue;
        }
        let wanted = expected_votes(fleet, number);
        let verdict = twin::verdict(&wanted, fleet.quorum, wanted.len());
        let Some(verdict) = verdict else { continue };
        for node in live().filter(|node| !node.panel.is_isolated()) {
            let known = node.known.get(key).copied().unwrap_or_default();
            let votes = node.panel.votes_on(key);
            let (name, quorum) = (&node.name, fleet.quorum);
            assert_eq!(
                known, verdict,
                "seed {seed}: {key} at {name}, {quorum:?}: {votes:?}, and not {wanted:?}"
            );
        }
    }
}

#[test]
fn whatever_the_network_does_all_come_to_the_same() {
    let mut down = 0;
    let ran = for_each_seed_of(CASES, CASES_FULL, |seed| {
        let mut fleet = Fleet::new(seed);
        let faults = match seed % 4 {
            0 => Faults::Links,
            1 => Faults::Targets,
            2 => Faults::Liar,
            _ => Faults::Dead,
        };
        if faults == Faults::Dead {
            fleet.truth.iter_mut().flatten().for_each(|word| *word = Word::Down);
            if fleet.random.chance(50) {
                fleet.want_all_sites();
            }
        }
        if faults == Faults::Liar {
            let liar = fleet.random.below(fleet.nodes.len() as u64) as usize;
            fleet.nodes[liar].lies = true;
        }
        for _ in 0..fleet.random.below(240) + 120 {
            if fleet.random.chance(8) {
                disturb(&mut fleet, faults);
            }
            fleet.turn();
            assert_laws(&fleet, faults);
        }
        assert_converges(&mut fleet, seed);
        down += usize::from(fleet.was_down);
    });
    assert!(ran < 100 || down > ran as usize / 5, "something goes down in {down} of {ran} cases");
}

#[test]
fn pools_of_files_and_pools_that_are_found_go_down_at_once_and_all_nodes_see_all_of_it() {
    for_each_seed_of(40, 400, |seed| {
        let mut fleet = Fleet::new(seed);
        fleet.loss_percent = 0;
        (0..40).for_each(|_| fleet.turn());
        fleet.truth.iter_mut().flatten().for_each(|word| *word = Word::Down);
        // Fewer than three sites may take so much for a fault of their own network.
        assert_converges(&mut fleet, seed);
    });
}

#[test]
fn whatever_nodes_say_no_answer_is_empty() {
    let mut down = 0;
    let ran = for_each_seed_of(20, 2_000, |seed| down += answers::babble(seed));
    assert!(ran < 10 || down > 0, "something is down at times");
}

#[test]
fn the_rule_is_what_the_design_says() {
    for_each_seed_of(20_000, 1_000_000, |seed| {
        let mut random = Random::new(seed);
        let sites = random.below(8) as usize;
        let more = random.below(3) as usize;
        let home = random.below(12) as usize;
        let anchors = [Anchors::Unset, Anchors::Pass, Anchors::Fail];
        let vote = |site: usize| SiteVote {
            word: any_word(&mut random),
            anchors: *random.pick(&anchors),
            is_at_home: site == home,
        };
        let votes: Vec<SiteVote> = (0..sites).map(vote).collect();
        let quorum = losses::any_quorum(&mut random);
        let by_rule = match quorum::decide(&votes, quorum::Terms { quorum, sites: sites + more }) {
            Decision::Agreed { verdict, level, .. } => Some((verdict, level)),
            Decision::TooFew { .. } => None,
        };
        assert_eq!(by_rule, twin::verdict(&votes, quorum, sites + more), "{votes:?}, {quorum:?}");
        let words: Vec<Word> = votes.iter().map(|vote| vote.word).collect();
        let by_rule = quorum::word_of_site(words.iter().copied());
        assert_eq!(by_rule, twin::word_of_site(&words), "{words:?}");
    });
}
