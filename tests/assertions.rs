//! Assertions against the answers themselves: what passes has no counter-example, what fails has one that is real.
#![allow(clippy::unwrap_used)]

mod common;
mod worlds;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::steered::Subject;
use rhumb::answer::steered::locate;
use rhumb::assertion::Case;
use rhumb::assertion::CounterExample;
use rhumb::assertion::Proof;
use rhumb::assertion::State;
use rhumb::assertion::States;
use rhumb::assertion::Why;
use rhumb::assertion::judge;
use rhumb::model::Area;
use rhumb::model::Assertion;
use rhumb::model::Claim;
use rhumb::model::Clients;
use rhumb::model::EndpointId;
use rhumb::model::Family;
use rhumb::model::Losses;
use rhumb::model::Model;
use rhumb::model::Period;
use rhumb::model::Pool;
use rhumb::model::SiteId;
use rhumb::model::SteerId;
use rhumb::model::Written;
use rhumb::snapshot::Compiled;
use rhumb::snapshot::Health;
use rhumb::snapshot::Snapshot;
use rhumb::steering::ClientKey;
use rhumb::steering::Decision;
use rhumb::steering::MemberState;
use rhumb::steering::plan::Remembered;
use rhumb::wire::RecordType;
use worlds::Form;
use worlds::World;
use worlds::query_octets;
use worlds::random::Random;
use worlds::random::for_each_seed;

/// Health of one state.
struct InState<'a>(&'a Model, State);

impl Health for InState<'_> {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let id = self.0.pools.iter().position(|other| other.name == pool.name);
        let id = rhumb::model::PoolId::at(id.expect("the pool is of this model"));
        let endpoints = (0..pool.endpoints.len()).map(EndpointId::at);
        endpoints.map(|endpoint| self.1.of(self.0, id, endpoint)).collect()
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

/// A world with checks, countries and one assertion about all its names.
fn world(random: &mut Random) -> World {
    let claim = match random.below(3) {
        0 => Claim::Answers,
        1 => Claim::StaysIn(vec![Area::Country(*b"DE"), Area::Site(SiteId(0))]),
        _ => Claim::Within(1000 * random.below(15_000)),
    };
    let losses = match (&claim, random.below(3)) {
        (_, 0) => Losses::Nothing,
        (Claim::StaysIn(_) | Claim::Within(_), 1) => Losses::Anything,
        _ => Losses::OneSite,
    };
    let clients = match random.below(3) {
        0 => vec![Clients::Country(*b"DE")],
        1 => vec![Clients::Country(*b"US"), Clients::Network("10.0.0.0/7".parse().expect("one"))],
        _ => Vec::new(),
    };
    let countries: Vec<_> = (0..8).map(|_| *random.pick(&[*b"DE", *b"DE", *b"US"])).collect();
    let unchecked = random.below(8);
    World::with(random, |model| {
        for (site, country) in model.sites.iter_mut().zip(countries) {
            site.country = Some(country);
        }
        let check =
            rhumb::config::load(&rhumb::config::Files::new(vec![rhumb::config::SourceFile::new(
                "zones/c.toml",
                "check.c = { kind = 'tcp', port = 1 }",
            )]));
        model.checks = check.0.expect("a check alone loads").checks;
        for (at, pool) in model.pools.iter_mut().enumerate() {
            let is_probed = pool.is_written() && at as u64 != unchecked;
            pool.check = is_probed.then_some(rhumb::model::CheckId(0));
        }
        model.assertions = vec![Assertion {
            written: Written { file: 0, start: 0, end: 0 },
            steers: (0..model.steers.len()).map(SteerId::at).collect(),
            clients,
            claim,
            losses,
        }];
    })
}

/// Addresses in the reply to a client that asks itself.
fn addresses(
    snapshot: &Snapshot,
    steer: SteerId,
    family: Family,
    client: IpAddr,
    unix_s: u64,
) -> (u8, Vec<IpAddr>) {
    let rtype = if family == Family::V4 { RecordType::A } else { RecordType::AAAA };
    let owner = &snapshot.compiled.model.steers[steer.index()].owner;
    let request = Request { client, local: None, transport: Transport::Tcp, unix_s };
    let query = query_octets(owner, rtype, Form::Plain);
    let (_, reply) = common::answer_octets(snapshot, &request, &query);
    let message = hickory_proto::op::Message::from_vec(&reply).expect("a reply can be read");
    let found = message.answers.iter().filter_map(|record| record.data.ip_addr());
    (message.metadata.response_code.low(), found.collect())
}

