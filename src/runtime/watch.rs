//! Says when files may have changed: a folder's contents, or SIGHUP.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify_debouncer_full::DebounceEventResult;
use notify_debouncer_full::DebouncedEvent;
use notify_debouncer_full::Debouncer;
use notify_debouncer_full::RecommendedCache;
use notify_debouncer_full::new_debouncer;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio::sync::watch;

/// How long files must be left alone before they are read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// How often watched folders are checked to be the same ones: the kernel watches a folder, not its name.
const FOLDERS_EVERY: Duration = Duration::from_secs(1);

/// Calls for a reading on each SIGHUP and after each change in `folders`, until dropped.
pub async fn watch(folders: watch::Receiver<Vec<PathBuf>>, wanted: mpsc::Sender<()>) {
    tokio::join!(watch_folders(folders, wanted.clone()), wait_for_hangups(wanted));
}

async fn watch_folders(folders: watch::Receiver<Vec<PathBuf>>, wanted: mpsc::Sender<()>) {
    let changed = wanted.clone();
    let debouncer = new_debouncer(QUIET, None, move |result: DebounceEventResult| {
        if calls_for_reading(&result) {
            want(&changed);
        }
    });
    let mut debouncer = match debouncer {
        Ok(debouncer) => debouncer,
        Err(why) => {
            tracing::warn!(%why, "folders are not watched; reload with SIGHUP");
            return std::future::pending().await;
        }
    };
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        adopt(&folders.borrow(), &mut watched, &mut debouncer);
        let mut moved = false;
        for folder in &mut watched {
            moved |= folder.follow(&mut debouncer);
        }
        if moved {
            // What changed while nobody watched is read too, be it before the very first time.
            want(&wanted);
        }
        tokio::time::sleep(FOLDERS_EVERY).await;
    }
}

/// Takes up folders that are new and lets go of those that are no longer wanted.
fn adopt(
    folders: &[PathBuf],
    watched: &mut Vec<Watched>,
    debouncer: &mut Debouncer<RecommendedWatcher, RecommendedCache>,
) {
    for gone in watched.extract_if(.., |folder| !folders.contains(&folder.path)) {
        // Fails if the kernel has forgotten the folder already.
        let _ = debouncer.unwatch(&gone.path);
    }
    for folder in folders {
        if !watched.iter().any(|known| known.path == *folder) {
            watched.push(Watched::new(folder.clone()));
        }
    }
}

/// Reading a file is no change; an error may hide one.
fn calls_for_reading(result: &DebounceEventResult) -> bool {
    let is_change = |event: &DebouncedEvent| !matches!(event.kind, notify::EventKind::Access(_));
    result.as_ref().map_or(true, |events| events.iter().any(is_change))
}

/// A full channel means that a reading is due anyway.
fn want(wanted: &mpsc::Sender<()>) {
    let _ = wanted.try_send(());
}

/// A folder by name, and which one it was when it was looked at last.
struct Watched {
    path: PathBuf,
    identity: Option<Identity>,
    /// Whether somebody was told that it cannot be watched.
    told: bool,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        Self { path, identity: None, told: false }
    }

    /// Watches what now has the name; tells whether that is another folder than before, or none.
    fn follow(&mut self, debouncer: &mut Debouncer<RecommendedWatcher, RecommendedCache>) -> bool {
        let now = identify(&self.path);
        if now == self.identity {
            return false;
        }
        if self.identity.is_some() {
            // Fails if the kernel has forgotten the folder already.
            let _ = debouncer.unwatch(&self.path);
        }
        self.identity = now;
        if now.is_none() {
            return true;
        }
        if let Err(why) = debouncer.watch(&self.path, RecursiveMode::NonRecursive) {
            // Tried again next time; told once.
            self.identity = None;
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(folder = %self.path.display(), %why, "this folder is not watched; reload with SIGHUP");
            }
            return false;
        }
        self.told = false;
        true
    }
}

/// What tells a folder from another of its name: device, inode, and when it was made where the file system says so,
/// for a new folder often gets the inode of the one just removed.
type Identity = (u64, u64, Option<SystemTime>);

fn identify(path: &Path) -> Option<Identity> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.created().ok()))
}

async fn wait_for_hangups(wanted: mpsc::Sender<()>) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(why) => {
            tracing::warn!(%why, "SIGHUP is not heard");
            return std::future::pending().await;
        }
    };
    while hangups.recv().await.is_some() {
        want(&wanted);
    }
}
