//! The pools that `all` is made of: the endpoints of every pool below it, each still judged by its own pool's check.

use crate::config::Problems;
use crate::config::keys::ENDPOINTS_MAX;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::PolicySpec;
use crate::model::EndpointId;
use crate::model::Failback;
use crate::model::MinHealthy;
use crate::model::Model;
use crate::model::Percent;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::model::PoolId;

/// Makes the pool of each policy of kind `all`, named as it; trees must end. `specs` are the policies.
pub(super) fn add(specs: &[&PolicySpec], model: &mut Model, problems: &mut Problems) {
    for (position, spec) in specs.iter().enumerate() {
        let PolicyKind::All { targets, .. } = &model.policies[position].kind else { continue };
        let mut below: Vec<PoolId> = Vec::new();
        for pool in targets.iter().flat_map(|&target| model.pools_below(target)) {
            if !below.contains(&pool) {
                below.push(pool);
            }
        }
        let count: usize = below.iter().map(|pool| model.pools[pool.index()].endpoints.len()).sum();
        if count > ENDPOINTS_MAX {
            let name = &spec.name;
            let fault = format!("the policy comes to {count} endpoints");
            let remedy = format!("use at most {ENDPOINTS_MAX}: each query looks at all of them");
            let key = dotted("policy", &name.value);
            problems.error(&name.place, key, fault, remedy).rule(&rules::POLICY_TREE);
        }
        let id = PoolId::at(model.pools.len());
        model.pools.push(union(model, &model.policies[position].name, &below));
        if let PolicyKind::All { pool, .. } = &mut model.policies[position].kind {
            *pool = id;
        }
    }
}

/// One healthy member is enough for it, and what is down is never served beside it.
fn union(model: &Model, name: &str, pools: &[PoolId]) -> Pool {
    let parts = pools.iter().flat_map(|&pool| {
        let count = model.pools[pool.index()].endpoints.len();
        (0..count).map(move |position| (pool, EndpointId::at(position)))
    });
    let parts: Vec<_> = parts.collect();
    let endpoints = parts
        .iter()
        .map(|(pool, endpoint)| model.pools[pool.index()].endpoints[endpoint.index()].clone());
    Pool {
        name: name.into(),
        site: None,
        check: None,
        min_healthy: MinHealthy::Members(1),
        panic_below: Percent(0),
        failback: Failback::Auto,
        shed: None,
        endpoints: endpoints.collect(),
        parts,
    }
}
