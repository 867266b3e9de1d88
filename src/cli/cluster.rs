//! `rhumb cluster`: keys of nodes, and how the cluster stands.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;

use crate::cli::output::PROBLEMS;
use crate::cli::output::fail;
use crate::cluster::Pin;
use crate::runtime::cluster::key;
use crate::runtime::cluster::key::NodeKey;

/// File of a key when none is named.
const KEY_FILE: &str = "cluster.key";

/// What to do with a cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make this node's key, and print its pin and the lines for its peers
    Keygen(KeygenArguments),
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

/// Runs a command; needs no running server.
pub(super) fn run(command: &ClusterCommand) -> ExitCode {
    let done = match command {
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
        file.to_string()
    )
}
