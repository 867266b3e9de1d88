//! What a query costs over each stream, and what stalled handshakes cost those who come after them.
//!
//! Guess: a record of TLS adds some 2 µs to TCP each way of a turn, shared by its queries; HTTP/2 10 µs for
//! frames and headers; QUIC 20 µs, as each datagram is a system call and a packet of its own.
//!
//! `cargo bench --bench encrypted -- [cost|stalls]`. CPU is user and system time of a `rhumb serve` of its own (10 ms ticks), over four connections with 16 queries
//! in flight each. The second part runs hickory-server's own QUIC listener beside ours.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "../tests/encrypted/clients.rs"]
#[allow(dead_code)]
mod clients;
#[path = "../tests/live/mod.rs"]
mod live;
#[path = "../tests/encrypted/world.rs"]
#[allow(dead_code)]
mod world;

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use clients::Doq;
use clients::Dot;
use clients::NAME;
use clients::framed;
use clients::trusting;
use hickory_proto::rr::RecordType;
use hickory_server::net::runtime::Time;
use hickory_server::server::Request;
use hickory_server::server::RequestHandler;
use hickory_server::server::ResponseHandler;
use hickory_server::server::ResponseInfo;
use hickory_server::zone_handler::MessageResponseBuilder;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rhumb::answer::Transport;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use world::Authority;
use world::World;
use world::query;

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 16;
const TURNS: usize = 1500;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let is_wanted = |part: &str| arguments.len() == 1 || arguments.iter().any(|one| one == part);
    if is_wanted("cost") {
        cost();
    }
    if is_wanted("stalls") {
        stalls();
    }
}

/// A server in a process of its own, on fixed ports of 127.0.0.77.
struct Served(Child);

impl Served {
    fn start(folder: &live::Folder) -> Self {
        let node = "[server]\nlisten = [\"127.0.0.77:15300\"]\n[server.tls]\n\
             certificate = \"tls/fullchain.pem\"\nkey = \"tls/privkey.pem\"\n\
             dot = [\"127.0.0.77:15301\"]\ndoh = [\"127.0.0.77:15302\"]\ndoq = [\"127.0.0.77:15303\"]\n\
             [admin]\nsocket = \"rhumb.sock\"\n";
        folder.write("rhumb.toml", node);
        let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
        command.arg("serve").arg("--config").arg(folder.path("rhumb.toml"));
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        live::wait_until("the server answers", || {
            std::net::TcpStream::connect("127.0.0.77:15301").is_ok()
        });
        Self(child)
    }

    /// Seconds of user and system time so far.
    fn cpu(&self) -> (f64, f64) {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap() / 100.0;
        (ticks(11), ticks(12))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cost() {
    let authority = Authority::new();
    let folder = world::folder(&authority);
    let served = Served::start(&folder);
    let runtime = live::runtime();
    let asked = query("static.shop.test.", RecordType::A, vec![]);
    println!("{:>10} {:>9} {:>9} {:>9}", "transport", "user µs", "system µs", "total µs");
    for _series in 0..3 {
        for transport in Transport::ALL.into_iter().skip(1) {
            let before = served.cpu();
            runtime.block_on(async {
                let connection = || drive(transport, authority.pem(), asked.clone());
                let all = (0..CONNECTIONS).map(|_| tokio::spawn(connection()));
                for one in all.collect::<Vec<_>>() {
                    one.await.unwrap();
                }
            });
            let after = served.cpu();
            let queries = (CONNECTIONS * IN_FLIGHT * TURNS) as f64;
            let [user, system] =
                [after.0 - before.0, after.1 - before.1].map(|cpu| cpu * 1e6 / queries);
            let name = transport.name();
            println!("{name:>10} {user:>9.1} {system:>9.1} {:>9.1}", user + system);
        }
    }
}

/// One connection's turns.
async fn drive(transport: Transport, authority: String, asked: Vec<u8>) {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 77], port));
    match transport {
        Transport::Udp => {}
        Transport::Tcp => {
            let stream = TcpStream::connect(at(15300)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            turns(stream, &asked).await;
        }
        Transport::Tls => {
            let dot = Dot::connect(at(15301), trusting(&authority, b"dot")).await.unwrap();
            turns(dot.0, &asked).await;
        }
        Transport::Https => https_turns(at(15302), &authority, asked).await,
        Transport::Quic => {
            let doq = Doq::connect(at(15303), trusting(&authority, b"doq")).await;
            for _ in 0..TURNS {
                futures_util::future::join_all((0..IN_FLIGHT).map(|_| doq.ask(&asked))).await;
            }
        }
    }
}

