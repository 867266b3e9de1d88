//! Other implementations as judges: NSD, Knot and BIND serve the same zones and are asked the same.
//!
//! `RHUMB_CASES=full cargo test --test judges -- --nocapture` asks 100,000 questions, `RHUMB_SEED=7` one.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "judges/ask.rs"]
mod ask;
#[path = "judges/differences.rs"]
mod differences;
mod live;
mod packet;
#[path = "judges/probe.rs"]
mod probe;
#[path = "judges/question.rs"]
mod question;
#[path = "worlds/random.rs"]
mod random;
#[path = "judges/reply.rs"]
mod reply;
#[path = "judges/rows.rs"]
mod rows;
#[path = "judges/server.rs"]
mod server;
#[path = "judges/zones.rs"]
mod zones;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use ask::Asker;
use differences::Case;
use differences::explain;
use live::Folder;
use live::Live;
use live::PATIENCE;
use question::Owner;
use question::Question;
use reply::Record;
use reply::Reply;
use rows::ROWS;
use server::Judge;
use server::Running;
use zones::Zone;

/// Questions asked where nothing else is said.
const USUAL: u64 = 3000;

/// Unexplained differences shown; the rest is counted.
const SHOWN: usize = 60;

/// What came of the questions asked of one judge.
#[derive(Default)]
struct Tally {
    asked: u64,
    agreed: u64,
    explained: u64,
    reasons: BTreeMap<&'static str, u64>,
    unexplained: u64,
}

/// Starts our own server with the zones.
fn start_ours(zones: &[Zone]) -> (Folder, Live) {
    let folder = Folder::new();
    for zone in zones {
        folder.write(&format!("zones/{}.zone", zone.apex), &zone.text);
    }
    let live = Live::start(&folder.options());
    (folder, live)
}

/// What must hold of our reply, whatever a judge says.
fn check_ours(
    question: &Question,
    reply: &Option<Result<Reply, String>>,
    addresses: &BTreeSet<Record>,
) -> Option<Reply> {
    let reply = reply.as_ref()?.as_ref().unwrap_or_else(|why| panic!("{question}: {why}"));
    assert!(reply.len <= question.limit(), "{question}: too long\n{reply}");
    assert_eq!(reply.opt.is_some(), question.edns.is_some(), "{question}\n{reply}");
    assert_eq!(reply.question, question.section(), "{question}\n{reply}");
    let invented = reply.additional().iter().find(|record| !addresses.contains(record));
    assert_eq!(invented, None, "{question}: no zone has this\n{reply}");
    Some(reply.clone())
}

/// Judges one reply; an unexplained difference is described.
fn judge(case: &Case<'_>, tally: &mut Tally) -> Option<String> {
    tally.asked += 1;
    let parts = case.differences();
    if parts.is_empty() {
        tally.agreed += 1;
        return None;
    }
    let rows: Vec<_> = ROWS.iter().collect();
    match explain(&rows, case, &parts) {
        Ok(rows) => {
            tally.explained += 1;
            rows.iter().for_each(|row| *tally.reasons.entry(row.reason).or_default() += 1);
            None
        }
        Err(left) => {
            tally.unexplained += 1;
            let show = |reply: Option<&Reply>| reply.map_or("no reply\n".into(), Reply::to_string);
            let Case { judge, question, ours, theirs, apexes: _ } = case;
            Some(format!(
                "---- {judge:?} differs in {left:?}\n{question}\n-- ours\n{}-- {judge:?}\n{}",
                show(*ours),
                show(*theirs)
            ))
        }
    }
}

fn report(judge: Judge, tally: &Tally) {
    let Tally { asked, agreed, explained, reasons, unexplained } = tally;
    println!(
        "{judge:?}: {asked} questions, {agreed} alike, {explained} explained, {unexplained} not"
    );
    for (reason, count) in reasons {
        println!("  {count:6}  {reason}");
    }
}

#[test]
fn nsd_knot_and_bind_answer_as_we_do_or_differ_for_a_reason() {
    let zones = zones::zones();
    let owners = zones::owners(&zones);
    let addresses = zones::addresses(&zones);
    let (_folder, live) = start_ours(&zones);
    let mut ours = Asker::new(live.address(), PATIENCE);
    let mut judges = Vec::new();
    for judge in Judge::ALL {
        let zones: Vec<_> = zones.iter().filter(|zone| zone.not_for != Some(judge)).collect();
        let texts: Vec<_> = zones.iter().map(|zone| (zone.apex, zone.text.clone())).collect();
        match Running::start(judge, &texts) {
            Ok(running) => {
                let asker = Asker::new(running.address, PATIENCE);
                judges.push((running, asker, Tally::default()));
            }
            Err(why) => println!("skipped: {why}"),
        }
    }
    let mut faults = Vec::new();
    let apexes: Vec<_> = zones.iter().map(|zone| packet::wire_name(zone.apex)).collect();
    random::for_each_seed(USUAL, |seed| {
        let question = Question::of_seed(seed, &owners);
        let our_reply = check_ours(&question, &ours.ask(&question), &addresses);
        for (running, asker, tally) in &mut judges {
            if !is_for(running.judge, &question, &zones) {
                continue;
            }
            let their_reply = asker
                .ask(&question)
                .map(|reply| reply.unwrap_or_else(|why| panic!("{seed} {question}: {why}")));
            let (ours, theirs) = (our_reply.as_ref(), their_reply.as_ref());
            let case =
                Case { judge: running.judge, question: &question, ours, theirs, apexes: &apexes };
            faults.extend(judge(&case, tally).map(|fault| format!("seed {seed}\n{fault}")));
        }
    });
    for (running, _, tally) in &judges {
        report(running.judge, tally);
    }
    live.stop();
    let shown = faults.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} differences have no reason:\n{shown}", faults.len());
}

/// Whether a judge has every zone that the question could be about.
fn is_for(judge: Judge, question: &Question, zones: &[Zone]) -> bool {
    let name = question.name.to_ascii_lowercase();
    let is_missing = |zone: &&Zone| zone.not_for == Some(judge);
    !zones.iter().filter(is_missing).any(|zone| name.ends_with(&packet::wire_name(zone.apex)))
}

/// Otherwise a seed would not replay what failed.
#[test]
fn questions_of_a_seed_are_always_the_same() {
    let owners = [Owner { name: packet::wire_name("a.test"), types: vec![1] }];
    for seed in 0..100 {
        assert_eq!(Question::of_seed(seed, &owners), Question::of_seed(seed, &owners));
    }
}
