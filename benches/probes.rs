//! The prober at scale: CPU and memory of a check, and how late probes start.
//!
//! Guess for one plain HTTP check over loopback, prober's side: connect, write, read, close are four system calls and
//! most of a TCP handshake, 25 us; the wake-ups 5 us; parsing and bookkeeping 10 us: 40 us. HTTPS with a session that is
//! resumed adds a key exchange and two records, 150 us; without, a signature and a chain, 300 us more.
//! Octets of a waiting target: 500. Measured (results/README.md): 53 to 59 us; 285 resumed, 385 full; 880 octets.
//!
//! Run: `cargo bench --bench probes -- http 50000` (kind: tcp, http, https, or reqwest,
//! bare; targets; percent of them that stall; seconds between two probes of one).
//! Backends are a process of their own on 127.0.0.0/8, so that only the prober is counted.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::io::BufRead;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rhumb::health::Penalty;
use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::Family;
use rhumb::model::HttpCheck;
use rhumb::model::Sources;
use rhumb::model::Talk;
use rhumb::model::TargetKey;
use rhumb::model::TlsCheck;
use rhumb::model::Verdict;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeTarget;
use rhumb::runtime::probe::Prober;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(2);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/// Backends whose last octet is below this stall.
fn stalls(address: Ipv4Addr, percent: u8) -> bool {
    u32::from(address.octets()[3]) * 100 < u32::from(percent) * 256
}

/// How often each target is probed, and how long that is looked at.
#[derive(Clone, Copy)]
struct Times {
    interval: Duration,
    /// Until each was probed twice: first probes and full handshakes are over.
    warm: Duration,
    measured: Duration,
}

impl Times {
    fn of(interval_s: u64) -> Self {
        let interval = Duration::from_secs(interval_s);
        Self { interval, warm: interval * 2 + Duration::from_secs(2), measured: interval * 2 }
    }
}

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let word = |at: usize, otherwise: &str| words.get(at).cloned().unwrap_or(otherwise.into());
    let (kind, percent) = (word(0, "http"), word(2, "0").parse().unwrap());
    let times = Times::of(word(3, "10").parse().unwrap());
    if std::env::var_os("RHUMB_BACKENDS").is_some() {
        return backends(&kind, percent);
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(&words)
        .env("RHUMB_BACKENDS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap().parse().unwrap();
    let ca = (kind == "https").then(|| {
        lines.by_ref().map(|l| l.unwrap()).take_while(|l| l != "end").collect::<Vec<_>>().join("\n")
    });
    let count = word(1, "50000").parse().unwrap();
    match kind.as_str() {
        "reqwest" => {
            rhumb::runtime::probe::install_crypto();
            let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
            let client = builder.timeout(TIMEOUT).build().unwrap();
            compare("reqwest", times, count, port, move |target| {
                by_reqwest(client.clone(), target)
            });
        }
        "bare" => compare("bare", times, count, port, bare),
        kind => probe(kind, times, count, percent, (port, ca)),
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn check(kind: &str, interval: Duration, port: u16, ca: Option<String>) -> Check {
    let http = HttpCheck {
        host: Some("shop.test".into()),
        path: "/healthz".into(),
        status: vec![200..=299],
        body: Some("ok".into()),
        ..HttpCheck::default()
    };
    let kind = match (kind, ca) {
        ("tcp", _) => CheckKind::Tcp(Talk::default()),
        ("http", _) => CheckKind::Http(http),
        (_, ca) => {
            CheckKind::Https(http, TlsCheck { ca_pem: ca.map(Into::into), ..TlsCheck::default() })
        }
    };
    Check {
        name: "web".into(),
        kind,
        port,
        source: Sources::default(),
        invert: false,
        interval,
        timeout: TIMEOUT,
        fall: 3,
        rise: 5,
        hold_down: Duration::ZERO,
        damping: None,
        jitter_percent: 0,
        degraded: Vec::new(),
        voting: rhumb::model::Voting::default(),
    }
}

fn probe(kind: &str, times: Times, count: u32, percent: u8, (port, ca): (u16, Option<String>)) {
    let Times { interval, warm, measured } = times;
    rhumb::runtime::descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let check = Arc::new(check(kind, interval, port, ca));
        let before_kib = resident_kib();
        let clock_start = Instant::now();
        let (sender, mut reports) = mpsc::channel(1024);
        let limits = Limits { max_in_flight: 30_000, ..Limits::default() };
        let prober = Prober::spawn(limits, clock_start, sender, |name| panic!("{name} crashed"));
        let prober = prober.unwrap();
        let targets = (0..count).map(|at| target(at, &check)).collect();
        prober.set_targets(targets);
        let mut late = Vec::new();
        let (mut cpu_before, mut user_before) = (None, None);
        let (mut done, mut failed, mut stalled) = (0_u32, 0_u32, 0_u32);
        while clock_start.elapsed() < warm + measured {
            let report = reports.recv().await.unwrap();
            if clock_start.elapsed() < warm {
                continue;
            }
            cpu_before.get_or_insert_with(cpu);
            user_before.get_or_insert_with(user);
            done += 1;
            let must_stall = stalls(address(report.key.endpoint.parse().unwrap()), percent);
            stalled += u32::from(must_stall);
            failed += u32::from(report.result.outcome.is_ok() == must_stall);
            if failed == 1 && report.result.outcome.is_ok() == must_stall {
                eprintln!("{:?}", report.result);
            }
            late.push(report.late);
        }
        let cpu_us = (cpu() - cpu_before.unwrap()).as_secs_f64() * 1e6;
        late.sort_unstable();
        let resident = resident_kib() - before_kib;
        println!(
            "{{\"bench\":\"probes\",\"kind\":\"{kind}\",\"targets\":{count},\"interval_s\":{},\"stalled\":{stalled},\"probes\":{done},\"wrong\":{failed},\
             \"cpu_us\":{:.1},\"user_us\":{:.1},\"octets_a_target\":{},\"late_p50_ms\":{:.2},\"late_p99_ms\":{:.2},\"late_max_ms\":{:.2}}}",
            interval.as_secs(),
            cpu_us / f64::from(done),
            (user() - user_before.unwrap()).as_secs_f64() * 1e6 / f64::from(done),
            resident * 1024 / u64::from(count),
            late[late.len() / 2].as_secs_f64() * 1e3,
            late[late.len() * 99 / 100].as_secs_f64() * 1e3,
            late[late.len() - 1].as_secs_f64() * 1e3,
        );
    });
}

/// One request by a client of reqwest; whether its response is good.
async fn by_reqwest(client: reqwest::Client, target: SocketAddr) -> bool {
    let request = client.get(format!("http://{target}/healthz"));
    let request = request.header("host", "shop.test").header("connection", "close");
    let body = async { request.send().await?.text().await };
    body.await.is_ok_and(|body| body.contains("ok"))
}

/// What a request costs with nothing around it: four calls to the system and no look at the response but for a text.
async fn bare(target: SocketAddr) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(target).await?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            .await?;
        let mut response = [0; 1024];
        let len = stream.read(&mut response).await?;
        Ok::<bool, std::io::Error>(response[..len].ends_with(b"ok\n"))
    };
    tokio::time::timeout(TIMEOUT, exchange).await.is_ok_and(|found| found.unwrap_or(false))
}

