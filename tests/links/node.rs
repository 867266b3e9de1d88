//! Nodes of a cluster in one process, on loopback, with ports that the system chose.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rhumb::cluster::Heard;
use rhumb::cluster::NodeName;
use rhumb::cluster::Pin;
use rhumb::cluster::Role;
use rhumb::cluster::Say;
use rhumb::cluster::Topic;
use rhumb::model::ClusterTerms;
use rhumb::model::Peer;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::Engine;
use rhumb::runtime::cluster::Settings;
use rhumb::runtime::cluster::key;
use rhumb::runtime::supervise::supervise;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A node that runs until it is dropped.
pub struct Node {
    pub cluster: Cluster,
    pub terms: ClusterTerms,
    pub heard: mpsc::Receiver<Heard>,
    /// The newest payload of each topic of each node that was heard.
    pub values: BTreeMap<(NodeName, Topic), Box<[u8]>>,
    stop: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Keys of a cluster's nodes, in a folder of their own.
pub struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// The pin of a node, whose key is made if there is none.
    pub fn pin(&self, name: &str) -> Pin {
        let path = self.path(name);
        if !path.exists() {
            key::make(&path).unwrap();
        }
        key::NodeKey::read(&path).unwrap().pin
    }

    /// The terms of `own` among `names`; none of them has an address yet.
    pub fn terms(&self, own: &str, names: &[&str]) -> ClusterTerms {
        self.pin(own);
        let role = |text: &str| if text.starts_with("agent") { Role::Agent } else { Role::Server };
        let peer = |text: &&str| Peer {
            node: name(text),
            address: None,
            pins: vec![self.pin(text)],
            site: "fra".into(),
            role: role(text),
        };
        ClusterTerms {
            name: "prod".into(),
            node: name(own),
            listen: (role(own) == Role::Server).then(|| "127.0.0.1:0".parse().unwrap()),
            key: self.path(own),
            role: role(own),
            bundles: false,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers: names.iter().filter(|other| **other != own).map(peer).collect(),
            nats: None,
        }
    }
}

impl Node {
    pub async fn start(terms: ClusterTerms) -> Self {
        let settings = Settings { terms: terms.clone(), folder: None };
        let cluster = Cluster::bind(settings).await.unwrap();
        let (to, heard) = mpsc::channel(1024);
        let stop = CancellationToken::new();
        for (task, make) in cluster.tasks(to) {
            tokio::spawn(supervise(task, stop.clone(), |_| {}, make));
        }
        Self { cluster, terms, heard, values: BTreeMap::new(), stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.cluster.address().unwrap()
    }

    /// Changes its terms as a reload does.
    pub fn reload(&mut self, change: impl FnOnce(&mut ClusterTerms)) {
        change(&mut self.terms);
        self.cluster.follow(&self.terms).unwrap();
    }

    pub fn say(&self, topic: Topic, payload: &[u8], urgent: bool) {
        self.cluster.say(Say { topic, payload: payload.into(), urgent });
    }

    /// Takes in what was heard until `is_there` holds; how long that took.
    #[track_caller]
    pub fn until<'n>(
        &'n mut self,
        what: &'n str,
        is_there: impl Fn(&Self) -> bool + 'n,
    ) -> impl Future<Output = Duration> + 'n {
        let place = std::panic::Location::caller();
        let start = Instant::now();
        async move {
            while !is_there(self) {
                assert!(start.elapsed() < PATIENCE, "{place}: {what}: {:#?}", self.cluster.peers());
                // A connection that is gone is heard of too.
                let next = tokio::time::timeout(Duration::from_millis(20), self.heard.recv());
                match next.await {
                    Ok(Some(Heard::Value { node, topic, payload, .. })) => {
                        self.values.insert((node, topic), payload);
                    }
                    Ok(Some(Heard::Link { .. } | Heard::Forgotten { .. })) | Err(_) => {}
                    Ok(None) => panic!("{place}: {what}: nothing is heard any more"),
                }
            }
            start.elapsed()
        }
    }

    /// Waits until `node` has said this.
    #[track_caller]
    pub fn hears<'n>(
        &'n mut self,
        node: &str,
        topic: Topic,
        payload: &[u8],
    ) -> impl Future<Output = Duration> + 'n {
        let (key, payload): (_, Box<[u8]>) = ((name(node), topic), payload.into());
        self.until("a value", move |own| own.values.get(&key) == Some(&payload))
    }

    pub fn is_connected(&self, node: &str) -> bool {
        let peers = self.cluster.peers();
        peers.iter().any(|peer| peer.node == name(node) && peer.generation.is_some())
    }
}

/// Starts these nodes, each of which dials every server before it in the list.
pub async fn start_all(keys: &Keys, names: &[&str]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for own in names {
        nodes.push(Node::start(keys.terms(own, names)).await);
    }
    for later in 1..nodes.len() {
        for earlier in 0..later {
            if nodes[earlier].terms.role == Role::Server {
                connect(&mut nodes, later, earlier);
            }
        }
    }
    nodes
}

/// Has one node dial another.
pub fn connect(nodes: &mut [Node], from: usize, to: usize) {
    let (node, address) = (nodes[to].terms.node.clone(), nodes[to].address());
    nodes[from].reload(|terms| {
        let peer = terms.peers.iter_mut().find(|peer| peer.node == node).unwrap();
        peer.address = Some(address);
    });
}
