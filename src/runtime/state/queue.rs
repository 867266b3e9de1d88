//! What waits to be written. Whoever puts something in never waits; what is too much becomes one entry.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::control::stored::Entry;
use crate::control::stored::Kept;
use crate::rtt::Table;
use crate::runtime::state::lock;

/// Entries that wait one by one, at most.
const ENTRIES_MAX: usize = 4096;

/// Whether it is on disk, or why not.
pub type Saved = Result<(), String>;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Batch>,
    wake: Condvar,
}

/// What is written at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: VecDeque<Entry>,
    /// What is served from them on; only the newest.
    pub(super) kept: Option<Box<Kept>>,
    /// What was learnt of round-trip times; only the newest.
    pub(super) latest: Option<Arc<Table>>,
    /// Who wants to know.
    pub(super) askers: Vec<oneshot::Sender<Saved>>,
    pub(super) stops: bool,
}

impl Batch {
    fn is_idle(&self) -> bool {
        let has_content = self.kept.is_some() || self.latest.is_some();
        self.entries.is_empty() && !has_content && self.askers.is_empty() && !self.stops
    }

    fn is_urgent(&self) -> bool {
        !self.askers.is_empty() || self.stops
    }

    /// Makes one entry of all.
    pub(super) fn merge(&mut self) {
        let Some(mut first) = self.entries.pop_front() else { return };
        self.entries.drain(..).for_each(|next| first.absorb(next));
        first.compact();
        self.entries.push_back(first);
    }
}

impl Queue {
    pub(super) fn push(&self, entry: Entry) {
        let mut waiting = lock(&self.waiting);
        waiting.entries.push_back(entry);
        if waiting.entries.len() > ENTRIES_MAX {
            waiting.merge();
        }
        self.wake.notify_one();
    }

    pub(super) fn keep(&self, kept: Box<Kept>) {
        lock(&self.waiting).kept = Some(kept);
        self.wake.notify_one();
    }

    pub(super) fn keep_table(&self, table: Arc<Table>) {
        lock(&self.waiting).latest = Some(table);
        self.wake.notify_one();
    }

    pub(super) fn wait(&self) -> oneshot::Receiver<Saved> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).askers.push(sender);
        self.wake.notify_one();
        receiver
    }

    pub(super) fn stop(&self) {
        lock(&self.waiting).stops = true;
        self.wake.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.waiting).entries.len()
    }

    /// Waits for something, at most `patience`; then a little for more, unless somebody waits for it. Stays stopped.
    pub(super) fn take(&self, patience: Duration, gathering: Duration) -> Batch {
        let idle = |batch: &mut Batch| batch.is_idle();
        let waiting = lock(&self.waiting);
        let Ok((waiting, _)) = self.wake.wait_timeout_while(waiting, patience, idle) else {
            return Batch::default();
        };
        let patient = |batch: &mut Batch| !batch.is_urgent();
        let gathering = if waiting.is_idle() { Duration::ZERO } else { gathering };
        let Ok((mut waiting, _)) = self.wake.wait_timeout_while(waiting, gathering, patient) else {
            return Batch::default();
        };
        let stops = waiting.stops;
        Batch { stops, ..std::mem::replace(&mut waiting, Batch { stops, ..Batch::default() }) }
    }

    /// Puts back what could not be written, before what has come since.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut waiting = lock(&self.waiting);
        for entry in batch.entries.into_iter().rev() {
            waiting.entries.push_front(entry);
        }
        if waiting.entries.len() > ENTRIES_MAX {
            waiting.merge();
        }
        waiting.kept = waiting.kept.take().or(batch.kept);
        waiting.latest = waiting.latest.take().or(batch.latest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: u64) -> Entry {
        Entry { at: Duration::from_secs(seconds), ..Entry::default() }
    }

    #[test]
    fn what_is_too_much_becomes_one_entry_and_the_order_stays() {
        let queue = Queue::default();
        (0..=ENTRIES_MAX as u64).for_each(|at| queue.push(entry(at)));
        queue.push(entry(9_000));
        let batch = queue.take(Duration::ZERO, Duration::ZERO);
        let ats: Vec<u64> = batch.entries.iter().map(|entry| entry.at.as_secs()).collect();
        assert_eq!(ats, [ENTRIES_MAX as u64, 9_000]);
        assert_eq!(batch.entries[0].gap_since, Some(Duration::ZERO));
        queue.push(entry(9_001));
        queue.put_back(batch);
        let batch = queue.take(Duration::ZERO, Duration::ZERO);
        let ats: Vec<u64> = batch.entries.iter().map(|entry| entry.at.as_secs()).collect();
        assert_eq!(ats, [ENTRIES_MAX as u64, 9_000, 9_001]);
    }

    #[test]
    fn a_stop_is_seen_by_every_later_look() {
        let queue = Queue::default();
        queue.stop();
        assert!([0; 2].iter().all(|_| queue.take(Duration::MAX, Duration::MAX).stops));
    }
}
