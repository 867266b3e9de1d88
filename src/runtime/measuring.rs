//! Round-trip times on their way to the controller, and tables on their way into the folder. Decides nothing.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::control::Event;
use crate::control::round_trips::MadeTable;
use crate::control::round_trips::Measurement;
use crate::control::round_trips::TableJob;
use crate::runtime::rtt_folder;

/// Posts and rounds of measurements that wait for the controller, at most.
const MEASURED_MAX: usize = 256;

/// Where the controller gets measurements, and tables that workers made.
pub struct Measuring {
    measured: mpsc::Receiver<Vec<Measurement>>,
    measured_sender: mpsc::Sender<Vec<Measurement>>,
    tables: mpsc::Receiver<Option<MadeTable>>,
    tables_sender: mpsc::Sender<Option<MadeTable>>,
}

impl Default for Measuring {
    fn default() -> Self {
        let (measured_sender, measured) = mpsc::channel(MEASURED_MAX);
        let (tables_sender, tables) = mpsc::channel(1);
        Self { measured, measured_sender, tables, tables_sender }
    }
}

impl Measuring {
    /// Where measurements go.
    pub fn sender(&self) -> mpsc::Sender<Vec<Measurement>> {
        self.measured_sender.clone()
    }

    /// What comes next. Nothing is lost if the caller stops waiting.
    pub async fn next(&mut self) -> Event {
        // It has a sender of each itself, so that neither ends.
        tokio::select! {
            Some(measured) = self.measured.recv() => Event::Measured(measured),
            Some(made) = self.tables.recv() => Event::TableMade(made),
            else => std::future::pending().await,
        }
    }

    /// Makes a table on a worker thread.
    pub fn make(&self, job: Arc<TableJob>) {
        let tables = self.tables_sender.clone();
        tokio::spawn(async move {
            let made = tokio::task::spawn_blocking(move || job.run()).await.map_err(|why| {
                tracing::error!(
                    target: "rhumb::rtt", reason = %why,
                    "making a table panicked; this is a bug of ours"
                );
            });
            let _ = tables.send(made.ok()).await;
        });
    }
}

/// Writes a table on a thread, takes out what is old, and has the folder read.
pub fn write(
    folder: Option<PathBuf>,
    (name, text): (String, String),
    superfluous: Vec<Box<str>>,
    changes: mpsc::Sender<()>,
) {
    let Some(folder) = folder else { return };
    tokio::task::spawn_blocking(move || {
        rtt_folder::put(&folder, &name, &text, &superfluous);
        // A full channel means that a reading is due anyway.
        let _ = changes.try_send(());
    });
}
