//! Puts the server together: files, sockets, threads, tasks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch::channel as watch_channel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::answer::Transport;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Event;
use crate::control::Job;
use crate::control::cluster::bundles::Memory;
use crate::control::rejection::Rejection;
use crate::control::round_trips::Making;
use crate::model::Anchors;
use crate::model::Encrypted;
use crate::model::ResolverSettings;
use crate::model::Rtt;
use crate::runtime::admin;
use crate::runtime::answerer::Answerer;
use crate::runtime::beacons::BeaconDesk;
use crate::runtime::beacons::Token;
use crate::runtime::bundles;
use crate::runtime::bundles::Desk;
use crate::runtime::bundles::Opened;
use crate::runtime::cluster;
use crate::runtime::cluster::Cluster;
use crate::runtime::control_loop;
use crate::runtime::control_loop::COMMANDS_MAX;
use crate::runtime::control_loop::Core;
use crate::runtime::control_loop::clocks;
use crate::runtime::control_socket;
use crate::runtime::control_socket::SocketFile;
use crate::runtime::discover::Discoverer;
use crate::runtime::encrypted::EncryptedSockets;
use crate::runtime::files::Sources;
use crate::runtime::inbox::Asked;
use crate::runtime::inbox::Inbox;
use crate::runtime::inbox::Reading;
use crate::runtime::last_results::LastResults;
use crate::runtime::long_tasks::Supervisor;
use crate::runtime::metrics::Metrics;
use crate::runtime::node_file::NodeFile;
use crate::runtime::probe::Limits;
use crate::runtime::probe::Prober;
use crate::runtime::probe::Terms;
use crate::runtime::probe::install_crypto;
use crate::runtime::publish::Publisher;
use crate::runtime::resolve::NameResolver;
use crate::runtime::service_manager::ServiceManager;
use crate::runtime::showing::News;
pub use crate::runtime::start_error::StartError;
use crate::runtime::state::Settings;
use crate::runtime::state::State;
use crate::runtime::state::start;
use crate::runtime::tcp::TcpLimits;
use crate::runtime::tcp::TcpSockets;
use crate::runtime::token;
use crate::runtime::udp::UdpServer;
use crate::runtime::udp::UdpSockets;
use crate::runtime::waiters::Waiters;
use crate::runtime::watch;

/// Probe results that wait for the controller, at most.
const REPORTS_MAX: usize = 4096;

/// How long a stop waits for clients that neither go on nor go.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What a server needs to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it answers, by UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Where it answers behind a certificate; nowhere if `None`.
    pub encrypted: Option<Encrypted>,
    /// UDP workers an address; 0 for one a core.
    pub workers: usize,
    /// Files to serve.
    pub sources: Sources,
    /// Where metrics and health pages are; none if `None`.
    pub admin: Option<SocketAddr>,
    /// What is measured and made of round-trip times; nothing if `None`.
    pub rtt: Option<Rtt>,
    /// Site of this node: what its clients' handshakes are measured to.
    pub site: Option<Box<str>>,
    /// This node's place among others; it stands alone if `None`.
    pub cluster: Option<cluster::Settings>,
    /// Where state is kept; nowhere if `None`.
    pub state: Option<Settings>,
    /// Control socket; none if `None`.
    pub socket: Option<PathBuf>,
    /// Whether to read files again when they change.
    pub watch: bool,
    /// What TCP clients may take.
    pub tcp: TcpLimits,
    /// What probes may take.
    pub probe: Limits,
    /// How names of endpoints are resolved.
    pub resolver: ResolverSettings,
    /// The file of the node's settings, to tell when it is no longer what is in force.
    pub node_file: Option<NodeFile>,
    /// Whoever started us and wants to know how we fare.
    pub manager: ServiceManager,
}

/// A running server. Dropping it stops it.
pub struct Server {
    udp: UdpServer,
    encrypted: Vec<(Transport, SocketAddr)>,
    admin: Option<SocketAddr>,
    posted: Option<SocketAddr>,
    socket: Option<SocketFile>,
    commands: mpsc::Sender<Asked>,
    metrics: Arc<Metrics>,
    stop: DropGuard,
    tasks: TaskTracker,
    manager: ServiceManager,
    state: Option<Arc<State>>,
    cluster: Option<Cluster>,
}

