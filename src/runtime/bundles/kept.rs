//! Which versions of the files count, and their files, in the folder of state.
//!
//! ```text
//! bundles/active.json          versions that count or did, the newest first, each with its instant, and which was served last
//! bundles/parcels/             their files as they came
//! bundles/files/DIGEST/        the same, as they are read
//! ```
//!
//! `active.json` is written beside and renamed, and says from when on a version counts: so a crash at any moment leaves one
//! version or the other, and a node that starts knows by the clock which one. Folders of files are made beside and renamed
//! too, and compared with the parcel at each start. Everything here blocks.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::PieceId;
use crate::cluster::Version;
use crate::cluster::archive::BundleFile;
use crate::cluster::archive::unpack;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::Memory as Kept;
use crate::runtime::bundles::depot::Depot;
use crate::runtime::bundles::depot::write_whole;

/// File that says which versions count.
const FILE: &str = "active.json";

/// What is in it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Form {
    versions: Vec<Active>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_force: Option<Version>,
}

/// Versions that count by the clock `now_ms`, the newest first.
///
/// What was served, and what came before it, counts whatever the clock says: it may have stood still while the machine
/// was off.
fn counting(kept: &Kept, now_ms: u64) -> impl Iterator<Item = &Active> {
    kept.versions.iter().filter(move |active| {
        let version = Some(&active.sealed.manifest.version);
        active.at_ms <= now_ms || version <= kept.in_force.as_ref()
    })
}

/// The folder of bundles in the folder of state.
pub fn folder_in(state: &Path) -> PathBuf {
    state.join("bundles")
}

/// The folder of a bundle's files.
pub fn files_folder(folder: &Path, parcel: &PieceId) -> PathBuf {
    folder.join("files").join(parcel.short())
}

