//! The TCP engine over real sockets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod responder;

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use responder::OneRecord;
use rhumb::runtime::tcp::TcpCounters;
use rhumb::runtime::tcp::TcpLimits;
use rhumb::runtime::tcp::TcpSockets;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

struct Served {
    runtime: Runtime,
    address: SocketAddr,
    counters: TcpCounters,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn serve_on(address: &str, limits: TcpLimits) -> Served {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sockets = TcpSockets::bind(&[address.parse().unwrap()]).unwrap();
    let address = sockets.local_addrs()[0];
    let entered = runtime.enter();
    let server = sockets.serve(OneRecord, limits).unwrap();
    drop(entered);
    let (counters, stop) = (server.counters(), CancellationToken::new());
    let task = runtime.spawn(server.run(stop.clone(), |_| {}));
    Served { runtime, address, counters, stop, task }
}

fn serve(limits: TcpLimits) -> Served {
    serve_on("127.0.0.1:0", limits)
}

impl Served {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn stop(self) -> TcpCounters {
        self.stop.cancel();
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.task).await.unwrap() })
            .unwrap();
        assert_eq!(self.counters.totals().open, 0);
        self.counters
    }
}

fn framed(query: &[u8]) -> Vec<u8> {
    let length = u16::try_from(query.len()).unwrap();
    [&length.to_be_bytes(), query].concat()
}

fn read_reply(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

fn ask(stream: &mut TcpStream, id: u16) -> u8 {
    let query = responder::query(id, "www");
    stream.write_all(&framed(&query)).unwrap();
    responder::check(&query, &read_reply(stream))
}

/// Waits for the server to close; a reset is as good.
fn assert_closed(stream: &mut TcpStream) {
    match stream.read(&mut [0; 16]) {
        Ok(octets) => assert_eq!(octets, 0, "nothing more is sent"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_thousand_pipelined_queries_are_answered_in_order() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    let queries: Vec<_> = (0..1000).map(|id| responder::query(id, "www")).collect();
    stream.write_all(&queries.iter().flat_map(|query| framed(query)).collect::<Vec<_>>()).unwrap();
    for query in &queries {
        assert_eq!(responder::check(query, &read_reply(&mut stream)), 1);
    }
    // A client that has said all it wants still gets its replies.
    stream.write_all(&framed(&queries[7])).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    responder::check(&queries[7], &read_reply(&mut stream));
    assert_closed(&mut stream);
    let totals = served.stop().totals();
    assert_eq!((totals.received, totals.replies, totals.accepted), (1001, 1001, 1));
}

#[test]
fn octets_may_come_one_by_one() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    for id in 0..3 {
        let query = responder::query(id, "www");
        for octet in framed(&query) {
            stream.write_all(&[octet]).unwrap();
        }
        responder::check(&query, &read_reply(&mut stream));
    }
    served.stop();
}

#[test]
fn queries_may_be_split_anywhere() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    let queries: Vec<_> = (0..3).map(|id| responder::query(id, "www")).collect();
    let octets: Vec<u8> = queries.iter().flat_map(|query| framed(query)).collect();
    for split in 1..octets.len() {
        stream.write_all(&octets[..split]).unwrap();
        // What is complete is answered before the rest is there: the two parts are read apart.
        let complete = split / framed(&queries[0]).len();
        for query in &queries[..complete] {
            responder::check(query, &read_reply(&mut stream));
        }
        stream.write_all(&octets[split..]).unwrap();
        for query in &queries[complete..] {
            responder::check(query, &read_reply(&mut stream));
        }
    }
    assert_eq!(served.stop().totals().malformed, 0);
}

#[test]
fn a_client_that_has_said_all_gets_every_answer() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    // 200 replies of 4,000 octets are more than socket buffers and one turn hold.
    let queries: Vec<u8> =
        (0..200).flat_map(|id| framed(&responder::query(id, responder::LONG))).collect();
    stream.write_all(&queries).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for id in 0..200_u16 {
        assert_eq!(read_reply(&mut stream)[..2], id.to_be_bytes());
    }
    assert_closed(&mut stream);
    assert_eq!(served.stop().totals().replies, 200);
}

