//! The folder of tables of round-trip times: reads all, adds one, takes old ones out. Understands none of them.

use std::io;
use std::io::Write as _;
use std::path::Path;

use crate::rtt::text::is_table_name;

/// Largest table that is read, in octets: twice a full one.
const TABLE_MAX: u64 = 256 * 1024 * 1024;

/// Tables after which no further one is read; a folder that is looked after has about ten.
const TABLES_MAX: usize = 64;

/// Names of the tables in a folder; none if there is no such folder yet.
pub fn list_tables(folder: &Path) -> io::Result<Vec<Box<str>>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| is_table_name(name)).map(Box::<str>::from));
    }
    names.sort();
    names.truncate(TABLES_MAX);
    Ok(names)
}

/// Every table in a folder, by name; none if there is no such folder yet.
pub fn read_tables(folder: &Path) -> io::Result<Vec<(Box<str>, Vec<u8>)>> {
    let mut tables = Vec::new();
    for name in list_tables(folder)? {
        let path = folder.join(&*name);
        match path.metadata() {
            Ok(found) if found.len() > TABLE_MAX => {
                let what = format!("{}: more than {TABLE_MAX} octets", path.display());
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
            }
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue, // Taken out meanwhile.
            Err(why) => return Err(why),
        }
        match std::fs::read(&path) {
            Ok(octets) => tables.push((name, octets)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
    }
    Ok(tables)
}

/// Adds a table; it is there with its whole content, or not at all. Makes the folder if there is none.
pub fn write_table(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, folder.join(name))
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&unfinished);
    })
}

/// Adds a table and takes old ones out; a failure is logged.
pub fn put(folder: &Path, name: &str, text: &str, superfluous: &[Box<str>]) {
    match write_table(folder, name, text) {
        Ok(()) => remove_tables(folder, superfluous),
        Err(why) => {
            let folder = folder.display();
            tracing::error!(
                target: "rhumb::rtt", %folder, reason = %why,
                "a table of round-trip times cannot be written"
            );
        }
    }
}

/// Takes tables out, as far as they are there.
pub fn remove_tables(folder: &Path, names: &[Box<str>]) {
    for name in names.iter().filter(|name| is_table_name(name)) {
        let _ = std::fs::remove_file(folder.join(&**name));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use super::*;

    #[test]
    fn tables_are_added_read_and_taken_out_and_other_files_are_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("new/rtt");
        assert!(read_tables(&folder).unwrap().is_empty(), "no folder, no tables");
        let name = "rtt-0123456789abcdef.table";
        write_table(&folder, name, "text").unwrap();
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        assert_eq!(read_tables(&folder).unwrap(), [(Box::from(name), b"text".to_vec())]);
        remove_tables(&folder, &[name.into(), "notes.txt".into(), "../x".into()]);
        assert!(read_tables(&folder).unwrap().is_empty());
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "only the notes: {left:?}");
    }
}
