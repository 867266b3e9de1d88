//! One connection with the bus, from the first subscription until it is given up.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_nats::Client;
use async_nats::Event;
use async_nats::SubscribeError;
use async_nats::Subscriber;
use async_nats::connection::State;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;

use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::answers;
use crate::runtime::cluster::nats::hearing;
use crate::runtime::cluster::nats::parcels;
use crate::runtime::cluster::nats::speech;

/// How often the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Speaks and listens until the client gives the connection up.
pub(super) async fn run(
    core: &Arc<Core>,
    bus: &Arc<Bus>,
    client: Client,
    events: mpsc::Receiver<Event>,
) {
    let Ok([values, own, asks, wants]) = subscribe(bus, &client).await else { return };
    let (queue, waiting) = mpsc::channel(hearing::WAITING_MAX);
    // Signatures are verified on a thread of their own, as the messages must be taken meanwhile.
    let hearing = hearing::run(Arc::clone(core), Arc::clone(bus), client.clone(), waiting);
    let hearing = AbortOnDropHandle::new(tokio::spawn(hearing));
    tokio::select! {
        () = hearing::read(core, bus, values, &queue) => {}
        () = hearing::read(core, bus, own, &queue) => {}
        () = answers::run(core, bus, &client, asks) => {}
        () = parcels::give(core, bus, &client, wants) => {}
        () = speech::run(core, bus, &client) => {}
        () = watch(core, bus, &client, events) => {}
        _ = hearing => {}
    }
}

async fn subscribe(bus: &Bus, client: &Client) -> Result<[Subscriber; 4], SubscribeError> {
    let subjects = &bus.subjects;
    let values = client.subscribe(subjects.all_values()).await?;
    let own = client.subscribe(subjects.all_to_own()).await?;
    let asks = client.subscribe(subjects.asks_of_own()).await?;
    let wants = client.subscribe(subjects.wants_of_own()).await?;
    Ok([values, own, asks, wants])
}

/// Follows the connection: what may have been missed is said and asked for each time that it is there anew. Returns when members or
/// the key are followed no more.
async fn watch(core: &Core, bus: &Bus, client: &Client, mut events: mpsc::Receiver<Event>) {
    let mut live = core.live.subscribe();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let statistics = client.statistics();
    let (mut connects, mut octets, mut refused) = (0, 0, None);
    loop {
        match (client.connection_state(), statistics.connects.load(Relaxed)) {
            (State::Connected, now) if now != connects => {
                connects = now;
                Counters::count(&core.counters.connections);
                bus.standing.connect();
                speech::begin(core, bus, client).await;
            }
            (State::Connected, _) => bus.standing.check_echo(refused.as_deref()),
            (State::Pending | State::Disconnected, _) => {
                bus.standing.lose("the connection is lost");
            }
        }
        let now = statistics.in_bytes.load(Relaxed);
        core.counters.octets_in.fetch_add(now - octets, Relaxed);
        octets = now;
        tokio::select! {
            _ = ticks.tick() => {}
            Some(event) = events.recv() => note(core, event, &mut refused),
            changed = live.changed() => match changed {
                Ok(()) => speech::follow(core, bus, client).await,
                Err(_) => return,
            }
        }
    }
}

/// Takes in what the client tells.
fn note(core: &Core, event: Event, refused: &mut Option<String>) {
    match event {
        Event::SlowConsumer(_) => Counters::count(&core.counters.bus_dropped),
        Event::ServerError(error) => {
            let why = error.to_string();
            if refused.as_deref() != Some(&why) {
                tracing::warn!(target: "rhumb::cluster", why, "the bus refuses something");
            }
            *refused = Some(why);
        }
        Event::LameDuckMode => {
            tracing::info!(target: "rhumb::cluster", "the server of the bus is about to end");
        }
        Event::Connected
        | Event::Disconnected
        | Event::Draining
        | Event::Closed
        | Event::ClientError(_) => {}
    }
}
