//! How long a failover of each steered name takes at worst: what checks, quorum, propagation and TTL add up to.

use std::time::Duration;

use crate::config::duration::spell;
use crate::model::Check;
use crate::model::Model;
use crate::model::Steer;

/// The formula, as it is shown.
pub const FORMULA: &str = "interval x fall + timeout + quorum + propagation + TTL";

/// Until votes have become a verdict: each node decides by its own probes, at once.
pub const QUORUM: Duration = Duration::ZERO;

/// From a verdict to the answers, bounded from above: a snapshot is published within a millisecond, and a control loop
/// that is busy with a reload is back well within a second.
pub const PROPAGATION: Duration = Duration::from_secs(1);

/// How long a failover of a name takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Failover {
    /// The name.
    pub owner: String,
    /// The slowest check of its pools with its terms; nothing if no pool has a check.
    pub slowest: Option<Terms>,
    /// Pools without a check, which never fail over.
    pub unchecked: Vec<String>,
}

/// What adds up.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Name of the check.
    pub check: String,
    /// From one probe to the next.
    pub interval: Duration,
    /// Failures that take down.
    pub fall: u8,
    /// Of one probe.
    pub timeout: Duration,
    /// Of the answer, as resolvers keep it.
    pub ttl: Duration,
}

impl Terms {
    fn new(check: &Check, steer: &Steer) -> Self {
        Self {
            check: check.name.to_string(),
            interval: check.interval,
            fall: check.fall,
            timeout: check.timeout,
            ttl: Duration::from_secs(steer.ttl.into()),
        }
    }

    /// The sum.
    pub fn total(&self) -> Duration {
        self.interval * u32::from(self.fall) + self.timeout + QUORUM + PROPAGATION + self.ttl
    }
}

/// One line: `63s = 10s x 3 + 2s + 0s + 1s + 30s (check "web")`.
impl std::fmt::Display for Failover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(terms) = &self.slowest {
            let Terms { check, interval, fall, timeout, ttl } = terms;
            let [total, interval, timeout, quorum, propagation, ttl] =
                [terms.total(), *interval, *timeout, QUORUM, PROPAGATION, *ttl].map(spell);
            write!(
                f,
                "{total} = {interval} x {fall} + {timeout} + {quorum} + {propagation} + {ttl} (check \"{check}\")"
            )?;
        }
        match (&self.slowest, &self.unchecked[..]) {
            (_, []) => Ok(()),
            (None, _) => f.write_str("never fails over: no pool has a check"),
            (Some(_), [one]) => write!(f, "; never from pool \"{one}\", which has no check"),
            (Some(_), more) => {
                write!(f, "; never from pools {}, which have no check", more.join(", "))
            }
        }
    }
}

/// Every steered name, in the order of the files.
pub fn failovers(model: &Model) -> Vec<Failover> {
    model.steers.iter().map(|steer| failover(model, steer)).collect()
}

fn failover(model: &Model, steer: &Steer) -> Failover {
    let mut pools = model.pools_below(steer.target);
    pools.sort_unstable();
    pools.dedup();
    let pools = pools.into_iter().map(|pool| &model.pools[pool.index()]);
    let (checked, unchecked): (Vec<_>, Vec<_>) = pools.partition(|pool| pool.check.is_some());
    // Of a check that is made of others the slowest part counts.
    let probed = checked.iter().filter_map(|pool| pool.check).flat_map(|id| model.leaves(id));
    let terms = probed.map(|id| Terms::new(&model.checks[id.index()], steer));
    Failover {
        owner: steer.owner.to_string(),
        slowest: terms.max_by_key(Terms::total),
        unchecked: unchecked.iter().map(|pool| pool.name.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;

    fn shown(pools: &str) -> Vec<String> {
        let text = format!(
            "{pools}[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n\
             [check.slow]\nkind = \"http\"\ninterval = \"20s\"\ntimeout = \"5s\"\nfall = 2\n\
             [check.fast]\nkind = \"http\"\ninterval = \"1s\"\ntimeout = \"500ms\"\n\
             [policy.p]\nkind = \"failover\"\ntargets = [\"a\", \"b\"]\n\
             [name.www]\nsteer = \"p\"\nttl = \"10s\"\n"
        );
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", &text)]));
        let model = model.unwrap_or_else(|| panic!("{problems:?}"));
        failovers(&model).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_slowest_check_counts_with_each_of_its_terms() {
        let two = "pool.a = { check = \"fast\", endpoint.a.addresses = [\"192.0.2.1\"] }\n\
                   pool.b = { check = \"slow\", endpoint.a.addresses = [\"192.0.2.2\"] }\n";
        assert_eq!(shown(two), ["56s = 20s x 2 + 5s + 0s + 1s + 10s (check \"slow\")"]);
    }

    #[test]
    fn what_has_no_check_never_fails_over() {
        let one = "pool.a = { check = \"fast\", endpoint.a.addresses = [\"192.0.2.1\"] }\n\
                   pool.b = { endpoint.a.addresses = [\"192.0.2.2\"] }\n";
        assert_eq!(
            shown(one),
            [
                "14500ms = 1s x 3 + 500ms + 0s + 1s + 10s (check \"fast\"); never from pool \"b\", which has no check"
            ]
        );
        let none = "pool.a = { endpoint.a.addresses = [\"192.0.2.1\"] }\n\
                    pool.b = { endpoint.a.addresses = [\"192.0.2.2\"] }\n";
        assert_eq!(shown(none), ["never fails over: no pool has a check"]);
    }
}
