//! Keys of `rhumb.toml`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::cluster::CLUSTER;
use crate::config::keys::form;
use crate::config::keys::probe::PROBE;
use crate::config::keys::rtt::RTT;
use crate::config::keys::state::STATE;
use crate::config::node::DEFAULT_LISTEN;
use crate::geo::Shape;

/// Folder of zone files when nothing is said.
pub const ZONES_FOLDER: &str = "zones";

/// Path of DNS over HTTPS when none is named: what every client tries.
pub const DEFAULT_DOH_PATH: &str = "/dns-query";

/// TCP connections at once when nothing is said.
pub const TCP_CONNECTIONS: usize = 1000;

/// How long a question to a resolver may take when nothing is said.
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How soon a name is resolved again at the earliest when nothing is said.
pub const MIN_REFRESH: Duration = Duration::from_secs(5);

/// How soon a name is resolved again at the latest when nothing is said.
pub const MAX_REFRESH: Duration = Duration::from_secs(3600);

/// Who is told everything by DNS when nothing is said: only this host.
pub const EXPLAIN_FULL: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// A whole `rhumb.toml`.
pub static NODE_FILE: Table = Table {
    path: "",
    about: "one node's own settings",
    applies: Applies::Restart,
    keys: &[
        Key::new("server", Kind::Table(&SERVER), NO_TABLE, "where this node stands and listens"),
        Key::new("config", Kind::Table(&CONFIG), NO_TABLE, "where the files of zones are"),
        Key::new("geo", Kind::Table(&GEO), NO_TABLE, "where addresses are"),
        Key::new("admin", Kind::Table(&ADMIN), NO_TABLE, "how this node is watched and told"),
        Key::new(
            "resolver",
            Kind::Table(&RESOLVER),
            NO_TABLE,
            "how names of endpoints are resolved: those of `alias`, and of `cname` and `srv` to probe them",
        ),
        Key::new("explain", Kind::Table(&EXPLAIN), NO_TABLE, "who is told why, by DNS"),
        Key::new("log", Kind::Table(&LOG), NO_TABLE, "what is logged, and how"),
        Key::new("tcp", Kind::Table(&TCP), NO_TABLE, "what TCP clients may take"),
        Key::new(
            "cluster",
            Kind::Table(&CLUSTER),
            Absent::Means("this node stands alone"),
            "nodes that share what they see",
        ),
        Key::new("rtt", Kind::Table(&RTT), NO_TABLE, "measured round-trip times"),
        Key::new(
            "state",
            Kind::Table(&STATE),
            NO_TABLE,
            "what survives a restart, and the history",
        ),
        Key::new(
            "probe",
            Kind::Table(&PROBE),
            NO_TABLE,
            "what probes may do on this node, and what they may take",
        ),
    ],
    rules: &[],
};

/// A table that is not there says nothing.
const NO_TABLE: Absent = Absent::Means("each key's default");

static SERVER: Table = Table {
    path: "server",
    about: "where this node stands and listens",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "site",
            Kind::Text(&form::ID),
            Absent::Means("none"),
            "site where this node stands: its votes count for this site; `[cluster]` needs it",
        ),
        Key::new(
            "listen",
            Kind::Texts { of: &form::SOCKET_ADDRESS, count: Count::SOME, distinct: true },
            Absent::Default(Literal::Texts(&[DEFAULT_LISTEN])),
            "addresses with ports, UDP and TCP each",
        )
        .like(&["port", "address", "addresses"]),
        Key::new(
            "identity",
            Kind::Text(&form::IDENTITY),
            Absent::Means("none"),
            "what NSID (RFC 5001) and `dig CH TXT id.server` (RFC 4892) say",
        )
        .like(&["nsid", "name"]),
        Key::new(
            "ecs_from",
            Kind::AnyOf(&[
                Kind::Texts { of: &form::ANYBODY, count: Count::ANY, distinct: true },
                NETWORKS,
            ]),
            Absent::Default(Literal::Texts(&["any"])),
            "resolvers whose client subnets (RFC 7871) are believed; others are answered by their own address, with scope 0",
        )
        .like(&["ecs", "edns_client_subnet"]),
        Key::new(
            "tls",
            Kind::Table(&TLS),
            Absent::Means("no encryption"),
            "table of encrypted transports, see below",
        ),
        Key::new(
            "workers",
            Kind::Integer { min: 1, max: 256, least: "" },
            Absent::Means("one for each core"),
            "UDP threads",
        )
        .like(&["threads"]),
    ],
    rules: &[],
};

