//! Three real processes that are a cluster over a real NATS server: they fail over together, and hold while the bus is gone.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "nats/bus.rs"]
mod bus;
mod live;
mod process;

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Instant;

use bus::Certificates;
use bus::NatsServer;
use bus::is_missing;
use live::Folder;
use live::ask;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::cluster::status::ClusterStatus;
use rhumb::runtime::cluster::key;
use rhumb::runtime::control_socket;

const SITES: [&str; 3] = ["fra", "iad", "sin"];

/// A node and its process.
struct Node {
    folder: Folder,
    process: Process,
}

/// The settings of the node at `site`.
fn settings(site: &str, pins: &[String; 3], bus: (&Certificates, &NatsServer)) -> String {
    let nats = bus.0.terms(&format!("{site}-1"), bus.1);
    let mut text = format!(
        "[server]\nsite = \"{site}\"\nlisten = [\"127.0.0.1:0\"]\n[admin]\nsocket = \"rhumb.sock\"\n\
         [state]\nfolder = \"state\"\n\
         [cluster]\nname = \"test\"\nnode = \"{site}-1\"\nkey = \"cluster.key\"\n\
         [cluster.nats]\nservers = [\"{}\"]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
        nats.servers[0], nats.ca, nats.certificate, nats.key
    );
    for (other, pin) in SITES.iter().zip(pins).filter(|(other, _)| **other != site) {
        text += &format!(
            "[[cluster.peer]]\nnode = \"{other}-1\"\nsite = \"{other}\"\npins = [\"{pin}\"]\n"
        );
    }
    text
}

fn zone(port: u16) -> String {
    let sites = SITES.map(|site| format!("[site.{site}]\nlatitude = 50\nlongitude = 8\n")).concat();
    format!(
        "{sites}[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
         [check.tcp]\nkind = \"tcp\"\nport = {port}\ninterval = \"200ms\"\ntimeout = \"200ms\"\nfall = 2\nrise = 1\n\
         hold_down = \"0s\"\n\
         [pool.eu]\nsite = \"fra\"\ncheck = \"tcp\"\nendpoint.a.addresses = [\"127.0.0.1\"]\n\
         [pool.us]\nsite = \"iad\"\nendpoint.b.addresses = [\"127.0.0.2\"]\n\
         [policy.www]\nkind = \"failover\"\ntargets = [\"eu\", \"us\"]\n\
         [name.www]\nsteer = \"www\"\n"
    )
}

impl Node {
    fn cluster(&self) -> ClusterStatus {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = self.folder.path("rhumb.sock");
        match runtime.block_on(control_socket::send(&socket, &Command::Cluster)) {
            Ok(Reply::Cluster(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    fn live(&self) -> usize {
        self.cluster().members.iter().filter(|member| member.is_live).count()
    }

    fn is_reachable(&self) -> bool {
        self.cluster().bus.unwrap().is_reachable
    }

    fn answer(&self) -> String {
        let answer = ask(self.process.address(), "www.shop.test");
        answer.addresses.iter().map(ToString::to_string).collect()
    }

    /// What `rhumb cluster status` prints.
    fn printed(&self) -> String {
        let mut command = std::process::Command::new(RHUMB);
        command.args(["cluster", "status", "--config"]).arg(self.folder.path("rhumb.toml"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

/// What probes reach: it takes every connection, until it is dropped.
struct Backend {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let thread =
            std::thread::spawn(move || while listener.accept().is_ok() && !end.load(Relaxed) {});
        Self { address, is_over, thread: Some(thread) }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn three_nodes_fail_over_by_the_bus_and_hold_without_it() {
    if is_missing() {
        return;
    }
    let certificates = Certificates::new();
    let mut server = NatsServer::start(&certificates);
    let backend = Backend::start("127.0.0.1:0".parse().unwrap());
    let address = backend.address;
    let folders = SITES.map(|_| Folder::new());
    let pins = [0, 1, 2]
        .map(|place: usize| key::make(&folders[place].path("cluster.key")).unwrap().to_string());
    let mut nodes = Vec::new();
    for (site, folder) in SITES.iter().zip(folders) {
        folder.write("zones/shop.toml", zone(address.port()));
        folder.write("rhumb.toml", settings(site, &pins, (&certificates, &server)));
        let process = Process::start(&folder);
        nodes.push(Node { folder, process });
    }
    for node in &nodes {
        wait_until("all three live", || node.live() == 3);
        wait_until("everybody answers with the first pool", || node.answer() == "127.0.0.1");
        wait_until("each has the votes of all", || {
            node.cluster().members.iter().all(|member| member.votes_here == 1)
        });
    }
    wait_until("the round trip is shown", || nodes[0].printed().contains(", there and back "));
    assert!(!nodes[0].printed().contains("link"), "{}", nodes[0].printed());

    drop(backend);
    let gone = Instant::now();
    for node in &nodes {
        wait_until("everybody answers with the second", || node.answer() == "127.0.0.2");
    }
    println!("down everywhere after {:?}", gone.elapsed());
    for node in &nodes {
        // Else the last word of one that still said up would count for as long as it lives.
        wait_until("all three say so", || {
            let status = node.cluster();
            status.disagreements.is_empty()
                && status.members.iter().all(|member| member.votes_here == 1)
        });
    }

    server.kill();
    for node in &nodes {
        wait_until("it is seen", || !node.is_reachable());
        node.process.wait_for_log("bus unreachable");
        wait_until("the others count no more", || node.live() == 1);
    }
    assert!(nodes[1].printed().contains("bus UNREACHABLE since "), "{}", nodes[1].printed());
    let backend = Backend::start(address);
    for node in &nodes {
        wait_until("it sees that the first is back", || {
            node.cluster().disagreements.is_empty() && node.cluster().too_few_voters == 1
        });
        let (answer, status) = (node.answer(), node.cluster());
        assert_eq!(answer, "127.0.0.2", "alone it decides nothing: {status:#?}");
    }
    server.restart();
    for node in &nodes {
        wait_until("everybody answers with the first again", || node.answer() == "127.0.0.1");
        wait_until("all three live", || node.live() == 3);
        node.process.wait_for_log("the bus is reachable");
        assert!(!node.process.has_logged("ERROR"), "{:?}", node.process.lines());
    }
    drop(backend);
}
