//! The cluster's counters as Prometheus reads them.

use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::DescriptorEncoder;

use crate::cluster::door::Refusals;
use crate::control::cluster::status::BusStatus;
use crate::runtime::cluster::Cluster;
use crate::runtime::exposition::counter;
use crate::runtime::exposition::family;
use crate::runtime::exposition::gauge;
use crate::runtime::exposition::ratios;

/// Writes every family of the cluster's connections.
pub(in crate::runtime) fn encode(
    cluster: &Cluster,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), std::fmt::Error> {
    let counters = cluster.counters();
    let both = [("in", &counters.octets_in), ("out", &counters.octets_out)];
    let both = both.map(|(way, count)| ([("direction", way)], count.load(Relaxed)));
    family(encoder, "cluster_octets", "Octets of connections between nodes, TLS included", both)?;
    let both = [("said", &counters.values_said), ("heard", &counters.values_heard)];
    let both = both.map(|(way, count)| ([("kind", way)], count.load(Relaxed)));
    family(
        encoder,
        "cluster_values",
        "Values that this node said, and heard for the first time",
        both,
    )?;
    let pieces = [
        ("given", &counters.pieces_given),
        ("taken", &counters.pieces_taken),
        ("wrong", &counters.pieces_wrong),
    ];
    let pieces = pieces.map(|(kind, count)| ([("kind", kind)], count.load(Relaxed)));
    family(encoder, "cluster_pieces", "Pieces of bundles and tables between nodes", pieces)?;
    for (name, help, count) in [
        (
            "cluster_connections",
            "Connections with members that were taken up",
            &counters.connections,
        ),
        (
            "cluster_handshakes_failed",
            "Connections that came to nothing",
            &counters.handshakes_failed,
        ),
        (
            "cluster_handshakes_shed",
            "Connections closed at once, as too many shook hands",
            &counters.handshakes_shed,
        ),
        ("cluster_frames_read", "Frames of peers", &counters.frames_in),
        ("cluster_writes", "Writes to peers, of one frame or several", &counters.writes),
        (
            "cluster_bus_dropped",
            "Messages of a bus that came faster than they were taken in",
            &counters.bus_dropped,
        ),
        (
            "cluster_cut_slow",
            "Connections cut as the peer did not read or speak",
            &counters.cut_slow,
        ),
        ("cluster_pushed", "Values sent to peers, each once for each peer", &counters.pushed),
        (
            "cluster_compared",
            "Times that a peer was told what this node has, as it has something else",
            &counters.compared,
        ),
        (
            "cluster_engine_restarts",
            "Faults of the gossip engine after which it began again",
            &counters.engine_restarts,
        ),
    ] {
        counter(encoder, name, help, count.load(Relaxed))?;
    }
    let Refusals { stranger, malformed, unsigned, forbidden, excess } = counters.refused();
    let refused = [
        ("stranger", stranger),
        ("malformed", malformed),
        ("unsigned", unsigned),
        ("forbidden", forbidden),
        ("excess", excess),
    ];
    let refused = refused.map(|(reason, count)| ([("reason", reason)], count));
    family(encoder, "cluster_values_refused", "Values that were not let in", refused)?;
    let runs = cluster.hook_runs();
    let runs = [("passed", &runs.passed), ("failed", &runs.failed)];
    let runs = runs.map(|(outcome, count)| ([("outcome", outcome)], count.load(Relaxed)));
    family(encoder, "cluster_hook_runs", "Runs of the hook that withdraws and announces", runs)?;
    if let Some(bus) = cluster.bus() {
        return encode_bus(&bus, encoder);
    }
    let peers = cluster.peers();
    let connected = peers.iter().map(|peer| {
        let is_connected = f64::from(u8::from(peer.generation.is_some()));
        ([("node", peer.node.to_string())], is_connected)
    });
    ratios(encoder, "cluster_connected", "1 if there is a connection with a peer", connected)?;
    let times = peers.iter().filter_map(|peer| {
        Some(([("node", peer.node.to_string())], peer.round_trip?.as_secs_f64()))
    });
    ratios(encoder, "cluster_round_trip_seconds", "Round trip to a peer over its connection", times)
}

/// Writes how this node stands with the bus.
fn encode_bus(bus: &BusStatus, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let help = "1 if the bus gives back what this node says";
    gauge(encoder, "cluster_bus_reachable", help, u64::from(bus.is_reachable))?;
    let time = bus.round_trip_ms.map(|time| ([("bus", "nats")], time / 1000.0));
    ratios(encoder, "cluster_bus_round_trip_seconds", "Round trip to the bus", time)
}
