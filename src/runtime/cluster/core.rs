//! What the tasks of a cluster's engine share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use chitchat::ChitchatHandle;
use chitchat::ChitchatMessage;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::Membership;
use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::cluster::door::Door;
use crate::cluster::door::Refusals;
use crate::cluster::frame::Hello;
use crate::cluster::frame::Pushed;
use crate::cluster::gossip::Gossip;
use crate::model::ClusterTerms;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::dialect;
use crate::runtime::cluster::key::NodeKey;
use crate::runtime::cluster::links::Link;
use crate::runtime::cluster::links::Links;
use crate::runtime::cluster::mailbox::Mailbox;
use crate::runtime::cluster::own::Own;
use crate::runtime::cluster::own::ToSay;
use crate::runtime::cluster::pieces::Exchange;
use crate::runtime::cluster::tls;

/// Messages that wait for the gossip engine, at most; more are lost, as datagrams would be.
pub(super) const WAITING_MAX: usize = 64;

/// What a reload may change.
pub(super) struct Live {
    /// What the file says.
    pub(super) terms: ClusterTerms,
    /// Who is a member.
    pub(super) members: Arc<Membership>,
    /// This node's key.
    pub(super) key: NodeKey,
    /// TLS for whoever dials us.
    pub(super) acceptor: TlsAcceptor,
    /// TLS for those whom we dial.
    pub(super) connector: TlsConnector,
}

impl Live {
    pub(super) fn new(terms: ClusterTerms, key: NodeKey) -> Result<Self, rustls::Error> {
        let members = Arc::new(Membership::new(&terms, key.pin));
        let (server, client) = tls::configs(&members, &key)?;
        let (acceptor, connector) = (TlsAcceptor::from(server), TlsConnector::from(client));
        Ok(Self { terms, members, key, acceptor, connector })
    }
}

/// The gossip engine that runs now.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) inlet: mpsc::Sender<(SocketAddr, ChitchatMessage)>,
    pub(super) handle: Arc<ChitchatHandle>,
}

/// What all tasks share.
pub(super) struct Core {
    /// This node's name.
    pub(super) node: NodeName,
    /// What it may do.
    pub(super) role: Role,
    /// This node's life.
    pub(super) generation: Generation,
    pub(super) live: watch::Sender<Arc<Live>>,
    pub(super) links: Links,
    pub(super) mailbox: Mailbox,
    pub(super) to_say: ToSay,
    pub(super) own: Own,
    /// Pieces of bundles and tables.
    pub(super) exchange: Exchange,
    pub(super) counters: Arc<Counters>,
    cluster: Box<str>,
    door: Mutex<Door>,
    running: Mutex<Option<Running>>,
    start: Instant,
}

impl Core {
    pub(super) fn new(live: Live, generation: Generation) -> Self {
        let counters = Arc::<Counters>::default();
        let (cluster, node) = (live.terms.name.clone(), live.terms.node.clone());
        let role = live.terms.role;
        let door = Door::new(Arc::clone(&live.members), generation);
        Self {
            links: Links::new(node.clone(), Arc::clone(&counters)),
            own: Own::new(&cluster, &node, generation),
            live: watch::channel(Arc::new(live)).0,
            mailbox: Mailbox::default(),
            to_say: ToSay::default(),
            exchange: Exchange::default(),
            door: Mutex::new(door),
            running: Mutex::default(),
            start: Instant::now(),
            node,
            role,
            generation,
            counters,
            cluster,
        }
    }

    /// Name of the cluster.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What counts now.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.borrow())
    }

    /// Puts other members or another key in force; connections of those who are no members are cut.
    pub(super) fn follow(&self, live: Live) {
        let members = Arc::clone(&live.members);
        self.door.lock().expect("nobody panics with the lock").follow(Arc::clone(&members));
        self.live.send_replace(Arc::new(live));
        // After that, for whoever is taken up now is judged by the new members.
        self.links.follow(&members);
    }

    /// How this node presents itself.
    pub(super) fn hello(&self) -> Hello {
        let (cluster, node) = (self.cluster.clone(), self.node.clone());
        Hello { cluster, node, generation: self.generation }
    }

    /// Microseconds since the start: what pings carry.
    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the start.
    pub(super) fn millis(&self) -> u64 {
        self.micros() / 1000
    }

    /// A connection is there: its peer's life is real, and both have something to tell.
    pub(super) fn greet(&self, link: &Link) {
        self.door.lock().expect("nobody panics with the lock").meet(&link.node, link.generation);
        if let Some(running) = self.running() {
            // It fails only if the engine has just ended; the next one asks everybody.
            let _ = running.handle.gossip(dialect::address(&link.node));
        }
    }

    /// A ping came back.
    pub(super) fn measure(&self, link: &Link, sent: u64) {
        let Some(micros) = self.micros().checked_sub(sent) else { return };
        let round_trip = Duration::from_micros(micros);
        link.measured(round_trip);
        let node = link.node.clone();
        self.mailbox.put(vec![Heard::Link { node, round_trip: Some(round_trip) }]);
    }

    /// A gossip message came.
    pub(super) fn take_gossip(&self, link: &Link, gossip: Gossip) {
        let (mut heard, mut refusals) = (Vec::new(), Refusals::default());
        let admitted = self.door.lock().expect("nobody panics with the lock").admit(
            gossip,
            &mut heard,
            &mut refusals,
        );
        self.hear(heard, refusals);
        let message = dialect::inwards(&admitted, &self.cluster);
        let (Some(message), Some(running)) = (message, self.running()) else { return };
        if running.inlet.try_send((dialect::address(&link.node), message)).is_err() {
            Counters::count(&self.counters.gossip_dropped);
        }
    }

    /// Values came that could not wait; what is new is pushed on.
    pub(super) fn take_pushed(&self, link: &Link, values: Vec<Pushed>) {
        for pushed in values {
            let Pushed { node, generation, sealed } = &pushed;
            let mut heard = Vec::new();
            let opened = self.door.lock().expect("nobody panics with the lock").open(
                node,
                *generation,
                sealed,
                &mut heard,
            );
            let is_news = !heard.is_empty();
            self.hear(heard, opened.err().unwrap_or_default());
            if is_news {
                self.links.push(&pushed, &[&link.node, node]);
            }
        }
    }

    /// A value came in a node's name: its sequence, if it is let in.
    pub(super) fn open(
        &self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
    ) -> Option<u64> {
        let mut heard = Vec::new();
        let mut door = self.door.lock().expect("nobody panics with the lock");
        let opened = door.open(node, generation, sealed, &mut heard);
        drop(door);
        let (sequence, refusals) = match opened {
            Ok(admitted) => (Some(admitted.sequence), Refusals::default()),
            Err(refusals) => (None, refusals),
        };
        self.hear(heard, refusals);
        sequence
    }

    fn hear(&self, heard: Vec<Heard>, refusals: Refusals) {
        self.counters.refuse(refusals);
        Counters::add(&self.counters.values_heard, heard.len());
        self.mailbox.put(heard);
    }

    /// The gossip engine that runs now.
    pub(super) fn running(&self) -> Option<Running> {
        self.running.lock().expect("nobody panics with the lock").clone()
    }

    /// Another gossip engine runs, or none.
    pub(super) fn set_running(&self, running: Option<Running>) {
        *self.running.lock().expect("nobody panics with the lock") = running;
    }
}
