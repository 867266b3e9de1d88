//! What is to be done when: one list of moments for due probes and for deadlines, in steps of a few milliseconds.
//!
//! Knows no clock and wakes nobody; what is no longer wanted stays in it until its moment, and whoever takes it out tells.

use std::collections::BTreeMap;
use std::time::Duration;

/// Length of a step: what is due within one is done together, so that one timer and one look at the sockets serve many.
///
/// Source: a tenth of what the 99th percentile of lateness may be, and half of that; at 5,000 probes a second 25 share a step.
pub(super) const STEP: Duration = Duration::from_millis(5);

/// Things with the moments at which they are due.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    /// By number of the step at whose end they are due.
    steps: BTreeMap<u64, Vec<T>>,
    len: usize,
    /// An emptied list, for the next step.
    spare: Vec<T>,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self { steps: BTreeMap::new(), len: 0, spare: Vec::new() }
    }

    /// Adds what is due at `at`: never taken before it, and at most one step after it if somebody looks then.
    pub(super) fn insert(&mut self, at: Duration, item: T) {
        let spare = &mut self.spare;
        self.steps.entry(step_of(at)).or_insert_with(|| std::mem::take(spare)).push(item);
        self.len += 1;
    }

    /// How much is in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The next moment at which something is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.steps.first_key_value().map(|(step, _)| time_of(*step))
    }

    /// Moves what is due by `now` to the end of `due`, the earliest step first, each step in the order of its insertions.
    pub(super) fn take_due(&mut self, now: Duration, due: &mut Vec<T>) {
        while let Some(first) =
            self.steps.first_entry().filter(|first| time_of(*first.key()) <= now)
        {
            let mut items = first.remove();
            self.len -= items.len();
            due.append(&mut items);
            self.spare = items;
        }
    }

    /// Forgets what is not wanted.
    pub(super) fn retain(&mut self, mut is_wanted: impl FnMut(&T) -> bool) {
        self.steps.retain(|_, items| {
            items.retain(&mut is_wanted);
            !items.is_empty()
        });
        self.len = self.steps.values().map(Vec::len).sum();
    }
}

/// The first step that ends at or after `at`.
fn step_of(at: Duration) -> u64 {
    u64::try_from(at.as_nanos().div_ceil(STEP.as_nanos())).unwrap_or(u64::MAX)
}

fn time_of(step: u64) -> Duration {
    let nanos = STEP.as_nanos().saturating_mul(u128::from(step));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use super::STEP;
    use proptest::prelude::*;
    use std::time::Duration;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn nothing_is_taken_before_its_moment_nor_much_after_it() {
        let mut agenda = Agenda::new();
        agenda.insert(ms(12), 'a');
        let mut due = Vec::new();
        agenda.take_due(ms(12), &mut due);
        assert!(due.is_empty());
        let next = agenda.next().unwrap();
        assert!(next >= ms(12) && next < ms(12) + STEP);
        agenda.take_due(next, &mut due);
        assert_eq!((due, agenda.next(), agenda.len()), (vec!['a'], None, 0));
    }

    #[test]
    fn the_end_of_time_is_a_moment_like_others() {
        let mut agenda = Agenda::new();
        agenda.insert(Duration::MAX, 'z');
        assert!(agenda.next().is_some_and(|next| next > ms(1_000_000_000)));
    }

    /// What an agenda is told.
    #[derive(Clone, Debug)]
    enum Order {
        Insert(u64),
        Take(u64),
        Retain(u32),
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            4 => (0u64..300).prop_map(Order::Insert),
            2 => (0u64..60).prop_map(Order::Take),
            1 => (2u32..5).prop_map(Order::Retain),
        ]
    }

    proptest! {
        /// The twin is a plain list that is sorted at each look.
        #[test]
        fn does_what_a_sorted_list_does(orders in prop::collection::vec(order(), 0..200)) {
            let (mut agenda, mut twin) = (Agenda::new(), Vec::<(Duration, u32)>::new());
            let mut now = Duration::ZERO;
            for (number, order) in orders.into_iter().enumerate() {
                let number = number as u32;
                match order {
                    Order::Insert(ahead) => {
                        agenda.insert(now + ms(ahead), number);
                        let steps = (now + ms(ahead)).as_nanos().div_ceil(STEP.as_nanos()) as u32;
                        twin.push((STEP * steps, number));
                    }
                    Order::Take(ahead) => {
                        now += ms(ahead);
                        let mut due = Vec::new();
                        agenda.take_due(now, &mut due);
                        twin.sort_by_key(|(at, _)| *at);
                        let later = twin.iter().position(|(at, _)| *at > now).unwrap_or(twin.len());
                        let wanted: Vec<u32> = twin.drain(..later).map(|(_, number)| number).collect();
                        prop_assert_eq!(due, wanted);
                    }
                    Order::Retain(every) => {
                        agenda.retain(|number| number % every != 0);
                        twin.retain(|(_, number)| number % every != 0);
                    }
                }
                prop_assert_eq!(agenda.len(), twin.len());
                prop_assert_eq!(agenda.next(), twin.iter().map(|(at, _)| *at).min());
            }
        }
    }
}
