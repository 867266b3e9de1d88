//! Pads replies to clients that pad their queries (RFC 7830, RFC 8467).

use crate::answer::Request;
use crate::runtime::respond::Respond;
use crate::wire::options;

/// A responder whose replies are padded when their queries are.
#[derive(Clone)]
pub(super) struct Padded<R>(pub(super) R);

impl<R: Respond> Respond for Padded<R> {
    fn begin_batch(&mut self) {
        self.0.begin_batch();
    }

    fn end_batch(&mut self) {
        self.0.end_batch();
    }

    fn respond(&mut self, request: &Request, frame: &mut [u8], query_len: usize) -> usize {
        let is_padded = options::has_option(&frame[..query_len], options::PADDING);
        let reply_len = self.0.respond(request, frame, query_len);
        if is_padded { options::pad(frame, reply_len) } else { reply_len }
    }

    fn unix_s(&self) -> u64 {
        self.0.unix_s()
    }
}
