//! Takes connections from one listening socket, whatever errors that brings.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::runtime::respond::Respond;
use crate::runtime::tcp::Shared;
use crate::runtime::tcp::connection;

/// Pause after an accept that failed for want of descriptors or memory: trying again at once fails too.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Pause after an accept that failed while an idle connection could be closed: its descriptor is free as
/// soon as its task is dropped.
const EVICTION_PAUSE: Duration = Duration::from_millis(1);

/// Accepts until dropped.
pub(super) async fn run<R: Respond>(listener: Arc<TcpListener>, shared: Arc<Shared<R>>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&shared, stream, peer),
            Err(error) => survive(&shared, &error).await,
        }
    }
}

/// Makes room if need be, then serves the connection.
fn admit<R: Respond>(shared: &Arc<Shared<R>>, stream: TcpStream, peer: SocketAddr) {
    while shared.registry.len() >= shared.limits.max_connections.max(1) {
        if !shared.registry.evict_oldest() {
            break;
        }
    }
    let server = Arc::clone(shared);
    shared.registry.spawn(|activity| connection::run(stream, peer.ip(), server, activity));
}

/// Counts an error; waits unless it was the fault of the one connection.
async fn survive<R: Respond>(shared: &Arc<Shared<R>>, error: &io::Error) {
    shared.counters.cells.accept_errors.add(1);
    let of_the_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
    );
    if !of_the_connection {
        // An idle client gives its descriptor to the one that waits.
        let evicted = shared.registry.evict_oldest();
        tokio::time::sleep(if evicted { EVICTION_PAUSE } else { ACCEPT_ERROR_PAUSE }).await;
    }
}
