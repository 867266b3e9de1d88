//! What is wrong with this node's speech, for whoever runs it: nobody else can tell.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;

use crate::cluster::Generation;
use crate::cluster::Slot;
use crate::cluster::Topic;
use crate::cluster::door::OCTETS_MAX;
use crate::cluster::frame::SLOTS_MAX;

/// Slots that are remembered because nobody hears of them.
const UNSAID_MAX: usize = 1000;

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What this node has to say beyond what is kept of a node.
    unsaid: BTreeSet<Slot>,
    /// A later life of this node than this one, in which something was signed by its key.
    double: Option<Generation>,
}

impl Faults {
    /// Notes whether a value was said, or was too much.
    pub(super) fn note_said(&self, topic: Topic, is_said: bool) {
        let mut inner = self.lock();
        if is_said {
            inner.unsaid.remove(&topic.place());
        } else if inner.unsaid.len() < UNSAID_MAX && inner.unsaid.insert(topic.place()) {
            let unsaid = inner.unsaid.len();
            drop(inner);
            tracing::error!(
                target: "rhumb::cluster", %topic, unsaid,
                "this node says more than is kept of a node: the others do not hear this; restart it"
            );
        }
    }

    /// Notes whether another process speaks as this node.
    pub(super) fn note_double(&self, double: Option<Generation>, own: Generation) {
        let before = std::mem::replace(&mut self.lock().double, double);
        if let (None, Some(double)) = (before, double) {
            tracing::error!(target: "rhumb::cluster", "{}", words(double, own));
        }
    }

    /// All of it in words; `own`: the life in which this node is.
    pub(super) fn texts(&self, own: Generation) -> Vec<String> {
        let inner = self.lock();
        let unsaid = (!inner.unsaid.is_empty()).then(|| {
            let (count, megabytes) = (inner.unsaid.len(), OCTETS_MAX >> 20);
            format!(
                "this node says more than is kept of a node ({SLOTS_MAX} values, {megabytes} MB): {count} of its values nobody \
                 hears; restart it"
            )
        });
        inner.double.map(|double| words(double, own)).into_iter().chain(unsaid).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with the lock")
    }
}

fn words(double: Generation, own: Generation) -> String {
    format!(
        "another process speaks as this node, in generation {double}, this is {own}: the others do not hear this one. Two \
         machines have one key, or it was stolen (give this node a new one), or the clock was set back and there is no [state]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_told_until_it_is_said() {
        let faults = Faults::default();
        assert_eq!(faults.texts(Generation(1)), Vec::<String>::new());
        faults.note_said(Topic::State, false);
        faults.note_said(Topic::Bundle, false);
        faults.note_said(Topic::Bundle, false);
        assert!(faults.texts(Generation(1))[0].contains("2 of its values nobody hears"));
        faults.note_said(Topic::State, true);
        faults.note_said(Topic::Bundle, true);
        assert_eq!(faults.texts(Generation(1)), Vec::<String>::new());
    }

    #[test]
    fn a_double_is_told_until_this_node_has_another_key() {
        let faults = Faults::default();
        faults.note_double(Some(Generation(9)), Generation(1));
        let texts = faults.texts(Generation(1));
        assert!(
            texts[0].starts_with("another process speaks as this node, in generation 9, this is 1")
        );
        faults.note_double(None, Generation(1));
        assert_eq!(faults.texts(Generation(1)), Vec::<String>::new());
    }
}
