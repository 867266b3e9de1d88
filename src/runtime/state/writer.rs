//! The thread that writes: batches, retries, removal of what is old, and the alarm.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use crate::control::DiskNews;
use crate::control::Restored;
use crate::control::stored::Entry;
use crate::runtime::log;
use crate::runtime::state::Shared;
use crate::runtime::state::fault::Fault;
use crate::runtime::state::lock;
use crate::runtime::state::queue::Batch;
use crate::runtime::state::store::FILE_NAME;
use crate::runtime::state::store::Reading;
use crate::runtime::state::store::Store;
use crate::runtime::state::store::move_aside;
use crate::runtime::state::unix_now;
use crate::runtime::supervise::panic_text;

/// How long changes are gathered for one transaction.
const GATHERING: Duration = Duration::from_millis(200);

/// How long to wait before a disk that did not take it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How often it is looked whether something is too old.
const PRUNE: Duration = Duration::from_secs(60);

/// What nobody has asked for is dropped beyond this: a test, or a loop that hangs.
const NEWS_MAX: usize = 64;

/// Of all that may be kept the share that one load may take.
const LOAD_SHARE: u64 = 2;

/// What the thread owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The file may have what this process never knew: the first entry replaces everything.
    replaces: bool,
    /// When the disk is tried again.
    retry_at: Option<Instant>,
    pruned_at: Option<Instant>,
    /// The entry written last, without its changes.
    last: Entry,
}

