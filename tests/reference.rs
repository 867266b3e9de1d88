//! Compiled answers against slow, obvious twins on random worlds: interpreter, linear geo look-up, counted scopes.
//!
//! `RHUMB_SEED=7` replays one case, `RHUMB_CASES=full` runs 100,000.
#![allow(clippy::unwrap_used, reason = "a test stops at the first fault")]

mod common;
mod worlds;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
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
use rhumb::model::ANSWERS_MAX;
use rhumb::model::AllDown;
use rhumb::model::EcsUse;
use rhumb::model::Endpoint;
use rhumb::model::EndpointId;
use rhumb::model::Failback;
use rhumb::model::Family;
use rhumb::model::KeySource;
use rhumb::model::Leaf;
use rhumb::model::LeafRecords;
use rhumb::model::Model;
use rhumb::model::PoolId;
use rhumb::model::Resolved;
use rhumb::model::Service;
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
use rhumb::steering::trace::Reason;
use rhumb::wire::Ecs;
use rhumb::wire::Name;
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
const SEEN: [&str; 24] = [
    "Qualified",
    "BestShare",
    "FailOpen",
    "NamedPool",
    "LastGood",
    "panic",
    "held up by the brake",
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
    "awaits failback",
    "ramping",
    "nobody else",
    "shifted",
    "shed",
    "shed and taken elsewhere",
    "laden",
];

type Seen = BTreeMap<&'static str, u64>;

fn check_world(seed: u64, seen: &mut Seen) {
    let mut random = Random::new(seed);
    let leaves = Leaves::of(seed);
    let world = World::with(&mut random, |model| leaves.put_into(model, seed));
    let mut health = RandomHealth::new(&mut random, &world.model);
    leaves.adapt(&mut health, &world.model, &mut random);
    let mut changed = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
    for generation in 2..2 + random.below(4) {
        let pools: Vec<PoolId> = (0..1 + random.below(3))
            .map(|_| PoolId(random.below(world.model.pools.len() as u64) as u32))
            .collect();
        let down = *random.pick(&[0, 30, 100]);
        pools.iter().for_each(|pool| health.change(&mut random, pool.index(), down));
        leaves.adapt(&mut health, &world.model, &mut random);
        changed = changed.with_changed(generation, &pools, &health);
    }
    let mut fresh = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
    // Shifted weights mean what they would in a file.
    let mut model = (*world.model).clone();
    let reweighed = worlds::shifts(&mut random, &mut model);
    if !reweighed.is_empty() {
        *seen.entry("shifted").or_default() += 1;
        fresh = fresh.with_weights(1, &reweighed);
        changed = changed.with_weights(9, &reweighed);
    }
    let maps: Vec<shape::Map> =
        world.model.steers.iter().map(|steer| shape::Map::new(&world, steer.target)).collect();
    for _ in 0..QUERIES {
        let id = SteerId(random.below(world.model.steers.len() as u64) as u32);
        let question = Question {
            steer: &world.model.steers[id.index()],
            id,
            family: leaves.family(*random.pick(&Family::BOTH)),
            leaves,
            client: world.client(&mut random),
            unix_s: 1_800_000_000 + random.below(1_000_000),
        };
        let octets = question.ask(&fresh);
        assert_eq!(octets, question.ask(&changed), "flips one by one: {question:?}");
        check(&model, &health, &maps[id.index()], &fresh, &question, &octets, seen);
    }
}

/// What the endpoints of a world are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Addresses,
    /// Some are aliases, some of them resolved.
    Aliases,
    Cnames,
    Services,
}

impl Leaves {
    fn of(seed: u64) -> Self {
        match seed % 8 {
            1 => Self::Cnames,
            2 => Self::Services,
            3 | 4 => Self::Aliases,
            _ => Self::Addresses,
        }
    }

    /// Names choose alike for both families.
    fn family(self, family: Family) -> Family {
        match self {
            Self::Addresses | Self::Aliases => family,
            Self::Cnames | Self::Services => Family::V4,
        }
    }

    fn put_into(self, model: &mut Model, seed: u64) {
        for endpoint in model.pools.iter_mut().flat_map(|pool| &mut pool.endpoints) {
            // By its key: a pool that `all` made has the same endpoint.
            let hash = endpoint
                .key
                .bytes()
                .fold(seed, |hash, octet| hash * 31 % 65_521 + u64::from(octet));
            let name = Name::absolute(&format!("h{hash}.names.test")).unwrap();
            match self {
                Self::Addresses => {}
                Self::Aliases if hash % 3 > 0 => {}
                Self::Aliases => endpoint.leaf = Leaf::Alias(name),
                Self::Cnames => endpoint.leaf = Leaf::Cname(name),
                Self::Services => {
                    let port = hash as u16;
                    endpoint.leaf = Leaf::Srv(Service { target: name, port, priority: 0 });
                }
            }
        }
        for steered in model.zones.iter_mut().flat_map(|zone| &mut zone.steered) {
            steered.records = match self {
                Self::Addresses | Self::Aliases => LeafRecords::Addresses,
                Self::Cnames => LeafRecords::Cname,
                Self::Services => LeafRecords::Srv,
            };
        }
    }

