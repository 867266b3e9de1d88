//! Names of endpoints, resolved over real sockets by a responder of our own: no internet, no fixed ports.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests have a server of their own"
)]

mod live;

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::CNAME;
use live::Folder;
use live::Live;
use live::ask;
use live::wait_until;
use rhumb::config::node::default_node;
use rhumb::model::ResolverSettings;

/// What the responder says of a name.
#[derive(Clone)]
enum Word {
    Addresses(Vec<IpAddr>),
    Leads(&'static str),
    Refuses,
}

type Words = Arc<Mutex<HashMap<String, Word>>>;

/// A resolver that knows what it is told; it ends with the process.
struct Responder {
    address: SocketAddr,
    words: Words,
}

impl Responder {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let words = Words::default();
        let known = Arc::clone(&words);
        std::thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let Ok(query) = Message::from_vec(&packet[..len]) else { continue };
                let reply = answer(&query, &known.lock().unwrap());
                let _ = socket.send_to(&reply.to_vec().unwrap(), from);
            }
        });
        Self { address, words }
    }

    fn say(&self, name: &str, word: Word) {
        self.words.lock().unwrap().insert(name.to_owned(), word);
    }

    fn addresses(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.say(name, Word::Addresses(addresses));
    }

    fn settings(&self) -> ResolverSettings {
        ResolverSettings {
            servers: vec![self.address],
            timeout: Duration::from_millis(500),
            min_refresh: Duration::from_secs(1),
            ..default_node().resolver
        }
    }
}

/// Answers as a resolver does, following aliases; every TTL is 0.
fn answer(query: &Message, words: &HashMap<String, Word>) -> Message {
    let question = query.queries[0].clone();
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let mut name = question.name().to_string();
    loop {
        let owner = Name::from_ascii(&name).unwrap();
        match words.get(&name) {
            Some(Word::Leads(target)) => {
                let data = RData::CNAME(CNAME(Name::from_ascii(target).unwrap()));
                reply.add_answer(Record::from_rdata(owner, 0, data));
                name = (*target).to_owned();
            }
            Some(Word::Addresses(addresses)) => {
                for address in addresses {
                    let data = match address {
                        IpAddr::V4(v4) => RData::A((*v4).into()),
                        IpAddr::V6(v6) => RData::AAAA((*v6).into()),
                    };
                    if data.record_type() == question.query_type() {
                        reply.add_answer(Record::from_rdata(owner.clone(), 0, data));
                    }
                }
                return reply;
            }
            Some(Word::Refuses) => {
                reply.metadata.response_code = ResponseCode::ServFail;
                return reply;
            }
            None => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                return reply;
            }
        }
    }
}

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[pool.cdn.endpoint.a]
alias = "cdn.example.net"
[name."@"]
steer = "cdn"
"#;

fn start(responder: &Responder, zone: &str) -> (Folder, Live) {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone);
    let mut options = folder.options();
    options.resolver = responder.settings();
    let live = Live::start(&options);
    (folder, live)
}

fn served(live: &Live) -> Vec<String> {
    let answer = ask(live.address(), "shop.test.");
    answer.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn answers_follow_the_name_through_changes_and_stay_when_it_is_gone() {
    let responder = Responder::start();
    responder.say("cdn.example.net.", Word::Leads("edge.example.org."));
    responder.addresses("edge.example.org.", &["203.0.113.2", "203.0.113.1", "2001:db8::1"]);
    let (_folder, live) = start(&responder, ZONE);
    wait_until("it is resolved", || served(&live) == ["203.0.113.1", "203.0.113.2"]);
    let series = "rhumb_name_addresses{name=\"cdn.example.net.\"}";
    assert_eq!(live.metric(series), Some(3.0));
    assert_eq!(live.metric("rhumb_name_failing{name=\"cdn.example.net.\"}"), Some(0.0));

    responder.addresses("edge.example.org.", &["203.0.113.3"]);
    wait_until("the change is served", || served(&live) == ["203.0.113.3"]);

    responder.say("edge.example.org.", Word::Refuses);
    let failing = || live.metric("rhumb_name_failing{name=\"cdn.example.net.\"}") == Some(1.0);
    wait_until("the failure is seen", failing);
    assert_eq!(served(&live), ["203.0.113.3"]);

    responder.words.lock().unwrap().remove("edge.example.org.");
    let status = || live.status().pools[0].endpoints[0].name.clone();
    wait_until("nothing is there any more", || status().contains("does not exist"));
    assert_eq!(served(&live), ["203.0.113.3"], "an empty set replaces nothing");
    live.stop();
}

#[test]
fn addresses_of_the_own_machine_are_refused_unless_they_are_allowed() {
    let responder = Responder::start();
    responder.addresses("cdn.example.net.", &["127.0.0.1", "169.254.169.254"]);
    let (folder, live) = start(&responder, ZONE);
    let status = || live.status().pools[0].endpoints[0].name.clone();
    wait_until("it is refused", || status().contains("127.0.0.1 is refused: it is loopback"));
    assert_eq!(ask(live.address(), "shop.test.").rcode, "Server Failure");
    live.stop();

    let mut options = folder.options();
    options.resolver =
        ResolverSettings { allow: vec!["127.0.0.0/8".parse().unwrap()], ..responder.settings() };
    let live = Live::start(&options);
    wait_until("it is believed", || served(&live) == ["127.0.0.1"]);
    live.stop();
}

#[test]
fn addresses_of_a_name_are_probed_and_those_that_fail_are_left_out() {
    // Two loopback addresses with one free port; somebody listens at one of them.
    let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let responder = Responder::start();
    responder.addresses("cdn.example.net.", &["127.0.0.2", "127.0.0.3"]);
    let check = format!(
        "[check.tcp]\nkind = \"tcp\"\nport = {port}\ninterval = \"200ms\"\ntimeout = \"200ms\"\n\
         [pool.cdn]\ncheck = \"tcp\"\n[pool.cdn.endpoint.a]\n"
    );
    let zone = ZONE.replace("[pool.cdn.endpoint.a]\n", &check);
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone);
    let mut options = folder.options();
    options.resolver =
        ResolverSettings { allow: vec!["127.0.0.0/8".parse().unwrap()], ..responder.settings() };
    let live = Live::start(&options);
    wait_until("the dead one is left out", || served(&live) == ["127.0.0.2"]);
    let shown = || -> Vec<(String, String, bool)> {
        let targets = live.status().pools[0].endpoints[0].targets.clone().into_iter();
        targets.map(|one| (one.address, one.verdict, one.last.is_some())).collect()
    };
    let wanted = [("127.0.0.2", "up"), ("127.0.0.3", "down")];
    let wanted = wanted.map(|(address, verdict)| (address.to_owned(), verdict.to_owned(), true));
    wait_until("both have a verdict", || shown() == wanted);
    drop(listener);
    live.stop();
}
