//! `rhumb events`: what happened, from the running server, or from its folder when it does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::ask::Unanswered;
use crate::cli::ask::ask;
use crate::cli::moment::parse_moment;
use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::control::Command;
use crate::control::Reply;
use crate::control::command::EventPage;
use crate::control::event_record::EventRecord;
use crate::runtime::answerer::unix_ms;
use crate::runtime::history;
use crate::runtime::state::Reading;
use crate::runtime::state::read_folder;

#[derive(Debug, Args)]
pub(super) struct EventsArguments {
    /// From when: how long ago (1h), a time of the last 24 hours in UTC (14:32), or an instant
    #[arg(long, value_name = "WHEN", default_value = "1h")]
    since: String,
    /// To when [default: now]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only what can change the answers of this name
    #[arg(long, value_name = "NAME", conflicts_with = "endpoint")]
    name: Option<String>,
    /// Only what is about this endpoint, its pool or its site
    #[arg(long, value_name = "POOL/ENDPOINT")]
    endpoint: Option<String>,
    /// Control socket of the server [default: of the configuration, else where a server puts it]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigOption,
    /// Print JSON, one event a line
    #[arg(long)]
    json: bool,
}

/// An event as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    /// When, for people.
    at: String,
    #[serde(flatten)]
    event: &'a EventRecord,
}

pub(super) fn run(arguments: &EventsArguments) -> ExitCode {
    let now_ms = unix_ms();
    let until = arguments.until.as_ref().map_or(Ok(u64::MAX), |text| parse_moment(text, now_ms));
    let moments = (parse_moment(&arguments.since, now_ms), until);
    let (since_ms, until_ms) = match moments {
        (Ok(since_ms), Ok(until_ms)) => (since_ms, until_ms),
        (Err(why), _) | (_, Err(why)) => return fail(USAGE, why),
    };
    let mut source = Source::Server;
    let mut from = None;
    loop {
        let (name, endpoint) = (arguments.name.clone(), arguments.endpoint.clone());
        let command = Command::Events { since_ms, until_ms, name, endpoint, from };
        match source.ask(arguments, &command) {
            Ok(EventPage { events, next }) => {
                events.iter().for_each(|event| show(event, arguments.json));
                if next.is_none() {
                    return ExitCode::SUCCESS;
                }
                from = next;
            }
            Err(why) => return fail(PROBLEMS, why),
        }
    }
}

/// Where events come from.
enum Source {
    /// The running server.
    Server,
    /// Its folder.
    Folder(Box<Reading>),
}

impl Source {
    /// One page; of a server that does not run its folder is read from then on.
    fn ask(&mut self, arguments: &EventsArguments, command: &Command) -> Result<EventPage, String> {
        let reply = match self {
            Self::Folder(reading) => history::answer(reading, command),
            Self::Server => match ask(arguments.socket.as_ref(), &arguments.config, command) {
                Ok(reply) => reply,
                Err(Unanswered::NoServer(why)) if arguments.socket.is_none() => {
                    let reading = open_folder(&arguments.config, &why)?;
                    let reply = history::answer(&reading, command);
                    *self = Self::Folder(Box::new(reading));
                    reply
                }
                Err(Unanswered::NoServer(why) | Unanswered::Failed(why)) => return Err(why),
            },
        };
        match reply {
            Reply::Events(page) => Ok(page),
            Reply::Failed { error, problems: _ } => Err(error),
            Reply::Done { .. }
            | Reply::Status(_)
            | Reply::Cluster(_)
            | Reply::Bundles(_)
            | Reply::Explanation(_) => Err("the server answered something else".into()),
        }
    }
}

/// Opens the folder of state that the configuration names; `why` says why no server is asked.
pub(super) fn open_folder(config: &ConfigOption, why: &str) -> Result<Reading, String> {
    let settings = settings::find(config)?;
    let state = settings.node.state.ok_or_else(|| {
        format!("{why}, and no [state] folder in rhumb.toml has a history to read")
    })?;
    read_folder(&state.folder)
        .map_err(|fault| format!("{why}, and its history cannot be read: {fault}"))
}

/// An instant with milliseconds.
fn at(event: &EventRecord) -> String {
    let instant = std::time::UNIX_EPOCH + std::time::Duration::from_millis(event.at_ms);
    humantime::format_rfc3339_millis(instant).to_string()
}

fn show(event: &EventRecord, json: bool) {
    if !json {
        return print(format!("{} {:>6} {}", at(event), event.generation, event.text));
    }
    match serde_json::to_string(&Line { at: at(event), event }) {
        Ok(text) => print(text),
        Err(why) => eprintln!("rhumb: {why}"),
    }
}
