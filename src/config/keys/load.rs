//! Keys of `[check.NAME.load]`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::LOAD_MAX;
use crate::config::keys::Literal;
use crate::config::keys::Table;
use crate::config::keys::form;

pub(super) static LOAD: Table = Table {
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
