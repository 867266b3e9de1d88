//! DNS over TLS, HTTPS and QUIC as their clients see them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "encrypted/clients.rs"]
#[allow(dead_code, reason = "only some tests begin a handshake and leave it")]
mod clients;
mod live;
#[path = "encrypted/world.rs"]
mod world;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use clients::Doq;
use clients::Dot;
use clients::NAME;
use clients::PATIENCE;
use clients::curl;
use clients::framed;
use clients::kdig;
use clients::trusting;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_server::net::client::Client;
use hickory_server::net::client::ClientHandle;
use hickory_server::net::quic::QuicClientStream;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::net::tls::tls_client_connect;
use live::wait_until;
use rhumb::answer::Transport;
use rhumb::wire::options;
use rustls::pki_types::ServerName;
use world::World;
use world::query;
use world::read;

/// Headers of a query by POST.
const POST: [&str; 4] = ["-H", "content-type: application/dns-message", "--data-binary", "@-"];

const STATIC: &str = "static.shop.test.";

fn subnet(octets: [u8; 3]) -> EdnsOption {
    EdnsOption::Unknown(8, [&[0, 1, 24, 0], &octets[..]].concat())
}

impl World {
    fn dot(&self) -> Dot {
        let config = trusting(&self.authority.pem(), b"dot");
        self.run(Dot::connect(self.at(Transport::Tls), config)).unwrap()
    }

    fn doq(&self) -> Doq {
        let config = trusting(&self.authority.pem(), b"doq");
        self.run(Doq::connect(self.at(Transport::Quic), config))
    }

    /// Asks every encrypted transport once; those whose client is not there are left out.
    fn ask_all(&self, query: &[u8]) -> Vec<(Transport, Vec<u8>)> {
        let mut replies = vec![
            (Transport::Tls, self.run(self.dot().ask(query)).unwrap()),
            (Transport::Quic, self.run(self.doq().ask(query))),
        ];
        replies.extend(self.post(query).map(|reply| (Transport::Https, reply)));
        replies
    }

    fn post(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (status, head, body) =
            curl(self.at(Transport::Https), &self.authority_file(), "/dns-query", &POST, query)?;
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("content-type: application/dns-message"), "{head}");
        Some(body)
    }

    /// Every transport still answers a new client.
    fn assert_serves(&self) {
        for (transport, reply) in self.ask_all(&query(STATIC, RecordType::A, vec![])) {
            assert_eq!(read(&reply).answers.len(), 1, "{transport:?}");
        }
    }
}

#[test]
fn kdig_is_answered_over_tls_https_and_quic() {
    let world = World::start();
    let authority = world.authority_file();
    let ask = |transport, arguments: &[&str]| {
        let Some(text) = kdig(world.at(transport), &authority, arguments) else { return };
        assert!(text.contains("192.0.2.1") && text.contains("NOERROR"), "{arguments:?}: {text}");
    };
    ask(Transport::Tls, &["+tls", STATIC]);
    ask(Transport::Tls, &["+tls", "+keepopen", STATIC, STATIC]);
    if clients::kdig_has_quic() {
        ask(Transport::Quic, &["+quic", STATIC]);
    }
    ask(Transport::Https, &["+https", STATIC]);
    ask(Transport::Https, &["+https", "+https-get", STATIC]);
    world.live.stop();
}

#[test]
fn hickory_clients_are_answered_over_tls_and_quic() {
    let world = World::start();
    let name = Name::from_ascii(STATIC).unwrap();
    world.run(async {
        let config = Arc::new(trusting(&world.authority.pem(), b"dot"));
        let server = ServerName::try_from(NAME).unwrap();
        let provider = TokioRuntimeProvider::new();
        let (stream, handle) =
            tls_client_connect(world.at(Transport::Tls), server, config, provider);
        let (mut client, work) = Client::<TokioRuntimeProvider>::new(stream.await.unwrap(), handle);
        tokio::spawn(work);
        let reply = client.query(name.clone(), DNSClass::IN, RecordType::A).await.unwrap();
        assert_eq!(reply.answers.len(), 1);
        let config = trusting(&world.authority.pem(), b"doq");
        let stream = QuicClientStream::builder().crypto_config(config);
        let stream = stream.build(world.at(Transport::Quic), NAME.into()).await.unwrap();
        let (mut client, work) = Client::<TokioRuntimeProvider>::from_sender(stream);
        tokio::spawn(work);
        for _ in 0..3 {
            let reply = client.query(name.clone(), DNSClass::IN, RecordType::A).await.unwrap();
            assert_eq!(reply.answers.len(), 1);
        }
    });
    world.live.stop();
}

#[test]
fn curl_is_answered_by_post_and_by_get() {
    let world = World::start();
    let asked = query(STATIC, RecordType::A, vec![]);
    let Some(posted) = world.post(&asked) else { return };
    let text = data_encoding::BASE64URL_NOPAD.encode(&asked);
    let path = format!("/dns-query?dns={text}");
    let got = curl(world.at(Transport::Https), &world.authority_file(), &path, &[], &[]);
    let (status, head, got) = got.unwrap();
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("cache-control: private, max-age=3600"), "{head}");
    assert_eq!(got, posted);
    assert_eq!(read(&got).answers.len(), 1);
    world.live.stop();
}

