//! `[cluster]` of `rhumb.toml`.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use crate::config::Problems;
use crate::config::keys::BUS_PEERS_MAX;
use crate::config::keys::PEERS_MAX;
use crate::config::nats;
use crate::config::node::read_address;
use crate::config::node::read_listen;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::model::ClusterTerms;
use crate::model::NodeName;
use crate::model::Peer;
use crate::model::Pin;
use crate::model::Role;

/// What other tables of the file say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Has {
    /// `[server]` says where this node stands.
    pub(super) site: bool,
    /// `[state]` names a folder.
    pub(super) state: bool,
}

/// Reads the table.
pub(super) fn read(value: &Value<'_>, has: Has, problems: &mut Problems) -> Option<ClusterTerms> {
    let mut section = value.section(problems)?;
    let name = section.need("name", problems).and_then(|value| read_name(&value, problems));
    let node = section.need("node", problems).and_then(|value| read_name(&value, problems));
    let role = read_role(&mut section, problems);
    let (nats, carrier) = match section.take("nats") {
        Some(value) => (nats::read(&value, problems), Carrier::Bus),
        None => (None, Carrier::Links),
    };
    let listen = read_own_listen(&mut section, role, carrier, problems);
    let key = section.need("key", problems).and_then(|value| value.string(problems));
    let bundles = read_bundles(&mut section, has.state, problems);
    let anchors = section
        .take("anchors")
        .map(|value| read_listen(&value, "anchors = [\"192.0.2.53:443\"]", problems))
        .unwrap_or_default();
    let withdraw = read_hook(&mut section, problems);
    let peers = section.need("peer", problems).and_then(|value| {
        let peers = read_peers(&value, node.as_ref(), carrier, problems)?;
        match carrier {
            Carrier::Links => check_reach(&value, role, listen, &peers, problems),
            Carrier::Bus => warn_of_addresses(&peers, problems),
        }
        Some(peers.into_iter().map(|peer| peer.value).collect())
    });
    section.finish(problems);
    if !has.site {
        let remedy = "add site to [server], for example site = \"fra\"";
        let fault = "the site of this node is not named, and votes are counted by site";
        problems.error(&value.key_place, &value.path, fault, remedy).rule(&rules::MISSING_KEY);
    }
    Some(ClusterTerms {
        name: name?.value.as_str().into(),
        node: node?.value,
        listen,
        key: PathBuf::from(key?.value),
        role,
        bundles,
        anchors: anchors.into_iter().map(|at| at.value).collect(),
        withdraw,
        peers: peers?,
        nats,
    })
}

/// What carries values between nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// Connections of each pair of nodes.
    Links,
    /// A bus.
    Bus,
}

fn read_name(value: &Value<'_>, problems: &mut Problems) -> Option<At<NodeName>> {
    let At { value: text, place } = value.string(problems)?;
    if let Some(name) = NodeName::parse(&text) {
        return Some(At { value: name, place });
    }
    let fault = format!("\"{text}\" is not allowed as a name of a node or cluster");
    let remedy = "use 1 to 63 of a-z, 0-9 and \"-\", and do not begin with \"-\"";
    problems.error(&place, &value.path, fault, remedy).rule(&rules::BAD_NAME);
    None
}

fn read_role(section: &mut Section<'_>, problems: &mut Problems) -> Role {
    let word = section.take("role").and_then(|value| value.word(problems));
    let find = |at: At<&str>| Role::WORDS.into_iter().find(|(word, _)| *word == at.value);
    word.and_then(find).map(|(_, role)| role).unwrap_or_default()
}

/// Where this node is dialled: a server needs it, an agent has none.
fn read_own_listen(
    section: &mut Section<'_>,
    role: Role,
    carrier: Carrier,
    problems: &mut Problems,
) -> Option<SocketAddr> {
    match (section.take("listen"), role) {
        (Some(value), Role::Server) if carrier == Carrier::Bus => {
            read_address(&value, problems)?;
            let fault = "nobody dials this node: [cluster.nats] carries everything";
            problems
                .warning(&value.key_place, &value.path, fault, "take it out")
                .rule(&rules::LIKELY_MISTAKE);
            None
        }
        (Some(value), Role::Server) => read_address(&value, problems),
        (Some(value), Role::Agent) => {
            let fault = "an agent is dialled by nobody";
            let remedy = "take it out, or write role = \"server\"";
            problems.error(&value.key_place, &value.path, fault, remedy);
            read_address(&value, problems)
        }
        (None, Role::Server) if carrier == Carrier::Bus => None,
        (None, Role::Server) if section.has_typo_of("listen") => None,
        (None, Role::Server) => {
            let remedy = "add it, for example listen = \"[::]:7653\", or write role = \"agent\"";
            let path = dotted(&section.path, "listen");
            problems
                .error(&section.place, path, "this key is missing", remedy)
                .rule(&rules::MISSING_KEY);
            None
        }
        (None, Role::Agent) => None,
    }
}

