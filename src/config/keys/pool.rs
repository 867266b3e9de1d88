//! Keys of `[pool.NAME]` and `[pool.NAME.endpoint.NAME]`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;

/// `min_healthy` when nothing is said, in percent of enabled weight.
pub const MIN_HEALTHY_PERCENT: u8 = 50;

/// An endpoint's share when nothing is said.
pub const WEIGHT: u16 = 1;

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

static ENDPOINT: Table = Table {
    path: "pool.NAME.endpoint.NAME",
    about: "one machine or service",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "addresses",
            Kind::Addresses,
            "[\"192.0.2.10\", \"2001:db8::10\"]",
            "one IPv4 address, one IPv6 address, or one of each",
        )
        .like(&["ip", "ips"]),
        Key::new(
            "weight",
            Kind::Integer { min: 0, max: 65535, least: "standby" },
            Absent::Default(Literal::Integer(WEIGHT as i64)),
            "share of clients against the other endpoints",
        ),
    ],
    rules: &[],
};
