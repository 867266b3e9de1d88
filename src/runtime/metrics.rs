//! Counters, and their text for Prometheus.
//!
//! Queries are counted in cells that one thread writes and the scrape sums: no atomic addition on the query path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::Transport;
use crate::control::admin_states::AdminState;
use crate::control::discover::SourceState;
use crate::control::resolve::NameState;
use crate::control::status::Gauges;
use crate::runtime::cluster::Cluster;
use crate::runtime::cluster::shown;
use crate::runtime::encrypted::store::CertificateState;
use crate::runtime::encrypted::store::Certificates;
use crate::runtime::exposition::LoadCells;
use crate::runtime::exposition::cluster;
use crate::runtime::exposition::counter;
use crate::runtime::exposition::encode_sources;
use crate::runtime::exposition::family;
use crate::runtime::exposition::gauge;
use crate::runtime::exposition::loads;
use crate::runtime::exposition::names_gauge;
use crate::runtime::exposition::prober;
use crate::runtime::exposition::ratios;
use crate::runtime::exposition::states_gauge;
use crate::runtime::exposition::streams;
use crate::runtime::exposition::target_labels;
use crate::runtime::exposition::verdicts;
use crate::runtime::probe::ProbeCounters;
use crate::runtime::probe::counters::ProbeTotals;
use crate::runtime::shown_verdicts::ShownVerdicts;
use crate::runtime::state::Reader;
use crate::runtime::tcp::TcpCounters;
use crate::runtime::tcp::TcpTotals;
use crate::runtime::udp::UdpCounters;
use crate::wire::Rcode;

/// One thread's counts of queries. Only that thread writes.
#[derive(Debug, Default)]
pub struct QueryCells {
    rcodes: [[AtomicU64; Rcode::ALL.len()]; Transport::ALL.len()],
    happened: [AtomicU64; Happened::NAMES.len()],
    truncated: AtomicU64,
    silent: AtomicU64,
}

impl QueryCells {
    /// Counts one query. A load and a store: the cell has one writer.
    #[inline]
    pub fn count(&self, transport: Transport, outcome: &Outcome) {
        match outcome.rcode {
            Some(rcode) => bump(&self.rcodes[transport as usize][rcode.index()]),
            None => bump(&self.silent),
        }
        bump(&self.happened[outcome.happened.index()]);
        if outcome.truncated {
            bump(&self.truncated);
        }
    }
}

#[inline]
fn bump(cell: &AtomicU64) {
    cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
}

/// Name, help and reading of a counter of connections.
type Counted = (&'static str, &'static str, fn(&TcpTotals) -> u64);

/// Everything that is counted or shown.
#[derive(Debug, Default)]
pub struct Metrics {
    cells: Mutex<Vec<Arc<QueryCells>>>,
    udp: Mutex<Option<UdpCounters>>,
    tcp: Mutex<Option<TcpCounters>>,
    encrypted: Mutex<Vec<(Transport, TcpCounters)>>,
    certificates: Mutex<Option<Arc<Certificates>>>,
    restarts: Mutex<BTreeMap<&'static str, u64>>,
    verdicts: Mutex<ShownVerdicts>,
    names: Mutex<Vec<NameState>>,
    sources: Mutex<Vec<SourceState>>,
    cluster: Mutex<Option<Cluster>>,
    admin: Mutex<Vec<AdminState>>,
    records: Mutex<Gauges>,
    kept: Mutex<Option<Reader>>,
    /// What became of load that endpoints were asked for.
    pub loads: LoadCells,
    prober: Mutex<Option<Arc<ProbeCounters>>>,
    probes_passed: AtomicU64,
    probes_failed: AtomicU64,
    flips: AtomicU64,
    reloads: AtomicU64,
    refusals: AtomicU64,
    beacons_taken: AtomicU64,
    beacons_refused: AtomicU64,
    posts_refused: AtomicU64,
    generation: AtomicU64,
    orders: AtomicU64,
    files_refused: AtomicBool,
    geo_refused: AtomicBool,
    tables_refused: AtomicBool,
    is_ready: AtomicBool,
}

impl Metrics {
    /// Cells for one more thread: new ones, or those of a thread that has ended, whose counts go on.
    pub fn add_query_cells(&self) -> Arc<QueryCells> {
        let mut all = lock(&self.cells);
        if let Some(ended) = all.iter_mut().find_map(|cells| {
            Arc::get_mut(cells)?;
            Some(Arc::clone(cells))
        }) {
            return ended;
        }
        let cells = Arc::new(QueryCells::default());
        all.push(Arc::clone(&cells));
        cells
    }

