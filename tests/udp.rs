//! The UDP engine over real sockets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod responder;

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use responder::OneRecord;
use rhumb::runtime::udp::BindError;
use rhumb::runtime::udp::UdpServer;
use rhumb::runtime::udp::UdpSockets;

/// Longest wait for a reply that must come.
const PATIENCE: Duration = Duration::from_secs(10);

fn serve(address: &str, workers: usize) -> (UdpServer, SocketAddr) {
    let sockets = UdpSockets::bind(&[address.parse().unwrap()], workers).unwrap();
    let server = sockets.start(OneRecord).unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

/// A client that takes replies from `server` only.
fn client(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn ask(client: &UdpSocket, id: u16) -> u8 {
    let query = responder::query(id, "www");
    client.send(&query).unwrap();
    let mut reply = [0; 4096];
    let len = client.recv(&mut reply).unwrap();
    responder::check(&query, &reply[..len])
}

/// Waits for the workers to have counted what they did; a batch is counted after it is sent.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

#[test]
fn answers_all_queries_of_many_sockets_on_all_workers() {
    let (server, address) = serve("127.0.0.1:0", 3);
    let clients: Vec<_> = (0..64).map(|_| client(address)).collect();
    for round in 0..20 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&responder::query(round * 64 + number as u16, "www")).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let mut reply = [0; 512];
            let len = client.recv(&mut reply).unwrap();
            let local = responder::check(
                &responder::query(round * 64 + number as u16, "www"),
                &reply[..len],
            );
            assert_eq!(local, 1, "a bound socket knows its address");
        }
    }
    let counters = server.counters();
    wait_until("all are counted", || counters.totals().sent == 64 * 20);
    assert_eq!(counters.totals().received, 64 * 20);
    assert!(counters.workers().all(|worker| worker.received > 0), "every worker has its share");
    server.stop();
}

#[test]
fn replies_come_from_the_address_the_query_went_to() {
    let (server, address) = serve("0.0.0.0:0", 2);
    for last in [2, 3, 77] {
        let queried = SocketAddr::from(([127, 0, 0, last], address.port()));
        for id in 0..8 {
            assert_eq!(ask(&client(queried), id), last);
        }
    }
    server.stop();
}

#[test]
fn serves_both_families_on_one_port_with_sockets_of_their_own() {
    let (server4, address) = serve("0.0.0.0:0", 2);
    let (server6, address6) = serve(&format!("[::]:{}", address.port()), 2);
    assert_eq!(ask(&client(SocketAddr::new("::1".parse().unwrap(), address6.port())), 7), 1);
    assert_eq!(ask(&client(SocketAddr::from(([127, 0, 0, 9], address.port()))), 7), 9);
    server4.stop();
    server6.stop();
}

#[test]
fn a_second_server_on_the_port_is_an_error() {
    for (first_workers, second_workers) in [(1, 1), (1, 2), (2, 1), (4, 4)] {
        let (server, address) = serve("127.0.0.1:0", first_workers);
        for taken in [address, SocketAddr::from(([0, 0, 0, 0], address.port()))] {
            let error = UdpSockets::bind(&[taken], second_workers).err().expect("it is taken");
            assert!(matches!(error, BindError::InUse { .. }), "{error}");
            let text = format!("address already in use: another server answers on {taken}; ");
            assert!(error.to_string().starts_with(&text), "{error}");
        }
        assert_eq!(ask(&client(address), 1), 1, "the first goes on");
        server.stop();
        let again = UdpSockets::bind(&[address], second_workers);
        assert!(again.is_ok(), "a stopped server frees its port");
    }
}

#[test]
fn of_servers_that_start_together_exactly_one_gets_the_port() {
    for _ in 0..50 {
        let free = UdpSockets::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap().local_addrs();
        let start = std::sync::Barrier::new(4);
        let bind = || {
            start.wait();
            UdpSockets::bind(&free, 4).ok()
        };
        let bound: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(bound.len(), 1);
    }
}

