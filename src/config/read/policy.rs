//! `[policy.NAME]`

use crate::config::Problems;
use crate::config::keys::FENCE;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::rules;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;

pub(super) fn read_policy(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<PolicySpec> {
    let kind = section.need("kind", problems)?.word(problems)?;
    let fence = section.take("fence").and_then(|value| value.boolean(problems));
    let kind = match kind.value {
        "failover" => read_targets(&mut section, problems).map(PolicyKindSpec::Failover),
        "nearest" => {
            let targets = read_targets(&mut section, problems);
            let bias = read_bias(&mut section, problems);
            targets.map(|targets| PolicyKindSpec::Nearest(targets, bias))
        }
        _ => read_weighted(&mut section, problems),
    };
    section.finish(problems);
    Some(PolicySpec { name, kind: kind?, fence: fence.map_or(FENCE, |at| at.value) })
}

fn read_targets(section: &mut Section<'_>, problems: &mut Problems) -> Option<Vec<At<String>>> {
    let value = section.need("targets", problems)?;
    let targets = value.strings(problems)?;
    if targets.is_empty() {
        problems.error(&value.place, &value.path, "no target is named", "name pools or policies");
        return None;
    }
    for (position, target) in targets.iter().enumerate() {
        if let Some(first) = targets[..position].iter().find(|first| first.value == target.value) {
            let fault = format!("\"{}\" is named twice", target.value);
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&target.place, &value.path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        }
    }
    Some(targets)
}

/// `bias = { us = 1.2 }`, in thousandths.
fn read_bias(section: &mut Section<'_>, problems: &mut Problems) -> Vec<(At<String>, u32)> {
    let Some(mut table) = section
        .take("bias")
        .and_then(|value| value.section_like("a table, as { us = 1.2 }", problems))
    else {
        return Vec::new();
    };
    let factors = table.take_all().into_iter().filter_map(|(target, value)| {
        let factor = value.number(problems)?;
        Some((target, (factor.value * 1000.0).round() as u32))
    });
    factors.collect()
}

/// `weights = { world = 95, next = 5 }` and `spill = ["next"]`
fn read_weighted(section: &mut Section<'_>, problems: &mut Problems) -> Option<PolicyKindSpec> {
    let spill = section.take("spill").and_then(|value| value.strings(problems));
    let value = section.need("weights", problems)?;
    let mut table = value.section_like("a table, as { world = 95, next = 5 }", problems)?;
    let mut is_whole = true;
    let weights: Vec<_> = table
        .take_all()
        .into_iter()
        .filter_map(|(target, value)| {
            let weight = value.integer(problems);
            is_whole &= weight.is_some();
            Some((target, weight?.value as u16))
        })
        .collect();
    if !is_whole {
        return None;
    }
    if weights.iter().all(|&(_, weight)| weight == 0) {
        problems.error(
            &value.place,
            &value.path,
            "no target has a weight above 0",
            "give one a weight",
        );
        return None;
    }
    Some(PolicyKindSpec::Weighted(weights, spill))
}
