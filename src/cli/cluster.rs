//! `rhumb cluster`: keys of nodes, how the cluster stands, and files for all of it.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::Subcommand;

use crate::cli::check::stretched_text;
use crate::cli::operate;
use crate::cli::operate::ServerOption;
use crate::cli::output::PROBLEMS;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::push;
use crate::cli::push::PushArguments;
use crate::cli::push::RollbackArguments;
use crate::cluster::Pin;
use crate::control::Command;
use crate::control::cluster::clocks::is_off;
use crate::control::cluster::status::BusStatus;
use crate::control::cluster::status::ClusterStatus;
use crate::control::cluster::status::DigestsStatus;
use crate::control::cluster::status::Disagreement;
use crate::control::cluster::status::MemberStatus;
use crate::runtime::cluster::key;
use crate::runtime::cluster::key::NodeKey;

/// File of a key when none is named.
const KEY_FILE: &str = "cluster.key";

/// What to do with a cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make this node's key, and print its pin and the lines for its peers
    Keygen(KeygenArguments),
    /// Show every node as this one sees it: links, votes, isolation, what differs
    Status(ClusterStatusArguments),
    /// Bring the files of a folder to all nodes: checked on each, in force on all at one instant
    Push(PushArguments),
    /// Bring the files of an earlier version back to all nodes, under a new version
    Rollback(RollbackArguments),
    /// Print the pin of a key again
    Pin(PinArguments),
}

#[derive(Debug, Args)]
pub struct KeygenArguments {
    /// File of the key; nothing is overwritten
    #[arg(long, value_name = "FILE", default_value = KEY_FILE)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct PinArguments {
    /// File of the key
    #[arg(value_name = "FILE", default_value = KEY_FILE)]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct ClusterStatusArguments {
    #[command(flatten)]
    server: ServerOption,
}

/// Runs a command; those on keys need no running server.
pub(super) fn run(command: &ClusterCommand) -> ExitCode {
    let done = match command {
        ClusterCommand::Status(ClusterStatusArguments { server }) => {
            return operate::send(server, &Command::Cluster);
        }
        ClusterCommand::Push(arguments) => return push::run(arguments),
        ClusterCommand::Rollback(arguments) => return push::roll_back(arguments),
        ClusterCommand::Keygen(KeygenArguments { out }) => {
            key::make(out).map(|pin| lines(out, &pin))
        }
        ClusterCommand::Pin(PinArguments { file }) => {
            NodeKey::read(file).map(|key| format!("{}\n", key.pin))
        }
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(PROBLEMS, error),
    }
}

/// What the operator pastes here and at the peers.
fn lines(file: &Path, pin: &Pin) -> String {
    // A path in rhumb.toml is seen from there, and not from where this is run.
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let file = file.display();
    format!(
        "The key is in {file}; keep it on this node, it is shown to nobody.\n\
         Its pin: {pin}\n\n\
         Here, in rhumb.toml:\n\n\
         \x20   [cluster]\n\
         \x20   key = {:?}\n\n\
         At each peer, with this node's name, address and site:\n\n\
         \x20   [[cluster.peer]]\n\
         \x20   node = \"NAME\"\n\
         \x20   address = \"ADDRESS:7653\"\n\
         \x20   pins = [\"{pin}\"]\n\
         \x20   site = \"SITE\"\n",
        absolute.display().to_string()
    )
}

/// Most disagreements that people are shown: JSON has more.
const DISAGREEMENTS_SHOWN: usize = 20;