impl Server {
    /// Reads the files, binds the addresses, starts probing and answering.
    pub async fn start(mut options: Options) -> Result<Self, StartError> {
        install_crypto();
        let start = Instant::now();
        let opened = bundles::open(&mut options).await.map_err(StartError::Bundles)?;
        let sources = options.sources.clone();
        let job = tokio::task::spawn_blocking(move || sources.read())
            .await
            .map_err(std::io::Error::other)?;
        // Addresses before anything else that is seen outside: a second server must fail without a trace.
        let udp = UdpSockets::bind(&options.listen, options.workers)?;
        let tcp = TcpSockets::bind(&udp.local_addrs())?;
        let encrypted = bind_encrypted(options.encrypted.clone()).await?;
        let cluster = bind_cluster(options.cluster.clone()).await?;
        let socket = options.socket.as_deref().map(control_socket::bind).transpose()?;
        let (socket, socket_file) = socket.unzip();
        let pages = bind_pages("admin", options.admin).await?;
        let own = options.rtt.as_ref().filter(|rtt| rtt.build).and_then(|rtt| rtt.listen);
        let posts = bind_pages("posts", own).await?;
        let token = token::read(options.rtt.as_ref())?;
        let metrics = Arc::new(Metrics::default());
        let stop = CancellationToken::new();
        // From here on whatever fails stops what has begun.
        let guard = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let memory = opened.as_ref().map(Opened::memory).unwrap_or_default();
        let kept = Kept { job, memory };
        let mut core = first_core(kept, &options, start, inbox, Arc::clone(&metrics)).await?;
        if let Some(cluster) = &cluster {
            core.join(cluster);
        }
        if let (Some(cluster), Some(opened)) = (&cluster, opened) {
            let restarts = Arc::clone(&metrics);
            let count = move |task: &'static str| restarts.count_restart(task);
            let (desk, task) =
                Desk::start(opened, cluster, core.inbox.changes_sender(), count, stop.clone());
            core.bundles = Some(desk);
            tasks.spawn(task);
        }
        let answerer = Answerer::new(core.publisher.published(), Arc::clone(&metrics));
        let measured = core.inbox.measuring.sender();
        let desk = beacon_desk(&options, token, &core, &metrics);
        let board = Arc::clone(core.prober.board());
        let changes = core.inbox.changes_sender();
        let folders = core.folders.subscribe();
        let state = core.state.clone();
        state.iter().for_each(|state| metrics.set_kept(state.reader()));
        let reloads = Arc::clone(&core.inbox.reloads);
        let heard = core.inbox.heard_sender();
        let core = Arc::new(Mutex::new(Some(core)));
        let supervisor =
            Supervisor { metrics: Arc::clone(&metrics), stop: stop.clone(), tasks: tasks.clone() };
        if let Some(cluster) = &cluster {
            supervisor.run_cluster(cluster, &heard);
        }
        supervisor.run("control", move || control_loop::run(Arc::clone(&core)));
        if let Some(listener) = socket {
            supervisor.run_control_socket(Arc::new(listener), commands.clone());
        }
        let [admin, posted] = [&pages, &posts].map(|listener| listener.as_ref()?.local_addr().ok());
        // What has an address of its own is not on that of the pages, too.
        let desk = match (posts, desk) {
            (Some(listener), Some(desk)) => {
                supervisor.run_posts(Arc::new(listener), desk);
                None
            }
            (_, desk) => desk,
        };
        if let Some(listener) = pages {
            supervisor.run_pages(Arc::new(listener), desk, board);
        }
        let limits = options.tcp.of_encrypted();
        let encrypted = match encrypted {
            Some(sockets) => serve_encrypted(sockets, limits, &answerer, &supervisor, reloads)?,
            None => Vec::new(),
        };
        let handshakes = supervisor.measure_handshakes(&options, measured);
        let tcp = tcp.serve_measured(answerer.clone(), options.tcp, handshakes)?;
        let udp = udp.start(answerer)?;
        metrics.set_engines(udp.counters(), tcp.counters());
        let restarts = Arc::clone(&metrics);
        let count = move |task: &'static str| restarts.count_restart(task);
        tasks.spawn(tcp.run(stop.clone(), count));
        let manager = options.manager;
        manager.say_ready();
        // Last, for the first look at the folders is a reload already.
        if options.watch {
            supervisor.run("watch", move || watch::watch(folders.clone(), changes.clone()));
        }
        Ok(Self {
            udp,
            encrypted,
            admin,
            posted,
            socket: socket_file,
            commands,
            metrics,
            stop: guard,
            tasks,
            manager,
            state,
            cluster,
        })
    }

