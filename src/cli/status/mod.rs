//! `rhumb status`: what the running server knows, for people; the summary first.

mod pools;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;

use crate::cli::ask::ask;
use crate::cli::operate::ServerOption;
use crate::cli::operate::heard;
use crate::cli::output::PROBLEMS;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::status::pools::Extent;
use crate::control::Command;
use crate::control::Reply;
use crate::control::parts_status::PartsStatus;
use crate::control::status::CertificateStatus;
use crate::control::status::EndpointStatus;
use crate::control::status::PoolStatus;
use crate::control::status::ProbingStatus;
use crate::control::status::RefusedStatus;
use crate::control::status::ShiftStatus;
use crate::control::status::StateStatus;
use crate::control::status::Status;
use crate::control::status::TargetStatus;

pub(super) use pools::ago;

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Only this site, pool, or endpoint as pool/endpoint
    target: Option<String>,
    /// Only addresses in this state
    #[arg(long, value_enum)]
    state: Option<Wanted>,
    /// List everything, however much it is
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerOption,
}

/// States by which addresses are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Up by their probes, or held up by the brake
    Up,
    /// Down by their probes
    Down,
    /// Passing, and waiting for the end of hold-down or damping
    Held,
    /// Not known
    Unknown,
    /// Without a check
    Unchecked,
    /// Up and slow
    Degraded,
    /// Up by the brake alone
    Braked,
    /// Drained, disabled or forced, by an order or by their file
    Ordered,
}

impl Wanted {
    fn takes(self, endpoint: &EndpointStatus, target: &TargetStatus) -> bool {
        match self {
            Self::Up => target.verdict == "up",
            Self::Down => target.verdict == "down",
            Self::Held => target.verdict == "held",
            Self::Unknown => target.verdict == "unknown",
            Self::Unchecked => target.verdict == "unchecked",
            Self::Degraded => !target.degraded.is_empty(),
            Self::Braked => target.brake.is_some(),
            Self::Ordered => !endpoint.order.is_empty(),
        }
    }

    /// Takes out what is in another state.
    fn choose(self, pools: &mut Vec<PoolStatus>) {
        for pool in &mut *pools {
            for endpoint in &mut pool.endpoints {
                let mut targets = std::mem::take(&mut endpoint.targets);
                targets.retain(|target| self.takes(endpoint, target));
                endpoint.targets = targets;
            }
            pool.endpoints.retain(|endpoint| !endpoint.targets.is_empty());
        }
        pools.retain(|pool| !pool.endpoints.is_empty());
    }
}

pub(super) fn run(arguments: &StatusArguments) -> ExitCode {
    let StatusArguments { target, state, all, server } = arguments;
    let command = match target {
        None => Command::Status,
        Some(target) => Command::StatusOf { target: target.clone() },
    };
    let reply = match heard(ask(server.socket.as_ref(), &server.config, &command)) {
        Ok(reply) => reply,
        Err(code) => return code,
    };
    let mut status = match reply {
        Reply::Status(status) => status,
        failed @ Reply::Failed { .. } if server.json => {
            print_json(&failed);
            return ExitCode::from(PROBLEMS);
        }
        Reply::Failed { error, problems: _ } => return fail(PROBLEMS, error),
        Reply::Done { .. }
        | Reply::Cluster(_)
        | Reply::Bundles(_)
        | Reply::Explanation(_)
        | Reply::Events(_) => {
            return fail(PROBLEMS, "the server answered something else");
        }
    };
    let extent = match (target, state, all) {
        (_, _, true) => Extent::All,
        (None, None, false) => Extent::Whole,
        (..) => Extent::Chosen,
    };
    if let Some(state) = state {
        state.choose(&mut status.pools);
    }
    match server.json {
        true => print_json(&Reply::Status(status)),
        false => show(&status, extent),
    }
    ExitCode::SUCCESS
}

/// Lateness of probes, the 99th of a hundred, up to which nothing is said of it.
const LATE_MS: u64 = 100;

/// Names of zones that are listed.
const ZONES_MAX: usize = 20;

