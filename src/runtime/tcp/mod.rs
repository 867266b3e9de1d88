//! The TCP engine: queries with two-octet length framing on tokio (RFC 7766).
//!
//! Replies come in the order of their queries, written together. Knows nothing of DNS: what a frame
//! means is up to [`Respond`]. An idle connection holds one small buffer; all else is shared.
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod counters;
mod desk;
mod limits;
mod registry;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::runtime::respond::Respond;
use crate::runtime::supervise::supervise;
use crate::runtime::udp::BindError;

pub use self::counters::TcpCounters;
pub use self::counters::TcpTotals;
pub use self::limits::TcpLimits;

use self::desk::Desks;
use self::registry::Registry;

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
        let listeners = self.listeners.into_iter().map(TcpListener::from_std);
        let counters = TcpCounters::default();
        let shared = Shared {
            limits,
            desks: Desks::new(respond),
            registry: Registry::new(counters.clone()),
            counters,
        };
        Ok(TcpServer { listeners: listeners.collect::<Result<_, _>>()?, shared: Arc::new(shared) })
    }
}

/// What all connections of a server share.
struct Shared<R> {
    limits: TcpLimits,
    desks: Desks<R>,
    registry: Registry,
    counters: TcpCounters,
}

/// A service ready to run.
pub struct TcpServer<R> {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared<R>>,
}

impl<R: Respond> TcpServer<R> {
    /// A handle on the counters, to be read from any thread.
    pub fn counters(&self) -> TcpCounters {
        self.shared.counters.clone()
    }

    /// Serves until `stop` is cancelled; then closes idle connections at once, and the others when
    /// their replies are written or the time for that is over.
    ///
    /// An accept loop that fails is started again, and `restarts` is told.
    pub async fn run(
        self,
        stop: CancellationToken,
        restarts: impl FnMut(&'static str) + Clone + Send + 'static,
    ) {
        let loops = self.listeners.into_iter().map(|listener| {
            let (listener, shared) = (Arc::new(listener), Arc::clone(&self.shared));
            let make = move || accept::run(Arc::clone(&listener), Arc::clone(&shared));
            tokio::spawn(supervise("tcp", stop.clone(), restarts.clone(), make))
        });
        for task in loops.collect::<Vec<_>>() {
            if let Err(error) = task.await {
                tracing::error!(%error, "the supervisor of a TCP accept loop failed");
            }
        }
        self.shared.registry.close_all(self.shared.limits.write).await;
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
