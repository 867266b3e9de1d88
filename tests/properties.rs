//! Laws of steered answers, each on fixed seeds, each with a count that shows it could fail.
//!
//! `RHUMB_SEED=7` replays one random world, `RHUMB_CASES=full` runs 100,000.
#![allow(clippy::unwrap_used, reason = "a test stops at the first fault")]

mod common;
mod worlds;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use common::NOON;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::answer;
use rhumb::model::Admin;
use rhumb::model::AllDown;
use rhumb::model::DualStack;
use rhumb::model::EndpointId;
use rhumb::model::Family;
use rhumb::model::KeySource;
use rhumb::model::Model;
use rhumb::model::NodeTerms;
use rhumb::model::Pool;
use rhumb::model::PoolId;
use rhumb::model::SteerId;
use rhumb::model::Target;
use rhumb::model::Verdict;
use rhumb::snapshot::Health;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::health::AllUnknown;
use rhumb::steering::MemberState;
use rhumb::steering::interpreter::Outline;
use rhumb::steering::plan::Remembered;
use rhumb::wire::Name;
use rhumb::wire::RecordType;
use worlds::Form;
use worlds::RandomHealth;
use worlds::World;
use worlds::addresses_of;
use worlds::from_bits;
use worlds::member_of;
use worlds::query_octets;
use worlds::random::Random;
use worlds::random::for_each_seed;
use worlds::shape;
use worlds::subnet_option;
use worlds::to_bits;
use worlds::width_of;

/// Random worlds a law is tried on in an everyday run.
const WORLDS: u64 = 1_500;

/// Clients in a count of shares.
const CLIENTS: u32 = 100_000;

// -- Asking -----------------------------------------------------------------------------------------

/// A reply as far as laws speak of it.
#[derive(Clone, Debug, PartialEq)]
struct Reply {
    rcode: u8,
    ttl: Option<u32>,
    addresses: Vec<IpAddr>,
    scope: u8,
}

/// Asks for the addresses of `owner`.
fn ask(
    snapshot: &Snapshot,
    owner: &Name,
    family: Family,
    resolver: IpAddr,
    form: Form,
    unix_s: u64,
) -> Reply {
    let rtype = if family == Family::V4 { RecordType::A } else { RecordType::AAAA };
    let query = query_octets(owner, rtype, form);
    let mut frame = [0; 1232];
    frame[..query.len()].copy_from_slice(&query);
    let request = Request { client: resolver, local: None, transport: Transport::Udp, unix_s };
    let reply_len = answer(snapshot, &request, &mut frame, query.len()).reply_len;
    let reply = &frame[..reply_len];
    let addresses = addresses_of(reply);
    let answer_at = 12 + owner.as_wire().len() + 4;
    let ttl = reply.get(answer_at + 6..answer_at + 10);
    let ttl = ttl.map(|octets| u32::from_be_bytes(octets.try_into().unwrap()));
    let scope = match form {
        Form::Plain | Form::Edns => 0,
        Form::Subnet(address, len) => {
            let option = subnet_option(address, len);
            let head = &option[..7];
            let at = reply.windows(7).rposition(|octets| octets == head).expect("it is echoed");
            reply[at + 7]
        }
    };
    Reply { rcode: reply[3] & 15, ttl: ttl.filter(|_| !addresses.is_empty()), addresses, scope }
}

/// The first address for the client that is a resolver without options.
fn first(snapshot: &Snapshot, client: IpAddr, unix_s: u64) -> IpAddr {
    let owner = Name::absolute("www.shop.test").unwrap();
    ask(snapshot, &owner, Family::V4, client, Form::Plain, unix_s).addresses[0]
}

/// The `number`th client: each has its own /24.
fn client(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + (number << 8)))
}

