//! Policies: targets looked up, cycles and depth refused.

use std::collections::HashSet;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::closest;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::NetworkSpec;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;
use crate::config::spec::PoolSpec;
use crate::config::spec::RulesSpec;
use crate::config::validate::Directory;
use crate::config::validate::lists;
use crate::config::validate::unions;
use crate::model::Model;
use crate::model::Policy;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::PoolId;
use crate::model::TARGETS_MAX;
use crate::model::Target;
use crate::model::WeightedTarget;
use crate::model::policy::Bias;
use crate::model::policy::Network;
use crate::model::policy::Region;
use crate::model::policy::Rule;
use crate::model::policy::Rules;

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
        let target = Target::Pool(PoolId::at(position));
        directory.targets.add("pool", &pool.name, Some(target), problems);
    }
    for (position, policy) in policies.iter().enumerate() {
        let target = Target::Policy(PolicyId::at(position));
        directory.targets.add("policy", &policy.name, Some(target), problems);
    }
}

/// Adds policies. False if a target is missing or trees do not end.
pub(super) fn add_policies(
    specs: &[&PolicySpec],
    pools: &[&PoolSpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) -> bool {
    let mut is_sound = true;
    for spec in specs {
        let path = dotted("policy", &spec.name.value);
        let kind = Kinds { spec, path, directory }.kind(model, problems);
        is_sound &= kind.is_some();
        let kind = kind.unwrap_or(PolicyKind::Failover(Vec::new()));
        model.policies.push(Policy {
            name: spec.name.value.as_str().into(),
            kind,
            fence: spec.fence,
        });
    }
    is_sound &= check_cycles(specs, model, problems) && check_sizes(specs, model, problems);
    if is_sound {
        unions::add(specs, model, problems);
        specs
            .iter()
            .enumerate()
            .for_each(|(position, spec)| check_sites(position, spec, pools, model, problems));
    }
    is_sound
}

/// Makes kinds of policies of their specs.
struct Kinds<'a> {
    spec: &'a PolicySpec,
    path: String,
    directory: &'a Directory,
}

