//! `quorum`, `scope`, `vantage` and `fleet_interval`: how sites of a cluster agree.

use crate::config::Problems;
use crate::config::keys;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::Percent;
use crate::model::Quorum;
use crate::model::Vantage;
use crate::model::VoteScope;
use crate::model::Voting;

/// The four keys.
pub(super) fn read_voting(
    kind: Option<&str>,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Voting {
    let quorum = section.take_for(kind, "quorum");
    let quorum = quorum.and_then(|value| read_quorum(&value, problems));
    let scope = section.take_for(kind, "scope").and_then(|value| value.word(problems));
    let vantage = section.take_for(kind, "vantage");
    let vantage = vantage.and_then(|value| read_vantage(&value, problems));
    let scope = match scope.map(|at| at.value) {
        Some("region") => VoteScope::Region,
        Some(_) | None => VoteScope::Global,
    };
    let fleet_interval = section.take_for(kind, "fleet_interval");
    let fleet_interval = fleet_interval.and_then(|value| value.duration(problems));
    Voting {
        quorum: quorum.unwrap_or_default(),
        scope,
        vantage: vantage.unwrap_or_default(),
        fleet_interval: fleet_interval.map_or(keys::FLEET_INTERVAL, |at| at.value),
    }
}

/// `"majority"`, `2` or `"60%"`
fn read_quorum(value: &Value<'_>, problems: &mut Problems) -> Option<Quorum> {
    let is_share = || value.find_text().is_some_and(|text| text.trim_end().ends_with('%'));
    if value.find_word().is_some() {
        Some(Quorum::Majority)
    } else if value.is_integer() {
        value.integer(problems).map(|at| Quorum::AtLeast(at.value as u8))
    } else if is_share() {
        value.percent(problems).map(|at| Quorum::Share(Percent(at.value)))
    } else {
        refuse(
            value,
            "is no quorum",
            "\"majority\", a number of sites as 2, or a share as \"60%\"",
            problems,
        )
    }
}

/// `"all"` or `3`
fn read_vantage(value: &Value<'_>, problems: &mut Problems) -> Option<Vantage> {
    if value.find_word().is_some() {
        Some(Vantage::All)
    } else if value.is_integer() {
        value.integer(problems).map(|at| Vantage::Sites(at.value as u8))
    } else {
        refuse(value, "is no number of sites", "\"all\" or a number of sites, as 3", problems)
    }
}

fn refuse<T>(value: &Value<'_>, what: &str, forms: &str, problems: &mut Problems) -> Option<T> {
    let shown = value.find_text().map_or("this".to_owned(), |text| format!("\"{text}\""));
    let (fault, remedy) = (format!("{shown} {what}"), format!("write {forms}"));
    problems.error(&value.place, &value.path, fault, remedy).rule(&rules::UNKNOWN_WORD);
    None
}
