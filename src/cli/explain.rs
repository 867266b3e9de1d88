//! `rhumb explain`

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::answer::explain::Explanation;
use crate::answer::explain::HintReport;
use crate::answer::explain::MemberReport;
use crate::answer::explain::Question;
use crate::answer::explain::Steering;
use crate::cli::ask;
use crate::cli::ask::Unanswered;
use crate::cli::events::open_folder;
use crate::cli::moment::parse_moment;
use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::control::Command;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Event;
use crate::control::Reply;
use crate::control::order::instant;
use crate::model::Now;
use crate::runtime::answerer::unix_ms;
use crate::runtime::answerer::unix_s;
use crate::runtime::history;
use crate::runtime::history::is_asked;

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The name to ask for
    name: String,
    /// The type to ask for
    #[arg(default_value = "A")]
    rtype: String,
    /// The client on whose behalf is asked
    #[arg(long, value_name = "IP")]
    client: IpAddr,
    /// Who sends the query [default: the client itself]
    #[arg(long, value_name = "IP")]
    resolver: Option<IpAddr>,
    /// The client asks by itself: no resolver, no client subnet
    #[arg(long, conflicts_with = "resolver")]
    direct: bool,
    /// Take this site, pool or endpoint to be down; may be given several times
    #[arg(long, value_name = "TARGET")]
    down: Vec<String>,
    /// As it was then: how long ago (10m), a time of the last 24 hours in UTC (14:32), or an instant
    #[arg(long, value_name = "WHEN", conflicts_with = "offline")]
    at: Option<String>,
    /// Do not ask the running server: use the files, with everything taken to be up
    #[arg(long)]
    offline: bool,
    /// Control socket of the running server
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExplainArguments) -> ExitCode {
    let at = arguments.at.as_ref().map(|text| parse_moment(text, unix_ms())).transpose();
    let at_ms = match at {
        Ok(at_ms) => at_ms,
        Err(why) => return fail(USAGE, why),
    };
    let question = Question {
        name: arguments.name.clone(),
        rtype: arguments.rtype.clone(),
        client: arguments.client,
        resolver: arguments.resolver,
        direct: arguments.direct,
        unix_s: at_ms.map_or_else(unix_s, |at_ms| at_ms / 1000),
    };
    let command = Command::Explain { question, down: arguments.down.clone(), at_ms };
    let (source, reply) = match ask(arguments, command) {
        Ok(asked) => asked,
        Err(why) => return fail(PROBLEMS, why),
    };
    match reply {
        Reply::Explanation(explanation) if arguments.json => print_json(&explanation),
        Reply::Explanation(explanation) => show(&explanation, &source),
        Reply::Failed { error, problems: _ } => return fail(PROBLEMS, error),
        Reply::Done { .. }
        | Reply::Status(_)
        | Reply::Cluster(_)
        | Reply::Bundles(_)
        | Reply::Events(_) => {
            return fail(PROBLEMS, "the server answered something else");
        }
    }
    ExitCode::SUCCESS
}

/// Asks the running server, or the same code with the files of this node; tells which it was.
fn ask(arguments: &ExplainArguments, command: Command) -> Result<(String, Reply), String> {
    if arguments.offline {
        return ask_files(arguments, command, "no server asked");
    }
    match ask::ask(arguments.socket.as_ref(), &arguments.config, &command) {
        Ok(reply) => Ok((source(&command), reply)),
        Err(Unanswered::NoServer(why)) if arguments.socket.is_none() && is_asked(&command) => {
            let reading = open_folder(&arguments.config, &why)?;
            Ok((source(&command), history::answer(&reading, &command)))
        }
        // Who names a server wants to hear of that one.
        Err(Unanswered::NoServer(why)) if arguments.socket.is_none() => {
            if arguments.json {
                eprintln!("rhumb: {why}; explained by files only");
            }
            ask_files(arguments, command, &why)
        }
        Err(Unanswered::NoServer(why) | Unanswered::Failed(why)) => {
            Err(format!("{why}; with --offline it is explained by files only"))
        }
    }
}

