//! How fast a peer may have values verified: a signature takes 80 us, and there are answers to give.
//!
//! Who sends more waits: nothing is read of it meanwhile, so that it has the newest of what it wants to say once it may.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::NodeName;

/// Values of a peer in a second, in the long run: a sixth of a core. It is what a node says whose 391 shards all change five
/// times a second.
const A_SECOND: f64 = 2_000.0;

/// Values of a peer at once. Who joins a cluster of 30 nodes with 50,176 targets may have all of it by one peer: 196 shards of
/// votes and 196 of round-trip times of each make 11,760 values, and there are 4,096 records at most.
const AT_ONCE: f64 = 16_384.0;

/// How many values each peer may send, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<BTreeMap<NodeName, Pace>>);

#[derive(Debug)]
struct Pace {
    left: f64,
    at: Instant,
}

impl Paces {
    /// Takes in that so many values of a peer, a member, were verified; how long nothing of it is to be read.
    pub(super) fn take(&self, node: &NodeName, values: usize, now: Instant) -> Duration {
        let mut paces = self.0.lock().expect("nobody panics with the lock");
        let new = || Pace { left: AT_ONCE, at: now };
        let pace = paces.entry(node.clone()).or_insert_with(new);
        let since = now.saturating_duration_since(pace.at).as_secs_f64();
        pace.left = (pace.left + since * A_SECOND).min(AT_ONCE) - values as f64;
        pace.at = now;
        Duration::from_secs_f64((-pace.left / A_SECOND).max(0.0))
    }

    /// Forgets nodes that are no members any more.
    pub(super) fn retain(&self, is_member: impl Fn(&NodeName) -> bool) {
        self.0.lock().expect("nobody panics with the lock").retain(|node, _| is_member(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_fill_is_not_held_up_and_a_flood_is_slowed_down_over_all_connections() {
        let (paces, start) = (Paces::default(), Instant::now());
        let (node, other) = (NodeName::parse("b").unwrap(), NodeName::parse("c").unwrap());
        // 30 nodes, 196 shards of votes and of round-trip times, by one peer.
        for _ in 0..30 {
            assert_eq!(paces.take(&node, 2 * 196, start), Duration::ZERO);
        }
        assert_eq!(paces.take(&other, 100, start), Duration::ZERO);
        let mut now = start;
        for _ in 0..1000 {
            now += paces.take(&node, 256, now);
        }
        let seconds = (now - start).as_secs_f64();
        let least = (1000.0 * 256.0 + 11_760.0 - AT_ONCE) / A_SECOND;
        assert!((seconds - least).abs() < 1.0, "{seconds} s, {least}");
        assert_eq!(paces.take(&other, 100, now), Duration::ZERO, "another one does not wait");
        assert!(paces.take(&node, 0, now).is_zero());
        let rested = now + Duration::from_secs(60);
        assert_eq!(paces.take(&node, AT_ONCE as usize, rested), Duration::ZERO);
        assert!(paces.take(&node, 1, rested) > Duration::ZERO);
        assert!(paces.take(&node, 0, rested) > Duration::ZERO, "it is spent");
        assert!(paces.take(&node, 0, rested + Duration::from_millis(1)).is_zero());
    }
}
