//! Checks in words: what kind, what is asked, what is wanted.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::config::duration::spell;
use crate::model::Check;
use crate::model::CheckKind;
use crate::model::Composite;
use crate::model::HttpCheck;
use crate::model::HttpVersion;
use crate::model::LoadSource;
use crate::model::Model;
use crate::model::Talk;
use crate::model::TlsCheck;

/// The word that files have for it.
pub(super) fn word(check: &Check) -> &'static str {
    match &check.kind {
        CheckKind::Tcp(_) => "tcp",
        CheckKind::Tls(_) => "tls",
        CheckKind::Http(_) => "http",
        CheckKind::Https(..) => "https",
        CheckKind::Grpc(_) => "grpc",
        CheckKind::Grpcs(..) => "grpcs",
        CheckKind::Dns(_) => "dns",
        CheckKind::Udp(_) => "udp",
        CheckKind::Icmp => "icmp",
        CheckKind::Exec(_) => "exec",
        CheckKind::Push(_) => "push",
        CheckKind::File(_) => "file",
        CheckKind::Composite(Composite { of, need, .. }) if *need == of.len() => "all_of",
        CheckKind::Composite(Composite { need: 1, .. }) => "any_of",
        CheckKind::Composite(_) => "at_least",
    }
}

/// Which of its parts must pass, for a check that is made of others.
pub(super) fn parts_wanted(model: &Model, composite: &Composite) -> String {
    let Composite { of, need, must } = composite;
    let must: Vec<&str> = must.iter().map(|id| &*model.checks[id.index()].name).collect();
    let must = match must.is_empty() {
        true => String::new(),
        false => format!(", among them {}", must.join(" and ")),
    };
    format!("{need} of {} parts{must}", of.len())
}

/// What is asked of an address.
pub(super) fn asks(check: &Check, address: IpAddr) -> String {
    let place = SocketAddr::new(address, check.port);
    match &check.kind {
        CheckKind::Tcp(talk) => format!("a connection to {place}{}", sends(talk)),
        CheckKind::Tls(_) => format!("a TLS handshake with {place}"),
        CheckKind::Http(http) => request("http", http, place),
        CheckKind::Https(http, _) => request("https", http, place),
        CheckKind::Grpc(grpc) | CheckKind::Grpcs(grpc, _) => match &*grpc.service {
            "" => format!("grpc.health.v1.Health/Check of {place}"),
            service => format!("grpc.health.v1.Health/Check of {service} at {place}"),
        },
        CheckKind::Dns(dns) => format!("{} {} of {place}", dns.qname, dns.qtype),
        CheckKind::Udp(talk) => format!("a datagram to {place}{}", sends(talk)),
        CheckKind::Icmp => format!("an echo of {address}"),
        CheckKind::Exec(exec) => format!("the command {}", exec.command.join(" ")),
        CheckKind::Push(_) => "nobody: it is reported to the server".to_owned(),
        CheckKind::File(file) => format!("the file {}", file.path),
        CheckKind::Composite(_) => "its parts".to_owned(),
    }
}

fn request(scheme: &str, http: &HttpCheck, place: SocketAddr) -> String {
    let host = http.host.as_deref().map_or_else(|| place.to_string(), str::to_owned);
    let version = match http.version {
        HttpVersion::One => "",
        HttpVersion::Two => " over HTTP/2",
    };
    format!("{} {scheme}://{host}{} at {place}{version}", http.method, http.path)
}

fn sends(talk: &Talk) -> String {
    talk.send.as_ref().map_or_else(String::new, |send| format!(", which says {}", octets(send)))
}

/// What must come back.
pub(super) fn wants(check: &Check) -> Vec<String> {
    let mut wants = match &check.kind {
        CheckKind::Tcp(talk) | CheckKind::Udp(talk) => match &talk.expect {
            Some(expect) => vec![format!("{} in the reply", octets(expect))],
            None if matches!(check.kind, CheckKind::Udp(_)) => vec!["any reply".to_owned()],
            None => vec!["that it is accepted".to_owned()],
        },
        CheckKind::Tls(tls) => of_tls(tls),
        CheckKind::Http(http) => of_http(http),
        CheckKind::Https(http, tls) => [of_http(http), of_tls(tls)].concat(),
        CheckKind::Grpc(_) => vec!["SERVING".to_owned()],
        CheckKind::Grpcs(_, tls) => [vec!["SERVING".to_owned()], of_tls(tls)].concat(),
        CheckKind::Dns(dns) => {
            let answer = dns.answer.iter().map(|answer| format!("{answer} in the answer"));
            [dns.rcode.to_owned()].into_iter().chain(answer).collect()
        }
        CheckKind::Icmp => vec!["the echo".to_owned()],
        CheckKind::Exec(_) => vec!["that it ends with 0".to_owned()],
        CheckKind::Push(push) => vec![format!("a report at most {} old", spell(push.silence))],
        CheckKind::File(_) => vec!["a line that says up".to_owned()],
        CheckKind::Composite(_) => Vec::new(),
    };
    if check.invert {
        wants.push("turned round: it passes where this does not come".to_owned());
    }
    wants
}

fn of_http(http: &HttpCheck) -> Vec<String> {
    let range = |range: &RangeInclusive<u16>| match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}-{}", range.start(), range.end()),
    };
    let status: Vec<String> = http.status.iter().map(range).collect();
    let mut wants = vec![format!("status {}", status.join(", "))];
    wants.extend(http.body.iter().map(|text| format!("{text:?} in the body")));
    wants.extend(http.body_regex.iter().map(|regex| format!("a body that matches /{regex}/")));
    wants.extend(http.json.iter().map(|field| format!("JSON {} = {}", field.pointer, field.value)));
    match &http.load {
        Some(LoadSource::Orca) => wants.push("a header that says the load".to_owned()),
        Some(LoadSource::Json { pointer, .. }) => wants.push(format!("a load at JSON {pointer}")),
        None => {}
    }
    if http.redirects > 0 {
        wants.push(format!("after at most {} redirects", http.redirects));
    }
    wants
}

fn of_tls(tls: &TlsCheck) -> Vec<String> {
    if !tls.verify {
        return vec!["any certificate".to_owned()];
    }
    let name = tls.server_name.iter().map(|name| format!(" of {name}"));
    let mut wants = vec![format!("a certificate{} that is trusted", name.collect::<String>())];
    if !tls.min_validity.is_zero() {
        wants.push(format!("{} until it expires", spell(tls.min_validity)));
    }
    wants
}

fn octets(octets: &[u8]) -> String {
    format!("\"{}\"", octets.escape_ascii())
}
