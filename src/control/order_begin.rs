//! Orders that begin: when they are refused, and what they do not reach.

use std::time::Duration;

use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Scope;
use crate::model::Admin;
use crate::model::AllDown;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Verdict;
use crate::snapshot::Route;
use crate::snapshot::SteerPlan;
use crate::steering::MemberState;
use crate::steering::Tree;
use crate::steering::plan::can_answer;
use crate::steering::tree::Reach;

/// Longest order with an end: beyond it a mistake is more likely than a plan.
const ORDER_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Which endpoints count as able to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    /// Those that an operator has not taken out.
    Enabled,
    /// Of these the ones that are not down.
    Healthy,
}

impl Controller {
    /// Gives an order.
    pub(super) fn order(
        &mut self,
        target: &str,
        order: Order,
        force: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        let scope = Scope::find(target, self.model()?)?;
        if order.reason.trim().is_empty() {
            return Err("an order needs a reason: others will read it at night".into());
        }
        if order.until.is_some_and(|until| until <= now.unix) {
            return Err("the end of the order has passed already".into());
        }
        if order.until.is_some_and(|until| until > now.unix + ORDER_MAX) {
            return Err("an order lasts ten years at most; use --until forever".into());
        }
        let before = self.orders.get(&scope);
        if let Some(before) = before.filter(|before| before.admin != order.admin) {
            // Replacing it would end it when the new one ends: a drained machine would be back by itself.
            return Err(format!(
                "{scope} is {before}; take that back first: rhumb undrain {target}"
            ));
        }
        let replaced = before.map_or(String::new(), |before| format!("; replaces: {before}"));
        let is_out = matches!(order.admin, Admin::Drained | Admin::Disabled);
        if is_out
            && !force
            && let Some(name) = self.left_without(&scope, Count::Enabled)
        {
            return Err(format!(
                "this drains the last endpoint that {name} can answer with; \
                     repeat it with --force to answer SERVFAIL from then on"
            ));
        }
        let takes_away = is_out || order.admin == Admin::ForcedDown;
        let sick = self.left_without(&scope, Count::Healthy).filter(|_| takes_away);
        if is_out
            && !force
            && let Some(name) = &sick
        {
            return Err(format!(
                "this drains the last endpoint that passes its probe for clients of {name}; \
                     drain with --force to serve what is down from then on"
            ));
        }
        let sick = sick.map_or(String::new(), |name| {
            format!("; WARNING: nothing that passes its probe is left for clients of {name}")
        });
        let pools = self.pools_in(&scope);
        let told = Occurrence::Ordered { scope: scope.clone(), order: order.clone() };
        effects.push(Effect::Record(told));
        let cause = Cause::Operator(format!("{scope} is {order}").into());
        self.change(&pools, &cause, now, effects, |controller| {
            controller.orders.insert(scope.clone(), order.clone());
        });
        self.probe_as_ordered(&order, now, effects);
        let others = self.kept_by_others(&scope);
        Ok(format!("{scope}: {order}{replaced}{others}{sick}"))
    }

    /// Endpoints in `scope` for which a more specific order counts, in words.
    fn kept_by_others(&self, scope: &Scope) -> String {
        let Ok(model) = self.model() else { return String::new() };
        let mut kept = Vec::new();
        for pool in model.written_pools() {
            for endpoint in &pool.endpoints {
                let counts = self.order_for(model, pool, &endpoint.key);
                if let Some((other, order)) = counts.filter(|(other, _)| *other != scope)
                    && scope.covers(model, pool, &endpoint.key)
                {
                    kept.push(format!(
                        "{} stays {} by the order for {other}",
                        endpoint.key, order.admin
                    ));
                }
            }
        }
        if kept.is_empty() { String::new() } else { format!("; but {}", kept.join(", ")) }
    }

    /// Every pool with an endpoint in `scope`.
    pub(super) fn pools_in(&self, scope: &Scope) -> Vec<PoolId> {
        let Ok(model) = self.model() else { return Vec::new() };
        let covered = |pool: &Pool| {
            let mut endpoints = pool.endpoints.iter();
            pool.is_written() && endpoints.any(|one| scope.covers(model, pool, &one.key))
        };
        let pools = model.pools.iter().enumerate().filter(|(_, pool)| covered(pool));
        pools.map(|(position, _)| PoolId::at(position)).collect()
    }

    /// A steered name with clients that get an answer now of those that count, and would get none if `scope` were drained.
    fn left_without(&self, scope: &Scope, count: Count) -> Option<String> {
        let snapshot = self.snapshot.as_ref()?;
        let (compiled, model) = (&snapshot.compiled, &snapshot.compiled.model);
        let families = Family::BOTH.map(|family| {
            [None, Some(scope)]
                .map(|drained| self.pools_that_can_serve(model, family, drained, count))
        });
        let is_emptied = |plan: &SteerPlan| {
            let Route { classes, terms, .. } = &compiled.routes[plan.route];
            families.iter().any(|[now, then]| {
                let serves = |tree: &Tree, reach: Reach, pools: &[bool]| {
                    let otherwise = match terms.on_all_down {
                        AllDown::Pool(pool) => pools[pool.index()],
                        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => false,
                    };
                    tree.serves_everybody(reach, &|pool: PoolId| pools[pool.index()], otherwise)
                };
                compiled.classes[*classes].trees().iter().any(|tree| {
                    [Reach::Spill, Reach::All]
                        .into_iter()
                        .any(|reach| serves(tree, reach, now) && !serves(tree, reach, then))
                })
            })
        };
        let mut steers = model.steers.iter().zip(compiled.steers.iter());
        steers.find(|(_, plan)| is_emptied(plan)).map(|(steer, _)| steer.owner.to_string())
    }

    /// By pool: whether it has an address of `family` that counts, without what `drained` covers.
    fn pools_that_can_serve(
        &self,
        model: &Model,
        family: Family,
        drained: Option<&Scope>,
        count: Count,
    ) -> Vec<bool> {
        let can_serve = |pool: &Pool| {
            let resolved = self.resolved(pool);
            let mut endpoints = pool.endpoints.iter().zip(self.states(pool)).enumerate();
            endpoints.any(|(position, (endpoint, state))| {
                can_answer(endpoint, EndpointId::at(position), &resolved, family)
                    && state.is_enabled()
                    && (count == Count::Enabled || is_well(state, family))
                    && !drained.is_some_and(|scope| scope.covers(model, pool, &endpoint.key))
            })
        };
        let mut each: Vec<bool> = model.written_pools().map(can_serve).collect();
        // Those that `all` made stand after those they are made of.
        for pool in &model.pools[each.len()..] {
            each.push(pool.part_pools().iter().any(|part| each[part.index()]));
        }
        each
    }
}

/// Whether an endpoint is not known to be down; what only the brake keeps up is.
fn is_well(state: MemberState, family: Family) -> bool {
    state.verdict(family) != Verdict::Down
        && state.braked(family).is_none_or(|braked| braked.failing == 0)
}
