//! The UNIX socket that operators' commands come by: one JSON line in, one JSON line out.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::codec::Framed;
use tokio_util::codec::LinesCodec;
use tokio_util::codec::LinesCodecError;

use crate::control::Command;
use crate::control::Reply;
use crate::runtime::inbox::Asked;

/// Longest command, in octets: a piece of a bundle as base64.
const COMMAND_MAX: usize = 128 * 1024;

/// Longest reply, in octets: the status of 50,000 endpoints.
const REPLY_MAX: usize = 64 * 1024 * 1024;

/// Clients at a time.
const CLIENTS_MAX: usize = 256;

/// How long a client may keep a connection without a command.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Why a socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketFault {
    /// Somebody answers there.
    #[error("another server uses the control socket {}; stop it, or set [admin] socket", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("control socket {}: a file of another kind is there; move it, or set [admin] socket", .0.display())]
    NotASocket(PathBuf),
    /// Somebody else's is there, and we may not even ask whether it is in use.
    #[error("control socket {}: it belongs to another user; remove it if nobody answers there, or set [admin] socket", .0.display())]
    Foreign(PathBuf),
    /// The system says no.
    #[error("control socket {}: {source}; make its folder for this user, or set [admin] socket to a path in one", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The other side sent something else.
    #[error("control socket: {0}")]
    Protocol(String),
}

/// Name of the socket in a folder of its own.
const FILE_NAME: &str = "rhumb.sock";

/// Where the control socket is when nothing is said: `/run/rhumb.sock` for root, else the user's own folder.
pub fn default_path() -> PathBuf {
    match (own_folders().into_iter().next(), user()) {
        (Some(folder), _) => folder.join(FILE_NAME),
        (None, 0) => PathBuf::from("/run").join(FILE_NAME),
        (None, user) => in_temporary_folder(user),
    }
}

/// Where a client looks for a server when nothing is said: wherever a server's [`default_path`] may be, be it run
/// by hand or by systemd.
pub fn default_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        own_folders().into_iter().map(|folder| folder.join(FILE_NAME)).collect();
    places.extend([Path::new("/run/rhumb").join(FILE_NAME), Path::new("/run").join(FILE_NAME)]);
    let last = in_temporary_folder(user());
    // Anybody may put a file in the temporary folder: only our own counts.
    let is_foreign = std::fs::symlink_metadata(&last).is_ok_and(|found| found.uid() != user());
    places.extend(Some(last).filter(|_| !is_foreign));
    places
}

/// What systemd and the login session give to this process; of several runtime folders the first.
fn own_folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY");
    let runtime = runtime.and_then(|folders| std::env::split_paths(&folders).next());
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    [runtime, session].into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect()
}

fn user() -> u32 {
    std::fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(0)
}

fn in_temporary_folder(user: u32) -> PathBuf {
    std::env::temp_dir().join(format!("rhumb-{user}.sock"))
}

/// The file of a socket of ours; removed when dropped, unless it is another's by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identify(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of a file.
fn identify(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Binds the socket, for its owner only. One that a dead server left behind is replaced; any other file is kept.
pub fn bind(path: &Path) -> Result<(UnixListener, SocketFile), SocketFault> {
    let fault = |source| SocketFault::Io { path: path.to_path_buf(), source };
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(SocketFault::NotASocket(path.to_path_buf()));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(fault)?;
            }
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
                return Err(SocketFault::Foreign(path.to_path_buf()));
            }
            // Also a full backlog: somebody listens.
            Ok(_) | Err(_) => return Err(SocketFault::InUse(path.to_path_buf())),
        }
    }
    let listener = UnixListener::bind(path).map_err(fault)?;
    let file = SocketFile { path: path.to_path_buf(), identity: identify(path).map_err(fault)? };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
    Ok((listener, file))
}

/// Takes commands until dropped, of at most [`CLIENTS_MAX`] clients at a time; others wait to be accepted.
pub async fn serve(listener: &UnixListener, commands: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let commands = commands.clone();
                tokio::spawn(async move {
                    serve_one(stream, commands).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve_one(stream: UnixStream, commands: mpsc::Sender<Asked>) {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(COMMAND_MAX));
    while let Ok(Some(line)) = tokio::time::timeout(IDLE_MAX, lines.next()).await {
        let reply = match line.map(|line| serde_json::from_str::<Command>(&line)) {
            Ok(Ok(command)) => ask(&commands, command).await,
            Ok(Err(why)) => Reply::failed(format!("not a command: {why}")),
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                Reply::failed(format!("a command has at most {COMMAND_MAX} octets"))
            }
            // Not text, or the client is gone.
            Err(LinesCodecError::Io(_)) => return,
        };
        let Ok(text) = serde_json::to_string(&reply) else { return };
        if lines.send(text).await.is_err() {
            return;
        }
    }
}

/// Asks the controller.
pub async fn ask(commands: &mpsc::Sender<Asked>, command: Command) -> Reply {
    let (sender, receiver) = oneshot::channel();
    let gone = || Reply::failed("the server is stopping".into());
    if commands.send((command, sender)).await.is_err() {
        return gone();
    }
    receiver.await.unwrap_or_else(|_| gone())
}

/// Sends one command to a running server.
pub async fn send(path: &Path, command: &Command) -> Result<Reply, SocketFault> {
    let fault = |source| SocketFault::Io { path: path.to_path_buf(), source };
    let protocol = |why: String| SocketFault::Protocol(why);
    let stream = UnixStream::connect(path).await.map_err(fault)?;
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(REPLY_MAX));
    let text = serde_json::to_string(command).map_err(|why| protocol(why.to_string()))?;
    lines.send(text).await.map_err(|why| protocol(why.to_string()))?;
    match lines.next().await {
        Some(Ok(line)) => serde_json::from_str(&line).map_err(|why| protocol(why.to_string())),
        Some(Err(why)) => Err(protocol(why.to_string())),
        None => Err(protocol("the server closed the connection".into())),
    }
}
