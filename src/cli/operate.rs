//! `rhumb drain`, `undrain`, `force`, `reload`: commands to a running server.
#![allow(clippy::disallowed_methods, reason = "who gives an order is in the environment")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use clap::Args;
use clap::ValueEnum;

use crate::cli::ask::Unanswered;
use crate::cli::ask::ask;
use crate::cli::ask::ask_within;
use crate::cli::cluster;
use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::push;
use crate::cli::settings::ConfigOption;
use crate::control::Command;
use crate::control::Reply;
use crate::control::command::Action;
use crate::runtime::answerer::unix_s;

/// Where the server is.
#[derive(Debug, Args)]
pub(super) struct ServerOption {
    /// Control socket of the server [default: of the configuration, else where a server puts it]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    #[command(flatten)]
    pub(super) config: ConfigOption,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What every order needs.
#[derive(Debug, Args)]
pub(super) struct OrderArguments {
    /// A site, a pool, or an endpoint as pool/endpoint; site:NAME or pool:NAME if both exist
    target: String,
    /// Why: whoever reads `status` at night wants to know
    #[arg(long)]
    reason: String,
    /// When it ends: a duration (2h, 30m), an instant (2026-11-21T18:00:00Z), or "forever"
    #[arg(long, value_name = "WHEN")]
    until: String,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub(super) struct DrainArguments {
    #[command(flatten)]
    order: OrderArguments,
    /// Even if it leaves a name nothing to serve, or nobody who passes a probe
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ForceArguments {
    #[command(flatten)]
    order: OrderArguments,
    /// What to count it as
    #[arg(long = "as", value_enum)]
    state: ForcedState,
}

/// What `force` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ForcedState {
    Up,
    Down,
}

#[derive(Debug, Args)]
pub(super) struct WithdrawArguments {
    /// What the order was given for
    target: String,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub(super) struct FailbackArguments {
    /// The pool
    pool: String,
    /// Why: whoever reads the log wants to know
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArguments {
    /// Why: whoever reads the log wants to know
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub(super) struct ShiftArguments {
    /// A weighted policy
    policy: String,
    /// Which of its targets gets which share, as next=5%
    #[arg(value_name = "TARGET=SHARE", required_unless_present = "back", value_parser = parse_share)]
    share: Option<(String, u32)>,
    /// How long the share takes to get there, in a hundred steps
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    over: Duration,
    /// How long after that a target that fails still brings the old weights back
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    watch: Duration,
    /// When the weights of the files count again: a duration, an instant, or "forever"
    #[arg(long, value_name = "WHEN", default_value = "forever")]
    until: String,
    /// Why: whoever reads `status` at night wants to know
    #[arg(long, required_unless_present = "back")]
    reason: Option<String>,
    /// Even if an assertion does not hold with these weights
    #[arg(long)]
    force: bool,
    /// Let the weights of the files count again, at once
    #[arg(long, conflicts_with_all = ["share", "over", "watch", "until", "reason", "force"])]
    back: bool,
    #[command(flatten)]
    server: ServerOption,
}

#[derive(Debug, Args)]
pub(super) struct ReloadArguments {
    /// How long to wait for the outcome
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    server: ServerOption,
}

pub(super) fn drain(arguments: &DrainArguments) -> ExitCode {
    order(&arguments.order, Action::Drain, arguments.force)
}

pub(super) fn disable(arguments: &DrainArguments) -> ExitCode {
    order(&arguments.order, Action::Disable, arguments.force)
}

pub(super) fn force(arguments: &ForceArguments) -> ExitCode {
    let action = match arguments.state {
        ForcedState::Up => Action::ForceUp,
        ForcedState::Down => Action::ForceDown,
    };
    order(&arguments.order, action, false)
}

pub(super) fn withdraw(arguments: &WithdrawArguments) -> ExitCode {
    let command = Command::Withdraw { target: arguments.target.clone(), author: author() };
    send(&arguments.server, &command)
}

pub(super) fn failback(arguments: &FailbackArguments) -> ExitCode {
    let command = Command::Failback {
        pool: arguments.pool.clone(),
        reason: arguments.reason.clone(),
        author: author(),
    };
    send(&arguments.server, &command)
}

pub(super) fn release(arguments: &ReleaseArguments) -> ExitCode {
    let command = Command::ReleaseBrake { reason: arguments.reason.clone(), author: author() };
    send(&arguments.server, &command)
}

pub(super) fn shift(arguments: &ShiftArguments) -> ExitCode {
    let policy = arguments.policy.clone();
    let Some((target, share)) = arguments.share.clone() else {
        return send(&arguments.server, &Command::ShiftBack { policy, author: author() });
    };
    let until_s = match parse_until(&arguments.until, unix_s()) {
        Ok(until_s) => until_s,
        Err(why) => return fail(USAGE, why),
    };
    let command = Command::Shift {
        policy,
        target,
        share,
        over_s: arguments.over.as_secs(),
        watch_s: arguments.watch.as_secs(),
        until_s,
        reason: arguments.reason.clone().unwrap_or_default(),
        author: author(),
        force: arguments.force,
    };
    send(&arguments.server, &command)
}

/// A target and its share in billionths, of `next=5%` or `next=0.25%`.
fn parse_share(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("{text}: write a target and a share of 0% to 100%, as next=5%");
    let (target, share) = text.split_once('=').ok_or_else(wrong)?;
    let percent = share.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if target.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 3 {
        return Err(wrong());
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse::<u32>().map_err(|_| wrong())?;
    match thousandths <= 100_000 {
        true => Ok((target.to_owned(), thousandths * 10_000)),
        false => Err(wrong()),
    }
}

pub(super) fn reload(arguments: &ReloadArguments) -> ExitCode {
    let ReloadArguments { wait, server } = arguments;
    let reply = ask_within(server.socket.as_ref(), &server.config, &Command::Reload, Some(*wait));
    show_reply(server, reply)
}

fn order(arguments: &OrderArguments, action: Action, force: bool) -> ExitCode {
    let until_s = match parse_until(&arguments.until, unix_s()) {
        Ok(until_s) => until_s,
        Err(why) => return fail(USAGE, why),
    };
    let command = Command::Order {
        target: arguments.target.clone(),
        action,
        reason: arguments.reason.clone(),
        author: author(),
        until_s,
        force,
    };
    send(&arguments.server, &command)
}

/// Seconds since 1970 of a duration from now or an instant; `None` for "forever".
pub(super) fn parse_until(text: &str, now_s: u64) -> Result<Option<u64>, String> {
    if text == "forever" {
        return Ok(None);
    }
    if let Ok(duration) = humantime::parse_duration(text) {
        return Ok(Some(now_s + duration.as_secs()));
    }
    let instant =
        humantime::parse_rfc3339_weak(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let instant = instant.map(|since: Duration| since.as_secs());
    instant.map(Some).ok_or_else(|| {
        format!("--until {text}: write a duration (2h), an instant in UTC (2026-11-21T18:00:00Z), or forever")
    })
}

/// Who gives the order: the user behind sudo, else the user.
pub(super) fn author() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

pub(super) fn send(server: &ServerOption, command: &Command) -> ExitCode {
    show_reply(server, ask(server.socket.as_ref(), &server.config, command))
}

/// What the server said, or why it said nothing.
pub(super) fn heard(reply: Result<Reply, Unanswered>) -> Result<Reply, ExitCode> {
    match reply {
        Ok(reply) => Ok(reply),
        Err(Unanswered::NoServer(why)) => {
            let text = format!("{why}; is the server running? name its socket with --socket");
            Err(fail(PROBLEMS, text))
        }
        Err(Unanswered::Failed(why)) => Err(fail(PROBLEMS, why)),
    }
}

fn show_reply(server: &ServerOption, reply: Result<Reply, Unanswered>) -> ExitCode {
    let reply = match heard(reply) {
        Ok(reply) => reply,
        Err(code) => return code,
    };
    let is_bad = match &reply {
        Reply::Failed { .. } => true,
        Reply::Cluster(status) => !status.problems.is_empty(),
        Reply::Done { .. }
        | Reply::Bundles(_)
        | Reply::Status(_)
        | Reply::Explanation(_)
        | Reply::Events(_) => false,
    };
    let code = ExitCode::from(if is_bad { PROBLEMS } else { 0 });
    if server.json {
        print_json(&reply);
        return code;
    }
    match reply {
        Reply::Done { text } => print(text),
        Reply::Cluster(status) => print(cluster::shown(&status)),
        Reply::Bundles(status) => print(push::shown(&status)),
        Reply::Failed { error, problems: _ } => return fail(PROBLEMS, error),
        Reply::Status(_) | Reply::Explanation(_) | Reply::Events(_) => {
            return fail(PROBLEMS, "the server answered something else");
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_target_and_a_percentage() {
        assert_eq!(parse_share("next=5%"), Ok(("next".into(), 50_000_000)));
        assert_eq!(parse_share("next=0.25%"), Ok(("next".into(), 2_500_000)));
        assert_eq!(parse_share("next=100%"), Ok(("next".into(), 1_000_000_000)));
        for wrong in [
            "next",
            "next=5",
            "next=101%",
            "next=-1%",
            "=5%",
            "next=%",
            "next=1.2345%",
            "next=1e1%",
        ] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_end_of_an_order_is_a_duration_an_instant_or_never() {
        assert_eq!(parse_until("2h", 1000), Ok(Some(8200)));
        assert_eq!(parse_until("2027-01-15T08:00:00Z", 0), Ok(Some(1_800_000_000)));
        assert_eq!(parse_until("forever", 0), Ok(None));
        assert!(parse_until("soon", 0).is_err());
    }
}