async fn turns(mut stream: impl AsyncRead + AsyncWrite + Unpin, asked: &[u8]) {
    let turn = framed(asked).repeat(IN_FLIGHT);
    let mut reply = Vec::new();
    for _ in 0..TURNS {
        stream.write_all(&turn).await.unwrap();
        stream.flush().await.unwrap();
        for _ in 0..IN_FLIGHT {
            let len = stream.read_u16().await.unwrap();
            reply.resize(usize::from(len), 0);
            stream.read_exact(&mut reply).await.unwrap();
        }
    }
}

async fn https_turns(server: SocketAddr, authority: &str, asked: Vec<u8>) {
    let stream = Dot::connect(server, trusting(authority, b"h2")).await.unwrap().0;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let asked = Bytes::from(asked);
    for _ in 0..TURNS {
        let one = || {
            let (mut sender, body) = (sender.clone(), Full::new(asked.clone()));
            async move {
                let request = hyper::Request::post(format!("https://{NAME}/dns-query"))
                    .header("content-type", "application/dns-message")
                    .body(body)
                    .unwrap();
                let reply = sender.send_request(request).await.unwrap();
                assert_eq!(reply.status(), 200);
                reply.into_body().collect().await.unwrap();
            }
        };
        futures_util::future::join_all((0..IN_FLIGHT).map(|_| one())).await;
    }
}

/// Answers everything with REFUSED, on hickory-server's own listener.
struct Refusing;

#[async_trait::async_trait]
impl RequestHandler for Refusing {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut handle: R,
    ) -> ResponseInfo {
        let code = hickory_proto::op::ResponseCode::Refused;
        let response = MessageResponseBuilder::from_message_request(request)
            .error_msg(&request.metadata, code);
        handle.send_response(response).await.unwrap()
    }
}

fn stalls() {
    let world = World::start();
    let pair = (world.folder.path("tls/fullchain.pem"), world.folder.path("tls/privkey.pem"));
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(pair.0).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(pair.1).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let certified = rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap();
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let mut hickory = hickory_server::Server::new(Refusing);
    let theirs = world.live.runtime.block_on(async {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        hickory.register_quic_listener(socket, Duration::from_secs(5), resolver).unwrap();
        address
    });
    let ours = world.at(Transport::Quic);
    for (who, server, stalled) in [
        ("ours", ours, 0),
        ("ours", ours, 20),
        ("hickory", theirs, 0),
        ("hickory", theirs, 1),
        ("hickory", theirs, 4),
    ] {
        let taken = time_beside(&world, server, stalled);
        println!("QUIC, {who:>7}, {stalled:>2} stalled handshakes: new client served in {taken:?}");
    }
}

/// How long a new client of QUIC takes from connecting to its reply, beside handshakes that never end.
fn time_beside(world: &World, server: SocketAddr, stalled: usize) -> Duration {
    let firsts = (0..stalled).map(|_| clients::first_datagram(&world.authority.pem()));
    let firsts: Vec<_> = firsts.collect();
    let sockets = firsts.iter().map(|datagram| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(datagram, server).unwrap();
        socket
    });
    let _sockets: Vec<_> = sockets.collect();
    let asked = query("static.shop.test.", RecordType::A, vec![]);
    let start = Instant::now();
    world.live.runtime.block_on(async {
        let doq = Doq::connect(server, trusting(&world.authority.pem(), b"doq")).await;
        doq.ask(&asked).await;
    });
    start.elapsed()
}
