//! From a model and geo data to tables: the expensive half of a snapshot, made by a pure function on a worker.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::AllDown;
use crate::model::EcsUse;
use crate::model::Endpoint;
use crate::model::Failback;
use crate::model::Family;
use crate::model::Found;
use crate::model::KeySource;
use crate::model::Leaf;
use crate::model::Location;
use crate::model::Model;
use crate::model::NodeTerms;
use crate::model::Period;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Steer;
use crate::model::SteerId;
use crate::model::Target;
use crate::rtt::Table;
use crate::snapshot::ahead::Candidates;
use crate::snapshot::bands::Banding;
use crate::snapshot::classes::Classes;
use crate::snapshot::classes::TooManyClasses;
use crate::snapshot::grow::Grower;
use crate::snapshot::health::Health;
use crate::snapshot::health::remembered;
use crate::snapshot::health::resolved;
use crate::snapshot::health::states;
use crate::snapshot::round_trips::Measurements;
use crate::snapshot::round_trips::TableRows;
use crate::snapshot::rules::Matcher;
use crate::snapshot::views::RoundTrips;
use crate::snapshot::views::View;
use crate::snapshot::views::Views;
use crate::steering::Intake;
use crate::steering::PoolPlan;
use crate::steering::Shedding;
use crate::steering::Step;
use crate::steering::distance;
use crate::steering::distance::Radius;
use crate::steering::passes::Terms;
use crate::steering::rendezvous::NameSeed;
use crate::zone::Zone;
use crate::zone::ZoneIndex;

/// What files alone decide.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the files say, without the zones' records, which are in `zones`.
    pub model: Arc<Model>,
    /// Zones by apex.
    pub zones: Arc<ZoneIndex>,
    /// Addresses to places, as far as geo data knows.
    pub geo: Arc<PlaceMap>,
    /// Addresses to places that other tables of networks refine; the same as `geo` where there are none.
    pub places: Arc<PlaceMap>,
    /// What rules of policies ask of a place.
    pub matcher: Arc<Matcher>,
    /// Measured round-trip times.
    pub round_trips: Arc<Measurements>,
    /// Places to candidate trees, one for each entry that names steer to.
    pub classes: Vec<Arc<Classes>>,
    /// Entries with the terms of their passes, each once.
    pub routes: Arc<[Route]>,
    /// By pool: the positions of routes whose decisions it can change.
    pub routes_of: Arc<[Vec<u32>]>,
    /// By [`SteerId`].
    pub steers: Arc<[SteerPlan]>,
    /// What this node's own file says of answers.
    pub node: NodeTerms,
    /// By policy: what to say of weights that are not those of the files.
    pub weight_notes: BTreeMap<PolicyId, Box<str>>,
}

/// Other weights for a weighted policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reweighed {
    /// Which policy.
    pub policy: PolicyId,
    /// By target, in the order of the policy.
    pub weights: Vec<u16>,
    /// What to say of them; `None` if they are those of the files.
    pub note: Option<Box<str>>,
}

/// An entry with the terms of its passes; names with equal ones share decisions.
#[derive(Clone, Debug)]
pub struct Route {
    /// Index into [`Compiled::classes`].
    pub classes: usize,
    /// What names ask of the passes.
    pub terms: Terms,
    /// Every pool that a decision can depend on, sorted.
    pub pools: Box<[PoolId]>,
    /// Those of `pools` that are candidates of some class.
    pub choices: Box<[PoolId]>,
    /// Where decisions made ahead look first.
    pub candidates: Candidates,
    /// By [`Family::index`]: whether the client key can change the answer.
    pub keyed: [bool; 2],
    /// Every pool below the entry, some class has it or not, if any of them has an alias or finds its endpoints: what
    /// it resolves to and what is found decides which families there are. Else none.
    pub below: Box<[PoolId]>,
}

/// A steered name as the query path sees it.
#[derive(Clone, Copy, Debug)]
pub struct SteerPlan {
    /// Index into [`Compiled::routes`].
    pub route: usize,
    /// Most addresses in an answer.
    pub answers: u8,
    /// How long one client keeps one choice.
    pub period: Period,
    /// Whose address the choice is keyed by.
    pub key: KeySource,
    /// Hash of the owner name or its affinity.
    pub owner: NameSeed,
    /// Whether the client subnet of a query counts.
    pub ecs: EcsUse,
    /// Seconds.
    pub ttl: u32,
}

/// What files say: the half of the tables that geo data and round-trip times have no part in.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Everything but the zones' records.
    pub model: Arc<Model>,
    /// Zones by apex.
    pub zones: Arc<ZoneIndex>,
}

impl Contents {
    /// Takes the zones' records out of a model and makes them ready to be looked up.
    pub fn new(mut model: Model) -> Self {
        let zones = model.zones.iter_mut().map(|zone| Arc::new(Zone::build(zone.take_records())));
        let zones = Arc::new(ZoneIndex::new(zones.collect()));
        Self { model: Arc::new(model), zones }
    }
}