/// Where an address stands, and whether it is alive: of every endpoint that has it.
fn standing(model: &Model, state: State, address: IpAddr) -> Vec<(Option<SiteId>, bool)> {
    let mut found = Vec::new();
    for (at, pool) in model.pools.iter().enumerate().filter(|(_, pool)| pool.is_written()) {
        let id = rhumb::model::PoolId::at(at);
        for (position, endpoint) in pool.endpoints.iter().enumerate() {
            let has = Family::BOTH.iter().any(|family| endpoint.address(*family) == Some(address));
            if has {
                let endpoint = EndpointId::at(position);
                let is_up = state.of(model, id, endpoint) == MemberState::default();
                found.push((pool.site, is_up && !state.is_lost(model, id, endpoint)));
            }
        }
    }
    found
}

/// Whether a reply breaks the claim, by the reply alone.
fn breaks(
    compiled: &Compiled,
    state: State,
    client: IpAddr,
    (rcode, addresses): &(u8, Vec<IpAddr>),
) -> bool {
    let model = &compiled.model;
    let all: Vec<_> = addresses.iter().flat_map(|&one| standing(model, state, one)).collect();
    match &model.assertions[0].claim {
        Claim::Answers => *rcode == 2 || !all.is_empty() && all.iter().all(|(_, is_up)| !is_up),
        Claim::StaysIn(areas) => all.iter().any(|(site, _)| {
            !site.is_some_and(|site| {
                let country = model.sites[site.index()].country;
                areas.iter().any(|area| match area {
                    Area::Country(code) => country == Some(*code),
                    Area::Site(other) => *other == site,
                    Area::Continent(_) => false,
                })
            })
        }),
        Claim::Within(limit) => {
            let leaf = compiled.places.find(client);
            let Some(point) = compiled.places.place(leaf.place).location else { return false };
            let here =
                rhumb::model::Location { latitude: point.latitude(), longitude: point.longitude() };
            all.iter().any(|(site, _)| {
                !site.is_some_and(|site| {
                    rhumb::steering::distance::metres(here, model.sites[site.index()].location)
                        <= *limit
                })
            })
        }
        Claim::MaxLoad { .. } => false,
    }
}

/// Whether the assertion speaks of a client.
fn is_meant(compiled: &Compiled, client: IpAddr) -> bool {
    let place = compiled.places.place(compiled.places.find(client).place);
    let clients = &compiled.model.assertions[0].clients;
    clients.is_empty()
        || clients.iter().any(|clients| match clients {
            Clients::Country(code) => place.country == Some(*code),
            Clients::Network(network) => network.contains(&client),
            _ => false,
        })
}

#[test]
fn what_passes_has_no_counter_example_among_clients_and_what_fails_has_a_real_one() {
    let (mut passed, mut failed) = (0, 0);
    for_each_seed(300, |seed| {
        let mut random = Random::new(seed);
        let world = world(&mut random);
        let compiled = &world.compiled;
        match judge(compiled).first().map(|failure| &failure.proof) {
            Some(Proof::Client(example)) => {
                failed += 1;
                assert_is_real(compiled, example);
            }
            Some(proof) => panic!("{proof:?}"),
            None => {
                passed += 1;
                assert_holds(&world, &mut random);
            }
        }
    });
    assert!(passed > 40 && failed > 100, "{passed} pass, {failed} fail");
}

fn assert_is_real(compiled: &Arc<Compiled>, example: &CounterExample) {
    let client = example.example.client;
    assert!(is_meant(compiled, client), "{client} is no such client");
    let Some(unix_s) = example.example.unix_s else { return };
    let health = InState(&compiled.model, example.state);
    let snapshot = Snapshot::new(Arc::clone(compiled), 1, &health);
    let is_broken = |unix_s: u64| {
        let reply = addresses(&snapshot, example.steer, example.family, client, unix_s);
        // What nobody sees to be lost must not be served at all, not even beside others.
        let is_dead = |one: &IpAddr| {
            standing(&compiled.model, example.state, *one).iter().all(|(_, is_up)| !is_up)
        };
        let is_unseen = matches!(example.why, Why::Unseen(_)) && reply.1.iter().any(is_dead);
        is_unseen || breaks(compiled, example.state, client, &reply)
    };
    let is_union = match example.decision {
        Decision::Serve(selection) => !compiled.model.pools[selection.pool.index()].is_written(),
        Decision::NoFamily | Decision::Nothing => false,
    };
    // The members of `all` stand at several sites: which of them a client gets changes with time.
    let moments = if is_union { 2000 } else { 1 };
    let is_steady = compiled.steer(example.steer).period == Period::Forever;
    let found = (0..moments).any(|moment| is_broken(unix_s + moment * 400 * 86_400));
    assert!(found || is_union && is_steady, "{example:?}");
    assert!(example.share > 0.0 && example.share < 1.0 + 1e-9);
}

