//! What an extended error says of an answer that is worse than configured, or of one that is none.
//!
//! Nothing of this is looked at for an answer that is as configured.

use std::ops::ControlFlow;

use crate::answer::Happened;
use crate::answer::data::Answering;
use crate::answer::data::Step;
use crate::answer::steered::Subject;
use crate::answer::steered::key_of;
use crate::answer::steered::locate;
use crate::model::Family;
use crate::model::SteerId;
use crate::snapshot::Snapshot;
use crate::snapshot::SteerPlan;
use crate::steering::Chosen;
use crate::steering::ClientKey;
use crate::steering::NoTrace;
use crate::steering::Pass;
use crate::steering::Selection;
use crate::steering::Tree;
use crate::steering::choose;
use crate::steering::tree::Reach;
use crate::wire::Rcode;
use crate::wire::extended_error::ExtendedError;

/// Info-code "Other Error" of an extended error (RFC 8914 section 4.1).
const EDE_OTHER: u16 = 0;

/// What is the matter with a client's candidates, if none of them has a healthy member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Every member is down.
    Down,
    /// Every member is drained, whatever its probes say.
    Drained,
    /// Some are drained, the others down.
    DownOrDrained,
    /// Nobody has an address of the family.
    Nobody,
}

/// What else is to be said of a degraded answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// So little of the pool is healthy that all of it is served.
    pub is_panic: bool,
    /// Somebody who is served is up by the brake alone.
    pub is_braked: bool,
    /// Why nobody is healthy; counts in pass 3 only.
    pub idle: Idle,
}

/// What an extended error says of a degraded answer, in parts.
pub fn degraded_text(selection: Selection, degradation: Degradation) -> [&'static str; 4] {
    let Degradation { is_panic, is_braked, idle } = degradation;
    let Selection { pool: _, pass, fenced } = selection;
    let all = match idle {
        Idle::Down => "rhumb: all down",
        Idle::Drained => "rhumb: all drained",
        Idle::DownOrDrained => "rhumb: all down or drained",
        Idle::Nobody => "rhumb: no candidate has such an address",
    };
    let (head, tail) = match (pass, fenced) {
        (Pass::Qualified, _) if is_panic => {
            ("rhumb: healthy weight below panic_below, all enabled members served", "")
        }
        (Pass::Qualified, _) => {
            let text = "rhumb: a served member is held up by the brake, its probes said down";
            return [text, "", "", ""];
        }
        (Pass::BestShare, _) if is_panic => (
            "rhumb: no pool keeps min_healthy, best share",
            " served; below panic_below, so all its enabled members",
        ),
        (Pass::BestShare, _) => ("rhumb: no pool keeps min_healthy, best share", " served"),
        (Pass::FailOpen, false) => (all, ", first pool served (fail_open)"),
        (Pass::FailOpen, true) => (all, ", first pool there served (fail_open)"),
        (Pass::NamedPool, false) => (all, ", pool of on_all_down served"),
        (Pass::NamedPool, true) => (all, ", pool of on_all_down there served"),
        (Pass::LastGood, false) => (all, ", last good members served"),
        (Pass::LastGood, true) => (all, ", last good members there served"),
    };
    let brake = match is_braked {
        true => "; a served member is held up by the brake, its probes said down",
        false => "",
    };
    [head, if fenced { FENCE } else { "" }, tail, brake]
}

/// Where a fence confines what is said.
const FENCE: &str = " inside the fence";

/// What an extended error says where nothing may be served, in parts.
pub fn nothing_text(idle: Idle, fenced: bool, missing: Missing) -> [&'static str; 4] {
    let fence = if fenced { FENCE } else { "" };
    let servfail = ", and on_all_down is servfail";
    match idle {
        Idle::Down => ["rhumb: all down", fence, servfail, ""],
        Idle::Drained => ["rhumb: all drained", fence, "", ""],
        Idle::DownOrDrained => ["rhumb: all down or drained", fence, servfail, ""],
        Idle::Nobody => match missing {
            Missing::Everything => {
                ["rhumb: none of the names that are to answer has been resolved yet", "", "", ""]
            }
            Missing::Family => {
                ["rhumb: a name that may have such addresses has not been resolved yet", "", "", ""]
            }
            Missing::Nothing => {
                ["rhumb: no pool that may answer", fence, " has such an address", ""]
            }
        },
    }
}

/// What is not known of a name's pools, because aliases have not been resolved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: every alias that matters is resolved.
    Nothing,
    /// Whether any pool has a family.
    Family,
    /// Every address of every pool.
    Everything,
}

/// One client of a steered name: all that says who its candidates are.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) plan: &'a SteerPlan,
    pub(super) class: u16,
    pub(super) family: Family,
    pub(super) key: ClientKey,
}