#[test]
fn every_transport_gives_a_client_subnet_the_answer_that_udp_gives() {
    let world = World::start();
    let mut answers = std::collections::BTreeSet::new();
    for last in [1, 7, 99] {
        let asked = query("wWw.ShoP.test.", RecordType::A, vec![subnet([203, 0, last])]);
        let by_udp = world.ask_by_udp(&asked);
        answers.insert(read(&by_udp).answers[0].data.to_string());
        for (transport, reply) in world.ask_all(&asked) {
            let (one, other) = (read(&by_udp), read(&reply));
            assert_eq!(one, other, "{transport:?}");
            assert!(options::has_option(&reply, 8), "{transport:?}: the subnet is echoed");
            assert_eq!(reply[12..31], asked[12..31], "{transport:?}: the question as it was sent");
        }
    }
    assert!(answers.len() > 1, "subnets choose differently: {answers:?}");
    world.live.stop();
}

#[test]
fn large_answers_are_whole_on_every_transport() {
    let world = World::start();
    let asked = query("long.shop.test.", RecordType::TXT, vec![]);
    assert!(read(&world.ask_by_udp(&asked)).metadata.truncation);
    for (transport, reply) in world.ask_all(&asked) {
        let reply = read(&reply);
        assert!(!reply.metadata.truncation, "{transport:?}");
        assert_eq!(reply.answers.len(), 40, "{transport:?}");
        assert!(reply.edns.is_some(), "{transport:?}");
    }
    world.live.stop();
}

#[test]
fn replies_are_padded_when_queries_are_and_not_otherwise() {
    let world = World::start();
    let padding = EdnsOption::Unknown(options::PADDING, vec![0; 40]);
    for (name, rtype) in [(STATIC, RecordType::A), ("long.shop.test.", RecordType::TXT)] {
        let plain = world.ask_all(&query(name, rtype, vec![]));
        let padded = world.ask_all(&query(name, rtype, vec![padding.clone()]));
        for ((transport, plain), (_, padded)) in plain.iter().zip(&padded) {
            assert!(!options::has_option(plain, options::PADDING), "{transport:?}");
            assert_eq!(padded.len() % 468, 0, "{transport:?}");
            assert_eq!(read(plain).answers, read(padded).answers, "{transport:?}");
        }
    }
    world.live.stop();
}

#[test]
fn queries_that_hickory_cannot_read_get_our_reply() {
    let world = World::start();
    // A subnet of family 0 with a source of 0 is an opt-out to us and malformed to hickory.
    let asked = query(STATIC, RecordType::A, vec![EdnsOption::Unknown(8, vec![0, 0, 0, 0])]);
    let by_udp = world.ask_by_udp(&asked);
    for (transport, reply) in world.ask_all(&asked) {
        assert_eq!(reply, by_udp, "{transport:?}");
    }
    world.live.stop();
}

#[test]
fn https_refuses_what_is_no_query() {
    let world = World::start();
    let asked = query(STATIC, RecordType::A, vec![]);
    let large = vec![0; 65_536];
    let cases: [(u16, &str, &[&str], &[u8]); 9] = [
        (404, "/", &POST, &asked),
        (404, "/dns-query/", &POST, &asked),
        (415, "/dns-query", &["-H", "content-type: text/plain", "--data-binary", "@-"], &asked),
        (405, "/dns-query", &["-X", "PUT", "-H", "content-type: application/dns-message"], &[]),
        (413, "/dns-query", &POST, &large),
        (400, "/dns-query", &POST, b"short"),
        (400, "/dns-query", &[], &[]),
        (400, "/dns-query?dns=AAA=", &[], &[]),
        (400, "/dns-query?dns=AAAA%21", &[], &[]),
    ];
    for (status, path, arguments, body) in cases {
        let https = world.at(Transport::Https);
        let Some((found, head, _)) = curl(https, &world.authority_file(), path, arguments, body)
        else {
            return;
        };
        assert_eq!(found, status, "{path} {arguments:?}: {head}");
    }
    // Without a length the body is read only as far as it may go.
    let chunked = [&POST[..], &["-H", "content-length:"]].concat();
    let https = world.at(Transport::Https);
    let found = curl(https, &world.authority_file(), "/dns-query", &chunked, &large);
    assert_eq!(found.unwrap().0, 413);
    world.assert_serves();
    world.live.stop();
}

