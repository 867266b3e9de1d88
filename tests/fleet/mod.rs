//! A cluster of real processes: their files, the roads between them, what they answer and what they say of each other.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "../common/delay.rs"]
pub mod delay;
pub mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use delay::Line;
use delay::Way;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::cluster::status::ClusterStatus;
use rhumb::control::cluster::status::MemberStatus;
use rhumb::control::status::Status;
use rhumb::runtime::cluster::key;
use rhumb::runtime::control_socket;
use tokio::runtime::Runtime;

use crate::live::Folder;
use crate::live::ask;
use crate::live::find_metric;
use crate::live::get;
use crate::live::wait_until;
use crate::process::Process;
use crate::process::RHUMB;

/// The name that every fleet answers.
pub const NAME: &str = "www.shop.test";

/// Where roads lead to nodes that have not been started: nobody listens there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// What a fleet is made of.
pub struct Plan {
    /// One node stands at each.
    pub sites: Vec<&'static str>,
    /// Lines of `[check.web]`, which probes http; each node asks for a path of its own, `/SITE`.
    pub check: String,
    /// Pools, a policy `www`, and whatever else the zone has.
    pub pools: String,
    /// One way between two nodes.
    pub delay: fn(usize, usize) -> Duration,
}

/// No delay.
pub fn at_once(_: usize, _: usize) -> Duration {
    Duration::ZERO
}

impl Plan {
    /// One endpoint in the first site and one in the second, which takes over; probes every 200 ms.
    pub fn failover(sites: &[&'static str], first: SocketAddr, second: SocketAddr) -> Self {
        let check = format!(
            "port = {}\ninterval = \"200ms\"\ntimeout = \"200ms\"\nfall = 2\nrise = 1\nhold_down = \"0s\"\n",
            first.port()
        );
        let pools = format!(
            "[pool.one]\nsite = \"{}\"\ncheck = \"web\"\nendpoint.a.addresses = [\"{}\"]\n\
             [pool.two]\nsite = \"{}\"\ncheck = \"web\"\nendpoint.b.addresses = [\"{}\"]\n\
             [policy.www]\nkind = \"failover\"\ntargets = [\"one\", \"two\"]\n",
            sites[0],
            first.ip(),
            sites[1],
            second.ip()
        );
        Self { sites: sites.to_vec(), check, pools, delay: at_once }
    }

    fn zone(&self, own: &str) -> String {
        let site = |site: &&str| format!("[site.{site}]\nlatitude = 50\nlongitude = 8\n");
        let sites: String = self.sites.iter().map(site).collect();
        format!(
            "{sites}[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
             [check.web]\nkind = \"http\"\npath = \"/{own}\"\n{}{}[name.www]\nsteer = \"www\"\n",
            self.check, self.pools
        )
    }
}

/// A node and its process, if it runs.
pub struct Node {
    pub name: String,
    pub site: &'static str,
    pub folder: Folder,
    pub process: Option<Process>,
}

impl Node {
    pub fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    pub fn command(&self, command: &Command) -> Reply {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = self.folder.path("rhumb.sock");
        let reply = runtime.block_on(control_socket::send(&socket, command));
        reply.unwrap_or_else(|why| panic!("{}: {why}", self.name))
    }

