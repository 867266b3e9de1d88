//! What becomes of an operator's command: the controller does it, the disk has it, then there is a reply. And what else the
//! disk is to have.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::control::Command;
use crate::control::Effect;
use crate::control::Event;
use crate::control::Reply;
use crate::control::order::instant;
use crate::control::status::CertificateStatus;
use crate::runtime::control_loop::Core;
use crate::runtime::history;
use crate::runtime::state::Saved;

/// How long the reply to an order waits for the disk.
const SAVED_MAX: Duration = Duration::from_secs(2);

impl Core {
    /// Does what a command asks, and replies. What changes something is on disk by then, or the reply says that it is not.
    pub(super) fn obey(&mut self, command: Command, reply: oneshot::Sender<Reply>) {
        if command == Command::Reload {
            // Goes the way of a changed file; a full channel means that a reading is due anyway.
            let _ = self.inbox.changes_sender.try_send(());
            self.inbox.reloads.notify_one();
            self.waiters.add(reply);
            return;
        }
        if let Some(state) = self.state.as_ref().filter(|_| history::is_asked(&command)) {
            let (reader, saved) = (state.reader(), state.saved());
            tokio::spawn(async move {
                // What happened just before is to be seen. A disk that takes nothing can still be read.
                let _ = timeout(SAVED_MAX, saved).await;
                tokio::task::spawn_blocking(move || {
                    let answer = match reader.read() {
                        Ok(reading) => history::answer(&reading, &command),
                        Err(error) => Reply::failed(error),
                    };
                    // Whoever asked may have gone.
                    let _ = reply.send(answer);
                });
            });
            return;
        }
        let Some((command, reply)) = self.take_upload(command, reply) else { return };
        let mut effects = Vec::new();
        self.controller.handle(Event::Command(command), self.now(), &mut effects);
        let mut answer = None;
        for effect in effects {
            match effect {
                Effect::Reply(reply) => answer = Some(reply),
                other => self.carry_out(other),
            }
        }
        // Before the reply: who has it may ask with dig at once.
        self.handle(Event::Settle);
        let mut answer = answer.unwrap_or(Reply::failed("nothing came of it".into()));
        if let Reply::Status(status) = &mut answer {
            self.last_results.add_to(status, self.start.elapsed());
            status.probing = self.metrics.probing().map(|totals| totals.status());
            status.certificate = self.metrics.certificate().map(|found| CertificateStatus {
                expires: instant(Duration::from_secs(found.expires_unix_s.unsigned_abs())),
                is_stale: found.is_stale,
            });
            status.state = self.state.as_ref().map(|state| state.status()).unwrap_or_default();
        }
        if let Reply::Cluster(status) = &mut answer {
            status.bus = self.cluster.as_ref().and_then(|cluster| cluster.bus());
            status.faults =
                self.cluster.as_ref().map(|cluster| cluster.faults()).unwrap_or_default();
            status.judge();
        }
        self.reply(answer, reply);
    }

    /// Has the disk keep something, if there is one.
    pub(super) fn keep(&self, effect: Effect) {
        match (&self.state, effect) {
            (Some(state), Effect::Persist(entry)) => state.persist(entry),
            (Some(state), Effect::Keep(kept)) => state.keep(kept),
            (Some(state), Effect::KeepTable(table)) => state.keep_table(table),
            _ => {}
        }
    }

    /// Replies once what was done is on disk.
    fn reply(&self, answer: Reply, reply: oneshot::Sender<Reply>) {
        let saved = self.state.as_ref().map(|state| state.saved());
        match (answer, saved) {
            (Reply::Done { text }, Some(saved)) => drop(tokio::spawn(async move {
                let saved = timeout(SAVED_MAX, saved).await;
                let note = match saved {
                    Ok(Ok(saved)) => note(saved),
                    Ok(Err(_)) | Err(_) => note(Err("the disk has not taken it yet".into())),
                };
                // Whoever asked may have gone.
                let _ = reply.send(Reply::Done { text: text + &note });
            })),
            (answer, _) => drop(reply.send(answer)),
        }
    }
}

/// What to add to a reply about something that a restart would forget.
fn note(saved: Saved) -> String {
    match saved {
        Ok(()) => String::new(),
        Err(why) => format!("; WARNING: a restart would forget it: {why}"),
    }
}
