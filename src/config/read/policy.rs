//! `[policy.NAME]`

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::config::Problems;
use crate::config::keys::FENCE;
use crate::config::problem::At;
use crate::config::read::condition;
use crate::config::read::condition::Condition;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::reader::is_plain;
use crate::config::rules;
use crate::config::spec::Mention;
use crate::config::spec::Mentioned;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;
use crate::config::spec::RuleSpec;
use crate::config::spec::RulesSpec;
use crate::model::policy::Bias;

pub(super) fn read_policy(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<PolicySpec> {
    let kind = section.need("kind", problems)?.word(problems)?;
    let fence = section.take("fence").and_then(|value| value.boolean(problems));
    let kind = match kind.value {
        "failover" => need_targets(&mut section, problems).map(PolicyKindSpec::Failover),
        "all" => need_targets(&mut section, problems).map(PolicyKindSpec::All),
        "nearest" => read_nearest(&mut section, problems),
        "fastest" => read_fastest(&mut section, problems),
        "geo" => {
            let example = "continent:EU";
            read_rules(&mut section, condition::region, example, problems).map(PolicyKindSpec::Geo)
        }
        "networks" => {
            let example = "203.0.113.0/24";
            read_rules(&mut section, condition::network, example, problems)
                .map(PolicyKindSpec::Networks)
        }
        _ => read_weighted(&mut section, problems),
    };
    section.finish(problems);
    Some(PolicySpec { name, kind: kind?, fence: fence.map_or(FENCE, |at| at.value) })
}

/// What a policy names, for one that cannot be read: its own mistakes hide no unknown name.
pub(super) fn mentions(section: &Section<'_>) -> Vec<Mention> {
    let mut mentions: Vec<Mention> = Vec::new();
    let mut add = |key: &str, name: At<String>, what: Mentioned| {
        let is_known = |other: &Mention| other.what == what && other.name.value == name.value;
        if !mentions.iter().any(is_known) {
            mentions.push(Mention { key: dotted(&section.path, key), name, what });
        }
    };
    for key in ["targets", "default"] {
        section.find_texts(key).into_iter().for_each(|name| add(key, name, Mentioned::Target));
    }
    let weighed = section.find_names("weights").into_iter();
    weighed.for_each(|name| add("weights", name, Mentioned::Target));
    let to = section.find_texts_below("rule", "to").into_iter();
    to.for_each(|name| add("rule", name, Mentioned::Target));
    for At { value, place } in section.find_texts_below("rule", "where") {
        if let Some(list) = value.strip_prefix("list:").filter(|list| is_plain(list)) {
            add("rule", At { value: list.into(), place }, Mentioned::List);
        }
    }
    mentions
}

fn need_targets(section: &mut Section<'_>, problems: &mut Problems) -> Option<Vec<At<String>>> {
    let value = section.need("targets", problems)?;
    read_targets(&value, problems)
}

fn read_targets(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<At<String>>> {
    let targets = value.strings(problems)?;
    if targets.is_empty() {
        problems.error(&value.place, &value.path, "no target is named", "name pools or policies");
        return None;
    }
    refuse_twins(&targets, &value.path, |name| format!("\"{name}\""), problems);
    Some(targets)
}

/// Refuses what a list names twice.
fn refuse_twins<T: PartialEq>(
    items: &[At<T>],
    path: &str,
    show: impl Fn(&T) -> String,
    problems: &mut Problems,
) {
    for (position, item) in items.iter().enumerate() {
        let Some(first) = items[..position].iter().find(|first| first.value == item.value) else {
            continue;
        };
        let fault = format!("{} is named twice", show(&item.value));
        let also = (first.place.clone(), "first named here");
        problems
            .error_with(&item.place, path, fault, "take one out", also)
            .rule(&rules::DUPLICATE_VALUE);
    }
}

fn read_nearest(section: &mut Section<'_>, problems: &mut Problems) -> Option<PolicyKindSpec> {
    let targets = need_targets(section, problems);
    let bias = read_bias(section, problems);
    let cheap_within = read_cheap(section, ("km", 1000, "500km"), problems)?;
    Some(PolicyKindSpec::Nearest { targets: targets?, bias, cheap_within })
}

fn read_fastest(section: &mut Section<'_>, problems: &mut Problems) -> Option<PolicyKindSpec> {
    let targets = need_targets(section, problems);
    let weights = section.take("weights");
    let weights = weights.and_then(|value| read_weights(&value, problems)).unwrap_or_default();
    for (target, weight) in &weights {
        if *weight == 0 {
            let remedy = "leave the target out of targets, or give it a weight above 0";
            let fault = "a weight of 0 has no meaning among equals";
            let path = format!("{}.weights.{}", section.path, target.value);
            problems.error(&target.place, path, fault, remedy);
        }
    }
    let cheap_within = read_cheap(section, ("ms", 1000, "20ms"), problems)?;
    Some(PolicyKindSpec::Fastest { targets: targets?, weights, cheap_within })
}

/// `prefer = "cheap"` and `within`, which is a number with this unit, times so many. `None` if it cannot be read.
fn read_cheap(
    section: &mut Section<'_>,
    (unit, times, example): (&str, u64, &str),
    problems: &mut Problems,
) -> Option<Option<u64>> {
    let prefer = section.take("prefer");
    let within = section.take("within");
    let parse = |text: &str| -> Result<u64, Refusal> {
        let number =
            text.strip_suffix(unit).map(|digits| digits.strip_suffix(' ').unwrap_or(digits));
        let limit = if unit == "km" { KILOMETRES_MAX } else { MILLISECONDS_MAX };
        let number = number.and_then(find_number).filter(|number| *number <= limit);
        number.map(|number| number * times).ok_or_else(|| {
            let fault = format!("\"{text}\" is no number of {unit} up to {limit}");
            (fault, format!("write a text such as \"{example}\""))
        })
    };
    match (prefer, within) {
        (None, None) => Some(None),
        (Some(prefer), None) => {
            prefer.word(problems)?;
            let remedy =
                format!("add how much worse a cheap target may be: within = \"{example}\"");
            let fault = "a preference without a budget would send everybody to the cheapest site";
            problems.error(&prefer.place, &prefer.path, fault, remedy).rule(&rules::MISSING_KEY);
            None
        }
        (None, Some(within)) => {
            let remedy = "add prefer = \"cheap\", or take it out";
            let fault = "a budget without a preference means nothing";
            problems.error(&within.place, &within.path, fault, remedy).rule(&rules::MISSING_KEY);
            None
        }
        (Some(prefer), Some(within)) => {
            let within = within.parsed(parse, problems);
            prefer.word(problems)?;
            Some(Some(within?.value))
        }
    }
}

/// Half the way around the earth, in kilometres.
const KILOMETRES_MAX: u64 = 20_000;

/// More than any round trip on earth.
const MILLISECONDS_MAX: u64 = 999;

/// Digits and nothing else.
fn find_number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `bias = { us = 1.2, eu = "300km" }`
fn read_bias(section: &mut Section<'_>, problems: &mut Problems) -> Vec<(At<String>, Bias)> {
    let Some(mut table) = section
        .take("bias")
        .and_then(|value| value.section_like("a table, as { us = 1.2, eu = \"300km\" }", problems))
    else {
        return Vec::new();
    };
    let biases = table.take_all().into_iter().filter_map(|(target, value)| {
        let bias = match value.is_string() {
            true => value.parsed(parse_kilometres, problems)?.value,
            false => Bias::Factor((value.number(problems)?.value * 1000.0).round() as u32),
        };
        Some((target, bias))
    });
    biases.collect()
}

fn parse_kilometres(text: &str) -> Result<Bias, Refusal> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let digits = rest.strip_suffix("km").map(|digits| digits.strip_suffix(' ').unwrap_or(digits));
    let number = digits.and_then(find_number).filter(|number| *number <= KILOMETRES_MAX);
    number.map(|number| Bias::Metres(sign * number as i64 * 1000)).ok_or_else(|| {
        let fault = format!("\"{text}\" is neither a factor nor kilometres");
        let remedy =
            "write a factor without quotes, as 1.2, or kilometres of -20000 to 20000, as \"300km\"";
        (fault, remedy.into())
    })
}

/// `default`, and a table for each rule.
fn read_rules<C: Eq + Hash + Display>(
    section: &mut Section<'_>,
    parse: Condition<C>,
    example: &str,
    problems: &mut Problems,
) -> Option<RulesSpec<C>> {
    let default = section.need("default", problems);
    let default = default.and_then(|value| read_to(&value, problems));
    let Some(value) = section.take("rule") else {
        if section.has_typo_of("rule") {
            section.miss("rule", problems);
            return None;
        }
        let path = format!("{}.rule", section.path);
        let remedy = format!("add [[{path}]] with where = [\"{example}\"] and to = \"…\"");
        let fault = "this key is missing";
        problems.error(&section.place, path, fault, remedy).rule(&rules::MISSING_KEY);
        return None;
    };
    let list = value.list("tables, as [[policy.NAME.rule]]", problems)?;
    if list.is_empty() {
        let remedy = "add one, or use the target of default itself";
        problems.error(&value.place, &value.path, "there is no rule", remedy);
        return None;
    }
    let count = list.len();
    let rules: Vec<RuleSpec<C>> =
        list.iter().filter_map(|value| read_rule(value, parse, problems)).collect();
    refuse_same_condition(&rules, &value.path, problems);
    (rules.len() == count).then_some(RulesSpec { rules, default: default? })
}

fn read_rule<C>(
    value: &Value<'_>,
    parse: Condition<C>,
    problems: &mut Problems,
) -> Option<RuleSpec<C>> {
    let mut section = value.section(problems)?;
    let conditions = section.need("where", problems);
    let conditions = conditions.and_then(|value| condition::read(&value, parse, problems));
    let to = section.need("to", problems).and_then(|value| read_to(&value, problems));
    let fence = section.take("fence").and_then(|value| value.boolean(problems));
    section.finish(problems);
    let fence = fence.map_or(FENCE, |at| at.value);
    Some(RuleSpec { conditions: conditions?, to: to?, fence })
}

/// The order of rules means nothing, so that one condition in two of them would not decide.
fn refuse_same_condition<C: Eq + Hash + Display>(
    rules: &[RuleSpec<C>],
    path: &str,
    problems: &mut Problems,
) {
    let mut seen: HashMap<&C, &At<C>> = HashMap::new();
    for condition in rules.iter().flat_map(|rule| &rule.conditions) {
        let Some(first) = seen.insert(&condition.value, condition) else { continue };
        let fault = format!("\"{}\" stands in two rules, or twice in one", condition.value);
        let also = (first.place.clone(), "the first is here");
        let path = format!("{path}.where");
        problems
            .error_with(&condition.place, path, fault, "take one out", also)
            .rule(&rules::DUPLICATE_VALUE);
    }
}

/// One target, or several in order.
fn read_to(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<At<String>>> {
    match value.is_string() {
        true => value.string(problems).map(|target| vec![target]),
        false => read_targets(value, problems),
    }
}

/// `weights = { world = 95, next = 5 }` and `spill = ["next"]`
fn read_weighted(section: &mut Section<'_>, problems: &mut Problems) -> Option<PolicyKindSpec> {
    let spill = section.take("spill").and_then(|value| value.strings(problems));
    let value = section.need("weights", problems)?;
    Some(PolicyKindSpec::Weighted(read_weights(&value, problems)?, spill))
}

/// Shares by target, one above 0.
fn read_weights(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<(At<String>, u16)>> {
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
    Some(weights)
}
