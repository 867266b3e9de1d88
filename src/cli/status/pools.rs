//! Pools, endpoints and addresses of `rhumb status`: all of them where they are few, else what is not fine.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::output::count;
use crate::cli::output::print;
use crate::control::status::EndpointStatus;
use crate::control::status::PoolStatus;
use crate::control::status::ProbesStatus;
use crate::control::status::SiteRoundTrip;
use crate::control::status::TargetStatus;

/// Addresses up to which all are listed, and most that are listed where they are more: what a person can read.
const LISTED_MAX: usize = 200;

/// Verdicts in the order in which they are counted.
const VERDICTS: [&str; 5] = ["up", "down", "held", "unknown", "unchecked"];

/// How much is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything if that is little, else what is not fine.
    Whole,
    /// What was chosen, up to what a person can read.
    Chosen,
    /// Everything.
    All,
}

/// Lists pools, and counts what is in them before that.
pub(super) fn show(pools: &[PoolStatus], extent: Extent) {
    text(pools, extent).lines().for_each(print);
}

fn text(pools: &[PoolStatus], extent: Extent) -> String {
    let mut text = summary(pools);
    let all = targets(pools).count();
    let (mut shown, mut hidden_pools) = (0, 0);
    for pool in pools {
        let few = all <= LISTED_MAX || extent != Extent::Whole;
        let chosen: Vec<(&EndpointStatus, Vec<&TargetStatus>)> = pool
            .endpoints
            .iter()
            .map(|endpoint| {
                let is_shown = |target: &&TargetStatus| few || !is_fine(endpoint, target);
                (endpoint, endpoint.targets.iter().filter(is_shown).collect())
            })
            .collect();
        let count: usize = chosen.iter().map(|(_, targets)| targets.len()).sum();
        let is_quiet = !few && count == 0 && is_quiet(pool);
        let is_full = extent != Extent::All && shown + count > LISTED_MAX && shown > 0;
        if is_quiet || is_full {
            hidden_pools += 1;
            continue;
        }
        let room = if extent == Extent::All { usize::MAX } else { LISTED_MAX - shown };
        shown += count.min(room);
        add_pool(&mut text, pool, &chosen, room);
    }
    if shown < all {
        let _ = write!(
            text,
            "\nnot shown: {} and all of {}; `--all` shows everything, `--state down` who is down, `rhumb status POOL` one pool\n",
            count(all - shown, "address", "addresses"),
            count(hidden_pools, "pool", "pools")
        );
    }
    text
}

fn targets(pools: &[PoolStatus]) -> impl Iterator<Item = (&EndpointStatus, &TargetStatus)> {
    let endpoints = pools.iter().flat_map(|pool| &pool.endpoints);
    endpoints.flat_map(|endpoint| endpoint.targets.iter().map(move |target| (endpoint, target)))
}

/// `3 pools, 1 DOES NOT QUALIFY; 12 addresses: 10 up, 1 down, 1 held`
fn summary(pools: &[PoolStatus]) -> String {
    let short = pools.iter().filter(|pool| !pool.qualifies).count();
    let short = match short {
        0 => String::new(),
        1 => ", 1 DOES NOT QUALIFY".to_owned(),
        many => format!(", {many} DO NOT QUALIFY"),
    };
    let of = |is_it: &dyn Fn(&EndpointStatus, &TargetStatus) -> bool| {
        targets(pools).filter(|(endpoint, target)| is_it(endpoint, target)).count()
    };
    let verdicts = VERDICTS.iter().map(|verdict| (of(&|_, one| one.verdict == *verdict), *verdict));
    let states = [
        (of(&|_, target| !target.degraded.is_empty()), "of them degraded"),
        (of(&|_, target| target.brake.is_some()), "of them up by the brake alone"),
        (of(&|endpoint, _| !endpoint.order.is_empty()), "of them drained, disabled or forced"),
    ];
    let counted = verdicts.chain(states).filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
    let counted = if counted.is_empty() { "none".to_owned() } else { counted.join(", ") };
    let addresses = count(targets(pools).count(), "address", "addresses");
    format!("{}{short}; {addresses}: {counted}\n", count(pools.len(), "pool", "pools"))
}

/// Whether nobody needs to look at an address.
fn is_fine(endpoint: &EndpointStatus, target: &TargetStatus) -> bool {
    let is_up = target.verdict == "up" || target.verdict == "unchecked";
    is_up && target.degraded.is_empty() && target.brake.is_none() && endpoint.order.is_empty()
}

