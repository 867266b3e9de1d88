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
    waiting: Mutex<BTreeMap<(NodeName, Place), Heard>>,
    ready: Notify,
}

/// Where something of a node waits. That it is forgotten goes before what it says then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Forgotten,
    Link,
    Value(Slot),
}

impl Mailbox {
    /// Puts in what was heard.
    pub(super) fn put(&self, heard: Vec<Heard>) {
        if heard.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        for heard in heard {
            if let Heard::Forgotten { node } = &heard {
                waiting.retain(|(of, place), _| of != node || *place == Place::Link);
            }
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

fn key(heard: &Heard) -> (NodeName, Place) {
    match heard {
        Heard::Value { node, topic, .. } => (node.clone(), Place::Value(topic.place())),
        Heard::Link { node, .. } => (node.clone(), Place::Link),
        Heard::Forgotten { node } => (node.clone(), Place::Forgotten),
    }
}

fn age(heard: &Heard) -> Option<(Generation, u64)> {
    match heard {
        Heard::Value { generation, sequence, .. } => Some((*generation, *sequence)),
        Heard::Link { .. } | Heard::Forgotten { .. } => None,
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

    #[tokio::test]
    async fn what_a_node_said_before_it_was_forgotten_is_not_handed_on_and_what_it_says_then_is() {
        let mailbox = Mailbox::default();
        let node = NodeName::parse("b").unwrap();
        let value = |generation| Heard::Value {
            node: node.clone(),
            generation: Generation(generation),
            topic: Topic::Beat,
            sequence: 1,
            payload: [].into(),
        };
        let forgotten = Heard::Forgotten { node: node.clone() };
        mailbox.put(vec![value(9), forgotten.clone(), value(1)]);
        let (to, mut from) = mpsc::channel(2);
        let both = async { (from.recv().await.unwrap(), from.recv().await.unwrap()) };
        tokio::select! {
            () = mailbox.hand_on(&to) => panic!("it ends"),
            both = both => assert_eq!(both, (forgotten, value(1))),
        }
    }
}
