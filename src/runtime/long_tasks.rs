//! Tasks that live as long as the server, each restarted when it ends.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Heard;
use crate::control::round_trips::Measurement;
use crate::runtime::admin;
use crate::runtime::beacons::BeaconDesk;
use crate::runtime::cluster::Cluster;
use crate::runtime::control_socket;
use crate::runtime::inbox::Asked;
use crate::runtime::metrics::Metrics;
use crate::runtime::probe::Board;
use crate::runtime::serve::Options;
use crate::runtime::supervise::supervise;
use crate::runtime::tcp::Handshakes;
use crate::runtime::tcp::handshakes;

/// Starts tasks that are restarted when they end.
pub(super) struct Supervisor {
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Supervisor {
    pub(super) fn run<F>(&self, name: &'static str, make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let metrics = Arc::clone(&self.metrics);
        let count = move |task: &'static str| metrics.count_restart(task);
        drop(self.tasks.spawn(supervise(name, self.stop.clone(), count, make)));
    }

    /// Hands what clients of the control socket ask to the control loop.
    pub(super) fn run_control_socket(
        &self,
        listener: Arc<UnixListener>,
        commands: mpsc::Sender<Asked>,
    ) {
        self.run("control socket", move || {
            let (listener, commands) = (Arc::clone(&listener), commands.clone());
            async move { control_socket::serve(&listener, commands).await }
        });
    }

    /// Has this node take its place among the others.
    pub(super) fn run_cluster(&self, cluster: &Cluster, heard: &mpsc::Sender<Heard>) {
        self.metrics.set_cluster(cluster.clone());
        cluster.tasks(heard.clone()).into_iter().for_each(|(name, make)| self.run(name, make));
    }

    /// Has handshakes of resolvers measured, if that is wanted and it is known to which site.
    pub(super) fn measure_handshakes(
        &self,
        options: &Options,
        measured: mpsc::Sender<Vec<Measurement>>,
    ) -> Option<Handshakes> {
        let site = options.site.clone()?;
        options.rtt.as_ref().filter(|rtt| rtt.build && rtt.handshakes)?;
        let (handshakes, samples) = Handshakes::new();
        // Shared by a task and the one that follows it if it fails.
        let samples = Arc::new(tokio::sync::Mutex::new(samples));
        self.run("handshakes", move || {
            let (samples, site, measured) = (Arc::clone(&samples), site.clone(), measured.clone());
            async move { handshakes::hand_on(&mut *samples.lock().await, &site, &measured).await }
        });
        Some(handshakes)
    }

    /// Serves what is posted, and nothing else.
    pub(super) fn run_posts(&self, listener: Arc<TcpListener>, desk: Arc<BeaconDesk>) {
        self.run("posts", move || admin::serve_posts(Arc::clone(&listener), Arc::clone(&desk)));
    }

    /// Serves metrics and health pages.
    pub(super) fn run_pages(
        &self,
        listener: Arc<TcpListener>,
        desk: Option<Arc<BeaconDesk>>,
        board: Arc<Board>,
    ) {
        let metrics = Arc::clone(&self.metrics);
        let make = move || {
            let (listener, metrics) = (Arc::clone(&listener), Arc::clone(&metrics));
            admin::serve(listener, metrics, desk.clone(), Arc::clone(&board))
        };
        self.run("pages", make);
    }
}
