//! Keys of `[pool.NAME.discover]`.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;

/// Time between two questions when nothing is said.
pub const DISCOVER_INTERVAL: Duration = Duration::from_secs(60);

/// Time of one request when nothing is said.
pub const DISCOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// `max_drop` when nothing is said, in percent.
pub const MAX_DROP_PERCENT: u8 = 30;

/// Label of weights when nothing is said.
pub const WEIGHT_LABEL: &str = "weight";

/// The three sources.
pub const SOURCES: &[&str] = &["file", "http", "srv"];

pub(super) static DISCOVER: Table = Table {
    path: "pool.NAME.discover",
    about: "who tells of endpoints while the server runs",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "file",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("none; exactly one of `file`, `http` and `srv` is needed"),
            "file of target groups in Prometheus's JSON, from the folder of this file on; read when it changes",
        )
        .example("\"parts/targets.json\"")
        .like(&["files", "file_sd"]),
        Key::new(
            "http",
            Kind::Text(&form::URL),
            Absent::Means("none"),
            "URL of target groups in Prometheus's JSON; certificates are verified, redirects are not followed",
        )
        .example("\"https://consul.example.internal/sd\"")
        .like(&["url", "http_sd"]),
        Key::new(
            "srv",
            Kind::Text(&form::HOST),
            Absent::Means("none"),
            "owner of SRV records; the lowest priority is active, others stand by",
        )
        .example("\"_web._tcp.example.internal\"")
        .like(&["dns", "dns_sd"]),
        Key::new(
            "interval",
            Kind::Duration {
                min: Duration::from_secs(1),
                max: Duration::from_secs(3600),
                whole_seconds: true,
            },
            Absent::Default(Literal::Duration(DISCOVER_INTERVAL)),
            "time between two questions; SRV records that end sooner are asked for sooner",
        )
        .like(&["refresh_interval"]),
        Key::new(
            "timeout",
            Kind::Duration {
                min: Duration::from_secs(1),
                max: Duration::from_secs(60),
                whole_seconds: true,
            },
            Absent::Default(Literal::Duration(DISCOVER_TIMEOUT)),
            "time that one request may take, all of it",
        ),
        Key::new(
            "authorization",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("none is sent"),
            "file with the value of the header `Authorization`, as `Bearer …`; read for each request",
        )
        .like(&["token", "credentials"]),
        Key::new(
            "ca",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("those of the system"),
            "PEM file of the authorities that are trusted",
        ),
        Key::new(
            "max_drop",
            Kind::Percent { max: 100 },
            Absent::Default(Literal::Percent(MAX_DROP_PERCENT)),
            "most of the found endpoints that may go within 10 minutes; one always may, unless it is 0%; never the last",
        ),
        Key::new(
            "weight_label",
            Kind::Text(&form::LABEL),
            Absent::Default(Literal::Text(WEIGHT_LABEL)),
            "label that has the weight of a target; 1 without it",
        ),
        Key::new(
            "name_label",
            Kind::Text(&form::LABEL),
            Absent::Means("address and port make the name, as `192-0-2-10_8080`"),
            "label that names endpoints; one IPv4 and one IPv6 target of one name are one endpoint",
        ),
        Key::new(
            "site_label",
            Kind::Text(&form::LABEL),
            Absent::Means("every target is this pool's"),
            "label that has a site: only targets of the pool's own site are its endpoints",
        ),
        Key::new(
            "port",
            Kind::Words { what: "a use of ports", words: &["use", "ignore"] },
            Absent::Default(Literal::Text("use")),
            "whether the port of a target is probed in place of the check's",
        ),
    ],
    rules: &[
        Rule::ExactlyOne(SOURCES),
        Rule::Need { keys: &["timeout", "authorization", "ca"], other: "http" },
        Rule::Apart(["file", "interval"]),
        Rule::Apart(["srv", "weight_label"]),
        Rule::Apart(["srv", "name_label"]),
        Rule::Apart(["srv", "site_label"]),
    ],
};
