//! What the prober tells of itself: how late probes start, how many run, what holds them up.
//!
//! One task writes; readers see each number by itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::control::status::ProbingStatus;

/// Upper ends of the classes of lateness, in milliseconds; the last class has none.
pub const LATENESS_MS: [u64; 12] = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

/// Classes of lateness.
const CLASSES: usize = LATENESS_MS.len() + 1;

/// How long the present is: what is shown of it covers one to two of these.
const PRESENT: Duration = Duration::from_secs(30);

/// What makes a probe wait that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// As many run as may.
    InFlight,
    /// This node starts as many a second as it may.
    Node,
    /// Its address is probed as often a second as it may.
    Address,
}

impl Cap {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::InFlight, Self::Node, Self::Address];

    /// The key of `[probe]` that sets it.
    pub fn key(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Node => "rate",
            Self::Address => "rate_per_address",
        }
    }
}

/// Cells of numbers, written by the prober alone.
#[derive(Debug, Default)]
pub struct ProbeCounters {
    targets: AtomicU64,
    probes: AtomicU64,
    in_flight: AtomicU64,
    delayed: [AtomicU64; Cap::ALL.len()],
    lateness: [AtomicU64; CLASSES],
    lateness_us: AtomicU64,
    /// The two newest stretches of the present, by the parity of their numbers.
    recent: [Recent; 2],
    stretch: AtomicU64,
}