fn show(status: &Status, extent: Extent) {
    let others = match status.zones.len().saturating_sub(ZONES_MAX) {
        0 => String::new(),
        more => format!(" and {}", count(more, "other", "others")),
    };
    let listed = &status.zones[..status.zones.len().min(ZONES_MAX)];
    print(format!(
        "generation {}, config {}, {}, zones: {}{others}",
        status.generation,
        status.config,
        count(status.places, "place", "places"),
        listed.join(" ")
    ));
    let PartsStatus { zones, geo, table: _ } = &status.parts;
    let table = status.round_trips.as_deref().unwrap_or("none measured");
    print(format!("in force: zones {zones}, geo data {geo}, round-trip times {table}"));
    let refused = [
        ("files", &status.refused),
        ("geo data", &status.refused_geo),
        ("round-trip times", &status.refused_tables),
    ];
    for (what, refused) in refused {
        let Some(RefusedStatus { problems, since, text, list: _ }) = refused else { continue };
        let counted = count(*problems, "problem", "problems");
        print(format!("REFUSED: {what} on disk since {since}, {counted}; older ones are in force"));
        print(text.trim_end());
    }
    show_state(&status.state);
    if let Some(CertificateStatus { expires, is_stale }) = &status.certificate {
        let stale = if *is_stale { "; REFUSED: the one on disk, see rhumb check" } else { "" };
        print(format!("certificate: expires {expires}{stale}"));
    }
    if let Some(late) = status.probing.as_ref().and_then(find_late) {
        print(late);
    }
    pools::show(&status.pools, extent);
    status.brake.iter().for_each(|held| print(format!("BRAKE: {held}")));
    status.shifts.iter().for_each(show_shift);
    for order in &status.orders {
        let until = order.until.as_deref().unwrap_or("it is taken back");
        print(format!(
            "order: {} {} by {} since {} until {until}: {}",
            order.scope, order.order, order.author, order.since, order.reason
        ));
    }
}

fn show_state(state: &StateStatus) {
    let StateStatus { folder, fault, since, note } = state;
    match (folder, fault) {
        (None, _) => {
            print(
                "state: in memory only, a restart forgets verdicts and orders; see [state] folder",
            );
        }
        (Some(_), Some(why)) => {
            let since = since.as_deref().unwrap_or_default();
            print(format!("STATE IS NOT KEPT since {since}: {why}"));
        }
        (Some(_), None) => {}
    }
    if let Some(note) = note {
        print(format!("state: {note}"));
    }
}

/// Says that probes are late, if they are: a cap holds them up, or this machine does not keep up.
fn find_late(probing: &ProbingStatus) -> Option<String> {
    let late_ms = probing.late_p99_ms.unwrap_or(0);
    let caps: Vec<&str> = probing.delayed.iter().map(|(cap, _)| cap.as_str()).collect();
    if late_ms <= LATE_MS {
        return None;
    }
    let why = match caps.as_slice() {
        [] => "this machine does not keep up".to_owned(),
        caps => format!("held up by {} of [probe]", caps.join(" and ")),
    };
    Some(format!(
        "LATE PROBES: one of a hundred begins {:?} late or more; {why}",
        Duration::from_millis(late_ms)
    ))
}

fn show_shift(shift: &ShiftStatus) {
    match &shift.ended {
        Some(ended) => print(format!("shift of policy {}: {ended}", shift.policy)),
        None => print(format!("shift of policy {}: {}", shift.policy, shift.shift)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::BrakeStatus;

    fn target(verdict: &str) -> TargetStatus {
        TargetStatus {
            address: "192.0.2.1".into(),
            verdict: verdict.into(),
            since_s: None,
            reason: String::new(),
            last: None,
            probes: None,
            brake: None,
            degraded: String::new(),
            parts: Vec::new(),
            round_trips: Vec::new(),
        }
    }

    #[test]
    fn each_state_takes_its_own_addresses_and_no_others() {
        let endpoint = |order: &str| EndpointStatus {
            key: "eu/a".into(),
            name: String::new(),
            weight: 1,
            load: None,
            order: order.into(),
            targets: Vec::new(),
        };
        let slow = TargetStatus { degraded: "degraded to 50 %".into(), ..target("up") };
        let brake = BrakeStatus { since_s: 1, reason: String::new(), passes_again: false };
        let braked = TargetStatus { brake: Some(brake), ..target("up") };
        let plain = endpoint("");
        for (wanted, taken, left) in [
            (Wanted::Up, target("up"), target("down")),
            (Wanted::Down, target("down"), target("held")),
            (Wanted::Held, target("held"), target("down")),
            (Wanted::Unknown, target("unknown"), target("unchecked")),
            (Wanted::Unchecked, target("unchecked"), target("unknown")),
            (Wanted::Degraded, slow, target("up")),
            (Wanted::Braked, braked, target("up")),
        ] {
            assert!(wanted.takes(&plain, &taken), "{wanted:?}");
            assert!(!wanted.takes(&plain, &left), "{wanted:?}");
        }
        assert!(Wanted::Ordered.takes(&endpoint("drained"), &target("up")));
        assert!(!Wanted::Ordered.takes(&plain, &target("up")));
    }
}
