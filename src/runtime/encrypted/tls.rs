//! TLS of every encrypted transport, and DNS over TLS as a stream of the TCP engine.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answer::Transport;
use crate::runtime::encrypted::store::Certificates;
use crate::runtime::tcp::stream::Stream;
use crate::runtime::tcp::stream::Upgrade;

/// Longest time the word of parting may take.
const PARTING_MAX: Duration = Duration::from_secs(1);

/// The server's side for one protocol: certificates as of each handshake, sessions resumed by tickets.
pub(super) fn config(
    certificates: &Arc<Certificates>,
    protocol: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificates) as _);
    config.alpn_protocols = vec![protocol.to_vec()];
    // Tickets carry the session: nothing is kept for clients that are gone. Keys change by themselves.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// DNS over TLS (RFC 7858).
pub(super) struct OverTls(pub(super) TlsAcceptor);

impl Upgrade for OverTls {
    type Stream = TlsStream<TcpStream>;

    const NAME: &'static str = "dot";

    const TRANSPORT: Transport = Transport::Tls;

    fn upgrade(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.0.accept(stream)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn write_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        // Nobody is woken: who finds it full waits by another call.
        let mut context = Context::from_waker(Waker::noop());
        now(Pin::new(self).poll_write(&mut context, octets))
    }

    fn flush_now(&mut self) -> io::Result<bool> {
        let mut context = Context::from_waker(Waker::noop());
        match now(Pin::new(self).poll_flush(&mut context)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn part(&mut self) {
        // The peer may be gone, or read nothing any more.
        let _ = tokio::time::timeout(PARTING_MAX, self.shutdown()).await;
    }
}

/// What is ready, or that it would block.
fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
