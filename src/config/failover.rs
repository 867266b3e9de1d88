//! How long a failover of each steered name takes at worst: what checks, quorum, propagation and TTL add up to.

use std::time::Duration;

use crate::config::duration::tell;
use crate::model::Check;
use crate::model::CheckId;
use crate::model::Model;
use crate::model::Pool;
use crate::model::Steer;

/// The formula, as it is shown.
pub const FORMULA: &str = "interval x fall + timeout + quorum + propagation + TTL";

/// Until votes have become a verdict on a node alone: it decides by its own probes, at once.
pub const QUORUM_ALONE: Duration = Duration::ZERO;

/// The same in a cluster, bounded from above: a shard of votes is said at most every 200 ms, is pushed at once and has
/// reached every node within a second; the rest is what gossip needs where a push was lost.
pub const QUORUM_CLUSTER: Duration = Duration::from_millis(1500);

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
    /// Until votes have become a verdict.
    pub quorum: Duration,
    /// Of the answer, as resolvers keep it.
    pub ttl: Duration,
}

impl Terms {
    fn new(check: &Check, interval: Duration, quorum: Duration, steer: &Steer) -> Self {
        Self {
            check: check.name.to_string(),
            interval,
            quorum,
            fall: check.fall,
            timeout: check.timeout,
            ttl: Duration::from_secs(steer.ttl.into()),
        }
    }

    /// The sum.
    pub fn total(&self) -> Duration {
        self.interval * u32::from(self.fall) + self.timeout + self.quorum + PROPAGATION + self.ttl
    }
}

/// One line: `63s = 10s x 3 + 2s + 0s + 1s + 30s (check "web")`.
impl std::fmt::Display for Failover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(terms) = &self.slowest {
            let Terms { check, interval, fall, timeout, quorum, ttl } = terms;
            let [total, interval, timeout, quorum, propagation, ttl] =
                [terms.total(), *interval, *timeout, *quorum, PROPAGATION, *ttl].map(tell);
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

/// Every steered name, in the order of the files, on a node that stands alone.
pub fn failovers(model: &Model) -> Vec<Failover> {
    let as_written = |_: &Pool, check: CheckId| model.checks[check.index()].interval;
    failovers_with(model, QUORUM_ALONE, as_written)
}

/// The same where votes take so long to become a verdict, and checks of a pool have these intervals.
pub fn failovers_with(
    model: &Model,
    quorum: Duration,
    interval: impl Fn(&Pool, CheckId) -> Duration,
) -> Vec<Failover> {
    model.steers.iter().map(|steer| failover(model, quorum, &interval, steer)).collect()
}

fn failover(
    model: &Model,
    quorum: Duration,
    interval: &impl Fn(&Pool, CheckId) -> Duration,
    steer: &Steer,
) -> Failover {
    let mut pools = model.pools_below(steer.target);
    pools.sort_unstable();
    pools.dedup();
    let pools = pools.into_iter().map(|pool| &model.pools[pool.index()]);
    let (checked, unchecked): (Vec<_>, Vec<_>) = pools.partition(|pool| pool.check.is_some());
    // Of a check that is made of others the slowest part counts.
    let of_pool = |pool: &Pool| {
        let leaves = pool.check.map_or_else(Vec::new, |id| model.leaves(id));
        leaves.into_iter().map(|id| (id, interval(pool, id))).collect::<Vec<_>>()
    };
    let probed = checked.iter().flat_map(|pool| of_pool(pool));
    let terms =
        probed.map(|(id, interval)| Terms::new(&model.checks[id.index()], interval, quorum, steer));
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
    fn in_a_cluster_votes_and_stretched_intervals_are_in_it() {
        let text = "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n\
                    [check.c]\nkind = \"http\"\ninterval = \"1s\"\n\
                    [pool.a]\ncheck = \"c\"\nendpoint.a.addresses = [\"192.0.2.1\"]\n\
                    [policy.p]\nkind = \"failover\"\ntargets = [\"a\"]\n\
                    [name.www]\nsteer = \"p\"\nttl = \"10s\"\n";
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", text)]));
        let model = model.unwrap_or_else(|| panic!("{problems:?}"));
        let told = failovers_with(&model, QUORUM_CLUSTER, |_, _| Duration::from_secs(2));
        assert_eq!(told[0].to_string(), "19.5s = 2s x 3 + 1s + 1.5s + 1s + 10s (check \"c\")");
    }

    #[test]
    fn what_has_no_check_never_fails_over() {
        let one = "pool.a = { check = \"fast\", endpoint.a.addresses = [\"192.0.2.1\"] }\n\
                   pool.b = { endpoint.a.addresses = [\"192.0.2.2\"] }\n";
        assert_eq!(
            shown(one),
            [
                "14.5s = 1s x 3 + 500ms + 0s + 1s + 10s (check \"fast\"); never from pool \"b\", which has no check"
            ]
        );
        let none = "pool.a = { endpoint.a.addresses = [\"192.0.2.1\"] }\n\
                    pool.b = { endpoint.a.addresses = [\"192.0.2.2\"] }\n";
        assert_eq!(shown(none), ["never fails over: no pool has a check"]);
    }
}
