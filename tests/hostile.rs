//! Backends that mean harm: what each costs in octets and in time, by every kind of probe.
//!
//! Octets are counted where they are sent: what a backend got rid of, its own socket's buffer included.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::convert::Infallible;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http_body_util::StreamBody;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::DnsCheck;
use rhumb::model::ExecCheck;
use rhumb::model::Family;
use rhumb::model::GrpcCheck;
use rhumb::model::HttpCheck;
use rhumb::model::HttpVersion;
use rhumb::model::Sources;
use rhumb::model::Talk;
use rhumb::model::TargetKey;
use rhumb::model::TlsCheck;
use rhumb::model::Verdict;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeReport;
use rhumb::runtime::probe::ProbeTarget;
use rhumb::runtime::probe::Prober;
use rhumb::wire::Name;
use rhumb::wire::RecordType;
use socket2::SockRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Octets that a probe reads, at most.
const READ_MAX: usize = 64 * 1024;

/// Octets that nobody reads: in the buffer of the probe's socket, and in that of the backend's.
const UNREAD_MAX: usize = 64 * 1024 + SENDS_AHEAD;

/// What a backend of these tests may have sent and not be rid of.
const SENDS_AHEAD: usize = 16 * 1024;

/// Time of a probe that is cut off.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a backend does once it was spoken to.
enum Harm {
    /// Sends the first, then the second for ever, as fast as it can.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends the first, then an octet each few milliseconds.
    Drip(Vec<u8>),
    /// Says nothing.
    Stall,
}

use Harm::Drip;
use Harm::Endless;
use Harm::Stall;

fn endless(first: impl AsRef<[u8]>, more: impl AsRef<[u8]>) -> Harm {
    let more = more.as_ref();
    Endless(first.as_ref().into(), more.repeat(8192 / more.len() + 1))
}

/// A backend that does harm to everybody; `speaks_first` is for protocols in which the server does.
struct Backend {
    address: SocketAddr,
    /// Octets that went to one probe, the most of all.
    sent: Arc<AtomicUsize>,
}

impl Backend {
    fn start(harm: Harm, speaks_first: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Connections have it of their listener: what is sent ahead is little.
        SockRef::from(&listener).set_send_buffer_size(SENDS_AHEAD / 4).unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&sent);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let _ = harm_one(stream, &harm, speaks_first, &count);
            }
        });
        Self { address, sent }
    }
}

