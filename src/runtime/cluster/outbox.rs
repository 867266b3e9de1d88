//! Frames that wait for a peer to read, besides what gossip has for it: few and bounded.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::cluster::PieceId;
use crate::cluster::frame::Frame;

/// Frames that wait, at most: answers to pings, of which there is one a second, and pieces that are asked for.
const FRAMES_MAX: usize = 64;

/// Pieces that a peer waits for, at most; it asks for more than that only if it means harm.
const WANTED_MAX: usize = 16;

/// Frames on their way to one peer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Frame>>,
    wanted: Mutex<VecDeque<PieceId>>,
    ready: Notify,
}

impl Outbox {
    /// Has a frame sent before all values; of too many the oldest are dropped.
    pub(super) fn put_frame(&self, frame: Frame) {
        push_bounded(&self.waiting, frame, FRAMES_MAX);
        self.wake();
    }

    /// Has a piece sent after everything else; of too many the oldest is forgotten. None is looked for before its turn.
    pub(super) fn put_wanted(&self, piece: PieceId) {
        push_bounded(&self.wanted, piece, WANTED_MAX);
        self.wake();
    }

    /// Has whoever writes look what there is.
    pub(super) fn wake(&self) {
        self.ready.notify_one();
    }

    /// Waits until there may be something to write.
    pub(super) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// The next frame.
    pub(super) fn take(&self) -> Option<Frame> {
        self.waiting.lock().expect("nobody panics with the lock").pop_front()
    }

    /// The next piece that is to be sent.
    pub(super) fn take_wanted(&self) -> Option<PieceId> {
        self.wanted.lock().expect("nobody panics with the lock").pop_front()
    }
}

fn push_bounded<T>(queue: &Mutex<VecDeque<T>>, item: T, most: usize) {
    let mut queue = queue.lock().expect("nobody panics with the lock");
    queue.push_back(item);
    while queue.len() > most {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_in_order_and_of_too_many_the_oldest_are_dropped() {
        let outbox = Outbox::default();
        for number in 0..FRAMES_MAX as u64 + 3 {
            outbox.put_frame(Frame::Pong(number));
        }
        outbox.ready().await;
        let all: Vec<_> = std::iter::from_fn(|| outbox.take()).collect();
        assert_eq!(all.len(), FRAMES_MAX);
        assert_eq!(all[0], Frame::Pong(3));
    }
}
