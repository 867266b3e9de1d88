//! Runs the controller: brings it events in order, and does what it says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::Controller;
use crate::control::Effect;
use crate::control::Event;
use crate::control::Job;
use crate::control::LoadReport;
use crate::control::Occurrence;
use crate::control::Product;
use crate::control::Reply;
use crate::control::Vote;
use crate::control::cluster::withdrawal::HookReport;
use crate::control::job::GeoDigest;
use crate::control::rejection::Rejection;
use crate::geo::PlaceMap;
use crate::health::LoadWord;
use crate::model::Anchors;
use crate::model::Now;
use crate::model::Verdict;
use crate::runtime::bundles;
use crate::runtime::bundles::Desk;
use crate::runtime::cluster::Cluster;
use crate::runtime::cluster::Engine;
use crate::runtime::discover::Discoverer;
use crate::runtime::files::Sources;
use crate::runtime::inbox::Inbox;
use crate::runtime::inbox::Reading;
use crate::runtime::inbox::Readings;
use crate::runtime::last_results::LastResults;
use crate::runtime::last_results::held_text;
use crate::runtime::log;
use crate::runtime::measuring;
use crate::runtime::metrics::Metrics;
use crate::runtime::node_file::NodeFile;
use crate::runtime::probe::ProbeFailure;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::Prober;
use crate::runtime::publish::Publisher;
use crate::runtime::resolve::NameResolver;
use crate::runtime::service_manager::ServiceManager;
use crate::runtime::service_manager::Watchdog;
use crate::runtime::showing::News;
use crate::runtime::state::State;
use crate::runtime::waiters::Waiters;

/// Commands that wait for the controller, at most.
pub const COMMANDS_MAX: usize = 64;

/// How often the controller is asked what has expired.
const TICK: Duration = Duration::from_millis(500);

/// Shortest rest of a loop that has nothing to do yet.
const WAKE_MIN: Duration = Duration::from_millis(1);

/// What the monotonic clock shows at the start: moments before it can be told.
const BEFORE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Both clocks of a server that started then.
pub fn clocks(start: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { monotonic: BEFORE + start.elapsed(), unix }
}

/// Everything that outlives a restart of the loop.
pub struct Core {
    /// The pure machine.
    pub controller: Controller,
    /// Where snapshots are put in force.
    pub publisher: Publisher,
    /// What probes targets.
    pub prober: Prober,
    /// What resolves names of endpoints.
    pub resolver: NameResolver,
    /// What asks sources of endpoints.
    pub discoverer: Discoverer,
    /// Channels.
    pub inbox: Inbox,
    /// What files to read.
    pub sources: Sources,
    /// Where the watcher learns which folders to watch.
    pub folders: watch::Sender<Vec<PathBuf>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The zero of monotonic time.
    pub start: Instant,
    /// Newest result of each target, for `status`.
    pub last_results: LastResults,
    /// What has happened since metrics and others were shown it last.
    pub news: News,
    /// Loads that the controller has not been told.
    pub loads: Vec<LoadReport>,
    /// Places of the geo data compiled last.
    pub places: Option<(GeoDigest, Arc<PlaceMap>)>,
    /// Whether files are being read.
    pub reading: Reading,
    /// Who waits for the outcome of a reload.
    pub waiters: Waiters,
    /// The node's settings on disk; away while they are compared.
    pub node_file: Option<NodeFile>,
    /// What carries values to other nodes, if there are any.
    pub cluster: Option<Cluster>,
    /// Bundles of files, if this node takes them.
    pub bundles: Option<Desk>,
    /// Whether this node's own network works.
    pub anchors: watch::Receiver<Anchors>,
    /// How the hook ended that withdraws this node, or announces it.
    pub hook_reports: watch::Receiver<Option<HookReport>>,
    /// Whoever started us.
    pub manager: ServiceManager,
    /// Signs of life of this loop.
    pub watchdog: Watchdog,
    /// Whether the service manager was told that files are being read.
    pub told_reloading: bool,
    /// Where state is kept, if anywhere.
    pub state: Option<Arc<State>>,
    /// Whether a worker runs a job.
    pub is_compiling: bool,
    /// The newest job that waits for it.
    pub next_job: Option<Arc<Job>>,
}

/// The core, shared between the loop and its restarts.
pub type SharedCore = Arc<Mutex<Option<Core>>>;

/// Runs until the process ends. If it panics its supervisor runs it again with the same core.
pub async fn run(shared: SharedCore) {
    let taken = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(core) = taken else { return std::future::pending().await };
    // The guard puts the core back even if handling an event panics.
    let mut guard = Returned { core: Some(core), shared };
    loop {
        let Some(core) = guard.core.as_mut() else { return };
        core.turn().await;
    }
}

struct Returned {
    core: Option<Core>,
    shared: SharedCore,
}

impl Drop for Returned {
    fn drop(&mut self) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = self.core.take();
    }
}

