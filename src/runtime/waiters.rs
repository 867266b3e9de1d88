//! Operators who wait for what becomes of a reload. Does not know what a reload does.

use tokio::sync::oneshot;

use crate::control::Reply;

/// Who waits, and for which reading of the files.
///
/// ```text
/// add()            begin()                  end()
///  ----> next  ------------->  current  -------------> replied
///        a reading is due      it is read, compiled
/// ```
#[derive(Debug, Default)]
pub struct Waiters {
    /// For a reading that has not begun: what is read already may be older than what they mean.
    next: Vec<oneshot::Sender<Reply>>,
    /// For the reading that has begun, or what comes of it.
    current: Vec<oneshot::Sender<Reply>>,
}

impl Waiters {
    /// Lets one more wait for the reading that begins next.
    pub fn add(&mut self, waiter: oneshot::Sender<Reply>) {
        self.next.push(waiter);
    }

    /// A reading begins.
    pub fn begin(&mut self) {
        self.current.append(&mut self.next);
    }

    /// What was read is in force, or refused.
    pub fn end(&mut self, reply: impl Fn() -> Reply) {
        for waiter in self.current.drain(..) {
            // Whoever asked may have gone.
            let _ = waiter.send(reply());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_reading_waits_for_the_one_after_it() {
        let mut waiters = Waiters::default();
        let reply = || Reply::Done { text: "read".into() };
        let (early, mut of_early) = oneshot::channel();
        let (late, mut of_late) = oneshot::channel();
        waiters.add(early);
        waiters.end(reply);
        assert!(of_early.try_recv().is_err(), "no reading has begun since");
        waiters.begin();
        waiters.add(late);
        waiters.end(reply);
        assert!(of_early.try_recv().is_ok() && of_late.try_recv().is_err());
        waiters.begin();
        waiters.end(reply);
        assert!(of_late.try_recv().is_ok());
    }
}
