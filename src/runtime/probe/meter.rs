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

/// A stream that fails with [`ProbeFailure::TooMuch`] where more than its limit would be read from it; up to there it
/// gives everything.
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
        let room = self.limit - self.read;
        if room == 0 {
            // One octet tells whether this is the end; nobody gets it.
            let mut last = [0];
            let mut last = ReadBuf::new(&mut last);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut last))?;
            return Poll::Ready(match last.filled() {
                [] => Ok(()),
                _ => Err(io::Error::other(ProbeFailure::TooMuch(self.limit))),
            });
        }
        let len = match buffer.remaining() <= room {
            true => {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
                buffer.filled().len() - before
            }
            false => {
                let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
                let len = part.filled().len();
                buffer.advance(len);
                len
            }
        };
        self.read += len;
        if let Some(tally) = &self.tally {
            tally.store(self.read, Relaxed);
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

#[cfg(test)]
mod tests {
    use super::Meter;
    use crate::runtime::probe::failure::ProbeFailure;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn everything_up_to_the_limit_is_given_and_no_octet_more() {
        for (len, limit) in [(0, 0), (10, 10), (10, 100), (9000, 9000)] {
            let octets = vec![7; len];
            let mut all = Vec::new();
            Meter::new(&octets[..], limit).read_to_end(&mut all).await.unwrap();
            assert_eq!(all, octets, "{len} of {limit}");
        }
        for (len, limit) in [(1, 0), (11, 10), (9000, 8999)] {
            let octets = vec![7; len];
            let (mut all, mut rest) = (Vec::new(), &octets[..]);
            let failed = Meter::new(&mut rest, limit).read_to_end(&mut all).await.unwrap_err();
            let failure = failed.get_ref().and_then(|inner| inner.downcast_ref::<ProbeFailure>());
            assert_eq!(failure, Some(&ProbeFailure::TooMuch(limit)));
            assert_eq!(all.len(), limit);
            assert_eq!(rest.len(), len - limit - 1, "one octet told that there is more");
        }
    }
}
