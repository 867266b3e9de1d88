//! `[name.NAME]`: what is steered, and static records beside it.

use std::time::Duration;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::parse_duration;
use crate::config::spec::AllDownSpec;
use crate::config::spec::NameSpec;
use crate::config::spec::SteerSpec;
use crate::model::ANSWERS_MAX;
use crate::model::DualStack;
use crate::model::KeySource;
use crate::model::Period;
use crate::wire::RecordType;

/// How long a client keeps its choice when nothing is said.
const PERIOD: Period = Period::Every(Duration::from_secs(3600));

pub(super) fn read_name(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> NameSpec {
    let steer = section.take("steer").and_then(|value| value.string(problems));
    let answers = section.take("answers").and_then(|value| read_answers(&value, problems));
    let period = section.take("period").and_then(|value| value.parsed(read_period, problems));
    let key = section.take("key").and_then(|value| value.parsed(read_key, problems));
    let affinity = section.take("affinity").and_then(|value| value.string(problems));
    let on_all_down = section.take("on_all_down").and_then(|value| read_all_down(&value, problems));
    let dual_stack =
        section.take("dual_stack").and_then(|value| value.parsed(read_dual_stack, problems));
    let ttl = section.take("ttl").and_then(|value| value.duration(ttl_range(), problems));
    let records =
        section.take("records").map(|value| read_records(&value, problems)).unwrap_or_default();
    let (path, place) = (section.path.clone(), section.place.clone());
    section.finish(problems);
    if steer.is_none() && records.is_empty() {
        problems.error(
            &place,
            path,
            "nothing is said of this name",
            "add steer = \"…\" or a table of records",
        );
    }
    let steer = steer.map(|target| SteerSpec {
        target,
        answers: answers.unwrap_or(1),
        period: period.map_or(PERIOD, |at| at.value),
        key: key.map_or(KeySource::Client, |at| at.value),
        affinity: affinity.map(|at| at.value),
        on_all_down: on_all_down.unwrap_or(AllDownSpec::FailOpen),
        dual_stack: dual_stack.map_or(DualStack::Joint, |at| at.value),
        ttl: ttl.map(|at| at.value.as_secs() as u32),
    });
    NameSpec { name, steer, records }
}

/// TTLs of steered names: from the floor to a week (RFC 8767 section 4 caps at that).
pub(super) fn ttl_range() -> std::ops::RangeInclusive<Duration> {
    Duration::from_secs(5)..=Duration::from_secs(604_800)
}

/// A number of 1 to 8, or `"all"`.
fn read_answers(value: &Value<'_>, problems: &mut Problems) -> Option<u8> {
    if !value.is_string() {
        return value.integer(1..=ANSWERS_MAX as i64, "", problems).map(|at| at.value as u8);
    }
    let parse = |text: &str| match text {
        "all" => Ok(ANSWERS_MAX as u8),
        _ => Err((
            format!("\"{text}\" is not a number of answers"),
            "write 1 to 8, or \"all\"".to_owned(),
        )),
    };
    value.parsed(parse, problems).map(|at| at.value)
}

fn read_period(text: &str) -> Result<Period, Refusal> {
    match text {
        "forever" => Ok(Period::Forever),
        _ => parse_duration(text, &(Duration::from_secs(1)..=Duration::from_secs(31_536_000)))
            .map(Period::Every),
    }
}

fn read_key(text: &str) -> Result<KeySource, Refusal> {
    match text {
        "client" => Ok(KeySource::Client),
        "resolver" => Ok(KeySource::Resolver),
        _ => Err((format!("\"{text}\" is not a key"), "use \"client\" or \"resolver\"".into())),
    }
}

fn read_dual_stack(text: &str) -> Result<DualStack, Refusal> {
    match text {
        "joint" => Ok(DualStack::Joint),
        "independent" => Ok(DualStack::Independent),
        _ => Err((
            format!("\"{text}\" is not a way to choose"),
            "use \"joint\" or \"independent\"".into(),
        )),
    }
}

/// `"fail_open"`, `"last_good"`, `"servfail"` or `{ pool = "x" }`
fn read_all_down(value: &Value<'_>, problems: &mut Problems) -> Option<AllDownSpec> {
    if !value.is_string() {
        let mut section = value.section(problems)?;
        let pool =
            section.need("pool", "\"sorry\"", problems).and_then(|value| value.string(problems));
        section.finish(problems);
        return pool.map(AllDownSpec::Pool);
    }
    let parse = |text: &str| match text {
        "fail_open" => Ok(AllDownSpec::FailOpen),
        "last_good" => Ok(AllDownSpec::LastGood),
        "servfail" => Ok(AllDownSpec::ServFail),
        _ => Err((
            format!("\"{text}\" is not what to do when all is down"),
            "use \"fail_open\", \"last_good\", \"servfail\" or { pool = \"…\" }".to_owned(),
        )),
    };
    value.parsed(parse, problems).map(|at| at.value)
}

/// `MX = ["10 mail.example.com."]`
fn read_records(
    value: &Value<'_>,
    problems: &mut Problems,
) -> Vec<(At<RecordType>, Vec<At<String>>)> {
    let Some(mut section) = value.section(problems) else { return Vec::new() };
    let mut records = Vec::new();
    for (key, value) in section.take_all() {
        let rtype =
            RecordType::parse(&key.value).filter(|rtype| !matches!(rtype.0, 0 | 41 | 128..=255));
        let Some(rtype) = rtype else {
            let fault = format!("\"{}\" is not a type of record", key.value);
            problems.error(
                &key.place,
                &value.path,
                fault,
                "write a type such as MX, TXT or TYPE99",
            );
            continue;
        };
        let texts = value.strings(problems).unwrap_or_default();
        records.push((At { value: rtype, place: key.place }, texts));
    }
    records
}
