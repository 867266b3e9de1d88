//! A pool at one moment: does it qualify, which members does it serve.
//!
//! Made anew at each flip of one of its members; the query path only reads it.

use std::net::IpAddr;

use crate::model::Admin;
use crate::model::DualStack;
use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::MinHealthy;
use crate::model::Pool;
use crate::model::Resolved;
use crate::model::Verdict;
use crate::steering::first::Reciprocal;
use crate::steering::order::Rank;
use crate::steering::readiness::Readiness;
use crate::steering::rendezvous::NameSeed;
use crate::steering::slowness;

/// What is known and ordered of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MemberState {
    /// The operator's order.
    pub admin: Admin,
    /// Verdicts by [`Family::index`]; of a pool without a check: `Up`.
    pub verdicts: [Verdict; 2],
    /// By how much of its weight it is degraded, in percent, by [`Family::index`].
    pub lowered: [u8; 2],
}

impl MemberState {
    /// Whether thresholds count it and fail-open may serve it.
    pub fn is_enabled(self) -> bool {
        match self.admin {
            Admin::Enabled | Admin::ForcedUp | Admin::ForcedDown => true,
            Admin::Drained => false,
        }
    }

    /// What is left of its weight in percent. Whoever forces it up has seen how slow it is.
    pub fn weight_left(self, family: Family) -> u8 {
        match self.admin {
            Admin::Enabled | Admin::Drained => 100 - self.lowered[family.index()].min(100),
            Admin::ForcedUp | Admin::ForcedDown => 100,
        }
    }

    /// What counts for `family` after the operator's order.
    pub fn verdict(self, family: Family) -> Verdict {
        match self.admin {
            Admin::Enabled | Admin::Drained => self.verdicts[family.index()],
            Admin::ForcedUp => Verdict::Up,
            Admin::ForcedDown => Verdict::Down,
        }
    }
}

/// A pool at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolPlan {
    families: [FamilyPlan; 2],
    /// Hash of its name: which clients come back first.
    seed: NameSeed,
    /// Whom it answers at once.
    readiness: Readiness,
}

/// Which clients a pool that qualifies takes in pass 1: a record, kept by the control plane. Those it does not take
/// are served all the same if nobody else qualifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// All.
    #[default]
    All,
    /// So many tenths of them, the same ones while the number grows.
    Tenths(u8),
    /// None until an operator brings them back.
    AwaitsFailback,
}

impl Intake {
    /// Whether a client is taken; `seed` is that of the pool.
    #[inline]
    pub fn takes(self, key: impl Rank, seed: NameSeed) -> bool {
        match self {
            Self::All => true,
            Self::Tenths(tenths) => key.is_within_tenths(seed, tenths),
            Self::AwaitsFailback => false,
        }
    }
}

/// A pool's side of one address family at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyPlan {
    /// By configuration it has an address of this family, or an alias that has resolved to one, or names.
    pub configured: bool,
    /// What `min_healthy` compares.
    pub standing: Standing,
    /// Which clients it takes while it qualifies.
    pub intake: Intake,
    /// Healthy and enabled weight, standbys standing in counted as 1.
    pub share: Share,
    /// As `share`, but where nobody is healthy those that are held count: what pass 2 falls back on.
    pub held_share: Share,
    /// So little is healthy that all enabled members are served.
    pub panic: bool,
    /// Who is served: the healthy, or if there is none the held, or all enabled in panic; empty if none passes.
    pub serving: Box<[Member]>,
    /// All enabled members: who is served when all are down.
    pub enabled: Box<[Member]>,
    /// Who was healthy last, if now nobody is and any of them is still enabled.
    pub last_good: Option<LastGood>,
    /// Addresses of those of its members that are aliases.
    aliases: Box<[(EndpointId, Box<[IpAddr]>)]>,
    /// Members that are degraded, and what is left of their weight in percent.
    slow: Box<[(EndpointId, u8)]>,
}

/// What `min_healthy` compares: weight, or members where it counts members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is healthy.
    pub healthy: u32,
    /// What is needed.
    pub needed: u32,
    /// What is enabled.
    pub enabled: u32,
}

impl Standing {
    /// Whether the pool qualifies in pass 1.
    pub fn qualifies(self) -> bool {
        self.healthy >= self.needed
    }
}

/// A part of a whole, both in weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Share {
    /// Healthy weight.
    pub healthy: u32,
    /// Enabled weight.
    pub enabled: u32,
}