/// Whether nobody needs to look at a pool. Trouble is told in capitals.
fn is_quiet(pool: &PoolStatus) -> bool {
    let is_loud = |text: &String| {
        let words = text.split(|letter: char| !letter.is_ascii_alphabetic());
        words.into_iter().any(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase()))
    };
    let texts = pool.discovery.iter().chain(&pool.shed);
    pool.qualifies && !pool.panic && pool.failback.is_none() && !texts.into_iter().any(is_loud)
}

fn add_pool(
    text: &mut String,
    pool: &PoolStatus,
    chosen: &[(&EndpointStatus, Vec<&TargetStatus>)],
    mut room: usize,
) {
    let site = pool.site.as_deref().unwrap_or("no site");
    let check = pool.check.as_deref().unwrap_or("none");
    *text += &format!("\npool {}  ({site}, check {check})  {}\n", pool.name, pool.standing_text());
    let lines = pool.failback.iter().chain(&pool.discovery).chain(&pool.shed);
    lines.for_each(|line| *text += &format!("  {line}\n"));
    for (endpoint, targets) in chosen {
        let EndpointStatus { key, name, weight, order, .. } = endpoint;
        if targets.is_empty() && !endpoint.targets.is_empty() {
            continue;
        }
        if !name.is_empty() {
            *text += &format!("  {key:<20} {name}  weight {weight}\n");
        }
        for target in targets.iter().take(room) {
            add_target(text, endpoint, target);
        }
        room = room.saturating_sub(targets.len());
        if !order.is_empty() {
            *text += &format!("  {:<20} ORDER {order}\n", "");
        }
    }
}

fn add_target(text: &mut String, endpoint: &EndpointStatus, target: &TargetStatus) {
    let since = target.since_s.map_or(String::new(), |since| format!("for {}", whole(since)));
    let last = match (&target.last, target.verdict.as_str()) {
        (Some(last), _) => last,
        (None, "unchecked") => "no check",
        (None, _) => "not probed yet",
    };
    let slow = match target.degraded.is_empty() {
        true => String::new(),
        false => format!("{}  ", target.degraded),
    };
    let last = match target.parts.is_empty() {
        true => format!("last: {last}{}", ago(target.probes.as_ref())),
        false => String::new(),
    };
    *text += &format!(
        "  {:<20} {:<24} weight {:<5} {:<10} {since:<14} {slow}{last}\n",
        endpoint.key,
        target.address,
        endpoint.weight,
        target.verdict_text()
    );
    if !target.round_trips.is_empty() {
        let from = |one: &SiteRoundTrip| format!("{} {:.1} ms", one.site, one.ms);
        let from: Vec<String> = target.round_trips.iter().map(from).collect();
        *text += &format!("  {:<20}   from {}\n", "", from.join(", "));
    }
    for part in &target.parts {
        let last = part.last.as_deref().unwrap_or("not probed yet");
        let ago = ago(part.probes.as_ref());
        *text +=
            &format!("  {:<20}   {:<22} {:<9} last: {last}{ago}\n", "", part.check, part.verdict);
    }
}

/// How probes go on, behind the last result: `, 4s ago, next in 6s, penalty 1.3`.
pub(in crate::cli) fn ago(probes: Option<&ProbesStatus>) -> String {
    let Some(ProbesStatus { ago_s, next_s, penalty, suppressed_s }) = probes else {
        return String::new();
    };
    let next = match *next_s {
        next_s if next_s <= 0.0 => "now".to_owned(),
        next_s => format!("in {}", seconds(next_s)),
    };
    // A penalty that has decayed says nothing any more.
    let penalty = match suppressed_s {
        Some(_) => held_for(probes).map(|held| format!(", {held}")).unwrap_or_default(),
        None if *penalty >= 0.05 => format!(", penalty {penalty:.1}"),
        None => String::new(),
    };
    format!("; {} ago, next {next}{penalty}", seconds(*ago_s))
}

/// What damping does to a target now.
fn held_for(probes: Option<&ProbesStatus>) -> Option<String> {
    let suppressed_s = probes?.suppressed_s?;
    Some(format!("penalty {:.1} still holds it for about {}", probes?.penalty, whole(suppressed_s)))
}

/// `0.4s`, `12s`, `3m 5s`
fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 10.0 => format!("{short:.1}s"),
        long => whole(long as u64),
    }
}

