//! What comes from the bus: taken at once, verified one after the other, and asked for where something is missing.

use std::sync::Arc;

use async_nats::Client;
use async_nats::Subscriber;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::NodeName;
use crate::cluster::door::Refusals;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::message::MESSAGE_MAX;
use crate::runtime::cluster::nats::message::Message;
use crate::runtime::cluster::nats::speech;

/// Messages that wait to be verified, at most; more are lost, and asked for again.
pub(super) const WAITING_MAX: usize = 16_384;

/// While more than so many wait, nothing is asked for.
const BACKLOG: usize = 64;

/// Values after which others have their turn: a millisecond of signatures.
const BREATH: u32 = 16;

/// A message, and in whose name it is.
pub(super) type Waiting = (NodeName, Message);

/// Takes messages of a subscription until it ends.
pub(super) async fn read(
    core: &Core,
    bus: &Bus,
    mut subscriber: Subscriber,
    queue: &mpsc::Sender<Waiting>,
) {
    while let Some(message) = subscriber.next().await {
        Counters::count(&core.counters.frames_in);
        let Some(node) = bus.subjects.find_speaker(message.subject.as_str()) else {
            core.counters.refuse(Refusals { malformed: 1, ..Refusals::default() });
            continue;
        };
        if node == core.node && !is_of_another_life(core, &message.payload) {
            bus.standing.came_back(&message.payload);
            continue;
        }
        match admit(core, &node, &message.payload) {
            Ok(value) => {
                if queue.try_send((node, value)).is_err() {
                    Counters::count(&core.counters.bus_dropped);
                }
            }
            Err(refusals) => core.counters.refuse(refusals),
        }
    }
}

/// Whether what came in this node's name is of a later life than it is in: then another process said it.
fn is_of_another_life(core: &Core, octets: &[u8]) -> bool {
    Message::read(octets).is_some_and(|message| message.generation > core.generation)
}

/// What can be refused without a look at the signature.
fn admit(core: &Core, node: &NodeName, octets: &[u8]) -> Result<Message, Refusals> {
    let none = Refusals::default();
    if core.live().members.find(node).is_none() {
        return Err(Refusals { stranger: 1, ..none });
    }
    let message = Some(octets).filter(|octets| octets.len() <= MESSAGE_MAX).and_then(Message::read);
    message.ok_or(Refusals { malformed: 1, ..none })
}

/// Verifies what waits, and asks for what is missing.
pub(super) async fn run(
    core: Arc<Core>,
    bus: Arc<Bus>,
    client: Client,
    mut waiting: mpsc::Receiver<Waiting>,
) {
    let mut turn = 0u32;
    while let Some((node, Message { generation, after, sealed })) = waiting.recv().await {
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(BREATH) {
            tokio::task::yield_now().await;
        }
        if core.is_spent(&node) {
            // A bus holds nobody back; what is lost is asked for when there is room for it again.
            Counters::count(&core.counters.bus_dropped);
            continue;
        }
        let Some(sequence) = core.open(&node, generation, &sealed) else { continue };
        if node == core.node {
            continue;
        }
        let is_missing = bus.known().take(&node, generation, (after, sequence));
        // What is missing may be among what waits; a later value shows it again.
        if !is_missing || waiting.len() > BACKLOG {
            continue;
        }
        let ask = bus.known().ask_again(&node, Instant::now());
        if let Some(ask) = ask {
            speech::publish(&core, &client, bus.subjects.ask(&node), ask.write()).await;
        }
    }
}
