//! Finds the running server and asks it. Does not print.
#![allow(clippy::disallowed_methods, reason = "the command line looks for the server's socket")]

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use crate::cli::output::block_on;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::control::Command;
use crate::control::Reply;
use crate::runtime::control_socket;
use crate::runtime::control_socket::SocketFault;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No server runs where it was looked for.
    NoServer(String),
    /// There may be one, but it cannot be asked.
    Failed(String),
}

/// Sends a command to the server behind the first socket that exists, and waits for its reply.
pub(super) fn ask(
    named: Option<&PathBuf>,
    option: &ConfigOption,
    command: &Command,
) -> Result<Reply, Unanswered> {
    ask_within(named, option, command, None)
}

/// As [`ask`], but waits no longer than `patience`.
pub(super) fn ask_within(
    named: Option<&PathBuf>,
    option: &ConfigOption,
    command: &Command,
    patience: Option<Duration>,
) -> Result<Reply, Unanswered> {
    let places = settings::socket_places(named, option).map_err(Unanswered::Failed)?;
    let Some(path) = places.iter().find(|path| may_exist(path)) else {
        let tried: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        let text = format!("no server at {}: nothing is there", tried.join(", "));
        return Err(Unanswered::NoServer(text));
    };
    let patience = patience.unwrap_or(Duration::MAX);
    let reply = block_on(async { timeout(patience, control_socket::send(path, command)).await });
    match reply {
        Ok(Ok(Ok(reply))) => Ok(reply),
        Ok(Ok(Err(SocketFault::Io { path, source }))) => Err(unanswered(&path, &source)),
        Ok(Ok(Err(fault))) => Err(Unanswered::Failed(format!("{}: {fault}", path.display()))),
        Ok(Err(_)) => Err(Unanswered::Failed(format!(
            "no reply within {}; it goes on, and rhumb status shows what is in force",
            humantime::format_duration(patience)
        ))),
        Err(why) => Err(Unanswered::Failed(why.to_string())),
    }
}

/// Whether a file is there, or may be: a folder that must not be looked into may have one.
fn may_exist(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(why) => why.kind() != io::ErrorKind::NotFound,
    }
}

/// Says what a failure to connect means.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of errors are the system's")]
fn unanswered(path: &Path, why: &io::Error) -> Unanswered {
    let path = path.display();
    match why.kind() {
        io::ErrorKind::NotFound => {
            Unanswered::NoServer(format!("no server at {path}: nothing is there"))
        }
        io::ErrorKind::ConnectionRefused => {
            Unanswered::NoServer(format!("no server at {path}: nobody answers"))
        }
        io::ErrorKind::PermissionDenied => Unanswered::Failed(format!(
            "control socket {path}: permission denied; run this as the user of the server, or with sudo"
        )),
        _ => Unanswered::Failed(format!("control socket {path}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_and_nobody_mean_that_there_is_no_server() {
        let of = |kind| unanswered(Path::new("/run/rhumb.sock"), &io::Error::from(kind));
        let no_server =
            |why: &str| Unanswered::NoServer(format!("no server at /run/rhumb.sock: {why}"));
        assert_eq!(of(io::ErrorKind::NotFound), no_server("nothing is there"));
        assert_eq!(of(io::ErrorKind::ConnectionRefused), no_server("nobody answers"));
        let Unanswered::Failed(text) = of(io::ErrorKind::PermissionDenied) else {
            panic!("a server that must not be asked is one")
        };
        assert!(text.starts_with("control socket /run/rhumb.sock: permission denied"), "{text}");
    }
}
