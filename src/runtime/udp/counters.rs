//! What the workers count: one writer a cell, summed when read.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// A counter that one thread writes and any thread reads.
#[derive(Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Adds without a locked instruction: only the owner writes.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// What it stands at.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One worker's counters, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Cells {
    pub(crate) received: Cell,
    pub(crate) sent: Cell,
    pub(crate) dropped: Cell,
    pub(crate) truncated: Cell,
    pub(crate) send_errors: Cell,
    pub(crate) receive_errors: Cell,
    pub(crate) panics: Cell,
}

/// A handle on all workers' counters.
#[derive(Clone)]
pub struct UdpCounters {
    workers: Arc<[Arc<Cells>]>,
}

impl std::fmt::Debug for UdpCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.totals().fmt(f)
    }
}

impl UdpCounters {
    /// Reads from these cells, one a worker.
    pub(crate) fn new(workers: Vec<Arc<Cells>>) -> UdpCounters {
        UdpCounters { workers: workers.into() }
    }

    /// The sums over all workers.
    pub fn totals(&self) -> UdpTotals {
        let parts = self.workers();
        parts.fold(UdpTotals::default(), |sum, part| UdpTotals {
            received: sum.received + part.received,
            sent: sum.sent + part.sent,
            dropped: sum.dropped + part.dropped,
            truncated: sum.truncated + part.truncated,
            send_errors: sum.send_errors + part.send_errors,
            receive_errors: sum.receive_errors + part.receive_errors,
            panics: sum.panics + part.panics,
        })
    }

    /// Each worker's figures, in the order of the threads' numbers.
    pub fn workers(&self) -> impl Iterator<Item = UdpTotals> {
        self.workers.iter().map(|cells| UdpTotals {
            received: cells.received.get(),
            sent: cells.sent.get(),
            dropped: cells.dropped.get(),
            truncated: cells.truncated.get(),
            send_errors: cells.send_errors.get(),
            receive_errors: cells.receive_errors.get(),
            panics: cells.panics.get(),
        })
    }
}

/// Datagrams since the start.
///
/// A batch is counted when it is done; `received` is then the sum of `sent`, `dropped`, `truncated`
/// and `send_errors`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpTotals {
    /// All that came.
    pub received: u64,
    /// Replies that the kernel took.
    pub sent: u64,
    /// Queries that get no reply, those that made the responder panic included.
    pub dropped: u64,
    /// Queries longer than a receive buffer.
    pub truncated: u64,
    /// Replies that the kernel refused: full buffer, firewall, impossible address.
    pub send_errors: u64,
    /// Failed receive calls.
    pub receive_errors: u64,
    /// Times that the responder panicked.
    pub panics: u64,
}
