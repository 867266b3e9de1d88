//! Keys of `rhumb.toml`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;
use crate::config::node::DEFAULT_LISTEN;

/// Folder of zone files when nothing is said.
pub const ZONES_FOLDER: &str = "zones";

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
            "site where this node stands; for sharing votes between nodes, not used yet",
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
            "what NSID says (RFC 5001)",
        )
        .like(&["nsid", "name"]),
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
    keys: &[Key::new(
        "databases",
        Kind::Texts { of: &form::FILE, count: Count::ANY, distinct: false },
        Absent::Means("none; `geodb/*.mmdb` without a `rhumb.toml`"),
        "MaxMind DB files; what an earlier one says wins",
    )],
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
