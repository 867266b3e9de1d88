//! Pieces between nodes over real connections on loopback: who has them gives them, and what is something else is not taken.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "links/hostile.rs"]
#[allow(dead_code, reason = "shared with the tests of links")]
mod hostile;
#[path = "links/node.rs"]
#[allow(dead_code, reason = "shared with the tests of links")]
mod node;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use rhumb::cluster::PieceId;
use rhumb::cluster::frame::Frame;
use rhumb::cluster::frame::PROTOCOL;
use rhumb::cluster::piece::PIECE_MAX;
use rhumb::runtime::cluster::Engine;
use rhumb::runtime::cluster::Pieces;

use hostile::Foreign;
use node::Keys;
use node::Node;
use node::name;
use node::start_all;

/// Pieces by what they are asked for; they may be something else.
struct Stock(BTreeMap<PieceId, Vec<u8>>);

impl Stock {
    fn of(pieces: &[&[u8]]) -> Arc<Self> {
        Arc::new(Self(pieces.iter().map(|piece| (PieceId::of(piece), piece.to_vec())).collect()))
    }
}

impl Pieces for Stock {
    fn find(&self, piece: &PieceId) -> Option<Box<[u8]>> {
        self.0.get(piece).map(|octets| octets.as_slice().into())
    }
}

/// Nodes of which each has a link with each.
async fn start(keys: &Keys, names: &[&str]) -> Vec<Node> {
    let mut nodes = start_all(keys, names).await;
    for node in &mut nodes {
        let is_linked =
            |own: &Node| own.cluster.peers().iter().all(|peer| peer.generation.is_some());
        node.until("links with all", is_linked).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_comes_from_whoever_has_it_and_not_at_all_if_nobody_has() {
    let keys = Keys::new();
    let nodes = start(&keys, &["a", "b", "c"]).await;
    let large = vec![7; PIECE_MAX];
    nodes[1].cluster.give(Stock::of(&[b"one"]));
    nodes[2].cluster.give(Stock::of(&[b"two", &large]));
    for wanted in [&b"one"[..], b"two", &large] {
        for _ in 0..3 {
            let found = nodes[0].cluster.fetch(PieceId::of(wanted)).await;
            assert_eq!(found.as_deref(), Some(wanted));
        }
    }
    let start = Instant::now();
    assert_eq!(nodes[0].cluster.fetch(PieceId::of(b"three")).await, None);
    assert!(start.elapsed() < Duration::from_secs(5), "who has nothing says so");
    let given: u64 =
        nodes.iter().map(|node| node.cluster.counters().pieces_given.load(Relaxed)).sum();
    assert_eq!(given, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_something_else_is_not_taken_and_the_next_peer_is_asked() {
    let keys = Keys::new();
    let nodes = start(&keys, &["a", "b", "c"]).await;
    let wanted = PieceId::of(b"true");
    nodes[1].cluster.give(Arc::new(Stock([(wanted, b"false".to_vec())].into())));
    nodes[2].cluster.give(Stock::of(&[b"true"]));
    for _ in 0..4 {
        assert_eq!(nodes[0].cluster.fetch(wanted).await.as_deref(), Some(&b"true"[..]));
    }
    let wrong = nodes[0].cluster.counters().pieces_wrong.load(Relaxed);
    assert!((1..=4).contains(&wrong), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_without_end_gets_some_and_what_nobody_asked_for_is_dropped() {
    let keys = Keys::new();
    let mut nodes = start(&keys, &["a", "b"]).await;
    for node in &mut nodes {
        let terms = keys.terms(node.terms.node.as_str(), &["a", "b", "evil"]);
        node.reload(|own| {
            own.peers.extend(terms.peers.into_iter().filter(|peer| peer.node == name("evil")))
        });
    }
    let large = vec![7; PIECE_MAX];
    nodes[1].cluster.give(Stock::of(&[b"one", &large]));
    let mut evil = Foreign::dial(nodes[1].address(), &keys.path("evil"), PROTOCOL).await.unwrap();
    evil.greet("prod", &name("evil"), 10).await;
    assert!(matches!(evil.next().await, Some(Frame::Hello(_))));
    let unasked = Frame::Piece(PieceId::of(b"x"), vec![1; PIECE_MAX].into()).write();
    evil.send(&unasked).await.unwrap();
    let want = Frame::Want(PieceId::of(&large)).write();
    let wants = want.repeat(2000);
    evil.send(&wants).await.unwrap();
    evil.send(&Frame::Ping { number: 7, sum: 0 }.write()).await.unwrap();
    let mut pieces = 0;
    while let Some(frame) = evil.next().await {
        match frame {
            Frame::Pong(7) => break,
            Frame::Piece(..) => pieces += 1,
            _ => {}
        }
    }
    assert!(pieces < 1000, "{pieces}: of what waits the oldest is forgotten");
    let found = nodes[0].cluster.fetch(PieceId::of(b"one")).await;
    assert_eq!(found.as_deref(), Some(&b"one"[..]), "the others are served");
}
