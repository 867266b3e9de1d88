//! The file of state: what holds now, and how it came to that. Opens, reads and writes it; decides nothing.
//!
//! One transaction a batch, durable when it returns, with what a crash needs to be over at once (redb's quick repair).

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redb::Database;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::StorageBackend;
use redb::Table;
use redb::TableDefinition;
use redb::WriteTransaction;

use crate::control::Restored;
use crate::control::stored::Change;
use crate::control::stored::Entry;
use crate::control::stored::SERVED_KEY;
use crate::control::stored::Stored;
use crate::runtime::state::content::Content;
use crate::runtime::state::content::sync_folder;
use crate::runtime::state::fault::Fault;
use crate::runtime::state::overlay::Overlay;
use crate::runtime::state::row::Head;
use crate::runtime::state::row::RowWriter;

/// Name of the file in the folder of state.
pub const FILE_NAME: &str = "state.redb";

/// What we write. A reader of a higher number leaves the file alone.
pub(super) const FORMAT: u64 = 1;

/// Octets of pages that the database keeps in memory.
const CACHE: usize = 16 * 1024 * 1024;

/// Numbers by name.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// What holds now, by key.
pub(super) const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
/// Rows by their number.
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
/// By number of the row that replaced it: what was served.
pub(super) const LOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("loads");
/// Parts of what was served, by kind and digest.
pub(super) const MANIFESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("manifests");
/// Texts, compressed, by digest.
pub(super) const TEXTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("texts");

/// Names in [`META`].
pub(super) mod meta {
    pub const FORMAT: &str = "format";
    pub const ALIVE_US: &str = "alive_us";
    pub const GENERATION: &str = "generation";
    pub const VERSION: &str = "version";
    /// When the last row was written that is gone; from then on the history is whole.
    pub const HORIZON_US: &str = "horizon_us";
    pub const HORIZON_GENERATION: &str = "horizon_generation";
    /// Octets of history and texts.
    pub const OCTETS: &str = "octets";
    /// Number of the next row.
    pub const NEXT: &str = "next";
}

/// The file of state, open for writing.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    content: Content,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Whether anything was written at all.
    pub anything: bool,
    /// Octets of history and texts now.
    pub octets: u64,
}

