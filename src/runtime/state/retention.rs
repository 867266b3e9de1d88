//! What of the history goes, and what of the files behind it: by age, by size, oldest first.

use std::collections::BTreeSet;
use std::time::Duration;

use redb::ReadableTable;
use redb::Table;
use redb::WriteTransaction;

use crate::control::stored::PartForm;
use crate::control::stored::SERVED_KEY;
use crate::control::stored::ServedForm;
use crate::control::stored::Stored;
use crate::runtime::state::content::Content;
use crate::runtime::state::fault::Fault;
use crate::runtime::state::row::Row;
use crate::runtime::state::store::HISTORY;
use crate::runtime::state::store::LOADS;
use crate::runtime::state::store::MANIFESTS;
use crate::runtime::state::store::META;
use crate::runtime::state::store::STATE;
use crate::runtime::state::store::Store;
use crate::runtime::state::store::TEXTS;
use crate::runtime::state::store::meta;

/// Key of the part that has what was learnt of round-trip times.
pub(super) const LATEST: &str = "latest";

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long.
    pub age: Duration,
    /// How many octets of history and of files behind it.
    pub octets: u64,
}

/// Rows that one transaction removes, at most: no change waits long for it.
const ROWS_AT_ONCE: usize = 20_000;

/// When there is too much, this share of the limit is left, so that not every batch removes something.
const LEFT_PERCENT: u64 = 90;

impl Store {
    /// Whether there is something to remove, as far as can be told quickly.
    pub fn has_surplus(&self, retention: Retention, now: Duration) -> Result<bool, Fault> {
        let reading = self.reader()?;
        let history = reading.transaction.open_table(HISTORY)?;
        let oldest = history.first()?.and_then(|(_, row)| Row::new(row.value()).head());
        let is_old = oldest.is_some_and(|head| head.at + retention.age < now);
        let octets = reading.find_number(meta::OCTETS)?.unwrap_or_default();
        Ok(is_old || (oldest.is_some() && octets + self.content().octets() > retention.octets))
    }

    /// Removes what is too old, and the oldest while there is too much; then the files that nothing names any more.
    /// True if there is more to remove.
    pub fn prune(&self, retention: Retention, now: Duration) -> Result<bool, Fault> {
        let mut has_more = false;
        let mut live = BTreeSet::new();
        let is_changed = self.change(|transaction, content| {
            let removed = remove_rows(transaction, content, retention, now)?;
            has_more = removed == ROWS_AT_ONCE;
            live = remove_unnamed(transaction)?;
            Ok(removed > 0)
        })?;
        if is_changed {
            self.content().keep_only(&live);
        }
        // Of one load that is larger than all that is left to it, nothing more can go.
        Ok(has_more)
    }

    /// Removes files that a crash left behind.
    pub fn remove_strays(&self) -> Result<(), Fault> {
        let mut live = BTreeSet::new();
        self.change(|transaction, _| {
            live = live_parts(transaction)?.1;
            Ok(false)
        })?;
        self.content().keep_only(&live);
        Ok(())
    }
}

/// Removes rows from the oldest on; how many.
fn remove_rows(
    transaction: &WriteTransaction,
    content: &Content,
    retention: Retention,
    now: Duration,
) -> Result<usize, Fault> {
    let mut meta = transaction.open_table(META)?;
    let mut history = transaction.open_table(HISTORY)?;
    let mut loads = transaction.open_table(LOADS)?;
    let number = |meta: &Table<'_, &str, u64>, name| {
        Ok::<_, Fault>(meta.get(name)?.map_or(0, |found| found.value()))
    };
    let mut octets = number(&meta, meta::OCTETS)?;
    let files = content.octets();
    let is_too_much = octets + files > retention.octets;
    let mut left = retention.octets.saturating_sub(files) / 100 * LEFT_PERCENT;
    if files > retention.octets / 2 {
        // The files are what is too much: the oldest load has to go, and all before it.
        left = 0;
    }
    let first_load = loads.first()?.map(|(number, _)| number.value());
    let mut removed = 0;
    while removed < ROWS_AT_ONCE {
        let Some((at, row)) = history.first()?.map(|(n, row)| (n.value(), row.value().to_vec()))
        else {
            break;
        };
        let head = Row::new(&row).head();
        let is_old = head.is_none_or(|head| head.at + retention.age < now);
        let must_go = is_old || is_too_much && octets > left;
        if !must_go {
            break;
        }
        history.remove(at)?;
        loads.remove(at)?;
        octets = octets.saturating_sub(row.len() as u64);
        removed += 1;
        if let Some(head) = head {
            let at_us = u64::try_from(head.at.as_micros()).unwrap_or(u64::MAX);
            meta.insert(meta::HORIZON_US, at_us)?;
            meta.insert(meta::HORIZON_GENERATION, head.generation)?;
        }
        if left == 0 && !is_old && Some(at) == first_load {
            break;
        }
    }
    meta.insert(meta::OCTETS, octets)?;
    Ok(removed)
}

/// Manifests and parts that what is served, or was, is made of.
fn live_parts(
    transaction: &WriteTransaction,
) -> Result<(BTreeSet<String>, BTreeSet<String>), Fault> {
    let mut served: Vec<ServedForm> = Vec::new();
    let read = |octets: &[u8]| match serde_json::from_slice(octets) {
        Ok(Stored::Served(served)) => Some(served),
        _ => None,
    };
    for entry in transaction.open_table(LOADS)?.iter()? {
        served.extend(read(entry?.1.value()));
    }
    served.extend(
        transaction.open_table(STATE)?.get(SERVED_KEY)?.and_then(|found| read(found.value())),
    );
    let manifests = transaction.open_table(MANIFESTS)?;
    let (mut names, mut parts) = (BTreeSet::new(), BTreeSet::new());
    let latest = std::iter::once(LATEST.to_owned());
    for name in served.iter().flat_map(manifest_names).chain(latest) {
        if let Some(found) = manifests.get(&*name)? {
            let found: Vec<PartForm> = serde_json::from_slice(found.value()).unwrap_or_default();
            parts.extend(found.into_iter().map(|part| part.digest.into_string()));
        }
        names.insert(name);
    }
    Ok((names, parts))
}

/// Removes manifests and texts that nothing names; tells which parts are named.
pub(super) fn remove_unnamed(transaction: &WriteTransaction) -> Result<BTreeSet<String>, Fault> {
    let (names, parts) = live_parts(transaction)?;
    let mut manifests = transaction.open_table(MANIFESTS)?;
    manifests.retain(|name, _| names.contains(name))?;
    let mut freed = 0;
    transaction.open_table(TEXTS)?.retain(|digest, text| {
        let is_live = parts.contains(digest);
        freed += if is_live { 0 } else { text.len() as u64 };
        is_live
    })?;
    let mut meta = transaction.open_table(META)?;
    let octets = meta.get(meta::OCTETS)?.map_or(0, |found| found.value());
    meta.insert(meta::OCTETS, octets.saturating_sub(freed))?;
    Ok(parts)
}

/// Keys of the lists of parts that something served is made of.
pub(super) fn manifest_names(served: &ServedForm) -> Vec<String> {
    let ServedForm { files, geo, table, node: _ } = served;
    let mut names = vec![files_name(files), geo_name(geo)];
    names.extend(table.iter().map(|table| table_name(table)));
    names
}

pub(super) fn files_name(digest: &str) -> String {
    format!("files {digest}")
}

pub(super) fn geo_name(digest: &str) -> String {
    format!("geo {digest}")
}

pub(super) fn table_name(digest: &str) -> String {
    format!("table {digest}")
}
