//! `rhumb serve`

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use clap::ValueEnum;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::EnvFilter;

use crate::cli::output::PROBLEMS;
use crate::cli::output::block_on;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::cli::settings::Settings;
use crate::runtime::control_socket;
use crate::runtime::serve::Options;
use crate::runtime::serve::Server;

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigOption,
    /// Answer here instead of where the configuration says; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Log lines for people or for machines
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

pub(super) fn run(arguments: &ServeArguments) -> ExitCode {
    start_logging(arguments.log, "info");
    let settings = match settings::find(&arguments.config) {
        Ok(settings) => settings,
        Err(why) => return fail(PROBLEMS, why),
    };
    say_where_from(&settings);
    let Settings { node, sources, .. } = settings;
    let listen = if arguments.listen.is_empty() { node.listen } else { arguments.listen.clone() };
    let options = Options {
        listen,
        encrypted: node.encrypted,
        workers: node.workers.map_or(0, usize::from),
        sources,
        admin: node.admin,
        socket: Some(node.socket.unwrap_or_else(control_socket::default_path)),
        watch: true,
    };
    match block_on(serve(options)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => fail(PROBLEMS, why),
        Err(why) => fail(PROBLEMS, why),
    }
}

/// Log lines go to standard error; `RUST_LOG` chooses which.
pub(super) fn start_logging(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn say_where_from(settings: &Settings) {
    match &settings.file {
        Some(file) => tracing::info!("configuration: {}", file.display()),
        None => tracing::info!(
            "no rhumb.toml here or in /etc/rhumb: serving {} on {}, geo data: {}",
            settings.sources.zones.display(),
            settings.node.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            count(
                settings.sources.find_databases().map_or(0, |databases| databases.len()),
                "database",
                "databases",
            ),
        ),
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let socket = options.socket.clone();
    // From here on no signal ends the process by itself, not even while large files are read.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let _hangup = signal(SignalKind::hangup())?;
    let server = tokio::select! {
        started = Server::start(options) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    for address in server.addresses() {
        tracing::info!("answering on {address}, UDP and TCP");
    }
    for (transport, address) in server.encrypted_addresses() {
        tracing::info!("answering on {address}, {}", transport.name());
    }
    if let Some(admin) = server.admin_address() {
        tracing::info!("metrics and health on http://{admin}/metrics, /healthz, /readyz");
    }
    if let Some(socket) = socket {
        tracing::info!("commands by {}", socket.display());
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}
