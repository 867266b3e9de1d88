//! Random worlds from a seed: geo data, models, health, clients. And the octets of their questions.
#![allow(dead_code, reason = "each test uses its own part")]

pub mod measured;
mod policies;
pub mod random;
pub mod shape;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use random::Random;
use rhumb::geo::Layer;
use rhumb::geo::Place;
use rhumb::geo::PlaceMap;
use rhumb::geo::Point;
use rhumb::model::Admin;
use rhumb::model::AllDown;
use rhumb::model::DualStack;
use rhumb::model::EcsUse;
use rhumb::model::Endpoint;
use rhumb::model::EndpointId;
use rhumb::model::Failback;
use rhumb::model::Family;
use rhumb::model::KeySource;
use rhumb::model::Leaf;
use rhumb::model::LeafRecords;
use rhumb::model::Location;
use rhumb::model::MinHealthy;
use rhumb::model::Model;
use rhumb::model::NodeTerms;
use rhumb::model::Percent;
use rhumb::model::Period;
use rhumb::model::PolicyId;
use rhumb::model::PolicyKind;
use rhumb::model::Pool;
use rhumb::model::PoolId;
use rhumb::model::Resolved;
use rhumb::model::Shed;
use rhumb::model::Site;
use rhumb::model::SiteId;
use rhumb::model::Steer;
use rhumb::model::SteerId;
use rhumb::model::Steered;
use rhumb::model::Target;
use rhumb::model::Verdict;
use rhumb::model::Zone;
use rhumb::rtt::Table;
use rhumb::snapshot::Compiled;
use rhumb::snapshot::Contents;
use rhumb::snapshot::Health;
use rhumb::snapshot::Reweighed;
use rhumb::snapshot::compile_measured;
use rhumb::steering::Braked;
use rhumb::steering::Intake;
use rhumb::steering::MemberState;
use rhumb::steering::Shedding;
use rhumb::steering::plan::Remembered;
use rhumb::wire::Name;
use rhumb::wire::RecordType;
use rhumb::zonefile::Records;

/// Networks with places, as they are inserted.
pub type Networks = Vec<(IpNet, Place)>;

/// A random configuration with its geo data.
pub struct World {
    pub networks: Networks,
    pub model: Arc<Model>,
    pub compiled: Arc<Compiled>,
    /// Measured round-trip times.
    pub table: Table,
    /// Addresses around which networks and clients crowd.
    bases: Vec<IpAddr>,
}

impl World {
    pub fn new(random: &mut Random) -> Self {
        Self::with(random, |_| {})
    }

    /// A random world with a change to its model.
    pub fn with(random: &mut Random, change: impl FnOnce(&mut Model)) -> Self {
        let bases = bases(random);
        let networks = networks(random, &bases);
        let mut model = random_model(random, &bases);
        change(&mut model);
        let places = Arc::new(place_map(&networks));
        let table = measured::table(random, &model, &bases);
        let compiled =
            compile_measured(Contents::new(model), places, NodeTerms::default(), Some(&table));
        let compiled = compiled.expect("few classes");
        let model = Arc::clone(&compiled.model);
        Self { networks, model, compiled: Arc::new(compiled), table, bases }
    }

    /// An address near networks and their ends.
    pub fn address(&self, random: &mut Random) -> IpAddr {
        let edge = match self.networks.len() {
            0 => *random.pick(&self.bases),
            count => {
                let network = self.networks[random.below(count as u64) as usize].0;
                if random.chance(50) { network.network() } else { network.broadcast() }
            }
        };
        match random.below(10) {
            0..=2 => {
                let base = *random.pick(&self.bases);
                flip(random, base)
            }
            3..=4 => edge,
            5 => from_bits(to_bits(edge).wrapping_add(1), edge),
            6 => from_bits(to_bits(edge).wrapping_sub(1), edge),
            7 => flip(random, edge),
            _ => from_bits(u128::from(random.next()) << 64 | u128::from(random.next()), edge),
        }
    }

