//! A desk: a responder with the large buffers it needs, lent to one connection at a time.
//!
//! There are as many as threads have ever answered at once, however many connections there are.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::answer::Request;
use crate::runtime::respond::Respond;

/// Octets of the length in front of a message (RFC 1035 section 4.2.2).
pub(crate) const PREFIX: usize = 2;

/// Longest message that the length can tell.
pub(crate) const MESSAGE_MAX: usize = 65_535;

/// Octets of replies after which they are written.
const REPLIES_ENOUGH: usize = 65_536;

/// Why answering paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// All complete queries are answered.
    NeedInput,
    /// Write first, more may be left.
    EnoughReplies,
    /// A length of 0: the framing is lost, or never was.
    Malformed,
    /// A query got no reply.
    Dropped,
    /// The responder panicked.
    Panicked,
}

/// What one turn did.
pub(crate) struct Turn {
    /// Octets of input that are done with.
    pub(crate) consumed: usize,
    /// Complete queries among them, the one that ended the turn included.
    pub(crate) queries: usize,
    /// Why it ended.
    pub(crate) pause: Pause,
}

/// A responder and room for a turn's replies.
pub(crate) struct Desk<R> {
    respond: R,
    replies: Vec<u8>,
    used: usize,
}

impl<R: Respond> Desk<R> {
    /// Makes one; `replies` always has room for one more message of the full length.
    fn new(respond: R) -> Desk<R> {
        Desk { respond, replies: vec![0; REPLIES_ENOUGH + PREFIX + MESSAGE_MAX], used: 0 }
    }

    /// The framed replies of the last turn.
    pub(crate) fn replies(&self) -> &[u8] {
        &self.replies[..self.used]
    }

    /// Answers the complete queries at the start of `input`, at most `max_queries`.
    pub(crate) fn answer(&mut self, request: Request, input: &[u8], max_queries: usize) -> Turn {
        self.used = 0;
        let mut turn = Turn { consumed: 0, queries: 0, pause: Pause::NeedInput };
        let all = AssertUnwindSafe(|| self.answer_all(request, input, max_queries, &mut turn));
        turn.pause = catch_unwind(all).unwrap_or(Pause::Panicked);
        self.respond.end_batch();
        turn
    }

    /// The loop of [`Desk::answer`]; leaves its progress in `turn`, should the responder panic.
    fn answer_all(
        &mut self,
        mut request: Request,
        input: &[u8],
        max_queries: usize,
        turn: &mut Turn,
    ) -> Pause {
        self.respond.begin_batch();
        request.unix_s = self.respond.unix_s();
        loop {
            if self.used >= REPLIES_ENOUGH || turn.queries >= max_queries.max(1) {
                return Pause::EnoughReplies;
            }
            let Some((length, rest)) = input[turn.consumed..].split_first_chunk::<PREFIX>() else {
                return Pause::NeedInput;
            };
            let query_len = usize::from(u16::from_be_bytes(*length));
            if query_len == 0 {
                return Pause::Malformed;
            }
            let Some(query) = rest.get(..query_len) else { return Pause::NeedInput };
            turn.consumed += PREFIX + query_len;
            turn.queries += 1;
            let Some(reply_len) = self.answer_one(&request, query) else { return Pause::Dropped };
            self.used += reply_len;
        }
    }

    /// Answers one query behind the replies there are; returns the octets added.
    fn answer_one(&mut self, request: &Request, query: &[u8]) -> Option<usize> {
        let (length, rest) = self.replies[self.used..].split_first_chunk_mut::<PREFIX>()?;
        let frame = &mut rest[..MESSAGE_MAX];
        frame[..query.len()].copy_from_slice(query);
        let reply_len = self.respond.respond(request, frame, query.len());
        assert!(reply_len <= MESSAGE_MAX, "a reply fits its frame");
        *length = (reply_len as u16).to_be_bytes();
        (reply_len > 0).then_some(PREFIX + reply_len)
    }
}

/// All desks of a server that are not in use.
pub(crate) struct Desks<R> {
    free: Mutex<(R, Vec<Desk<R>>)>,
}

impl<R: Respond> Desks<R> {
    /// None yet; they are made from clones of `respond`.
    pub(crate) fn new(respond: R) -> Desks<R> {
        Desks { free: Mutex::new((respond, Vec::new())) }
    }

    /// Lends a desk for the time of `work`.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Desk<R>) -> T) -> T {
        let mut desk = {
            let (respond, desks) = &mut *self.free.lock().unwrap_or_else(PoisonError::into_inner);
            desks.pop().unwrap_or_else(|| Desk::new(respond.clone()))
        };
        let result = work(&mut desk);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).1.push(desk);
        result
    }
}