    /// Shows the engines' own counters too.
    pub fn set_engines(&self, udp: UdpCounters, tcp: TcpCounters) {
        *lock(&self.udp) = Some(udp);
        *lock(&self.tcp) = Some(tcp);
    }

    /// Shows encrypted transports and their certificate too.
    pub fn set_encrypted(
        &self,
        counters: Vec<(Transport, TcpCounters)>,
        certificates: Arc<Certificates>,
    ) {
        *lock(&self.encrypted) = counters;
        *lock(&self.certificates) = Some(certificates);
    }

    /// Shows how state on disk stands too.
    pub fn set_kept(&self, state: Reader) {
        *lock(&self.kept) = Some(state);
    }

    /// Shows what the cluster's connections count.
    pub fn set_cluster(&self, cluster: Cluster) {
        *lock(&self.cluster) = Some(cluster);
    }

    /// What became of the certificate, if there is one.
    pub fn certificate(&self) -> Option<CertificateState> {
        lock(&self.certificates).as_ref().map(|certificates| certificates.state())
    }

    /// Counts a restart of a supervised task.
    pub fn count_restart(&self, task: &'static str) {
        *lock(&self.restarts).entry(task).or_default() += 1;
    }

    /// Shows what the prober tells of itself too.
    pub fn set_prober(&self, counters: Arc<ProbeCounters>) {
        *lock(&self.prober) = Some(counters);
    }

    /// What the prober tells of itself, if there is one.
    pub fn probing(&self) -> Option<ProbeTotals> {
        lock(&self.prober).as_ref().map(|counters| counters.totals())
    }

    /// Counts a probe.
    pub fn count_probe(&self, passed: bool) {
        let cell = if passed { &self.probes_passed } else { &self.probes_failed };
        cell.fetch_add(1, Relaxed);
    }

    /// Counts a change of verdict.
    pub fn count_flip(&self) {
        self.flips.fetch_add(1, Relaxed);
    }

    /// Counts the lines of a post of round-trip times.
    pub fn count_beacons(&self, taken: usize, refused: usize) {
        self.beacons_taken.fetch_add(taken as u64, Relaxed);
        self.beacons_refused.fetch_add(refused as u64, Relaxed);
    }

    /// Counts a post of round-trip times that was refused as a whole.
    pub fn count_refused_post(&self) {
        self.posts_refused.fetch_add(1, Relaxed);
    }

    /// Counts files that were put in force, or refused.
    pub fn count_reload(&self, accepted: bool) {
        let cell = if accepted { &self.reloads } else { &self.refusals };
        cell.fetch_add(1, Relaxed);
    }

    /// Sets which endpoints are not as their probes say.
    pub fn set_admin(&self, states: Vec<AdminState>) {
        *lock(&self.admin) = states;
    }

    /// Sets how names of endpoints stand.
    pub fn set_names(&self, names: Vec<NameState>) {
        *lock(&self.names) = names;
    }

    /// Sets how sources of endpoints stand.
    pub fn set_sources(&self, sources: Vec<SourceState>) {
        *lock(&self.sources) = sources;
    }

    /// Shows what was published.
    pub fn set_state(&self, generation: u64, orders: usize) {
        self.generation.store(generation, Relaxed);
        self.orders.store(orders as u64, Relaxed);
    }

