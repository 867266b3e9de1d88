//! `dns`: a question over UDP and TCP, its code and its data.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::rdata::TXT;
use rhumb::model::CheckKind;
use rhumb::model::DnsCheck;
use rhumb::wire;
use rhumb::wire::RecordType;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::UdpSocket;

use crate::check;
use crate::first;
use crate::first_said;
use crate::said;

fn asking(qname: &str, qtype: RecordType) -> DnsCheck {
    DnsCheck {
        qname: wire::Name::absolute(qname).unwrap(),
        qtype,
        recursion: false,
        rcode: "NOERROR",
        answer: None,
    }
}

fn wanting(qname: &str, qtype: RecordType, answer: &str) -> CheckKind {
    CheckKind::Dns(DnsCheck { answer: Some(answer.into()), ..asking(qname, qtype) })
}

/// Makes a reply of a question.
pub type Answer = fn(Message) -> Vec<Message>;

/// A server on one port, by UDP and by TCP.
pub async fn server(udp: Answer, tcp: Answer) -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Somebody else may have the port of the same number.
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut heard = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut heard).await {
            for reply in udp(Message::from_vec(&heard[..len]).unwrap()) {
                socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let len = stream.read_u16().await.unwrap();
            let mut heard = vec![0; usize::from(len)];
            stream.read_exact(&mut heard).await.unwrap();
            for reply in tcp(Message::from_vec(&heard).unwrap()) {
                let reply = reply.to_vec().unwrap();
                stream.write_u16(reply.len() as u16).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        }
    });
    address
}

pub fn reply(question: &Message) -> Message {
    let mut reply = question.clone();
    reply.metadata.message_type = MessageType::Response;
    reply
}

fn with_addresses(question: Message) -> Vec<Message> {
    let mut reply = reply(&question);
    let owner = reply.queries[0].name().clone();
    for last in [1, 2] {
        let data = RData::A(A::new(192, 0, 2, last));
        reply.add_answer(Record::from_rdata(owner.clone(), 30, data));
    }
    vec![reply]
}

fn nobody(_: Message) -> Vec<Message> {
    Vec::new()
}

#[tokio::test]
async fn an_address_must_be_among_the_answers() {
    let address = server(with_addresses, nobody).await;
    assert_eq!(first_said(wanting("www.test", RecordType::A, "192.0.2.2"), address).await, "ok");
    assert_eq!(
        first_said(wanting("www.test", RecordType::A, "192.0.2.9"), address).await,
        "A of www.test. is 192.0.2.1 and others, wanted 192.0.2.9"
    );
    assert_eq!(first_said(CheckKind::Dns(asking("www.test", RecordType::A)), address).await, "ok");
    assert_eq!(
        first_said(wanting("www.test", RecordType::AAAA, "2001:db8::1"), address).await,
        "no AAAA record of www.test., wanted 2001:db8::1"
    );
}

#[tokio::test]
async fn the_response_code_is_the_one_that_is_wanted() {
    let refused: Answer = |question| {
        let mut reply = reply(&question);
        reply.metadata.response_code = ResponseCode::Refused;
        reply.queries.clear();
        vec![reply]
    };
    let address = server(refused, nobody).await;
    let failed = first_said(CheckKind::Dns(asking("www.test", RecordType::A)), address).await;
    assert_eq!(failed, "REFUSED, wanted NOERROR");
    let wanted = DnsCheck { rcode: "REFUSED", ..asking("www.test", RecordType::A) };
    assert_eq!(first_said(CheckKind::Dns(wanted), address).await, "ok");
}

#[tokio::test]
async fn a_reply_that_is_cut_is_asked_for_again_over_tcp() {
    let cut: Answer = |question| {
        let mut reply = reply(&question);
        reply.metadata.truncation = true;
        vec![reply]
    };
    let address = server(cut, with_addresses).await;
    assert_eq!(first_said(wanting("www.test", RecordType::A, "192.0.2.2"), address).await, "ok");
}

#[tokio::test]
async fn replies_to_other_questions_are_not_heard() {
    let forged: Answer = |question| {
        let mut other_id = with_addresses(question.clone()).remove(0);
        other_id.metadata.id = question.metadata.id.wrapping_add(1);
        let mut other_name = with_addresses(question.clone()).remove(0);
        other_name.queries[0].set_name(Name::from_ascii("evil.test.").unwrap());
        let mut echo = question.clone();
        echo.metadata.message_type = MessageType::Query;
        let mut right = reply(&question);
        right.metadata.response_code = ResponseCode::ServFail;
        vec![other_id, other_name, echo, right]
    };
    let address = server(forged, nobody).await;
    let failed = first_said(wanting("www.test", RecordType::A, "192.0.2.2"), address).await;
    assert_eq!(failed, "SERVFAIL, wanted NOERROR");
    let silent = server(nobody, nobody).await;
    let mut late = check(CheckKind::Dns(asking("www.test", RecordType::A)), silent.port());
    late.timeout = Duration::from_millis(100);
    let failed = said(&first(late, silent).await);
    assert_eq!(failed, "timed out after 100ms, waiting for the response");
}

#[tokio::test]
async fn texts_and_names_are_compared_as_dig_shows_them() {
    let text: Answer = |question| {
        let mut reply = reply(&question);
        let owner = reply.queries[0].name().clone();
        let data = RData::TXT(TXT::new(vec!["v=1 Ready".to_owned()]));
        reply.add_answer(Record::from_rdata(owner, 30, data));
        vec![reply]
    };
    let address = server(text, nobody).await;
    for (wanted, said) in [("\"v=1 ready\"", "ok"), ("v=1 Ready", "ok")] {
        assert_eq!(first_said(wanting("x.test", RecordType::TXT, wanted), address).await, said);
    }
    let failed = first_said(wanting("x.test", RecordType::TXT, "v=1"), address).await;
    assert!(failed.starts_with("TXT of x.test. is"), "{failed}");
}
