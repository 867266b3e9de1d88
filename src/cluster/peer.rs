//! What one peer is to be told, and how far it is trusted to make work.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::topic::Slot;

/// Refused values that are borne at once, and how many more each second: honest peers pass on what was good where they are.
const WRONG_MAX: u32 = 5000;
const WRONG_A_SECOND: u32 = 50;

/// Longest wait before a peer is told the same sums again that were told in vain.
const VAIN_MAX: Duration = Duration::from_secs(8);

/// Values that somebody lacks: of each node these slots. What is in a slot is looked up when it is sent, so it is the newest.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    /// Nodes whose beats are lacking: they go before what any node says, or a node would die for what another one says.
    beats: BTreeSet<NodeName>,
    slots: BTreeMap<NodeName, BTreeSet<Slot>>,
}

impl Lacks {
    pub(super) fn insert(&mut self, node: &NodeName, slot: Slot) {
        match slot {
            Slot::BEAT => self.beats.insert(node.clone()),
            slot => self.slots.entry(node.clone()).or_default().insert(slot),
        };
    }

    pub(super) fn remove(&mut self, node: &NodeName, slot: Slot) {
        if slot == Slot::BEAT {
            self.beats.remove(node);
        } else if let Some(slots) = self.slots.get_mut(node) {
            slots.remove(&slot);
        }
    }

    pub(super) fn contains(&self, node: &NodeName, slot: Slot) -> bool {
        match slot {
            Slot::BEAT => self.beats.contains(node),
            slot => self.slots.get(node).is_some_and(|slots| slots.contains(&slot)),
        }
    }

    pub(super) fn pop(&mut self) -> Option<(NodeName, Slot)> {
        if let Some(node) = self.beats.pop_first() {
            return Some((node, Slot::BEAT));
        }
        while let Some(mut first) = self.slots.first_entry() {
            if let Some(slot) = first.get_mut().pop_first() {
                return Some((first.key().clone(), slot));
            }
            first.remove();
        }
        None
    }
}

/// A peer with whom there is a connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// Which connection: another one begins anew.
    pub(super) connection: u64,
    /// The latest life of this peer of which it knows: that in which it is, or a later one that it was told of.
    pub(super) life: Generation,
    /// When a frame of it came last.
    pub(super) heard_at: Option<Duration>,
    /// Whom it hears over connections of its own, once it has said so.
    pub(super) near: Option<BTreeSet<NodeName>>,
    /// Whether it is to be told whom this node hears.
    pub(super) tells_near: bool,
    /// Whether it is to be told what this node has.
    pub(super) tells_sums: bool,
    /// Nodes of which it is to be asked what it has.
    pub(super) asks: BTreeSet<NodeName>,
    urgent: Lacks,
    later: Lacks,
    /// When it was last answered about a node.
    pub(super) answered: BTreeMap<NodeName, Duration>,
    /// Until when it is not asked about a node, as that led to nothing.
    pub(super) shunned: BTreeMap<NodeName, Duration>,
    vain: Option<Vain>,
    wrong: u32,
    wrong_since: Duration,
}

/// Sums that differed the last time, and what was done about it.
#[derive(Debug)]
struct Vain {
    sums: (u64, u64),
    told_at: Duration,
    wait: Duration,
}

impl Peer {
    /// It has to be told everything.
    pub(super) fn new(connection: u64, life: Generation) -> Self {
        Self {
            connection,
            life,
            heard_at: None,
            near: None,
            tells_near: true,
            tells_sums: true,
            asks: BTreeSet::new(),
            urgent: Lacks::default(),
            later: Lacks::default(),
            answered: BTreeMap::new(),
            shunned: BTreeMap::new(),
            vain: None,
            wrong: 0,
            wrong_since: Duration::ZERO,
        }
    }

    /// It is to get a value before others.
    pub(super) fn lacks_now(&mut self, node: &NodeName, slot: Slot) {
        self.later.remove(node, slot);
        self.urgent.insert(node, slot);
    }

