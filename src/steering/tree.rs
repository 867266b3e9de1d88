//! Candidate trees: what a policy comes to for one class of clients, and the order it gives one client.

use std::ops::ControlFlow;

use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::TARGETS_MAX;
use crate::model::Target;
use crate::steering::order::Rank;
use crate::steering::rendezvous::NameSeed;
use crate::steering::trace::NoTrace;
use crate::steering::trace::Step;
use crate::steering::trace::Trace;

/// What a policy comes to for one class of clients: distances are settled, shares are not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// A leaf.
    Pool(PoolId),
    /// In this order.
    Ordered {
        /// First choice first.
        children: Box<[Tree]>,
        /// Whether the list of candidates ends here.
        fence: bool,
    },
    /// In an order that depends on the client's key.
    Weighted {
        /// Whose weights they are.
        policy: PolicyId,
        /// At most [`TARGETS_MAX`].
        branches: Box<[Branch]>,
        /// Whether the list of candidates ends here.
        fence: bool,
    },
}

/// One target of a weighted policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// What the operator named.
    pub target: Target,
    /// Hash of its name.
    pub seed: NameSeed,
    /// Its share; 0 is never first.
    pub weight: u16,
    /// Whether it takes the clients of siblings that fail.
    pub spill: bool,
    /// Its own candidates.
    pub tree: Tree,
}

/// Which targets of weighted policies follow the first choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that take overflow.
    Spill,
    /// Every one.
    All,
}

/// Why the walk over the candidates ended.
enum End<B> {
    Broken(B),
    Fenced,
}

impl Tree {
    /// Calls `visit` with each candidate in this client's order, until it breaks or a fence ends the list.
    #[inline]
    pub fn walk<B>(
        &self,
        key: impl Rank,
        reach: Reach,
        trace: &mut impl Trace,
        mut visit: impl FnMut(PoolId, &mut dyn FnMut(Step)) -> ControlFlow<B>,
    ) -> Option<B> {
        match self.step(key, reach, trace, &mut visit) {
            ControlFlow::Break(End::Broken(value)) => Some(value),
            ControlFlow::Break(End::Fenced) | ControlFlow::Continue(()) => None,
        }
    }

