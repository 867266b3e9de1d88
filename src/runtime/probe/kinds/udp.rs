//! The UDP probe: a datagram is sent, and one comes back that holds what is expected.

use tokio::net::UdpSocket;

use crate::model::Talk;
use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::response::search::Progress as Found;
use crate::runtime::probe::response::search::Search;

/// What is said and what must come back.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Datagrams(pub(in crate::runtime::probe) Talk);

impl Datagrams {
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let socket = line.datagrams().await?;
        progress.enter(Phase::AwaitingResponse);
        socket
            .send(self.0.send.as_deref().unwrap_or_default())
            .await
            .map_err(|error| ProbeFailure::from_io(&error, Phase::Connecting))?;
        let mut datagram = vec![0; BODY_MAX];
        let mut heard = 0;
        loop {
            let len = receive(&socket, &mut datagram).await?;
            let reply = &datagram[..len];
            progress.hear(reply);
            if progress.phase() == Phase::AwaitingResponse {
                progress.enter(Phase::ReadingBody);
            }
            let Some(expected) = &self.0.expect else { return Ok(Success::default()) };
            if Search::new(expected).push(reply) == Found::Found {
                return Ok(Success::default());
            }
            heard += len.max(1);
            if heard >= BODY_MAX {
                return Err(ProbeFailure::reply_lacks(expected, reply));
            }
        }
    }
}

/// The next datagram of the target; a port where nobody listens is told by the network.
pub(super) async fn receive(
    socket: &UdpSocket,
    datagram: &mut [u8],
) -> Result<usize, ProbeFailure> {
    let received = socket.recv(datagram).await;
    received.map_err(|error| ProbeFailure::from_io(&error, Phase::Connecting))
}
