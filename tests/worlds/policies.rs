//! Random policies of every kind, and the lists of networks that they name.

use std::net::IpAddr;

use ipnet::IpNet;
use rhumb::model::EndpointId;
use rhumb::model::Failback;
use rhumb::model::List;
use rhumb::model::ListId;
use rhumb::model::MinHealthy;
use rhumb::model::Model;
use rhumb::model::Percent;
use rhumb::model::Policy;
use rhumb::model::PolicyId;
use rhumb::model::PolicyKind;
use rhumb::model::Pool;
use rhumb::model::PoolId;
use rhumb::model::Target;
use rhumb::model::WeightedTarget;
use rhumb::model::policy::Bias;
use rhumb::model::policy::Network;
use rhumb::model::policy::Region;
use rhumb::model::policy::Rule;
use rhumb::model::policy::Rules;

use crate::worlds::flip;
use crate::worlds::random::Random;
use crate::worlds::width_of;

/// Most candidates of one random policy, so that a case stays fast.
const CANDIDATES_MAX: usize = 60;

/// Deepest nesting of random policies.
const DEPTH_MAX: usize = 4;

/// Up to two lists of networks around `bases`.
pub fn lists(random: &mut Random, bases: &[IpAddr]) -> Vec<List> {
    let list = |random: &mut Random, n: u64| List {
        name: format!("l{n}").into(),
        prefixes: distinct((0..random.below(6)).map(|_| prefix(random, bases)).collect()),
        systems: distinct((0..random.below(3)).map(|_| 1 + random.below(4) as u32).collect()),
    };
    (0..random.below(3)).map(|n| list(random, n)).collect()
}

/// A policy over the pools and policies of `model`.
pub fn policy(random: &mut Random, n: usize, model: &Model, bases: &[IpAddr]) -> Policy {
    let kind = match random.below(8) {
        0 => PolicyKind::Failover(targets(random, model, CANDIDATES_MAX)),
        1 | 2 => {
            let targets = targets(random, model, CANDIDATES_MAX);
            let targets = targets.into_iter().map(|target| (target, bias(random))).collect();
            let cheap_within = random.chance(30).then(|| random.below(8_000_000));
            PolicyKind::Nearest { targets, cheap_within }
        }
        3 => {
            let once = distinct(targets(random, model, CANDIDATES_MAX));
            let weighted = once.into_iter().map(|target| WeightedTarget {
                target,
                weight: *random.pick(&[0, 1, 1, 5, 20, 95, 65_535]),
                spill: random.chance(60),
            });
            PolicyKind::Weighted(weighted.collect())
        }
        4 => {
            let once = distinct(targets(random, model, CANDIDATES_MAX));
            let weight = |random: &mut Random| *random.pick(&[1, 1, 5, 65_535]);
            let targets = once.into_iter().map(|target| (target, weight(random))).collect();
            let cheap_within = random.chance(30).then(|| random.below(200_000));
            PolicyKind::Fastest { targets, cheap_within }
        }
        5 => PolicyKind::Geo(rules(random, model, &mut regions())),
        6 => {
            let mut conditions = networks(random, model, bases);
            PolicyKind::Networks(rules(random, model, &mut conditions))
        }
        _ => {
            let targets = targets(random, model, CANDIDATES_MAX);
            // Its pool is made when all policies are there.
            PolicyKind::All { targets, pool: PoolId(0) }
        }
    };
    Policy { name: format!("q{n}").into(), kind, fence: random.chance(20) }
}

/// One to seven targets that are no deeper and no more than they may be.
fn targets(random: &mut Random, model: &Model, most: usize) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut candidates = 0;
    for _ in 0..1 + random.below(7) {
        let target = match model.policies.len() as u64 {
            count if count > 0 && random.chance(45) => {
                Target::Policy(PolicyId(random.below(count) as u32))
            }
            _ => Target::Pool(PoolId(random.below(model.pools.len() as u64) as u32)),
        };
        let (depth, more) = measure(model, target);
        if depth < DEPTH_MAX && candidates + more <= most {
            candidates += more;
            targets.push(target);
        }
    }
    if targets.is_empty() {
        targets.push(Target::Pool(PoolId(0)));
    }
    targets
}

fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut once: Vec<T> = Vec::new();
    items.into_iter().for_each(|item| {
        if !once.contains(&item) {
            once.push(item);
        }
    });
    once
}

fn bias(random: &mut Random) -> Bias {
    match random.below(3) {
        0 => Bias::NONE,
        1 => Bias::Factor(*random.pick(&[500, 1200, 3000])),
        _ => Bias::Metres(*random.pick(&[-2_000_000, 300_000, 9_000_000])),
    }
}

