//! Candidate trees from policies, for clients of whom the same is known.

use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::SiteId;
use crate::model::Target;
use crate::model::policy::Bias;
use crate::snapshot::rules::Matcher;
use crate::snapshot::views::RoundTrips;
use crate::snapshot::views::Uses;
use crate::snapshot::views::View;
use crate::steering::distance;
use crate::steering::interpreter::NEAREST_DEPTH;
use crate::steering::rank;
use crate::steering::rank::Cheap;
use crate::steering::rendezvous::NameSeed;
use crate::steering::round_trip;
use crate::steering::trace::Estimate;
use crate::steering::trace::Ground;
use crate::steering::trace::Step;
use crate::steering::tree::Branch;
use crate::steering::tree::Tree;

/// Makes candidate trees of policies.
#[derive(Clone, Copy)]
pub struct Grower<'a> {
    /// The policies.
    pub model: &'a Model,
    /// Their rules.
    pub matcher: &'a Matcher,
    /// What was measured.
    pub round_trips: &'a dyn RoundTrips,
}

/// Targets of `nearest` or `fastest` in order.
struct Ranking {
    /// By position of the target: how good it is.
    estimates: Vec<Estimate>,
    /// Positions: those that are as good as each other together, best first.
    groups: Vec<Vec<usize>>,
    /// The other positions, as written.
    rest: Vec<usize>,
}