/// The cluster for people: the first line says whether all is well.
pub(super) fn shown(status: &ClusterStatus) -> String {
    let ClusterStatus { node, site, members, sites, sites_live, targets, shards, .. } = status;
    let live = members.iter().filter(|member| member.is_live).count();
    let mut text = head(status);
    for problem in &status.problems {
        text += &format!("  ! {problem}\n");
    }
    text += &format!(
        "{live} of {} live, {sites_live} of {}, {} in {}, as node {node} at {site} sees it\n",
        count(members.len(), "node", "nodes"),
        count(*sites, "site", "sites"),
        count(*targets, "target", "targets"),
        count(*shards, "shard", "shards"),
    );
    let width = |read: fn(&MemberStatus) -> &String| {
        members.iter().map(|member| read(member).len()).max().unwrap_or(0)
    };
    let widths = [width(|member| &member.node), width(|member| &member.site)];
    for member in members {
        text += &member_line(member, widths, status.bus.as_ref());
    }
    if !status.files.is_empty() {
        text += &format!("files: {}\n", status.files);
    }
    if let Some(bus) = &status.bus {
        text += &bus_line(bus);
    }
    for drift in status.drift.iter().filter(|drift| !drift.is_alarm) {
        text += &format!("on its way: {drift}\n");
    }
    if let Some(presence) = &status.presence {
        text += &format!("this node is {presence} by its hook\n");
    }
    text += &disagreements(status);
    for rate in &status.rates {
        text += &format!(
            "check {}: each endpoint is probed by {} at {}, {:.2} times a second in all{}\n",
            rate.check,
            count(rate.nodes, "node", "nodes"),
            count(rate.sites, "site", "sites"),
            rate.a_second,
            stretched_text(rate.interval_ms, rate.stretched_from_ms)
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// `ALL IS WELL`, or how much is not.
fn head(status: &ClusterStatus) -> String {
    let differing = count(status.disagreeing, "target", "targets");
    let differing = match status.disagreeing {
        0 => String::new(),
        _ => format!("; sites differ on {differing}, see below"),
    };
    match status.problems.len() {
        0 => format!("ALL IS WELL with cluster and nodes{differing}\n"),
        problems => format!("NOT WELL: {}{differing}\n", count(problems, "problem", "problems")),
    }
}

fn disagreements(status: &ClusterStatus) -> String {
    let mut text = String::new();
    if status.disagreeing > 0 {
        text += &format!("sites differ on {}:\n", count(status.disagreeing, "target", "targets"));
    }
    let shown = status.disagreements.iter().take(DISAGREEMENTS_SHOWN);
    for disagreement in shown {
        let sites = disagreement.sites.iter().map(|(site, word)| format!("{site} {word}"));
        let sites: Vec<_> = sites.collect();
        let Disagreement { target, verdict, reason, .. } = disagreement;
        text += &format!("  {target} is {verdict}: {}\n    {reason}\n", sites.join(", "));
    }
    match status.disagreeing.saturating_sub(DISAGREEMENTS_SHOWN) {
        0 => text,
        more => text + &format!("  and {more} more, of which --json shows some\n"),
    }
}

/// How this node stands with the bus.
fn bus_line(bus: &BusStatus) -> String {
    let BusStatus { is_reachable, since_unix_s, why, round_trip_ms } = bus;
    let since = std::time::UNIX_EPOCH + Duration::from_secs(*since_unix_s);
    let since = humantime::format_rfc3339_seconds(since);
    match (is_reachable, round_trip_ms) {
        (true, Some(time)) => format!("bus reachable since {since}, there and back {time:.1} ms\n"),
        (true, None) => format!("bus reachable since {since}\n"),
        (false, _) => format!("bus UNREACHABLE since {since}: {why}\n"),
    }
}

fn member_line(
    member: &MemberStatus,
    [node_width, site_width]: [usize; 2],
    bus: Option<&BusStatus>,
) -> String {
    let MemberStatus { node, site, role, is_this, is_live, is_isolated, .. } = member;
    let state = match (is_live, is_isolated) {
        (true, true) => "ISOLATED",
        (true, false) => "live",
        (false, _) => "DEAD",
    };
    let mut parts = vec![format!("{role:6}"), format!("{state:8}")];
    match (is_this, member.round_trip_ms) {
        (true, _) => parts.push("this node".to_owned()),
        (false, Some(round_trip)) => parts.push(format!("link {round_trip:.1} ms")),
        (false, None) if bus.is_some() => {}
        (false, None) => parts.push("no link".to_owned()),
    }
    if let (false, Some(heard)) = (is_this, member.heard_ms) {
        parts.push(format!("heard {:.1} s ago", heard as f64 / 1000.0));
    }
    if let Some(ahead_ms) = member.clock_ahead_ms.filter(|ms| is_off(*ms)) {
        parts.push(format!("clock {:+.1} s", ahead_ms as f64 / 1000.0));
    }
    parts.push(format!("votes {}", member.votes_here));
    if member.shards_elsewhere > 0 {
        parts.push(format!(
            "votes by other files: {}",
            count(member.shards_elsewhere, "shard", "shards")
        ));
    }
    if member.anchors != "unset" {
        parts.push(format!("anchors {}", member.anchors));
    }
    if member.is_withdrawn {
        parts.push("WITHDRAWN".to_owned());
    }
    if let Some(serves) = member.serves {
        parts.push(format!("generation {serves}"));
    }
    let DigestsStatus { config, geo, rtt, verdicts, records } = &member.digests;
    let named = [("config", config), ("geo", geo), ("rtt", rtt), ("verdicts", verdicts)];
    let named = named.into_iter().chain([("records", records)]);
    for (name, digest) in named.filter(|(_, digest)| !digest.is_empty()) {
        parts.push(format!("{name} {digest}"));
    }
    if !member.differs.is_empty() {
        parts.push(format!("DIFFERS: {}", member.differs.join(" ")));
    }
    if let Some(why) = &member.isolated_for {
        parts.push(format!("isolated: {why}"));
    }
    format!("  {node:node_width$}  {site:site_width$}  {}\n", parts.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_is_shown_with_its_round_trip_or_since_when_it_is_gone() {
        let bus = |is_reachable, why: &str, round_trip_ms| ClusterStatus {
            members: vec![MemberStatus { node: "b".into(), ..MemberStatus::default() }],
            bus: Some(BusStatus {
                is_reachable,
                since_unix_s: 1_800_000_000,
                why: why.into(),
                round_trip_ms,
            }),
            ..ClusterStatus::default()
        };
        let text = shown(&bus(true, "", Some(1.26)));
        assert!(
            text.contains("bus reachable since 2027-01-15T08:00:00Z, there and back 1.3 ms"),
            "{text}"
        );
        assert!(!text.contains("link"), "{text}");
        let text = shown(&bus(false, "it closed", None));
        assert!(text.contains("bus UNREACHABLE since 2027-01-15T08:00:00Z: it closed"), "{text}");
    }

    #[test]
    fn a_dead_node_a_broken_link_and_a_difference_are_seen_at_a_glance() {
        let member = |node: &str| MemberStatus {
            node: node.into(),
            site: "fra".into(),
            role: "server".into(),
            anchors: "unset".into(),
            ..MemberStatus::default()
        };
        let status = ClusterStatus {
            node: "fra-1".into(),
            site: "fra".into(),
            members: vec![
                MemberStatus { is_this: true, is_live: true, ..member("fra-1") },
                MemberStatus {
                    heard_ms: Some(61_000),
                    differs: vec!["config".into()],
                    ..member("sin-1")
                },
            ],
            sites: 2,
            sites_live: 1,
            problems: vec!["sin-1 at fra is dead".into()],
            disagreeing: 30,
            disagreements: vec![Disagreement {
                target: "eu/a web IPv4".into(),
                verdict: "up".into(),
                reason: "up at 2 of 3 sites".into(),
                ..Disagreement::default()
            }],
            ..ClusterStatus::default()
        };
        let text = shown(&status);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "NOT WELL: 1 problem; sites differ on 30 targets, see below");
        assert_eq!(lines[1], "  ! sin-1 at fra is dead");
        assert!(lines[2].contains("1 of 2 nodes live, 1 of 2 sites"), "{text}");
        assert!(lines[3].contains("live") && lines[3].contains("this node"), "{text}");
        assert!(lines[4].contains("DEAD") && lines[4].contains("no link"), "{text}");
        assert!(
            lines[4].contains("heard 61.0 s ago") && lines[4].contains("DIFFERS: config"),
            "{text}"
        );
        assert!(
            text.ends_with("    up at 2 of 3 sites\n  and 10 more, of which --json shows some")
        );
        let well = shown(&ClusterStatus::default());
        assert!(well.starts_with("ALL IS WELL with cluster and nodes\n"), "{well}");
    }
}
