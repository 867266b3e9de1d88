//! Reads the operator's files into memory; understands none of them.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Files;
use crate::config::Severity;
use crate::config::SourceFile;
use crate::config::path_beside;
use crate::config::render::FileProblem;
use crate::config::rules;
use crate::config::source::NotText;
use crate::config::target_files;
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
    /// This fault among the problems of all files.
    pub fn problem(&self) -> FileProblem {
        FileProblem {
            severity: Severity::Error,
            rule: &rules::UNREADABLE_FILE,
            file: self.path.display().to_string(),
            fault: self.source.to_string(),
            remedy: self.remedy().into(),
        }
    }

    /// What to do.
    pub fn remedy(&self) -> &'static str {
        let not_text = self.source.get_ref().and_then(|why| why.downcast_ref::<NotText>());
        if let Some(not_text) = not_text {
            return not_text.remedy();
        }
        match self.source.kind() {
            io::ErrorKind::FileTooLarge => "split it",
            io::ErrorKind::InvalidFilename => "rename it",
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
            ecs_from: node.ecs_from.clone(),
            exec: node.exec.clone(),
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

    /// Reads everything; what cannot be read is in the job as a problem. Blocks; a full geo database takes a second.
    pub fn read(&self) -> Job {
        let problems = |faults: Vec<ReadFault>| faults.iter().map(ReadFault::problem).collect();
        let (mut of_geo, mut of_zones) = (Vec::new(), Vec::new());
        let geo = GeoFiles::with_unread(self.read_geo(&mut of_geo), problems(of_geo));
        let files = self.read_files(&mut of_zones);
        let job = Job::with_unread(files, problems(of_zones), geo, self.terms.clone());
        job.with_shelf(self.read_shelf())
    }

    /// Reads the tables of round-trip times, if there is a folder for them; what cannot be read is a problem of the shelf.
    fn read_shelf(&self) -> Shelf {
        let Some(folder) = &self.rtt else { return Shelf::default() };
        match rtt_folder::read_tables(folder) {
            Ok(tables) => Shelf::read(tables),
            Err(source) => {
                let fault = ReadFault { path: folder.clone(), source };
                Shelf::unread(&folder.display().to_string(), &fault.source, fault.remedy())
            }
        }
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

    /// Zones in a folder, with what they share in another or in `shared` below it, and nothing else.
    pub fn of_zones(folder: &Path, shared: Option<&Path>) -> Self {
        Self {
            zones: folder.to_path_buf(),
            shared: shared.map(Path::to_path_buf),
            databases: Vec::new(),
            overlays: Vec::new(),
            rtt: None,
            database_folder: None,
            terms: NodeTerms::default(),
        }
    }

    /// The same node with the files of a bundle in place of its own.
    pub fn in_bundle(&self, files: &Path) -> Self {
        Self { zones: files.to_path_buf(), shared: None, ..self.clone() }
    }

    /// Reads zones and what they share, without geo data; what cannot be read is in the job as a problem. Blocks.
    pub fn read_zones(&self) -> Job {
        let mut faults = Vec::new();
        let files = self.read_files(&mut faults);
        let unread = faults.iter().map(ReadFault::problem).collect();
        Job::with_unread(files, unread, GeoFiles::default(), self.terms.clone())
    }

    /// Reads zones and what they share; leaves out what cannot be read, and says so.
    pub fn read_files(&self, faults: &mut Vec<ReadFault>) -> Files {
        let mut files = self.read_texts(faults);
        target_files::take_out(&mut files);
        Files::new(files).allowing(&self.terms.exec)
    }

    /// As [`Sources::read_files`], with lists of targets that stand beside zones.
    pub fn read_texts(&self, faults: &mut Vec<ReadFault>) -> Vec<SourceFile> {
        let mut files = Vec::new();
        for folder in [Some(self.zones.clone()), self.find_shared()].into_iter().flatten() {
            let paths = list(&folder).unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            for path in paths {
                match read_text(&path, Named::ByItsFolder) {
                    Ok(file) => files.extend(file),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        read_included(&mut files, faults);
        files
    }

    /// Folders to watch once `job` has been read: those of included files too, and of what could not be read.
    pub fn folders_with(&self, job: &Job) -> Vec<PathBuf> {
        let mut folders = self.folders();
        let read = job.files();
        let unread = job.unread().map(|problem| &*problem.file);
        folders.extend(read.chain(unread).filter_map(|name| folder_of(Path::new(name))));
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
        folders.extend(geo.filter_map(|path| folder_of(path)));
        folders.sort();
        folders.dedup();
        folders
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_path_buf() })
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
        let name = path.file_name().unwrap_or_default().to_string_lossy();
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
            match read_text(&path, Named::ByAFile) {
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

/// Why a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// It stands in a folder that is read.
    ByItsFolder,
    /// Another file includes it.
    ByAFile,
}

/// Reads a text file that another one names.
pub fn read_named(path: &Path) -> Result<Option<SourceFile>, ReadFault> {
    read_text(path, Named::ByAFile)
}

/// Reads a text file. One that is no text is a fault if it is included or its name ends in `.toml` or `.zone`; else it is
/// nobody's business.
fn read_text(path: &Path, named: Named) -> Result<Option<SourceFile>, ReadFault> {
    let fault = |source| ReadFault { path: path.to_path_buf(), source };
    let is_ours =
        path.extension().is_some_and(|extension| extension == "toml" || extension == "zone");
    if path.file_name().is_some_and(|name| name.to_str().is_none()) {
        let why = "the name of this file is not UTF-8";
        let unnamed = || fault(io::Error::new(io::ErrorKind::InvalidFilename, why));
        return if is_ours { Err(unnamed()) } else { Ok(None) };
    }
    let octets = read_octets(path, FILE_MAX).map_err(fault)?;
    match SourceFile::from_octets(&path.display().to_string(), octets) {
        Ok(file) => Ok(Some(file)),
        Err(_) if !is_ours && named == Named::ByItsFolder => Ok(None),
        Err(why) => Err(fault(io::Error::new(io::ErrorKind::InvalidData, why))),
    }
}

fn too_large(len: u64, max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{len} octets are more than {max}"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

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
    fn nodes_with_the_same_files_in_other_folders_have_the_same_digest_of_them() {
        let zone = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
                    records = \"../more/shop.records\"\n";
        let node = |zones: &str, shared: Option<&str>, identity: &str, text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let site = at(shared.unwrap_or("zones/shared"));
            let more = at(zones).join("../more");
            for path in [&at(zones), &site, &more] {
                std::fs::create_dir_all(path).unwrap();
            }
            std::fs::write(at(zones).join("shop.toml"), zone).unwrap();
            std::fs::write(site.join("sites.toml"), "[site.fra]\nlatitude = 50\nlongitude = 8\n")
                .unwrap();
            std::fs::write(more.join("shop.records"), text).unwrap();
            std::fs::write(at(zones).join("more.zone"), "$INCLUDE ../more/shop.records\n").unwrap();
            let node = Node {
                zones: zones.into(),
                shared: shared.map(PathBuf::from),
                identity: Some(identity.into()),
                ..default_node()
            };
            let job = Sources::of(&node, folder.path(), true).read();
            let files = job.files().count();
            assert_eq!(files, 4, "the file that is included is among them");
            let parts = *job.parts();
            let zones = job.zones_read().unwrap();
            (parts.zones, zones.config)
        };
        let (own, config) = node("zones", None, "fra-1", "www 60 A 192.0.2.1\n");
        let (other, same) = node("srv/zones", Some("common"), "iad-1", "www 60 A 192.0.2.1\n");
        assert_eq!(config, same);
        assert_ne!(own, other, "what this node reads is told by paths and its own file besides");
        let (_, changed) = node("zones", None, "fra-1", "www 60 A 192.0.2.2\n");
        assert_ne!(config, changed);
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
        assert!(sources.folders_with(&sources.read()).contains(&folder.path().join("zones/parts")));
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
    fn what_is_no_text_is_a_fault_if_somebody_means_it() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of(&default_node(), folder.path(), true);
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        for (name, octets) in [
            ("a.test.zone", &b"$INCLUDE part\n$INCLUDE latin\n"[..]),
            ("b.test.zone", b"\xff\xfea\0"),
            ("c.toml", b"# caf\xe9\n"),
            ("latin", b"; caf\xe9\n"),
            ("part", b"; caf\xe9\0\n"),
            ("picture", b"\xff\xfe\0\0"),
        ] {
            std::fs::write(folder.path().join("zones").join(name), octets).unwrap();
        }
        let mut faults = Vec::new();
        let files = sources.read_files(&mut faults);
        let file_name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let names: Vec<_> =
            files.iter().map(|(_, file)| file_name(Path::new(&*file.name))).collect();
        assert_eq!(names, ["a.test.zone", "latin"]);
        let faulty: Vec<_> = faults.iter().map(|fault| file_name(&fault.path)).collect();
        assert_eq!(faulty, ["b.test.zone", "c.toml", "part"]);
        let shown = faults[1].to_string();
        assert!(
            shown.ends_with("c.toml: not UTF-8 in line 1, column 6; save it as UTF-8"),
            "{shown}"
        );
    }

    #[test]
    fn a_zone_whose_file_has_no_name_in_utf8_is_a_fault_and_not_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of(&default_node(), folder.path(), true);
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        for name in [&b"caf\xe9.zone"[..], b"caf\xe9.txt"] {
            let path = folder.path().join("zones").join(OsStr::from_bytes(name));
            std::fs::write(path, "@ A 192.0.2.1\n").unwrap();
        }
        let mut faults = Vec::new();
        assert_eq!(sources.read_files(&mut faults).iter().count(), 0);
        let shown: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].ends_with(".zone: the name of this file is not UTF-8; rename it"));
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
