//! Why a server does not start, in words.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::control::effect::count;
use crate::runtime::cluster::ClusterError;
use crate::runtime::control_socket::SocketFault;
use crate::runtime::encrypted::EncryptedError;
use crate::runtime::state::Fault;
use crate::runtime::udp::BindError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The files have problems.
    #[error("{text}the files have {}; nothing is served", count(*.problems, "problem"))]
    Refused {
        /// All of them.
        text: String,
        /// How many.
        problems: usize,
    },
    /// An address cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// DNS over TLS, HTTPS or QUIC cannot be served.
    #[error(transparent)]
    Encrypted(#[from] EncryptedError),
    /// The node cannot take its place in the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Pushed files cannot be kept.
    #[error(
        "[state] folder: bundles of files cannot be kept there: {0}; this user must be able to write there"
    )]
    Bundles(std::io::Error),
    /// The control socket cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketFault),
    /// The address of the pages cannot be used.
    #[error("{what} address {address}: {source}")]
    Admin {
        /// Of what.
        what: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The token of `[rtt]` cannot be read.
    #[error("[rtt] token_file {}: {why}", path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another process keeps its state there.
    #[error("state folder {}: {why}", folder.display())]
    State {
        /// Which.
        folder: PathBuf,
        /// Why.
        why: Fault,
    },
    /// A thread or task cannot be started.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
