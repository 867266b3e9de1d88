//! One connection: read what is there, answer all of it, write the replies at once.

use std::io;
use std::net::SocketAddr;
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
use crate::runtime::respond::Respond;
use crate::runtime::tcp::Shared;
use crate::runtime::tcp::desk::MESSAGE_MAX;
use crate::runtime::tcp::desk::PREFIX;
use crate::runtime::tcp::desk::Pause;
use crate::runtime::tcp::desk::Turn;
use crate::runtime::tcp::door::Leave;
use crate::runtime::tcp::registry::Activity;
use crate::runtime::tcp::stream::Stream;
use crate::runtime::tcp::stream::Upgrade;

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

/// Serves a connection to its end.
pub(super) async fn run<R: Respond, U: Upgrade>(
    server: Arc<Shared<R, U>>,
    stream: TcpStream,
    peer: SocketAddr,
    activity: Arc<Activity>,
) {
    // Made here, not by the caller: see `Registry::spawn`.
    let leave = Leave { door: Arc::clone(&server.door), activity };
    let local = stream.local_addr().ok().map(|address| address.ip());
    let request = Request { client: peer.ip(), local, transport: U::TRANSPORT, unix_s: 0 };
    let handshake = timeout(leave.door.limits.handshake, server.upgrade.upgrade(stream));
    let Ok(Ok(stream)) = handshake.await else {
        leave.door.counters.cells.handshake_failed.add(1);
        return;
    };
    let input = Vec::with_capacity(INPUT_START);
    let mut connection = Connection { stream, request, input, leave, server };
    // How a client's connection breaks is nobody's concern; the socket closes here either way.
    if connection.serve().await.is_ok() {
        connection.stream.part().await;
    }
}

/// The state of one connection; nothing in it is large while it is idle.
struct Connection<R, U: Upgrade> {
    stream: U::Stream,
    request: Request,
    input: Vec<u8>,
    leave: Leave,
    server: Arc<Shared<R, U>>,
}

impl<R: Respond, U: Upgrade> Connection<R, U> {
    /// Reads and answers until the client leaves, is idle for too long or breaks a rule.
    async fn serve(&mut self) -> io::Result<()> {
        let idle = self.leave.door.limits.idle;
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
                        self.leave.door.counters.cells.timed_out.add(1);
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
            if self.leave.door.registry.is_closing() {
                return Ok(());
            }
            if self.input.len() < before {
                deadline = Instant::now() + idle;
            }
        }
    }

    /// Answers one turn of what was read.
    async fn answer(&mut self) -> io::Result<Next> {
        let limits = self.leave.door.limits;
        let server = Arc::clone(&self.server);
        let (turn, unwritten) = server.desks.with(|desk| {
            let turn = desk.answer(self.request, &self.input, limits.max_pipelined);
            // Before the write: who has a reply in hand was used before whoever asks next.
            self.count_queries(&turn);
            (turn, write_now(&mut self.stream, desk.replies()))
        });
        let cells = &self.leave.door.counters.cells;
        self.input.drain(..turn.consumed);
        let next = match turn.pause {
            Pause::NeedInput => Next::Read,
            Pause::EnoughReplies => Next::AnswerMore,
            Pause::Malformed => {
                cells.malformed.add(1);
                Next::Close
            }
            Pause::Dropped => {
                cells.dropped.add(1);
                Next::Close
            }
            Pause::Panicked => {
                self.count_panic();
                Next::Close
            }
        };
        if let Some(unwritten) = unwritten? {
            self.write_rest(&unwritten, limits.write).await?;
        }
        Ok(next)
    }

    /// Counts a turn's queries, and the connection as used if there were any.
    fn count_queries(&self, turn: &Turn) {
        if turn.queries > 0 {
            let silent = usize::from(matches!(turn.pause, Pause::Dropped | Pause::Panicked));
            let counters = &self.leave.door.counters.cells;
            counters.received.add(turn.queries as u64);
            counters.replies.add(turn.queries.saturating_sub(silent) as u64);
            self.leave.activity.touch();
        }
    }

    /// Waits for a client that reads more slowly than we write.
    async fn write_rest(&mut self, replies: &[u8], patience: Duration) -> io::Result<()> {
        self.leave.activity.set_writing(true);
        let write = async {
            self.stream.write_all(replies).await?;
            self.stream.flush().await
        };
        let written = timeout(patience, write).await;
        self.leave.activity.set_writing(false);
        written.unwrap_or_else(|_| {
            self.leave.door.counters.cells.write_timed_out.add(1);
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
        let counters = &self.leave.door.counters.cells;
        counters.panics.add(1);
        counters.dropped.add(1);
        let panics = counters.panics.get();
        if panics.is_power_of_two() {
            let service = U::NAME;
            tracing::error!(
                panics,
                service,
                "answering a query panicked; its connection is closed"
            );
        }
    }
}

/// Writes as much as is taken at once; returns a copy of the rest, or none if all of it is with the kernel.
fn write_now(stream: &mut impl Stream, mut replies: &[u8]) -> io::Result<Option<Vec<u8>>> {
    while !replies.is_empty() {
        match stream.write_some(replies) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => replies = &replies[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Some(replies.to_vec()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if stream.flush_now()? { None } else { Some(Vec::new()) })
}
