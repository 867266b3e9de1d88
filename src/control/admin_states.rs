//! Endpoints that are not as their probes say: by an order, or by their file. Changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::control::Controller;
use crate::model::Admin;
use crate::model::Endpoint;
use crate::model::Pool;
use crate::model::PoolId;
use crate::wire::Name;

/// An endpoint that is not as its probes say, its state, and whose word that is: `order` or `file`.
pub type AdminState = (Arc<str>, Admin, &'static str);

impl Controller {
    /// Why an endpoint is not as its probes say, in words: an order, or its file.
    pub(super) fn state_text(&self, pool: &Pool, endpoint: &Endpoint) -> Option<String> {
        let model = self.model().ok()?;
        let order = self.order_for(model, pool, &endpoint.key);
        let of_order = order.map(|(scope, order)| format!("{scope}: {order}"));
        of_order.or_else(|| endpoint.state.as_ref().map(ToString::to_string))
    }

    /// Endpoints below a steered name that are not as their probes say.
    pub(super) fn state_texts(&self, name: &str) -> Vec<String> {
        let (Ok(model), Ok(name)) = (self.model(), Name::absolute(name)) else { return Vec::new() };
        let steers = model.steers.iter().filter(|steer| steer.owner == name);
        let pools: BTreeSet<PoolId> =
            steers.flat_map(|steer| model.pools_below(steer.target)).collect();
        let pools = pools.into_iter().map(|pool| &model.pools[pool.index()]);
        let pools = pools.filter(|pool| pool.is_written());
        let endpoints = pools.flat_map(|pool| pool.endpoints.iter().map(move |one| (pool, one)));
        let text = |(pool, endpoint): (&Pool, &Endpoint)| {
            Some(format!("{}: {}", endpoint.key, self.state_text(pool, endpoint)?))
        };
        endpoints.filter_map(text).collect()
    }

    /// Every endpoint that is not as its probes say, with its state and whose word that is.
    pub fn admin_states(&self) -> Vec<AdminState> {
        let Ok(model) = self.model() else { return Vec::new() };
        let pools = model.written_pools();
        let endpoints = pools.flat_map(|pool| pool.endpoints.iter().map(move |one| (pool, one)));
        let state = |(pool, endpoint): (&Pool, &Endpoint)| {
            let by = match self.order_for(model, pool, &endpoint.key) {
                Some(_) => "order",
                None => "file",
            };
            let admin = self.admin_of(model, pool, endpoint);
            (admin != Admin::Enabled).then(|| (Arc::clone(&endpoint.key), admin, by))
        };
        endpoints.filter_map(state).collect()
    }
}
