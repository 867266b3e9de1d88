//! What a client of an encrypted transport may take, and how a service ends.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "encrypted/clients.rs"]
#[allow(dead_code, reason = "these tests use no programs and no zone")]
mod clients;
mod live;
mod responder;
#[path = "encrypted/world.rs"]
#[allow(dead_code, reason = "these tests use no programs and no zone")]
mod world;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use clients::Doq;
use clients::Dot;
use clients::PATIENCE;
use clients::framed;
use clients::trusting;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use hyper::Request;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use live::wait_until;
use responder::OneRecord;
use rhumb::answer::Transport;
use rhumb::runtime::encrypted::EncryptedSockets;
use rhumb::runtime::tcp::TcpCounters;
use rhumb::runtime::tcp::TcpLimits;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::Authority;

/// Services with a responder that fails on demand.
struct Served {
    runtime: Runtime,
    authority: String,
    addresses: Vec<(Transport, SocketAddr)>,
    counters: Vec<(Transport, TcpCounters)>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn serve(limits: TcpLimits) -> Served {
    let authority = Authority::new();
    let folder = world::folder(&authority);
    let runtime = live::runtime();
    let settings = world::options(&folder).encrypted.unwrap();
    let sockets = EncryptedSockets::bind(&settings).unwrap();
    let addresses = sockets.local_addrs();
    let entered = runtime.enter();
    let server = sockets.serve(&OneRecord, limits).unwrap();
    drop(entered);
    let (counters, stop) = (server.counters(), CancellationToken::new());
    let task = runtime.spawn(server.run(stop.clone(), Arc::new(|_| {})));
    Served { runtime, authority: authority.pem(), addresses, counters, stop, task }
}

impl Served {
    fn at(&self, transport: Transport) -> SocketAddr {
        self.addresses.iter().find(|(other, _)| *other == transport).unwrap().1
    }

    fn totals(&self, transport: Transport) -> rhumb::runtime::tcp::TcpTotals {
        self.counters.iter().find(|(other, _)| *other == transport).unwrap().1.totals()
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(PATIENCE, work).await };
        self.runtime.block_on(bounded).expect("it ends in time")
    }

    fn dot(&self) -> Dot {
        let config = trusting(&self.authority, b"dot");
        self.run(Dot::connect(self.at(Transport::Tls), config)).unwrap()
    }

    /// TLS to DNS over HTTPS; no HTTP yet.
    fn https(&self) -> Dot {
        let config = trusting(&self.authority, b"h2");
        self.run(Dot::connect(self.at(Transport::Https), config)).unwrap()
    }

    fn doq(&self) -> Doq {
        let config = trusting(&self.authority, b"doq");
        self.run(Doq::connect(self.at(Transport::Quic), config))
    }
}

/// Waits for the server to end a connection.
async fn end(dot: &mut Dot) {
    // The word of parting, or a reset: no matter which.
    let _ = dot.0.read_to_end(&mut Vec::new()).await;
}

#[test]
fn beyond_the_cap_the_longest_idle_connection_goes() {
    // QUIC has clients prove their address from a quarter of the cap on: they do.
    let served = serve(TcpLimits { max_connections: 4, ..TcpLimits::default() });
    let asked = responder::query(0, "www");
    let mut first = served.dot();
    let mut others: Vec<_> = (0..3).map(|_| served.dot()).collect();
    for dot in [&mut first].into_iter().chain(&mut others) {
        served.run(dot.ask(&asked)).unwrap();
    }
    let mut fifth = served.dot();
    served.run(end(&mut first));
    served.run(fifth.ask(&asked)).unwrap();
    assert_eq!(served.totals(Transport::Tls).evicted, 1);

    let first = served.doq();
    let others: Vec<_> = (0..4).map(|_| served.doq()).collect();
    served.run(first.connection.closed());
    for doq in &others {
        served.run(doq.ask(&asked));
    }
    assert_eq!(served.totals(Transport::Quic).evicted, 1);

    let mut first = served.https();
    let _others: Vec<_> = (0..4).map(|_| served.https()).collect();
    served.run(end(&mut first));
    assert_eq!(served.totals(Transport::Https).evicted, 1);
}

