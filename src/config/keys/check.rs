//! Keys of `[check.NAME]`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::degraded::DEGRADED;
use crate::config::keys::form;
use crate::config::keys::load::LOAD;
use crate::config::keys::voting;

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
/// Redirects that are followed when nothing is said: a redirect is an answer like others.
pub const REDIRECTS: u8 = 0;
/// Whether certificates are judged when nothing is said.
pub const VERIFY: bool = true;

/// What counts as all the load that an endpoint can carry when nothing is said.
pub const LOAD_MAX: f64 = 1.0;

/// Whether what a probe says is turned round when nothing is said.
pub const INVERT: bool = false;
/// Method of a request when nothing is said.
pub const METHOD: &str = "GET";
/// Version of HTTP when nothing is said.
pub const VERSION: &str = "1.1";

/// Largest whole number that every reader of JSON takes for itself (RFC 8259 section 6).
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Most further headers of a request, and most fields of a JSON document.
const FEW: Count = Count { min: 0, max: Some(32) };

/// Kinds that speak HTTP as it is spoken to clients.
const HTTP: &[&str] = &["http", "https"];

/// Kinds with a handshake.
const TLS: &[&str] = &["tls", "https", "grpcs"];

/// Kinds that send something and look for something in what comes back.
const TALK: &[&str] = &["tcp", "udp"];

/// Kinds that speak gRPC.
const GRPC: &[&str] = &["grpc", "grpcs"];

/// Kinds that name a host.
const HOST: &[&str] = &["http", "https", "grpc", "grpcs"];

/// Kinds that go to a port.
const PORT: &[&str] = &["tcp", "tls", "http", "https", "grpc", "grpcs", "dns", "udp"];

/// Kinds that go to an address.
const NETWORK: &[&str] = &["tcp", "tls", "http", "https", "grpc", "grpcs", "dns", "udp", "icmp"];

/// Kinds that take time.
pub(super) const TIMED: &[&str] =
    &["tcp", "tls", "http", "https", "grpc", "grpcs", "dns", "udp", "icmp", "exec"];

/// Kinds that have results of their own.
pub(super) const PROBED: &[&str] =
    &["tcp", "tls", "http", "https", "grpc", "grpcs", "dns", "udp", "icmp", "exec", "push", "file"];

/// Kinds that are made of others.
const COMPOSITE: &[&str] = &["all_of", "any_of", "at_least"];

/// Most parts of a check.
pub const PARTS_MAX: usize = 16;
/// Most levels of slowness.
pub const LEVELS_MAX: usize = 4;

/// How long a report counts when nothing is said.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Response code that must come when nothing is said.
pub const RCODE: &str = "NOERROR";
/// Whether recursion is desired when nothing is said.
pub const RECURSION: bool = false;
/// Service of gRPC when nothing is said: the server as a whole.
pub const SERVICE: &str = "";
/// Most words of a command.
pub const WORDS_MAX: usize = 64;
/// Most tokens of a check.
pub const TOKENS_MAX: usize = 8;