impl Kinds<'_> {
    fn kind(&self, model: &Model, problems: &mut Problems) -> Option<PolicyKind> {
        for names in target_lists(&self.spec.kind) {
            self.check_count(names.len(), problems)?;
        }
        match &self.spec.kind {
            PolicyKindSpec::Failover(targets) => {
                self.find_all("targets", targets, problems).map(PolicyKind::Failover)
            }
            PolicyKindSpec::All(targets) => {
                let targets = self.find_all("targets", targets, problems)?;
                // Its pool follows when every policy below is known.
                Some(PolicyKind::All { targets, pool: PoolId(0) })
            }
            PolicyKindSpec::Nearest { targets, bias, cheap_within } => {
                self.check_are_targets("bias", bias.iter().map(|(name, _)| name), problems);
                let targets = self.find_with("targets", targets, bias, Bias::NONE, problems)?;
                Some(PolicyKind::Nearest { targets, cheap_within: *cheap_within })
            }
            PolicyKindSpec::Fastest { targets, weights, cheap_within } => {
                self.check_are_targets("weights", weights.iter().map(|(name, _)| name), problems);
                let targets = self.find_with("targets", targets, weights, 1, problems)?;
                Some(PolicyKind::Fastest { targets, cheap_within: *cheap_within })
            }
            PolicyKindSpec::Weighted(weights, spill) => {
                self.check_are_targets("spill", spill.iter().flatten(), problems);
                self.weighted(weights, spill.as_deref(), problems).map(PolicyKind::Weighted)
            }
            PolicyKindSpec::Geo(rules) => {
                let region = |at: &At<Region>, _: &mut Problems| Some(at.value.clone());
                self.rules(rules, region, problems).map(PolicyKind::Geo)
            }
            PolicyKindSpec::Networks(rules) => {
                let network = |at: &At<NetworkSpec>, problems: &mut Problems| match &at.value {
                    NetworkSpec::Prefix(prefix) => Some(Network::Prefix(*prefix)),
                    NetworkSpec::System(number) => Some(Network::System(*number)),
                    NetworkSpec::List(name) => {
                        let key = format!("{}.rule.where", self.path);
                        let name = At { value: name.clone(), place: at.place.clone() };
                        self.directory.lists.find("list", &key, &name, problems).map(Network::List)
                    }
                };
                let rules = self.rules(rules, network, problems)?;
                let PolicyKindSpec::Networks(written) = &self.spec.kind else { return None };
                lists::check_overlaps(&self.path, written, &rules, model, problems);
                Some(PolicyKind::Networks(rules))
            }
        }
    }

    fn check_count(&self, count: usize, problems: &mut Problems) -> Option<()> {
        if count <= TARGETS_MAX {
            return Some(());
        }
        let remedy = format!("use at most {TARGETS_MAX}, and nest policies");
        let fault = format!("a policy of {count} targets");
        problems.error(&self.spec.name.place, &self.path, fault, remedy).rule(&rules::POLICY_TREE);
        None
    }

    fn find(&self, key: &str, name: &At<String>, problems: &mut Problems) -> Option<Target> {
        let key = format!("{}.{key}", self.path);
        self.directory.targets.find("pool or policy", &key, name, problems)
    }

    /// All targets, or none; every unknown one is reported.
    fn find_all(
        &self,
        key: &str,
        names: &[At<String>],
        problems: &mut Problems,
    ) -> Option<Vec<Target>> {
        let found: Vec<_> = names.iter().map(|name| self.find(key, name, problems)).collect();
        found.into_iter().collect()
    }

    /// All targets, each with what `table` says of it.
    fn find_with<T: Copy>(
        &self,
        key: &str,
        names: &[At<String>],
        table: &[(At<String>, T)],
        otherwise: T,
        problems: &mut Problems,
    ) -> Option<Vec<(Target, T)>> {
        let found = self.find_all(key, names, problems)?;
        let said = |name: &At<String>| {
            let entry = table.iter().find(|(other, _)| other.value == name.value);
            entry.map_or(otherwise, |&(_, said)| said)
        };
        Some(found.into_iter().zip(names.iter().map(said)).collect())
    }

    fn weighted(
        &self,
        weights: &[(At<String>, u16)],
        spill: Option<&[At<String>]>,
        problems: &mut Problems,
    ) -> Option<Vec<WeightedTarget>> {
        let total: u32 = weights.iter().map(|&(_, weight)| u32::from(weight)).sum();
        let takes_overflow = |name: &At<String>, weight: u16| match spill {
            Some(names) => names.iter().any(|other| other.value == name.value),
            None => u32::from(weight) * 100 >= total * SPILL_FROM_PERCENT,
        };
        let found: Vec<_> = weights
            .iter()
            .map(|(name, weight)| {
                let spill = takes_overflow(name, *weight);
                let target = self.find("weights", name, problems)?;
                Some(WeightedTarget { target, weight: *weight, spill })
            })
            .collect();
        found.into_iter().collect()
    }

    fn rules<S, C>(
        &self,
        spec: &RulesSpec<S>,
        condition: impl Fn(&At<S>, &mut Problems) -> Option<C>,
        problems: &mut Problems,
    ) -> Option<Rules<C>> {
        let default = self.find_all("default", &spec.default, problems);
        let rules: Vec<_> = spec
            .rules
            .iter()
            .enumerate()
            .map(|(position, rule)| {
                let conditions: Vec<_> =
                    rule.conditions.iter().map(|at| condition(at, problems)).collect();
                let to = self.find_all(&format!("rule[{position}].to"), &rule.to, problems);
                let conditions = conditions.into_iter().collect::<Option<Vec<_>>>();
                Some(Rule { conditions: conditions?, to: to?, fence: rule.fence })
            })
            .collect();
        Some(Rules { rules: rules.into_iter().collect::<Option<_>>()?, default: default? })
    }

    /// Names under `key` must be among the policy's own targets.
    fn check_are_targets<'s>(
        &self,
        key: &str,
        names: impl Iterator<Item = &'s At<String>>,
        problems: &mut Problems,
    ) {
        let targets: Vec<&str> =
            target_names(&self.spec.kind).map(|at| at.value.as_str()).collect();
        for name in names.filter(|name| !targets.contains(&name.value.as_str())) {
            let remedy = match closest(&name.value, &targets) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("name one of: {}", targets.join(", ")),
            };
            let path = format!("{}.{key}", self.path);
            let fault = format!("\"{}\" is not a target of this policy", name.value);
            problems.error(&name.place, path, fault, remedy).rule(&rules::UNKNOWN_NAME);
        }
    }
}

