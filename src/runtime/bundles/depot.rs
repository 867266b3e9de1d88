//! Parcels on this node's disk: whole ones, and those of which pieces are still to come.
//!
//! ```text
//! bundles/parcels/ID.index     which pieces there are
//! bundles/parcels/ID.part      pieces that came, each where it belongs
//! bundles/parcels/ID.parcel    all of them
//! ```
//!
//! What is read is compared with its digest, so that a fault of the disk is not handed on. Everything here blocks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use crate::cluster::PieceId;
use crate::cluster::piece::Index;
use crate::cluster::piece::PIECE_MAX;
use crate::runtime::cluster::Pieces;

/// How long a parcel that an operator brought is kept though nothing was said of it.
const PUSHED_MAX: Duration = Duration::from_secs(3600);

/// Parcels that are still to come, at most; of more the oldest is forgotten.
const PARTIAL_MAX: usize = 4;

/// Parcels of this node.
#[derive(Debug)]
pub struct Depot {
    folder: PathBuf,
    inner: Mutex<Inner>,
    layout: Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    whole: BTreeMap<PieceId, Parcel>,
    /// Parcels that stand elsewhere: tables of round-trip times.
    foreign: BTreeMap<PieceId, Parcel>,
    partial: Vec<(PieceId, Partial)>,
    /// Parcels that operators brought, and when: they are not taken away before anything came of them.
    pushed: Vec<(PieceId, Instant)>,
    pieces: HashMap<PieceId, (PieceId, usize)>,
}

#[derive(Clone, Debug)]
struct Parcel {
    path: PathBuf,
    index: Index,
}

#[derive(Debug)]
struct Partial {
    index: Index,
    missing: BTreeSet<usize>,
}

impl Inner {
    fn find(&self, parcel: &PieceId) -> Option<&Parcel> {
        self.whole.get(parcel).or_else(|| self.foreign.get(parcel))
    }

    fn list_pieces(&mut self) {
        self.pieces.clear();
        for (id, parcel) in self.whole.iter().chain(&self.foreign) {
            let pieces = parcel.index.pieces().iter().enumerate();
            self.pieces.extend(pieces.map(|(position, piece)| (*piece, (*id, position))));
        }
    }
}