    /// It is to get a value.
    pub(super) fn lacks(&mut self, node: &NodeName, slot: Slot) {
        if !self.urgent.contains(node, slot) {
            self.later.insert(node, slot);
        }
    }

    /// The next value that it is to get.
    pub(super) fn pop(&mut self) -> Option<(NodeName, Slot)> {
        self.urgent.pop().or_else(|| self.later.pop())
    }

    /// Its sum is this node's.
    pub(super) fn agrees(&mut self) {
        self.vain = None;
    }

    /// Its sum is another than this node's; whether it is time to tell it what this node has. Every `pace` at most, and
    /// the same sums ever more seldom: it may be that one of the two must not let in what the other one has.
    pub(super) fn differs(&mut self, sums: (u64, u64), pace: Duration, now: Duration) -> bool {
        let wait = match &self.vain {
            Some(vain) if now < vain.told_at + pace => return false,
            Some(vain) if vain.sums == sums && now < vain.told_at + vain.wait => return false,
            Some(vain) if vain.sums == sums => (vain.wait * 2).min(VAIN_MAX),
            Some(_) | None => pace,
        };
        self.vain = Some(Vain { sums, told_at: now, wait });
        true
    }

    /// Bears some refused values; false if they have become too many.
    pub(super) fn bears(&mut self, wrong: u32, now: Duration) -> bool {
        let seconds = u32::try_from(now.saturating_sub(self.wrong_since).as_secs());
        if let Ok(seconds @ 1..) = seconds {
            self.wrong = self.wrong.saturating_sub(seconds.saturating_mul(WRONG_A_SECOND));
            self.wrong_since = now;
        }
        self.wrong = self.wrong.saturating_add(wrong);
        self.wrong <= WRONG_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topic::Topic;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn urgent_values_go_first_and_each_value_once() {
        let node = NodeName::parse("b").unwrap();
        let slot = |shard| Topic::Rtt { shard }.place();
        let mut peer = Peer::new(1, Generation(1));
        peer.lacks(&node, slot(1));
        peer.lacks(&node, slot(2));
        peer.lacks_now(&node, slot(2));
        peer.lacks(&node, slot(2));
        let order: Vec<_> = std::iter::from_fn(|| peer.pop()).map(|(_, slot)| slot).collect();
        assert_eq!(order, [slot(2), slot(1)]);
    }

    #[test]
    fn beats_of_all_nodes_go_before_what_any_of_them_says() {
        let (a, z) = (NodeName::parse("a").unwrap(), NodeName::parse("z").unwrap());
        let slot = Topic::Rtt { shard: 1 }.place();
        let mut peer = Peer::new(1, Generation(1));
        peer.lacks_now(&a, slot);
        peer.lacks_now(&z, slot);
        peer.lacks_now(&z, Slot::BEAT);
        let order: Vec<_> = std::iter::from_fn(|| peer.pop()).collect();
        assert_eq!(order, [(z.clone(), Slot::BEAT), (a, slot), (z, slot)]);
    }

    #[test]
    fn sums_that_lead_to_nothing_are_told_ever_more_seldom_and_others_at_once() {
        let (mut peer, pace) = (Peer::new(1, Generation(1)), ms(500));
        let told = |peer: &mut Peer, sums, range: std::ops::Range<u64>| {
            range.step_by(250).filter(|at| peer.differs((sums, 0), pace, ms(*at))).count()
        };
        assert_eq!(told(&mut peer, 1, 0..60_000), 11, "at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5 ... s");
        assert_eq!(told(&mut peer, 2, 60_000..60_001), 1);
        peer.agrees();
        assert!(peer.differs((2, 0), pace, ms(60_100)));
    }

    #[test]
    fn a_few_refused_values_are_borne_and_a_flood_is_not() {
        let mut peer = Peer::new(1, Generation(1));
        assert!((0..600).all(|second| peer.bears(50, ms(second * 1000))));
        assert!(!(0..200).all(|_| peer.bears(50, ms(600_000))));
    }
}
