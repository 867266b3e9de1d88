//! Warnings about endpoints that their files take out although nothing else is left for some name.
//!
//! An order needs `--force` for that; a file is the operator's word, so it counts, and is shown.

use std::collections::BTreeMap;

use crate::config::Problems;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::FileSpec;
use crate::model::Admin;
use crate::model::AllDown;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Model;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Steer;
use crate::model::Target;

/// Most names that one warning tells.
const NAMES_TOLD: usize = 5;

/// Warns of them in every file.
pub(super) fn warn(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    if !model.written_pools().flat_map(|pool| &pool.endpoints).any(is_out) {
        return;
    }
    let [then, now] = [false, true].map(|by_file| {
        Family::BOTH.map(|family| -> Vec<bool> {
            model.pools.iter().map(|pool| can_serve(pool, family, by_file)).collect()
        })
    });
    let is_emptied = |steer: &&Steer| {
        let pairs = then.iter().zip(&now);
        pairs
            .into_iter()
            .any(|(then, now)| answers(model, steer, then) && !answers(model, steer, now))
    };
    // By the endpoint that is to be mended first.
    let mut names: BTreeMap<(PoolId, usize), Vec<String>> = BTreeMap::new();
    for steer in model.steers.iter().filter(is_emptied) {
        let mut pools = model.pools_below(steer.target);
        pools.sort_unstable();
        let first = pools.into_iter().find_map(|id| {
            let at = model.pools[id.index()].endpoints.iter().position(is_out)?;
            Some((id, at))
        });
        if let Some(first) = first {
            names.entry(first).or_default().push(steer.owner.to_string());
        }
    }
    for ((pool, at), names) in names {
        let mut pools = specs.iter().flat_map(|spec| &spec.pools);
        let Some(spec) = pools.nth(pool.index()) else { continue };
        let Some(endpoint) = spec.endpoints.get(at) else { continue };
        let path = dotted(&dotted("pool", &spec.name.value), "endpoint");
        let key = format!("{}.state", dotted(&path, &endpoint.name.value));
        let fault = format!(
            "files drain or disable all that clients of {} could be answered with",
            told(&names)
        );
        let remedy = "take this state out, or name a pool that stays; until then they get SERVFAIL";
        problems.warning(&endpoint.name.place, key, fault, remedy).rule(&rules::NO_CHOICE);
    }
}

fn told(names: &[String]) -> String {
    match names.len().checked_sub(NAMES_TOLD) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES_TOLD].join(", ")),
    }
}

/// Whether its file takes an endpoint out.
fn is_out(endpoint: &Endpoint) -> bool {
    matches!(endpoint.admin(), Admin::Drained | Admin::Disabled)
}

/// Whether a pool has somebody for a family, if states of files count, or if not. What is to be found may be anybody.
fn can_serve(pool: &Pool, family: Family, by_file: bool) -> bool {
    let stays = |endpoint: &Endpoint| endpoint.may_have(family) && !(by_file && is_out(endpoint));
    pool.discover.is_some() || pool.endpoints.iter().any(stays)
}

/// Whether all clients of a name can be answered.
fn answers(model: &Model, steer: &Steer, pools: &[bool]) -> bool {
    let otherwise = match steer.on_all_down {
        AllDown::Pool(pool) => pools[pool.index()],
        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => false,
    };
    otherwise || serves(model, steer.target, pools)
}