impl Grower<'_> {
    /// What a target and everything below it look at.
    pub fn uses(&self, target: Target) -> Uses {
        let Target::Policy(policy) = target else { return Uses::default() };
        let kind = &self.model.policies[policy.index()].kind;
        let own = match kind {
            PolicyKind::Failover(_) | PolicyKind::Weighted(_) => Uses::default(),
            PolicyKind::Nearest { .. } => Uses { spot: true, ..Uses::default() },
            PolicyKind::Fastest { .. } => Uses { spot: true, round_trips: true, ..Uses::default() },
            PolicyKind::Geo(_) => Uses { region: true, ..Uses::default() },
            PolicyKind::Networks(_) => Uses { network: true, ..Uses::default() },
            // Its pool is the same for everybody, whatever is below.
            PolicyKind::All { .. } => return Uses::default(),
        };
        kind.targets().into_iter().fold(own, |uses, target| uses.or(self.uses(target)))
    }

    /// The tree of a target for clients with this view; without one it must be the same for all.
    pub fn tree(&self, target: Target, view: Option<View<'_>>) -> Tree {
        let policy = match target {
            Target::Pool(pool) => return Tree::Pool(pool),
            Target::Policy(policy) => policy,
        };
        let rule = &self.model.policies[policy.index()];
        let fence = rule.fence;
        match &rule.kind {
            PolicyKind::Failover(targets) => {
                Tree::Ordered { children: self.trees(targets, view).into(), fence }
            }
            PolicyKind::Nearest { .. } | PolicyKind::Fastest { .. } => {
                let targets = rule.kind.targets();
                let trees = self.trees(&targets, view);
                let ranking = self.ranking(&rule.kind, &trees, view);
                self.ordered(policy, &targets, trees, &ranking, fence)
            }
            PolicyKind::Weighted(targets) => {
                let branches = targets.iter().map(|weighted| Branch {
                    target: weighted.target,
                    seed: NameSeed::of_target(&rule.name, self.name(weighted.target)),
                    weight: weighted.weight,
                    spill: weighted.spill,
                    tree: self.tree(weighted.target, view),
                });
                Tree::Weighted { policy, branches: branches.collect(), fence }
            }
            PolicyKind::Geo(rules) => {
                let (to, fenced) = rules.list(self.matching(policy, view).0);
                Tree::Ordered { children: self.trees(to, view).into(), fence: fence || fenced }
            }
            PolicyKind::Networks(rules) => {
                let (to, fenced) = rules.list(self.matching(policy, view).0);
                Tree::Ordered { children: self.trees(to, view).into(), fence: fence || fenced }
            }
            PolicyKind::All { targets: _, pool } => {
                Tree::Ordered { children: [Tree::Pool(*pool)].into(), fence }
            }
        }
    }

    /// Why the tree of a target is as it is: rules that fitted and ranks, each policy before those below it.
    pub fn explain(&self, target: Target, view: Option<View<'_>>, steps: &mut Vec<Step>) {
        let Target::Policy(policy) = target else { return };
        let kind = &self.model.policies[policy.index()].kind;
        let below = match kind {
            PolicyKind::Failover(_) | PolicyKind::Weighted(_) => kind.targets(),
            PolicyKind::All { .. } => return,
            PolicyKind::Geo(rules) => rules.list(self.note_match(policy, view, steps)).0.to_vec(),
            PolicyKind::Networks(rules) => {
                rules.list(self.note_match(policy, view, steps)).0.to_vec()
            }
            PolicyKind::Nearest { .. } | PolicyKind::Fastest { .. } => {
                let targets = kind.targets();
                let ranking = self.ranking(kind, &self.trees(&targets, view), view);
                ranking
                    .in_order()
                    .map(|(position, group)| {
                        let (target, estimate) = (targets[position], ranking.estimates[position]);
                        steps.push(Step::Ranked { policy, target, estimate, group });
                        target
                    })
                    .collect()
            }
        };
        below.into_iter().for_each(|target| self.explain(target, view, steps));
    }

    fn note_match(
        &self,
        policy: PolicyId,
        view: Option<View<'_>>,
        steps: &mut Vec<Step>,
    ) -> Option<u16> {
        let (rule, ground) = self.matching(policy, view);
        steps.push(Step::Matched { policy, rule, ground });
        rule
    }

    fn matching(&self, policy: PolicyId, view: Option<View<'_>>) -> (Option<u16>, Ground) {
        let Some(View { place, .. }) = view else { return (None, Ground::Default) };
        match self.model.policies[policy.index()].kind {
            PolicyKind::Networks(_) => self.matcher.find_network(policy, place),
            _ => self.matcher.find_region(policy, place),
        }
    }

    fn trees(&self, targets: &[Target], view: Option<View<'_>>) -> Vec<Tree> {
        targets.iter().map(|&target| self.tree(target, view)).collect()
    }

    /// Ranks the targets of `nearest` or `fastest`, whose trees for these clients are `trees`.
    fn ranking(&self, kind: &PolicyKind, trees: &[Tree], view: Option<View<'_>>) -> Ranking {
        let mut slack = round_trip::TIE_US - 1;
        let (estimates, budget): (Vec<Estimate>, Option<u64>) = match kind {
            PolicyKind::Nearest { targets, cheap_within } => {
                if let Some((_, radius)) = view.and_then(|view| view.spot) {
                    slack = radius.slack();
                }
                let each = trees.iter().zip(targets);
                (
                    each.map(|(tree, (_, bias))| self.near(tree, *bias, view)).collect(),
                    *cheap_within,
                )
            }
            PolicyKind::Fastest { cheap_within, .. } => {
                (trees.iter().map(|tree| self.fast(tree, view)).collect(), *cheap_within)
            }
            _ => return Ranking::as_written(trees.len()),
        };
        let values: Vec<u64> = estimates.iter().map(|estimate| worth(*estimate)).collect();
        if values.iter().all(|value| *value == u64::MAX) {
            return Ranking::as_written(trees.len());
        }
        let costs: Vec<f64> = estimates.iter().map(|estimate| self.cost(*estimate)).collect();
        let cheap = budget.map(|within| Cheap { within, costs: &costs });
        let groups = rank::groups(&values, slack, cheap);
        let is_spread = matches!(kind, PolicyKind::Fastest { .. });
        Ranking::cut(estimates, groups, is_spread)
    }

    /// The nearest site of a tree.
    fn near(&self, tree: &Tree, bias: Bias, view: Option<View<'_>>) -> Estimate {
        let Some((metres, _)) = view.and_then(|view| view.spot) else { return Estimate::Unknown };
        let nearest = self.sites(tree).into_iter().min_by_key(|site| metres[site.index()]);
        nearest.map_or(Estimate::Unknown, |site| {
            let metres = metres[site.index()];
            Estimate::Distance { site, metres, biased: distance::biased(metres, bias) }
        })
    }

    /// The fastest site of a tree.
    fn fast(&self, tree: &Tree, view: Option<View<'_>>) -> Estimate {
        let Some(view) = view else { return Estimate::Unknown };
        let estimates = self.sites(tree).into_iter().filter_map(|site| {
            let prior = view.spot.map(|(metres, _)| round_trip::prior(metres[site.index()]));
            let (micros, is_measured) = self.round_trips.estimate(view.round_trips, site, prior)?;
            Some((micros, site, is_measured))
        });
        let best = estimates.min_by_key(|&(micros, ..)| micros);
        best.map_or(Estimate::Unknown, |(micros, site, is_measured)| Estimate::RoundTrip {
            site,
            micros,
            is_measured,
        })
    }

    /// Sites of all pools of a tree, in the order of its candidates.
    fn sites(&self, tree: &Tree) -> Vec<SiteId> {
        let mut sites = Vec::new();
        tree.for_each_pool(&mut |pool| sites.extend(self.model.sites_of(pool)));
        // Which of two sites at one distance counts must not depend on what ranks below.
        sites.sort_unstable();
        sites
    }

    fn cost(&self, estimate: Estimate) -> f64 {
        match estimate {
            Estimate::Unknown => f64::INFINITY,
            Estimate::Distance { site, .. } | Estimate::RoundTrip { site, .. } => {
                self.model.sites[site.index()].cost
            }
        }
    }

    /// Puts trees in order; those that are as fast as each other are spread.
    fn ordered(
        &self,
        policy: PolicyId,
        targets: &[Target],
        trees: Vec<Tree>,
        ranking: &Ranking,
        fence: bool,
    ) -> Tree {
        let rule = &self.model.policies[policy.index()];
        let weights: Option<Vec<u16>> = match &rule.kind {
            PolicyKind::Fastest { targets, .. } => Some(targets.iter().map(|t| t.1).collect()),
            _ => None,
        };
        let mut trees: Vec<Option<Tree>> = trees.into_iter().map(Some).collect();
        let mut take = |position: usize| trees[position].take().expect("each position is once");
        let mut children = Vec::new();
        for group in &ranking.groups {
            match &weights {
                Some(weights) if group.len() > 1 => {
                    let branches = group.iter().map(|&position| Branch {
                        target: targets[position],
                        seed: NameSeed::of_target(&rule.name, self.name(targets[position])),
                        weight: weights[position],
                        spill: true,
                        tree: take(position),
                    });
                    let branches = branches.collect();
                    children.push(Tree::Weighted { policy, branches, fence: false });
                }
                Some(_) | None => children.extend(group.iter().map(|&position| take(position))),
            }
        }
        children.extend(ranking.rest.iter().map(|&position| take(position)));
        Tree::Ordered { children: children.into(), fence }
    }

    fn name(&self, target: Target) -> &str {
        match target {
            Target::Pool(pool) => &self.model.pools[pool.index()].name,
            Target::Policy(policy) => &self.model.policies[policy.index()].name,
        }
    }
}

