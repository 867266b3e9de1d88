//! A file that is read as it is and written to in memory only: so a database that a kill left open can be read, and is
//! left as it was.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use redb::StorageBackend;

/// Octets that are kept in one piece.
const BLOCK: usize = 4096;

/// The file, and what was written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// By number.
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
}

impl Overlay {
    /// Opens a file; `None`: a server has it.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(why)) => return Err(why),
        }
        let written = Written { len: file.metadata()?.len(), blocks: BTreeMap::new() };
        Ok(Some(Self { file, written: Mutex::new(written) }))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the file; what is beyond its end is zero.
    fn read_block(&self, number: u64) -> io::Result<Box<[u8; BLOCK]>> {
        let mut block = Box::new([0; BLOCK]);
        let mut filled = 0;
        while filled < BLOCK {
            let offset = number * BLOCK as u64 + filled as u64;
            match self.file.read_at(&mut block[filled..], offset)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(block)
    }
}

/// The pieces of a range of octets: block, place in it, place in the range, length.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = (at % BLOCK as u64) as usize;
        let count = (BLOCK - inside).min(len - done);
        let piece = (at / BLOCK as u64, inside, done, count);
        done += count;
        (count > 0).then_some(piece)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let written = self.written();
        for (number, inside, at, count) in pieces(offset, out.len()) {
            let target = &mut out[at..at + count];
            match written.blocks.get(&number) {
                Some(block) => target.copy_from_slice(&block[inside..inside + count]),
                None => target.copy_from_slice(&self.read_block(number)?[inside..inside + count]),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.written().len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut written = self.written();
        for (number, inside, at, count) in pieces(offset, data.len()) {
            let block = match written.blocks.entry(number) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(place) => place.insert(self.read_block(number)?),
            };
            block[inside..inside + count].copy_from_slice(&data[at..at + count]);
        }
        Ok(())
    }
}