    /// The verdict that is shown for each target.
    pub fn verdicts(&self) -> MutexGuard<'_, ShownVerdicts> {
        lock(&self.verdicts)
    }

    /// Shows the records in force.
    pub fn set_records(&self, records: Gauges) {
        *lock(&self.records) = records;
    }

    /// Shows what is on disk that is not in force because it was refused, as the controller calls it.
    pub fn set_refused<'a>(&self, parts: impl Iterator<Item = &'a str>) {
        let parts: Vec<&str> = parts.collect();
        self.files_refused.store(parts.contains(&"files"), Relaxed);
        self.geo_refused.store(parts.contains(&"geo data"), Relaxed);
        self.tables_refused.store(parts.contains(&"round-trip times"), Relaxed);
    }

    /// Says whether the first round of probes is over.
    pub fn set_ready(&self) {
        self.is_ready.store(true, Relaxed);
    }

    /// Whether the first round of probes is over.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Relaxed)
    }

    /// Queries answered so far, over all threads.
    pub fn queries(&self) -> u64 {
        let cells = lock(&self.cells);
        cells
            .iter()
            .flat_map(|cells| cells.rcodes.iter().flatten())
            .map(|cell| cell.load(Relaxed))
            .sum()
    }

    /// The text that Prometheus scrapes.
    pub fn render(self: &Arc<Self>) -> String {
        let mut registry = Registry::with_prefix("rhumb");
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads all values at the moment of a scrape.
#[derive(Debug)]
struct Scrape(Arc<Metrics>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metrics = &*self.0;
        self.encode_queries(&mut encoder)?;
        let probes = [("pass", &metrics.probes_passed), ("fail", &metrics.probes_failed)];
        family(
            &mut encoder,
            "probes",
            "Probe results",
            probes.map(|(l, c)| ([("result", l)], c.load(Relaxed))),
        )?;
        let beacons = [
            ("taken", &metrics.beacons_taken),
            ("refused", &metrics.beacons_refused),
            ("post_refused", &metrics.posts_refused),
        ];
        family(
            &mut encoder,
            "rtt_posted",
            "Lines of round-trip times that were posted, and posts that were refused as a whole",
            beacons.map(|(l, c)| ([("result", l)], c.load(Relaxed))),
        )?;
        let reloads = [("accepted", &metrics.reloads), ("refused", &metrics.refusals)];
        family(
            &mut encoder,
            "reloads",
            "Loads of files",
            reloads.map(|(l, c)| ([("result", l)], c.load(Relaxed))),
        )?;
        counter(
            &mut encoder,
            "verdict_changes",
            "Changes of verdicts",
            metrics.flips.load(Relaxed),
        )?;
        gauge(
            &mut encoder,
            "generation",
            "Publications since the start",
            metrics.generation.load(Relaxed),
        )?;
        gauge(
            &mut encoder,
            "orders",
            "Orders of operators in force",
            metrics.orders.load(Relaxed),
        )?;
        gauge(
            &mut encoder,
            "ready",
            "Whether the first round of probes is over",
            u64::from(metrics.is_ready()),
        )?;
        let restarts: Vec<_> =
            lock(&metrics.restarts).iter().map(|(&t, &n)| ([("task", t)], n)).collect();
        family(&mut encoder, "task_restarts", "Restarts of supervised tasks", restarts)?;
        if let Some(totals) = metrics.probing() {
            prober(&mut encoder, &totals)?;
        }
        self.encode_refusals(&mut encoder)?;
        self.encode_engines(&mut encoder)?;
        self.encode_encrypted(&mut encoder)?;
        self.encode_records(&mut encoder)?;
        lock(&metrics.kept).as_ref().map_or(Ok(()), |kept| kept.figures().encode(&mut encoder))?;
        verdicts(&mut encoder, &lock(&self.0.verdicts))?;
        states_gauge(&mut encoder, &lock(&metrics.admin))?;
        self.encode_names(&mut encoder)?;
        encode_sources(&mut encoder, &lock(&metrics.sources))?;
        lock(&metrics.cluster)
            .as_ref()
            .map_or(Ok(()), |cluster| shown::encode(cluster, &mut encoder))
    }
}

impl Scrape {
    fn encode_queries(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cells = lock(&self.0.cells);
        let sum = |read: &dyn Fn(&QueryCells) -> &AtomicU64| {
            cells.iter().map(|c| read(c).load(Relaxed)).sum::<u64>()
        };
        let mut replies = Vec::new();
        for transport in Transport::ALL {
            for rcode in Rcode::ALL {
                let count = sum(&|cells| &cells.rcodes[transport as usize][rcode.index()]);
                replies.push((
                    [("transport", transport.name().to_string()), ("rcode", rcode.to_string())],
                    count,
                ));
            }
        }
        family(encoder, "replies", "Replies by transport and code", replies)?;
        let outcomes = Happened::NAMES.iter().enumerate();
        let outcomes: Vec<_> = outcomes
            .map(|(place, name)| ([("outcome", *name)], sum(&|cells| &cells.happened[place])))
            .collect();
        family(encoder, "queries", "Queries by what was found", outcomes)?;
        counter(encoder, "truncated", "Replies with TC", sum(&|cells| &cells.truncated))?;
        counter(encoder, "unanswered", "Packets that got no reply", sum(&|cells| &cells.silent))
    }

