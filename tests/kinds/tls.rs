//! `tls`: the handshake, the certificate, and the days it has left.

use std::net::SocketAddr;
use std::time::Duration;

use rhumb::model::CheckKind;
use rhumb::model::TlsCheck;
use tokio::net::TcpListener;

use crate::backend::Backend;
use crate::backend::Reply;
use crate::certificate::Authority;
use crate::certificate::self_signed;
use crate::check;
use crate::first;
use crate::first_said;
use crate::said;

const DAY: u64 = 86_400;

fn trusting(authority: &Authority) -> TlsCheck {
    TlsCheck {
        server_name: Some("shop.test".into()),
        ca_pem: Some(authority.pem()),
        ..TlsCheck::default()
    }
}

async fn said_of(check: TlsCheck, address: SocketAddr) -> String {
    first_said(CheckKind::Tls(check), address).await
}

#[tokio::test]
async fn a_good_certificate_passes_and_its_days_are_told() {
    let authority = Authority::new();
    let backend = Backend::start_tls(authority.acceptor_for("shop.test", 30), Reply::Stall).await;
    let kind = CheckKind::Tls(trusting(&authority));
    let report = first(check(kind, backend.address.port()), backend.address).await;
    assert_eq!(said(&report), "ok, certificate expires in 29 days");
    let phases = report.result.phases;
    assert!(phases.connect.is_some() && phases.tls.is_some() && phases.first_byte.is_none());
}

#[tokio::test]
async fn one_that_expires_too_soon_fails_and_one_that_does_not_passes() {
    let authority = Authority::new();
    let backend = Backend::start_tls(authority.acceptor_for("shop.test", 10), Reply::Stall).await;
    let wanting =
        |days| TlsCheck { min_validity: Duration::from_secs(days * DAY), ..trusting(&authority) };
    let failed = said_of(wanting(14), backend.address).await;
    assert!(failed.starts_with("certificate: expires 20"), "{failed}");
    assert!(failed.ends_with("in 9 days; it must hold for 14d"), "{failed}");
    let passed = said_of(wanting(7), backend.address).await;
    assert_eq!(passed, "ok, certificate expires in 9 days");
    // Who does not judge the certificate may still want to know when it expires.
    let unverified = TlsCheck { verify: false, ca_pem: None, ..wanting(14) };
    assert!(said_of(unverified, backend.address).await.starts_with("certificate: expires 20"));
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_named() {
    let authority = Authority::new();
    let cases = [
        (authority.acceptor("shop.test", 2020), "certificate: expired 2020-12-31T00:00:00Z"),
        (
            authority.acceptor("other.test", 2100),
            "certificate: not valid for shop.test, only for other.test",
        ),
        (self_signed("shop.test"), "certificate: its issuer is not trusted"),
    ];
    for (acceptor, reason) in cases {
        let backend = Backend::start_tls(acceptor, Reply::Stall).await;
        assert_eq!(said_of(trusting(&authority), backend.address).await, reason);
    }
}

#[tokio::test]
async fn a_stalled_handshake_costs_the_deadline_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut stalled = check(CheckKind::Tls(trusting(&Authority::new())), address.port());
    stalled.timeout = Duration::from_millis(100);
    let report = first(stalled, address).await;
    assert_eq!(said(&report), "timed out after 100ms, in the TLS handshake");
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_seen_at_the_next_probe() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sides = [authority.acceptor("shop.test", 2100), authority.acceptor("other.test", 2100)];
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let side = sides[usize::from(count >= 3)].clone();
            count += 1;
            tokio::spawn(async move { side.accept(stream).await.map(drop) });
        }
    });
    let kind = CheckKind::Tls(trusting(&authority));
    let target = crate::target(check(kind, address.port()), address);
    let mut bench = crate::Bench::start(vec![target]);
    let mut said_of = Vec::new();
    for _ in 0..6 {
        said_of.push(bench.next().await.result.outcome.is_ok());
    }
    assert_eq!(said_of, [true, true, true, false, false, false]);
}
