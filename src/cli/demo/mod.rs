//! `rhumb demo`: a server, three fake regions and real probes on loopback.
//!
//! Needs no root, no network and no file: what it serves it writes to a folder of its own, which goes with it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it plays regions, clients and operator"
)]

mod keys;
mod regions;
mod watcher;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::output::PROBLEMS;
use crate::cli::output::block_on;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::config::node::DEFAULT_LISTEN;
use crate::config::node::default_node;
use crate::model::LogFormat;
use crate::model::NodeTerms;
use crate::runtime::files::Sources;
use crate::runtime::log;
use crate::runtime::log::Logging;
use crate::runtime::probe::Limits;
use crate::runtime::serve::Options;
use crate::runtime::serve::Server;
use crate::runtime::service_manager::ServiceManager;
use crate::runtime::tcp::TcpLimits;
use regions::Regions;
use watcher::Watcher;

/// The demo's zone and geo data; the port of the check is put in at the start.
const ZONE: &str = include_str!("demo.toml");
const GEO: &[u8] = include_bytes!("../../../geodb/demo.mmdb");

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Answer here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Metrics and health pages here; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    admin: SocketAddr,
}

pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    let filter = "warn,rhumb::health=info,rhumb::orders=info,rhumb::config=info".to_owned();
    log::start(&Logging { format: LogFormat::Text, filter });
    match block_on(play(arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => fail(PROBLEMS, why),
        Err(why) => fail(PROBLEMS, why),
    }
}

/// The demo's folder; removed when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in /tmp does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    /// Writes the zone, with the regions' port in its check, and the geo data.
    fn create(port: u16) -> io::Result<Self> {
        let folder = Self(std::env::temp_dir().join(format!("rhumb-demo-{}", std::process::id())));
        std::fs::create_dir_all(folder.0.join("zones"))?;
        std::fs::create_dir_all(folder.0.join("geodb"))?;
        std::fs::write(folder.zone(), ZONE.replace("port = 65535", &format!("port = {port}")))?;
        std::fs::write(folder.0.join("geodb/demo.mmdb"), GEO)?;
        Ok(folder)
    }

    fn zone(&self) -> PathBuf {
        self.0.join("zones/demo.toml")
    }

    fn options(&self, arguments: &DemoArguments) -> Options {
        Options {
            state: None,
            cluster: None,
            encrypted: None,
            listen: vec![arguments.listen],
            workers: 0,
            sources: Sources {
                zones: self.0.join("zones"),
                shared: None,
                databases: vec![self.0.join("geodb/demo.mmdb").into()],
                overlays: Vec::new(),
                rtt: None,
                database_folder: None,
                terms: NodeTerms::of_identity(b"rhumb-demo"),
            },
            rtt: None,
            site: None,
            admin: Some(arguments.admin),
            socket: Some(self.0.join("rhumb.sock")),
            watch: true,
            probe: Limits::default(),
            resolver: default_node().resolver,
            tcp: TcpLimits::default(),
            node_file: None,
            manager: ServiceManager::default(),
        }
    }
}

async fn play(arguments: &DemoArguments) -> Result<(), Box<dyn std::error::Error>> {
    // From here on no signal ends the process by itself: the folder goes with it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let regions = Regions::start().await?;
    let folder = Folder::create(regions.port())?;
    let options = folder.options(arguments);
    let server = Server::start(options).await.map_err(|why| {
        format!("{why}\ntry another address: cargo run --release -- demo --listen 127.0.0.1:1054")
    })?;
    let address = server.addresses()[0];
    introduce(address, &server, &folder.0, &regions);
    let interactive = keys::available();
    if interactive {
        print("Press 1, 2 or 3 to stop or start a region, q to quit.\n");
    }
    let mut keys = keys::listen();
    let mut watcher = Watcher::new(address);
    loop {
        tokio::select! {
            key = keys.recv(), if interactive => match key {
                Some(b'q') | None => break,
                Some(key) => regions.toggle(key).await,
            },
            () = watcher.look() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(keys);
    server.stop().await;
    Ok(())
}

fn introduce(address: SocketAddr, server: &Server, folder: &Path, regions: &Regions) {
    let dig = format!("dig @{} -p {} +short", address.ip(), address.port());
    let socket = folder.join("rhumb.sock");
    print(format!(
        "Rhumb answers for demo.test on {address}, UDP and TCP. Three regions run on port {}:",
        regions.port()
    ));
    regions.describe().into_iter().for_each(print);
    print("\nAsk as clients of different places (networks of geodb/demo.csv):\n");
    for (network, city) in watcher::CLIENTS {
        print(format!("    {dig} www.demo.test +subnet={network}    # {city}"));
    }
    print(format!("    {dig} canary.demo.test +subnet=198.18.2.0/24   # 90 % world, 10 % asia"));
    let this = std::env::args().next().unwrap_or_else(|| "rhumb".into());
    print("\nSee why, what is up, and give an order:\n");
    print(format!(
        "    {this} explain www.demo.test --client 198.18.3.7 --socket {}",
        socket.display()
    ));
    print(format!("    {this} status --socket {}", socket.display()));
    print(format!(
        "    {this} drain fra --reason 'trying it' --until 1m --socket {}",
        socket.display()
    ));
    if let Some(admin) = server.admin_address() {
        print(format!("    curl http://{admin}/metrics"));
    }
    print("\nStop and start a region, and watch verdicts and answers move:\n");
    print(format!("    curl -X POST {}/stop/eu", regions.control_url()));
    print(format!("    curl -X POST {}/start/eu", regions.control_url()));
    print(format!(
        "\nThe zone is {}: edit it while this runs.\n",
        folder.join("zones/demo.toml").display()
    ));
}
