//! Pieces of bundles and tables over the bus: a request for each, and whoever has it replies.

use std::time::Duration;

use async_nats::Client;
use async_nats::Subscriber;
use futures_util::StreamExt;

use crate::cluster::PieceId;
use crate::cluster::piece::PIECE_MAX;
use crate::runtime::cluster::chance;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::speech;
use crate::runtime::cluster::pieces::ASKED_MAX;

/// Least time between two pieces that this node gives: 13 megabytes a second at most, whoever asks.
const GIVE_EVERY: Duration = Duration::from_millis(5);

/// Gives pieces to who asks, until the subscription ends.
pub(super) async fn give(core: &Core, bus: &Bus, client: &Client, mut wants: Subscriber) {
    while let Some(request) = wants.next().await {
        let piece = <[u8; 32]>::try_from(&*request.payload).map(PieceId::new);
        // Nobody has this node speak where it has nothing to say.
        let reply = request.reply.filter(|reply| bus.subjects.is_inbox(reply.as_str()));
        let (Ok(piece), Some(reply)) = (piece, reply) else { continue };
        let found = core.exchange.find(piece, &core.counters).await;
        speech::publish(core, client, reply.to_string(), found.into()).await;
        tokio::time::sleep(GIVE_EVERY).await;
    }
}

/// Asks one member after the other, another one first each time; who is not there is passed over at once.
pub(in crate::runtime::cluster) async fn fetch(
    core: &Core,
    bus: &Bus,
    piece: PieceId,
) -> Option<Box<[u8]>> {
    let client = bus.client()?;
    let live = core.live();
    let mut peers: Vec<_> = live.members.peers().map(|(node, _)| node).collect();
    let first = chance() as usize % peers.len().max(1);
    peers.rotate_left(first);
    let mut asked = 0;
    for node in peers {
        let octets = piece.octets().to_vec();
        let given = match client.request(bus.subjects.want(node), octets.into()).await {
            Ok(reply) => reply.payload,
            Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => continue,
            Err(_) => Default::default(),
        };
        if !given.is_empty() {
            if given.len() <= PIECE_MAX && PieceId::of(&given) == piece {
                Counters::count(&core.counters.pieces_taken);
                return Some((*given).into());
            }
            // Whoever gives something else has a fault of its disk, or lies.
            Counters::count(&core.counters.pieces_wrong);
        }
        asked += 1;
        if asked == ASKED_MAX {
            return None;
        }
    }
    None
}