fn whole(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(verdict: &str) -> TargetStatus {
        let probes = ProbesStatus { ago_s: 4.2, next_s: 5.8, penalty: 0.0, suppressed_s: None };
        TargetStatus {
            address: "192.0.2.1".into(),
            verdict: verdict.into(),
            since_s: Some(3723),
            reason: String::new(),
            last: Some("passed in 1.0 ms".into()),
            probes: Some(probes),
            brake: None,
            degraded: String::new(),
            parts: Vec::new(),
            round_trips: Vec::new(),
        }
    }

    fn pool(name: &str, verdicts: &[&str]) -> PoolStatus {
        let endpoint = |(at, verdict): (usize, &&str)| EndpointStatus {
            key: format!("{name}/{at}"),
            name: String::new(),
            weight: 1,
            load: None,
            order: String::new(),
            targets: vec![target(verdict)],
        };
        PoolStatus {
            name: name.into(),
            site: None,
            check: Some("web".into()),
            qualifies: !verdicts.contains(&"down"),
            short: vec!["IPv4 healthy 0 of 1, needs 1".into()],
            failback: None,
            discovery: Vec::new(),
            shed: None,
            load: None,
            panic: false,
            unresolved: false,
            endpoints: verdicts.iter().enumerate().map(endpoint).collect(),
        }
    }

    #[test]
    fn few_are_listed_all_with_what_comes_next() {
        let text = text(&[pool("eu", &["up", "down"])], Extent::Whole);
        let first = text.lines().next().unwrap();
        assert_eq!(first, "1 pool, 1 DOES NOT QUALIFY; 2 addresses: 1 up, 1 down");
        let line = text.lines().find(|line| line.contains("eu/0")).unwrap();
        assert!(line.contains("up         for 1h 2m 3s"), "{line}");
        assert!(line.ends_with("last: passed in 1.0 ms; 4.2s ago, next in 5.8s"), "{line}");
        assert!(!text.contains("not shown"), "{text}");
    }

    #[test]
    fn fifty_thousand_are_a_summary_and_what_is_not_fine() {
        let mut pools: Vec<_> = (0..2500).map(|at| pool(&format!("p{at}"), &["up"; 20])).collect();
        pools[7] = pool("p7", &["up", "down", "up", "held"]);
        let whole = text(&pools, Extent::Whole);
        assert!(whole.starts_with(
            "2500 pools, 1 DOES NOT QUALIFY; 49984 addresses: 49982 up, 1 down, 1 held\n"
        ));
        let lines: Vec<&str> = whole.lines().collect();
        assert!(lines.len() < 10, "{whole}");
        assert!(
            whole.contains("p7/1 ") && whole.contains("p7/3 ") && !whole.contains("p7/0 "),
            "{whole}"
        );
        assert!(
            whole.contains("not shown: 49982 addresses and all of 2499 pools; `--all`"),
            "{whole}"
        );
        assert_eq!(
            text(&pools, Extent::All).lines().filter(|line| line.contains("last:")).count(),
            49984
        );
    }

    #[test]
    fn however_many_are_down_a_screen_is_readable() {
        let pools: Vec<_> = (0..2500).map(|at| pool(&format!("p{at}"), &["down"; 20])).collect();
        for extent in [Extent::Whole, Extent::Chosen] {
            let text = text(&pools, extent);
            assert_eq!(text.lines().filter(|line| line.contains("last:")).count(), LISTED_MAX);
            assert!(text.contains("not shown: 49800 addresses and all of 2490 pools"), "{text}");
        }
        let large = [pool("large", &["down"; 250])];
        let text = text(&large, Extent::Whole);
        assert_eq!(text.lines().filter(|line| line.contains("last:")).count(), LISTED_MAX);
    }

    #[test]
    fn a_penalty_is_told_and_what_it_holds() {
        let probes = |penalty, suppressed_s| ProbesStatus {
            ago_s: 12.0,
            next_s: 0.0,
            penalty,
            suppressed_s,
        };
        assert_eq!(ago(Some(&probes(0.0, None))), "; 12s ago, next now");
        assert_eq!(ago(Some(&probes(1.26, None))), "; 12s ago, next now, penalty 1.3");
        let held = ago(Some(&probes(3.2, Some(605))));
        assert_eq!(held, "; 12s ago, next now, penalty 3.2 still holds it for about 10m 5s");
        assert_eq!(ago(None), "");
    }

    #[test]
    fn a_pool_in_trouble_is_not_quiet() {
        let quiet = pool("eu", &["up"]);
        assert!(is_quiet(&quiet));
        let shed = |text: &str| PoolStatus { shed: Some(text.into()), ..quiet.clone() };
        assert!(is_quiet(&shed("load 0.20, sheds above 0.8")));
        assert!(!is_quiet(&shed("load 0.90: SHEDS the farthest 3 of 16 parts")));
        let held = vec!["HELD, gone from the list at once: a".into()];
        assert!(!is_quiet(&PoolStatus { discovery: held, ..quiet.clone() }));
        assert!(!is_quiet(&PoolStatus { failback: Some("waits".into()), ..quiet }));
    }
}
