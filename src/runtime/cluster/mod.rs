//! Carries values between nodes: keys on disk, TLS, connections, and who writes what to whom when.
//!
//! Does not know what the values mean, nor who is alive: `control` judges both by what it hears.

mod accept;
mod anchors;
mod connection;
mod core;
pub mod counters;
mod dial;
mod failure;
mod faults;
mod generation;
pub mod hook;
pub mod key;
mod links;
mod mailbox;
mod metered;
mod nats;
mod outbox;
mod own;
mod pieces;
pub(in crate::runtime) mod shown;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::rand::SystemRandom;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::Manifest;
use crate::cluster::Membership;
use crate::cluster::NodeName;
use crate::cluster::PieceId;
use crate::cluster::Pin;
use crate::cluster::Role;
use crate::cluster::Say;
use crate::cluster::Sealed;
use crate::control::cluster::status::BusStatus;
use crate::control::cluster::withdrawal::HookReport;
use crate::control::cluster::withdrawal::Presence;
use crate::model::Anchors;
use crate::model::ClusterTerms;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::core::Live;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::failure::Failure;
use crate::runtime::cluster::hook::Runs;
use crate::runtime::cluster::key::KeyError;
use crate::runtime::cluster::key::NodeKey;
use crate::runtime::cluster::key::pin_of;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::NatsError;
pub use crate::runtime::cluster::pieces::Fetching;
pub use crate::runtime::cluster::pieces::Pieces;
use crate::runtime::node_file::NodeFile;

/// Carries what this node says to all others; what they say comes by a channel of [`Heard`].
///
/// Gossip over our connections is one, NATS another; a simulation has its own. Which one carries is decided at the start.
pub trait Engine: Send + Sync {
    /// Says something: the last payload of a topic wins. Never waits.
    fn say(&self, say: Say);

    /// Gets a piece of a bundle or a table from whoever has it and can be reached. Ends within a minute; what comes has the
    /// digest that was asked for. One piece at a time is asked for by each caller: that is what bounds memory and speed.
    fn fetch(&self, piece: PieceId) -> Fetching;

    /// Gives these pieces from now on to every member that asks.
    fn give(&self, pieces: Arc<dyn Pieces>);
}

/// Why a node does not take its place in the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Its key is missing or wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its address is taken.
    #[error("[cluster] listen: {address} cannot be bound: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Its key is pinned for another node.
    #[error(
        "[cluster] key: this is the key of peer {0}: make one of its own with rhumb cluster keygen"
    )]
    NotOwn(NodeName),
    /// TLS cannot be set up.
    #[error("[cluster] key: TLS cannot use it: {0}")]
    Tls(#[from] rustls::Error),
    /// The bus cannot be told who this node is.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// A worker thread failed.
    #[error("[cluster]: {0}")]
    Worker(#[from] std::io::Error),
}

/// What a node needs to take its place.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What its file says; paths are whole.
    pub terms: ClusterTerms,
    /// Folder of state, if there is one.
    pub folder: Option<PathBuf>,
}

/// A peer, as this node sees it over its own connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Which node.
    pub node: NodeName,
    /// Its life; `None` without a connection.
    pub generation: Option<Generation>,
    /// There and back, if that was measured.
    pub round_trip: Option<Duration>,
    /// Who dialled.
    pub dialler: Option<NodeName>,
}

/// This node's place in the cluster. Its tasks run for as long as whoever supervises them lets them.
#[derive(Clone)]
pub struct Cluster {
    core: Arc<Core>,
    listener: Option<Arc<TcpListener>>,
    /// What carries values instead of connections with peers.
    bus: Option<Arc<Bus>>,
    anchors: watch::Sender<Anchors>,
    hook: Hook,
}

/// What the hook is asked for, and what came of it.
#[derive(Clone)]
struct Hook {
    orders: watch::Sender<Option<Presence>>,
    reports: watch::Sender<Option<HookReport>>,
    runs: Arc<Runs>,
}

impl Default for Hook {
    fn default() -> Self {
        let (orders, reports) = (watch::channel(None).0, watch::channel(None).0);
        Self { orders, reports, runs: Arc::default() }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({}, {})", self.core.node, self.core.generation)
    }
}

