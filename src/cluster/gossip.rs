//! Who is to be told what. A value goes to every peer at once; what somebody lacks after all is found out by sums.
//!
//! ```text
//!   a connection is there  ->  near, sums   whom I hear directly; what I have: a number for each node
//!   each second            ->  ping         with one number for everything; if it is another one: sums
//!   sums                   ->  have         about each node of which I lack something: what I have of it
//!   have                   ->  push         what you lack of it
//!   push                   ->  push         news, to peers who do not hear that node directly
//! ```
//!
//! What waits for a peer is a set of slots, not of values: however slow it reads, it gets the newest value of each, and
//! no queue grows. All work that a peer can cause is bounded by what it sends, and by what it reads.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::cluster::door::Door;
use crate::cluster::door::Refusals;
use crate::cluster::envelope::Envelope;
use crate::cluster::frame::Frame;
use crate::cluster::frame::Have;
use crate::cluster::frame::PUSHED_OCTETS;
use crate::cluster::frame::Pushed;
use crate::cluster::frame::Sum;
use crate::cluster::heard::Heard;
use crate::cluster::membership::Membership;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::peer::Patience;
use crate::cluster::peer::Peer;
use crate::cluster::topic::Slot;
use crate::cluster::topic::Topic;

/// Least time between two times that a peer is told sums, in a cluster of up to four peers; with more it is longer, so
/// that the octets of it stay the same.
const SUMS_EVERY: Duration = Duration::from_millis(500);

/// How long an answer is waited for before another peer is asked about the same node.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long a peer is not asked about a node if that led to nothing.
const SHUN: Duration = Duration::from_secs(4);

/// How long a peer is not asked about a node of which it has values that are refused here, unless members change: they may
/// differ by their files for a while, and 1,500 values each time are within what is borne.
const SHUN_WRONG: Duration = Duration::from_secs(30);

/// Least time between two answers to a peer about a node.
const ANSWER_EVERY: Duration = Duration::from_secs(1);

/// Nodes that pass on what a node says to one that does not hear it.
const RELAYS: usize = 2;

/// A beat that came so long ago is not passed on to a node that has just lost its connection with who said it.
const FRESH: Duration = Duration::from_secs(2);

/// A peer that was silent for so long is not heard, though the connection may be there: it is pinged each second. Others
/// have time to pass on its next beat before it counts as dead.
const QUIET: Duration = Duration::from_millis(1_500);

/// Octets that a name and a head take in a frame, about.
const HEAD: usize = 24;

/// What came of a frame.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is news here.
    pub heard: Vec<Heard>,
    /// What was refused.
    pub refusals: Refusals,
    /// Whether the peer has sent so much that is wrong that its connection should end.
    pub is_flood: bool,
}

/// What this node knows and whom it tells.
#[derive(Debug)]
pub struct Gossip {
    door: Door,
    generation: Generation,
    peers: BTreeMap<NodeName, Peer>,
    /// Peers whom this node hears.
    near: BTreeSet<NodeName>,
    asked: BTreeMap<NodeName, Asked>,
    woken: BTreeSet<NodeName>,
    /// What was refused of each peer: a new connection does not make up for it.
    patience: BTreeMap<NodeName, Patience>,
    /// A later life of this node than this one, in which something was signed by its key.
    double: Option<Generation>,
}

/// Who was last asked about a node.
#[derive(Debug)]
struct Asked {
    peer: NodeName,
    until: Duration,
    /// What was known then.
    known: Option<(Generation, u64)>,
}

impl Gossip {
    /// This node, in the life `generation`; it has said nothing yet.
    pub fn new(members: Arc<Membership>, generation: Generation) -> Self {
        Self {
            door: Door::new(members),
            generation,
            peers: BTreeMap::new(),
            near: BTreeSet::new(),
            asked: BTreeMap::new(),
            woken: BTreeSet::new(),
            patience: BTreeMap::new(),
            double: None,
        }
    }

    /// Begins anew with nothing but what this node has said: after a fault.
    pub fn begin_again(&mut self) {
        self.door.forget_others();
        (self.peers, self.asked) = (BTreeMap::new(), BTreeMap::new());
        self.near.clear();
    }

    /// The members change. Returns nodes of which nothing is known any more.
    pub fn follow(&mut self, members: Arc<Membership>) -> Vec<NodeName> {
        let pins = |members: &Membership| members.find(members.own()).map(|own| own.pins.clone());
        if pins(&members) != pins(self.door.members()) {
            // Whoever has the key of before speaks as this node no more.
            self.double = None;
        }
        self.patience.retain(|node, _| members.find(node).is_some());
        self.peers.values_mut().for_each(|peer| peer.shunned.clear());
        self.door.follow(members)
    }

