//! How far wall clocks of nodes are apart, as far as that can be told without one that is right.
//!
//! A beat says what its speaker's wall clock showed. It comes later by its way, straight or through others: so of the last
//! beats the one counts that was on its way for the shortest time, less half of the time there and back where that is known.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::NodeName;
use crate::model::Now;

/// Clocks may differ by so much, in milliseconds.
///
/// Source: design, section 5.5.
pub const APART_MAX_MS: u64 = 1000;

/// So many of the last beats count, one a second.
const BEATS: usize = 8;

/// A difference that lasts so long is told.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockNews {
    /// A node's clock has been off for a while; by how many milliseconds it is ahead of ours.
    Off(NodeName, i64),
    /// It is off no more.
    Right(NodeName),
}

/// All other nodes' clocks.
#[derive(Debug, Default)]
pub struct Clocks {
    nodes: BTreeMap<NodeName, Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    /// What the last beat said, so that none counts twice.
    last: Duration,
    /// By how many milliseconds it is ahead, or more, by each of the last beats.
    ahead: VecDeque<i64>,
    off_since: Option<Duration>,
    is_told: bool,
}

impl Clock {
    /// The way makes a clock look behind: who looks most ahead was fastest.
    fn ahead_ms(&self) -> Option<i64> {
        self.ahead.iter().copied().max()
    }
}

/// Whether a difference is too much.
pub fn is_off(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() > APART_MAX_MS
}

impl Clocks {
    /// Takes in what a node's clock showed; `way` is how long its beats are on their way, as far as known.
    pub fn observe(&mut self, node: &NodeName, said: Duration, way: Duration, now: Now) {
        let clock = self.nodes.entry(node.clone()).or_default();
        if said.is_zero() || said == clock.last {
            return;
        }
        clock.last = said;
        let [said, came, way] =
            [said, now.unix, way].map(|at| i64::try_from(at.as_millis()).unwrap_or(i64::MAX));
        clock.ahead.push_front(said.saturating_sub(came).saturating_add(way));
        clock.ahead.truncate(BEATS);
    }

    /// By how many milliseconds a node's clock is ahead of ours.
    pub fn ahead_ms(&self, node: &NodeName) -> Option<i64> {
        self.nodes.get(node)?.ahead_ms()
    }

    /// Looks at the nodes that live, and forgets the others.
    pub fn advance(
        &mut self,
        is_live: impl Fn(&NodeName) -> bool,
        now: Duration,
    ) -> Vec<ClockNews> {
        self.nodes.retain(|node, _| is_live(node));
        let mut news = Vec::new();
        for (node, clock) in &mut self.nodes {
            let Some(ahead) = clock.ahead_ms().filter(|ahead| is_off(*ahead)) else {
                clock.off_since = None;
                if std::mem::take(&mut clock.is_told) {
                    news.push(ClockNews::Right(node.clone()));
                }
                continue;
            };
            let since = *clock.off_since.get_or_insert(now);
            if !clock.is_told && now >= since + TOLD_AFTER {
                clock.is_told = true;
                news.push(ClockNews::Off(node.clone(), ahead));
            }
        }
        news
    }
}

/// `3.2 s ahead of`, `90.0 s behind`
pub fn apart_text(ahead_ms: i64) -> String {
    let seconds = ahead_ms.unsigned_abs() as f64 / 1000.0;
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    format!("{seconds:.1} s {side}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeName {
        NodeName::parse("sin-1").unwrap()
    }

    fn at(ms: u64) -> Now {
        let monotonic = Duration::from_millis(ms);
        Now { monotonic, unix: Duration::from_millis(1_800_000_000_000 + ms) }
    }

    /// A beat each second, of a clock that is ahead by some milliseconds, which takes its time.
    fn beats(clocks: &mut Clocks, from_s: u64, ahead: i64, ways: &[u64]) -> Vec<ClockNews> {
        let mut news = Vec::new();
        for (second, way) in (from_s..).zip(ways) {
            let said = at(second * 1000).unix.as_millis() as i64 + ahead;
            let came = at(second * 1000 + way);
            let said = Duration::from_millis(said as u64);
            clocks.observe(&node(), said, Duration::ZERO, came);
            news.extend(clocks.advance(|_| true, came.monotonic));
        }
        news
    }

    #[test]
    fn the_fastest_of_the_last_beats_counts_and_slow_ones_are_no_difference() {
        let mut clocks = Clocks::default();
        let news =
            beats(&mut clocks, 10, 0, &[150, 1900, 4000, 150, 20, 2500, 150, 1500].repeat(9));
        assert_eq!(news, []);
        assert_eq!(clocks.ahead_ms(&node()), Some(-20));
    }

    #[test]
    fn a_clock_that_is_off_is_told_after_ten_seconds_and_when_it_is_right_again() {
        for (ahead, seen) in [(3000, 2850), (-1200, -1350), (1100, 950), (-900, -1050)] {
            let mut clocks = Clocks::default();
            beats(&mut clocks, 10, 0, &[150; 20]);
            let news = beats(&mut clocks, 30, ahead, &[150; 40]);
            assert_eq!(clocks.ahead_ms(&node()), Some(seen));
            let told = is_off(seen).then(|| ClockNews::Off(node(), seen));
            assert_eq!(news, Vec::from_iter(told), "{ahead}");
            let right = beats(&mut clocks, 70, 0, &[150; 20]);
            assert_eq!(right.len(), news.len());
        }
    }

    #[test]
    fn half_of_a_known_round_trip_is_taken_off() {
        let mut clocks = Clocks::default();
        let way = Duration::from_millis(75);
        clocks.observe(&node(), at(1000).unix, way, at(1080));
        assert_eq!(clocks.ahead_ms(&node()), Some(-5));
        clocks.observe(&node(), at(1000).unix, way, at(9000));
        assert_eq!(clocks.ahead_ms(&node()), Some(-5), "the same beat once more");
        clocks.observe(&node(), Duration::ZERO, way, at(9000));
        assert_eq!(clocks.ahead_ms(&node()), Some(-5), "it does not tell");
        clocks.advance(|_| false, Duration::ZERO);
        assert_eq!(clocks.ahead_ms(&node()), None, "it is dead");
    }

    #[test]
    fn no_stamp_makes_it_fail() {
        for said in [Duration::MAX, Duration::from_millis(1), Duration::from_millis(u64::MAX)] {
            let mut clocks = Clocks::default();
            clocks.observe(&node(), said, Duration::MAX, at(1));
            clocks.advance(|_| true, Duration::ZERO);
            assert!(!apart_text(clocks.ahead_ms(&node()).unwrap()).is_empty());
        }
    }
}
