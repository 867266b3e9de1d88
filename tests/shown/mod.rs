//! Replies as lines of text, as hickory-proto reads them.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its own part")]

use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use rhumb::answer::Transport;
use rhumb::snapshot::Snapshot;
use rhumb::wire::Name;

use crate::common::answer_octets;
use crate::common::request;
use crate::packet::Packet;
use crate::packet::rtype;

/// The reply to a packet that came by UDP: code and flags, then each record with its section.
#[track_caller]
pub fn show(snapshot: &Snapshot, packet: &Packet) -> Vec<String> {
    lines(&reply(snapshot, packet, Transport::Udp).1)
}

/// As [`show`], by TCP.
#[track_caller]
pub fn show_by_tcp(snapshot: &Snapshot, packet: &Packet) -> Vec<String> {
    lines(&reply(snapshot, packet, Transport::Tcp).1)
}

/// The reply's length in octets, and what hickory-proto reads in it.
#[track_caller]
pub fn reply(snapshot: &Snapshot, packet: &Packet, transport: Transport) -> (usize, Message) {
    let request = rhumb::answer::Request { transport, ..request("192.0.2.7") };
    let (_, octets) = answer_octets(snapshot, &request, &packet.0);
    (octets.len(), Message::from_vec(&octets).expect("hickory-proto reads the reply"))
}

/// `NOERROR aa`, then `an …`, `ns …`, `ar …`; the class and the OPT record are left out.
pub fn lines(message: &Message) -> Vec<String> {
    let metadata = &message.metadata;
    let mut head = match metadata.response_code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        code => format!("{code:?}").to_uppercase(),
    };
    for (is_set, flag) in [(metadata.authoritative, " aa"), (metadata.truncation, " tc")] {
        head.push_str(if is_set { flag } else { "" });
    }
    let sections =
        [("an", &message.answers), ("ns", &message.authorities), ("ar", &message.additionals)];
    let records = sections.into_iter().flat_map(|(section, records)| {
        records.iter().map(move |record| {
            let text = record.to_string().replacen(" IN ", " ", 1);
            match &record.data {
                // hickory-proto does not know the type without DNSSEC.
                RData::Unknown { code, rdata } if u16::from(*code) == rtype::DNAME => {
                    let target = Name::from_wire(&rdata.anything).unwrap();
                    let start = text.rsplit_once(' ').unwrap().0;
                    format!("{section} {start} {target}")
                }
                _ => format!("{section} {text}"),
            }
        })
    });
    std::iter::once(head).chain(records).collect()
}
