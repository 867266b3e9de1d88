//! What listeners ask of the data plane.

use crate::answer::Request;

/// Answers queries for one listener thread or task.
///
/// A clone belongs to one thread: it may hold that thread's counters.
pub trait Respond: Clone + Send + 'static {
    /// Called once before a batch of queries: loads the snapshot and the clock.
    fn begin_batch(&mut self);

    /// Called once after the last query of a batch: lets go of the snapshot, so that an idle thread keeps none.
    fn end_batch(&mut self) {}

    /// Turns the query in `frame[..query_len]` into a reply in the same octets.
    ///
    /// Returns the reply's length in octets; 0 means that nothing is sent. `frame` is at least as long as
    /// `query_len`; the reply never exceeds `frame.len()`.
    fn respond(&mut self, request: &Request, frame: &mut [u8], query_len: usize) -> usize;

    /// The current second since 1970, as of the last [`Respond::begin_batch`].
    fn unix_s(&self) -> u64;
}
