//! Everything an operator wants to see at once: pools, endpoints, verdicts, orders.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::config::render::ProblemReport;
use crate::control::Controller;
use crate::control::Reply;
use crate::control::Scope;
use crate::control::cluster::status::ClusterGauges;
use crate::control::effect::short_digest;
use crate::control::failback::Side;
use crate::control::failback::Stage;
use crate::control::failback::WayBack;
use crate::control::health;
use crate::control::load::Refusals;
use crate::control::load::Refused;
use crate::control::order::instant;
use crate::control::parts_status::PartsStatus;
use crate::control::record::WrittenStatus;
use crate::control::rejection::Rejection;
use crate::control::resolve;
use crate::control::shed::LoadGauges;
pub use crate::control::shell_status::CertificateStatus;
pub use crate::control::shell_status::ProbesStatus;
pub use crate::control::shell_status::ProbingStatus;
pub use crate::control::shell_status::StateStatus;
pub use crate::control::target_status::BrakeStatus;
pub use crate::control::target_status::PartStatus;
pub use crate::control::target_status::SiteRoundTrip;
pub use crate::control::target_status::TargetStatus;
use crate::control::target_status::unchecked;
use crate::control::weights::Billionths;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Now;
use crate::model::Pool;
use crate::model::TargetKey;
use crate::steering::PoolPlan;
use crate::steering::plan::Standing;

/// The server at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Publications since the start.
    pub generation: u64,
    /// First octets of the digest of files and geo data.
    pub config: String,
    /// Files that are there but not in force.
    #[serde(default)]
    pub refused: Option<RefusedStatus>,
    /// Geo data that is there but not in force, while the zones beside it are.
    #[serde(default)]
    pub refused_geo: Option<RefusedStatus>,
    /// Tables of round-trip times that are there but do not count.
    #[serde(default)]
    pub refused_tables: Option<RefusedStatus>,
    /// Digests of what is in force, part by part.
    #[serde(default)]
    pub parts: PartsStatus,
    /// The certificate of the encrypted transports; filled in by the shell, which has it.
    #[serde(default)]
    pub certificate: Option<CertificateStatus>,
    /// Whether state is kept; filled in by the shell, which keeps it.
    #[serde(default)]
    pub state: StateStatus,
    /// How the prober keeps up; filled in by the shell, which has it.
    #[serde(default)]
    pub probing: Option<ProbingStatus>,
    /// Apexes served.
    pub zones: Vec<String>,
    /// Networks of the place table and how many places they lead to.
    pub places: usize,
    /// Table of round-trip times that counts.
    #[serde(default)]
    pub round_trips: Option<String>,
    /// Every pool.
    pub pools: Vec<PoolStatus>,
    /// Every order in force.
    pub orders: Vec<OrderStatus>,
    /// What the brake holds, in words.
    #[serde(default)]
    pub brake: Vec<String>,
    /// Policies whose weights are not those of the files, or were not.
    #[serde(default)]
    pub shifts: Vec<ShiftStatus>,
}

/// Weights of a policy that differ from those of the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShiftStatus {
    /// Which policy.
    pub policy: String,
    /// The shift in force, in words; empty if the last one has ended.
    pub shift: String,
    /// The target's share now; of a shift in force.
    pub share: Option<f64>,
    /// Who ordered it; of a shift in force.
    pub written: Option<WrittenStatus>,
    /// How the last one ended, in words.
    pub ended: Option<String>,
}

/// Files that are there but not in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// How many problems they have.
    pub problems: usize,
    /// Since when.
    pub since: String,
    /// Every problem and warning, as `rhumb check` shows it.
    pub text: String,
    /// The same, as `rhumb check --json` has it.
    #[serde(default)]
    pub list: Vec<ProblemReport>,
}

impl RefusedStatus {
    fn new(Refused { digest: _, since, why }: &Refused) -> Self {
        let Rejection { text, problems, list } = why.clone();
        Self { problems, since: instant(since.unix), text, list }
    }
}

/// A pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub site: Option<String>,
    /// How it is probed.
    pub check: Option<String>,
    /// Whether it qualifies in pass 1, over the families it has.
    pub qualifies: bool,
    /// What it is short of, by family, as "IPv6 healthy 0 of 1, needs 1"; empty if it qualifies.
    #[serde(default)]
    pub short: Vec<String>,
    /// What its clients wait for on their way back, in words.
    #[serde(default)]
    pub failback: Option<String>,
    /// How the source of its endpoints stands, line by line; empty if all of them stand in its file.
    #[serde(default)]
    pub discovery: Vec<String>,
    /// Its load, and whom it sends elsewhere for it, in words; `None` if it never does.
    #[serde(default)]
    pub shed: Option<String>,
    /// Its load, 1 being all it can carry.
    #[serde(default)]
    pub load: Option<f64>,
    /// So little of it is healthy that all of it is served.
    pub panic: bool,
    /// None of the names it consists of has been resolved yet: nobody knows what it has.
    #[serde(default)]
    pub unresolved: bool,
    /// Its endpoints.
    pub endpoints: Vec<EndpointStatus>,
}

