//! Frames that wait for a peer to read: bounded, and gossip goes first when there are too many.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::cluster::PieceId;
use crate::cluster::frame::Frame;
use crate::cluster::frame::Pushed;

/// Gossip messages that wait, at most: the next one says what the last one said, and more.
const GOSSIP_MAX: usize = 8;

/// Other frames that wait, at most.
const OTHERS_MAX: usize = 256;

/// Pieces that a peer waits for, at most; it asks for more than that only if it means harm.
const WANTED_MAX: usize = 16;

/// Values of one frame, at most.
const PUSHED_MAX: usize = 8;

/// Frames on their way to one peer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    gossip: VecDeque<Vec<u8>>,
    others: VecDeque<Frame>,
    pushes: VecDeque<Pushed>,
    wanted: VecDeque<PieceId>,
}

/// What is to be sent next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This.
    Frame(Frame),
    /// A piece, which is looked for only now: none waits in memory.
    Piece(PieceId),
}

/// What became of what was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits.
    Waits,
    /// It waits, and the oldest of its kind does no more.
    DroppedOldest,
}

impl Outbox {
    /// Has a gossip message sent.
    pub(super) fn put_gossip(&self, message: Vec<u8>) -> Put {
        self.put(|waiting| push_bounded(&mut waiting.gossip, message, GOSSIP_MAX))
    }

    /// Has a value sent before gossip.
    pub(super) fn put_push(&self, pushed: Pushed) -> Put {
        self.put(|waiting| push_bounded(&mut waiting.pushes, pushed, OTHERS_MAX))
    }

    /// Has a frame sent before gossip.
    fn put(&self, put: impl FnOnce(&mut Waiting) -> Put) -> Put {
        let done = put(&mut self.waiting.lock().expect("nobody panics with the lock"));
        self.ready.notify_one();
        done
    }

    /// Has a small frame sent first.
    pub(super) fn put_frame(&self, frame: Frame) -> Put {
        self.put(|waiting| push_bounded(&mut waiting.others, frame, OTHERS_MAX))
    }

    /// Has a piece sent after everything else; of too many the oldest is forgotten.
    pub(super) fn put_wanted(&self, piece: PieceId) -> Put {
        self.put(|waiting| push_bounded(&mut waiting.wanted, piece, WANTED_MAX))
    }

    /// What is next; waits for it. Gossip is not compressed yet.
    pub(super) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        if let Some(frame) = waiting.others.pop_front() {
            return Some(Next::Frame(frame));
        }
        if !waiting.pushes.is_empty() {
            let count = waiting.pushes.len().min(PUSHED_MAX);
            return Some(Next::Frame(Frame::Push(waiting.pushes.drain(..count).collect())));
        }
        if let Some(message) = waiting.gossip.pop_front() {
            return Some(Next::Frame(Frame::Gossip(message)));
        }
        waiting.wanted.pop_front().map(Next::Piece)
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) -> Put {
    queue.push_back(item);
    if queue.len() <= most {
        return Put::Waits;
    }
    queue.pop_front();
    Put::DroppedOldest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pings_go_before_gossip_and_the_oldest_gossip_is_dropped() {
        let outbox = Outbox::default();
        for number in 0..GOSSIP_MAX as u8 {
            assert_eq!(outbox.put_gossip(vec![number]), Put::Waits);
        }
        assert_eq!(outbox.put_gossip(vec![99]), Put::DroppedOldest);
        for number in 0..=WANTED_MAX as u8 {
            outbox.put_wanted(PieceId::of(&[number]));
        }
        outbox.put_frame(Frame::Ping(1));
        assert_eq!(outbox.next().await, Next::Frame(Frame::Ping(1)));
        assert_eq!(outbox.next().await, Next::Frame(Frame::Gossip(vec![1])));
        for _ in 1..GOSSIP_MAX {
            assert!(matches!(outbox.next().await, Next::Frame(Frame::Gossip(_))));
        }
        assert_eq!(outbox.next().await, Next::Piece(PieceId::of(&[1])), "pieces go last");
    }
}
