//! Whose turn it is among probes that are due while as many run as may.
//!
//! Targets whose last probe used up its whole time stand in a line of their own: they hold their place for long, and
//! must not keep the others from theirs.

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::probe::slot::Turn;

/// How much of its time the last probe of a target took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It ended by itself.
    Quick,
    /// Its deadline ended it.
    Slow,
}

/// Those who wait, and how many of each kind run.
#[derive(Debug)]
pub(super) struct Lines {
    room: usize,
    quick: VecDeque<(Turn, Duration)>,
    slow: VecDeque<(Turn, Duration)>,
    quick_running: usize,
    slow_running: usize,
}

impl Lines {
    /// Nobody waits; at most `room` run at once, at least one.
    pub(super) fn new(room: usize) -> Self {
        let (quick, slow) = (VecDeque::new(), VecDeque::new());
        Self { room: room.max(1), quick, slow, quick_running: 0, slow_running: 0 }
    }

    /// Puts one at the end of its line, with the moment.
    pub(super) fn push(&mut self, turn: Turn, pace: Pace, now: Duration) {
        match pace {
            Pace::Quick => self.quick.push_back((turn, now)),
            Pace::Slow => self.slow.push_back((turn, now)),
        }
    }

    /// The next to run, with the moment since when it stands in line; `None` if nobody waits or nobody may run.
    ///
    /// The slow ones get a quarter of the room whenever they want it, and three quarters at most.
    pub(super) fn pop(&mut self) -> Option<(Turn, Duration)> {
        if self.running() >= self.room {
            return None;
        }
        let quarter = self.room.div_ceil(4);
        if self.slow_running < quarter
            && let Some(first) = self.slow.pop_front()
        {
            return Some(first);
        }
        if let Some(first) = self.quick.pop_front() {
            return Some(first);
        }
        let has_room = self.slow_running < (self.room - self.room / 4).max(1);
        has_room.then(|| self.slow.pop_front()).flatten()
    }

    /// Puts one back that was not started after all.
    pub(super) fn put_back(&mut self, turn: Turn, pace: Pace, since: Duration) {
        match pace {
            Pace::Quick => self.quick.push_front((turn, since)),
            Pace::Slow => self.slow.push_front((turn, since)),
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_waited_in(&self) -> bool {
        !self.quick.is_empty() || !self.slow.is_empty()
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.quick_running + self.slow_running
    }

    /// One begins to run.
    pub(super) fn begin(&mut self, pace: Pace) {
        *self.running_of(pace) += 1;
    }

    /// One runs no more.
    pub(super) fn end(&mut self, pace: Pace) {
        *self.running_of(pace) -= 1;
    }

    fn running_of(&mut self, pace: Pace) -> &mut usize {
        match pace {
            Pace::Quick => &mut self.quick_running,
            Pace::Slow => &mut self.slow_running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use super::Pace;
    use crate::runtime::probe::slot::SlotId;
    use crate::runtime::probe::slot::Turn;
    use std::time::Duration;

    /// Starts all that may run; how many of each kind do.
    fn fill(lines: &mut Lines, is_slow: impl Fn(Turn) -> bool) {
        while let Some((turn, _)) = lines.pop() {
            lines.begin(if is_slow(turn) { Pace::Slow } else { Pace::Quick });
        }
    }

    fn turn(number: u32) -> Turn {
        Turn { slot: SlotId(number), stamp: 0 }
    }

    #[test]
    fn slow_ones_leave_a_quarter_of_the_room_to_the_others_and_get_a_quarter_of_it() {
        let is_slow = |turn: Turn| turn.slot.0 >= 1000;
        let mut lines = Lines::new(16);
        for number in 0..100 {
            lines.push(turn(1000 + number), Pace::Slow, Duration::ZERO);
        }
        fill(&mut lines, is_slow);
        assert_eq!((lines.slow_running, lines.quick_running), (12, 0));
        for number in 0..100 {
            lines.push(turn(number), Pace::Quick, Duration::ZERO);
        }
        fill(&mut lines, is_slow);
        assert_eq!((lines.slow_running, lines.quick_running), (12, 4));
        for _ in 0..12 {
            lines.end(Pace::Slow);
            fill(&mut lines, is_slow);
        }
        assert_eq!((lines.slow_running, lines.quick_running), (4, 12));
    }

    #[test]
    fn with_room_for_one_everybody_gets_a_turn() {
        let mut lines = Lines::new(0);
        lines.push(turn(1), Pace::Quick, Duration::ZERO);
        lines.push(turn(2), Pace::Slow, Duration::ZERO);
        let mut seen = Vec::new();
        while let Some((turn, _)) = lines.pop() {
            lines.begin(Pace::Quick);
            assert_eq!(lines.pop(), None);
            lines.end(Pace::Quick);
            seen.push(turn.slot.0);
        }
        assert_eq!(seen.len(), 2);
        assert!(!lines.is_waited_in());
    }
}
