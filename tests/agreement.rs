//! Real nodes: what operators see of their agreement, and the hook of one that has lost its network.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use live::Folder;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::runtime::cluster::key;

const SITES: [&str; 2] = ["fra", "iad"];

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[pool.eu]
endpoint.a.addresses = ["192.0.2.1"]
[policy.www]
kind = "failover"
targets = ["eu"]
[name.www]
steer = "www"
"#;

/// A node, its process, and where its files of zones are.
struct Node {
    folder: Folder,
    process: Process,
    zones: &'static str,
}

impl Node {
    fn run(&self, command: &[&str]) -> Output {
        let mut run = std::process::Command::new(RHUMB);
        run.args(command).arg("--config").arg(self.folder.path("rhumb.toml"));
        run.output().unwrap()
    }

    /// Exit code and text of `rhumb cluster status`.
    fn status(&self) -> (i32, String) {
        let output = self.run(&["cluster", "status"]);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    fn write_zone(&self, text: &str) {
        self.folder.write(&format!("{}/shop.toml", self.zones), text);
        let output = self.run(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    }
}

/// Two nodes that keep the same files in different folders; `more` is put into the table `[cluster]` of the first.
fn start(more: impl Fn(&Folder) -> String) -> Vec<Node> {
    let folders = SITES.map(|_| Folder::new());
    let pins = [0, 1]
        .map(|place: usize| key::make(&folders[place].path("cluster.key")).unwrap().to_string());
    let mut nodes: Vec<Node> = Vec::new();
    for (place, folder) in folders.into_iter().enumerate() {
        let (site, other, zones) = (SITES[place], 1 - place, ["zones", "srv/dns/zones"][place]);
        let address = nodes.first().map(|node| {
            let lines = node.process.lines();
            let line =
                lines.iter().find_map(|line| line.split_once("other nodes dial this one at "));
            line.unwrap().1.split([',', ' ']).next().unwrap().to_owned()
        });
        let address = address.map_or_else(String::new, |at| format!("address = \"{at}\"\n"));
        let more = if place == 0 { more(&folder) } else { String::new() };
        std::fs::create_dir_all(folder.path(zones)).unwrap();
        folder.write(&format!("{zones}/shop.toml"), ZONE);
        folder.write(
            "rhumb.toml",
            format!(
                "[server]\nsite = \"{site}\"\nlisten = [\"127.0.0.1:0\"]\n[config]\nzones = \"{zones}\"\n\
                 [admin]\nsocket = \"rhumb.sock\"\n\
                 [cluster]\nname = \"test\"\nnode = \"{site}-1\"\nlisten = \"127.0.0.1:0\"\n\
                 key = \"cluster.key\"\n{more}[[cluster.peer]]\nnode = \"{}-1\"\nsite = \"{}\"\n\
                 pins = [\"{}\"]\n{address}",
                SITES[other], SITES[other], pins[other]
            ),
        );
        let process = Process::start(&folder);
        nodes.push(Node { folder, process, zones });
    }
    nodes
}

#[test]
fn status_says_whether_all_is_well_and_who_differs_from_whom() {
    let mut nodes = start(|_| String::new());
    for node in &nodes {
        wait_until("all is well", || node.status().0 == 0);
        let (_, text) = node.status();
        assert!(text.starts_with("ALL IS WELL"), "{text}");
        assert!(!text.contains("DIFFERS"), "the same files in other folders:\n{text}");
    }
    nodes[1].write_zone(&format!("{ZONE}# of this node alone\n"));
    let differs = |node: &Node| node.status().1.contains("DIFFERS: config");
    for node in &nodes {
        wait_until("the difference is seen", || differs(node));
        wait_until("so is who differs", || node.status().1.contains("on its way: config differs"));
        let (code, text) = node.status();
        assert_eq!(code, 0, "files are on their way for a minute:\n{text}");
        assert!(text.contains("fra-1 (") && text.contains("no majority"), "{text}");
    }
    nodes[1].write_zone(ZONE);
    wait_until("they have the same again", || !differs(&nodes[0]));
    nodes[1].process.child.kill().unwrap();
    nodes[1].process.child.wait().unwrap();
    wait_until("something is wrong", || nodes[0].status().0 == 1);
    wait_until("nothing is on its way", || !differs(&nodes[0]));
    let (_, text) = nodes[0].status();
    assert!(text.starts_with("NOT WELL: 1 problem\n  ! iad-1 at iad is dead"), "{text}");
    let json = nodes[0].run(&["cluster", "status", "--json"]);
    assert_eq!(json.status.code(), Some(1));
    assert!(String::from_utf8(json.stdout).unwrap().contains("\"problems\""));
}

/// An address that does not answer, as its queue is full of connections that nobody takes.
struct Anchor {
    listener: TcpListener,
    waiting: Vec<TcpStream>,
}

impl Anchor {
    fn full() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
            assert!(waiting.len() < 10_000, "the queue has an end");
        }
        Self { listener, waiting }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

#[test]
fn an_isolated_node_is_withdrawn_by_its_hook_and_announced_when_it_is_back() {
    let anchor = Anchor::full();
    let address = anchor.address();
    let nodes = start(|folder| {
        let script = "#!/bin/sh\necho \"$2\" >> \"$1\"\n";
        folder.write("hook.sh", script);
        let (hook, told) = (folder.path("hook.sh"), folder.path("told"));
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("anchors = [\"{address}\"]\nwithdraw = [{hook:?}, {told:?}]\n")
    });
    let told = || std::fs::read_to_string(nodes[0].folder.path("told")).unwrap_or_default();
    wait_until("it is withdrawn", || told() == "withdraw\n");
    wait_until("the other is told", || nodes[1].status().1.contains("WITHDRAWN"));
    let (code, text) = nodes[0].status();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("this node is withdrawn by its hook"), "{text}");
    let Anchor { listener, waiting } = anchor;
    drop((listener, waiting)); // who refuses is there
    wait_until("it is announced", || told() == "withdraw\nannounce\n");
    wait_until("all is well", || nodes[1].status().0 == 0);
    assert!(nodes[0].process.has_logged("withdrawn by its hook, clients are led to others"));
}

/// What `dig` says; `None` if there is none.
fn dig(server: SocketAddr, words: &[&str]) -> Option<String> {
    let mut dig = std::process::Command::new("dig");
    dig.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    let output = dig.args(["+norec", "+time=5"]).args(words).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn dig_is_told_node_generation_and_digests() {
    let nodes = start(|_| String::new());
    let ask = |words: &[&str]| dig(nodes[0].process.address(), words);
    let Some(status) = ask(&["+short", "TXT", "_status.shop.test"]) else {
        println!("skipped: there is no dig");
        return;
    };
    let (_, shown) = nodes[0].status();
    let config = shown.split("config ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(status.starts_with("\"node fra-1 at fra; generation "), "{status}");
    assert!(status.contains(&format!("config {config}")), "{status}{shown}");
    assert!(status.contains("\"Rhumb "), "{status}");
    let nsid = ask(&["+nsid", "SOA", "shop.test"]).unwrap();
    assert!(nsid.contains("node fra-1 at fra; generation "), "{nsid}");
}

#[test]
fn how_far_a_target_is_from_each_site_is_shown() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    backend.set_nonblocking(true).unwrap();
    let port = backend.local_addr().unwrap().port();
    let nodes = start(|_| String::new());
    let zone = ZONE
        .replace("192.0.2.1", "127.0.0.1")
        .replace("[pool.eu]\n", "[pool.eu]\ncheck = \"tcp\"\n");
    let check = format!("[check.tcp]\nkind = \"tcp\"\nport = {port}\ninterval = \"1s\"\n");
    nodes.iter().for_each(|node| node.write_zone(&format!("{check}{zone}")));
    for node in &nodes {
        wait_until("both sites tell how far it is", || {
            while backend.accept().is_ok() {}
            let shown = String::from_utf8(node.run(&["status", "eu/a"]).stdout).unwrap();
            let from = shown.lines().find(|line| line.trim_start().starts_with("from fra "));
            from.is_some_and(|line| line.contains(" ms, iad ") && line.ends_with(" ms"))
        });
    }
}
