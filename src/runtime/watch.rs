//! Says when files may have changed: a folder's contents, or SIGHUP.

use std::path::PathBuf;
use std::time::Duration;

use notify::RecursiveMode;
use notify_debouncer_full::DebounceEventResult;
use notify_debouncer_full::new_debouncer;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

/// How long files must be left alone before they are read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// Calls for a reading on each SIGHUP and after each change in `folders`, until dropped.
pub async fn watch(folders: Vec<PathBuf>, wanted: mpsc::Sender<()>) {
    let changed = wanted.clone();
    let debouncer = new_debouncer(QUIET, None, move |result: DebounceEventResult| {
        let is_change = |events: Vec<notify_debouncer_full::DebouncedEvent>| {
            events.iter().any(|event| !matches!(event.kind, notify::EventKind::Access(_)))
        };
        if result.is_ok_and(is_change) {
            // A full channel means that a reading is due anyway.
            let _ = changed.try_send(());
        }
    });
    let mut debouncer = match debouncer {
        Ok(debouncer) => debouncer,
        Err(why) => {
            tracing::warn!(%why, "folders are not watched; reload with SIGHUP");
            return wait_for_hangups(wanted).await;
        }
    };
    for folder in &folders {
        if let Err(why) = debouncer.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %folder.display(), %why, "this folder is not watched; reload with SIGHUP");
        }
    }
    wait_for_hangups(wanted).await;
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
        let _ = wanted.try_send(());
    }
}