impl Depot {
    /// Opens the folder, which is made if there is none.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("parcels");
        std::fs::create_dir_all(&folder)?;
        let mut inner = Inner::default();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(PieceId::parse);
            let (Some(id), Some("index")) = (id, path.extension().and_then(|end| end.to_str()))
            else {
                continue;
            };
            let index = std::fs::read(&path).ok().and_then(|octets| Index::read(&octets));
            let Some(index) = index.filter(|index| index.id() == id) else { continue };
            let path = path.with_extension("parcel");
            if path.metadata().is_ok_and(|found| found.len() == index.size() as u64) {
                inner.whole.insert(id, Parcel { path, index });
            }
        }
        inner.list_pieces();
        Ok(Self { folder, inner: Mutex::new(inner), layout: Mutex::default() })
    }

    /// Leave to lay files out: one at a time, for work that nobody waits for any more may still go on.
    pub(super) fn layout(&self) -> std::sync::MutexGuard<'_, ()> {
        self.layout.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether all of a parcel is here.
    pub fn is_whole(&self, parcel: &PieceId) -> bool {
        self.lock().find(parcel).is_some()
    }

    /// Prepares for the pieces of a parcel; returns those that are lacking. What came before an end of the process is not.
    pub fn begin(&self, index: &Index) -> io::Result<Vec<usize>> {
        let id = index.id();
        {
            let inner = self.lock();
            if inner.find(&id).is_some() {
                return Ok(Vec::new());
            }
            if let Some((_, partial)) = inner.partial.iter().find(|(other, _)| *other == id) {
                return Ok(partial.missing.iter().copied().collect());
            }
        }
        write_whole(&self.path(&id, "index"), &index.to_octets())?;
        let path = self.path(&id, "part");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let had = file.metadata()?.len();
        file.set_len(index.size() as u64)?;
        let mut missing = BTreeSet::new();
        for (position, piece) in index.pieces().iter().enumerate() {
            let (start, len) = index.span(position);
            let is_here = had > start as u64
                && read_span(&file, start, len).is_ok_and(|octets| PieceId::of(&octets) == *piece);
            if is_here {
                continue;
            }
            // Versions differ little: most pieces of files that stand first are those of the one before.
            match self.find(piece) {
                Some(octets) => file.write_all_at(&octets, start as u64)?,
                None => drop(missing.insert(position)),
            }
        }
        let lacking: Vec<usize> = missing.iter().copied().collect();
        let mut inner = self.lock();
        inner.partial.retain(|(other, _)| *other != id);
        inner.partial.push((id, Partial { index: index.clone(), missing }));
        let superfluous = inner.partial.len().saturating_sub(PARTIAL_MAX);
        let forgotten: Vec<_> = inner.partial.drain(..superfluous).collect();
        drop(inner);
        for (other, _) in forgotten {
            let _ = std::fs::remove_file(self.path(&other, "part"));
            let _ = std::fs::remove_file(self.path(&other, "index"));
        }
        if lacking.is_empty() {
            self.finish(&id)?;
        }
        Ok(lacking)
    }

    /// Takes a piece in; the parcel is whole after the last one, and on disk.
    pub fn put(&self, parcel: &PieceId, position: usize, octets: &[u8]) -> io::Result<()> {
        let is_last = {
            let mut inner = self.lock();
            let found = inner.partial.iter_mut().find(|(id, _)| id == parcel);
            let Some((_, partial)) = found else {
                return match inner.find(parcel) {
                    Some(_) => Ok(()),
                    None => {
                        Err(io::Error::new(io::ErrorKind::NotFound, "nobody has begun this parcel"))
                    }
                };
            };
            if partial.index.pieces().get(position) != Some(&PieceId::of(octets)) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "this is another piece"));
            }
            let (start, _) = partial.index.span(position);
            let file = OpenOptions::new().write(true).open(self.path(parcel, "part"))?;
            file.write_all_at(octets, start as u64)?;
            partial.missing.remove(&position);
            partial.missing.is_empty()
        };
        if is_last { self.finish(parcel) } else { Ok(()) }
    }

    fn finish(&self, parcel: &PieceId) -> io::Result<()> {
        let (part, path) = (self.path(parcel, "part"), self.path(parcel, "parcel"));
        // Two who brought the last piece may come here at one time.
        let mut inner = self.lock();
        if inner.whole.contains_key(parcel) {
            return Ok(());
        }
        File::open(&part)?.sync_all()?;
        std::fs::rename(&part, &path)?;
        File::open(&self.folder)?.sync_all()?;
        if let Some(at) = inner.partial.iter().position(|(id, _)| id == parcel) {
            let (_, Partial { index, missing: _ }) = inner.partial.remove(at);
            inner.whole.insert(*parcel, Parcel { path, index });
            inner.list_pieces();
        }
        Ok(())
    }

    /// Reads a whole parcel; a fault if a piece of it is not what it was.
    pub fn read(&self, parcel: &PieceId) -> io::Result<Vec<u8>> {
        let found = self.lock().find(parcel).cloned();
        let Parcel { path, index } = found.ok_or(io::ErrorKind::NotFound)?;
        let octets = std::fs::read(&path)?;
        if Index::of(&octets).is_some_and(|now| now == index) {
            return Ok(octets);
        }
        // So that it is asked for once more.
        let mut inner = self.lock();
        inner.whole.remove(parcel);
        inner.list_pieces();
        drop(inner);
        let _ = std::fs::remove_file(&path);
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display())))
    }

    /// Removes every parcel but these, whole or not.
    pub fn keep_only(&self, kept: &BTreeSet<PieceId>) {
        let mut inner = self.lock();
        inner.whole.retain(|id, _| kept.contains(id));
        inner.partial.retain(|(id, _)| kept.contains(id));
        inner.list_pieces();
        drop(inner);
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(PieceId::parse);
            if id.is_some_and(|id| !kept.contains(&id)) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// An operator brings a parcel.
    pub(super) fn note_push(&self, parcel: PieceId) {
        let mut inner = self.lock();
        inner.pushed.retain(|(other, _)| *other != parcel);
        inner.pushed.push((parcel, Instant::now()));
    }

    /// Parcels that operators brought not long ago.
    pub(super) fn pushed(&self) -> Vec<PieceId> {
        let mut inner = self.lock();
        inner.pushed.retain(|(_, since)| since.elapsed() < PUSHED_MAX);
        inner.pushed.iter().map(|(parcel, _)| *parcel).collect()
    }

    /// Removes a whole parcel: it stands elsewhere by now.
    pub(super) fn forget(&self, parcel: &PieceId) {
        let mut inner = self.lock();
        let Some(Parcel { path, index: _ }) = inner.whole.remove(parcel) else { return };
        inner.list_pieces();
        drop(inner);
        let _ = std::fs::remove_file(path.with_extension("index"));
        let _ = std::fs::remove_file(path);
    }

    /// Gives these files, too: tables of round-trip times, where they stand.
    pub fn set_foreign(&self, files: &[(PathBuf, Index)]) {
        let mut inner = self.lock();
        let parcel = |(path, index): &(PathBuf, Index)| {
            (index.id(), Parcel { path: path.clone(), index: index.clone() })
        };
        inner.foreign = files.iter().map(parcel).collect();
        inner.list_pieces();
    }

    fn path(&self, parcel: &PieceId, end: &str) -> PathBuf {
        self.folder.join(format!("{parcel}.{end}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with the lock")
    }
}

impl Pieces for Depot {
    fn find(&self, piece: &PieceId) -> Option<Box<[u8]>> {
        let (path, start, len) = {
            let inner = self.lock();
            if let Some(parcel) = inner.find(piece) {
                return Some(parcel.index.to_octets().into());
            }
            let (parcel, position) = inner.pieces.get(piece)?;
            let parcel = inner.find(parcel)?;
            let (start, len) = parcel.index.span(*position);
            (parcel.path.clone(), start, len)
        };
        let octets = read_span(&File::open(path).ok()?, start, len).ok()?;
        (PieceId::of(&octets) == *piece).then(|| octets.into())
    }
}

/// The index of a file, read piece by piece; `None` if it is empty or too large.
pub(super) fn index_of(path: &Path) -> io::Result<Option<Index>> {
    let mut file = File::open(path)?;
    let (mut pieces, mut size) = (Vec::new(), 0);
    loop {
        let mut piece = Vec::with_capacity(PIECE_MAX);
        let count = file.by_ref().take(PIECE_MAX as u64).read_to_end(&mut piece)?;
        if count == 0 {
            return Ok(Index::of_pieces(size, pieces));
        }
        size += count;
        pieces.push(PieceId::of(&piece));
    }
}

fn read_span(file: &File, start: usize, len: usize) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; len];
    file.read_exact_at(&mut octets, start as u64)?;
    Ok(octets)
}

