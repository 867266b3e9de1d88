//! What strangers, liars and nodes of other versions do to real processes: nothing but a line in the log.

#[path = "../links/hostile.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod foreign;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;

use foreign::Foreign;
use rhumb::cluster::Beat;
use rhumb::cluster::Envelope;
use rhumb::cluster::Generation;
use rhumb::cluster::NodeName;
use rhumb::cluster::Origin;
use rhumb::cluster::Topic;
use rhumb::cluster::frame::Frame;
use rhumb::cluster::frame::PROTOCOL;
use rhumb::cluster::frame::Pushed;
use rhumb::runtime::cluster::key;
use rhumb::runtime::cluster::key::NodeKey;
use tokio::runtime::Runtime;

use crate::FIRST;
use crate::SECOND;
use crate::fleet::Fleet;
use crate::fleet::Plan;
use crate::fleet::web::Web;
use crate::live::PATIENCE;
use crate::live::runtime;
use crate::live::wait_until;
use crate::process::Process;
use crate::start;

/// Nodes of the cluster below; the last has a key and no process.
const SITES: [&str; 4] = ["fra", "iad", "sin", "ams"];

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// Three nodes, and a fourth member that is whoever the test wants it to be.
fn three_and_a_liar() -> (Fleet, [Web; 2]) {
    let webs = Web::start_all([FIRST, SECOND]);
    let mut fleet = Fleet::make(Plan::failover(&SITES, webs[0].address, webs[1].address));
    for node in 0..3 {
        fleet.write_settings(node, &[0, 1, 2, 3]);
        fleet.run(node);
    }
    for node in &fleet.nodes[..3] {
        wait_until("three live and vote", || {
            let members = node.cluster().members;
            members.iter().filter(|one| one.is_live && one.votes_here == 2).count() == 3
        });
        wait_until("it answers", || node.answer() == FIRST);
    }
    (fleet, webs)
}

/// A value of a node as its own key seals it.
fn sealed(key: &NodeKey, node: &str, generation: u64, sequence: u64, topic: Topic) -> Pushed {
    let (node, generation) = (name(node), Generation(generation));
    let payload = match topic {
        Topic::Beat => Beat::default().to_octets(),
        _ => vec![0x11; 1].into(),
    };
    let origin = Origin { cluster: "test", node: &node, generation };
    let sealed = Envelope { topic, sequence, payload }.seal(&origin, &key.signing).into();
    Pushed { node, generation, sealed }
}

/// Says something over the connection of a member, and waits until it was read, or the connection is cut for it.
fn say(runtime: &Runtime, fleet: &Fleet, generation: u64, octets: &[u8]) {
    let (to, liar) = (fleet.nodes[0].address(), &fleet.nodes[3]);
    runtime.block_on(async {
        let said = async {
            let key = liar.folder.path("cluster.key");
            let mut foreign = Foreign::dial(to, &key, PROTOCOL).await.unwrap();
            foreign.greet("test", &name(&liar.name), generation).await;
            assert!(matches!(foreign.next().await, Some(Frame::Hello(_))));
            foreign.send(octets).await.unwrap();
            let _ = foreign.send(&Frame::Ping { number: 7, sum: 0 }.write()).await;
            while foreign.next().await.is_some_and(|frame| frame != Frame::Pong(7)) {}
        };
        tokio::time::timeout(PATIENCE, said).await.expect("it is answered or cut");
    });
}

fn refused(fleet: &Fleet, reason: &str) -> f64 {
    let series = format!("rhumb_cluster_values_refused_total{{reason=\"{reason}\"}}");
    fleet.nodes[0].metric(&series)
}

