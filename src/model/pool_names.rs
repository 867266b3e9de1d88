//! Where pools stand among all, by name: asked for each result of a probe.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::model::Pool;
use crate::model::PoolId;

/// Positions of pools by their names; of a model that is still being made there are none.
#[derive(Clone, Default)]
pub struct PoolNames(Option<Arc<HashMap<Box<str>, PoolId>>>);

impl PoolNames {
    /// Those of pools whose names and order stay as they are.
    pub(super) fn of(pools: &[Pool]) -> Self {
        let mut names = HashMap::with_capacity(pools.len());
        for (position, pool) in pools.iter().enumerate() {
            names.entry(pool.name.clone()).or_insert(PoolId::at(position));
        }
        Self(Some(Arc::new(names)))
    }

    /// The first pool of a name; one look, unless the model is still being made.
    pub(super) fn find(&self, name: &str, pools: &[Pool]) -> Option<PoolId> {
        match &self.0 {
            Some(names) => names.get(name).copied(),
            None => pools.iter().position(|pool| &*pool.name == name).map(PoolId::at),
        }
    }
}

/// Without the names, which stand in the pools: equal models look equal, whatever the order in here.
impl fmt::Debug for PoolNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolNames").finish_non_exhaustive()
    }
}