    pub fn cluster(&self) -> ClusterStatus {
        match self.command(&Command::Cluster) {
            Reply::Cluster(status) => *status,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    pub fn status(&self) -> Status {
        match self.command(&Command::Status) {
            Reply::Status(status) => *status,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    pub fn member(&self, node: &str) -> MemberStatus {
        self.cluster().members.into_iter().find(|member| member.node == node).unwrap()
    }

    /// How many nodes it hears, itself among them.
    pub fn live(&self) -> usize {
        self.cluster().members.iter().filter(|member| member.is_live).count()
    }

    /// What it holds of an endpoint.
    pub fn verdict(&self, endpoint: &str) -> String {
        let endpoints = self.status().pools.into_iter().flat_map(|pool| pool.endpoints);
        let found = endpoints.into_iter().find(|other| other.key == endpoint);
        found.unwrap().targets[0].verdict.clone()
    }

    /// How often it has told that a verdict changed.
    pub fn flips(&self) -> usize {
        let lines = self.process().lines();
        lines.iter().filter(|line| line.contains("rhumb::health") && line.contains(" to=")).count()
    }

    /// Where other nodes dial it.
    pub fn address(&self) -> SocketAddr {
        self.logged("other nodes dial this one at ").parse().unwrap()
    }

    pub fn metric(&self, series: &str) -> f64 {
        let address = self.logged("metrics and health on http://");
        let address = address.split('/').next().unwrap().parse().unwrap();
        find_metric(&get(address, "/metrics").2, series).unwrap_or(0.0)
    }

    fn logged(&self, text: &str) -> String {
        let lines = self.process().lines();
        let rest = lines.iter().find_map(|line| line.split_once(text));
        let rest = rest.unwrap_or_else(|| panic!("{lines:?}")).1;
        rest.split([',', ' ']).next().unwrap().to_owned()
    }

    /// The address that it answers with.
    pub fn answer(&self) -> String {
        let answer = ask(self.process().address(), NAME);
        answer.addresses.iter().map(ToString::to_string).collect()
    }

    pub fn reload(&self) {
        let mut command = std::process::Command::new(RHUMB);
        command.args(["reload", "--config"]).arg(self.folder.path("rhumb.toml"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
}

/// All nodes.
pub struct Fleet {
    pub nodes: Vec<Node>,
    pub pins: Vec<Vec<String>>,
    plan: Plan,
    /// By who dials and who is dialled.
    pub roads: BTreeMap<(usize, usize), Line>,
    /// Carries what is on the roads.
    _runtime: Runtime,
}

impl Fleet {
    /// Makes keys, files and roads; nobody runs yet.
    pub fn make(plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let node = |site: &&'static str| Node {
            name: format!("{site}-1"),
            site,
            folder: Folder::new(),
            process: None,
        };
        let nodes: Vec<Node> = plan.sites.iter().map(node).collect();
        let pin =
            |node: &Node| vec![key::make(&node.folder.path("cluster.key")).unwrap().to_string()];
        let pins = nodes.iter().map(pin).collect();
        let mut roads = BTreeMap::new();
        let within = runtime.enter();
        for from in 0..nodes.len() {
            for to in (0..nodes.len()).filter(|to| *to != from) {
                let road = Line::start(NOWHERE, (plan.delay)(from, to));
                roads.insert((from, to), road);
            }
        }
        drop(within);
        for node in &nodes {
            node.folder.write("zones/shop.toml", plan.zone(node.site));
        }
        Self { nodes, pins, plan, roads, _runtime: runtime }
    }

    /// A fleet in which everybody hears everybody, and has everybody's votes.
    pub fn start(plan: Plan) -> Self {
        let mut fleet = Self::make(plan);
        let all: Vec<usize> = (0..fleet.nodes.len()).collect();
        for node in &all {
            fleet.write_settings(*node, &all);
            fleet.run(*node);
        }
        fleet.wait_for_all();
        fleet
    }

    /// Waits until everybody hears everybody, and has everybody's votes.
    #[track_caller]
    pub fn wait_for_all(&self) {
        for node in &self.nodes {
            wait_until(&format!("{} hears all and has their votes", node.name), || {
                let status = node.cluster();
                let is_here =
                    |member: &MemberStatus| member.is_live && member.votes_here == status.targets;
                status.members.len() == self.nodes.len() && status.members.iter().all(is_here)
            });
        }
    }

    /// Writes a node's file, in which the cluster is these nodes.
    pub fn write_settings(&self, node: usize, members: &[usize]) {
        let Node { name, site, folder, .. } = &self.nodes[node];
        let mut text = format!(
            "[server]\nsite = \"{site}\"\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
             [admin]\nsocket = \"rhumb.sock\"\nlisten = \"127.0.0.1:0\"\n[state]\nfolder = \"state\"\n\
             [cluster]\nname = \"test\"\nnode = \"{name}\"\nlisten = \"127.0.0.1:0\"\nkey = \"cluster.key\"\n"
        );
        for other in members.iter().filter(|other| **other != node) {
            let Node { name, site, .. } = &self.nodes[*other];
            let (pins, address) = (&self.pins[*other], self.roads[&(node, *other)].address());
            text += &format!(
                "[[cluster.peer]]\nnode = \"{name}\"\nsite = \"{site}\"\npins = {pins:?}\naddress = \"{address}\"\n"
            );
        }
        folder.write("rhumb.toml", text);
    }

    /// Starts a node's process; roads lead to where it listens now.
    pub fn run(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        one.process = Some(Process::start(&one.folder));
        let address = one.address();
        for ((_, to), road) in &self.roads {
            if *to == node {
                road.lead_to(address);
            }
        }
    }

    /// Lets nothing pass from one node to another, whoever dialled.
    pub fn close(&self, from: usize, to: usize) {
        self.roads[&(from, to)].stall_way(Way::Out);
        self.roads[&(to, from)].stall_way(Way::Back);
    }

    /// Lets everything pass again.
    pub fn open_all(&self) {
        self.roads.values().for_each(Line::open);
    }

    /// The same in both directions.
    pub fn close_both(&self, one: usize, other: usize) {
        self.close(one, other);
        self.close(other, one);
    }

    /// Cuts a node from all others.
    pub fn isolate(&self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.close_both(node, other);
        }
    }

    pub fn all_answer(&self, address: &str) -> bool {
        self.nodes.iter().all(|node| node.answer() == address)
    }

    #[track_caller]
    pub fn wait_for_answer(&self, address: &str) {
        for node in &self.nodes {
            wait_until(&format!("{} answers with {address}", node.name), || {
                node.answer() == address
            });
        }
    }
}
