//! What an evaluation considered, step by step: types, so that people and machines read the same.

use crate::model::EndpointId;
use crate::model::Family;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::Target;
use crate::steering::braked::Braked;
use crate::steering::passes::Pass;

/// Takes the steps of an evaluation.
pub trait Trace {
    /// One step, in order.
    fn step(&mut self, step: Step);
}

/// Takes nothing, and costs nothing: for the query path.
#[derive(Clone, Copy, Debug)]
pub struct NoTrace;

impl Trace for NoTrace {
    #[inline(always)]
    fn step(&mut self, _: Step) {}
}

impl Trace for Vec<Step> {
    fn step(&mut self, step: Step) {
        self.push(step);
    }
}

/// One thing an evaluation considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A rule of a `geo` or `networks` policy fitted the client, or none did.
    Matched {
        /// Whose rules.
        policy: PolicyId,
        /// Position of the rule; none for the default.
        rule: Option<u16>,
        /// By what it fitted.
        ground: Ground,
    },
    /// A target was ranked by `nearest` or `fastest`; the steps of one policy are in their order.
    Ranked {
        /// Whose targets.
        policy: PolicyId,
        /// What was ranked.
        target: Target,
        /// By what.
        estimate: Estimate,
        /// Targets with one number are as good as each other; those beyond the last ranked one are in none.
        group: Option<u16>,
    },
    /// A weighted policy's turn: its first choice for this client, or one that takes overflow.
    Weighed {
        /// Whose weights decided.
        policy: PolicyId,
        /// What was chosen.
        target: Target,
        /// Whether it is this client's own share.
        first: bool,
        /// Whether it takes overflow.
        spill: bool,
    },
    /// The list reaches no pool with the asked family: targets without spill are considered too.
    WidenedForFamily,
    /// Whoever qualifies stands back: the first of them serves all the same.
    NobodyElseQualifies,
    /// No candidate qualifies, and a fence ends the list: what lies behind it is never served.
    Fenced,
    /// A pool was looked at and not taken.
    PassedOver {
        /// In which pass.
        pass: Pass,
        /// Which pool.
        pool: PoolId,
        /// Why.
        reason: Reason,
    },
    /// A pool was taken.
    Taken {
        /// In which pass.
        pass: Pass,
        /// Which pool.
        pool: PoolId,
    },
    /// A member of the pool that was taken is up by the brake alone.
    HeldUp {
        /// Which pool.
        pool: PoolId,
        /// Which of its endpoints.
        endpoint: EndpointId,
        /// What its probes say.
        braked: Braked,
    },
}

/// By what a rule fits a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Its continent.
    Continent,
    /// Its country.
    Country,
    /// Its part of a country.
    Subdivision,
    /// The longest prefix of all rules that holds its address.
    Prefix,
    /// Its autonomous system.
    System,
    /// No rule fits.
    Default,
}

/// How good a target is for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// Nobody knows where the client is: targets stand as written.
    Unknown,
    /// By distance.
    Distance {
        /// To the target's nearest site.
        site: SiteId,
        /// On the globe.
        metres: u64,
        /// After bias.
        biased: u64,
    },
    /// By round-trip time.
    RoundTrip {
        /// The target's fastest site.
        site: SiteId,
        /// Microseconds.
        micros: u64,
        /// Whether measurements are part of it.
        is_measured: bool,
    },
}

/// Why a pool was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// By configuration it has no address of the asked family.
    LacksFamily,
    /// Too little of it is healthy.
    BelowMinHealthy {
        /// In which family.
        family: Family,
        /// Healthy weight, or members where `min_healthy` counts members.
        healthy: u32,
        /// What it needs, in the same unit.
        needed: u32,
        /// What it has enabled, in the same unit.
        enabled: u32,
    },
    /// It qualifies, and waits for an operator to bring its clients back.
    AwaitsFailback,
    /// It qualifies, and its clients come back by and by: this one not yet.
    Ramping {
        /// How many tenths of them have come back.
        tenths: u8,
    },
    /// It qualifies, and its load makes it send its farthest clients elsewhere: this one is among them.
    Shed {
        /// How many sixteenths of its clients it sends elsewhere.
        level: u8,
        /// The sixteenth that this client is of: 0 is the nearest, 15 the farthest.
        band: u8,
    },
    /// It qualifies, but has load enough of its own: it takes nobody whom another pool sheds.
    Laden,
    /// No member of the asked family passes its probe; another pool has one that does.
    FamilyDown,
    /// No member is healthy.
    NoHealthyMember,
    /// Another pool has a larger healthy share, or an earlier one as large a share.
    SmallerShare,
    /// No member of the asked family is enabled.
    NoEnabledMember,
    /// Nothing is remembered as good.
    NothingRemembered,
}
