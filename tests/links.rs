//! Nodes that carry values to each other over real connections on loopback, and those that try to disturb them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "common/delay.rs"]
mod delay;
#[path = "links/hostile.rs"]
mod hostile;
#[path = "links/node.rs"]
mod node;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rhumb::cluster::Envelope;
use rhumb::cluster::Generation;
use rhumb::cluster::Origin;
use rhumb::cluster::PAYLOAD_MAX;
use rhumb::cluster::Topic;
use rhumb::cluster::frame::Frame;
use rhumb::cluster::frame::Have;
use rhumb::cluster::frame::PROTOCOL;
use rhumb::cluster::frame::Pushed;
use rhumb::cluster::frame::SLOTS_MAX;
use rhumb::cluster::frame::Sum;
use rhumb::runtime::cluster::Cluster;
use rhumb::runtime::cluster::ClusterError;
use rhumb::runtime::cluster::Settings;
use rhumb::runtime::cluster::key::NodeKey;

use delay::Line;
use delay::Way;
use hostile::Foreign;
use node::Keys;
use node::Node;
use node::connect;
use node::name;
use node::start_all;

const VOTES: Topic = Topic::Votes { layout: 1, shard: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_all_others_hear_and_the_last_payload_wins() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b", "c"]).await;
    nodes[0].say(VOTES, b"first", false);
    nodes[2].say(Topic::Beat, b"beat", false);
    for node in &mut nodes[1..] {
        node.hears("a", VOTES, b"first").await;
    }
    nodes[0].hears("c", Topic::Beat, b"beat").await;
    nodes[0].say(VOTES, b"second", true);
    nodes[0].say(VOTES, b"third", true);
    for node in &mut nodes[1..] {
        node.hears("a", VOTES, b"third").await;
    }
    let refused = nodes.iter().map(|node| node.cluster.counters().refused().sum());
    assert_eq!(refused.sum::<u64>(), 0, "nodes among themselves refuse nothing");
    assert!(nodes.iter().all(|node| node.cluster.peers().len() == 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_hears_everything_and_who_has_no_link_hears_by_others() {
    let keys = Keys::new();
    // a and c know only b's address, and nobody dials them but b.
    let names = ["a", "b", "c"];
    let mut nodes = Vec::new();
    for own in &names[..2] {
        nodes.push(Node::start(keys.terms(own, &names)).await);
    }
    connect(&mut nodes, 1, 0);
    for shard in 0..40 {
        nodes[0].say(Topic::Votes { layout: 1, shard }, &[shard as u8; 500], false);
    }
    nodes[1].until("40 shards", |own| own.values.len() == 40).await;
    nodes.push(Node::start(keys.terms("c", &names)).await);
    connect(&mut nodes, 2, 1);
    nodes[2].until("40 shards of a, by b", |own| own.values.len() == 40).await;
    assert!(!nodes[2].is_connected("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_payload_is_carried_and_one_that_is_too_long_stops_nothing() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    let payload = vec![7; PAYLOAD_MAX];
    nodes[0].say(Topic::State, &payload, true);
    nodes[1].hears("a", Topic::State, &payload).await;
    // Longer ones are not said, and what is said after them is.
    nodes[0].say(Topic::State, &[8; PAYLOAD_MAX + 1], true);
    nodes[0].say(VOTES, b"after", true);
    nodes[1].hears("a", VOTES, b"after").await;
    assert_eq!(nodes[1].values[&(name("a"), Topic::State)][..], payload);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_new_life_whose_values_count_though_they_are_fewer() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    for payload in 0..5 {
        nodes[0].say(Topic::State, &[payload], false);
        nodes[1].hears("a", Topic::State, &[payload]).await;
    }
    let before = nodes[0].cluster.generation();
    let address = nodes[1].address();
    drop(nodes.remove(0));
    let mut terms = keys.terms("a", &["a", "b"]);
    terms.peers[0].address = Some(address);
    let again = Node::start(terms).await;
    assert!(again.cluster.generation() > before);
    again.say(Topic::State, b"again", false);
    nodes[0].hears("a", Topic::State, b"again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_dials_out_and_is_heard_by_servers_it_has_no_link_with() {
    let keys = Keys::new();
    let names = ["a", "b", "agent-1"];
    let mut nodes = start_all(&keys, &names[..2]).await;
    for node in &mut nodes {
        let terms = keys.terms(node.terms.node.as_str(), &names);
        node.reload(|own| {
            own.peers.extend(terms.peers.into_iter().filter(|peer| peer.node == name("agent-1")))
        });
    }
    nodes.push(Node::start(keys.terms("agent-1", &names)).await);
    connect(&mut nodes, 2, 0);
    nodes[2].say(VOTES, b"seen", true);
    nodes[2].say(Topic::Record { id: 7 }, b"order", true);
    nodes[1].hears("agent-1", VOTES, b"seen").await;
    nodes[2].say(VOTES, b"seen again", true);
    nodes[1].hears("agent-1", VOTES, b"seen again").await;
    assert!(!nodes[1].values.keys().any(|(_, topic)| matches!(topic, Topic::Record { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_not_one_octet_and_a_key_that_is_another_s_is_refused() {
    let keys = Keys::new();
    let nodes = start_all(&keys, &["a", "b"]).await;
    keys.pin("stranger");
    // TLS 1.3 lets a client believe that it is in before the server has judged its key.
    if let Ok(mut stranger) =
        Foreign::dial(nodes[0].address(), &keys.path("stranger"), PROTOCOL).await
    {
        stranger.greet("prod", &name("b"), 1).await;
        assert_eq!(stranger.octets_until_closed().await, 0);
    }
    has_failed(&nodes[0], 1).await;
    assert!(nodes[0].is_connected("b") || nodes[0].cluster.peers()[0].generation.is_none());
    let terms = rhumb::model::ClusterTerms { key: keys.path("b"), ..keys.terms("a", &["a", "b"]) };
    let stolen = Cluster::bind(Settings { terms, folder: None }).await;
    assert!(matches!(stolen, Err(ClusterError::NotOwn(node)) if node == name("b")));
}

/// Who dialled may know that it failed before the node has counted that.
async fn has_failed(node: &Node, times: u64) {
    let failed = &node.cluster.counters().handshakes_failed;
    let begun = std::time::Instant::now();
    while failed.load(Relaxed) < times && begun.elapsed() < node::PATIENCE {
        tokio::task::yield_now().await;
    }
    assert_eq!(failed.load(Relaxed), times);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_and_another_cluster_are_refused() {
    let keys = Keys::new();
    let nodes = start_all(&keys, &["a", "b"]).await;
    let address = nodes[0].address();
    assert!(Foreign::dial(address, &keys.path("b"), b"rhumb/2").await.is_err());
    has_failed(&nodes[0], 1).await;
    let mut other = Foreign::dial(address, &keys.path("b"), PROTOCOL).await.unwrap();
    other.greet("test", &name("b"), u64::MAX).await;
    assert!(matches!(other.next().await, Some(Frame::Hello(_))));
    assert_eq!(other.octets_until_closed().await, 0);
    let mut liar = Foreign::dial(address, &keys.path("b"), PROTOCOL).await.unwrap();
    liar.greet("prod", &name("a"), u64::MAX).await;
    assert!(matches!(liar.next().await, Some(Frame::Hello(_))));
    assert_eq!(liar.octets_until_closed().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_is_taken_out_cuts_its_connection_at_once_and_keeps_it_out() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    nodes[0].until("a connection", |own| own.is_connected("b")).await;
    let peers = nodes[0].terms.peers.clone();
    nodes[0].reload(|terms| terms.peers.clear());
    let cut = nodes[0].until("the cut", |own| own.cluster.peers().is_empty()).await;
    assert!(cut < Duration::from_secs(1), "{cut:?}");
    nodes[1].until("the cut", |own| !own.is_connected("a")).await;
    let failed = nodes[0].cluster.counters().handshakes_failed.load(Relaxed);
    nodes[0]
        .until("b tries again and is refused", move |own| {
            own.cluster.counters().handshakes_failed.load(Relaxed) > failed
        })
        .await;
    nodes[0].reload(|terms| terms.peers = peers);
    nodes[1].say(VOTES, b"back", false);
    nodes[0].hears("b", VOTES, b"back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_while_values_go_on() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b", "c"]).await;
    nodes[1].say(Topic::State, b"by the old key", false);
    nodes[0].hears("b", Topic::State, b"by the old key").await;
    let new = keys.pin("b-new");
    for node in [0, 2] {
        nodes[node].reload(|terms| {
            let peer = terms.peers.iter_mut().find(|peer| peer.node == name("b")).unwrap();
            peer.pins.push(new);
        });
    }
    let path = keys.path("b-new");
    nodes[1].reload(|terms| terms.key = path);
    assert_eq!(nodes[1].cluster.pin(), new);
    for turn in 0..10u8 {
        nodes[1].say(VOTES, &[turn], true);
        nodes[0].hears("b", VOTES, &[turn]).await;
    }
    for node in [0, 2] {
        nodes[node].reload(|terms| {
            let peer = terms.peers.iter_mut().find(|peer| peer.node == name("b")).unwrap();
            peer.pins = vec![new];
        });
    }
    nodes[1].say(VOTES, b"by the new one alone", true);
    nodes[0].hears("b", VOTES, b"by the new one alone").await;
    nodes[2].hears("b", VOTES, b"by the new one alone").await;
    // Who comes now knows the new key only, and hears by others what was said by the old one.
    let names = ["a", "b", "c", "d"];
    let mut late = keys.terms("d", &names);
    late.peers.iter_mut().find(|peer| peer.node == name("b")).unwrap().pins = vec![new];
    nodes.push(Node::start(late).await);
    let peers = keys.terms("a", &names).peers;
    nodes[0].reload(|terms| {
        terms.peers.extend(peers.into_iter().filter(|peer| peer.node == name("d")));
    });
    connect(&mut nodes, 3, 0);
    nodes[3].hears("b", Topic::State, b"by the old key").await;
    assert_eq!(nodes[3].cluster.counters().refused().sum(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_one_key_and_name_the_one_that_is_not_heard_says_so() {
    let keys = Keys::new();
    let names = ["b", "a"];
    let mut nodes = start_all(&keys, &names).await;
    nodes[1].say(Topic::State, b"of the first", true);
    nodes[0].hears("a", Topic::State, b"of the first").await;
    let mut twin = keys.terms("a", &names);
    twin.peers[0].address = Some(nodes[0].address());
    let mut twin = Node::start(twin).await;
    assert!(twin.cluster.generation() > nodes[1].cluster.generation());
    twin.say(Topic::State, b"of the twin", true);
    nodes[0].hears("a", Topic::State, b"of the twin").await;
    let is_told =
        |own: &Node| own.cluster.faults().iter().any(|fault| fault.contains("another process"));
    nodes[1].until("it is told", is_told).await;
    assert!(!is_told(&nodes[0]) && !is_told(&twin));
    // It gets a key of its own, and the others forget whatever was said by the one that two have.
    let (path, new) = (keys.path("a-new"), keys.pin("a-new"));
    nodes[1].reload(|terms| terms.key = path);
    nodes[0].reload(|terms| terms.peers[0].pins = vec![new]);
    assert!(!is_told(&nodes[1]));
    nodes[0].hears("a", Topic::State, b"of the first").await;
    nodes[1].say(VOTES, b"it is heard again", true);
    nodes[0].hears("a", VOTES, b"it is heard again").await;
    twin.until("the cut", |own| !own.is_connected("b")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stalled_line_holds_back_comes_by_a_third_node() {
    let keys = Keys::new();
    let names = ["a", "b", "c"];
    let mut nodes = Vec::new();
    for own in names {
        nodes.push(Node::start(keys.terms(own, &names)).await);
    }
    let line = Line::start(nodes[1].address(), Duration::from_millis(20));
    let address = line.address();
    nodes[0].reload(|terms| terms.peers[0].address = Some(address));
    connect(&mut nodes, 2, 0);
    connect(&mut nodes, 2, 1);
    nodes[0].say(VOTES, b"first", true);
    nodes[1].hears("a", VOTES, b"first").await;
    nodes[1].until("both", |own| own.is_connected("a") && own.is_connected("c")).await;
    line.stall_way(Way::Out);
    nodes[0].say(VOTES, b"second", true);
    nodes[1].hears("a", VOTES, b"second").await;
    nodes[0].say(Topic::Beat, b"beat", false);
    nodes[1].hears("a", Topic::Beat, b"beat").await;
    line.open();
    nodes[1].until("the line is there again", |own| own.is_connected("a")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lies_in_every_way_disturbs_nobody() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    for node in &mut nodes {
        let terms = keys.terms(node.terms.node.as_str(), &["a", "b", "evil"]);
        node.reload(|own| {
            own.peers.extend(terms.peers.into_iter().filter(|peer| peer.node == name("evil")))
        });
    }
    nodes[0].say(Topic::State, b"true", false);
    nodes[1].hears("a", Topic::State, b"true").await;
    let key = NodeKey::read(&keys.path("evil")).unwrap();
    let victim = name("a");
    let generation = nodes[0].cluster.generation();
    let forged = {
        let origin = Origin { cluster: "prod", node: &victim, generation };
        let value = Envelope {
            topic: Topic::State,
            sequence: u64::MAX,
            payload: b"false".as_slice().into(),
        };
        value.seal(&origin, &key.signing)
    };
    let push = |sealed: Vec<u8>| {
        let values = vec![Pushed { node: victim.clone(), generation, sealed: sealed.into() }];
        Frame::Push(values).write()
    };
    let sum = |node: &str, life| Sum { node: name(node), generation: Generation(life), sum: 7 };
    let slots = vec![(7, u64::MAX); SLOTS_MAX];
    let lies = [
        // A value in another's name, one without form, and one in Latin-1.
        push(forged.to_vec()),
        push(vec![0xff; 200]),
        push([&[5][..], b"b\xfccke", &[0; 100]].concat()),
        // Lives that there never were, values that nobody has said, and nodes that there are not.
        Frame::Sums(vec![sum("a", u64::MAX), sum("b", 9), sum("x", 1), sum("a", generation.0)])
            .write(),
        Frame::Have(Have { node: victim.clone(), generation: Generation(u64::MAX), slots }).write(),
        Frame::Near(vec![name("x"), name("evil"), name("b")]).write(),
        Frame::Ping { number: 1, sum: 0 }.write(),
        // Octets that are no frame, one of an unknown kind, and one that is too long.
        vec![4, 0, 0, 3, 0xff, 0xff, 0xff],
        vec![7, 0, 0, 1, 0],
        vec![3, 0xff, 0xff, 0xff],
    ];
    for (turn, lie) in lies.iter().enumerate() {
        let mut evil =
            Foreign::dial(nodes[1].address(), &keys.path("evil"), PROTOCOL).await.unwrap();
        evil.greet("prod", &name("evil"), 10 + turn as u64).await;
        assert!(matches!(evil.next().await, Some(Frame::Hello(_))), "lie {turn}");
        evil.send(lie).await.unwrap();
        // What comes after the lie has been read, or the cut for it.
        let _ = evil.send(&Frame::Ping { number: 7, sum: 0 }.write()).await;
        while evil.next().await.is_some_and(|frame| frame != Frame::Pong(7)) {}
    }
    nodes[0].say(Topic::State, b"still true", false);
    nodes[1].hears("a", Topic::State, b"still true").await;
    nodes[1].say(Topic::State, b"too", false);
    nodes[0].hears("b", Topic::State, b"too").await;
    let counters = nodes[1].cluster.counters();
    assert!(counters.refused().unsigned >= 1, "{:?}", counters.refused());
    assert!(counters.refused().malformed >= 2, "{:?}", counters.refused());
    assert_eq!(counters.engine_restarts.load(Relaxed), 0);
    assert_eq!(nodes[0].cluster.counters().refused().sum(), 0, "b has let nothing of it through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_is_cut_and_the_others_hear() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    for node in &mut nodes {
        let terms = keys.terms(node.terms.node.as_str(), &["a", "b", "deaf"]);
        node.reload(|own| {
            own.peers.extend(terms.peers.into_iter().filter(|peer| peer.node == name("deaf")))
        });
    }
    let mut deaf = Foreign::dial(nodes[0].address(), &keys.path("deaf"), PROTOCOL).await.unwrap();
    deaf.greet("prod", &name("deaf"), 1).await;
    nodes[0].until("the deaf one", |own| own.is_connected("deaf")).await;
    nodes[0].say(Topic::State, b"go on", true);
    nodes[1].hears("a", Topic::State, b"go on").await;
    // It says nothing either: that is told after three seconds.
    nodes[0].until("the cut", |own| !own.is_connected("deaf")).await;
    assert!(nodes[0].cluster.counters().cut_slow.load(Relaxed) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_slowly_gets_the_newest_of_what_waited_and_nobody_waits_for_it() {
    const RECORDS: u128 = 1000;
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    let terms = keys.terms("a", &["a", "b", "slow"]);
    nodes[0].reload(|own| {
        own.peers.extend(terms.peers.into_iter().filter(|peer| peer.node == name("slow")))
    });
    let mut slow = Foreign::dial(nodes[0].address(), &keys.path("slow"), PROTOCOL).await.unwrap();
    slow.greet("prod", &name("slow"), 1).await;
    nodes[0].until("the slow one", |own| own.is_connected("slow")).await;
    // 6 MB, of which the kernel takes a part: the rest waits. Then all of it is said anew.
    for turn in [1, 2] {
        let payload = vec![turn; PAYLOAD_MAX];
        (0..RECORDS).for_each(|id| nodes[0].say(Topic::Record { id }, &payload, false));
        let all = |own: &Node| own.values.values().filter(|value| value[0] == turn).count();
        let pinging = async {
            let mut pace = tokio::time::interval(Duration::from_millis(500));
            loop {
                pace.tick().await;
                slow.send(&Frame::Ping { number: 1, sum: 0 }.write()).await.unwrap();
            }
        };
        tokio::select! {
            _ = nodes[1].until("every record", |own| all(own) == RECORDS as usize) => {}
            () = pinging => {}
        }
    }
    let (mut seen, mut count) = (std::collections::BTreeMap::new(), 0);
    while seen.len() < RECORDS as usize || seen.values().any(|turn| *turn != 2) {
        let Some(frame) = slow.next().await else { panic!("it is cut after {count} values") };
        let Frame::Push(values) = frame else { continue };
        for Pushed { node, generation, sealed } in values {
            let origin = Origin { cluster: "prod", node: &node, generation };
            let value = Envelope::open(&sealed, &origin, &[keys.pin("a")]).unwrap();
            seen.insert(value.topic, value.payload[0]);
            count += 1;
        }
    }
    assert!(count < 2 * RECORDS, "{count} values: each waited once, however often it was said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_take_no_place_for_long_and_few_at_once() {
    let keys = Keys::new();
    let mut nodes = start_all(&keys, &["a", "b"]).await;
    nodes[0].until("b", |own| own.is_connected("b")).await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(tokio::net::TcpStream::connect(nodes[0].address()).await.unwrap());
    }
    nodes[0]
        .until("most are closed at once", |own| {
            own.cluster.counters().handshakes_shed.load(Relaxed) >= 20
        })
        .await;
    nodes[0]
        .until("the rest after five seconds", |own| {
            own.cluster.counters().handshakes_failed.load(Relaxed) >= 8
        })
        .await;
    let mut again = Foreign::dial(nodes[0].address(), &keys.path("b"), PROTOCOL).await.unwrap();
    again.greet("prod", &name("b"), u64::MAX).await;
    assert!(matches!(again.next().await, Some(Frame::Hello(_))));
    drop(silent);
}
