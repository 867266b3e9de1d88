//! Probes against real backends on loopback: good, bad and hostile ones.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "probes/backend.rs"]
mod backend;
#[path = "probes/certificate.rs"]
#[allow(dead_code, reason = "the other test of probes needs the rest")]
mod certificate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rhumb::health::LoadWord;
use rhumb::health::Penalty;
use rhumb::health::load::LoadFault;
use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::Family;
use rhumb::model::HttpCheck;
use rhumb::model::LoadSource;
use rhumb::model::Sources;
use rhumb::model::Talk;
use rhumb::model::TargetKey;
use rhumb::model::TlsCheck;
use rhumb::model::Verdict;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeReport;
use rhumb::runtime::probe::ProbeTarget;
use rhumb::runtime::probe::Prober;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use backend::Backend;
use backend::Reply;
use backend::closed_port;
use certificate::Authority;
use certificate::self_signed;

const BODY_MAX: usize = rhumb::model::check::BODY_MAX;

/// What is said of a backend that sends more than is read.
const TOO_MUCH: &str = "backend sent more than 65536 octets, and no probe reads more";

fn target(kind: CheckKind, address: SocketAddr) -> ProbeTarget {
    let check = Check {
        name: "check".into(),
        kind,
        port: address.port(),
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
    };
    ProbeTarget {
        key: TargetKey {
            endpoint: format!("pool/{}", address.port()).into(),
            check: "check".into(),
            family: Family::V4,
            address: None,
        },
        address: address.ip(),
        check: Arc::new(check),
        initial: Verdict::Unknown,
        degraded: 0,
        penalty: Penalty::default(),
    }
}

fn with_check(mut target: ProbeTarget, change: impl FnOnce(&mut Check)) -> ProbeTarget {
    change(Arc::make_mut(&mut target.check));
    target
}

fn http() -> HttpCheck {
    HttpCheck { path: "/health?full=1".into(), ..HttpCheck::default() }
}

fn wants_body(text: &str) -> CheckKind {
    CheckKind::Http(HttpCheck { body: Some(text.into()), ..http() })
}