/// Makes the tables. Costs a second for 300,000 networks; never run where queries wait.
pub fn compile(
    model: Model,
    geo: Arc<PlaceMap>,
    node: NodeTerms,
) -> Result<Compiled, TooManyClasses> {
    compile_measured(Contents::new(model), geo, node, None)
}

/// As [`compile`], with measured round-trip times.
pub fn compile_measured(
    Contents { model, zones }: Contents,
    geo: Arc<PlaceMap>,
    node: NodeTerms,
    table: Option<&Table>,
) -> Result<Compiled, TooManyClasses> {
    // Networks that nobody looks at would only make leaves shorter and scopes longer.
    let table = table.filter(|_| looks_at_round_trips(&model));
    let rows = TableRows::new(table, &model);
    let matcher = Matcher::new(&model);
    let places = geo.refined(&[matcher.networks().refinement(), rows.refinement()]);
    let round_trips = rows.at(&places);
    let views = Views::new(&model, &places, &matcher, &round_trips);
    let banding = Banding::new(&model, &places, &views);
    let mut entries: HashMap<Target, usize> = HashMap::new();
    let mut classes: Vec<Arc<Classes>> = Vec::new();
    let mut known: HashMap<(usize, Terms), usize> = HashMap::new();
    let mut routes = Vec::new();
    let mut steers = Vec::with_capacity(model.steers.len());
    for steer in &model.steers {
        let entry = match entries.get(&steer.target) {
            Some(&entry) => entry,
            None => {
                let grower = Grower { model: &model, matcher: &matcher, round_trips: &round_trips };
                let banding = banding.as_ref();
                let of_entry = Classes::new(grower, steer.target, &places, &views, banding)?;
                classes.push(Arc::new(of_entry));
                entries.insert(steer.target, classes.len() - 1);
                classes.len() - 1
            }
        };
        let families = Family::BOTH.map(|family| model.has_family(steer.target, family));
        let terms =
            Terms { on_all_down: steer.on_all_down, dual_stack: steer.dual_stack, families };
        let route = *known.entry((entry, terms)).or_insert_with(|| {
            routes.push(route(&model, steer.target, entry, &classes[entry], terms));
            routes.len() - 1
        });
        steers.push(steer_plan(steer, route));
    }
    let model_pools = model.pools.len();
    Ok(Compiled {
        zones,
        model,
        geo,
        places,
        matcher: Arc::new(matcher),
        round_trips: Arc::new(round_trips),
        classes,
        routes_of: routes_of(&routes, model_pools).into(),
        routes: routes.into(),
        steers: steers.into(),
        node,
        weight_notes: BTreeMap::new(),
    })
}

/// The positions of routes by pool, so that a flip looks at no others.
fn routes_of(routes: &[Route], pools: usize) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new(); pools];
    for (at, route) in routes.iter().enumerate() {
        for pool in route.pools.iter().chain(&route.below) {
            let of_pool: &mut Vec<u32> = &mut all[pool.index()];
            if of_pool.last() != Some(&(at as u32)) {
                of_pool.push(at as u32);
            }
        }
    }
    all
}

/// Whether measured round-trip times can change an answer.
pub fn looks_at_round_trips(model: &Model) -> bool {
    model.policies.iter().any(|policy| matches!(policy.kind, PolicyKind::Fastest { .. }))
}

fn route(model: &Model, target: Target, entry: usize, classes: &Classes, terms: Terms) -> Route {
    let mut pools = Vec::new();
    for tree in classes.trees() {
        tree.for_each_pool(&mut |pool| pools.push(pool));
    }
    pools.sort_unstable();
    pools.dedup();
    let is_ramp = |pool: &PoolId| matches!(model.pools[pool.index()].failback, Failback::Ramp(_));
    let can_ramp = pools.len() > 1 && pools.iter().any(is_ramp);
    let choices = pools.clone().into();
    if let AllDown::Pool(pool) = terms.on_all_down {
        pools.push(pool);
        pools.sort_unstable();
        pools.dedup();
    }
    let keyed_tree = classes.trees().iter().any(|tree| tree.is_keyed());
    let keyed = Family::BOTH.map(|family| {
        let is_choice = |pool: &PoolId| {
            let pool = &model.pools[pool.index()];
            let known = pool.endpoints.iter().filter(|endpoint| endpoint.may_have(family));
            // Scopes must not depend on what is found.
            finds(model, pool) || known.count() > 1
        };
        keyed_tree || can_ramp || pools.iter().any(is_choice)
    });
    let is_alias = |endpoint: &Endpoint| matches!(endpoint.leaf, Leaf::Alias(_));
    let has_alias = |pool: &PoolId| {
        let pool = &model.pools[pool.index()];
        finds(model, pool) || pool.endpoints.iter().any(is_alias)
    };
    let mut below = model.pools_below(target);
    below.sort_unstable();
    below.dedup();
    if !below.iter().any(has_alias) {
        below.clear();
    }
    let candidates = Candidates::new(classes.trees(), &pools);
    let (pools, below) = (pools.into(), below.into());
    Route { classes: entry, terms, pools, choices, candidates, keyed, below }
}

