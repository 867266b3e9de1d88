//! What is wrong with a cluster, in words: nothing, if all is well.

use std::time::Duration;

use crate::config::duration::spell;
use crate::control::cluster::clocks::apart_text;
use crate::control::cluster::clocks::is_off;
use crate::control::cluster::status::ClusterStatus;
use crate::control::cluster::status::MemberStatus;
use crate::control::effect::count;
use crate::model::Role;

/// So long a connection may be missing: both ends dial again within seconds, and who has died is dead by then.
const UNLINKED_TOLD_S: u64 = 15;

/// Everything that somebody should look at, what concerns most first.
pub fn troubles(status: &ClusterStatus) -> Vec<String> {
    let mut all = Vec::new();
    if status.too_few_voters > 0 {
        let targets = count(status.too_few_voters, "target");
        all.push(format!("too few sites vote on {targets}: their verdicts are held"));
    }
    all.extend(status.faults.iter().cloned());
    all.extend(status.members.iter().filter_map(of_member));
    let alarms = status.drift.iter().filter(|drift| drift.is_alarm);
    all.extend(alarms.map(ToString::to_string));
    all.extend(of_clocks(status));
    if status.unprobed > 0 {
        let targets = count(status.unprobed, "target");
        all.push(format!("this node's prober has had no result of {targets} for three intervals"));
    }
    all.extend(status.hook_fault.clone());
    let unreachable = status.bus.as_ref().filter(|bus| !bus.is_reachable);
    all.extend(unreachable.map(|bus| format!("the bus is unreachable: {}", bus.why)));
    if status.bus.is_none() && !is_agent(status) {
        all.extend(status.members.iter().filter_map(link_of));
    }
    all
}

/// Whose clock is wrong: that of this node, if most others say so.
fn of_clocks(status: &ClusterStatus) -> Vec<String> {
    let others = || status.members.iter().filter(|one| one.is_live && !one.is_this);
    let off: Vec<(&MemberStatus, i64)> = others()
        .filter_map(|member| Some((member, member.clock_ahead_ms.filter(|ms| is_off(*ms))?)))
        .collect();
    let ahead = off.iter().filter(|(_, ms)| *ms > 0).count();
    if off.len() >= 2 && off.len() * 2 > others().count() && [0, off.len()].contains(&ahead) {
        let mut all: Vec<i64> = off.iter().map(|(_, ms)| *ms).collect();
        all.sort_unstable();
        let apart = apart_text(-all[all.len() / 2]);
        let names: Vec<&str> = off.iter().map(|(member, _)| &*member.node).collect();
        return vec![format!("this node's clock is {apart} those of {}", names.join(", "))];
    }
    let told = |(member, ms): (&MemberStatus, i64)| {
        let MemberStatus { node, site, .. } = member;
        format!("the clock of {node} at {site} is {} that of this node", apart_text(ms))
    };
    off.into_iter().map(told).collect()
}

/// What is wrong with the connection that every two servers should have.
fn link_of(member: &MemberStatus) -> Option<String> {
    let MemberStatus { node, site, role, is_this, is_live, unlinked_s, .. } = member;
    let missed_s = unlinked_s.filter(|seconds| *seconds >= UNLINKED_TOLD_S)?;
    let is_due = *role == Role::Server.word() && *is_live && !is_this;
    let missed = spell(Duration::from_secs(missed_s));
    is_due.then(|| {
        format!("no connection with {node} at {site} for {missed}: it is heard through others")
    })
}

fn is_agent(status: &ClusterStatus) -> bool {
    let own = status.members.iter().find(|member| member.is_this);
    own.is_some_and(|own| own.role == Role::Agent.word())
}

