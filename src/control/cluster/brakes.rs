//! The brake in a cluster: one server decides for all what is held and what is let go, and the others follow it.
//!
//! Each node holds at once by its own count, so that a failover waits for nobody. The scribe of the brake, the first of the
//! living servers for it, says what it holds; whoever has decided otherwise a few seconds ago does as the scribe did.
//!
//! ```text
//!   0   1                    9
//!   +---+--------------------+-----------+----------------+ - - -
//!   | 1 | digest of layout   | shard: 2  | held: 32 octets| more shards
//!   +---+--------------------+-----------+----------------+ - - -
//! ```

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Layout;
use crate::cluster::NodeName;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::Role;
use crate::cluster::Say;
use crate::cluster::Topic;
use crate::cluster::registry::first_of;
use crate::cluster::shard::SHARD_LEN;
use crate::control::Controller;
use crate::control::Effect;
use crate::model::Now;
use crate::model::TargetKey;
use crate::model::Verdict;

/// Name under which the brake has its scribe: one budget counts for all targets.
const BRAKE: &str = "brake";

/// Version that this one writes and reads.
const VERSION: u8 = 1;
/// Where shards begin.
const SHARDS: usize = 9;
/// Octets of a shard: its position, and a bit a target.
const SHARD_OCTETS: usize = 2 + SHARD_LEN / 8;

/// So old must a decision be before that of the scribe counts against it: by then the scribe has heard the same votes.
const FOLLOW_AFTER: Duration = Duration::from_secs(3);

/// Digest of a whole layout: positions mean the same only where it is the same.
fn digest(layout: &Layout) -> u64 {
    let digest = |shard: &crate::cluster::layout::Shard| match shard.topic {
        Topic::Votes { layout, .. } => layout,
        Topic::Beat | Topic::Rtt { .. } | Topic::State | Topic::Bundle | Topic::Record { .. } => 0,
    };
    layout
        .shards()
        .iter()
        .map(digest)
        .fold(0xcbf2_9ce4_8422_2325, |hash, next| (hash ^ next).wrapping_mul(0x0100_0000_01b3))
}

/// What is held, as it is said; `None` if it is too much for one value.
fn pack(layout: &Layout, held: &BTreeSet<usize>) -> Option<Box<[u8]>> {
    let mut shards: BTreeMap<usize, [u8; SHARD_LEN / 8]> = BTreeMap::new();
    for place in held {
        let position = layout.shard_of_place(*place);
        let bit = place - layout.shards()[position].start;
        shards.entry(position).or_default()[bit / 8] |= 1 << (bit % 8);
    }
    let mut octets = vec![VERSION];
    octets.extend(digest(layout).to_be_bytes());
    for (position, bits) in shards {
        octets.extend(u16::try_from(position).ok()?.to_be_bytes());
        octets.extend(bits);
    }
    (octets.len() <= PAYLOAD_MAX).then(|| octets.into())
}

/// What another node holds; `None` if it does not say, or by other files.
fn unpack(layout: &Layout, octets: &[u8]) -> Option<BTreeSet<usize>> {
    let (head, shards) = octets.split_at_checked(SHARDS)?;
    let is_of = head[0] == VERSION && head[1..] == digest(layout).to_be_bytes();
    if !is_of || shards.len() % SHARD_OCTETS != 0 {
        return None;
    }
    let mut held = BTreeSet::new();
    for shard in shards.chunks(SHARD_OCTETS) {
        let position = usize::from(u16::from_be_bytes([shard[0], shard[1]]));
        let shard_here = layout.shards().get(position)?;
        let is_held = |bit: &usize| shard[2 + bit / 8] >> (bit % 8) & 1 == 1;
        held.extend((0..shard_here.count).filter(is_held).map(|bit| shard_here.start + bit));
    }
    Some(held)
}

/// What the scribe has decided.
#[derive(Debug)]
pub(in crate::control) struct Decided {
    scribe: NodeName,
    held: BTreeSet<usize>,
}

impl Controller {
    /// What another node has decided for all; `None` if this one decides, or nobody is heard who does.
    pub(in crate::control) fn decided_brake(&self) -> Option<Decided> {
        let panel = self.cluster.as_ref()?;
        let living = panel.living_servers();
        let scribe = first_of(BRAKE, &living).filter(|scribe| *scribe != panel.own_name())?;
        let said = panel.book.page(scribe)?.words(Topic::State);
        Some(Decided { scribe: scribe.clone(), held: unpack(&panel.layout, said)? })
    }

