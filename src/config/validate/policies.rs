//! Policies: targets looked up, cycles and depth refused.

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;
use crate::config::spec::PoolSpec;
use crate::config::validate::Directory;
use crate::model::Model;
use crate::model::Policy;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::PoolId;
use crate::model::TARGETS_MAX;
use crate::model::Target;
use crate::model::WeightedTarget;
use crate::model::policy::Bias;

/// Deepest nesting of policies.
const DEPTH_MAX: usize = 8;

/// Most candidates of one entry, counted with repetition: the passes look at each.
const CANDIDATES_MAX: usize = 512;

/// From this share of the weight up a target takes overflow by itself: a 5 % canary never inherits the world.
const SPILL_FROM_PERCENT: u32 = 20;

/// Puts pools and policies into their one namespace.
pub(super) fn name_targets(
    pools: &[&PoolSpec],
    policies: &[&PolicySpec],
    directory: &mut Directory,
    problems: &mut Problems,
) {
    for (position, pool) in pools.iter().enumerate() {
        directory.targets.add("pool", &pool.name, Target::Pool(PoolId::at(position)), problems);
    }
    for (position, policy) in policies.iter().enumerate() {
        directory.targets.add(
            "policy",
            &policy.name,
            Target::Policy(PolicyId::at(position)),
            problems,
        );
    }
}