/// A long task of the cluster: its name, and what makes it.
pub type Task = (&'static str, Box<dyn FnMut() -> Life + Send>);

/// One life of a long task.
pub type Life = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Cluster {
    /// Reads the key and binds the address.
    pub async fn bind(settings: Settings) -> Result<Self, ClusterError> {
        let Settings { terms, folder } = settings;
        let listen = terms.listen;
        let prepared = tokio::task::spawn_blocking(move || {
            terms.nats.as_ref().map(nats::check).transpose()?;
            Ok::<_, ClusterError>((make_live(terms)?, generation::begin(folder.as_deref())))
        });
        let (live, generation) = prepared.await.map_err(std::io::Error::other)??;
        let listener = match listen {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(Arc::new(bound.map_err(|source| ClusterError::Bind { address, source })?))
            }
            None => None,
        };
        let (anchors, _) = watch::channel(Anchors::Unset);
        let nats = live.terms.nats.clone();
        let core = Arc::new(Core::new(live, generation));
        let bus = nats.map(|terms| Arc::new(Bus::new(terms, &core)));
        Ok(Self { core, listener, bus, anchors, hook: Hook::default() })
    }

    /// How this node stands with the bus, if a bus carries what nodes say.
    pub fn bus(&self) -> Option<BusStatus> {
        self.bus.as_ref().map(|bus| bus.status())
    }

    /// What is wrong with what this node says, in words.
    pub fn faults(&self) -> Vec<String> {
        self.core.faults.texts(self.core.generation)
    }

    /// Where other nodes dial this one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// This node's life.
    pub fn generation(&self) -> Generation {
        self.core.generation
    }

    /// What is in force: peers and key of the last reload that was right, the rest as it was at the start.
    pub fn terms(&self) -> ClusterTerms {
        self.core.live().terms.clone()
    }

    /// This node's pin.
    pub fn pin(&self) -> Pin {
        self.core.live().key.pin
    }

    /// Whether this node's own network works, as its anchors tell.
    pub fn anchors(&self) -> watch::Receiver<Anchors> {
        self.anchors.subscribe()
    }

    /// Asks the hook for something.
    pub fn ask_hook(&self, presence: Presence) {
        self.hook.orders.send_replace(Some(presence));
    }

    /// How the hook ended.
    pub fn hook_reports(&self) -> watch::Receiver<Option<HookReport>> {
        self.hook.reports.subscribe()
    }

    /// How often the hook was run.
    pub fn hook_runs(&self) -> &Runs {
        &self.hook.runs
    }

    /// What it counts.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.core.counters
    }

    /// Every peer, connected or not.
    pub fn peers(&self) -> Vec<PeerState> {
        let links: BTreeMap<_, _> =
            self.core.links.all().into_iter().map(|link| (link.node.clone(), link)).collect();
        let live = self.core.live();
        let state = |node: &NodeName| {
            let link = links.get(node);
            PeerState {
                node: node.clone(),
                generation: link.map(|link| link.generation),
                round_trip: link.and_then(|link| link.round_trip()),
                dialler: link.map(|link| link.dialler.clone()),
            }
        };
        live.members.peers().map(|(node, _)| state(node)).collect()
    }

    /// The tasks that make it live, for a supervisor. What is heard goes to `heard`.
    pub fn tasks(&self, heard: mpsc::Sender<Heard>) -> Vec<Task> {
        let core = &self.core;
        let mut tasks = match &self.bus {
            Some(bus) => vec![self.bus_task(bus)],
            None => self.link_tasks(),
        };
        let (anchors, told) = (core.live().terms.anchors.clone(), self.anchors.clone());
        let make = move || -> Life { Box::pin(anchors::run(anchors.clone(), told.clone())) };
        tasks.push(("anchors", Box::new(make)));
        let (command, hook) = (core.live().terms.withdraw.clone(), self.hook.clone());
        let make = move || -> Life {
            let (command, Hook { orders, reports, runs }) = (command.clone(), hook.clone());
            Box::pin(async move { hook::run(command, orders.subscribe(), reports, &runs).await })
        };
        tasks.push(("withdrawal hook", Box::new(make)));
        let shared = Arc::clone(core);
        let make = move || -> Life {
            let (core, heard) = (Arc::clone(&shared), heard.clone());
            Box::pin(async move { core.mailbox.hand_on(&heard).await })
        };
        tasks.push(("cluster hearing", Box::new(make)));
        tasks
    }

    /// What carries values over a bus.
    fn bus_task(&self, bus: &Arc<Bus>) -> Task {
        let (core, bus) = (Arc::clone(&self.core), Arc::clone(bus));
        let make = move || -> Life { Box::pin(nats::run(Arc::clone(&core), Arc::clone(&bus))) };
        ("bus", Box::new(make))
    }

    /// What carries values over connections with peers.
    fn link_tasks(&self) -> Vec<Task> {
        let core = &self.core;
        let mut tasks: Vec<Task> = Vec::new();
        if let Some(listener) = &self.listener {
            let (core, listener) = (Arc::clone(core), Arc::clone(listener));
            let make = move || -> Life {
                Box::pin(accept::serve(Arc::clone(&core), Arc::clone(&listener)))
            };
            tasks.push(("cluster doors", Box::new(make)));
        }
        let shared = Arc::clone(core);
        let make = move || -> Life { Box::pin(dial::run(Arc::clone(&shared))) };
        tasks.push(("cluster dialling", Box::new(make)));
        let shared = Arc::clone(core);
        let make = move || -> Life { Box::pin(speak(Arc::clone(&shared))) };
        tasks.push(("cluster speech", Box::new(make)));
        tasks
    }

    /// Signs a manifest as this node.
    pub fn seal(&self, manifest: Manifest) -> Sealed {
        let live = self.core.live();
        Sealed::new(manifest, self.core.cluster(), &self.core.node, &live.key.signing)
    }

    /// Whether a server of the cluster has signed a manifest, by a key that is pinned here now.
    pub fn is_sealed(&self, sealed: &Sealed) -> bool {
        let live = self.core.live();
        let signer = live.members.find(&sealed.by).filter(|signer| signer.role == Role::Server);
        signer.is_some_and(|signer| sealed.is_signed_by(self.core.cluster(), &signer.pins))
    }

    /// Follows the node's file when it is read again. What is wrong with it is told where it is compared, and what was
    /// in force stays. Blocks.
    pub fn follow_file(&self, file: &NodeFile) {
        let Some(terms) = file.find_cluster() else { return };
        if let Err(error) = self.follow(&terms) {
            tracing::error!(
                target: "rhumb::cluster", %error,
                "peers and key of the file are refused, the ones before stay in force"
            );
        }
    }

    /// Puts other peers and the key of now in force, as the file says them at a reload. What else has changed in the
    /// table counts at the next start. Blocks.
    pub fn follow(&self, terms: &ClusterTerms) -> Result<(), ClusterError> {
        let now = self.core.live();
        let terms = ClusterTerms {
            key: terms.key.clone(),
            peers: terms.peers.clone(),
            ..now.terms.clone()
        };
        let live = make_live(terms)?;
        if live.members == now.members && live.terms == now.terms {
            return Ok(());
        }
        let (peers, pin) = (live.terms.peers.len(), live.key.pin);
        self.core.follow(live);
        tracing::info!(target: "rhumb::cluster", peers, %pin, "other members or another key are in force");
        Ok(())
    }
}

