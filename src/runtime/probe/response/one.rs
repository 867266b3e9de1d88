//! HTTP/1.1 over a fresh connection: one request, one response, and no buffer while nothing comes.
//!
//! What is read is read to the stack of whoever polls and judged there; only a head that comes in parts and what came
//! behind a head are kept. hyper has three buffers of 8 KiB and a channel for the same.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::http1::Asked;
use crate::http1::Fault;
use crate::http1::Head;
use crate::http1::Progress;
use crate::http1::Reader;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::response::Appetite;
use crate::runtime::probe::response::End;

/// Octets read at once: a record of TLS in two.
const PIECE: usize = 8 * 1024;

/// What is behind a head.
pub(in crate::runtime::probe) struct Body<S> {
    stream: S,
    reader: Reader,
    /// What came with the head.
    came: Vec<u8>,
}

/// Sends a request and reads the head of the response, even one that comes before the request is out.
pub(in crate::runtime::probe) async fn ask<S>(
    mut stream: S,
    request: &[u8],
    asked: Asked,
) -> Result<(Head, Body<S>), ProbeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut sending = Sending { unsent: request, is_flushed: false };
    let mut reader = Reader::new(asked);
    let (head, came) = poll_fn(|cx| {
        let sent = sending.send(&mut stream, cx);
        match (poll_head(&mut stream, &mut reader, cx), sent) {
            (Poll::Pending, Err(error)) => Poll::Ready(Err(failure(&error))),
            // Whoever has answered and hung up takes no request any more: the answer counts.
            (come, _) => come,
        }
    })
    .await?;
    Ok((head, Body { stream, reader, came }))
}

/// The head, once it is there, with what came behind it.
fn poll_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut Reader,
    cx: &mut Context<'_>,
) -> Poll<Result<(Head, Vec<u8>), ProbeFailure>> {
    loop {
        let take = |octets: &[u8]| match octets {
            [] => match reader.ends_with_connection() {
                Ok(_) => Err(ProbeFailure::Closed(Phase::AwaitingResponse)),
                Err(fault) => Err(fault.into()),
            },
            octets => Ok(head_of(reader, octets)?),
        };
        let taken = ready!(poll_piece(stream, cx, take));
        match taken.map_err(|error| failure(&error)).and_then(|taken| taken) {
            Ok(None) => {}
            Ok(Some(found)) => return Poll::Ready(Ok(found)),
            Err(failure) => return Poll::Ready(Err(failure)),
        }
    }
}

fn failure(error: &io::Error) -> ProbeFailure {
    ProbeFailure::from_io(error, Phase::AwaitingResponse)
}

fn head_of(reader: &mut Reader, octets: &[u8]) -> Result<Option<(Head, Vec<u8>)>, Fault> {
    Ok(match reader.feed(octets)? {
        (Progress::Head(head), rest) => Some((head, rest.to_vec())),
        (Progress::More | Progress::Body(_) | Progress::End, _) => None,
    })
}

/// Reads once, as much as there is, and has it looked at; nothing is the end of the stream.
fn poll_piece<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    cx: &mut Context<'_>,
    look: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    let mut room = [const { MaybeUninit::uninit() }; PIECE];
    let mut buffer = ReadBuf::uninit(&mut room);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(look(buffer.filled())))
}

/// A request on its way.
struct Sending<'a> {
    unsent: &'a [u8],
    is_flushed: bool,
}

impl Sending<'_> {
    /// Sends as much as can be sent now.
    fn send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, self.unsent) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(sent) => self.unsent = &self.unsent[sent?..],
            }
        }
        if !self.is_flushed
            && let Poll::Ready(flushed) = Pin::new(stream).poll_flush(cx)
        {
            flushed?;
            self.is_flushed = true;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> Body<S> {
    /// Shows piece after piece, as they come, until whoever looks has seen enough.
    pub(super) async fn read(
        self,
        mut look: impl FnMut(&[u8]) -> Appetite,
    ) -> Result<End, ProbeFailure> {
        let Self { mut stream, mut reader, came } = self;
        if let Some(end) = show(&mut reader, &came, &mut look)? {
            return Ok(end);
        }
        drop(came);
        poll_fn(|cx| {
            loop {
                let take = |octets: &[u8]| match octets {
                    [] if reader.ends_with_connection()? => Ok(Some(End::Whole)),
                    [] => Err(ProbeFailure::Closed(Phase::ReadingBody)),
                    octets => Ok(show(&mut reader, octets, &mut look)?),
                };
                let taken = ready!(poll_piece(&mut stream, cx, take));
                let failed = |error| ProbeFailure::from_io(&error, Phase::ReadingBody);
                match taken.map_err(failed).and_then(|taken| taken) {
                    Ok(None) => {}
                    Ok(Some(end)) => return Poll::Ready(Ok(end)),
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        })
        .await
    }
}

/// Shows what of a body some octets are; how it ended, if it did.
fn show(
    reader: &mut Reader,
    mut octets: &[u8],
    look: &mut impl FnMut(&[u8]) -> Appetite,
) -> Result<Option<End>, Fault> {
    loop {
        let (progress, rest) = reader.feed(octets)?;
        octets = rest;
        match progress {
            Progress::Body(piece) if look(piece) == Appetite::Enough => {
                return Ok(Some(End::Enough));
            }
            Progress::Body(_) | Progress::Head(_) => {}
            Progress::More => return Ok(None),
            Progress::End => return Ok(Some(End::Whole)),
        }
    }
}