#[test]
fn a_turn_is_bounded_and_all_queries_are_answered_all_the_same() {
    let served = serve(TcpLimits { max_pipelined: 3, ..TcpLimits::default() });
    let mut stream = served.connect();
    let queries: Vec<_> = (0..100).map(|id| responder::query(id, "www")).collect();
    stream.write_all(&queries.iter().flat_map(|query| framed(query)).collect::<Vec<_>>()).unwrap();
    for query in &queries {
        responder::check(query, &read_reply(&mut stream));
    }
    served.stop();
}

#[test]
fn a_client_with_too_many_connections_loses_its_own_oldest() {
    let served = serve(TcpLimits { max_per_client: 2, ..TcpLimits::default() });
    let connect_from = |source: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let source: SocketAddr = format!("{source}:0").parse().unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect(&served.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut other = connect_from("127.0.0.7");
    ask(&mut other, 1);
    let mut greedy: Vec<_> = (0..2).map(|_| connect_from("127.0.0.8")).collect();
    greedy.iter_mut().for_each(|stream| assert_eq!(ask(stream, 2), 1));
    greedy.push(connect_from("127.0.0.8"));
    ask(&mut greedy[2], 3);
    assert_closed(&mut greedy[0]);
    ask(&mut greedy[1], 4);
    ask(&mut other, 5);
    assert_eq!(served.counters.totals().evicted, 1);
    served.stop();
}

#[test]
fn connections_reset_before_they_are_served_harm_nobody() {
    let served = serve(TcpLimits::default());
    for _ in 0..200 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.connect(&served.address.into()).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(socket);
    }
    ask(&mut served.connect(), 1);
    wait_until("the dead ones are gone", || served.counters.totals().open <= 1);
    served.stop();
}

#[test]
fn the_longest_query_and_long_replies_pass() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    for padding in [65_000, 65_519] {
        let mut query = responder::query(1, "www");
        query.resize(padding, 0);
        stream.write_all(&framed(&query)).unwrap();
        responder::check(&query, &read_reply(&mut stream));
    }
    // 200 replies of 4,000 octets do not fit one turn's buffer.
    for id in 0..200 {
        stream.write_all(&framed(&responder::query(id, responder::LONG))).unwrap();
    }
    for id in 0..200_u16 {
        let reply = read_reply(&mut stream);
        assert_eq!((reply.len(), &reply[..2]), (4000, &id.to_be_bytes()[..]));
    }
    served.stop();
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let idle = Duration::from_millis(200);
    let served = serve(TcpLimits { idle, ..TcpLimits::default() });
    let start = Instant::now();
    let (mut silent, mut partial, mut busy) =
        (served.connect(), served.connect(), served.connect());
    partial.write_all(&[0xff, 0xff]).unwrap();
    let mut id = 0;
    while start.elapsed() < 3 * idle {
        ask(&mut busy, id);
        id = id.wrapping_add(1);
        // Octets of a query that is not complete do not count as use.
        let _ = partial.write_all(&[0]);
    }
    assert_closed(&mut silent);
    assert_closed(&mut partial);
    assert!(served.counters.totals().timed_out == 2);
    served.stop();
}

#[test]
fn beyond_the_cap_the_longest_idle_connection_goes() {
    let served = serve(TcpLimits { max_connections: 3, ..TcpLimits::default() });
    let (mut first, mut second, mut third) = (served.connect(), served.connect(), served.connect());
    for stream in [&mut second, &mut third, &mut first] {
        ask(stream, 1);
    }
    let mut fourth = served.connect();
    ask(&mut fourth, 2);
    assert_closed(&mut second);
    for stream in [&mut first, &mut third, &mut fourth] {
        ask(stream, 3);
    }
    assert_eq!(served.counters.totals().evicted, 1);
    served.stop();
}

