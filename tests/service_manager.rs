//! What `rhumb serve` tells systemd: ready, reloading, stopping, alive; the other end is a socket of ours.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use live::Folder;
use live::PATIENCE;
use live::ask;
use process::Process;
use process::serve;

fn zone(ttl: u32) -> String {
    format!(
        "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\nsteered_ttl = \"{ttl}s\"\n\
         [pool.eu]\nendpoint.a.addresses = [\"198.18.1.1\"]\n[name.www]\nsteer = \"eu\"\n"
    )
}

/// The end of the socket at which systemd listens.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(folder: &Folder) -> Self {
        let path = folder.path("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    fn next(&self) -> String {
        let mut octets = [0; 4096];
        let length = self.socket.recv(&mut octets).expect("the server says something");
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    /// The next message that is no status line.
    fn next_state(&self) -> String {
        loop {
            let message = self.next();
            if !message.starts_with("STATUS=") {
                return message;
            }
        }
    }

    fn command(&self, folder: &Folder) -> Command {
        let mut command = serve(folder);
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(30));
    let node =
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nsocket = \"rhumb.sock\"\n";
    folder.write("rhumb.toml", node);
    folder
}

/// Waits for the end of a reload; the beginning must have been told, with the time.
#[track_caller]
fn assert_reload(manager: &Manager) {
    let message = manager.next_state();
    let rest = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&message);
    assert!(rest.trim_end().parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next_state().trim_end(), "READY=1");
}

#[test]
fn systemd_is_told_of_start_reload_and_stop() {
    let folder = folder();
    let manager = Manager::new(&folder);
    let process = Process::start_by(|| manager.command(&folder));
    // The first status comes with the first snapshot.
    let status = manager.next();
    assert!(
        status.starts_with("STATUS=Serving 1 zone, generation 1; 0 of 0 targets down; 0 orders")
    );
    assert_eq!(manager.next_state().trim_end(), "READY=1");
    assert_eq!(ask(process.address(), "www.shop.test.").ttls, [30]);
    // Folders are read once more as soon as they are watched.
    process.wait_for_log("changes of files are noticed from now on");
    assert_reload(&manager);

    folder.write("zones/shop.toml", zone(40));
    process.signal("HUP");
    assert_reload(&manager);
    assert_eq!(ask(process.address(), "www.shop.test.").ttls, [40], "ready means in force");
    process.signal("TERM");
    let message = loop {
        // The watch may see the change too, and read the files again.
        let message = manager.next_state();
        if !message.starts_with("RELOADING=1") && !message.starts_with("READY=1") {
            break message;
        }
    };
    assert_eq!(message.trim_end(), "STOPPING=1");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn the_watchdog_hears_of_the_control_loop() {
    let folder = folder();
    let manager = Manager::new(&folder);
    let process = Process::start_by(|| {
        let mut command = manager.command(&folder);
        command.env("WATCHDOG_USEC", "3000000");
        command
    });
    let mut signs = 0;
    while signs < 3 {
        signs += usize::from(manager.next().trim_end() == "WATCHDOG=1");
    }
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn files_with_problems_end_a_reload_too() {
    let folder = folder();
    let manager = Manager::new(&folder);
    let process = Process::start_by(|| manager.command(&folder));
    assert_eq!(manager.next_state().trim_end(), "READY=1");
    assert_reload(&manager);
    folder.write("zones/shop.toml", "nonsense = 1");
    process.signal("HUP");
    assert_reload(&manager);
    process.wait_for_log("files refused, 1 problem; ");
    assert_eq!(ask(process.address(), "www.shop.test.").ttls, [30]);
}