static TLS: Table = Table {
    path: "server.tls",
    about: "DNS over TLS, HTTPS and QUIC",
    applies: Applies::Restart,
    keys: &[
        Key::needed(
            "certificate",
            Kind::Text(&form::FILE),
            "\"tls/fullchain.pem\"",
            "PEM file: the server's certificate, then those that lead to its root; read again when it changes",
        )
        .like(&["cert", "chain"]),
        Key::needed(
            "key",
            Kind::Text(&form::FILE),
            "\"tls/privkey.pem\"",
            "PEM file: the certificate's private key, without passphrase; read again when it changes",
        )
        .like(&["private_key"]),
        Key::new(
            "dot",
            SOME_ADDRESSES,
            Absent::Means("none"),
            "addresses of DNS over TLS (RFC 7858); not a port of `listen`",
        )
        .like(&["tls"]),
        Key::new(
            "doh",
            SOME_ADDRESSES,
            Absent::Means("none"),
            "addresses of DNS over HTTPS (RFC 8484), HTTP/2; not a port of `listen` nor of `dot`",
        )
        .like(&["https"]),
        Key::new(
            "doh_path",
            Kind::Text(&form::DOH_PATH),
            Absent::Default(Literal::Text(DEFAULT_DOH_PATH)),
            "path of DNS over HTTPS",
        )
        .like(&["path"]),
        Key::new(
            "doq",
            SOME_ADDRESSES,
            Absent::Means("none"),
            "addresses of DNS over QUIC (RFC 9250); not a port of `listen`",
        )
        .like(&["quic"]),
    ],
    rules: &[
        Rule::OneOf(&["dot", "doh", "doq"]),
        Rule::Need { keys: &["doh_path"], other: "doh" },
    ],
};

/// Addresses with ports, each once.
const SOME_ADDRESSES: Kind =
    Kind::Texts { of: &form::SOCKET_ADDRESS, count: Count::SOME, distinct: true };

static CONFIG: Table = Table {
    path: "config",
    about: "where the files of zones are",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "zones",
            Kind::Text(&form::FILE),
            Absent::Default(Literal::Text(ZONES_FOLDER)),
            "folder of zone files",
        ),
        Key::new(
            "shared",
            Kind::Text(&form::FILE),
            Absent::Means("the folder `shared` in `zones`"),
            "folder of tables for all zones",
        ),
    ],
    rules: &[],
};

static GEO: Table = Table {
    path: "geo",
    about: "where addresses are",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "databases",
            Kind::Items {
                of: &Kind::AnyOf(&[Kind::Text(&form::FILE), Kind::Table(&DATABASE)]),
                count: Count::ANY,
            },
            Absent::Means("none; `geodb/*.mmdb` without a `rhumb.toml`"),
            "MaxMind DB files of any vendor; what an earlier one says wins, a later one adds what is missing",
        ),
        Key::new(
            "overlays",
            Kind::Texts { of: &form::FILE, count: Count::ANY, distinct: false },
            Absent::Means("none"),
            "own networks, as CSV with a header or as geofeed (RFC 8805); they win over every database",
        ),
    ],
    rules: &[],
};

static DATABASE: Table = Table {
    path: "geo.databases",
    about: "a geo database",
    applies: Applies::Restart,
    keys: &[
        Key::needed("file", Kind::Text(&form::FILE), "\"geodb/city.mmdb\"", "the database"),
        Key::new(
            "shape",
            Kind::Words { what: "a shape of records", words: &Shape::NAMES },
            Absent::Means("detected"),
            "how its records are laid out",
        ),
    ],
    rules: &[],
};

