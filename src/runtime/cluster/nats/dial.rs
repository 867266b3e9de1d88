//! Connects with one of the servers of the bus: TLS, both sides by certificates.

use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectOptions;
use async_nats::Event;
use async_nats::ServerAddr;
use tokio::sync::mpsc;

use crate::runtime::cluster::chance;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::nats::Bus;
use crate::runtime::cluster::nats::message::MESSAGE_MAX;
use crate::runtime::cluster::pieces::GIVEN_WITHIN;

/// Longest time until a server has taken this node in.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A silent server is asked so often; after three asks without answer it counts as lost.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Messages of a subscription that wait to be taken, at most; more are lost, and asked for again.
const WAITING_MAX: usize = 4096;

/// Messages that wait to be sent, at most; who says more waits.
const OUTGOING_MAX: usize = 1024;

/// Events that wait to be looked at.
const EVENTS_MAX: usize = 64;

/// Connects; the first server that takes this node in is kept. Why not, in words.
pub(super) async fn dial(
    core: &Core,
    bus: &Bus,
) -> Result<(Client, mpsc::Receiver<Event>), String> {
    let (to, events) = mpsc::channel(EVENTS_MAX);
    let urls = bus.terms.servers.iter().map(|server| format!("tls://{server}"));
    let servers: Result<Vec<_>, _> = urls.map(|url| url.parse::<ServerAddr>()).collect();
    let servers = servers.map_err(|error| error.to_string())?;
    let options = ConnectOptions::new()
        .name(format!("rhumb {} of {}", core.node, core.cluster()))
        .require_tls(true)
        .add_root_certificates(bus.terms.ca.clone())
        .add_client_certificate(bus.terms.certificate.clone(), bus.terms.key.clone())
        .connection_timeout(CONNECT_MAX)
        .ping_interval(PING_EVERY)
        .subscription_capacity(WAITING_MAX)
        .client_capacity(OUTGOING_MAX)
        .custom_inbox_prefix(bus.subjects.inbox())
        .request_timeout(Some(GIVEN_WITHIN))
        .ignore_discovered_servers()
        // Each server is tried once when a connection breaks; then the loop outside goes on, which says why.
        .max_reconnects(servers.len())
        .reconnect_delay_callback(|attempt| match attempt {
            0 | 1 => Duration::from_millis(chance() % 50),
            _ => Duration::from_millis(100 + chance() % 400),
        })
        .event_callback(move |event| {
            // Whoever misses some sees the state of the connection all the same.
            let _ = to.try_send(event);
            std::future::ready(())
        });
    let client = options.connect(servers).await.map_err(|error| error.to_string())?;
    if client.max_payload() < MESSAGE_MAX {
        let (most, needed) = (client.max_payload(), MESSAGE_MAX);
        tracing::warn!(
            target: "rhumb::cluster", most, needed,
            "the bus takes only short messages: raise max_payload, or long values are not said"
        );
    }
    Ok((client, events))
}
