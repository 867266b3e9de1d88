//! `[check.NAME]`

mod composite;
mod degraded;
mod dns;
mod http;
mod talk;
mod tls;
mod told;
mod voting;

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
use crate::model::GrpcCheck;
use crate::model::Sources;

pub(super) use http::read_path;
pub(in crate::config) use told::refuse_program;

pub(super) fn read_check(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<CheckSpec> {
    let word = section.need("kind", problems).and_then(|value| value.word(problems));
    let word = word.map(|at| at.value);
    let kind_of = word.map(Kind::of);
    let pace = read_pace(&name, word, &mut section, problems);
    let source = section.take_for(word, "source").map(|value| read_source(&value, problems));
    let invert = section.take("invert").and_then(|value| value.boolean(problems));
    let is_port_said = section.find_key("port").is_some();
    let port = section.take_for(word, "port").and_then(|value| value.integer(problems));
    let kind = kind_of.and_then(|kind| read_keys_of_kind(&mut section, kind, problems));
    let default_port = kind_of.and_then(Kind::default_port);
    let port = port.map(|at| at.value as u16).or(default_port);
    // Without a kind nobody knows which other keys belong here.
    if word.is_some() {
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
fn read_pace(
    name: &At<String>,
    kind: Option<&str>,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> PaceSpec {
    let is_interval_said = section.find_key("interval").is_some();
    let interval = section.take_for(kind, "interval").and_then(|value| value.duration(problems));
    let timeout = section.take_for(kind, "timeout").and_then(|value| value.duration(problems));
    let hold_down = section.take_for(kind, "hold_down").and_then(|value| value.duration(problems));
    let damping =
        section.take_for(kind, "damping").and_then(|value| read_damping(&value, problems));
    let fall = section.take_for(kind, "fall").and_then(|value| value.integer(problems));
    let rise = section.take_for(kind, "rise").and_then(|value| value.integer(problems));
    let jitter = section.take_for(kind, "jitter").and_then(|value| value.percent(problems));
    let voting = voting::read_voting(kind, section, problems);
    let degraded = section.take_for(kind, "degraded");
    let degraded = degraded.map(|value| degraded::read_degraded(&value, problems));
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
        degraded: degraded.unwrap_or_default(),
        voting,
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
    Grpc,
    Grpcs,
    Dns,
    Udp,
    Icmp,
    Exec,
    Push,
    File,
    AllOf,
    AnyOf,
    AtLeast,
}

impl Kind {
    /// What a word of `kind` means.
    fn of(word: &str) -> Self {
        match word {
            "tcp" => Self::Tcp,
            "tls" => Self::Tls,
            "http" => Self::Http,
            "grpc" => Self::Grpc,
            "grpcs" => Self::Grpcs,
            "dns" => Self::Dns,
            "udp" => Self::Udp,
            "icmp" => Self::Icmp,
            "exec" => Self::Exec,
            "push" => Self::Push,
            "file" => Self::File,
            "all_of" => Self::AllOf,
            "any_of" => Self::AnyOf,
            "at_least" => Self::AtLeast,
            _ => Self::Https,
        }
    }

    /// 0 for kinds without a port.
    fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp | Self::Grpc | Self::Grpcs | Self::Udp => None,
            Self::Http => Some(80),
            Self::Tls | Self::Https => Some(443),
            Self::Dns => Some(53),
            Self::Icmp | Self::Exec | Self::Push | Self::File => Some(0),
            Self::AllOf | Self::AnyOf | Self::AtLeast => Some(0),
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
        Kind::Grpc => CheckKindSpec::Grpc { grpc: read_grpc(section, problems), tls: None },
        Kind::Grpcs => {
            let grpc = read_grpc(section, problems);
            CheckKindSpec::Grpc { grpc, tls: Some(tls::read_tls(section, problems)) }
        }
        Kind::Dns => CheckKindSpec::Dns(dns::read_dns(section, problems)?),
        Kind::Udp => CheckKindSpec::Udp(talk::read_datagrams(section, problems)?),
        Kind::Icmp => CheckKindSpec::Icmp,
        Kind::Exec => CheckKindSpec::Exec(told::read_exec(section, problems)?),
        Kind::Push => CheckKindSpec::Push(told::read_push(section, problems)?),
        Kind::File => CheckKindSpec::File(told::read_file(section, problems)?),
        Kind::AllOf => composite::read(section, problems, |_, of| Some(of.len()))?,
        Kind::AnyOf => composite::read(section, problems, |_, _| Some(1))?,
        Kind::AtLeast => composite::read_at_least(section, problems)?,
    })
}

fn read_grpc(section: &mut Section<'_>, problems: &mut Problems) -> GrpcCheck {
    let host = section.take("host").and_then(|value| value.parsed(read_host, problems));
    let parse = |text: &str| match text.len() {
        0..=256 => Ok(text.to_owned()),
        len => Err((format!("a name of {len} octets"), "use at most 256".into())),
    };
    let service = section.take("service").and_then(|value| value.parsed(parse, problems));
    GrpcCheck {
        host: host.map(|at| at.value.into()),
        service: service.map_or_else(|| keys::SERVICE.into(), |at| at.value.into()),
    }
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
