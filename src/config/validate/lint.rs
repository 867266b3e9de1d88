//! Warnings: what loads, but is likely not what was meant.

use std::collections::HashSet;

use crate::config::Problems;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::FileSpec;
use crate::model::AllDown;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::Family;
use crate::model::ListId;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::PoolId;
use crate::model::Target;
use crate::model::policy::Network;

/// Above this a failover is slow whatever the probes do, in seconds.
const TTL_SLOW: u32 = 300;

pub(super) fn warn(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    let (pools, policies) = used(model);
    for spec in specs {
        unused(spec, model, &pools, &policies, problems);
        slow(spec, problems);
    }
    mixed_families(specs, model, problems);
}

/// TTLs above which probes hardly matter.
fn slow(spec: &FileSpec, problems: &mut Problems) {
    let zone = spec.zone.iter().map(|zone| (&zone.steered_ttl, "zone.steered_ttl".to_owned()));
    let names = spec.names.iter().filter_map(|name| {
        let ttl = name.steer.as_ref()?.ttl.as_ref()?;
        Some((ttl, format!("{}.ttl", dotted("name", &name.name.value))))
    });
    for (ttl, key) in zone.chain(names).filter(|(ttl, _)| ttl.value > TTL_SLOW) {
        let remedy = "use \"30s\" to \"60s\": resolvers keep a dead address that long";
        problems
            .warning(&ttl.place, key, "the TTL makes failover slow", remedy)
            .rule(&rules::SLOW_FAILOVER);
    }
}

/// Pools and policies that some name can reach.
fn used(model: &Model) -> (HashSet<PoolId>, HashSet<PolicyId>) {
    let (mut pools, mut policies) = (HashSet::new(), HashSet::new());
    for steer in &model.steers {
        pools.extend(model.pools_below(steer.target));
        policies_of(model, steer.target, &mut policies);
        if let AllDown::Pool(pool) = steer.on_all_down {
            pools.insert(pool);
        }
    }
    (pools, policies)
}

fn policies_of(model: &Model, target: Target, policies: &mut HashSet<PolicyId>) {
    let Target::Policy(policy) = target else { return };
    if policies.insert(policy) {
        model.policies[policy.index()]
            .kind
            .targets()
            .into_iter()
            .for_each(|t| policies_of(model, t, policies));
    }
}

fn unused(
    spec: &FileSpec,
    model: &Model,
    pools: &HashSet<PoolId>,
    policies: &HashSet<PolicyId>,
    problems: &mut Problems,
) {
    let remedy = "use it, or take it out";
    for pool in &spec.pools {
        let id = model.find_pool(&pool.name.value);
        if id.is_some_and(|id| !pools.contains(&id)) {
            problems
                .warning(
                    &pool.name.place,
                    format!("pool.{}", pool.name.value),
                    "no name leads to this pool",
                    remedy,
                )
                .rule(&rules::UNUSED);
        }
    }
    for policy in &spec.policies {
        let position = model.policies.iter().position(|other| *other.name == *policy.name.value);
        if position.is_some_and(|position| !policies.contains(&PolicyId::at(position))) {
            let key = format!("policy.{}", policy.name.value);
            problems
                .warning(&policy.name.place, key, "no name leads to this policy", remedy)
                .rule(&rules::UNUSED);
        }
    }
    for list in &spec.lists {
        let position = model.lists.iter().position(|other| *other.name == *list.name.value);
        if position.is_some_and(|position| !uses_list(model, ListId::at(position))) {
            let key = format!("list.{}", list.name.value);
            problems
                .warning(&list.name.place, key, "no policy uses this list", remedy)
                .rule(&rules::UNUSED);
        }
    }
    let used = used_checks(model);
    for check in &spec.checks {
        let position = model.checks.iter().position(|other| *other.name == *check.name.value);
        let is_used = position.is_some_and(|position| used.contains(&CheckId::at(position)));
        if !is_used {
            problems
                .warning(
                    &check.name.place,
                    format!("check.{}", check.name.value),
                    "no pool uses this check",
                    remedy,
                )
                .rule(&rules::UNUSED);
        }
    }
}

/// Checks of pools, and all that they are made of.
fn used_checks(model: &Model) -> HashSet<CheckId> {
    let mut used = HashSet::new();
    let mut left: Vec<CheckId> = model.pools.iter().filter_map(|pool| pool.check).collect();
    while let Some(id) = left.pop() {
        if used.insert(id)
            && let CheckKind::Composite(composite) = &model.checks[id.index()].kind
        {
            left.extend(&composite.of);
        }
    }
    used
}

fn uses_list(model: &Model, list: ListId) -> bool {
    model.policies.iter().any(|policy| match &policy.kind {
        PolicyKind::Networks(policy) => {
            let mut conditions = policy.rules.iter().flat_map(|rule| &rule.conditions);
            conditions.any(|condition| *condition == Network::List(list))
        }
        PolicyKind::Failover(_)
        | PolicyKind::Nearest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::Fastest { .. }
        | PolicyKind::Geo(_)
        | PolicyKind::All { .. } => false,
    })
}

/// Where some pools of a name lack a family, A and AAAA may lead to different sites.
fn mixed_families(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    for name in specs.iter().flat_map(|spec| &spec.names) {
        let Some(steer) = &name.steer else { continue };
        let matching = |name: &str| match model.find_pool(name) {
            Some(pool) => Some(Target::Pool(pool)),
            None => {
                let policy = model.policies.iter().position(|policy| *policy.name == *name);
                policy.map(|policy| Target::Policy(PolicyId::at(policy)))
            }
        };
        let Some(target) = matching(&steer.target.value) else { continue };
        // Of `all` each pool counts by itself: together they have every family that one of them has.
        let parts = |pool: PoolId| match model.pools[pool.index()].part_pools() {
            parts if parts.is_empty() => vec![pool],
            parts => parts,
        };
        let pools: Vec<PoolId> = model.pools_below(target).into_iter().flat_map(parts).collect();
        for family in Family::BOTH {
            let has = |pool: &&PoolId| model.pools[pool.index()].has_family(family);
            let with = pools.iter().filter(has).count();
            let Some(without) = pools.iter().find(|pool| !has(pool)).filter(|_| with > 0) else {
                continue;
            };
            let fault = format!(
                "pool \"{}\" has no {family} address, others have: A and AAAA may lead to different sites",
                model.pools[without.index()].name
            );
            let key = format!("{}.steer", dotted("name", &name.name.value));
            problems
                .warning(&steer.target.place, key, fault, "give every pool the same families")
                .rule(&rules::MIXED_FAMILIES);
        }
    }
}