fn assert_holds(world: &World, random: &mut Random) {
    let compiled = &world.compiled;
    let model = &compiled.model;
    for _ in 0..4 {
        let state = match (model.assertions[0].losses, random.below(3)) {
            (Losses::OneSite, 0 | 1) => {
                State::SiteLost(SiteId(random.below(model.sites.len() as u64) as u32))
            }
            (Losses::Anything, 0) => State::AllDown,
            (Losses::Anything, 1) => {
                State::OnlyUp(rhumb::model::PoolId(random.below(model.pools.len() as u64) as u32))
            }
            _ => State::AllUp,
        };
        let snapshot = Snapshot::new(Arc::clone(compiled), 1, &InState(model, state));
        for _ in 0..60 {
            let client = world.address(random);
            if !is_meant(compiled, client) || client.to_canonical() != client {
                continue;
            }
            let steer = SteerId(random.below(model.steers.len() as u64) as u32);
            for family in Family::BOTH {
                let unix_s = random.below(1 << 32);
                let reply = addresses(&snapshot, steer, family, client, unix_s);
                assert!(!breaks(compiled, state, client, &reply), "{client} {state:?} {reply:?}");
            }
        }
    }
}

#[test]
fn shares_are_those_of_real_keys_and_nobody_gets_what_no_way_leads_to() {
    let mut keyed = 0;
    for_each_seed(120, |seed| {
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let compiled = &world.compiled;
        let states = States::new(&compiled.model);
        for (at, plan) in compiled.steers.iter().enumerate() {
            let client: IpAddr = world.address(&mut random);
            let subject = Subject {
                address: &client,
                source_len: if client.is_ipv4() { 32 } else { 128 },
                from_ecs: false,
            };
            let class = locate(compiled, plan, &subject).class;
            let route = &compiled.routes[plan.route];
            let tree = &compiled.classes[route.classes].trees()[usize::from(class)];
            let state = match random.below(3) {
                0 => State::AllUp,
                1 => State::AllDown,
                _ => {
                    State::SiteLost(SiteId(random.below(compiled.model.sites.len() as u64) as u32))
                }
            };
            for family in Family::BOTH {
                let case = Case { tree, terms: route.terms, plans: states.plans(state), family };
                let Ok(decisions) = case.decisions() else { continue };
                let sum: f64 = decisions.iter().map(|(_, share)| share).sum();
                assert!((sum - 1.0).abs() < 1e-6, "shares of steer {at} are {sum}");
                if !tree.is_keyed() {
                    continue;
                }
                keyed += 1;
                let mut counts: BTreeMap<String, f64> = BTreeMap::new();
                const KEYS: u64 = 3000;
                for _ in 0..KEYS {
                    let decision = case.decide(ClientKey(random.next()));
                    let is_known = decisions.iter().any(|(other, _)| *other == decision);
                    assert!(is_known, "{decision:?} is none of {decisions:?}");
                    *counts.entry(format!("{decision:?}")).or_default() += 1.0 / KEYS as f64;
                }
                for (decision, share) in &decisions {
                    let got = counts.get(&format!("{decision:?}")).copied().unwrap_or(0.0);
                    assert!((got - share).abs() < 0.05, "{decision:?}: {share}, but {got} do");
                }
            }
        }
    });
    assert!(keyed > 50, "{keyed} keyed cases");
}

/// A zone with the pools that loads are tried on.
fn loads(policy: &str, with: &str) -> Vec<rhumb::assertion::Failure> {
    let zone = format!(
        "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n\
         [check.c]\nkind = \"tcp\"\nport = 80\n\
         site.fra = {{ latitude = 50.11, longitude = 8.68 }}\n\
         site.iad = {{ latitude = 38.95, longitude = -77.45 }}\n\
         site.sin = {{ latitude = 1.35, longitude = 103.99 }}\n\
         [pool]\n\
         eu = {{ site = \"fra\", check = \"c\", endpoint.a = {{ addresses = [\"192.0.2.1\"], capacity = 60 }}, endpoint.b = {{ addresses = [\"192.0.2.2\"], capacity = 60 }} }}\n\
         us = {{ site = \"iad\", check = \"c\", endpoint.a = {{ addresses = [\"192.0.2.3\"], capacity = 100 }} }}\n\
         ap = {{ site = \"sin\", check = \"c\", endpoint.a = {{ addresses = [\"192.0.2.4\"], capacity = 50 }} }}\n\
         [policy.p]\n{policy}\n[name.www]\nsteer = \"p\"\n\
         [[assert]]\nmax_load = \"100%\"\ntraffic = \"t.csv\"\nwith = \"{with}\"\n"
    );
    let zone = zone
        .replace("site.fra", "[site]\nfra")
        .replace("\nsite.iad", "\niad")
        .replace("\nsite.sin", "\nsin");
    let traffic = "country,load\nDE,50\nUS,60\nSG,30\n";
    let snapshot = common::snapshot_of(&[("zones/a.toml", &zone), ("zones/t.csv", traffic)]);
    judge(&snapshot.compiled)
}

