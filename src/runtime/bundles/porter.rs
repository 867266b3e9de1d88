//! Does what the controller says of bundles: gets pieces, lays files out, keeps, and tells what came of it.

use std::collections::BTreeSet;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cluster::PieceId;
use crate::cluster::Sealed;
use crate::cluster::piece::Index;
use crate::cluster::piece::PARCEL_MAX;
use crate::control::Job;
use crate::control::cluster::bundles::Active;
use crate::control::cluster::bundles::BundleNews;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::Memory as Kept;
use crate::control::cluster::bundles::TableWord;
use crate::rtt::file_name;
use crate::rtt::text::is_table_name;
use crate::runtime::bundles::depot::Depot;
use crate::runtime::bundles::depot::index_of;
use crate::runtime::bundles::kept;
use crate::runtime::cluster::Cluster;
use crate::runtime::cluster::Engine;
use crate::runtime::cluster::Pieces;
use crate::runtime::files::Sources;
use crate::runtime::rtt_folder;

/// How often it is told how many pieces of a version are still to come.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Pieces that are asked for at once: so many round trips are saved, and no more memory is taken.
const AT_ONCE: usize = 4;

/// What the porter is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// What the controller says.
    Deed(Deed),
    /// Look which tables are in the folder.
    Scan,
}

/// What it works with.
#[derive(Clone)]
pub(super) struct Porter {
    pub(super) folder: PathBuf,
    pub(super) depot: Arc<Depot>,
    pub(super) cluster: Cluster,
    /// Where this node's own files are, and what its own file says of answers.
    pub(super) own: Sources,
    pub(super) news: mpsc::Sender<BundleNews>,
    /// Asks for a reading of the files.
    pub(super) changes: mpsc::Sender<()>,
}

/// What it remembers between orders.
#[derive(Debug, Default)]
struct Memory {
    /// The version on its way.
    staging: Option<(PieceId, JoinHandle<()>)>,
    /// The table on its way.
    table: Option<PieceId>,
    /// Parcels of versions that count or did.
    kept: BTreeSet<PieceId>,
    /// Tables that were looked at.
    tables: Vec<(Box<str>, Option<Index>)>,
}

impl Porter {
    /// Does what is ordered, one thing after the other; what takes long goes on beside.
    pub(super) async fn run(self, orders: Arc<Mutex<mpsc::Receiver<Order>>>) {
        let mut memory = Memory::default();
        if let Ok(kept) = kept::read(&self.folder) {
            memory.kept = parcels(&kept.versions);
        }
        let mut orders = orders.lock().await;
        while let Some(order) = orders.recv().await {
            match order {
                Order::Scan => self.scan(&mut memory).await,
                Order::Deed(deed) => self.obey(deed, &mut memory).await,
            }
        }
        std::future::pending().await
    }

    async fn obey(&self, deed: Deed, memory: &mut Memory) {
        match deed {
            Deed::Seal(manifest) => {
                self.tell(BundleNews::Sealed(self.cluster.seal(manifest))).await
            }
            Deed::Vouch(sealed) if !self.cluster.is_sealed(&sealed) => {
                let sealed = self.cluster.seal(sealed.manifest);
                self.tell(BundleNews::Vouched(sealed)).await
            }
            Deed::Vouch(_) => {}
            Deed::Stage(sealed) => {
                if let Some((_, before)) = memory.staging.take() {
                    before.abort();
                }
                let (parcel, porter) = (sealed.manifest.parcel, self.clone());
                let task = tokio::spawn(async move {
                    // A panic must not leave it on its way for ever.
                    let found = AssertUnwindSafe(porter.stage(&sealed)).catch_unwind().await;
                    let found = found.unwrap_or_else(|_| {
                        Err("getting its files panicked; this is a bug of ours\n".into())
                    });
                    porter.tell(BundleNews::Staged(sealed, found)).await;
                });
                memory.staging = Some((parcel, task));
            }
            Deed::Drop => {
                if let Some((_, task)) = memory.staging.take() {
                    task.abort();
                }
                self.clean(memory).await;
            }
            Deed::Check(sealed, job) => self.check(sealed, job),
            Deed::Keep(kept) => self.keep(kept, memory).await,
            Deed::Table(table) => {
                memory.table = Some(table.parcel);
                let porter = self.clone();
                tokio::spawn(async move {
                    let result = porter.take_table(&table).await;
                    porter.tell(BundleNews::Table(table.name, result)).await;
                });
            }
            // The control loop does it at once.
            Deed::Read(_) => {}
        }
    }

