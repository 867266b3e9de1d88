//! `[[check.NAME.degraded]]`: levels of slowness.

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::Percent;
use crate::model::Step;

/// Levels, each slower than the one before it and with less weight.
pub(super) fn read_degraded(value: &Value<'_>, problems: &mut Problems) -> Vec<At<Step>> {
    let wanted = "tables, as [[check.NAME.degraded]] with over and weight";
    let Some(list) = value.list(wanted, problems) else { return Vec::new() };
    if list.len() > keys::LEVELS_MAX {
        let fault = format!("these are {} levels", list.len());
        let remedy = format!("use at most {}", keys::LEVELS_MAX);
        problems.error(&value.place, &value.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
    let mut steps: Vec<At<Step>> = Vec::new();
    for value in &list {
        let Some(mut section) = value.section(problems) else { continue };
        let over = section.need("over", problems).and_then(|value| value.duration(problems));
        let weight = section.need("weight", problems).and_then(|value| value.percent(problems));
        section.finish(problems);
        let (Some(over), Some(weight)) = (over, weight) else { continue };
        let step = Step { over: over.value, weight: Percent(weight.value) };
        let is_after =
            |before: &At<Step>| step.over > before.value.over && step.weight < before.value.weight;
        if let Some(before) = steps.last().filter(|before| !is_after(before)) {
            let fault = "this level is no slower than the one before it, or leaves no less weight";
            let remedy = "begin with the mildest level; each next one is slower and leaves less";
            let also = (before.place.clone(), "the one before");
            problems.error_with(&over.place, format!("{}.over", value.path), fault, remedy, also);
        }
        steps.push(At { value: step, place: over.place });
    }
    steps
}