/// Runs what may panic on a damaged file; a panic is an error with its words, and is not logged as a bug of ours.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    log::quietly(|| std::panic::catch_unwind(AssertUnwindSafe(work)))
        .map_err(|panic| panic_text(panic.as_ref()).to_owned())
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (retry_at, pruned_at) = (None, None);
        Self { shared, replaces: false, retry_at, pruned_at, last: Entry::default() }
    }

    /// Opens the file and reads all of it that a start needs.
    pub(super) fn open_first(&mut self) -> Result<Restored, Fault> {
        let mut tried = self.try_open();
        if let Err(Fault::Damaged(why)) = &tried {
            let why = why.clone();
            tried = self.set_aside(&why).and_then(|()| self.try_open());
        }
        match tried {
            Ok((store, restored)) => {
                *lock(&self.shared.store) = Some(store);
                Ok(restored)
            }
            Err(Fault::InUse) => Err(Fault::InUse),
            Err(fault) => {
                self.raise(&fault);
                let restored = self.read_only();
                // What was read is what the first entry changes; else it has to replace what is there.
                self.replaces = restored.is_none();
                Ok(restored.unwrap_or_default())
            }
        }
    }

    /// What was kept in a file that cannot be written.
    fn read_only(&self) -> Option<Restored> {
        let folder = &self.shared.settings.folder;
        let read = || Reading::open(folder).and_then(|reading| reading.restore());
        let (restored, _) = guarded(read).ok()?.ok()?;
        Some(restored)
    }

    fn try_open(&self) -> Result<(Store, Restored), Fault> {
        let open = || {
            let store = (self.shared.open)(&self.shared.settings.folder)?;
            let (restored, unread) = store.reader()?.restore()?;
            store.remove_strays()?;
            Ok::<_, Fault>((store, restored, unread))
        };
        let (store, restored, unread) = guarded(open).map_err(Fault::Damaged)??;
        if unread > 0 {
            tracing::warn!(target: "rhumb::state", unread, "values that cannot be read are left out");
        }
        Ok((store, restored))
    }

    /// Moves a file that cannot be used out of the way, and says so.
    fn set_aside(&self, why: &str) -> Result<(), Fault> {
        let folder = &self.shared.settings.folder;
        let moved = move_aside(folder, unix_now()).map_err(|why| Fault::system(&why))?;
        let (file, moved) = (folder.join(FILE_NAME), moved.display().to_string());
        let note = format!(
            "{} was {why}; it is now {moved}, and nothing is known from before",
            file.display()
        );
        tracing::error!(target: "rhumb::state", file = %file.display(), moved, reason = why, "state is damaged and was moved aside; starting without it");
        let mut alarm = lock(&self.shared.alarm);
        alarm.news.push(DiskNews::Lost(note.clone().into()));
        alarm.note = Some(note);
        Ok(())
    }

    /// Writes until it is told to stop, whatever becomes of it meanwhile: state that is silently kept no more would be found
    /// missing at the next start.
    pub(super) fn keep_running(&mut self) {
        while let Err(why) = guarded(|| self.run()) {
            // What it was about to write is lost with it.
            self.replaces = true;
            self.shared.wants_all.store(true, Relaxed);
            self.fail(&Fault::System(format!("the thread that writes had to begin anew: {why}")));
        }
    }

    /// Writes until it is told to stop.
    fn run(&mut self) {
        loop {
            let batch = self.shared.queue.take(self.patience(), GATHERING);
            let stops = batch.stops;
            self.write(batch);
            if stops {
                // Closing writes what makes the next start quick.
                let store = lock(&self.shared.store).take();
                let _ = guarded(|| drop(store));
                return;
            }
            self.prune();
        }
    }

    fn patience(&self) -> Duration {
        let retry = self.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        retry.unwrap_or(PRUNE).min(PRUNE)
    }

    /// Writes a batch, or puts it back and says why.
    fn write(&mut self, mut batch: Batch) {
        let may_try = self.retry_at.is_none_or(|at| Instant::now() >= at) || batch.stops;
        let askers = std::mem::take(&mut batch.askers);
        if batch.stops {
            batch.entries.push_back(self.sign_of_life());
        }
        let result = match may_try {
            true => self.try_write(&mut batch),
            false => Err(None),
        };
        let saved = match result {
            Ok(()) => {
                self.settle();
                Ok(())
            }
            Err(fault) => {
                self.shared.queue.put_back(batch);
                if let Some(fault) = fault {
                    self.fail(&fault);
                }
                Err(lock(&self.shared.alarm).fault.clone().map_or_else(String::new, |(why, _)| why))
            }
        };
        for asker in askers {
            // Whoever asked may have gone.
            let _ = asker.send(saved.clone());
        }
        if saved.is_err() && !may_try {
            // Askers must not turn this loop while the disk is not to be tried.
            std::thread::sleep(GATHERING);
        }
    }

    /// The last sign of life before a stop.
    fn sign_of_life(&self) -> Entry {
        Entry { at: unix_now(), is_sign_of_life: true, ..self.last.clone() }
    }

    fn try_write(&mut self, batch: &mut Batch) -> Result<(), Option<Fault>> {
        if lock(&self.shared.store).is_none() {
            let (store, _) = self.try_open().map_err(Some)?;
            *lock(&self.shared.store) = Some(store);
        }
        let Some(store) = lock(&self.shared.store).clone() else { return Err(None) };
        if self.replaces {
            batch.merge();
        }
        let (shared, replaces) = (&self.shared, self.replaces);
        let latest = batch.latest.clone();
        let (entries, kept) = (batch.entries.make_contiguous(), batch.kept.as_deref());
        let max = shared.settings.retention.octets / LOAD_SHARE;
        let work = || {
            if let Some(Err(too_large)) = kept.map(|kept| store.keep(kept, max)).transpose()? {
                let octets = too_large.octets;
                tracing::warn!(target: "rhumb::state", octets, max, "these files are too large to be kept: past answers of them cannot be explained");
            }
            if let Some(table) = &latest {
                store.keep_latest(table)?;
            }
            match entries {
                [whole] if replaces => store.replace(whole),
                _ => store.write(entries),
            }
        };
        let written = guarded(work).map_err(|why| Some(Fault::Damaged(why)))?.map_err(Some)?;
        if let Some(last) = batch.entries.back() {
            let Entry { generation, version, .. } = *last;
            self.last = Entry { generation, version, ..Entry::default() };
            self.replaces = false;
        }
        if written.anything {
            shared.commits.fetch_add(1, Relaxed);
            shared.octets.store(written.octets + store.content().octets(), Relaxed);
        }
        Ok(())
    }

    /// The disk takes it again.
    fn settle(&mut self) {
        self.retry_at = None;
        let mut alarm = lock(&self.shared.alarm);
        if let Some((why, _)) = alarm.fault.take() {
            alarm.news.push(DiskNews::Kept);
            tracing::info!(target: "rhumb::state", was = why, "state is kept again");
        }
    }

    /// The disk does not take it: everything goes on without.
    fn fail(&mut self, fault: &Fault) {
        let store = lock(&self.shared.store).take();
        // A database that has failed once is of no use until it is opened again.
        let _ = guarded(|| drop(store));
        self.retry_at = Some(Instant::now() + RETRY);
        self.raise(fault);
        if let Fault::Damaged(why) = fault
            && self.set_aside(why).is_ok()
        {
            self.replaces = true;
            self.shared.wants_all.store(true, Relaxed);
        }
    }

    /// Says once that nothing is kept, and why.
    fn raise(&mut self, fault: &Fault) {
        self.retry_at = Some(Instant::now() + RETRY);
        let folder = &self.shared.settings.folder;
        let why = format!("{}: {fault}", folder.join(FILE_NAME).display());
        let mut alarm = lock(&self.shared.alarm);
        if alarm.fault.as_ref().is_none_or(|(before, _)| *before != why) {
            tracing::error!(target: "rhumb::state", reason = why, "state is not kept: a restart would forget what changes now; serving goes on");
            let since = alarm.fault.as_ref().map_or_else(unix_now, |(_, since)| *since);
            alarm.news.push(DiskNews::Faulty(why.clone().into()));
            let surplus = alarm.news.len().saturating_sub(NEWS_MAX);
            alarm.news.drain(..surplus);
            alarm.fault = Some((why, since));
        }
    }

    /// Removes what is too old or too much, if it is time to look.
    fn prune(&mut self) {
        let retention = self.shared.settings.retention;
        let is_too_much = self.shared.octets.load(Relaxed) > retention.octets;
        let is_due = self.pruned_at.is_none_or(|at| at.elapsed() >= PRUNE);
        if !is_due && !is_too_much {
            return;
        }
        let Some(store) = lock(&self.shared.store).clone() else { return };
        self.pruned_at = Some(Instant::now());
        // A damaged database may panic when its last owner drops it: that is done inside, or by `fail`.
        let work = move || {
            let now = unix_now();
            let mut goes_on = store.has_surplus(retention, now)?;
            while goes_on {
                goes_on = store.prune(retention, now)?;
            }
            store.octets()
        };
        match guarded(work).unwrap_or_else(|why| Err(Fault::Damaged(why))) {
            Ok(octets) => self.shared.octets.store(octets, Relaxed),
            Err(fault) => self.fail(&fault),
        }
    }
}
