//! `rhumb cluster push` and `rollback`: files for all nodes, and what becomes of them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use data_encoding::BASE64;

use crate::cli::ask::ask;
use crate::cli::operate::ServerOption;
use crate::cli::operate::author;
use crate::cli::operate::heard;
use crate::cli::operate::parse_until;
use crate::cli::operate::send;
use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::block_on;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::control::Command;
use crate::control::Reply;
use crate::control::cluster::bundles::orders::PushFiles;
use crate::control::cluster::bundles::orders::PushTerms;
use crate::control::cluster::bundles::status::BundleStatus;
use crate::control::cluster::bundles::status::NodeBundleStatus;
use crate::control::cluster::bundles::status::Outcome;
use crate::control::cluster::bundles::status::PushStatus;
use crate::control::cluster::bundles::status::VersionStatus;
use crate::control::order::instant;
use crate::runtime::answerer::unix_s;
use crate::runtime::bundles::pack::Packed;
use crate::runtime::bundles::pack::pack_folder;

/// How often it is looked how far a push is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How long after its instant a version may take to be in force everywhere before that is called late.
const LATE_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["folder", "status", "on", "abort"])]
pub struct PushArguments {
    /// Folder of zones, as the node's file names one; `shared` below it is what they share
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of what zones share, if it is elsewhere
    #[arg(long, value_name = "DIR", requires = "folder")]
    shared: Option<PathBuf>,
    #[command(flatten)]
    terms: TermsArguments,
    /// Show which version is in force where, and how far a push is
    #[arg(long)]
    status: bool,
    /// Let the version that a canary serves go on to all nodes
    #[arg(long = "continue")]
    on: bool,
    /// Give up what is being pushed and not decided yet
    #[arg(long)]
    abort: bool,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The version whose files to bring back [default: the one before that in force]
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    #[command(flatten)]
    terms: TermsArguments,
    #[command(flatten)]
    server: ServerOption,
}

/// What is to become of a version.
#[derive(Debug, Args)]
struct TermsArguments {
    /// Why: whoever reads the status at night wants to know; a rollback and --force need it
    #[arg(long)]
    reason: Option<String>,
    /// This server first; the others wait for --continue
    #[arg(long, value_name = "NODE")]
    canary: Option<String>,
    /// When it is to count: an instant (2026-11-21T18:00:00Z), or a duration from now (10m) [default: once all are ready]
    #[arg(long, visible_alias = "in", value_name = "WHEN")]
    at: Option<String>,
    /// Even if zones or addresses of names go away, and though most servers are dead
    #[arg(long)]
    force: bool,
    /// How long to wait for the end
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    wait: Duration,
}

impl TermsArguments {
    fn terms(&self) -> Result<PushTerms, String> {
        let at_s = match &self.at {
            Some(text) => parse_until(text, unix_s())?,
            None => None,
        };
        if self.force && self.reason.is_none() {
            return Err("say why it is forced: --reason".into());
        }
        Ok(PushTerms {
            reason: self.reason.clone().unwrap_or_default(),
            author: author(),
            canary: self.canary.clone(),
            at_s,
            force: self.force,
        })
    }
}

/// Pushes, or does something about a push.
pub(super) fn run(arguments: &PushArguments) -> ExitCode {
    let PushArguments { folder, shared, terms, status, on, abort, server } = arguments;
    if *status {
        return send(server, &Command::Bundles);
    }
    if *abort {
        return send(server, &Command::PushOff { author: author() });
    }
    if *on {
        return begin(server, &Command::PushOn { author: author() }, terms.wait, None);
    }
    let Some(folder) = folder else { return fail(USAGE, "name the folder to be pushed") };
    let wanted = match terms.terms() {
        Ok(terms) => terms,
        Err(why) => return fail(USAGE, why),
    };
    let packed = match pack_folder(folder, shared.as_deref()) {
        Ok(packed) => packed,
        Err(why) => return fail(PROBLEMS, why),
    };
    let files = match upload(server, &packed) {
        Ok(files) => files,
        Err(code) => return code,
    };
    let at_s = wanted.at_s;
    begin(server, &Command::Push { files, terms: wanted }, terms.wait, at_s)
}

/// Brings the files of an earlier version back.
pub(super) fn roll_back(arguments: &RollbackArguments) -> ExitCode {
    let RollbackArguments { to, terms, server } = arguments;
    if terms.reason.is_none() {
        return fail(USAGE, "say why: --reason");
    }
    let wanted = match terms.terms() {
        Ok(terms) => terms,
        Err(why) => return fail(USAGE, why),
    };
    let at_s = wanted.at_s;
    begin(server, &Command::RollBack { to: *to, terms: wanted }, terms.wait, at_s)
}

