//! The ICMP probe: one echo request over a datagram socket, which needs no privilege on Linux.
//!
//! The kernel gives the socket its identifier and hands it replies of that identifier only; the sequence number and a
//! random token tell this probe's reply from one that is late.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io;
use std::net::SocketAddr;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;
use tokio::net::UdpSocket;

use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;

/// Types of messages (RFC 792, RFC 4443).
const ECHO_REQUEST_4: u8 = 8;
const ECHO_REPLY_4: u8 = 0;
const ECHO_REQUEST_6: u8 = 128;
const ECHO_REPLY_6: u8 = 129;

/// Octets of type, code, checksum, identifier and sequence number.
const HEADER: usize = 8;

/// Octets of the token.
const TOKEN: usize = 16;

/// One probe of this kind needs nothing to be made ready.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Echo;

impl Echo {
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let socket = open(line).map_err(|error| {
            match error.kind() {
            io::ErrorKind::PermissionDenied => ProbeFailure::Local(
                "ICMP is not allowed; let net.ipv4.ping_group_range include a group of this process"
                    .into(),
            ),
            _ => ProbeFailure::from_io(&error, Phase::Connecting),
        }
        })?;
        let (request, reply) = match line.address {
            SocketAddr::V4(_) => (ECHO_REQUEST_4, ECHO_REPLY_4),
            SocketAddr::V6(_) => (ECHO_REQUEST_6, ECHO_REPLY_6),
        };
        let token = token();
        let message = message(request, &token);
        progress.enter(Phase::AwaitingResponse);
        let unreachable = |error: io::Error| ProbeFailure::from_io(&error, Phase::Connecting);
        socket.send(&message).await.map_err(unreachable)?;
        let mut heard = [0; 256];
        loop {
            let len = socket.recv(&mut heard).await.map_err(unreachable)?;
            let heard = &heard[..len];
            if heard.first() == Some(&reply) && heard.get(HEADER..) == Some(&token[..]) {
                progress.enter(Phase::ReadingBody);
                return Ok(Success::default());
            }
        }
    }
}

/// A datagram socket for ICMP, to one address only.
fn open(line: Line) -> io::Result<UdpSocket> {
    let (domain, protocol) = match line.address {
        SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(protocol))?;
    if let Some(source) = line.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect(&SocketAddr::new(line.address.ip(), 0).into())?;
    // It sends and receives like one of UDP, which is all that is asked of it.
    UdpSocket::from_std(std::net::UdpSocket::from(socket))
}

/// Octets that nobody guesses and that no other probe has.
fn token() -> [u8; TOKEN] {
    let mut token = [0; TOKEN];
    for half in token.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(half.len()).to_le_bytes());
    }
    token
}

/// An echo request; the kernel fills in identifier and, for IPv6, the checksum.
fn message(kind: u8, token: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(token);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// RFC 1071.
fn checksum(message: &[u8]) -> u16 {
    let words =
        message.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::checksum;
    use super::message;
    use super::token;

    #[test]
    fn the_checksum_of_a_message_with_its_checksum_is_nothing() {
        let message = message(8, b"0123456789abcde");
        assert_eq!(checksum(&message), 0);
        // The example of RFC 1071 section 3.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
    }
}
