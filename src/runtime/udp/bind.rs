//! Binds the sockets of one address, so that no other server shares it unnoticed.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;

use crate::runtime::udp::socket::options;

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Someone else receives there.
    #[error(
        "address already in use: another server answers on {address}; see which: ss -lutpn sport = :{}",
        address.port()
    )]
    InUse {
        /// What we wanted.
        address: SocketAddr,
    },
    /// Ports below 1024 are for who has the right to them.
    #[error(
        "cannot listen on {address}: no right to this port; run as root, or give the right with \
         setcap cap_net_bind_service=+ep on the program (AmbientCapabilities=CAP_NET_BIND_SERVICE \
         under systemd), or sysctl net.ipv4.ip_unprivileged_port_start={}",
        address.port()
    )]
    Forbidden {
        /// What we wanted.
        address: SocketAddr,
    },
    /// Two of our own addresses would receive the same queries.
    #[error("{address} is already covered by {other}: list one of them")]
    Overlap {
        /// The later of the two.
        address: SocketAddr,
        /// The earlier one.
        other: SocketAddr,
    },
    /// Anything else: no such address, no IPv6.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// What we wanted.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    /// Names the address that the kernel refused.
    pub(crate) fn from_io(address: SocketAddr, source: io::Error) -> BindError {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address },
            io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
            _ => BindError::Refused { address, source },
        }
    }
}

/// The sockets of one address, one a worker.
pub(crate) struct Listener {
    /// With the port that the kernel chose.
    pub(crate) address: SocketAddr,
    sockets: Vec<Arc<Socket>>,
}

impl Listener {
    /// Binds the first socket alone, then opens it to the others.
    ///
    /// `SO_REUSEPORT` is set on the first one only after its bind: a bind without the option fails
    /// against any socket on the port, a reuseport group included, and there is no moment at which two
    /// servers could both pass. With one worker the port is never opened to others at all.
    pub(crate) fn bind(address: SocketAddr, workers: usize) -> Result<Listener, BindError> {
        let refused = |source| BindError::from_io(address, source);
        let first = unbound(address).map_err(refused)?;
        first.bind(&address.into()).map_err(refused)?;
        let bound = local_address(&first).map_err(refused)?;
        let mut sockets = vec![Arc::new(first)];
        if workers > 1 {
            sockets[0].set_reuse_port(true).map_err(refused)?;
        }
        for _ in 1..workers {
            let next = unbound(address).map_err(refused)?;
            next.set_reuse_port(true).map_err(refused)?;
            next.bind(&bound.into()).map_err(refused)?;
            sockets.push(Arc::new(next));
        }
        Ok(Listener { address: bound, sockets })
    }

    /// Gives the sockets away.
    pub(crate) fn into_sockets(self) -> Vec<Arc<Socket>> {
        self.sockets
    }
}

/// Finds two addresses of ours of which one receives the other's queries.
pub(crate) fn refuse_overlap(addresses: &[SocketAddr]) -> Result<(), BindError> {
    for (number, &address) in addresses.iter().enumerate() {
        let covers = |other: &&SocketAddr| covers(**other, address);
        if let Some(&other) = addresses[..number].iter().find(covers) {
            return Err(BindError::Overlap { address, other });
        }
    }
    Ok(())
}

/// Tells whether two addresses of one family meet on a port.
fn covers(one: SocketAddr, other: SocketAddr) -> bool {
    let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (wildcard || one == other)
}

/// A socket with its options set, but those of a shared port.
fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if address.ip().is_unspecified() {
        options::request_packet_info(&socket, address.is_ipv6())?;
    }
    options::enlarge_buffers(&socket);
    options::ignore_path_mtu(&socket, address.is_ipv6());
    Ok(socket)
}

/// The address a socket is bound to.
pub(crate) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_covers_addresses_of_its_family_and_port_only() {
        let meet = |one: &str, other: &str| covers(one.parse().unwrap(), other.parse().unwrap());
        assert!(meet("0.0.0.0:53", "127.0.0.1:53"));
        assert!(meet("127.0.0.1:53", "0.0.0.0:53"));
        assert!(meet("127.0.0.1:53", "127.0.0.1:53"));
        assert!(!meet("0.0.0.0:53", "[::1]:53"));
        assert!(!meet("0.0.0.0:53", "127.0.0.1:54"));
        assert!(!meet("127.0.0.1:0", "127.0.0.1:0"));
        assert!(!meet("127.0.0.1:53", "127.0.0.2:53"));
    }
}
