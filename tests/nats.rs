//! Nodes of a cluster that speak over a real NATS server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "nats/bus.rs"]
mod bus;
#[path = "links/node.rs"]
#[allow(dead_code)]
mod node;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectOptions;
use bus::Certificates;
use bus::NatsServer;
use bus::is_missing;
use futures_util::StreamExt;
use node::Keys;
use node::Node;
use node::name;
use rhumb::cluster::Envelope;
use rhumb::cluster::Generation;
use rhumb::cluster::Origin;
use rhumb::cluster::PieceId;
use rhumb::cluster::Topic;
use rhumb::control::cluster::status::BusStatus;
use rhumb::model::ClusterTerms;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::Engine;
use rhumb::runtime::cluster::Pieces;
use rhumb::runtime::cluster::Settings;
use rhumb::runtime::cluster::key;
use rhumb::runtime::cluster::key::NodeKey;

const VOTES: Topic = Topic::Votes { layout: 1, shard: 0 };

fn votes(shard: u64) -> Topic {
    Topic::Votes { layout: 1, shard }
}

/// A bus, and all that is needed to be on it.
struct World {
    keys: Keys,
    certificates: Certificates,
    server: NatsServer,
}

impl World {
    fn new() -> Self {
        Self::with("")
    }

    /// The same, with more lines in the server's file.
    fn with(more: &str) -> Self {
        let certificates = Certificates::new();
        let server = NatsServer::start_with(&certificates, more);
        Self { keys: Keys::new(), certificates, server }
    }

    fn terms(&self, own: &str, names: &[&str]) -> ClusterTerms {
        let nats = Some(self.certificates.terms(own, &self.server));
        ClusterTerms { listen: None, nats, ..self.keys.terms(own, names) }
    }

    async fn start(&self, own: &str, names: &[&str]) -> Node {
        Node::start(self.terms(own, names)).await
    }

    async fn start_all(&self, names: &[&str]) -> Vec<Node> {
        let mut nodes = Vec::new();
        for own in names {
            nodes.push(self.start(own, names).await);
        }
        for node in &mut nodes {
            node.until("the bus", |own| bus_of(own).is_reachable).await;
        }
        nodes
    }

    /// Another client of the bus, with a certificate that it takes.
    async fn stranger(&self) -> Client {
        let [certificate, key] = self.certificates.files("stranger");
        ConnectOptions::new()
            .add_root_certificates(self.certificates.path("ca.pem"))
            .add_client_certificate(certificate, key)
            .require_tls(true)
            .connect(format!("tls://{}", self.server.address()))
            .await
            .unwrap()
    }

    /// A message as `signer` would seal it in the name of `node`.
    fn message(&self, (node, signer): (&str, &str), life: u64, sequence: u64) -> Vec<u8> {
        let key = NodeKey::read(&self.keys.path(signer)).unwrap();
        let (node, generation) = (name(node), Generation(life));
        let origin = Origin { cluster: "prod", node: &node, generation };
        let payload = b"forged".as_slice().into();
        let sealed =
            Envelope { topic: Topic::State, sequence, payload }.seal(&origin, &key.signing);
        [&life.to_be_bytes()[..], &[0; 8], &sealed].concat()
    }
}