impl Share {
    /// Whether this share is larger than `other`; nothing of nothing is the smallest.
    pub fn exceeds(self, other: Self) -> bool {
        u64::from(self.healthy) * u64::from(other.enabled.max(1))
            > u64::from(other.healthy) * u64::from(self.enabled.max(1))
    }

    /// Both families together.
    pub fn plus(self, other: Self) -> Self {
        Self { healthy: self.healthy + other.healthy, enabled: self.enabled + other.enabled }
    }
}

/// One endpoint that may be served: an address, or something that stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The address; the first [`Member::address_len`] octets count.
    pub octets: [u8; 16],
    /// 4 or 16; 0 for an alias, whose addresses [`FamilyPlan::addresses`] has, and for a name, which the model has.
    pub address_len: u8,
    /// Its share; standbys that stand in have 1.
    pub weight: u16,
    /// That of its share.
    pub reciprocal: Reciprocal,
    /// Hash of `pool/endpoint`.
    pub seed: NameSeed,
    /// Its position in the pool.
    pub endpoint: EndpointId,
}

impl Member {
    /// The address as rdata of A or AAAA.
    #[inline]
    pub fn rdata(&self) -> &[u8] {
        &self.octets[..usize::from(self.address_len)]
    }
}

/// Members that were healthy last, and the order of pools by when that was.
#[derive(Clone, Debug, PartialEq)]
pub struct LastGood {
    /// Higher is later.
    pub stamp: u64,
    /// Who was served then and is still enabled.
    pub members: Box<[Member]>,
}

/// What is remembered of a pool that has no healthy member left: a record, kept by the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Higher is later.
    pub stamp: u64,
    /// Endpoints that were healthy just before.
    pub endpoints: Vec<EndpointId>,
}

impl PoolPlan {
    /// Weighs a pool; `states` and `resolved` are indexed by [`EndpointId`], `remembered` by [`Family::index`].
    ///
    /// `resolved` has what aliases are to answer with; it may end before the last endpoint.
    pub fn new(
        pool: &Pool,
        states: &[MemberState],
        resolved: &[Resolved],
        remembered: &[Option<Remembered>; 2],
    ) -> Self {
        let family = |family: Family| {
            let remembered = remembered[family.index()].as_ref();
            FamilyPlan::new(pool, states, resolved, family, remembered)
        };
        let families = [family(Family::V4), family(Family::V6)];
        let readiness = Readiness::of(&families);
        Self { families, seed: NameSeed::of_pool(&pool.name), readiness }
    }

    /// The same with an intake for each family.
    pub fn with_intakes(mut self, intakes: [Intake; 2]) -> Self {
        for (family, intake) in self.families.iter_mut().zip(intakes) {
            family.intake = intake;
        }
        self.readiness = Readiness::of(&self.families);
        self
    }

    /// Whether it qualifies in pass 1 and stands back for no client: whose first candidate it is gets it.
    #[inline]
    pub fn is_ready(&self, dual_stack: DualStack, family: Family) -> bool {
        self.readiness.has(dual_stack, family)
    }

    /// Hash of the pool's name.
    #[inline]
    pub fn seed(&self) -> NameSeed {
        self.seed
    }

    /// Whether the client's key decides if it takes a client.
    pub fn is_ramping(&self) -> bool {
        self.families.iter().any(|side| matches!(side.intake, Intake::Tenths(_)))
    }

    /// One family's side.
    #[inline]
    pub fn family(&self, family: Family) -> &FamilyPlan {
        &self.families[family.index()]
    }

    /// Whether it has an address of any family, or names.
    pub fn has_any_family(&self) -> bool {
        self.families.iter().any(|family| family.configured)
    }

    /// Healthy share over both families.
    pub fn joint_share(&self) -> Share {
        self.families[0].share.plus(self.families[1].share)
    }

    /// Share over both families that passes, held or not.
    pub fn joint_held_share(&self) -> Share {
        self.families[0].held_share.plus(self.families[1].held_share)
    }

    /// When either family was healthy last.
    pub fn joint_stamp(&self) -> Option<u64> {
        self.families.iter().filter_map(FamilyPlan::stamp).max()
    }
}

impl FamilyPlan {
    /// When it was healthy last.
    pub fn stamp(&self) -> Option<u64> {
        self.last_good.as_ref().map(|last| last.stamp)
    }

