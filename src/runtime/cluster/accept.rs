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

use crate::model::Peer;
use crate::runtime::cluster::connection;
use crate::runtime::cluster::connection::Shown;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::failure::Failure;
use crate::runtime::cluster::metered::Metered;
use crate::runtime::cluster::tls_peer;

/// Handshakes under way, at most, besides those of addresses of peers; what comes then is closed.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// Handshakes of one IPv4 address or IPv6 /64, or of one address of a peer, at most.
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
                Ok((stream, source)) => match gate.enter(Source::of(source.ip(), &core.live().terms.peers)) {
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
    sources: Mutex<HashMap<Source, usize>>,
    told: Mutex<Option<Instant>>,
}

/// Who shares a number of handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// An address that the file has for a peer: no stranger uses up its share.
    Peer(IpAddr),
    /// An IPv4 address, or the /64 of an IPv6 one.
    Strangers(IpAddr),
}

impl Source {
    fn of(address: IpAddr, peers: &[Peer]) -> Self {
        let address = address.to_canonical();
        let is_it = |peer: &Peer| peer.address.is_some_and(|at| at.ip().to_canonical() == address);
        match peers.iter().any(is_it) {
            true => Self::Peer(address),
            false => Self::Strangers(network(address)),
        }
    }
}

/// Leave to shake hands, until it is dropped.
struct Permit {
    gate: Arc<Gate>,
    source: Source,
}

impl Gate {
    fn enter(self: &Arc<Self>, source: Source) -> Option<Permit> {
        let mut sources = self.sources.lock().expect("nobody panics with the lock");
        let own = sources.get(&source).copied().unwrap_or(0);
        let of_strangers = |(source, count): (&Source, &usize)| match source {
            Source::Peer(_) => 0,
            Source::Strangers(_) => *count,
        };
        let is_full = match source {
            Source::Peer(_) => false,
            Source::Strangers(_) => {
                sources.iter().map(of_strangers).sum::<usize>() >= HANDSHAKES_MAX
            }
        };
        if own >= HANDSHAKES_PER_SOURCE || is_full {
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
        let address = |number: u8| IpAddr::from([192, 0, 2, number]);
        let peers = [Peer {
            node: crate::cluster::NodeName::parse("b").unwrap(),
            address: Some((address(200), 7653).into()),
            pins: Vec::new(),
            site: "fra".into(),
            role: crate::cluster::Role::Server,
        }];
        let source = |number: u8| Source::of(address(number), &peers);
        let held: Vec<_> = (0..20).filter_map(|_| gate.enter(source(1))).collect();
        assert_eq!(held.len(), HANDSHAKES_PER_SOURCE);
        let others: Vec<_> =
            (2..40).flat_map(|number| [number; 3]).filter_map(|n| gate.enter(source(n))).collect();
        assert_eq!(held.len() + others.len(), HANDSHAKES_MAX);
        let of_peer: Vec<_> = (0..20).filter_map(|_| gate.enter(source(200))).collect();
        assert_eq!(of_peer.len(), HANDSHAKES_PER_SOURCE, "strangers do not keep a peer out");
        let mapped = Source::of("::ffff:192.0.2.200".parse().unwrap(), &peers);
        assert_eq!(mapped, source(200));
        drop((held, others, of_peer));
        assert!(gate.sources.lock().unwrap().is_empty());
        assert_eq!(
            network("2001:db8::1:2".parse().unwrap()),
            network("2001:db8::ffff:9".parse().unwrap())
        );
        assert!(gate.may_tell() && !gate.may_tell());
    }
}
