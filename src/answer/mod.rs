//! Turns one query into one reply.
//!
//! [`answer`] has no clock, socket, lock, log, allocation or randomness of its own; what happened is returned as an
//! [`Outcome`], which the shell counts.
#![forbid(unsafe_code)]

mod additional;
mod chaos;
mod data;
pub mod degraded;
pub mod explain;
mod hints;
mod names;
pub mod outcome;
mod reason;
mod referral;
pub mod request;
mod standing;
pub mod steered;
pub mod steering_report;
pub mod step_report;
pub mod words;

pub use outcome::Happened;
pub use outcome::Outcome;
pub use request::Request;
pub use request::Transport;

use crate::answer::data::Answering;
use crate::answer::standing::nsid;
use crate::snapshot::Snapshot;
use crate::wire::Fault;
use crate::wire::Names;
use crate::wire::Query;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::UnsignedTsig;
use crate::wire::Writer;
use crate::wire::writer::ReplyOptions;
use crate::wire::writer::UDP_REPLY_MAX;
use crate::wire::writer::UDP_REPLY_PLAIN;
use crate::wire::writer::write_header_only;

/// Least octets of a frame: room for any reply to a client that takes the least.
pub const FRAME_MIN: usize = UDP_REPLY_PLAIN;

/// What a TCP client is told that asks how long an idle connection is kept (RFC 7828), in units of 100 ms: 30 s.
pub const KEEPALIVE: u16 = 300;

/// Class IN.
const CLASS_IN: u16 = 1;

/// Class CH.
const CLASS_CH: u16 = 3;

/// Answers the query in `frame[..query_len]`, writing the reply over it.
///
/// # Panics
/// If `frame` is shorter than [`FRAME_MIN`] or `query_len`.
pub fn answer(
    snapshot: &Snapshot,
    request: &Request,
    frame: &mut [u8],
    query_len: usize,
) -> Outcome {
    assert!(frame.len() >= FRAME_MIN, "a frame has room for the least reply");
    let mut query = Query::blank();
    if let Err(fault) = query.read(&frame[..query_len]) {
        return refuse_packet(frame, fault);
    }
    forget_what_does_not_count(&mut query, request.transport);
    if let Some((rcode, happened)) = unanswerable(&query) {
        return decline(snapshot, request, frame, &query, rcode, happened);
    }
    let mut names = Names::default();
    let writer = writer(snapshot, request, frame, &mut names, &query);
    Answering::new(snapshot, request, &query, writer).answer()
}

/// Starts the reply over the query.
#[inline]
fn writer<'a>(
    snapshot: &Snapshot,
    request: &Request,
    frame: &'a mut [u8],
    names: &'a mut Names,
    query: &Query,
) -> Writer<'a> {
    let limit = reply_limit(query, request.transport);
    let reserve = Writer::reserve(query.edns.as_ref(), nsid(snapshot, request, query));
    Writer::new(frame, names, query.question_end, limit, reserve)
}

/// Replies to what no zone can answer.
#[cold]
fn decline(
    snapshot: &Snapshot,
    request: &Request,
    frame: &mut [u8],
    query: &Query,
    rcode: Rcode,
    happened: Happened,
) -> Outcome {
    let place = query.tsig.filter(|_| rcode == Rcode::NotAuth);
    let tsig = place.and_then(|place| UnsignedTsig::of(frame, place));
    let mut names = Names::default();
    let writer = writer(snapshot, request, frame, &mut names, query);
    let answering = Answering::new(snapshot, request, query, writer);
    if query.qclass == CLASS_CH && rcode == Rcode::Refused {
        return answering.answer_chaos();
    }
    let mut outcome = answering.finish(rcode, happened);
    if let Some(tsig) = tsig {
        let limit = reply_limit(query, request.transport);
        outcome.reply_len = tsig.append_to(frame, outcome.reply_len, limit);
    }
    outcome
}

/// Ignores options that mean nothing on this transport: a datagram has no connection to keep (RFC 7828 section
/// 3.2.1), and HTTP and QUIC have their own ways to say so (RFC 8484 section 5.1, RFC 9250 section 5.5.2).
#[inline]
fn forget_what_does_not_count(query: &mut Query, transport: Transport) {
    let is_kept = matches!(transport, Transport::Tcp | Transport::Tls);
    if let (Some(edns), false) = (&mut query.edns, is_kept) {
        edns.keepalive = false;
    }
}

/// Replies to what has no question with the header alone, or not at all.
fn refuse_packet(frame: &mut [u8], fault: Fault) -> Outcome {
    match fault.rcode() {
        Some(rcode) => {
            let reply_len = write_header_only(frame, rcode);
            Outcome {
                reply_len,
                rcode: Some(rcode),
                truncated: false,
                happened: Happened::Malformed(fault),
            }
        }
        None => Outcome {
            reply_len: 0,
            rcode: None,
            truncated: false,
            happened: Happened::Malformed(fault),
        },
    }
}

/// The code for queries that no zone can answer, malformed ones first.
#[inline]
fn unanswerable(query: &Query) -> Option<(Rcode, Happened)> {
    if let Some(fault) = query.fault {
        let rcode = fault.rcode().expect("faults behind a question have a code");
        return Some((rcode, Happened::Malformed(fault)));
    }
    unanswerable_rcode(query).map(|rcode| (rcode, Happened::Unanswerable))
}

/// The code for well-formed queries that no zone can answer.
#[inline]
fn unanswerable_rcode(query: &Query) -> Option<Rcode> {
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Some(Rcode::BadVers);
    }
    if query.tsig.is_some() {
        return Some(Rcode::NotAuth);
    }
    if query.qclass != CLASS_IN {
        return Some(Rcode::Refused);
    }
    match query.qtype {
        RecordType(0) | RecordType::OPT => Some(Rcode::FormErr),
        RecordType::AXFR | RecordType::IXFR => Some(Rcode::Refused),
        RecordType::ANY => None,
        // Meta types ask for something other than data (RFC 6895 section 3.1).
        RecordType(128..=255) => Some(Rcode::NotImp),
        _ => None,
    }
}

/// Most octets of the reply.
#[inline]
fn reply_limit(query: &Query, transport: Transport) -> usize {
    match (transport, &query.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => {
            usize::from(u16::MAX)
        }
        (Transport::Udp, None) => UDP_REPLY_PLAIN,
        // RFC 6891 section 6.2.3: sizes below 512 are taken as 512.
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.udp_size).clamp(UDP_REPLY_PLAIN, UDP_REPLY_MAX)
        }
    }
}

/// The options of a reply that says nothing of clients.
fn plain_options<'a>(query: &Query, identity: &'a [u8]) -> ReplyOptions<'a> {
    let edns = query.edns.filter(|edns| edns.version == 0);
    ReplyOptions {
        ecs: edns.and_then(|edns| edns.ecs).map(|ecs| (ecs, 0)),
        nsid: edns.filter(|edns| edns.nsid && !identity.is_empty()).map(|_| identity),
        keepalive: edns.filter(|edns| edns.keepalive).map(|_| KEEPALIVE),
        ede: None,
    }
}
