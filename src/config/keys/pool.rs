//! Keys of `[pool.NAME]` and `[pool.NAME.endpoint.NAME]`.

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

/// `min_healthy` when nothing is said, in percent of enabled weight.
pub const MIN_HEALTHY_PERCENT: u8 = 50;

/// An endpoint's share when nothing is said.
pub const WEIGHT: u16 = 1;

/// `priority` of an SRV record when nothing is said.
pub const PRIORITY: u16 = 0;

/// Most endpoints of one pool: a query looks at each of them.
pub const ENDPOINTS_MAX: usize = 256;

/// Any percentage.
const PERCENT: Kind = Kind::Percent { max: 100 };

pub(super) static POOL: Table = Table {
    path: "pool.NAME",
    about: "endpoints that serve the same thing",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "site",
            Kind::Text(&form::ID),
            Absent::Means("none; `nearest` and `fastest` need it"),
            "name of the site where it stands",
        ),
        Key::new(
            "check",
            Kind::Text(&form::ID),
            Absent::Means("none: its endpoints always count as up"),
            "name of the check by which its endpoints are probed",
        ),
        Key::new(
            "min_healthy",
            Kind::AnyOf(&[PERCENT, Kind::Text(&form::MEMBERS)]),
            Absent::Default(Literal::Percent(MIN_HEALTHY_PERCENT)),
            "what the pool needs to be chosen in pass 1: a share of its weight, or a number of members",
        ),
        Key::new(
            "panic_below",
            PERCENT,
            Absent::Means("25%, or `min_healthy` if that is lower"),
            "below this share of healthy weight all enabled endpoints are served; at most `min_healthy`",
        ),
        Key::new(
            "failback",
            Kind::AnyOf(&[
                Kind::Words { what: "a way back", words: &["auto", "manual"] },
                Kind::Table(&FAILBACK),
            ]),
            Absent::Default(Literal::Text("auto")),
            "how clients come back once the pool qualifies again: all at once, by `rhumb failback`, or by tenths",
        ),
        Key::needed(
            "endpoint",
            Kind::Map {
                names: &form::ID,
                of: &Kind::Table(&ENDPOINT),
                count: Count::up_to(ENDPOINTS_MAX),
                one_above_zero: false,
            },
            "{ a = { addresses = [\"192.0.2.10\"] } }",
            "table of endpoints",
        ),
    ],
    rules: &[],
};

static FAILBACK: Table = Table {
    path: "pool.NAME.failback",
    about: "clients come back by and by",
    applies: Applies::Live,
    keys: &[Key::needed(
        "ramp",
        Kind::Duration {
            min: Duration::from_secs(10),
            max: Duration::from_secs(86_400),
            whole_seconds: true,
        },
        "\"10m\"",
        "until all are back: one tenth of them after each tenth of it",
    )],
    rules: &[],
};

static ENDPOINT: Table = Table {
    path: "pool.NAME.endpoint.NAME",
    about: "one machine or service",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "addresses",
            Kind::Addresses,
            Absent::Means("none; exactly one of `addresses`, `alias`, `cname` and `srv` is needed"),
            "one IPv4 address, one IPv6 address, or one of each",
        )
        .example("[\"192.0.2.10\", \"2001:db8::10\"]")
        .like(&["ip", "ips"]),
        Key::new(
            "alias",
            Kind::Text(&form::HOST),
            Absent::Means("none"),
            "a name that is resolved in the background; its addresses are answered, at an apex too",
        )
        .like(&["aname"]),
        Key::new(
            "cname",
            Kind::Text(&form::HOST),
            Absent::Means("none"),
            "a name that clients are sent to by a CNAME record; never at an apex",
        ),
        Key::new(
            "srv",
            Kind::Table(&SRV),
            Absent::Means("none"),
            "a host and port that clients are sent to by an SRV record",
        ),
        Key::new(
            "weight",
            Kind::Integer { min: 0, max: 65535, least: "standby" },
            Absent::Default(Literal::Integer(WEIGHT as i64)),
            "share of clients against the other endpoints",
        ),
        Key::new(
            "capacity",
            Kind::Number { min: 0.001, max: 1e12 },
            Absent::Means("unknown"),
            "what it can carry, in any unit that is the same for all and for `traffic`",
        ),
        Key::new(
            "probe",
            Kind::Map {
                names: &form::ID,
                of: &Kind::Table(&SPECIAL),
                count: Count::ANY,
                one_above_zero: false,
            },
            Absent::Means("nothing"),
            "table of checks, with what is different for this endpoint",
        ),
    ],
    rules: &[Rule::ExactlyOne(&["addresses", "alias", "cname", "srv"])],
};

static SPECIAL: Table = Table {
    path: "pool.NAME.endpoint.NAME.probe.NAME",
    about: "in what an endpoint differs from a check by which it is probed; its name is the check's",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "port",
            Kind::Integer { min: 1, max: 65535, least: "" },
            Absent::Means("the check's"),
            "port, if the kind of check has one",
        ),
        Key::new(
            "host",
            Kind::Text(&form::HOST_HEADER),
            Absent::Means("the check's"),
            "host, for tls the server name",
        ),
        Key::new(
            "path",
            Kind::Text(&form::URL_PATH),
            Absent::Means("the check's"),
            "path and query of http and https",
        ),
    ],
    rules: &[Rule::OneOf(&["port", "host", "path"])],
};

static SRV: Table = Table {
    path: "pool.NAME.endpoint.NAME.srv",
    about: "where a service is; its weight is that of the endpoint (RFC 2782)",
    applies: Applies::Live,
    keys: &[
        Key::needed("target", Kind::Text(&form::HOST), "\"sip-1.example.net\"", "the host"),
        Key::needed("port", Kind::Integer { min: 1, max: 65535, least: "" }, "5060", "the port"),
        Key::new(
            "priority",
            Kind::Integer { min: 0, max: 65535, least: "" },
            Absent::Default(Literal::Integer(PRIORITY as i64)),
            "clients try lower ones first",
        ),
    ],
    rules: &[],
};