fn harm_one(
    mut stream: TcpStream,
    harm: &Harm,
    speaks_first: bool,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut said = [0; 4096];
    if !speaks_first && stream.read(&mut said)? == 0 {
        return Ok(());
    }
    let mut own = 0;
    let mut send = |octets: &[u8]| -> std::io::Result<()> {
        // In pieces, for a call that fails in the middle tells nothing of its first half.
        for piece in octets.chunks(512) {
            stream.write_all(piece)?;
            own += piece.len();
            sent.fetch_max(own, SeqCst);
        }
        Ok(())
    };
    match harm {
        Endless(first, more) => {
            send(first)?;
            loop {
                send(more)?;
            }
        }
        Drip(first) => {
            send(first)?;
            loop {
                send(b".")?;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Stall => {
            while stream.read(&mut said)? > 0 {}
            Ok(())
        }
    }
}

fn check(kind: CheckKind, timeout: Duration) -> Check {
    Check {
        name: "check".into(),
        kind,
        port: 0,
        source: Sources::default(),
        invert: false,
        // New targets are probed within an interval.
        interval: Duration::from_millis(100),
        timeout,
        fall: 1,
        rise: 1,
        hold_down: Duration::ZERO,
        damping: None,
        jitter_percent: 0,
        degraded: Vec::new(),
    }
}

/// The one report of a target.
async fn probe(check: Check, address: SocketAddr) -> ProbeReport {
    let (sender, mut reports) = mpsc::channel(16);
    let restarts = |name| panic!("{name} was restarted");
    let prober = Prober::spawn(Limits::default(), Instant::now(), sender, restarts).unwrap();
    prober.set_targets(vec![target_of(check, address)]);
    reports.recv().await.unwrap()
}

fn target_of(check: Check, address: SocketAddr) -> ProbeTarget {
    ProbeTarget {
        key: TargetKey {
            endpoint: "pool/a".into(),
            check: "check".into(),
            family: Family::V4,
            address: None,
        },
        address: address.ip(),
        check: Arc::new(Check { port: address.port(), ..check }),
        initial: Verdict::Unknown,
        degraded: 0,
        penalty: rhumb::health::Penalty::default(),
    }
}

fn said(report: &ProbeReport) -> String {
    report.result.outcome.as_ref().map_or_else(ToString::to_string, |_| "ok".into())
}

/// Probes a backend that floods: it must be cut off by its octets, long before the deadline.
#[track_caller]
fn assert_cut_off(kind: CheckKind, harm: Harm, speaks_first: bool) -> String {
    let backend = Backend::start(harm, speaks_first);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(probe(check(kind, DEADLINE), backend.address));
    let (said, took) = (said(&report), report.result.duration);
    let sent = backend.sent.load(SeqCst);
    println!("{sent:>7} octets in {took:?}: {said}");
    assert!(sent <= READ_MAX + UNREAD_MAX, "{sent} octets: {said}");
    assert!(took < DEADLINE / 3, "{took:?}: {said}");
    assert_ne!(said, "ok");
    said
}

/// Probes a backend that holds one up: it must cost no more than the deadline.
#[track_caller]
fn assert_in_time(kind: CheckKind, harm: Harm, speaks_first: bool) -> String {
    let backend = Backend::start(harm, speaks_first);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let timeout = Duration::from_millis(200);
    let report = runtime.block_on(probe(check(kind, timeout), backend.address));
    let (said, took) = (said(&report), report.result.duration);
    println!("{took:?}: {said}");
    assert!(said.starts_with("timed out after 200ms"), "{said}");
    assert!(took >= timeout && took < timeout + Duration::from_secs(2), "{took:?}");
    said
}

fn http() -> CheckKind {
    CheckKind::Http(HttpCheck { body: Some("ok".into()), ..HttpCheck::default() })
}

fn http_2() -> CheckKind {
    let check =
        HttpCheck { version: HttpVersion::Two, body: Some("ok".into()), ..HttpCheck::default() };
    CheckKind::Http(check)
}

fn grpc() -> CheckKind {
    CheckKind::Grpc(GrpcCheck::default())
}

fn unverified() -> TlsCheck {
    TlsCheck { verify: false, ..TlsCheck::default() }
}

fn expecting(text: &str) -> Talk {
    Talk { send: None, expect: Some(text.as_bytes().into()) }
}

#[test]
fn endless_responses_are_cut_off() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        endless("HTTP/1.1 200 ", "reason "),
        endless(head, "X-More: headers\r\n"),
        endless([head, "X: "].concat(), "one long header "),
        endless([head, "Content-Length: 1"].concat(), "0"),
        endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
        endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
        endless("", "\r\n"),
        // Bodies of a gigabyte, announced or not, in pieces or not.
        endless([head, "Content-Length: 1000000000\r\n\r\n"].concat(), "."),
        endless([head, "\r\n"].concat(), "."),
        endless(chunked, "1\r\n.\r\n"),
        endless([chunked, "3b9aca00\r\n"].concat(), "."),
        // Of chunks that never come to an end.
        endless([chunked, "1;"].concat(), "extension=x;"),
        endless([chunked, "1"].concat(), "0"),
        endless(chunked, "1;x=y\r\n.\r\n"),
        endless([chunked, "2\r\n..\r\n0\r\n"].concat(), "X-Trailer: more\r\n"),
        endless([chunked, "2\r\n..\r\n0\r\nX-Trailer: "].concat(), "more"),
        // A bomb: it is not asked for, and looked into as it comes.
        endless([head, "Content-Encoding: gzip\r\n\r\n"].concat(), [0x1f, 0x8b, 8, 0, 0, 0, 0]),
    ];
    for harm in cases {
        assert_cut_off(http(), harm, false);
    }
}