impl Core {
    /// Waits for something, handles it with all else that is waiting, and publishes once.
    async fn turn(&mut self) {
        let (mut reports, rest) = (Vec::new(), self.rest());
        tokio::select! {
            Some((command, reply)) = self.inbox.commands.recv() => self.obey(command, reply),
            Some(product) = self.inbox.products.recv() => self.take_product(product),
            Some(()) = self.inbox.changes.recv() => self.read_files(),
            Some(reading) = self.inbox.readings.recv() => self.take_reading(reading),
            Some(resolution) = self.inbox.resolutions.recv() => {
                self.handle(Event::Resolved(resolution));
                self.metrics.set_names(self.controller.names());
            }
            event = self.discoverer.next() => {
                self.handle(event);
                self.metrics.set_sources(self.controller.sources());
            }
            event = self.inbox.measuring.next() => self.handle(event),
            event = bundles::next(&mut self.bundles) => self.handle(event),
            Some(heard) = self.inbox.heard.recv() => self.hear(heard),
            Ok(()) = self.anchors.changed() => {
                let anchors = *self.anchors.borrow_and_update();
                self.handle(Event::Anchors(anchors));
            }
            Ok(()) = self.hook_reports.changed() => self.take_hook_report(),
            count = self.inbox.reports.recv_many(&mut reports, 1024) => {
                if count == 0 {
                    return std::future::pending().await; // the prober is gone: the process is stopping
                }
            }
            () = tokio::time::sleep(rest) => {}
        }
        for report in reports {
            self.take_report(report);
        }
        if !self.loads.is_empty() {
            let loads = std::mem::take(&mut self.loads);
            self.handle(Event::Loads(loads));
        }
        if let Some(state) = self.state.clone() {
            state.take_news().into_iter().for_each(|news| self.handle(Event::Disk(news)));
            if state.take_wants_all() {
                self.handle(Event::KeepAll);
            }
        }
        self.handle(Event::Settle);
        self.show_records();
        self.publisher.free_retired();
        self.note_readiness();
        self.metrics.set_refused(self.controller.refused().map(|(what, _)| what));
        self.report_to_manager();
    }

    /// How long nothing needs to be looked at: at the instant of a table all nodes are to turn.
    fn rest(&self) -> Duration {
        let left = |at_s| Duration::from_secs(at_s).saturating_sub(self.now().unix);
        let rest = self.controller.next_instant().map_or(TICK, |at_s| left(at_s).min(TICK));
        let switch = self.controller.next_switch();
        let rest =
            switch.map_or(rest, |at| rest.min(at.saturating_sub(self.now().unix)).max(WAKE_MIN));
        let wake = self.controller.next_wake();
        wake.map_or(rest, |at| at.saturating_sub(self.now().monotonic).clamp(WAKE_MIN, rest))
    }

    /// Tells whoever started us of the beginning and the end of a reload, and that this loop turns.
    fn report_to_manager(&mut self) {
        let is_busy = self.reading != Reading::Idle || self.is_compiling;
        let is_reloading = is_busy && self.manager.has_started();
        match (self.told_reloading, is_reloading) {
            (false, true) => self.manager.say_reloading(),
            (true, false) => self.manager.say_reloaded(),
            (false, false) | (true, true) => {}
        }
        self.told_reloading = is_reloading;
        self.watchdog.keep();
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        clocks(self.start)
    }

