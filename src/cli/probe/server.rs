//! What the running server says of an endpoint, if one runs.

use serde::Serialize;

use crate::cli::ask;
use crate::cli::ask::Unanswered;
use crate::cli::operate::ServerOption;
use crate::control::Command;
use crate::control::Reply;
use crate::control::status::EndpointStatus;
use crate::control::status::PartStatus;
use crate::control::status::ProbesStatus;
use crate::control::status::TargetStatus;

/// The server's word on an endpoint, or why there is none.
#[derive(Debug)]
pub(super) enum Said {
    /// What it says.
    Of {
        /// How the endpoint is probed there; `None`: not at all.
        check: Option<String>,
        /// How the endpoint stands.
        endpoint: Box<EndpointStatus>,
    },
    /// Why it says nothing.
    Nothing(String),
}

/// The server's word on one address by one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Word {
    /// `up`, `down`, `held`, `unknown`.
    pub(super) verdict: String,
    /// Seconds since it changed.
    pub(super) since_s: Option<u64>,
    /// Its newest result.
    pub(super) last: Option<String>,
    /// How its probes go on.
    pub(super) probes: Option<ProbesStatus>,
    /// How slow it is there, in words.
    pub(super) degraded: String,
    /// The order in force for its endpoint, in words; empty if none.
    pub(super) order: String,
}

/// Asks the server.
pub(super) fn ask(option: &ServerOption, key: &str) -> Said {
    let command = Command::StatusOf { target: key.to_owned() };
    let status = match ask::ask(option.socket.as_ref(), &option.config, &command) {
        Ok(Reply::Status(status)) => status,
        Ok(Reply::Failed { error, .. }) => return Said::Nothing(format!("it says: {error}")),
        Ok(
            Reply::Done { .. }
            | Reply::Cluster(_)
            | Reply::Bundles(_)
            | Reply::Explanation(_)
            | Reply::Events(_),
        ) => {
            return Said::Nothing("the server answered something else".into());
        }
        Err(Unanswered::NoServer(why) | Unanswered::Failed(why)) => return Said::Nothing(why),
    };
    let found = status.pools.into_iter().find_map(|pool| {
        let endpoint = pool.endpoints.into_iter().find(|endpoint| endpoint.key == key)?;
        Some((pool.check, Box::new(endpoint)))
    });
    match found {
        Some((check, endpoint)) => Said::Of { check, endpoint },
        None => Said::Nothing("it does not know this endpoint".into()),
    }
}

impl Said {
    /// What it says of an address by a check.
    pub(super) fn of(&self, address: &str, check: &str) -> Option<Word> {
        let Self::Of { check: own, endpoint } = self else { return None };
        let target = endpoint.targets.iter().find(|target| target.address == address)?;
        let order = endpoint.order.clone();
        if own.as_deref() == Some(check) {
            let TargetStatus { verdict: _, since_s, last, probes, degraded, .. } = target.clone();
            let verdict = target.verdict_text();
            return Some(Word { verdict, since_s, last, probes, degraded, order });
        }
        let part = target.parts.iter().find(|part| part.check == check)?.clone();
        let PartStatus { check: _, verdict, since_s, reason: _, last, probes } = part;
        Some(Word { verdict, since_s, last, probes, degraded: String::new(), order })
    }

    /// Why nothing is said of an address by a check.
    pub(super) fn silence(&self) -> String {
        match self {
            Self::Of { check: None, .. } => "it probes this endpoint by no check".into(),
            Self::Of { check: Some(own), .. } => {
                format!("it does not probe this, but by {own}; if the files are newer, reload")
            }
            Self::Nothing(why) => why.clone(),
        }
    }
}