    /// A query's origin: a resolver, and half of the time a client subnet of any length.
    pub fn client(&self, random: &mut Random) -> Client {
        let resolver = self.address(random);
        let form = match random.below(10) {
            0 => Form::Plain,
            1 => Form::Edns,
            2 => Form::Subnet(self.address(random), 0),
            _ => {
                let address = self.address(random);
                let usual = if address.is_ipv4() { [24, 32, 16] } else { [48, 56, 32] };
                let any = random.below(u64::from(width_of(address)) + 1) as u8;
                let len = if random.chance(40) { *random.pick(&usual) } else { any };
                Form::Subnet(address, len)
            }
        };
        Client { resolver, form: form.masked() }
    }
}

/// Where a query comes from and what it says of the client.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub resolver: IpAddr,
    pub form: Form,
}

/// What a query says besides its question.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// No OPT record.
    Plain,
    /// An OPT record without a client subnet.
    Edns,
    /// A client subnet of this source length.
    Subnet(IpAddr, u8),
}

impl Form {
    fn masked(self) -> Self {
        match self {
            Self::Plain | Self::Edns => self,
            Self::Subnet(address, len) => {
                Self::Subnet(IpNet::new(address, len).unwrap().network(), len)
            }
        }
    }
}

/// The octets of a query.
pub fn query_octets(owner: &Name, rtype: RecordType, form: Form) -> Vec<u8> {
    let additional = u8::from(!matches!(form, Form::Plain));
    let mut octets = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    octets.extend_from_slice(owner.as_wire());
    octets.extend_from_slice(&rtype.0.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    if additional == 1 {
        let option = match form {
            Form::Plain | Form::Edns => Vec::new(),
            Form::Subnet(address, len) => subnet_option(address, len),
        };
        octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
        octets.extend_from_slice(&(option.len() as u16).to_be_bytes());
        octets.extend_from_slice(&option);
    }
    octets
}

/// A client subnet option with its header (RFC 7871 section 6).
pub fn subnet_option(address: IpAddr, len: u8) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let used = usize::from(len).div_ceil(8);
    let mut option = vec![0, 8, 0, 4 + used as u8, 0, family, len, 0];
    option.extend_from_slice(&octets[..used]);
    option
}

/// Verdicts, orders and memory of every pool; pools are named `p0`, `p1`, …
#[derive(Clone, Debug)]
pub struct RandomHealth {
    pub states: Vec<Vec<MemberState>>,
    pub remembered: Vec<[Option<Remembered>; 2]>,
    pub resolved: Vec<Vec<Resolved>>,
    pub intakes: Vec<[Intake; 2]>,
    pub sheddings: Vec<Shedding>,
    /// Which pools may have a level.
    pub sheds: Vec<bool>,
}

impl Health for RandomHealth {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        self.states[position(pool)].clone()
    }

    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered> {
        self.remembered[position(pool)][family.index()].clone()
    }

    fn resolved(&self, pool: &Pool) -> Vec<Resolved> {
        self.resolved[position(pool)].clone()
    }

    fn intake(&self, pool: &Pool, family: Family) -> Intake {
        self.intakes[position(pool)][family.index()]
    }

    fn shedding(&self, pool: &Pool) -> Shedding {
        self.sheddings[position(pool)]
    }
}

fn position(pool: &Pool) -> usize {
    pool.name[1..].parse().expect("random pools are numbered")
}

impl RandomHealth {
    /// Everything up, nothing remembered.
    pub fn all_up(model: &Model) -> Self {
        let up = MemberState { verdicts: [Verdict::Up; 2], ..MemberState::default() };
        Self {
            states: model.pools.iter().map(|pool| vec![up; pool.endpoints.len()]).collect(),
            remembered: vec![[None, None]; model.pools.len()],
            resolved: vec![Vec::new(); model.pools.len()],
            intakes: vec![[Intake::All; 2]; model.pools.len()],
            sheddings: vec![Shedding::default(); model.pools.len()],
            sheds: model.pools.iter().map(|pool| pool.shed.is_some()).collect(),
        }
    }

    pub fn new(random: &mut Random, model: &Model) -> Self {
        let mut health = Self::all_up(model);
        let mood = *random.pick(&[0, 10, 50, 90, 100, 100]);
        for pool in 0..model.pools.len() {
            let down = if random.chance(70) { mood } else { random.below(101) };
            health.change(random, pool, down);
            health.intakes[pool] = Family::BOTH.map(|_| intake(random, model.pools[pool].failback));
        }
        health
    }

