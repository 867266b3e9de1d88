//! Keys of checks that are made of others.

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::rules;
use crate::config::spec::CheckKindSpec;

/// `of` and `must`; `need` says how many must pass.
pub(super) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    need: impl FnOnce(&mut Problems, &[At<String>]) -> Option<usize>,
) -> Option<CheckKindSpec> {
    let must = section.take("must").and_then(|value| value.strings(problems));
    let must = must.unwrap_or_default();
    let Some(value) = section.take("of") else {
        section.miss("of", problems);
        return None;
    };
    let of = value.strings(problems)?;
    if of.is_empty() || of.len() > keys::PARTS_MAX {
        let fault = format!("these are {} checks", of.len());
        let remedy = format!("name 1 to {}", keys::PARTS_MAX);
        problems.error(&value.place, &value.path, fault, remedy);
        return None;
    }
    refuse_twice(&of, &value.path, problems);
    let path = format!("{}.must", section.path);
    refuse_twice(&must, &path, problems);
    for part in &must {
        if !of.iter().any(|other| other.value == part.value) {
            let fault = format!("\"{}\" is none of its parts", part.value);
            problems.error(&part.place, &path, fault, "add it to of, or take it out here");
        }
    }
    let need = need(problems, &of)?;
    Some(CheckKindSpec::Composite { of, need, must })
}

/// The same with `n`.
pub(super) fn read_at_least(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<CheckKindSpec> {
    let is_said = section.find_key("n").is_some();
    let n = section.take("n").and_then(|value| value.integer(problems));
    if !is_said {
        section.miss("n", problems);
    }
    let path = format!("{}.n", section.path);
    read(section, problems, |problems, of| {
        let At { value, place } = n?;
        let need = usize::try_from(value).unwrap_or(usize::MAX);
        if need > of.len() {
            let fault = format!("{need} of {} checks can never pass", of.len());
            problems.error(&place, path, fault, format!("use 1 to {}", of.len()));
            return None;
        }
        Some(need)
    })
}

fn refuse_twice(names: &[At<String>], path: &str, problems: &mut Problems) {
    for (position, name) in names.iter().enumerate() {
        let first = names[..position].iter().find(|other| other.value == name.value);
        if let Some(first) = first {
            let fault = format!("\"{}\" stands here twice", name.value);
            let also = (first.place.clone(), "the first is here");
            problems
                .error_with(&name.place, path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        }
    }
}