    fn encode_refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let [files, geo, tables] =
            [&self.0.files_refused, &self.0.geo_refused, &self.0.tables_refused]
                .map(|is_refused| u64::from(is_refused.load(Relaxed)));
        gauge(encoder, "files_refused", "Whether files are refused and older ones served", files)?;
        gauge(encoder, "geo_refused", "Whether geo data is refused and older data used", geo)?;
        let help = "Whether a table of round-trip times is refused and an older one used, or none";
        gauge(encoder, "rtt_refused", help, tables)
    }

    fn encode_engines(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(udp) = lock(&self.0.udp).as_ref().map(UdpCounters::totals) {
            counter(
                encoder,
                "udp_send_errors",
                "Datagrams the kernel did not take",
                udp.send_errors,
            )?;
            counter(encoder, "udp_panics", "Panics of UDP workers", udp.panics)?;
        }
        lock(&self.0.tcp).as_ref().map_or(Ok(()), |tcp| streams(encoder, &tcp.totals()))
    }

    fn encode_encrypted(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(certificates) = lock(&self.0.certificates).clone() else { return Ok(()) };
        let all: Vec<_> = lock(&self.0.encrypted)
            .iter()
            .map(|(transport, counters)| ([("transport", transport.name())], counters.totals()))
            .collect();
        let of = |read: fn(&TcpTotals) -> u64| {
            all.iter().map(move |(label, totals)| (*label, read(totals))).collect::<Vec<_>>()
        };
        let counters: [Counted; 6] = [
            ("encrypted_accepted", "Encrypted connections taken", |t| t.accepted),
            ("encrypted_closed", "Encrypted connections that have ended", |t| t.accepted - t.open),
            ("encrypted_evicted", "Idle encrypted connections closed for new ones", |t| t.evicted),
            ("encrypted_handshake_failures", "Handshakes not finished", |t| t.handshake_failed),
            ("encrypted_queries", "Queries of encrypted connections", |t| t.received),
            ("encrypted_malformed", "Requests that held no query", |t| t.malformed),
        ];
        for (name, help, read) in counters {
            family(encoder, name, help, of(read))?;
        }
        let CertificateState { expires_unix_s, accepted, refused, is_stale } = certificates.state();
        let expires = expires_unix_s.max(0).cast_unsigned();
        gauge(
            encoder,
            "certificate_expiry_seconds",
            "When the certificate in force expires, since 1970",
            expires,
        )?;
        gauge(
            encoder,
            "certificate_stale",
            "Whether the certificate on disk is refused",
            is_stale.into(),
        )?;
        let loads = [("accepted", accepted), ("refused", refused)];
        let loads = loads.map(|(result, count)| ([("result", result)], count));
        family(encoder, "certificate_loads", "Readings of changed certificate files", loads)
    }

    fn encode_names(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let names = lock(&self.0.names);
        let of = |read: fn(&NameState) -> i64| {
            names.iter().map(move |state| (state.name.to_string(), read(state)))
        };
        let help = "Addresses that a name of endpoints has, the last good ones";
        names_gauge(encoder, "name_addresses", help, of(|state| state.addresses as i64))?;
        let help = "1 for a name of endpoints that could not be resolved the last time";
        names_gauge(encoder, "name_failing", help, of(|state| i64::from(state.is_failing)))
    }

    fn encode_records(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let records = lock(&self.0.records);
        let help = "Targets that are down by their probes and held by the brake";
        gauge(encoder, "brake_held", help, records.held_by_brake.len() as u64)?;
        let help = "1 for a target that is down by its probes and up by the brake alone";
        let braked = records.held_by_brake.iter().map(|key| (target_labels(key), 1.0));
        ratios(encoder, "target_braked", help, braked)?;
        let help = "Share of clients that a shift gives its target now";
        let shares = records.shares.iter().map(|(policy, target, share)| {
            ([("policy", policy.to_string()), ("target", target.to_string())], *share)
        });
        ratios(encoder, "shift_share", help, shares)?;
        let help = "Share of its clients that a pool takes on their way back; no line: all";
        let intakes = records.intakes.iter().map(|(pool, family, share)| {
            ([("pool", pool.to_string()), ("family", family.to_string())], *share)
        });
        ratios(encoder, "pool_intake", help, intakes)?;
        cluster(encoder, records.cluster.as_ref())?;
        loads(encoder, &records.loads, &self.0.loads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_thread_that_has_ended_are_used_again_and_keep_their_counts() {
        let metrics = Metrics::default();
        let outcome = Outcome {
            reply_len: 40,
            rcode: Some(Rcode::NoError),
            truncated: false,
            happened: Happened::Static,
        };
        let lasting = metrics.add_query_cells();
        for _ in 0..100 {
            let cells = metrics.add_query_cells();
            cells.count(Transport::Tcp, &outcome);
            assert!(!Arc::ptr_eq(&cells, &lasting), "cells have one writer");
        }
        assert_eq!(lock(&metrics.cells).len(), 2);
        assert_eq!(metrics.queries(), 100);
    }
}