impl PoolStatus {
    /// How it stands, in words.
    pub fn standing_text(&self) -> String {
        match (self.unresolved, self.qualifies, self.panic) {
            (true, _, _) if !self.discovery.is_empty() => {
                "NOBODY FOUND: none of its endpoints has an address yet".into()
            }
            (true, _, _) => "UNRESOLVED: none of its names has an address yet".into(),
            (false, _, true) => "PANIC: all members served".into(),
            (false, true, false) => "qualifies".into(),
            (false, false, false) => format!("DOES NOT QUALIFY: {}", self.short.join("; ")),
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// `pool/endpoint`
    pub key: String,
    /// What it is if it is a name, and how that stands; empty if it has addresses of its own.
    #[serde(default)]
    pub name: String,
    /// Its share.
    pub weight: u16,
    /// Its load, if it says so.
    #[serde(default)]
    pub load: Option<f64>,
    /// The order in force for it, in words; empty if none.
    pub order: String,
    /// Each of its addresses.
    pub targets: Vec<TargetStatus>,
}

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderStatus {
    /// For what.
    pub scope: String,
    /// What.
    pub order: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub author: String,
    /// When it was given.
    pub since: String,
    /// When it ends.
    pub until: Option<String>,
}

/// Records in force as numbers, for metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Targets that the brake holds.
    pub held_by_brake: Vec<TargetKey>,
    /// Policy, target and its share of now, of each shift.
    pub shares: Vec<(Box<str>, Box<str>, f64)>,
    /// Pool, family and the share of its clients it takes, of each that stands back.
    pub intakes: Vec<(Box<str>, Family, f64)>,
    /// Loads, and what pools shed for them.
    pub loads: Arc<LoadGauges>,
    /// How the cluster is; `None` without one.
    pub cluster: Option<ClusterGauges>,
}

/// What a pool lacks in a family to qualify, in words.
fn shortfall(plan: &PoolPlan, family: Family) -> Option<String> {
    let side = plan.family(family);
    let Standing { healthy, needed, enabled } = side.standing;
    if !side.configured || side.standing.qualifies() {
        return None;
    }
    Some(match enabled {
        0 => format!("{family}: no member is enabled"),
        _ => format!("{family} healthy {healthy} of {enabled}, needs {needed}"),
    })
}

impl Controller {
    /// Everything at once.
    pub fn status(&self, now: Now) -> Status {
        self.status_within(None, now)
    }

    /// The same with the pools and endpoints only that a text names, as orders name them.
    pub(super) fn status_of(&self, text: &str, now: Now) -> Reply {
        let Some(snapshot) = &self.snapshot else { return Reply::Status(Box::default()) };
        match Scope::find(text, &snapshot.compiled.model) {
            Ok(scope) => Reply::Status(Box::new(self.status_within(Some(&scope), now))),
            Err(error) => Reply::failed(error),
        }
    }

    fn status_within(&self, scope: Option<&Scope>, now: Now) -> Status {
        let Some(snapshot) = &self.snapshot else { return Status::default() };
        let model = &snapshot.compiled.model;
        let is_wanted =
            |pool: &Pool, key: &str| scope.is_none_or(|scope| scope.covers(model, pool, key));
        let is_named = |pool: &Pool| {
            // A pool that is asked for may have no endpoint yet.
            is_wanted(pool, "") || pool.endpoints.iter().any(|one| is_wanted(pool, &one.key))
        };
        let pools = model.pools.iter().zip(&snapshot.pools);
        let pools = pools.filter(|(pool, _)| pool.is_written() && is_named(pool));
        let orders = self.orders.iter().map(|(scope, order)| OrderStatus {
            scope: scope.to_string(),
            order: order.admin.to_string(),
            reason: order.reason.to_string(),
            author: order.author.to_string(),
            since: instant(order.since),
            until: order.until.map(instant),
        });
        let Refusals { zones, geo, tables } = self.refusals();
        let parts = self.base().map(|base| &base.parts);
        Status {
            generation: snapshot.generation,
            config: parts.map(|parts| short_digest(&parts.digest())).unwrap_or_default(),
            certificate: None,
            state: StateStatus::default(),
            probing: None,
            refused: zones.as_ref().map(RefusedStatus::new),
            refused_geo: geo.as_ref().map(RefusedStatus::new),
            refused_tables: tables.as_ref().map(RefusedStatus::new),
            parts: parts.map(PartsStatus::from).unwrap_or_default(),
            zones: model.zones.iter().map(|zone| zone.apex.to_string()).collect(),
            places: snapshot.compiled.places.places().len(),
            round_trips: self.counting_table(),
            pools: pools
                .map(|(pool, plan)| {
                    let wanted = |endpoint: &Endpoint| is_wanted(pool, &endpoint.key);
                    self.pool_status(pool, plan, &wanted, now)
                })
                .collect(),
            orders: orders.collect(),
            brake: self.brake_texts(now),
            shifts: self.shift_statuses(),
        }
    }