    /// A later life of this node than the one that it is in, if something was signed by its key there: another process has
    /// that key, or this one's clock was set back. The others hear that one.
    pub fn double(&self) -> Option<Generation> {
        self.double
    }

    /// Whether anything is known of a node.
    pub fn knows(&self, node: &NodeName) -> bool {
        self.door.known(node).is_some()
    }

    /// Proof for a node in the life `generation` that somebody speaks in a later one in its name.
    pub fn proof_of_double(&self, node: &NodeName, generation: Generation) -> Option<Frame> {
        let slot = self.door.find_later(node, generation)?;
        Some(Frame::Push(vec![self.door.find(node, slot)?]))
    }

    /// Takes in what came in this node's own name.
    fn witness(&mut self, generation: Generation, sealed: &[u8]) -> Result<(), Refusals> {
        if generation > self.double.unwrap_or(self.generation) {
            let own = self.door.members().own();
            self.door.verify(own, generation, sealed)?;
            self.double = Some(generation);
        }
        Ok(())
    }

    /// A number for everything that is known here.
    pub fn total(&self) -> u64 {
        self.door.total()
    }

    /// There is a connection with a peer, or another one; it is in the life `generation`.
    pub fn connect(&mut self, node: &NodeName, connection: u64, generation: Generation) {
        let mut peer = Peer::new(connection, generation);
        if let Some(later) = self.door.find_later(node, generation) {
            peer.lacks_now(node, later);
        }
        // It is to know at once that this node lives; it hears of earlier beats of others by nobody.
        peer.lacks_now(self.door.members().own(), Slot::BEAT);
        self.peers.insert(node.clone(), peer);
        self.near.insert(node.clone());
        self.asked.retain(|_, asked| asked.peer != *node);
        self.tell_near();
    }

    /// A connection has ended.
    pub fn disconnect(&mut self, node: &NodeName, connection: u64) {
        if self.peers.get(node).is_some_and(|peer| peer.connection == connection) {
            self.peers.remove(node);
            self.near.remove(node);
            self.tell_near();
        }
    }

    /// Time goes by: who has been silent is not heard any more. To be called each second at least.
    pub fn tick(&mut self, now: Duration) {
        let is_quiet = |peer: &mut Peer| now >= *peer.heard_at.get_or_insert(now) + QUIET;
        let mut is_less = false;
        for (node, peer) in &mut self.peers {
            is_less |= is_quiet(peer) && self.near.remove(node);
        }
        if is_less {
            self.tell_near();
        }
    }

