//! Keeps state on disk: a thread that writes what the control loop tells it, and the way to read it.
//!
//! Nobody waits for the disk but who asks to: the loop puts entries into a queue and goes on. While the disk does not take
//! them they become one in memory, an alarm is up, and it is tried again.

mod content;
mod fault;
mod figures;
mod load;
mod overlay;
mod past;
mod queue;
mod retention;
mod row;
pub mod start;
mod store;
mod writer;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::sync::oneshot;

use crate::control::DiskNews;
use crate::control::Restored;
use crate::control::order::instant;
use crate::control::status::StateStatus;
use crate::control::stored::Entry;
use crate::control::stored::Kept;
use crate::rtt::Table;

pub use fault::Fault;
pub use figures::Figures;
pub use past::Page;
pub use past::Then;
pub use past::Wanted;
pub use queue::Saved;
pub use retention::Retention;
pub use store::FILE_NAME;
pub use store::Reading;
pub use store::Store;

use queue::Queue;
use writer::Writer;

/// Where state is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder.
    pub folder: PathBuf,
    /// How much history.
    pub retention: Retention,
}

/// State on disk. Dropping it writes what waits, once, and ends the thread.
pub struct State {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and everybody else see.
struct Shared {
    settings: Settings,
    open: Opener,
    queue: Queue,
    /// The file while it is open.
    store: Mutex<Option<Store>>,
    /// Why nothing is written, and since when; and what else to tell.
    alarm: Mutex<Alarm>,
    /// Batches that were written.
    commits: AtomicU64,
    /// Octets of history and files behind it.
    octets: AtomicU64,
    /// The next entry has to have everything.
    wants_all: AtomicBool,
}

/// What is wrong.
#[derive(Clone, Debug, Default)]
struct Alarm {
    fault: Option<(String, Duration)>,
    /// Something that went wrong and is over.
    note: Option<String>,
    /// What of that nobody has asked for yet.
    news: Vec<DiskNews>,
}

/// How the file is opened: in tests on disks that do what disks do.
pub type Opener = Box<dyn Fn(&Path) -> Result<Store, Fault> + Send + Sync>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl State {
    /// Opens the file and reads what was kept; then starts the thread. Blocks.
    ///
    /// Only a file that another process uses is an error: with any other fault the server serves, and an alarm is up.
    pub fn start(settings: Settings) -> Result<(Self, Restored), Fault> {
        Self::start_with(settings, Box::new(Store::open))
    }

    /// The same with another way to open the file.
    pub fn start_with(settings: Settings, open: Opener) -> Result<(Self, Restored), Fault> {
        let shared = Arc::new(Shared {
            settings,
            open,
            queue: Queue::default(),
            store: Mutex::default(),
            alarm: Mutex::default(),
            commits: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            wants_all: AtomicBool::new(false),
        });
        let mut writer = Writer::new(Arc::clone(&shared));
        let restored = writer.open_first()?;
        let thread =
            std::thread::Builder::new().name("state".into()).spawn(move || writer.keep_running());
        let thread = thread.map_err(|why| Fault::system(&why))?;
        Ok((Self { shared, thread: Some(thread) }, restored))
    }

    /// Has an entry written, soon. Never waits.
    pub fn persist(&self, entry: Entry) {
        self.shared.queue.push(entry);
    }

    /// Has kept what is served from the next entry on.
    pub fn keep(&self, kept: Box<Kept>) {
        self.shared.queue.keep(kept);
    }

    /// Has kept what was learnt of round-trip times, in place of what was kept before.
    pub fn keep_table(&self, table: Arc<Table>) {
        self.shared.queue.keep_table(table);
    }

    /// Tells when everything is on disk that was given so far, or why it is not.
    pub fn saved(&self) -> oneshot::Receiver<Saved> {
        self.shared.queue.wait()
    }

    /// Whether everything has to be given once more; asking takes it back.
    pub fn take_wants_all(&self) -> bool {
        self.shared.wants_all.swap(false, Relaxed)
    }

    /// What has happened to the disk since the last time this was asked.
    pub fn take_news(&self) -> Vec<DiskNews> {
        std::mem::take(&mut lock(&self.shared.alarm).news)
    }

    /// The way to read it.
    pub fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared) }
    }

    /// How it stands, for people.
    pub fn status(&self) -> StateStatus {
        let Alarm { fault, note, news: _ } = lock(&self.shared.alarm).clone();
        StateStatus {
            folder: Some(self.shared.settings.folder.display().to_string()),
            fault: fault.as_ref().map(|(why, _)| why.clone()),
            since: fault.map(|(_, since)| instant(since)),
            note,
        }
    }

    /// How it stands, for metrics.
    pub fn figures(&self) -> Figures {
        self.shared.figures()
    }

    /// Writes what waits, once, and ends the thread. Blocks.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.queue.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of it was logged by the hook.
            let _ = thread.join();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn figures(&self) -> Figures {
        Figures {
            is_faulty: lock(&self.alarm).fault.is_some(),
            commits: self.commits.load(Relaxed),
            octets: self.octets.load(Relaxed),
            waiting: self.queue.len() as u64,
        }
    }
}

/// Reads the file beside the thread that writes it.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").field(&self.shared.settings.folder).finish()
    }
}

impl Reader {
    /// The file as it is now. Blocks.
    pub fn read(&self) -> Result<Reading, String> {
        let store = lock(&self.shared.store).clone();
        let why = || lock(&self.shared.alarm).fault.clone().map(|(why, _)| why);
        let store = store.ok_or_else(|| {
            let why = why().unwrap_or_else(|| "it is not open".into());
            format!("the history cannot be read: {why}")
        })?;
        store.reader().map_err(|why| format!("the history cannot be read: {why}"))
    }

    /// Numbers for metrics.
    pub fn figures(&self) -> Figures {
        self.shared.figures()
    }
}

/// Reads the file of a server that does not run.
pub fn read_folder(folder: &Path) -> Result<Reading, String> {
    let open = || Reading::open(folder);
    let opened = writer::guarded(open).unwrap_or_else(|why| Err(Fault::Damaged(why)));
    opened.map_err(|why| format!("{}: {why}", folder.join(FILE_NAME).display()))
}