    /// The place of a target that the brake knows: of a check that is made of others that of its first part.
    fn place_of_braked(&self, key: &TargetKey) -> Option<usize> {
        let layout = &self.cluster.as_ref()?.layout;
        layout.place_of(key).or_else(|| {
            let model = self.model().ok()?;
            let parts = self.find_target(key)?.parts(model);
            parts.iter().find_map(|part| layout.place_of(&part.key))
        })
    }

    /// Whether another node, which decides for all, holds a target that goes down here.
    pub(in crate::control) fn is_held_elsewhere(&self, key: &TargetKey) -> bool {
        let Some(decided) = self.decided_brake() else { return false };
        self.place_of_braked(key).is_some_and(|place| decided.held.contains(&place))
    }

    /// Does as the scribe did, where it has decided otherwise.
    pub(in crate::control) fn follow_brake(
        &mut self,
        decided: &Decided,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Decided { scribe, held } = decided;
        let is_settled = |at: Duration| now.monotonic >= at + FOLLOW_AFTER;
        let is_held = |controller: &Self, key: &TargetKey| {
            controller.place_of_braked(key).is_some_and(|place| held.contains(&place))
        };
        for (key, since) in self.held_since() {
            let is_open = is_settled(since) && !self.has_too_few_voters(&key);
            if is_open && !is_held(self, &key) {
                self.let_go_as(&key, &format!("let go at node {scribe}"), now, effects);
            }
        }
        for (key, at) in self.gone_since() {
            let is_down = self.verdict(&key) == Verdict::Down;
            if is_down && is_settled(at) && is_held(self, &key) {
                self.take_back(&key, &format!("held by the brake at node {scribe}"), now, effects);
            }
        }
    }

    /// Says what this node holds, if that is news.
    pub(in crate::control) fn say_brake(&mut self, effects: &mut Vec<Effect>) {
        let is_server = self.records.as_ref().is_some_and(|records| records.role == Role::Server);
        let Some(panel) = self.cluster.as_ref().filter(|_| is_server) else { return };
        let keys = self.braked_targets();
        let held = keys.iter().filter_map(|key| self.place_of_braked(key)).collect();
        // Too much to be said: each node decides by itself.
        let payload = pack(&panel.layout, &held).unwrap_or_default();
        let Some(records) = &mut self.records else { return };
        if records.said_brake.as_ref() != Some(&payload) {
            records.said_brake = Some(payload.clone());
            effects.push(Effect::Say(Say { topic: Topic::State, payload, urgent: true }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Placed;
    use crate::model::Family;
    use proptest::prelude::*;

    fn layout(count: usize) -> Layout {
        let placed = |number: usize| Placed {
            group: "".into(),
            key: TargetKey {
                endpoint: format!("p/{number:05}").into(),
                check: "web".into(),
                family: Family::V4,
                address: None,
            },
            address: [192, 0, 2, 1].into(),
            port: 80,
        };
        Layout::new((0..count).map(placed).collect())
    }

    proptest! {
        #[test]
        fn what_is_held_is_read_as_it_was_said(
            count in 1usize..2000, held in prop::collection::btree_set(0usize..2000, 0..50)
        ) {
            let layout = layout(count);
            let held: BTreeSet<usize> = held.into_iter().filter(|place| *place < count).collect();
            let said = pack(&layout, &held).unwrap();
            prop_assert_eq!(unpack(&layout, &said), Some(held));
            prop_assert_eq!(unpack(&self::layout(count + 1), &said), None, "other files");
        }

        #[test]
        fn any_octets_are_something_held_or_nothing(octets in prop::collection::vec(any::<u8>(), 0..99)) {
            let layout = layout(300);
            let mut octets = octets;
            octets.splice(0..0, digest(&layout).to_be_bytes());
            octets.insert(0, VERSION);
            let read = unpack(&layout, &octets);
            prop_assert!(read.iter().flatten().all(|place| *place < 300));
        }
    }

    #[test]
    fn more_than_a_value_takes_is_not_said() {
        let layout = layout(200 * SHARD_LEN);
        let all: BTreeSet<usize> = (0..200 * SHARD_LEN).collect();
        assert_eq!(pack(&layout, &all), None);
        assert!(pack(&layout, &(0..150 * SHARD_LEN).collect()).is_some());
    }
}
