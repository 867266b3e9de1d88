//! Files of a bundle as octets, in one form: nodes that have equal files have equal octets, and equal digests.
//!
//! ```text
//! +--------------------+-------+------------------------------------+ - - -
//! | "rhumb bundle 1\n" | count | name length, name, length, content | next file
//! +--------------------+-------+------------------------------------+ - - -
//! ```
//!
//! Files stand by name, each once. A name is a path below the bundle's own folder: it cannot lead out of it.

use crate::cluster::wire::Reader;
use crate::cluster::wire::put_number;

/// What an archive begins with.
const MARK: &[u8] = b"rhumb bundle 1\n";

/// Most files of a bundle.
pub const FILES_MAX: usize = 100_000;

/// Longest name of a file in a bundle, in octets.
pub const NAME_MAX: usize = 1024;

/// Longest part of a name: more no file system takes.
const PART_MAX: usize = 255;

/// Deepest folder of a file.
const DEPTH_MAX: usize = 32;

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFile {
    /// Its path below the bundle's folder.
    pub name: Box<str>,
    /// What is in it.
    pub content: Box<[u8]>,
}

/// Why files are no bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoBundle {
    /// There are none.
    Empty,
    /// There are too many.
    TooMany(usize),
    /// A name is none that a bundle may have.
    Name(Box<str>),
    /// Two files have one name, or one has the name of another's folder.
    Twice(Box<str>),
}

/// Whether a name leads below the bundle's folder and nowhere else.
pub fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= PART_MAX
            && part != "."
            && part != ".."
            && !part.contains(['\0', '\\'])
    };
    name.len() <= NAME_MAX && name.split('/').count() <= DEPTH_MAX && name.split('/').all(is_part)
}

/// Packs files; their order does not count.
pub fn pack(files: &mut [BundleFile]) -> Result<Vec<u8>, NoBundle> {
    files.sort();
    check(files)?;
    let mut octets = MARK.to_vec();
    put_number(&mut octets, files.len() as u64);
    for BundleFile { name, content } in files {
        put_number(&mut octets, name.len() as u64);
        octets.extend(name.as_bytes());
        put_number(&mut octets, content.len() as u64);
        octets.extend(&**content);
    }
    Ok(octets)
}

/// Unpacks an archive; total.
pub fn unpack(archive: &[u8]) -> Option<Vec<BundleFile>> {
    let mut reader = Reader::new(archive.strip_prefix(MARK)?);
    let mut files = Vec::new();
    for _ in 0..reader.count(FILES_MAX)? {
        let length = reader.count(NAME_MAX)?;
        let name = std::str::from_utf8(reader.take(length)?).ok()?.into();
        let length = reader.count(archive.len())?;
        files.push(BundleFile { name, content: reader.take(length)?.into() });
    }
    (reader.is_empty() && check(&files).is_ok()).then_some(files)
}

/// Whether files, by name, are a bundle.
fn check(files: &[BundleFile]) -> Result<(), NoBundle> {
    match files.len() {
        0 => return Err(NoBundle::Empty),
        count if count > FILES_MAX => return Err(NoBundle::TooMany(count)),
        _ => {}
    }
    let mut folders = std::collections::BTreeSet::new();
    for (position, file) in files.iter().enumerate() {
        if !is_name(&file.name) {
            return Err(NoBundle::Name(file.name.clone()));
        }
        if position > 0 && files[position - 1].name >= file.name {
            return Err(NoBundle::Twice(file.name.clone()));
        }
        let ends = file.name.match_indices('/').map(|(at, _)| &file.name[..at]);
        folders.extend(ends);
    }
    match files.iter().find(|file| folders.contains(&*file.name)) {
        Some(file) => Err(NoBundle::Twice(file.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, content: &str) -> BundleFile {
        BundleFile { name: name.into(), content: content.as_bytes().into() }
    }

    #[test]
    fn equal_files_have_equal_octets_and_are_unpacked_as_they_were() {
        let mut files =
            vec![file("b.toml", "b"), file("shared/sites.toml", ""), file("a.zone", "a\0\u{e9}")];
        let archive = pack(&mut files).unwrap();
        assert_eq!(unpack(&archive), Some(files.clone()));
        files.reverse();
        assert_eq!(pack(&mut files).unwrap(), archive);
        for cut in 0..archive.len() {
            assert_eq!(unpack(&archive[..cut]), None, "{cut} octets");
        }
        assert_eq!(unpack(&[&archive[..], &[0]].concat()), None);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in
            ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "a\0", "..", "a\\b", "a/./b"]
        {
            assert!(!is_name(name), "{name:?}");
            let found = pack(&mut [file(name, "")]);
            assert_eq!(found, Err(NoBundle::Name(name.into())));
        }
        assert!(is_name("parts/hosts.db") && is_name("zone.ä") && is_name("..a/b"));
        assert!(!is_name(&"a/".repeat(600)) && !is_name(&"x".repeat(256)));
    }

    #[test]
    fn a_name_stands_once_and_is_no_folder_too() {
        assert_eq!(pack(&mut []), Err(NoBundle::Empty));
        let twice = pack(&mut [file("a", "1"), file("a", "2")]);
        assert_eq!(twice, Err(NoBundle::Twice("a".into())));
        let folder = pack(&mut [file("a", ""), file("a-b", ""), file("a/b", "")]);
        assert_eq!(folder, Err(NoBundle::Twice("a".into())));
    }

    proptest! {
        #[test]
        fn any_octets_are_an_archive_in_one_form_or_none(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let octets = [MARK, &octets].concat();
            if let Some(mut files) = unpack(&octets) {
                prop_assert_eq!(pack(&mut files), Ok(octets));
            }
        }
    }
}
