//! Checks, and in what endpoints differ from them.

use crate::config::Files;
use crate::config::Problems;
use crate::config::duration::spell;
use crate::config::problem::At;
use crate::config::read::refuse_program;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::CheckKindSpec;
use crate::config::spec::CheckSpec;
use crate::config::spec::EndpointSpec;
use crate::config::spec::PaceSpec;
use crate::config::spec::SpecialSpec;
use crate::config::spec::TlsSpec;
use crate::config::validate::Directory;
use crate::config::validate::pools::missing_file_remedy;
use crate::model::Check;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::ExecCheck;
use crate::model::Model;
use crate::model::Special;
use crate::model::TlsCheck;

pub(super) fn add_checks(
    files: &Files,
    checks: &[&CheckSpec],
    directory: &mut Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    for spec in checks {
        let id = CheckId::at(model.checks.len());
        directory.checks.add("check", &spec.name, Some(id), problems);
        let pace = &spec.pace;
        if pace.timeout.value > pace.interval {
            let key = format!("check.{}.timeout", spec.name.value);
            let remedy = format!("use at most the interval, {}", spell(pace.interval));
            let fault = "the timeout is longer than the interval";
            problems.error(&pace.timeout.place, key, fault, remedy);
        }
        let check = check(files, spec, problems);
        model.checks.push(check);
    }
}

fn check(files: &Files, spec: &CheckSpec, problems: &mut Problems) -> Check {
    let CheckSpec { name, kind, port, source, invert, pace } = spec;
    let PaceSpec { interval, timeout, fall, rise, hold_down, damping, jitter_percent } = pace;
    Check {
        name: name.value.as_str().into(),
        kind: check_kind(files, name, kind, problems),
        port: *port,
        source: *source,
        invert: *invert,
        interval: *interval,
        timeout: timeout.value,
        fall: *fall,
        rise: *rise,
        hold_down: *hold_down,
        damping: *damping,
        jitter_percent: *jitter_percent,
    }
}

fn check_kind(
    files: &Files,
    name: &At<String>,
    kind: &CheckKindSpec,
    problems: &mut Problems,
) -> CheckKind {
    match kind {
        CheckKindSpec::Tcp(talk) => CheckKind::Tcp(talk.clone()),
        CheckKindSpec::Tls(spec) => CheckKind::Tls(tls(files, name, spec, problems)),
        CheckKindSpec::Http { http, tls: None } => CheckKind::Http(http.clone()),
        CheckKindSpec::Http { http, tls: Some(spec) } => {
            CheckKind::Https(http.clone(), tls(files, name, spec, problems))
        }
        CheckKindSpec::Grpc { grpc, tls: None } => CheckKind::Grpc(grpc.clone()),
        CheckKindSpec::Grpc { grpc, tls: Some(spec) } => {
            CheckKind::Grpcs(grpc.clone(), tls(files, name, spec, problems))
        }
        CheckKindSpec::Dns(dns) => CheckKind::Dns(dns.clone()),
        CheckKindSpec::Udp(talk) => CheckKind::Udp(talk.clone()),
        CheckKindSpec::Icmp => CheckKind::Icmp,
        CheckKindSpec::Exec(words) => {
            if let Some(program) = words.first() {
                let key = format!("check.{}.command", name.value);
                refuse_program(key, program, files.exec_folders(), problems);
            }
            let command = words.iter().map(|word| word.value.as_str().into()).collect();
            CheckKind::Exec(ExecCheck { command })
        }
        CheckKindSpec::Push(push) => CheckKind::Push(push.clone()),
        CheckKindSpec::File(file) => CheckKind::File(file.clone()),
    }
}

fn tls(files: &Files, name: &At<String>, spec: &TlsSpec, problems: &mut Problems) -> TlsCheck {
    let TlsSpec { server_name, ca, verify, min_validity } = spec;
    let mut ca_pem = None;
    if let Some(ca) = ca {
        let key = format!("check.{}.ca", name.value);
        match files.find_beside(ca.place.file, &ca.value) {
            Some((_, file)) if file.text.contains("-----BEGIN CERTIFICATE-----") => {
                ca_pem = Some(Box::from(file.text.as_str()));
            }
            Some(_) => {
                let fault = "the file holds no certificate";
                problems.error(&ca.place, key, fault, "name a PEM file of certificates");
            }
            None => {
                let remedy = missing_file_remedy(files, ca);
                problems
                    .error(&ca.place, key, format!("there is no file \"{}\"", ca.value), remedy)
                    .rule(&rules::MISSING_FILE);
            }
        }
    }
    let server_name = server_name.as_deref().map(Into::into);
    TlsCheck { server_name, ca_pem, verify: *verify, min_validity: *min_validity }
}

/// In what an endpoint differs from checks: each of them must be one by which its pool is probed.
pub(super) fn specials(
    pool: (&str, Option<CheckId>),
    endpoint: &EndpointSpec,
    directory: &Directory,
    model: &Model,
    problems: &mut Problems,
) -> Vec<Special> {
    let (pool, of_pool) = pool;
    let path = dotted(&dotted("pool", pool), "endpoint");
    let path = format!("{}.probe", dotted(&path, &endpoint.name.value));
    let mut specials = Vec::new();
    for spec in &endpoint.probe {
        let SpecialSpec { check, port, host, path: url_path } = spec;
        let key = dotted(&path, &check.value);
        let Some(id) = directory.checks.find("check", &key, check, problems) else { continue };
        let Some(used) = model.checks.get(id.index()) else { continue };
        if of_pool != Some(id) {
            let fault = format!("the pool is not probed by \"{}\"", check.value);
            let remedy = match of_pool.and_then(|id| model.checks.get(id.index())) {
                Some(own) => format!("use \"{}\"", own.name),
                None => "give the pool a check, or leave this out".to_owned(),
            };
            problems.error(&check.place, key, fault, remedy);
            continue;
        }
        let may_have = allowed(&used.kind);
        let said = [
            ("port", port.as_ref().map(|at| &at.place)),
            ("host", host.as_ref().map(|at| &at.place)),
            ("path", url_path.as_ref().map(|at| &at.place)),
        ];
        for (name, place) in said.iter().filter(|(name, _)| !may_have.contains(name)) {
            if let Some(place) = place {
                let fault = format!("a check of this kind has no {name}");
                let remedy = format!("leave it out; \"{}\" is what is probed", check.value);
                problems.error(place, format!("{key}.{name}"), fault, remedy);
            }
        }
        specials.push(Special {
            check: id,
            port: port.as_ref().map(|at| at.value),
            host: host.as_ref().map(|at| at.value.as_str().into()),
            path: url_path.as_ref().map(|at| at.value.as_str().into()),
        });
    }
    specials
}

/// What of a kind of check an endpoint may have its own.
fn allowed(kind: &CheckKind) -> &'static [&'static str] {
    match kind {
        CheckKind::Tcp(_) | CheckKind::Dns(_) | CheckKind::Udp(_) => &["port"],
        CheckKind::Tls(_) | CheckKind::Grpc(_) | CheckKind::Grpcs(..) => &["port", "host"],
        CheckKind::Icmp | CheckKind::Exec(_) | CheckKind::Push(_) | CheckKind::File(_) => &[],
        CheckKind::Http(_) | CheckKind::Https(..) => &["port", "host", "path"],
    }
}