/// The names of a policy's targets, in the order of [`PolicyKind::targets`].
fn target_names(kind: &PolicyKindSpec) -> impl Iterator<Item = &At<String>> {
    target_lists(kind).into_iter().flatten()
}

/// The names of a policy's targets, in the order of [`PolicyKind::lists`].
fn target_lists(kind: &PolicyKindSpec) -> Vec<Vec<&At<String>>> {
    fn of_rules<C>(rules: &RulesSpec<C>) -> Vec<Vec<&At<String>>> {
        let lists = rules.rules.iter().map(|rule| &rule.to).chain([&rules.default]);
        lists.map(|list| list.iter().collect()).collect()
    }
    match kind {
        PolicyKindSpec::Failover(targets)
        | PolicyKindSpec::All(targets)
        | PolicyKindSpec::Nearest { targets, .. }
        | PolicyKindSpec::Fastest { targets, .. } => vec![targets.iter().collect()],
        PolicyKindSpec::Weighted(weights, _) => {
            vec![weights.iter().map(|(name, _)| name).collect()]
        }
        PolicyKindSpec::Geo(rules) => of_rules(rules),
        PolicyKindSpec::Networks(rules) => of_rules(rules),
    }
}

/// Refuses policies that contain themselves, each cycle once: at its first policy.
fn check_cycles(specs: &[&PolicySpec], model: &Model, problems: &mut Problems) -> bool {
    let mut is_sound = true;
    for (position, spec) in specs.iter().enumerate() {
        let first = PolicyId::at(position);
        let mut trail = vec![first];
        if !find_cycle(model, &mut trail, &mut HashSet::new()) {
            continue;
        }
        is_sound = false;
        if trail.iter().any(|id| id.index() < position) {
            continue;
        }
        let names: Vec<&str> = trail.iter().map(|id| &*model.policies[id.index()].name).collect();
        let path = names.join(" -> ");
        let step = target_names(&spec.kind).find(|name| name.value == names[1]);
        let place = step.map_or(&spec.name.place, |name| &name.place);
        let key = dotted("policy", &spec.name.value);
        let fault = format!("the policy contains itself: {path}");
        problems
            .error(place, key, fault, "take one of these targets out")
            .rule(&rules::POLICY_TREE);
    }
    is_sound
}

/// Extends `trail` to a way from its last policy back to its first. `seen` leads nowhere.
fn find_cycle(model: &Model, trail: &mut Vec<PolicyId>, seen: &mut HashSet<PolicyId>) -> bool {
    let last = trail[trail.len() - 1];
    for target in model.policies[last.index()].kind.targets() {
        let Target::Policy(next) = target else { continue };
        if next != trail[0] && !seen.insert(next) {
            continue;
        }
        trail.push(next);
        if next == trail[0] || find_cycle(model, trail, seen) {
            return true;
        }
        trail.pop();
    }
    false
}