/// Adds policies. False if a target is missing or a policy contains itself.
pub(super) fn add_policies(
    specs: &[&PolicySpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) -> bool {
    let mut is_sound = true;
    for spec in specs {
        let kind = kind(spec, directory, problems);
        is_sound &= kind.is_some();
        let kind = kind.unwrap_or(PolicyKind::Failover(Vec::new()));
        model.policies.push(Policy {
            name: spec.name.value.as_str().into(),
            kind,
            fence: spec.fence,
        });
    }
    for (position, spec) in specs.iter().enumerate() {
        is_sound &= check_nesting(PolicyId::at(position), spec, model, problems);
    }
    if is_sound {
        specs
            .iter()
            .enumerate()
            .for_each(|(position, spec)| check_sites(position, spec, model, problems));
    }
    is_sound
}

fn kind(spec: &PolicySpec, directory: &Directory, problems: &mut Problems) -> Option<PolicyKind> {
    let path = format!("policy.{}", spec.name.value);
    let find = |name: &At<String>, key: &str, problems: &mut Problems| {
        directory.targets.find("pool or policy", &format!("{path}.{key}"), name, problems)
    };
    let count = match &spec.kind {
        PolicyKindSpec::Failover(targets) | PolicyKindSpec::Nearest(targets, _) => targets.len(),
        PolicyKindSpec::Weighted(weights, _) => weights.len(),
    };
    if count > TARGETS_MAX {
        let remedy = format!("use at most {TARGETS_MAX}, and nest policies");
        problems.error(&spec.name.place, &path, format!("a policy of {count} targets"), remedy);
        return None;
    }
    match &spec.kind {
        PolicyKindSpec::Failover(targets) => {
            let found: Vec<_> =
                targets.iter().map(|name| find(name, "targets", problems)).collect();
            found.into_iter().collect::<Option<_>>().map(PolicyKind::Failover)
        }
        PolicyKindSpec::Nearest(targets, bias) => {
            for (name, _) in
                bias.iter().filter(|(name, _)| targets.iter().all(|t| t.value != name.value))
            {
                let fault = format!("\"{}\" is not a target of this policy", name.value);
                problems.error(&name.place, format!("{path}.bias"), fault, "name a target");
            }
            let bias_of = |target: &At<String>| {
                bias.iter()
                    .find(|(name, _)| name.value == target.value)
                    .map_or(Bias::NONE, |&(_, b)| Bias(b))
            };
            let found: Vec<_> = targets
                .iter()
                .map(|name| find(name, "targets", problems).map(|target| (target, bias_of(name))))
                .collect();
            found.into_iter().collect::<Option<_>>().map(PolicyKind::Nearest)
        }
        PolicyKindSpec::Weighted(weights, spill) => {
            for name in spill
                .iter()
                .flatten()
                .filter(|name| weights.iter().all(|(t, _)| t.value != name.value))
            {
                let fault = format!("\"{}\" is not a target of this policy", name.value);
                problems.error(&name.place, format!("{path}.spill"), fault, "name a target");
            }
            let total: u32 = weights.iter().map(|&(_, weight)| u32::from(weight)).sum();
            let takes_overflow = |name: &At<String>, weight: u16| match spill {
                Some(names) => names.iter().any(|other| other.value == name.value),
                None => u32::from(weight) * 100 >= total * SPILL_FROM_PERCENT,
            };
            let found: Vec<_> = weights
                .iter()
                .map(|(name, weight)| {
                    let spill = takes_overflow(name, *weight);
                    let target = find(name, "weights", problems)?;
                    Some(WeightedTarget { target, weight: *weight, spill })
                })
                .collect();
            found.into_iter().collect::<Option<_>>().map(PolicyKind::Weighted)
        }
    }
}

/// Refuses policies that contain themselves, nest too deep, or come to too many candidates.
fn check_nesting(id: PolicyId, spec: &PolicySpec, model: &Model, problems: &mut Problems) -> bool {
    let path = format!("policy.{}", spec.name.value);
    let mut trail = vec![id];
    if let Some(cycle) = find_cycle(model, &mut trail) {
        let names: Vec<&str> = cycle.iter().map(|id| &*model.policies[id.index()].name).collect();
        let fault = format!("the policy contains itself: {}", names.join(" -> "));
        problems.error(&spec.name.place, path, fault, "take one of these targets out");
        return false;
    }
    let (depth, candidates) = measure(model, Target::Policy(id));
    if depth > DEPTH_MAX {
        let remedy = format!("nest at most {DEPTH_MAX} deep");
        problems.error(
            &spec.name.place,
            &path,
            format!("policies are nested {depth} deep"),
            remedy,
        );
    }
    if candidates > CANDIDATES_MAX {
        let remedy = format!(
            "use at most {CANDIDATES_MAX}; each is considered when the ones before it fail"
        );
        problems.error(
            &spec.name.place,
            &path,
            format!("the policy comes to {candidates} candidates"),
            remedy,
        );
    }
    depth <= DEPTH_MAX && candidates <= CANDIDATES_MAX
}

/// A way from the last policy of `trail` back to the first.
fn find_cycle(model: &Model, trail: &mut Vec<PolicyId>) -> Option<Vec<PolicyId>> {
    let last = trail[trail.len() - 1];
    for target in model.policies[last.index()].kind.targets() {
        let Target::Policy(next) = target else { continue };
        if next == trail[0] {
            trail.push(next);
            return Some(trail.clone());
        }
        if trail.contains(&next) {
            continue; // a cycle that starts elsewhere is reported there
        }
        trail.push(next);
        if let Some(cycle) = find_cycle(model, trail) {
            return Some(cycle);
        }
        trail.pop();
    }
    None
}

/// Depth of nesting and number of candidates below a target. Stops counting where a cycle elsewhere would not end.
fn measure(model: &Model, target: Target) -> (usize, usize) {
    fn down(model: &Model, target: Target, depth: usize, candidates: &mut usize) -> usize {
        let Target::Policy(policy) = target else {
            *candidates += 1;
            return 0;
        };
        if depth > DEPTH_MAX || *candidates > CANDIDATES_MAX {
            return 1;
        }
        let targets = model.policies[policy.index()].kind.targets();
        1 + targets
            .into_iter()
            .map(|target| down(model, target, depth + 1, candidates))
            .max()
            .unwrap_or(0)
    }
    let mut candidates = 0;
    let depth = down(model, target, 0, &mut candidates);
    (depth, candidates)
}

/// `nearest` needs to know where its pools are.
fn check_sites(position: usize, spec: &PolicySpec, model: &Model, problems: &mut Problems) {
    let PolicyKind::Nearest(targets) = &model.policies[position].kind else { return };
    for &(target, _) in targets {
        if let Some(pool) = find_homeless(model, target) {
            let fault = format!("pool \"{pool}\" has no site, so nobody is near it");
            let key = format!("policy.{}.targets", spec.name.value);
            problems.error(
                &spec.name.place,
                key,
                fault,
                format!("add site = \"…\" to [pool.{pool}]"),
            );
        }
    }
}

fn find_homeless(model: &Model, target: Target) -> Option<&str> {
    match target {
        Target::Pool(pool) => {
            let pool = &model.pools[pool.index()];
            pool.site.is_none().then_some(&*pool.name)
        }
        Target::Policy(policy) => model.policies[policy.index()]
            .kind
            .targets()
            .into_iter()
            .find_map(|target| find_homeless(model, target)),
    }
}
