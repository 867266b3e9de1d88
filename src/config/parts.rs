//! Which master files are zones, and which are only parts of another file's zone.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::config::Files;
use crate::config::problem::FileId;
use crate::config::source::Role;
use crate::zonefile::master;

/// The `.zone` files that no other file names. `named` are those that TOML files name by `records`.
///
/// Files that name each other in a ring are zones all the same, so that reading them shows the ring.
pub(super) fn whole_zones(files: &Files, named: &[FileId]) -> Vec<FileId> {
    let included = |file: FileId| {
        let names = master::included(&files.get(file).text);
        names.filter_map(move |name| files.find_beside(file, name)).map(|(part, _)| part)
    };
    let is_zone = |file: &FileId| files.get(*file).role() == Role::Zone;
    let others = files.iter().map(|(id, _)| id).filter(|id| files.get(*id).role() != Role::Toml);
    let edges: HashMap<FileId, Vec<FileId>> =
        others.map(|file| (file, included(file).collect())).collect();
    let parts: HashSet<FileId> = edges.values().flatten().chain(named).copied().collect();
    let mut zones: Vec<FileId> =
        files.iter().map(|(id, _)| id).filter(is_zone).filter(|id| !parts.contains(id)).collect();
    let mut reached: HashSet<FileId> = zones.iter().chain(named).copied().collect();
    let mut open: Vec<FileId> = reached.iter().copied().collect();
    while let Some(file) = open.pop() {
        let next = edges.get(&file).into_iter().flatten();
        open.extend(next.filter(|part| reached.insert(**part)));
    }
    zones.extend(files.iter().map(|(id, _)| id).filter(is_zone).filter(|id| !reached.contains(id)));
    zones.sort_unstable();
    zones
}
