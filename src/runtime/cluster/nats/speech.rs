//! What this node says over the bus, and asks for.

use std::collections::BTreeMap;

use async_nats::Client;
use async_nats::client::PublishErrorKind;
use tokio::time::Instant;

use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::kept::Outgoing;

/// Octets of the protocol around a message, about: `PUB`, blanks, the length, ends of lines.
const FRAME: usize = 13;

/// Says what is to be said when it may be said, while there is a connection; without one the last payload of each topic waits.
pub(super) async fn run(core: &Core, bus: &Bus, client: &Client) {
    let mut written = BTreeMap::new();
    loop {
        bus.standing.until_connected().await;
        // What is taken while there is no connection is lost with it, and comes only when something later is missed before it.
        let due = tokio::select! {
            biased;
            () = bus.standing.until_lost() => continue,
            due = core.to_say.next(&mut written) => due,
        };
        let live = core.live();
        // Kept before anything is awaited: if this ends here, others ask for it.
        let outgoing: Vec<Outgoing> = {
            let mut kept = bus.kept();
            let outgoing = due.iter().filter_map(|say| {
                let outgoing = kept.say(say, &live.key.signing);
                core.faults.note_said(say.topic, outgoing.is_some());
                outgoing
            });
            outgoing.collect()
        };
        Counters::add(&core.counters.values_said, outgoing.len());
        say_all(core, bus, client, &outgoing).await;
        if due.iter().any(|say| say.urgent) {
            // It fails only with the connection, which others watch.
            let _ = client.flush().await;
        }
    }
}

/// A connection is there anew. What was written to the one before may be lost, and whoever asked for it meanwhile was not heard: so
/// the last value is said again, by which others see what they lack.
pub(super) async fn begin(core: &Core, bus: &Bus, client: &Client) {
    // The key may have changed while nobody could be told.
    follow(core, bus, client).await;
    let newest = bus.kept().newest();
    say_all(core, bus, client, newest.as_slice()).await;
}

/// Has everything said again if the key is another, and asks who may be new.
pub(super) async fn follow(core: &Core, bus: &Bus, client: &Client) {
    let live = core.live();
    bus.known().retain(|node| core.knows(node));
    let anew = bus.kept().follow(&live.key.signing);
    say_all(core, bus, client, &anew).await;
    ask_all(core, bus, client).await;
}

/// Asks every peer for what may have been missed.
async fn ask_all(core: &Core, bus: &Bus, client: &Client) {
    for (node, _) in core.live().members.peers() {
        let ask = bus.known().ask(node, Instant::now());
        publish(core, client, bus.subjects.ask(node), ask.write()).await;
    }
}

async fn say_all(core: &Core, bus: &Bus, client: &Client, values: &[Outgoing]) {
    for Outgoing { slot, octets } in values {
        bus.standing.sent(octets);
        publish(core, client, bus.subjects.value(slot), octets.clone()).await;
    }
}

/// Puts a message on the bus; waits while too many are on their way.
pub(super) async fn publish(core: &Core, client: &Client, subject: String, octets: Vec<u8>) {
    let length = FRAME + subject.len() + octets.len();
    match client.publish(subject, octets.into()).await {
        Ok(()) => {
            Counters::count(&core.counters.writes);
            Counters::add(&core.counters.octets_out, length);
        }
        Err(error) => match error.kind() {
            // The connection is given up: who comes after it asks.
            PublishErrorKind::Send => {}
            PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::InvalidSubject => {
                tracing::error!(target: "rhumb::cluster", %error, length, "the bus does not take a value");
            }
        },
    }
}
