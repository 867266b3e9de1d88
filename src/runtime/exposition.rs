//! Families of metrics as Prometheus reads them: each with its help and its labels.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use std::collections::HashMap;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::control::admin_states::AdminState;
use crate::control::cluster::bundles::status::FilesGauges;
use crate::control::cluster::drift::What;
use crate::control::cluster::status::ClusterGauges;
use crate::control::discover::SourceState;
use crate::control::shed::LoadGauges;
use crate::health::LoadWord;
use crate::health::load::LoadFault;
use crate::model::TargetKey;
use crate::runtime::probe::counters::Cap;
use crate::runtime::probe::counters::LATENESS_MS;
use crate::runtime::probe::counters::ProbeTotals;
use crate::runtime::shown_verdicts::ShownVerdicts;
use crate::runtime::tcp::TcpTotals;

/// What became of load that endpoints were asked for.
#[derive(Debug, Default)]
pub struct LoadCells {
    taken: AtomicU64,
    missing: AtomicU64,
    unreadable: AtomicU64,
    not_believed: AtomicU64,
}

impl LoadCells {
    /// Counts the word of an answer.
    pub fn count(&self, word: LoadWord) {
        let cell = match word {
            LoadWord::Unasked => return,
            LoadWord::Says(_) => &self.taken,
            LoadWord::Faulty(LoadFault::Missing) => &self.missing,
            LoadWord::Faulty(LoadFault::Unreadable | LoadFault::TooLong) => &self.unreadable,
            LoadWord::Faulty(LoadFault::NotBelieved(_)) => &self.not_believed,
        };
        cell.fetch_add(1, Relaxed);
    }
}

/// Loads, what pools shed for them, and what became of reports.
pub(super) fn loads(
    encoder: &mut DescriptorEncoder<'_>,
    gauges: &LoadGauges,
    cells: &LoadCells,
) -> Result<(), std::fmt::Error> {
    let pools = gauges.pools.iter().map(|(pool, load)| ([("pool", pool.to_string())], *load));
    ratios(encoder, "pool_load", "Load of a pool, 1 being all it can carry", pools)?;
    let endpoints = gauges.endpoints.iter();
    let endpoints = endpoints.map(|(key, load)| ([("endpoint", key.to_string())], *load));
    ratios(encoder, "endpoint_load", "Load of an endpoint, 1 being all it can carry", endpoints)?;
    let levels = gauges.levels.iter();
    let levels = levels.map(|(pool, level)| ([("pool", pool.to_string())], f64::from(*level)));
    let help = "Sixteenths of its clients that a pool sends elsewhere for its load";
    ratios(encoder, "shed_level", help, levels)?;
    let results = [
        ("taken", &cells.taken),
        ("missing", &cells.missing),
        ("unreadable", &cells.unreadable),
        ("not_believed", &cells.not_believed),
    ];
    let results = results.map(|(result, cell)| ([("result", result)], cell.load(Relaxed)));
    family(encoder, "load_reports", "Answers of endpoints that were asked for their load", results)
}

pub(super) fn names_gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (String, i64)>,
) -> Result<(), std::fmt::Error> {
    let kind = ConstGauge::new(0i64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (name, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&[("name", name)])?)?;
    }
    Ok(())
}

/// How sources of endpoints stand, by pool.
pub(super) fn encode_sources(
    encoder: &mut DescriptorEncoder<'_>,
    sources: &[SourceState],
) -> Result<(), std::fmt::Error> {
    let of = |read: fn(&SourceState) -> f64| {
        sources.iter().map(move |state| ([("pool", state.pool.to_string())], read(state)))
    };
    let help = "Endpoints that a pool has found, held ones among them";
    ratios(encoder, "discovery_targets", help, of(|state| state.found as f64))?;
    let help = "Found endpoints that are gone from the list and held by the floor of their pool";
    ratios(encoder, "discovery_held", help, of(|state| state.held.len() as f64))?;
    let help = "Targets of the last list that cannot be endpoints";
    ratios(encoder, "discovery_refused", help, of(|state| state.refused as f64))?;
    let help = "1 if the source of a pool told of nothing that can be used the last time";
    ratios(encoder, "discovery_failing", help, of(|state| f64::from(state.failing.is_some())))?;
    let help = "When the source of a pool told of endpoints last, since 1970; 0: never";
    let success = |state: &SourceState| state.success.unwrap_or_default().as_secs_f64();
    ratios(encoder, "discovery_last_success_seconds", help, of(success))?;
    let failures = sources.iter();
    let failures = failures.map(|state| ([("pool", state.pool.to_string())], state.failures));
    family(
        encoder,
        "discovery_failures",
        "Times that the source of a pool told of nothing",
        failures,
    )
}

/// What became of TCP connections.
pub(super) fn streams(
    encoder: &mut DescriptorEncoder<'_>,
    tcp: &TcpTotals,
) -> Result<(), std::fmt::Error> {
    counter(encoder, "tcp_accepted", "TCP connections taken", tcp.accepted)?;
    gauge(encoder, "tcp_open", "TCP connections open", tcp.open)?;
    counter(encoder, "tcp_evicted", "Idle TCP connections closed for new ones", tcp.evicted)?;
    let errors =
        "Connections lost before they were taken, and calls refused for want of descriptors";
    counter(encoder, "tcp_accept_errors", errors, tcp.accept_errors)?;
    let closed = [
        ([("reason", "idle")], tcp.timed_out),
        ([("reason", "never_reads")], tcp.write_timed_out),
        ([("reason", "length_zero")], tcp.malformed),
        ([("reason", "unanswerable")], tcp.dropped),
    ];
    family(encoder, "tcp_closed", "TCP connections closed by us", closed)
}

pub(super) fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

