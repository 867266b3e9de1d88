//! The round-trip time that the kernel measured in a TCP handshake.
//!
//! Stands here because it needs `unsafe`: no safe crate that we use reads `TCP_INFO`.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

/// Microseconds of the kernel's smoothed round-trip time; of a new connection that is its handshake's.
///
/// 0 if it was not measured: with TCP Fast Open data comes before the handshake is complete.
pub(crate) fn round_trip_us(socket: &impl AsFd) -> io::Result<u32> {
    // SAFETY: a plain C struct of integers, for which zero octets are valid.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel writes at most `len` octets into
    // `info`, which outlives the call. An older kernel writes fewer, and the rest stays zero.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(info.tcpi_rtt) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_handshake_on_loopback_takes_less_than_a_second_and_more_than_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let _client = TcpStream::connect(listener.local_addr().expect("it is bound"));
        let (accepted, _) = listener.accept().expect("a client connects");
        let micros = round_trip_us(&accepted).expect("it is a TCP socket");
        assert!((1..1_000_000).contains(&micros), "{micros}");
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        assert!(round_trip_us(&datagrams).is_err());
    }
}
