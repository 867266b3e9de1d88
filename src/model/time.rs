//! The moment an event is handled, given by the shell.

use std::time::Duration;

/// One instant on both clocks.
///
/// Freshness uses `monotonic`; buckets, expiries and what people read use `unix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Time since the process started; never goes back.
    pub monotonic: Duration,
    /// Time since 1970-01-01T00:00:00Z; may jump.
    pub unix: Duration,
}
