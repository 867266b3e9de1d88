//! The way to a target: where it is, from where it is probed, and what it may cost.

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::net::UdpSocket;

use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::meter::Meter;
use crate::runtime::probe::progress::Phase;

/// Octets that one probe reads from the network, at most, with all that it is redirected to: heads, bodies, chains of
/// certificates and marks of chunks.
pub(super) const WIRE_MAX: usize = BODY_MAX;

/// Octets that the kernel keeps of a connection before they are read; it takes twice that with its own book-keeping.
///
/// Source: half of what is read at all, so that a flood costs no more memory unread than read. One window serves a
/// header block and a chain of certificates, which is what nearly all probes read.
const UNREAD_MAX: u32 = 32 * 1024;

/// Where a probe goes, and from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) address: SocketAddr,
    /// An address of this host; the system's choice if there is none.
    pub(super) source: Option<IpAddr>,
}

/// How often whoever opens a connection writes before it hears anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Once,
    Often,
}

impl Line {
    /// Opens a connection; the caller sets the deadline, and dropping the stream closes it.
    pub(super) fn connect(
        self,
        writes: Writes,
    ) -> impl Future<Output = Result<Meter<TcpStream>, ProbeFailure>> + Send {
        // Not in a future of its own: each probe that runs would hold it, too.
        self.connect_within(WIRE_MAX, writes)
    }

    /// The same where so many octets are left to be read.
    pub(super) async fn connect_within(
        self,
        room: usize,
        writes: Writes,
    ) -> Result<Meter<TcpStream>, ProbeFailure> {
        let failed = |error: io::Error| ProbeFailure::from_io(&error, Phase::Connecting);
        let socket = self.open().map_err(failed)?;
        let stream = socket.connect(self.address).await.map_err(failed)?;
        if writes == Writes::Often {
            // Without it the second could wait for an acknowledgement that is delayed 40 ms. A failure costs only that.
            let _ = stream.set_nodelay(true);
        }
        Ok(Meter::new(stream, room))
    }

    /// A socket that is not connected yet.
    fn open(self) -> io::Result<TcpSocket> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Before it connects, so that the first window is no larger.
        socket.set_recv_buffer_size(UNREAD_MAX)?;
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        Ok(socket)
    }

    /// From where it goes: the address that was chosen, else the one that the system would take; `None` if there is no
    /// way. Nothing is sent.
    pub(super) fn find_source(self) -> Option<IpAddr> {
        let any = match self.address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        // Any port will do: the way depends on the address alone.
        let place = SocketAddr::new(self.address.ip(), self.address.port().max(1));
        let open = || {
            let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(place)?;
            socket.local_addr()
        };
        self.source.or_else(|| open().ok().map(|address| address.ip()))
    }

    /// Opens a socket that hears nobody but the target, from a port of its own.
    pub(super) async fn datagrams(self) -> Result<UdpSocket, ProbeFailure> {
        let any = match self.address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let opening = async {
            let socket = UdpSocket::bind(SocketAddr::new(self.source.unwrap_or(any), 0)).await?;
            socket.connect(self.address).await?;
            Ok(socket)
        };
        opening.await.map_err(|error| ProbeFailure::from_io(&error, Phase::Connecting))
    }
}
