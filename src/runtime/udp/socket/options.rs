//! Socket options by number.

use std::ffi::c_int;
use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;

/// Wanted size of the receive and send buffers, in octets: 50 ms of queries at 100,000 a second.
const BUFFER_OCTETS: c_int = 4 << 20;

/// Asks for the local address of every datagram: needed on wildcard sockets only.
pub(crate) fn request_packet_info(socket: &Socket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Makes room for bursts, as much as the kernel allows.
///
/// The `FORCE` options ignore `net.core.rmem_max` and need CAP_NET_ADMIN.
pub(crate) fn enlarge_buffers(socket: &Socket) {
    let pairs = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (forced, polite) in pairs {
        if set(socket, libc::SOL_SOCKET, forced, BUFFER_OCTETS).is_err() {
            // A smaller buffer only shortens the burst that we survive.
            let _ = set(socket, libc::SOL_SOCKET, polite, BUFFER_OCTETS);
        }
    }
}

/// Keeps forged "packet too big" messages from making us send fragments (RFC 9715 section 3.1).
pub(crate) fn ignore_path_mtu(socket: &Socket, ipv6: bool) {
    // Best effort: old kernels and some sandboxes do not know the value.
    let _ = if ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
    };
}

/// Sets one option that is an integer.
fn set(socket: &Socket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` lives; the kernel reads `len` octets of
    // `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
