//! What operators ask of a running server, and what they get.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::answer::explain::Explanation;
use crate::answer::explain::Question;
use crate::cluster::PieceId;
use crate::config::render::ProblemReport;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Order;
use crate::control::Scope;
use crate::control::cluster::bundles::orders::PushFiles;
use crate::control::cluster::bundles::orders::PushTerms;
use crate::control::cluster::bundles::status::BundleStatus;
use crate::control::cluster::status::ClusterStatus;
use crate::control::effect::count;
pub use crate::control::event_record::EventPage;
use crate::control::health::Overlay;
use crate::control::rejection::Rejection;
use crate::control::shift::Wanted;
use crate::control::status::Status;
use crate::control::weights::Billionths;
use crate::model::Admin;
use crate::model::Model;
use crate::model::Now;
use crate::model::PoolId;

/// A command of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Show everything.
    Status,
    /// Show the cluster.
    Cluster,
    /// Show what is known of a site, a pool or an endpoint.
    StatusOf {
        /// Which, as [`Scope::find`] reads it.
        target: String,
    },
    /// Give an order.
    Order {
        /// What it is for, as [`Scope::find`] reads it.
        target: String,
        /// What is ordered.
        action: Action,
        /// Why.
        reason: String,
        /// Who.
        author: String,
        /// Seconds since 1970 when it ends; `None`: when it is taken back.
        until_s: Option<u64>,
        /// Even if it leaves a name without anything to serve.
        force: bool,
    },
    /// Take an order back.
    Withdraw {
        /// What it was for.
        target: String,
        /// Who takes it back.
        author: String,
    },
    /// Bring all clients of a pool back.
    Failback {
        /// Which pool.
        pool: String,
        /// Why.
        reason: String,
        /// Who.
        author: String,
    },
    /// Let go the endpoints that a source has dropped and the floor of their pool holds.
    AcceptDiscovery {
        /// Which pool.
        pool: String,
        /// Why.
        reason: String,
        /// Who.
        author: String,
    },
    /// Take down at once what the brake holds.
    ReleaseBrake {
        /// Why.
        reason: String,
        /// Who.
        author: String,
    },
    /// Move the share of a target of a weighted policy.
    Shift {
        /// Which policy.
        policy: String,
        /// Which of its targets.
        target: String,
        /// Its share at the end, in billionths.
        share: u32,
        /// Seconds until then.
        over_s: u64,
        /// Seconds after that in which a target that fails still takes it back.
        watch_s: u64,
        /// Seconds since 1970 when the weights of the files count again; `None`: when it is taken back.
        until_s: Option<u64>,
        /// Why.
        reason: String,
        /// Who.
        author: String,
        /// Even if an assertion does not hold with these weights.
        #[serde(default)]
        force: bool,
    },
    /// Let the weights of the files count again.
    ShiftBack {
        /// Which policy.
        policy: String,
        /// Who.
        author: String,
    },
    /// Explain an answer.
    Explain {
        /// What is asked.
        question: Question,
        /// What is taken to be down besides what is.
        down: Vec<String>,
        /// As it was then, in milliseconds since 1970; `None`: as it is now.
        #[serde(default)]
        at_ms: Option<u64>,
    },
    /// Tell what happened.
    Events {
        /// From when, in milliseconds since 1970.
        since_ms: u64,
        /// To when.
        until_ms: u64,
        /// Only what can change the answers of a steered name.
        name: Option<String>,
        /// Only what is about an endpoint.
        endpoint: Option<String>,
        /// Where the page before ended.
        from: Option<u64>,
    },
    /// Read the files again, and say what became of them.
    Reload,
    /// Show which versions of the files there are, and how nodes stand to them.
    Bundles,
    /// Take in the index of files that are to be pushed; says `whole` if they are here already.
    Parcel {
        /// The index, as base64.
        index: String,
    },
    /// Take in a piece of them.
    Piece {
        /// Digest of the index.
        parcel: PieceId,
        /// Which piece, from 0.
        position: usize,
        /// The piece, as base64.
        content: String,
    },
    /// Bring these files to all nodes.
    Push {
        /// Which.
        files: PushFiles,
        /// How.
        terms: PushTerms,
    },
    /// Let a version go on that a canary serves.
    PushOn {
        /// Who.
        author: String,
    },
    /// Give a push up.
    PushOff {
        /// Who.
        author: String,
    },
    /// Bring the files of an earlier version back.
    RollBack {
        /// Which; `None`: the one before that in force.
        to: Option<u64>,
        /// How.
        terms: PushTerms,
    },
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take no new clients.
    Drain,
    /// The same, and do not probe.
    Disable,
    /// Count as healthy.
    ForceUp,
    /// Count as down.
    ForceDown,
}

/// What an operator gets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done {
        /// What was done, for people.
        text: String,
    },
    /// It is not done.
    Failed {
        /// Why, and what to do.
        error: String,
        /// What is wrong with files, if it is files.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        problems: Vec<ProblemReport>,
    },
    /// Everything.
    Status(Box<Status>),
    /// The cluster.
    Cluster(Box<ClusterStatus>),
    /// Versions of the files.
    Bundles(Box<BundleStatus>),
    /// The reason for an answer.
    Explanation(Box<Explanation>),
    /// What happened.
    Events(EventPage),
}