    /// Draws the state of one pool anew, each verdict down by a chance of `down` in 100.
    pub fn change(&mut self, random: &mut Random, pool: usize, down: u64) {
        let orders = random.chance(30);
        let brakes = random.chance(15);
        for state in &mut self.states[pool] {
            state.verdicts = Family::BOTH.map(|_| {
                if random.chance(down) {
                    return Verdict::Down;
                }
                *random.pick(&[Verdict::Up, Verdict::Up, Verdict::Unknown, Verdict::Held])
            });
            let slow = [0, 0, 0, 0, 0, 1, 30, 50, 99, 100];
            state.lowered = Family::BOTH.map(|_| *random.pick(&slow));
            // The brake holds up what was up.
            state.braked = Family::BOTH.map(|family| {
                let is_held = brakes && state.verdicts[family.index()] == Verdict::Up;
                (is_held && random.chance(30)).then_some(Braked {
                    failing: 1,
                    passing: 0,
                    since_s: 1_800_000_000,
                })
            });
            state.admin = match random.below(100) {
                0..=19 if orders => Admin::Drained,
                20..=29 if orders => Admin::ForcedDown,
                30..=34 if orders => Admin::ForcedUp,
                _ => Admin::Enabled,
            };
        }
        if self.sheds[pool] {
            self.sheddings[pool] = shedding(random);
        }
        let count = self.states[pool].len() as u64;
        self.remembered[pool] = Family::BOTH.map(|_| {
            random.chance(60).then(|| Remembered {
                stamp: random.below(6),
                // Each once, as the control plane remembers them.
                endpoints: (0..random.below(4))
                    .map(|_| EndpointId(random.below(count) as u32))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            })
        });
    }
}

/// Other weights for some weighted policies, which are those of `model` from then on.
pub fn shifts(random: &mut Random, model: &mut Model) -> Vec<Reweighed> {
    let mut shifts = Vec::new();
    for (position, policy) in model.policies.iter_mut().enumerate() {
        let PolicyKind::Weighted(targets) = &mut policy.kind else { continue };
        if !random.chance(30) {
            continue;
        }
        // A target that is named twice has one weight.
        let mut weights: Vec<(Target, u16)> = Vec::new();
        for target in targets.iter_mut() {
            let known = weights.iter().find(|(other, _)| *other == target.target);
            let weight = known.map_or(*random.pick(&[0, 1, 2, 50, 65_535]), |(_, weight)| *weight);
            weights.push((target.target, weight));
            target.weight = weight;
        }
        let weights = weights.into_iter().map(|(_, weight)| weight).collect();
        let note = Some("shifted".into());
        shifts.push(Reweighed { policy: PolicyId::at(position), weights, note });
    }
    shifts
}

/// Whom a pool may send elsewhere.
pub fn shedding(random: &mut Random) -> Shedding {
    let level = *random.pick(&[0, 4, 12, 15, 15, 15]);
    Shedding { level, is_closed: random.chance(60) }
}

/// How far a pool of this kind of failback may be.
fn intake(random: &mut Random, failback: Failback) -> Intake {
    match failback {
        Failback::Auto => Intake::All,
        Failback::Manual => *random.pick(&[Intake::All, Intake::AwaitsFailback]),
        Failback::Ramp(_) => match random.below(12) {
            11 => Intake::All,
            tenths => Intake::Tenths(tenths as u8),
        },
    }
}

/// Bits of an address, at the right.
pub fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// An address of the family of `like`.
pub fn from_bits(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// Bits of the address's family.
pub fn width_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn flip(random: &mut Random, address: IpAddr) -> IpAddr {
    let bit = random.below(u64::from(width_of(address)));
    from_bits(to_bits(address) ^ 1 << bit, address)
}

fn bases(random: &mut Random) -> Vec<IpAddr> {
    let v4 = |random: &mut Random| IpAddr::V4(Ipv4Addr::from_bits(random.next() as u32));
    let v6 = |random: &mut Random| {
        let low = u128::from(random.next()) << 32 | u128::from(random.next() as u32);
        IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | low))
    };
    vec![v4(random), v4(random), v6(random), v6(random)]
}

