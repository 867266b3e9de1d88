//! The command line: reads arguments, calls the machines, prints for people or as JSON.
//!
//! Exit codes: 0 fine, 1 problems found, 2 usage.
#![forbid(unsafe_code)]

mod ask;
mod check;
mod cluster;
mod completions;
mod demo;
mod discovery;
mod events;
mod explain;
pub mod geo;
mod man;
mod moment;
mod operate;
mod output;
mod probe;
mod probing;
mod push;
pub mod rtt;
mod schema;
mod serve;
mod settings;
mod status;
pub mod zone;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

/// Authoritative DNS that steers clients to the nearest healthy endpoint, and says why.
#[derive(Debug, Parser)]
#[command(name = "rhumb", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArguments),
    /// Show every problem of every file, with line, caret and remedy
    Check(check::CheckArguments),
    /// Show step by step why a client gets what it gets
    Explain(explain::ExplainArguments),
    /// Show pools, endpoints, verdicts and orders of the running server; all, or one site, pool or endpoint
    Status(status::StatusArguments),
    /// Probe an endpoint once, now, as the server does it, and tell all that came of it
    Probe(probe::ProbeArguments),
    /// Show what happened and why: verdicts, orders, reloads
    Events(events::EventsArguments),
    /// Take an endpoint, pool or site out of answers; new clients go elsewhere
    Drain(operate::DrainArguments),
    /// As drain, and probe it no more
    Disable(operate::DrainArguments),
    /// End a drain or a forced state
    Undrain(operate::WithdrawArguments),
    /// Bring the clients of a pool back that waits for it (failback = "manual") or is slow (a ramp)
    Failback(operate::FailbackArguments),
    /// Count an endpoint, pool or site as up or down, whatever probes say
    Force(operate::ForceArguments),
    /// Move the share of one target of a weighted policy by and by; it goes back by itself if the target fails
    Shift(operate::ShiftArguments),
    /// Take down at once what the brake holds: much has failed within a minute, and it is true
    ReleaseBrake(operate::ReleaseArguments),
    /// Decide about endpoints that a source told of
    Discovery {
        #[command(subcommand)]
        command: discovery::DiscoveryCommand,
    },
    /// Read the files again, as SIGHUP does
    Reload(operate::ReloadArguments),
    /// Look addresses up in geo databases, or make a database
    Geo {
        #[command(subcommand)]
        command: geo::GeoCommand,
    },
    /// Take in measured round-trip times, or show what is made of them
    Rtt {
        #[command(subcommand)]
        command: rtt::RttCommand,
    },
    /// List zones, or write one as a master file for other servers
    Zone {
        #[command(subcommand)]
        command: zone::ZoneCommand,
    },
    /// Nodes that share what they see: keys, how they stand, and files for all of them
    Cluster {
        #[command(subcommand)]
        command: cluster::ClusterCommand,
    },
    /// Server, fake regions and real probes on loopback, to try it all in a minute
    Demo(demo::DemoArguments),
    /// Print the keys of the files as JSON Schema, for editors
    Schema(schema::SchemaArguments),
    /// Print a script by which a shell completes these commands
    Completions(completions::CompletionsArguments),
    /// Write manual pages
    Man(man::ManArguments),
}

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Drain(arguments) => operate::drain(&arguments),
        Command::Disable(arguments) => operate::disable(&arguments),
        Command::Undrain(arguments) => operate::withdraw(&arguments),
        Command::Failback(arguments) => operate::failback(&arguments),
        Command::Force(arguments) => operate::force(&arguments),
        Command::Shift(arguments) => operate::shift(&arguments),
        Command::ReleaseBrake(arguments) => operate::release(&arguments),
        Command::Discovery { command } => discovery::run(&command),
        Command::Reload(arguments) => operate::reload(&arguments),
        Command::Geo { command } => geo::run(command),
        Command::Rtt { command } => rtt::run(&command),
        Command::Zone { command } => zone::run(&command),
        Command::Cluster { command } => cluster::run(&command),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
