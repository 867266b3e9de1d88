//! Keys of `[policy.NAME]`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;
use crate::model::TARGETS_MAX;

/// Whether a policy is fenced when nothing is said.
pub const FENCE: bool = false;

pub(super) static POLICY: Table = Table {
    path: "policy.NAME",
    about: "how pools are ordered for a client",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "kind",
            Kind::Words { what: "a kind of policy", words: &["failover", "nearest", "weighted"] },
            "\"failover\"",
            "how targets are ordered",
        )
        .like(&["type"]),
        Key::needed(
            "targets",
            Kind::Texts { of: &form::ID, count: Count::up_to(TARGETS_MAX), distinct: true },
            "[\"eu\", \"us\"]",
            "pools or policies, each once",
        )
        .like(&["pools"])
        .only(&["failover", "nearest"]),
        Key::new(
            "bias",
            Kind::Map {
                names: &form::ID,
                of: &Kind::Number { min: 0.01, max: 100.0 },
                count: Count::ANY,
                one_above_zero: false,
            },
            Absent::Means("1 each"),
            "table of factors; a target's distance is divided by its factor",
        )
        .only(&["nearest"]),
        Key::needed(
            "weights",
            Kind::Map {
                names: &form::ID,
                of: &Kind::Integer { min: 0, max: 65535, least: "none" },
                count: Count::up_to(TARGETS_MAX),
                one_above_zero: true,
            },
            "{ world = 95, next = 5 }",
            "table of targets with their shares, one above 0",
        )
        .only(&["weighted"]),
        Key::new(
            "spill",
            Kind::Texts { of: &form::ID, count: Count::ANY, distinct: false },
            Absent::Means("those with 20 % of the weight or more"),
            "targets that take the clients of the others",
        )
        .only(&["weighted"]),
        Key::new(
            "fence",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(FENCE)),
            "whether clients never leave this policy's pools",
        ),
    ],
    rules: &[],
};