/// Brings files to the server's disk: those that it does not have.
fn upload(server: &ServerOption, packed: &Packed) -> Result<PushFiles, ExitCode> {
    let Packed { archive, index, files } = packed;
    let parcel = index.id();
    let lacking = say(server, &Command::Parcel { index: BASE64.encode(&index.to_octets()) })?;
    for position in lacking.split_ascii_whitespace().filter_map(|text| text.parse().ok()) {
        let (start, len) = index.span(position);
        let piece = archive.get(start..start + len).unwrap_or_default();
        say(server, &Command::Piece { parcel, position, content: BASE64.encode(piece) })?;
    }
    Ok(PushFiles {
        parcel,
        octets: archive.len() as u64,
        files: u32::try_from(*files).unwrap_or(u32::MAX),
    })
}

/// What the server says to a command that it does.
fn say(server: &ServerOption, command: &Command) -> Result<String, ExitCode> {
    match heard(ask(server.socket.as_ref(), &server.config, command))? {
        Reply::Done { text } => Ok(text),
        Reply::Failed { error, problems: _ } => Err(fail(PROBLEMS, error)),
        Reply::Status(_)
        | Reply::Cluster(_)
        | Reply::Bundles(_)
        | Reply::Explanation(_)
        | Reply::Events(_) => Err(fail(PROBLEMS, "the server answered something else")),
    }
}

fn look(server: &ServerOption) -> Result<BundleStatus, ExitCode> {
    match heard(ask(server.socket.as_ref(), &server.config, &Command::Bundles))? {
        Reply::Bundles(status) => Ok(*status),
        Reply::Failed { error, problems: _ } => Err(fail(PROBLEMS, error)),
        Reply::Done { .. }
        | Reply::Status(_)
        | Reply::Cluster(_)
        | Reply::Explanation(_)
        | Reply::Events(_) => Err(fail(PROBLEMS, "the server answered something else")),
    }
}

/// Gives a command, and tells what comes of it until it has come to an end, or to a rest.
fn begin(server: &ServerOption, command: &Command, wait: Duration, at_s: Option<u64>) -> ExitCode {
    let text = match say(server, command) {
        Ok(text) => text,
        Err(code) => return code,
    };
    if !server.json {
        print(text);
    }
    let status = match follow(server, wait, at_s) {
        Ok(status) => status,
        Err(code) => return code,
    };
    let end = end_of(&status, at_s, unix_ms());
    if server.json {
        print_json(&status);
        return ExitCode::from(if matches!(end, End::Good(_)) { 0 } else { PROBLEMS });
    }
    match end {
        End::Good(text) => {
            print(text);
            ExitCode::SUCCESS
        }
        End::Bad(text) => fail(PROBLEMS, text.trim_end()),
        End::NotYet(text) => fail(
            PROBLEMS,
            format!("{text}; it goes on, and rhumb cluster push --status shows how far it is"),
        ),
    }
}

/// Looks again and again until there is an end; what is new on the way is printed.
fn follow(
    server: &ServerOption,
    wait: Duration,
    at_s: Option<u64>,
) -> Result<BundleStatus, ExitCode> {
    let (mut told, mut waited) = (String::new(), Duration::ZERO);
    loop {
        let status = look(server)?;
        match end_of(&status, at_s, unix_ms()) {
            End::NotYet(text) if waited < wait => {
                if text != told && !server.json {
                    print(&text);
                }
                told = text;
            }
            End::NotYet(_) | End::Good(_) | End::Bad(_) => return Ok(status),
        }
        if block_on(async { tokio::time::sleep(LOOK_EVERY).await }).is_err() {
            return Ok(status);
        }
        waited += LOOK_EVERY;
    }
}

/// Where a push is.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It goes on.
    NotYet(String),
    /// It is in force everywhere, or somebody has to say more.
    Good(String),
    /// It is not.
    Bad(String),
}

