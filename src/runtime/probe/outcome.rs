//! How a probe ended.

use std::time::Duration;

use crate::health::LoadWord;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::progress::Phases;

/// What a probe that passed has to tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Success {
    /// Something for people, such as when a certificate expires.
    pub note: Option<Box<str>>,
    /// What the answer says of load.
    pub load: LoadWord,
}

impl Success {
    /// One that has nothing to tell but this.
    pub(super) fn noted(note: String) -> Self {
        Self { note: Some(note.into()), ..Self::default() }
    }

    /// The same with something more to tell.
    pub(super) fn with_note(self, more: &str) -> Self {
        let note = self.note.map_or_else(|| more.into(), |note| format!("{note}, {more}").into());
        Self { note: Some(note), ..self }
    }
}

/// What a probe leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probed {
    pub(super) outcome: Result<Success, ProbeFailure>,
    pub(super) phases: Phases,
}

/// How one probe ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeResult {
    /// Success, or why not.
    pub outcome: Result<Success, ProbeFailure>,
    /// From its start to its end.
    pub duration: Duration,
    /// How long its parts took.
    pub phases: Phases,
}

impl ProbeResult {
    /// What the answer says of load, if the probe passed.
    pub fn load(&self) -> LoadWord {
        self.outcome.as_ref().map_or(LoadWord::Unasked, |success| success.load)
    }

    /// What people are told: `passed in 12.3 ms`, or why not.
    pub fn reason(&self) -> String {
        match &self.outcome {
            Ok(success) => {
                let note = success.note.iter().map(|note| format!(", {note}"));
                let took = self.duration.as_secs_f64() * 1000.0;
                let load = success.load.text();
                format!("passed in {took:.1} ms{}{load}", note.collect::<String>())
            }
            Err(why) => why.to_string(),
        }
    }

    /// What was measured, in brackets and after a blank; nothing if nothing was.
    pub fn phases_text(&self) -> String {
        let text = self.phases.to_string();
        if text.is_empty() { text } else { format!(" ({text})") }
    }
}