impl Case<'_> {
    fn tree(&self) -> &Tree {
        let compiled = &self.snapshot.compiled;
        let classes = &compiled.classes[compiled.routes[self.plan.route].classes];
        &classes.trees()[usize::from(self.class)]
    }

    /// What is the matter with the candidates, if none has a healthy member; up to the fence, if there is one.
    pub(super) fn idle(&self) -> Idle {
        match self.idle_within(Reach::Spill) {
            Idle::Nobody => self.idle_within(Reach::All),
            idle @ (Idle::Down | Idle::Drained | Idle::DownOrDrained) => idle,
        }
    }

    fn idle_within(&self, reach: Reach) -> Idle {
        let (mut any_enabled, mut any_drained) = (false, false);
        let _: Option<()> = self.tree().walk(self.key, reach, &mut NoTrace, |pool, _| {
            let side = self.snapshot.pools[pool.index()].family(self.family);
            any_enabled |= !side.enabled.is_empty();
            any_drained |= side.has_drained;
            ControlFlow::Continue(())
        });
        match (any_enabled, any_drained) {
            (true, false) => Idle::Down,
            (false, true) => Idle::Drained,
            (true, true) => Idle::DownOrDrained,
            (false, false) => Idle::Nobody,
        }
    }

    /// Who is served of the pool that was chosen.
    pub(super) fn chosen(&self, selection: Selection) -> Chosen<'_> {
        choose(selection.members(&self.snapshot.pools, self.family), self.plan.answers, self.key)
    }

    /// What is to be said of a degraded answer to this client.
    pub(super) fn degradation(&self, selection: Selection) -> Degradation {
        let pools = &self.snapshot.pools;
        let side = pools[selection.pool.index()].family(self.family);
        Degradation {
            is_panic: selection.is_panic(pools, self.family),
            is_braked: side.serves_held(&self.chosen(selection)),
            idle: self.idle(),
        }
    }

    /// Why there is nothing to serve, in parts.
    pub(super) fn nothing_text(&self) -> [&'static str; 4] {
        let route = &self.snapshot.compiled.routes[self.plan.route];
        let plans = || route.pools.iter().map(|pool| &self.snapshot.pools[pool.index()]);
        let lacks = |family: Family| plans().all(|plan| !plan.family(family).configured);
        let awaits = |family: Family| plans().any(|plan| plan.family(family).unknown);
        let is_unknown = Family::BOTH.into_iter().any(|family| lacks(family) && awaits(family));
        let missing = match (plans().any(|plan| plan.has_any_family()), is_unknown) {
            (false, _) => Missing::Everything,
            (true, true) => Missing::Family,
            (true, false) => Missing::Nothing,
        };
        let fenced = self.tree().ends_at_a_fence(self.key, Reach::Spill);
        nothing_text(self.idle(), fenced, missing)
    }
}

impl Answering<'_> {
    /// The client of the query, at a steered name.
    fn case(&self, steer: SteerId, family: Family) -> Case<'_> {
        let compiled = &self.snapshot.compiled;
        let plan = compiled.steer(steer);
        let ecs = self.query.edns.and_then(|edns| edns.ecs);
        let subject = Subject::seen_by(compiled, plan, ecs, self.request.client);
        Case {
            snapshot: self.snapshot,
            plan,
            class: locate(compiled, plan, &subject).classified.class,
            family,
            key: key_of(plan, &subject, self.request.client, self.request.unix_s),
        }
    }

    /// There is nothing to serve. Other clients may be better off: resolvers keep failures too (RFC 9520).
    #[cold]
    pub(super) fn refuse_nothing(&mut self, steer: SteerId, family: Family, scope: u8) -> Step {
        self.widen_scope(scope);
        let text = self.case(steer, family).nothing_text();
        self.options.ede = Some(ExtendedError { info: EDE_OTHER, text });
        Step::Done(Rcode::ServFail, Happened::NothingToServe)
    }

    /// Says in the reply why it is worse than configured, and names it for the counters.
    #[inline]
    pub(super) fn note_pass(
        &mut self,
        steer: SteerId,
        family: Family,
        selection: Selection,
        is_degraded: bool,
    ) -> Happened {
        match is_degraded {
            true => self.note_degraded(steer, family, selection),
            false => Happened::Steered(selection.pass),
        }
    }

    #[cold]
    fn note_degraded(&mut self, steer: SteerId, family: Family, selection: Selection) -> Happened {
        let degradation = self.case(steer, family).degradation(selection);
        let text = degraded_text(selection, degradation);
        self.options.ede = Some(ExtendedError { info: EDE_OTHER, text });
        match degradation.is_panic {
            true => Happened::Panic(selection.pass),
            false => Happened::Steered(selection.pass),
        }
    }
}
