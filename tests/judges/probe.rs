//! Probes of kind `dns` against the other implementations.

use std::sync::Arc;
use std::time::Duration;

use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::DnsCheck;
use rhumb::model::Family;
use rhumb::model::Sources;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeTarget;
use rhumb::runtime::probe::Prober;
use rhumb::wire::Name;
use rhumb::wire::RecordType;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::server::Judge;
use crate::server::Running;

/// A zone with a set of TXT that fits no datagram of 1,232 octets.
fn zone() -> String {
    let mut text = String::from(
        "$ORIGIN probe.test.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n\
         ns A 192.0.2.53\nwww A 192.0.2.1\nwww A 192.0.2.2\nmail MX 10 Mx.probe.test.\n",
    );
    for number in 0..40 {
        text += &format!("large TXT \"{number} {}\"\n", "x".repeat(100));
    }
    text
}

/// What a probe of a judge says.
async fn said(running: &Running, check: DnsCheck) -> Result<(), String> {
    let check = Check {
        name: "dns".into(),
        kind: CheckKind::Dns(check),
        port: running.address.port(),
        source: Sources::default(),
        invert: false,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        fall: 3,
        rise: 5,
        hold_down: Duration::ZERO,
        damping: None,
        jitter_percent: 0,
        degraded: Vec::new(),
    };
    let target = ProbeTarget {
        key: TargetKey {
            endpoint: "pool/judge".into(),
            check: "dns".into(),
            family: Family::V4,
            address: None,
        },
        address: running.address.ip(),
        check: Arc::new(check),
        initial: Verdict::Unknown,
        degraded: 0,
        penalty: rhumb::health::Penalty::default(),
    };
    let (sender, mut reports) = mpsc::channel(1);
    let prober = Prober::spawn(Limits::default(), Instant::now(), sender, |_| {}).unwrap();
    prober.set_targets(vec![target]);
    let report = reports.recv().await.expect("the prober reports");
    report.result.outcome.map(drop).map_err(|failure| failure.to_string())
}

#[test]
fn dns_probes_pass_at_every_judge_that_has_the_record_and_fail_at_no_other() {
    let asking = |qname: &str, qtype, rcode, answer: Option<&str>| DnsCheck {
        qname: Name::absolute(qname).expect("a name"),
        qtype,
        recursion: false,
        rcode,
        answer: answer.map(Into::into),
    };
    let large = format!("39 {}", "x".repeat(100));
    let cases = [
        (asking("www.probe.test", RecordType::A, "NOERROR", Some("192.0.2.2")), "ok"),
        (asking("mail.probe.test", RecordType::MX, "NOERROR", Some("10 mx.probe.test")), "ok"),
        (asking("large.probe.test", RecordType::TXT, "NOERROR", Some(&large)), "ok"),
        (asking("gone.probe.test", RecordType::A, "NXDOMAIN", None), "ok"),
        (asking("www.other.test", RecordType::A, "REFUSED", None), "ok"),
        (
            asking("www.probe.test", RecordType::A, "NOERROR", Some("192.0.2.9")),
            "A of www.probe.test. is 192.0.2.",
        ),
        (asking("gone.probe.test", RecordType::A, "NOERROR", None), "NXDOMAIN, wanted NOERROR"),
    ];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for judge in Judge::ALL {
        let running = match Running::start(judge, &[("probe.test", zone())]) {
            Ok(running) => running,
            Err(why) => {
                println!("skipped: {why}");
                continue;
            }
        };
        for (check, wanted) in &cases {
            let said = runtime.block_on(said(&running, check.clone()));
            let said = said.err().unwrap_or_else(|| "ok".into());
            assert!(said.starts_with(wanted), "{judge:?} {} {}: {said}", check.qname, check.qtype);
        }
    }
}
