//! What this node says: one payload a topic, at most every 200 ms; numbered and sealed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cluster::Envelope;
use crate::cluster::Generation;
use crate::cluster::NodeName;
use crate::cluster::Origin;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::Say;
use crate::cluster::SigningKey;
use crate::cluster::Slot;
use crate::cluster::Topic;

/// Least time between two values of a topic.
pub(super) const WRITE_EVERY: Duration = Duration::from_millis(200);

/// What is to be said, the last of each topic; bounded by the topics that there are.
#[derive(Debug, Default)]
pub(super) struct ToSay {
    waiting: Mutex<BTreeMap<Slot, Say>>,
    ready: Notify,
}

impl ToSay {
    /// Has something said. What is too long is refused: it would never fit.
    pub(super) fn put(&self, say: Say) {
        if say.payload.len() > PAYLOAD_MAX {
            let (topic, octets) = (say.topic, say.payload.len());
            tracing::error!(target: "rhumb::cluster", %topic, octets, "a value is too long and is not said");
            return;
        }
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        let urgent = waiting.get(&say.topic.place()).is_some_and(|earlier| earlier.urgent);
        waiting.insert(say.topic.place(), Say { urgent: say.urgent || urgent, ..say });
        drop(waiting);
        self.ready.notify_one();
    }

    /// What may be said now; waits for it. `written`: when each topic was written last.
    pub(super) async fn next(&self, written: &mut BTreeMap<Slot, Instant>) -> Vec<Say> {
        loop {
            let (due, soonest) = self.take_due(written, Instant::now());
            if !due.is_empty() {
                return due;
            }
            tokio::select! {
                () = self.ready.notified() => {}
                () = sleep_until(soonest) => {}
            }
        }
    }

    fn take_due(
        &self,
        written: &mut BTreeMap<Slot, Instant>,
        now: Instant,
    ) -> (Vec<Say>, Option<Instant>) {
        written.retain(|_, at| *at + WRITE_EVERY > now);
        let mut waiting = self.waiting.lock().expect("nobody panics with the lock");
        let is_due = |slot: &Slot| !written.contains_key(slot);
        let slots: Vec<_> = waiting.keys().filter(|slot| is_due(slot)).copied().collect();
        let due = slots.iter().filter_map(|slot| waiting.remove(slot)).collect();
        let soonest = waiting.keys().filter_map(|slot| written.get(slot)).min();
        let soonest = soonest.map(|at| *at + WRITE_EVERY);
        written.extend(slots.into_iter().map(|slot| (slot, now)));
        (due, soonest)
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// A value of this node that may be spread.
pub(super) struct Said {
    pub(super) topic: Topic,
    pub(super) sequence: u64,
    pub(super) sealed: Arc<[u8]>,
}

/// Everything that this node has said.
pub(super) struct Own {
    cluster: Box<str>,
    node: NodeName,
    generation: Generation,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sequence: u64,
    values: BTreeMap<Slot, (Topic, Box<[u8]>)>,
}

impl Own {
    pub(super) fn new(cluster: &str, node: &NodeName, generation: Generation) -> Self {
        let (cluster, node) = (cluster.into(), node.clone());
        Self { cluster, node, generation, inner: Mutex::default() }
    }

    /// Says something: keeps, numbers and seals it.
    pub(super) fn say(&self, say: &Say, key: &SigningKey) -> Said {
        let mut inner = self.inner.lock().expect("nobody panics with the lock");
        if !say.topic.is_fleeting() {
            inner.values.insert(say.topic.place(), (say.topic, say.payload.clone()));
        }
        self.seal(&mut inner, say.topic, say.payload.clone(), key)
    }

    /// Says everything once more, by another key.
    pub(super) fn say_again(&self, key: &SigningKey) -> Vec<Said> {
        let mut inner = self.inner.lock().expect("nobody panics with the lock");
        let values: Vec<_> = inner.values.values().cloned().collect();
        let seal = |(topic, payload)| self.seal(&mut inner, topic, payload, key);
        values.into_iter().map(seal).collect()
    }

    fn seal(&self, inner: &mut Inner, topic: Topic, payload: Box<[u8]>, key: &SigningKey) -> Said {
        inner.sequence += 1;
        let sequence = inner.sequence;
        let (node, generation) = (&self.node, self.generation);
        let origin = Origin { cluster: &self.cluster, node, generation };
        let sealed = Envelope { topic, sequence, payload }.seal(&origin, key).into();
        Said { topic, sequence, sealed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(topic: Topic, payload: u8, urgent: bool) -> Say {
        Say { topic, payload: [payload].into(), urgent }
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_is_written_at_most_every_200_ms_and_its_last_payload_wins() {
        let (to_say, mut written) = (ToSay::default(), BTreeMap::new());
        let start = Instant::now();
        to_say.put(say(Topic::State, 1, false));
        assert_eq!(to_say.next(&mut written).await, [say(Topic::State, 1, false)]);
        to_say.put(say(Topic::State, 2, true));
        to_say.put(say(Topic::State, 3, false));
        to_say.put(say(Topic::Beat, 9, false));
        assert_eq!(to_say.next(&mut written).await, [say(Topic::Beat, 9, false)]);
        assert_eq!(start.elapsed(), Duration::ZERO, "another topic need not wait");
        let last = to_say.next(&mut written).await;
        assert_eq!(last, [say(Topic::State, 3, true)], "what was urgent stays so");
        assert_eq!(start.elapsed(), WRITE_EVERY);
    }

    #[test]
    fn what_is_too_long_is_not_said() {
        let to_say = ToSay::default();
        let payload = vec![0; PAYLOAD_MAX + 1].into();
        to_say.put(Say { topic: Topic::State, payload, urgent: false });
        assert!(to_say.take_due(&mut BTreeMap::new(), Instant::now()).0.is_empty());
    }
}
