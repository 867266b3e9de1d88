//! Keys of `[cluster]` in `rhumb.toml`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;

/// What a node is that does not say.
const SERVER: &str = "server";

/// Both roles.
const ROLE: Kind = Kind::Words { what: "a role", words: &[SERVER, "agent"] };

/// Keys of a peer: one, or two while it changes them.
const PINS_MAX: usize = 2;

/// Most words of the program that withdraws a node.
const WORDS_MAX: usize = 16;

/// Most peers of a node whose nodes are all connected with each other.
pub const PEERS_MAX: usize = crate::model::LINKED_NODES_MAX - 1;

/// Most peers of a node that hears the others by a bus.
pub const BUS_PEERS_MAX: usize = crate::model::BUS_NODES_MAX - 1;

/// Most servers of a bus that are named.
const SERVERS_MAX: usize = 16;

pub(super) static CLUSTER: Table = Table {
    path: "cluster",
    about: "nodes that share what they see",
    applies: Applies::Restart,
    keys: &[
        Key::needed(
            "name",
            Kind::Text(&form::NODE_NAME),
            "\"prod\"",
            "name of the cluster, the same on all nodes; nodes of another cluster are refused",
        )
        .like(&["cluster", "id"]),
        Key::needed(
            "node",
            Kind::Text(&form::NODE_NAME),
            "\"fra-1\"",
            "name of this node in the cluster",
        )
        .like(&["node_name", "self"]),
        Key::new(
            "role",
            ROLE,
            Absent::Default(Literal::Text(SERVER)),
            "an agent probes and tells what it sees; it dials out and is dialled by nobody",
        ),
        Key::new(
            "listen",
            Kind::Text(&form::SOCKET_ADDRESS),
            Absent::Means("nobody dials this node; a server needs it, but not with `[cluster.nats]`"),
            "address where other nodes dial this one, TCP",
        )
        .like(&["address", "port"]),
        Key::needed(
            "key",
            Kind::Text(&form::FILE),
            "\"cluster.key\"",
            "file of this node's key, made by `rhumb cluster keygen`; nobody else may read it",
        )
        .like(&["private_key", "key_file"])
        .applies(Applies::Live),
        Key::new(
            "bundles",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(false)),
            "take the files that `rhumb cluster push` brings to all nodes, in place of those of `[config]`; needs `[state]`",
        )
        .like(&["bundle", "push"]),
        Key::new(
            "anchors",
            Kind::Texts { of: &form::SOCKET_ADDRESS, count: Count::SOME, distinct: true },
            Absent::Means("none"),
            "addresses of others that nearly always answer, by TCP: if they fail, this node's own network does",
        ),
        Key::new(
            "withdraw",
            Kind::Texts { of: &form::WORD, count: Count::up_to(WORDS_MAX), distinct: false },
            Absent::Means("nothing is run"),
            "program, by its whole path, and its arguments: run with `withdraw` behind them when this node is isolated and another is not, and with `announce` when it is back",
        )
        .like(&["hook", "withdrawal"]),
        Key::needed(
            "peer",
            Kind::Items {
                of: &Kind::Table(&PEER),
                count: Count { min: 1, max: Some(BUS_PEERS_MAX) },
            },
            "[{ node = \"sin-1\", address = \"203.0.113.5:7653\", pins = [\"ed25519:PIN-THAT-rhumb-cluster-pin-PRINTS-ON-IT-AAA\"], site = \"sin\" }]",
            "the other nodes, each a table `[[cluster.peer]]`; at most 63 without `[cluster.nats]`",
        )
        .like(&["peers"])
        .applies(Applies::Live),
        Key::new(
            "nats",
            Kind::Table(&NATS),
            Absent::Means("nodes are connected with each other"),
            "values of nodes go over NATS: see `[cluster.nats]`",
        )
        .like(&["bus"]),
    ],
    rules: &[] as &[Rule],
};

static NATS: Table = Table {
    path: "cluster.nats",
    about: "a bus that carries what nodes say to each other",
    applies: Applies::Restart,
    keys: &[
        Key::needed(
            "servers",
            Kind::Texts { of: &form::SERVER, count: Count::up_to(SERVERS_MAX), distinct: true },
            "[\"192.0.2.9:4222\"]",
            "servers of NATS, of which one at a time is used; always with TLS",
        )
        .like(&["server", "url", "urls"]),
        Key::needed(
            "ca",
            Kind::Text(&form::FILE),
            "\"nats-ca.pem\"",
            "file of the certificates by which the servers are known, PEM; no others are trusted",
        )
        .like(&["ca_file", "ca_cert"]),
        Key::needed(
            "certificate",
            Kind::Text(&form::FILE),
            "\"nats.pem\"",
            "file of the certificate that this node shows to them, PEM, with its chain",
        )
        .like(&["cert", "certificate_file", "cert_file"]),
        Key::needed(
            "key",
            Kind::Text(&form::FILE),
            "\"nats.key\"",
            "file of that certificate's key, PEM; nobody else may read it",
        )
        .like(&["private_key", "key_file"]),
    ],
    rules: &[],
};

static PEER: Table = Table {
    path: "cluster.peer",
    about: "another node of the cluster",
    applies: Applies::Live,
    keys: &[
        Key::needed("node", Kind::Text(&form::NODE_NAME), "\"sin-1\"", "name of that node")
            .like(&["name"]),
        Key::new(
            "address",
            Kind::Text(&form::SOCKET_ADDRESS),
            Absent::Means("it dials this node"),
            "where it is dialled",
        ),
        Key::needed(
            "pins",
            Kind::Texts { of: &form::PIN, count: Count::up_to(PINS_MAX), distinct: true },
            "[\"ed25519:PIN-THAT-rhumb-cluster-pin-PRINTS-ON-IT-AAA\"]",
            "its public key, as `rhumb cluster keygen` printed it there; two while it changes keys",
        )
        .like(&["pin", "key", "public_key"]),
        Key::needed("site", Kind::Text(&form::ID), "\"sin\"", "site where it stands"),
        Key::new("role", ROLE, Absent::Default(Literal::Text(SERVER)), "what it is"),
    ],
    rules: &[],
};