/// Versions that count or did; none if nothing was kept.
pub fn read(folder: &Path) -> io::Result<Kept> {
    match std::fs::read(folder.join(FILE)) {
        Ok(octets) => {
            let Form { versions, in_force } = serde_json::from_slice(&octets)?;
            Ok(Kept { versions, in_force })
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(why) => Err(why),
    }
}

/// Keeps which versions count.
pub(super) fn write(folder: &Path, kept: Kept) -> io::Result<()> {
    let Kept { versions, in_force } = kept;
    let octets = serde_json::to_vec_pretty(&Form { versions, in_force })?;
    write_whole(&folder.join(FILE), &octets)
}

/// The folder of files that a node would serve now, by what it kept; `None`: those that `[config]` names.
pub fn find_active(state: &Path) -> Option<PathBuf> {
    let folder = folder_in(state);
    let kept = read(&folder).ok()?;
    let counts = counting(&kept, now_ms());
    let mut folders = counts.map(|active| files_folder(&folder, &active.sealed.manifest.parcel));
    folders.find(|files| files.is_dir())
}

/// What was kept, and the folder of the files to be read: those of the newest version that counts and is undamaged.
pub(super) fn open(folder: &Path, depot: &Depot, now_ms: u64) -> (Kept, Option<PathBuf>) {
    let kept = read(folder).unwrap_or_else(|why| {
        let path = folder.join(FILE);
        tracing::error!(
            target: "rhumb::cluster", file = %path.display(), reason = %why,
            "which version of the files counts cannot be read; it is asked of other nodes"
        );
        Kept::default()
    });
    let mut found = None;
    for active in counting(&kept, now_ms) {
        let manifest = &active.sealed.manifest;
        match lay_out(folder, depot, &manifest.parcel) {
            Ok(files) => {
                found = Some((manifest.version.clone(), files));
                break;
            }
            Err(why) => tracing::error!(
                target: "rhumb::cluster", version = %manifest.version, reason = %why,
                "a version of the files is damaged on this disk; it is got from other nodes once more"
            ),
        }
    }
    let (in_force, files) = found.unzip();
    if files.is_none() {
        tracing::warn!(
            target: "rhumb::cluster", folder = %folder.display(),
            "no version of the files is on this disk: those that [config] names count, until another node tells of one"
        );
    }
    (Kept { versions: kept.versions, in_force }, files)
}

/// Makes the folder of a bundle's files, or finds it as it must be.
pub(super) fn lay_out(folder: &Path, depot: &Depot, parcel: &PieceId) -> io::Result<PathBuf> {
    let _layout = depot.layout();
    let archive = depot.read(parcel)?;
    let files = unpack(&archive)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no bundle of files"))?;
    let whole = files_folder(folder, parcel);
    if is_laid_out(&whole, &files) {
        return Ok(whole);
    }
    let new = whole.with_extension("new");
    remove(&new)?;
    for BundleFile { name, content } in &files {
        let path = new.join(&**name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&path, content)?;
        // For whoever looks at them: they are changed by a push, and by nothing else.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444))?;
    }
    remove(&whole)?;
    std::fs::rename(&new, &whole)?;
    Ok(whole)
}

/// Removes folders of files of which none of these is.
pub(super) fn keep_only(folder: &Path, kept: &std::collections::BTreeSet<PieceId>) {
    let kept: Vec<String> = kept.iter().map(PieceId::short).collect();
    let Ok(entries) = std::fs::read_dir(folder.join("files")) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !kept.contains(&name) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether a folder has exactly these files.
fn is_laid_out(folder: &Path, files: &[BundleFile]) -> bool {
    let has = |file: &BundleFile| {
        std::fs::read(folder.join(&*file.name)).is_ok_and(|octets| *octets == *file.content)
    };
    files.iter().all(has) && count_files(folder).is_ok_and(|count| count == files.len())
}

fn count_files(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}

pub(super) fn now_ms() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use super::*;
    use crate::cluster::Manifest;
    use crate::cluster::NodeName;
    use crate::cluster::Sealed;
    use crate::cluster::archive::pack;
    use crate::cluster::piece::Index;

    fn add(depot: &Depot, files: &[(&str, &str)]) -> PieceId {
        let file = |(name, text): &(&str, &str)| BundleFile {
            name: (*name).into(),
            content: text.as_bytes().into(),
        };
        let archive = pack(&mut files.iter().map(file).collect::<Vec<_>>()).unwrap();
        let index = Index::of(&archive).unwrap();
        depot.begin(&index).unwrap();
        depot.put(&index.id(), 0, &archive).unwrap();
        index.id()
    }

    #[test]
    fn files_are_laid_out_as_they_were_pushed_and_again_if_somebody_changed_them() {
        let scratch = tempfile::tempdir().unwrap();
        let depot = Depot::open(scratch.path()).unwrap();
        let parcel = add(&depot, &[("a.toml", "a"), ("shared/sites.toml", "s")]);
        let files = lay_out(scratch.path(), &depot, &parcel).unwrap();
        let text = |name: &str| std::fs::read_to_string(files.join(name)).unwrap();
        assert_eq!((text("a.toml"), text("shared/sites.toml")), ("a".into(), "s".into()));
        std::fs::remove_file(files.join("a.toml")).unwrap();
        std::fs::write(files.join("extra.toml"), "x").unwrap();
        assert_eq!(lay_out(scratch.path(), &depot, &parcel).unwrap(), files);
        assert_eq!(text("a.toml"), "a");
        assert!(!files.join("extra.toml").exists());
        keep_only(scratch.path(), &[parcel].into());
        assert!(files.exists());
        keep_only(scratch.path(), &std::collections::BTreeSet::new());
        assert!(!files.exists());
    }

    #[test]
    fn a_parcel_that_is_no_bundle_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let depot = Depot::open(scratch.path()).unwrap();
        let index = Index::of(b"nonsense").unwrap();
        depot.begin(&index).unwrap();
        depot.put(&index.id(), 0, b"nonsense").unwrap();
        assert!(lay_out(scratch.path(), &depot, &index.id()).is_err());
        assert_eq!(read(scratch.path()).unwrap(), Kept::default());
    }

    #[test]
    fn a_clock_that_is_behind_does_not_take_back_what_was_served() {
        let scratch = tempfile::tempdir().unwrap();
        let depot = Depot::open(scratch.path()).unwrap();
        let active = |number: u64, at_ms: u64| {
            let parcel = add(&depot, &[("a.toml", &format!("{number}"))]);
            let node = NodeName::parse("fra-1").unwrap();
            let manifest = Manifest {
                version: Version { number, node: node.clone() },
                parcel,
                octets: 1,
                files: 1,
                author: Box::default(),
                reason: Box::default(),
                made_s: 1,
                force: false,
                restores: None,
            };
            let sealed = Sealed { manifest, by: node, signature: Box::default() };
            Active { sealed, at_ms }
        };
        let versions = vec![active(3, 3_000), active(2, 2_000), active(1, 1_000)];
        let version = |number: usize| versions[3 - number].sealed.manifest.version.clone();
        let opened = |in_force: Option<Version>, now_ms: u64| {
            write(scratch.path(), Kept { versions: versions.clone(), in_force }).unwrap();
            let (kept, files) = open(scratch.path(), &depot, now_ms);
            let text = files.map(|files| std::fs::read_to_string(files.join("a.toml")).unwrap());
            assert_eq!(kept.versions, versions);
            (kept.in_force.map(|version| version.number), text)
        };
        let told = |number: u64| (Some(number), Some(number.to_string()));
        assert_eq!(opened(Some(version(2)), 0), told(2), "its clock begins in 1970");
        assert_eq!(opened(Some(version(2)), 2_999), told(2));
        assert_eq!(opened(Some(version(2)), 3_000), told(3), "its instant came meanwhile");
        assert_eq!(opened(None, 1_500), told(1));
        assert_eq!(opened(None, 0), (None, None));
    }
}