/// The program that withdraws this node, by its whole path, and its arguments.
fn read_hook(section: &mut Section<'_>, problems: &mut Problems) -> Box<[Box<str>]> {
    let Some(value) = section.take("withdraw") else { return Box::default() };
    let words = value.strings(problems).unwrap_or_default();
    match words.first() {
        None => {
            let remedy = "name it, for example [\"/usr/lib/rhumb/withdraw\"], or take the key out";
            problems.error(&value.place, &value.path, "no program is named", remedy);
        }
        Some(program) if !Path::new(&program.value).is_absolute() => {
            let fault = format!("\"{}\" is no whole path of a program", program.value);
            let remedy = "begin with \"/\": no shell and no search path is used";
            problems.error(&program.place, &value.path, fault, remedy);
        }
        Some(_) => {}
    }
    words.into_iter().map(|word| word.value.into()).collect()
}

/// Whether pushed files are taken: they need a place that outlasts a restart.
fn read_bundles(section: &mut Section<'_>, has_state: bool, problems: &mut Problems) -> bool {
    let Some(value) = section.take("bundles") else { return false };
    let takes = value.boolean(problems).is_some_and(|at| at.value);
    if takes && !has_state {
        let fault = "there is no folder in which pushed files would outlast a restart";
        let remedy = "add [state] with folder = \"/var/lib/rhumb\", or take this key out";
        problems.error(&value.place, &value.path, fault, remedy);
    }
    takes
}

