//! What was heard and waits for the control loop: the newest of each topic, so that nothing is lost and little waits.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::NodeName;
use crate::cluster::Slot;

/// What was heard; bounded by the topics of members, which the door bounds.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<BTreeMap<(NodeName, Option<Slot>), Heard>>,
    ready: Notify,
}

impl Mailbox {
    /// Puts in what was heard.
    pub(super) fn put(&self, heard: Vec<Heard>) {
        if heard.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        for heard in heard {
            let key = key(&heard);
            if waiting.get(&key).is_none_or(|old| age(old) <= age(&heard)) {
                waiting.insert(key, heard);
            }
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// Hands on what comes, for as long as somebody listens.
    pub(super) async fn hand_on(&self, to: &mpsc::Sender<Heard>) {
        loop {
            let waiting =
                std::mem::take(&mut *self.waiting.lock().expect("nobody panics with the lock"));
            if waiting.is_empty() {
                self.ready.notified().await;
            }
            for heard in waiting.into_values() {
                if to.send(heard).await.is_err() {
                    // The server stops.
                    return std::future::pending().await;
                }
            }
        }
    }
}

fn key(heard: &Heard) -> (NodeName, Option<Slot>) {
    match heard {
        Heard::Value { node, topic, .. } => (node.clone(), Some(topic.place())),
        Heard::Link { node, .. } => (node.clone(), None),
    }
}

fn age(heard: &Heard) -> Option<(Generation, u64)> {
    match heard {
        Heard::Value { generation, sequence, .. } => Some((*generation, *sequence)),
        Heard::Link { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topic;

    #[tokio::test]
    async fn of_each_topic_the_newest_is_handed_on() {
        let mailbox = Mailbox::default();
        let value = |sequence| Heard::Value {
            node: NodeName::parse("b").unwrap(),
            generation: Generation(1),
            topic: Topic::Beat,
            sequence,
            payload: [].into(),
        };
        mailbox.put(vec![value(2), value(3), value(1)]);
        let (to, mut from) = mpsc::channel(1);
        tokio::select! {
            () = mailbox.hand_on(&to) => panic!("it ends"),
            heard = from.recv() => assert_eq!(heard, Some(value(3))),
        }
        assert!(from.try_recv().is_err());
    }
}
