//! The engine over NATS: each value on a subject of its own, the last one of each topic kept by the node that said it.
//!
//! The bus is not trusted: what comes passes the same door as what comes over connections of nodes. It need not keep anything
//! either: who lacks a value asks the node whose it is (docs/decisions/0040).

mod answers;
mod dial;
mod files;
mod hearing;
mod kept;
mod known;
mod message;
mod parcels;
mod session;
mod speech;
mod standing;
mod subject;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_nats::Client;

use crate::control::cluster::status::BusStatus;
use crate::model::NatsTerms;
use crate::runtime::cluster::chance;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::nats::kept::Kept;
use crate::runtime::cluster::nats::known::Known;
use crate::runtime::cluster::nats::standing::Standing;
use crate::runtime::cluster::nats::subject::Subjects;

pub use files::NatsError;
pub(super) use files::check;
pub(super) use parcels::fetch;

/// Wait before the servers are dialled again, at first and at most.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// What lasts from one connection with the bus to the next.
#[derive(Debug)]
pub(super) struct Bus {
    terms: NatsTerms,
    subjects: Subjects,
    standing: Standing,
    kept: Mutex<Kept>,
    known: Mutex<Known>,
    client: Mutex<Option<Client>>,
}

impl Bus {
    pub(super) fn new(terms: NatsTerms, core: &Core) -> Self {
        Self {
            terms,
            subjects: Subjects::new(core.cluster(), &core.node),
            standing: Standing::default(),
            kept: Mutex::new(Kept::new(core.cluster(), &core.node, core.generation)),
            known: Mutex::default(),
            client: Mutex::default(),
        }
    }

    /// How this node stands with it.
    pub(super) fn status(&self) -> BusStatus {
        self.standing.status()
    }

    /// The connection of now.
    fn client(&self) -> Option<Client> {
        self.client.lock().expect("nobody panics with the lock").clone()
    }

    fn set_client(&self, client: Option<Client>) {
        *self.client.lock().expect("nobody panics with the lock") = client;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics with the lock")
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nobody panics with the lock")
    }
}

/// Dials the servers of the bus, again and again, and speaks and listens while there is a connection.
pub(super) async fn run(core: Arc<Core>, bus: Arc<Bus>) {
    let mut back_off = BACK_OFF[0];
    loop {
        match dial::dial(&core, &bus).await {
            Ok((client, events)) => {
                bus.set_client(Some(client.clone()));
                session::run(&core, &bus, client, events).await;
                bus.set_client(None);
                bus.standing.lose("the connection is lost");
                back_off = BACK_OFF[0];
            }
            Err(why) => bus.standing.lose(&why),
        }
        // Nodes that lost it together do not all come back together.
        let wait = back_off.mul_f64(0.5 + (chance() % 1024) as f64 / 2048.0);
        tokio::time::sleep(wait).await;
        back_off = (back_off * 2).min(BACK_OFF[1]);
    }
}
