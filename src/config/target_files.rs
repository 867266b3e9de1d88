//! Which files are lists of targets: they are read when they change, and are no part of the configuration.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::SourceFile;
use crate::config::path_beside;
use crate::config::source::Role;
use crate::config::without_detours;

/// Takes the files out that some pool names by `discover = { file = "…" }`, so that a new list is no reload.
pub fn take_out(files: &mut Vec<SourceFile>) {
    let named: HashSet<PathBuf> = files.iter().flat_map(named_by).collect();
    if !named.is_empty() {
        files.retain(|file| !named.contains(&without_detours(Path::new(&*file.name))));
    }
}

/// Every list of targets that some file names, without detours, each once.
pub fn named(files: &[SourceFile]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = files.iter().flat_map(named_by).collect();
    all.sort();
    all.dedup();
    all
}

/// The files of targets that one file names, without detours.
fn named_by(file: &SourceFile) -> Vec<PathBuf> {
    // Most files have no such word, and need not be parsed for it.
    if file.role() != Role::Toml || !file.text.contains("discover") {
        return Vec::new();
    }
    let (table, _) = DeTable::parse_recoverable(&file.text);
    let pools = table.get_ref().get("pool").and_then(|pools| pools.get_ref().as_table());
    let pools = pools.into_iter().flat_map(|pools| pools.values());
    let of = |pool: &DeValue<'_>| {
        let discover = pool.as_table()?.get("discover")?.get_ref().as_table()?.get("file")?;
        let name = discover.get_ref().as_str()?;
        Some(without_detours(&path_beside(Path::new(&*file.name), name)))
    };
    pools.filter_map(|pool| of(pool.get_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_targets_are_taken_out() {
        let text = "[pool.a]\ndiscover = { file = \"a.json\" }\n[pool.b.discover]\nfile = \"../b.json\"\n\
                    [list.c]\nfile = \"c.json\"\n";
        let names = ["zones/a.toml", "zones/a.json", "b.json", "zones/c.json", "zones/b.json"];
        let text_of = |name: &str| if name.ends_with("toml") { text } else { "[]" };
        let mut files: Vec<SourceFile> =
            names.iter().map(|name| SourceFile::new(name, text_of(name))).collect();
        take_out(&mut files);
        let left: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert_eq!(left, ["zones/a.toml", "zones/c.json", "zones/b.json"]);
    }
}
