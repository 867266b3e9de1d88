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
use crate::model::Composite;
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
    // Names first: a check may be made of one that comes after it.
    for (position, spec) in checks.iter().enumerate() {
        directory.checks.add("check", &spec.name, Some(CheckId::at(position)), problems);
    }
    for spec in checks {
        let pace = &spec.pace;
        if pace.timeout.value > pace.interval {
            let key = format!("check.{}.timeout", spec.name.value);
            let remedy = format!("use at most the interval, {}", spell(pace.interval));
            let fault = "the timeout is longer than the interval";
            problems.error(&pace.timeout.place, key, fault, remedy);
        }
        warn_of_levels(spec, problems);
        let check = check(files, spec, directory, problems);
        model.checks.push(check);
    }
    refuse_circles(checks, model, problems);
}

/// A level that no probe can reach, for it has failed by then, is likely a mistake.
fn warn_of_levels(spec: &CheckSpec, problems: &mut Problems) {
    let timeout = spec.pace.timeout.value;
    for level in spec.pace.degraded.iter().filter(|level| level.value.over >= timeout) {
        let key = format!("check.{}.degraded", spec.name.value);
        let fault =
            format!("a probe that takes so long has failed: the timeout is {}", spell(timeout));
        let remedy = "use less than the timeout, or a longer timeout";
        problems.warning(&level.place, key, fault, remedy).rule(&rules::LIKELY_MISTAKE);
    }
}

/// Refuses checks that are made of themselves, each circle once, with the way round.
fn refuse_circles(checks: &[&CheckSpec], model: &Model, problems: &mut Problems) {
    /// How far a check was followed.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Seen {
        Not,
        OnTheWay,
        Done,
    }
    fn follow(
        id: CheckId,
        way: &mut Vec<CheckId>,
        seen: &mut [Seen],
        refuse: &mut impl FnMut(&[CheckId], CheckId),
        model: &Model,
    ) {
        let CheckKind::Composite(composite) = &model.checks[id.index()].kind else { return };
        seen[id.index()] = Seen::OnTheWay;
        way.push(id);
        for &part in &composite.of {
            match seen[part.index()] {
                Seen::Not => follow(part, way, seen, refuse, model),
                Seen::OnTheWay => refuse(way, part),
                Seen::Done => {}
            }
        }
        way.pop();
        seen[id.index()] = Seen::Done;
    }
    let mut seen = vec![Seen::Not; model.checks.len()];
    let mut refuse = |way: &[CheckId], back_to: CheckId| {
        let start = way.iter().position(|id| *id == back_to).unwrap_or(0);
        let round = way[start..].iter().chain([&back_to]);
        let round: Vec<&str> = round.map(|id| &*model.checks[id.index()].name).collect();
        let last = way.last().map(|id| checks[id.index()]);
        let Some(CheckSpec { name, kind: CheckKindSpec::Composite { of, .. }, .. }) = last else {
            return;
        };
        let of = of.iter().find(|at| Some(&*at.value) == round.last().copied());
        let fault = format!("checks are made of themselves: {}", round.join(" -> "));
        let place = of.map_or(&name.place, |at| &at.place);
        problems.error(place, format!("check.{}.of", name.value), fault, "take one of them out");
    };
    for id in (0..model.checks.len()).map(CheckId::at) {
        if seen[id.index()] == Seen::Not {
            follow(id, &mut Vec::new(), &mut seen, &mut refuse, model);
        }
    }
}

fn check(files: &Files, spec: &CheckSpec, directory: &Directory, problems: &mut Problems) -> Check {
    let CheckSpec { name, kind, port, source, invert, pace } = spec;
    let PaceSpec {
        interval,
        timeout,
        fall,
        rise,
        hold_down,
        damping,
        jitter_percent,
        degraded,
        voting,
    } = pace;
    Check {
        name: name.value.as_str().into(),
        kind: check_kind(files, name, kind, directory, problems),
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
        degraded: degraded.iter().map(|level| level.value).collect(),
        voting: *voting,
    }
}

fn check_kind(
    files: &Files,
    name: &At<String>,
    kind: &CheckKindSpec,
    directory: &Directory,
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
        CheckKindSpec::Composite { of, need, must } => {
            let key = format!("check.{}.of", name.value);
            let mut find = |part: &At<String>| directory.checks.find("check", &key, part, problems);
            let of: Vec<CheckId> = of.iter().filter_map(&mut find).collect();
            // Each of these is one of those, and was looked for there.
            let must = must.iter().filter_map(|part| directory.checks.known(&part.value));
            CheckKind::Composite(Composite { must: must.collect(), of, need: *need })
        }
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
        if !of_pool.is_some_and(|own| own == id || model.leaves(own).contains(&id)) {
            let fault = format!("the pool is not probed by \"{}\"", check.value);
            let own = of_pool.map(|own| model.leaves(own)).unwrap_or_default();
            let own = own.iter().map(|id| format!("\"{}\"", model.checks[id.index()].name));
            let own: Vec<String> = own.collect();
            let remedy = match own.is_empty() {
                false => format!("use {}", own.join(" or ")),
                true => "give the pool a check, or leave this out".to_owned(),
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
            check: Some(id),
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
        CheckKind::Icmp
        | CheckKind::Exec(_)
        | CheckKind::Push(_)
        | CheckKind::File(_)
        | CheckKind::Composite(_) => &[],
        CheckKind::Http(_) | CheckKind::Https(..) => &["port", "host", "path"],
    }
}
