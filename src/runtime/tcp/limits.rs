//! What a TCP client may take.

use std::time::Duration;

use crate::answer::KEEPALIVE;

/// Limits of a TCP service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at once; a new one beyond closes the one that is idle longest. At least 1.
    pub max_connections: usize,
    /// Connections of one client at once, an IPv4 address or an IPv6 /64; a new one beyond closes the one of the same
    /// client that is idle longest, so that nobody takes all places. At least 1.
    pub max_per_client: usize,
    /// Longest time a handshake may take; there is none without encryption.
    pub handshake: Duration,
    /// Longest time without a complete query; octets of an incomplete one do not prolong it.
    ///
    /// RFC 7766 section 6.2.3 asks for some seconds; DNS clients send again within 10. Who asks is told
    /// [`KEEPALIVE`] (RFC 7828).
    pub idle: Duration,
    /// Longest time a client may take to read the replies of one turn.
    pub write: Duration,
    /// Queries of one connection answered before its replies are written and others get their turn.
    pub max_pipelined: usize,
}

impl TcpLimits {
    /// Limits of each encrypted transport beside this service: what the descriptors allow it they allow each of them.
    pub fn of_encrypted(&self) -> Self {
        let defaults = Self::default();
        let max_connections = defaults.max_connections.min(self.max_connections);
        Self { max_connections, ..defaults }
    }
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            max_connections: 1000,
            max_per_client: 500,
            handshake: Duration::from_secs(10),
            idle: Duration::from_millis(100 * u64::from(KEEPALIVE)),
            write: Duration::from_secs(10),
            max_pipelined: 256,
        }
    }
}
