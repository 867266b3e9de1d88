//! `_explain.NAME TXT`: who is told, what is told, and that it is the truth, as hickory-proto reads it.
#![allow(clippy::unwrap_used)]

mod common;
mod packet;

use std::sync::Arc;

use common::GEO;
use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RData;
use packet::Packet;
use packet::rtype;
use rhumb::answer::Happened;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::model::ExplainAccess;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::PolicyId;
use rhumb::model::Pool;
use rhumb::snapshot::Health;
use rhumb::snapshot::Reweighed;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::snapshot::health::AllUnknown;
use rhumb::steering::MemberState;
use rhumb::steering::plan::Remembered;

const CH: u16 = 3;
const IN: u16 = 1;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
contact = "ops@example.net"
[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45
[pool.eu]
site = "fra"
[pool.eu.endpoint.a]
addresses = ["192.0.2.10", "2001:db8::10"]
[pool.us]
site = "iad"
[pool.us.endpoint.b]
addresses = ["198.51.100.10"]
[policy.world]
kind = "nearest"
targets = ["eu", "us"]
[name.www]
steer = "world"
[name.blind]
steer = "world"
ecs = "ignore"
[name.plain.records]
A = ["192.0.2.77"]
"#;

/// The zone on a node that tells `10.0.0.0/8` all and `10.0.0.0/7` the same without addresses.
fn snapshot() -> Snapshot {
    snapshot_of(ZONE)
}

/// The same with another zone.
fn snapshot_of(zone: &str) -> Snapshot {
    let explain = ExplainAccess {
        full: vec!["10.0.0.0/8".parse().unwrap()],
        redacted: vec!["10.0.0.0/7".parse().unwrap()],
    };
    let node = NodeTerms { explain, ..NodeTerms::default() };
    let model = common::model(&[("zones/shop.toml", zone)]);
    let compiled = compile(model, Arc::new(common::places(GEO)), node).unwrap();
    Snapshot::new(Arc::new(compiled), 7, &AllUnknown)
}

fn asked(
    client: &str,
    name: &str,
    class: u16,
    packet: impl Fn(Packet) -> Packet,
) -> (Happened, Message) {
    let query = Packet::with_flags([0, 0]).question(&packet::wire_name(name), rtype::TXT, class);
    let request = Request { transport: Transport::Tcp, ..common::request(client) };
    let (outcome, octets) = common::answer_octets(&snapshot(), &request, &packet(query).0);
    (outcome.happened, Message::from_vec(&octets).expect("hickory-proto reads the reply"))
}

/// The lines, checked to be numbered and uncacheable.
#[track_caller]
fn lines(message: &Message) -> Vec<String> {
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    let line = |(position, record): (usize, &hickory_proto::rr::Record)| {
        assert_eq!(record.ttl, 0);
        let RData::TXT(text) = &record.data else { panic!("{record}") };
        let text: Vec<u8> = text.txt_data.iter().flatten().copied().collect();
        let text = String::from_utf8(text).unwrap();
        let number = format!("{:02} ", position + 1);
        text.strip_prefix(&number).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    message.answers.iter().enumerate().map(line).collect()
}

fn as_it_is(packet: Packet) -> Packet {
    packet
}

/// With a client subnet in Singapore.
fn from_singapore(packet: Packet) -> Packet {
    packet.opt(&packet::option(8, &[0, 1, 24, 0, 198, 51, 100]))
}

#[test]
fn an_allowed_client_is_told_place_steps_members_and_answer() {
    for class in [CH, IN] {
        let (happened, message) =
            asked("10.1.1.1", "_explain.www.shop.test", class, from_singapore);
        assert_eq!(happened, Happened::Explained);
        let lines = lines(&message);
        assert_eq!(lines[0], "www.shop.test. A: steered by policy world");
        assert_eq!(lines[1], "zone shop.test., generation 7");
        assert_eq!(lines[2], "asked as: client subnet 198.51.100.0/24");
        assert!(lines[3].starts_with("place: AS SG Singapore"), "{lines:#?}");
        assert!(lines[3].ends_with(" +-20 km AS64498 (198.51.100.0/24)"), "{lines:#?}");
        assert!(lines.iter().all(|line| line.is_ascii()), "dig shows other octets as numbers");
        assert!(lines.contains(&"step: pass 1: pool eu taken".into()), "{lines:#?}");
        assert!(lines.contains(&"member served: eu/a 192.0.2.10 weight 1".into()), "{lines:#?}");
        assert!(lines.contains(&"answer: www.shop.test. 30 IN A 192.0.2.10".into()), "{lines:#?}");
        assert_eq!(lines.last().unwrap(), "NOERROR");
        let edns = message.edns.as_ref().unwrap();
        assert!(format!("{edns:?}").contains("scope_prefix: 24"), "nobody else's: {edns:?}");
    }
}

#[test]
fn without_a_client_subnet_the_asker_itself_is_explained() {
    let (_, message) = asked("10.1.1.1", "_explain.www.shop.test", CH, as_it_is);
    assert!(lines(&message).contains(&"asked as: 10.1.1.1 itself, no client subnet".into()));
    assert_eq!(message.queries[0].query_class(), DNSClass::CH);
    assert_eq!(message.answers[0].dns_class, DNSClass::CH);
}

#[test]
fn where_no_client_subnet_counts_the_resolver_is_the_client() {
    let (_, message) = asked("10.1.1.1", "_explain.blind.shop.test", CH, from_singapore);
    let lines = lines(&message);
    assert!(lines.contains(&"asked as: 10.1.1.1 itself, no client subnet".into()), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("place: unknown")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("Singapore")), "{lines:#?}");
}

#[test]
fn another_type_is_asked_for_behind_a_dash() {
    let (_, message) = asked("10.1.1.1", "_EXPLAIN-AAAA.www.shop.test", CH, as_it_is);
    let lines = lines(&message);
    assert!(lines.contains(&"member served: eu/a 2001:db8::10 weight 1".into()), "{lines:#?}");
    let (happened, _) = asked("10.1.1.1", "_explain-nonsense.www.shop.test", CH, as_it_is);
    assert_eq!(happened, Happened::Unanswerable);
}

#[test]
fn static_names_and_names_of_nobody_are_explained_too() {
    let (_, message) = asked("10.1.1.1", "_explain.plain.shop.test", IN, as_it_is);
    assert_eq!(lines(&message)[0], "plain.shop.test. A: 1 static A record(s)");
    let (_, message) = asked("10.1.1.1", "_explain.www.example.org", CH, as_it_is);
    let lines = lines(&message);
    assert_eq!(lines[0], "www.example.org. A: the name is in none of our zones");
    assert_eq!(lines.last().unwrap(), "REFUSED");
}

#[test]
fn the_redacted_reason_has_no_address() {
    let (_, message) = asked("11.1.1.1", "_explain.www.shop.test", CH, from_singapore);
    let lines = lines(&message);
    assert!(lines.contains(&"member served: eu/a weight 1".into()), "{lines:#?}");
    assert!(lines.contains(&"answer: 1 record(s)".into()), "{lines:#?}");
    for address in ["192.0.2.", "198.51.100.", "11.1.1.1"] {
        assert!(!lines.iter().any(|line| line.contains(address)), "{lines:#?}");
    }
}

#[test]
fn the_redacted_reason_says_that_weights_are_shifted_and_not_by_whom() {
    let zone = ZONE.replace("steer = \"world\"\necs", "steer = \"canary\"\necs")
        + "[policy.canary]\nkind = \"weighted\"\nweights = { world = 9, us = 1 }\n";
    let snapshot = snapshot_of(&zone);
    let policy = PolicyId(1);
    assert_eq!(&*snapshot.compiled.model.policies[1].name, "canary");
    let note = Some("us has 5 %, by ann: a secret".into());
    let shifted = snapshot.with_weights(8, &[Reweighed { policy, weights: vec![95, 5], note }]);
    let told = |client| {
        let query = Packet::with_flags([0, 0]).question(
            &packet::wire_name("_explain.blind.shop.test"),
            rtype::TXT,
            CH,
        );
        let request = Request { transport: Transport::Tcp, ..common::request(client) };
        let (_, octets) = common::answer_octets(&shifted, &request, &query.0);
        lines(&Message::from_vec(&octets).unwrap())
    };
    let full = told("10.1.1.1");
    let step = "step: policy canary is shifted: us has 5 %, by ann: a secret";
    assert!(full.contains(&step.into()), "{full:#?}");
    let redacted = told("11.1.1.1");
    assert!(redacted.contains(&"step: policy canary is shifted".into()), "{redacted:#?}");
    assert!(!redacted.iter().any(|line| line.contains("ann")), "{redacted:#?}");
}

#[test]
fn nobody_else_learns_that_there_is_a_reason() {
    let (happened, message) = asked("12.1.1.1", "_explain.www.shop.test", CH, as_it_is);
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert_eq!(happened, Happened::Unanswerable);
    let (happened, message) = asked("12.1.1.1", "_explain.www.shop.test", IN, as_it_is);
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(happened, Happened::Static);
}

#[test]
fn a_client_subnet_inside_the_allowed_networks_allows_nobody() {
    let pretends = |packet: Packet| packet.opt(&packet::option(8, &[0, 1, 24, 0, 10, 1, 1]));
    let (happened, _) = asked("12.1.1.1", "_explain.www.shop.test", CH, pretends);
    assert_eq!(happened, Happened::Unanswerable);
}

#[test]
fn what_explains_is_not_explained_and_other_types_are_not_there() {
    let (happened, _) = asked("10.1.1.1", "_explain._explain.www.shop.test", IN, as_it_is);
    assert_eq!(happened, Happened::Static);
    let query = Packet::query("_explain.www.shop.test", rtype::A);
    let request = common::request("10.1.1.1");
    let (outcome, _) = common::answer_octets(&snapshot(), &request, &query.0);
    assert_eq!(outcome.happened, Happened::Static);
}

#[test]
fn a_reason_that_does_not_fit_sends_the_client_to_tcp() {
    let query = Packet::with_flags([0, 0]).question(
        &packet::wire_name("_explain.www.shop.test"),
        rtype::TXT,
        CH,
    );
    let request = common::request("10.1.1.1");
    let (outcome, octets) = common::answer_octets(&snapshot(), &request, &query.0);
    assert!(outcome.truncated && octets.len() <= 512);
}

/// A pool whose endpoints an operator has given a state.
struct Ordered;

impl Health for Ordered {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        AllUnknown.states(pool)
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }

    fn notes(&self, pool: &Pool) -> Vec<Box<str>> {
        match &*pool.name {
            "eu" => {
                vec!["eu/a: endpoint eu/a: forced up by ann: new disks (until taken back)".into()]
            }
            _ => Vec::new(),
        }
    }
}

