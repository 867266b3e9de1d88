//! Keys of `[[check.NAME.degraded]]`.

use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Table;
use crate::config::keys::check::duration;

pub(super) static DEGRADED: Table = Table {
    path: "check.NAME.degraded",
    about: "one level of slowness, one table `[[check.NAME.degraded]]` each, the mildest first",
    applies: Applies::Live,
    keys: &[
        Key::needed(
            "over",
            duration(1, 60_000),
            "\"300ms\"",
            "probes that take longer than this are of this level",
        ),
        Key::needed(
            "weight",
            Kind::Percent { max: 100 },
            "\"50%\"",
            "what is left of an endpoint's weight; of `0%` a hundredth stays",
        ),
    ],
    rules: &[],
};
