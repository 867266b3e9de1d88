//! The prober: probes targets on their schedules and reports each result, and each change of verdict.
//!
//! It has a thread of its own, on which one task owns all trackers and moments; probes are tasks of their own. Does not
//! decide what an answer is, does not vote, and logs nothing: whoever takes the reports does.

mod agenda;
mod board;
pub mod counters;
mod deadline;
mod failure;
mod gate;
mod kinds;
mod line;
mod lines;
mod meter;
mod once;
mod outcome;
mod plan;
mod progress;
mod response;
mod roster;
mod run;
mod sessions;
mod slot;
mod tap;
mod tls;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::node::default_node;
use crate::health::Holding;
use crate::health::Penalty;
use crate::model::Check;
use crate::model::ResolverSettings;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::runtime::supervise::supervise;

pub use board::Board;
pub use board::Refused;
pub use counters::ProbeCounters;
pub use failure::ProbeFailure;
pub use once::Told;
pub use once::probe_once;
pub use outcome::ProbeResult;
pub use outcome::Success;
pub use progress::Phase;
pub use progress::Phases;
pub use progress::Seen;
pub use tap::Heard;
pub use tls::install_crypto;

use run::Runner;

/// Something to probe: one address of one endpoint by one check.
#[derive(Clone, Debug)]
pub struct ProbeTarget {
    /// Names it in reports, and keeps its state over [`Prober::set_targets`].
    pub key: TargetKey,
    /// Where it is.
    pub address: IpAddr,
    /// How it is probed.
    pub check: Arc<Check>,
    /// What is known of it from before; used only when the prober does not know it yet.
    pub initial: Verdict,
    /// How slow it was before, as a level of its check; used as `initial` is.
    pub degraded: u8,
    /// For its flaps of before; used as `initial` is.
    pub penalty: Penalty,
}

/// What the prober may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Probes that run at once; the rest wait their turn. At least 1.
    pub max_in_flight: usize,
    /// Probes that are started in a second. At least 1.
    pub per_second: u32,
    /// The same for one address.
    pub per_second_and_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_in_flight: 1024, per_second: 10_000, per_second_and_address: 100 }
    }
}

/// What a prober goes by.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What it may use.
    pub limits: Limits,
    /// How names are resolved that redirects lead to, and which addresses are believed.
    pub resolver: ResolverSettings,
}

impl From<Limits> for Terms {
    /// Names are resolved as where nothing is said.
    fn from(limits: Limits) -> Self {
        Self { limits, resolver: default_node().resolver }
    }
}

/// One probe's result and what it means for its target.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// Whose result it is.
    pub key: TargetKey,
    /// The new verdict, if this result changed it; whoever may have missed one compares [`ProbeReport::verdict`].
    pub flip: Option<Verdict>,
    /// The verdict with this result counted in.
    pub verdict: Verdict,
    /// How slow the target is, as a level of its check; 0 is none.
    pub degraded: u8,
    /// The result; a [local](ProbeFailure::is_local) failure counts neither way.
    pub result: ProbeResult,
    /// How long after it was due the probe began.
    pub late: Duration,
    /// When the probe ended, on the prober's monotonic clock.
    pub at: Duration,
    /// When the next one is due, on the same clock.
    pub next: Duration,
    /// Successes in a row, this one included.
    pub consecutive_passes: u32,
    /// Failures in a row, this one included.
    pub consecutive_fails: u32,
    /// What keeps a held target from being up.
    pub holding: Option<Holding>,
    /// For its flaps, this result counted in.
    pub penalty: Penalty,
}

/// Handle of a running prober; dropping it stops all probes.
#[derive(Debug)]
pub struct Prober {
    targets: watch::Sender<Arc<[ProbeTarget]>>,
    counters: Arc<ProbeCounters>,
    stop: CancellationToken,
    board: Arc<Board>,
}

impl Prober {
    /// Starts a prober without targets, under a supervisor, on a thread of its own: probes disturb nothing else, and
    /// what they wait for wakes one thread.
    ///
    /// `clock_start` is the zero of [`ProbeReport::at`]. A full `reports` channel slows the prober down
    /// rather than lose a flip; a closed one stops it. `restarts` counts restarts of its task.
    pub fn spawn(
        terms: impl Into<Terms>,
        clock_start: Instant,
        reports: mpsc::Sender<ProbeReport>,
        restarts: impl FnMut(&'static str) + Send + 'static,
    ) -> io::Result<Self> {
        install_crypto();
        let (targets, seen) = watch::channel(Arc::from([]));
        let (stop, counters) = (CancellationToken::new(), Arc::<ProbeCounters>::default());
        let (stop_when_unheard, counted) = (stop.clone(), Arc::clone(&counters));
        let Terms { limits, resolver } = terms.into();
        let (board, resolver) = (Arc::new(Board::default()), Arc::new(resolver));
        let shared = Arc::clone(&board);
        let make = move || {
            let runner = Runner::new(limits, clock_start, Arc::clone(&counted), plan::probe);
            let runner =
                runner.with_board(Arc::clone(&shared)).with_resolver(Arc::clone(&resolver));
            let (seen, reports, stop) = (seen.clone(), reports.clone(), stop_when_unheard.clone());
            async move {
                runner.run(seen, reports).await;
                stop.cancel();
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let task = supervise("prober", stop.clone(), restarts, make);
        thread::Builder::new().name("prober".into()).spawn(move || runtime.block_on(task))?;
        Ok(Self { targets, counters, stop, board })
    }

    /// What it tells of itself.
    pub fn counters(&self) -> &Arc<ProbeCounters> {
        &self.counters
    }

    /// Where others report what they know of endpoints, for checks of kind `push`.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Replaces the set of targets; a key stands in it once.
    ///
    /// A target of the same key, address, kind of probe and port keeps its tracker, and its schedule too
    /// if its interval, timeout and jitter are the same; targets that differ in nothing else but their thresholds share
    /// one probe. A removed one stops at once, even in mid-probe; only reports that are in the channel already still
    /// come.
    pub fn set_targets(&self, targets: Vec<ProbeTarget>) {
        self.targets.send_replace(targets.into());
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
