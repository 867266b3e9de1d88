//! Dials peers that have an address, again and again while there is no connection with them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::cluster::NodeName;
use crate::runtime::cluster::accept::HANDSHAKE_MAX;
use crate::runtime::cluster::chance;
use crate::runtime::cluster::connection;
use crate::runtime::cluster::connection::Ended;
use crate::runtime::cluster::connection::Shown;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::failure::Failure;
use crate::runtime::cluster::links::Link;
use crate::runtime::cluster::metered::Metered;
use crate::runtime::cluster::tls_peer;

/// Wait before a peer is dialled again, at first and at most: after a partition all should be well within two seconds.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// A connection that lived so long makes the next wait short again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Dials every peer that has an address, for as long as its table stays.
pub(super) async fn run(core: Arc<Core>) {
    let mut changes = core.live.subscribe();
    let mut tasks = JoinSet::new();
    let mut dialled = BTreeMap::new();
    loop {
        let live = Arc::clone(&changes.borrow_and_update());
        let wanted: BTreeMap<_, _> = live
            .terms
            .peers
            .iter()
            .filter_map(|peer| Some((peer.node.clone(), peer.address?)))
            .collect();
        dialled.retain(|peer: &(NodeName, SocketAddr), task: &mut tokio::task::AbortHandle| {
            let stays = wanted.get(&peer.0) == Some(&peer.1) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for peer in wanted {
            dialled.entry(peer).or_insert_with_key(|(node, address)| {
                tasks.spawn(keep(Arc::clone(&core), node.clone(), *address))
            });
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            // A task of these ends by a fault only; the next round makes it anew.
            Some(_) = tasks.join_next() => tokio::time::sleep(BACK_OFF[0]).await,
        }
    }
}

/// Keeps a connection with one peer.
async fn keep(core: Arc<Core>, node: NodeName, address: SocketAddr) {
    let mut back_off = BACK_OFF[0];
    let mut told = String::new();
    loop {
        until_alone(&core, &node).await;
        let start = Instant::now();
        match dial(&core, &node, address).await {
            Ok((stream, link)) => {
                tracing::info!(target: "rhumb::cluster", %node, %address, "connected: dialled");
                told.clear();
                let ended = connection::run(&core, stream, &link).await;
                tracing::info!(target: "rhumb::cluster", %node, "connection lost: {ended}");
            }
            Err(Failure::Ended(Ended::Double)) => {}
            Err(failure) => {
                Counters::count(&core.counters.handshakes_failed);
                let text = failure.to_string();
                if text != told {
                    tracing::warn!(target: "rhumb::cluster", %node, %address, "no connection: {text}");
                    told = text;
                }
            }
        }
        if start.elapsed() >= HEALTHY_AFTER {
            back_off = BACK_OFF[0];
        }
        tokio::time::sleep(jitter(back_off)).await;
        back_off = (back_off * 2).min(BACK_OFF[1]);
    }
}

/// Half to all of a wait, so that nodes that lost each other do not all dial at once.
fn jitter(wait: Duration) -> Duration {
    wait / 2 + (wait / 2).mul_f64((chance() % 1024) as f64 / 1024.0)
}

/// Waits until there is no connection with a peer.
async fn until_alone(core: &Core, node: &NodeName) {
    let mut changes = core.links.changes();
    while core.links.find(node).is_some() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

type Stream = tokio_rustls::client::TlsStream<Metered<TcpStream>>;

async fn dial(
    core: &Core,
    node: &NodeName,
    address: SocketAddr,
) -> Result<(Stream, Arc<Link>), Failure> {
    let shaken = timeout(HANDSHAKE_MAX, shake(core, node, address)).await;
    shaken.unwrap_or(Err(Failure::TooSlow))
}

async fn shake(
    core: &Core,
    node: &NodeName,
    address: SocketAddr,
) -> Result<(Stream, Arc<Link>), Failure> {
    let stream = TcpStream::connect(address).await.map_err(Failure::Unreachable)?;
    stream.set_nodelay(true).map_err(Failure::Unreachable)?;
    let live = core.live();
    let metered = Metered::new(stream, Arc::clone(&core.counters));
    let name = ServerName::IpAddress(address.ip().into());
    let mut stream = live.connector.connect(name, metered).await.map_err(Failure::of_tls)?;
    let (pin, shown) = tls_peer(&live.members, stream.get_ref().1)?;
    if shown != *node {
        return Err(Failure::Another(shown));
    }
    let shown = Shown { node: shown, pin, dialler: core.node.clone() };
    let link = connection::meet(core, &mut stream, shown).await.map_err(Failure::of_hello)?;
    Ok((stream, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_and_stay_within_bounds() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| jitter(BACK_OFF[1])).collect();
        assert!(waits.len() > 10);
        assert!(waits.iter().all(|wait| (BACK_OFF[1] / 2..=BACK_OFF[1]).contains(wait)));
    }
}
