//! Keys of `[rtt]` in `rhumb.toml`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;

/// How long measurements are gathered when nothing is said.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long a new table waits for the other nodes when nothing is said.
pub const DELAY: Duration = Duration::from_secs(5 * 60);

/// Octets of a post when nothing is said.
pub const POST_OCTETS: usize = 65_536;

/// Lines of a post when nothing is said.
pub const POST_LINES: usize = 1_000;

/// Posts a minute of one client network when nothing is said.
pub const POSTS_A_MINUTE: u32 = 30;

pub(super) static RTT: Table = Table {
    path: "rtt",
    about: "measured round-trip times",
    applies: Applies::Restart,
    keys: &[
        Key::needed(
            "folder",
            Kind::Text(&form::FILE),
            "\"rtt\"",
            "folder of tables, `rtt-DIGEST.table`; a new one is taken up at once and counts from its instant on",
        )
        .like(&["tables", "path"]),
        Key::new(
            "build",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(false)),
            "whether this node makes tables of what is measured; one node does, the others get copies",
        ),
        Key::new(
            "window",
            Kind::Duration {
                min: Duration::from_secs(60),
                max: Duration::from_secs(86_400),
                whole_seconds: true,
            },
            Absent::Default(Literal::Duration(WINDOW)),
            "how long measurements are gathered before a table is made; a change counts after two windows",
        ),
        Key::new(
            "delay",
            Kind::Duration {
                min: Duration::ZERO,
                max: Duration::from_secs(86_400),
                whole_seconds: true,
            },
            Absent::Default(Literal::Duration(DELAY)),
            "how long after it is made a table counts: time to copy it to the other nodes",
        ),
        Key::new(
            "handshakes",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(false)),
            "whether TCP handshakes of resolvers count as measurements to `[server] site`",
        ),
        Key::new(
            "listen",
            Kind::Text(&form::SOCKET_ADDRESS),
            Absent::Means("`[admin] listen`, beside its pages"),
            "address of its own for posts: `/rtt` and `/beacon.js`, and nothing else",
        )
        .like(&["address"]),
        Key::new(
            "origins",
            Kind::Texts { of: &form::ORIGIN, count: Count::ANY, distinct: true },
            Absent::Means("none"),
            "web pages that browsers may post from to `/rtt`; `\"*\"` for all",
        )
        .like(&["cors", "allowed_origins"]),
        Key::new(
            "token_file",
            Kind::Text(&form::FILE),
            Absent::Means("nobody"),
            "file with the token by which collectors and proxies name clients, 16 to 256 octets",
        )
        .like(&["token"]),
        Key::new(
            "post_octets",
            Kind::Integer { min: 256, max: 16_777_216, least: "" },
            Absent::Default(Literal::Integer(POST_OCTETS as i64)),
            "longest post, in octets",
        ),
        Key::new(
            "post_lines",
            Kind::Integer { min: 1, max: 100_000, least: "" },
            Absent::Default(Literal::Integer(POST_LINES as i64)),
            "most lines of a post",
        ),
        Key::new(
            "posts_a_minute",
            Kind::Integer { min: 1, max: 100_000, least: "" },
            Absent::Default(Literal::Integer(POSTS_A_MINUTE as i64)),
            "most posts a minute of one /24 or /48 without the token",
        ),
    ],
    rules: &[] as &[Rule],
};