impl Store {
    /// Opens the file in a folder, or makes it. Blocks; may panic on a damaged file.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        std::fs::create_dir_all(folder).map_err(|why| Fault::system(&why))?;
        let path = folder.join(FILE_NAME);
        let is_new = !path.exists();
        let database = Database::builder().set_cache_size(CACHE).create(&path)?;
        if is_new {
            sync_folder(folder).map_err(|why| Fault::system(&why))?;
        }
        Self::of(database, folder)
    }

    /// The same on something else than a file of the system, with `cache` octets of it in memory.
    pub fn open_on(
        backend: impl StorageBackend,
        cache: usize,
        folder: &Path,
    ) -> Result<Self, Fault> {
        let database = Database::builder().set_cache_size(cache).create_with_backend(backend)?;
        Self::of(database, folder)
    }

    fn of(database: Database, folder: &Path) -> Result<Self, Fault> {
        let content = Content::new(folder.join("content"));
        let store = Self { database: Arc::new(database), content };
        store.begin()?;
        Ok(store)
    }

    /// Looks at the format, or writes it into a new file.
    fn begin(&self) -> Result<(), Fault> {
        let transaction = self.write_transaction()?;
        let is_new = transaction.list_tables()?.next().is_none();
        {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get(meta::FORMAT)?.map(|found| found.value());
            match found {
                Some(FORMAT) => return Ok(()),
                Some(found) if found > FORMAT => {
                    return Err(Fault::Newer { found, known: FORMAT });
                }
                None if is_new => drop(meta.insert(meta::FORMAT, FORMAT)?),
                Some(_) | None => {
                    return Err(Fault::Damaged("a database, but not ours".into()));
                }
            }
        }
        for table in [STATE, MANIFESTS, TEXTS] {
            transaction.open_table(table)?;
        }
        transaction.open_table(HISTORY)?;
        transaction.open_table(LOADS)?;
        transaction.commit()?;
        Ok(())
    }

    fn write_transaction(&self) -> Result<WriteTransaction, Fault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// For reading beside the writer.
    pub fn reader(&self) -> Result<Reading, Fault> {
        let transaction = self.database.begin_read()?;
        let database = Opened::Shared(Arc::clone(&self.database));
        Ok(Reading { transaction, content: self.content.clone(), _database: database })
    }

    /// Changes the tables in one transaction; `false`: all stays as it was.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&WriteTransaction, &Content) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let transaction = self.write_transaction()?;
        let is_changed = change(&transaction, &self.content)?;
        if is_changed {
            transaction.commit()?;
        }
        Ok(is_changed)
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Octets of history and of files behind it.
    pub fn octets(&self) -> Result<u64, Fault> {
        let octets = self.reader()?.find_number(meta::OCTETS)?.unwrap_or_default();
        Ok(octets + self.content.octets())
    }

    /// Writes an entry that has everything: what it does not name is gone.
    pub fn replace(&self, whole: &Entry) -> Result<Written, Fault> {
        let named: HashSet<&str> = whole.changes.iter().map(|change| &*change.key).collect();
        let state = self.reader()?.state()?;
        let others = state.into_keys().filter(|key| !named.contains(&**key));
        let gone = others.map(|key| Change { key: key.into(), value: None });
        let changes = whole.changes.iter().cloned().chain(gone).collect();
        self.write(&[Entry { changes, ..whole.clone() }])
    }

    /// Writes entries in order, all of them or none. What has not changed is not written.
    pub fn write(&self, entries: &[Entry]) -> Result<Written, Fault> {
        let mut octets = 0;
        let anything = self.change(|transaction, _| {
            let mut tables = Tables::open(transaction)?;
            let mut anything = false;
            for entry in entries {
                anything |= tables.write(entry)?;
            }
            anything |= entries.iter().any(|entry| entry.is_sign_of_life);
            if let Some(last) = entries.last().filter(|_| anything) {
                tables.finish(last)?;
            }
            octets = tables.octets;
            Ok(anything)
        })?;
        Ok(Written { anything, octets })
    }
}

/// The tables that entries change.
struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    state: Table<'t, &'static str, &'static [u8]>,
    history: Table<'t, u64, &'static [u8]>,
    loads: Table<'t, u64, &'static [u8]>,
    next: u64,
    octets: u64,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        let meta = transaction.open_table(META)?;
        let number = |name| Ok::<_, Fault>(meta.get(name)?.map_or(0, |found| found.value()));
        let (next, octets) = (number(meta::NEXT)?, number(meta::OCTETS)?);
        let (state, history) = (transaction.open_table(STATE)?, transaction.open_table(HISTORY)?);
        Ok(Self { meta, state, history, loads: transaction.open_table(LOADS)?, next, octets })
    }

    /// Whether it changed anything.
    fn write(&mut self, entry: &Entry) -> Result<bool, Fault> {
        let Entry { at, generation, gap_since, changes, events, .. } = entry;
        let head = Head { at: *at, generation: *generation, gap_since: *gap_since };
        let mut row = RowWriter::new(head);
        events.iter().for_each(|event| row.event(event));
        for change in changes {
            let encode = |value| serde_json::to_vec(value);
            let value = change.value.as_ref().map(encode).transpose();
            let value = value.map_err(|why| Fault::System(why.to_string()))?;
            let before = self.state.get(&*change.key)?.map(|found| found.value().to_vec());
            if before == value {
                continue;
            }
            match &value {
                Some(value) => drop(self.state.insert(&*change.key, value.as_slice())?),
                None => drop(self.state.remove(&*change.key)?),
            }
            if *change.key == *SERVED_KEY && self.loads.get(self.next)?.is_none() {
                let before = before.as_deref().unwrap_or_default();
                self.loads.insert(self.next, before)?;
            }
            row.undo(&change.key, before.as_deref());
        }
        if row.is_empty() {
            return Ok(false);
        }
        let row = row.finish().map_err(|why| Fault::system(&why))?;
        self.history.insert(self.next, row.as_slice())?;
        self.next += 1;
        self.octets += row.len() as u64;
        Ok(true)
    }

    fn finish(&mut self, last: &Entry) -> Result<(), Fault> {
        let alive_us = u64::try_from(last.at.as_micros()).unwrap_or(u64::MAX);
        for (name, number) in [
            (meta::NEXT, self.next),
            (meta::OCTETS, self.octets),
            (meta::ALIVE_US, alive_us),
            (meta::GENERATION, last.generation),
            (meta::VERSION, last.version),
        ] {
            self.meta.insert(name, number)?;
        }
        Ok(())
    }
}