    /// Where it answers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.udp.local_addrs()
    }

    /// Where it answers behind a certificate.
    pub fn encrypted_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.encrypted
    }

    /// Where its pages are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where round-trip times alone are posted, if that is an address of its own.
    pub fn posts_address(&self) -> Option<SocketAddr> {
        self.posted
    }

    /// Where commands go.
    pub fn commands(&self) -> &mpsc::Sender<Asked> {
        &self.commands
    }

    /// Its place among other nodes, if it has one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Its counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Stops answering and waits for everything to end, at most [`STOP_MAX`].
    pub async fn stop(self) {
        let Self { udp, stop, tasks, socket, manager, state, encrypted: _, .. } = self;
        manager.say_stopping();
        drop(stop);
        tasks.close();
        // Joining threads blocks.
        let _ = tokio::task::spawn_blocking(move || udp.stop()).await;
        if tokio::time::timeout(STOP_MAX, tasks.wait()).await.is_err() {
            tracing::warn!(tasks = tasks.len(), "these do not end in time; stopping without them");
        }
        drop(socket);
        // What waits is written, and joining a thread blocks.
        let written = tokio::task::spawn_blocking(move || drop(state));
        if tokio::time::timeout(STOP_MAX, written).await.is_err() {
            tracing::warn!(target: "rhumb::state", "the disk does not take the state in time; stopping without it");
        }
    }
}

/// Reads the certificate and binds its addresses, if there is one.
async fn bind_encrypted(
    settings: Option<Encrypted>,
) -> Result<Option<EncryptedSockets>, StartError> {
    let Some(settings) = settings else { return Ok(None) };
    let bound = tokio::task::spawn_blocking(move || EncryptedSockets::bind(&settings));
    Ok(Some(bound.await.map_err(std::io::Error::other)??))
}

/// Reads the key of the cluster and binds its address, if there is one.
async fn bind_cluster(settings: Option<cluster::Settings>) -> Result<Option<Cluster>, StartError> {
    match settings {
        Some(settings) => Ok(Some(Cluster::bind(settings).await?)),
        None => Ok(None),
    }
}

/// What takes posts of round-trip times, if this node makes tables.
fn beacon_desk(
    options: &Options,
    token: Option<Token>,
    core: &Core,
    metrics: &Arc<Metrics>,
) -> Option<Arc<BeaconDesk>> {
    let rtt = options.rtt.clone().filter(|rtt| rtt.build)?;
    let (published, measured) = (core.publisher.published(), core.inbox.measuring.sender());
    Some(Arc::new(BeaconDesk::new(rtt, token, published, measured, Arc::clone(metrics))))
}

/// Binds the address of metrics and health pages, if there is one.
async fn bind_pages(
    what: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let bound = admin::bind(address).await;
    bound.map(Some).map_err(|source| StartError::Admin { what, address, source })
}

