//! A real server, real backends that stop and start, a real client.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "probes/backend.rs"]
#[allow(dead_code, reason = "the probes' own tests use all of it")]
mod backend;
#[path = "probes/certificate.rs"]
#[allow(dead_code, reason = "the probes' own tests use all of it")]
mod certificate;
mod live;

use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use backend::Backend;
use backend::Reply;
use certificate::Authority;
use live::Folder;
use live::Live;
use live::ask;
use live::wait_until;

const EU: &str = "127.0.0.2";
const US: &str = "127.0.0.3";

/// Least time that a fallen endpoint stays down, in the zones of these tests.
const HOLD_DOWN: Duration = Duration::from_secs(1);

fn zone(check: &str, port: u16) -> String {
    format!(
        r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]

[check.alive]
{check}
port = {port}
interval = "200ms"
timeout = "200ms"
fall = 3
rise = 2
hold_down = "1s"

[pool.eu]
check = "alive"
endpoint.a.addresses = ["{EU}"]

[pool.us]
check = "alive"
endpoint.a.addresses = ["{US}"]

[policy.home]
kind = "failover"
targets = ["eu", "us"]

[name.www]
steer = "home"
"#
    )
}

/// Two backends on one port, each at an address of its own.
struct Backends {
    port: u16,
    tls: Option<TlsAcceptor>,
    eu: Option<Backend>,
    us: Option<Backend>,
}

impl Backends {
    fn start(live: &tokio::runtime::Runtime, tls: Option<TlsAcceptor>) -> Self {
        live.block_on(async {
            // A port that is free at both addresses.
            let port = loop {
                let eu = TcpListener::bind((EU, 0)).await.unwrap();
                let port = eu.local_addr().unwrap().port();
                if TcpListener::bind((US, port)).await.is_ok() {
                    break port;
                }
            };
            let [eu, us] = [EU, US].map(|address| format!("{address}:{port}").parse().unwrap());
            let eu = Some(Backend::listen(eu, tls.clone(), healthy()).await);
            let us = Some(Backend::listen(us, tls.clone(), healthy()).await);
            Self { port, tls, eu, us }
        })
    }

    /// Stops the first choice; nothing listens there any more when it returns.
    fn stop_eu(&mut self) {
        let address = self.eu.take().unwrap().address;
        wait_until("the port is closed", || TcpStream::connect(address).is_err());
    }

    fn start_eu(&mut self, live: &tokio::runtime::Runtime) {
        let address: SocketAddr = format!("{EU}:{}", self.port).parse().unwrap();
        self.eu = Some(live.block_on(Backend::listen(address, self.tls.clone(), healthy())));
    }
}

