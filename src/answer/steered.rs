//! What is chosen at a steered name: place, class, pool, members, scope. And the addresses, if it is those.

use std::net::IpAddr;

use crate::answer::Happened;
use crate::answer::data::Answering;
use crate::answer::data::Step;
use crate::geo::Leaf;
use crate::model::ANSWERS_MAX;
use crate::model::EcsUse;
use crate::model::Family;
use crate::model::KeySource;
use crate::model::PoolId;
use crate::model::SteerId;
use crate::model::policy::client_prefix_len;
use crate::snapshot::Cached;
use crate::snapshot::Classes;
use crate::snapshot::Compiled;
use crate::snapshot::Route;
use crate::snapshot::Snapshot;
use crate::snapshot::SteerPlan;
use crate::snapshot::classes::Classified;
use crate::snapshot::classes::leaf_of;
use crate::steering::Chosen;
use crate::steering::ClientKey;
use crate::steering::Decision;
use crate::steering::NoTrace;
use crate::steering::Pass;
use crate::steering::Selection;
use crate::steering::Tree;
use crate::steering::choose;
use crate::steering::decide;
use crate::steering::only;
use crate::steering::plan::FamilyPlan;
use crate::steering::plan::Member;
use crate::steering::rendezvous::key_address;
use crate::wire::Ecs;
use crate::wire::Qname;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::writer::Full;
use crate::wire::writer::Section;
use crate::zone::Zone;

/// Shortest TTL of a steered answer, in seconds: below it resolvers and we would do little else.
pub const TTL_MIN: u32 = 5;

/// Info-code "Other Error" of an extended error (RFC 8914 section 4.1).
const EDE_OTHER: u16 = 0;

/// For whom the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The client's prefix, rest zero; or the resolver's whole address.
    pub address: IpAddr,
    /// Bits of it that are known.
    pub source_len: u8,
    /// Whether it came from a client subnet option; a prefix of length 0 does not count (RFC 7871 section 7.1.2).
    pub from_ecs: bool,
}

impl Subject {
    /// For whom a steered name is answered: it may look at resolvers only, and some are not believed.
    #[inline]
    pub fn seen_by(
        compiled: &Compiled,
        plan: &SteerPlan,
        ecs: Option<Ecs>,
        client: IpAddr,
    ) -> Self {
        let counts = plan.ecs == EcsUse::Use && compiled.node.ecs_from.has(client);
        Self::of(ecs.filter(|_| counts), client)
    }

    /// The client subnet if the query has one that says something, else who sent it.
    #[inline]
    pub fn of(ecs: Option<Ecs>, client: IpAddr) -> Self {
        match ecs {
            Some(ecs) if ecs.source_prefix_len > 0 => {
                Self { address: ecs.address, source_len: ecs.source_prefix_len, from_ecs: true }
            }
            _ => {
                let source_len = if client.is_ipv4() { 32 } else { 128 };
                Self { address: client, source_len, from_ecs: false }
            }
        }
    }
}

/// A pool that was chosen for the client of a query.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    plan: &'a SteerPlan,
    pub(super) selection: Selection,
    pub(super) side: &'a FamilyPlan,
    members: &'a [Member],
    key: ClientKey,
    pub(super) ttl: u32,
    pub(super) is_degraded: bool,
}

impl<'a> Choice<'a> {
    /// Who answers, best first.
    pub(super) fn members(&self) -> Chosen<'a> {
        choose(self.members, self.plan.answers, self.key)
    }
}

