//! What the cluster's connections and engine count.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::cluster::door::Refusals;

/// Counters, all since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Octets that were read of sockets, TLS and strangers included.
    pub octets_in: AtomicU64,
    /// Octets that were written.
    pub octets_out: AtomicU64,
    /// Frames that were read.
    pub frames_in: AtomicU64,
    /// How often something was written, one frame or several.
    pub writes: AtomicU64,
    /// Connections of members, whoever dialled.
    pub connections: AtomicU64,
    /// Handshakes that came to nothing.
    pub handshakes_failed: AtomicU64,
    /// Connections that were closed at once, as too many handshakes were under way.
    pub handshakes_shed: AtomicU64,
    /// Messages of a bus that came faster than they were taken in.
    pub bus_dropped: AtomicU64,
    /// Connections that were cut because the peer did not read or speak.
    pub cut_slow: AtomicU64,
    /// Values that were sent to peers.
    pub pushed: AtomicU64,
    /// How often a peer was told what this node has, as it had something else.
    pub compared: AtomicU64,
    /// How often the engine began again after a fault.
    pub engine_restarts: AtomicU64,
    /// Values that were said.
    pub values_said: AtomicU64,
    /// Values that were heard, each once.
    pub values_heard: AtomicU64,
    /// Pieces of bundles and tables that were given.
    pub pieces_given: AtomicU64,
    /// Pieces that were taken.
    pub pieces_taken: AtomicU64,
    /// Pieces that were not what they were asked for.
    pub pieces_wrong: AtomicU64,
    refused: Mutex<Refusals>,
}

impl Counters {
    /// Adds one.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Adds some.
    pub(super) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Relaxed);
    }

    /// Adds what the door refused.
    pub(super) fn refuse(&self, refusals: Refusals) {
        if refusals.sum() > 0 {
            self.refused.lock().expect("nobody panics while counting").add(refusals);
        }
    }

    /// What the door refused.
    pub fn refused(&self) -> Refusals {
        *self.refused.lock().expect("nobody panics while counting")
    }
}
