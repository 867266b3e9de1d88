//! The `rhumb serve` process: started, read, signalled, ended.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use crate::live::Folder;
use crate::live::wait_until;

pub const RHUMB: &str = env!("CARGO_BIN_EXE_rhumb");

/// A running `rhumb serve`; killed when dropped.
pub struct Process {
    pub child: Child,
    pub log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub fn spawn(folder: &Folder) -> Self {
        Self::run(&mut serve(folder))
    }

    /// Runs a command that serves, and listens to its log.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("RUST_LOG")
            .env_remove("JOURNAL_STREAM")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, log }
    }

    /// Starts one that serves.
    pub fn start(folder: &Folder) -> Self {
        Self::start_by(|| serve(folder))
    }

    /// Starts one that serves; tries again if the TCP port of its UDP port has just been taken.
    pub fn start_by(command: impl Fn() -> Command) -> Self {
        loop {
            let mut process = Self::run(&mut command());
            let mut ended = false;
            wait_until("it serves", || {
                ended = process.child.try_wait().unwrap().is_some();
                ended || process.has_logged("commands by ")
            });
            if !ended {
                return process;
            }
            wait_until("it says why", || {
                process.has_logged("rhumb: ") || process.has_logged("does not start")
            });
            assert!(process.has_logged("already in use"), "{:?}", process.log);
        }
    }

    pub fn has_logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(text))
    }

    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} is logged"), || self.has_logged(text));
    }

    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn address(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        let rest = log.iter().find_map(|line| Some(line.split_once("answering on ")?.1)).unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    pub fn wait(mut self) -> Option<i32> {
        wait_until("the process ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves a folder's `rhumb.toml`.
pub fn serve(folder: &Folder) -> Command {
    let mut command = Command::new(RHUMB);
    command.args(["serve", "--config"]).arg(folder.path("rhumb.toml"));
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    command
}
