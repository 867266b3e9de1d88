//! What came of probing by hand, for people and machines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::cli::probe::find::Wanted;
use crate::cli::probe::kind;
use crate::cli::probe::places::NameReport;
use crate::cli::probe::server::Said;
use crate::cli::probe::server::Word;
use crate::control::by_hand::ByHand;
use crate::health::composite;
use crate::model::Check;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::HttpVersion;
use crate::model::Model;
use crate::model::Percent;
use crate::model::Verdict;
use crate::runtime::answerer::unix_s;
use crate::runtime::probe::Phases;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::Told;

/// How a probe, or all of them, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// As it must.
    Passes,
    /// Not so.
    Fails,
    /// It says nothing of the endpoint.
    Unknown,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) endpoint: String,
    pub(super) check: String,
    pub(super) outcome: Outcome,
    /// What the endpoint's name came to, if it is one.
    pub(super) name: Option<NameReport>,
    pub(super) targets: Vec<TargetReport>,
    /// Why the server says nothing, where it does not.
    pub(super) server: String,
}

/// One address.
#[derive(Debug, Serialize)]
pub(super) struct TargetReport {
    pub(super) address: IpAddr,
    pub(super) tree: Node,
}

/// A check, and what it is made of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Node {
    pub(super) check: String,
    pub(super) kind: &'static str,
    pub(super) outcome: Outcome,
    /// Which parts must pass; empty if there are none.
    pub(super) wants: String,
    /// What came of it, if it was probed.
    pub(super) probe: Option<ProbeTold>,
    pub(super) parts: Vec<Self>,
    /// What the server says of it.
    pub(super) server: Option<Word>,
}

/// One probe.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ProbeTold {
    pub(super) asks: String,
    pub(super) wants: Vec<String>,
    pub(super) port: u16,
    pub(super) source: Option<IpAddr>,
    /// How it ended, in words.
    pub(super) said: String,
    /// Milliseconds of each part; null where it was not measured.
    pub(super) phases_ms: PhasesMs,
    pub(super) total_ms: f64,
    pub(super) timeout_ms: u64,
    pub(super) status: Option<u16>,
    pub(super) certificate_days_left: Option<i64>,
    /// URLs that it was redirected to, each with its address.
    pub(super) redirects: Vec<String>,
    /// Octets that the backend said, behind TLS in clear.
    pub(super) received_octets: usize,
    /// How they begin; empty where they are no text.
    pub(super) received: String,
    /// Level of slowness that this time alone would give; `None` if it did not pass, or there are none.
    pub(super) degraded_level: Option<u8>,
    /// What would be left of the weight at that level.
    pub(super) weight_left_percent: Option<u8>,
    /// What the first level above that begins with.
    pub(super) slower_than_ms: Option<u64>,
}

/// How long the parts of a probe took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct PhasesMs {
    pub(super) dns: Option<f64>,
    pub(super) connect: Option<f64>,
    pub(super) tls: Option<f64>,
    pub(super) first_byte: Option<f64>,
}

impl PhasesMs {
    fn of(phases: Phases) -> Self {
        let Phases { dns, connect, tls, first_byte } = phases;
        Self {
            dns: dns.map(ms),
            connect: connect.map(ms),
            tls: tls.map(ms),
            first_byte: first_byte.map(ms),
        }
    }

    /// Each that was measured, with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let Self { dns, connect, tls, first_byte } = *self;
        let parts = [("dns", dns), ("connect", connect), ("tls", tls), ("first byte", first_byte)];
        parts.into_iter().filter_map(|(name, took)| Some((name, took?)))
    }
}

/// Milliseconds, to the hundredth.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// Puts together what is known.
pub(super) fn make(
    model: &Model,
    wanted: &Wanted<'_>,
    name: Option<NameReport>,
    all: &[ByHand],
    told: &[(ProbeTarget, Told)],
    said: Said,
) -> Report {
    let check = model.checks[wanted.check.index()].name.to_string();
    let targets: Vec<TargetReport> = all
        .iter()
        .map(|one| {
            let address = one.target.address;
            let own =
                told.iter().filter(|(target, _)| target.key.address == one.target.key.address);
            let own = own.filter(|(target, _)| target.address == address);
            let probes = own.map(|(target, told)| (target.key.check.to_string(), (target, told)));
            let tree = Tree { model, address, probes: probes.collect(), said: &said };
            TargetReport { address, tree: tree.node(wanted.check) }
        })
        .collect();
    let outcomes: Vec<Outcome> = targets.iter().map(|target| target.tree.outcome).collect();
    let outcome = match outcomes[..] {
        [] => Outcome::Unknown,
        _ if outcomes.contains(&Outcome::Fails) => Outcome::Fails,
        _ if outcomes.contains(&Outcome::Unknown) => Outcome::Unknown,
        [..] => Outcome::Passes,
    };
    let is_silent = targets.iter().all(|target| target.tree.server.is_none());
    let server = if is_silent { said.silence() } else { String::new() };
    Report { endpoint: wanted.endpoint.key.to_string(), check, outcome, name, targets, server }
}