    /// What the controller would say: one verdict for a name, and what aliases resolve to, drawn anew.
    fn adapt(self, health: &mut RandomHealth, model: &Model, random: &mut Random) {
        match self {
            Self::Addresses => {}
            Self::Cnames | Self::Services => {
                let states = health.states.iter_mut().flatten();
                states.for_each(|state| {
                    state.verdicts[1] = state.verdicts[0];
                    state.braked[1] = state.braked[0];
                });
                health.remembered.iter_mut().for_each(|both| both[1] = both[0].clone());
            }
            Self::Aliases if health.resolved.iter().any(|pool| !pool.is_empty()) => {}
            Self::Aliases => {
                let mut resolve = |endpoint: &Endpoint| match endpoint.leaf {
                    Leaf::Alias(_) => {
                        let v4 = (0..random.below(4)).map(|n| IpAddr::from([203, 0, 113, n as u8]));
                        let v4: Vec<IpAddr> = v4.collect();
                        let v6 = (0..random.below(3)).map(|n| IpAddr::from([n as u8; 16]));
                        // Now and then only one question was answered.
                        let unheard = [random.below(8) == 0, random.below(4) == 0];
                        Resolved::of(v4.into_iter().chain(v6.collect::<Vec<_>>()))
                            .with_unheard(unheard)
                    }
                    Leaf::Addresses { .. } | Leaf::Cname(_) | Leaf::Srv(_) => Resolved::default(),
                };
                health.resolved = model
                    .pools
                    .iter()
                    .map(|pool| pool.endpoints.iter().map(&mut resolve).collect())
                    .collect();
            }
        }
    }
}

/// An address that stands for the name `h123.names.test.`.
fn stand_for(name: &str) -> IpAddr {
    let number = name.trim_start_matches('h').split('.').next().and_then(|text| text.parse().ok());
    IpAddr::from(Ipv4Addr::from_bits(number.expect("it is one of ours")))
}

/// One query.
#[derive(Debug)]
struct Question<'a> {
    steer: &'a Steer,
    id: SteerId,
    family: Family,
    leaves: Leaves,
    client: Client,
    unix_s: u64,
}

impl Question<'_> {
    fn ask(&self, snapshot: &Snapshot) -> Vec<u8> {
        let Self { steer, family, client, unix_s, .. } = *self;
        let rtype = match (self.leaves, family) {
            (Leaves::Cnames, _) => RecordType::CNAME,
            (Leaves::Services, _) => RecordType::SRV,
            (Leaves::Addresses | Leaves::Aliases, Family::V4) => RecordType::A,
            (Leaves::Addresses | Leaves::Aliases, Family::V6) => RecordType::AAAA,
        };
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
    model: &Model,
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
        model,
        states: &health.states,
        resolved: &health.resolved,
        remembered: &health.remembered,
        intakes: &health.intakes,
        sheddings: &health.sheddings,
        bands: &of_class.bands,
        position: of_class.position(),
        place: &of_class.place,
        address: of_class.address,
        round_trip: &of_class.measured,
        key,
        family,
    };
    let meaning = interpret(&situation, steer);
    let uniform_len = map.uniform_len(address);
    let expected = expected(model, health, map, question, &meaning, uniform_len);
    let reply = read(octets);
    assert_eq!(reply, expected, "{question:?}\n{meaning:?}");
    assert_eq!(trace(snapshot, question, key), meaning.steps, "{question:?}");
    let is_braked = is_braked(model, health, question, &meaning);
    if is_braked {
        *seen.entry("held up by the brake").or_default() += 1;
    }
    note(seen, question, &meaning, &reply, uniform_len, is_braked);
}

/// Whether any member of the answer is up by the brake alone.
fn is_braked(
    model: &Model,
    health: &RandomHealth,
    question: &Question<'_>,
    meaning: &Interpretation,
) -> bool {
    let Meaning::Serve { pool, members, .. } = &meaning.result else { return false };
    let parts = &model.pools[pool.index()].parts;
    members.iter().any(|id| {
        let (pool, id) = parts.get(id.index()).copied().unwrap_or((*pool, *id));
        health.states[pool.index()][id.index()].braked(question.family).is_some()
    })
}

