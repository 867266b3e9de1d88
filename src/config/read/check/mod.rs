//! `[check.NAME]`

mod http;
mod talk;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::read::pool::read_addresses;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::spec::CheckKindSpec;
use crate::config::spec::CheckSpec;
use crate::config::spec::PaceSpec;
use crate::model::Sources;

pub(super) use http::read_path;

pub(super) fn read_check(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<CheckSpec> {
    let kind_text = section.need("kind", problems).and_then(|value| value.word(problems));
    let kind_text = kind_text.map(|at| At { value: Kind::of(at.value), place: at.place });
    let pace = read_pace(&name, &mut section, problems);
    let source = section.take("source").map(|value| read_source(&value, problems));
    let invert = section.take("invert").and_then(|value| value.boolean(problems));
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
    Some(CheckSpec {
        kind: kind?,
        port: port?,
        source: source.unwrap_or_default(),
        invert: invert.map_or(keys::INVERT, |at| at.value),
        pace,
        name,
    })
}

/// How often is probed, and how many results count.
fn read_pace(name: &At<String>, section: &mut Section<'_>, problems: &mut Problems) -> PaceSpec {
    let is_interval_said = section.find_key("interval").is_some();
    let interval = section.take("interval").and_then(|value| value.duration(problems));
    let timeout = section.take("timeout").and_then(|value| value.duration(problems));
    let hold_down = section.take("hold_down").and_then(|value| value.duration(problems));
    let damping = section.take("damping").and_then(|value| read_damping(&value, problems));
    let fall = section.take("fall").and_then(|value| value.integer(problems));
    let rise = section.take("rise").and_then(|value| value.integer(problems));
    let jitter = section.take("jitter").and_then(|value| value.percent(problems));
    let interval = match (interval, &timeout) {
        (Some(at), _) => at.value,
        // A wrong interval is one mistake: the timeout is not compared with the default.
        (None, Some(timeout)) if is_interval_said => timeout.value,
        (None, _) => keys::INTERVAL,
    };
    let timeout =
        timeout.unwrap_or(At { value: keys::TIMEOUT.min(interval), place: name.place.clone() });
    PaceSpec {
        interval,
        timeout,
        fall: fall.map_or(keys::FALL, |at| at.value as u8),
        rise: rise.map_or(keys::RISE, |at| at.value as u8),
        hold_down: hold_down.map_or(keys::HOLD_DOWN, |at| at.value),
        damping: damping.unwrap_or(Some(keys::DAMPING)),
        jitter_percent: jitter.map_or(keys::JITTER_PERCENT, |at| at.value),
    }
}

/// A half-life, or `"off"`
fn read_damping(value: &Value<'_>, problems: &mut Problems) -> Option<Option<Duration>> {
    match value.find_word() {
        Some(_) => Some(None),
        None => value.duration(problems).map(|at| Some(at.value)),
    }
}

/// One address a family.
fn read_source(value: &Value<'_>, problems: &mut Problems) -> Sources {
    let mut sources = Sources::default();
    for address in read_addresses(value, problems) {
        match address.value {
            IpAddr::V4(address) => sources.v4 = Some(address),
            IpAddr::V6(address) => sources.v6 = Some(address),
        }
    }
    sources
}

/// What `kind` may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Tls,
    Http,
    Https,
}

impl Kind {
    /// What a word of `kind` means.
    fn of(word: &str) -> Self {
        match word {
            "tcp" => Self::Tcp,
            "tls" => Self::Tls,
            "http" => Self::Http,
            _ => Self::Https,
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp => None,
            Self::Http => Some(80),
            Self::Tls | Self::Https => Some(443),
        }
    }
}

fn read_keys_of_kind(
    section: &mut Section<'_>,
    kind: Kind,
    problems: &mut Problems,
) -> Option<CheckKindSpec> {
    Some(match kind {
        Kind::Tcp => CheckKindSpec::Tcp(talk::read_talk(section, problems)?),
        Kind::Tls => CheckKindSpec::Tls(tls::read_tls(section, problems)),
        Kind::Http => CheckKindSpec::Http { http: http::read_http(section, problems), tls: None },
        Kind::Https => {
            let http = http::read_http(section, problems);
            CheckKindSpec::Http { http, tls: Some(tls::read_tls(section, problems)) }
        }
    })
}

/// What a `Host` header or a certificate may have.
pub(super) fn read_host(text: &str) -> Result<String, Refusal> {
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

/// Something to look for.
fn read_needle(text: &str) -> Result<String, Refusal> {
    match text.len() {
        1..=1024 => Ok(text.to_owned()),
        len => Err((
            format!("a text of {len} octets cannot be looked for"),
            "use 1 to 1024 octets".into(),
        )),
    }
}
