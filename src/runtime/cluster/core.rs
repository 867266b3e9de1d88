//! What the tasks of a cluster's engine share.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

use crate::cluster::Generation;
use crate::cluster::Heard;
use crate::cluster::Membership;
use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::cluster::Say;
use crate::cluster::door::Refusals;
use crate::cluster::frame::Frame;
use crate::cluster::frame::Hello;
use crate::cluster::frame::PUSHED_OCTETS;
use crate::cluster::gossip::Gossip;
use crate::cluster::gossip::Outcome;
use crate::model::ClusterTerms;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::faults::Faults;
use crate::runtime::cluster::key::NodeKey;
use crate::runtime::cluster::links::Link;
use crate::runtime::cluster::links::Links;
use crate::runtime::cluster::mailbox::Mailbox;
use crate::runtime::cluster::own::Own;
use crate::runtime::cluster::own::Said;
use crate::runtime::cluster::own::ToSay;
use crate::runtime::cluster::pace::Paces;
use crate::runtime::cluster::pieces::Exchange;
use crate::runtime::cluster::tls;

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
    pub(super) faults: Faults,
    /// How many values each peer may send.
    paces: Paces,
    cluster: Box<str>,
    gossip: Mutex<Gossip>,
    start: Instant,
}

impl Core {
    pub(super) fn new(live: Live, generation: Generation) -> Self {
        let counters = Arc::<Counters>::default();
        let (cluster, node) = (live.terms.name.clone(), live.terms.node.clone());
        let role = live.terms.role;
        let gossip = Gossip::new(Arc::clone(&live.members), generation);
        Self {
            links: Links::new(node.clone()),
            own: Own::new(&cluster, &node, generation),
            live: watch::channel(Arc::new(live)).0,
            mailbox: Mailbox::default(),
            to_say: ToSay::default(),
            gossip: Mutex::new(gossip),
            exchange: Exchange::default(),
            start: Instant::now(),
            node,
            role,
            generation,
            counters,
            faults: Faults::default(),
            paces: Paces::default(),
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
        self.with_gossip(|gossip| {
            let gone = gossip.follow(Arc::clone(&members)).into_iter();
            self.mailbox.put(gone.map(|node| Heard::Forgotten { node }).collect());
        });
        let before = self.live.send_replace(Arc::new(live));
        self.paces.retain(|node| members.find(node).is_some());
        // After that, for whoever is taken up now is judged by the new members.
        self.links.follow(&members);
        let live = self.live();
        if live.key.pin != before.key.pin {
            // Who joins later knows the new key only.
            for said in self.own.say_again(&live.key.signing) {
                self.spread(said, false);
            }
        }
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

    /// Time since the start.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A connection is there: both have something to tell.
    ///
    /// If both dialled at once it may have been replaced since it was taken up. Whichever of two comes here last, gossip goes by
    /// the one that stays: else nothing would be written to that.
    pub(super) fn connect(&self, link: &Link) {
        self.with_gossip(|gossip| {
            if self.links.find(&link.node).is_some_and(|now| now.number == link.number) {
                gossip.connect(&link.node, link.number, link.generation);
            }
        });
    }

    /// A connection has ended.
    pub(super) fn disconnect(&self, link: &Link) {
        self.with_gossip(|gossip| gossip.disconnect(&link.node, link.number));
    }

    /// A ping came back.
    pub(super) fn measure(&self, link: &Link, sent: u64) {
        let Some(micros) = self.micros().checked_sub(sent) else { return };
        let round_trip = Duration::from_micros(micros);
        link.measured(round_trip);
        let node = link.node.clone();
        self.mailbox.put(vec![Heard::Link { node, round_trip: Some(round_trip) }]);
    }

    /// Says something to all.
    pub(super) fn say(&self, say: &Say) {
        let said = self.own.say(say, &self.live().key.signing);
        Counters::count(&self.counters.values_said);
        self.spread(said, say.urgent);
    }

    fn spread(&self, Said { topic, sequence, sealed }: Said, urgent: bool) {
        let is_said = self.with_gossip(|gossip| gossip.say(topic, sequence, sealed, urgent));
        self.faults.note_said(topic, is_said);
    }

    /// Proof for a peer that somebody else speaks in its name, if somebody does.
    pub(super) fn proof_of_double(&self, link: &Link) -> Option<Frame> {
        self.with_gossip(|gossip| gossip.proof_of_double(&link.node, link.generation))
    }

    /// Whether anything is known of a node.
    pub(super) fn knows(&self, node: &NodeName) -> bool {
        self.with_gossip(|gossip| gossip.knows(node))
    }

    /// Whether a node has said more than it may for now: nothing more of it is looked at.
    pub(super) fn is_spent(&self, node: &NodeName) -> bool {
        !self.paces.take(node, 0, Instant::now()).is_zero()
    }

    /// A value came in a node's name: its sequence, if it is let in. What is news counts against what the node may say.
    pub(super) fn open(
        &self,
        node: &NodeName,
        generation: Generation,
        sealed: &[u8],
    ) -> Option<u64> {
        let now = self.now();
        self.with_gossip(|gossip| match gossip.open(node, generation, sealed, now) {
            Ok((sequence, heard)) => {
                self.paces.take(node, usize::from(heard.is_some()), Instant::now());
                self.hear(heard.into_iter().collect(), Refusals::default());
                Some(sequence)
            }
            Err(refusals) => {
                self.hear(Vec::new(), refusals);
                None
            }
        })
    }

    /// A frame came: how long nothing is to be read after it. `None` if the connection should end, as too much that came is
    /// wrong.
    pub(super) fn take(&self, link: &Link, frame: Frame) -> Option<Duration> {
        let now = self.now();
        let values = self.with_gossip(|gossip| {
            let Outcome { heard, refusals, is_flood } = gossip.hear(&link.node, frame, now);
            let values = heard.len();
            self.hear(heard, refusals);
            (!is_flood).then_some(values)
        })?;
        match values {
            0 => Some(Duration::ZERO),
            _ => Some(self.paces.take(&link.node, values, Instant::now())),
        }
    }

    /// Hands on what was heard, in the order in which it was let in: nobody else has the engine meanwhile.
    fn hear(&self, heard: Vec<Heard>, refusals: Refusals) {
        self.counters.refuse(refusals);
        Counters::add(&self.counters.values_heard, heard.len());
        self.mailbox.put(heard);
    }

    /// What a peer is to be sent next; nothing if it is told everything.
    pub(super) fn next_frames(&self, link: &Link) -> Vec<Frame> {
        let frames =
            self.with_gossip(|gossip| gossip.write(&link.node, link.number, PUSHED_OCTETS));
        for frame in &frames {
            match frame {
                Frame::Push(values) => Counters::add(&self.counters.pushed, values.len()),
                Frame::Sums(_) | Frame::Have(_) => Counters::count(&self.counters.compared),
                Frame::Hello(_)
                | Frame::Ping { .. }
                | Frame::Pong(_)
                | Frame::Near(_)
                | Frame::Want(_)
                | Frame::Piece(..) => {}
            }
        }
        frames
    }

    /// Asks a peer whether it is there and knows the same.
    pub(super) fn ping(&self) -> Frame {
        let now = self.now();
        let sum = self.with_gossip(|gossip| {
            gossip.tick(now);
            gossip.total()
        });
        Frame::Ping { number: self.micros(), sum }
    }

    /// Does something with what is known, and wakes whoever writes to peers that are to hear of it. A fault in it costs what
    /// others have said, which they say again as all connections are made anew, and nothing else.
    fn with_gossip<T>(&self, act: impl FnOnce(&mut Gossip) -> T) -> T {
        let mut gossip = self.gossip.lock().unwrap_or_else(|poisoned| {
            tracing::error!(target: "rhumb::cluster", "the gossip engine has failed and begins again");
            Counters::count(&self.counters.engine_restarts);
            let mut gossip = poisoned.into_inner();
            gossip.begin_again();
            self.gossip.clear_poison();
            self.links.all().iter().for_each(|link| link.cut.cancel());
            gossip
        });
        let done = act(&mut gossip);
        let (woken, double) = (gossip.take_woken(), gossip.double());
        drop(gossip);
        self.faults.note_double(double, self.generation);
        for node in woken {
            if let Some(link) = self.links.find(&node) {
                link.outbox.wake();
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Pin;
    use crate::cluster::Topic;
    use crate::cluster::membership::tests::terms;
    use crate::runtime::cluster::key;

    #[test]
    fn of_two_connections_at_once_the_one_that_stays_is_written_to_whichever_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        key::make(&path).unwrap();
        let live = Live::new(terms("a", &[]), NodeKey::read(&path).unwrap()).unwrap();
        let core = Core::new(live, Generation(1));
        core.say(&Say { topic: Topic::Beat, payload: [1].into(), urgent: true });
        let name = |text: &str| NodeName::parse(text).unwrap();
        let link = |dialler: &str| {
            Arc::new(Link::new(name("b"), Pin::new([2; 32]), Generation(1), name(dialler)))
        };
        let (theirs, ours) = (link("b"), link("a"));
        core.links.take_up(&theirs).unwrap();
        core.links.take_up(&ours).unwrap();
        core.connect(&ours);
        core.connect(&theirs);
        core.links.forget(&theirs);
        core.disconnect(&theirs);
        let written =
            |link: &Link| core.with_gossip(|gossip| gossip.write(&link.node, link.number, 1 << 16));
        assert_eq!(written(&theirs), []);
        assert_ne!(written(&ours), []);
    }

    #[test]
    fn a_fault_of_the_engine_loses_nothing_that_this_node_has_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        key::make(&path).unwrap();
        let live = Live::new(terms("a", &[]), NodeKey::read(&path).unwrap()).unwrap();
        let core = Arc::new(Core::new(live, Generation(1)));
        let say =
            |payload: u8| Say { topic: Topic::State, payload: [payload].into(), urgent: true };
        core.say(&say(1));
        let before = core.with_gossip(|gossip| gossip.total());
        let broken = Arc::clone(&core);
        let fault = std::thread::spawn(move || broken.with_gossip(|_| panic!("a fault")));
        assert!(fault.join().is_err());
        assert_eq!(core.with_gossip(|gossip| gossip.total()), before);
        assert_eq!(core.counters.engine_restarts.load(std::sync::atomic::Ordering::Relaxed), 1);
        core.say(&say(2));
        assert_ne!(core.with_gossip(|gossip| gossip.total()), before);
    }
}
