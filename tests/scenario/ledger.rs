//! State on a real disk, and the check that every answer of a scenario can be explained afterwards.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rhumb::answer::explain::Explanation;
use rhumb::answer::explain::Question;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::Restored;
use rhumb::control::stored::Entry;
use rhumb::control::stored::Kept;
use rhumb::rtt::Table;
use rhumb::runtime::history;
use rhumb::runtime::state::Store;

/// Entries since the last flush, the store behind them, and what was answered at which entry.
#[derive(Default)]
pub struct Ledger {
    folder: Option<tempfile::TempDir>,
    entries: Vec<Entry>,
    kept: Vec<Kept>,
    /// What was learnt of round-trip times.
    pub latest: Option<Arc<Table>>,
    /// The stamp of the last entry: each has its own, for steps of one moment differ in nothing else.
    last: Duration,
    /// When the last entry was made.
    alive: Option<Duration>,
    asked: Vec<Asked>,
}

/// A question with its answer, to be asked once more afterwards.
struct Asked {
    at: Duration,
    question: Question,
    then: Explanation,
    /// Whether pools of the files find endpoints: what was found is not kept, so it may be refused.
    may_be_refused: bool,
}

/// A folder in memory, if the system has one: what is tested here is what is written, not the disk.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Ledger {
    pub fn persist(&mut self, mut entry: Entry) {
        self.alive = Some(entry.at);
        self.last = entry.at.max(self.last + Duration::from_millis(1));
        entry.at = self.last;
        // Of a scenario's restarts the gap is not looked at.
        entry.gap_since = None;
        self.entries.push(entry);
    }

    pub fn keep(&mut self, kept: &Kept) {
        self.kept.push(kept.clone());
    }

    /// Remembers an answer.
    pub fn note(&mut self, question: Question, then: Explanation, may_be_refused: bool) {
        self.asked.push(Asked { at: self.last, question, then, may_be_refused });
    }

    fn store(&mut self) -> Store {
        let folder = self.folder.get_or_insert_with(scratch);
        let store = Store::open(folder.path()).unwrap();
        for kept in self.kept.drain(..) {
            store.keep(&kept, u64::MAX).unwrap().unwrap();
        }
        store.write(&self.entries).unwrap();
        if let Some(table) = self.latest.take() {
            store.keep_latest(&table).unwrap();
        }
        self.entries.clear();
        store
    }

    /// What a process finds that starts now.
    pub fn restore(&mut self) -> Restored {
        let (restored, unread) = self.store().reader().unwrap().restore().unwrap();
        assert_eq!(unread, 0);
        // Stamps of entries may be a little ahead.
        Restored { alive: self.alive, ..restored }
    }

    /// Asks once more for every answer, as of then.
    pub fn check(&mut self) -> Result<(), String> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let reading = self.store().reader().unwrap();
        for Asked { at, question, then, may_be_refused } in std::mem::take(&mut self.asked) {
            let at_ms = Some(at.as_millis() as u64);
            let command = Command::Explain { question, down: Vec::new(), at_ms };
            let now = match history::answer(&reading, &command) {
                Reply::Explanation(now) => *now,
                Reply::Failed { error, .. }
                    if may_be_refused && error.contains("what was found then") =>
                {
                    continue;
                }
                other => return Err(format!("{command:?} came to {other:?}")),
            };
            if now != then {
                return Err(format!("it was\n{then:#?}\nand is explained afterwards as\n{now:#?}"));
            }
        }
        Ok(())
    }
}
