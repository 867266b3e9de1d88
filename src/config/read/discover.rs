//! `[pool.NAME.discover]`

use crate::config::Problems;
use crate::config::keys::DISCOVER_INTERVAL;
use crate::config::keys::DISCOVER_TIMEOUT;
use crate::config::keys::MAX_DROP_PERCENT;
use crate::config::keys::SOURCES;
use crate::config::keys::WEIGHT_LABEL;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::read::pool::read_target;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::DiscoverSpec;
use crate::config::spec::SourceSpec;
use crate::config::value::Refusal;
use crate::model::Percent;
use crate::model::PortUse;

/// Keys that mean nothing for a source.
const MEANINGLESS: [(&str, &[&str]); 3] = [
    ("file", &["interval", "timeout", "authorization", "ca"]),
    ("http", &[]),
    ("srv", &["timeout", "authorization", "ca", "weight_label", "name_label", "site_label"]),
];

pub(super) fn read_discover(value: &Value<'_>, problems: &mut Problems) -> Option<DiscoverSpec> {
    let mut section = value.section_like("{ file = \"parts/targets.json\" }", problems)?;
    let place = section.place.clone();
    refuse_meaningless(&section, problems);
    let source = read_source(&mut section, problems);
    let percent = section.take("max_drop").and_then(|value| value.percent(problems));
    let max_drop = Percent(percent.map_or(MAX_DROP_PERCENT, |at| at.value));
    let weight_label = read_label("weight_label", &mut section, problems);
    let weight_label = weight_label.unwrap_or_else(|| WEIGHT_LABEL.into());
    let name_label = read_label("name_label", &mut section, problems);
    let site_place = section.find_key("site_label");
    let site_label = read_label("site_label", &mut section, problems);
    let port = section.take("port").and_then(|value| value.word(problems));
    let port = match port.map(|at| at.value) {
        Some("ignore") => PortUse::Ignore,
        _ => PortUse::Probe,
    };
    section.finish(problems);
    let site_label = site_label.zip(site_place).map(|(value, place)| At { value, place });
    Some(DiscoverSpec {
        place,
        source: source?,
        max_drop,
        weight_label,
        name_label,
        site_label,
        port,
    })
}

fn read_label(
    name: &'static str,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<String> {
    section.take(name).and_then(|value| value.parsed(label, problems)).map(|at| at.value)
}

/// A label as Prometheus has it.
fn label(text: &str) -> Result<String, Refusal> {
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
    let is_label = text.bytes().all(is_word)
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && text.len() <= 128;
    match is_label {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not the name of a label"),
            "use up to 128 letters, digits and \"_\", and begin with no digit".into(),
        )),
    }
}

/// What a source cannot use would be set in vain.
fn refuse_meaningless(section: &Section<'_>, problems: &mut Problems) {
    for (source, keys) in MEANINGLESS {
        let Some(beside) = section.find_key(source) else { continue };
        for key in keys {
            let Some(place) = section.find_key(key) else { continue };
            let fault = format!("{key} means nothing for {source}");
            let path = dotted(&section.path, key);
            problems.error_with(
                &place,
                path,
                fault,
                "take it out",
                (beside.clone(), "beside this"),
            );
        }
    }
}

/// Exactly one of three.
fn read_source(section: &mut Section<'_>, problems: &mut Problems) -> Option<SourceSpec> {
    let said: Vec<(&str, Place)> =
        SOURCES.iter().filter_map(|key| Some((*key, section.find_key(key)?))).collect();
    if let [(first, place), (second, also), ..] = &said[..] {
        let fault = format!("a pool has one source, and this one has {first} and {second}");
        let path = dotted(&section.path, second);
        let beside = (place.clone(), "beside this");
        problems.error_with(also, path, fault, "keep one, or make two pools", beside);
    }
    if said.is_empty() && !SOURCES.iter().any(|key| section.has_typo_of(key)) {
        let remedy =
            "add file = \"parts/targets.json\", http = \"https://…\" or srv = \"_web._tcp.…\"";
        problems
            .error(&section.place, &section.path, "nothing says who is asked", remedy)
            .rule(&rules::MISSING_KEY);
    }
    let file = section.take("file").and_then(|value| value.parsed(file_name, problems));
    let http = section.take("http").and_then(|value| value.parsed(url, problems));
    let srv = section.take("srv").and_then(|value| read_target(&value, problems));
    let interval = section.take("interval").and_then(|value| value.duration(problems));
    let timeout = section.take("timeout").and_then(|value| value.duration(problems));
    let authorization = section.take("authorization");
    let authorization = authorization.and_then(|value| value.parsed(file_name, problems));
    let ca = section.take("ca").and_then(|value| value.parsed(file_name, problems));
    let interval = interval.map_or(DISCOVER_INTERVAL, |at| at.value);
    if let Some(file) = file {
        return Some(SourceSpec::File(file));
    }
    if let Some(service) = srv {
        return Some(SourceSpec::Srv { service: service.value, interval });
    }
    let url = http?;
    if authorization.is_some() && url.value.starts_with("http://") {
        let path = dotted(&section.path, "http");
        let fault = "authorization is sent for everybody to read";
        problems.warning(&url.place, path, fault, "use https://");
    }
    let timeout = match timeout {
        Some(at) if at.value > interval => {
            let path = dotted(&section.path, "timeout");
            let remedy = "use at most the interval";
            problems.error(&at.place, path, "the timeout is longer than the interval", remedy);
            interval
        }
        Some(at) => at.value,
        None => DISCOVER_TIMEOUT.min(interval),
    };
    Some(SourceSpec::Http { url: url.value, interval, timeout, authorization, ca })
}

fn file_name(text: &str) -> Result<String, Refusal> {
    match text.is_empty() || text.contains('\0') {
        true => Err(("no file is named".into(), "write a path, as \"parts/targets.json\"".into())),
        false => Ok(text.to_owned()),
    }
}

/// A URL that is safe to show: whoever reads a log must not find a password in it.
fn url(text: &str) -> Result<String, Refusal> {
    let remedy = || "write \"https://consul.example.internal/sd\"".to_owned();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| rest.bytes().all(|octet| octet.is_ascii_graphic())) else {
        return Err((format!("\"{text}\" is no URL of a web server"), remedy()));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match (authority.is_empty(), authority.contains('@')) {
        (true, _) => Err((format!("\"{text}\" has no host"), remedy())),
        (_, true) => Err((
            "the URL holds a password, which logs would show".into(),
            "put it into a file, and name that: authorization = \"FILE\"".into(),
        )),
        _ if text.len() > 2048 => Err(("the URL is longer than 2048 octets".into(), remedy())),
        _ => Ok(text.to_owned()),
    }
}
