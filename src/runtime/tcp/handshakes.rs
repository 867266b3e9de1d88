//! Round-trip times of resolvers, as TCP handshakes show them: sampled at each connection, handed on in rounds.
//!
//! A sample is one system call in the connection's own task. Nobody waits for it: what does not fit is dropped.

use std::net::IpAddr;

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::control::round_trips::Measurement;
use crate::rtt::Source;
use crate::rtt::key::network_of;
use crate::runtime::udp::round_trip_us;

/// Samples that wait to be handed on, at most.
const WAITING_MAX: usize = 1024;

/// Samples handed on at once.
const ROUND_MAX: usize = 256;

/// Where connections leave their samples.
#[derive(Clone, Debug)]
pub struct Handshakes(mpsc::Sender<(IpAddr, u32)>);

/// What is to be handed on.
pub type Samples = mpsc::Receiver<(IpAddr, u32)>;

impl Handshakes {
    /// A place for samples, and the end where they come out.
    pub fn new() -> (Self, Samples) {
        let (sender, samples) = mpsc::channel(WAITING_MAX);
        (Self(sender), samples)
    }

    /// Notes the round-trip time of a new connection.
    pub(super) fn note(&self, stream: &TcpStream) {
        if self.0.capacity() == 0 {
            return;
        }
        if let (Ok(peer), Ok(micros @ 1..)) = (stream.peer_addr(), round_trip_us(stream)) {
            let _ = self.0.try_send((peer.ip(), micros));
        }
    }
}

/// Hands samples on as measurements to `site`, until all connections are gone.
pub async fn hand_on(samples: &mut Samples, site: &str, measured: &mpsc::Sender<Vec<Measurement>>) {
    let mut round = Vec::new();
    while samples.recv_many(&mut round, ROUND_MAX).await > 0 {
        let measurements = round.drain(..).map(|(address, rtt_us)| Measurement {
            network: network_of(address),
            site: site.into(),
            source: Source::Handshake,
            rtt_us,
        });
        if measured.send(measurements.collect()).await.is_err() {
            return;
        }
    }
}