#[test]
fn slow_responses_cost_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\n";
    for first in ["HTTP/1.1 200 ", head, "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"] {
        assert_in_time(http(), Drip(first.into()), false);
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    assert_in_time(http(), Drip(chunked.into()), false);
    for kind in [http(), http_2(), grpc()] {
        let said = assert_in_time(kind, Stall, false);
        assert!(said.ends_with("waiting for the response"), "{said}");
    }
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn floods_of_frames_are_cut_off() {
    let settings = frame(4, 0, 0, &[]);
    let status_200 = frame(1, 4, 1, &[0x88]);
    // A header of 1,000 octets by its letters (RFC 7541 section 6.2.2): "x" and a value.
    let header = [&[0, 1, b'x', 0x7f, 0xe9, 6][..], &[b'.'; 1000]].concat();
    let header = &header[..];
    let cases = |path: &str| {
        let answered = [&settings[..], &status_200].concat();
        vec![
            endless("", &settings),
            endless(&settings, frame(6, 0, 0, &[7; 8])),
            endless(&settings, frame(9, 0, 1, header)),
            endless([&settings[..], &frame(1, 0, 1, header)].concat(), frame(9, 0, 1, header)),
            endless(&settings, frame(1, 0, 1, header)),
            endless(&settings, frame(0xee, 0, 1, &[0; 4000])),
            endless(&answered, frame(0, 0, 1, &[b'.'; 4000])),
            endless(&answered, frame(0, 0, 1, &[])),
            endless(&answered, frame(0, 8, 1, &[1, b'.', 0])),
            endless(&answered, frame(8, 0, 1, &[0, 0, 0, 1])),
            endless("HTTP/1.1 400 Bad Request\r\n\r\n", path),
        ]
    };
    for harm in cases("x") {
        assert_cut_off(http_2(), harm, true);
    }
    for harm in cases("y") {
        assert_cut_off(grpc(), harm, true);
    }
}

#[test]
fn an_endless_body_over_http_2_is_cut_off_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for kind in [http_2(), grpc()] {
        let sent = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&sent);
        let report = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = |_: Request<Incoming>| {
                    let count = Arc::clone(&count);
                    let pieces = futures_util::stream::repeat_with(move || {
                        count.fetch_add(1024, SeqCst);
                        Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'.'; 1024])))
                    });
                    async { Ok::<_, Infallible>(Response::new(StreamBody::new(pieces))) }
                };
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
            probe(check(kind, DEADLINE), address).await
        });
        // The window of the stream is all that a server may send.
        assert!(sent.load(SeqCst) <= 4 * READ_MAX, "{} octets", sent.load(SeqCst));
        assert!(report.result.duration < DEADLINE / 3, "{report:?}");
        assert!(report.result.outcome.is_err());
    }
}

/// A record of TLS (RFC 8446 section 5.1).
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, len[0], len[1]][..], payload].concat()
}

#[test]
fn floods_of_a_tls_handshake_are_cut_off() {
    let https = || CheckKind::Https(HttpCheck::default(), unverified());
    let cases = || {
        [
            // Requests to begin anew, alerts that warn, changes of the cipher, records without anything.
            endless("", record(22, &[0; 4096])),
            endless("", record(21, &[1, 90])),
            endless("", record(20, &[1])),
            endless("", record(22, &[])),
            // A message of the handshake that is announced as long as there can be, in pieces.
            endless(record(22, &[2, 0xff, 0xff, 0xff]), record(22, &[0; 4096])),
            endless(record(22, &[11, 0, 0xff, 0xff]), record(22, &[0; 1])),
            endless("", "HTTP/1.1 400 Bad Request\r\n"),
        ]
    };
    for harm in cases() {
        assert_cut_off(CheckKind::Tls(unverified()), harm, false);
    }
    for harm in cases() {
        assert_cut_off(https(), harm, false);
    }
    for kind in [CheckKind::Tls(unverified()), https()] {
        let said = assert_in_time(kind.clone(), Stall, false);
        assert!(said.ends_with("in the TLS handshake"), "{said}");
        // A record of which the rest comes octet by octet.
        assert_in_time(kind, Drip(vec![22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xfb]), false);
    }
}

#[test]
fn endless_words_over_tcp_are_cut_off_and_slow_ones_cost_the_deadline() {
    let kind = || CheckKind::Tcp(expecting("220 "));
    assert_cut_off(kind(), endless("", "421 busy\r\n"), true);
    assert_cut_off(kind(), endless("", [0]), true);
    assert_in_time(kind(), Drip(Vec::new()), true);
    let said = assert_in_time(kind(), Stall, true);
    assert!(said.ends_with("waiting for the response"), "{said}");
}

/// What a socket of UDP says to each datagram: makes many of one.
fn datagrams(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (address, own) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut heard = [0; 2048];
        while let Ok((len, from)) = own.recv_from(&mut heard) {
            for datagram in answer(&heard[..len]) {
                let _ = own.send_to(&datagram, from);
            }
        }
    });
    (socket, address)
}

fn asking() -> CheckKind {
    CheckKind::Dns(DnsCheck {
        qname: Name::absolute("www.test").unwrap(),
        qtype: RecordType(1),
        recursion: false,
        rcode: "NOERROR",
        answer: None,
    })
}