#[test]
fn loads_follow_classes_shares_and_the_loss_of_each_site() {
    let nearest = "kind = \"nearest\"\ntargets = [\"eu\", \"us\", \"ap\"]";
    assert!(loads(nearest, "nothing down").is_empty());
    let failures = loads(nearest, "any one site down");
    let Proof::Load(overload) = &failures[0].proof else { panic!("{failures:?}") };
    // Without fra its 50 go to iad beside its own 60, which can carry 100.
    assert!(matches!(overload.state, State::SiteLost(_)), "{overload:?}");
    let [first, second] = &overload.carried[..] else { panic!("{overload:?}") };
    assert!((first.load - 110.0).abs() < 1e-6 && first.capacity == 100.0, "{overload:?}");
    assert!((second.load - 30.0).abs() < 1e-6, "all that clients bring is carried: {overload:?}");
    let weighted = "kind = \"weighted\"\nweights = { eu = 50, us = 25, ap = 25 }\nspill = [\"eu\", \"us\", \"ap\"]";
    assert!(loads(weighted, "nothing down").is_empty(), "70, 35 and 35 of 120, 100 and 50");
    let failures = loads(weighted, "any one site down");
    let Proof::Load(overload) = &failures[0].proof else { panic!("{failures:?}") };
    // Without fra its 70 are shared out between iad and sin by their equal weights: 70 of 50.
    let worst = overload.carried[0];
    assert!((worst.load - 70.0).abs() < 1e-6 && worst.capacity == 50.0, "{overload:?}");
    assert!((overload.carried[1].load - 70.0).abs() < 1e-6);
}

#[test]
fn a_standby_at_another_site_must_carry_what_the_lost_one_did() {
    let zone = r#"
[zone]
name = "a.test"
nameservers = ["ns.example.net"]
[check.c]
kind = "tcp"
port = 80
[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45
[pool.main]
site = "fra"
check = "c"
endpoint.a = { addresses = ["192.0.2.1"], capacity = 100 }
[pool.spare]
site = "iad"
check = "c"
endpoint.a = { addresses = ["192.0.2.2"], capacity = 10, weight = 0 }
[policy.p]
kind = "all"
targets = ["main", "spare"]
[name.www]
steer = "p"
[[assert]]
max_load = "100%"
traffic = "t.csv"
with = "any one site down"
"#;
    let judged = |zone: &str| {
        let files = [("zones/a.toml", zone), ("zones/t.csv", "country,load\nDE,80\n")];
        judge(&common::snapshot_of(&files).compiled)
    };
    let failures = judged(zone);
    let Proof::Load(overload) = &failures[0].proof else { panic!("{failures:?}") };
    let spare = overload.carried[0];
    assert!((spare.load - 80.0).abs() < 1e-6 && spare.capacity == 10.0, "{overload:?}");
    assert!(judged(&zone.replace("capacity = 10,", "capacity = 80,")).is_empty());
}

#[test]
fn a_decision_for_nobody_is_not_among_the_ways() {
    let zone = "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n\
                pool.a.endpoint.a.addresses = [\"192.0.2.1\"]\n";
    let text = format!(
        "{}[policy.p]\nkind = \"weighted\"\nweights = {{ a = 1, b = 0 }}\nspill = []\n[name.www]\nsteer = \"p\"\n",
        zone.replace("pool.a.endpoint", "[pool]\na.endpoint")
            + "b.endpoint.a.addresses = [\"192.0.2.2\"]\n"
    );
    let snapshot = common::snapshot(&text);
    let compiled = &snapshot.compiled;
    let states = States::new(&compiled.model);
    let tree = &compiled.classes[0].trees()[0];
    let case = Case {
        tree,
        terms: compiled.routes[0].terms,
        plans: states.plans(State::AllUp),
        family: Family::V4,
    };
    let decisions = case.decisions().expect("there are few ways");
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert!(matches!(decisions[0], (Decision::Serve(_), share) if share == 1.0));
}