/// The reply that the interpreter's meaning comes to.
fn expected(
    model: &Model,
    health: &RandomHealth,
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
            let addresses = |id: &EndpointId| match &endpoints[id.index()].leaf {
                Leaf::Addresses { .. } => vec![endpoints[id.index()].address(family).unwrap()],
                Leaf::Alias(_) => {
                    let parts = &model.pools[pool.index()].parts;
                    let (pool, id) = parts.get(id.index()).copied().unwrap_or((*pool, *id));
                    health.resolved[pool.index()][id.index()].family(family).to_vec()
                }
                Leaf::Cname(target) => vec![stand_for(&target.to_string())],
                Leaf::Srv(service) => vec![stand_for(&service.target.to_string())],
            };
            let most = if question.leaves == Leaves::Cnames { 1 } else { ANSWERS_MAX };
            let answers = members.iter().flat_map(addresses).take(most);
            Reply {
                rcode: ResponseCode::NoError,
                answers: answers.map(|address| (address, *ttl)).collect(),
                scope,
                explained: has_edns && *ttl != steer.ttl,
            }
        }
        Meaning::NoFamily | Meaning::NoFamilyHere => {
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
        endpoints.iter().filter(|endpoint| endpoint.may_have(family)).count() > 1
    };
    let named = match steer.on_all_down {
        AllDown::Pool(pool) => offers_choice(pool),
        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => false,
    };
    // What no client's list has cannot be reached.
    let mut below: Vec<&Outline> = map.shapes.iter().map(|(outline, _)| outline).collect();
    let mut found = named;
    let mut candidates = BTreeSet::new();
    while let Some(outline) = below.pop() {
        match outline {
            Outline::Pool(pool) => {
                candidates.insert(*pool);
                found |= offers_choice(*pool);
            }
            Outline::Ordered(each, _) => below.extend(each),
            Outline::Shares(_, shares, _) => {
                found |= shares.len() > 1;
                below.extend(shares.iter().map(|(_, outline)| outline));
            }
        }
    }
    // Whoever may come back by and by takes some clients and not others, if there is anybody else to take them.
    let ramps = |pool: &PoolId| matches!(model.pools[pool.index()].failback, Failback::Ramp(_));
    found || candidates.len() > 1 && candidates.iter().any(ramps)
}

/// Reads a reply as hickory-proto sees it.
fn read(octets: &[u8]) -> Reply {
    let message = Message::from_vec(octets).expect("hickory-proto reads the reply");
    let answers = message.answers.iter().map(|record| match &record.data {
        RData::A(a) => (IpAddr::V4(a.0), record.ttl),
        RData::AAAA(aaaa) => (IpAddr::V6(aaaa.0), record.ttl),
        RData::CNAME(target) => (stand_for(&target.to_string()), record.ttl),
        RData::SRV(service) => (stand_for(&service.target.to_string()), record.ttl),
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
    let class = compiled.classes[route.classes].class(class);
    let mut steps = Vec::new();
    decide(class, snapshot.terms(plan.route), &snapshot.pools, family, key, &mut steps);
    steps
}

/// Counts what a case met.
fn note(
    seen: &mut Seen,
    question: &Question<'_>,
    meaning: &Interpretation,
    reply: &Reply,
    uniform_len: u8,
    is_braked: bool,
) {
    let mut met = Vec::new();
    match &meaning.result {
        Meaning::Serve { pass, ttl, members, .. } => {
            let is_panic = *ttl != question.steer.ttl && *pass == rhumb::steering::Pass::Qualified;
            met.push(match pass {
                _ if is_panic && !is_braked => "panic",
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
        Meaning::NoFamilyHere => met.push("NODATA here"),
        Meaning::Nothing => met.push("SERVFAIL"),
    }
    if meaning.steps.contains(&Step::WidenedForFamily) {
        met.push("widened");
    }
    if meaning.steps.iter().any(|step| matches!(step, Step::Weighed { first: false, .. })) {
        met.push("weighed twice");
    }
    if meaning.steps.contains(&Step::NobodyElseQualifies) {
        met.push("nobody else");
    }
    for step in &meaning.steps {
        match step {
            Step::PassedOver { reason: Reason::AwaitsFailback, .. } => met.push("awaits failback"),
            Step::PassedOver { reason: Reason::Ramping { .. }, .. } => met.push("ramping"),
            Step::PassedOver { reason: Reason::Laden, .. } => met.push("laden"),
            Step::PassedOver { reason: Reason::Shed { .. }, pool, .. } => {
                met.push("shed");
                let is_elsewhere =
                    matches!(meaning.result, Meaning::Serve { pool: other, .. } if other != *pool);
                met.extend(is_elsewhere.then_some("shed and taken elsewhere"));
            }
            _ => {}
        }
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
