//! One connection: read what is there, answer all of it, write the replies at once.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::answer::Request;
use crate::answer::Transport;
use crate::runtime::respond::Respond;
use crate::runtime::tcp::Shared;
use crate::runtime::tcp::desk::MESSAGE_MAX;
use crate::runtime::tcp::desk::PREFIX;
use crate::runtime::tcp::desk::Pause;
use crate::runtime::tcp::desk::Turn;
use crate::runtime::tcp::registry::Activity;

/// Octets of a new connection's input buffer: some ten queries.
const INPUT_START: usize = 512;

/// Octets above which an empty input buffer is given back.
const INPUT_KEEP: usize = 4096;

/// Octets of the largest input buffer: one message of the full length.
const INPUT_MAX: usize = PREFIX + MESSAGE_MAX;

/// Whether the connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    AnswerMore,
    Close,
}

/// Takes the connection out of the registry, also when its task is aborted.
struct Leave<R> {
    server: Arc<Shared<R>>,
    activity: Arc<Activity>,
}

impl<R> Drop for Leave<R> {
    fn drop(&mut self) {
        self.server.registry.remove(&self.activity);
    }
}

/// Serves a connection to its end.
pub(super) async fn run<R: Respond>(
    stream: TcpStream,
    client: IpAddr,
    server: Arc<Shared<R>>,
    activity: Arc<Activity>,
) {
    // Made here, not by the caller: see `Registry::spawn`.
    let leave = Leave { server, activity };
    let local = stream.local_addr().ok().map(|address| address.ip());
    let request = Request { client, local, transport: Transport::Tcp, unix_s: 0 };
    let input = Vec::with_capacity(INPUT_START);
    let mut connection = Connection { stream, request, input, leave };
    // How a client's connection breaks is nobody's concern; the socket closes here either way.
    let _ = connection.serve().await;
}

/// The state of one connection; nothing in it is large while it is idle.
struct Connection<R> {
    stream: TcpStream,
    request: Request,
    input: Vec<u8>,
    leave: Leave<R>,
}

impl<R: Respond> Connection<R> {
    /// Reads and answers until the client leaves, is idle for too long or breaks a rule.
    async fn serve(&mut self) -> io::Result<()> {
        let idle = self.leave.server.limits.idle;
        let mut deadline = Instant::now() + idle;
        // One timer a connection, moved only when it fires too early.
        let mut timer = pin!(sleep_until(deadline));
        loop {
            self.size_input();
            let read = tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.input) => read?,
                () = timer.as_mut() => {
                    if deadline <= Instant::now() {
                        self.leave.server.counters.cells.timed_out.add(1);
                        return Ok(());
                    }
                    timer.as_mut().reset(deadline);
                    continue;
                }
            };
            if read == 0 {
                return Ok(());
            }
            let before = self.input.len();
            loop {
                match self.answer().await? {
                    Next::AnswerMore => tokio::task::consume_budget().await,
                    Next::Read => break,
                    Next::Close => return Ok(()),
                }
            }
            if self.leave.server.registry.is_closing() {
                return Ok(());
            }
            if self.input.len() < before {
                deadline = Instant::now() + idle;
            }
        }
    }

    /// Answers one turn of what was read.
    async fn answer(&mut self) -> io::Result<Next> {
        let Shared { limits, desks, counters, .. } = &*self.leave.server;
        let (turn, unwritten) = desks.with(|desk| {
            let turn = desk.answer(self.request, &self.input, limits.max_pipelined);
            // Before the write: who has a reply in hand was used before whoever asks next.
            self.count_queries(&turn);
            (turn, write_now(&self.stream, desk.replies()))
        });
        self.input.drain(..turn.consumed);
        let next = match turn.pause {
            Pause::NeedInput => Next::Read,
            Pause::EnoughReplies => Next::AnswerMore,
            Pause::Malformed => {
                counters.cells.malformed.add(1);
                Next::Close
            }
            Pause::Dropped => {
                counters.cells.dropped.add(1);
                Next::Close
            }
            Pause::Panicked => {
                self.count_panic();
                Next::Close
            }
        };
        let unwritten = unwritten?;
        if !unwritten.is_empty() {
            self.write_rest(&unwritten, limits.write).await?;
        }
        Ok(next)
    }

    /// Counts a turn's queries, and the connection as used if there were any.
    fn count_queries(&self, turn: &Turn) {
        if turn.queries > 0 {
            let silent = usize::from(matches!(turn.pause, Pause::Dropped | Pause::Panicked));
            let counters = &self.leave.server.counters.cells;
            counters.received.add(turn.queries as u64);
            counters.replies.add(turn.queries.saturating_sub(silent) as u64);
            self.leave.activity.touch();
        }
    }

    /// Waits for a client that reads more slowly than we write.
    async fn write_rest(&mut self, replies: &[u8], patience: Duration) -> io::Result<()> {
        self.leave.activity.set_writing(true);
        let written = timeout(patience, self.stream.write_all(replies)).await;
        self.leave.activity.set_writing(false);
        written.unwrap_or_else(|_| {
            self.leave.server.counters.cells.write_timed_out.add(1);
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    /// Doubles the input buffer when it was filled, gives a large one back when it is empty.
    fn size_input(&mut self) {
        if self.input.is_empty() && self.input.capacity() > INPUT_KEEP {
            self.input = Vec::with_capacity(INPUT_START);
        } else if self.input.len() == self.input.capacity() {
            let wanted = (2 * self.input.len()).clamp(INPUT_START, INPUT_MAX);
            self.input.reserve_exact(wanted - self.input.len());
        }
    }

    /// Counts a panic; logs the 1st, 2nd, 4th, 8th and so on, for a client may be able to cause them.
    fn count_panic(&self) {
        let counters = &self.leave.server.counters.cells;
        counters.panics.add(1);
        counters.dropped.add(1);
        let panics = counters.panics.get();
        if panics.is_power_of_two() {
            tracing::error!(panics, "answering a TCP query panicked; its connection is closed");
        }
    }
}

/// Writes as much as the kernel takes at once; returns a copy of the rest.
fn write_now(stream: &TcpStream, mut replies: &[u8]) -> io::Result<Vec<u8>> {
    while !replies.is_empty() {
        match stream.try_write(replies) {
            Ok(written) => replies = &replies[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(replies.to_vec())
}
