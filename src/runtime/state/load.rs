//! Keeps what is served, and reads it again: texts in the database, geo data and tables in files beside it.

use std::collections::BTreeSet;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use redb::ReadableTable;
use redb::WriteTransaction;
use sha2::Digest;
use sha2::Sha256;

use crate::config::Files;
use crate::config::SourceFile;
use crate::control::Job;
use crate::control::job::GeoFiles;
use crate::control::restart::hex;
use crate::control::stored::Kept;
use crate::control::stored::PartForm;
use crate::control::stored::ServedForm;
use crate::control::stored::Stored;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::OverlayFile;
use crate::rtt::Shelf;
use crate::rtt::Table;
use crate::rtt::file_name;
use crate::rtt::parse_table;
use crate::rtt::render;
use crate::runtime::state::content::Content;
use crate::runtime::state::fault::Fault;
use crate::runtime::state::retention::LATEST;
use crate::runtime::state::retention::files_name;
use crate::runtime::state::retention::geo_name;
use crate::runtime::state::retention::remove_unnamed;
use crate::runtime::state::retention::table_name;
use crate::runtime::state::store::LOADS;
use crate::runtime::state::store::MANIFESTS;
use crate::runtime::state::store::META;
use crate::runtime::state::store::Reading;
use crate::runtime::state::store::Store;
use crate::runtime::state::store::TEXTS;
use crate::runtime::state::store::meta;

/// What of a load was not kept because it is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Octets of it.
    pub octets: u64,
}

impl Store {
    /// Keeps what a load is made of, as far as it is not there yet. Nothing larger than `max` octets is kept.
    pub fn keep(&self, kept: &Kept, max: u64) -> Result<Result<(), TooLarge>, Fault> {
        let octets = size_of(kept);
        if octets > max {
            return Ok(Err(TooLarge { octets }));
        }
        let Kept { served, files, geo, table } = kept;
        self.change(|transaction, content| {
            let mut anything = false;
            protect(transaction, served)?;
            if let Some(files) = files {
                anything |= keep_texts(transaction, &served.files, files)?;
            }
            if let Some(geo) = geo {
                anything |= keep_geo(transaction, content, &served.geo, geo)?;
            }
            if let (Some(digest), Some(table)) = (&served.table, table) {
                let text = || render(table).into_bytes();
                anything |= keep_table(transaction, content, digest, text)?;
            }
            Ok(anything)
        })?;
        Ok(Ok(()))
    }
}

impl Store {
    /// Keeps what was learnt of round-trip times, in place of what was kept before.
    pub fn keep_latest(&self, table: &Table) -> Result<(), Fault> {
        let mut live = BTreeSet::new();
        self.change(|transaction, content| {
            let digest = keep_part(content, render(table).as_bytes())?;
            add_manifest(transaction, LATEST, &[PartForm::plain("table", digest)])?;
            live = remove_unnamed(transaction)?;
            Ok(true)
        })?;
        self.content().keep_only(&live);
        Ok(())
    }
}

fn size_of(Kept { files, geo, .. }: &Kept) -> u64 {
    let texts = files.iter().flat_map(Files::iter);
    let texts: usize = texts.map(|(_, file)| file.text.len()).sum();
    let geo = geo.iter().flat_map(|geo| {
        let databases = geo.databases.iter().map(|database| database.octets.len());
        databases.chain(geo.overlays.iter().map(|overlay| overlay.octets.len()))
    });
    (texts + geo.sum::<usize>()) as u64
}

/// Has what is about to be served not be removed before the entry that names it is written.
fn protect(transaction: &WriteTransaction, served: &ServedForm) -> Result<(), Fault> {
    let served = serde_json::to_vec(&Stored::Served(served.clone()));
    let served = served.map_err(|why| Fault::System(why.to_string()))?;
    transaction.open_table(LOADS)?.insert(u64::MAX, served.as_slice())?;
    Ok(())
}

fn compress(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).map_err(|why| Fault::system(&why))
}

fn add_manifest(
    transaction: &WriteTransaction,
    name: &str,
    parts: &[PartForm],
) -> Result<(), Fault> {
    let list = serde_json::to_vec(parts).map_err(|why| Fault::System(why.to_string()))?;
    transaction.open_table(MANIFESTS)?.insert(name, list.as_slice())?;
    Ok(())
}

fn has_manifest(transaction: &WriteTransaction, name: &str) -> Result<bool, Fault> {
    Ok(transaction.open_table(MANIFESTS)?.get(name)?.is_some())
}

fn keep_texts(transaction: &WriteTransaction, digest: &str, files: &Files) -> Result<bool, Fault> {
    let name = files_name(digest);
    if has_manifest(transaction, &name)? {
        return Ok(false);
    }
    let (mut parts, mut added) = (Vec::new(), 0);
    {
        let mut texts = transaction.open_table(TEXTS)?;
        for (_, file) in files.iter() {
            let digest: Box<str> = hex(&Sha256::digest(file.text.as_bytes())).into();
            if texts.get(&*digest)?.is_none() {
                let text = compress(file.text.as_bytes())?;
                added += text.len() as u64;
                texts.insert(&*digest, text.as_slice())?;
            }
            parts.push(PartForm::plain(&file.name, digest));
        }
        let mut meta = transaction.open_table(META)?;
        let octets = meta.get(meta::OCTETS)?.map_or(0, |found| found.value());
        meta.insert(meta::OCTETS, octets + added)?;
    }
    add_manifest(transaction, &name, &parts)?;
    Ok(true)
}

