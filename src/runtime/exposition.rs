//! Families of metrics as Prometheus reads them: each with its help and its labels.

use std::collections::HashMap;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::runtime::probe::counters::Cap;
use crate::runtime::probe::counters::LATENESS_MS;
use crate::runtime::probe::counters::ProbeTotals;

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

/// One gauge of 0 to 1 for each set of labels.
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
