//! Kinds of problems, each with an id that stays: what `check` prints, SARIF calls a rule, and the reference explains.

/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id: kebab-case, never changed once published.
    pub id: &'static str,
    /// What it is about, one sentence.
    pub about: &'static str,
}

/// Declares rules and the list of them all.
macro_rules! rules {
    ($($name:ident = $id:literal: $about:literal,)*) => {
        $(#[doc = $about] pub static $name: Rule = Rule { id: $id, about: $about };)*
        /// Every rule, in the order of the reference.
        pub static ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    SYNTAX = "syntax": "The file is not TOML 1.0.",
    NEWER_TOML = "newer-toml": "The file uses TOML 1.1, which editors and other tools may refuse.",
    UNKNOWN_KEY = "unknown-key": "A key or table is not known where it stands.",
    MISSING_KEY = "missing-key": "A key that is needed is not there.",
    WRONG_TYPE = "wrong-type": "A value is a text, number, list or table where another is wanted.",
    OUT_OF_RANGE = "out-of-range": "A number, duration or percentage is too small or too large.",
    UNKNOWN_WORD = "unknown-word": "A text is none of the words that may stand there.",
    BAD_DURATION = "bad-duration": "A text is not a duration, or lacks its unit.",
    BAD_PERCENTAGE = "bad-percentage": "A text is not a percentage.",
    BAD_VALUE = "bad-value": "A value is not of the form that is wanted, or contradicts another.",
    BAD_NAME = "bad-name": "A name of a table may not be written like this.",
    UNKNOWN_NAME = "unknown-name": "A site, check, pool or policy is used that no file has.",
    DUPLICATE_NAME = "duplicate-name": "Two tables of all files have one name.",
    DUPLICATE_VALUE = "duplicate-value": "A list names something twice.",
    MISSING_FILE = "missing-file": "A file that is named is not beside the file that names it.",
    UNREADABLE_FILE = "unreadable-file": "A file cannot be read, or is damaged.",
    NOT_ALLOWED = "not-allowed": "Something is wanted that the node's own file does not allow.",
    POLICY_TREE = "policy-tree": "Policies contain themselves, or are too deep or too many.",
    ZONE_DATA = "zone-data": "Records or names of a zone contradict each other, DNS or the file's form.",
    NO_ZONE = "no-zone": "No file has a zone, so that nothing is served.",
    ASSERTION = "assertion": "What an `[[assert]]` says is not so.",
    UNUSED = "unused": "A check, pool or policy is there and nobody uses it.",
    UNREACHABLE = "unreachable": "A rule is there that no client can get.",
    SLOW_FAILOVER = "slow-failover": "A TTL is so long that probes hardly matter.",
    MIXED_FAMILIES = "mixed-families": "Some pools of a name have IPv4 or IPv6 addresses and others do not.",
    SINGLE_SITE = "single-site": "Every pool of a name stands at one site, though there are others.",
    NEVER_CHOSEN = "never-chosen": "A target of a policy can get no clients.",
    FAILOVER_TIME = "failover-time": "No problem: how long a failover of a name takes at worst.",
    NO_CHOICE = "no-choice": "A policy, or a state in a file, leaves nothing to choose from.",
    LIKELY_MISTAKE = "likely-mistake": "It loads, but is likely not what was meant.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kebab_case_and_each_is_there_once() {
        for (position, rule) in ALL.iter().enumerate() {
            let is_kebab = |octet: u8| octet.is_ascii_lowercase() || octet == b'-';
            assert!(rule.id.bytes().all(is_kebab) && rule.about.ends_with('.'), "{}", rule.id);
            assert!(ALL[..position].iter().all(|other| other.id != rule.id), "{}", rule.id);
        }
    }
}