/// A snapshot of pools, policies and names written as TOML, in zone `shop.test`.
fn shop(text: &str, health: &impl Health) -> Snapshot {
    let zone = "[zone]\nname = 'shop.test'\nnameservers = ['ns.example.net']\n";
    let model = common::model(&[("zones/test.toml", &format!("{zone}{text}"))]);
    let places = Arc::new(common::places(common::GEO));
    let compiled = compile(model, places, NodeTerms::default()).unwrap();
    Snapshot::new(Arc::new(compiled), 1, health)
}

/// One pool `www` of members with these weights, named `a`, `b`, …; a name `www` with `terms`.
fn one_pool(weights: &[u16], terms: &str) -> String {
    let mut text = format!("[name.www]\nsteer = 'www'\n{terms}\n[pool.www]\n");
    for (member, weight) in weights.iter().enumerate() {
        let letter = char::from(b'a' + member as u8);
        text += &format!(
            "[pool.www.endpoint.{letter}]\naddresses = ['198.18.0.{member}']\nweight = {weight}\n"
        );
    }
    text
}

fn member(number: u8) -> IpAddr {
    IpAddr::from([198, 18, 0, number])
}

/// Everybody is up, but for orders to some endpoints.
struct Orders(&'static [(&'static str, Admin)]);

