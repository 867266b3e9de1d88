//! Heads of candidate trees: the choices that a client's key makes on the way to its first candidate, as flat rows.
//!
//! Knows no health: whether the first candidate is the answer is for the passes to say.

use std::collections::HashMap;

use crate::model::PoolId;
use crate::steering::first::Alternative;
use crate::steering::first::Reciprocal;
use crate::steering::first::first_of;
use crate::steering::rendezvous::ClientKey;
use crate::steering::rendezvous::NameSeed;
use crate::steering::tree::Tree;

/// The heads of the trees of one entry; equal ones are kept once.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    /// By tree.
    starts: Box<[Way]>,
    heads: Box<[Head]>,
}

/// The targets of one choice.
type Head = Box<[Contender]>;

/// One target of a choice: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Contender {
    seed: NameSeed,
    reciprocal: Reciprocal,
    leads_to: Way,
    weight: u16,
}

/// Where a way leads: to the head with this number if the top bit is set, else to this pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Way(u32);

impl Way {
    /// The bit that tells heads from pools.
    const TO_HEAD: u32 = 1 << 31;

    /// To no candidate: a head that there is not.
    const NOWHERE: Self = Self(u32::MAX);
}

impl Alternative for Contender {
    #[inline]
    fn seed(&self) -> NameSeed {
        self.seed
    }

    #[inline]
    fn weight(&self) -> u16 {
        self.weight
    }

    #[inline]
    fn reciprocal(&self) -> Reciprocal {
        self.reciprocal
    }
}

impl Heads {
    /// Those of these trees.
    pub fn of(trees: &[Tree]) -> Self {
        let mut heads = Vec::new();
        let mut known = HashMap::new();
        let start = |tree| way(tree, &mut heads, &mut known).unwrap_or(Way::NOWHERE);
        let starts = trees.iter().map(start).collect();
        Self { starts, heads: heads.into() }
    }

    /// A client's first candidate by the tree at this position.
    #[inline]
    pub fn first_choice(&self, tree: usize, key: ClientKey) -> Option<PoolId> {
        let mut way = self.starts[tree];
        while way.0 & Way::TO_HEAD != 0 {
            let head = self.heads.get((way.0 & !Way::TO_HEAD) as usize)?;
            way = first_of(head, key)?.leads_to;
        }
        Some(PoolId(way.0))
    }
}

/// Where a tree begins; `None` if it has no candidate.
fn way(tree: &Tree, heads: &mut Vec<Head>, known: &mut HashMap<Head, Way>) -> Option<Way> {
    let branches = match tree {
        Tree::Pool(pool) => return Some(Way(pool.0)),
        Tree::Ordered { children, .. } => return way(children.first()?, heads, known),
        Tree::Weighted { branches, .. } => branches,
    };
    // Weight 0 comes after every other; if there is no other, all are alike.
    let any_weight = branches.iter().any(|branch| branch.weight > 0);
    let mut head = Vec::with_capacity(branches.len());
    for branch in branches.iter().filter(|branch| branch.weight > 0 || !any_weight) {
        let (seed, weight) = (branch.seed, branch.weight.max(1));
        let leads_to = way(&branch.tree, heads, known)?;
        head.push(Contender { seed, reciprocal: Reciprocal::of(weight), leads_to, weight });
    }
    if let [only] = &head[..] {
        return Some(only.leads_to);
    }
    let head: Head = head.into();
    if let Some(&way) = known.get(&head) {
        return Some(way);
    }
    let way = Way(Way::TO_HEAD | heads.len() as u32);
    heads.push(head.clone());
    known.insert(head, way);
    Some(way)
}