/// What happened in one stretch of the present.
#[derive(Debug, Default)]
struct Recent {
    lateness: [AtomicU64; CLASSES],
    delayed: [AtomicU64; Cap::ALL.len()],
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeTotals {
    /// Targets that are reported on.
    pub targets: u64,
    /// Different probes that are made for them.
    pub probes: u64,
    /// Probes that run.
    pub in_flight: u64,
    /// Probes that waited, by [`Cap`].
    pub delayed: [u64; Cap::ALL.len()],
    /// Probes by class of lateness: [`LATENESS_MS`], and one for more.
    pub lateness: [u64; CLASSES],
    /// Sum of all lateness in microseconds.
    pub lateness_us: u64,
    /// 99th percentile of lateness of the last minute at most, as the upper end of its class in milliseconds; `None`
    /// without a probe.
    pub late_p99_ms: Option<u64>,
    /// Probes that waited in the last minute at most.
    pub recently_delayed: [u64; Cap::ALL.len()],
}

impl ProbeTotals {
    /// What `status` shows of it.
    pub fn status(&self) -> ProbingStatus {
        let delayed =
            Cap::ALL.map(|cap| (cap.key().to_owned(), self.recently_delayed[cap as usize]));
        ProbingStatus {
            targets: self.targets,
            probes: self.probes,
            in_flight: self.in_flight,
            late_p99_ms: self.late_p99_ms,
            delayed: delayed.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

fn bump(cell: &AtomicU64) {
    cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
}

fn read<const N: usize>(cells: &[AtomicU64; N]) -> [u64; N] {
    cells.each_ref().map(|cell| cell.load(Relaxed))
}

impl ProbeCounters {
    /// Says what there is to probe: targets, and different probes for them.
    pub(super) fn set_size(&self, targets: usize, probes: usize) {
        self.targets.store(targets as u64, Relaxed);
        self.probes.store(probes as u64, Relaxed);
    }

    /// Says how many probes run.
    pub(super) fn set_in_flight(&self, count: usize) {
        self.in_flight.store(count as u64, Relaxed);
    }

    /// Counts a start, so long after it was due.
    pub(super) fn count_start(&self, late: Duration, now: Duration) {
        let late_ms = late.as_millis();
        let class = LATENESS_MS.partition_point(|end| u128::from(*end) < late_ms);
        bump(&self.lateness[class]);
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.lateness_us.store(self.lateness_us.load(Relaxed).wrapping_add(us), Relaxed);
        bump(&self.present(now).lateness[class]);
    }

    /// Counts a probe that has to wait.
    pub(super) fn count_delay(&self, cap: Cap, now: Duration) {
        bump(&self.delayed[cap as usize]);
        bump(&self.present(now).delayed[cap as usize]);
    }

    /// The newest stretch; one that begins is emptied, and the other too if it is long past.
    fn present(&self, now: Duration) -> &Recent {
        let stretch = (now.as_nanos() / PRESENT.as_nanos()) as u64;
        let before = self.stretch.swap(stretch, Relaxed);
        if stretch != before {
            let is_old = |recent: &&Recent| {
                stretch > before + 1 || std::ptr::eq(*recent, &self.recent[(stretch % 2) as usize])
            };
            for recent in self.recent.iter().filter(is_old) {
                recent
                    .lateness
                    .iter()
                    .chain(&recent.delayed)
                    .for_each(|cell| cell.store(0, Relaxed));
            }
        }
        &self.recent[(stretch % 2) as usize]
    }

    /// All numbers.
    pub fn totals(&self) -> ProbeTotals {
        let [one, other] = &self.recent;
        let both = |[one, other]: [u64; 2]| one + other;
        let (a, b) = (read(&one.lateness), read(&other.lateness));
        let recent: [u64; CLASSES] = std::array::from_fn(|class| both([a[class], b[class]]));
        let (a, b) = (read(&one.delayed), read(&other.delayed));
        ProbeTotals {
            targets: self.targets.load(Relaxed),
            probes: self.probes.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            delayed: read(&self.delayed),
            lateness: read(&self.lateness),
            lateness_us: self.lateness_us.load(Relaxed),
            late_p99_ms: percentile_99(&recent),
            recently_delayed: std::array::from_fn(|cap| both([a[cap], b[cap]])),
        }
    }
}

/// The upper end of the class in which the 99th of a hundred lies; twice the last end for what is beyond it.
fn percentile_99(classes: &[u64; CLASSES]) -> Option<u64> {
    let all: u64 = classes.iter().sum();
    let rank = all - all / 100;
    let mut seen = 0;
    let class = classes.iter().position(|count| {
        seen += count;
        *count > 0 && seen >= rank
    })?;
    Some(LATENESS_MS.get(class).copied().unwrap_or(2 * LATENESS_MS[LATENESS_MS.len() - 1]))
}

#[cfg(test)]
mod tests {
    use super::Cap;
    use super::ProbeCounters;
    use std::time::Duration;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_99th_percentile_is_the_upper_end_of_its_class() {
        let counters = ProbeCounters::default();
        assert_eq!(counters.totals().late_p99_ms, None);
        for _ in 0..99 {
            counters.count_start(Duration::from_micros(700), seconds(0));
        }
        assert_eq!(counters.totals().late_p99_ms, Some(5));
        counters.count_start(Duration::from_millis(150), seconds(0));
        assert_eq!(counters.totals().late_p99_ms, Some(5), "one of a hundred");
        counters.count_start(Duration::from_millis(150), seconds(0));
        assert_eq!(counters.totals().late_p99_ms, Some(200), "two of 101");
        counters.count_start(seconds(3600), seconds(0));
        assert_eq!((counters.totals().lateness[6], counters.totals().lateness[12]), (0, 1));
    }

    #[test]
    fn what_is_past_no_longer_counts_as_present_but_stays_in_the_totals() {
        let counters = ProbeCounters::default();
        counters.count_start(seconds(3), seconds(10));
        counters.count_delay(Cap::Node, seconds(10));
        counters.count_start(Duration::ZERO, seconds(40));
        assert_eq!(counters.totals().late_p99_ms, Some(5000), "the stretch before counts");
        counters.count_start(Duration::ZERO, seconds(70));
        assert_eq!(counters.totals().late_p99_ms, Some(5));
        assert_eq!(counters.totals().recently_delayed, [0; 3]);
        counters.count_start(seconds(3), seconds(80));
        counters.count_start(Duration::ZERO, seconds(10_000));
        assert_eq!(counters.totals().late_p99_ms, Some(5), "a long silence ends both stretches");
        assert_eq!((counters.totals().delayed, counters.totals().lateness[9]), ([0, 1, 0], 2));
    }
}
