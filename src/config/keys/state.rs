//! Keys of `[state]` in `rhumb.toml`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;

/// How long events are kept when nothing is said.
pub const HISTORY: Duration = Duration::from_secs(30 * 86_400);

/// Megabytes of events, and of the files that explain them, when nothing is said.
pub const HISTORY_MEGABYTES: u64 = 1_000;

pub(super) static STATE: Table = Table {
    path: "state",
    about: "what survives a restart, and the history",
    applies: Applies::Restart,
    keys: &[
        Key::needed(
            "folder",
            Kind::Text(&form::FILE),
            "\"/var/lib/rhumb\"",
            "folder of verdicts, orders and history; without it a restart forgets them",
        )
        .like(&["path", "directory", "dir"]),
        Key::new(
            "history",
            Kind::Duration {
                min: Duration::from_secs(3600),
                max: Duration::from_secs(3650 * 86_400),
                whole_seconds: true,
            },
            Absent::Default(Literal::Duration(HISTORY)),
            "how long events are kept, and the files that past answers were made of",
        )
        .like(&["keep", "retention"]),
        Key::new(
            "history_megabytes",
            Kind::Integer { min: 10, max: 1_000_000, least: "" },
            Absent::Default(Literal::Integer(HISTORY_MEGABYTES as i64)),
            "megabytes of both; the oldest go first, and files larger than half of it are not kept",
        )
        .like(&["max_size", "size"]),
    ],
    rules: &[] as &[Rule],
};
