//! Joins the data plane to the listeners: snapshot, clock and counters of one thread.

use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use arc_swap::Guard;

use crate::answer::Request;
use crate::answer::answer;
use crate::runtime::metrics::Metrics;
use crate::runtime::metrics::QueryCells;
use crate::runtime::publish::Published;
use crate::runtime::respond::Respond;
use crate::snapshot::Snapshot;

/// Answers from the snapshot in force. A clone has its own counters.
pub struct Answerer {
    published: Published,
    /// Held from the start of a batch to its end: an idle thread keeps no old snapshot alive.
    snapshot: Option<Guard<Arc<Snapshot>>>,
    unix_s: u64,
    metrics: Arc<Metrics>,
    cells: Arc<QueryCells>,
}

impl Answerer {
    /// Answers from what is `published`, counted in `metrics`.
    pub fn new(published: Published, metrics: Arc<Metrics>) -> Self {
        let cells = metrics.add_query_cells();
        Self { published, snapshot: None, unix_s: unix_s(), metrics, cells }
    }
}

impl Clone for Answerer {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.published), Arc::clone(&self.metrics))
    }
}

impl Respond for Answerer {
    fn begin_batch(&mut self) {
        self.snapshot = Some(self.published.load());
        self.unix_s = unix_s();
    }

    fn end_batch(&mut self) {
        self.snapshot = None;
    }

    #[inline]
    fn respond(&mut self, request: &Request, frame: &mut [u8], query_len: usize) -> usize {
        let snapshot = self.snapshot.as_ref().expect("listeners begin a batch before its queries");
        let outcome = answer(snapshot, request, frame, query_len);
        self.cells.count(request.transport, &outcome);
        outcome.reply_len
    }

    fn unix_s(&self) -> u64 {
        self.unix_s
    }
}

/// The second it is, since 1970.
pub fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The millisecond it is, since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
