//! `[name.NAME]`: what is steered, and static records beside it.

use crate::config::Problems;
use crate::config::keys::PERIOD;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::AllDownSpec;
use crate::config::spec::NameSpec;
use crate::config::spec::SteerSpec;
use crate::model::ANSWERS_MAX;
use crate::model::DualStack;
use crate::model::EcsUse;
use crate::model::KeySource;
use crate::model::Period;
use crate::wire::RecordType;
use crate::zonefile::TYPES_REMEDY;

/// Keys that say how a steered name is answered.
const STEERING_KEYS: [&str; 9] =
    ["answers", "period", "sticky", "key", "ecs", "affinity", "on_all_down", "dual_stack", "ttl"];

pub(super) fn read_name(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> NameSpec {
    let said = ["steer", "records"].map(|key| section.find_key(key).is_some());
    let steer = section.take("steer").and_then(|value| value.string(problems));
    if !said[0] {
        refuse_steering_keys(&section, problems);
    }
    let answers = section.take("answers").and_then(|value| read_answers(&value, problems));
    let period = read_keeping(&mut section, problems);
    let key = section.take("key").and_then(|value| read_key(&value, problems));
    let ecs = section.take("ecs").and_then(|value| read_ecs(&value, problems));
    let affinity = section.take("affinity").and_then(|value| value.string(problems));
    let on_all_down = section.take("on_all_down").and_then(|value| read_all_down(&value, problems));
    let dual_stack = section.take("dual_stack").and_then(|value| read_dual_stack(&value, problems));
    let ttl = section.take("ttl").and_then(|value| read_ttl(&value, problems));
    let records =
        section.take("records").map(|value| read_records(&value, problems)).unwrap_or_default();
    let (path, place) = (section.path.clone(), section.place.clone());
    section.finish(problems);
    if said == [false, false] {
        problems
            .error(
                &place,
                path,
                "nothing is said of this name",
                format!("add steer = \"…\", or a table [{}.records]", dotted("name", &name.value)),
            )
            .rule(&rules::MISSING_KEY);
    }
    let steer = steer.map(|target| SteerSpec {
        target,
        answers,
        period: period.unwrap_or(Period::Every(PERIOD)),
        key: key.unwrap_or(KeySource::Client),
        affinity: affinity.map(|at| at.value),
        on_all_down: on_all_down.unwrap_or(AllDownSpec::FailOpen),
        dual_stack: dual_stack.unwrap_or(DualStack::Joint),
        ecs: ecs.unwrap_or(EcsUse::Use),
        ttl,
    });
    NameSpec { name, steer, records }
}

/// Keys of steering without steering change nothing, which nobody means.
fn refuse_steering_keys(section: &Section<'_>, problems: &mut Problems) {
    for key in STEERING_KEYS {
        let Some(place) = section.find_key(key) else { continue };
        let remedy = match key {
            "ttl" => "add steer; the TTL of records is record_ttl in [zone]",
            _ => "add steer, or take it out",
        };
        let path = dotted(&section.path, key);
        problems
            .error(&place, path, "this key is for steered names only", remedy)
            .rule(&rules::UNKNOWN_KEY);
    }
}

/// Seconds of a TTL.
pub(super) fn read_ttl(value: &Value<'_>, problems: &mut Problems) -> Option<At<u32>> {
    let ttl = value.duration(problems)?;
    let seconds = u32::try_from(ttl.value.as_secs()).expect("the longest TTL fits 32 bits");
    Some(At { value: seconds, place: ttl.place })
}

/// A number of 1 to 8, or `"all"`.
fn read_answers(value: &Value<'_>, problems: &mut Problems) -> Option<u8> {
    match value.find_word() {
        Some(_) => Some(ANSWERS_MAX as u8),
        None => value.integer(problems).map(|at| at.value as u8),
    }
}

/// `period`, or `sticky`.
fn read_keeping(section: &mut Section<'_>, problems: &mut Problems) -> Option<Period> {
    let period = section.take("period");
    let Some(sticky) = section.take("sticky") else {
        return period.and_then(|value| read_period(&value, problems));
    };
    if let Some(period) = period {
        let fault = "sticky and period say the same thing twice";
        let also = (period.key_place.clone(), "period is here");
        problems
            .error_with(&sticky.key_place, &sticky.path, fault, "keep one of them", also)
            .rule(&rules::BAD_VALUE);
    }
    sticky.boolean(problems).filter(|sticky| sticky.value).map(|_| Period::Forever)
}

/// A duration, or `"forever"`.
fn read_period(value: &Value<'_>, problems: &mut Problems) -> Option<Period> {
    match value.find_word() {
        Some(_) => Some(Period::Forever),
        None => value.duration(problems).map(|at| Period::Every(at.value)),
    }
}

fn read_key(value: &Value<'_>, problems: &mut Problems) -> Option<KeySource> {
    Some(match value.word(problems)?.value {
        "client" => KeySource::Client,
        _ => KeySource::Resolver,
    })
}

fn read_ecs(value: &Value<'_>, problems: &mut Problems) -> Option<EcsUse> {
    Some(match value.word(problems)?.value {
        "use" => EcsUse::Use,
        _ => EcsUse::Ignore,
    })
}

fn read_dual_stack(value: &Value<'_>, problems: &mut Problems) -> Option<DualStack> {
    Some(match value.word(problems)?.value {
        "joint" => DualStack::Joint,
        _ => DualStack::Independent,
    })
}

/// `"fail_open"`, `"last_good"`, `"servfail"` or `{ pool = "x" }`
fn read_all_down(value: &Value<'_>, problems: &mut Problems) -> Option<AllDownSpec> {
    if !value.is_string() {
        let wanted = "\"fail_open\", \"last_good\", \"servfail\" or { pool = \"…\" }";
        let mut section = value.section_like(wanted, problems)?;
        let pool = section.need("pool", problems).and_then(|value| value.string(problems));
        section.finish(problems);
        return pool.map(AllDownSpec::Pool);
    }
    Some(match value.word(problems)?.value {
        "fail_open" => AllDownSpec::FailOpen,
        "last_good" => AllDownSpec::LastGood,
        _ => AllDownSpec::ServFail,
    })
}

/// `MX = ["10 mail.example.com."]`
fn read_records(
    value: &Value<'_>,
    problems: &mut Problems,
) -> Vec<(At<RecordType>, Vec<At<String>>)> {
    let Some(mut section) = value.section(problems) else { return Vec::new() };
    let mut records = Vec::new();
    for (key, value) in section.take_all() {
        let rtype = RecordType::parse(&key.value).filter(|rtype| rtype.is_data());
        let Some(rtype) = rtype else {
            let fault = format!("\"{}\" is not a record type that can be written", key.value);
            problems.error(&key.place, &value.path, fault, TYPES_REMEDY);
            continue;
        };
        let texts = value.strings(problems).unwrap_or_default();
        records.push((At { value: rtype, place: key.place }, texts));
    }
    records
}