/// Rules that take conditions, each at most once.
fn rules<C>(random: &mut Random, model: &Model, conditions: &mut Vec<C>) -> Rules<C> {
    let most = CANDIDATES_MAX / 4;
    let mut rules = Vec::new();
    for _ in 0..1 + random.below(3) {
        let count = 1 + random.below(3) as usize;
        let mut taken = Vec::new();
        while taken.len() < count && !conditions.is_empty() {
            taken.push(conditions.swap_remove(random.below(conditions.len() as u64) as usize));
        }
        let (to, fence) = (targets(random, model, most), random.chance(15));
        rules.push(Rule { conditions: taken, to, fence });
    }
    Rules { rules, default: targets(random, model, most) }
}

fn regions() -> Vec<Region> {
    vec![
        Region::Continent(*b"EU"),
        Region::Continent(*b"NA"),
        Region::Country(*b"DE"),
        Region::Country(*b"US"),
        Region::Country(*b"FR"),
        Region::Subdivision(*b"US", "CA".into()),
        Region::Subdivision(*b"DE", "BY".into()),
        Region::Subdivision(*b"DE", "CA".into()),
    ]
}

/// Prefixes and systems that may also be in a list; one list, so that two rules never claim the same.
fn networks(random: &mut Random, model: &Model, bases: &[IpAddr]) -> Vec<Network> {
    let prefixes = distinct((0..1 + random.below(6)).map(|_| prefix(random, bases)).collect());
    let mut all: Vec<Network> = prefixes.into_iter().map(Network::Prefix).collect();
    all.extend((1..3).map(Network::System));
    if !model.lists.is_empty() {
        let list = random.below(model.lists.len() as u64) as usize;
        all.extend(
            model.lists[list].prefixes.iter().take(1).map(|prefix| Network::Prefix(*prefix)),
        );
        all.push(Network::List(ListId::at(list)));
    }
    distinct(all)
}

fn prefix(random: &mut Random, bases: &[IpAddr]) -> IpNet {
    let base = *random.pick(bases);
    let address = if random.chance(60) { flip(random, base) } else { base };
    let len = random.below(u64::from(width_of(base)) + 1) as u8;
    IpNet::new(address, len).expect("a length fits").trunc()
}

/// Depth and number of candidates below a target.
fn measure(model: &Model, target: Target) -> (usize, usize) {
    let Target::Policy(policy) = target else { return (0, 1) };
    let below = model.policies[policy.index()].kind.targets();
    let below: Vec<_> = below.into_iter().map(|target| measure(model, target)).collect();
    (
        1 + below.iter().map(|&(depth, _)| depth).max().unwrap_or(0),
        below.iter().map(|&(_, candidates)| candidates).sum(),
    )
}

/// Makes the pool of every policy of kind `all`, of the endpoints of the pools below it.
pub fn add_unions(model: &mut Model) {
    for position in 0..model.policies.len() {
        let PolicyKind::All { targets, .. } = model.policies[position].kind.clone() else {
            continue;
        };
        let mut below = Vec::new();
        targets.iter().for_each(|target| pools_below(model, *target, &mut below));
        let below = distinct(below);
        let parts: Vec<(PoolId, EndpointId)> = below
            .iter()
            .flat_map(|pool| {
                let endpoints = &model.pools[pool.index()].endpoints;
                (0..endpoints.len()).map(|endpoint| (*pool, EndpointId::at(endpoint)))
            })
            .collect();
        let endpoint = |&(pool, endpoint): &(PoolId, EndpointId)| {
            model.pools[pool.index()].endpoints[endpoint.index()].clone()
        };
        let union = Pool {
            name: model.policies[position].name.clone(),
            site: None,
            check: None,
            min_healthy: MinHealthy::Members(1),
            panic_below: Percent(0),
            failback: Failback::Auto,
            shed: None,
            endpoints: parts.iter().map(endpoint).collect(),
            parts,
        };
        let id = PoolId::at(model.pools.len());
        model.pools.push(union);
        model.policies[position].kind = PolicyKind::All { targets, pool: id };
    }
}

fn pools_below(model: &Model, target: Target, pools: &mut Vec<PoolId>) {
    match target {
        Target::Pool(pool) => pools.push(pool),
        Target::Policy(policy) => {
            let targets = model.policies[policy.index()].kind.targets();
            targets.into_iter().for_each(|target| pools_below(model, target, pools));
        }
    }
}
