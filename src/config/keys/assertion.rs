//! Keys of `[[assert]]`.

use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Form;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;

/// Everything is up.
pub const NOTHING_DOWN: &str = "nothing down";
/// Everything is up, or one site is lost.
pub const ONE_SITE_DOWN: &str = "any one site down";
/// Whatever fails or is taken out.
pub const ANYTHING_DOWN: &str = "anything down";

/// What an assertion may claim; each has one of them.
pub const CLAIMS: &[&str] = &["stays_in", "within", "answers", "max_load"];

/// A text, or several in a list.
const fn some(of: &'static Form) -> Kind {
    Kind::Texts { of, count: Count::SOME, distinct: true }
}

pub(super) static ASSERT: Table = Table {
    path: "assert",
    about: "what must be so, or the files are refused",
    applies: Applies::Live,
    keys: &[
        Key::new(
            "name",
            Kind::AnyOf(&[Kind::Text(&form::DOMAIN), some(&form::DOMAIN)]),
            Absent::Means("every steered name of the file's zone; of all zones, in a file without one"),
            "steered name or names; relative to the file's zone, or whole",
        )
        .like(&["names"]),
        Key::new(
            "clients",
            Kind::AnyOf(&[Kind::Text(&form::CLIENTS), some(&form::CLIENTS)]),
            Absent::Means("all"),
            "clients that it speaks of; not beside `max_load`",
        )
        .like(&["client", "where", "from"]),
        Key::new(
            "stays_in",
            Kind::AnyOf(&[Kind::Text(&form::AREA), some(&form::AREA)]),
            Absent::Means("not asserted"),
            "claim: answers stand in one of these",
        )
        .like(&["stay_in", "in"]),
        Key::new(
            "within",
            Kind::Text(&form::KILOMETRES),
            Absent::Means("not asserted"),
            "claim: answers stand at most so far from the client",
        ),
        Key::new(
            "answers",
            Kind::Boolean,
            Absent::Means("not asserted"),
            "claim, if true: a healthy endpoint is served",
        ),
        Key::new(
            "max_load",
            Kind::Percent { max: 200 },
            Absent::Means("not asserted"),
            "claim: no site carries more than this share of its `capacity`; needs `traffic`",
        ),
        Key::new(
            "traffic",
            Kind::Text(&form::FILE_NAME),
            Absent::Means("none"),
            "CSV file beside this one: what clients bring, see below",
        ),
        Key::new(
            "with",
            Kind::Words {
                what: "a state of health",
                words: &[NOTHING_DOWN, ONE_SITE_DOWN, ANYTHING_DOWN],
            },
            Absent::Means(
                "`\"anything down\"` for `stays_in`, `\"nothing down\"` for `within`, else `\"any one site down\"`",
            ),
            "in which states of health it holds; `\"anything down\"` for `stays_in` and `within` only",
        )
        .like(&["when", "while"]),
    ],
    rules: &[
        Rule::ExactlyOne(CLAIMS),
        Rule::Need { keys: &["traffic"], other: "max_load" },
        Rule::Need { keys: &["max_load"], other: "traffic" },
        Rule::Apart(["clients", "max_load"]),
    ],
};
