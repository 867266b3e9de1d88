//! Real processes: files pushed from a terminal, in force on three nodes at one instant; refused with carets; rolled back;
//! and not torn by kill -9.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;
use std::time::Instant;

use live::Folder;
use live::ask;
use live::find_metric;
use live::get;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::cluster::bundles::status::BundleStatus;
use rhumb::runtime::cluster::key;
use rhumb::runtime::control_socket;

const SITES: [&str; 3] = ["fra", "iad", "sin"];

/// A node and its process.
struct Node {
    folder: Folder,
    process: Process,
}

fn settings(site: &str, pins: &[String], addresses: &[Option<SocketAddr>]) -> String {
    let mut text = format!(
        "[server]\nsite = \"{site}\"\nlisten = [\"127.0.0.1:0\"]\n[admin]\nsocket = \"rhumb.sock\"\nlisten = \"127.0.0.1:0\"\n\
         [state]\nfolder = \"state\"\n[rtt]\nfolder = \"rtt\"\n\
         [cluster]\nname = \"test\"\nnode = \"{site}-1\"\nlisten = \"127.0.0.1:0\"\nkey = \"cluster.key\"\n\
         bundles = true\n"
    );
    for ((other, pin), address) in SITES.iter().zip(pins).zip(addresses) {
        if other == &site {
            continue;
        }
        text += &format!(
            "[[cluster.peer]]\nnode = \"{other}-1\"\nsite = \"{other}\"\npins = [\"{pin}\"]\n"
        );
        if let Some(address) = address {
            text += &format!("address = \"{address}\"\n");
        }
    }
    text
}

/// Files whose www tells them apart.
fn zone(number: u8) -> String {
    let sites = SITES.map(|site| format!("[site.{site}]\nlatitude = 50\nlongitude = 8\n")).concat();
    format!(
        "{sites}[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
         records = \"shop.records\"\n\
         [pool.eu]\nsite = \"fra\"\nendpoint.a.addresses = [\"192.0.2.{number}\"]\n\
         [name.www]\nsteer = \"eu\"\n"
    )
}

impl Node {
    fn rhumb(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(RHUMB);
        command.args(arguments).arg("--config").arg(self.folder.path("rhumb.toml"));
        command.env("USER", "ann").env_remove("SUDO_USER");
        command
    }

    fn push(&self, folder: &Folder, more: &[&str]) -> Output {
        let zones = folder.path("zones");
        let arguments =
            ["cluster", "push", zones.to_str().unwrap(), "--reason", "test", "--wait", "40s"];
        self.rhumb(&[&arguments[..], more].concat())
    }