fn bus_of(node: &Node) -> BusStatus {
    node.cluster.bus().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_says_is_heard_by_all_and_who_joins_hears_what_was_said_before() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b", "agent"]).await;
    nodes[0].say(Topic::State, b"of a", true);
    nodes[2].say(VOTES, b"of the agent", false);
    for shard in 0..100 {
        nodes[1].say(votes(shard), &[shard as u8], false);
    }
    nodes[1].hears("a", Topic::State, b"of a").await;
    nodes[2].hears("a", Topic::State, b"of a").await;
    nodes[0].hears("agent", VOTES, b"of the agent").await;
    nodes[0].hears("b", votes(99), &[99]).await;
    for node in &mut nodes {
        let names = ["a", "b", "agent", "late"];
        let own = node.terms.node.clone();
        node.reload(|terms| terms.peers = world.terms(own.as_str(), &names).peers);
    }
    let mut late = world.start("late", &["a", "b", "agent", "late"]).await;
    late.hears("a", Topic::State, b"of a").await;
    late.hears("agent", VOTES, b"of the agent").await;
    for shard in 0..100 {
        late.hears("b", votes(shard), &[shard as u8]).await;
    }
    late.say(Topic::State, b"of the late one", false);
    nodes[2].hears("late", Topic::State, b"of the late one").await;
    nodes[0].until("the round trip", |own| bus_of(own).round_trip_ms.is_some()).await;
    assert_eq!(nodes[0].cluster.counters().refused().sum(), 0);
    assert!(nodes[0].cluster.address().is_none(), "nobody dials it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_certificate_of_the_authority_is_refused_both_ways() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let others = Certificates::new();
    let mut stranger = world.terms("a", &["a", "b"]);
    let [certificate, key] = others.files("a");
    let nats = stranger.nats.as_mut().unwrap();
    (nats.certificate, nats.key) = (certificate, key);
    let mut stranger = Node::start(stranger).await;
    stranger.until("a reason", |own| !bus_of(own).why.contains("not dialled yet")).await;
    let status = bus_of(&stranger);
    assert!(!status.is_reachable, "{status:?}");
    assert!(world.server.log().contains("TLS handshake error"), "{}", world.server.log());

    let mut deceived = world.terms("b", &["a", "b"]);
    deceived.nats.as_mut().unwrap().ca = others.path("ca.pem");
    let mut deceived = Node::start(deceived).await;
    deceived.until("a reason", |own| bus_of(own).why.contains("certificate")).await;
    assert!(!bus_of(&deceived).is_reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_bus_a_node_waits_and_then_says_the_last_of_each_topic() {
    if is_missing() {
        return;
    }
    let mut world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    nodes[0].say(Topic::State, b"before", true);
    nodes[1].hears("a", Topic::State, b"before").await;
    world.server.kill();
    nodes[0].until("it is seen", |own| !bus_of(own).is_reachable).await;
    nodes[1].until("it is seen", |own| !bus_of(own).is_reachable).await;
    let since = bus_of(&nodes[0]).since_unix_s;
    let said = nodes[0].cluster.counters().values_said.load(Relaxed);
    for turn in 0..=200u8 {
        nodes[0].say(Topic::State, &[turn], true);
    }
    nodes[1].say(VOTES, b"of b", false);
    nodes[0].until("a dial in vain", |own| bus_of(own).why.contains("onnection refused")).await;
    assert_eq!(bus_of(&nodes[0]).since_unix_s, since, "it is unreachable since then");
    world.server.restart();
    nodes[1].hears("a", Topic::State, &[200]).await;
    nodes[0].hears("b", VOTES, b"of b").await;
    let more = nodes[0].cluster.counters().values_said.load(Relaxed) - said;
    assert!(more <= 2, "{more} values for 201 payloads of one topic");
    assert!(bus_of(&nodes[0]).is_reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_bus_is_noticed_and_what_was_said_meanwhile_comes() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    nodes[0].say(VOTES, b"first", true);
    nodes[1].hears("a", VOTES, b"first").await;
    world.server.signal("STOP");
    nodes[0].say(VOTES, b"second", true);
    nodes[0].until("it is seen", |own| !bus_of(own).is_reachable).await;
    nodes[0].say(VOTES, b"third", true);
    world.server.signal("CONT");
    nodes[1].hears("a", VOTES, b"third").await;
    nodes[0].until("it is back", |own| bus_of(own).is_reachable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_of_the_bus_is_not_believed() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    world.keys.pin("evil");
    nodes[0].say(Topic::State, b"true", false);
    nodes[1].hears("a", Topic::State, b"true").await;
    let life = nodes[0].cluster.generation().0;
    let stranger = world.stranger().await;
    let on = |subject: &str, octets: Vec<u8>| {
        let (stranger, subject) = (stranger.clone(), subject.to_owned());
        async move { stranger.publish(subject, octets.into()).await.unwrap() }
    };
    // In another's name; of a stranger; by one member in the name of another; a later life; too long; without form.
    on("rhumb.prod.value.a.state", world.message(("a", "evil"), life, u64::MAX)).await;
    on("rhumb.prod.value.evil.state", world.message(("evil", "evil"), life, 1)).await;
    on("rhumb.prod.value.a.state", world.message(("b", "b"), life, 9)).await;
    on("rhumb.prod.to.b.a.state", world.message(("a", "evil"), u64::MAX, 9)).await;
    on("rhumb.prod.value.a.state", vec![7; 500_000]).await;
    on("rhumb.prod.value.a.state", vec![7; 15]).await;
    on("rhumb.prod.value.A_\u{e4}.state", vec![7; 100]).await;
    on("rhumb.prod.value", Vec::new()).await;
    on("rhumb.prod.ask.b.evil", vec![0; 16]).await;
    on("rhumb.prod.ask.b.a", vec![0; 3]).await;
    on("rhumb.prod.want.b", vec![0; 32]).await;
    stranger.flush().await.unwrap();
    nodes[1]
        .until("all are counted", |own| {
            let refused = own.cluster.counters().refused();
            refused.unsigned == 3 && refused.stranger == 1 && refused.malformed == 3
        })
        .await;
    assert_eq!(nodes[1].values.len(), 1, "{:?}", nodes[1].values);
    nodes[0].say(Topic::State, b"still true", false);
    nodes[1].hears("a", Topic::State, b"still true").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_again_is_heard_and_its_old_values_do_not_come_back() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    let stranger = world.stranger().await;
    let mut all = stranger.subscribe("rhumb.prod.value.>").await.unwrap();
    stranger.flush().await.unwrap();
    nodes[0].say(Topic::State, b"old", true);
    nodes[1].hears("a", Topic::State, b"old").await;
    let old = all.next().await.unwrap();
    let first = nodes[0].cluster.generation();
    nodes.remove(0);
    let again = world.start("a", &["a", "b"]).await;
    assert!(again.cluster.generation() > first);
    again.say(Topic::State, b"new", true);
    let listener = &mut nodes[0];
    listener.hears("a", Topic::State, b"new").await;
    for _ in 0..5 {
        stranger.publish(old.subject.clone(), old.payload.clone()).await.unwrap();
    }
    again.say(VOTES, b"after", true);
    let before = listener.cluster.counters().values_heard.load(Relaxed);
    listener.hears("a", VOTES, b"after").await;
    let heard = listener.cluster.counters().values_heard.load(Relaxed) - before;
    assert!(heard <= 1, "what was replayed is no news");
    assert_eq!(listener.values[&(name("a"), Topic::State)], b"new".as_slice().into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_in_a_flood_is_asked_for() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    nodes[0].say(Topic::State, b"before", true);
    nodes[1].hears("a", Topic::State, b"before").await;
    world.keys.pin("evil");
    let forged = world.message(("a", "evil"), 5, 1);
    let stranger = world.stranger().await;
    let mut turn = 0;
    // More than wait to be verified; in between what is true.
    while nodes[1].cluster.counters().bus_dropped.load(Relaxed) < 1_000 {
        for _ in 0..5_000 {
            let subject = "rhumb.prod.value.a.state";
            stranger.publish(subject, forged.clone().into()).await.unwrap();
        }
        turn += 1;
        nodes[0].say(votes(turn), b"true", false);
        assert!(turn < 200, "nothing is lost");
    }
    stranger.flush().await.unwrap();
    let beat = tokio::spawn({
        let cluster = nodes[0].cluster.clone();
        async move {
            for beat in 0..u8::MAX {
                let payload = [beat].into();
                cluster.say(rhumb::cluster::Say { topic: Topic::Beat, payload, urgent: false });
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    for shard in 1..=turn {
        nodes[1].hears("a", votes(shard), b"true").await;
    }
    beat.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_without_end_gets_two_rounds_a_second() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let nodes = world.start_all(&["a", "b"]).await;
    for shard in 0..50 {
        nodes[0].say(votes(shard), b"word", false);
    }
    let stranger = world.stranger().await;
    let mut answers = stranger.subscribe("rhumb.prod.to.b.a.>").await.unwrap();
    let begin = tokio::time::Instant::now();
    for _ in 0..5_000 {
        stranger.publish("rhumb.prod.ask.a.b", vec![0; 16].into()).await.unwrap();
    }
    stranger.flush().await.unwrap();
    let mut count = 0;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_secs(2), answers.next()).await {
        count += 1;
    }
    let rounds = begin.elapsed().as_secs() * 2 + 2;
    assert!(count >= 50, "{count}");
    assert!(count <= rounds * 51, "{count} answers in {:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_on_the_bus_and_a_pin_that_is_taken_out_counts_no_more() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    nodes[1].say(VOTES, b"by the old one", true);
    nodes[0].hears("b", VOTES, b"by the old one").await;
    let (old, path) = (world.keys.pin("b"), world.keys.path("b2"));
    let new = key::make(&path).unwrap();
    nodes[0].reload(|terms| terms.peers[0].pins = vec![old, new]);
    nodes[1].reload(|terms| terms.key = path);
    nodes[1].say(VOTES, b"by the new one", true);
    nodes[0].hears("b", VOTES, b"by the new one").await;
    nodes[0].reload(|terms| terms.peers[0].pins = vec![new]);
    nodes[1].say(VOTES, b"by the new one alone", true);
    nodes[0].hears("b", VOTES, b"by the new one alone").await;
    nodes[0].reload(|terms| terms.peers[0].pins = vec![old]);
    nodes[1].say(VOTES, b"by a key without a pin", true);
    nodes[0].until("it is refused", |own| own.cluster.counters().refused().unsigned > 0).await;
    let last = &nodes[0].values[&(name("b"), VOTES)];
    assert_eq!(**last, *b"by the new one alone");
    nodes[0].reload(|terms| terms.peers[0].pins = vec![new]);
    nodes[1].say(Topic::State, b"pinned again", true);
    nodes[0].hears("b", VOTES, b"by a key without a pin").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_changed_while_the_bus_is_down_signs_what_was_said_before() {
    if is_missing() {
        return;
    }
    let mut world = World::new();
    let mut b = world.start("b", &["a", "b"]).await;
    b.until("the bus", |own| bus_of(own).is_reachable).await;
    b.say(VOTES, b"by the old one", true);
    b.until("it is back", |own| bus_of(own).round_trip_ms.is_some()).await;
    world.server.kill();
    b.until("it is seen", |own| !bus_of(own).is_reachable).await;
    let path = world.keys.path("b2");
    let new = key::make(&path).unwrap();
    b.reload(|terms| terms.key = path);
    world.server.restart();
    b.until("the bus again", |own| bus_of(own).is_reachable).await;
    let mut terms = world.terms("a", &["a", "b"]);
    terms.peers[0].pins = vec![new];
    let mut a = Node::start(terms).await;
    a.hears("b", VOTES, b"by the old one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_on_the_bus_with_the_key_of_another_is_noticed_by_that_one() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let mut nodes = world.start_all(&["a", "b"]).await;
    let stranger = world.stranger().await;
    let said = |signer| world.message(("a", signer), u64::MAX, 1);
    world.keys.pin("evil");
    stranger.publish("rhumb.prod.value.a.state", said("evil").into()).await.unwrap();
    stranger.publish("rhumb.prod.value.a.state", said("a").into()).await.unwrap();
    nodes[1].hears("a", Topic::State, b"forged").await;
    nodes[0].until("it is told", |own| !own.cluster.faults().is_empty()).await;
    assert!(nodes[0].cluster.faults()[0].contains("another process"));
    assert_eq!(nodes[1].cluster.faults(), Vec::<String>::new());
    // A new key frees the name.
    let path = world.keys.path("a2");
    let new = key::make(&path).unwrap();
    nodes[1].reload(|terms| terms.peers[0].pins = vec![new]);
    nodes[0].reload(|terms| terms.key = path);
    nodes[0].say(Topic::State, b"its own", true);
    nodes[1].hears("a", Topic::State, b"its own").await;
    assert_eq!(nodes[0].cluster.faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_may_speak_for_itself_only_and_who_may_not_speak_says_so() {
    if is_missing() {
        return;
    }
    // Certificates name users: two as docs/cluster-scale.md has them, and one that may only listen.
    let allowed = |node: &str| {
        format!(
            "{{ user: \"CN={node}\", permissions: {{\n\
             publish: [\"rhumb.prod.value.{node}.>\", \"rhumb.prod.to.*.{node}.>\", \"rhumb.prod.ask.*.{node}\",\n\
             \"rhumb.prod.want.*\", \"rhumb.prod.inbox.>\"]\n\
             subscribe: [\"rhumb.prod.value.>\", \"rhumb.prod.to.{node}.>\", \"rhumb.prod.ask.{node}.*\",\n\
             \"rhumb.prod.want.{node}\", \"rhumb.prod.inbox.{node}.>\"] }} }}\n"
        )
    };
    let users = format!(
        "authorization {{ users = [\n{}{}\
         {{ user: \"CN=c\", permissions: {{ publish: \"rhumb.prod.ask.>\", subscribe: \"rhumb.prod.>\" }} }}\n] }}\n",
        allowed("a"),
        allowed("b")
    );
    let certificates = Certificates::new();
    let server = NatsServer::start_mapped(&certificates, &users);
    let world = World { keys: Keys::new(), certificates, server };
    let names = ["a", "b", "c"];
    let mut nodes = Vec::new();
    for own in names {
        nodes.push(world.start(own, &names).await);
    }
    nodes[0].until("the bus", |own| bus_of(own).is_reachable).await;
    nodes[0].say(Topic::State, b"before", true);
    nodes[1].hears("a", Topic::State, b"before").await;
    let octets: Box<[u8]> = [7; 1000].into();
    nodes[1].cluster.give(Arc::new(One(octets.clone())));
    assert_eq!(nodes[0].cluster.fetch(PieceId::of(&octets)).await, Some(octets));

    nodes[2].say(Topic::State, b"not heard", true);
    nodes[2].until("it is told", |own| bus_of(own).why.contains("does not give back")).await;
    let status = bus_of(&nodes[2]);
    assert!(status.why.to_lowercase().contains("permissions violation"), "{status:?}");
    nodes[1].say(Topic::State, b"heard", true);
    nodes[2].hears("b", Topic::State, b"heard").await;
    assert!(!nodes[1].values.contains_key(&(name("c"), Topic::State)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_while_servers_of_the_bus_had_lost_each_other_is_asked_for() {
    if is_missing() {
        return;
    }
    let certificates = Certificates::new();
    let mut hub =
        NatsServer::start_with(&certificates, "leafnodes { listen: \"127.0.0.1:LEAF_PORT\" }\n");
    let leaf = format!(
        "leafnodes {{ reconnect: 1, remotes: [ {{ url: \"nats-leaf://127.0.0.1:{}\" }} ] }}\n",
        hub.leaf_port()
    );
    let keys = Keys::new();
    let names = ["a", "b"];
    let leaves = names.map(|_| NatsServer::start_with(&certificates, &leaf));
    let mut nodes = Vec::new();
    for (own, server) in names.iter().zip(&leaves) {
        let nats = Some(certificates.terms(own, server));
        let terms = ClusterTerms { listen: None, nats, ..keys.terms(own, &names) };
        nodes.push(Node::start(terms).await);
    }
    nodes[0].say(VOTES, b"before", true);
    let cluster = nodes[0].cluster.clone();
    let beats = tokio::spawn(async move {
        loop {
            let beat = Topic::Beat;
            cluster.say(rhumb::cluster::Say { topic: beat, payload: [1].into(), urgent: false });
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    nodes[1].hears("a", VOTES, b"before").await;
    hub.kill();
    nodes[0].say(VOTES, b"while they were apart", true);
    let said = nodes[0].cluster.counters().values_said.load(Relaxed);
    let own = |own: &Node| own.cluster.counters().values_said.load(Relaxed) > said + 4;
    nodes[0].until("it was said", own).await;
    assert!(nodes.iter().all(|node| bus_of(node).is_reachable), "each has its server");
    hub.restart();
    nodes[1].hears("a", VOTES, b"while they were apart").await;
    beats.abort();
}

/// What a node has to give: one piece.
struct One(Box<[u8]>);

impl Pieces for One {
    fn find(&self, piece: &PieceId) -> Option<Box<[u8]>> {
        (PieceId::of(&self.0) == *piece).then(|| self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_is_given_by_who_has_it() {
    if is_missing() {
        return;
    }
    let world = World::new();
    let nodes = world.start_all(&["a", "b", "c"]).await;
    let octets: Box<[u8]> = (0..60_000u32).map(|at| (at % 251) as u8).collect();
    let piece = PieceId::of(&octets);
    assert_eq!(nodes[0].cluster.fetch(piece).await, None, "nobody has it");
    nodes[2].cluster.give(Arc::new(One(octets.clone())));
    for node in &nodes[..2] {
        assert_eq!(node.cluster.fetch(piece).await.as_ref(), Some(&octets));
    }
    assert_eq!(nodes[2].cluster.counters().pieces_given.load(Relaxed), 2);
    // Who answers with something else is not believed.
    let stranger = world.stranger().await;
    let mut wants = stranger.subscribe("rhumb.prod.want.>").await.unwrap();
    stranger.flush().await.unwrap();
    let wrong = tokio::spawn(async move {
        while let Some(request) = wants.next().await {
            let reply = request.reply.unwrap();
            stranger.publish(reply, b"something else".to_vec().into()).await.unwrap();
        }
    });
    let other = PieceId::of(b"that nobody has");
    assert_eq!(nodes[0].cluster.fetch(other).await, None);
    wrong.abort();
}

#[tokio::test]
async fn files_that_are_none_are_told_at_the_start() {
    let (keys, certificates) = (Keys::new(), Certificates::new());
    let [certificate, own] = certificates.files("a");
    let [other, _] = certificates.files("b");
    let ca = certificates.path("ca.pem");
    let try_it = |ca: &std::path::Path, certificate: &std::path::Path, own: &std::path::Path| {
        let nats = rhumb::model::NatsTerms {
            servers: vec!["127.0.0.1:1".into()],
            ca: ca.into(),
            certificate: certificate.into(),
            key: own.into(),
        };
        let terms = ClusterTerms { listen: None, nats: Some(nats), ..keys.terms("a", &["a", "b"]) };
        async move {
            let cluster = Cluster::bind(Settings { terms, folder: None }).await;
            cluster.map_or_else(|error| error.to_string(), |_| String::new())
        }
    };
    assert_eq!(try_it(&ca, &certificate, &own).await, "");
    let error =
        try_it(&certificates.path("none.pem"), &certificate, &certificates.path("no.key")).await;
    assert!(error.contains("none.pem") && error.contains("no.key"), "{error}");
    let error = try_it(&ca, &other, &own).await;
    assert!(error.contains("does not fit"), "{error}");
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = try_it(&ca, &certificate, &own).await;
    assert!(error.contains("chmod 600"), "{error}");
}