/// Networks that nest, touch and repeat.
fn networks(random: &mut Random, bases: &[IpAddr]) -> Networks {
    let points: Vec<_> = (0..6).map(|_| point(random)).collect();
    (0..random.below(24))
        .map(|_| {
            let base = *random.pick(bases);
            let address = if random.chance(60) { flip(random, base) } else { base };
            let len = random.below(u64::from(width_of(base)) + 1) as u8;
            let place = Place {
                country: Some(*random.pick(&[*b"DE", *b"US"])),
                subdivision: random.chance(30).then(|| (*random.pick(&["CA", "BY"])).into()),
                asn: random.chance(60).then(|| 1 + random.below(4) as u32),
                location: random.chance(80).then(|| *random.pick(&points)),
                accuracy_km: random.chance(70).then(|| *random.pick(&[0, 5, 20, 150, 400, 3000])),
                ..Place::default()
            };
            (IpNet::new(address, len).unwrap().trunc(), place)
        })
        .collect()
}

/// Compiles networks as one layer.
pub fn place_map(networks: &Networks) -> PlaceMap {
    let mut layer = Layer::new();
    for (network, place) in networks {
        layer.insert(*network, place.clone()).unwrap();
    }
    PlaceMap::compile(&[layer])
}

fn point(random: &mut Random) -> Point {
    let micro = |random: &mut Random, range: u64| random.below(2 * range + 1) as f64 - range as f64;
    let (latitude, longitude) = (micro(random, 90_000_000), micro(random, 180_000_000));
    Point::from_degrees(latitude / 1e6, longitude / 1e6).unwrap()
}

fn random_model(random: &mut Random, bases: &[IpAddr]) -> Model {
    let sites = (0..1 + random.below(6)).map(|n| site(random, n)).collect::<Vec<_>>();
    let mut model = Model { sites, ..Model::default() };
    let sheds = random.chance(60);
    for n in 0..1 + random.below(7) {
        let mut pool = pool(random, n as usize, model.sites.len());
        if sheds && pool.site.is_some() && random.chance(90) {
            pool.shed = Some(Shed { start: 0.8, full: 1.0 });
        }
        model.pools.push(pool);
    }
    let pools = model.pools.len();
    model.lists = policies::lists(random, bases);
    for n in 0..random.below(7) {
        let policy = policies::policy(random, n as usize, &model, bases);
        model.policies.push(policy);
    }
    policies::add_unions(&mut model);
    for n in 0..1 + random.below(4) {
        let target = match model.policies.len() {
            0 => Target::Pool(PoolId(random.below(pools as u64) as u32)),
            _ if random.chance(10) => Target::Pool(PoolId(0)),
            count => Target::Policy(PolicyId(
                (count as u64 - 1 - random.below(2).min(count as u64 - 1)) as u32,
            )),
        };
        let steer = steer(random, n as usize, target, pools);
        model.steers.push(steer);
    }
    model.zones.push(zone(&model.steers));
    model
}

fn site(random: &mut Random, n: u64) -> Site {
    let point = point(random);
    let location = Location { latitude: point.latitude(), longitude: point.longitude() };
    let cost = *random.pick(&[1.0, 1.0, 0.5, 3.0]);
    Site { name: format!("s{n}").into(), location, country: None, region: None, cost }
}

