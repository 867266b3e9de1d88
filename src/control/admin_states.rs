//! Endpoints that are not as their probes say: by an order, or by their file. Changes nothing.

use std::sync::Arc;

use crate::control::Controller;
use crate::model::Admin;
use crate::model::Endpoint;
use crate::model::Model;
use crate::model::Pool;

/// An endpoint that is not as its probes say, its state, and whose word that is: `order` or `file`.
pub type AdminState = (Arc<str>, Admin, &'static str);

impl Controller {
    /// Why an endpoint is not as its probes say, in words: an order, or its file.
    pub(super) fn state_text(&self, pool: &Pool, endpoint: &Endpoint) -> Option<String> {
        self.state_text_in(self.model().ok()?, pool, endpoint)
    }

    fn state_text_in(&self, model: &Model, pool: &Pool, endpoint: &Endpoint) -> Option<String> {
        let order = self.order_for(model, pool, &endpoint.key);
        let of_order = order.map(|(scope, order)| format!("{scope}: {order}"));
        of_order.or_else(|| endpoint.state.as_ref().map(ToString::to_string))
    }

    /// Endpoints of a pool that are not as their probes say, in words.
    pub(super) fn notes_in(&self, model: &Model, pool: &Pool) -> Vec<Box<str>> {
        let endpoints = pool.endpoints.iter();
        let text = |endpoint: &Endpoint| {
            let state = self.state_text_in(model, pool, endpoint)?;
            Some(format!("{}: {state}", endpoint.key).into())
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