    fn tell_near(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.tells_near = true);
        self.woken.extend(self.peers.keys().cloned());
    }

    /// Says something to all; false if this node says too much.
    pub fn say(&mut self, topic: Topic, sequence: u64, sealed: Arc<[u8]>, urgent: bool) -> bool {
        if !self.door.say(self.generation, topic, sequence, sealed) {
            return false;
        }
        let own = self.door.members().own();
        for (node, peer) in &mut self.peers {
            match urgent || topic.is_fleeting() {
                true => peer.lacks_now(own, topic.place()),
                false => peer.lacks(own, topic.place()),
            }
            self.woken.insert(node.clone());
        }
        true
    }

    /// Peers for whom there is something to write since this was asked last.
    pub fn take_woken(&mut self) -> BTreeSet<NodeName> {
        std::mem::take(&mut self.woken)
    }

    /// Takes in what a peer sent.
    pub fn hear(&mut self, from: &NodeName, frame: Frame, now: Duration) -> Outcome {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.heard_at = Some(now);
            if self.near.insert(from.clone()) {
                self.tell_near();
            }
        }
        match frame {
            Frame::Ping { sum, .. } => self.compare(from, sum, now),
            Frame::Sums(sums) => self.take_sums(from, &sums, now),
            Frame::Have(have) => self.take_have(from, &have, now),
            Frame::Near(near) => self.take_near(from, near, now),
            Frame::Push(values) => return self.take_values(from, values, now),
            Frame::Hello(_) | Frame::Pong(_) | Frame::Want(_) | Frame::Piece(..) => {}
        }
        Outcome::default()
    }

    /// Opens a value that came otherwise than by a peer's connection: its sequence, if it is one, and what is news.
    pub fn open(
        &mut self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
        now: Duration,
    ) -> Result<(u64, Option<Heard>), Refusals> {
        if node == self.door.members().own() {
            return self.witness(generation, sealed).map(|()| (0, None));
        }
        let Some(envelope) = self.door.open(node, generation, sealed, now)? else {
            if let Some(sequence) = self.door.find_kept(node, generation, sealed) {
                return Ok((sequence, None));
            }
            return Ok((self.door.verify(node, generation, sealed)?.sequence, None));
        };
        let Envelope { topic, sequence, payload } = envelope;
        let node = node.clone();
        Ok((sequence, Some(Heard::Value { node, generation, topic, sequence, payload })))
    }

    /// What a peer is to be sent next, about so many octets; nothing if it is told everything.
    pub fn write(&mut self, to: &NodeName, connection: u64, octets: usize) -> Vec<Frame> {
        let peer = self.peers.get_mut(to).filter(|peer| peer.connection == connection);
        let Some(peer) = peer else { return Vec::new() };
        let mut frames = Vec::new();
        if std::mem::take(&mut peer.tells_near) {
            frames.push(Frame::Near(self.near.iter().cloned().collect()));
        }
        if std::mem::take(&mut peer.tells_sums) {
            frames.push(Frame::Sums(self.door.sums()));
        }
        let mut left = octets.min(PUSHED_OCTETS);
        let mut values = Vec::new();
        while left > 0 {
            let Some((node, slot)) = peer.pop() else { break };
            // It may be of an earlier life, and gone.
            let Some(value) = self.door.find(&node, slot) else { continue };
            left = left.saturating_sub(value.sealed.len() + HEAD);
            values.push(value);
        }
        // Values go before questions: what is asked for comes back as values.
        frames.extend((!values.is_empty()).then_some(Frame::Push(values)));
        while left > 0 {
            let Some(node) = peer.asks.pop_first() else { break };
            let mut have = self.door.have(&node);
            if node == *self.door.members().own() {
                // What is said in its name elsewhere, not what it says itself.
                (have.generation, have.slots) = (self.generation, Vec::new());
            }
            left = left.saturating_sub(have.slots.len() * 10 + HEAD);
            frames.push(Frame::Have(have));
        }
        frames
    }

    /// Compares what a peer has with what this node has.
    fn compare(&mut self, from: &NodeName, sum: u64, now: Duration) {
        let own = self.door.total();
        let pace = SUMS_EVERY * u32::try_from(self.peers.len().div_ceil(4)).unwrap_or(u32::MAX);
        let Some(peer) = self.peers.get_mut(from) else { return };
        if sum == own {
            peer.agrees();
        } else if peer.differs((own, sum), pace, now) {
            peer.tells_sums = true;
            self.woken.insert(from.clone());
        }
    }

    /// Finds out of whom this node lacks something, and from whom to ask for it: the node itself if there is a
    /// connection with it, and one peer at a time.
    fn take_sums(&mut self, from: &NodeName, sums: &[Sum], now: Duration) {
        if !self.peers.contains_key(from) {
            return;
        }
        for Sum { node, generation, sum } in sums {
            let known = self.door.known(node);
            let is_other = known.is_none_or(|(life, known)| {
                *generation > life || *generation == life && *sum != known
            });
            let members = self.door.members();
            let is_own = node == members.own();
            let is_double = *generation > self.double.unwrap_or(self.generation);
            let is_strange = is_own && !is_double || members.find(node).is_none();
            let is_at_hand = node != from && self.near.contains(node);
            if is_other && !is_strange && !is_at_hand && self.may_ask(from, node, now) {
                let asked = Asked { peer: from.clone(), until: now + ASK_AGAIN, known };
                self.asked.insert(node.clone(), asked);
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.asks.insert(node.clone());
                    self.woken.insert(from.clone());
                }
            }
        }
    }

    /// Whether a peer may be asked about a node now.
    fn may_ask(&mut self, from: &NodeName, node: &NodeName, now: Duration) -> bool {
        let known = self.door.known(node);
        let Some(asked) = self.asked.get(node) else { return true };
        let is_same = asked.peer == *from;
        let is_waiting = now < asked.until && self.peers.contains_key(&asked.peer);
        let was_vain = is_same && asked.known == known && now < asked.until + SHUN;
        let Some(peer) = self.peers.get_mut(from) else { return false };
        if !is_waiting && was_vain {
            peer.shunned.entry(node.clone()).or_insert(now + SHUN);
        }
        match peer.shunned.get(node) {
            Some(until) if now < *until => return false,
            Some(_) => drop(peer.shunned.remove(node)),
            None => {}
        }
        // The node itself knows best.
        !is_waiting || !is_same && node == from
    }

    fn take_have(&mut self, from: &NodeName, have: &Have, now: Duration) {
        let slots = self.door.lacking(have);
        let Some(peer) = self.peers.get_mut(from).filter(|_| !slots.is_empty()) else { return };
        let answered = peer.answered.get(&have.node);
        if answered.is_some_and(|at| now < *at + ANSWER_EVERY) {
            return;
        }
        peer.answered.insert(have.node.clone(), now);
        slots.into_iter().for_each(|slot| peer.lacks(&have.node, slot));
        self.woken.insert(from.clone());
    }

    /// A peer says whom it hears. Nodes that it has just lost live on by what others pass on.
    fn take_near(&mut self, from: &NodeName, near: Vec<NodeName>, now: Duration) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.near = Some(near.into_iter().collect());
        let since = now.saturating_sub(FRESH);
        let fresh = self.door.beaten_after(since).filter(|node| self.near.contains(*node));
        let fresh: Vec<_> = fresh.filter(|node| self.passes(node, from, node)).cloned().collect();
        for node in fresh {
            self.lacks_now(from, &node, Slot::BEAT);
        }
    }

    fn take_values(&mut self, from: &NodeName, values: Vec<Pushed>, now: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        let mut wrong = 0;
        for Pushed { node, generation, sealed } in values {
            let opened = match node == *self.door.members().own() {
                true => self.witness(generation, &sealed).map(|()| None),
                false => self.door.open(&node, generation, &sealed, now),
            };
            match opened {
                Ok(None) => {}
                Ok(Some(Envelope { topic, sequence, payload })) => {
                    if let Some(asked) =
                        self.asked.get_mut(&node).filter(|asked| asked.peer == *from)
                    {
                        asked.until = now + ASK_AGAIN;
                    }
                    self.pass_on(from, &node, topic.place());
                    self.warn(from, &node, generation, topic.place());
                    outcome.heard.push(Heard::Value { node, generation, topic, sequence, payload });
                }
                Err(refusals) => {
                    wrong += 1;
                    outcome.refusals.add(refusals);
                    let is_member = self.door.members().find(&node).is_some();
                    if let Some(peer) = self.peers.get_mut(from).filter(|_| is_member) {
                        peer.shunned.insert(node, now + SHUN_WRONG);
                    }
                }
            }
        }
        if wrong > 0 && self.peers.contains_key(from) {
            let patience = self.patience.entry(from.clone()).or_default();
            outcome.is_flood = !patience.bears(wrong, now);
        }
        outcome
    }

    /// Passes on news of a node to those who do not hear it themselves.
    fn pass_on(&mut self, from: &NodeName, node: &NodeName, slot: Slot) {
        let others = self.peers.keys().filter(|peer| *peer != from && *peer != node);
        let lack: Vec<_> = others.filter(|peer| self.passes(node, peer, from)).cloned().collect();
        for peer in lack {
            self.lacks_now(&peer, node, slot);
        }
    }

    /// Tells a peer once of each later life in which somebody else speaks in its name.
    fn warn(&mut self, from: &NodeName, node: &NodeName, generation: Generation, slot: Slot) {
        let peer = self.peers.get_mut(node).filter(|peer| node != from && peer.life < generation);
        if let Some(peer) = peer {
            peer.life = generation;
            self.lacks_now(node, node, slot);
        }
    }

    fn lacks_now(&mut self, to: &NodeName, node: &NodeName, slot: Slot) {
        if let Some(peer) = self.peers.get_mut(to) {
            peer.lacks_now(node, slot);
            self.woken.insert(to.clone());
        }
    }

    /// Whether this node passes on to `to` what it hears of `node`, which came by `from`: if `to` does not hear it itself, and of
    /// those who hear both this node is one of the first few.
    fn passes(&self, node: &NodeName, to: &NodeName, from: &NodeName) -> bool {
        let near = |peer: &NodeName| self.peers.get(peer).and_then(|peer| peer.near.as_ref());
        let Some(near_to) = near(to).filter(|near| node != to && !near.contains(node)) else {
            return false;
        };
        if !self.near.contains(node) {
            // It was passed on to us; whoever did so passes it on to its own peers.
            return !near_to.contains(from);
        }
        let own = self.door.members().own();
        let weight = |relay: &NodeName| weight(node, to, relay);
        let hears = |relay: &NodeName| near(relay).is_some_and(|near| near.contains(node));
        let between = near_to.iter().filter(|relay| *relay != own && hears(relay));
        between.filter(|relay| weight(relay) > weight(own)).count() < RELAYS
    }
}

