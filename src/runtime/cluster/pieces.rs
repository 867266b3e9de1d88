//! Pieces of bundles and tables between nodes: asked for by digest, given by whoever has them, one at a time on each link.
//!
//! A piece that is given is held in memory only while it is written; what comes is compared with its digest before anybody
//! sees it. Pings and gossip go before pieces.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::frame::Frame;
use crate::cluster::piece::PIECE_MAX;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::links::Links;

/// How long one peer may take to give a piece before another one is asked.
pub(super) const GIVEN_WITHIN: Duration = Duration::from_secs(10);

/// Peers that are asked for one piece, at most, before it is given up for this time.
pub(super) const ASKED_MAX: usize = 6;

/// A piece on its way; `None`: nobody who can be reached gave it in time.
pub type Fetching = Pin<Box<dyn Future<Output = Option<Box<[u8]>>> + Send>>;

/// What this node has to give.
pub trait Pieces: Send + Sync {
    /// Finds a piece. Blocks.
    fn find(&self, piece: &PieceId) -> Option<Box<[u8]>>;
}

type Waiting = BTreeMap<(NodeName, PieceId), Vec<oneshot::Sender<Box<[u8]>>>>;

/// Pieces that are asked for and given over this node's links.
#[derive(Default)]
pub(super) struct Exchange {
    own: Mutex<Option<Arc<dyn Pieces>>>,
    waiting: Mutex<Waiting>,
    turn: AtomicUsize,
}

impl Exchange {
    /// Gives of these from now on.
    pub(super) fn give(&self, pieces: Arc<dyn Pieces>) {
        *self.own.lock().expect("nobody panics with the lock") = Some(pieces);
    }

    /// The frame that answers who wants a piece.
    pub(super) async fn answer(&self, piece: PieceId, counters: &Counters) -> Frame {
        Frame::Piece(piece, self.find(piece, counters).await)
    }

    /// A piece that this node has to give; empty if it has not.
    pub(super) async fn find(&self, piece: PieceId, counters: &Counters) -> Box<[u8]> {
        let own = self.own.lock().expect("nobody panics with the lock").clone();
        let found = match own {
            Some(own) => tokio::task::spawn_blocking(move || own.find(&piece)).await.ok().flatten(),
            None => None,
        };
        let found = found.filter(|octets| octets.len() <= PIECE_MAX).unwrap_or_default();
        if !found.is_empty() {
            Counters::count(&counters.pieces_given);
        }
        found
    }

    /// A piece came, or the word that there is none.
    pub(super) fn take(&self, from: &NodeName, piece: PieceId, octets: Box<[u8]>) {
        let key = (from.clone(), piece);
        // Nobody waits for what was not asked for.
        let waiting = self.waiting.lock().expect("nobody panics with the lock").remove(&key);
        for sender in waiting.into_iter().flatten() {
            let _ = sender.send(octets.clone());
        }
    }

    /// Asks one peer after the other, another one first each time.
    pub(super) async fn fetch(
        &self,
        links: &Links,
        counters: &Counters,
        piece: PieceId,
    ) -> Option<Box<[u8]>> {
        let mut peers = links.all();
        if peers.is_empty() {
            return None;
        }
        let first = self.turn.fetch_add(1, Relaxed) % peers.len();
        peers.rotate_left(first);
        for link in peers.iter().take(ASKED_MAX) {
            let wait = Wait { exchange: self, key: (link.node.clone(), piece) };
            let given = self.wait_for(&wait.key);
            link.outbox.put_frame(Frame::Want(piece));
            let given = tokio::select! {
                given = timeout(GIVEN_WITHIN, given) => given.ok().and_then(Result::ok),
                () = link.cut.cancelled() => None,
            };
            drop(wait);
            match given.filter(|octets| !octets.is_empty()) {
                Some(octets) if PieceId::of(&octets) == piece => {
                    Counters::count(&counters.pieces_taken);
                    return Some(octets);
                }
                // Whoever gives something else has a fault of its disk, or lies.
                Some(_) => Counters::count(&counters.pieces_wrong),
                None => {}
            }
        }
        None
    }

    fn wait_for(&self, key: &(NodeName, PieceId)) -> oneshot::Receiver<Box<[u8]>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        waiting.entry(key.clone()).or_default().push(sender);
        receiver
    }
}

/// Somebody who waits; however that ends, nothing is left of it.
struct Wait<'e> {
    exchange: &'e Exchange,
    key: (NodeName, PieceId),
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waiting = self.exchange.waiting.lock().expect("nobody panics with the lock");
        if let Some(senders) = waiting.get_mut(&self.key) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.key);
            }
        }
    }
}
