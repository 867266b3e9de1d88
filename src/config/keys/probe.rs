//! Keys of `[probe]` in `rhumb.toml`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;

/// Probes that a node starts in a second when nothing is said.
///
/// Source: 50,000 checks each 10 s are 5,000; a core does 16,000 at 60 us each.
pub const PROBE_RATE: u32 = 10_000;

/// The same for one address.
pub const PROBE_RATE_PER_ADDRESS: u32 = 100;

pub(super) static PROBE: Table = Table {
    path: "probe",
    about: "what probes may do on this node, and what they may take",
    applies: Applies::Restart,
    keys: &[
        Key::new(
            "exec",
            Kind::Texts { of: &form::WHOLE_PATH, count: Count::ANY, distinct: true },
            Absent::Default(Literal::Texts(&[])),
            "folders whose programs checks of kind `exec` may run, by their whole paths",
        ),
        Key::new(
            "rate",
            Kind::Integer { min: 1, max: 100_000, least: "" },
            Absent::Default(Literal::Integer(PROBE_RATE as i64)),
            "probes that this node starts in a second, at most; the rest come late",
        )
        .like(&["per_second", "max_rate"]),
        Key::new(
            "rate_per_address",
            Kind::Integer { min: 1, max: 100_000, least: "" },
            Absent::Default(Literal::Integer(PROBE_RATE_PER_ADDRESS as i64)),
            "the same for one address, whatever its ports and checks",
        )
        .like(&["per_address", "rate_per_target"]),
        Key::new(
            "in_flight",
            Kind::Integer { min: 1, max: 1_000_000, least: "" },
            Absent::Means("three eighths of the descriptors that the system allows, at most 32768"),
            "probes that run at once, at most; each takes a descriptor and about 20 KiB",
        )
        .like(&["max_in_flight", "concurrency"]),
    ],
    rules: &[],
};
