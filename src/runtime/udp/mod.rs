//! The UDP engine: plain threads that receive, answer in place and send in batches.
//!
//! Knows nothing of DNS: what a datagram means is up to [`Respond`]. One thread serves one socket, so
//! that a worker may block in `recvmmsg` and needs no poller: `workers` threads for each listen
//! address. Threads of an address nobody asks sleep in the kernel and cost nothing.

mod bind;
mod counters;
mod socket;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use crate::runtime::respond::Respond;

pub use self::bind::BindError;
pub use self::counters::UdpCounters;
pub use self::counters::UdpTotals;
pub(crate) use self::socket::round_trip_us;

use self::bind::Listener;
use self::counters::Cells;
use self::worker::Worker;

/// Sockets that are bound and not yet served.
///
/// Queries that come before [`UdpSockets::start`] wait in the receive buffers.
pub struct UdpSockets {
    listeners: Vec<Listener>,
}

impl UdpSockets {
    /// Binds `workers` sockets to every address; 0 workers are one a core.
    ///
    /// Port 0 is chosen by the kernel, once an address. Fails if anyone, another process of the same
    /// user with `SO_REUSEPORT` included, already receives on one of the addresses.
    pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<UdpSockets, BindError> {
        let workers = if workers == 0 { one_per_core() } else { workers };
        bind::refuse_overlap(addresses)?;
        let listeners = addresses
            .iter()
            .map(|address| Listener::bind(*address, workers))
            .collect::<Result<_, _>>()?;
        Ok(UdpSockets { listeners })
    }

    /// The addresses in the order they were given, with the ports that the kernel chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listener| listener.address).collect()
    }

    /// Starts the threads; each gets its own clone of `respond`.
    pub fn start(self, respond: impl Respond) -> io::Result<UdpServer> {
        let addresses = self.local_addrs();
        let sockets =
            self.listeners.into_iter().flat_map(Listener::into_sockets).collect::<Vec<_>>();
        let cells: Vec<_> = sockets.iter().map(|_| Arc::new(Cells::default())).collect();
        let mut server = UdpServer {
            addresses,
            sockets: sockets.clone(),
            counters: UdpCounters::new(cells.clone()),
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        for (number, (socket, cells)) in sockets.into_iter().zip(cells).enumerate() {
            let (respond, stop) = (respond.clone(), Arc::clone(&server.stop));
            let run = move || Worker::new(number, socket, respond, cells, stop).run();
            server.threads.push(thread::Builder::new().name(format!("udp-{number}")).spawn(run)?);
        }
        Ok(server)
    }
}

/// Running workers; they stop when it is dropped.
pub struct UdpServer {
    addresses: Vec<SocketAddr>,
    sockets: Vec<Arc<socket2::Socket>>,
    counters: UdpCounters,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl UdpServer {
    /// The addresses that are served.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// A handle on the workers' counters, to be read from any thread.
    pub fn counters(&self) -> UdpCounters {
        self.counters.clone()
    }

    /// Stops the workers after their current batch and waits for them; the ports are free then.
    pub fn stop(mut self) {
        self.wake_to_stop();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of its responder; one outside is already printed.
            let _ = thread.join();
        }
    }

    /// Raises the flag, then makes every blocked `recvmmsg` return.
    fn wake_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        for socket in &self.sockets {
            // ENOTCONN by contract, for the socket has no peer; Linux wakes the receiver all the same.
            let _ = socket.shutdown(std::net::Shutdown::Read);
        }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.wake_to_stop();
    }
}

/// Cores that this process may use.
fn one_per_core() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
