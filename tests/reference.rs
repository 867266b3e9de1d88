//! Compiled answers against slow, obvious twins on random worlds: interpreter, linear geo look-up, counted scopes.
//!
//! `RHUMB_SEED=7` replays one case, `RHUMB_CASES=full` runs 100,000.
#![allow(clippy::unwrap_used, reason = "a test stops at the first fault")]

mod common;
mod worlds;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use common::answer_octets;
use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::steered;
use rhumb::answer::steered::Subject;
use rhumb::model::AllDown;
use rhumb::model::EcsUse;
use rhumb::model::Family;
use rhumb::model::KeySource;
use rhumb::model::Model;
use rhumb::model::PoolId;
use rhumb::model::Steer;
use rhumb::model::SteerId;
use rhumb::snapshot::Snapshot;
use rhumb::steering::ClientKey;
use rhumb::steering::Step;
use rhumb::steering::decide;
use rhumb::steering::interpreter::Interpretation;
use rhumb::steering::interpreter::Meaning;
use rhumb::steering::interpreter::Outline;
use rhumb::steering::interpreter::Situation;
use rhumb::steering::interpreter::interpret;
use rhumb::steering::rendezvous::NameSeed;
use rhumb::steering::rendezvous::key_address;
use rhumb::wire::Ecs;
use rhumb::wire::RecordType;
use worlds::Client;
use worlds::Form;
use worlds::RandomHealth;
use worlds::World;
use worlds::query_octets;
use worlds::random::Random;
use worlds::random::for_each_seed;
use worlds::shape;

/// Cases of an everyday run.
const CASES: u64 = 2_000;

/// Questions asked of each world.
const QUERIES: usize = 12;

#[test]
fn compiled_answers_are_what_the_interpreter_says() {
    let mut seen = BTreeMap::new();
    let ran = for_each_seed(CASES, |seed| check_world(seed, &mut seen));
    println!("{seen:#?}");
    if ran >= CASES {
        for what in SEEN {
            let count = seen.get(what).copied().unwrap_or(0);
            assert!(count >= ran / 100, "{what}: {count} of {ran} worlds are too few to tell");
        }
    }
}

/// What the random worlds must meet, each at least once in a hundred worlds.
const SEEN: [&str; 16] = [
    "Qualified",
    "BestShare",
    "FailOpen",
    "NamedPool",
    "LastGood",
    "panic",
    "NODATA",
    "SERVFAIL",
    "widened",
    "more than one address",
    "scope 0",
    "scope of geo",
    "scope of key",
    "scope of source",
    "many classes in a source prefix",
    "weighed twice",
];

type Seen = BTreeMap<&'static str, u64>;

fn check_world(seed: u64, seen: &mut Seen) {
    let mut random = Random::new(seed);
    let world = World::new(&mut random);
    let mut health = RandomHealth::new(&mut random, &world.model);
    let mut changed = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
    for generation in 2..2 + random.below(4) {
        let pools: Vec<PoolId> = (0..1 + random.below(3))
            .map(|_| PoolId(random.below(world.model.pools.len() as u64) as u32))
            .collect();
        let down = *random.pick(&[0, 30, 100]);
        pools.iter().for_each(|pool| health.change(&mut random, pool.index(), down));
        changed = changed.with_changed(generation, &pools, &health);
    }
    let fresh = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
    let maps: Vec<shape::Map> =
        world.model.steers.iter().map(|steer| shape::Map::new(&world, steer.target)).collect();
    for _ in 0..QUERIES {
        let id = SteerId(random.below(world.model.steers.len() as u64) as u32);
        let question = Question {
            steer: &world.model.steers[id.index()],
            id,
            family: *random.pick(&Family::BOTH),
            client: world.client(&mut random),
            unix_s: 1_800_000_000 + random.below(1_000_000),
        };
        let octets = question.ask(&fresh);
        assert_eq!(octets, question.ask(&changed), "flips one by one: {question:?}");
        check(&world, &health, &maps[id.index()], &fresh, &question, &octets, seen);
    }
}

/// One query.
#[derive(Debug)]
struct Question<'a> {
    steer: &'a Steer,
    id: SteerId,
    family: Family,
    client: Client,
    unix_s: u64,
}