fn end_of(status: &BundleStatus, at_s: Option<u64>, now_ms: u64) -> End {
    let servers =
        || status.nodes.iter().filter(|node| node.role == "server" && node.takes != Some(false));
    let live = || servers().filter(|node| node.is_live);
    if let Some(push) = status.push.as_ref().filter(|push| push.for_s.is_some()) {
        let number = push.version.number;
        let is_ready = |node: &&NodeBundleStatus| {
            node.node == status.node
                || (node.to == Some(number)
                    && matches!(node.state.as_deref(), Some("ready" | "canary")))
        };
        let waiting: Vec<&str> =
            live().filter(|node| !is_ready(node)).map(|node| &*node.node).collect();
        let on_canary = |canary: &str| {
            servers().any(|node| node.node == canary && node.state.as_deref() == Some("canary"))
        };
        return match (&*push.phase, &push.canary) {
            ("canary", Some(canary)) if on_canary(canary) && !push.goes_on => End::Good(format!(
                "version {number} is served by {canary} alone; go on with rhumb cluster push --continue, or end it with --abort"
            )),
            ("checked", _) => End::NotYet("checked here".into()),
            ("offered", None) if waiting.is_empty() => match at_s {
                Some(at_s) if at_s * 1000 > now_ms + 10_000 => End::Good(format!(
                    "version {number} is ready at all living servers, and counts from {} on if this node runs until then",
                    instant(Duration::from_secs(at_s))
                )),
                Some(_) | None => End::NotYet("ready at all living servers".into()),
            },
            _ if waiting.is_empty() => End::NotYet("ready at all living servers".into()),
            _ => End::NotYet(format!("waiting for {}", waiting.join(", "))),
        };
    }
    let Some(Outcome { number, is_decided, at_ms, text }) = &status.last else {
        return End::Bad(
            "this node knows nothing of the push: it was restarted, or the push was given up"
                .into(),
        );
    };
    if !is_decided {
        return End::Bad(format!("version {number} is not in force: {text}"));
    }
    let late: Vec<&str> =
        live().filter(|node| node.in_force != Some(*number)).map(|node| &*node.node).collect();
    let at = instant(Duration::from_millis(*at_ms));
    match late.is_empty() {
        true => {
            let dead: Vec<&str> =
                servers().filter(|node| !node.is_live).map(|node| &*node.node).collect();
            let dead = match dead.is_empty() {
                true => String::new(),
                false => format!("; {} not heard, and follows when it is back", dead.join(", ")),
            };
            End::Good(format!(
                "version {number} is in force at {} since {at}{dead}",
                count(live().count(), "server", "servers")
            ))
        }
        false if now_ms > at_ms + LATE_AFTER.as_millis() as u64 => End::Bad(format!(
            "version {number} is decided, but not in force yet at {}",
            late.join(", ")
        )),
        false => End::NotYet(format!("decided; in force from {at} on")),
    }
}

fn unix_ms() -> u64 {
    unix_s() * 1000
}