#[test]
fn garbage_harms_nobody() {
    let world = World::start();
    for transport in [Transport::Tls, Transport::Https] {
        for garbage in [&[0u8; 300][..], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 0xff, 0xff]] {
            let mut stream = TcpStream::connect(world.at(transport)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(garbage).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            // An alert, a reset or nothing: but an end.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for garbage in [&[0u8; 1200][..], &[0xff; 1200], b"x", &[0xc0; 60]] {
        socket.send_to(garbage, world.at(Transport::Quic)).unwrap();
    }
    world.run(async {
        // A length of 0 closes a stream of DNS over TLS; so does a query that deserves no reply.
        for octets in [&[0u8, 0][..], &framed(&[0x80; 12])] {
            let config = trusting(&world.authority.pem(), b"dot");
            let mut dot = Dot::connect(world.at(Transport::Tls), config).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut dot.0, octets).await.unwrap();
            let mut rest = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut dot.0, &mut rest).await.unwrap();
            assert!(rest.is_empty());
        }
        // HTTP/2 is not what was agreed on.
        let config = trusting(&world.authority.pem(), b"h2");
        let mut https = Dot::connect(world.at(Transport::Https), config).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut https.0, &[0x55; 500]).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut https.0, &mut Vec::new()).await;
    });
    world.assert_serves();
    world.live.stop();
}

#[test]
fn a_breach_of_quic_rules_ends_the_connection_with_their_error() {
    let world = World::start();
    let good = query(STATIC, RecordType::A, vec![]);
    let mut with_id = good.clone();
    with_id[1] = 1;
    let keepalive = EdnsOption::Unknown(options::TCP_KEEPALIVE, vec![]);
    let breaches = [
        framed(&with_id),
        framed(&query(STATIC, RecordType::A, vec![keepalive])),
        [framed(&good), vec![0]].concat(),
        framed(&good)[..20].to_vec(),
        vec![0],
        vec![0; 65_538],
    ];
    for octets in breaches {
        let doq = world.doq();
        let end = world.run(async {
            assert_eq!(doq.exchange(&octets).await, None);
            doq.connection.closed().await
        });
        match end {
            quinn::ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code, quinn::VarInt::from_u32(2));
            }
            other => panic!("{other}"),
        }
    }
    world.assert_serves();
    world.live.stop();
}

#[test]
fn a_hundred_queries_of_one_quic_connection_are_answered_in_any_order() {
    let world = World::start();
    let doq = world.doq();
    let asked = query(STATIC, RecordType::A, vec![]);
    world.run(async {
        // A stream that is never finished holds up no other.
        let (mut slow, _receive) = doq.connection.open_bi().await.unwrap();
        slow.write_all(&framed(&asked)[..5]).await.unwrap();
        let all = (0..300).map(|_| doq.ask(&asked));
        for reply in futures_util::future::join_all(all).await {
            assert_eq!(read(&reply).answers.len(), 1);
        }
    });
    world.live.stop();
}

#[test]
fn twenty_stalled_handshakes_do_not_delay_a_new_client() {
    let world = World::start();
    // Half a handshake: the record says 512 octets, 40 come.
    let half: Vec<u8> = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 34]].concat();
    let mut stalled = Vec::new();
    for transport in [Transport::Tls, Transport::Https] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(world.at(transport)).unwrap();
            stream.write_all(&half).unwrap();
            stalled.push(stream);
        }
    }
    // Clients of QUIC that say their first word and nothing more.
    let firsts: Vec<_> = (0..20).map(|_| clients::first_datagram(&world.authority.pem())).collect();
    let silent: Vec<_> = firsts
        .iter()
        .map(|datagram| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(datagram, world.at(Transport::Quic)).unwrap();
            socket
        })
        .collect();
    wait_until("QUIC handshakes have begun", || {
        world.live.metric("rhumb_encrypted_accepted_total{transport=\"doq\"}") >= Some(20.0)
    });
    let asked = query(STATIC, RecordType::A, vec![]);
    for transport in [Transport::Tls, Transport::Https, Transport::Quic] {
        let start = Instant::now();
        match transport {
            Transport::Tls => drop(world.run(world.dot().ask(&asked)).unwrap()),
            Transport::Https => drop(world.post(&asked)),
            _ => drop(world.run(world.doq().ask(&asked))),
        }
        let taken = start.elapsed();
        eprintln!("{transport:?}: {taken:?} beside stalled handshakes");
        assert!(taken < Duration::from_secs(1), "{transport:?}: {taken:?}");
    }
    drop((silent, stalled));
    world.live.stop();
}

#[test]
fn metrics_count_by_transport() {
    let world = World::start();
    world.assert_serves();
    for transport in ["dot", "doq"] {
        let metric = |name: &str| {
            world.live.metric(&format!("rhumb_encrypted_{name}_total{{transport=\"{transport}\"}}"))
        };
        assert_eq!(metric("queries"), Some(1.0), "{transport}");
        assert_eq!(metric("accepted"), Some(1.0), "{transport}");
        assert_eq!(metric("handshake_failures"), Some(0.0), "{transport}");
        let replies = format!("rhumb_replies_total{{transport=\"{transport}\",rcode=\"NOERROR\"}}");
        assert_eq!(world.live.metric(&replies), Some(1.0), "{transport}");
    }
    let mut stream = TcpStream::connect(world.at(Transport::Tls)).unwrap();
    stream.write_all(b"no TLS at all").unwrap();
    drop(stream);
    let failures = "rhumb_encrypted_handshake_failures_total{transport=\"dot\"}";
    wait_until("the handshake has failed", || world.live.metric(failures) == Some(1.0));
    assert!(world.live.metric("rhumb_certificate_expiry_seconds") > Some(32e9));
    world.live.stop();
}
