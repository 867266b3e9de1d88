//! `[name.NAME]`: what is steered, and static records beside it.

use std::time::Duration;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::reader::parse_duration;
use crate::config::reader::refuse_word;
use crate::config::spec::AllDownSpec;
use crate::config::spec::NameSpec;
use crate::config::spec::SteerSpec;
use crate::model::ANSWERS_MAX;
use crate::model::DualStack;
use crate::model::KeySource;
use crate::model::Period;
use crate::wire::RecordType;
use crate::zonefile::TYPES_REMEDY;

/// Keys that say how a steered name is answered.
const STEERING_KEYS: [&str; 7] =
    ["answers", "period", "key", "affinity", "on_all_down", "dual_stack", "ttl"];

/// Least TTL: below it resolvers ask all the time and gain nothing.
const TTL_MIN: Duration = Duration::from_secs(5);

/// Longest TTL: a week, where resolvers cap it (RFC 8767 section 4).
const TTL_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Longest period; whoever wants more writes "forever".
const PERIOD_MAX: Duration = Duration::from_secs(365 * 86_400);

/// How long a client keeps its choice when nothing is said.
const PERIOD: Period = Period::Every(Duration::from_secs(3600));

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
    let period = section.take("period").and_then(|value| value.parsed(read_period, problems));
    let key = section.take("key").and_then(|value| value.parsed(read_key, problems));
    let affinity = section.take("affinity").and_then(|value| value.string(problems));
    let on_all_down = section.take("on_all_down").and_then(|value| read_all_down(&value, problems));
    let dual_stack =
        section.take("dual_stack").and_then(|value| value.parsed(read_dual_stack, problems));
    let ttl = section.take("ttl").and_then(|value| read_ttl(&value, problems));
    let records =
        section.take("records").map(|value| read_records(&value, problems)).unwrap_or_default();
    let (path, place) = (section.path.clone(), section.place.clone());
    section.finish(problems);
    if said == [false, false] {
        problems.error(
            &place,
            path,
            "nothing is said of this name",
            format!("add steer = \"…\", or a table [{}.records]", dotted("name", &name.value)),
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
        problems.error(&place, path, "this key is for steered names only", remedy);
    }
}

/// Seconds of a TTL, from the floor of steered names to [`TTL_MAX`].
pub(super) fn read_ttl(value: &Value<'_>, problems: &mut Problems) -> Option<At<u32>> {
    let ttl = value.duration(TTL_MIN..=TTL_MAX, problems)?;
    if ttl.value.subsec_nanos() != 0 {
        let remedy = format!("write \"{}s\"", ttl.value.as_secs());
        problems.error(&value.place, &value.path, "a TTL counts whole seconds", remedy);
        return None;
    }
    let seconds = u32::try_from(ttl.value.as_secs()).expect("TTL_MAX fits 32 bits");
    Some(At { value: seconds, place: ttl.place })
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
        _ => match parse_duration(text, &(Duration::from_secs(1)..=PERIOD_MAX)) {
            Ok(period) if period.subsec_nanos() != 0 => {
                let remedy = format!("write \"{}s\"", period.as_secs());
                Err(("a period counts whole seconds".into(), remedy))
            }
            Ok(period) => Ok(Period::Every(period)),
            Err((fault, remedy)) => Err((fault, format!("{remedy}, or \"forever\""))),
        },
    }
}

fn read_key(text: &str) -> Result<KeySource, Refusal> {
    match text {
        "client" => Ok(KeySource::Client),
        "resolver" => Ok(KeySource::Resolver),
        _ => Err(refuse_word(text, "a key", &["client", "resolver"])),
    }
}

fn read_dual_stack(text: &str) -> Result<DualStack, Refusal> {
    match text {
        "joint" => Ok(DualStack::Joint),
        "independent" => Ok(DualStack::Independent),
        _ => Err(refuse_word(text, "a way to choose", &["joint", "independent"])),
    }
}

/// `"fail_open"`, `"last_good"`, `"servfail"` or `{ pool = "x" }`
fn read_all_down(value: &Value<'_>, problems: &mut Problems) -> Option<AllDownSpec> {
    if !value.is_string() {
        let wanted = "\"fail_open\", \"last_good\", \"servfail\" or { pool = \"…\" }";
        let mut section = value.section_like(wanted, problems)?;
        let pool =
            section.need("pool", "\"sorry\"", problems).and_then(|value| value.string(problems));
        section.finish(problems);
        return pool.map(AllDownSpec::Pool);
    }
    let parse = |text: &str| match text {
        "fail_open" => Ok(AllDownSpec::FailOpen),
        "last_good" => Ok(AllDownSpec::LastGood),
        "servfail" => Ok(AllDownSpec::ServFail),
        _ => {
            let words = ["fail_open", "last_good", "servfail"];
            let (fault, remedy) = refuse_word(text, "what to do when all is down", &words);
            Err((fault, format!("{remedy}, or {{ pool = \"…\" }}")))
        }
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