/// Versions for people.
pub(super) fn shown(status: &BundleStatus) -> String {
    let BundleStatus { node, takes, in_force, coming, push, last, nodes, kept } = status;
    let mut text = match (takes, in_force) {
        (false, _) => {
            format!("node {node} has its files by other tools: [cluster] bundles is not set\n")
        }
        (true, None) => {
            format!("node {node} serves the files that [config] names: nothing was pushed yet\n")
        }
        (true, Some(version)) => format!("node {node} serves {}\n", line(version)),
    };
    let is_trial =
        |other: &&NodeBundleStatus| other.node == *node && other.state.as_deref() == Some("canary");
    if let Some(NodeBundleStatus { to: Some(number), .. }) = nodes.iter().find(is_trial) {
        text += &format!("           but now version {number}, before the others\n");
    }
    if let Some(coming) = coming {
        text += &format!("decided:   {}\n", line(coming));
    }
    if let Some(PushStatus { version, phase, canary, goes_on, for_s }) = push {
        let canary =
            canary.as_ref().map_or_else(String::new, |canary| format!(", canary {canary}"));
        let on = if *goes_on { ", goes on to all nodes" } else { "" };
        let long = for_s.map_or_else(String::new, |for_s| format!(" for {for_s} s"));
        text += &format!("pushed:    {}\n           {phase}{long}{canary}{on}\n", line(version));
    }
    if let Some(Outcome { number, is_decided: false, at_ms, text: why }) = last {
        text += &format!(
            "given up:  version {number} at {}: {why}\n",
            instant(Duration::from_millis(*at_ms))
        );
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    let width = nodes.iter().map(|node| node.node.len()).max().unwrap_or(0);
    for node in nodes {
        text += &node_line(node, width);
    }
    for version in kept {
        text += &format!("kept:      {}\n", line(version));
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(version: &VersionStatus) -> String {
    let VersionStatus {
        number,
        node,
        digest,
        octets,
        files,
        author,
        reason,
        made_s,
        signed_by,
        restores,
        at_ms,
    } = version;
    let digest = digest.get(..16).unwrap_or(digest);
    let made = instant(Duration::from_secs(*made_s));
    let files = count(*files as usize, "file", "files");
    let restores =
        restores.map_or_else(String::new, |number| format!(", files of version {number}"));
    let at = at_ms.map_or_else(String::new, |at_ms| {
        format!(", counts from {}", instant(Duration::from_millis(at_ms)))
    });
    format!(
        "version {number} of {node} {digest} ({files}, {octets} octets{restores}), pushed {made} by {author}: \
         \"{reason}\", signed by {signed_by}{at}"
    )
}

fn node_line(status: &NodeBundleStatus, width: usize) -> String {
    let NodeBundleStatus { node, role, is_live, takes, in_force, state, to, why } = status;
    let live = if *is_live { "live" } else { "DEAD" };
    let serves = match (takes, in_force) {
        (None, _) => "has not said".to_owned(),
        (Some(false), _) => "files by other tools".to_owned(),
        (Some(true), None) => "files of [config]".to_owned(),
        (Some(true), Some(number)) => format!("version {number}"),
    };
    let answer = match (state, to) {
        (Some(state), Some(to)) if state == "refused" => format!("  version {to} REFUSED"),
        (Some(state), Some(to)) => format!("  version {to} {state}"),
        (_, _) => String::new(),
    };
    let why: String = why.lines().map(|line| format!("      {line}\n")).collect();
    format!("  {node:width$}  {role:6}  {live}  {serves}{answer}\n{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, in_force: u64, state: Option<&str>) -> NodeBundleStatus {
        NodeBundleStatus {
            node: name.into(),
            role: "server".into(),
            is_live: true,
            takes: Some(true),
            in_force: Some(in_force),
            state: state.map(str::to_owned),
            to: state.map(|_| 8),
            why: String::new(),
        }
    }

    fn pushed(phase: &str) -> BundleStatus {
        let version = VersionStatus { number: 8, node: "a".into(), ..VersionStatus::default() };
        BundleStatus {
            node: "a".into(),
            takes: true,
            push: Some(PushStatus {
                version,
                phase: phase.into(),
                for_s: Some(3),
                ..PushStatus::default()
            }),
            nodes: vec![node("a", 7, Some("ready")), node("b", 7, Some("fetching"))],
            ..BundleStatus::default()
        }
    }

    #[test]
    fn whoever_waits_sees_for_whom_and_whoever_is_refused_sees_why() {
        let waiting = End::NotYet("waiting for b".into());
        assert_eq!(end_of(&pushed("offered"), None, 0), waiting);
        let mut status = pushed("offered");
        status.nodes[1].state = Some("refused".into());
        status.nodes[1].why = "a.toml:3:1: wrong\n".into();
        let text = shown(&status);
        assert!(
            text.contains("b  server  live  version 7  version 8 REFUSED\n      a.toml:3:1: wrong"),
            "{text}"
        );
        let given_up =
            Outcome { number: 8, is_decided: false, at_ms: 1, text: "refused by b".into() };
        let status = BundleStatus { push: None, last: Some(given_up), ..status };
        assert_eq!(
            end_of(&status, None, 0),
            End::Bad("version 8 is not in force: refused by b".into())
        );
    }

    #[test]
    fn it_is_in_force_when_all_living_servers_serve_it() {
        let last = Outcome { number: 8, is_decided: true, at_ms: 1000, text: String::new() };
        let mut status = BundleStatus { push: None, last: Some(last), ..pushed("offered") };
        assert!(matches!(end_of(&status, None, 2000), End::NotYet(_)));
        let End::Bad(why) = end_of(&status, None, 100_000) else { panic!("it is late") };
        assert!(why.ends_with("at a, b"), "{why}");
        status.nodes[0].in_force = Some(8);
        status.nodes[1].is_live = false;
        let End::Good(text) = end_of(&status, None, 2000) else { panic!("it is in force") };
        assert!(text.contains("at 1 server since") && text.contains("b not heard"), "{text}");
    }

    #[test]
    fn a_canary_is_left_to_the_operator() {
        let mut status = pushed("canary");
        status.push.as_mut().unwrap().canary = Some("b".into());
        assert!(matches!(end_of(&status, None, 0), End::NotYet(_)));
        status.nodes[1].state = Some("canary".into());
        let End::Good(text) = end_of(&status, None, 0) else { panic!("the canary serves it") };
        assert!(text.contains("--continue"), "{text}");
        status.push.as_mut().unwrap().goes_on = true;
        status.nodes.push(node("c", 7, Some("fetching")));
        assert_eq!(end_of(&status, None, 0), End::NotYet("waiting for c".into()));
    }
}
