//! A stream that lets only so many octets in: what a hostile backend can cost.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::runtime::probe::failure::ProbeFailure;

/// A stream that fails with [`ProbeFailure::TooMuch`] once more than its limit was read from it.
pub(super) struct Meter<S> {
    stream: S,
    limit: usize,
    read: usize,
    /// Where others learn how much was read.
    tally: Option<Arc<AtomicUsize>>,
}

impl<S> Meter<S> {
    pub(super) fn new(stream: S, limit: usize) -> Self {
        Self { stream, limit, read: 0, tally: None }
    }

    /// Counts in `tally` too.
    pub(super) fn counting_in(self, tally: Arc<AtomicUsize>) -> Self {
        Self { tally: Some(tally), ..self }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read += buffer.filled().len() - before;
        if let Some(tally) = &self.tally {
            tally.store(self.read, Relaxed);
        }
        if self.read > self.limit {
            return Poll::Ready(Err(io::Error::other(ProbeFailure::TooMuch(self.limit))));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Does nothing: a probe closes its connection right after, which says the same with one call less.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