#[test]
fn three_hundred_half_sent_queries_do_not_keep_a_new_client_waiting() {
    let served = serve(TcpLimits::default());
    let half_sent: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(&[0, 40, 1]).unwrap();
            stream
        })
        .collect();
    wait_until("all are accepted", || served.counters.totals().open == 300);
    let start = Instant::now();
    ask(&mut served.connect(), 1);
    println!("a new client beside 300 half-sent queries: {:?}", start.elapsed());
    assert!(served.counters.totals().open >= 300, "all of them are still there");
    drop(half_sent);
    served.stop();
}

#[test]
fn half_sent_queries_beyond_the_cap_make_room() {
    let served = serve(TcpLimits { max_connections: 100, ..TcpLimits::default() });
    let half_sent: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(&[0, 40, 1]).unwrap();
            stream
        })
        .collect();
    ask(&mut served.connect(), 1);
    wait_until("the oldest are closed", || served.counters.totals().evicted >= 201);
    drop(half_sent);
    served.stop();
}

#[test]
fn a_client_that_never_reads_is_closed_and_delays_nobody() {
    let limits = TcpLimits { write: Duration::from_millis(200), ..TcpLimits::default() };
    let served = serve(limits);
    let mut deaf = served.connect();
    let query = framed(&responder::query(1, responder::LONG));
    let deaf = thread::spawn(move || {
        let start = Instant::now();
        while deaf.write_all(&query).is_ok() {
            assert!(start.elapsed() < PATIENCE, "it is never closed");
        }
    });
    let mut other = served.connect();
    while !deaf.is_finished() {
        ask(&mut other, 1);
    }
    deaf.join().unwrap();
    assert_eq!(served.counters.totals().write_timed_out, 1);
    served.stop();
}

#[test]
fn a_length_of_zero_closes_after_the_replies_before_it() {
    let served = serve(TcpLimits::default());
    let mut stream = served.connect();
    let query = responder::query(1, "www");
    stream.write_all(&[framed(&query), vec![0, 0]].concat()).unwrap();
    responder::check(&query, &read_reply(&mut stream));
    assert_closed(&mut stream);
    assert_eq!(served.stop().totals().malformed, 1);
}

#[test]
fn a_query_without_reply_or_with_a_panic_closes_its_connection_only() {
    let served = serve(TcpLimits::default());
    let mut other = served.connect();
    for label in [responder::SILENT, responder::PANIC] {
        let mut stream = served.connect();
        ask(&mut stream, 1);
        stream.write_all(&framed(&responder::query(2, label))).unwrap();
        assert_closed(&mut stream);
        ask(&mut other, 3);
    }
    let totals = served.stop().totals();
    assert_eq!((totals.dropped, totals.panics, totals.replies, totals.received), (2, 1, 4, 6));
}

#[test]
fn a_stop_closes_idle_connections_and_frees_the_port() {
    let served = serve(TcpLimits::default());
    let (mut idle, mut used, address) = (served.connect(), served.connect(), served.address);
    ask(&mut used, 1);
    wait_until("both are accepted", || served.counters.totals().open == 2);
    let start = Instant::now();
    served.stop();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_closed(&mut idle);
    assert_closed(&mut used);
    assert!(TcpSockets::bind(&[address]).is_ok());
}

#[test]
fn a_second_server_on_the_port_is_an_error() {
    let served = serve(TcpLimits::default());
    let error = TcpSockets::bind(&[served.address]).err().expect("it is taken");
    let text = format!("address already in use: another server answers on {}; ", served.address);
    assert!(error.to_string().starts_with(&text), "{error}");
    served.stop();
}

#[test]
fn both_families_have_a_socket_of_their_own_and_know_the_local_address() {
    let served4 = serve_on("0.0.0.0:0", TcpLimits::default());
    let port = served4.address.port();
    let served6 = serve_on(&format!("[::]:{port}"), TcpLimits::default());
    let mut client4 = TcpStream::connect(("127.0.0.5", port)).unwrap();
    let mut client6 = TcpStream::connect(("::1", port)).unwrap();
    assert_eq!(ask(&mut client4, 1), 5);
    assert_eq!(ask(&mut client6, 1), 1);
    served4.stop();
    served6.stop();
}