/// Requests at the rate of `count` targets by something else than the prober, without any bookkeeping.
fn compare<F>(
    kind: &str,
    Times { interval, warm, measured }: Times,
    count: u32,
    port: u16,
    make: impl Fn(SocketAddr) -> F,
) where
    F: Future<Output = bool> + Send + 'static,
{
    rhumb::runtime::descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (done, mut results) = mpsc::unbounded_channel();
        let (clock_start, before_kib) = (Instant::now(), resident_kib());
        let mut cpu_before = None;
        let (mut started, mut probes, mut failed) = (0_u32, 0_u32, 0_u32);
        while clock_start.elapsed() < warm + measured {
            let intervals = clock_start.elapsed().as_secs_f64() / interval.as_secs_f64();
            let due = (intervals * f64::from(count)) as u32;
            for at in started..due {
                let (request, done) = (make((address(at % count), port).into()), done.clone());
                tokio::spawn(async move { done.send(request.await) });
            }
            started = due;
            tokio::time::sleep(Duration::from_millis(5)).await;
            while let Ok(passed) = results.try_recv() {
                if clock_start.elapsed() >= warm {
                    cpu_before.get_or_insert_with(cpu);
                    probes += 1;
                    failed += u32::from(!passed);
                }
            }
        }
        println!(
            "{{\"bench\":\"probes\",\"kind\":\"{kind}\",\"targets\":{count},\"probes\":{probes},\"wrong\":{failed},\
             \"cpu_us\":{:.1},\"octets_a_target\":{}}}",
            (cpu() - cpu_before.unwrap()).as_secs_f64() * 1e6 / f64::from(probes),
            (resident_kib() - before_kib) * 1024 / u64::from(count),
        );
    });
}

fn address(at: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x7f01_0000 + at)
}

fn target(at: u32, check: &Arc<Check>) -> ProbeTarget {
    ProbeTarget {
        key: TargetKey {
            endpoint: at.to_string().into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        },
        address: address(at).into(),
        check: Arc::clone(check),
        initial: Verdict::Unknown,
        degraded: 0,
        penalty: Penalty::default(),
    }
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let all: u64 = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| {
            std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default()
        })
        .map(|text| text.split(' ').next().unwrap_or("0").parse::<u64>().unwrap_or(0))
        .sum();
    drop(stat);
    Duration::from_nanos(all)
}

/// User time of this process, to a hundredth of a second.
fn user() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = behind_name.split_whitespace().nth(11).unwrap().parse().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Serves until it is killed; the first line says the port, the next the certificate.
fn backends(kind: &str, percent: u8) {
    rhumb::runtime::descriptors::raise_limit();
    rhumb::runtime::probe::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8192).unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let tls = (kind == "https").then(acceptor);
        serve(listener, tls, percent).await;
    });
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["shop.test".into()]).unwrap();
    println!("{}end", made.cert.pem());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    // As backends have it; the default remembers 256 sessions.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, percent: u8) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let tls = tls.clone();
        tokio::spawn(async move {
            let std::net::IpAddr::V4(local) = stream.local_addr().unwrap().ip() else { return };
            let mut stream = stream;
            if stalls(local, percent) {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                return;
            }
            match tls {
                None => answer(stream).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream).await;
                    }
                }
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = [0; 1024];
    if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
        let _ = stream.write_all(OK).await;
        let _ = stream.shutdown().await;
    }
}
