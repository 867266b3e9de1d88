//! Warnings about choices that are none: targets that nobody gets, policies that decide nothing, names at one site.

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::FileSpec;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;
use crate::config::validate::policies::target_lists;
use crate::model::AllDown;
use crate::model::Model;
use crate::model::Policy;
use crate::model::PolicyKind;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::SteerId;
use crate::model::Target;

/// Warns of them in every file.
pub(super) fn warn(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    let policies = specs.iter().flat_map(|spec| &spec.policies);
    for (spec, policy) in policies.zip(&model.policies) {
        for (names, targets) in target_lists(&spec.kind).iter().zip(policy.kind.lists()) {
            if is_ordered(&policy.kind) {
                warn_of_shadowed(spec, names, &targets, model, problems);
            }
        }
        warn_of_weights(spec, policy, problems);
        warn_of_fence(spec, policy, model, problems);
    }
    for zone in &model.zones {
        let names = zone.steered.iter();
        names.for_each(|name| warn_of_single_site(specs, name.steer, model, problems));
    }
}

/// Whether targets come in the order of the file, whoever the client is.
fn is_ordered(kind: &PolicyKind) -> bool {
    match kind {
        PolicyKind::Failover(_) | PolicyKind::Geo(_) | PolicyKind::Networks(_) => true,
        PolicyKind::Nearest { .. }
        | PolicyKind::Fastest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::All { .. } => false,
    }
}

/// A target behind one that ends the list, or that never goes down, gets nobody.
fn warn_of_shadowed(
    spec: &PolicySpec,
    names: &[&At<String>],
    targets: &[Target],
    model: &Model,
    problems: &mut Problems,
) {
    let pool_of = |target: &Target| match target {
        Target::Pool(pool) => Some(&model.pools[pool.index()]),
        Target::Policy(_) => None,
    };
    // Where nothing is probed at all, nobody expects probes to decide.
    let any_check = targets.iter().filter_map(pool_of).any(|pool| pool.check.is_some());
    let why_last = |target: &Target| match target {
        Target::Policy(id) if model.policies[id.index()].fence => {
            let name = &model.policies[id.index()].name;
            Some((format!("policy \"{name}\" before it is fenced"), "take it out, or the fence"))
        }
        Target::Policy(_) => None,
        Target::Pool(_) => {
            pool_of(target).filter(|pool| pool.check.is_none() && any_check).map(|pool| {
                let fault =
                    format!("pool \"{}\" before it has no check, so it is never down", pool.name);
                (fault, "give that pool a check, or put it last")
            })
        }
    };
    for (position, name) in names.iter().enumerate() {
        let Some((why, remedy)) = targets[..position].iter().find_map(why_last) else { continue };
        let key = format!("{}.{}", dotted("policy", &spec.name.value), key_of(&spec.kind));
        let fault = format!("nobody gets \"{}\": {why}", name.value);
        problems.warning(&name.place, key, fault, remedy).rule(&rules::NEVER_CHOSEN);
        return; // what follows follows from this
    }
}

fn key_of(kind: &PolicyKindSpec) -> &'static str {
    match kind {
        PolicyKindSpec::Weighted(..) => "weights",
        PolicyKindSpec::Geo(_) | PolicyKindSpec::Networks(_) => "rule",
        PolicyKindSpec::Failover(_)
        | PolicyKindSpec::Nearest { .. }
        | PolicyKindSpec::Fastest { .. }
        | PolicyKindSpec::All(_) => "targets",
    }
}

/// A share of 0 that takes no overflow gets nobody; one target needs no shares.
fn warn_of_weights(spec: &PolicySpec, policy: &Policy, problems: &mut Problems) {
    let (PolicyKindSpec::Weighted(names, _), PolicyKind::Weighted(targets)) =
        (&spec.kind, &policy.kind)
    else {
        return;
    };
    let key = format!("{}.weights", dotted("policy", &spec.name.value));
    if let [(only, _)] = &names[..] {
        let fault = "one target: there is nothing to share out";
        let remedy = format!("name \"{}\" where this policy is named", only.value);
        problems.warning(&only.place, key, fault, remedy).rule(&rules::NO_CHOICE);
        return;
    }
    for ((name, _), target) in names.iter().zip(targets) {
        if target.weight == 0 && !target.spill {
            let fault =
                format!("nobody gets \"{}\": it has no share and takes no overflow", name.value);
            let remedy = "give it a weight, name it in spill, or take it out";
            problems.warning(&name.place, &key, fault, remedy).rule(&rules::NEVER_CHOSEN);
        }
    }
}

/// Inside a fence with one pool nobody helps out.
fn warn_of_fence(spec: &PolicySpec, policy: &Policy, model: &Model, problems: &mut Problems) {
    let targets = policy.kind.targets().into_iter();
    let mut pools: Vec<PoolId> = targets.flat_map(|target| model.pools_below(target)).collect();
    pools.sort_unstable();
    pools.dedup();
    if let ([only], true) = (&pools[..], policy.fence) {
        let name = &model.pools[only.index()].name;
        let fault =
            format!("a fence around pool \"{name}\" alone: nothing helps out when it is down");
        let key = format!("{}.fence", dotted("policy", &spec.name.value));
        let remedy = "put a second pool inside, or take the fence out";
        problems.warning(&spec.name.place, key, fault, remedy).rule(&rules::NO_CHOICE);
    }
}

/// A name all of whose pools stand at one site is lost with it. Nothing is said where there is only one site.
fn warn_of_single_site(specs: &[FileSpec], id: SteerId, model: &Model, problems: &mut Problems) {
    let steer = &model.steers[id.index()];
    let mut pools = model.pools_below(steer.target);
    if let AllDown::Pool(pool) = steer.on_all_down {
        pools.push(pool);
    }
    let sites: Option<Vec<SiteId>> =
        pools.iter().map(|pool| model.pools[pool.index()].site).collect();
    let Some(sites) = sites else { return };
    let Some(&site) = sites.first() else { return };
    let elsewhere = model.written_pools().any(|pool| pool.site.is_some_and(|other| other != site));
    if sites.iter().any(|other| *other != site) || !elsewhere {
        return;
    }
    // The name is one of its own file's: found by what it steers to and its owner.
    let named = specs.iter().filter_map(|spec| Some((spec.zone.as_ref()?, spec)));
    let found = named.flat_map(|(zone, spec)| spec.names.iter().map(move |name| (zone, name)));
    let found = found.into_iter().find(|(zone, name)| {
        let owner = crate::wire::Name::parse(&name.name.value, &zone.apex.value);
        name.steer.is_some() && owner.is_ok_and(|owner| owner == steer.owner)
    });
    let Some((_, name)) = found else { return };
    let Some(spec) = &name.steer else { return };
    let key = format!("{}.steer", dotted("name", &name.name.value));
    let fault = format!(
        "every pool of this name stands at site \"{}\": with it the name is lost",
        model.sites[site.index()].name
    );
    let remedy = "add a pool at another site";
    problems.warning(&spec.target.place, key, fault, remedy).rule(&rules::SINGLE_SITE);
}