#[test]
fn floods_of_datagrams_are_cut_off() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let udp = Talk { send: Some(b"hello".as_slice().into()), ..expecting("ready") };
    for len in [60_000, 1200, 1] {
        let many = READ_MAX / len + 2;
        let flood = move |_: &[u8]| vec![vec![b'.'; len]; many.min(4000)];
        let (_socket, address) = datagrams(flood);
        let kind = CheckKind::Udp(udp.clone());
        let report = runtime.block_on(probe(check(kind, Duration::from_millis(500)), address));
        println!("datagrams of {len}: {} in {:?}", said(&report), report.result.duration);
        assert!(report.result.duration < Duration::from_secs(3), "{report:?}");
        assert!(report.result.outcome.is_err());
    }
    // Forged replies to a question, by the hundred.
    let (_socket, address) = datagrams(|question| {
        let mut forged = question.to_vec();
        forged[0] ^= 0xff;
        forged[2] |= 0x80;
        vec![forged; 500]
    });
    let report = runtime.block_on(probe(check(asking(), DEADLINE), address));
    assert_eq!(said(&report), "what comes back is no reply to the question");
    assert!(report.result.duration < DEADLINE / 3, "{report:?}");
}

#[test]
fn a_name_server_that_floods_over_tcp_is_cut_off() {
    let (socket, address, listener) = loop {
        let (socket, address) = datagrams(|question| {
            let mut cut = question.to_vec();
            cut[2] |= 0x82; // a reply, and it is cut
            vec![cut]
        });
        // Somebody else may have the port of the same number.
        if let Ok(listener) = TcpListener::bind(address) {
            break (socket, address, listener);
        }
    };
    let sent = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&sent);
    SockRef::from(&listener).set_send_buffer_size(SENDS_AHEAD / 4).unwrap();
    std::thread::spawn(move || {
        let flood = endless([0xff, 0xff], [0]);
        while let Ok((stream, _)) = listener.accept() {
            let _ = harm_one(stream, &flood, false, &count);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(probe(check(asking(), DEADLINE), address));
    assert_eq!(said(&report), "backend sent more than 65536 octets, and no probe reads more");
    let sent = sent.load(SeqCst);
    assert!(sent <= READ_MAX + UNREAD_MAX, "{sent} octets");
    assert!(report.result.duration < DEADLINE / 3, "{report:?}");
    drop(socket);
}

#[test]
fn a_command_that_never_stops_talking_is_heard_for_64_kib_and_killed() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("octets");
    // It goes on when nobody hears it any more, and counts what it got rid of.
    let script = format!(
        "trap '' PIPE; i=0; while printf '%01024d' 0 2>/dev/null; do i=$((i + 1024)); echo $i > {0}; done; \
         while :; do sleep 60; done",
        count.display()
    );
    let words = ["/bin/sh", "-c", &script].map(Box::from).to_vec();
    let kind = CheckKind::Exec(ExecCheck { command: words });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let nowhere = "192.0.2.7:0".parse().unwrap();
    let report = runtime.block_on(probe(check(kind, Duration::from_secs(3)), nowhere));
    assert_eq!(said(&report), "timed out after 3s, running the command");
    let octets: usize = std::fs::read_to_string(&count).unwrap().trim().parse().unwrap();
    // A pipe holds 64 KiB that nobody reads.
    assert!(octets <= READ_MAX + 64 * 1024 + 8192, "{octets} octets");
}

#[test]
fn a_backend_that_changes_in_mid_way_is_told_apart_each_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // One answer a connection; the last one is repeated.
    let answers: [&[u8]; 8] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nok",
        // It lies about its length, or loses the thread.
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno, that is not ok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\nzz\r\nok",
        b"220 mail.test ESMTP\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ];
    std::thread::spawn(move || {
        let last = *answers.last().unwrap();
        for answer in answers.into_iter().chain(std::iter::repeat(last)) {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = runtime.block_on(async {
        let (sender, mut reports) = mpsc::channel(16);
        let restarts = |name| panic!("{name} was restarted");
        let prober = Prober::spawn(Limits::default(), Instant::now(), sender, restarts).unwrap();
        let target = target_of(check(http(), DEADLINE), address);
        prober.set_targets(vec![target]);
        let mut all = Vec::new();
        while all.len() < 9 {
            all.push(said(&reports.recv().await.unwrap()));
        }
        all
    });
    let wanted = [
        "ok",
        "status 503, wanted 200-299",
        "connection closed early, reading the body",
        "body lacks \"ok\" in its whole 2 octets",
        // Whatever is said of a chunk that has no length.
        "",
        "not a valid HTTP response: ",
        "connection closed early, waiting for the response",
        "ok",
        "ok",
    ];
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said}, not {wanted}");
        assert_eq!(said == "ok", wanted == "ok");
    }
}
