//! `[check.NAME]`

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::spec::CheckKindSpec;
use crate::config::spec::CheckSpec;
use crate::config::spec::TlsSpec;
use crate::model::LoadSource;

pub(super) fn read_check(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<CheckSpec> {
    let kind_text = section.need("kind", problems).and_then(|value| value.word(problems));
    let kind_text = kind_text.map(|at| At { value: Kind::of(at.value), place: at.place });
    let is_interval_said = section.find_key("interval").is_some();
    let interval = section.take("interval").and_then(|value| value.duration(problems));
    let timeout = section.take("timeout").and_then(|value| value.duration(problems));
    let hold_down = section.take("hold_down").and_then(|value| value.duration(problems));
    let damping = section.take("damping").and_then(|value| read_damping(&value, problems));
    let fall = section.take("fall").and_then(|value| value.integer(problems));
    let rise = section.take("rise").and_then(|value| value.integer(problems));
    let jitter = section.take("jitter").and_then(|value| value.percent(problems));
    let is_port_said = section.find_key("port").is_some();
    let port = section.take("port").and_then(|value| value.integer(problems));
    let kind = match &kind_text {
        Some(kind) => read_keys_of_kind(&mut section, kind.value, problems),
        None => None,
    };
    let default_port = kind_text.as_ref().and_then(|kind| kind.value.default_port());
    let port = port.map(|at| at.value as u16).or(default_port);
    // Without a kind nobody knows which other keys belong here.
    if kind_text.is_some() {
        if port.is_none() && !is_port_said {
            section.miss("port", problems);
        }
        section.finish(problems);
    }
    let interval = match (interval, &timeout) {
        (Some(at), _) => at.value,
        // A wrong interval is one mistake: the timeout is not compared with the default.
        (None, Some(timeout)) if is_interval_said => timeout.value,
        (None, _) => keys::INTERVAL,
    };
    let timeout =
        timeout.unwrap_or(At { value: keys::TIMEOUT.min(interval), place: name.place.clone() });
    Some(CheckSpec {
        kind: kind?,
        port: port?,
        interval,
        timeout,
        fall: fall.map_or(keys::FALL, |at| at.value as u8),
        rise: rise.map_or(keys::RISE, |at| at.value as u8),
        hold_down: hold_down.map_or(keys::HOLD_DOWN, |at| at.value),
        damping: damping.unwrap_or(Some(keys::DAMPING)),
        jitter_percent: jitter.map_or(keys::JITTER_PERCENT, |at| at.value),
        name,
    })
}

/// A half-life, or `"off"`
fn read_damping(value: &Value<'_>, problems: &mut Problems) -> Option<Option<Duration>> {
    match value.find_word() {
        Some(_) => Some(None),
        None => value.duration(problems).map(|at| Some(at.value)),
    }
}

/// What `kind` may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
    Https,
}

impl Kind {
    /// What a word of `kind` means.
    fn of(word: &str) -> Self {
        match word {
            "tcp" => Self::Tcp,
            "http" => Self::Http,
            _ => Self::Https,
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp => None,
            Self::Http => Some(80),
            Self::Https => Some(443),
        }
    }
}

fn read_keys_of_kind(
    section: &mut Section<'_>,
    kind: Kind,
    problems: &mut Problems,
) -> Option<CheckKindSpec> {
    if kind == Kind::Tcp {
        return Some(CheckKindSpec::Tcp);
    }
    let host = section.take("host").and_then(|value| value.parsed(read_host, problems));
    let path = section.take("path").and_then(|value| value.parsed(read_path, problems));
    let status = section.take("status").and_then(|value| value.parsed(read_status, problems));
    let body = section.take("body").and_then(|value| value.parsed(read_body, problems));
    let load = section.take("load").and_then(|value| read_load(&value, problems));
    let tls = (kind == Kind::Https).then(|| {
        let server_name =
            section.take("server_name").and_then(|value| value.parsed(read_host, problems));
        let ca = section.take("ca").and_then(|value| value.string(problems));
        let verify = section.take("verify").and_then(|value| value.boolean(problems));
        TlsSpec {
            server_name: server_name.map(|at| at.value),
            ca,
            verify: verify.map_or(keys::VERIFY, |at| at.value),
        }
    });
    Some(CheckKindSpec::Http {
        host: host.map(|at| at.value),
        path: path.map_or_else(|| keys::PATH.into(), |at| at.value),
        status: status.map_or_else(default_status, |at| at.value),
        body: body.map(|at| at.value),
        load: load.map(Box::new),
        tls,
    })
}

fn read_host(text: &str) -> Result<String, Refusal> {
    let is_host = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet));
    match is_host {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not a host name"),
            "write a name such as \"www.example.com\"".into(),
        )),
    }
}

fn read_path(text: &str) -> Result<String, Refusal> {
    let is_path = text.starts_with('/')
        && text.len() <= 2048
        && text.bytes().all(|octet| (0x21..0x7f).contains(&octet));
    match is_path {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not a path"),
            "begin with \"/\", use at most 2048 ASCII characters, no blanks; escape the rest as %20".into(),
        )),
    }
}

/// `"orca"` or `{ json = "/path", max = 100 }`
fn read_load(value: &Value<'_>, problems: &mut Problems) -> Option<LoadSource> {
    if value.is_string() {
        return value.word(problems).map(|_| LoadSource::Orca);
    }
    let wanted = "\"orca\" or { json = \"/load\" }";
    let mut section = value.section_like(wanted, problems)?;
    let pointer =
        section.need("json", problems).and_then(|value| value.parsed(read_pointer, problems));
    let max = section.take("max").and_then(|value| value.number(problems));
    section.finish(problems);
    let max = max.map_or(keys::LOAD_MAX, |at| at.value);
    pointer.map(|at| LoadSource::Json { pointer: at.value.into(), max })
}

/// A JSON pointer (RFC 6901): empty, or parts that each begin with a slash, with `~` as `~0` and `/` as `~1`.
fn read_pointer(text: &str) -> Result<String, Refusal> {
    let is_escaped = |part: &str| part.starts_with('0') || part.starts_with('1');
    let is_pointer = (text.is_empty() || text.starts_with('/'))
        && text.len() <= 256
        && text.split('~').skip(1).all(is_escaped);
    match is_pointer {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not a JSON pointer"),
            "begin with \"/\", as \"/system/load\", use at most 256 octets; write ~ as ~0 and / in a name as ~1".into(),
        )),
    }
}

fn read_body(text: &str) -> Result<String, Refusal> {
    match text.len() {
        1..=1024 => Ok(text.to_owned()),
        len => Err((
            format!("a text of {len} octets cannot be looked for"),
            "use 1 to 1024 octets".into(),
        )),
    }
}

fn default_status() -> Vec<RangeInclusive<u16>> {
    read_status(keys::STATUS).expect("the default is a list of status codes")
}

/// `"200-299, 401"`
fn read_status(text: &str) -> Result<Vec<RangeInclusive<u16>>, Refusal> {
    let one = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (u16, u16) =
            (low.trim_matches(' ').parse().ok()?, high.trim_matches(' ').parse().ok()?);
        (100 <= low && low <= high && high <= 599).then_some(low..=high)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(one).collect();
    ranges.ok_or_else(|| {
        (
            format!("\"{text}\" is not a list of status codes"),
            "write codes of 100 to 599, as \"200-299, 401\"".into(),
        )
    })
}
