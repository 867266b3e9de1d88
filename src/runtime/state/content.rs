//! Large files that past answers are made of, by digest, one file each in a folder. Compresses nothing: databases do not
//! shrink much, and reading them again must be quick.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// A folder of files named by their digests.
#[derive(Clone, Debug)]
pub(super) struct Content {
    folder: PathBuf,
}

impl Content {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest)
    }

    pub(super) fn has(&self, digest: &str) -> bool {
        self.path(digest).is_file()
    }

    pub(super) fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(digest))
    }

    /// Puts a file there as a whole or not at all; it is on the disk when this returns.
    pub(super) fn write(&self, digest: &str, octets: &[u8]) -> io::Result<()> {
        if self.has(digest) {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder)?;
        let draft = self.folder.join(format!(".{digest}.draft"));
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(octets)?;
            file.sync_all()
        });
        if let Err(why) = written {
            // A draft on a full disk takes the room of what is to come.
            let _ = std::fs::remove_file(&draft);
            return Err(why);
        }
        std::fs::rename(&draft, self.path(digest))?;
        sync_folder(&self.folder)
    }

    /// Removes all but these; what cannot be removed is tried again the next time.
    pub(super) fn keep_only(&self, live: &BTreeSet<String>) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| !live.contains(name)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Octets of all of them.
    pub(super) fn octets(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
    }
}

/// Has the names of a folder on the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