    /// What is left of the weight of a member that is degraded, in percent.
    pub fn slowness(&self, endpoint: EndpointId) -> Option<u8> {
        self.slow.iter().find(|(id, _)| *id == endpoint).map(|(_, left)| *left)
    }

    /// The addresses of a member that is an alias.
    pub fn addresses(&self, endpoint: EndpointId) -> &[IpAddr] {
        let found = self.aliases.iter().find(|(id, _)| *id == endpoint);
        found.map_or(&[], |(_, addresses)| addresses)
    }

    fn new(
        pool: &Pool,
        states: &[MemberState],
        resolved: &[Resolved],
        family: Family,
        remembered: Option<&Remembered>,
    ) -> Self {
        let candidates = candidates(pool, states, resolved, family);
        let group = Group::of(&candidates);
        let mut healthy = group.members(&candidates, |candidate| candidate.healthy);
        let enabled = group.members(&candidates, |_| true);
        let held_share = Share { healthy: weight_of(&healthy), enabled: weight_of(&enabled) };
        let only_held = candidates.iter().any(|candidate| candidate.healthy && candidate.held);
        let share = if only_held { Share { healthy: 0, ..held_share } } else { held_share };
        let panic = !healthy.is_empty()
            && u64::from(held_share.healthy) * 100
                < u64::from(held_share.enabled) * u64::from(pool.panic_below.0);
        let slow = candidates.iter().filter(|candidate| candidate.healthy);
        let left: Vec<(EndpointId, u8)> =
            slow.map(|candidate| (candidate.id, candidate.weight_left)).collect();
        if !panic {
            slowness::lower(&mut healthy, &left);
        }
        let last_good = remembered.map(|remembered| LastGood {
            stamp: remembered.stamp,
            members: members_remembered(&candidates, remembered),
        });
        let last_good = last_good.filter(|last| !last.members.is_empty());
        Self {
            configured: has_family(pool, resolved, family),
            standing: standing(pool.min_healthy, &candidates, share),
            intake: Intake::All,
            share,
            held_share,
            panic,
            serving: if panic { enabled.clone() } else { healthy },
            enabled,
            last_good,
            aliases: aliases(pool, resolved, family),
            slow: slowness::slow(&left),
        }
    }

    /// Endpoints that are healthy now, in panic too: what is remembered when none is left.
    pub fn healthy_endpoints(
        pool: &Pool,
        states: &[MemberState],
        resolved: &[Resolved],
        family: Family,
    ) -> Vec<EndpointId> {
        let candidates = candidates(pool, states, resolved, family);
        candidates
            .iter()
            .filter(|candidate| candidate.healthy)
            .map(|candidate| candidate.id)
            .collect()
    }
}

/// Whether an endpoint can answer for a family now: an alias that is not resolved yet cannot.
pub fn can_answer(
    endpoint: &Endpoint,
    id: EndpointId,
    resolved: &[Resolved],
    family: Family,
) -> bool {
    match &endpoint.leaf {
        Leaf::Alias(_) => {
            resolved.get(id.index()).is_some_and(|one| !one.family(family).is_empty())
        }
        Leaf::Addresses { .. } | Leaf::Cname(_) | Leaf::Srv(_) => endpoint.may_have(family),
    }
}

/// Whether any endpoint of a pool can answer for a family, drained or not.
fn has_family(pool: &Pool, resolved: &[Resolved], family: Family) -> bool {
    let mut endpoints = pool.endpoints.iter().enumerate();
    endpoints.any(|(at, endpoint)| can_answer(endpoint, EndpointId::at(at), resolved, family))
}

/// What each alias of a pool answers with.
fn aliases(
    pool: &Pool,
    resolved: &[Resolved],
    family: Family,
) -> Box<[(EndpointId, Box<[IpAddr]>)]> {
    let endpoints = pool.endpoints.iter().zip(resolved).enumerate();
    let aliases = endpoints.filter(|(_, (endpoint, _))| matches!(endpoint.leaf, Leaf::Alias(_)));
    aliases.map(|(at, (_, one))| (EndpointId::at(at), one.family(family).into())).collect()
}

