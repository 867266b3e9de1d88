//! A pool at one moment: does it qualify, which members does it serve.
//!
//! Made anew at each flip of one of its members; the query path only reads it.

use std::net::IpAddr;

use crate::model::DualStack;
use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::MinHealthy;
use crate::model::Pool;
use crate::model::Resolved;
use crate::model::Verdict;
use crate::steering::braked::Braked;
use crate::steering::braked::held_up;
use crate::steering::first::Reciprocal;
use crate::steering::member_state::MemberState;
use crate::steering::readiness::Readiness;
use crate::steering::rendezvous::NameSeed;
use crate::steering::select::Chosen;
use crate::steering::share::Share;
use crate::steering::slowness;

pub use crate::steering::intake::Intake;
pub use crate::steering::intake::Shedding;
pub use crate::steering::remembered::Remembered;

/// A pool at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolPlan {
    families: [FamilyPlan; 2],
    /// Hash of its name: which clients come back first.
    seed: NameSeed,
    /// Whom it sends elsewhere.
    shedding: Shedding,
    /// Whom it answers at once.
    readiness: Readiness,
    /// Endpoints that are not as their probes say, and by whose word; for people.
    notes: Box<[Box<str>]>,
}

/// A pool's side of one address family at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyPlan {
    /// By configuration it has an address of this family, or an alias that has resolved to one, or names.
    pub configured: bool,
    /// It has none, and an alias of it may have: nobody has told yet.
    pub unknown: bool,
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
    /// Panic, or the brake holds somebody up: an answer may be worse than configured.
    pub is_strained: bool,
    /// Who is up by the brake alone.
    pub braked: Box<[(EndpointId, Braked)]>,
    /// Somebody who could answer is drained.
    pub has_drained: bool,
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
        let (seed, shedding) = (NameSeed::of_pool(&pool.name), Shedding::default());
        Self { families, seed, shedding, readiness, notes: Box::default() }
    }

    /// The same with an intake for each family.
    pub fn with_intakes(mut self, intakes: [Intake; 2]) -> Self {
        for (family, intake) in self.families.iter_mut().zip(intakes) {
            family.intake = intake;
        }
        self.readiness = Readiness::of(&self.families);
        self
    }

    /// The same with what it sheds; after [`PoolPlan::with_intakes`].
    pub fn with_shedding(mut self, shedding: Shedding) -> Self {
        self.shedding = shedding;
        if shedding.level > 0 {
            self.readiness = Readiness::NEVER;
        }
        self
    }

    /// The same with what people are told of its endpoints.
    pub fn with_notes(mut self, notes: Vec<Box<str>>) -> Self {
        self.notes = notes.into();
        self
    }

    /// Endpoints that are not as their probes say, and by whose word.
    pub fn notes(&self) -> &[Box<str>] {
        &self.notes
    }

    /// Whom it sends elsewhere.
    #[inline]
    pub fn shedding(&self) -> Shedding {
        self.shedding
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

    /// Whether any of those chosen of it is up by the brake alone.
    #[cold]
    pub fn serves_held(&self, chosen: &Chosen<'_>) -> bool {
        let is_held = |id| self.braked.iter().any(|(held, _)| *held == id);
        chosen.iter().any(|member| is_held(member.endpoint))
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
        let braked = held_up(states, family);
        let is_drained = |(at, state): (usize, &MemberState)| {
            !state.is_enabled()
                && can_answer(&pool.endpoints[at], EndpointId::at(at), resolved, family)
        };
        let configured = has_family(pool, resolved, family);
        Self {
            configured,
            unknown: !configured && may_learn_family(pool, resolved, family),
            standing: standing(pool.min_healthy, &candidates, share),
            intake: Intake::All,
            share,
            held_share,
            panic,
            is_strained: panic || !braked.is_empty(),
            braked,
            has_drained: states.iter().enumerate().any(is_drained),
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

/// Whether an alias of a pool, or an endpoint that is to be found, may turn out to have addresses of a family.
fn may_learn_family(pool: &Pool, resolved: &[Resolved], family: Family) -> bool {
    pool.awaits
        || pool.endpoints.iter().enumerate().any(|(at, endpoint)| match endpoint.leaf {
            Leaf::Alias(_) => resolved.get(at).is_none_or(|one| one.is_unknown(family)),
            Leaf::Addresses { .. } | Leaf::Cname(_) | Leaf::Srv(_) => false,
        })
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
