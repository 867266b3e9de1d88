//! Reads the operator's files into memory; understands none of them.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Files;
use crate::config::SourceFile;
use crate::control::Job;
use crate::control::job::GeoFiles;
use crate::model::Node;

/// Largest file of zones that is read, in octets.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Where a node's files are.
#[derive(Clone, Debug, PartialEq)]
pub struct Sources {
    /// Folder of zones.
    pub zones: PathBuf,
    /// Folder of what all zones share; may be missing if it is not named.
    pub shared: Option<PathBuf>,
    /// Geo databases in order of trust.
    pub databases: Vec<PathBuf>,
    /// What NSID says.
    pub identity: Box<[u8]>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; check that it exists and that this user may read it", path.display())]
pub struct ReadFault {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A geo database as read: its name and octets.
pub type Database = (Box<str>, Arc<[u8]>);

impl Sources {
    /// What `node` names, relative to `base`, the folder of its configuration file.
    ///
    /// Without databases of its own it takes every `*.mmdb` of `geodb/` in `base`, if `base` has that folder.
    pub fn of(node: &Node, base: &Path, find_databases: bool) -> Self {
        let at =
            |path: &PathBuf| if base.as_os_str() == "." { path.clone() } else { base.join(path) };
        let zones = at(&node.zones);
        let default_shared = zones.join("shared");
        let shared = match &node.shared {
            Some(shared) => Some(at(shared)),
            None => default_shared.is_dir().then_some(default_shared),
        };
        let mut databases: Vec<PathBuf> = node.databases.iter().map(at).collect();
        if databases.is_empty() && find_databases {
            databases = list(&at(&PathBuf::from("geodb"))).unwrap_or_default();
            databases.retain(|path| path.extension().is_some_and(|extension| extension == "mmdb"));
        }
        let identity = node.identity.as_deref().unwrap_or("").as_bytes().into();
        Self { zones, shared, databases, identity }
    }

    /// Reads everything. Blocks; a full geo database takes a second.
    pub fn read(&self) -> Result<Job, ReadFault> {
        let mut faults = Vec::new();
        let databases = self.read_databases(&mut faults);
        let files = self.read_files(&mut faults);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(Job::new(files, GeoFiles::new(databases), self.identity.clone())),
        }
    }

    /// Reads geo databases; leaves out what cannot be read, and says so.
    pub fn read_databases(&self, faults: &mut Vec<ReadFault>) -> Vec<Database> {
        let read = |path: &PathBuf| match std::fs::read(path) {
            Ok(octets) => Some((path.display().to_string().into(), Arc::from(octets))),
            Err(source) => {
                faults.push(ReadFault { path: path.clone(), source });
                None
            }
        };
        self.databases.iter().filter_map(read).collect()
    }

    /// Reads zones and what they share; leaves out what cannot be read, and says so.
    pub fn read_files(&self, faults: &mut Vec<ReadFault>) -> Files {
        let mut files = Vec::new();
        for folder in [Some(&self.zones), self.shared.as_ref()].into_iter().flatten() {
            let paths = list(folder).unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            for path in paths {
                match read_text(&path) {
                    Ok(file) => files.extend(file),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Files::new(files)
    }

    /// Folders to watch for changes.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.zones.clone()];
        folders.extend(self.shared.clone());
        folders.extend(self.databases.iter().filter_map(|path| path.parent()).map(|parent| {
            if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_path_buf() }
        }));
        folders.sort();
        folders.dedup();
        folders
    }
}

/// Regular files of a folder by name; hidden ones and editors' backups are left out.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ReadFault> {
    let fault = |source| ReadFault { path: folder.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
        let is_kept = !name.starts_with('.') && !name.ends_with('~') && !name.ends_with(".swp");
        if is_kept && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads a text file. Other files that are not text are nobody's business; a `.toml` or `.zone` is a fault.
fn read_text(path: &Path) -> Result<Option<SourceFile>, ReadFault> {
    let fault = |source| ReadFault { path: path.to_path_buf(), source };
    let len = path.metadata().map_err(fault)?.len();
    if len > FILE_MAX {
        return Err(fault(io::Error::other(format!("{len} octets are more than {FILE_MAX}"))));
    }
    let is_ours =
        path.extension().is_some_and(|extension| extension == "toml" || extension == "zone");
    match String::from_utf8(std::fs::read(path).map_err(fault)?) {
        Ok(text) => Ok(Some(SourceFile::new(&path.display().to_string(), &text))),
        Err(_) if !is_ours => Ok(None),
        Err(why) => {
            let at = why.utf8_error().valid_up_to();
            Err(fault(io::Error::other(format!("not UTF-8 at octet {at}"))))
        }
    }
}