#[test]
fn our_own_addresses_may_not_overlap() {
    let addresses = ["0.0.0.0:4053".parse().unwrap(), "127.0.0.1:4053".parse().unwrap()];
    let error = UdpSockets::bind(&addresses, 1).err().expect("they overlap");
    let text = "127.0.0.1:4053 is already covered by 0.0.0.0:4053: list one of them";
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let error = UdpSockets::bind(&["198.51.100.1:0".parse().unwrap()], 1).err().expect("not ours");
    assert!(error.to_string().starts_with("cannot listen on 198.51.100.1:0: "), "{error}");
}

#[test]
fn idle_and_busy_workers_stop_at_once() {
    for workers in [1, 4] {
        let (server, address) = serve("127.0.0.1:0", workers);
        let client = client(address);
        ask(&client, 1);
        let before = Instant::now();
        server.stop();
        assert!(before.elapsed() < Duration::from_secs(2));
    }
    let (server, address) = serve("127.0.0.1:0", 2);
    let (counters, stopped) = (server.counters(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let client = client(address);
            while !stopped.load(Ordering::Relaxed) {
                // Refused once the server is gone.
                let _ = client.send(&responder::query(1, "www"));
            }
        });
        wait_until("it is busy", || counters.totals().received > 1000);
        let before = Instant::now();
        server.stop();
        stopped.store(true, Ordering::Relaxed);
        assert!(before.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn a_panic_costs_one_query_and_no_other() {
    let (server, address) = serve("127.0.0.1:0", 1);
    let client = client(address);
    for id in 0..200 {
        // The poisoned query and its neighbours mostly come in one batch.
        client.send(&responder::query(id, "before")).unwrap();
        client.send(&responder::query(id, responder::PANIC)).unwrap();
        client.send(&responder::query(id, "after")).unwrap();
        for label in ["before", "after"] {
            let mut reply = [0; 512];
            let len = client.recv(&mut reply).unwrap();
            responder::check(&responder::query(id, label), &reply[..len]);
        }
    }
    let counters = server.counters();
    wait_until("all are counted", || counters.totals().received == 600);
    let totals = counters.totals();
    assert_eq!((totals.sent, totals.dropped, totals.panics), (400, 200, 200));
    server.stop();
}

#[test]
fn silent_queries_do_not_hold_up_their_batch() {
    let (server, address) = serve("127.0.0.1:0", 1);
    let client = client(address);
    for id in 0..500 {
        let label = if id % 3 == 0 { "www" } else { responder::SILENT };
        client.send(&responder::query(id, label)).unwrap();
    }
    for id in (0..500).step_by(3) {
        let mut reply = [0; 512];
        let len = client.recv(&mut reply).unwrap();
        responder::check(&responder::query(id, "www"), &reply[..len]);
    }
    let counters = server.counters();
    wait_until("all are counted", || counters.totals().received == 500);
    assert_eq!(counters.totals().dropped, 333);
    server.stop();
}

#[test]
fn queries_longer_than_a_buffer_are_dropped_and_long_replies_fit() {
    let (server, address) = serve("127.0.0.1:0", 1);
    let client = client(address);
    client.send(&[0; 4097]).unwrap();
    client.send(&responder::query(1, responder::LONG)).unwrap();
    let mut reply = [0; 8192];
    assert_eq!(client.recv(&mut reply).unwrap(), 4000);
    // A frame without room for the record makes the responder panic, an empty query too.
    client.send(&[0; 4096]).unwrap();
    client.send(&[]).unwrap();
    ask(&client, 2);
    let counters = server.counters();
    wait_until("all are counted", || counters.totals().received == 5);
    let totals = counters.totals();
    assert_eq!((totals.truncated, totals.sent, totals.dropped), (1, 2, 2));
    server.stop();
}
