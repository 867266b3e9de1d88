//! Which node answers, and with what: `_status.ZONE TXT`, and NSID (RFC 5001) for those who may ask why.
//!
//! Only for clients that the node's file allows; to all others NSID says the identity alone, and the name is like any other.
//! The text was made when the snapshot was published: nothing is made here for a query of anybody else.

use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::Request;
use crate::answer::data::Answering;
use crate::model::Disclosure;
use crate::snapshot::Snapshot;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::Query;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::writer::Full;

/// The label that asks for the node, with its length.
const LABEL: &[u8] = b"\x07_status";

/// What NSID says to a client.
#[inline]
pub(super) fn nsid<'a>(snapshot: &'a Snapshot, request: &Request, query: &Query) -> &'a [u8] {
    let node = &snapshot.compiled.node;
    // Nearly no query asks.
    if query.edns.is_none_or(|edns| !edns.nsid) || snapshot.standing.is_empty() {
        return &node.identity;
    }
    match node.explain.of(request.client) {
        Disclosure::Full | Disclosure::Redacted => &snapshot.standing,
        Disclosure::Nothing => &node.identity,
    }
}

impl Answering<'_> {
    /// Whether the query asks for the node and may: a zone of ours behind the label, and a client that is told.
    #[inline]
    pub(super) fn asks_standing(&self) -> bool {
        // Nearly every query for a text ends here.
        let wire = self.query.qname.as_wire();
        wire.starts_with(LABEL) && self.may_ask_standing(wire)
    }

    #[cold]
    fn may_ask_standing(&self, wire: &[u8]) -> bool {
        let is_text = matches!(self.query.qtype, RecordType::TXT | RecordType::ANY);
        let access = &self.snapshot.compiled.node.explain;
        if !is_text || access.of(self.request.client) == Disclosure::Nothing {
            return false;
        }
        let Some(apex) = Name::from_wire(&wire[LABEL.len()..]) else { return false };
        let apex = Qname::from(&apex);
        let found = self.snapshot.compiled.zones.find(&apex);
        found.is_some_and(|found| found.zone.is_apex(&apex))
    }

    /// Answers with the node, its generation and its digests, and the version of the program.
    #[cold]
    pub(super) fn answer_standing(mut self, class: u16) -> Outcome {
        let version = concat!("Rhumb ", env!("CARGO_PKG_VERSION")).as_bytes();
        let texts = [&*self.snapshot.standing, version];
        let mut texts = texts.into_iter().filter(|text| !text.is_empty());
        match texts.try_for_each(|text| self.writer.put_text(class, text)) {
            Ok(()) => self.writer.set_authoritative(),
            Err(Full) => self.truncate(),
        }
        self.finish(Rcode::NoError, Happened::Explained)
    }
}
