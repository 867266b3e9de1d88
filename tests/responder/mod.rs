//! A responder for engine tests: answers every query with one A record, and fails on demand.
#![allow(dead_code, clippy::unwrap_used, reason = "tests; each binary uses a part")]

use rhumb::answer::Request;
use rhumb::runtime::respond::Respond;

/// A query whose first label starts with this makes the responder panic.
pub const PANIC: &str = "panic";

/// A query whose first label starts with this gets no reply.
pub const SILENT: &str = "silent";

/// A query whose first label starts with this gets a reply of 4,000 octets.
pub const LONG: &str = "long";

/// The fixed answer: a pointer to the question, A, IN, 30 s, 192.0.2.1.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];

/// Flips QR and appends [`ANSWER`]; the answer ends with the last octet of `Request::local`.
#[derive(Clone)]
pub struct OneRecord;

impl Respond for OneRecord {
    fn begin_batch(&mut self) {}

    fn respond(&mut self, request: &Request, frame: &mut [u8], query_len: usize) -> usize {
        let label = &frame[13..query_len];
        assert!(!label.starts_with(PANIC.as_bytes()), "asked to panic");
        if label.starts_with(SILENT.as_bytes()) {
            return 0;
        }
        let long = label.starts_with(LONG.as_bytes());
        frame[2] |= 0x84;
        frame[7] = 1;
        let end = query_len + ANSWER.len();
        frame[query_len..end].copy_from_slice(&ANSWER);
        frame[end - 1] = match request.local {
            Some(std::net::IpAddr::V4(local)) => local.octets()[3],
            Some(std::net::IpAddr::V6(local)) => local.octets()[15],
            None => 0,
        };
        if long { 4000 } else { end }
    }

    fn unix_s(&self) -> u64 {
        1_800_000_000
    }
}

/// A query for `label`, class IN, type A.
pub fn query(id: u16, label: &str) -> Vec<u8> {
    let mut octets = vec![0; 12];
    octets[..2].copy_from_slice(&id.to_be_bytes());
    octets[5] = 1;
    octets.push(u8::try_from(label.len()).unwrap());
    octets.extend_from_slice(label.as_bytes());
    octets.extend_from_slice(&[0, 0, 1, 0, 1]);
    octets
}

/// Panics unless `reply` answers `query`; returns the last octet of the address in it.
pub fn check(query: &[u8], reply: &[u8]) -> u8 {
    assert_eq!(reply.len(), query.len() + ANSWER.len(), "one record is appended");
    assert_eq!(reply[..2], query[..2], "same id");
    assert_eq!(reply[2], 0x84, "QR and AA are set");
    assert_eq!(reply[12..query.len()], query[12..], "same question");
    reply[reply.len() - 1]
}
