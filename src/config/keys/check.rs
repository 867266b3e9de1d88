//! Keys of `[check.NAME]`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;

/// From the start of a probe to the next when nothing is said.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// For a whole probe when nothing is said and the interval is not shorter.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// Least time down when nothing is said.
pub const HOLD_DOWN: Duration = Duration::from_secs(60);
/// Half-life of the penalty for flaps when nothing is said.
pub const DAMPING: Duration = Duration::from_secs(600);
/// Failures that take down when nothing is said.
pub const FALL: u8 = 3;
/// Successes that bring back when nothing is said.
pub const RISE: u8 = 5;
/// Percent of the interval by which probes are moved when nothing is said.
pub const JITTER_PERCENT: u8 = 10;
/// Path and query when nothing is said.
pub const PATH: &str = "/";
/// Codes that count as success when nothing is said.
pub const STATUS: &str = "200-299";
/// Whether certificates are judged when nothing is said.
pub const VERIFY: bool = true;

/// What counts as all the load that an endpoint can carry when nothing is said.
pub const LOAD_MAX: f64 = 1.0;

/// Kinds that speak HTTP.
const HTTP: &[&str] = &["http", "https"];

/// A duration of `min` to `max` milliseconds.
const fn duration(min: u64, max: u64) -> Kind {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    Kind::Duration { min, max, whole_seconds: false }
}

/// `fall` and `rise`.
const COUNT: Kind = Kind::Integer { min: 1, max: 100, least: "" };

static LOAD: Table = Table {
    path: "check.NAME.load",
    about: "a number in the body, which is JSON",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "json",
            Kind::Text(&form::JSON_POINTER),
            "\"/load\"",
            "where in the body the number is: a JSON pointer (RFC 6901)",
        ),
        Key::new(
            "max",
            Kind::Number { min: 0.001, max: 1e12 },
            Absent::Default(Literal::Number(LOAD_MAX)),
            "the number at which the endpoint carries all it can",
        ),
    ],
    rules: &[],
};

pub(super) static CHECK: Table = Table {
    path: "check.NAME",
    about: "how endpoints are probed",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "kind",
            Kind::Words { what: "a kind of check", words: &["tcp", "http", "https"] },
            "\"http\"",
            "what a probe does",
        )
        .like(&["type"]),
        Key::new(
            "port",
            Kind::Integer { min: 1, max: 65535, least: "" },
            Absent::Means("80 for http, 443 for https"),
            "TCP port",
        )
        .needed_for(&["tcp"], "443"),
        Key::new(
            "interval",
            duration(100, 3_600_000),
            Absent::Default(Literal::Duration(INTERVAL)),
            "from the start of a probe to the next",
        ),
        Key::new(
            "timeout",
            duration(10, 60_000),
            Absent::Default(Literal::Duration(TIMEOUT)),
            "for the whole probe; at most the interval, which is the default if it is shorter",
        ),
        Key::new(
            "fall",
            COUNT,
            Absent::Default(Literal::Integer(FALL as i64)),
            "failures in a row that take down",
        )
        .like(&["retries", "failures"]),
        Key::new(
            "rise",
            COUNT,
            Absent::Default(Literal::Integer(RISE as i64)),
            "successes in a row that bring back",
        ),
        Key::new(
            "hold_down",
            duration(0, 86_400_000),
            Absent::Default(Literal::Duration(HOLD_DOWN)),
            "least time between going down and coming back",
        ),
        Key::new(
            "damping",
            Kind::AnyOf(&[
                duration(1000, 86_400_000),
                Kind::Words { what: "a half-life", words: &["off"] },
            ]),
            Absent::Default(Literal::Duration(DAMPING)),
            "half-life of the penalty for flaps: an endpoint that goes down four times in a row waits until it is below 1",
        ),
        Key::new(
            "jitter",
            Kind::Percent { max: 50 },
            Absent::Default(Literal::Percent(JITTER_PERCENT)),
            "share of the interval by which each probe is moved at random",
        ),
        Key::new(
            "host",
            Kind::Text(&form::HOST_HEADER),
            Absent::Means("the endpoint's address"),
            "`Host` header",
        )
        .like(&["url"])
        .only(HTTP),
        Key::new(
            "path",
            Kind::Text(&form::URL_PATH),
            Absent::Default(Literal::Text(PATH)),
            "path and query",
        )
        .only(HTTP),
        Key::new(
            "status",
            Kind::Text(&form::STATUS_CODES),
            Absent::Default(Literal::Text(STATUS)),
            "codes that count as success",
        )
        .only(HTTP),
        Key::new(
            "body",
            Kind::Text(&form::NEEDLE),
            Absent::Means("none"),
            "text that the first 64 KiB of the body must hold",
        )
        .like(&["expect", "expected_body", "contains"])
        .only(HTTP),
        Key::new(
            "load",
            Kind::AnyOf(&[
                Kind::Words { what: "a source of load", words: &["orca"] },
                Kind::Table(&LOAD),
            ]),
            Absent::Means("its answers say nothing of load"),
            "where the answer says how much load the endpoint has, 1 being all it can carry",
        )
        .only(HTTP),
        Key::new(
            "server_name",
            Kind::Text(&form::HOST_HEADER),
            Absent::Means("`host`"),
            "name for SNI and in the certificate",
        )
        .only(&["https"]),
        Key::new(
            "ca",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("the system's"),
            "PEM file beside this one; only its certificates are trusted",
        )
        .only(&["https"]),
        Key::new(
            "verify",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(VERIFY)),
            "whether the certificate must be valid",
        )
        .only(&["https"]),
    ],
    rules: &[],
};