#[test]
fn states_by_an_order_are_told_and_only_to_whom_all_is_told_by_whom() {
    let compiled = Arc::clone(&snapshot().compiled);
    let ordered = Snapshot::new(compiled, 7, &Ordered);
    let told = |client: &str| {
        let name = packet::wire_name("_explain.www.shop.test");
        let query = Packet::with_flags([0, 0]).question(&name, rtype::TXT, CH);
        let request = Request { transport: Transport::Tcp, ..common::request(client) };
        let (_, octets) = common::answer_octets(&ordered, &request, &query.0);
        lines(&Message::from_vec(&octets).unwrap())
    };
    let full = told("10.1.2.3");
    let wanted = "state: eu/a: endpoint eu/a: forced up by ann: new disks (until taken back)";
    assert!(full.iter().any(|line| line == wanted), "{full:#?}");
    let redacted = told("11.1.2.3");
    assert!(redacted.iter().any(|line| line == "state: 1 endpoint(s) by an order or a file"));
    assert!(redacted.iter().all(|line| !line.contains("ann")), "{redacted:#?}");
}

/// What NSID says to a client.
fn nsid_for(snapshot: &Snapshot, client: &str) -> Option<String> {
    let query =
        Packet::with_flags([0, 0]).question(&packet::wire_name("plain.shop.test"), rtype::A, IN);
    let query = query.opt(&packet::option(3, b""));
    let (_, octets) = common::answer_octets(snapshot, &common::request(client), &query.0);
    let message = Message::from_vec(&octets).unwrap();
    let code = hickory_proto::rr::rdata::opt::EdnsCode::NSID;
    let nsid = message.edns.as_ref()?.option(code)?;
    Some(String::from_utf8(Vec::<u8>::try_from(nsid).unwrap()).unwrap())
}