/// Whether some of a pool's endpoints are found while the server runs, its own or those of its parts.
fn finds(model: &Model, pool: &Pool) -> bool {
    let is_part_found = |part: &PoolId| model.pools[part.index()].discover.is_some();
    pool.discover.is_some() || pool.made_of.iter().any(is_part_found)
}

fn steer_plan(steer: &Steer, route: usize) -> SteerPlan {
    let owner = match &steer.affinity {
        Some(affinity) => NameSeed::of_owner(affinity.as_bytes()),
        None => NameSeed::of_owner(steer.owner.as_wire()),
    };
    let Steer {
        owner: _,
        target: _,
        affinity: _,
        on_all_down: _,
        dual_stack: _,
        ecs,
        answers,
        period,
        key,
        ttl,
    } = steer;
    SteerPlan { route, answers: *answers, period: *period, key: *key, owner, ecs: *ecs, ttl: *ttl }
}

impl Compiled {
    /// What of them files alone say, to make other tables of.
    pub fn contents(&self) -> Contents {
        Contents { model: Arc::clone(&self.model), zones: Arc::clone(&self.zones) }
    }

    /// The same with other weights: only trees that have them are made anew.
    pub fn with_weights(&self, reweighed: &[Reweighed]) -> Self {
        let mut next = self.clone();
        for Reweighed { policy, weights, note } in reweighed {
            let PolicyKind::Weighted(targets) = &self.model.policies[policy.index()].kind else {
                continue;
            };
            let weight_of = |target: Target| {
                let place = targets.iter().position(|other| other.target == target);
                place.map_or(0, |place| weights[place])
            };
            for classes in &mut next.classes {
                if let Some(other) = classes.with_weights(*policy, &weight_of) {
                    *classes = Arc::new(other);
                }
            }
            match note {
                Some(note) => drop(next.weight_notes.insert(*policy, note.clone())),
                None => drop(next.weight_notes.remove(policy)),
            }
        }
        next
    }

    /// The same with these endpoints found: no table but that of pools knows them.
    pub fn with_found(&self, found: &Found) -> Self {
        Self { model: Arc::new(self.model.with_found(found)), ..self.clone() }
    }

    /// Why the candidates of clients at a place are what they are, for one entry.
    pub fn explain(&self, entry: Target, place: PlaceId) -> Vec<Step> {
        let place = self.places.place(place);
        let here = place
            .location
            .map(|point| Location { latitude: point.latitude(), longitude: point.longitude() });
        let metres = here.map(|here| {
            let sites = self.model.sites.iter();
            sites.map(|site| distance::metres(here, site.location)).collect::<Vec<u64>>()
        });
        let radius = Radius::of(place.accuracy_km);
        let view = View {
            spot: metres.as_deref().map(|metres| (metres, radius)),
            place,
            round_trips: self.round_trips.row(place),
        };
        let grower =
            Grower { model: &self.model, matcher: &self.matcher, round_trips: &*self.round_trips };
        let mut steps = Vec::new();
        grower.explain(entry, Some(view), &mut steps);
        steps
    }

    /// A steered name's plan.
    #[inline]
    pub fn steer(&self, id: SteerId) -> &SteerPlan {
        &self.steers[id.index()]
    }

    /// A pool at this moment; one that `all` made is judged by the pools it is made of.
    pub fn plan(&self, pool: PoolId, health: &impl Health) -> PoolPlan {
        let pool = &self.model.pools[pool.index()];
        let remembered = Family::BOTH.map(|family| remembered(&self.model, pool, family, health));
        // Of several pools together each is judged by its members only.
        let intakes = Family::BOTH.map(|family| match pool.is_written() {
            true => health.intake(pool, family),
            false => Intake::All,
        });
        let shedding = match pool.is_written() && pool.shed.is_some() {
            true => health.shedding(pool),
            false => Shedding::default(),
        };
        let states = states(&self.model, pool, health);
        PoolPlan::new(pool, &states, &resolved(&self.model, pool, health), &remembered)
            .with_intakes(intakes)
            .with_shedding(shedding)
            .with_notes(if pool.is_written() { health.notes(pool) } else { Vec::new() })
    }

    /// These pools, and those that `all` made of any of them.
    pub fn with_unions(&self, changed: &[PoolId]) -> Vec<PoolId> {
        let unions = self
            .model
            .pools
            .iter()
            .enumerate()
            .filter(|(_, pool)| pool.part_pools().iter().any(|part| changed.contains(part)));
        let unions = unions.map(|(position, _)| PoolId::at(position));
        changed.iter().copied().chain(unions).collect()
    }
}