/// Whether every client who comes to a target can be answered by it. A tree is as deep as validation lets it be.
fn serves(model: &Model, target: Target, pools: &[bool]) -> bool {
    let id = match target {
        Target::Pool(pool) => return pools[pool.index()],
        Target::Policy(id) => id,
    };
    let kind = &model.policies[id.index()].kind;
    let is_fenced = |target: &Target| match target {
        Target::Pool(_) => false,
        Target::Policy(id) => model.policies[id.index()].fence,
    };
    let serves = |target: &Target| serves(model, *target, pools);
    kind.lists().iter().all(|list| match kind {
        PolicyKind::Failover(_) | PolicyKind::Geo(_) | PolicyKind::Networks(_) => {
            // Nobody leaves a fence for what stands behind it.
            let last = list.iter().position(is_fenced).map_or(list.len(), |at| at + 1);
            list[..last].iter().any(serves)
        }
        PolicyKind::Nearest { .. }
        | PolicyKind::Fastest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::All { .. } => {
            // Whichever it is comes first for somebody.
            list.iter().filter(|target| is_fenced(target)).all(serves) && list.iter().any(serves)
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::config::Files;
    use crate::config::SourceFile;

    /// What is said of states, with two pools `p` and `q` of two endpoints each, and names.
    fn said(p: [&str; 2], q: [&str; 2], rest: &str) -> Vec<String> {
        let endpoint = |(at, state): (usize, &&str)| {
            let state =
                if state.is_empty() { String::new() } else { format!(", state = '{state}'") };
            format!(
                "endpoint.e{at} = {{ addresses = ['192.0.2.{at}', '2001:db8::{at}']{state} }}\n"
            )
        };
        let of = |pool: [&str; 2]| pool.iter().enumerate().map(endpoint).collect::<String>();
        let text = format!(
            "{rest}[pool.p]\n{}[pool.q]\n{}[policy.order]\nkind = 'failover'\ntargets = ['p', 'q']\n\
             [policy.fenced]\nkind = 'failover'\ntargets = ['p', 'q']\nfence = true\n\
             [policy.inside]\nkind = 'failover'\ntargets = ['p']\nfence = true\n\
             [policy.behind]\nkind = 'failover'\ntargets = ['inside', 'q']\n\
             [zone]\nname = 'a.test'\nnameservers = ['ns.example.net']\n",
            of(p),
            of(q)
        );
        let (model, problems) =
            config::load(&Files::new(vec![SourceFile::new("zones/a.toml", &text)]));
        assert!(model.is_some(), "{problems:?}");
        let texts = problems.iter().map(|problem| format!("{} {}", problem.key, problem.fault));
        texts.filter(|text| text.contains("files drain")).collect()
    }

    #[test]
    fn a_file_that_leaves_nobody_for_a_name_is_told_with_the_names() {
        let names = "name.www.steer = 'order'\nname.api.steer = 'order'\nname.p.steer = 'p'\n";
        let all = said(["drained", "disabled"], ["drained", "drained"], names);
        assert_eq!(
            all,
            [
                "pool.p.endpoint.e0.state files drain or disable all that clients of www.a.test., api.a.test., p.a.test. could be answered with"
            ]
        );
        let one = said(["drained", "disabled"], ["drained", ""], names);
        assert!(matches!(&one[..], [one] if one.contains("of p.a.test. could")), "{one:?}");
        assert!(said(["drained", ""], ["drained", "drained"], names).is_empty());
        assert!(
            said(["down", "down"], ["down", "down"], names).is_empty(),
            "that is served at last"
        );
        let many: String = (0..7).map(|at| format!("name.n{at}.steer = 'p'\n")).collect();
        let many = said(["drained", "drained"], ["", ""], &many);
        assert!(matches!(&many[..], [one] if one.contains("n4.a.test. and 2 more")), "{many:?}");
    }

    #[test]
    fn nobody_leaves_a_fence_for_what_stands_behind_it() {
        let names = "name.www.steer = 'behind'\n";
        assert_eq!(said(["drained", "drained"], ["", ""], names).len(), 1);
        let names = "name.www.steer = 'fenced'\n";
        assert!(said(["drained", "drained"], ["", ""], names).is_empty());
        let names = "name.www = { steer = 'p', on_all_down = { pool = 'q' } }\n";
        assert!(said(["drained", "drained"], ["", ""], names).is_empty());
    }
}