#[test]
fn what_a_node_said_in_a_life_that_is_over_is_not_believed_when_a_member_says_it_again() {
    let (mut fleet, mut webs) = three_and_a_liar();
    let runtime = runtime();
    let key = NodeKey::read(&fleet.nodes[2].folder.path("cluster.key")).unwrap();
    let before = fleet.nodes[0].member("sin-1").generation.unwrap();
    let (mut beats, mut age) = (0, u64::MAX);
    wait_until("it has beaten three times", || {
        let last = std::mem::replace(&mut age, fleet.nodes[0].member("sin-1").heard_ms.unwrap());
        beats += usize::from(age < last);
        beats >= 3
    });
    fleet.nodes[2].kill();
    wait_until("it is missed", || !fleet.nodes[0].member("sin-1").is_live);
    // Its first beats, as everybody has heard them.
    let old: Vec<Pushed> =
        (1..4).map(|sequence| sealed(&key, "sin-1", before, sequence, Topic::Beat)).collect();
    for turn in 1..4 {
        say(&runtime, &fleet, turn, &Frame::Push(old.clone()).write());
        assert!(
            !fleet.nodes[0].member("sin-1").is_live,
            "a beat that was heard is no sign of life"
        );
    }
    assert_eq!(refused(&fleet, "unsigned"), 0.0, "they are right, and old");
    fleet.run(2);
    wait_until("its next life is heard", || {
        let sin = fleet.nodes[0].member("sin-1");
        sin.is_live && sin.votes_here == 2 && sin.generation.unwrap() > before
    });
    let now = fleet.nodes[0].member("sin-1").generation;
    let later = (100..103).map(|sequence| sealed(&key, "sin-1", before, sequence, Topic::Beat));
    say(&runtime, &fleet, 4, &Frame::Push(later.collect()).write());
    let sin = fleet.nodes[0].member("sin-1");
    assert_eq!((sin.generation, sin.votes_here), (now, 2), "the life before is over");
    webs[0].stop();
    for node in &fleet.nodes[..3] {
        wait_until("all goes on", || node.answer() == SECOND);
    }
}

#[test]
fn a_member_that_speaks_for_another_or_says_what_is_no_message_is_refused_and_counted() {
    let (fleet, mut webs) = three_and_a_liar();
    let runtime = runtime();
    let own = NodeKey::read(&fleet.nodes[3].folder.path("cluster.key")).unwrap();
    let sin = fleet.nodes[0].member("sin-1");
    let life = sin.generation.unwrap();
    let forged = sealed(&own, "sin-1", life, u64::MAX, Topic::Beat);
    say(&runtime, &fleet, 1, &Frame::Push(vec![forged.clone()]).write());
    assert_eq!(refused(&fleet, "unsigned"), 1.0);
    let stranger = sealed(&own, "rio-1", 1, 1, Topic::Beat);
    say(&runtime, &fleet, 2, &Frame::Push(vec![stranger]).write());
    assert_eq!(refused(&fleet, "stranger"), 1.0);
    // Its own value, but longer than any may be.
    let long = Pushed { sealed: vec![7; 8000].into(), ..sealed(&own, "ams-1", 3, 1, Topic::State) };
    say(&runtime, &fleet, 3, &Frame::Push(vec![long]).write());
    // A name that is not ASCII: in Latin-1, and in UTF-8.
    for octet in [0xef, 0xc3] {
        let mut frame = Frame::Push(vec![forged.clone()]).write();
        let at = frame.windows(5).position(|octets| octets == b"sin-1").unwrap();
        frame[at + 1] = octet;
        say(&runtime, &fleet, 4 + u64::from(octet), &frame);
    }
    // A frame of a kind that there is not, and one that is longer than any.
    say(&runtime, &fleet, 900, &[9, 0, 0, 1, 0]);
    say(&runtime, &fleet, 901, &[3, 0xff, 0xff, 0xff]);
    let after = fleet.nodes[0].member("sin-1");
    assert!(after.is_live && after.generation == Some(life) && after.votes_here == 2);
    assert_eq!(fleet.nodes[0].metric("rhumb_cluster_engine_restarts_total"), 0.0);
    assert!(!fleet.nodes[0].process().has_logged("panicked"));
    webs[0].stop();
    for node in &fleet.nodes[..3] {
        wait_until("all goes on", || node.answer() == SECOND);
        assert_eq!(node.live(), 3 + usize::from(node.member("ams-1").is_live));
    }
}

/// Takes one connection for a node, and hands on what is said on it; what the dialler said is kept.
fn eavesdrop(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, record) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
    let kept = Arc::clone(&record);
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut far = TcpStream::connect(to).unwrap();
        let (mut far_in, mut near_out) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut far_in, &mut near_out));
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = near.read(&mut buffer) {
            kept.lock().unwrap().extend_from_slice(&buffer[..len]);
            if far.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
    });
    (address, record)
}

