//! The probe of what is reported: it looks at the board for the last word on its endpoint.

use std::sync::Arc;
use std::time::Duration;

use crate::config::duration::spell;
use crate::runtime::probe::board::Board;
use crate::runtime::probe::board::Place;
use crate::runtime::probe::board::Report;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::outcome::Success;

/// One endpoint's place on the board.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Listen {
    pub(in crate::runtime::probe) board: Arc<Board>,
    pub(in crate::runtime::probe) check: Box<str>,
    pub(in crate::runtime::probe) endpoint: Box<str>,
    pub(in crate::runtime::probe) silence: Duration,
}

impl Listen {
    pub(super) fn run(&self) -> Result<Success, ProbeFailure> {
        let silence = spell(self.silence);
        let place = self.board.find(&self.check, &self.endpoint);
        let Some(Place { since, report }) = place else {
            return Err(ProbeFailure::Waiting("it has no place on the board yet".into()));
        };
        match report {
            Some(Report { at, .. }) if at.elapsed() > self.silence => {
                let text = format!("no report for more than {silence}");
                Err(ProbeFailure::Answer(text.into()))
            }
            Some(Report { is_up: true, reason, .. }) => Ok(reason
                .map_or_else(Success::default, |reason| {
                    Success::noted(format!("reported: {reason}"))
                })),
            Some(Report { is_up: false, reason, .. }) => {
                let reason = reason.as_deref().unwrap_or("without a reason");
                Err(ProbeFailure::Answer(format!("reported down: {reason}").into()))
            }
            // Nobody may be blamed for a report that came before this server knew of it.
            None if since.elapsed() <= self.silence => {
                Err(ProbeFailure::Waiting(format!("no report yet, waiting {silence}").into()))
            }
            None => Err(ProbeFailure::Answer(format!("no report for {silence}").into())),
        }
    }
}