static RESOLVER: Table = Table {
    path: "resolver",
    about: "how names of endpoints are resolved",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "servers",
            Kind::Texts { of: &form::SOCKET_ADDRESS, count: Count::SOME, distinct: true },
            Absent::Means("those of `/etc/resolv.conf`"),
            "resolvers to ask, in this order, over UDP and, where an answer is cut, TCP",
        )
        .like(&["server", "nameservers", "nameserver"]),
        Key::new(
            "timeout",
            Kind::Duration {
                min: Duration::from_millis(100),
                max: Duration::from_secs(30),
                whole_seconds: false,
            },
            Absent::Default(Literal::Duration(RESOLVER_TIMEOUT)),
            "how long one question may take; it is asked twice",
        ),
        Key::new(
            "min_refresh",
            REFRESH,
            Absent::Default(Literal::Duration(MIN_REFRESH)),
            "a name is resolved again when its records end, and no sooner than this",
        ),
        Key::new(
            "max_refresh",
            REFRESH,
            Absent::Default(Literal::Duration(MAX_REFRESH)),
            "and no later than this; at least `min_refresh`",
        ),
        Key::new(
            "allow",
            NETWORKS,
            Absent::Means("none"),
            "networks to believe although they are loopback, link-local or those of metadata services",
        ),
    ],
    rules: &[],
};

/// Networks, each once.
const NETWORKS: Kind = Kind::Texts { of: &form::NETWORK, count: Count::ANY, distinct: true };

static EXPLAIN: Table = Table {
    path: "explain",
    about: "who is told why, by DNS",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "full",
            NETWORKS,
            Absent::Default(Literal::Texts(&EXPLAIN_FULL)),
            "clients that are told the reason of an answer by `_explain.NAME TXT`; with `[]` nobody is",
        )
        .like(&["allow", "from"]),
        Key::new(
            "redacted",
            NETWORKS,
            Absent::Means("none"),
            "clients that are told it without addresses",
        ),
    ],
    rules: &[],
};

/// How soon names are resolved again.
const REFRESH: Kind = Kind::Duration {
    min: Duration::from_secs(1),
    max: Duration::from_secs(86_400),
    whole_seconds: true,
};

static LOG: Table = Table {
    path: "log",
    about: "what is logged, and how",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "format",
            Kind::Words { what: "a format", words: &["text", "json"] },
            Absent::Default(Literal::Text("text")),
            "`json` is one object a line; `--log-format` goes before it",
        ),
        Key::new(
            "level",
            Kind::Words { what: "a level", words: &["error", "warn", "info", "debug"] },
            Absent::Default(Literal::Text("info")),
            "the least serious lines that are written; `--log-level` goes before it",
        ),
    ],
    rules: &[],
};

static TCP: Table = Table {
    path: "tcp",
    about: "what TCP clients may take",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "connections",
            Kind::Integer { min: 1, max: 1_000_000, least: "" },
            Absent::Default(Literal::Integer(TCP_CONNECTIONS as i64)),
            "connections at once; a new one closes the one that is idle longest",
        ),
        Key::new(
            "connections_per_client",
            Kind::Integer { min: 1, max: 1_000_000, least: "" },
            Absent::Means("half of `connections`"),
            "the same for one IPv4 address or one IPv6 /64",
        ),
    ],
    rules: &[],
};

static ADMIN: Table = Table {
    path: "admin",
    about: "how this node is watched and told",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "listen",
            Kind::Text(&form::SOCKET_ADDRESS),
            Absent::Means("none"),
            "address of metrics and health pages",
        )
        .like(&["address"]),
        Key::new(
            "socket",
            Kind::Text(&form::FILE),
            Absent::Means(
                "`rhumb.sock` in `$RUNTIME_DIRECTORY` or `$XDG_RUNTIME_DIR`, else `/run/rhumb.sock` \
                 for root, else `/tmp/rhumb-UID.sock`; commands also look in `/run/rhumb`",
            ),
            "path of the control socket",
        ),
    ],
    rules: &[],
};
