//! State on a real disk, and the check that every answer of a scenario can be explained afterwards.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rhumb::answer::explain::Explanation;
use rhumb::answer::explain::Question;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::Restored;
use rhumb::control::event_record::EventRecord;
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
    /// What happened, for people, that no step has asked for yet.
    events: Vec<EventRecord>,
    /// Keys that were to be written since somebody asked.
    noted: usize,
}

/// A question with its answer, to be asked once more afterwards.
struct Asked {
    at: Duration,
    question: Question,
    then: Explanation,
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
        self.noted += entry.changes.len();
        self.events.extend(entry.events.iter().cloned());
        self.entries.push(entry);
    }

    /// Uses up events until one has all these parts in its JSON.
    pub fn find_event(&mut self, parts: &[&str]) -> Result<EventRecord, String> {
        let mut seen: Vec<(bool, String, EventRecord)> = Vec::new();
        for event in std::mem::take(&mut self.events).into_iter() {
            let text = serde_json::to_string(&event).map_err(|why| why.to_string())?;
            match seen.last().is_none_or(|(is_it, ..)| !is_it) {
                true => {
                    let is_it = parts.iter().all(|part| text.contains(part));
                    seen.push((is_it, text, event));
                }
                false => self.events.push(event),
            }
        }
        match seen.pop() {
            Some((true, _, event)) => Ok(event),
            last => {
                let texts = seen.into_iter().chain(last).map(|(_, text, _)| text);
                Err(format!("there is\n{}", texts.collect::<Vec<_>>().join("\n")))
            }
        }
    }

    /// How many keys were to be written since the last time this was asked.
    pub fn take_noted(&mut self) -> usize {
        std::mem::take(&mut self.noted)
    }

    pub fn keep(&mut self, kept: &Kept) {
        self.kept.push(kept.clone());
    }

    /// Remembers an answer.
    pub fn note(&mut self, question: Question, then: Explanation) {
        self.asked.push(Asked { at: self.last, question, then });
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
        for Asked { at, question, then } in std::mem::take(&mut self.asked) {
            let at_ms = Some(at.as_millis() as u64);
            let command = Command::Explain { question, down: Vec::new(), at_ms };
            let now = match history::answer(&reading, &command) {
                Reply::Explanation(now) => *now,
                other => return Err(format!("{command:?} came to {other:?}")),
            };
            if now != then {
                return Err(format!("it was\n{then:#?}\nand is explained afterwards as\n{now:#?}"));
            }
        }
        Ok(())
    }
}