fn ok(body: &str) -> Reply {
    Reply::Full(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn prober() -> (Prober, mpsc::Receiver<ProbeReport>) {
    let (sender, reports) = mpsc::channel(16);
    let restarts = |name| panic!("{name} was restarted");
    (Prober::spawn(Limits::default(), Instant::now(), sender, restarts).unwrap(), reports)
}

/// The first result of a target, as an operator reads it.
async fn first(target: ProbeTarget) -> String {
    let (prober, mut reports) = prober();
    prober.set_targets(vec![target]);
    let report = reports.recv().await.unwrap();
    let outcome = report.result.outcome;
    let verdict = if outcome.is_ok() { Verdict::Up } else { Verdict::Down };
    assert_eq!(report.flip, Some(verdict));
    outcome.map_or_else(|failure| failure.to_string(), |_| "ok".to_owned())
}

async fn first_http(kind: CheckKind, reply: Reply) -> String {
    let backend = Backend::start(reply).await;
    first(target(kind, backend.address)).await
}

#[tokio::test]
async fn tcp_passes_where_something_listens_and_nowhere_else() {
    let backend = Backend::start(Reply::Stall).await;
    assert_eq!(first(target(CheckKind::Tcp(Talk::default()), backend.address)).await, "ok");
    assert_eq!(
        first(target(CheckKind::Tcp(Talk::default()), closed_port().await)).await,
        "connect refused"
    );
}

#[tokio::test]
async fn http_passes_for_the_wanted_status_codes_only() {
    let status = |code| Reply::Full(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(first_http(CheckKind::Http(http()), ok("")).await, "ok");
    let failed = first_http(CheckKind::Http(http()), status(503)).await;
    assert_eq!(failed, "status 503, wanted 200-299");

    let odd = HttpCheck { status: vec![401..=401, 500..=503], ..http() };
    assert_eq!(first_http(CheckKind::Http(odd.clone()), status(503)).await, "ok");
    let failed = first_http(CheckKind::Http(odd), status(200)).await;
    assert_eq!(failed, "status 200, wanted 401, 500-503");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut trap = Backend::start(ok("")).await;
    let moved = format!("HTTP/1.1 301 Moved\r\nLocation: http://{}/\r\n\r\n", trap.address);
    let failed = first_http(CheckKind::Http(http()), Reply::Full(moved)).await;
    assert_eq!(failed, "status 301, wanted 200-299");
    assert!(trap.seen.try_recv().is_err());
}

#[tokio::test]
async fn the_backend_sees_who_asks_and_for_which_host() {
    for host in [None, Some("shop.test")] {
        let mut backend = Backend::start(ok("")).await;
        let check = HttpCheck { host: host.map(Into::into), ..http() };
        first(target(CheckKind::Http(check), backend.address)).await;
        let (head, _) = backend.request().await;
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("get /health?full=1 http/1.1\r\n"), "{head}");
        let host = host.map_or(backend.address.to_string(), str::to_owned);
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        let agent = format!("user-agent: rhumb/{} (health check)\r\n", env!("CARGO_PKG_VERSION"));
        assert!(head.contains(&agent), "{head}");
        assert!(!head.contains("accept-encoding"), "{head}");
    }
}

#[tokio::test]
async fn a_body_is_searched_across_chunks() {
    assert_eq!(first_http(wants_body("ok"), ok("all is ok")).await, "ok");
    let failed = first_http(wants_body("ok"), ok("all is bad")).await;
    assert_eq!(failed, "body lacks \"ok\" in its whole 10 octets");

    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = [head, "4\r\nall \r\n", "3\r\nis \r\n", "1\r\no\r\n", "1\r\nk\r\n", "0\r\n\r\n"];
    let pieces = Reply::Pieces(chunked.map(str::to_owned).into());
    assert_eq!(first_http(wants_body("is ok"), pieces).await, "ok");
    let until_close = Reply::Full("HTTP/1.1 200 OK\r\n\r\nall is ok".to_owned());
    assert_eq!(first_http(wants_body("ok"), until_close).await, "ok");
}

#[tokio::test]
async fn only_the_first_64_kib_of_a_response_count() {
    // All that a probe reads, its head too.
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_MAX}\r\n\r\n");
    let filler = ".".repeat(BODY_MAX - head.len() - 2);
    let reply = |filler: &str| Reply::Full(format!("{head}{filler}ok and more"));
    assert_eq!(first_http(wants_body("ok"), reply(&filler)).await, "ok");
    let failed = first_http(wants_body("ok"), reply(&(filler + "."))).await;
    assert_eq!(failed, TOO_MUCH);
}

#[tokio::test]
async fn the_deadline_covers_every_phase() {
    let late = |target| with_check(target, |check| check.timeout = Duration::from_millis(150));
    let cases = [
        (Reply::Stall, "waiting for the response"),
        (Reply::Drip("HTTP/1.1 200 OK\r\nX: ".into()), "waiting for the response"),
        (Reply::Drip("HTTP/1.1 200 OK\r\n\r\n".into()), "reading the body"),
    ];
    for (reply, phase) in cases {
        let backend = Backend::start(reply).await;
        let failed = first(late(target(wants_body("ok"), backend.address))).await;
        assert_eq!(failed, format!("timed out after 150ms, {phase}"));
    }
    // Never accepted: the kernel takes the connection, nobody answers the handshake.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kind = CheckKind::Https(http(), unverified());
    let failed = first(late(target(kind, listener.local_addr().unwrap()))).await;
    assert_eq!(failed, "timed out after 150ms, in the TLS handshake");
}

#[tokio::test]
async fn a_hostile_backend_is_cut_off_long_before_the_deadline() {
    let endless = |first: &str, more: &str| Reply::Endless(first.into(), more.repeat(1000));
    let ok = "HTTP/1.1 200 OK\r\n";
    let cases = [
        (endless(ok, "X-More: headers\r\n"), "not a valid HTTP response"),
        (endless("HTTP/1.1 200 OK\r\nX: ", "one long header "), "not a valid HTTP response"),
        (
            endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
            "not a valid HTTP response: more than 16 interim",
        ),
        (endless("", "\r\n"), "not a valid HTTP response"),
        (endless("SSH-2.0-OpenSSH\r\n", "x"), "not a valid HTTP response"),
        (
            endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", "............"),
            TOO_MUCH,
        ),
        // What would be a gigabyte is never unpacked.
        (endless("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "\u{1f}\0\0\0"), TOO_MUCH),
        (endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n.\r\n"), TOO_MUCH),
    ];
    for (reply, reason) in cases {
        let failed = first_http(wants_body("ok"), reply).await;
        assert!(failed.starts_with(reason), "{failed}, not {reason}");
    }
}

#[tokio::test]
async fn a_backend_that_hangs_up_is_named_as_such() {
    let failed = first_http(CheckKind::Http(http()), Reply::Full(String::new())).await;
    assert_eq!(failed, "connection closed early, waiting for the response");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall is".to_owned();
    let failed = first_http(wants_body("ok"), Reply::Full(cut)).await;
    assert_eq!(failed, "connection closed early, reading the body");
}

fn unverified() -> TlsCheck {
    TlsCheck { verify: false, ..TlsCheck::default() }
}

fn shop() -> HttpCheck {
    HttpCheck { host: Some("shop.test".into()), ..http() }
}

#[tokio::test]
async fn https_passes_with_a_good_certificate_of_the_given_authority() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("shop.test", 2100);
    let mut backend = Backend::start_tls(acceptor, ok("fine")).await;
    let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let check = HttpCheck { body: Some("fine".into()), ..shop() };
    assert_eq!(first(target(CheckKind::Https(check, tls), backend.address)).await, "ok");
    assert_eq!(backend.request().await.1.as_deref(), Some("shop.test"));
}

#[tokio::test]
async fn https_names_what_is_wrong_with_a_certificate() {
    let authority = Authority::new();
    let trusted =
        |authority: &Authority| TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let expired = (authority.acceptor("shop.test", 2020), trusted(&authority));
    let misnamed = (authority.acceptor("other.test", 2100), trusted(&authority));
    let unknown = (self_signed("shop.test"), trusted(&authority));
    let cases = [
        (expired, "certificate: expired 2020-12-31T00:00:00Z"),
        (misnamed, "certificate: not valid for shop.test, only for other.test"),
        (unknown, "certificate: its issuer is not trusted"),
    ];
    for ((acceptor, tls), reason) in cases {
        let backend = Backend::start_tls(acceptor.clone(), ok("")).await;
        let kind = CheckKind::Https(shop(), tls);
        assert_eq!(first(target(kind, backend.address)).await, reason);
        let kind = CheckKind::Https(shop(), unverified());
        assert_eq!(first(target(kind, backend.address)).await, "ok");
    }
}

#[tokio::test]
async fn without_an_authority_of_its_own_a_check_trusts_what_the_system_trusts() {
    let backend = Backend::start_tls(self_signed("shop.test"), ok("")).await;
    let tls = TlsCheck::default();
    let (prober, mut reports) = prober();
    prober.set_targets(vec![target(CheckKind::Https(shop(), tls), backend.address)]);
    let report = reports.recv().await.unwrap();
    let failure = report.result.outcome.unwrap_err();
    if failure.is_local() {
        // A machine without any roots knows nothing, and must not take a backend down for it.
        assert_eq!(report.flip, None);
        assert!(failure.to_string().contains("no root certificates found"), "{failure}");
    } else {
        assert_eq!(report.flip, Some(Verdict::Down));
        assert_eq!(failure.to_string(), "certificate: its issuer is not trusted");
    }
}

#[tokio::test]
async fn the_server_name_may_differ_from_the_host() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("origin.test", 2100);
    let mut backend = Backend::start_tls(acceptor, ok("")).await;
    let tls = TlsCheck {
        server_name: Some("origin.test".into()),
        ca_pem: Some(authority.pem()),
        ..TlsCheck::default()
    };
    assert_eq!(first(target(CheckKind::Https(shop(), tls), backend.address)).await, "ok");
    let (head, server_name) = backend.request().await;
    assert_eq!(server_name.as_deref(), Some("origin.test"));
    assert!(head.to_ascii_lowercase().contains("\r\nhost: shop.test\r\n"), "{head}");
}

#[tokio::test]
async fn without_any_name_the_certificate_must_hold_the_address() {
    let authority = Authority::new();
    for (name, reason) in [
        ("127.0.0.1", "ok"),
        ("shop.test", "certificate: not valid for 127.0.0.1, only for shop.test"),
    ] {
        let mut backend = Backend::start_tls(authority.acceptor(name, 2100), ok("")).await;
        let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
        let kind = CheckKind::Https(http(), tls);
        assert_eq!(first(target(kind, backend.address)).await, reason);
        if reason == "ok" {
            assert_eq!(backend.request().await.1, None);
        }
    }
}

/// A target whose certificate must be of the authority.
fn verified(authority: &Authority, address: SocketAddr) -> ProbeTarget {
    let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    target(CheckKind::Https(shop(), tls), address)
}

#[tokio::test]
async fn a_session_is_resumed_from_the_second_probe_on() {
    let authority = Authority::new();
    let mut backend = Backend::start_tls(authority.acceptor("shop.test", 2100), ok("")).await;
    let (prober, mut reports) = prober();
    prober.set_targets(vec![verified(&authority, backend.address)]);
    for round in 0..5 {
        assert_eq!(backend.resumed().await, round > 0, "{round}");
        assert!(reports.recv().await.unwrap().result.outcome.is_ok());
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_looked_at_each_time_and_its_end_is_seen_at_once() {
    let authority = Authority::new();
    let acceptor = authority.acceptor_for_seconds("shop.test", 3);
    let mut backend = Backend::start_tls(acceptor, ok("")).await;
    let (prober, mut reports) = prober();
    prober.set_targets(vec![verified(&authority, backend.address)]);
    for _ in 0..5 {
        assert!(!backend.resumed().await);
    }
    let down = loop {
        let (verdict, report) = next_flip(&mut reports).await;
        if verdict == Verdict::Down {
            break report;
        }
    };
    let failure = down.result.outcome.unwrap_err().to_string();
    assert!(failure.starts_with("certificate: expired "), "{failure}");
}

#[tokio::test]
async fn a_replaced_certificate_is_seen_at_once_where_the_backend_takes_no_old_tickets() {
    let authority = Authority::new();
    let mut backend = Backend::start_tls(authority.acceptor("shop.test", 2100), ok("")).await;
    let address = backend.address;
    let (prober, mut reports) = prober();
    prober.set_targets(vec![verified(&authority, address)]);
    while !backend.resumed().await {}
    drop(backend);
    while reports.recv().await.unwrap().result.outcome.is_ok() {}
    let replaced = authority.acceptor("other.test", 2100);
    let _backend = Backend::listen(address, Some(replaced), ok("")).await;
    loop {
        let report = reports.recv().await.unwrap();
        match report.result.outcome.map_err(|failure| failure.to_string()) {
            Err(text) if text.starts_with("certificate: not valid for shop.test") => return,
            // While nothing listened.
            Ok(_) | Err(_) => {}
        }
    }
}

#[tokio::test]
async fn sessions_that_would_take_much_memory_are_not_kept() {
    let authority = Authority::new();
    for (names, is_kept) in [(10, true), (700, false)] {
        let acceptor = authority.acceptor_with_names("shop.test", names);
        let mut backend = Backend::start_tls(acceptor, ok("")).await;
        let (prober, mut reports) = prober();
        prober.set_targets(vec![verified(&authority, backend.address)]);
        assert!(reports.recv().await.unwrap().result.outcome.is_ok());
        assert!(!backend.resumed().await);
        assert_eq!(backend.resumed().await, is_kept, "{names}");
    }
}

#[tokio::test]
async fn https_to_a_plain_backend_and_back_fails_readably() {
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let answer = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let failed = first(target(CheckKind::Https(http(), unverified()), address)).await;
    assert!(failed.starts_with("TLS: received corrupt message"), "{failed}");
    drop(answer.await.unwrap());

    let backend = Backend::start_tls(self_signed("shop.test"), ok("")).await;
    let failed = first(target(CheckKind::Http(http()), backend.address)).await;
    assert!(failed.starts_with("not a valid HTTP response"), "{failed}");
}

async fn next_flip(reports: &mut mpsc::Receiver<ProbeReport>) -> (Verdict, ProbeReport) {
    loop {
        let report = reports.recv().await.unwrap();
        if let Some(verdict) = report.flip {
            return (verdict, report);
        }
    }
}

#[tokio::test]
async fn a_backend_goes_up_down_held_and_up_again() {
    let backend = Backend::start(ok("")).await;
    let address = backend.address;
    let hold_down = Duration::from_secs(2);
    let target = target(CheckKind::Http(http()), address);
    let target = with_check(target, |check| check.hold_down = hold_down);
    let (prober, mut reports) = prober();
    prober.set_targets(vec![target]);

    let (verdict, up) = next_flip(&mut reports).await;
    assert_eq!((verdict, up.consecutive_passes), (Verdict::Up, 1));
    drop(backend);
    let (verdict, down) = next_flip(&mut reports).await;
    assert_eq!((verdict, down.consecutive_fails), (Verdict::Down, 3));
    let _backend = Backend::listen(address, None, ok("")).await;
    let (verdict, held) = next_flip(&mut reports).await;
    assert_eq!((verdict, held.consecutive_passes), (Verdict::Held, 2));
    let (verdict, up) = next_flip(&mut reports).await;
    assert_eq!(verdict, Verdict::Up);
    assert!(up.at - down.at >= hold_down);
}

#[tokio::test]
async fn a_removed_target_is_left_alone_in_mid_probe() {
    let mut backend = Backend::start(Reply::Stall).await;
    let (prober, mut reports) = prober();
    prober.set_targets(vec![target(CheckKind::Http(http()), backend.address)]);
    backend.request().await;
    prober.set_targets(vec![]);
    backend.closed().await;
    drop(prober);
    assert!(reports.recv().await.is_none());
}

#[tokio::test]
async fn unchanged_targets_keep_their_state_when_others_come() {
    let (one, two) = (Backend::start(ok("")).await, Backend::start(ok("")).await);
    let (one, two) = (&one, &two);
    let target = |backend: &Backend| target(CheckKind::Http(http()), backend.address);
    let (prober, mut reports) = prober();
    prober.set_targets(vec![target(one)]);
    let known = next_flip(&mut reports).await.1;
    prober.set_targets(vec![target(two), target(one)]);
    // The newcomer flips, the old one never again.
    let mut passes = known.consecutive_passes;
    let mut newcomer_is_up = false;
    while passes < 5 || !newcomer_is_up {
        let report = reports.recv().await.unwrap();
        if report.key == known.key {
            assert_eq!((report.flip, report.consecutive_passes), (None, passes + 1));
            passes += 1;
        } else {
            newcomer_is_up |= report.flip == Some(Verdict::Up);
        }
    }
}

/// The first word of load of a check that reads it, over HTTP and over HTTPS, which must agree.
async fn first_load(load: LoadSource, body: Option<&str>, reply: Reply) -> LoadWord {
    let check = HttpCheck { load: Some(load), body: body.map(Into::into), ..http() };
    let clear = Backend::start(reply.clone()).await;
    let authority = Authority::new();
    let acceptor = authority.acceptor("shop.test", 2100);
    let hidden = Backend::start_tls(acceptor, reply).await;
    let tls = TlsCheck {
        server_name: Some("shop.test".into()),
        ca_pem: Some(authority.pem()),
        verify: true,
        ..TlsCheck::default()
    };
    let targets = [
        target(CheckKind::Http(check.clone()), clear.address),
        target(CheckKind::Https(check, tls), hidden.address),
    ];
    let mut words = Vec::new();
    for target in targets {
        let (prober, mut reports) = prober();
        prober.set_targets(vec![target]);
        let report = reports.recv().await.unwrap();
        assert!(report.result.outcome.is_ok(), "load fails no probe");
        words.push(report.result.load());
    }
    // What is not a number equals nothing.
    assert_eq!(format!("{:?}", words[0]), format!("{:?}", words[1]));
    words[0]
}

fn with_header(value: &str) -> Reply {
    Reply::Full(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nEndpoint-Load-Metrics: {value}\r\n\r\nok"
    ))
}

#[tokio::test]
async fn load_is_read_of_the_orca_header() {
    let orca = |value| first_load(LoadSource::Orca, None, with_header(value));
    let text = "TEXT application_utilization=0.5, cpu_utilization=0.3";
    assert_eq!(orca(text).await, LoadWord::Says(0.5));
    assert_eq!(orca("JSON {\"cpu_utilization\": 0.25}").await, LoadWord::Says(0.25));
    let with_body = first_load(LoadSource::Orca, Some("ok"), with_header(text)).await;
    assert_eq!(with_body, LoadWord::Says(0.5), "beside a text that the body must hold");
    for lie in ["cpu_utilization=-1", "cpu_utilization=NaN", "cpu_utilization=1e300"] {
        let word = orca(lie).await;
        assert!(matches!(word, LoadWord::Faulty(LoadFault::NotBelieved(_))), "{word:?}");
    }
    let giant = format!("cpu_utilization=0.5,x={}", "1".repeat(12_000));
    assert_eq!(orca(&giant).await, LoadWord::Faulty(LoadFault::Unreadable));
    let none = first_load(LoadSource::Orca, None, ok("ok")).await;
    assert_eq!(none, LoadWord::Faulty(LoadFault::Missing));
}

#[tokio::test]
async fn load_is_read_of_a_number_in_a_json_body() {
    let json = |pointer: &str| LoadSource::Json { pointer: pointer.into(), max: 400.0 };
    let body = "{\"requests\": {\"active\": 120}, \"state\": \"ok\"}";
    let at = |pointer| first_load(json(pointer), None, ok(body));
    assert_eq!(at("/requests/active").await, LoadWord::Says(0.3));
    assert_eq!(at("/requests/queue").await, LoadWord::Faulty(LoadFault::Missing));
    assert_eq!(at("/state").await, LoadWord::Faulty(LoadFault::Unreadable));
    let (head, tail) = body.split_at(20);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", body.len());
    let pieces = Reply::Pieces(vec![head.clone(), tail.into()]);
    let word = first_load(json("/requests/active"), Some("ok"), pieces).await;
    assert_eq!(word, LoadWord::Says(0.3), "the whole body is read, though the text came");
    let word = first_load(json("/requests/active"), None, Reply::Full(head)).await;
    assert_eq!(word, LoadWord::Faulty(LoadFault::Unreadable), "it breaks off");
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    let endless = Reply::Endless(head, "[".repeat(4096));
    let word = first_load(json("/0"), None, endless).await;
    assert_eq!(word, LoadWord::Faulty(LoadFault::TooLong));
    let lacks = HttpCheck { load: Some(json("/x")), body: Some("well".into()), ..http() };
    let failed = first_http(CheckKind::Http(lacks), ok(body)).await;
    assert!(failed.contains("well"), "the text still counts: {failed}");
}
