//! Answers what is asked of the history, of a running server or of the folder of one that does not run.

use std::time::Duration;

use crate::control::Command;
use crate::control::Reply;
use crate::control::command::EventPage;
use crate::control::past::explain_past;
use crate::runtime::state::Page;
use crate::runtime::state::Reading;
use crate::runtime::state::Then;
use crate::runtime::state::Wanted;

/// Whether a command is about the past.
pub fn is_asked(command: &Command) -> bool {
    matches!(command, Command::Events { .. } | Command::Explain { at_ms: Some(_), .. })
}

/// Answers it. Blocks, as long as files take to compile.
pub fn answer(reading: &Reading, command: &Command) -> Reply {
    try_answer(reading, command).unwrap_or_else(Reply::failed)
}

fn try_answer(reading: &Reading, command: &Command) -> Result<Reply, String> {
    match command {
        Command::Events { since_ms, until_ms, name, endpoint, from } => {
            let subjects = reading.subjects(name.as_deref(), endpoint.as_deref())?;
            let (since_ms, until_ms) = (*since_ms, *until_ms);
            let wanted = Wanted { since_ms, until_ms, subjects, from: *from };
            let Page { events, next } = reading.events(&wanted).map_err(|why| why.to_string())?;
            Ok(Reply::Events(EventPage { events, next }))
        }
        Command::Explain { question, down, at_ms: Some(at_ms) } => {
            let at = Duration::from_millis(*at_ms);
            let Then { past, served } = reading.at(at)?;
            // What the files assert was judged when they were loaded.
            let product = reading.job(&served, at.as_secs())?.unjudged().run();
            let explanation = explain_past(product, past, question, down)?;
            Ok(Reply::Explanation(Box::new(explanation)))
        }
        _ => Err("this is not about the past".into()),
    }
}
