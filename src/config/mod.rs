//! The operator's files: text to a checked [`Model`], or every problem at once.
//!
//! Reads no file itself: it takes texts with their names, so that a test, a server and `rhumb check` do the same.
#![forbid(unsafe_code)]

mod cluster;
mod discover_spec;
pub mod duration;
pub mod encrypted;
mod exec;
pub mod failover;
pub mod keys;
mod nats;
mod networks;
pub mod node;
mod pace_spec;
mod parts;
mod probe;
pub mod problem;
pub mod read;
pub mod reader;
pub mod render;
mod resolver;
pub mod rtt;
pub mod rules;
pub mod sarif;
pub mod source;
pub mod spec;
mod special;
pub mod target_files;
pub mod validate;
pub mod value;

pub use problem::Problem;
pub use problem::Problems;
pub use problem::Severity;
pub use source::SourceFile;

use std::collections::HashMap;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest;
use sha2::Sha256;

use crate::config::problem::FileId;
use crate::config::source::Role;
use crate::model::Model;
use crate::zonefile::FindIncluded;
use crate::zonefile::Source;

/// All files of one load, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    all: Vec<SourceFile>,
    /// By path, as it is named and without detours.
    by_path: HashMap<PathBuf, FileId>,
    /// Folders whose programs probes may run, by this node's own file.
    exec_folders: Box<[Box<str>]>,
}

impl Files {
    /// Sorts files by name, so that every node reads them in one order.
    pub fn new(mut all: Vec<SourceFile>) -> Self {
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let mut by_path = HashMap::with_capacity(all.len());
        let paths =
            || all.iter().enumerate().map(|(at, file)| (FileId(at), Path::new(&*file.name)));
        // A name as it is written wins over one that comes to the same.
        for (id, path) in paths() {
            by_path.entry(path.to_owned()).or_insert(id);
        }
        for (id, path) in paths() {
            by_path.entry(without_detours(path)).or_insert(id);
        }
        Self { all, by_path, exec_folders: Box::default() }
    }

    /// The same on a node that allows the programs in some folders to be run.
    pub fn allowing(self, exec_folders: &[Box<str>]) -> Self {
        Self { exec_folders: exec_folders.into(), ..self }
    }

    /// Folders whose programs may be run.
    pub fn exec_folders(&self) -> &[Box<str>] {
        &self.exec_folders
    }

    /// The files, each with its id.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.all.iter().enumerate().map(|(position, file)| (FileId(position), file))
    }

    /// A file by id.
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.all[id.0]
    }

    /// The file that `name`, written in the file `by`, means: a path from the same folder.
    pub fn find_beside(&self, by: FileId, name: &str) -> Option<(FileId, &SourceFile)> {
        let wanted = path_beside(Path::new(&*self.get(by).name), name);
        let found = self.by_path.get(&wanted);
        let id = *found.or_else(|| self.by_path.get(&without_detours(&wanted)))?;
        Some((id, self.get(id)))
    }

    /// SHA-256 over names and texts: equal files give equal digests on every node.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for file in &self.all {
            for part in [file.name.as_bytes(), file.text.as_bytes()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// SHA-256 over texts and the last words of names: equal files give equal digests, in whatever folders they are.
    ///
    /// Each file counts by itself, so that the order of folders does not matter either.
    pub fn contents_digest(&self) -> [u8; 32] {
        let of_file = |file: &SourceFile| -> [u8; 32] {
            let name = Path::new(&*file.name).file_name().unwrap_or_default();
            let mut hash = Sha256::new();
            hash.update(Sha256::digest(name.as_encoded_bytes()));
            hash.update(file.text.as_bytes());
            hash.finalize().into()
        };
        let mut all: Vec<[u8; 32]> = self.all.iter().map(of_file).collect();
        all.sort_unstable();
        Sha256::digest(all.as_flattened()).into()
    }
}

/// The path that `name` means, written in the file `by`: one from that file's folder.
pub fn path_beside(by: &Path, name: &str) -> PathBuf {
    by.parent().unwrap_or(Path::new("")).join(name)
}

/// A path in which no `..` takes back the folder before it. Where that folder is a link, it may be another file's.
pub fn without_detours(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        let is_detour = part == Component::ParentDir
            && matches!(short.components().next_back(), Some(Component::Normal(_)));
        if is_detour {
            short.pop();
        } else {
            short.push(part);
        }
    }
    short
}

impl<'a> FindIncluded<'a> for &'a Files {
    fn find_included(&self, by: usize, name: &str) -> Option<Source<'a>> {
        let (FileId(file), found) = self.find_beside(FileId(by), name)?;
        Some(Source { file, text: &found.text })
    }
}

/// Reads and checks all files of zones. The model is there if no problem is an error.
pub fn load(files: &Files) -> (Option<Model>, Problems) {
    let mut problems = Problems::default();
    let (mut specs, mut named) = (Vec::new(), Vec::new());
    for (id, file) in files.iter().filter(|(_, file)| file.role() == Role::Toml) {
        let spec = read::read_toml(id, file, &mut problems);
        let records = spec.zone.as_ref().and_then(|zone| zone.records.as_ref());
        named.extend(records.and_then(|name| files.find_beside(id, &name.value)).map(|(id, _)| id));
        specs.push((id, spec));
    }
    for id in parts::whole_zones(files, &named) {
        specs.push((id, read::read_zone_file(files, id, &mut problems)));
    }
    specs.sort_by_key(|(id, _)| *id);
    let specs = specs.into_iter().map(|(_, spec)| spec).collect();
    let model = validate::validate(files, specs, &mut problems);
    problems.sort();
    (model.filter(|_| !problems.has_errors()), problems)
}
