//! One thread: receive a batch, answer it in place, send it.
//!
//! The loop allocates nothing, takes no lock and logs nothing; it reads the clock only in
//! [`Respond::begin_batch`].
#![forbid(unsafe_code)]

use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use socket2::Socket;

use crate::answer::Request;
use crate::answer::Transport;
use crate::runtime::respond::Respond;
use crate::runtime::udp::bind::local_address;
use crate::runtime::udp::counters::Cells;
use crate::runtime::udp::socket::Batch;

/// Pause after a receive call that failed, so that a lasting fault does not take a core.
const RECEIVE_ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What one thread owns besides its batch.
pub(crate) struct Worker<R> {
    number: usize,
    socket: Arc<Socket>,
    respond: R,
    cells: Arc<Cells>,
    stop: Arc<AtomicBool>,
}

/// How far a batch has come; kept outside the loop, so that a panic costs one datagram only.
#[derive(Default)]
struct Progress {
    received: usize,
    next: usize,
    truncated: usize,
}

impl<R: Respond> Worker<R> {
    /// Puts a worker together; it runs on the thread that calls [`Worker::run`].
    pub(crate) fn new(
        number: usize,
        socket: Arc<Socket>,
        respond: R,
        cells: Arc<Cells>,
        stop: Arc<AtomicBool>,
    ) -> Worker<R> {
        Worker { number, socket, respond, cells, stop }
    }

    /// Serves until it is told to stop, whatever the responder does.
    pub(crate) fn run(mut self) {
        let bound = match local_address(&self.socket) {
            Ok(address) => address.ip(),
            Err(error) => {
                return tracing::error!(worker = self.number, %error, "UDP socket is lost");
            }
        };
        let mut batch = Batch::new(Arc::clone(&self.socket), bound);
        let mut progress = Progress::default();
        loop {
            let serve = AssertUnwindSafe(|| self.serve(&mut batch, &mut progress));
            if catch_unwind(serve).is_ok() {
                return;
            }
            self.count_panic();
        }
    }

    /// Finishes what a panic has left of a batch, then serves batch after batch.
    fn serve(&mut self, batch: &mut Batch, progress: &mut Progress) {
        self.finish(batch, progress);
        while !self.stop.load(Ordering::Relaxed) {
            match batch.receive() {
                Ok(received) => *progress = Progress { received, next: received, truncated: 0 },
                Err(error) => {
                    self.pause_after(&error);
                    continue;
                }
            }
            // A stop makes the call return datagrams that are none.
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            // Should this panic, `next` says that nothing is left to do.
            self.respond.begin_batch();
            progress.next = 0;
            self.finish(batch, progress);
        }
    }

    /// Answers the rest of a batch, sends and counts it.
    fn finish(&mut self, batch: &mut Batch, progress: &mut Progress) {
        let unix_s = self.respond.unix_s();
        while progress.next < progress.received {
            let index = progress.next;
            progress.next += 1;
            let Some(datagram) = batch.datagram(index) else {
                progress.truncated += 1;
                continue;
            };
            let (client, local) = (datagram.source.ip(), datagram.local);
            let request = Request { client, local, transport: Transport::Udp, unix_s };
            let reply_len = self.respond.respond(&request, datagram.frame, datagram.len);
            batch.set_reply_len(index, reply_len);
        }
        self.respond.end_batch();
        if progress.received > 0 {
            self.send(batch, progress);
        }
    }

    /// Sends the replies and counts the batch.
    fn send(&mut self, batch: &mut Batch, progress: &mut Progress) {
        let Progress { received, next: _, truncated } = std::mem::take(progress);
        let outcome = batch.send();
        let dropped = received - truncated - outcome.sent - outcome.failed;
        self.cells.received.add(received as u64);
        self.cells.sent.add(outcome.sent as u64);
        if received != outcome.sent {
            self.cells.dropped.add(dropped as u64);
            self.cells.truncated.add(truncated as u64);
            self.cells.send_errors.add(outcome.failed as u64);
        }
    }

    /// Counts a failed call, unless a signal was the reason, and keeps it from spinning.
    fn pause_after(&self, error: &io::Error) {
        if error.kind() != io::ErrorKind::Interrupted {
            self.cells.receive_errors.add(1);
            thread::sleep(RECEIVE_ERROR_PAUSE);
        }
    }

    /// Counts a panic; logs the 1st, 2nd, 4th, 8th and so on, for a client may be able to cause them.
    fn count_panic(&self) {
        self.cells.panics.add(1);
        let panics = self.cells.panics.get();
        if panics.is_power_of_two() {
            tracing::error!(worker = self.number, panics, "answering a query panicked; serving on");
        }
    }
}
