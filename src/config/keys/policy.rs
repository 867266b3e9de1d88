//! Keys of `[policy.NAME]`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;
use crate::model::TARGETS_MAX;

/// Whether a policy is fenced when nothing is said.
pub const FENCE: bool = false;

/// Most rules of one policy.
pub const RULES_MAX: usize = 1000;

pub(super) static POLICY: Table = Table {
    path: "policy.NAME",
    about: "how pools are ordered for a client",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "kind",
            Kind::Words {
                what: "a kind of policy",
                words: &["failover", "nearest", "weighted", "fastest", "geo", "networks", "all"],
            },
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
        .only(&["failover", "nearest", "fastest", "all"]),
        Key::new(
            "bias",
            Kind::Map {
                names: &form::ID,
                of: &Kind::AnyOf(&[
                    Kind::Number { min: 0.01, max: 100.0 },
                    Kind::Text(&form::SIGNED_KILOMETRES),
                ]),
                count: Count::ANY,
                one_above_zero: false,
            },
            Absent::Means("1 each"),
            "table of factors, by which a target's distance is divided, or of kilometres, which are taken from it",
        )
        .only(&["nearest"]),
        Key::new(
            "weights",
            Kind::Map {
                names: &form::ID,
                of: &Kind::Integer { min: 0, max: 65535, least: "none" },
                count: Count::up_to(TARGETS_MAX),
                one_above_zero: true,
            },
            Absent::Means("1 each"),
            "table of targets with their shares, one above 0; for `fastest` their shares of clients for whom they are as fast as each other, none 0",
        )
        .needed_for(&["weighted"], "{ world = 95, next = 5 }")
        .only(&["weighted", "fastest"]),
        Key::new(
            "spill",
            Kind::Texts { of: &form::ID, count: Count::ANY, distinct: false },
            Absent::Means("those with 20 % of the weight or more"),
            "targets that take the clients of the others",
        )
        .only(&["weighted"]),
        Key::new(
            "prefer",
            Kind::Words { what: "a preference", words: &["cheap"] },
            Absent::Means("none: the best first"),
            "whether the site of the lowest `cost` comes first among the targets `within` the best",
        )
        .only(&["nearest", "fastest"]),
        Key::new(
            "within",
            Kind::Text(&form::BUDGET),
            Absent::Means("needed with `prefer`"),
            "how much farther (`\"500km\"`, `nearest`) or slower (`\"20ms\"`, `fastest`) than the best a cheap target may be",
        )
        .only(&["nearest", "fastest"]),
        Key::needed(
            "default",
            TO,
            "\"world\"",
            "pools or policies, first choice first, for clients that no rule fits",
        )
        .only(&["geo", "networks"]),
        Key::needed(
            "rule",
            Kind::Items { of: &Kind::Table(&RULE), count: Count::up_to(RULES_MAX) },
            "[{ where = [\"continent:EU\"], to = \"eu\" }]",
            "rules, see below; the most specific one that fits a client counts, wherever it stands",
        )
        .like(&["rules"])
        .only(&["geo", "networks"]),
        Key::new(
            "fence",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(FENCE)),
            "whether clients never leave this policy's pools",
        ),
    ],
    rules: &[
        Rule::Need { keys: &["prefer"], other: "within" },
        Rule::Need { keys: &["within"], other: "prefer" },
    ],
};

/// One target, or several in order.
const TO: Kind = Kind::AnyOf(&[
    Kind::Text(&form::ID),
    Kind::Texts { of: &form::ID, count: Count::up_to(TARGETS_MAX), distinct: true },
]);

static RULE: Table = Table {
    path: "policy.NAME.rule",
    about: "targets for some clients of a `geo` or `networks` policy, one table `[[policy.NAME.rule]]` each",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "where",
            Kind::Texts { of: &form::CONDITION, count: Count::SOME, distinct: true },
            "[\"continent:EU\"]",
            "`geo`: `continent:EU`, `country:DE`, `subdivision:US-CA`; `networks`: `203.0.113.0/24`, `2001:db8::/32`, `asn:64500`, `list:NAME`",
        )
        .like(&["if", "match", "when"]),
        Key::needed("to", TO, "\"eu\"", "pools or policies, first choice first: no others follow")
            .like(&["targets", "target", "pool"]),
        Key::new(
            "fence",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(FENCE)),
            "whether these clients never leave the pools of `to`",
        ),
    ],
    rules: &[],
};