fn of_member(member: &MemberStatus) -> Option<String> {
    let MemberStatus { node, site, is_this, is_live, heard_ms, is_isolated, .. } = member;
    let who = match is_this {
        true => format!("this node, {node} at {site},"),
        false => format!("{node} at {site}"),
    };
    if !is_live {
        let since = match heard_ms {
            Some(ms) => format!("not heard for {}", spell(Duration::from_secs(ms / 1000))),
            None => "never heard".to_owned(),
        };
        return Some(format!("{who} is dead: {since}, its votes do not count"));
    }
    if !is_isolated {
        return None;
    }
    let why = member.isolated_for.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
    let is_withdrawn = if member.is_withdrawn { "; it has withdrawn" } else { "" };
    Some(format!("{who} is isolated{why}, its votes do not count{is_withdrawn}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::cluster::drift::DriftStatus;
    use crate::control::cluster::status::BusStatus;

    fn member(node: &str) -> MemberStatus {
        MemberStatus {
            node: node.into(),
            site: "fra".into(),
            role: "server".into(),
            is_live: true,
            ..MemberStatus::default()
        }
    }

    fn of(members: Vec<MemberStatus>) -> ClusterStatus {
        ClusterStatus { members, ..ClusterStatus::default() }
    }

    #[test]
    fn nothing_is_wrong_with_nodes_that_live_and_are_connected() {
        let own = MemberStatus { is_this: true, unlinked_s: Some(99), ..member("fra-1") };
        let agent =
            MemberStatus { role: "agent".into(), unlinked_s: Some(99), ..member("office-1") };
        let young = MemberStatus { unlinked_s: Some(14), ..member("iad-1") };
        let drift = DriftStatus { what: "config".into(), since_s: 59, ..DriftStatus::default() };
        let status =
            ClusterStatus { disagreeing: 3, drift: vec![drift], ..of(vec![own, agent, young]) };
        assert_eq!(troubles(&status), Vec::<String>::new());
    }

    #[test]
    fn a_clock_that_is_off_is_named_and_if_most_are_it_is_this_nodes() {
        let with = |node: &str, ms| MemberStatus { clock_ahead_ms: Some(ms), ..member(node) };
        let own = MemberStatus { is_this: true, ..member("fra-1") };
        let well = of(vec![own.clone(), with("iad-1", 1000), with("sin-1", -1000)]);
        assert_eq!(troubles(&well), Vec::<String>::new());
        let one = of(vec![own.clone(), with("iad-1", 3210), with("sin-1", -80)]);
        assert_eq!(
            troubles(&one),
            ["the clock of iad-1 at fra is 3.2 s ahead of that of this node"]
        );
        let dead = MemberStatus { is_live: false, heard_ms: Some(9), ..with("iad-1", 3210) };
        assert_eq!(troubles(&of(vec![own.clone(), dead])).len(), 1, "the dead have none");
        let most = of(vec![own, with("iad-1", -3000), with("sin-1", -3100), with("syd-1", 0)]);
        assert_eq!(troubles(&most), ["this node's clock is 3.0 s ahead of those of iad-1, sin-1"]);
    }

    #[test]
    fn over_a_bus_nobody_is_connected_with_anybody_and_the_bus_must_be_there() {
        let far = MemberStatus { unlinked_s: Some(99), ..member("iad-1") };
        let bus = |is_reachable| BusStatus { is_reachable, ..BusStatus::default() };
        let over = |is_reachable| {
            troubles(&ClusterStatus { bus: Some(bus(is_reachable)), ..of(vec![far.clone()]) })
        };
        assert_eq!(over(true), Vec::<String>::new());
        assert_eq!(over(false).len(), 1);
    }

    #[test]
    fn whatever_is_wrong_is_told_and_who_it_is() {
        let own = MemberStatus {
            is_this: true,
            is_isolated: true,
            is_withdrawn: true,
            isolated_for: Some("its anchors fail".into()),
            ..member("fra-1")
        };
        let dead = MemberStatus { is_live: false, heard_ms: Some(61_000), ..member("sin-1") };
        let never = MemberStatus { is_live: false, ..member("syd-1") };
        let far = MemberStatus { unlinked_s: Some(15), ..member("iad-1") };
        let drift = DriftStatus { what: "config".into(), is_alarm: true, ..DriftStatus::default() };
        let status = ClusterStatus {
            too_few_voters: 2,
            unprobed: 1,
            hook_fault: Some("the hook fails".into()),
            faults: vec!["another process speaks as this node".into()],
            drift: vec![drift],
            ..of(vec![own, dead, never, far])
        };
        let all = troubles(&status);
        let begins = [
            "too few sites vote on 2 targets",
            "another process speaks as this node",
            "this node, fra-1 at fra, is isolated (its anchors fail), its votes do not count; it has",
            "sin-1 at fra is dead: not heard for 61s",
            "syd-1 at fra is dead: never heard",
            "config differs",
            "this node's prober has had no result of 1 target",
            "the hook fails",
            "no connection with iad-1 at fra",
        ];
        assert_eq!(all.len(), begins.len(), "{all:#?}");
        for (text, begin) in all.iter().zip(begins) {
            assert!(text.starts_with(begin), "{text}");
        }
    }
}
