//! What connections of any protocol share: how many may be open, how long they may idle, who counts them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::runtime::tcp::counters::TcpCounters;
use crate::runtime::tcp::limits::TcpLimits;
use crate::runtime::tcp::registry::Activity;
use crate::runtime::tcp::registry::Client;
use crate::runtime::tcp::registry::Registry;

/// The way in: limits, counters and the open connections.
pub(crate) struct Door {
    pub(crate) limits: TcpLimits,
    pub(crate) registry: Registry,
    pub(crate) counters: TcpCounters,
}

impl Door {
    /// With no connections yet.
    pub(crate) fn new(limits: TcpLimits) -> Arc<Door> {
        let counters = TcpCounters::default();
        Arc::new(Door { limits, registry: Registry::new(counters.clone()), counters })
    }

    /// Makes room if need be, then runs a connection's task.
    pub(crate) fn admit<F>(&self, client: Client, make: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.registry.make_room(client, &self.limits);
        self.registry.spawn(client, make);
    }
}

/// Takes a connection out of the registry when it is dropped, also when its task is aborted.
pub(crate) struct Leave {
    pub(crate) door: Arc<Door>,
    pub(crate) activity: Arc<Activity>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.door.registry.remove(&self.activity);
    }
}

/// Serves what an accept loop takes.
pub(crate) trait Host: Send + Sync + 'static {
    /// Name of the accept loop in logs and counts.
    const NAME: &'static str;

    /// Who may come in.
    fn door(&self) -> &Arc<Door>;

    /// Serves a connection to its end. Its first act is to make a [`Leave`]: see [`Registry::spawn`].
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        activity: Arc<Activity>,
    ) -> impl Future<Output = ()> + Send + 'static;
}