pub(super) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value as i64);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

/// How the cluster is, as this node sees it; nothing without one.
pub(super) fn cluster(
    encoder: &mut DescriptorEncoder<'_>,
    cluster: Option<&ClusterGauges>,
) -> Result<(), std::fmt::Error> {
    let Some(gauges) = cluster else { return Ok(()) };
    let ClusterGauges { members, live, isolated, is_isolated, too_few_voters, .. } = gauges;
    let ClusterGauges { drift, is_withdrawn, files, clocks_ahead_ms, .. } = gauges;
    if let Some(FilesGauges { version, differing, is_kept }) = files {
        let help = "Number of the pushed version of the files in force; 0 if none is";
        gauge(encoder, "cluster_files_version", help, *version)?;
        let help = "Living nodes that serve another version of the files, but for a canary";
        gauge(encoder, "cluster_files_differing", help, *differing as u64)?;
        let help = "1 if which version of the files counts could not be written to the disk";
        gauge(encoder, "cluster_files_unkept", help, u64::from(!is_kept))?;
    }
    let differs = |what| f64::from(u8::from(drift.contains(&what)));
    let drift = What::ALL.map(|what| ([("what", what.word())], differs(what)));
    let help = "1 if nodes have had different files, geo data, round-trip times, verdicts or records for a minute";
    ratios(encoder, "cluster_drift", help, drift)?;
    let ahead = |(node, ms): &(String, i64)| ([("node", node.clone())], *ms as f64 / 1000.0);
    let help = "Seconds by which a node's wall clock is ahead of this one's, or more";
    ratios(encoder, "cluster_clock_ahead_seconds", help, clocks_ahead_ms.iter().map(ahead))?;
    let help = "1 if the hook has withdrawn this node: clients are led to others";
    gauge(encoder, "cluster_withdrawn", help, u64::from(*is_withdrawn))?;
    let help = "Nodes of the cluster by its configuration, this one included";
    gauge(encoder, "cluster_members", help, *members as u64)?;
    let help = "Nodes of the cluster that are heard, this one included";
    gauge(encoder, "cluster_members_live", help, *live as u64)?;
    let help = "Nodes whose prober has lost its own network, this one included";
    gauge(encoder, "cluster_members_isolated", help, *isolated as u64)?;
    let help = "1 if this node's prober has lost its own network: its votes do not count";
    gauge(encoder, "cluster_isolated", help, u64::from(*is_isolated))?;
    let help = "Targets on which too few sites vote: their verdicts stay as they are";
    gauge(encoder, "cluster_too_few_voters", help, *too_few_voters as u64)
}

/// What names a target.
pub(super) fn target_labels(key: &TargetKey) -> [(&'static str, String); 4] {
    [
        ("endpoint", key.endpoint.to_string()),
        ("check", key.check.to_string()),
        ("family", key.family.to_string()),
        ("address", key.address.map_or_else(String::new, |address| address.to_string())),
    ]
}

/// The verdict that holds for each target.
pub(super) fn verdicts(
    encoder: &mut DescriptorEncoder<'_>,
    verdicts: &ShownVerdicts,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(1i64);
    let help = "1 for the verdict that holds for a target";
    let mut family = encoder.encode_descriptor("target", help, None, gauge.metric_type())?;
    for (key, verdict) in verdicts.iter() {
        let [endpoint, check, of_family, address] = target_labels(key);
        let labels = [endpoint, check, of_family, address, ("verdict", verdict.to_string())];
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// What the prober tells of itself.
pub(super) fn prober(
    encoder: &mut DescriptorEncoder<'_>,
    totals: &ProbeTotals,
) -> Result<(), std::fmt::Error> {
    gauge(encoder, "probe_targets", "Targets that are probed", totals.targets)?;
    let help = "Different probes that are made for them";
    gauge(encoder, "probe_distinct", help, totals.probes)?;
    gauge(encoder, "probes_in_flight", "Probes that run", totals.in_flight)?;
    let delayed = Cap::ALL.map(|cap| ([("cap", cap.key())], totals.delayed[cap as usize]));
    family(
        encoder,
        "probes_delayed",
        "Probes that had to wait, by the cap that made them",
        delayed,
    )?;
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let ends = LATENESS_MS.into_iter().map(seconds).chain([f64::MAX]);
    let classes: Vec<(f64, u64)> = ends.zip(totals.lateness).collect();
    let (sum, count) = (totals.lateness_us as f64 / 1e6, totals.lateness.iter().sum());
    let help = "How long after they were due probes began";
    let mut histogram =
        encoder.encode_descriptor("probe_lateness_seconds", help, None, MetricType::Histogram)?;
    histogram.encode_histogram(
        sum,
        count,
        &classes,
        None::<&HashMap<usize, Exemplar<NoLabelSet, f64>>>,
    )
}

/// One gauge with a fraction for each set of labels.
pub(super) fn ratios<L: prometheus_client::encoding::EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, f64)>,
) -> Result<(), std::fmt::Error> {
    let kind = ConstGauge::new(0f64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// One counter for each set of labels.
pub(super) fn family<L: prometheus_client::encoding::EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> Result<(), std::fmt::Error> {
    let kind = ConstCounter::new(0u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Endpoints that are not as their probes say.
pub(super) fn states_gauge(
    encoder: &mut DescriptorEncoder<'_>,
    states: &[AdminState],
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(1i64);
    let help = "1 for an endpoint that an order or its file gives a state";
    let kind = gauge.metric_type();
    let mut family = encoder.encode_descriptor("endpoint_state", help, None, kind)?;
    for (endpoint, state, by) in states {
        let labels = [
            ("endpoint", endpoint.to_string()),
            ("state", state.to_string()),
            ("by", (*by).into()),
        ];
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
