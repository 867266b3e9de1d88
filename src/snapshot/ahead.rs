//! Decisions made ahead: for each class of a route and family, anew at each flip of a pool that it can depend on.
//!
//! Pass 1 is a look along the first candidates of a class; the passes themselves run only where none of these
//! qualifies. So a flip costs nanoseconds a class, whatever the policies are made of.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::Family;
use crate::model::PoolId;
use crate::snapshot::Classes;
use crate::snapshot::Route;
use crate::steering::Class;
use crate::steering::ClientKey;
use crate::steering::Decision;
use crate::steering::NoTrace;
use crate::steering::Pass;
use crate::steering::PoolPlan;
use crate::steering::Selection;
use crate::steering::Tree;
use crate::steering::decide;
use crate::steering::passes::Terms;
use crate::steering::passes::has_all_back;
use crate::steering::passes::qualifies;
use crate::steering::tree::Reach;

/// Candidates of a class that are written down; those of policies that rank are four and a tail.
const DEPTH: usize = 8;

/// No further candidate.
const END: u16 = u16::MAX;

/// The decision for one class and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// The same for every client of the class.
    Fixed(Decision),
    /// Shares decide: the passes are run for each client.
    Keyed,
}

/// What the decisions of a route's classes depend on: the first candidates of each, as positions in [`Route::pools`].
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// By class; `None` where the client's key decides.
    first: Box<[Option<[u16; DEPTH]>]>,
}

impl Candidates {
    /// Writes down the first candidates of each tree; `pools` are all of theirs, sorted.
    pub fn new(trees: &[Tree], pools: &[PoolId]) -> Self {
        Self { first: trees.iter().map(|tree| first_candidates(tree, pools)).collect() }
    }
}

fn first_candidates(tree: &Tree, pools: &[PoolId]) -> Option<[u16; DEPTH]> {
    if tree.is_keyed() {
        return None;
    }
    let mut first = [END; DEPTH];
    let mut count = 0;
    tree.walk(ClientKey(0), Reach::Spill, &mut NoTrace, |pool, _| {
        let position = pools.binary_search(&pool).ok();
        first[count] = position.and_then(|at| u16::try_from(at).ok()).unwrap_or(END);
        count += 1;
        // What cannot be written down ends the list: then the passes are run.
        if count == DEPTH || first[count - 1] == END {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    Some(first)
}

/// Decides for every class of a route and both families.
pub fn decide_ahead(
    classes: &Classes,
    route: &Route,
    terms: Terms,
    plans: &[Arc<PoolPlan>],
) -> Arc<[Cached]> {
    let [v4, v6] = Family::BOTH.map(|family| Moment::new(route, terms, plans, family));
    let any_ramping = route.pools.iter().any(|pool| plans[pool.index()].is_ramping());
    let mut decided = Vec::with_capacity(classes.trees().len() * 2);
    for (first, class) in route.candidates.first.iter().zip(classes.all()) {
        decided.extend(match first {
            Some(first) if !(any_ramping && ramps(class.tree, plans)) => {
                [v4.decide(first, class), v6.decide(first, class)].map(Cached::Fixed)
            }
            Some(_) | None => [Cached::Keyed; 2],
        });
    }
    decided.into()
}

/// Whether a pool of the tree takes some clients and not others.
fn ramps(tree: &Tree, plans: &[Arc<PoolPlan>]) -> bool {
    let mut any = false;
    tree.for_each_pool(&mut |pool| any |= plans[pool.index()].is_ramping());
    any
}

/// What comes of a pool when its turn comes in pass 1.
#[derive(Clone, Copy)]
enum Turn {
    /// It is taken.
    Taken(Decision),
    /// It is taken by those clients that it does not shed.
    MaySend(Decision, PoolId),
    /// The next one's turn.
    PassedOver,
    /// It qualifies, and stands back for others that do.
    StandsBack,
}

/// One route and family at one moment.
struct Moment<'a> {
    plans: &'a [Arc<PoolPlan>],
    terms: Terms,
    family: Family,
    /// By position in [`Route::pools`].
    turns: Box<[Turn]>,
    /// No pool of the entry has the family by configuration.
    is_absent: bool,
}

impl<'a> Moment<'a> {
    fn new(route: &Route, terms: Terms, plans: &'a [Arc<PoolPlan>], family: Family) -> Self {
        let turn = |&pool: &PoolId| {
            let plan = &plans[pool.index()];
            let selection = Selection { pool, pass: Pass::Qualified, fenced: false };
            match (qualifies(plan, terms, family), has_all_back(plan, terms, family)) {
                (true, true) if plan.shedding().level > 0 => {
                    Turn::MaySend(Decision::Serve(selection), pool)
                }
                (true, true) => Turn::Taken(Decision::Serve(selection)),
                (true, false) => Turn::StandsBack,
                (false, _) => Turn::PassedOver,
            }
        };
        let turns = route.pools.iter().map(turn).collect();
        Self { plans, terms, family, turns, is_absent: !terms.families[family.index()] }
    }

    #[inline]
    fn decide(&self, first: &[u16; DEPTH], class: Class<'_>) -> Decision {
        for &position in first {
            match self.turns.get(usize::from(position)) {
                Some(Turn::Taken(decision)) => return *decision,
                Some(Turn::MaySend(decision, pool)) => {
                    let plan = &self.plans[pool.index()];
                    if plan.shedding().sheds(class.band_of(*pool)) {
                        break;
                    }
                    return *decision;
                }
                Some(Turn::PassedOver) => {}
                Some(Turn::StandsBack) | None => break,
            }
        }
        self.run_passes(class)
    }

    #[cold]
    fn run_passes(&self, class: Class<'_>) -> Decision {
        if self.is_absent {
            return Decision::NoFamily;
        }
        decide(class, self.terms, self.plans, self.family, ClientKey(0), &mut NoTrace)
    }
}