impl Health for Orders {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let order = |key: &str| self.0.iter().find(|(endpoint, _)| *endpoint == key);
        let up = [Verdict::Up; 2];
        let endpoints = pool.endpoints.iter();
        endpoints
            .map(|endpoint| MemberState {
                admin: order(&endpoint.key).map_or(Admin::Enabled, |&(_, admin)| admin),
                verdicts: up,
                lowered: [0; 2],
            })
            .collect()
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

#[track_caller]
fn assert_share(count: u32, of: u32, percent: f64, what: &str) {
    let share = f64::from(count) * 100.0 / f64::from(of);
    assert!((share - percent).abs() < 1.0, "{what}: {share:.2} %, not {percent} %");
}

// -- (a) Shares -------------------------------------------------------------------------------------

#[test]
fn members_get_clients_by_weight_and_standbys_none() {
    let snapshot = shop(&one_pool(&[1, 2, 5, 0], ""), &AllUnknown);
    let mut counts = [0; 4];
    for number in 0..CLIENTS {
        let IpAddr::V4(address) = first(&snapshot, client(number), NOON) else { panic!() };
        counts[usize::from(address.octets()[3])] += 1;
    }
    for (place, percent) in [12.5, 25.0, 62.5].into_iter().enumerate() {
        assert_share(counts[place], CLIENTS, percent, "member");
    }
    assert_eq!(counts[3], 0, "a standby is not served while another is healthy");
}

#[test]
fn the_buckets_of_one_client_come_to_the_weights() {
    let snapshot = shop(&one_pool(&[1, 2, 5], "period = '1m'"), &AllUnknown);
    for number in [1, 70_000] {
        let mut counts = [0; 3];
        for minute in 0..u64::from(CLIENTS) {
            let IpAddr::V4(address) = first(&snapshot, client(number), NOON + 60 * minute) else {
                panic!()
            };
            counts[usize::from(address.octets()[3])] += 1;
        }
        for (place, percent) in [12.5, 25.0, 62.5].into_iter().enumerate() {
            assert_share(counts[place], CLIENTS, percent, "member");
        }
    }
}

/// `world` with 95 and `next` with 5 of 100 clients.
const CANARY: &str = "
[name.www]
steer = 'split'
[policy.split]
kind = 'weighted'
weights = { world = 95, next = 5 }
[pool.world.endpoint.a]
addresses = ['198.18.0.0']
[pool.next.endpoint.a]
addresses = ['198.18.0.1']
";

#[test]
fn targets_get_clients_by_weight_and_a_canary_never_inherits_the_world() {
    let snapshot = shop(CANARY, &AllUnknown);
    let count = |snapshot: &Snapshot, what| {
        (0..CLIENTS).filter(|&n| first(snapshot, client(n), NOON) == what).count() as u32
    };
    assert_share(count(&snapshot, member(1)), CLIENTS, 5.0, "canary");
    let world_down = shop(CANARY, &Orders(&[("world/a", Admin::ForcedDown)]));
    assert_eq!(count(&world_down, member(1)), count(&snapshot, member(1)));
    let next_down = shop(CANARY, &Orders(&[("next/a", Admin::ForcedDown)]));
    assert_eq!(count(&next_down, member(1)), 0, "the world takes the canary's");
}

// -- (b) Least movement -----------------------------------------------------------------------------

/// Moves of clients between two snapshots, by (from, to).
fn moves(before: &Snapshot, after: &Snapshot) -> BTreeMap<(IpAddr, IpAddr), u32> {
    let mut moves = BTreeMap::new();
    for number in 0..CLIENTS {
        let pair = (first(before, client(number), NOON), first(after, client(number), NOON));
        if pair.0 != pair.1 {
            *moves.entry(pair).or_default() += 1;
        }
    }
    moves
}

#[test]
fn a_member_that_goes_moves_its_own_clients_only_and_by_the_weights_of_the_others() {
    let all = shop(&one_pool(&[1, 2, 5, 2], ""), &AllUnknown);
    let without = one_pool(&[1, 2, 5], "");
    let gone: [Snapshot; 3] = [
        shop(&without, &AllUnknown),
        shop(&one_pool(&[1, 2, 5, 2], ""), &Orders(&[("www/d", Admin::Drained)])),
        shop(&one_pool(&[1, 2, 5, 2], ""), &Orders(&[("www/d", Admin::ForcedDown)])),
    ];
    let first_moves = moves(&all, &gone[0]);
    for after in &gone {
        let moves = moves(&all, after);
        assert_eq!(moves, first_moves, "removed, drained or down is the same to clients");
        assert!(moves.keys().all(|&(from, _)| from == member(3)));
        let total: u32 = moves.values().sum();
        assert_share(total, CLIENTS, 20.0, "clients that move");
        for (to, percent) in [12.5, 25.0, 62.5].into_iter().enumerate() {
            assert_share(moves[&(member(3), member(to as u8))], total, percent, "heirs");
        }
    }
}

#[test]
fn a_member_that_comes_takes_its_share_of_each_and_moves_nobody_else() {
    let moves = moves(
        &shop(&one_pool(&[1, 2, 5], ""), &AllUnknown),
        &shop(&one_pool(&[1, 2, 5, 8], ""), &AllUnknown),
    );
    assert!(moves.keys().all(|&(_, to)| to == member(3)));
    assert_share(moves.values().sum(), CLIENTS, 50.0, "clients that move");
}

#[test]
fn a_change_of_weight_moves_the_least_share() {
    let before = shop(&one_pool(&[1, 2, 5], ""), &AllUnknown);
    let more = moves(&before, &shop(&one_pool(&[1, 2, 7], ""), &AllUnknown));
    assert!(more.keys().all(|&(_, to)| to == member(2)), "more weight takes, never gives");
    assert_share(more.values().sum(), CLIENTS, 70.0 - 62.5, "clients that move");
    let less = moves(&before, &shop(&one_pool(&[1, 2, 2], ""), &AllUnknown));
    assert!(less.keys().all(|&(from, _)| from == member(2)), "less weight gives, never takes");
    assert_share(less.values().sum(), CLIENTS, 62.5 - 40.0, "clients that move");
    let scaled = moves(&before, &shop(&one_pool(&[100, 200, 500], ""), &AllUnknown));
    assert_eq!(scaled, BTreeMap::new(), "shares, not numbers, decide");
}

#[test]
fn the_rest_of_several_addresses_keeps_its_order_when_one_goes() {
    let terms = "answers = 3";
    let all = shop(&one_pool(&[1, 2, 5, 2, 3], terms), &AllUnknown);
    let less = shop(&one_pool(&[1, 2, 5, 2, 3], terms), &Orders(&[("www/c", Admin::ForcedDown)]));
    let owner = Name::absolute("www.shop.test").unwrap();
    let mut served = 0;
    for number in 0..20_000 {
        let ask = |snapshot| {
            ask(snapshot, &owner, Family::V4, client(number), Form::Plain, NOON).addresses
        };
        let (mut before, mut after) = (ask(&all), ask(&less));
        assert_eq!((before.len(), after.len()), (3, 3));
        if before.contains(&member(2)) {
            served += 1;
            before.retain(|&address| address != member(2));
            after.pop();
        }
        assert_eq!(before, after);
    }
    assert!((10_000..20_000).contains(&served), "{served} had the one that went");
}

// -- (c) Client subnets -----------------------------------------------------------------------------

/// An address that shares the first `len` bits.
fn neighbour(random: &mut Random, address: IpAddr, len: u8) -> IpAddr {
    let free = width_of(address) - len;
    let mask = if free == 0 { 0 } else { u128::MAX >> (128 - free) };
    let noise = u128::from(random.next()) << 64 | u128::from(random.next());
    // Near the ends and anywhere: edges of networks are where answers change.
    let noise = match random.below(4) {
        0 => noise & mask & noise.rotate_left(1) & noise.rotate_left(7),
        1 => 1u128.checked_shl(random.below(128) as u32).unwrap_or(0),
        _ => noise,
    };
    from_bits(to_bits(address) ^ (noise & mask), address)
}

/// A client subnet option of `len` bits around `address`.
fn subnet(address: IpAddr, len: u8) -> Form {
    let network = ipnet::IpNet::new(address, len).unwrap().network();
    Form::Subnet(network, len)
}

#[test]
fn all_clients_inside_a_scope_get_one_answer_and_no_scope_is_longer_than_it_must() {
    let (mut compared, mut positive, mut unkeyed, mut differ) = (0u64, 0u64, 0u64, 0u64);
    let ran = for_each_seed(WORLDS, |seed| {
        let mut random = Random::new(seed);
        // Half of the worlds are not keyed by the client, so that geo alone makes their scopes.
        let by_geo = random.chance(50);
        let world = World::with(&mut random, |model| {
            let keyed = if by_geo { KeySource::Resolver } else { KeySource::Client };
            model.steers.iter_mut().for_each(|steer| steer.key = keyed);
        });
        let healths: Vec<RandomHealth> =
            (0..3).map(|_| RandomHealth::new(&mut random, &world.model)).collect();
        let snapshots: Vec<Snapshot> =
            healths.iter().map(|h| Snapshot::new(Arc::clone(&world.compiled), 1, h)).collect();
        for _ in 0..6 {
            let id = SteerId(random.below(world.model.steers.len() as u64) as u32);
            let steer = &world.model.steers[id.index()];
            let family = *random.pick(&Family::BOTH);
            let (address, resolver) = (world.address(&mut random), world.address(&mut random));
            let unix_s = NOON + random.below(1_000_000);
            let width = width_of(address);
            let source = width - random.below(u64::from(width) / 2) as u8;
            let form = subnet(address, source);
            let replies: Vec<Reply> = snapshots
                .iter()
                .map(|s| ask(s, &steer.owner, family, resolver, form, unix_s))
                .collect();
            let scope = replies[0].scope;
            assert!(replies.iter().all(|reply| reply.scope == scope), "health changes a scope");
            if scope == source {
                continue; // it may be cut by the source: nothing is said of longer prefixes
            }
            positive += u64::from(scope > 0);
            for _ in 0..6 {
                let other = neighbour(&mut random, address, scope);
                let len = scope.max(width - random.below(u64::from(width - scope) + 1) as u8);
                for (snapshot, reply) in snapshots.iter().zip(&replies) {
                    let form = subnet(other, len.max(1));
                    let theirs = ask(snapshot, &steer.owner, family, resolver, form, unix_s);
                    assert!(theirs.scope <= len, "a scope is never longer than the source");
                    assert_eq!(
                        (&theirs.addresses, theirs.rcode, theirs.ttl),
                        (&reply.addresses, reply.rcode, reply.ttl),
                        "{steer:?} {form:?} {address} /{scope}"
                    );
                    compared += 1;
                }
            }
            let route = &world.compiled.routes[world.compiled.steer(id).route];
            if scope > 0 && (by_geo || !route.keyed[family.index()]) {
                unkeyed += 1;
                let map = shape::Map::new(&world, steer.target);
                let is_mixed = map.weigh(address, scope - 1).len() > 1;
                assert!(
                    is_mixed,
                    "a shorter scope than /{scope} would do for {address}: {steer:?}"
                );
                let sibling = from_bits(to_bits(address) ^ 1 << (width - scope), address);
                differ += u64::from(snapshots.iter().zip(&replies).any(|(snapshot, reply)| {
                    let all = subnet(sibling, width);
                    ask(snapshot, &steer.owner, family, resolver, all, unix_s).addresses
                        != reply.addresses
                }));
            }
        }
    });
    println!(
        "{compared} compared, {positive} scopes above 0, {unkeyed} by geo alone, {differ} visibly"
    );
    if ran >= WORLDS {
        assert!(positive > ran / 2 && unkeyed > ran / 20 && differ > ran / 50);
    }
}

// -- (d) Dual stack ---------------------------------------------------------------------------------

#[test]
fn joint_names_choose_one_pool_for_both_families() {
    let (mut agreed, mut degraded, mut excused, mut parted) = (0u64, 0u64, 0u64, 0u64);
    let ran = for_each_seed(WORLDS, |seed| {
        let mut random = Random::new(seed);
        let world = World::with(&mut random, |model| {
            model.steers.iter_mut().for_each(|steer| steer.dual_stack = DualStack::Joint);
        });
        let health = RandomHealth::new(&mut random, &world.model);
        let snapshot = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        // A pool whose members of one family are all drained cannot answer for that family.
        let serves_both = |pool: PoolId| {
            let endpoints = &world.model.pools[pool.index()].endpoints;
            Family::BOTH.into_iter().all(|family| {
                endpoints.iter().zip(&health.states[pool.index()]).any(|(endpoint, state)| {
                    endpoint.address(family).is_some() && state.admin != Admin::Drained
                })
            })
        };
        for _ in 0..8 {
            let steer = random.pick(&world.model.steers).clone();
            let client = world.client(&mut random);
            let unix_s = NOON + random.below(1_000_000);
            let [v4, v6] = Family::BOTH.map(|family| {
                ask(&snapshot, &steer.owner, family, client.resolver, client.form, unix_s)
            });
            let pool = |reply: &Reply| reply.addresses.first().map(|&a| member_of(a).0);
            let (Some(v4_pool), Some(v6_pool)) = (pool(&v4), pool(&v6)) else { continue };
            // `on_all_down` may name a pool outside of the policy.
            let is_named = |pool| steer.on_all_down == AllDown::Pool(pool);
            // Nobody gets a dead address while another pool has a living one.
            let lives = |pool: PoolId, family: Family| {
                let endpoints = &world.model.pools[pool.index()].endpoints;
                endpoints.iter().zip(&health.states[pool.index()]).any(|(endpoint, state)| {
                    endpoint.address(family).is_some()
                        && state.admin != Admin::Drained
                        && !matches!(state.verdict(family), Verdict::Down)
                })
            };
            if v4_pool != v6_pool && (!lives(v4_pool, Family::V6) || !lives(v6_pool, Family::V4)) {
                parted += 1;
                continue;
            }
            if !serves_both(v4_pool)
                || !serves_both(v6_pool)
                || is_named(v4_pool)
                || is_named(v6_pool)
            {
                excused += u64::from(v4_pool != v6_pool);
                continue;
            }
            let is_union = |pool: &Pool| {
                [v4_pool, v6_pool].iter().all(|part| pool.part_pools().contains(part))
            };
            if v4_pool != v6_pool && world.model.pools.iter().any(is_union) {
                continue; // one pool by `all`, whose members come from both
            }
            assert_eq!(v4_pool, v6_pool, "{steer:?} {client:?}");
            agreed += 1;
            degraded += u64::from(v4.ttl != Some(steer.ttl));
        }
    });
    println!(
        "{agreed} agreed, {degraded} of them degraded; {excused} lack a family; {parted} parted"
    );
    if ran >= WORLDS {
        assert!(parted > 0 && agreed > ran && degraded > ran / 5);
    }
}

// -- (e) Health and what exists ---------------------------------------------------------------------

/// Pools below a target.
fn pools_below(world: &World, target: Target) -> Vec<PoolId> {
    match target {
        Target::Pool(pool) => vec![pool],
        Target::Policy(policy) => {
            let targets = world.model.policies[policy.index()].kind.targets();
            targets.into_iter().flat_map(|target| pools_below(world, target)).collect()
        }
    }
}

#[test]
fn health_never_makes_a_name_vanish_and_drained_members_are_never_served() {
    let (mut empty, mut failures, mut drained_beside) = (0u64, 0u64, 0u64);
    let ran = for_each_seed(WORLDS, |seed| {
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let health = RandomHealth::new(&mut random, &world.model);
        let snapshot = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        for _ in 0..8 {
            let steer = random.pick(&world.model.steers).clone();
            let family = *random.pick(&Family::BOTH);
            let client = world.client(&mut random);
            let reply = ask(&snapshot, &steer.owner, family, client.resolver, client.form, NOON);
            let below = pools_below(&world, steer.target);
            let exists = below.iter().any(|p| world.model.pools[p.index()].has_family(family));
            match (reply.rcode, reply.addresses.is_empty()) {
                (0, true) => {
                    assert!(!exists, "an empty answer though a pool has the family: {steer:?}");
                    empty += 1;
                }
                (0, false) => assert!(exists),
                (2, true) => failures += 1,
                other => panic!("rcode and emptiness {other:?}: {steer:?}"),
            }
            for address in &reply.addresses {
                let (pool, endpoint) = member_of(*address);
                let states = &health.states[pool.index()];
                assert_ne!(states[endpoint.index()].admin, Admin::Drained, "{steer:?}");
                drained_beside +=
                    u64::from(states.iter().any(|state| state.admin == Admin::Drained));
            }
        }
    });
    println!(
        "{empty} without the family, {failures} failures, {drained_beside} beside drained ones"
    );
    if ran >= WORLDS {
        assert!(empty > ran / 20 && failures > ran / 20 && drained_beside > ran / 2);
    }
}

// -- (f), (g) Time ----------------------------------------------------------------------------------

#[test]
fn a_client_moves_only_where_its_own_bucket_ends() {
    let snapshot = shop(&one_pool(&[1; 8], "period = '10m'"), &AllUnknown);
    let mut phases = BTreeSet::new();
    for number in 0..200 {
        let seconds = NOON..NOON + 3 * 600 + 1;
        let choices: Vec<IpAddr> =
            seconds.map(|second| first(&snapshot, client(number), second)).collect();
        let turns: BTreeSet<usize> = (1..choices.len())
            .filter(|&second| choices[second] != choices[second - 1])
            .map(|second| second % 600)
            .collect();
        assert!(turns.len() <= 1, "client {number} moves at {turns:?} of each period");
        phases.extend(turns);
    }
    assert!(phases.len() > 120, "{} phases of 200 clients", phases.len());
    let quarters: BTreeSet<usize> = phases.iter().map(|phase| phase / 150).collect();
    assert_eq!(quarters.len(), 4, "clients move all over the period");
}

#[test]
fn forever_never_changes() {
    let snapshot = shop(&one_pool(&[1; 8], "period = 'forever'"), &AllUnknown);
    let mut random = Random::new(3);
    let mut choices = BTreeSet::new();
    for number in 0..200 {
        let choice = first(&snapshot, client(number), NOON);
        for _ in 0..100 {
            let second = random.below(1 << 40);
            assert_eq!(first(&snapshot, client(number), second), choice);
        }
        choices.insert(choice);
    }
    assert_eq!(choices.len(), 8, "different clients choose differently");
}

#[test]
fn one_second_has_one_answer_whenever_it_is_asked_and_whatever_was_between() {
    let mut changed = 0;
    let ran = for_each_seed(WORLDS / 5, |seed| {
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let health = RandomHealth::new(&mut random, &world.model);
        let snapshot = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        let steer = random.pick(&world.model.steers).clone();
        let client = world.client(&mut random);
        let seconds: Vec<u64> = (0..20).map(|_| NOON + random.below(500_000)).collect();
        let ask = |snapshot: &Snapshot, second: &u64| {
            ask(snapshot, &steer.owner, Family::V4, client.resolver, client.form, *second)
        };
        let forward: Vec<Reply> = seconds.iter().map(|second| ask(&snapshot, second)).collect();
        // Every pool flips, and back.
        let all: Vec<PoolId> = (0..world.model.pools.len()).map(PoolId::at).collect();
        let between = snapshot.with_changed(2, &all, &RandomHealth::new(&mut random, &world.model));
        let after = between.with_changed(3, &all, &health);
        let backward = seconds.iter().rev().map(|second| ask(&after, second));
        assert!(backward.eq(forward.iter().rev().cloned()), "{steer:?}");
        changed += u64::from(forward.iter().any(|reply| *reply != forward[0]));
    });
    assert!(ran < 100 || changed > ran / 10, "{changed} of {ran} change with time at all");
}

// -- (h) Fences -------------------------------------------------------------------------------------

/// Pools that a client may be given, and whether a fence always ends the list.
fn inside(model: &Model, outline: &Outline, pools: &mut BTreeSet<PoolId>) -> bool {
    match outline {
        Outline::Pool(pool) => {
            pools.insert(*pool);
            pools.extend(model.pools[pool.index()].part_pools());
            false
        }
        Outline::Ordered(each, fence) => {
            each.iter().any(|child| inside(model, child, pools)) || *fence
        }
        Outline::Shares(_, shares, fence) => {
            let ends = shares.iter().map(|(_, child)| inside(model, child, pools));
            let ends: Vec<bool> = ends.collect();
            ends.into_iter().all(|end| end) || *fence
        }
    }
}

#[test]
fn a_fenced_client_never_leaves_its_fence() {
    let (mut fenced, mut failing) = (0u64, 0u64);
    let ran = for_each_seed(WORLDS, |seed| {
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let health = RandomHealth::new(&mut random, &world.model);
        let snapshot = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        for _ in 0..8 {
            let steer = random.pick(&world.model.steers).clone();
            let family = *random.pick(&Family::BOTH);
            let address = world.address(&mut random);
            let form = subnet(address, width_of(address));
            let client = shape::Client::at(&world, address);
            let mut pools = BTreeSet::new();
            let outline = client.outline(&world.model, steer.target);
            if !inside(&world.model, &outline, &mut pools) {
                continue;
            }
            let reply = ask(&snapshot, &steer.owner, family, address, form, NOON);
            for address in &reply.addresses {
                let (pool, _): (PoolId, EndpointId) = member_of(*address);
                assert!(pools.contains(&pool), "{pool:?} is outside of {pools:?}: {steer:?}");
            }
            let has_outside =
                (0..world.model.pools.len()).any(|pool| !pools.contains(&PoolId::at(pool)));
            fenced += u64::from(has_outside);
            failing += u64::from(has_outside && reply.ttl != Some(steer.ttl));
        }
    });
    println!("{fenced} fenced clients with something outside, {failing} in bad times");
    if ran >= WORLDS {
        assert!(fenced > ran / 2 && failing > ran / 5);
    }
}