/// All that was found out about one address.
struct Tree<'a> {
    model: &'a Model,
    address: IpAddr,
    /// By the name of their check.
    probes: HashMap<String, (&'a ProbeTarget, &'a Told)>,
    said: &'a Said,
}

impl Tree<'_> {
    fn node(&self, id: CheckId) -> Node {
        let check = &self.model.checks[id.index()];
        let server = self.said.of(&self.address.to_string(), &check.name);
        let (parts, wants) = match &check.kind {
            CheckKind::Composite(composite) => (
                composite.of.iter().map(|part| self.node(*part)).collect(),
                kind::parts_wanted(self.model, composite),
            ),
            _ => (Vec::new(), String::new()),
        };
        let verdict = composite::verdict_of(self.model, id, &|leaf| self.verdict(leaf));
        let probe = self.probes.get(&*check.name);
        Node {
            check: check.name.to_string(),
            kind: kind::word(check),
            outcome: match verdict {
                Verdict::Up | Verdict::Held => Outcome::Passes,
                Verdict::Down => Outcome::Fails,
                Verdict::Unknown => Outcome::Unknown,
            },
            wants,
            probe: probe.map(|(target, told)| tell(target, told)),
            parts,
            server,
        }
    }

    /// What one probe would say alone. What is reported, the server has heard.
    fn verdict(&self, id: CheckId) -> Verdict {
        let check = &self.model.checks[id.index()];
        let Some((_, told)) = self.probes.get(&*check.name) else {
            let word = self.said.of(&self.address.to_string(), &check.name);
            return match word.as_ref().map(|word| word.verdict.as_str()) {
                Some("up") => Verdict::Up,
                Some("held") => Verdict::Held,
                Some("down") => Verdict::Down,
                Some(_) | None => Verdict::Unknown,
            };
        };
        match &told.result.outcome {
            Ok(_) => Verdict::Up,
            Err(failure) if failure.is_local() => Verdict::Unknown,
            Err(_) => Verdict::Down,
        }
    }
}

fn tell(target: &ProbeTarget, told: &Told) -> ProbeTold {
    let (check, Told { result, seen, heard, source }) = (&*target.check, told);
    let level = result.outcome.is_ok().then(|| check.level_of(result.duration));
    let level = level.filter(|_| !check.degraded.is_empty());
    let next = check.degraded.get(usize::from(level.unwrap_or(0))).map(|step| step.over);
    ProbeTold {
        asks: kind::asks(check, target.address),
        wants: kind::wants(check),
        port: check.port,
        source: *source,
        said: result.reason(),
        phases_ms: PhasesMs::of(result.phases),
        total_ms: ms(result.duration),
        timeout_ms: check.timeout.as_millis() as u64,
        status: seen.status,
        certificate_days_left: seen.certificate_until_s.map(days_left),
        redirects: seen.redirects.iter().map(ToString::to_string).collect(),
        received_octets: heard.total,
        received: if is_text(check) { readable(&heard.first) } else { String::new() },
        degraded_level: level,
        weight_left_percent: level.map(|level| {
            let Percent(left) = check.weight_at(level);
            left
        }),
        slower_than_ms: level.and(next).map(|over| over.as_millis() as u64),
    }
}

/// Whole days from now until a second since 1970; less than 0 if it is over.
fn days_left(until_s: u64) -> i64 {
    (until_s.cast_signed() - unix_s().cast_signed()).div_euclid(86_400)
}

/// Whether what is said is made to be read.
fn is_text(check: &Check) -> bool {
    match &check.kind {
        CheckKind::Http(http) | CheckKind::Https(http, _) => http.version == HttpVersion::One,
        CheckKind::Tcp(_) | CheckKind::Udp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => true,
        CheckKind::Tls(_)
        | CheckKind::Grpc(_)
        | CheckKind::Grpcs(..)
        | CheckKind::Icmp
        | CheckKind::Push(_)
        | CheckKind::File(_)
        | CheckKind::Composite(_) => false,
    }
}

/// Octets as lines; whatever would do something to a terminal is escaped.
fn readable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
    let plain = |letter: char| match letter {
        '\n' => "\n".to_owned(),
        letter if letter.is_control() => letter.escape_default().to_string(),
        letter => letter.to_string(),
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn nothing_that_a_backend_says_reaches_the_terminal() {
        assert_eq!(readable(b"a\r\nb\n\x1b[2Jc\x07\0"), "a\nb\n\\u{1b}[2Jc\\u{7}\\u{0}");
        assert_eq!(readable(b"\xff\xc2\x9b"), "\u{fffd}\\u{9b}");
    }
}