/// Starts what is behind a certificate, and the task that keeps it fresh.
fn serve_encrypted(
    sockets: EncryptedSockets,
    limits: TcpLimits,
    answerer: &Answerer,
    supervisor: &Supervisor,
    reloads: Arc<Notify>,
) -> Result<Vec<(Transport, SocketAddr)>, StartError> {
    let (addresses, certificates) = (sockets.local_addrs(), Arc::clone(sockets.certificates()));
    let server = sockets.serve(answerer, limits)?;
    let metrics = Arc::clone(&supervisor.metrics);
    metrics.set_encrypted(server.counters(), Arc::clone(&certificates));
    supervisor.run("certificates", move || Arc::clone(&certificates).follow(Arc::clone(&reloads)));
    let count = Arc::new(move |task: &'static str| metrics.count_restart(task));
    supervisor.tasks.spawn(server.run(supervisor.stop.clone(), count));
    Ok(addresses)
}

/// What a server starts from.
struct Kept {
    /// The files that were read.
    job: Job,
    /// Which version of them that is, and which there are.
    memory: Memory,
}

/// Compiles the first files and makes the core around the first snapshot.
async fn first_core(
    Kept { job, memory }: Kept,
    options: &Options,
    start: Instant,
    commands: mpsc::Receiver<Asked>,
    metrics: Arc<Metrics>,
) -> Result<Core, StartError> {
    let (state, restored) = start::open(options.state.clone()).await?;
    let now = clocks(start);
    let worker = job.clone().at(now.unix.as_secs());
    let product =
        tokio::task::spawn_blocking(move || worker.run()).await.map_err(std::io::Error::other)?;
    let refused = |Rejection { text, problems, list: _ }| StartError::Refused { text, problems };
    product.compiled().map_err(refused)?;
    let (folders, _) = watch_channel(options.sources.folders_with(&job));
    let places = product.read.clone();
    let mut controller = Controller::default();
    controller.allow_found(options.resolver.allow.clone());
    if let (Some(cluster), Some(site)) = (&options.cluster, &options.site) {
        controller.join(&cluster.terms, site);
        controller.take_bundles(&cluster.terms, options.rtt.is_some(), memory);
    }
    let mut effects = Vec::new();
    if let Some(kept) = restored {
        controller.handle(Event::Restored(kept), now, &mut effects);
    }
    controller.handle(Event::Files(job), now, &mut effects);
    effects.retain(|effect| matches!(effect, Effect::Record(_))); // the job it asks for is done already
    controller.handle(Event::Compiled(product), now, &mut effects);
    if options.watch {
        controller.expect_look();
    }
    if let Some(rtt) = options.rtt.as_ref().filter(|rtt| rtt.build) {
        controller.make_tables(Making { window: rtt.window, delay: rtt.delay });
    }
    let first = controller
        .snapshot()
        .cloned()
        .ok_or_else(|| std::io::Error::other("no snapshot came of the files"))?;
    let (reports_sender, reports) = mpsc::channel(REPORTS_MAX);
    let restarts = Arc::clone(&metrics);
    let count = move |task: &'static str| restarts.count_restart(task);
    let terms = Terms { limits: options.probe, resolver: options.resolver.clone() };
    let prober = Prober::spawn(terms, start, reports_sender, count)?;
    metrics.set_prober(Arc::clone(prober.counters()));
    let inbox = Inbox::new(commands, reports, mpsc::channel(1));
    let restarts = Arc::clone(&metrics);
    let count = move |task: &'static str| restarts.count_restart(task);
    let found = inbox.resolutions_sender();
    let resolver = NameResolver::spawn(options.resolver.clone(), found, count);
    let restarts = Arc::clone(&metrics);
    let count = move |task: &'static str| restarts.count_restart(task);
    let discoverer = Discoverer::spawn(options.resolver.clone(), count);
    let mut core = Core {
        controller,
        publisher: Publisher::new(first),
        prober,
        resolver,
        discoverer,
        inbox,
        sources: options.sources.clone(),
        folders,
        metrics,
        start,
        last_results: LastResults::default(),
        news: News::default(),
        loads: Vec::new(),
        places,
        reading: Reading::Idle,
        waiters: Waiters::default(),
        node_file: options.node_file.clone(),
        cluster: None,
        bundles: None,
        anchors: watch_channel(Anchors::Unset).1,
        hook_reports: watch_channel(None).1,
        watchdog: options.manager.watchdog(),
        manager: options.manager.clone(),
        told_reloading: false,
        state,
        is_compiling: false,
        next_job: None,
    };
    effects.into_iter().for_each(|effect: Effect| core.carry_out(effect));
    core.show_news();
    Ok(core)
}