    /// Records in force as numbers.
    pub fn gauges(&self) -> Gauges {
        let mut shares = Vec::new();
        for (policy, shift) in self.shifts.iter() {
            let share = f64::from(shift.share().0) / f64::from(Billionths::ALL.0);
            shares.push((policy.clone(), shift.target.clone(), share));
        }
        let intake = |((pool, family), way): (&Side, &WayBack)| {
            let tenths = match way.stage {
                Stage::Away => 0,
                Stage::Ramp { tenths, .. } => tenths,
            };
            (pool.clone(), *family, f64::from(tenths) / 10.0)
        };
        Gauges {
            held_by_brake: self.braked_targets(),
            shares,
            intakes: self.ways_back.iter().map(intake).collect(),
            loads: self.load_gauges(),
            cluster: self.cluster_gauges(),
        }
    }

    fn shift_statuses(&self) -> Vec<ShiftStatus> {
        let in_force = self.shifts.iter().map(|(policy, shift)| ShiftStatus {
            policy: policy.to_string(),
            shift: shift.to_string(),
            share: Some(f64::from(shift.share().0) / f64::from(Billionths::ALL.0)),
            written: Some(WrittenStatus::from(&shift.written)),
            ended: None,
        });
        let ended = self.shift_notes.iter().map(|(policy, note)| ShiftStatus {
            policy: policy.to_string(),
            shift: String::new(),
            share: None,
            written: None,
            ended: Some(note.to_string()),
        });
        in_force.chain(ended).collect()
    }

    fn pool_status(
        &self,
        pool: &Pool,
        plan: &PoolPlan,
        is_wanted: &impl Fn(&Endpoint) -> bool,
        now: Now,
    ) -> PoolStatus {
        let model = &self.snapshot.as_ref().expect("status() has seen it").compiled.model;
        let sides = Family::BOTH.map(|family| plan.family(family));
        PoolStatus {
            name: pool.name.to_string(),
            site: pool.site.map(|site| model.sites[site.index()].name.to_string()),
            check: pool.check.map(|check| model.checks[check.index()].name.to_string()),
            qualifies: plan.has_any_family()
                && sides.iter().all(|side| !side.configured || side.standing.qualifies()),
            unresolved: !plan.has_any_family(),
            short: Family::BOTH.into_iter().filter_map(|family| shortfall(plan, family)).collect(),
            failback: self.way_back_text(pool),
            discovery: self.source_texts(pool),
            shed: self.shed_text(pool),
            load: self.load_of(&pool.name),
            panic: sides.iter().any(|side| side.panic),
            endpoints: pool
                .endpoints
                .iter()
                .filter(|endpoint| is_wanted(endpoint))
                .map(|endpoint| self.endpoint_status(pool, endpoint, now))
                .collect(),
        }
    }

    fn endpoint_status(&self, pool: &Pool, endpoint: &Endpoint, now: Now) -> EndpointStatus {
        let model = &self.snapshot.as_ref().expect("status() has seen it").compiled.model;
        let targets = match pool.check {
            Some(check) => health::targets_of(model, endpoint, check, &self.resolutions)
                .into_iter()
                .map(|target| self.target_status(model, check, &target, now))
                .collect(),
            None => unchecked(endpoint, self.resolutions.of(endpoint)),
        };
        let is_wanted = resolve::is_wanted(pool, endpoint);
        EndpointStatus {
            key: endpoint.key.to_string(),
            name: self.resolutions.text(endpoint, is_wanted, now),
            weight: endpoint.weight,
            load: self.loads.of_endpoint(&endpoint.key),
            order: self.state_text(pool, endpoint).unwrap_or_default(),
            targets,
        }
    }
}
