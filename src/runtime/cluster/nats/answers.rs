//! Answers to those who lack something: the last values of this node, at most two rounds a second.
//!
//! Whoever asks is not verified, so an answer is bounded: few at once are answered one by one, more by saying everything to all.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::Message;
use async_nats::Subscriber;
use futures_util::FutureExt;
use futures_util::StreamExt;

use crate::cluster::NodeName;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::kept::Outgoing;
use crate::runtime::cluster::nats::message::Ask;
use crate::runtime::cluster::nats::speech;

/// Least time between two rounds of answers.
const ROUND_EVERY: Duration = Duration::from_millis(500);

/// Most nodes of a round that are answered one by one.
const ONE_BY_ONE_MAX: usize = 3;

/// Answers until the subscription ends.
pub(super) async fn run(core: &Core, bus: &Bus, client: &Client, mut asks: Subscriber) {
    loop {
        let mut next = asks.next().await;
        if next.is_none() {
            return;
        }
        let mut round = BTreeMap::new();
        while let Some(message) = next {
            note(core, bus, &message, &mut round);
            next = asks.next().now_or_never().flatten();
        }
        answer(core, bus, client, &round).await;
        tokio::time::sleep(ROUND_EVERY).await;
    }
}

/// Takes in who asks for what; the last word of each counts.
fn note(core: &Core, bus: &Bus, message: &Message, round: &mut BTreeMap<NodeName, Ask>) {
    let Some(asker) = bus.subjects.find_asker(message.subject.as_str()) else { return };
    let Some(ask) = Ask::read(&message.payload) else { return };
    if asker != core.node && core.live().members.find(&asker).is_some() {
        round.insert(asker, ask);
    }
}

async fn answer(core: &Core, bus: &Bus, client: &Client, round: &BTreeMap<NodeName, Ask>) {
    if round.len() <= ONE_BY_ONE_MAX {
        for (asker, ask) in round {
            let values = bus.kept().since(ask.generation, ask.since);
            for Outgoing { slot, octets } in values {
                speech::publish(core, client, bus.subjects.to(asker, &slot), octets).await;
            }
        }
        return;
    }
    // Who knows nothing of this life lacks everything.
    let since = |ask: &Ask| if ask.generation == core.generation { ask.since } else { 0 };
    let least = round.values().map(since).min().unwrap_or(0);
    let values = bus.kept().since(core.generation, least);
    for Outgoing { slot, octets } in values {
        speech::publish(core, client, bus.subjects.value(&slot), octets).await;
    }
}
