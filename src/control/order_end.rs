//! Orders that end: taken back, or because their time has come; and what probing makes of them.

use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Scope;
use crate::control::stored::order_key;
use crate::model::Admin;
use crate::model::Now;

impl Controller {
    /// Takes an order back.
    pub(super) fn withdraw(
        &mut self,
        target: &str,
        author: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        // What an order was for may be gone since.
        let written = || self.orders.keys().find(|scope| scope.is_written(target)).cloned();
        let scope = Scope::find(target, self.model()?).or_else(|why| written().ok_or(why))?;
        if !self.orders.contains_key(&scope) {
            let others: Vec<String> = self.orders.keys().map(ToString::to_string).collect();
            let others = if others.is_empty() { "none".into() } else { others.join(", ") };
            return Err(format!("there is no order for {scope}; orders in force: {others}"));
        }
        let order = self.orders.get(&scope).cloned().ok_or("the order has just ended")?;
        let text = format!("{scope}: no longer {}", order.admin);
        let told = Occurrence::Withdrawn { scope: scope.clone(), order, by: author.into() };
        effects.push(Effect::Record(told));
        self.remove_order(&scope, now, effects);
        Ok(text)
    }

    /// Ends the orders whose time has come.
    pub(super) fn expire_orders(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let over: Vec<(Scope, Order)> = self
            .orders
            .iter()
            .filter(|(_, order)| order.until.is_some_and(|until| until <= now.unix))
            .map(|(scope, order)| (scope.clone(), order.clone()))
            .collect();
        for (scope, order) in over {
            effects.push(Effect::Record(Occurrence::Expired { scope: scope.clone(), order }));
            // Every node knows its end, and has a clock of its own: one that jumps ends nothing at others.
            self.end_here(order_key(&scope));
            self.remove_order(&scope, now, effects);
        }
    }

    pub(super) fn remove_order(&mut self, scope: &Scope, now: Now, effects: &mut Vec<Effect>) {
        let pools = self.pools_in(scope);
        let cause = Cause::Operator(format!("the order for {scope} has ended").into());
        let order = self.orders.get(scope).cloned();
        self.change(&pools, &cause, now, effects, |controller| {
            controller.orders.remove(scope);
        });
        order.iter().for_each(|order| self.probe_as_ordered(order, now, effects));
    }

    /// What is disabled is not probed, and nothing is known of it; afterwards it is probed as if it were new.
    pub(super) fn probe_as_ordered(&mut self, order: &Order, now: Now, effects: &mut Vec<Effect>) {
        if order.admin == Admin::Disabled && self.snapshot.is_some() {
            self.forget_gone_targets();
            self.order_probes(now, effects);
        }
    }
}
