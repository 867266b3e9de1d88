//! Reads the operator's files into memory; understands none of them.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Files;
use crate::config::SourceFile;
use crate::config::path_beside;
use crate::config::render::LineColumn;
use crate::config::render::line_column;
use crate::config::without_detours;
use crate::control::Job;
use crate::control::job::GeoFiles;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::OverlayFile;
use crate::model::Node;
use crate::model::NodeTerms;
use crate::model::node::GeoDatabase;
use crate::rtt::Shelf;
use crate::runtime::rtt_folder;
use crate::zonefile::master::included;

/// Largest file of zones that is read, in octets.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Files of zones after which no further one is included: far above what anybody writes, below what hurts.
const FILES_MAX: usize = 100_000;

/// Largest geo database that is read, in octets: over three times the largest that are sold.
const DATABASE_MAX: u64 = 4 << 30;

/// Where a node's files are.
#[derive(Clone, Debug, PartialEq)]
pub struct Sources {
    /// Folder of zones.
    pub zones: PathBuf,
    /// Folder of what all zones share; if none is named, `shared` in `zones`, whenever it is there.
    pub shared: Option<PathBuf>,
    /// Geo databases in order of trust.
    pub databases: Vec<GeoDatabase>,
    /// The operator's own networks; they win over databases.
    pub overlays: Vec<PathBuf>,
    /// Folder of tables of round-trip times, if there is one.
    pub rtt: Option<PathBuf>,
    /// If no database is named: a folder whose `*.mmdb` are taken by name, whenever it is there.
    pub database_folder: Option<PathBuf>,
    /// What this node's own file says of answers.
    pub terms: NodeTerms,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; {}", path.display(), self.remedy())]
pub struct ReadFault {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl ReadFault {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::InvalidData => "save it as UTF-8, or write such octets as \\DDD",
            io::ErrorKind::FileTooLarge => "split it",
            _ => "check that it exists and that this user may read it",
        }
    }
}

impl Sources {
    /// What `node` names, relative to `base`, the folder of its configuration file.
    ///
    /// Without databases of its own it takes every `*.mmdb` of `geodb/` in `base`, if `base` has that folder.
    pub fn of(node: &Node, base: &Path, find_databases: bool) -> Self {
        let at =
            |path: &PathBuf| if base.as_os_str() == "." { path.clone() } else { base.join(path) };
        let databases = node.databases.iter();
        let databases: Vec<GeoDatabase> = databases
            .map(|database| GeoDatabase { path: at(&database.path), shape: database.shape })
            .collect();
        let database_folder =
            (databases.is_empty() && find_databases).then(|| at(&PathBuf::from("geodb")));
        let terms = NodeTerms {
            identity: node.identity.as_deref().unwrap_or("").as_bytes().into(),
            explain: node.explain.clone(),
        };
        Self {
            zones: at(&node.zones),
            shared: node.shared.as_ref().map(at),
            databases,
            overlays: node.overlays.iter().map(at).collect(),
            rtt: node.rtt.as_ref().map(|rtt| at(&rtt.folder)),
            database_folder,
            terms,
        }
    }