/// The order of those who may pass something on: another one for each two nodes.
fn weight(node: &NodeName, to: &NodeName, relay: &NodeName) -> u64 {
    let mut digest = Sha256::new();
    for name in [node, to, relay] {
        digest.update(name.as_str());
        digest.update([0]);
    }
    u64::from_be_bytes(*digest.finalize().first_chunk().expect("a digest has 32 octets"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use crate::cluster::envelope::Origin;
    use crate::cluster::envelope::tests::key;
    use crate::cluster::membership::tests::terms;
    use crate::cluster::node::Role;
    use proptest::prelude::*;

    fn name(number: usize) -> NodeName {
        NodeName::parse(&format!("n{number}")).unwrap()
    }

    fn members(own: usize, count: usize) -> Arc<Membership> {
        let names: Vec<_> = (0..count).map(|number| format!("n{number}")).collect();
        let pin = |number: usize| key(number as u8 + 1).pin();
        let nodes: Vec<_> =
            names.iter().zip(0..).map(|(n, i)| (&**n, pin(i), Role::Server)).collect();
        Arc::new(Membership::new(&terms(&names[own], &nodes), pin(own)))
    }

    /// Nodes, and what is on its way between them.
    struct Fleet {
        nodes: Vec<Gossip>,
        lines: BTreeMap<(usize, usize), VecDeque<Frame>>,
        connections: BTreeMap<(usize, usize), u64>,
        sequence: u64,
        now: Duration,
        /// Ways on which nothing passes.
        closed: BTreeSet<(usize, usize)>,
        /// Values that were sent, and values that were news.
        sent: usize,
        news: usize,
    }

    impl Fleet {
        fn new(count: usize) -> Self {
            let node = |own| Gossip::new(members(own, count), Generation(1));
            Self {
                nodes: (0..count).map(node).collect(),
                lines: BTreeMap::new(),
                connections: BTreeMap::new(),
                sequence: 0,
                now: Duration::ZERO,
                closed: BTreeSet::new(),
                sent: 0,
                news: 0,
            }
        }

        fn connect(&mut self, one: usize, two: usize) {
            self.sequence += 1;
            for (from, to) in [(one, two), (two, one)] {
                self.lines.insert((from, to), VecDeque::new());
                self.connections.insert((from, to), self.sequence);
                let life = self.nodes[to].generation;
                self.nodes[from].connect(&name(to), self.sequence, life);
            }
        }

        fn cut(&mut self, one: usize, two: usize) {
            for (from, to) in [(one, two), (two, one)] {
                self.lines.remove(&(from, to));
                if let Some(connection) = self.connections.remove(&(from, to)) {
                    self.nodes[from].disconnect(&name(to), connection);
                }
            }
        }

        fn connect_all(&mut self) {
            for two in 0..self.nodes.len() {
                (0..two).for_each(|one| self.connect(one, two));
            }
        }

        /// A node dies and lives again, without a connection and with nothing known.
        fn restart(&mut self, node: usize) {
            (0..self.nodes.len()).for_each(|other| self.cut(node, other));
            let life = Generation(self.nodes[node].generation.0 + 1);
            self.nodes[node] = Gossip::new(members(node, self.nodes.len()), life);
        }

        fn say(&mut self, node: usize, topic: Topic) {
            self.sequence += 1;
            let (sequence, payload) = (self.sequence, [self.sequence as u8].into());
            let generation = self.nodes[node].generation;
            let own = name(node);
            let origin = Origin { cluster: "prod", node: &own, generation };
            let sealed = Envelope { topic, sequence, payload }.seal(&origin, &key(node as u8 + 1));
            assert!(self.nodes[node].say(topic, sequence, sealed.into(), true));
        }

        fn votes(&mut self, node: usize, shard: u64) {
            self.say(node, Topic::Votes { layout: 1, shard });
        }

        /// What a node writes to another goes on its way.
        fn write(&mut self, from: usize, to: usize) {
            let Some(connection) = self.connections.get(&(from, to)) else { return };
            let frames = self.nodes[from].write(&name(to), *connection, PUSHED_OCTETS);
            for frame in &frames {
                if let Frame::Push(values) = frame {
                    self.sent += values.len();
                }
            }
            self.lines.entry((from, to)).or_default().extend(frames);
        }

        /// The first frame of a line arrives.
        fn deliver(&mut self, from: usize, to: usize) -> bool {
            if self.closed.contains(&(from, to)) {
                return false;
            }
            let frame = self.lines.get_mut(&(from, to)).and_then(VecDeque::pop_front);
            let Some(frame) = frame else { return false };
            let (kind, octets) = (frame.write()[0], frame.write());
            assert_eq!(Frame::read(kind, &octets[4..]), Some(frame.clone()));
            let outcome = self.nodes[to].hear(&name(from), frame, self.now);
            assert_eq!((outcome.refusals, outcome.is_flood), (Refusals::default(), false));
            self.news += outcome.heard.len();
            true
        }

        /// Everything is written and arrives; how many frames that were.
        fn settle(&mut self) -> usize {
            let mut count = 0;
            loop {
                let before = count;
                for (from, to) in self.connections.keys().copied().collect::<Vec<_>>() {
                    self.write(from, to);
                    while self.deliver(from, to) {
                        count += 1;
                    }
                }
                if count == before {
                    return count;
                }
            }
        }

        /// A second goes by; every peer is pinged.
        fn second(&mut self) -> usize {
            self.now += Duration::from_secs(1);
            for (from, to) in self.connections.keys().copied().collect::<Vec<_>>() {
                self.nodes[from].tick(self.now);
                let ping = Frame::Ping { number: 0, sum: self.nodes[from].total() };
                if !self.closed.contains(&(from, to)) {
                    self.nodes[to].hear(&name(from), ping, self.now);
                }
            }
            self.settle()
        }

        fn is_equal(&self) -> bool {
            let sums = |node: &Gossip| node.door.sums();
            self.nodes.iter().all(|node| sums(node) == sums(&self.nodes[0]))
        }
    }

    #[test]
    fn what_is_said_is_everywhere_at_once_and_once() {
        let mut fleet = Fleet::new(5);
        fleet.connect_all();
        fleet.settle();
        (0..40).for_each(|shard| fleet.votes(2, shard));
        fleet.say(2, Topic::Beat);
        fleet.settle();
        assert!(fleet.is_equal());
        assert_eq!((fleet.news, fleet.sent), (4 * 41, 4 * 41));
        assert_eq!(fleet.second(), 0, "who agrees is silent");
    }

    /// A value in the name of node 0, in a life in which it is not, by the key `seed`.
    fn in_its_name(topic: Topic, life: u64, seed: u8) -> Pushed {
        let (node, generation) = (name(0), Generation(life));
        let origin = Origin { cluster: "prod", node: &node, generation };
        let sealed = Envelope { topic, sequence: 1, payload: [].into() }.seal(&origin, &key(seed));
        Pushed { node: node.clone(), generation, sealed: sealed.into() }
    }

    #[test]
    fn a_node_learns_that_another_process_speaks_in_its_name() {
        let mut fleet = Fleet::new(3);
        fleet.connect_all();
        fleet.settle();
        let hear = |fleet: &mut Fleet, at: usize, value| {
            fleet.nodes[at].hear(&name(2), Frame::Push(vec![value]), fleet.now).refusals.unsigned
        };
        let forged = in_its_name(Topic::Beat, u64::MAX, 2);
        assert_eq!((hear(&mut fleet, 1, forged.clone()), hear(&mut fleet, 0, forged)), (1, 1));
        assert_eq!(fleet.nodes[0].double(), None, "nobody is believed who has not its key");
        hear(&mut fleet, 1, in_its_name(Topic::Beat, 9, 1));
        fleet.settle();
        assert_eq!(fleet.nodes[0].double(), Some(Generation(9)), "at once");
        fleet.restart(0);
        fleet.settle();
        assert_eq!(fleet.nodes[0].double(), None);
        fleet.connect(0, 1);
        fleet.settle();
        assert_eq!(fleet.nodes[0].double(), Some(Generation(9)), "when it comes later");
        let terms = terms("n0", &[("n1", key(2).pin(), Role::Server)]);
        fleet.nodes[0].follow(Arc::new(Membership::new(&terms, key(7).pin())));
        assert_eq!(fleet.nodes[0].double(), None, "it has another key");
    }

    #[test]
    fn what_others_have_of_a_later_life_of_this_node_is_asked_for_once() {
        let mut fleet = Fleet::new(2);
        fleet.connect_all();
        fleet.settle();
        let sums = Frame::Sums(vec![Sum { node: name(0), generation: Generation(9), sum: 7 }]);
        fleet.nodes[0].hear(&name(1), sums.clone(), fleet.now);
        let ask = Frame::Have(Have { node: name(0), generation: Generation(1), slots: vec![] });
        let connection = fleet.connections[&(0, 1)];
        assert_eq!(fleet.nodes[0].write(&name(1), connection, PUSHED_OCTETS), [ask]);
        let value = Frame::Push(vec![in_its_name(Topic::State, 9, 1)]);
        fleet.nodes[0].hear(&name(1), value, fleet.now);
        fleet.now += Duration::from_secs(60);
        fleet.nodes[0].hear(&name(1), sums, fleet.now);
        assert_eq!(fleet.nodes[0].write(&name(1), connection, PUSHED_OCTETS), []);
    }

    #[test]
    fn who_joins_gets_everything_and_little_of_it_twice() {
        let mut fleet = Fleet::new(6);
        (0..4).for_each(|two| (0..two).for_each(|one| fleet.connect(one, two)));
        for node in 0..5 {
            (0..30).for_each(|shard| fleet.votes(node, shard));
        }
        fleet.settle();
        // Node 4 has spoken to node 0 alone and is gone.
        fleet.connect(0, 4);
        fleet.settle();
        fleet.cut(0, 4);
        fleet.settle();
        (fleet.sent, fleet.news) = (0, 0);
        (0..4).for_each(|node| fleet.connect(5, node));
        fleet.settle();
        assert_eq!(fleet.nodes[5].door.sums().len(), 5);
        assert_eq!(fleet.nodes[5].total(), fleet.nodes[0].total());
        assert!(fleet.sent <= 9 * 30, "{} values", fleet.sent);
    }

    #[test]
    fn a_node_that_is_heard_by_others_only_is_heard_at_once() {
        let mut fleet = Fleet::new(6);
        fleet.connect_all();
        fleet.cut(0, 1);
        fleet.settle();
        fleet.sent = 0;
        fleet.say(0, Topic::Beat);
        fleet.votes(0, 3);
        fleet.settle();
        assert!(fleet.is_equal(), "no ping was needed");
        assert_eq!(fleet.sent, 2 * (4 + RELAYS), "two of four pass each on, once");
        // A chain.
        (2..5).for_each(|node| (0..node).for_each(|other| fleet.cut(node, other)));
        (0..5).for_each(|other| fleet.cut(5, other));
        [(0, 2), (2, 3), (3, 1), (1, 4), (4, 5)]
            .into_iter()
            .for_each(|(one, two)| fleet.connect(one, two));
        fleet.settle();
        fleet.news = 0;
        fleet.say(0, Topic::Beat);
        fleet.votes(5, 3);
        fleet.settle();
        assert!(fleet.is_equal());
        assert_eq!(fleet.news, 5 + 5);
    }

    #[test]
    fn who_loses_a_connection_gets_the_last_beat_by_others() {
        let mut fleet = Fleet::new(3);
        fleet.connect_all();
        fleet.settle();
        fleet.now = Duration::from_secs(10);
        fleet.say(0, Topic::Beat);
        // It is lost on the way to 1.
        fleet.write(0, 1);
        fleet.write(0, 2);
        while fleet.deliver(0, 2) {}
        fleet.cut(0, 1);
        fleet.news = 0;
        fleet.settle();
        assert_eq!(fleet.news, 1);
        fleet.now += FRESH;
        fleet.connect(0, 1);
        fleet.cut(0, 1);
        fleet.settle();
        assert_eq!(fleet.news, 1, "what is old is not passed on");
    }

    #[test]
    fn who_is_silent_on_one_way_is_heard_by_others_though_the_connection_is_there() {
        let mut fleet = Fleet::new(4);
        fleet.connect_all();
        fleet.second();
        fleet.second();
        fleet.closed.insert((0, 1));
        fleet.second();
        fleet.second();
        fleet.news = 0;
        fleet.say(0, Topic::Beat);
        fleet.votes(0, 3);
        fleet.settle();
        assert_eq!(fleet.news, 3 * 2, "2 or 3 passed on what did not come by the closed way");
        fleet.closed.clear();
        fleet.second();
        fleet.second();
        fleet.sent = 0;
        fleet.votes(0, 3);
        fleet.settle();
        assert_eq!(fleet.sent, 3, "it is heard again, and nobody else need say it");
    }

    #[test]
    fn a_slow_reader_gets_the_newest_and_nothing_waits_twice() {
        let mut fleet = Fleet::new(2);
        fleet.connect_all();
        fleet.settle();
        fleet.sent = 0;
        (0..1000).for_each(|turn| fleet.votes(0, turn % 5));
        fleet.settle();
        assert_eq!(fleet.sent, 5);
        assert!(fleet.is_equal());
    }

    #[test]
    fn what_is_written_at_once_is_bounded() {
        let mut fleet = Fleet::new(2);
        fleet.connect_all();
        fleet.settle();
        (0..2000).for_each(|shard| fleet.votes(0, shard));
        let frames = fleet.nodes[0].write(&name(1), 1, PUSHED_OCTETS);
        let octets: usize = frames.iter().map(|frame| frame.write().len()).sum();
        assert!(octets <= PUSHED_OCTETS + 1024, "{octets}");
        assert!(fleet.nodes[0].write(&name(1), 9, PUSHED_OCTETS).is_empty(), "another connection");
    }

    #[test]
    fn whoever_promises_and_does_not_give_keeps_nobody_from_asking_others() {
        let mut fleet = Fleet::new(4);
        // 1 hears nothing of 3 but by the liar 0 and by 2.
        [(0, 1), (1, 2), (2, 3)].into_iter().for_each(|(one, two)| fleet.connect(one, two));
        fleet.settle();
        fleet.cut(1, 2);
        fleet.votes(3, 1);
        fleet.settle();
        fleet.connect(1, 2);
        let lie = |sum| Frame::Sums(vec![Sum { node: name(3), generation: Generation(1), sum }]);
        let mut seconds = 0;
        while fleet.nodes[1].door.sums().is_empty() {
            // It is always the first to promise.
            fleet.nodes[1].hear(&name(0), lie(seconds), fleet.now);
            fleet.settle();
            fleet.second();
            seconds += 1;
            assert!(seconds < 10);
        }
    }

    #[test]
    fn a_flood_of_what_is_refused_is_told() {
        let mut fleet = Fleet::new(2);
        fleet.connect_all();
        let wrong = Pushed { node: name(1), generation: Generation(1), sealed: [7; 90].into() };
        let mut send = |count| {
            let frame = Frame::Push(vec![wrong.clone(); count]);
            fleet.nodes[0].hear(&name(1), frame, fleet.now)
        };
        assert_eq!((send(200).refusals.malformed, send(200).is_flood), (200, false));
        assert!((0..25).any(|_| send(200).is_flood));
        fleet.cut(0, 1);
        fleet.connect(0, 1);
        let frame = Frame::Push(vec![wrong; 1]);
        let again = fleet.nodes[0].hear(&name(1), frame, fleet.now);
        assert!(again.is_flood, "another connection does not make up for it");
    }

    #[test]
    fn who_has_values_by_a_key_that_counts_elsewhere_is_seldom_asked_until_it_counts_here() {
        let mut fleet = Fleet::new(3);
        fleet.connect(0, 2);
        fleet.settle();
        let asks = |fleet: &mut Fleet, from: u64| {
            let sums = Frame::Sums(vec![Sum { node: name(1), generation: Generation(1), sum: 7 }]);
            let connection = fleet.connections[&(0, 2)];
            let is_asked = |second: &u64| {
                let now = Duration::from_secs(from + second);
                fleet.nodes[0].hear(&name(2), sums.clone(), now);
                let frames = fleet.nodes[0].write(&name(2), connection, PUSHED_OCTETS);
                let is_asked = frames.iter().any(|frame| matches!(frame, Frame::Have(_)));
                if is_asked {
                    let origin =
                        Origin { cluster: "prod", node: &name(1), generation: Generation(1) };
                    let value = Envelope { topic: Topic::State, sequence: 1, payload: [].into() };
                    let sealed = value.seal(&origin, &key(9)).into();
                    let wrong = Pushed { node: name(1), generation: Generation(1), sealed };
                    fleet.nodes[0].hear(&name(2), Frame::Push(vec![wrong]), now);
                }
                is_asked
            };
            (0..60).filter(is_asked).count()
        };
        assert_eq!(asks(&mut fleet, 0), 2);
        fleet.nodes[0].follow(members(0, 3));
        assert_eq!(asks(&mut fleet, 61), 2, "at once");
    }

    #[test]
    fn after_a_fault_everything_is_heard_again_and_what_was_said_stays_said() {
        let mut fleet = Fleet::new(3);
        fleet.connect_all();
        (0..3).for_each(|node| fleet.votes(node, 0));
        fleet.settle();
        fleet.nodes[0].begin_again();
        (1..3).for_each(|other| fleet.cut(0, other));
        (1..3).for_each(|other| fleet.connect(0, other));
        fleet.settle();
        assert!(fleet.is_equal() && fleet.nodes[0].door.sums().len() == 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn whatever_is_lost_nodes_that_are_connected_come_to_know_the_same(
            steps in proptest::collection::vec((0u8..12, 0usize..4, 0usize..4, 0u64..5), 0..80),
            in_a_chain in any::<bool>(),
        ) {
            let mut fleet = Fleet::new(4);
            for (kind, one, two, shard) in steps {
                match kind {
                    0 if one != two => fleet.connect(one, two),
                    1 => fleet.cut(one, two),
                    2 if shard == 0 => fleet.restart(one),
                    3 => drop(fleet.second()),
                    4 => fleet.say(one, Topic::Beat),
                    5..=7 => fleet.votes(one, shard),
                    8 => fleet.write(one, two),
                    _ => drop(fleet.deliver(one, two)),
                }
            }
            match in_a_chain {
                true => {
                    [(0, 2), (0, 3), (1, 3)].into_iter().for_each(|(one, two)| fleet.cut(one, two));
                    (0..3).for_each(|node| fleet.connect(node, node + 1));
                }
                false => fleet.connect_all(),
            }
            // A life of which nobody has heard ends no earlier one.
            (0..4).for_each(|node| fleet.say(node, Topic::Beat));
            fleet.settle();
            let mut seconds = 0;
            while !fleet.is_equal() {
                seconds += 1;
                prop_assert!(seconds < 12, "not equal: {:?}", fleet.nodes);
                fleet.second();
            }
            // Every node knows of every other what that one knows of itself.
            for (own, node) in fleet.nodes.iter().enumerate() {
                let sums = node.door.sums();
                let of_own = sums.iter().find(|sum| sum.node == name(own));
                prop_assert!(of_own.is_none_or(|sum| sum.generation == node.generation));
            }
            fleet.second();
            prop_assert_eq!(fleet.second(), 0, "who agrees is silent");
        }
    }
}