/// What keeps the file open while it is read: a transaction alone does not.
enum Opened {
    /// Beside the writer.
    Shared(#[expect(dead_code, reason = "it is only held")] Arc<Database>),
    /// Of a server that does not run.
    Alone(#[expect(dead_code, reason = "it is only held")] Database),
}

/// The file of state at one moment, for reading.
pub struct Reading {
    pub(super) transaction: ReadTransaction,
    pub(super) content: Content,
    _database: Opened,
}

impl Reading {
    /// Opens the file of a server that does not run, and changes nothing of it.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        // After a kill it has to be mended, which nobody but its server may do: in memory everybody may.
        let found = Overlay::open(&folder.join(FILE_NAME)).map_err(|why| Fault::system(&why))?;
        let backend = found.ok_or(Fault::InUse)?;
        let database = Database::builder().set_cache_size(CACHE).create_with_backend(backend)?;
        let transaction = database.begin_read()?;
        let content = Content::new(folder.join("content"));
        let reading = Self { transaction, content, _database: Opened::Alone(database) };
        match reading.number(meta::FORMAT)? {
            FORMAT => Ok(reading),
            found if found > FORMAT => Err(Fault::Newer { found, known: FORMAT }),
            _ => Err(Fault::Damaged("a database, but not ours".into())),
        }
    }

    pub(super) fn find_number(&self, name: &str) -> Result<Option<u64>, Fault> {
        Ok(self.transaction.open_table(META)?.get(name)?.map(|found| found.value()))
    }

    fn number(&self, name: &str) -> Result<u64, Fault> {
        Ok(self.find_number(name)?.unwrap_or_default())
    }

    /// What holds now, as it is written.
    pub(super) fn state(&self) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let mut all = BTreeMap::new();
        for entry in self.transaction.open_table(STATE)?.iter()? {
            let (key, value) = entry?;
            all.insert(key.value().to_owned(), value.value().to_vec());
        }
        Ok(all)
    }

    /// What a start takes up, and how many values it cannot read.
    pub fn restore(&self) -> Result<(Restored, usize), Fault> {
        let (mut stored, mut unread) = (Vec::new(), 0);
        for entry in self.transaction.open_table(STATE)?.iter()? {
            let (_, value) = entry?;
            match serde_json::from_slice::<Stored>(value.value()) {
                Ok(one) => stored.push(one),
                Err(_) => unread += 1,
            }
        }
        let alive = self.find_number(meta::ALIVE_US)?.map(Duration::from_micros);
        let (generation, version) = (self.number(meta::GENERATION)?, self.number(meta::VERSION)?);
        Ok((Restored { stored, alive, generation, version, latest: self.latest() }, unread))
    }
}

/// Puts a file that cannot be used out of the way; tells where it is now.
pub(super) fn move_aside(folder: &Path, at: Duration) -> std::io::Result<PathBuf> {
    let stamp = crate::control::order::instant(at).replace(':', "");
    let path = folder.join(format!("{FILE_NAME}.damaged-{stamp}"));
    std::fs::rename(folder.join(FILE_NAME), &path)?;
    sync_folder(folder)?;
    Ok(path)
}
