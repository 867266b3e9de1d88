//! What a pool needs that sheds clients for its load.

use std::time::Duration;

use crate::config::Problems;
use crate::config::duration::spell;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::FileSpec;
use crate::config::spec::PoolSpec;
use crate::model::Check;
use crate::model::CheckKind;
use crate::model::LoadSource;
use crate::model::Model;
use crate::model::Target;

/// Load is judged by windows of this length: each should have a report.
const INTERVAL_MAX: Duration = Duration::from_secs(30);

/// Refuses shedding without anything to go by; `check` is that of the pool, if it has one that is known.
pub(super) fn refuse(spec: &PoolSpec, check: Option<&Check>, problems: &mut Problems) {
    let Some(shed) = &spec.shed else { return };
    let key = dotted(&dotted("pool", &spec.name.value), "shed");
    if spec.site.is_none() {
        let fault = "the pool has no site, so that nobody knows which clients are far from it";
        let remedy = "add site = \"...\" to the pool";
        problems.error(&shed.place, key.clone(), fault, remedy).rule(&rules::MISSING_KEY);
    }
    let Some(written) = &spec.check else {
        let fault = "the pool has no check, so that nobody knows its load";
        let remedy = "add check = \"...\", the name of one with load = \"orca\"";
        problems.error(&shed.place, key, fault, remedy).rule(&rules::MISSING_KEY);
        return;
    };
    // A check that is not known is a mistake of its own.
    let Some(check) = check else { return };
    if load_of(check).is_none() {
        let fault = format!("check \"{}\" reads no load", check.name);
        let remedy = "give it kind = \"http\" or \"https\", and load = \"orca\" or load = { json = \"/load\" }";
        problems.error(&written.place, key, fault, remedy).rule(&rules::MISSING_KEY);
    } else if check.interval > INTERVAL_MAX {
        let (interval, most) = (spell(check.interval), spell(INTERVAL_MAX));
        let fault = format!(
            "check \"{}\" asks every {interval}, and load is judged every {most}",
            check.name
        );
        let remedy = format!("use an interval of at most {most}");
        problems.error(&written.place, key, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
}

/// Where a check reads load.
fn load_of(check: &Check) -> Option<&LoadSource> {
    match &check.kind {
        CheckKind::Http(http) | CheckKind::Https(http, _) => http.load.as_ref(),
        _ => None,
    }
}

/// Warns of pools that shed and whose clients nobody else could take.
pub(super) fn warn(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    let specs = specs.iter().flat_map(|spec| &spec.pools);
    for (spec, position) in specs.zip(0..) {
        let Some(shed) = &spec.shed else { continue };
        let id = crate::model::PoolId(position);
        let targets = || model.steers.iter().map(|steer| steer.target);
        let is_used = targets().any(|target| model.pools_below(target).contains(&id));
        let has_others = |target: Target| {
            let choices = model.choices_below(target);
            choices.contains(&id) && choices.iter().any(|other| *other != id)
        };
        if is_used && !targets().any(has_others) {
            let key = dotted(&dotted("pool", &spec.name.value), "shed");
            let fault = "no name has another pool that could take its clients";
            let remedy = "take shed out, or steer to a policy of several pools; `all` leaves nothing to choose";
            problems.warning(&shed.place, key, fault, remedy).rule(&rules::NO_CHOICE);
        }
    }
}