fn pool(random: &mut Random, n: usize, sites: usize) -> Pool {
    let families = random.below(10);
    let even = random.chance(40);
    let most = *random.pick(&[1, 3, 12]);
    let endpoints = (0..1 + random.below(most))
        .map(|e| {
            let id = (n as u32) << 8 | e as u32;
            let both = random.below(3);
            let has_v4 = families <= 1 || (families > 3 && both != 1);
            let has_v6 = families == 2 || families == 3 || (families > 3 && both != 2);
            let weight = *random.pick(&[0, 1, 1, 2, 5, 10, 100, 1000, 65_535]);
            Endpoint {
                key: format!("p{n}/e{e}").into(),
                leaf: Leaf::Addresses {
                    v4: has_v4.then(|| Ipv4Addr::from_bits(0xc612_0000 | id)),
                    v6: has_v6
                        .then(|| Ipv6Addr::from_bits(0x2001_0db8_ffff << 80 | u128::from(id))),
                },
                weight: if even { 1 } else { weight },
                capacity: None,
                probe: Vec::new(),
                state: None,
            }
        })
        .collect();
    Pool {
        name: format!("p{n}").into(),
        site: random.chance(95).then(|| SiteId(random.below(sites as u64) as u32)),
        check: None,
        min_healthy: match random.below(3) {
            0 => MinHealthy::Members(random.below(5) as u16),
            1 => MinHealthy::Share(Percent(50)),
            _ => MinHealthy::Share(Percent(random.below(101) as u8)),
        },
        panic_below: Percent(random.below(60) as u8),
        failback: *random.pick(&[
            Failback::Auto,
            Failback::Auto,
            Failback::Manual,
            Failback::Ramp(Duration::from_secs(600)),
        ]),
        shed: None,
        endpoints,
        discover: None,
        awaits: false,
        parts: Vec::new(),
        made_of: Vec::new(),
    }
}

fn steer(random: &mut Random, n: usize, target: Target, pools: usize) -> Steer {
    Steer {
        owner: Name::absolute(&format!("n{n}.z.test")).unwrap(),
        target,
        answers: 1 + random.below(8) as u8,
        period: match random.below(4) {
            0 => Period::Forever,
            1 => Period::Every(Duration::from_secs(1 + random.below(10))),
            2 => Period::Every(Duration::from_secs(3600)),
            _ => Period::Every(Duration::from_secs(1 + random.below(100_000))),
        },
        key: if random.chance(75) { KeySource::Client } else { KeySource::Resolver },
        affinity: random.chance(30).then(|| format!("a{}", random.below(2)).into()),
        on_all_down: match random.below(4) {
            0 => AllDown::FailOpen,
            1 => AllDown::Pool(PoolId(random.below(pools as u64) as u32)),
            2 => AllDown::LastGood,
            _ => AllDown::ServFail,
        },
        ecs: if random.chance(85) { EcsUse::Use } else { EcsUse::Ignore },
        dual_stack: if random.chance(60) { DualStack::Joint } else { DualStack::Independent },
        // From 6 up, so that half of it, at least 5, is less.
        ttl: *random.pick(&[6, 7, 10, 11, 30, 300, 3600]),
    }
}

/// The zone `z.test` of these steered names.
pub fn zone(steers: &[Steer]) -> Zone {
    let name = |text: &str| Name::absolute(text).unwrap();
    let soa = [name("ns.z.test").as_wire(), name("h.z.test").as_wire(), &[0; 19], &[30]].concat();
    let mut records = Records::default();
    records.push(&name("z.test"), RecordType::SOA, 3600, &soa);
    records.push(&name("z.test"), RecordType::NS, 3600, name("ns.other.test").as_wire());
    let steered = steers
        .iter()
        .enumerate()
        .map(|(position, steer)| Steered {
            owner: steer.owner.clone(),
            steer: SteerId::at(position),
            records: LeafRecords::Addresses,
        })
        .collect();
    Zone::new(name("z.test"), records, steered)
}

/// The addresses of a steered answer in order, read by offset: for tests that ask 100,000 times.
pub fn addresses_of(reply: &[u8]) -> Vec<IpAddr> {
    let count = u16::from_be_bytes([reply[6], reply[7]]);
    let mut at = 12;
    while reply[at] != 0 {
        at += 1 + usize::from(reply[at]);
    }
    at += 5;
    (0..count)
        .map(|_| {
            let rdata_len = usize::from(reply[at + 11]);
            let rdata = &reply[at + 12..at + 12 + rdata_len];
            at += 12 + rdata_len;
            match rdata.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(rdata).unwrap()),
                16 => IpAddr::from(<[u8; 16]>::try_from(rdata).unwrap()),
                other => panic!("{other} octets are no address"),
            }
        })
        .collect()
}

/// Pool and endpoint of an address of a random pool.
pub fn member_of(address: IpAddr) -> (PoolId, EndpointId) {
    let id = to_bits(address) as u16;
    (PoolId(u32::from(id >> 8)), EndpointId(u32::from(id & 0xff)))
}
