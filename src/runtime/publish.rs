//! The one place that stores a snapshot for others to load.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::snapshot::Snapshot;

/// Where readers find the snapshot in force.
pub type Published = Arc<ArcSwap<Snapshot>>;

/// The only writer of a [`Published`].
#[derive(Debug)]
pub struct Publisher {
    published: Published,
    /// Snapshots that a worker may still hold. Freed here once it does not, so that no worker ever frees memory.
    retired: Vec<Arc<Snapshot>>,
}

impl Publisher {
    /// Publishes a first snapshot.
    pub fn new(first: Arc<Snapshot>) -> Self {
        Self { published: Arc::new(ArcSwap::new(first)), retired: Vec::new() }
    }

    /// What readers load from.
    pub fn published(&self) -> Published {
        Arc::clone(&self.published)
    }

    /// Puts a snapshot in force; every query that begins from now on sees it.
    pub fn publish(&mut self, next: Arc<Snapshot>) {
        let before = self.published.swap(next);
        self.retired.push(before);
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}