impl Reply {
    /// Something is not done, and no file is to blame.
    pub fn failed(error: String) -> Self {
        Self::Failed { error, problems: Vec::new() }
    }
}

impl Controller {
    /// Does what a command asks, at this node.
    pub(super) fn obey_here(
        &mut self,
        command: Command,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let result = match command {
            Command::Status => return Reply::Status(Box::new(self.status(now))),
            Command::Cluster => return self.cluster_reply(now),
            Command::Bundles => match self.bundle_status(now) {
                Some(status) => return Reply::Bundles(Box::new(status)),
                None => Err("this node stands alone: its rhumb.toml has no [cluster]".into()),
            },
            Command::Parcel { .. } | Command::Piece { .. } => {
                Err("this node keeps no bundles: write bundles = true in [cluster]".into())
            }
            Command::Push { files, terms } => self.push(&files, &terms, now),
            Command::PushOn { author: _ } => self.go_on(now),
            Command::PushOff { author } => self.abort(&author, now),
            Command::RollBack { to, terms } => self.roll_back(to, &terms, now),
            Command::StatusOf { target } => return self.status_of(&target, now),
            Command::Reload => return self.reload_reply(),
            Command::Events { .. } | Command::Explain { at_ms: Some(_), .. } => {
                Err("this server keeps no history: set folder in [state] of rhumb.toml".into())
            }
            Command::Explain { question, down, at_ms: None } => {
                match self.explain(&question, &down) {
                    Ok(explanation) => return Reply::Explanation(Box::new(explanation)),
                    Err(error) => Err(error),
                }
            }
            Command::Order { target, action, reason, author, until_s, force } => {
                let admin = match action {
                    Action::Drain => Admin::Drained,
                    Action::Disable => Admin::Disabled,
                    Action::ForceUp => Admin::ForcedUp,
                    Action::ForceDown => Admin::ForcedDown,
                };
                let until = until_s.map(Duration::from_secs);
                let order = Order {
                    admin,
                    reason: reason.into(),
                    author: author.into(),
                    since: now.unix,
                    until,
                };
                self.order(&target, order, force, now, effects)
            }
            Command::Withdraw { target, author } => self.withdraw(&target, &author, now, effects),
            Command::Shift {
                policy,
                target,
                share,
                over_s,
                watch_s,
                until_s,
                reason,
                author,
                force,
            } => {
                let wanted = Wanted {
                    policy,
                    target,
                    share: Billionths(share.min(Billionths::ALL.0)),
                    over: Duration::from_secs(over_s),
                    watch: Duration::from_secs(watch_s),
                    until: until_s.map(Duration::from_secs),
                    reason,
                    author,
                    force,
                };
                self.shift(wanted, now, effects)
            }
            Command::ReleaseBrake { reason, author } => {
                self.release_brake(&reason, &author, now, effects)
            }
            Command::AcceptDiscovery { pool, reason, author } => {
                self.accept_discovery(&pool, &reason, &author, now, effects)
            }
            Command::ShiftBack { policy, author } => self.shift_back(&policy, &author, effects),
            Command::Failback { pool, reason, author } => {
                self.fail_back(&pool, &reason, &author, effects)
            }
        };
        match result {
            Ok(text) => Reply::Done { text },
            Err(error) => Reply::failed(error),
        }
    }

    /// What became of the files read last, for who asked to read them.
    pub fn reload_reply(&self) -> Reply {
        let zones = self.snapshot().map_or(0, |now| now.compiled.model.zones.len());
        let generation = self.snapshot().map_or(0, |now| now.generation);
        let served = format!("{}, generation {generation}", count(zones, "zone"));
        let (mut texts, mut serving) = (String::new(), format!("; serving {served}, as before"));
        let mut all = Vec::new();
        for (what, Rejection { text, problems, list }) in self.refused() {
            all.extend(list.iter().cloned());
            let counted = count(*problems, "problem");
            let serving = std::mem::take(&mut serving);
            texts += &format!("{what} refused, {counted}{serving}\n{}\n", text.trim_end());
        }
        match texts.trim_end() {
            "" => Reply::Done { text: format!("serving {served}") },
            error => Reply::Failed { error: error.into(), problems: all },
        }
    }

    pub(super) fn model(&self) -> Result<&Model, String> {
        self.snapshot
            .as_ref()
            .map(|snapshot| &*snapshot.compiled.model)
            .ok_or_else(|| "nothing is served yet".into())
    }

    /// Explains an answer by the snapshot in force, with some things taken to be down.
    pub(super) fn explain(
        &self,
        question: &Question,
        down: &[String],
    ) -> Result<Explanation, String> {
        let model = self.model()?;
        let scopes: Vec<Scope> =
            down.iter().map(|text| Scope::find(text, model)).collect::<Result<_, _>>()?;
        let snapshot = self.snapshot.as_ref().ok_or("nothing is served yet")?;
        if scopes.is_empty() {
            return crate::answer::explain::explain(snapshot, question);
        }
        let overlay = Overlay { controller: self, model, down: &scopes };
        let all: Vec<PoolId> = (0..model.pools.len()).map(PoolId::at).collect();
        let supposed = snapshot.with_changed(snapshot.generation, &all, &overlay);
        let mut explanation = crate::answer::explain::explain(&supposed, question)?;
        explanation.supposed_down = scopes.iter().map(ToString::to_string).collect();
        Ok(explanation)
    }
}
