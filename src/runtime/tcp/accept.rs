//! Takes connections from one listening socket, whatever errors that brings.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::runtime::tcp::door::Door;
use crate::runtime::tcp::door::Host;
use crate::runtime::tcp::registry::Client;

/// Pause after an accept that failed for want of descriptors or memory: trying again at once fails too.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Pause after an accept that failed while an idle connection could be closed: its descriptor is free as
/// soon as its task is dropped.
const EVICTION_PAUSE: Duration = Duration::from_millis(1);

/// How often it is told that descriptors are short, at most.
const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

/// What an error of accept(2) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The one connection is gone; the next may be fine.
    Connection,
    /// Descriptors or memory are short.
    Shortage,
    /// Something else that may last.
    Other,
}

/// Accepts until dropped.
pub(super) async fn run<H: Host>(listener: Arc<TcpListener>, host: Arc<H>) {
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let client = Client::of(peer.ip());
                let serve = |activity| Arc::clone(&host).serve(stream, peer, activity);
                host.door().admit(client, serve);
            }
            Err(error) => {
                let trouble = trouble(&error);
                if trouble != Trouble::Connection
                    && complained.is_none_or(|last| last.elapsed() >= COMPLAINT_EVERY)
                {
                    complained = Some(Instant::now());
                    let what = H::NAME.to_uppercase();
                    tracing::warn!(reason = %error, "{what} connections wait; idle ones are closed for them");
                }
                survive(host.door(), trouble).await;
            }
        }
    }
}

/// Counts an error; waits unless it was the fault of the one connection.
async fn survive(door: &Door, trouble: Trouble) {
    door.counters.cells.accept_errors.add(1);
    match trouble {
        Trouble::Connection => {}
        Trouble::Shortage if door.registry.evict_oldest() => {
            // An idle client gives its descriptor to the one that waits.
            tokio::time::sleep(EVICTION_PAUSE).await;
        }
        Trouble::Shortage | Trouble::Other => tokio::time::sleep(ACCEPT_ERROR_PAUSE).await,
    }
}

/// Reads an error of accept(2): on Linux it passes on what happened to the connection meanwhile.
fn trouble(error: &io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Trouble::Shortage,
        Some(
            libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::ECONNREFUSED
            | libc::EPROTO
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENOPROTOOPT
            | libc::ENONET
            | libc::ETIMEDOUT
            | libc::EINTR,
        ) => Trouble::Connection,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aborted_connection_costs_no_pause_and_a_shortage_does() {
        let trouble = |code| trouble(&io::Error::from_raw_os_error(code));
        assert_eq!(trouble(libc::ECONNABORTED), Trouble::Connection);
        assert_eq!(trouble(libc::EMFILE), Trouble::Shortage);
        assert_eq!(trouble(libc::ENFILE), Trouble::Shortage);
        assert_eq!(trouble(libc::EBADF), Trouble::Other);
    }
}
