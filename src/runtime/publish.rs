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
        self.free_retired();
    }

    /// Frees the snapshots that nobody uses any more. Called from time to time too: a reader may be done with one
    /// long before the next is published.
    pub fn free_retired(&mut self) {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Request;
    use crate::answer::Transport;
    use crate::geo::PlaceMap;
    use crate::model::Model;
    use crate::model::NodeTerms;
    use crate::runtime::answerer::Answerer;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::respond::Respond;
    use crate::snapshot::compile;
    use crate::snapshot::health::AllUnknown;
    use std::sync::Weak;

    fn snapshot(generation: u64) -> Arc<Snapshot> {
        let places = Arc::new(PlaceMap::empty());
        let compiled = compile(Model::default(), places, NodeTerms::default()).unwrap();
        Arc::new(Snapshot::new(Arc::new(compiled), generation, &AllUnknown))
    }

    #[test]
    fn a_snapshot_lives_until_the_last_batch_that_uses_it_and_is_freed_by_the_publisher() {
        let first = snapshot(1);
        let first_seen: Weak<Snapshot> = Arc::downgrade(&first);
        let mut publisher = Publisher::new(first);
        let template = Answerer::new(publisher.published(), Arc::new(Metrics::default()));
        let mut busy = template.clone();
        busy.begin_batch();
        publisher.publish(snapshot(2));
        assert!(first_seen.upgrade().is_some(), "a batch uses it");

        let client = "192.0.2.1".parse().unwrap();
        let request = Request { client, local: None, transport: Transport::Udp, unix_s: 0 };
        let mut frame = [0; 512];
        busy.respond(&request, &mut frame, 12);
        busy.end_batch();
        assert!(first_seen.upgrade().is_some(), "the thread that answers frees nothing");
        publisher.free_retired();
        assert!(first_seen.upgrade().is_none());
    }

    #[test]
    fn idle_answerers_keep_no_snapshot() {
        let mut publisher = Publisher::new(snapshot(1));
        let mut answerers =
            vec![Answerer::new(publisher.published(), Arc::new(Metrics::default())); 4];
        let mut seen = Vec::new();
        for (generation, answerer) in (2..).zip(&mut answerers) {
            answerer.begin_batch();
            answerer.end_batch();
            let next = snapshot(generation);
            seen.push(Arc::downgrade(&next));
            publisher.publish(next);
        }
        let alive = seen.iter().filter(|snapshot| snapshot.upgrade().is_some()).count();
        assert_eq!(alive, 1, "only the one in force");
    }
}
