//! Class CH: what the server says of itself (RFC 4892).

use crate::answer::CLASS_CH;
use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::data::Answering;
use crate::wire::Qname;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::writer::Full;

/// What `version.bind` says, as operators know it from other servers.
const VERSION: &str = concat!("Rhumb ", env!("CARGO_PKG_VERSION"));

/// The text of a name in class CH; `None` for names that nobody has and for an identity that is not set.
fn text_of<'a>(qname: &Qname, qtype: RecordType, identity: &'a [u8]) -> Option<&'a [u8]> {
    if qtype != RecordType::TXT && qtype != RecordType::ANY {
        return None;
    }
    match qname.as_wire() {
        b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => {
            (!identity.is_empty()).then_some(identity)
        }
        b"\x07version\x06server\x00" | b"\x07version\x04bind\x00" => Some(VERSION.as_bytes()),
        _ => None,
    }
}

impl Answering<'_> {
    /// Answers a question of class CH; REFUSED is for all that is not said.
    pub(super) fn answer_chaos(mut self) -> Outcome {
        if let Some(asked) = self.asks_why() {
            return self.answer_why(&asked, CLASS_CH);
        }
        if self.asks_standing() {
            return self.answer_standing(CLASS_CH);
        }
        let text =
            text_of(&self.query.qname, self.query.qtype, &self.snapshot.compiled.node.identity);
        let Some(text) = text else { return self.finish(Rcode::Refused, Happened::Unanswerable) };
        match self.writer.put_text(CLASS_CH, text) {
            Ok(()) => self.writer.set_authoritative(),
            Err(Full) => self.truncate(),
        }
        self.finish(Rcode::NoError, Happened::Static)
    }
}
