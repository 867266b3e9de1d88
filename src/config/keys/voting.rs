//! Keys of `[check.NAME]` that say how sites of a cluster agree.

use std::time::Duration;

use crate::config::keys::Absent;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::check::PROBED;
use crate::config::keys::check::TIMED;
use crate::config::keys::check::duration;

/// How many sites must agree when nothing is said.
pub const QUORUM: &str = "majority";
/// Whose votes count when nothing is said.
pub const SCOPE: &str = "global";
/// Least time between two probes of an address by all nodes together when nothing is said: 50 a second.
pub const FLEET_INTERVAL: Duration = Duration::from_millis(20);
/// Who probes when nothing is said.
pub const VANTAGE: &str = "all";

/// Most sites of a cluster that a check can name.
const SITES_MAX: i64 = 64;

/// A number of sites.
const SITES: Kind = Kind::Integer { min: 1, max: SITES_MAX, least: "" };

pub(super) const QUORUM_KEY: Key = Key::new(
    "quorum",
    Kind::AnyOf(&[
        Kind::Words { what: "a quorum", words: &[QUORUM] },
        SITES,
        Kind::Percent { max: 100 },
    ]),
    Absent::Default(Literal::Text(QUORUM)),
    "how many sites of a cluster must say down: more than half of those that vote, so many, or such a share of them",
)
.only(PROBED);

pub(super) const SCOPE_KEY: Key = Key::new(
    "scope",
    Kind::Words { what: "a scope", words: &[SCOPE, "region"] },
    Absent::Default(Literal::Text(SCOPE)),
    "whose sites of a cluster probe and vote: all, or those of the endpoint's region",
)
.only(PROBED);

pub(super) const VANTAGE_KEY: Key = Key::new(
    "vantage",
    Kind::AnyOf(&[Kind::Words { what: "a number of sites", words: &[VANTAGE] }, SITES]),
    Absent::Default(Literal::Text(VANTAGE)),
    "how many sites of a cluster probe: all, or so many, chosen for each shard and spread over regions",
)
.only(PROBED);

pub(super) const FLEET_INTERVAL_KEY: Key = Key::new(
    "fleet_interval",
    duration(0, 3_600_000),
    Absent::Default(Literal::Duration(FLEET_INTERVAL)),
    "least time between two probes of an address by all nodes of a cluster together, on average: a shorter `interval` is stretched to it times nodes; `\"0s\"` is no limit",
)
.only(TIMED);
