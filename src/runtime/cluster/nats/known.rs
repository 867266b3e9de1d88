//! Up to where each node's values are known without a gap, and when to ask for what is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Generation;
use crate::cluster::NodeName;
use crate::runtime::cluster::nats::message::Ask;

/// Least time between two asks of one node: an answer takes its time.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The life of a node that was not heard yet.
const UNKNOWN: Generation = Generation(0);

/// What is known of each node.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<NodeName, Page>);

#[derive(Debug)]
struct Page {
    generation: Generation,
    up_to: u64,
    asked: Option<Instant>,
}

impl Known {
    /// Takes in that a value was let in. Whether something before it is missing.
    pub(super) fn take(
        &mut self,
        node: &NodeName,
        generation: Generation,
        (after, sequence): (u64, u64),
    ) -> bool {
        let page = self.page(node);
        if page.generation < generation {
            // Whoever has just joined has asked already, before it knew the life.
            let asked = page.asked.filter(|_| page.generation == UNKNOWN);
            *page = Page { generation, up_to: 0, asked };
        }
        if page.generation > generation {
            return false;
        }
        let is_missing = after > page.up_to;
        if !is_missing {
            page.up_to = page.up_to.max(sequence);
        }
        is_missing
    }

    /// What to ask a node for of which something is missing, unless that was asked for just now.
    pub(super) fn ask_again(&mut self, node: &NodeName, now: Instant) -> Option<Ask> {
        let was_asked = |asked: Instant| now < asked + ASK_EVERY;
        (!self.page(node).asked.is_some_and(was_asked)).then(|| self.ask(node, now))
    }

    /// What to ask a node for when nobody knows what was missed.
    pub(super) fn ask(&mut self, node: &NodeName, now: Instant) -> Ask {
        let page = self.page(node);
        page.asked = Some(now);
        Ask { generation: page.generation, since: page.up_to }
    }

    /// Forgets nodes of which nothing is known any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(&NodeName) -> bool) {
        self.0.retain(|node, _| is_known(node));
    }

    fn page(&mut self, node: &NodeName) -> &mut Page {
        let new = || Page { generation: UNKNOWN, up_to: 0, asked: None };
        self.0.entry(node.clone()).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Generation = Generation(5);

    fn node() -> NodeName {
        NodeName::parse("b").unwrap()
    }

    #[test]
    fn a_gap_is_asked_for_once_a_second_until_it_is_filled() {
        let (mut known, start) = (Known::default(), Instant::now());
        let mut take = |after, sequence, ms| {
            let now = start + Duration::from_millis(ms);
            let is_missing = known.take(&node(), LIFE, (after, sequence));
            is_missing.then(|| known.ask_again(&node(), now)).flatten().map(|ask| ask.since)
        };
        assert_eq!(take(0, 1, 0), None);
        assert_eq!(take(1, 2, 1), None);
        assert_eq!(take(4, 5, 2), Some(2), "3 and 4 are missing");
        assert_eq!(take(5, 6, 3), None, "that was asked for");
        assert_eq!(take(6, 7, 1_002), Some(2), "and did not come");
        assert_eq!(take(2, 4, 1_003), None);
        assert_eq!(take(4, 7, 1_004), None, "the answer");
        assert_eq!(take(7, 8, 5_000), None);
        assert_eq!(take(3, 4, 5_001), None, "what comes twice is no gap");
        assert_eq!(take(8, 9, 5_002), None);
    }

    #[test]
    fn a_new_life_is_asked_for_everything_and_an_old_one_for_nothing() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert!(!known.take(&node(), LIFE, (0, 9)));
        let later = Generation(6);
        assert!(known.take(&node(), later, (3, 4)));
        let ask = known.ask_again(&node(), now);
        assert_eq!(ask, Some(Ask { generation: later, since: 0 }));
        assert!(!known.take(&node(), LIFE, (20, 21)));
    }

    #[test]
    fn after_a_break_a_node_is_asked_for_what_came_after_the_last_that_is_known() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.ask(&node(), now), Ask { generation: Generation(0), since: 0 });
        assert!(known.take(&node(), LIFE, (7, 8)));
        assert_eq!(known.ask_again(&node(), now), None, "the answer is on its way");
        assert!(!known.take(&node(), LIFE, (0, 7)));
        assert!(!known.take(&node(), LIFE, (7, 9)));
        assert_eq!(known.ask(&node(), now), Ask { generation: LIFE, since: 9 });
        known.retain(|_| false);
        assert_eq!(known.ask(&node(), now).since, 0);
    }
}
