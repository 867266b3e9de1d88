//! Address families by client: a name must not have A for some clients and none for others (RFC 7871 section 7.4).

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::validate::Directory;
use crate::model::Family;
use crate::model::Model;
use crate::model::Policy;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::Target;
use crate::model::policy::Rules;

/// What lists of candidates that clients may get come to, of one family: several of these may be possible.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Outcomes {
    /// Some have it.
    has: bool,
    /// Some lack it, and what follows is tried.
    open: bool,
    /// Some lack it, and end at a fence.
    ended: bool,
}

impl Outcomes {
    const NONE: Self = Self { has: false, open: false, ended: false };
    const OPEN: Self = Self { open: true, ..Self::NONE };

    fn or(self, other: Self) -> Self {
        Self {
            has: self.has || other.has,
            open: self.open || other.open,
            ended: self.ended || other.ended,
        }
    }

    /// One list after the other.
    fn then(self, next: Self) -> Self {
        match self.open {
            true => Self { open: false, ..self }.or(next),
            false => self,
        }
    }

    /// The same inside a fence.
    fn fenced(self, fence: bool) -> Self {
        match fence {
            true => Self { open: false, ended: self.ended || self.open, ..self },
            false => self,
        }
    }

    fn may_lack(self) -> bool {
        self.open || self.ended
    }
}

/// Refuses rules and fences by which some clients would get no address of a family that others get.
pub(super) fn check(
    model: &Model,
    entry: Target,
    written: &At<String>,
    directory: &Directory,
    key: &str,
    problems: &mut Problems,
) {
    for family in Family::BOTH {
        let whole = outcomes(model, entry, family);
        if !model.has_family(entry, family) || !whole.may_lack() {
            continue;
        }
        let mut below = Vec::new();
        collect(model, entry, &mut below);
        for id in below {
            let policy = &model.policies[id.index()];
            for fault in faults(model, policy, family) {
                let remedy = "give one of its pools an address of that family";
                let place = directory.targets.find_place(&policy.name);
                let also = (place.expect("every policy has a name").clone(), "this policy");
                problems.error_with(&written.place, key, fault, remedy, also);
            }
        }
    }
}

/// Every policy below a target, each once.
fn collect(model: &Model, target: Target, policies: &mut Vec<PolicyId>) {
    let Target::Policy(id) = target else { return };
    if !policies.contains(&id) {
        policies.push(id);
        let targets = model.policies[id.index()].kind.targets();
        targets.into_iter().for_each(|target| collect(model, target, policies));
    }
}

/// What is wrong with a policy itself: its fence, or lists of some of its rules.
fn faults(model: &Model, policy: &Policy, family: Family) -> Vec<String> {
    let Policy { name, kind, fence } = policy;
    let has_any = |targets: &[Target]| targets.iter().any(|t| model.has_family(*t, family));
    if *fence && !has_any(&kind.targets()) {
        return vec![format!(
            "policy \"{name}\" is fenced and has no {family} address, though others have"
        )];
    }
    let lacking = match kind {
        PolicyKind::Geo(rules) => lacking(rules, has_any),
        PolicyKind::Networks(rules) => lacking(rules, has_any),
        PolicyKind::Failover(_)
        | PolicyKind::Nearest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::Fastest { .. }
        | PolicyKind::All { .. } => Vec::new(),
    };
    let fault = |list| {
        format!("{list} of policy \"{name}\" has no {family} address, though others have some")
    };
    lacking.into_iter().map(fault).collect()
}

fn lacking<C>(rules: &Rules<C>, has_any: impl Fn(&[Target]) -> bool) -> Vec<String> {
    let each = rules.rules.iter().enumerate();
    let lacking = each.filter(|(_, rule)| !has_any(&rule.to));
    let mut names: Vec<String> = lacking.map(|(at, _)| format!("rule {}", at + 1)).collect();
    if !has_any(&rules.default) {
        names.push("the default".into());
    }
    names
}

fn outcomes(model: &Model, target: Target, family: Family) -> Outcomes {
    let pool = |has: bool| Outcomes { has, open: !has, ended: false };
    let policy = match target {
        Target::Pool(id) => return pool(model.pools[id.index()].has_family(family)),
        Target::Policy(id) => &model.policies[id.index()],
    };
    let list = |targets: &[Target]| {
        let each = targets.iter().map(|&target| outcomes(model, target, family));
        each.fold(Outcomes::OPEN, Outcomes::then)
    };
    let any = match &policy.kind {
        PolicyKind::Failover(targets) => list(targets),
        PolicyKind::All { .. } => pool(model.has_family(target, family)),
        PolicyKind::Geo(rules) => of_rules(rules, list),
        PolicyKind::Networks(rules) => of_rules(rules, list),
        // In any order: one that always has it is found, one that ends may come first.
        kind @ (PolicyKind::Nearest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::Fastest { .. }) => {
            let targets = kind.targets();
            let each = targets.iter().map(|&target| outcomes(model, target, family));
            let each: Vec<Outcomes> = each.collect();
            let open = each.iter().all(|outcomes| outcomes.open);
            Outcomes { open, ..each.into_iter().fold(Outcomes::NONE, Outcomes::or) }
        }
    };
    any.fenced(policy.fence)
}

fn of_rules<C>(rules: &Rules<C>, list: impl Fn(&[Target]) -> Outcomes) -> Outcomes {
    let each = rules.rules.iter().map(|rule| list(&rule.to).fenced(rule.fence));
    each.fold(list(&rules.default), Outcomes::or)
}