/// Response codes that a name server may have to give.
const RCODES: &[&str] =
    &["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "NOTAUTH"];

/// A duration of `min` to `max` milliseconds.
pub(super) const fn duration(min: u64, max: u64) -> Kind {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    Kind::Duration { min, max, whole_seconds: false }
}

/// `fall` and `rise`.
const COUNT: Kind = Kind::Integer { min: 1, max: 100, least: "" };

pub(super) static CHECK: Table = Table {
    path: "check.NAME",
    about: "how endpoints are probed",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "kind",
            Kind::Words { what: "a kind of check", words: &["tcp", "tls", "http", "https", "grpc", "grpcs", "dns", "udp", "icmp", "exec", "push", "file", "all_of", "any_of", "at_least"] },
            "\"http\"",
            "what a probe does",
        )
        .like(&["type"]),
        Key::new(
            "port",
            Kind::Integer { min: 1, max: 65535, least: "" },
            Absent::Means("80 for http, 443 for tls and https, 53 for dns"),
            "port",
        )
        .needed_for(&["tcp", "grpc", "grpcs", "udp"], "443")
        .only(PORT),
        Key::new(
            "source",
            Kind::Addresses,
            Absent::Means("what the system chooses"),
            "addresses of this host from which probes go out",
        )
        .only(NETWORK),
        Key::new(
            "invert",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(INVERT)),
            "whether a probe that passes counts as failed, and the other way round",
        ),
        Key::new(
            "interval",
            duration(100, 3_600_000),
            Absent::Default(Literal::Duration(INTERVAL)),
            "from the start of a probe to the next",
        )
        .only(PROBED),
        Key::new(
            "timeout",
            duration(10, 60_000),
            Absent::Default(Literal::Duration(TIMEOUT)),
            "for the whole probe; at most the interval, which is the default if it is shorter",
        )
        .only(TIMED),
        Key::new(
            "fall",
            COUNT,
            Absent::Default(Literal::Integer(FALL as i64)),
            "failures in a row that take down",
        )
        .only(PROBED)
        .like(&["retries", "failures"]),
        Key::new(
            "rise",
            COUNT,
            Absent::Default(Literal::Integer(RISE as i64)),
            "successes in a row that bring back",
        )
        .only(PROBED),
        Key::new(
            "hold_down",
            duration(0, 86_400_000),
            Absent::Default(Literal::Duration(HOLD_DOWN)),
            "least time between going down and coming back",
        )
        .only(PROBED),
        Key::new(
            "damping",
            Kind::AnyOf(&[
                duration(1000, 86_400_000),
                Kind::Words { what: "a half-life", words: &["off"] },
            ]),
            Absent::Default(Literal::Duration(DAMPING)),
            "half-life of the penalty for flaps: an endpoint that goes down four times in a row waits until it is below 1",
        )
        .only(PROBED),
        Key::new(
            "jitter",
            Kind::Percent { max: 50 },
            Absent::Default(Literal::Percent(JITTER_PERCENT)),
            "share of the interval by which each probe is moved at random",
        )
        .only(PROBED),
        Key::new(
            "degraded",
            Kind::Items {
                of: &Kind::Table(&DEGRADED),
                count: Count { min: 0, max: Some(LEVELS_MAX) },
            },
            Absent::Means("slowness does nothing"),
            "levels of slowness: an endpoint that answers too late is up, with less weight",
        )
        .only(TIMED),
        voting::QUORUM_KEY,
        voting::SCOPE_KEY,
        voting::VANTAGE_KEY,
        voting::FLEET_INTERVAL_KEY,
        Key::new(
            "of",
            Kind::Texts { of: &form::ID, count: Count::up_to(PARTS_MAX), distinct: true },
            Absent::Means("none"),
            "the checks it is made of, which may be made of others themselves",
        )
        .needed_for(COMPOSITE, "[\"web\", \"db\"]")
        .like(&["checks", "parts"])
        .only(COMPOSITE),
        Key::new(
            "n",
            Kind::Integer { min: 1, max: PARTS_MAX as i64, least: "" },
            Absent::Means("all for all_of, 1 for any_of"),
            "how many of them must pass",
        )
        .needed_for(&["at_least"], "2")
        .only(&["at_least"]),
        Key::new(
            "must",
            Kind::Texts { of: &form::ID, count: Count::ANY, distinct: true },
            Absent::Means("none"),
            "those of them that must pass in any case",
        )
        .only(COMPOSITE),
        Key::new(
            "send",
            Kind::Text(&form::NEEDLE),
            Absent::Means("nothing"),
            "text that is sent; udp needs it, or `send_hex`",
        )
        .only(TALK),
        Key::new(
            "send_hex",
            Kind::Text(&form::HEX),
            Absent::Means("nothing"),
            "the same as hexadecimal octets",
        )
        .only(TALK),
        Key::new(
            "expect",
            Kind::Text(&form::NEEDLE),
            Absent::Means("nothing"),
            "text that the first 64 KiB of the reply must hold",
        )
        .only(TALK),
        Key::new(
            "expect_hex",
            Kind::Text(&form::HEX),
            Absent::Means("nothing"),
            "the same as hexadecimal octets",
        )
        .only(TALK),
        Key::new(
            "method",
            Kind::Words {
                what: "a method",
                words: &["GET", "HEAD", "POST", "PUT", "OPTIONS"],
            },
            Absent::Default(Literal::Text(METHOD)),
            "method of the request, which has no body",
        )
        .only(HTTP),
        Key::new(
            "host",
            Kind::Text(&form::HOST_HEADER),
            Absent::Means("the endpoint's address"),
            "`Host` header, for gRPC the authority",
        )
        .like(&["url"])
        .only(HOST),
        Key::new(
            "path",
            Kind::Text(&form::URL_PATH),
            Absent::Default(Literal::Text(PATH)),
            "path and query",
        )
        .only(HTTP),
        Key::new(
            "headers",
            Kind::Map {
                names: &form::HEADER_NAME,
                of: &Kind::Text(&form::HEADER_VALUE),
                count: FEW,
                one_above_zero: false,
            },
            Absent::Means("none"),
            "table of further headers",
        )
        .only(HTTP),
        Key::new(
            "http_version",
            Kind::Words { what: "a version of HTTP", words: &["1.1", "2"] },
            Absent::Default(Literal::Text(VERSION)),
            "version of HTTP; 2 by ALPN for https, without asking for http",
        )
        .like(&["version"])
        .only(HTTP),
        Key::new(
            "status",
            Kind::Text(&form::STATUS_CODES),
            Absent::Default(Literal::Text(STATUS)),
            "codes that count as success",
        )
        .only(HTTP),
        Key::new(
            "redirects",
            Kind::Integer { min: 0, max: 10, least: "" },
            Absent::Default(Literal::Integer(REDIRECTS as i64)),
            "redirects that are followed, one after another; one whose status is wanted is not",
        )
        .like(&["follow", "follow_redirects", "max_redirects"])
        .only(HTTP),
        Key::new(
            "body",
            Kind::Text(&form::NEEDLE),
            Absent::Means("none"),
            "text that the body must hold, within the 64 KiB that a probe reads with headers and TLS",
        )
        .like(&["expected_body", "contains"])
        .only(HTTP),
        Key::new(
            "body_regex",
            Kind::Text(&form::REGEX),
            Absent::Means("none"),
            "regular expression that must match somewhere in the body, within the 64 KiB that a probe reads",
        )
        .like(&["regex"])
        .only(HTTP),
        Key::new(
            "json",
            Kind::Map {
                names: &form::JSON_POINTER,
                of: &Kind::AnyOf(&[
                    Kind::Text(&form::JSON_TEXT),
                    Kind::Integer { min: -INTEGER_MAX, max: INTEGER_MAX, least: "" },
                    Kind::Boolean,
                ]),
                count: FEW,
                one_above_zero: false,
            },
            Absent::Means("none"),
            "table of fields, by JSON pointer, and the values they must have; the body must be JSON, and within the 64 KiB that a probe reads",
        )
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
            Absent::Means("`host`, else the endpoint's address"),
            "name for SNI and in the certificate",
        )
        .like(&["sni"])
        .only(TLS),
        Key::new(
            "ca",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("the system's"),
            "PEM file beside this one; only its certificates are trusted",
        )
        .only(TLS),
        Key::new(
            "verify",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(VERIFY)),
            "whether the certificate must be valid",
        )
        .only(TLS),
        Key::new(
            "min_validity",
            duration(0, 365 * 86_400_000),
            Absent::Default(Literal::Duration(Duration::ZERO)),
            "how long the certificate must still hold at least",
        )
        .like(&["expiry", "expires", "days"])
        .only(TLS),
        Key::new(
            "service",
            Kind::Text(&form::GRPC_SERVICE),
            Absent::Default(Literal::Text(SERVICE)),
            "name of the service as it registers itself; empty for the server as a whole",
        )
        .only(GRPC),
        Key::new(
            "qname",
            Kind::Text(&form::QNAME),
            Absent::Means("none"),
            "name that is asked for",
        )
        .needed_for(&["dns"], "\"www.example.com\"")
        .like(&["name", "query"])
        .only(&["dns"]),
        Key::new(
            "qtype",
            Kind::Text(&form::RECORD_TYPE),
            Absent::Default(Literal::Text("A")),
            "type that is asked for",
        )
        .only(&["dns"]),
        Key::new(
            "recursion",
            Kind::Boolean,
            Absent::Default(Literal::Boolean(RECURSION)),
            "whether recursion is desired: the endpoint is a resolver",
        )
        .only(&["dns"]),
        Key::new(
            "rcode",
            Kind::Words { what: "a response code", words: RCODES },
            Absent::Default(Literal::Text(RCODE)),
            "response code that must come",
        )
        .only(&["dns"]),
        Key::new(
            "answer",
            Kind::Text(&form::NEEDLE),
            Absent::Means("none"),
            "data that one record of the answer must have, as `dig +short` shows it; for A and AAAA an address",
        )
        .only(&["dns"]),
        Key::new(
            "command",
            Kind::Texts {
                of: &form::WORD,
                count: Count::up_to(WORDS_MAX),
                distinct: false,
            },
            Absent::Means("none"),
            "program, by its whole path, and its arguments, in which `{address}` and `{endpoint}` are replaced; it must be in a folder of `[probe] exec`",
        )
        .needed_for(&["exec"], "[\"/usr/lib/nagios/plugins/check_ssh\", \"{address}\"]")
        .only(&["exec"]),
        Key::new(
            "token_sha256",
            Kind::Texts { of: &form::SHA256, count: Count::up_to(TOKENS_MAX), distinct: true },
            Absent::Means("none"),
            "SHA-256 of the tokens of those who may report, in hexadecimal",
        )
        .needed_for(
            &["push"],
            "[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]",
        )
        .like(&["token", "tokens"])
        .only(&["push"]),
        Key::new(
            "state_file",
            Kind::Text(&form::WHOLE_PATH),
            Absent::Means("none"),
            "file that says what is up, by its whole path",
        )
        .needed_for(&["file"], "\"/var/lib/rhumb/states\"")
        .only(&["file"]),
        Key::new(
            "silence",
            duration(1000, 30 * 86_400_000),
            Absent::Means("`\"1m\"` for push, for ever for file"),
            "how long a report counts, or how old the file may become; then it is a failure",
        )
        .like(&["ttl", "max_age"])
        .only(&["push", "file"]),
    ],
    rules: &[Rule::Apart(["send", "send_hex"]), Rule::Apart(["expect", "expect_hex"])],
};
