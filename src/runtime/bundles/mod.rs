//! Bundles of files and tables on this node: on disk, on their way between nodes, and from an operator's terminal.
//!
//! Decides nothing: what counts and when is the controller's (`control::cluster::bundles`).

mod depot;
pub mod kept;
pub mod pack;
mod porter;

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64;
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::cluster::PieceId;
use crate::cluster::piece::Index;
use crate::control::Command;
use crate::control::Event;
use crate::control::Reply;
use crate::control::cluster::bundles::BundleNews;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::bundles::Memory;
use crate::runtime::bundles::depot::Depot;
use crate::runtime::bundles::porter::Order;
use crate::runtime::bundles::porter::Porter;
use crate::runtime::cluster::Cluster;
use crate::runtime::cluster::Engine;
use crate::runtime::cluster::Life;
use crate::runtime::control_loop::Core;
use crate::runtime::files::Sources;
use crate::runtime::inbox::Reading;
use crate::runtime::serve::Options;
use crate::runtime::supervise::supervise;

/// What waits for the porter, at most: the controller says little, and seldom.
const ORDERS_MAX: usize = 256;

/// News that wait for the controller, at most.
const NEWS_MAX: usize = 64;

/// What was kept, read before anything is served.
pub struct Opened {
    folder: PathBuf,
    depot: Arc<Depot>,
    /// Where this node's own files are.
    own: Sources,
    memory: Memory,
}

/// Opens what was kept, if this node takes bundles; `options` then name the files that count.
pub async fn open(options: &mut Options) -> Result<Option<Opened>, std::io::Error> {
    let takes = options.cluster.as_ref().is_some_and(|cluster| cluster.terms.bundles);
    let Some(state) = options.state.as_ref().filter(|_| takes) else { return Ok(None) };
    let folder = kept::folder_in(&state.folder);
    let own = options.sources.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let depot = Depot::open(&folder)?;
        let (memory, files) = kept::open(&folder, &depot, kept::now_ms());
        Ok::<_, std::io::Error>((folder, depot, memory, files))
    });
    let (folder, depot, memory, files) = opened.await.map_err(std::io::Error::other)??;
    if let Some(files) = files {
        options.sources = own.in_bundle(&files);
    }
    Ok(Some(Opened { folder, depot: Arc::new(depot), own, memory }))
}

impl Opened {
    /// What the controller is to know.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }
}

/// Where the control loop hands deeds on and hears what came of them.
pub struct Desk {
    folder: PathBuf,
    depot: Arc<Depot>,
    own: Sources,
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<BundleNews>,
}

impl Desk {
    /// Puts it together, with the task that does the work.
    pub fn start(
        opened: Opened,
        cluster: &Cluster,
        changes: mpsc::Sender<()>,
        count: impl Fn(&'static str) + Send + 'static,
        stop: tokio_util::sync::CancellationToken,
    ) -> (Self, Life) {
        let Opened { folder, depot, own, memory: _ } = opened;
        let (orders, inlet) = mpsc::channel(ORDERS_MAX);
        let (sender, news) = mpsc::channel(NEWS_MAX);
        cluster.give(Arc::<Depot>::clone(&depot));
        let porter = Porter {
            folder: folder.clone(),
            depot: Arc::clone(&depot),
            cluster: cluster.clone(),
            own: own.clone(),
            news: sender,
            changes,
        };
        let inlet = Arc::new(Mutex::new(inlet));
        let run = move || porter.clone().run(Arc::clone(&inlet));
        let task = Box::pin(supervise("bundles", stop, count, run));
        // Tables that are there already.
        let _ = orders.try_send(Order::Scan);
        (Self { folder, depot, own, orders, news }, task)
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::error!(target: "rhumb::cluster", "too much waits to be done with bundles; this is a bug of ours");
        }
    }
}

/// What comes next of bundles; nothing without them.
pub(super) async fn next(desk: &mut Option<Desk>) -> Event {
    match desk {
        Some(desk) => match desk.news.recv().await {
            Some(news) => Event::Bundle(news),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

impl Core {
    /// Does what the controller says of bundles.
    pub(super) fn do_deed(&mut self, deed: Deed) {
        let Some(desk) = &self.bundles else { return };
        match deed {
            Deed::Read(parcel) => self.read_from(parcel.as_ref()),
            deed => desk.order(Order::Deed(deed)),
        }
    }

    /// Reads files from there from now on; what is being read from elsewhere counts no more.
    fn read_from(&mut self, parcel: Option<&PieceId>) {
        let Some(desk) = &self.bundles else { return };
        self.sources = match parcel {
            Some(parcel) => desk.own.in_bundle(&kept::files_folder(&desk.folder, parcel)),
            None => desk.own.clone(),
        };
        self.folders.send_replace(self.sources.folders());
        if self.reading == Reading::Idle {
            self.read_files();
        } else {
            self.reading = Reading::BusyAndStale;
        }
    }

    /// Looks which tables there are to be handed to others: after a reading.
    pub(super) fn scan_tables(&self) {
        if let Some(desk) = self.bundles.as_ref().filter(|desk| desk.own.rtt.is_some()) {
            desk.order(Order::Scan);
        }
    }

    /// Takes in files that an operator pushes; gives back what is no such command.
    pub(super) fn take_upload(
        &self,
        command: Command,
        reply: oneshot::Sender<Reply>,
    ) -> Option<(Command, oneshot::Sender<Reply>)> {
        let Some(desk) = &self.bundles else { return Some((command, reply)) };
        let depot = Arc::clone(&desk.depot);
        let work: Box<dyn FnOnce() -> Result<String, String> + Send> = match command {
            Command::Parcel { index } => Box::new(move || begin(&depot, &index)),
            Command::Piece { parcel, position, content } => {
                Box::new(move || put(&depot, &parcel, position, &content))
            }
            other => return Some((other, reply)),
        };
        tokio::task::spawn_blocking(move || {
            // Whoever asked may have gone.
            let _ = reply.send(match work() {
                Ok(text) => Reply::Done { text },
                Err(error) => Reply::failed(error),
            });
        });
        None
    }
}

fn begin(depot: &Depot, index: &str) -> Result<String, String> {
    let octets = BASE64.decode(index.as_bytes()).map_err(|why| why.to_string())?;
    let index = Index::read(&octets).ok_or("this is no index of files")?;
    depot.note_push(index.id());
    let lacking = depot
        .begin(&index)
        .map_err(|why| format!("the disk of this node does not take it: {why}"))?;
    Ok(lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

fn put(depot: &Depot, parcel: &PieceId, position: usize, content: &str) -> Result<String, String> {
    let octets = BASE64.decode(content.as_bytes()).map_err(|why| why.to_string())?;
    let put = depot.put(parcel, position, &octets);
    put.map_err(|why| format!("the disk of this node does not take it: {why}"))?;
    Ok(String::new())
}
