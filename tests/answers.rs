//! Replies as another implementation reads them: sections, flags, codes.

mod common;

use common::answer_octets;
use common::ask;
use common::request;
use common::snapshot;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net", "ns1.shop.test"]
contact = "host.master@shop.test"

[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45

[pool.eu]
site = "fra"
[pool.eu.endpoint.fra-1]
addresses = ["198.18.1.1", "2001:db8:f::1"]
[pool.us]
site = "iad"
[pool.us.endpoint.iad-1]
addresses = ["198.18.2.1", "2001:db8:a::1"]

[policy.world]
kind = "nearest"
targets = ["us", "eu"]

[name.www]
steer = "world"
[name.www.records]
TXT = ["\"hello world\""]
[name.old.records]
CNAME = ["www"]
[name.ns1.records]
A = ["198.18.0.53"]
[name."@".records]
MX = ["10 mail.example.com."]
"#;

fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    message
}

#[test]
fn a_steered_name_answers_with_the_nearest_pool() {
    let snapshot = snapshot(ZONE);
    for (client, expected) in [("192.0.2.7", "198.18.1.1"), ("192.0.2.200", "198.18.2.1")] {
        let reply = ask(&snapshot, &request(client), &query("www.shop.test.", RecordType::A));
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(reply.metadata.authoritative);
        assert_eq!(reply.answers.len(), 1);
        assert_eq!(reply.answers[0].to_string(), format!("www.shop.test. 30 IN A {expected}"));
    }
}

#[test]
fn an_alias_is_followed_to_the_steered_name() {
    let reply =
        ask(&snapshot(ZONE), &request("192.0.2.7"), &query("old.shop.test.", RecordType::AAAA));
    let answers: Vec<String> = reply.answers.iter().map(ToString::to_string).collect();
    assert_eq!(
        answers,
        ["old.shop.test. 3600 IN CNAME www.shop.test.", "www.shop.test. 30 IN AAAA 2001:db8:f::1"]
    );
}

#[test]
fn negative_answers_carry_the_soa() {
    let snapshot = snapshot(ZONE);
    let reply = ask(&snapshot, &request("192.0.2.7"), &query("nope.shop.test.", RecordType::A));
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(reply.authorities.len(), 1);
    let soa = reply.authorities[0].to_string();
    assert!(
        soa.starts_with("shop.test. 30 IN SOA ns1.example.net. host\\.master.shop.test. "),
        "{soa}"
    );
    let reply = ask(&snapshot, &request("192.0.2.7"), &query("www.shop.test.", RecordType::MX));
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(reply.authorities.len(), 1);
}

#[test]
fn a_name_of_nobody_is_refused() {
    let reply =
        ask(&snapshot(ZONE), &request("192.0.2.7"), &query("www.other.test.", RecordType::A));
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
    assert!(!reply.metadata.authoritative);
}

#[test]
fn the_case_of_the_question_is_kept() {
    let wire = query("wWw.ShOp.TeSt.", RecordType::TXT).to_vec().unwrap();
    let (_, reply) = answer_octets(&snapshot(ZONE), &request("192.0.2.7"), &wire);
    assert_eq!(reply[12..31], wire[12..31]);
    let reply = Message::from_vec(&reply).unwrap();
    assert_eq!(reply.answers[0].data.to_string(), "hello world");
}
