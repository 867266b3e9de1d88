//! The TCP engine: queries with two-octet length framing on tokio (RFC 7766).
//!
//! Replies come in the order of their queries, written together. Knows nothing of DNS: what a frame
//! means is up to [`Respond`]. An idle connection holds one small buffer; all else is shared.
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod counters;
pub(crate) mod desk;
pub(crate) mod door;
pub mod handshakes;
mod limits;
pub(crate) mod registry;
pub(crate) mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::runtime::respond::Respond;
use crate::runtime::supervise::supervise;
use crate::runtime::udp::BindError;

pub use self::counters::TcpCounters;
pub use self::counters::TcpTotals;
pub use self::handshakes::Handshakes;
pub use self::limits::TcpLimits;

use self::desk::Desks;
use self::door::Door;
use self::door::Host;
use self::registry::Activity;
use self::stream::Plain;
use self::stream::Upgrade;

/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Sockets that listen and are not yet served.
pub struct TcpSockets {
    listeners: Vec<std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl TcpSockets {
    /// Listens on every address; port 0 is chosen by the kernel.
    pub fn bind(addresses: &[SocketAddr]) -> Result<TcpSockets, BindError> {
        let mut sockets = TcpSockets { listeners: Vec::new(), addresses: Vec::new() };
        for &address in addresses {
            let refused = |source| BindError::from_io(address, source);
            let listener = listen(address).map_err(refused)?;
            sockets.addresses.push(listener.local_addr().map_err(refused)?);
            sockets.listeners.push(listener);
        }
        Ok(sockets)
    }

    /// The addresses in the order they were given, with the ports that the kernel chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Readies the service on the current tokio runtime; nothing runs before [`TcpServer::run`].
    ///
    /// Fails if the runtime cannot watch the sockets. Panics outside of a tokio runtime.
    pub fn serve<R: Respond>(self, respond: R, limits: TcpLimits) -> io::Result<TcpServer<R>> {
        self.serve_measured(respond, limits, None)
    }

    /// As [`TcpSockets::serve`]; the round-trip times of handshakes are left at `handshakes`.
    pub fn serve_measured<R: Respond>(
        self,
        respond: R,
        limits: TcpLimits,
        handshakes: Option<Handshakes>,
    ) -> io::Result<TcpServer<R>> {
        Ok(TcpServer(self.serve_upgraded(respond, Plain(handshakes), limits)?))
    }

    /// As [`TcpSockets::serve`], over the streams that `upgrade` makes.
    pub(crate) fn serve_upgraded<R: Respond, U: Upgrade>(
        self,
        respond: R,
        upgrade: U,
        limits: TcpLimits,
    ) -> io::Result<Service<Shared<R, U>>> {
        self.serve_by(Shared { door: Door::new(limits), desks: Desks::new(respond), upgrade })
    }

    /// As [`TcpSockets::serve`], by any host.
    pub(crate) fn serve_by<H: Host>(self, host: H) -> io::Result<Service<H>> {
        let listeners = self.listeners.into_iter().map(TcpListener::from_std);
        Ok(Service { listeners: listeners.collect::<Result<_, _>>()?, host: Arc::new(host) })
    }
}

/// What all connections of a server share.
pub(crate) struct Shared<R, U> {
    door: Arc<Door>,
    desks: Desks<R>,
    upgrade: U,
}

impl<R: Respond, U: Upgrade> Host for Shared<R, U> {
    const NAME: &'static str = U::NAME;

    fn door(&self) -> &Arc<Door> {
        &self.door
    }

    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        activity: Arc<Activity>,
    ) -> impl Future<Output = ()> + Send + 'static {
        connection::run(self, stream, peer, activity)
    }
}

/// A TCP service ready to run.
pub struct TcpServer<R: Respond>(Service<Shared<R, Plain>>);

impl<R: Respond> TcpServer<R> {
    /// A handle on the counters, to be read from any thread.
    pub fn counters(&self) -> TcpCounters {
        self.0.counters()
    }

    /// As [`Service::run`].
    pub async fn run(
        self,
        stop: CancellationToken,
        restarts: impl FnMut(&'static str) + Clone + Send + 'static,
    ) {
        self.0.run(stop, restarts).await;
    }
}

/// A service of any protocol over TCP, ready to run.
pub(crate) struct Service<H> {
    listeners: Vec<TcpListener>,
    host: Arc<H>,
}

impl<H: Host> Service<H> {
    /// A handle on the counters, to be read from any thread.
    pub(crate) fn counters(&self) -> TcpCounters {
        self.host.door().counters.clone()
    }

    /// Serves until `stop` is cancelled; then closes idle connections at once, and the others when
    /// their replies are written or the time for that is over.
    ///
    /// An accept loop that fails is started again, and `restarts` is told.
    pub(crate) async fn run(
        self,
        stop: CancellationToken,
        restarts: impl FnMut(&'static str) + Clone + Send + 'static,
    ) {
        let loops = self.listeners.into_iter().map(|listener| {
            let (listener, host) = (Arc::new(listener), Arc::clone(&self.host));
            let make = move || accept::run(Arc::clone(&listener), Arc::clone(&host));
            tokio::spawn(supervise(H::NAME, stop.clone(), restarts.clone(), make))
        });
        for task in loops.collect::<Vec<_>>() {
            if let Err(error) = task.await {
                tracing::error!(%error, service = H::NAME, "the supervisor of an accept loop failed");
            }
        }
        let door = self.host.door();
        door.registry.close_all(door.limits.write).await;
    }
}

/// A listening socket; accepted ones inherit its options on Linux.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Does not let two servers listen; it only ignores old connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
