//! The octet stream under a connection: plain, or what a handshake makes of it.

use std::future::Future;
use std::io;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::answer::Transport;
use crate::runtime::tcp::handshakes::Handshakes;

/// A stream that takes what fits at once.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Writes as much as is taken at once, [`io::ErrorKind::WouldBlock`] if nothing is.
    fn write_some(&mut self, octets: &[u8]) -> io::Result<usize>;

    /// Sends what it holds back; tells whether all of it is gone.
    fn flush_now(&mut self) -> io::Result<bool>;

    /// Tells the peer that this is the end, if the protocol has a word for it.
    fn part(&mut self) -> impl Future<Output = ()> + Send;
}

/// Makes the stream of a connection out of its socket.
pub(crate) trait Upgrade: Send + Sync + 'static {
    /// What it makes.
    type Stream: Stream;

    /// Name of the service in logs and counts.
    const NAME: &'static str;

    /// How its queries come.
    const TRANSPORT: Transport;

    /// Shakes hands.
    fn upgrade(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// No encryption; handshakes may be measured.
pub(crate) struct Plain(pub(crate) Option<Handshakes>);

impl Upgrade for Plain {
    type Stream = TcpStream;

    const NAME: &'static str = "tcp";

    const TRANSPORT: Transport = Transport::Tcp;

    async fn upgrade(&self, stream: TcpStream) -> io::Result<TcpStream> {
        if let Some(handshakes) = &self.0 {
            handshakes.note(&stream);
        }
        Ok(stream)
    }
}

impl Stream for TcpStream {
    fn write_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.try_write(octets)
    }

    fn flush_now(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    async fn part(&mut self) {}
}
