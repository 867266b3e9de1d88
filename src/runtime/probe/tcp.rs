//! The TCP probe: a connection is accepted, then closed.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::runtime::probe::failure::Phase;
use crate::runtime::probe::failure::ProbeFailure;

/// Opens a connection; the caller sets the deadline, and dropping the stream closes it.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeFailure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| ProbeFailure::from_io(&error, Phase::Connecting))?;
    // Without it the request of a probe could wait for an acknowledgement that is delayed 40 ms.
    // A failure costs only that.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
