//! Commands in a cluster: what an operator says at one node is done at all.

use serde::Deserialize;
use serde::Serialize;

use crate::control::Command;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Reply;
use crate::model::Now;
use crate::model::Role;

/// What operators ask all nodes to do once: nothing of it stays but the deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Take down what the brake holds.
    ReleaseBrake {
        /// Why.
        reason: Box<str>,
        /// Who.
        author: Box<str>,
    },
    /// Let go the endpoints that a source has dropped.
    AcceptDiscovery {
        /// Which pool.
        pool: Box<str>,
        /// Why.
        reason: Box<str>,
        /// Who.
        author: Box<str>,
    },
}

impl Request {
    /// What a command asks of all nodes, if it is such a one.
    pub(in crate::control) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::ReleaseBrake { reason, author } => Some(Self::ReleaseBrake {
                reason: reason.as_str().into(),
                author: author.as_str().into(),
            }),
            Command::AcceptDiscovery { pool, reason, author } => Some(Self::AcceptDiscovery {
                pool: pool.as_str().into(),
                reason: reason.as_str().into(),
                author: author.as_str().into(),
            }),
            _ => None,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::ReleaseBrake { .. } => "request release_brake".into(),
            Self::AcceptDiscovery { pool, .. } => format!("request accept {pool}"),
        }
    }
}

impl Command {
    /// Whether it changes anything but what the files say.
    fn is_order(&self) -> bool {
        match self {
            Self::Status
            | Self::StatusOf { .. }
            | Self::Cluster
            | Self::Reload
            | Self::Events { .. }
            | Self::Bundles
            | Self::Parcel { .. }
            | Self::Piece { .. }
            | Self::Explain { .. } => false,
            Self::Order { .. }
            | Self::Withdraw { .. }
            | Self::Failback { .. }
            | Self::AcceptDiscovery { .. }
            | Self::ReleaseBrake { .. }
            | Self::Push { .. }
            | Self::PushOn { .. }
            | Self::PushOff { .. }
            | Self::RollBack { .. }
            | Self::Shift { .. }
            | Self::ShiftBack { .. } => true,
        }
    }
}

impl Controller {
    /// Does what a command asks, and has other nodes do it.
    pub(in crate::control) fn obey(
        &mut self,
        command: Command,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        if let Some(why) = self.refuses_orders().filter(|_| command.is_order()) {
            return Reply::failed(why.into());
        }
        let request = Request::of(&command);
        let reply = self.obey_here(command, now, effects);
        if let (Some(request), Reply::Done { .. }) = (request, &reply) {
            self.share_request(&request, now, effects);
        }
        reply
    }

    /// Why this node takes no orders; `None`: it does.
    fn refuses_orders(&self) -> Option<&'static str> {
        let role = self.records.as_ref().map(|records| records.role);
        (role == Some(Role::Agent)).then_some(
            "this node is an agent: it probes and decides nothing; give the order at a server of the cluster",
        )
    }

    /// Asks all other nodes to do what was done here.
    fn share_request(&mut self, request: &Request, now: Now, effects: &mut Vec<Effect>) {
        let value = serde_json::value::to_raw_value(request).ok();
        self.say_record(&request.key(), value, now, effects);
    }

    pub(super) fn do_request(&mut self, request: Request, now: Now, effects: &mut Vec<Effect>) {
        // Nothing to do here is no fault: this node may hold nothing.
        let _nothing_to_do = match request {
            Request::ReleaseBrake { reason, author } => {
                self.release_brake(&reason, &author, now, effects)
            }
            Request::AcceptDiscovery { pool, reason, author } => {
                self.accept_discovery(&pool, &reason, &author, now, effects)
            }
        };
    }
}
