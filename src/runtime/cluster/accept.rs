//! Takes connections of peers: few handshakes at once, few of one source, each with a deadline.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::runtime::cluster::connection;
use crate::runtime::cluster::connection::Shown;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::failure::Failure;
use crate::runtime::cluster::metered::Metered;
use crate::runtime::cluster::tls_peer;

/// Handshakes under way, at most; what comes then is closed.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// Handshakes of one IPv4 address or IPv6 /64, at most.
pub(super) const HANDSHAKES_PER_SOURCE: usize = 8;

/// How long a handshake may take, hello included.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Wait after a failed accept: descriptors may be short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How often refused strangers are told of in the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Takes connections until it is dropped, and those it took with it.
pub(super) async fn serve(core: Arc<Core>, listener: Arc<TcpListener>) {
    let gate = Arc::new(Gate::default());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => match gate.enter(source.ip()) {
                    Some(permit) => {
                        let core = Arc::clone(&core);
                        connections.spawn(async move { take(&core, stream, source, permit).await });
                    }
                    None => Counters::count(&core.counters.handshakes_shed),
                },
                Err(error) => {
                    tracing::warn!(target: "rhumb::cluster", %error, "no connection can be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(core: &Core, stream: TcpStream, source: SocketAddr, permit: Permit) {
    let shaken = timeout(HANDSHAKE_MAX, shake(core, stream)).await;
    match shaken.unwrap_or(Err(Failure::TooSlow)) {
        Ok((stream, link)) => {
            drop(permit);
            let node = link.node.clone();
            tracing::info!(target: "rhumb::cluster", %node, %source, "connected: it dialled");
            let ended = connection::run(core, stream, &link).await;
            tracing::info!(target: "rhumb::cluster", %node, "connection lost: {ended}");
        }
        Err(Failure::Ended(connection::Ended::Double)) => {}
        Err(failure) => {
            Counters::count(&core.counters.handshakes_failed);
            if permit.gate.may_tell() {
                tracing::warn!(
                    target: "rhumb::cluster", %source,
                    "refused at the door of the cluster (told at most once a minute): {failure}"
                );
            }
        }
    }
}

type Stream = tokio_rustls::server::TlsStream<Metered<TcpStream>>;

async fn shake(
    core: &Core,
    stream: TcpStream,
) -> Result<(Stream, Arc<super::links::Link>), Failure> {
    stream.set_nodelay(true).map_err(Failure::Unreachable)?;
    let live = core.live();
    let metered = Metered::new(stream, Arc::clone(&core.counters));
    let mut stream = live.acceptor.accept(metered).await.map_err(Failure::of_tls)?;
    let (pin, node) = tls_peer(&live.members, stream.get_ref().1)?;
    let shown = Shown { dialler: node.clone(), node, pin };
    let link = connection::meet(core, &mut stream, shown).await.map_err(Failure::Ended)?;
    Ok((stream, link))
}

/// How many handshakes are under way.
#[derive(Default)]
struct Gate {
    sources: Mutex<HashMap<IpAddr, usize>>,
    told: Mutex<Option<Instant>>,
}

/// Leave to shake hands, until it is dropped.
struct Permit {
    gate: Arc<Gate>,
    source: IpAddr,
}

impl Gate {
    fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Permit> {
        let source = network(source);
        let mut sources = self.sources.lock().expect("nobody panics with the lock");
        let own = sources.get(&source).copied().unwrap_or(0);
        if own >= HANDSHAKES_PER_SOURCE || sources.values().sum::<usize>() >= HANDSHAKES_MAX {
            return None;
        }
        sources.insert(source, own + 1);
        Some(Permit { gate: Arc::clone(self), source })
    }

    /// Whether it is time to tell of a stranger.
    fn may_tell(&self) -> bool {
        let mut told = self.told.lock().expect("nobody panics with the lock");
        let is_time = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if is_time {
            *told = Some(Instant::now());
        }
        is_time
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut sources = self.gate.sources.lock().expect("nobody panics with the lock");
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_its_share_and_all_sources_together_theirs() {
        let gate = Arc::new(Gate::default());
        let source = |number: u8| IpAddr::from([192, 0, 2, number]);
        let held: Vec<_> = (0..20).filter_map(|_| gate.enter(source(1))).collect();
        assert_eq!(held.len(), HANDSHAKES_PER_SOURCE);
        let others: Vec<_> =
            (2..40).flat_map(|number| [number; 3]).filter_map(|n| gate.enter(source(n))).collect();
        assert_eq!(held.len() + others.len(), HANDSHAKES_MAX);
        drop((held, others));
        assert!(gate.sources.lock().unwrap().is_empty());
        assert_eq!(
            network("2001:db8::1:2".parse().unwrap()),
            network("2001:db8::ffff:9".parse().unwrap())
        );
        assert!(gate.may_tell() && !gate.may_tell());
    }
}
