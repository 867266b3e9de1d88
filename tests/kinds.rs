//! Kinds of probes against real backends on loopback: what each asks, what it takes, what it refuses.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "probes/backend.rs"]
#[allow(dead_code, reason = "the other test of probes needs the rest")]
mod backend;
#[path = "probes/certificate.rs"]
#[allow(dead_code, reason = "the other test of probes needs the rest")]
mod certificate;
#[path = "kinds/dns.rs"]
mod dns;
#[path = "kinds/grpc.rs"]
mod grpc;
#[path = "kinds/http.rs"]
mod http;
#[path = "kinds/icmp.rs"]
mod icmp;
#[path = "kinds/redirect.rs"]
mod redirect;
#[path = "kinds/tcp.rs"]
mod tcp;
#[path = "kinds/tls.rs"]
mod tls;
#[path = "kinds/told.rs"]
mod told;
#[path = "kinds/udp.rs"]
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::Family;
use rhumb::model::Sources;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeReport;
use rhumb::runtime::probe::ProbeTarget;
use rhumb::runtime::probe::Prober;
use rhumb::runtime::probe::Terms;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A check of a kind, twenty milliseconds apart.
fn check(kind: CheckKind, port: u16) -> Check {
    Check {
        name: "check".into(),
        kind,
        port,
        source: Sources::default(),
        invert: false,
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(10),
        fall: 3,
        rise: 2,
        hold_down: Duration::ZERO,
        damping: None,
        jitter_percent: 20,
        degraded: Vec::new(),
    }
}

fn target(check: Check, address: SocketAddr) -> ProbeTarget {
    ProbeTarget {
        key: TargetKey {
            endpoint: format!("pool/{}", address.port()).into(),
            check: "check".into(),
            family: Family::of(address.ip()),
            address: None,
        },
        address: address.ip(),
        check: Arc::new(check),
        initial: Verdict::Unknown,
        degraded: 0,
        penalty: rhumb::health::Penalty::default(),
    }
}

/// A prober at work on targets.
struct Bench {
    prober: Prober,
    reports: mpsc::Receiver<ProbeReport>,
}

impl Bench {
    fn start(targets: Vec<ProbeTarget>) -> Self {
        Self::start_by(Limits::default().into(), targets)
    }

    fn start_by(terms: Terms, targets: Vec<ProbeTarget>) -> Self {
        let (sender, reports) = mpsc::channel(16);
        let restarts = |name| panic!("{name} was restarted");
        let prober = Prober::spawn(terms, Instant::now(), sender, restarts).unwrap();
        prober.set_targets(targets);
        Self { prober, reports }
    }

    async fn next(&mut self) -> ProbeReport {
        self.reports.recv().await.unwrap()
    }
}

/// The first report of a target.
async fn first(check: Check, address: SocketAddr) -> ProbeReport {
    Bench::start(vec![target(check, address)]).next().await
}

/// What a report says, as an operator reads it: the failure, or `ok` with what there is to tell.
fn said(report: &ProbeReport) -> String {
    match &report.result.outcome {
        Ok(success) => success.note.as_ref().map_or("ok".into(), |note| format!("ok, {note}")),
        Err(failure) => failure.to_string(),
    }
}

/// What the first probe of a kind says.
async fn first_said(kind: CheckKind, address: SocketAddr) -> String {
    said(&first(check(kind, address.port()), address).await)
}
