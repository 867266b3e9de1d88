//! HTTP/2 over a fresh connection, by hyper: one request on one stream, and a connection that is driven beside it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use http_body_util::Empty;
use hyper::HeaderMap;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::response::Appetite;
use crate::runtime::probe::response::End;

/// Largest header block, in octets; the same as over HTTP/1.1.
const HEAD_MAX: u32 = crate::http1::HEAD_MAX as u32;

/// What is behind a header block.
pub(in crate::runtime::probe) struct Body {
    incoming: Incoming,
    connection: Connection,
    /// Without it the connection would end.
    _sender: http2::SendRequest<Empty<Bytes>>,
}

/// What drives a connection; `None` once it is over.
struct Connection(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Connection {
    /// Drives it as far as it goes. Its errors reach whoever waits for the response too.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}

/// A client that buffers little, whatever comes.
pub(in crate::runtime::probe) fn client() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .max_header_list_size(HEAD_MAX)
        .initial_stream_window_size(BODY_MAX as u32)
        .initial_connection_window_size(BODY_MAX as u32);
    builder
}

/// Sends a request and reads the header block of the response.
pub(in crate::runtime::probe) async fn ask<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<(StatusCode, HeaderMap, Box<Body>), ProbeFailure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| ProbeFailure::from_hyper(&error, Phase::AwaitingResponse);
    let shaken = client().handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(failed)?;
    let mut connection = Connection(Some(Box::pin(async { drop(connection.await) })));
    let mut response = Box::pin(sender.send_request(request));
    let response = poll_fn(|cx| {
        let response = response.as_mut().poll(cx);
        if response.is_pending() {
            connection.drive(cx);
        }
        response
    });
    let (head, incoming) = response.await.map_err(failed)?.into_parts();
    Ok((head.status, head.headers, Box::new(Body { incoming, connection, _sender: sender })))
}

impl Body {
    /// Shows piece after piece, as they come, until whoever looks has seen enough.
    pub(super) async fn read(
        mut self: Box<Self>,
        mut look: impl FnMut(&[u8]) -> Appetite,
    ) -> Result<End, ProbeFailure> {
        loop {
            match poll_fn(|cx| self.poll_piece(cx)).await? {
                Some(piece) if look(&piece) == Appetite::Enough => return Ok(End::Enough),
                Some(_) => {}
                None => return Ok(End::Whole),
            }
        }
    }

    /// The next piece; `None` after the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ProbeFailure>> {
        loop {
            self.connection.drive(cx);
            let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else {
                return Poll::Ready(Ok(None));
            };
            let failed = |error| ProbeFailure::from_hyper(&error, Phase::ReadingBody);
            if let Ok(piece) = frame.map_err(failed)?.into_data() {
                return Poll::Ready(Ok(Some(piece)));
            }
        }
    }
}
