//! The tables of a folder, and which of them counts at an instant. Reads no file and no clock.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::rtt::RttProblem;
use crate::rtt::Table;
use crate::rtt::parse_table;

/// How many tables that count no more are kept, to go back to and to compare with.
pub const KEPT_MAX: usize = 8;

/// A table with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Name of the file, without folder.
    pub name: Box<str>,
    /// What is in it.
    pub table: Arc<Table>,
    /// SHA-256 of what counts in it, and of nothing else: tables that agree in it steer alike.
    pub digest: [u8; 32],
}

/// All tables of a folder.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// By instant; the last is in force when all instants have come.
    tables: Vec<Shelved>,
    /// What is wrong with files that are left out, each with the file's name.
    pub problems: Vec<(Box<str>, RttProblem)>,
}

impl Shelf {
    /// Reads files of these names. One with a problem is left out: what was measured is never needed to serve.
    pub fn read(files: Vec<(Box<str>, Vec<u8>)>) -> Self {
        let mut shelf = Self::default();
        for (name, octets) in files {
            match parse_table(&name, &octets) {
                Ok(table) => {
                    let digest = digest(&table);
                    shelf.tables.push(Shelved { name, table: Arc::new(table), digest });
                }
                Err(problems) => {
                    shelf
                        .problems
                        .extend(problems.into_iter().map(|problem| (name.clone(), problem)));
                }
            }
        }
        shelf.sort();
        shelf
    }

    /// A folder that cannot be read.
    pub fn unread(folder: &str, why: &dyn std::fmt::Display, remedy: &str) -> Self {
        let (line, column) = (1, 1);
        let problem = RttProblem { line, column, fault: why.to_string(), remedy: remedy.into() };
        Self { tables: Vec::new(), problems: vec![(folder.into(), problem)] }
    }

    /// Of equal instants the one made last counts; of equal ones in that, too, the last by name.
    fn sort(&mut self) {
        self.tables.sort_by(|a, b| {
            let key = |shelved: &Shelved| (shelved.table.activates_s, shelved.table.built_s);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
    }

    /// Every table, by instant.
    pub fn tables(&self) -> &[Shelved] {
        &self.tables
    }

    /// The table in force, if nothing speaks against it: the latest whose instant has come.
    pub fn in_force(&self, now_s: u64) -> Option<&Shelved> {
        self.come(now_s).next()
    }

    /// Tables whose instant has come, the latest first.
    pub fn come(&self, now_s: u64) -> impl Iterator<Item = &Shelved> {
        self.tables.iter().rev().filter(move |shelved| shelved.table.activates_s <= now_s)
    }

    /// When the next one comes into force.
    pub fn next_instant(&self, now_s: u64) -> Option<u64> {
        self.tables.iter().map(|shelved| shelved.table.activates_s).find(|at| *at > now_s)
    }

    /// The table that a new one is made from: the one made last.
    pub fn newest(&self) -> Option<&Shelved> {
        let key = |shelved: &&Shelved| (shelved.table.built_s, shelved.table.activates_s);
        self.tables.iter().max_by_key(key)
    }

    /// Names of those that can go: all but the last [`KEPT_MAX`] of those whose instant has come, and the one that counts.
    pub fn superfluous(&self, now_s: u64, counting: Option<&str>) -> Vec<Box<str>> {
        let names = self.come(now_s).skip(KEPT_MAX).map(|shelved| shelved.name.clone());
        let mut names: Vec<_> = names.filter(|name| Some(&**name) != counting).collect();
        names.reverse();
        names
    }
}

fn digest(table: &Table) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (key, site, counts_us) in table.counts() {
        hash.update(format!("{key} {site} {counts_us}\n"));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtt::file_name;
    use crate::rtt::render;

    fn file(built_s: u64, activates_s: u64) -> (Box<str>, Vec<u8>) {
        let text = render(&Table { built_s, activates_s, ..Table::default() });
        (file_name(&text).into(), text.into_bytes())
    }

    #[test]
    fn the_latest_whose_instant_has_come_is_in_force_whatever_the_order_of_files() {
        let mut files = vec![file(1, 100), file(2, 200), file(3, 200)];
        for _ in 0..files.len() {
            let shelf = Shelf::read(files.clone());
            let built = |now_s| shelf.in_force(now_s).map(|shelved| shelved.table.built_s);
            assert_eq!([99, 100, 199, 200].map(built), [None, Some(1), Some(1), Some(3)]);
            let next = |now_s| shelf.next_instant(now_s);
            assert_eq!([0, 100, 199, 200].map(next), [Some(100), Some(200), Some(200), None]);
            assert_eq!(shelf.newest().map(|shelved| shelved.table.built_s), Some(3));
            files.rotate_left(1);
        }
    }

    #[test]
    fn a_damaged_file_is_left_out_and_told() {
        let (name, mut octets) = file(1, 100);
        octets.truncate(20);
        let shelf = Shelf::read(vec![(name.clone(), octets), file(2, 50)]);
        assert_eq!(shelf.in_force(1_000).map(|shelved| shelved.table.built_s), Some(2));
        assert!(!shelf.problems.is_empty() && shelf.problems.iter().all(|(of, _)| *of == name));
    }

    #[test]
    fn old_tables_can_go_and_coming_ones_stay() {
        let shelf = Shelf::read((0..12).map(|at| file(at, at * 10)).collect());
        let oldest = [0, 1].map(|at| file(at, at * 10).0);
        assert_eq!(shelf.superfluous(99, None), oldest, "ten have come");
        assert!(shelf.superfluous(70, None).is_empty());
        let newer_are_refused = shelf.superfluous(99, Some(&oldest[0]));
        assert_eq!(newer_are_refused, oldest[1..], "the one that counts stays");
    }
}