    /// Whether a fence ends this client's list before `pool` comes.
    pub fn fences_off(&self, pool: PoolId, key: impl Rank, reach: Reach) -> bool {
        let end = self.step(key, reach, &mut NoTrace, &mut |candidate, _| {
            if candidate == pool { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        matches!(end, ControlFlow::Break(End::Fenced))
    }

    /// Whether a fence ends this client's list of candidates.
    pub fn ends_at_a_fence(&self, key: impl Rank, reach: Reach) -> bool {
        let end = self.step(key, reach, &mut NoTrace, &mut |_, _| ControlFlow::<()>::Continue(()));
        matches!(end, ControlFlow::Break(End::Fenced))
    }

    fn step<B>(
        &self,
        key: impl Rank,
        reach: Reach,
        trace: &mut impl Trace,
        visit: &mut impl FnMut(PoolId, &mut dyn FnMut(Step)) -> ControlFlow<B>,
    ) -> ControlFlow<End<B>> {
        let fence = match self {
            Self::Pool(pool) => {
                return visit(*pool, &mut |step| trace.step(step)).map_break(End::Broken);
            }
            Self::Ordered { children, fence } => {
                for child in children {
                    child.step(key, reach, trace, visit)?;
                }
                fence
            }
            Self::Weighted { policy, branches, fence } => {
                step_weighted(*policy, branches, key, reach, trace, visit)?;
                fence
            }
        };
        if *fence { ControlFlow::Break(End::Fenced) } else { ControlFlow::Continue(()) }
    }

    /// Calls `visit` with every pool of the tree, in the order they are written.
    pub fn for_each_pool(&self, visit: &mut impl FnMut(PoolId)) {
        match self {
            Self::Pool(pool) => visit(*pool),
            Self::Ordered { children, .. } => {
                children.iter().for_each(|child| child.for_each_pool(visit))
            }
            Self::Weighted { branches, .. } => {
                branches.iter().for_each(|branch| branch.tree.for_each_pool(visit));
            }
        }
    }

    /// Whether every client finds a pool that `can_serve` before its list ends, whatever its key.
    ///
    /// `otherwise`: whether something is served when a list ends without one, unless a fence ended it.
    pub fn serves_everybody(
        &self,
        reach: Reach,
        can_serve: &impl Fn(PoolId) -> bool,
        otherwise: bool,
    ) -> bool {
        match self.outlook(reach, can_serve) {
            Outlook::Serves => true,
            Outlook::GoesOn => otherwise,
            Outlook::Fenced => false,
        }
    }

    fn outlook(&self, reach: Reach, can_serve: &impl Fn(PoolId) -> bool) -> Outlook {
        let (worst, fence) = match self {
            Self::Pool(pool) if can_serve(*pool) => (Outlook::Serves, false),
            Self::Pool(_) => (Outlook::GoesOn, false),
            Self::Ordered { children, fence } => {
                let mut outlooks = children.iter().map(|child| child.outlook(reach, can_serve));
                (outlooks.find(|o| *o != Outlook::GoesOn).unwrap_or(Outlook::GoesOn), *fence)
            }
            Self::Weighted { policy: _, branches, fence } => {
                (outlook_of_shares(branches, reach, can_serve), *fence)
            }
        };
        if worst == Outlook::GoesOn && fence { Outlook::Fenced } else { worst }
    }

    /// Whether the weights of a policy stand anywhere in it.
    pub fn has_weights_of(&self, wanted: PolicyId) -> bool {
        match self {
            Self::Pool(_) => false,
            Self::Ordered { children, .. } => {
                children.iter().any(|child| child.has_weights_of(wanted))
            }
            Self::Weighted { policy, branches, .. } => {
                *policy == wanted
                    || branches.iter().any(|branch| branch.tree.has_weights_of(wanted))
            }
        }
    }

    /// The same tree with other weights for the targets of one policy.
    pub fn with_weights(&self, wanted: PolicyId, weight_of: &impl Fn(Target) -> u16) -> Self {
        match self {
            Self::Pool(pool) => Self::Pool(*pool),
            Self::Ordered { children, fence } => Self::Ordered {
                children: children.iter().map(|c| c.with_weights(wanted, weight_of)).collect(),
                fence: *fence,
            },
            Self::Weighted { policy, branches, fence } => {
                let branch = |branch: &Branch| Branch {
                    weight: match *policy == wanted {
                        true => weight_of(branch.target),
                        false => branch.weight,
                    },
                    tree: branch.tree.with_weights(wanted, weight_of),
                    ..branch.clone()
                };
                let branches = branches.iter().map(branch).collect();
                Self::Weighted { policy: *policy, branches, fence: *fence }
            }
        }
    }

    /// Whether a fence can end the list inside this tree.
    pub fn has_fence(&self) -> bool {
        match self {
            Self::Pool(_) => false,
            Self::Ordered { children, fence } => *fence || children.iter().any(Self::has_fence),
            Self::Weighted { policy: _, branches, fence } => {
                *fence || branches.iter().any(|branch| branch.tree.has_fence())
            }
        }
    }

    /// Whether the order depends on the client's key.
    pub fn is_keyed(&self) -> bool {
        match self {
            Self::Pool(_) => false,
            Self::Ordered { children, .. } => children.iter().any(Self::is_keyed),
            Self::Weighted { branches, .. } => {
                branches.len() > 1 || branches.iter().any(|branch| branch.tree.is_keyed())
            }
        }
    }
}

/// How a walk ends for the client it serves worst; later is worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outlook {
    /// At a pool that can serve.
    Serves,
    /// Without one, so that what follows is tried.
    GoesOn,
    /// At a fence without one.
    Fenced,
}

/// The outlook for the worst first choice, and the worst order of those that take overflow.
fn outlook_of_shares(
    branches: &[Branch],
    reach: Reach,
    can_serve: &impl Fn(PoolId) -> bool,
) -> Outlook {
    let outlooks: Vec<Outlook> =
        branches.iter().map(|branch| branch.tree.outlook(reach, can_serve)).collect();
    let after = |first: usize| {
        let rest = branches.iter().zip(&outlooks).enumerate().filter(|&(position, (branch, _))| {
            position != first && (branch.spill || reach == Reach::All)
        });
        let rest: Vec<Outlook> = rest.map(|(_, (_, outlook))| *outlook).collect();
        if rest.contains(&Outlook::Fenced) {
            Outlook::Fenced
        } else {
            rest.into_iter().min().unwrap_or(Outlook::GoesOn)
        }
    };
    let firsts = (0..branches.len()).filter(|&first| branches[first].weight > 0);
    let worst = firsts.map(|first| match outlooks[first] {
        Outlook::GoesOn => after(first),
        settled @ (Outlook::Serves | Outlook::Fenced) => settled,
    });
    worst.max().unwrap_or(Outlook::GoesOn)
}

/// Visits the first choice, then, best first, every other target that takes overflow.
fn step_weighted<B>(
    policy: PolicyId,
    branches: &[Branch],
    key: impl Rank,
    reach: Reach,
    trace: &mut impl Trace,
    visit: &mut impl FnMut(PoolId, &mut dyn FnMut(Step)) -> ControlFlow<B>,
) -> ControlFlow<End<B>> {
    debug_assert!(branches.len() <= TARGETS_MAX);
    let mut left = mask(branches.len());
    let mut is_first = true;
    while left != 0 {
        let best = key.best_of(branches, left, is_first);
        left &= !(1 << best);
        let branch = &branches[best];
        trace.step(Step::Weighed {
            policy,
            target: branch.target,
            first: is_first,
            spill: branch.spill,
        });
        branch.tree.step(key, reach, trace, visit)?;
        if is_first && reach == Reach::Spill {
            left &= spill_mask(branches);
        }
        is_first = false;
    }
    ControlFlow::Continue(())
}

/// A bit for each of so many branches, at most 64.
#[inline]
fn mask(count: usize) -> u64 {
    (1u64 << (count - 1) << 1).wrapping_sub(1)
}

/// A bit for each branch that takes overflow.
fn spill_mask(branches: &[Branch]) -> u64 {
    branches
        .iter()
        .enumerate()
        .fold(0, |mask, (position, branch)| mask | u64::from(branch.spill) << position)
}
