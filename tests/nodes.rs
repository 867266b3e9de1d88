//! Three real processes that are a cluster: what they agree on, and what a death, a stop and a broken key do to them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use live::Folder;
use live::ask;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::cluster::status::ClusterStatus;
use rhumb::control::cluster::status::MemberStatus;
use rhumb::runtime::cluster::key;
use rhumb::runtime::control_socket;

const SITES: [&str; 3] = ["fra", "iad", "sin"];

/// A node and its process.
struct Node {
    name: String,
    folder: Folder,
    process: Process,
}

fn name(site: &str) -> String {
    format!("{site}-1")
}

/// The settings of the node at `site`; `addresses` are those of the others, where they are known.
fn settings(site: &str, pins: &[String; 3], addresses: &[Option<SocketAddr>; 3]) -> String {
    let own = name(site);
    let mut text = format!(
        "[server]\nsite = \"{site}\"\nlisten = [\"127.0.0.1:0\"]\n[admin]\nsocket = \"rhumb.sock\"\n\
         [state]\nfolder = \"state\"\n\
         [cluster]\nname = \"test\"\nnode = \"{own}\"\nlisten = \"127.0.0.1:0\"\nkey = \"cluster.key\"\n"
    );
    for ((site, pin), address) in SITES.iter().zip(pins).zip(addresses) {
        if name(site) == own {
            continue;
        }
        text += &format!(
            "[[cluster.peer]]\nnode = \"{}\"\nsite = \"{site}\"\npins = [\"{pin}\"]\n",
            name(site)
        );
        if let Some(address) = address {
            text += &format!("address = \"{address}\"\n");
        }
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
            other => panic!("{}: {other:?}", self.name),
        }
    }

    fn member(&self, node: &str) -> MemberStatus {
        self.cluster().members.into_iter().find(|member| member.node == node).unwrap()
    }

    fn live(&self) -> usize {
        self.cluster().members.iter().filter(|member| member.is_live).count()
    }

    fn address(&self) -> SocketAddr {
        let lines = self.process.lines();
        let rest = lines.iter().find_map(|line| line.split_once("other nodes dial this one at "));
        let text = rest.unwrap_or_else(|| panic!("{lines:?}")).1;
        text.split([',', ' ']).next().unwrap().parse().unwrap()
    }

    fn answer(&self) -> String {
        let answer = ask(self.process.address(), "www.shop.test");
        answer.addresses.iter().map(ToString::to_string).collect()
    }

    fn reload(&self) {
        let mut command = std::process::Command::new(RHUMB);
        command.args(["reload", "--config"]).arg(self.folder.path("rhumb.toml"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
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

/// Three nodes that have found each other, and what probes of the endpoint reach.
fn start() -> (Vec<Node>, [String; 3], Backend) {
    let backend = Backend::start("127.0.0.1:0".parse().unwrap());
    let port = backend.address.port();
    let folders = SITES.map(|_| Folder::new());
    let pins = [0, 1, 2]
        .map(|place: usize| key::make(&folders[place].path("cluster.key")).unwrap().to_string());
    let mut nodes = Vec::new();
    for (site, folder) in SITES.iter().zip(folders) {
        folder.write("zones/shop.toml", zone(port));
        folder.write("rhumb.toml", settings(site, &pins, &[None; 3]));
        let process = Process::start(&folder);
        nodes.push(Node { name: name(site), folder, process });
    }
    tell_addresses(&nodes, &pins);
    for node in &nodes {
        wait_until("all three live", || node.live() == 3);
    }
    (nodes, pins, backend)
}

/// Writes everybody's address into everybody's file, and has it read again.
fn tell_addresses(nodes: &[Node], pins: &[String; 3]) {
    let addresses: Vec<_> = nodes.iter().map(|node| Some(node.address())).collect();
    let addresses: [Option<SocketAddr>; 3] = addresses.try_into().unwrap();
    for (node, site) in nodes.iter().zip(SITES) {
        node.folder.write("rhumb.toml", settings(site, pins, &addresses));
        node.reload();
    }
}

#[test]
fn three_nodes_agree_that_an_endpoint_is_down_and_up_again() {
    let (nodes, _, backend) = start();
    let address = backend.address;
    for node in &nodes {
        wait_until("everybody answers with the first pool", || node.answer() == "127.0.0.1");
        wait_until("each has the votes of all", || {
            node.cluster().members.iter().all(|member| member.votes_here == 1)
        });
    }
    drop(backend);
    let gone = Instant::now();
    for node in &nodes {
        wait_until("everybody answers with the second", || node.answer() == "127.0.0.2");
    }
    println!("down everywhere after {:?}", gone.elapsed());
    let backend = Backend::start(address);
    for node in &nodes {
        wait_until("everybody answers with the first again", || node.answer() == "127.0.0.1");
    }
    drop(backend);
}

#[test]
fn a_killed_node_comes_back_as_one_voter_and_a_stopped_one_takes_nothing_down() {
    let (mut nodes, pins, _backend) = start();
    let before = nodes[0].member("sin-1").generation.unwrap();
    nodes[2].process.child.kill().unwrap();
    nodes[2].process.child.wait().unwrap();
    // Its port is another now, so it is the one that dials.
    nodes[2].process = Process::start(&nodes[2].folder);
    for node in &nodes[..2] {
        wait_until("the later life is heard", || {
            node.member("sin-1").generation.is_some_and(|now| now > before)
        });
    }
    for node in &nodes {
        wait_until("all three live", || node.live() == 3);
        let status = node.cluster();
        assert_eq!((status.members.len(), status.sites_live), (3, 3), "{status:#?}");
    }
    tell_addresses(&nodes, &pins);
    nodes[1].process.signal("STOP");
    let stopped = Instant::now();
    for node in [0, 2] {
        wait_until("the stopped one counts no more", || !nodes[node].member("iad-1").is_live);
    }
    let noticed = stopped.elapsed();
    assert!(noticed < Duration::from_secs(8), "{noticed:?}");
    println!("a stopped node is noticed after {noticed:?}");
    for node in [0, 2] {
        assert_eq!(nodes[node].answer(), "127.0.0.1", "a lost node takes nothing down");
    }
    nodes[1].process.signal("CONT");
    for node in &nodes {
        wait_until("it is back", || node.live() == 3);
        assert_eq!(node.answer(), "127.0.0.1");
    }
}

#[test]
fn a_pin_that_is_taken_out_by_a_reload_cuts_its_node_off() {
    let (nodes, pins, _backend) = start();
    let stranger = key::make(&nodes[0].folder.path("other.key")).unwrap().to_string();
    let mut others = pins.clone();
    others[1] = stranger;
    let addresses = [0, 1, 2].map(|place: usize| Some(nodes[place].address()));
    nodes[0].folder.write("rhumb.toml", settings("fra", &others, &addresses));
    nodes[0].reload();
    nodes[0].process.wait_for_log("connection lost: it was replaced, or its pin was taken out");
    wait_until("the one without a pin counts no more", || !nodes[0].member("iad-1").is_live);
    assert!(nodes[0].member("sin-1").is_live);
    wait_until("the others still hear it", || nodes[2].member("iad-1").is_live);
    nodes[1].process.wait_for_log("add what rhumb cluster pin prints here to the pins there");
}

#[test]
fn a_key_is_made_once_and_its_pin_is_printed_for_the_peers() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(RHUMB);
        let output =
            command.current_dir(folder.path("zones")).arg("cluster").args(arguments).output();
        let output = output.unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, lines, _) = run(&["keygen", "--out", "fra.key"]);
    assert_eq!(code, Some(0));
    let pin = run(&["pin", "fra.key"]).1;
    assert!(pin.starts_with("ed25519:") && lines.contains(pin.trim()), "{lines}");
    assert!(lines.contains("[[cluster.peer]]") && !lines.contains("PRIVATE"), "{lines}");
    let (code, _, error) = run(&["keygen", "--out", "fra.key"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is not overwritten"), "{error}");
    assert_eq!(run(&["pin", "fra.key"]).1, pin);
    let (code, _, error) = run(&["pin", "none.key"]);
    assert!(code == Some(1) && error.contains("rhumb cluster keygen"), "{error}");
}

#[test]
fn a_node_without_its_key_or_with_one_that_others_can_read_does_not_start() {
    let folder = Folder::new();
    let pins =
        SITES.map(|site| key::make(&folder.path(&format!("{site}.key"))).unwrap().to_string());
    folder.write("zones/shop.toml", zone(9));
    folder.write("rhumb.toml", settings("fra", &pins, &[None; 3]));
    let mut process = Process::spawn(&folder);
    process.wait_for_log("make one with rhumb cluster keygen");
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
    std::fs::copy(folder.path("fra.key"), folder.path("cluster.key")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(folder.path("cluster.key"), mode).unwrap();
    let process = Process::spawn(&folder);
    process.wait_for_log("chmod 600");
    assert_eq!(process.wait(), Some(1));
}
