//! `rhumb serve`

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::output::PROBLEMS;
use crate::cli::output::block_on;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::cli::settings::Settings;
use crate::model::Encrypted;
use crate::model::LogFormat;
use crate::model::LogLevel;
use crate::model::ProbeCaps;
use crate::model::StateTerms;
use crate::runtime::cluster;
use crate::runtime::control_socket;
use crate::runtime::descriptors;
use crate::runtime::log;
use crate::runtime::log::Logging;
use crate::runtime::node_file::NodeFile;
use crate::runtime::probe::Limits;
use crate::runtime::serve::Options;
use crate::runtime::serve::Server;
use crate::runtime::service_manager::ServiceManager;
use crate::runtime::state;
use crate::runtime::tcp::TcpLimits;

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigOption,
    /// Answer here instead of where the configuration says; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Log lines for people or for machines [default: [log] format, else text]
    #[arg(long, value_name = "FORMAT", value_parser = words(&LogFormat::WORDS))]
    log_format: Option<LogFormat>,
    /// Least weight of a log line [default: [log] level, else info]; RUST_LOG goes before both
    #[arg(long, value_name = "LEVEL", value_parser = words(&LogLevel::WORDS))]
    log_level: Option<LogLevel>,
}

/// Reads one of a few words.
fn words<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let meaning = |text: String| words.iter().find(|(word, _)| *word == text).map(|(_, it)| *it);
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word))
        .map(move |text| meaning(text).expect("clap takes no other word"))
}

pub(super) fn run(arguments: &ServeArguments) -> ExitCode {
    let settings = match settings::find(&arguments.config) {
        Ok(settings) => settings,
        Err(why) => return fail(PROBLEMS, why),
    };
    let format = arguments.log_format.unwrap_or(settings.node.log_format);
    let level = arguments.log_level.unwrap_or(settings.node.log_level);
    log::start(&Logging::from_level(format, level));
    say_where_from(&settings);
    let options = options(settings, &arguments.listen);
    let why = match block_on(serve(options)) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(why)) => why.to_string(),
        Err(why) => why.to_string(),
    };
    if log::is_for_people(format) {
        return fail(PROBLEMS, why);
    }
    tracing::error!(reason = %why.trim_end(), "the server does not start");
    ExitCode::from(PROBLEMS)
}

/// What the server needs, of the settings and the command line.
fn options(settings: Settings, listen: &[SocketAddr]) -> Options {
    let Settings { node, sources, file, as_written } = settings;
    let per_client = node.tcp_connections_per_client.unwrap_or(node.tcp_connections.div_ceil(2));
    // TCP, DoT and DoH; connections of DoQ share a socket.
    let of_streams = |encrypted: &Encrypted| {
        usize::from(!encrypted.dot.is_empty()) + usize::from(!encrypted.doh.is_empty())
    };
    let services = 1 + node.encrypted.as_ref().map_or(0, of_streams);
    let tcp = TcpLimits {
        max_connections: connections_within_limit(node.tcp_connections, services),
        max_per_client: per_client,
        ..TcpLimits::default()
    };
    Options {
        listen: if listen.is_empty() { node.listen } else { listen.to_vec() },
        encrypted: node.encrypted,
        workers: node.workers.map_or(0, usize::from),
        sources,
        admin: node.admin,
        rtt: node.rtt,
        site: node.site,
        cluster: node.cluster.map(|terms| cluster::Settings {
            terms,
            folder: node.state.as_ref().map(|state| state.folder.clone()),
        }),
        state: node.state.map(|state| state_settings(&state)),
        socket: Some(node.socket.unwrap_or_else(control_socket::default_path)),
        watch: true,
        tcp,
        probe: probe_limits(node.probe),
        resolver: node.resolver,
        node_file: file.map(|file| NodeFile::new(file, as_written)),
        manager: ServiceManager::from_environment(),
    }
}

/// Where and how much is kept.
pub(super) fn state_settings(state: &StateTerms) -> state::Settings {
    let retention = state::Retention { age: state.history, octets: state.history_octets };
    state::Settings { folder: state.folder.clone(), retention }
}

/// Takes the descriptors that the system gives, and says if they are too few for the connections wanted.
fn connections_within_limit(wanted: usize, services: usize) -> usize {
    let limit = descriptors::raise_limit();
    let connections = descriptors::connections_within(wanted, limit, services);
    if connections < wanted {
        tracing::warn!(
            wanted,
            connections,
            descriptors = limit,
            "fewer TCP connections than wanted: half of the descriptors are for probes and files; \
             raise LimitNOFILE= or ulimit -n"
        );
    }
    connections
}

/// What probes may take, and says if descriptors are too few for the probes wanted.
fn probe_limits(ProbeCaps { rate, rate_per_address, in_flight }: ProbeCaps) -> Limits {
    let limit = descriptors::raise_limit();
    let max_in_flight = descriptors::probes_within(in_flight, limit);
    if let Some(wanted) = in_flight.filter(|wanted| *wanted > max_in_flight) {
        tracing::warn!(
            wanted,
            probes = max_in_flight,
            descriptors = limit,
            "fewer probes at once than wanted: they take three eighths of the descriptors at most; raise LimitNOFILE= \
             or ulimit -n"
        );
    }
    Limits { max_in_flight, per_second: rate, per_second_and_address: rate_per_address }
}

fn say_where_from(settings: &Settings) {
    match &settings.file {
        Some(file) => {
            let (file, version) = (file.display(), env!("CARGO_PKG_VERSION"));
            tracing::info!(%file, version, "configuration: {file}");
        }
        None => tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
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
        tracing::info!(%address, "answering on {address}, UDP and TCP");
    }
    for (transport, address) in server.encrypted_addresses() {
        let transport = transport.name();
        tracing::info!(%address, transport, "answering on {address}, {transport}");
    }
    if let Some(cluster) = server.cluster() {
        let (pin, generation) = (cluster.pin(), cluster.generation());
        let address = cluster.address();
        let at = match (address, cluster.bus()) {
            (_, Some(_)) => "what nodes say goes over NATS".to_owned(),
            (None, None) => "this node dials others, and is dialled by nobody".to_owned(),
            (Some(address), None) => format!("other nodes dial this one at {address}, TCP"),
        };
        tracing::info!(target: "rhumb::cluster", %pin, %generation, "{at}");
    }
    if let Some(address) = server.admin_address() {
        tracing::info!(%address, "metrics and health on http://{address}/metrics, /healthz, /readyz");
    }
    if let Some(socket) = socket {
        let socket = socket.display();
        tracing::info!(%socket, "commands by {socket}");
    }
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "stopping");
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}