/// Writes a file that is there with its whole content, or as it was before.
pub(super) fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    io::Write::write_all(&mut file, octets)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes what is read")]
mod tests {
    use super::*;

    fn parcel(seed: u8) -> Vec<u8> {
        (0..3 * PIECE_MAX + 5).map(|at| (at / 7) as u8 ^ seed).collect()
    }

    #[test]
    fn what_is_being_pushed_stays_and_what_stands_elsewhere_goes() {
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::open(folder.path()).unwrap();
        let (first, second) = (parcel(0), parcel(1));
        let [pushed, table] = [&first, &second].map(|octets| Index::of(octets).unwrap());
        depot.note_push(pushed.id());
        depot.begin(&pushed).unwrap();
        depot.keep_only(&depot.pushed().into_iter().collect());
        depot.put(&pushed.id(), 0, &first[..PIECE_MAX]).unwrap();
        depot.begin(&table).unwrap();
        for position in 0..4 {
            let (start, len) = table.span(position);
            depot.put(&table.id(), position, &second[start..start + len]).unwrap();
        }
        assert!(depot.is_whole(&table.id()));
        depot.forget(&table.id());
        assert!(!depot.is_whole(&table.id()) && depot.find(&table.pieces()[0]).is_none());
        let left = std::fs::read_dir(folder.path().join("parcels")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "index and pieces of what is pushed: {left:?}");
    }

    #[test]
    fn a_parcel_is_whole_after_its_last_piece_whatever_their_order_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let octets = parcel(0);
        let index = Index::of(&octets).unwrap();
        let id = index.id();
        let piece = |position| {
            let (start, len) = index.span(position);
            &octets[start..start + len]
        };
        let depot = Depot::open(folder.path()).unwrap();
        assert_eq!(depot.begin(&index).unwrap(), [0, 1, 2, 3]);
        depot.put(&id, 2, piece(2)).unwrap();
        assert!(depot.put(&id, 0, piece(1)).is_err(), "another piece is not taken");
        assert!(depot.put(&id, 9, piece(1)).is_err());
        drop(depot);
        let depot = Depot::open(folder.path()).unwrap();
        assert_eq!(depot.begin(&index).unwrap(), [0, 1, 3], "what came is still there");
        for position in [3, 0] {
            depot.put(&id, position, piece(position)).unwrap();
        }
        assert!(!depot.is_whole(&id) && depot.find(&index.pieces()[0]).is_none());
        depot.put(&id, 1, piece(1)).unwrap();
        assert_eq!(depot.read(&id).unwrap(), octets);
        let again = Depot::open(folder.path()).unwrap();
        assert!(again.is_whole(&id));
        assert_eq!(again.find(&id).as_deref(), Some(&index.to_octets()[..]));
        assert_eq!(again.find(&index.pieces()[3]).as_deref(), Some(piece(3)));
        assert_eq!(again.find(&PieceId::of(b"x")), None);
        again.keep_only(&BTreeSet::new());
        assert!(!Depot::open(folder.path()).unwrap().is_whole(&id));
        assert_eq!(std::fs::read_dir(folder.path().join("parcels")).unwrap().count(), 0);
    }

    #[test]
    fn pieces_of_another_version_are_not_asked_for_and_damage_is_not_given_on() {
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::open(folder.path()).unwrap();
        let first = parcel(0);
        let index = Index::of(&first).unwrap();
        depot.begin(&index).unwrap();
        for position in 0..index.pieces().len() {
            let (start, len) = index.span(position);
            depot.put(&index.id(), position, &first[start..start + len]).unwrap();
        }
        let mut second = first.clone();
        second[PIECE_MAX] ^= 1;
        let other = Index::of(&second).unwrap();
        assert_eq!(depot.begin(&other).unwrap(), [1]);
        let path = folder.path().join("parcels").join(format!("{}.parcel", index.id()));
        let mut damaged = first.clone();
        damaged[0] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(depot.find(&index.pieces()[0]), None);
        assert!(depot.find(&index.pieces()[1]).is_some());
        assert!(depot.read(&index.id()).is_err());
        assert_eq!(depot.begin(&index).unwrap().len(), 4, "it is got once more");
    }
}