impl Question<'_> {
    fn ask(&self, snapshot: &Snapshot) -> Vec<u8> {
        let Self { steer, family, client, unix_s, .. } = *self;
        let rtype = if family == Family::V4 { RecordType::A } else { RecordType::AAAA };
        let (client, form) = (client.resolver, client.form);
        let request = Request { client, local: None, transport: Transport::Udp, unix_s };
        answer_octets(snapshot, &request, &query_octets(&steer.owner, rtype, form)).1
    }
}

/// What a reply says.
#[derive(Debug, PartialEq)]
struct Reply {
    rcode: ResponseCode,
    /// Addresses in order, with their TTL.
    answers: Vec<(IpAddr, u32)>,
    scope: Option<u8>,
    explained: bool,
}

fn check(
    world: &World,
    health: &RandomHealth,
    map: &shape::Map,
    snapshot: &Snapshot,
    question: &Question<'_>,
    octets: &[u8],
    seen: &mut Seen,
) {
    let Question { steer, family, client, unix_s, .. } = *question;
    // Who is asked for: RFC 7871 with a prefix, else who asks.
    let (address, source_len) = match client.form {
        Form::Subnet(address, len) if len > 0 && steer.ecs == EcsUse::Use => (address, len),
        _ => (client.resolver, worlds::width_of(client.resolver)),
    };
    let seed = match &steer.affinity {
        Some(affinity) => NameSeed::of_owner(affinity.as_bytes()),
        None => NameSeed::of_owner(steer.owner.as_wire()),
    };
    let key_address = key_address(steer.key, address, client.resolver);
    let key = ClientKey::of(key_address, steer.period, unix_s, seed);
    let class = map.class_of(address, source_len);
    let of_class = &map.shapes[class].1;
    let situation = Situation {
        model: &world.model,
        states: &health.states,
        remembered: &health.remembered,
        position: of_class.position(),
        place: &of_class.place,
        address: of_class.address,
        round_trip: &of_class.measured,
        key,
        family,
    };
    let meaning = interpret(&situation, steer);
    let uniform_len = map.uniform_len(address);
    let expected = expected(&world.model, map, question, &meaning, uniform_len);
    let reply = read(octets);
    assert_eq!(reply, expected, "{question:?}\n{meaning:?}");
    assert_eq!(trace(snapshot, question, key), meaning.steps, "{question:?}");
    note(seen, question, &meaning, &reply, uniform_len);
}

/// The reply that the interpreter's meaning comes to.
fn expected(
    model: &Model,
    map: &shape::Map,
    question: &Question<'_>,
    meaning: &Interpretation,
    uniform_len: u8,
) -> Reply {
    let Question { steer, family, client, .. } = *question;
    let has_edns = !matches!(client.form, Form::Plain);
    let scope = match client.form {
        Form::Plain | Form::Edns => None,
        Form::Subnet(_, 0) => Some(0),
        Form::Subnet(..) if steer.ecs == EcsUse::Ignore => Some(0),
        Form::Subnet(..) if meaning.result == Meaning::NoFamily => Some(0),
        Form::Subnet(address, source_len) => {
            let mask = if address.is_ipv4() { 24 } else { 48 };
            let key_len = if is_keyed(model, map, steer, family) { mask } else { 0 };
            Some(uniform_len.max(key_len).min(source_len))
        }
    };
    match &meaning.result {
        Meaning::Serve { pool, members, ttl, .. } => {
            let endpoints = &model.pools[pool.index()].endpoints;
            let address = |id: &rhumb::model::EndpointId| endpoints[id.index()].address(family);
            Reply {
                rcode: ResponseCode::NoError,
                answers: members.iter().map(|id| (address(id).unwrap(), *ttl)).collect(),
                scope,
                explained: has_edns && *ttl != steer.ttl,
            }
        }
        Meaning::NoFamily => {
            Reply { rcode: ResponseCode::NoError, answers: Vec::new(), scope, explained: false }
        }
        Meaning::Nothing => {
            let rcode = ResponseCode::ServFail;
            Reply { rcode, answers: Vec::new(), scope, explained: has_edns }
        }
    }
}

