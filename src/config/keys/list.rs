//! Walks the tables of a file.

use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Table;

/// A key with the table it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The table.
    pub table: &'static Table,
    /// The key.
    pub key: &'static Key,
}

impl Entry {
    /// The key with its table, such as `pool.*.endpoint.*.weight`.
    pub fn pattern(&self) -> String {
        let table = self.table.path.replace("NAME", "*");
        let dot = if table.is_empty() { "" } else { "." };
        format!("{table}{dot}{}", self.key.name)
    }

    /// When a change of it counts.
    pub fn applies(&self) -> Applies {
        self.key.applies.unwrap_or(self.table.applies)
    }
}

/// Every key below `table`, each table's before those of the tables in it.
pub fn list(table: &'static Table) -> Vec<Entry> {
    let own = table.keys.iter().map(|key| Entry { table, key });
    let below = table.keys.iter().flat_map(|key| tables_of(&key.kind));
    own.chain(below.flat_map(list)).collect()
}

/// Every table from `table` down.
pub(super) fn tables(table: &'static Table) -> Vec<&'static Table> {
    let below = table.keys.iter().flat_map(|key| tables_of(&key.kind));
    std::iter::once(table).chain(below.flat_map(tables)).collect()
}

/// The tables that stand right behind a key of this kind.
fn tables_of(kind: &'static Kind) -> Vec<&'static Table> {
    let of = |kind: &'static Kind| match kind {
        Kind::Table(table) => vec![*table],
        Kind::Map { of, .. } | Kind::Items { of, .. } => tables_of(of),
        _ => Vec::new(),
    };
    kind.alternatives().iter().flat_map(of).collect()
}