/// Where the health comes from that an explanation goes by.
fn source(command: &Command) -> String {
    match command {
        Command::Explain { at_ms: Some(at_ms), .. } => {
            format!("as it was at {}", instant(Duration::from_millis(*at_ms)))
        }
        _ => "live health of the running server".into(),
    }
}

/// Asks the files of this node; `why` says why no server is asked.
fn ask_files(
    arguments: &ExplainArguments,
    command: Command,
    why: &str,
) -> Result<(String, Reply), String> {
    let now = Now { unix: Duration::from_secs(unix_s()), ..Now::default() };
    // Assertions that do not hold are what is to be explained.
    let job = settings::find(&arguments.config)?.sources.read().unjudged().at(now.unix.as_secs());
    let product = job.run();
    product.compiled().map_err(|rejection| rejection.text)?;
    let mut controller = Controller::default();
    let mut effects = Vec::new();
    for event in [Event::Files(job), Event::Compiled(product), Event::Command(command)] {
        controller.handle(event, now, &mut effects);
    }
    let reply = effects.into_iter().find_map(|effect| match effect {
        Effect::Reply(reply) => Some(reply),
        Effect::Publish(_)
        | Effect::Compile(_)
        | Effect::Probe(_)
        | Effect::Resolve(_)
        | Effect::Say(_)
        | Effect::Hook(_)
        | Effect::Bundle(_)
        | Effect::MakeTable(_)
        | Effect::WriteTable { .. }
        | Effect::Discover(_)
        | Effect::Persist(_)
        | Effect::Keep(_)
        | Effect::KeepTable(_)
        | Effect::Record(_) => None,
    });
    let source = format!("files only, everything is taken to be up ({why})");
    reply.map(|reply| (source, reply)).ok_or("no reply".into())
}

fn show(explanation: &Explanation, source: &str) {
    let Explanation {
        question,
        supposed_down,
        states,
        generation,
        zone,
        found,
        steering,
        hints,
        rcode,
        records,
    } = explanation;
    print(format!("{} {} for client {}", question.name, question.rtype, question.client));
    line("health", source);
    if !supposed_down.is_empty() {
        line("SUPPOSED", &format!("as if down: {}", supposed_down.join(", ")));
    }
    for (position, state) in states.iter().enumerate() {
        line(if position == 0 { "states" } else { "" }, state);
    }
    line("zone", &format!("{} (generation {generation})", zone.as_deref().unwrap_or("none")));
    line("found", found);
    if let Some(steering) = steering {
        show_steering(steering);
    }
    for HintReport { parameter, name, found, steering } in hints {
        line(parameter, &format!("follows {name}: {found}"));
        if let Some(steering) = steering {
            show_steering(steering);
        }
    }
    print("");
    print(format!("{rcode}, {}", count(records.len(), "record", "records")));
    records.iter().for_each(|record| print(format!("  {record}")));
}

fn show_steering(steering: &Steering) {
    line("asked as", &steering.source);
    line("place", &format!("{} ({})", steering.place, steering.network));
    line("class", &format!("{} of {} of {}", steering.class, steering.classes, steering.entry));
    for (position, step) in steering.steps.iter().enumerate() {
        line(if position == 0 { "steps" } else { "" }, step);
    }
    line("pool", &format!("{}: {}", steering.pool.as_deref().unwrap_or("none"), steering.ground));
    for (position, member) in steering.members.iter().enumerate() {
        let label = if position == 0 { "members" } else { "" };
        let mark = if member.chosen { "->" } else { "  " };
        let MemberReport { endpoint, address, weight, .. } = member;
        let held = if member.held_by_brake { ", held up by the brake" } else { "" };
        let slow = member.slow_text();
        line(label, &format!("{mark} {endpoint} {address} weight {weight}{slow}{held}"));
    }
    let lasts = match steering.choice_lasts_s {
        Some(seconds) => format!(", this client's choice holds for {seconds} s more"),
        None => String::new(),
    };
    line("ttl", &format!("{} s{lasts}", steering.ttl));
    line(
        "scope",
        &format!("/{} (what other clients may share this answer, RFC 7871)", steering.scope),
    );
}

fn line(label: &str, text: &str) {
    print(format!("  {label:<9} {text}"));
}