    pub(super) fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now(), &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        self.show_news();
    }

    /// Does what the controller says.
    pub fn carry_out(&mut self, effect: Effect) {
        self.note_news(&effect);
        match effect {
            Effect::Publish(snapshot) => self.publisher.publish(snapshot),
            Effect::Compile(job) => self.compile(job),
            Effect::Probe(orders) => {
                let targets = orders.into_iter().map(|order| ProbeTarget {
                    key: order.key,
                    address: order.address,
                    check: order.check,
                    initial: order.verdict,
                    degraded: order.degraded,
                    penalty: order.penalty,
                });
                let targets: Vec<ProbeTarget> = targets.collect();
                self.last_results.set_targets(&targets);
                self.prober.set_targets(targets);
            }
            Effect::Resolve(names) => self.resolver.set_names(names),
            Effect::Discover(sources) => self.discoverer.set_sources(sources),
            Effect::Record(occurrence) => self.tell(&occurrence),
            Effect::Bundle(deed) => self.do_deed(deed),
            Effect::Say(say) => self.cluster.iter().for_each(|cluster| cluster.say(say.clone())),
            Effect::Hook(presence) => self.cluster.iter().for_each(|all| all.ask_hook(presence)),
            Effect::Reply(_) => {}
            Effect::Persist(_) | Effect::Keep(_) | Effect::KeepTable(_) => self.keep(effect),
            Effect::MakeTable(job) => self.inbox.measuring.make(job),
            Effect::WriteTable { name, text } => {
                let superfluous = self.controller.superfluous_tables(self.now());
                let (folder, changes) = (self.sources.rtt.clone(), self.inbox.changes_sender());
                measuring::write(folder, (name, text), superfluous, changes);
            }
        }
    }

    /// Runs a job on a worker thread; a panic in it is a refusal of the files.
    ///
    /// One at a time: of those that wait the newest is run, each holds the octets of its databases.
    fn compile(&mut self, job: Arc<Job>) {
        if self.is_compiling {
            self.next_job = Some(job);
            return;
        }
        self.is_compiling = true;
        let products = self.inbox.products_sender.clone();
        tokio::spawn(async move {
            let worker = Arc::clone(&job);
            let product =
                tokio::task::spawn_blocking(move || worker.run()).await.unwrap_or_else(|why| {
                    let text = format!("compiling panicked: {why}; this is a bug of ours\n");
                    Product::failed(&job, Rejection::one(text))
                });
            let _ = products.send(product).await;
        });
    }

    /// Remembers the places, so that a change of zones alone does not read databases again.
    fn take_product(&mut self, product: Product) {
        self.is_compiling = false;
        if let Some(job) = self.next_job.take() {
            self.compile(job);
        }
        self.places = product.read.clone().or(self.places.take());
        self.handle(Event::Compiled(product));
        self.reply_to_waiters();
    }

    /// Tells who waits for a reload what became of it, once nothing newer is read or compiled.
    fn reply_to_waiters(&mut self) {
        if self.reading == Reading::Idle && !self.controller.is_compiling() {
            let controller = &self.controller;
            self.waiters.end(|| controller.reload_reply());
        }
    }

    /// Has a thread read the files: a large database or a slow disk holds up no verdict and no command.
    pub(super) fn read_files(&mut self) {
        if self.reading != Reading::Idle {
            self.reading = Reading::BusyAndStale;
            return;
        }
        self.reading = Reading::Busy;
        self.waiters.begin();
        let (sources, readings) = (self.sources.clone(), self.inbox.readings_sender.clone());
        let (mut node_file, cluster) = (self.node_file.take(), self.cluster.clone());
        let work = move || {
            if let Some(node_file) = &mut node_file {
                node_file.compare();
                cluster.iter().for_each(|cluster| cluster.follow_file(node_file));
            }
            (Ok(sources.read()), node_file)
        };
        tokio::spawn(async move {
            let reading = tokio::task::spawn_blocking(work).await.unwrap_or_else(|why| {
                (Err(format!("reading files panicked: {why}; this is a bug of ours")), None)
            });
            let _ = readings.send(reading).await;
        });
    }

    fn take_reading(&mut self, (reading, node_file): Readings) {
        self.node_file = node_file;
        let before = std::mem::take(&mut self.reading);
        if before == Reading::BusyAndStale {
            // A half-written state may be in it: only the newer reading counts.
            return self.read_files();
        }
        if let Some(terms) = self.cluster.as_ref().map(Cluster::terms) {
            self.handle(Event::Members(terms));
        }
        match reading {
            Ok(job) => {
                self.folders.send_replace(self.sources.folders_with(&job));
                let job = match &self.places {
                    Some((digest, places)) => job.knowing(*digest, Arc::clone(places)),
                    None => job,
                };
                self.handle(Event::Files(job));
                self.scan_tables();
                self.reply_to_waiters();
            }
            Err(text) => {
                self.tell(&Occurrence::Refused { text: text.clone(), problems: 1 });
                self.waiters.end(|| Reply::failed(text.clone()));
            }
        }
    }

    fn take_report(&mut self, report: ProbeReport) {
        let passed = report.result.outcome.is_ok();
        self.note_round_trip(&report);
        self.metrics.count_probe(passed);
        self.metrics.loads.count(report.result.load());
        if let LoadWord::Says(load) = report.result.load() {
            self.loads.push(LoadReport { key: report.key.clone(), load });
        }
        // Results are put into words where somebody reads them: most say what the one before said.
        let (target, verdict, phases) = (&report.key, report.verdict, report.result.phases);
        tracing::debug!(
            target: "rhumb::probe", %target, passed, %verdict, reason = report.result.reason(), %phases, "probed"
        );
        if !report.result.outcome.as_ref().is_err_and(ProbeFailure::is_local) {
            self.controller.note_result(&report.key, passed, self.now());
        }
        // By level, not by edge: whatever was lost or late, the next result sets it right.
        let (verdict, degraded) = (report.verdict, report.degraded);
        let is_news = || self.controller.wants_vote(&report.key, verdict, degraded);
        if verdict != Verdict::Unknown && is_news() {
            let run = if passed { report.consecutive_passes } else { report.consecutive_fails };
            let (reason, held) = (report.result.reason(), held_text(report.holding.as_ref()));
            let reason = format!("{reason} ({run} in a row){held}").into();
            let (key, penalty) = (report.key.clone(), report.penalty);
            self.handle(Event::Vote(Vote { key, verdict, degraded, reason, penalty }));
        }
        self.last_results.take(report);
    }

    /// Logs what happened, once, and counts it.
    fn tell(&self, occurrence: &Occurrence) {
        self.metrics.count_occurrence(occurrence);
        log::occurrence::log(occurrence);
    }
}
