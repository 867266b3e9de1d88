//! The gossip engine: `chitchat` over our connections.
//!
//! It keeps every node's values and finds out what a peer lacks. Who is alive is not asked of it, and what comes of
//! peers has passed the door before it sees it. Its own faults end it and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chitchat::ChitchatConfig;
use chitchat::ChitchatHandle;
use chitchat::ChitchatMessage;
use chitchat::Deserializable;
use chitchat::FailureDetectorConfig;
use chitchat::Heartbeat;
use chitchat::spawn_chitchat;
use chitchat::transport::Socket;
use chitchat::transport::Transport;
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::cluster::Membership;
use crate::cluster::NodeName;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::core::Live;
use crate::runtime::cluster::core::Running;
use crate::runtime::cluster::core::WAITING_MAX;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::dialect;

/// How often it asks up to three peers.
pub(super) const GOSSIP_EVERY: Duration = Duration::from_millis(500);

/// A life that nobody has heard of for half of this is not told to others any more; after all of it, it is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Runs the engine until it fails; a change of members or of the key makes it anew.
pub(super) async fn run(core: Arc<Core>) {
    let mut changes = core.live.subscribe();
    loop {
        let live = Arc::clone(&changes.borrow_and_update());
        let (inlet, incoming) = mpsc::channel(WAITING_MAX);
        let nodes = dialect::addresses(live.members.peers().map(|(node, _)| node));
        let wires =
            Wires { wire: Mutex::new(Some(Wire { core: Arc::clone(&core), nodes, incoming })) };
        let handle = match spawn_chitchat(config(&core), Vec::new(), &wires).await {
            Ok(handle) => Arc::new(handle),
            Err(error) => {
                tracing::error!(target: "rhumb::cluster", %error, "the gossip engine does not start");
                return;
            }
        };
        let engine = Engine { core: Arc::clone(&core), handle: Arc::clone(&handle) };
        raise_heartbeat(&handle, core.millis()).await;
        core.own.set_engine(Arc::clone(&handle), &live.key.signing).await;
        core.set_running(Some(Running { inlet, handle: Arc::clone(&handle) }));
        for link in core.links.all() {
            let _ = handle.gossip(dialect::address(&link.node));
        }
        tokio::select! {
            ended = handle.termination_watcher() => {
                let reason = ended.err().map(|error| error.to_string()).unwrap_or_default();
                tracing::error!(target: "rhumb::cluster", reason, "the gossip engine has failed");
                Counters::count(&core.counters.engine_restarts);
                engine.end().await;
                return;
            }
            () = until_others(&mut changes, &live.members) => engine.end().await,
        }
    }
}

/// Waits until there are other members, or one of them, this node included, has other keys.
async fn until_others(changes: &mut watch::Receiver<Arc<Live>>, members: &Arc<Membership>) {
    let is_other = |live: &Arc<Live>| live.members != *members;
    if changes.wait_for(is_other).await.is_err() {
        std::future::pending().await
    }
}

/// An engine that runs; dropping it stops it.
struct Engine {
    core: Arc<Core>,
    handle: Arc<ChitchatHandle>,
}

impl Engine {
    async fn end(&self) {
        self.core.own.drop_engine().await;
        self.core.set_running(None);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

fn config(core: &Core) -> ChitchatConfig {
    let chitchat_id = dialect::id(&core.node, core.generation);
    ChitchatConfig {
        listen_addr: chitchat_id.gossip_advertise_addr,
        chitchat_id,
        cluster_id: core.cluster().to_owned(),
        gossip_interval: GOSSIP_EVERY,
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            dead_node_grace_period: FORGET_AFTER,
            ..FailureDetectorConfig::default()
        },
        marked_for_deletion_grace_period: FORGET_AFTER,
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}

/// Goes on counting where an earlier engine of this process may have been: it stirs less than once a millisecond.
async fn raise_heartbeat(handle: &ChitchatHandle, millis: u64) {
    let octets = millis.to_le_bytes();
    if let Ok(heartbeat) = Heartbeat::deserialize(&mut &octets[..]) {
        handle
            .with_chitchat(|chitchat| chitchat.self_node_state().try_set_heartbeat(heartbeat))
            .await;
    }
}

/// Hands the engine its one socket.
struct Wires {
    wire: Mutex<Option<Wire>>,
}

#[async_trait]
impl Transport for Wires {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        match self.wire.lock().await.take() {
            Some(wire) => Ok(Box::new(wire)),
            None => Err(anyhow::anyhow!("the socket is open already")),
        }
    }
}

/// The engine's socket: its datagrams go over connections with peers.
struct Wire {
    core: Arc<Core>,
    nodes: BTreeMap<SocketAddr, NodeName>,
    incoming: mpsc::Receiver<(SocketAddr, ChitchatMessage)>,
}

#[async_trait]
impl Socket for Wire {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        if let Some(node) = self.nodes.get(&to) {
            let make = || dialect::outwards(&message).map(|gossip| gossip.fit().write());
            self.core.links.send_gossip(node, make);
        }
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        self.incoming.recv().await.ok_or_else(|| anyhow::anyhow!("there is another engine"))
    }
}
