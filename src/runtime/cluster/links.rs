//! The connections with peers: at most one with each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::Generation;
use crate::cluster::Membership;
use crate::cluster::NodeName;
use crate::cluster::Pin;
use crate::cluster::frame::Standing;
use crate::cluster::frame::goes_before;
use crate::runtime::cluster::outbox::Outbox;

/// A round trip that was not measured yet.
const NOT_MEASURED: u64 = u64::MAX;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells it from all others of this process.
    pub(super) number: u64,
    /// With whom.
    pub(super) node: NodeName,
    /// By which of its keys.
    pub(super) pin: Pin,
    /// The peer's life.
    pub(super) generation: Generation,
    /// Who dialled.
    pub(super) dialler: NodeName,
    /// What waits to be sent.
    pub(super) outbox: Outbox,
    /// Cancelled when the connection is to end.
    pub(super) cut: CancellationToken,
    round_trip_us: AtomicU64,
}

impl Link {
    pub(super) fn new(node: NodeName, pin: Pin, generation: Generation, dialler: NodeName) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NUMBERS.fetch_add(1, Relaxed),
            node,
            pin,
            generation,
            dialler,
            outbox: Outbox::default(),
            cut: CancellationToken::new(),
            round_trip_us: AtomicU64::new(NOT_MEASURED),
        }
    }

    pub(super) fn measured(&self, round_trip: Duration) {
        let octets = u64::try_from(round_trip.as_micros()).unwrap_or(NOT_MEASURED - 1);
        self.round_trip_us.store(octets, Relaxed);
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        let measured = self.round_trip_us.load(Relaxed);
        (measured != NOT_MEASURED).then(|| Duration::from_micros(measured))
    }

    fn standing(&self) -> Standing<'_> {
        Standing { generation: self.generation, dialler: &self.dialler }
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Links {
    own: NodeName,
    links: Mutex<BTreeMap<NodeName, Arc<Link>>>,
    changes: watch::Sender<u64>,
}

impl Links {
    pub(super) fn new(own: NodeName) -> Self {
        Self { own, links: Mutex::default(), changes: watch::channel(0).0 }
    }

    /// Takes a connection up, unless there is one that goes before it; that one is returned.
    pub(super) fn take_up(&self, link: &Arc<Link>) -> Result<(), Arc<Link>> {
        let mut links = self.lock();
        if let Some(old) = links.get(&link.node) {
            if !goes_before(link.standing(), old.standing(), &self.own, &link.node) {
                return Err(Arc::clone(old));
            }
            old.cut.cancel();
        }
        links.insert(link.node.clone(), Arc::clone(link));
        drop(links);
        self.tell();
        Ok(())
    }

    /// Forgets a connection that has ended.
    pub(super) fn forget(&self, link: &Arc<Link>) {
        let mut links = self.lock();
        if links.get(&link.node).is_some_and(|now| Arc::ptr_eq(now, link)) {
            links.remove(&link.node);
            drop(links);
            self.tell();
        }
    }

    /// Cuts connections whose peer is no member any more, or not by that key.
    pub(super) fn follow(&self, members: &Membership) {
        for link in self.lock().values() {
            if members.find_peer(&link.pin) != Some(&link.node) {
                link.cut.cancel();
            }
        }
    }

    /// The connection with a node.
    pub(super) fn find(&self, node: &NodeName) -> Option<Arc<Link>> {
        self.lock().get(node).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.lock().values().cloned().collect()
    }

    /// Hears of each connection that comes and goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeName, Arc<Link>>> {
        self.links.lock().expect("nobody panics with the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn link(dialler: &str, generation: u64) -> Arc<Link> {
        let pin = Pin::new([2; 32]);
        Arc::new(Link::new(name("b"), pin, Generation(generation), name(dialler)))
    }

    #[test]
    fn one_connection_a_pair_is_kept_and_the_other_is_cut() {
        let links = Links::new(name("a"));
        let theirs = link("b", 1);
        links.take_up(&theirs).unwrap();
        let ours = link("a", 1);
        links.take_up(&ours).unwrap();
        assert!(theirs.cut.is_cancelled() && !ours.cut.is_cancelled());
        let late = link("b", 1);
        assert!(links.take_up(&late).is_err());
        let restarted = link("b", 2);
        links.take_up(&restarted).unwrap();
        assert!(ours.cut.is_cancelled());
        links.forget(&ours);
        assert!(links.find(&name("b")).is_some(), "what was replaced takes nothing with it");
        links.forget(&restarted);
        assert!(links.find(&name("b")).is_none());
    }
}