/// Hands out the address of each chosen member as rdata, several of those that are aliases; [`ANSWERS_MAX`] at most.
#[inline(always)]
pub(super) fn for_each_address<E>(
    side: &FamilyPlan,
    chosen: &Chosen<'_>,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = ANSWERS_MAX;
    for member in chosen.iter() {
        if member.address_len > 0 {
            each(member.rdata())?;
            left -= 1;
        } else {
            left -= each_resolved(side.addresses(member.endpoint), left, &mut each)?;
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// Hands out at most `left` addresses of an alias; returns how many it were.
#[inline(never)]
fn each_resolved<E>(
    addresses: &[IpAddr],
    left: usize,
    each: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<usize, E> {
    let count = addresses.len().min(left);
    for address in &addresses[..count] {
        match address {
            IpAddr::V4(address) => each(&address.octets())?,
            IpAddr::V6(address) => each(&address.octets())?,
        }
    }
    Ok(count)
}

/// Where the subject is and how the policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    /// The leaf of the place table.
    pub leaf: Leaf,
    /// The class of its place, or of most of its prefix.
    pub classified: Classified,
}

/// Finds the subject's place and class for a steered name.
#[inline]
pub fn locate(compiled: &Compiled, plan: &SteerPlan, subject: &Subject) -> Located {
    let classes = &compiled.classes[compiled.routes[plan.route].classes];
    located(compiled, classes, subject)
}

/// Finds the subject's place and class.
#[inline(always)] // else its result goes through memory: 25 instructions
fn located(compiled: &Compiled, classes: &Classes, subject: &Subject) -> Located {
    let leaf = leaf_of(&compiled.places, subject.address);
    let (address, source_len) = (subject.address, subject.source_len);
    Located { leaf, classified: classes.classify(&compiled.places, address, source_len, leaf) }
}

/// The client's key for a steered name at a moment.
#[inline]
pub fn key_of(plan: &SteerPlan, subject: &Subject, resolver: IpAddr, unix_s: u64) -> ClientKey {
    ClientKey::of(key_address(plan.key, subject.address, resolver), plan.period, unix_s, plan.owner)
}

/// How many bits of the client subnet the answer depends on (RFC 7871 section 7.2.1): whatever the health.
#[inline]
pub fn scope_of(
    route: &Route,
    plan: &SteerPlan,
    subject: &Subject,
    uniform_len: u8,
    family: Family,
) -> u8 {
    if !subject.from_ecs {
        return 0;
    }
    let is_keyed = route.keyed[family.index()] && plan.key == KeySource::Client;
    let key_len = if is_keyed { client_prefix_len(subject.address) } else { 0 };
    uniform_len.max(key_len).min(subject.source_len)
}

/// Whether two clients, or one in two networks, can get different addresses of a steered name.
fn depends_on_client(compiled: &Compiled, plan: &SteerPlan, family: Family) -> bool {
    let route = &compiled.routes[plan.route];
    let is_keyed = route.keyed[family.index()] && plan.key == KeySource::Client;
    is_keyed || compiled.classes[route.classes].trees().len() > 1
}

/// The type of records with addresses of a family.
#[inline]
fn rtype_of(family: Family) -> RecordType {
    match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    }
}

/// The TTL of an answer: half while it is worse than configured, so that recovery is seen soon.
#[inline]
pub fn ttl_of(plan: &SteerPlan, is_degraded: bool) -> u32 {
    if is_degraded { (plan.ttl / 2).max(TTL_MIN) } else { plan.ttl }
}

/// What an extended error says of a degraded answer.
pub fn degraded_text(selection: Selection, is_panic: bool) -> &'static str {
    match (selection.pass, selection.fenced) {
        (Pass::Qualified, _) => {
            "rhumb: healthy weight below panic_below, all enabled members served"
        }
        (Pass::BestShare, false) if is_panic => {
            "rhumb: no pool keeps min_healthy, best share served; below panic_below, so all its enabled members"
        }
        (Pass::BestShare, true) if is_panic => {
            "rhumb: no pool keeps min_healthy, best share inside the fence served; below panic_below, so all its enabled members"
        }
        (Pass::BestShare, false) => "rhumb: no pool keeps min_healthy, best share served",
        (Pass::BestShare, true) => {
            "rhumb: no pool keeps min_healthy, best share inside the fence served"
        }
        (Pass::FailOpen, false) => "rhumb: all down, first pool served (fail_open)",
        (Pass::FailOpen, true) => {
            "rhumb: all down inside the fence, first pool there served (fail_open)"
        }
        (Pass::NamedPool, false) => "rhumb: all down, pool of on_all_down served",
        (Pass::NamedPool, true) => {
            "rhumb: all down inside the fence, pool of on_all_down there served"
        }
        (Pass::LastGood, false) => "rhumb: all down, last good members served",
        (Pass::LastGood, true) => {
            "rhumb: all down inside the fence, last good members there served"
        }
    }
}

impl Snapshot {
    /// The pool for a class of clients, from the decisions made ahead or by running the passes for this key.
    ///
    /// Most clients get their first candidate: that is told without a walk. The key comes back if it was asked for.
    #[inline]
    fn decision(
        &self,
        plan: &SteerPlan,
        classes: &Classes,
        class: u16,
        family: Family,
        key: impl FnOnce() -> ClientKey,
    ) -> (Decision, Option<ClientKey>) {
        if let Cached::Fixed(decision) = self.cached(plan.route, class, family) {
            return (decision, None);
        }
        let key = key();
        let dual_stack = self.terms(plan.route).dual_stack;
        let decision = match classes.first_choice(class, key) {
            Some(pool) if self.pools[pool.index()].is_ready(dual_stack, family) => {
                Decision::Serve(Selection { pool, pass: Pass::Qualified, fenced: false })
            }
            Some(_) | None => {
                self.run_passes(plan, &classes.trees()[usize::from(class)], family, key)
            }
        };
        (decision, Some(key))
    }

    /// The pool for one client, by the passes.
    #[inline(never)]
    fn run_passes(
        &self,
        plan: &SteerPlan,
        tree: &Tree,
        family: Family,
        key: ClientKey,
    ) -> Decision {
        decide(tree, self.terms(plan.route), &self.pools, family, key, &mut NoTrace)
    }
}

impl<'a> Answering<'a> {
    /// Answers A or AAAA of a steered name.
    #[inline]
    pub(super) fn put_steered(
        &mut self,
        zone: &Zone,
        steer: SteerId,
        family: Family,
        name: &Qname,
        owner: usize,
    ) -> Result<Step, Full> {
        let snapshot = self.snapshot;
        let compiled = &snapshot.compiled;
        let plan = compiled.steer(steer);
        let ecs = self.query.edns.as_ref().and_then(|edns| edns.ecs);
        let subject = Subject::seen_by(compiled, plan, ecs, self.request.client);
        let route = &compiled.routes[plan.route];
        let classes = &*compiled.classes[route.classes];
        let classified = located(compiled, classes, &subject).classified;
        let key = || key_of(plan, &subject, self.request.client, self.request.unix_s);
        let scope = scope_of(route, plan, &subject, classified.uniform_len, family);
        let (decision, known) = snapshot.decision(plan, classes, classified.class, family, key);
        let key = || known.unwrap_or_else(key);
        let selection = match decision {
            Decision::Serve(selection) => selection,
            Decision::NoFamily => {
                self.put_negative(zone, name, owner)?;
                return Ok(Step::Done(Rcode::NoError, Happened::Static));
            }
            Decision::Nothing => {
                return Ok(self.refuse_nothing(steer, scope));
            }
        };
        let side = snapshot.pools[selection.pool.index()].family(family);
        let members = selection.members_of(side);
        let is_degraded = selection.is_degraded_at(side);
        let (ttl, rtype) = (ttl_of(plan, is_degraded), rtype_of(family));
        match only(members, plan.answers, key) {
            Some(only) if only.address_len > 0 => {
                self.writer.put_record(owner, rtype, ttl, only.rdata())?;
            }
            Some(_) | None => {
                for_each_address(side, &choose(members, plan.answers, key()), |rdata| {
                    self.writer.put_record(owner, rtype, ttl, rdata)
                })?;
            }
        }
        self.widen_scope(scope);
        Ok(Step::Done(Rcode::NoError, self.note_pass(selection, family, is_degraded)))
    }

    /// Chooses for the client as [`Answering::put_steered`] does, for what is not addresses of the asked family.
    pub(super) fn choose_for(&self, steer: SteerId, family: Family) -> (u8, Option<Choice<'a>>) {
        let snapshot: &'a Snapshot = self.snapshot;
        let compiled = &snapshot.compiled;
        let plan = compiled.steer(steer);
        let ecs = self.query.edns.as_ref().and_then(|edns| edns.ecs);
        let subject = Subject::seen_by(compiled, plan, ecs, self.request.client);
        let route = &compiled.routes[plan.route];
        let classes = &*compiled.classes[route.classes];
        let classified = locate(compiled, plan, &subject).classified;
        let key = key_of(plan, &subject, self.request.client, self.request.unix_s);
        let scope = scope_of(route, plan, &subject, classified.uniform_len, family);
        match snapshot.decision(plan, classes, classified.class, family, || key).0 {
            Decision::NoFamily | Decision::Nothing => (scope, None),
            Decision::Serve(selection) => {
                let side = snapshot.pools[selection.pool.index()].family(family);
                let is_degraded = selection.is_degraded_at(side);
                let choice = Choice {
                    plan,
                    selection,
                    side,
                    members: selection.members_of(side),
                    key,
                    ttl: ttl_of(plan, is_degraded),
                    is_degraded,
                };
                (scope, Some(choice))
            }
        }
    }

    /// There is nothing to serve. Other clients may be better off: resolvers keep failures too (RFC 9520).
    #[cold]
    pub(super) fn refuse_nothing(&mut self, steer: SteerId, scope: u8) -> Step {
        self.widen_scope(scope);
        let compiled = &self.snapshot.compiled;
        let route = &compiled.routes[compiled.steer(steer).route];
        let has_any = |pool: &PoolId| self.snapshot.pools[pool.index()].has_any_family();
        self.options.ede = Some((
            EDE_OTHER,
            match route.pools.iter().any(has_any) {
                true => {
                    "rhumb: all members are drained, or all are down and on_all_down is servfail"
                }
                false => "rhumb: none of the names that are to answer has been resolved yet",
            },
        ));
        Step::Done(Rcode::ServFail, Happened::NothingToServe)
    }

    /// The answer depends on so many bits of the client subnet too (RFC 7871 section 7.2.1).
    #[inline]
    pub(super) fn widen_scope(&mut self, scope: u8) {
        if let Some((_, so_far)) = &mut self.options.ecs {
            *so_far = scope.max(*so_far);
        }
    }

    /// Adds the addresses of a steered name that an answer points to: those that the client would get by asking.
    ///
    /// Not if the query has a client subnet and the choice looks at it: additional data are kept for everybody
    /// (RFC 7871 section 7.3.1), and the scope of the reply is that of its answer alone. Nor if there is nothing
    /// to serve; nothing is said of a degraded choice.
    pub(super) fn put_additional_steered(
        &mut self,
        steer: SteerId,
        family: Family,
        name: &Qname,
    ) -> Result<(), Full> {
        let snapshot = self.snapshot;
        let compiled = &snapshot.compiled;
        let plan = compiled.steer(steer);
        let ecs = self.query.edns.as_ref().and_then(|edns| edns.ecs);
        let counts = plan.ecs == EcsUse::Use && compiled.node.ecs_from.has(self.request.client);
        if ecs.is_some() && counts && depends_on_client(compiled, plan, family) {
            return Ok(());
        }
        let (_, Some(choice)) = self.choose_for(steer, family) else { return Ok(()) };
        for_each_address(choice.side, &choice.members(), |rdata| {
            let (owner, rtype) = (name.as_wire(), rtype_of(family));
            self.writer.put_named(Section::Additional, owner, rtype, choice.ttl, rdata)
        })
    }

    /// Says in the reply why it is worse than configured, and names it for the counters.
    #[inline]
    pub(super) fn note_pass(
        &mut self,
        selection: Selection,
        family: Family,
        is_degraded: bool,
    ) -> Happened {
        if !is_degraded {
            return Happened::Steered(selection.pass);
        }
        let is_panic = selection.is_panic(&self.snapshot.pools, family);
        self.options.ede = Some((EDE_OTHER, degraded_text(selection, is_panic)));
        match is_panic {
            true => Happened::Panic(selection.pass),
            false => Happened::Steered(selection.pass),
        }
    }
}