    /// Geo databases as they are now: the named ones, or those of the folder.
    pub fn find_databases(&self) -> Result<Vec<GeoDatabase>, ReadFault> {
        let Some(folder) = self.database_folder.as_ref().filter(|_| self.databases.is_empty())
        else {
            return Ok(self.databases.clone());
        };
        match list(folder) {
            Ok(mut paths) => {
                paths.retain(|path| path.extension().is_some_and(|extension| extension == "mmdb"));
                Ok(paths.into_iter().map(GeoDatabase::from).collect())
            }
            Err(fault) if fault.source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    /// The folder of what all zones share as it is now.
    fn find_shared(&self) -> Option<PathBuf> {
        let by_default = || Some(self.default_shared()).filter(|path| path.is_dir());
        self.shared.clone().or_else(by_default)
    }

    fn default_shared(&self) -> PathBuf {
        self.zones.join("shared")
    }

    /// Reads everything. Blocks; a full geo database takes a second.
    pub fn read(&self) -> Result<Job, ReadFault> {
        let mut faults = Vec::new();
        let geo = self.read_geo(&mut faults);
        let files = self.read_files(&mut faults);
        let shelf = self.read_shelf(&mut faults);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => {
                let job = Job::new(files, GeoFiles::of(geo), self.terms.clone());
                Ok(job.with_shelf(shelf))
            }
        }
    }

    /// Reads the tables of round-trip times, if there is a folder for them.
    pub fn read_shelf(&self, faults: &mut Vec<ReadFault>) -> Shelf {
        let Some(folder) = &self.rtt else { return Shelf::default() };
        let tables = rtt_folder::read_tables(folder).unwrap_or_else(|source| {
            faults.push(ReadFault { path: folder.clone(), source });
            Vec::new()
        });
        Shelf::read(tables)
    }

    /// Reads geo databases and overlays; leaves out what cannot be read, and says so.
    pub fn read_geo(&self, faults: &mut Vec<ReadFault>) -> GeoInput {
        let paths = self.find_databases().unwrap_or_else(|fault| {
            faults.push(fault);
            Vec::new()
        });
        let mut read = |path: &Path, max: u64| -> Option<(Box<str>, Arc<[u8]>)> {
            match read_octets(path, max) {
                Ok(octets) => Some((path.display().to_string().into(), Arc::from(octets))),
                Err(source) => {
                    faults.push(ReadFault { path: path.to_path_buf(), source });
                    None
                }
            }
        };
        let mut input = GeoInput::default();
        for GeoDatabase { path, shape } in paths {
            let file = read(&path, DATABASE_MAX);
            let database = file.map(|(name, octets)| DatabaseFile { name, octets, shape });
            input.databases.extend(database);
        }
        for path in &self.overlays {
            let file = read(path, FILE_MAX);
            input.overlays.extend(file.map(|(name, octets)| OverlayFile { name, octets }));
        }
        input
    }

    /// Reads zones and what they share; leaves out what cannot be read, and says so.
    pub fn read_files(&self, faults: &mut Vec<ReadFault>) -> Files {
        let mut files = Vec::new();
        for folder in [Some(self.zones.clone()), self.find_shared()].into_iter().flatten() {
            let paths = list(&folder).unwrap_or_else(|fault| {
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
        read_included(&mut files, faults);
        Files::new(files)
    }

    /// Folders to watch once `files` have been read: those of included files too.
    pub fn folders_with(&self, files: &Files) -> Vec<PathBuf> {
        let mut folders = self.folders();
        let folder =
            |(_, file): (_, &SourceFile)| Path::new(&*file.name).parent().map(Path::to_path_buf);
        folders.extend(files.iter().filter_map(folder));
        folders.sort();
        folders.dedup();
        folders
    }

    /// Folders to watch for changes; those found by default may not be there yet.
    pub fn folders(&self) -> Vec<PathBuf> {
        let shared = self.shared.clone().unwrap_or_else(|| self.default_shared());
        let mut folders = vec![self.zones.clone(), shared];
        folders.extend(self.rtt.clone());
        folders.extend(self.database_folder.clone().filter(|_| self.databases.is_empty()));
        let databases = self.databases.iter().map(|database| &database.path);
        let geo = databases.chain(&self.overlays);
        folders.extend(geo.filter_map(|path| path.parent()).map(|parent| {
            if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_path_buf() }
        }));
        folders.sort();
        folders.dedup();
        folders
    }
}

/// Reads a file that is not too large.
fn read_octets(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let len = path.metadata()?.len();
    if len > max {
        return Err(too_large(len, max));
    }
    std::fs::read(path)
}

/// Regular files of a folder by name; hidden ones and editors' backups are left out.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ReadFault> {
    let fault = |source| ReadFault { path: folder.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
        let is_kept = !name.starts_with('.') && !name.ends_with('~') && !name.ends_with(".swp");
        // A link that leads nowhere is a fault to be shown, not a file that is not there.
        if is_kept && (path.is_file() || (path.is_symlink() && !path.exists())) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Adds the files that `$INCLUDE` names, and those that they name, wherever they are.
///
/// One that is not there is left out: validation shows the line that names it.
fn read_included(files: &mut Vec<SourceFile>, faults: &mut Vec<ReadFault>) {
    let names = files.iter().map(|file| PathBuf::from(&*file.name));
    // By path without detours: the paths that were read.
    let mut known: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    names.for_each(|path| known.entry(without_detours(&path)).or_default().push(path));
    let mut next = 0;
    while let Some(file) = files.get(next) {
        next += 1;
        let by = Path::new(&*file.name).to_path_buf();
        if by.extension().is_some_and(|extension| extension == "toml") {
            continue;
        }
        let text = Arc::clone(&file.text);
        for path in included(&text).map(|name| path_beside(&by, name)) {
            let alike = known.entry(without_detours(&path)).or_default();
            let is_known = alike.iter().any(|known| *known == path || is_same_file(known, &path));
            if is_known || files.len() > FILES_MAX || !path.is_file() {
                continue;
            }
            alike.push(path.clone());
            match read_text(&path) {
                Ok(file) => files.extend(file),
                Err(fault) => faults.push(fault),
            }
        }
    }
}

/// Whether two paths lead to one file: they may not, where one takes back a folder that is a link.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some_and(|identity_of_one| Some(identity_of_one) == identity(other))
}

/// Reads a text file. Other files that are not text are nobody's business; a `.toml` or `.zone` is a fault.
fn read_text(path: &Path) -> Result<Option<SourceFile>, ReadFault> {
    let fault = |source| ReadFault { path: path.to_path_buf(), source };
    let len = path.metadata().map_err(fault)?.len();
    if len > FILE_MAX {
        return Err(fault(too_large(len, FILE_MAX)));
    }
    let is_ours =
        path.extension().is_some_and(|extension| extension == "toml" || extension == "zone");
    match String::from_utf8(std::fs::read(path).map_err(fault)?) {
        Ok(text) => {
            let name = path.display().to_string().into();
            Ok(Some(SourceFile { name, text: Arc::new(text) }))
        }
        Err(_) if !is_ours => Ok(None),
        Err(why) => {
            let before = &why.as_bytes()[..why.utf8_error().valid_up_to()];
            let LineColumn { line, column } =
                line_column(&String::from_utf8_lossy(before), before.len());
            let message = format!("not UTF-8 in line {line}, column {column}");
            Err(fault(io::Error::new(io::ErrorKind::InvalidData, message)))
        }
    }
}

fn too_large(len: u64, max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{len} octets are more than {max}"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use super::*;
    use crate::config::node::default_node;

    #[test]
    fn folders_found_by_default_are_looked_up_at_each_read() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of(&default_node(), folder.path(), true);
        let names = || {
            let mut faults = Vec::new();
            let files = sources.read_files(&mut faults);
            assert!(faults.is_empty(), "{faults:?}");
            let databases = sources.read_geo(&mut faults).databases;
            assert!(faults.is_empty(), "{faults:?}");
            let files = files.iter().map(|(_, file)| file.name.to_string());
            let all = files.chain(databases.into_iter().map(|database| database.name.into()));
            let short = |name: String| {
                let short = Path::new(&name).strip_prefix(folder.path()).unwrap();
                short.display().to_string()
            };
            all.map(short).collect::<Vec<String>>()
        };
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        assert!(names().is_empty());
        for name in ["zones/shared", "geodb"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            assert!(sources.folders().contains(&path), "{name} is watched");
        }
        std::fs::write(folder.path().join("zones/shared/sites.toml"), "").unwrap();
        std::fs::write(folder.path().join("geodb/city.mmdb"), "").unwrap();
        std::fs::write(folder.path().join("geodb/city.csv"), "").unwrap();
        assert_eq!(names(), ["zones/shared/sites.toml", "geodb/city.mmdb"]);
        std::fs::remove_dir_all(folder.path().join("geodb")).unwrap();
        assert_eq!(names(), ["zones/shared/sites.toml"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        let link = folder.path().join("zones/a.test.zone");
        std::os::unix::fs::symlink("gone", &link).unwrap();
        let sources = Sources::of(&default_node(), folder.path(), true);
        let mut faults = Vec::new();
        sources.read_files(&mut faults);
        assert_eq!(faults.iter().map(|fault| &*fault.path).collect::<Vec<_>>(), [&*link]);
    }

    #[test]
    fn included_files_are_read_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of(&default_node(), folder.path(), true);
        for (name, text) in [
            (
                "zones/a.test.zone",
                "$INCLUDE parts/hosts\n$INCLUDE ../away none\n$INCLUDE not-there\n",
            ),
            ("zones/parts/hosts", "$INCLUDE ../../away\n"),
            ("away", "x A 192.0.2.1\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut faults = Vec::new();
        let files = sources.read_files(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let mut names: Vec<_> = files.iter().map(|(_, file)| &*file.name).collect();
        names.iter_mut().for_each(|name| *name = &name[folder.path().as_os_str().len() + 1..]);
        assert_eq!(names, ["zones/../away", "zones/a.test.zone", "zones/parts/hosts"]);
        assert!(sources.folders_with(&files).contains(&folder.path().join("zones/parts")));
    }

    #[test]
    fn a_path_through_a_linked_folder_leads_where_the_system_says() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("real/zones")).unwrap();
        std::os::unix::fs::symlink(at("real/zones"), at("zones")).unwrap();
        std::fs::write(at("zones/a.test.zone"), "$INCLUDE ../away\n").unwrap();
        std::fs::write(at("real/away"), "x A 192.0.2.1\n").unwrap();
        let mut faults = Vec::new();
        let files = Sources::of(&default_node(), folder.path(), true).read_files(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let by = files.iter().find(|(_, file)| file.name.ends_with(".zone")).unwrap().0;
        assert_eq!(&*files.find_beside(by, "../away").unwrap().1.text, "x A 192.0.2.1\n");
    }

    #[test]
    fn octets_that_are_no_text_are_shown_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.test.zone");
        std::fs::write(&path, b"@ A 192.0.2.1\nt TXT \"caf\xe9\"\n").unwrap();
        let shown = read_text(&path).unwrap_err().to_string();
        let path = path.display();
        let expected =
            "not UTF-8 in line 2, column 11; save it as UTF-8, or write such octets as \\DDD";
        assert_eq!(shown, format!("{path}: {expected}"));
    }

    #[test]
    fn a_named_folder_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        let mut node = default_node();
        node.shared = Some("common".into());
        node.databases = vec![PathBuf::from("city.mmdb").into()];
        node.overlays = vec!["feed.csv".into()];
        let sources = Sources::of(&node, folder.path(), true);
        let mut faults = Vec::new();
        sources.read_files(&mut faults);
        sources.read_geo(&mut faults);
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