fn read_peers(
    value: &Value<'_>,
    own: Option<&At<NodeName>>,
    carrier: Carrier,
    problems: &mut Problems,
) -> Option<Vec<At<Peer>>> {
    let items = value.list("tables of their own: [[cluster.peer]]", problems)?;
    if items.is_empty() {
        let remedy = "add a table [[cluster.peer]] for each other node, or take [cluster] out";
        problems.error(&value.place, &value.path, "no peer is named", remedy);
    }
    let (most, why) = match carrier {
        Carrier::Links => (PEERS_MAX, "every node is connected with every other"),
        Carrier::Bus => (BUS_PEERS_MAX, "every node hears every other"),
    };
    if items.len() > most {
        let remedy = format!("use at most {most}: {why}");
        let fault = format!("{} peers are named", items.len());
        problems.error(&value.place, &value.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
    let read: Vec<_> = items.iter().map(|item| read_peer(item, problems)).collect();
    for (position, (names, _)) in read.iter().enumerate() {
        names.check(own, read[..position].iter().map(|(names, _)| names), problems);
    }
    read.into_iter().map(|(_, peer)| peer).collect()
}

/// What may stand once in the whole list of peers.
struct Names {
    /// Path of the peer's table.
    path: String,
    node: Option<At<NodeName>>,
    address: Option<At<SocketAddr>>,
    pins: Vec<At<Pin>>,
}

impl Names {
    fn check<'n>(
        &self,
        own: Option<&At<NodeName>>,
        earlier: impl Iterator<Item = &'n Names> + Clone,
        problems: &mut Problems,
    ) {
        let mut refuse = |place: &Place, key, fault: String, remedy, also: (Place, &str)| {
            problems
                .error_with(place, dotted(&self.path, key), fault, remedy, also)
                .rule(&rules::DUPLICATE_VALUE);
        };
        if let Some(node) = &self.node {
            let name = &node.value;
            if let Some(own) = own.filter(|own| own.value == *name) {
                let fault = format!("\"{name}\" is this node itself");
                let remedy = "take this peer out: a node is no peer of itself";
                refuse(&node.place, "node", fault, remedy, (own.place.clone(), "named here"));
            }
            let same = earlier.clone().filter_map(|other| other.node.as_ref());
            if let Some(first) = same.into_iter().find(|first| first.value == *name) {
                let fault = format!("two peers are named \"{name}\"");
                let remedy = "give each node a name of its own";
                refuse(&node.place, "node", fault, remedy, (first.place.clone(), "the other"));
            }
        }
        if let Some(address) = &self.address {
            let same = earlier.clone().filter_map(|other| other.address.as_ref());
            if let Some(first) = same.into_iter().find(|first| first.value == address.value) {
                let fault = format!("two peers have the address {}", address.value);
                let remedy = "give each peer its own";
                refuse(
                    &address.place,
                    "address",
                    fault,
                    remedy,
                    (first.place.clone(), "the other"),
                );
            }
        }
        for pin in &self.pins {
            let same = earlier.clone().flat_map(|other| &other.pins);
            if let Some(first) = same.into_iter().find(|first| first.value == pin.value) {
                let fault = "two peers have this key: one could speak for the other".to_owned();
                let remedy = "make a key on each node with rhumb cluster keygen";
                refuse(&pin.place, "pins", fault, remedy, (first.place.clone(), "the other"));
            }
        }
    }
}

fn read_peer(item: &Value<'_>, problems: &mut Problems) -> (Names, Option<At<Peer>>) {
    let mut names = Names { path: item.path.clone(), node: None, address: None, pins: Vec::new() };
    let Some(mut section) = item.section_like("a table: [[cluster.peer]]", problems) else {
        return (names, None);
    };
    names.node = section.need("node", problems).and_then(|value| read_name(&value, problems));
    let address = section.take("address");
    names.address = address.as_ref().and_then(|value| {
        let address = read_address(value, problems)?;
        Some(At { value: address, place: value.place.clone() })
    });
    let pins = section.need("pins", problems);
    names.pins = pins.map(|value| read_pins(&value, problems)).unwrap_or_default();
    let site = section.need("site", problems).and_then(|value| value.plain_name(problems));
    let role = read_role(&mut section, problems);
    if let (Role::Agent, Some(address)) = (role, &address) {
        let fault = "an agent is dialled by nobody";
        let remedy = "take its address out, or write role = \"server\"";
        problems.error(&address.key_place, &address.path, fault, remedy);
    }
    let place = section.place.clone();
    section.finish(problems);
    let peer = names.node.clone().zip(site).map(|(node, site)| Peer {
        node: node.value,
        address: names.address.as_ref().map(|at| at.value),
        pins: names.pins.iter().map(|at| at.value).collect(),
        site: site.value.into(),
        role,
    });
    (names, peer.map(|value| At { value, place }))
}

fn read_pins(value: &Value<'_>, problems: &mut Problems) -> Vec<At<Pin>> {
    let Some(texts) = value.strings(problems) else { return Vec::new() };
    if texts.is_empty() || texts.len() > 2 {
        let fault = format!("there are {} keys", texts.len());
        let remedy = "name one, or two while that node changes its key";
        problems.error(&value.place, &value.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
    let mut pins: Vec<At<Pin>> = Vec::new();
    for At { value: text, place } in texts {
        let Ok(pin) = text.parse::<Pin>() else {
            let fault = format!("\"{text}\" is not a pin");
            let remedy =
                "copy what rhumb cluster pin prints on that node: \"ed25519:\" and 43 characters";
            problems.error(&place, &value.path, fault, remedy).rule(&rules::BAD_VALUE);
            continue;
        };
        if let Some(first) = pins.iter().find(|first| first.value == pin) {
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&place, &value.path, "this pin is named twice", "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        }
        pins.push(At { value: pin, place });
    }
    pins
}

/// Tells of addresses that nobody dials.
fn warn_of_addresses(peers: &[At<Peer>], problems: &mut Problems) {
    let Some(peer) = peers.iter().find(|peer| peer.value.address.is_some()) else { return };
    let fault = "this address is not dialled: [cluster.nats] carries everything";
    let remedy = "take address out of the peers";
    problems.warning(&peer.place, "cluster.peer", fault, remedy).rule(&rules::LIKELY_MISTAKE);
}

/// Whether this node can be connected with anybody.
fn check_reach(
    value: &Value<'_>,
    role: Role,
    listen: Option<SocketAddr>,
    peers: &[At<Peer>],
    problems: &mut Problems,
) {
    if peers.iter().any(|peer| peer.value.address.is_some()) || peers.is_empty() {
        return;
    }
    match role {
        Role::Agent => {
            let fault = "this agent has nobody to dial: no server among its peers has an address";
            let remedy = "add address to one of them, for example address = \"203.0.113.5:7653\"";
            problems.error(&value.key_place, &value.path, fault, remedy);
        }
        Role::Server if listen.is_some() => {
            let servers = peers.iter().find(|peer| peer.value.role == Role::Server);
            let Some(server) = servers else { return };
            let fault = "no peer has an address: this node waits until it is dialled";
            let remedy = "add addresses, unless each peer has the address of this node";
            problems
                .warning(&server.place, &value.path, fault, remedy)
                .rule(&rules::LIKELY_MISTAKE);
        }
        Role::Server => {}
    }
}