impl Engine for Cluster {
    fn say(&self, say: Say) {
        let (role, topic) = (self.core.role, say.topic);
        if role == Role::Agent && !topic.is_for_agents() {
            // Others would refuse it, and what was said after it with it.
            tracing::error!(target: "rhumb::cluster", %topic, "an agent may not say this; it is not said");
            return;
        }
        self.core.to_say.put(say);
    }

    fn fetch(&self, piece: PieceId) -> Fetching {
        let core = Arc::clone(&self.core);
        match self.bus.clone() {
            Some(bus) => Box::pin(async move { nats::fetch(&core, &bus, piece).await }),
            None => {
                Box::pin(
                    async move { core.exchange.fetch(&core.links, &core.counters, piece).await },
                )
            }
        }
    }

    fn give(&self, pieces: Arc<dyn Pieces>) {
        self.core.exchange.give(pieces);
    }
}

/// Reads the key that the terms name.
fn make_live(terms: ClusterTerms) -> Result<Live, ClusterError> {
    let key = NodeKey::read(&terms.key)?;
    let live = Live::new(terms, key)?;
    match live.members.find_peer(&live.key.pin) {
        Some(peer) => Err(ClusterError::NotOwn(peer.clone())),
        None => Ok(live),
    }
}

/// Says what is to be said, when it may be said.
async fn speak(core: Arc<Core>) {
    let mut written = BTreeMap::new();
    loop {
        core.to_say.next(&mut written).await.iter().for_each(|say| core.say(say));
    }
}

/// Which member TLS has shown.
fn tls_peer(
    members: &Membership,
    connection: &rustls::CommonState,
) -> Result<(Pin, NodeName), Failure> {
    if connection.alpn_protocol() != Some(crate::cluster::frame::PROTOCOL) {
        return Err(Failure::OtherVersion);
    }
    let public = connection.peer_certificates().and_then(|shown| shown.first());
    let pin = public.and_then(|public| pin_of(public)).ok_or(Failure::NotKnownHere)?;
    let node = members.find_peer(&pin).ok_or(Failure::NotKnownHere)?;
    Ok((pin, node.clone()))
}

/// A number that nobody can foresee.
fn chance() -> u64 {
    let mut octets = [0; 8];
    // Without randomness the system could do no TLS either; then any number will do.
    let _ = SystemRandom::new().fill(&mut octets);
    u64::from_ne_bytes(octets)
}
