//! What the TCP service counts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// A counter that every connection's task may raise.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it stands at.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters by name.
#[derive(Default)]
pub(crate) struct Cells {
    pub(crate) accepted: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) evicted: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) write_timed_out: Counter,
    pub(crate) malformed: Counter,
    pub(crate) closed: Counter,
    pub(crate) received: Counter,
    pub(crate) replies: Counter,
    pub(crate) dropped: Counter,
    pub(crate) panics: Counter,
    pub(crate) handshake_failed: Counter,
}

/// A handle on a TCP service's counters.
#[derive(Clone, Default)]
pub struct TcpCounters {
    pub(crate) cells: Arc<Cells>,
}

impl std::fmt::Debug for TcpCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.totals().fmt(f)
    }
}

impl TcpCounters {
    /// What they stand at.
    pub fn totals(&self) -> TcpTotals {
        // Read first: a connection that closes meanwhile then counts as open, never as less than none.
        let closed = self.cells.closed.get();
        let accepted = self.cells.accepted.get();
        TcpTotals {
            accepted,
            open: accepted - closed,
            accept_errors: self.cells.accept_errors.get(),
            evicted: self.cells.evicted.get(),
            timed_out: self.cells.timed_out.get(),
            write_timed_out: self.cells.write_timed_out.get(),
            malformed: self.cells.malformed.get(),
            received: self.cells.received.get(),
            replies: self.cells.replies.get(),
            dropped: self.cells.dropped.get(),
            panics: self.cells.panics.get(),
            handshake_failed: self.cells.handshake_failed.get(),
        }
    }
}

/// Connections and queries since the start; only `open` goes up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpTotals {
    /// Connections taken.
    pub accepted: u64,
    /// Connections there are now.
    pub open: u64,
    /// Connections that failed before we had them, and calls refused for want of descriptors.
    pub accept_errors: u64,
    /// Idle connections closed for the sake of a new one.
    pub evicted: u64,
    /// Connections closed because no query came in time.
    pub timed_out: u64,
    /// Connections closed because the client did not read its replies.
    pub write_timed_out: u64,
    /// Connections closed because of a length of 0.
    pub malformed: u64,
    /// Complete queries.
    pub received: u64,
    /// Replies made; those of a connection that breaks are lost in part.
    pub replies: u64,
    /// Queries without a reply; they close their connection.
    pub dropped: u64,
    /// Times that the responder panicked.
    pub panics: u64,
    /// Connections that did not finish their handshake, be it by time or by fault; none without encryption.
    pub handshake_failed: u64,
}