#[test]
fn octets_of_an_earlier_connection_are_worth_nothing_in_another() {
    let (mut fleet, mut webs) = start(&["fra", "iad"]);
    // iad knows no way to fra but by the eavesdropper, and fra none to iad.
    let (address, record) = eavesdrop(fleet.nodes[0].address());
    fleet.nodes[1].kill();
    fleet.roads[&(1, 0)].lead_to(address);
    fleet.write_settings(1, &[0, 1]);
    fleet.roads[&(0, 1)].cut();
    fleet.nodes[1].process = Some(Process::start(&fleet.nodes[1].folder));
    fleet.wait_for_all();
    wait_until("a handshake and more is recorded", || record.lock().unwrap().len() > 1000);
    let record = record.lock().unwrap().clone();
    let node = &fleet.nodes[0];
    let failed = node.metric("rhumb_cluster_handshakes_failed_total");
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be cut before all is said.
    let _ = stream.write_all(&record);
    let _ = stream.read_to_end(&mut Vec::new());
    wait_until("it comes to nothing", || {
        node.metric("rhumb_cluster_handshakes_failed_total") > failed
    });
    assert_eq!(node.live(), 2);
    webs[0].stop();
    fleet.wait_for_answer(SECOND);
}

#[test]
fn a_node_with_a_key_that_nobody_has_pinned_is_told_so_and_let_in_once_it_is_pinned() {
    let (mut fleet, _webs) = start(&["fra", "iad", "sin"]);
    fleet.nodes[2].kill();
    let folder = &fleet.nodes[2].folder;
    std::fs::remove_file(folder.path("cluster.key")).unwrap();
    let pin = key::make(&folder.path("cluster.key")).unwrap().to_string();
    fleet.run(2);
    let hint = "add what rhumb cluster pin prints here to the pins there";
    fleet.nodes[2].process().wait_for_log(hint);
    fleet.nodes[0].process().wait_for_log("its key is not among the pins here");
    wait_until("it is not heard", || !fleet.nodes[0].member("sin-1").is_live);
    assert_eq!(fleet.nodes[2].live(), 1, "it hears nobody");
    for node in &fleet.nodes[..2] {
        wait_until("the others hear each other", || node.live() == 2);
        assert_eq!(node.answer(), FIRST);
    }
    fleet.pins[2] = vec![pin];
    for node in [0, 1] {
        fleet.write_settings(node, &[0, 1, 2]);
        fleet.nodes[node].reload();
    }
    fleet.wait_for_all();
}

/// A listener that speaks TLS, and a version of the protocol that there is not yet.
fn later_version(runtime: &Runtime, key: NodeKey) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let own = rustls::server::AlwaysResolvesServerRawPublicKeys::new(key.certified);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"rhumb/2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            assert!(acceptor.accept(stream).await.is_err());
        }
    });
    address
}

#[test]
fn nodes_of_two_versions_say_so_at_both_ends() {
    let (mut fleet, _webs) = start(&["fra", "iad", "sin"]);
    let runtime = runtime();
    fleet.nodes[2].kill();
    let path = fleet.nodes[2].folder.path("cluster.key");
    // As sin had it, of a later version.
    let dialled = Foreign::dial(fleet.nodes[0].address(), &path, b"rhumb/2");
    assert!(runtime.block_on(dialled).is_err());
    let told = "it does not speak rhumb/1, the cluster protocol of this version";
    fleet.nodes[0].process().wait_for_log(&format!(
        "refused at the door of the cluster (told at most once a minute): {told}"
    ));
    let address = later_version(&runtime, NodeKey::read(&path).unwrap());
    fleet.roads[&(1, 2)].lead_to(address);
    let iad = &fleet.nodes[1];
    iad.process()
        .wait_for_log(&format!("no connection: {told}: run one version of rhumb on all nodes"));
    wait_until("it is missed", || iad.live() == 2);
    assert_eq!(iad.answer(), FIRST);
}
