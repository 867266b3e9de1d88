//! Makes a bundle of a folder: its files, and all that they refer to below it.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::cluster::archive::BundleFile;
use crate::cluster::archive::NoBundle;
use crate::cluster::archive::pack;
use crate::cluster::piece::Index;
use crate::cluster::piece::PARCEL_MAX;
use crate::config::SourceFile;
use crate::config::target_files;
use crate::config::without_detours;
use crate::runtime::files::Sources;

/// Folder of what all zones share, in a bundle.
const SHARED: &str = "shared";

/// Files that are ready to be pushed.
#[derive(Debug)]
pub struct Packed {
    /// Their octets.
    pub archive: Vec<u8>,
    /// Which pieces these have.
    pub index: Index,
    /// How many they are.
    pub files: usize,
}

/// Packs the files of a folder of zones, and of `shared` if it is elsewhere. Says everything that is wrong with that. Blocks.
pub fn pack_folder(folder: &Path, shared: Option<&Path>) -> Result<Packed, String> {
    let sources = Sources::of_zones(folder, shared);
    let mut faults = Vec::new();
    let mut texts = sources.read_texts(&mut faults);
    read_lists(&mut texts, folder, &mut faults);
    let mut problems: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let mut files = Vec::new();
    for SourceFile { name, text, .. } in &texts {
        match name_in_bundle(Path::new(&**name), folder, shared) {
            Some(name) => files.push(BundleFile { name, content: text.as_bytes().into() }),
            None => problems.push(format!(
                "{name}: this file is included and is not below {}; move it there, or push a folder that has both",
                folder.display()
            )),
        }
    }
    files.sort();
    files.dedup();
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let count = files.len();
    let archive = pack(&mut files).map_err(|why| match why {
        NoBundle::Empty => format!("{}: no file of zones is there", folder.display()),
        NoBundle::TooMany(count) => format!("{}: {count} files are too many", folder.display()),
        NoBundle::Name(name) => {
            format!("{name}: a bundle cannot have a file of this name; rename it")
        }
        NoBundle::Twice(name) => {
            format!("{name}: two files would have this name in the bundle; rename one")
        }
    })?;
    match Index::of(&archive) {
        Some(index) => Ok(Packed { archive, index, files: count }),
        None => Err(format!(
            "{}: {} octets of files are more than the {PARCEL_MAX} of a bundle",
            folder.display(),
            archive.len()
        )),
    }
}

/// Adds lists of targets that stand below the folder; others are each node's own.
fn read_lists(
    texts: &mut Vec<SourceFile>,
    folder: &Path,
    faults: &mut Vec<crate::runtime::files::ReadFault>,
) {
    let known: BTreeSet<PathBuf> =
        texts.iter().map(|file| without_detours(Path::new(&*file.name))).collect();
    for path in target_files::named(texts) {
        let is_below = without_detours(&path).starts_with(without_detours(folder));
        if !is_below || known.contains(&path) || !path.is_file() {
            continue;
        }
        match crate::runtime::files::read_named(&path) {
            Ok(file) => texts.extend(file),
            Err(fault) => faults.push(fault),
        }
    }
}

/// The name of a file in a bundle; `None` if it is neither below the folder nor in the shared one.
fn name_in_bundle(path: &Path, folder: &Path, shared: Option<&Path>) -> Option<Box<str>> {
    let path = without_detours(path);
    let below =
        |folder: &Path| path.strip_prefix(without_detours(folder)).map(Path::to_path_buf).ok();
    let in_shared = shared.and_then(below).map(|name| Path::new(SHARED).join(name));
    let name = below(folder).or(in_shared)?;
    let parts: Option<Vec<&str>> =
        name.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/").into())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use super::*;
    use crate::cluster::archive::unpack;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_bundle_has_the_folder_what_is_shared_what_is_included_and_lists_below_it() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        for (name, text) in [
            (
                "zones/a.toml",
                "[pool.x]\ndiscover = { file = \"lists/x.json\" }\n[pool.y.discover]\nfile = \"/run/y.json\"\n",
            ),
            ("zones/b.zone", "$INCLUDE parts/hosts\n"),
            ("zones/parts/hosts", "x A 192.0.2.1\n"),
            ("zones/parts/notes", "nobody's\n"),
            ("zones/lists/x.json", "[]"),
            ("zones/.hidden", "x"),
            ("common/sites.toml", "[site.fra]\n"),
        ] {
            write(scratch.path(), name, text);
        }
        let packed = pack_folder(&at("zones"), Some(&at("common"))).unwrap();
        let names: Vec<_> =
            unpack(&packed.archive).unwrap().into_iter().map(|file| file.name).collect();
        let wanted = ["a.toml", "b.zone", "lists/x.json", "parts/hosts", "shared/sites.toml"];
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), wanted);
        assert_eq!(packed.files, 5);
        let other = pack_folder(&at("zones/../zones"), Some(&at("common"))).unwrap();
        assert_eq!(other.index.id(), packed.index.id(), "where they stand does not matter");
    }

    #[test]
    fn what_stands_elsewhere_and_an_empty_folder_are_told() {
        let scratch = tempfile::tempdir().unwrap();
        write(scratch.path(), "zones/a.zone", "$INCLUDE ../away\n");
        write(scratch.path(), "away", "x A 192.0.2.1\n");
        let why = pack_folder(&scratch.path().join("zones"), None).unwrap_err();
        assert!(why.contains("away: this file is included and is not below"), "{why}");
        let why = pack_folder(&scratch.path().join("none"), None).unwrap_err();
        assert!(why.contains("check that it exists"), "{why}");
    }
}