/// Refuses trees that are too deep or come to too many candidates, at their roots.
fn check_sizes(specs: &[&PolicySpec], model: &Model, problems: &mut Problems) -> bool {
    let mut sizes = vec![None; specs.len()];
    (0..specs.len()).for_each(|position| {
        measure(model, PolicyId::at(position), &mut sizes);
    });
    let is_too_big = |size: &Option<Size>| {
        size.is_some_and(|size| size.depth > DEPTH_MAX || size.candidates > CANDIDATES_MAX)
    };
    let mut inner = vec![false; specs.len()];
    for policy in model.policies.iter().zip(&sizes).filter(|(_, size)| is_too_big(size)) {
        for target in policy.0.kind.targets() {
            let Target::Policy(id) = target else { continue };
            inner[id.index()] = true;
        }
    }
    for (position, spec) in specs.iter().enumerate().filter(|&(position, _)| !inner[position]) {
        let Some(Size { depth, candidates }) = sizes[position] else { continue };
        let key = dotted("policy", &spec.name.value);
        if depth > DEPTH_MAX {
            let remedy = format!("nest at most {DEPTH_MAX} deep");
            let fault = format!("policies are nested {depth} deep");
            problems.error(&spec.name.place, &key, fault, remedy).rule(&rules::POLICY_TREE);
        }
        if candidates > CANDIDATES_MAX {
            let fault = format!("the policy comes to {candidates} candidates");
            let remedy = format!(
                "use at most {CANDIDATES_MAX}; each is considered when the ones before it fail"
            );
            problems.error(&spec.name.place, &key, fault, remedy).rule(&rules::POLICY_TREE);
        }
    }
    !sizes.iter().any(is_too_big)
}

/// How large a policy's tree is.
#[derive(Clone, Copy)]
struct Size {
    /// Policies above each other; 1 for one of pools only.
    depth: usize,
    /// Pools, counted with repetition.
    candidates: usize,
}

/// Size of a tree without cycles; each policy is measured once.
fn measure(model: &Model, id: PolicyId, sizes: &mut [Option<Size>]) -> Size {
    if let Some(size) = sizes[id.index()] {
        return size;
    }
    let mut size = Size { depth: 1, candidates: 0 };
    // A client gets one of the lists.
    for list in model.policies[id.index()].kind.lists() {
        let mut candidates = 0_usize;
        for target in list {
            let inner = match target {
                Target::Pool(_) => Size { depth: 0, candidates: 1 },
                Target::Policy(policy) => measure(model, policy, sizes),
            };
            size.depth = size.depth.max(inner.depth + 1);
            candidates = candidates.saturating_add(inner.candidates);
        }
        size.candidates = size.candidates.max(candidates);
    }
    sizes[id.index()] = Some(size);
    size
}

/// `nearest` and `fastest` need to know where its pools are.
fn check_sites(
    position: usize,
    spec: &PolicySpec,
    pools: &[&PoolSpec],
    model: &Model,
    problems: &mut Problems,
) {
    let kind = &model.policies[position].kind;
    if !matches!(kind, PolicyKind::Nearest { .. } | PolicyKind::Fastest { .. }) {
        return;
    }
    for (target, name) in kind.targets().into_iter().zip(target_names(&spec.kind)) {
        // A site that is named and unknown has been reported.
        let homeless = find_homeless(model, target).map(|id| pools[id.index()]);
        let Some(pool) = homeless.filter(|pool| pool.site.is_none()) else { continue };
        let fault = format!("pool \"{}\" has no site, so nobody is near it", pool.name.value);
        let key = format!("{}.targets", dotted("policy", &spec.name.value));
        let remedy = format!("add site = \"…\" to [{}]", dotted("pool", &pool.name.value));
        let also = (pool.name.place.clone(), "this pool");
        problems.error_with(&name.place, key, fault, remedy, also);
    }
}

fn find_homeless(model: &Model, target: Target) -> Option<PoolId> {
    match target {
        Target::Pool(pool) => model.pools[pool.index()].site.is_none().then_some(pool),
        Target::Policy(policy) => model.policies[policy.index()]
            .kind
            .targets()
            .into_iter()
            .find_map(|target| find_homeless(model, target)),
    }
}
