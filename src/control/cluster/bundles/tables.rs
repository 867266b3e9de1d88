//! Tables of round-trip times: who has one tells of it, and who lacks it gets it into its folder.
//!
//! From there on a table takes the way that any takes: it counts from the instant in it, on every node at once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::control::cluster::bundles::Bundles;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::TableWord;
use crate::control::cluster::bundles::told::Told;
use crate::control::cluster::bundles::word::TABLES_MAX;
use crate::model::Now;
use crate::rtt::Shelf;

/// How long to wait before a table that could not be had is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What this node knows of tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Those in its folder, the newest last.
    own: Vec<TableWord>,
    /// The one on its way.
    fetched: Option<Box<str>>,
    /// When those that could not be had are asked for again, on the monotonic clock.
    again: BTreeMap<Box<str>, Duration>,
    /// Which of them people were told of.
    told_lacking: BTreeSet<Box<str>>,
}

impl Tables {
    /// Takes in which tables are in the folder.
    pub(super) fn set_own(&mut self, found: Vec<(Box<str>, PieceId)>, shelf: &Shelf) {
        let mut own: Vec<TableWord> = Vec::new();
        for (name, parcel) in found {
            // One that cannot be read is nothing to tell of.
            let table = shelf.tables().iter().find(|shelved| shelved.name == name);
            own.extend(table.map(|shelved| TableWord {
                name,
                parcel,
                activates_s: shelved.table.activates_s,
                built_s: shelved.table.built_s,
            }));
        }
        own.sort_by(|a, b| a.rank().cmp(&b.rank()));
        self.own = own;
    }

    /// Those that others are told of: the newest.
    pub(super) fn told(&self) -> Vec<TableWord> {
        self.own.iter().rev().take(TABLES_MAX).cloned().collect()
    }
}

impl Bundles {
    /// Asks for the newest table that others have and this node lacks, one at a time. What counts no more is not asked for.
    ///
    /// What only dead nodes have is not asked for: nobody could give it.
    pub(super) fn mind_tables(&mut self, living: &BTreeSet<NodeName>, shelf: &Shelf, now: Now) {
        if !self.takes_tables || self.tables.fetched.is_some() {
            return;
        }
        let counting = shelf.in_force(now.unix.as_secs());
        let counting = counting
            .map(|shelved| (shelved.table.activates_s, shelved.table.built_s, &*shelved.name));
        let has = |name: &str| shelf.tables().iter().any(|shelved| *shelved.name == *name);
        let waits =
            |name: &str| self.tables.again.get(name).is_some_and(|again| *again > now.monotonic);
        let words = self.words.iter().filter(|(node, _)| living.contains(*node));
        let told = words.flat_map(|(_, spoken)| &spoken.word.tables);
        let lacking = told.filter(|table| {
            Some(table.rank()) > counting && !has(&table.name) && !waits(&table.name)
        });
        if let Some(table) = lacking.max_by(|a, b| a.rank().cmp(&b.rank())).cloned() {
            self.tables.fetched = Some(table.name.clone());
            self.deeds.push(Deed::Table(table));
        }
    }

    /// A table was put into the folder, or could not be had.
    pub(super) fn take_table(&mut self, name: Box<str>, result: Result<(), String>, now: Now) {
        self.tables.fetched = None;
        // Also if it is here: until it has been read it is not asked for once more.
        self.tables.again.insert(name.clone(), now.monotonic + AGAIN_AFTER);
        self.tables.again.retain(|_, again| *again > now.monotonic);
        match result {
            Ok(()) => {
                self.tables.told_lacking.remove(&name);
                self.tell(Told::TableCame(name));
            }
            Err(why) if self.tables.told_lacking.insert(name.clone()) => {
                self.tell(Told::TableLacking { table: name, why: why.into() });
            }
            Err(_) => {}
        }
    }
}