/// An enabled endpoint that can answer for the family at hand.
struct Candidate<'a> {
    id: EndpointId,
    endpoint: &'a Endpoint,
    /// `None` for aliases and names.
    address: Option<IpAddr>,
    healthy: bool,
    /// Hold-down still runs; healthy only if no other is, and never for pass 1.
    held: bool,
    /// What is left of its weight in percent.
    weight_left: u8,
}

/// Enabled endpoints that can answer for `family`. One that is held counts as healthy only if no other is.
fn candidates<'a>(
    pool: &'a Pool,
    states: &[MemberState],
    resolved: &[Resolved],
    family: Family,
) -> Vec<Candidate<'a>> {
    let enabled = || {
        let endpoints = pool.endpoints.iter().zip(states).enumerate();
        endpoints.filter_map(|(position, (endpoint, state))| {
            let id = EndpointId::at(position);
            let counts = state.is_enabled() && can_answer(endpoint, id, resolved, family);
            counts.then(|| (id, endpoint, state.verdict(family), state.weight_left(family)))
        })
    };
    let any_healthy =
        enabled().any(|(_, _, verdict, _)| matches!(verdict, Verdict::Up | Verdict::Unknown));
    enabled()
        .map(|(id, endpoint, verdict, weight_left)| {
            let address = endpoint.address(family);
            let healthy = match verdict {
                Verdict::Up | Verdict::Unknown => true,
                Verdict::Held => !any_healthy,
                Verdict::Down => false,
            };
            let held = verdict == Verdict::Held;
            Candidate { id, endpoint, address, healthy, held, weight_left }
        })
        .collect()
}

/// Which members a pool serves from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Those with a weight.
    Weighted,
    /// Those without, each counted as 1.
    Standby,
}

impl Group {
    /// Standbys stand in when no member with a weight is healthy, or when there is none.
    fn of(candidates: &[Candidate<'_>]) -> Self {
        let any = |weighted: bool, healthy: bool| {
            candidates
                .iter()
                .any(|c| (c.endpoint.weight > 0) == weighted && (c.healthy || !healthy))
        };
        if any(true, true) || (any(true, false) && !any(false, true)) {
            Self::Weighted
        } else {
            Self::Standby
        }
    }

    fn members(
        self,
        candidates: &[Candidate<'_>],
        keep: impl Fn(&Candidate<'_>) -> bool,
    ) -> Box<[Member]> {
        candidates
            .iter()
            .filter(|candidate| {
                (candidate.endpoint.weight > 0) == (self == Self::Weighted) && keep(candidate)
            })
            .map(|candidate| member(candidate, candidate.endpoint.weight.max(1)))
            .collect()
    }
}

/// Remembered members that are still enabled: those with a weight, else the standbys that had taken over.
fn members_remembered(candidates: &[Candidate<'_>], remembered: &Remembered) -> Box<[Member]> {
    let is_kept = |candidate: &Candidate<'_>| remembered.endpoints.contains(&candidate.id);
    let weighted = Group::Weighted.members(candidates, is_kept);
    if weighted.is_empty() { Group::Standby.members(candidates, is_kept) } else { weighted }
}

fn member(candidate: &Candidate<'_>, weight: u16) -> Member {
    let mut octets = [0; 16];
    let address_len = match candidate.address {
        Some(IpAddr::V4(v4)) => {
            octets[..4].copy_from_slice(&v4.octets());
            4
        }
        Some(IpAddr::V6(v6)) => {
            octets = v6.octets();
            16
        }
        None => 0,
    };
    let seed = NameSeed::of_member(&candidate.endpoint.key);
    let reciprocal = Reciprocal::of(weight);
    Member { octets, address_len, weight, reciprocal, seed, endpoint: candidate.id }
}

fn weight_of(members: &[Member]) -> u32 {
    members.iter().map(|member| u32::from(member.weight)).sum()
}

/// What `min_healthy` compares. At least one member must be healthy in any case.
fn standing(min_healthy: MinHealthy, candidates: &[Candidate<'_>], share: Share) -> Standing {
    match min_healthy {
        MinHealthy::Share(percent) => {
            let needed = (u64::from(share.enabled) * u64::from(percent.0)).div_ceil(100) as u32;
            Standing { healthy: share.healthy, needed: needed.max(1), enabled: share.enabled }
        }
        MinHealthy::Members(count) => Standing {
            healthy: candidates.iter().filter(|c| c.healthy && !c.held).count() as u32,
            needed: u32::from(count).max(1),
            enabled: candidates.len() as u32,
        },
    }
}
