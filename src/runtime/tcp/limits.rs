//! What a TCP client may take.

use std::time::Duration;

/// Limits of a TCP service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at once; a new one beyond closes the one that is idle longest. At least 1.
    pub max_connections: usize,
    /// Longest time without a complete query; octets of an incomplete one do not prolong it.
    ///
    /// RFC 7766 section 6.2.3 asks for some seconds; DNS clients send again within 10.
    pub idle: Duration,
    /// Longest time a handshake may take; there is none without encryption.
    pub handshake: Duration,
    /// Longest time a client may take to read the replies of one turn.
    pub write: Duration,
    /// Queries of one connection answered before its replies are written and others get their turn.
    pub max_pipelined: usize,
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            max_connections: 1000,
            idle: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            write: Duration::from_secs(10),
            max_pipelined: 256,
        }
    }
}
