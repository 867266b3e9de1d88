//! Asks one question of a server, by UDP or TCP.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::time::Duration;

use crate::question::Question;
use crate::question::Transport;
use crate::reply::Reply;

/// A client of one server.
pub struct Asker {
    address: SocketAddr,
    socket: UdpSocket,
    patience: Duration,
    id: u16,
}

impl Asker {
    pub fn new(address: SocketAddr, patience: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(address).expect("loopback");
        socket.set_read_timeout(Some(patience)).expect("a timeout");
        Self { address, socket, patience, id: 0 }
    }

    /// Asks; `None` if no reply comes, `Err` if it is none of DNS.
    pub fn ask(&mut self, question: &Question) -> Option<Result<Reply, String>> {
        match question.transport {
            Transport::Udp => self.udp(question),
            Transport::Tcp => self.tcp(question),
        }
    }

    pub fn udp(&mut self, question: &Question) -> Option<Result<Reply, String>> {
        self.id = self.id.wrapping_add(1);
        self.socket.send(&question.packet(self.id)).ok()?;
        let mut octets = vec![0; 65_535];
        loop {
            let len = self.socket.recv(&mut octets).ok()?;
            if octets[..len].starts_with(&self.id.to_be_bytes()) {
                return Some(Reply::parse(&octets[..len]));
            }
        }
    }

    fn tcp(&mut self, question: &Question) -> Option<Result<Reply, String>> {
        let packet = question.packet(self.id);
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(self.patience)).ok()?;
        let length = u16::try_from(packet.len()).expect("a short question");
        stream.write_all(&[&length.to_be_bytes(), &packet[..]].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).ok()?;
        Some(Reply::parse(&octets))
    }
}
