//! Keys of zone files: the file itself, `[zone]` and `[site.NAME]`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::assertion::ASSERT;
use crate::config::keys::check::CHECK;
use crate::config::keys::form;
use crate::config::keys::name::NAME;
use crate::config::keys::policy::POLICY;
use crate::config::keys::pool::POOL;

/// TTL of steered answers when nothing is said, in seconds.
pub const STEERED_TTL: u32 = 30;
/// What a site costs when nothing is said.
pub const COST: f64 = 1.0;
/// TTL of static records when nothing is said, in seconds.
pub const RECORD_TTL: u32 = 3600;
/// TTL of negative answers when nothing is said, in seconds.
pub const NEGATIVE_TTL: u32 = 30;
/// TTL of the apex's NS and SOA when nothing is said, in seconds.
pub const NAMESERVER_TTL: u32 = 86_400;

/// A TTL: from the floor, below which resolvers ask all the time and gain nothing, to a week, where they cap it
/// (RFC 8767 section 4).
pub(super) const TTL: Kind = Kind::Duration {
    min: Duration::from_secs(5),
    max: Duration::from_secs(7 * 86_400),
    whole_seconds: true,
};

/// A whole file of the zones folder.
pub static ZONE_FILE: Table = Table {
    path: "",
    about: "sites, checks, pools, policies, assertions, and at most one zone with its names",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "zone",
            Kind::Table(&ZONE),
            Absent::Means("the file has no zone, only tables for all"),
            "the zone of this file",
        ),
        tables("site", &Kind::Table(&SITE), "where pools and nodes stand"),
        tables("check", &Kind::Table(&CHECK), "how endpoints are probed"),
        tables("pool", &Kind::Table(&POOL), "endpoints that serve the same thing"),
        tables("policy", &Kind::Table(&POLICY), "how pools are ordered for a client"),
        tables("list", &Kind::Table(&LIST), "networks under one name, for `networks` policies"),
        Key::new(
            "name",
            Kind::Map {
                names: &form::DOMAIN,
                of: &Kind::Table(&NAME),
                count: Count::ANY,
                one_above_zero: false,
            },
            Absent::Means("none"),
            "names of the zone: steered ones and static records",
        ),
        Key::new(
            "assert",
            Kind::Items { of: &Kind::Table(&ASSERT), count: Count::ANY },
            Absent::Means("none"),
            "what must be so, or the files are refused: `[[assert]]`",
        )
        .like(&["assertion", "asserts", "assertions"]),
    ],
    rules: &[Rule::Need { keys: &["name"], other: "zone" }],
};

/// `[NAME.*]`: a table for each name the operator gives.
const fn tables(name: &'static str, of: &'static Kind, about: &'static str) -> Key {
    let kind = Kind::Map { names: &form::ID, of, count: Count::ANY, one_above_zero: false };
    Key::new(name, kind, Absent::Means("none"), about)
}

/// A TTL of `seconds` when nothing is said.
const fn ttl(name: &'static str, seconds: u32, about: &'static str) -> Key {
    let default = Literal::Duration(Duration::from_secs(seconds as u64));
    Key::new(name, TTL, Absent::Default(default), about)
}

static ZONE: Table = Table {
    path: "zone",
    about: "a zone, its SOA and its name servers",
    applies: Applies::Live,
    keys: &[
        Key::needed("name", Kind::Text(&form::DOMAIN), "\"gtm.example.com\"", "the apex"),
        Key::needed(
            "nameservers",
            Kind::Texts { of: &form::HOST, count: Count::SOME, distinct: false },
            "[\"ns1.example.net\", \"ns2.example.net\"]",
            "whole names for the NS records; the first is the SOA's primary; those inside the zone need addresses in it",
        ),
        Key::new(
            "contact",
            Kind::Text(&form::MAILBOX),
            Absent::Means("`hostmaster@` the zone"),
            "mailbox for the SOA, with `@` or as a name",
        ),
        ttl("steered_ttl", STEERED_TTL, "TTL of steered answers; a warning above `5m`"),
        ttl("record_ttl", RECORD_TTL, "TTL of static records"),
        ttl("negative_ttl", NEGATIVE_TTL, "TTL of \"not there\" (RFC 2308)"),
        ttl("nameserver_ttl", NAMESERVER_TTL, "TTL of the apex's NS and SOA"),
        Key::new(
            "records",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("none"),
            "master file with more static records, beside this file; no SOA in it",
        ),
    ],
    rules: &[],
};

static SITE: Table = Table {
    path: "site.NAME",
    about: "where pools and nodes stand",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "latitude",
            Kind::Number { min: -90.0, max: 90.0 },
            "50.11",
            "degrees north of the equator",
        )
        .like(&["lat"]),
        Key::needed(
            "longitude",
            Kind::Number { min: -180.0, max: 180.0 },
            "8.68",
            "degrees east of Greenwich",
        )
        .like(&["long", "lon", "lng"]),
        Key::new(
            "country",
            Kind::Text(&form::COUNTRY),
            Absent::Means("none"),
            "ISO 3166-1 code, as `\"DE\"`",
        ),
        Key::new(
            "region",
            Kind::Text(&form::ID),
            Absent::Means("the continent of its country, as `EU`"),
            "part of the world, for `scope = \"region\"` of checks and for spreading probes",
        ),
        Key::new(
            "cost",
            Kind::Number { min: 0.0, max: 1_000_000.0 },
            Absent::Default(Literal::Number(COST)),
            "what serving from it costs against other sites, for `prefer = \"cheap\"`",
        )
        .like(&["price"]),
    ],
    rules: &[],
};

static LIST: Table = Table {
    path: "list.NAME",
    about: "networks under one name, for `networks` policies",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "file",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("none"),
            "file beside this one: a network, an address or `AS64500` a line, `#` begins a comment",
        ),
        Key::new(
            "entries",
            Kind::Texts { of: &form::LIST_ENTRY, count: Count::SOME, distinct: true },
            Absent::Means("none"),
            "the same in place; not beside `file`",
        )
        .like(&["networks"]),
    ],
    rules: &[Rule::OneOf(&["file", "entries"])],
};