fn keep_part(content: &Content, octets: &[u8]) -> Result<Box<str>, Fault> {
    let digest = hex(&Sha256::digest(octets));
    content.write(&digest, octets).map_err(|why| Fault::system(&why))?;
    Ok(digest.into())
}

fn keep_geo(
    transaction: &WriteTransaction,
    content: &Content,
    digest: &str,
    GeoInput { databases, overlays }: &GeoInput,
) -> Result<bool, Fault> {
    let name = geo_name(digest);
    if has_manifest(transaction, &name)? {
        return Ok(false);
    }
    let mut parts = Vec::new();
    for DatabaseFile { name, octets, shape } in databases {
        let digest = keep_part(content, octets)?;
        let shape = shape.map(|shape| shape.name().into());
        parts.push(PartForm { shape, ..PartForm::plain(name, digest) });
    }
    for OverlayFile { name, octets } in overlays {
        let digest = keep_part(content, octets)?;
        parts.push(PartForm { is_overlay: true, ..PartForm::plain(name, digest) });
    }
    add_manifest(transaction, &name, &parts)?;
    Ok(true)
}

fn keep_table(
    transaction: &WriteTransaction,
    content: &Content,
    digest: &str,
    text: impl FnOnce() -> Vec<u8>,
) -> Result<bool, Fault> {
    let name = table_name(digest);
    if has_manifest(transaction, &name)? {
        return Ok(false);
    }
    let part = PartForm::plain("table", keep_part(content, &text())?);
    add_manifest(transaction, &name, &[part])?;
    Ok(true)
}

impl Reading {
    fn manifest(&self, name: &str) -> Result<Vec<PartForm>, String> {
        let gone = || {
            "the files of then are not kept: they were too large, or could not be written"
                .to_owned()
        };
        let table = self.transaction.open_table(MANIFESTS).map_err(|why| why.to_string())?;
        let found = table.get(name).map_err(|why| why.to_string())?.ok_or_else(gone)?;
        serde_json::from_slice(found.value()).map_err(|why| format!("{name}: {why}"))
    }

    fn part(&self, part: &PartForm) -> Result<Vec<u8>, String> {
        let octets = self.content.read(&part.digest);
        let octets = octets.map_err(|why| format!("content/{}: {why}", part.digest))?;
        match hex(&Sha256::digest(&octets)) == *part.digest {
            true => Ok(octets),
            false => Err(format!("content/{} is not what was written", part.digest)),
        }
    }

    /// What was learnt of round-trip times, if it is there and whole.
    pub(super) fn latest(&self) -> Option<Arc<Table>> {
        let parts = self.manifest(LATEST).ok()?;
        let octets = self.part(parts.first()?).ok()?;
        let name = file_name(std::str::from_utf8(&octets).ok()?);
        parse_table(&name, &octets).ok().map(Arc::new)
    }

    /// The operator's files that were served.
    pub fn files(&self, served: &ServedForm) -> Result<Files, String> {
        let texts = self.transaction.open_table(TEXTS).map_err(|why| why.to_string())?;
        let mut files = Vec::new();
        for PartForm { name, digest, .. } in self.manifest(&files_name(&served.files))? {
            let found = texts.get(&*digest).map_err(|why| why.to_string())?;
            let found = found.ok_or_else(|| format!("the text of {name} is gone"))?;
            let mut text = String::new();
            let read = ZlibDecoder::new(found.value()).read_to_string(&mut text);
            read.map_err(|why| format!("the text of {name}: {why}"))?;
            files.push(SourceFile::new(&name, &text));
        }
        Ok(Files::new(files).allowing(&served.node.exec))
    }

    /// Everything that was served, to be compiled again; `at_s` is when.
    pub fn job(&self, served: &ServedForm, at_s: u64) -> Result<Job, String> {
        let mut geo = GeoInput::default();
        for part in self.manifest(&geo_name(&served.geo))? {
            let (shape, octets) = (part.shape(), self.part(&part)?.into());
            let name = part.name;
            match part.is_overlay {
                true => geo.overlays.push(OverlayFile { name, octets }),
                false => geo.databases.push(DatabaseFile { name, octets, shape }),
            }
        }
        let mut tables = Vec::new();
        if let Some(digest) = &served.table {
            for part in self.manifest(&table_name(digest))? {
                let octets = self.part(&part)?;
                let name = file_name(&String::from_utf8_lossy(&octets));
                tables.push((name.into(), octets));
            }
        }
        let job = Job::new(self.files(served)?, GeoFiles::of(geo), served.node.clone().into());
        Ok(job.with_shelf(Shelf::read(tables)).at(at_s))
    }
}