/// What is ranked: smaller is better.
fn worth(estimate: Estimate) -> u64 {
    match estimate {
        Estimate::Unknown => u64::MAX,
        Estimate::Distance { biased, .. } => biased,
        Estimate::RoundTrip { micros, .. } => micros,
    }
}

impl Ranking {
    /// Nobody knows better.
    fn as_written(count: usize) -> Self {
        let estimates = vec![Estimate::Unknown; count];
        Self { estimates, groups: Vec::new(), rest: (0..count).collect() }
    }

    /// Keeps the first [`NEAREST_DEPTH`] ranks; the rest follow as written, so that classes stay few. A group whose
    /// targets share their clients stays whole.
    fn cut(estimates: Vec<Estimate>, groups: Vec<Vec<usize>>, is_spread: bool) -> Self {
        let (mut kept, mut count) = (Vec::new(), 0);
        let mut rest = Vec::new();
        for mut group in groups {
            if count >= NEAREST_DEPTH {
                rest.extend(group);
                continue;
            }
            if !is_spread && count + group.len() > NEAREST_DEPTH {
                rest.extend(group.split_off(NEAREST_DEPTH - count));
            }
            count += group.len();
            kept.push(group);
        }
        rest.sort_unstable();
        Self { estimates, groups: kept, rest }
    }

    /// Every position with the number of its group.
    fn in_order(&self) -> impl Iterator<Item = (usize, Option<u16>)> + '_ {
        let groups = self.groups.iter().zip(0..);
        let ranked =
            groups.flat_map(|(group, number)| group.iter().map(move |p| (*p, Some(number))));
        ranked.chain(self.rest.iter().map(|position| (*position, None)))
    }
}
