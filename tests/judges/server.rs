//! NSD, Knot and BIND on a port of their own, ended with the test.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tempfile::TempDir;

use crate::ask::Asker;
use crate::live::PATIENCE;
use crate::question::Question;

/// Ports tried before giving up: another process may take the one that was free.
const TRIES: usize = 10;

/// Another implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    Nsd,
    Knot,
    Bind,
}

impl Judge {
    pub const ALL: [Self; 3] = [Self::Nsd, Self::Knot, Self::Bind];

    fn program(self) -> &'static str {
        match self {
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::Bind => "named",
        }
    }

    fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        let config = folder.join("judge.conf");
        match self {
            Self::Nsd => command.arg("-d").arg("-c").arg(config),
            Self::Knot => command.arg("-c").arg(config),
            Self::Bind => command.args(["-g", "-4", "-n", "1", "-c"]).arg(config),
        };
        command
    }

    /// All are told to answer as briefly as they can, with at most 1,232 octets by UDP.
    fn config(self, folder: &Path, port: u16, zones: &[(String, String)]) -> String {
        let folder = folder.display();
        let mut text = match self {
            Self::Nsd => format!(
                "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n zonesdir: \"{folder}\"\n \
                 pidfile: \"\"\n database: \"\"\n logfile: \"{folder}/log\"\n \
                 xfrdfile: \"{folder}/xfrd\"\n zonelistfile: \"{folder}/zone.list\"\n \
                 xfrdir: \"{folder}\"\n server-count: 1\n rrl-ratelimit: 0\n \
                 minimal-responses: yes\n refuse-any: yes\n ipv4-edns-size: 1232\n \
                 hide-version: yes\n\
                 remote-control:\n control-enable: no\n"
            ),
            Self::Knot => format!(
                "server:\n  rundir: \"{folder}\"\n  listen: 127.0.0.1@{port}\n  \
                 udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  \
                 udp-max-payload: 1232\n  version: \"\"\n\
                 log:\n  - target: stderr\n    any: warning\n\
                 database:\n  storage: \"{folder}\"\n\
                 template:\n  - id: default\n    storage: \"{folder}\"\n    \
                 zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n\
                 zone:\n"
            ),
            Self::Bind => format!(
                "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; \
                 listen-on-v6 {{ none; }}; pid-file none; lock-file none; session-keyfile none; \
                 recursion no; allow-transfer {{ none; }}; empty-zones-enable no; \
                 dnssec-validation no; check-integrity no; check-names primary ignore; \
                 check-mx ignore; minimal-responses no-auth; minimal-any yes; notify no; \
                 edns-udp-size 1232; max-udp-size 1232; version none; hostname none; \
                 max-records-per-type 0; max-types-per-name 0; }}; controls {{ }};\n"
            ),
        };
        for (apex, file) in zones {
            let line = match self {
                Self::Nsd => format!("zone:\n name: {apex}\n zonefile: \"{file}\""),
                Self::Knot => format!("  - domain: {apex}\n    file: \"{file}\""),
                Self::Bind => format!("zone \"{apex}\" {{ type primary; file \"{file}\"; }};"),
            };
            writeln!(text, "{line}").expect("text grows");
        }
        text
    }
}

/// A program of this name, looked for where Debian puts servers too.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A judge that runs.
pub struct Running {
    pub judge: Judge,
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Running {
    /// Starts a judge that serves `zones`, pairs of apex and text. `Err` says why that cannot be.
    pub fn start(judge: Judge, zones: &[(&str, String)]) -> Result<Self, String> {
        let name = judge.program();
        let program = find_program(name).ok_or_else(|| format!("{name} is not installed"))?;
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut running = Self::spawn(judge, &program, zones)?;
            match running.wait_until_it_serves(zones) {
                Ok(()) => return Ok(running),
                Err(why) => last = why,
            }
        }
        // Debian confines named to its own folders where AppArmor is in force.
        if last.to_lowercase().contains("permission denied") {
            return Err(format!("{name} may not read a scratch folder: {last}"));
        }
        panic!("{name} does not serve: {last}");
    }

    fn spawn(judge: Judge, program: &Path, zones: &[(&str, String)]) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut files = Vec::new();
        for (apex, text) in zones {
            let file = format!("{apex}.zone");
            fs::write(folder.path().join(&file), text).expect("the folder can be written");
            files.push(((*apex).to_owned(), file));
        }
        let address = free_address();
        let config = judge.config(folder.path(), address.port(), &files);
        fs::write(folder.path().join("judge.conf"), config).expect("the folder can be written");
        let log = fs::File::create(folder.path().join("stderr")).expect("a log");
        let mut command = judge.command(program, folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { judge, address, child, folder })
    }

    /// Asks for each SOA until all are there.
    fn wait_until_it_serves(&mut self, zones: &[(&str, String)]) -> Result<(), String> {
        let start = Instant::now();
        let mut asker = Asker::new(self.address, Duration::from_millis(50));
        for (apex, _) in zones {
            let question = Question::plain(apex, 6);
            while !asker.udp(&question).is_some_and(|reply| reply.is_ok_and(|r| r.rcode == 0)) {
                if let Some(status) = self.child.try_wait().expect("a child of ours") {
                    return Err(format!("it ended with {status}: {}", self.log()));
                }
                if start.elapsed() > PATIENCE {
                    return Err(format!("no SOA of {apex}: {}", self.log()));
                }
            }
        }
        Ok(())
    }

    /// What the judge wrote.
    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("log")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // NSD's children end only if their parent may tell them.
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// An address that is free for UDP and TCP now.
fn free_address() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = udp.local_addr().expect("it is bound");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