/// The zone on a node with an identity that has published it.
fn standing_snapshot() -> Snapshot {
    let mut snapshot = snapshot();
    let mut compiled = (*snapshot.compiled).clone();
    compiled.node.identity = b"ns-fra-1"[..].into();
    snapshot.compiled = Arc::new(compiled);
    snapshot.standing = b"ns-fra-1; generation 7; config 221a5b84"[..].into();
    snapshot
}

#[test]
fn nsid_says_generation_and_digests_to_those_who_may_ask_why() {
    let snapshot = standing_snapshot();
    let standing = || Some("ns-fra-1; generation 7; config 221a5b84".to_owned());
    assert_eq!(nsid_for(&snapshot, "10.1.1.1"), standing());
    assert_eq!(nsid_for(&snapshot, "11.1.1.1"), standing(), "it has no address of an endpoint");
    assert_eq!(nsid_for(&snapshot, "192.0.2.1"), Some("ns-fra-1".to_owned()));
    assert_eq!(nsid_for(&self::snapshot(), "192.0.2.1"), None, "nobody has named the node");
}

#[test]
fn the_status_of_a_zone_says_the_same_to_the_same() {
    let snapshot = standing_snapshot();
    let ask = |client: &str, name: &str, class: u16| {
        let query =
            Packet::with_flags([0, 0]).question(&packet::wire_name(name), rtype::TXT, class);
        let request = Request { transport: Transport::Tcp, ..common::request(client) };
        let (outcome, octets) = common::answer_octets(&snapshot, &request, &query.0);
        let message = Message::from_vec(&octets).unwrap();
        let texts: Vec<String> =
            message.answers.iter().map(|record| record.data.to_string()).collect();
        (outcome.happened, message.metadata.response_code, texts)
    };
    for class in [IN, CH] {
        let (happened, code, texts) = ask("10.1.1.1", "_STATUS.shop.test", class);
        assert_eq!((happened, code), (Happened::Explained, ResponseCode::NoError));
        assert!(texts[0].contains("generation 7; config 221a5b84"), "{texts:?}");
        assert!(texts[1].contains("Rhumb "), "{texts:?}");
    }
    for (client, name) in [
        ("192.0.2.1", "_status.shop.test"),
        ("10.1.1.1", "_status.www.shop.test"),
        ("10.1.1.1", "_status2.shop.test"),
        ("10.1.1.1", "_status.example.org"),
    ] {
        let (happened, _, texts) = ask(client, name, IN);
        assert!(happened != Happened::Explained && texts.is_empty(), "{client} {name} {texts:?}");
    }
}