    async fn tell(&self, news: BundleNews) {
        // Fails only if the server stops.
        let _ = self.news.send(news).await;
    }

    fn check(&self, sealed: Sealed, job: Arc<Job>) {
        let porter = self.clone();
        tokio::spawn(async move {
            let worker = Arc::clone(&job);
            let made = tokio::task::spawn_blocking(move || worker.run()).await;
            let mut product = made.unwrap_or_else(|why| {
                let text = format!("compiling panicked: {why}; this is a bug of ours\n");
                crate::control::Product::failed(
                    &job,
                    crate::control::rejection::Rejection::one(text),
                )
            });
            // Who pushed them knows files by their names below the folder that was pushed.
            let folder = kept::files_folder(&porter.folder, &sealed.manifest.parcel);
            if let Some(fault) = &mut product.faults.zones {
                fault.text = fault.text.replace(&format!("{}/", folder.display()), "");
            }
            porter.tell(BundleNews::Checked(sealed, Box::new(product))).await;
        });
    }

    /// Gets the files of a version and reads them. `Ok(None)`: nobody can give them now.
    async fn stage(&self, sealed: &Sealed) -> Result<Option<Box<Job>>, String> {
        if !self.cluster.is_sealed(sealed) {
            let by = &sealed.by;
            return Err(format!(
                "its signature is not that of server {by} by any pin in this node's rhumb.toml\n"
            ));
        }
        let parcel = sealed.manifest.parcel;
        match self.obtain(parcel).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(why) => {
                return Err(format!("its files cannot be kept on this node's disk: {why}\n"));
            }
        }
        let (folder, depot, own) = (self.folder.clone(), Arc::clone(&self.depot), self.own.clone());
        let read = move || {
            kept::lay_out(&folder, &depot, &parcel).map(|files| own.in_bundle(&files).read_zones())
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(job)) => Ok(Some(Box::new(job))),
            Ok(Err(why)) => {
                Err(format!("its files cannot be laid out on this node's disk: {why}\n"))
            }
            Err(why) => Err(format!("reading its files panicked: {why}; this is a bug of ours\n")),
        }
    }

    /// Gets a parcel, as far as it is not here. False: nobody can give it now; what came is not asked for again.
    async fn obtain(&self, parcel: PieceId) -> io::Result<bool> {
        let depot = Arc::clone(&self.depot);
        if depot.is_whole(&parcel) {
            return Ok(true);
        }
        let index = match depot.find(&parcel) {
            Some(index) => Some(index),
            None => self.cluster.fetch(parcel).await,
        };
        let Some(index) = index.and_then(|octets| Index::read(&octets)) else { return Ok(false) };
        let begun = {
            let (depot, index) = (Arc::clone(&depot), index.clone());
            tokio::task::spawn_blocking(move || depot.begin(&index)).await
        };
        let lacking = begun.map_err(io::Error::other)??;
        let lacking_count = lacking.len();
        let fetched = lacking.into_iter().map(|position| {
            let (porter, piece) = (self.clone(), index.pieces()[position]);
            async move {
                let Some(octets) = porter.cluster.fetch(piece).await else { return Ok(false) };
                let depot = Arc::clone(&porter.depot);
                let put =
                    tokio::task::spawn_blocking(move || depot.put(&parcel, position, &octets));
                put.await.map_err(io::Error::other)?.map(|()| true)
            }
        });
        let (mut left, mut told) = (lacking_count, Instant::now());
        let mut fetched = stream::iter(fetched).buffer_unordered(AT_ONCE);
        while let Some(found) = fetched.next().await {
            if !found? {
                return Ok(false);
            }
            left -= 1;
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                self.tell(BundleNews::Progress(parcel, left)).await;
            }
        }
        Ok(self.depot.is_whole(&parcel))
    }

    /// Keeps which versions count, then removes what belongs to none.
    async fn keep(&self, now: Kept, memory: &mut Memory) {
        let versions = parcels(&now.versions);
        let newest = now.versions.first().map(|active| active.sealed.manifest.version.clone());
        let folder = self.folder.clone();
        let kept = tokio::task::spawn_blocking(move || kept::write(&folder, now)).await;
        let kept = kept.unwrap_or_else(|why| Err(io::Error::other(why)));
        if kept.is_ok() {
            memory.kept = versions;
            self.clean(memory).await;
        }
        self.tell(BundleNews::Kept(kept.map(|()| newest).map_err(|why| why.to_string()))).await;
    }

    /// Removes what belongs to no version that counts, is on its way, or is being pushed.
    async fn clean(&self, memory: &Memory) {
        let mut all = memory.kept.clone();
        all.extend(memory.staging.iter().map(|(parcel, _)| *parcel).chain(memory.table));
        let (folder, depot) = (self.folder.clone(), Arc::clone(&self.depot));
        let clean = move || {
            all.extend(depot.pushed());
            depot.keep_only(&all);
            kept::keep_only(&folder, &all);
        };
        // Whatever comes of it: the next time the rest goes.
        let _ = tokio::task::spawn_blocking(clean).await;
    }

    /// Looks which tables are in the folder, and has them given to others.
    async fn scan(&self, memory: &mut Memory) {
        let Some(folder) = self.own.rtt.clone() else { return };
        let mut known = std::mem::take(&mut memory.tables);
        let looked = tokio::task::spawn_blocking(move || {
            let names = rtt_folder::list_tables(&folder).unwrap_or_default();
            known.retain(|(name, _)| names.contains(name));
            let mut large = Vec::new();
            for name in names {
                if known.iter().any(|(other, _)| *other == name) {
                    continue;
                }
                let path = folder.join(&*name);
                let octets = path.metadata().map(|found| found.len()).unwrap_or_default();
                let is_large = octets > PARCEL_MAX as u64;
                let index = if is_large { None } else { index_of(&path).ok().flatten() };
                if is_large {
                    large.push((name.clone(), octets));
                }
                known.push((name, index));
            }
            (folder, known, large)
        });
        let Ok((folder, known, large)) = looked.await else { return };
        for (name, octets) in large {
            self.tell(BundleNews::TooLarge(name, octets)).await;
        }
        let whole = || known.iter().filter_map(|(name, index)| Some((name, index.as_ref()?)));
        let files: Vec<_> =
            whole().map(|(name, index)| (folder.join(&**name), index.clone())).collect();
        self.depot.set_foreign(&files);
        let found = whole().map(|(name, index)| (name.clone(), index.id())).collect();
        memory.tables = known;
        self.tell(BundleNews::Tables(found)).await;
    }

    /// Gets a table and puts it into the folder, where it takes the way of any table.
    async fn take_table(&self, table: &TableWord) -> Result<(), String> {
        let Some(folder) = self.own.rtt.clone() else {
            return Err("this node has no folder of tables: [rtt] folder".into());
        };
        match self.obtain(table.parcel).await {
            Ok(true) => {}
            Ok(false) => {
                return Err("nobody who has it can be reached; it is asked for again".into());
            }
            Err(why) => return Err(format!("this node's disk does not take it: {why}")),
        }
        let (depot, name, parcel) = (Arc::clone(&self.depot), table.name.clone(), table.parcel);
        let written = tokio::task::spawn_blocking(move || {
            let octets = depot.read(&parcel).map_err(|why| why.to_string())?;
            let text = String::from_utf8(octets).map_err(|_| "it is no text")?;
            if !is_table_name(&name) || file_name(&text) != *name {
                return Err("it is not what its name says".to_owned());
            }
            rtt_folder::write_table(&folder, &name, &text).map_err(|why| why.to_string())?;
            // It stands in that folder from now on.
            depot.forget(&parcel);
            Ok(())
        });
        let written = written.await.map_err(|why| why.to_string())?;
        // A full channel means that a reading is due anyway.
        let _ = self.changes.try_send(());
        written
    }
}

fn parcels(versions: &[Active]) -> BTreeSet<PieceId> {
    versions.iter().map(|active| active.sealed.manifest.parcel).collect()
}