/// Whether any stage that can be reached looks at the client's key.
fn is_keyed(model: &Model, map: &shape::Map, steer: &Steer, family: Family) -> bool {
    if steer.key == KeySource::Resolver {
        return false;
    }
    let offers_choice = |pool: PoolId| {
        let endpoints = &model.pools[pool.index()].endpoints;
        endpoints.iter().filter(|endpoint| endpoint.address(family).is_some()).count() > 1
    };
    let named = match steer.on_all_down {
        AllDown::Pool(pool) => offers_choice(pool),
        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => false,
    };
    // What no client's list has cannot be reached.
    let mut below: Vec<&Outline> = map.shapes.iter().map(|(outline, _)| outline).collect();
    let mut found = named;
    while let Some(outline) = below.pop() {
        match outline {
            Outline::Pool(pool) => found |= offers_choice(*pool),
            Outline::Ordered(each, _) => below.extend(each),
            Outline::Shares(_, shares, _) => {
                found |= shares.len() > 1;
                below.extend(shares.iter().map(|(_, outline)| outline));
            }
        }
    }
    found
}

/// Reads a reply as hickory-proto sees it.
fn read(octets: &[u8]) -> Reply {
    let message = Message::from_vec(octets).expect("hickory-proto reads the reply");
    let answers = message.answers.iter().map(|record| match &record.data {
        RData::A(a) => (IpAddr::V4(a.0), record.ttl),
        RData::AAAA(aaaa) => (IpAddr::V6(aaaa.0), record.ttl),
        other => panic!("{other} is no address"),
    });
    let option = |code| message.edns.as_ref().and_then(|edns| edns.option(code));
    Reply {
        rcode: message.metadata.response_code,
        answers: answers.collect(),
        scope: option(EdnsCode::Subnet).map(|option| match option {
            EdnsOption::Subnet(subnet) => subnet.scope_prefix(),
            other => panic!("{other:?} is no client subnet"),
        }),
        explained: option(EdnsCode::Unknown(15)).is_some(),
    }
}

/// The steps of the compiled path.
fn trace(snapshot: &Snapshot, question: &Question<'_>, key: ClientKey) -> Vec<Step> {
    let Question { id, family, client, .. } = *question;
    let compiled = &snapshot.compiled;
    let plan = compiled.steer(id);
    let ecs = match client.form {
        Form::Subnet(address, len) => Some(Ecs::new(address, len).expect("the prefix is masked")),
        Form::Plain | Form::Edns => None,
    };
    let subject = Subject::seen_by(compiled, plan, ecs, client.resolver);
    let class = steered::locate(compiled, plan, &subject).classified.class;
    let route = &compiled.routes[plan.route];
    let tree = &compiled.classes[route.classes].trees()[usize::from(class)];
    let mut steps = Vec::new();
    decide(tree, route.terms, &snapshot.pools, family, key, &mut steps);
    steps
}

/// Counts what a case met.
fn note(
    seen: &mut Seen,
    question: &Question<'_>,
    meaning: &Interpretation,
    reply: &Reply,
    uniform_len: u8,
) {
    let mut met = Vec::new();
    match &meaning.result {
        Meaning::Serve { pass, ttl, members, .. } => {
            let is_panic = *ttl != question.steer.ttl && *pass == rhumb::steering::Pass::Qualified;
            met.push(match pass {
                _ if is_panic => "panic",
                rhumb::steering::Pass::Qualified => "Qualified",
                rhumb::steering::Pass::BestShare => "BestShare",
                rhumb::steering::Pass::FailOpen => "FailOpen",
                rhumb::steering::Pass::NamedPool => "NamedPool",
                rhumb::steering::Pass::LastGood => "LastGood",
            });
            if members.len() > 1 {
                met.push("more than one address");
            }
        }
        Meaning::NoFamily => met.push("NODATA"),
        Meaning::Nothing => met.push("SERVFAIL"),
    }
    if meaning.steps.contains(&Step::WidenedForFamily) {
        met.push("widened");
    }
    if meaning.steps.iter().any(|step| matches!(step, Step::Weighed { first: false, .. })) {
        met.push("weighed twice");
    }
    if let (Form::Subnet(address, source), Some(scope)) = (question.client.form, reply.scope) {
        let mask = if address.is_ipv4() { 24 } else { 48 };
        met.push(match scope {
            0 => "scope 0",
            _ if scope == uniform_len && scope < source => "scope of geo",
            _ if scope == mask && scope < source => "scope of key",
            _ => "scope of source",
        });
        if source > 0 && uniform_len > source {
            met.push("many classes in a source prefix");
        }
    }
    met.into_iter().for_each(|what| *seen.entry(what).or_default() += 1);
}
