//! Hears what a backend says, for a person who probes by hand; nobody listens to the probes of a server.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// Octets that are kept of what is said: room for a header block and the beginning of a body.
const KEPT_MAX: usize = 8 * 1024;

/// What a backend said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The first octets of it, behind TLS in clear.
    pub first: Vec<u8>,
    /// How many octets there were.
    pub total: usize,
}

/// Somebody who listens.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Heard>>);

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears these octets.
    pub(super) fn hear(&self, octets: &[u8]) {
        let mut heard = self.heard();
        let room = KEPT_MAX.saturating_sub(heard.first.len());
        heard.first.extend_from_slice(&octets[..octets.len().min(room)]);
        heard.total += octets.len();
    }

    /// Forgets what came before: another backend speaks.
    pub(super) fn forget(&self) {
        self.heard().first.clear();
    }

    /// All that was heard.
    pub(super) fn take(&self) -> Heard {
        std::mem::take(&mut *self.heard())
    }
}

/// A stream with somebody who may listen.
pub(super) struct Tap<S> {
    stream: S,
    ear: Option<Ear>,
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, ear: Option<Ear>) -> Self {
        Self { stream, ear }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if let Some(ear) = &self.ear {
            ear.hear(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
