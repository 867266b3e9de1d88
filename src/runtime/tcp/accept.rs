//! Takes connections from one listening socket, whatever errors that brings.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::runtime::tcp::door::Door;
use crate::runtime::tcp::door::Host;

/// Pause after an accept that failed for want of descriptors or memory: trying again at once fails too.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Pause after an accept that failed while an idle connection could be closed: its descriptor is free as
/// soon as its task is dropped.
const EVICTION_PAUSE: Duration = Duration::from_millis(1);

/// Accepts until dropped.
pub(super) async fn run<H: Host>(listener: Arc<TcpListener>, host: Arc<H>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let door = host.door();
                door.make_room();
                door.registry.spawn(|activity| Arc::clone(&host).serve(stream, peer, activity));
            }
            Err(error) => survive(host.door(), &error).await,
        }
    }
}

/// Counts an error; waits unless it was the fault of the one connection.
async fn survive(door: &Door, error: &io::Error) {
    door.counters.cells.accept_errors.add(1);
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
        let evicted = door.registry.evict_oldest();
        tokio::time::sleep(if evicted { EVICTION_PAUSE } else { ACCEPT_ERROR_PAUSE }).await;
    }
}