#[test]
fn handshakes_and_idle_connections_end_in_time() {
    let (handshake, idle) = (Duration::from_millis(200), Duration::from_millis(400));
    let served = serve(TcpLimits { handshake, idle, ..TcpLimits::default() });
    let start = Instant::now();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let first = clients::first_datagram(&served.authority);
    silent.send_to(&first, served.at(Transport::Quic)).unwrap();
    for transport in [Transport::Tls, Transport::Https] {
        let mut stream = std::net::TcpStream::connect(served.at(transport)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(std::io::Read::read(&mut stream, &mut [0; 16]).unwrap(), 0, "{transport:?}");
    }
    for (transport, _) in &served.addresses {
        wait_until("the handshake has failed", || served.totals(*transport).handshake_failed == 1);
    }
    let (mut dot, mut https, doq) = (served.dot(), served.https(), served.doq());
    served.run(async {
        end(&mut dot).await;
        end(&mut https).await;
        doq.connection.closed().await;
    });
    assert!(start.elapsed() >= handshake + idle);
    for (transport, _) in &served.addresses {
        wait_until("nothing is open", || served.totals(*transport).open == 0);
    }
}

#[test]
fn a_panic_costs_its_query_alone() {
    let served = serve(TcpLimits::default());
    let asked = responder::query(0, "www");
    let panic = responder::query(0, responder::PANIC);
    let silent = responder::query(0, responder::SILENT);
    for bad in [&panic, &silent] {
        served.run(served.dot().ask(bad)).unwrap_err();
        served.run(served.dot().ask(&asked)).unwrap();
    }
    let doq = served.doq();
    for bad in [&panic, &silent] {
        assert_eq!(served.run(doq.exchange(&framed(bad))), None);
        served.run(doq.ask(&asked));
    }
    assert_eq!(served.totals(Transport::Tls).panics, 1);
    assert!(served.totals(Transport::Quic).panics >= 1);
}

#[test]
fn a_client_that_never_reads_ends_in_time_and_delays_nobody() {
    let write = Duration::from_millis(300);
    let served = serve(TcpLimits { write, ..TcpLimits::default() });
    let long = framed(&responder::query(0, responder::LONG)).repeat(256);
    let mut deaf = served.dot();
    served.run(async {
        // Until the server takes no more, for it cannot write.
        while let Ok(Ok(())) = tokio::time::timeout(write, deaf.0.write_all(&long)).await {}
    });
    let asked = responder::query(0, "www");
    served.run(served.dot().ask(&asked)).unwrap();
    wait_until("the deaf client is gone", || served.totals(Transport::Tls).write_timed_out == 1);
}

#[test]
fn a_stop_answers_what_is_under_way_and_frees_the_ports() {
    let served = serve(TcpLimits::default());
    let asked = responder::query(0, "www");
    let (mut dot, doq, _https) = (served.dot(), served.doq(), served.https());
    served.run(dot.ask(&asked)).unwrap();
    let reply = served.run(async {
        // Half a query is under way when the stop comes; its end comes after it.
        let (mut send, mut receive) = doq.connection.open_bi().await.unwrap();
        let octets = framed(&asked);
        send.write_all(&octets[..10]).await.unwrap();
        while served.totals(Transport::Quic).open == 0 {
            tokio::task::yield_now().await;
        }
        doq.ask(&asked).await;
        served.stop.cancel();
        send.write_all(&octets[10..]).await.unwrap();
        send.finish().unwrap();
        receive.read_to_end(1000).await.unwrap()
    });
    assert_eq!(world::read(&reply[2..]).answers.len(), 1);
    let Served { runtime, addresses, counters, task, .. } = served;
    let start = Instant::now();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await.unwrap() }).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for (transport, counters) in &counters {
        assert_eq!(counters.totals().open, 0, "{transport:?}");
    }
    drop((dot, doq, runtime));
    for (transport, address) in addresses {
        match transport {
            Transport::Quic => drop(std::net::UdpSocket::bind(address).unwrap()),
            _ => drop(std::net::TcpListener::bind(address).unwrap()),
        }
    }
}

/// A body whose octets come when the test says so.
type SlowBody = UnboundedReceiver<Vec<u8>>;

/// A query by POST; its body is what the sender sends until it is dropped.
fn post() -> (UnboundedSender<Vec<u8>>, Request<impl Body<Data = Bytes, Error = Infallible>>) {
    let (sender, receiver) = unbounded_channel();
    let frames = futures_util::stream::unfold(receiver, |mut receiver: SlowBody| async {
        let octets = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from(octets))), receiver))
    });
    let request = Request::post(format!("https://{}/dns-query", clients::NAME))
        .header("content-type", "application/dns-message");
    (sender, request.body(StreamBody::new(Box::pin(frames))).unwrap())
}

#[test]
fn a_stop_answers_requests_of_https_under_way_and_takes_no_further_one() {
    let served = serve(TcpLimits::default());
    let asked = responder::query(0, "www");
    let Dot(tls) = served.https();
    let reply = served.run(async {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(tls));
        let (mut client, connection) = handshake.await.unwrap();
        let connection = tokio::spawn(connection);
        // Half a query is under way when the stop comes; its end comes after it.
        let (half, request) = post();
        let response = client.send_request(request);
        half.send(asked[..10].to_vec()).unwrap();
        let whole = |client: &mut http2::SendRequest<_>| {
            let (sender, request) = post();
            sender.send(asked.clone()).unwrap();
            client.send_request(request)
        };
        assert_eq!(whole(&mut client).await.unwrap().status(), 200, "so the half one has come");
        served.stop.cancel();
        // The goodbye (GOAWAY) comes soon: then a further request is not taken.
        while client.ready().await.is_ok() && whole(&mut client).await.is_ok() {}
        half.send(asked[10..].to_vec()).unwrap();
        drop(half);
        let response = response.await.expect("what is under way is answered");
        assert_eq!(response.status(), 200);
        let reply = response.into_body().collect().await.unwrap().to_bytes();
        connection.await.unwrap().expect("the connection is closed, not broken");
        reply
    });
    assert_eq!(world::read(&reply).answers.len(), 1);
    let Served { runtime, counters, task, .. } = served;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await.unwrap() }).unwrap();
    assert!(counters.iter().all(|(_, counters)| counters.totals().open == 0));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let authority = Authority::new();
    let folder = world::folder(&authority);
    let settings = world::options(&folder).encrypted.unwrap();
    let first = EncryptedSockets::bind(&settings).unwrap();
    let doq = first.local_addrs().iter().find(|(at, _)| *at == Transport::Quic).unwrap().1;
    let again = rhumb::model::Encrypted { doq: vec![doq], ..settings };
    let error = EncryptedSockets::bind(&again).map(drop).unwrap_err().to_string();
    let expected = format!("address already in use: another server answers on {doq}");
    assert!(error.starts_with(&expected), "{error}");
}