    fn bundles(&self) -> BundleStatus {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = self.folder.path("rhumb.sock");
        match runtime.block_on(control_socket::send(&socket, &Command::Bundles)) {
            Ok(Reply::Bundles(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    fn live(&self) -> usize {
        self.bundles().nodes.iter().filter(|node| node.is_live && node.takes == Some(true)).count()
    }

    fn address(&self) -> SocketAddr {
        self.logged("other nodes dial this one at ")
    }

    fn logged(&self, text: &str) -> SocketAddr {
        let lines = self.process.lines();
        let rest = lines.iter().find_map(|line| line.split_once(text));
        let text = rest.unwrap_or_else(|| panic!("{lines:?}")).1;
        text.split([',', ' ', '/']).next().unwrap().parse().unwrap()
    }

    fn metric(&self, series: &str) -> Option<f64> {
        find_metric(&get(self.logged("metrics and health on http://"), "/metrics").2, series)
    }

    fn answer(&self) -> String {
        let answer = ask(self.process.address(), "www.shop.test");
        answer.addresses.iter().map(ToString::to_string).collect()
    }

    fn restart(&mut self) {
        let _ = self.process.child.kill();
        self.process.child.wait().unwrap();
        self.process = Process::start(&self.folder);
    }
}

/// Three nodes that have found each other.
fn start() -> (Vec<Node>, Vec<String>) {
    let folders = SITES.map(|_| Folder::new());
    let pins =
        folders.iter().map(|folder| key::make(&folder.path("cluster.key")).unwrap().to_string());
    let pins: Vec<String> = pins.collect();
    let mut nodes = Vec::new();
    for (site, folder) in SITES.iter().zip(folders) {
        folder.write("zones/shop.toml", zone(200));
        folder.write("zones/shop.records", "host A 192.0.2.99\n");
        folder.write("rhumb.toml", settings(site, &pins, &[None; 3]));
        let process = Process::start(&folder);
        nodes.push(Node { folder, process });
    }
    tell_addresses(&nodes, &pins);
    (nodes, pins)
}

/// Writes everybody's address into everybody's file, and waits until all have found each other.
fn tell_addresses(nodes: &[Node], pins: &[String]) {
    let addresses: Vec<_> = nodes.iter().map(|node| Some(node.address())).collect();
    for (node, site) in nodes.iter().zip(SITES) {
        node.folder.write("rhumb.toml", settings(site, pins, &addresses));
        assert!(node.rhumb(&["reload"]).status.success());
    }
    let begun = Instant::now();
    while !nodes.iter().all(|node| node.live() == 3) {
        if begun.elapsed() > live::PATIENCE {
            let shown = |node: &Node| {
                text(&node.rhumb(&["cluster", "status"])) + &node.process.lines().join("\n")
            };
            let all: Vec<String> = nodes.iter().map(shown).collect();
            panic!("in vain waited until all have spoken to all:\n{}", all.join("\n"));
        }
    }
}

/// A folder to be pushed, with a file of records beside.
fn repository(number: u8) -> Folder {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(number));
    folder.write("zones/shop.records", "$INCLUDE parts/hosts\n");
    std::fs::create_dir(folder.path("zones/parts")).unwrap();
    folder.write("zones/parts/hosts", "host A 192.0.2.98\n");
    folder
}

#[track_caller]
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn files_are_pushed_refused_rolled_back_and_shown() {
    let (mut nodes, pins) = start();
    let first = nodes[0].push(&repository(1), &[]);
    assert!(first.status.success(), "{}", text(&first));
    assert!(text(&first).contains("version 1 is in force at 3 servers"), "{}", text(&first));
    for node in &nodes {
        assert_eq!(node.answer(), "192.0.2.1");
        assert_eq!(
            ask(node.process.address(), "host.shop.test").addresses.len(),
            1,
            "what is included is there"
        );
    }
    // A mistake is shown where it was pushed, with line, caret and remedy, and changes nothing.
    let wrong = repository(2);
    wrong.write("zones/shop.toml", zone(2).replace("addresses", "adresses"));
    let refused = nodes[1].push(&wrong, &[]);
    let said = text(&refused);
    assert!(!refused.status.success() && said.contains("shop.toml:16:12"), "{said}");
    assert!(said.contains("^^^^") && said.contains("addresses"), "{said}");
    assert!(
        !said.contains("state/bundles"),
        "names are those of the folder that was pushed: {said}"
    );
    assert!(nodes.iter().all(|node| node.answer() == "192.0.2.1"));
    let second = nodes[1].push(&repository(2), &[]);
    assert!(second.status.success(), "{}", text(&second));
    assert!(nodes.iter().all(|node| node.answer() == "192.0.2.2"));
    let back = nodes[2].rhumb(&["cluster", "rollback", "--reason", "oops"]);
    assert!(back.status.success(), "{}", text(&back));
    assert!(nodes.iter().all(|node| node.answer() == "192.0.2.1"));
    let shown = text(&nodes[0].rhumb(&["cluster", "push", "--status"]));
    assert!(
        shown.contains("of sin-1") && shown.contains("by ann: \"oops\", signed by sin-1"),
        "{shown}"
    );
    assert!(shown.contains("files of version 1"), "{shown}");
    let status = text(&nodes[0].rhumb(&["cluster", "status"]));
    assert!(status.contains("files: version"), "{status}");
    for node in &nodes {
        let metric = |name: &str| node.metric(&format!("rhumb_cluster_files_{name}"));
        wait_until("all nodes know that the others serve it", || metric("differing") == Some(0.0));
        assert_eq!((metric("version"), metric("unkept")), (Some(4.0), Some(0.0)));
    }
    let events = text(&nodes[0].rhumb(&["events", "--since", "10m"]));
    assert!(events.contains("in force"), "{events}");
    // With the network down, after kill -9, the right files are in force before the first answer.
    nodes[1].process.child.kill().unwrap();
    nodes[2].process.child.kill().unwrap();
    nodes[0].restart();
    assert_eq!(nodes[0].answer(), "192.0.2.1");
    for node in &mut nodes[1..] {
        node.restart();
        assert_eq!(node.answer(), "192.0.2.1");
    }
    tell_addresses(&nodes, &pins);
    let third = nodes[0].push(&repository(3), &["--canary", "iad-1"]);
    assert!(third.status.success() && text(&third).contains("--continue"), "{}", text(&third));
    let answers: Vec<String> = nodes.iter().map(Node::answer).collect();
    assert_eq!(answers, ["192.0.2.1", "192.0.2.3", "192.0.2.1"]);
    let on = nodes[0].rhumb(&["cluster", "push", "--continue"]);
    assert!(on.status.success(), "{}", text(&on));
    assert!(nodes.iter().all(|node| node.answer() == "192.0.2.3"));
}

#[test]
fn a_node_that_is_killed_in_the_middle_has_one_version_or_the_other_and_follows() {
    let (mut nodes, pins) = start();
    let mut seen = Vec::new();
    for (round, wait_ms) in [0, 400, 1500, 2900, 3100].into_iter().enumerate() {
        let number = 10 + round as u8;
        let folder = repository(number);
        // So large that its pieces take a while.
        folder.write("zones/more.zone", large(number));
        let zones = folder.path("zones");
        let mut command =
            nodes[0].command(&["cluster", "push", zones.to_str().unwrap(), "--wait", "60s"]);
        let piped = std::process::Stdio::piped;
        let pushing = command.stdout(piped()).stderr(piped()).spawn().unwrap();
        let begun = Instant::now();
        wait_until("it is time to kill", || begun.elapsed() >= Duration::from_millis(wait_ms));
        nodes[2].restart();
        seen.push(nodes[2].answer());
        let before =
            if round == 0 { "192.0.2.200".into() } else { format!("192.0.2.{}", number - 1) };
        let after = format!("192.0.2.{number}");
        assert!([&before, &after].contains(&seen.last().unwrap()), "{seen:?}");
        tell_addresses(&nodes, &pins);
        let pushed = pushing.wait_with_output().unwrap();
        println!("round {round}: {:?}", text(&pushed));
        let stalled = text(&pushed).contains("it goes on");
        assert!(!stalled, "{:#?}", nodes.iter().map(Node::bundles).collect::<Vec<_>>());
        let counts = if pushed.status.success() { after } else { nodes[0].answer() };
        for node in &nodes {
            wait_until(&format!("all have {counts}, {:#?}", node.bundles()), || {
                node.answer() == counts
            });
        }
        if nodes[0].answer() != format!("192.0.2.{number}") {
            let again = nodes[0].push(&folder, &[]);
            assert!(again.status.success(), "{}", text(&again));
        }
        for node in &nodes {
            wait_until("all follow", || node.answer() == format!("192.0.2.{number}"));
        }
    }
    println!("after kill -9: {seen:?}");
}

/// A zone of about a megabyte.
fn large(number: u8) -> String {
    let mut text = "$ORIGIN more.test.\n@ 3600 SOA ns1.example.net. h.example.net. 1 1 1 1 1\n@ NS ns1.example.net.\n".to_owned();
    for host in 0..30_000 {
        text += &format!("host-{host} 300 A 192.0.{}.{number}\n", host % 250);
    }
    text
}

#[test]
fn a_table_of_round_trip_times_that_one_node_has_comes_to_all_and_counts_at_its_instant() {
    let (nodes, _) = start();
    nodes[0].folder.write("rtt.csv", "prefix,site,rtt_ms,samples\n203.0.113.0/24,fra,180,500\n");
    let file = nodes[0].folder.path("rtt.csv");
    let imported = nodes[0].rhumb(&["rtt", "import", file.to_str().unwrap(), "--at", "3s"]);
    assert!(imported.status.success(), "{}", text(&imported));
    let tables = |node: &Node| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(node.folder.path("rtt")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("rtt-")).collect()
    };
    let made = tables(&nodes[0]);
    assert_eq!(made.len(), 1);
    for node in &nodes {
        wait_until("the table is in the folder", || tables(node) == made);
        wait_until("it counts", || {
            text(&node.rhumb(&["status"])).contains(&*made[0]) || node.process.has_logged(&made[0])
        });
    }
}
