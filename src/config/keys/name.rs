//! Keys of `[name.NAME]`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Form;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;
use crate::config::keys::zone::TTL;
use crate::model::ANSWERS_MAX;

/// Most addresses in one answer when nothing is said.
pub const ANSWERS: u8 = 1;

/// How long a client keeps its choice when nothing is said.
pub const PERIOD: Duration = Duration::from_secs(3600);

/// Longest period; whoever wants more writes "forever".
const PERIOD_MAX: Duration = Duration::from_secs(365 * 86_400);

pub(super) static NAME: Table = Table {
    path: "name.NAME",
    about: "a name of the zone: steered, with static records, or both",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "steer",
            Kind::Text(&form::ID),
            Absent::Means("none"),
            "pool or policy that answers A and AAAA",
        )
        .like(&["policy", "pool", "target"]),
        Key::new(
            "answers",
            Kind::AnyOf(&[
                Kind::Integer { min: 1, max: ANSWERS_MAX as i64, least: "" },
                Kind::Words { what: "a number of answers", words: &["all"] },
            ]),
            Absent::Means("`1`; `\"all\"` if `steer` is a policy of kind `all`"),
            "most addresses in one answer; `\"all\"` is every healthy one, 8 at most",
        )
        .like(&["max_answers", "count"]),
        Key::new(
            "period",
            Kind::AnyOf(&[
                Kind::Duration {
                    min: Duration::from_secs(1),
                    max: PERIOD_MAX,
                    whole_seconds: true,
                },
                Kind::Words { what: "a period", words: &["forever"] },
            ]),
            Absent::Default(Literal::Duration(PERIOD)),
            "how long a client keeps its choice",
        ),
        Key::new(
            "sticky",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(false)),
            "`true` is `period = \"forever\"`, and stands without `period`",
        ),
        Key::new(
            "key",
            Kind::Words { what: "a key", words: &["client", "resolver"] },
            Absent::Default(Literal::Text("client")),
            "whose address a choice belongs to: the client's from ECS, else the resolver's; or never from ECS",
        ),
        Key::new(
            "ecs",
            Kind::Words { what: "a use of client subnets", words: &["use", "ignore"] },
            Absent::Default(Literal::Text("use")),
            "whether a query's client subnet (RFC 7871) says where the client is; else the resolver counts, and the scope is 0",
        ),
        Key::new(
            "affinity",
            Kind::Text(&Form::ANY),
            Absent::Means("the name itself"),
            "names with one affinity choose alike",
        ),
        Key::new(
            "on_all_down",
            Kind::AnyOf(&[
                Kind::Words {
                    what: "what to do when all is down",
                    words: &["fail_open", "last_good", "servfail"],
                },
                Kind::Table(&ON_ALL_DOWN),
            ]),
            Absent::Default(Literal::Text("fail_open")),
            "what is served when no pool has a healthy endpoint",
        ),
        Key::new(
            "dual_stack",
            Kind::Words { what: "a way to choose", words: &["joint", "independent"] },
            Absent::Default(Literal::Text("joint")),
            "whether A and AAAA choose one pool together",
        ),
        Key::new(
            "ttl",
            TTL,
            Absent::Means("`steered_ttl` of the zone"),
            "TTL of this name's steered answers; a warning above `5m`",
        ),
        Key::new(
            "records",
            Kind::Records,
            Absent::Means("none"),
            "table of static records: type, list of texts as in a master file",
        ),
    ],
    rules: &[
        Rule::OneOf(&["steer", "records"]),
        Rule::Need {
            keys: &[
                "answers",
                "period",
                "sticky",
                "key",
                "ecs",
                "affinity",
                "on_all_down",
                "dual_stack",
                "ttl",
            ],
            other: "steer",
        },
        Rule::NoRecords { beside: "steer", types: &["A", "AAAA", "CNAME"] },
    ],
};

static ON_ALL_DOWN: Table = Table {
    path: "name.NAME.on_all_down",
    about: "the pool to serve when no pool has a healthy endpoint",
    applies: Applies::Live,
    keys: &[Key::needed(
        "pool",
        Kind::Text(&form::ID),
        "\"sorry\"",
        "pool with every family of the name",
    )],
    rules: &[],
};