fn healthy() -> Reply {
    Reply::Full("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into())
}

/// Starts all, stops and restarts the first choice, and sees answers follow.
fn answers_follow(check: &str, tls: Option<TlsAcceptor>, files: &[(&str, &str)]) {
    let folder = Folder::new();
    let backend_runtime = live::runtime();
    let mut backends = Backends::start(&backend_runtime, tls);
    files.iter().for_each(|(name, text)| folder.write(name, text));
    folder.write("zones/shop.toml", zone(check, backends.port));
    let live = Live::start(&folder.options());
    let serves = |address: &str| {
        let answer = ask(live.address(), "www.shop.test.");
        assert_eq!((answer.rcode.as_str(), answer.addresses.len()), ("No Error", 1));
        answer.addresses[0].to_string() == address
    };
    for endpoint in ["eu/a", "us/a"] {
        wait_until("both are up", || {
            let (verdict, reason) = live.verdict(endpoint);
            verdict == "up" && reason.starts_with("passed in ")
        });
    }
    wait_until("the first choice is served", || serves(EU));

    backends.stop_eu();
    wait_until("answers move", || serves(US));
    let (verdict, reason) = live.verdict("eu/a");
    assert_eq!((verdict.as_str(), &*reason), ("down", "connect refused (3 in a row)"));
    assert_eq!(live.verdict("us/a").0, "up");

    backends.start_eu(&backend_runtime);
    wait_until("answers come back", || serves(EU));
    // The only member of its pool that passes is served while it is held.
    wait_until("it is up", || live.verdict("eu/a").0 == "up");
    let (_, reason) = live.verdict("eu/a");
    let row: u32 =
        reason.rsplit_once('(').unwrap().1.trim_end_matches(" in a row)").parse().unwrap();
    assert!(row >= 2, "{reason}");
    assert!(live.metric("rhumb_verdict_changes_total").unwrap() >= 4.0);

    // With nobody left, all that the operator enabled is served, for half as long.
    backends.stop_eu();
    let us = backends.us.take().unwrap().address;
    drop(backends);
    wait_until("the port is closed", || TcpStream::connect(us).is_err());
    wait_until("both are down", || {
        ["eu/a", "us/a"].iter().all(|endpoint| live.verdict(endpoint).0 == "down")
    });
    wait_until("the reply is from the last snapshot", || {
        ask(live.address(), "www.shop.test.").ttls == [15]
    });
    assert!(serves(EU), "the first choice, as it was");
    live.stop();
}

#[test]
fn a_member_comes_back_after_its_hold_down_and_not_before() {
    let folder = Folder::new();
    let backend_runtime = live::runtime();
    let mut backends = Backends::start(&backend_runtime, None);
    let both = zone("kind = \"tcp\"", backends.port).replace(
        &format!("endpoint.a.addresses = [\"{EU}\"]"),
        &format!("endpoint.a.addresses = [\"{EU}\"]\nendpoint.b.addresses = [\"{US}\"]"),
    );
    let all = both.replace("steer = \"home\"", "steer = \"eu\"\nanswers = \"all\"");
    folder.write("zones/shop.toml", all);
    let live = Live::start(&folder.options());
    let served = || ask(live.address(), "www.shop.test.").addresses.len();
    wait_until("both are up", || {
        ["eu/a", "eu/b"].iter().all(|endpoint| live.verdict(endpoint).0 == "up")
    });
    assert_eq!(served(), 2);
    let stopped = Instant::now();
    backends.stop_eu();
    wait_until("one is left", || served() == 1);
    backends.start_eu(&backend_runtime);
    wait_until("both are served", || served() == 2);
    assert!(stopped.elapsed() >= HOLD_DOWN, "hold-down is waited for");
    assert_eq!(live.verdict("eu/a").0, "up");
    live.stop();
}

#[test]
fn answers_follow_an_http_check() {
    answers_follow("kind = \"http\"\npath = \"/health\"\nbody = \"ok\"", None, &[]);
}

#[test]
fn answers_follow_a_tcp_check() {
    answers_follow("kind = \"tcp\"", None, &[]);
}

#[test]
fn answers_follow_an_https_check_whose_authority_is_a_file_beside_the_zone() {
    let authority = Authority::new();
    let tls = authority.acceptor("backend.shop.test", 2099);
    let check = "kind = \"https\"\nserver_name = \"backend.shop.test\"\nca = \"ca.pem\"";
    answers_follow(check, Some(tls), &[("zones/ca.pem", &authority.pem())]);
}

#[test]
fn a_backend_with_a_certificate_of_another_authority_is_down() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = Folder::new();
    let runtime = live::runtime();
    let tls = stranger.acceptor("backend.shop.test", 2099);
    let backends = Backends::start(&runtime, Some(tls));
    folder.write("zones/ca.pem", &*authority.pem());
    let check = "kind = \"https\"\nserver_name = \"backend.shop.test\"\nca = \"ca.pem\"";
    folder.write("zones/shop.toml", zone(check, backends.port));
    let live = Live::start(&folder.options());
    wait_until("it is down", || live.verdict("eu/a").0 == "down");
    let (_, reason) = live.verdict("eu/a");
    assert!(reason.contains("certificate"), "{reason}");

    // The right authority is put in place: a changed file beside the zone is a change.
    folder.write("zones/ca.pem", &*stranger.pem());
    live.reload();
    wait_until("it is up", || live.verdict("eu/a").0 == "up");
    live.stop();
}
