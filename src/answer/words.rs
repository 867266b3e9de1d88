//! Steps of an evaluation in words.

use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::SiteId;
use crate::model::Target;
use crate::rtt::text::spell_instant;
use crate::steering::Braked;
use crate::steering::Pass;
use crate::steering::Step;
use crate::steering::trace::Estimate;
use crate::steering::trace::Ground;
use crate::steering::trace::Reason;

/// A pool or policy with its kind.
pub(crate) fn target_name(model: &Model, target: Target) -> String {
    match target {
        Target::Pool(pool) => format!("pool {}", model.pools[pool.index()].name),
        Target::Policy(policy) => format!("policy {}", model.policies[policy.index()].name),
    }
}

/// One step in words.
pub fn step_text(model: &Model, step: &Step) -> String {
    let pool_name = |pool: crate::model::PoolId| &model.pools[pool.index()].name;
    match *step {
        Step::Matched { policy, rule, ground } => matched_text(model, policy, rule, ground),
        Step::Ranked { policy, target, estimate, group } => {
            let name = &model.policies[policy.index()].name;
            let rank = match group {
                Some(group) => format!("rank {}", group + 1),
                None => "as written".into(),
            };
            let estimate = estimate_text(model, policy, estimate);
            format!("policy {name}: {rank}: {}: {estimate}", target_name(model, target))
        }
        Step::Weighed { policy, target, first, spill } => {
            let policy = &model.policies[policy.index()].name;
            let target = target_name(model, target);
            let why = match (first, spill) {
                (true, _) => "this client's share",
                (false, true) => "takes overflow",
                (false, false) => "considered although it takes no overflow",
            };
            format!("policy {policy} -> {target}: {why}")
        }
        Step::WidenedForFamily => {
            "no candidate has that address family: targets without spill count too".into()
        }
        Step::NobodyElseQualifies => {
            "nobody else qualifies: the first that stands back serves all the same".into()
        }
        Step::Fenced => {
            "no candidate qualifies, and a fence ends the list: nothing behind it is served".into()
        }
        Step::Taken { pass, pool } => {
            format!("{}: pool {} taken", pass_name(pass), pool_name(pool))
        }
        Step::PassedOver { pass, pool, reason } => {
            let (pass, pool) = (pass_name(pass), pool_name(pool));
            format!("{pass}: pool {pool} passed over: {}", reason_text(reason, pool))
        }
        Step::HeldUp { pool, endpoint, braked } => {
            let endpoint = &model.pools[pool.index()].endpoints[endpoint.index()].key;
            format!("member {endpoint}: {}", braked_text(braked))
        }
    }
}

/// Since when and why the brake holds an endpoint up.
fn braked_text(braked: Braked) -> String {
    let Braked { failing, passing, since_s } = braked;
    let since = spell_instant(since_s);
    match (failing, passing) {
        (0, _) => format!("held up by the brake since {since}: passes again, but has to wait"),
        (1, 0) => format!("held up by the brake: its probe says down since {since}"),
        (_, 0) => format!("held up by the brake: {failing} probes say down since {since}"),
        (_, _) => format!(
            "held up by the brake since {since}: {failing} probes say down, {passing} pass again but have to wait"
        ),
    }
}

fn pass_name(pass: Pass) -> &'static str {
    match pass {
        Pass::Qualified => "pass 1",
        Pass::BestShare => "pass 2",
        Pass::FailOpen | Pass::NamedPool | Pass::LastGood => "pass 3",
    }
}

fn reason_text(reason: Reason, pool: &str) -> String {
    match reason {
        Reason::LacksFamily => "it has no address of that family".into(),
        Reason::BelowMinHealthy { family, enabled: 0, .. } => {
            format!("no {family} member is enabled, all are drained")
        }
        Reason::BelowMinHealthy { family, healthy, needed, enabled } => {
            format!("{family} healthy {healthy} of {enabled}, needs {needed}")
        }
        Reason::AwaitsFailback => {
            format!("it qualifies, but waits for `rhumb failback {pool} --reason ...`")
        }
        Reason::Ramping { tenths } => {
            format!("its clients come back by and by, {} % so far, this one not yet", tenths * 10)
        }
        Reason::Shed { level, band } => format!(
            "its load makes it shed the farthest {level} of 16 parts of its clients, this one is in part {} from the nearest",
            band + 1
        ),
        Reason::Laden => {
            "it has load enough of its own to take nobody whom another pool sheds".into()
        }
        Reason::FamilyDown => {
            "no member of that family passes its probe, another pool has one that does".into()
        }
        Reason::NoHealthyMember => "no member is healthy".into(),
        Reason::SmallerShare => {
            "another pool has a larger healthy share, or an earlier one as large a share".into()
        }
        Reason::NoEnabledMember => "no member is enabled".into(),
        Reason::NothingRemembered => "nothing is remembered as good".into(),
    }
}

/// Where a rule of a policy leads, or its default, and whether a fence ends that.
pub(super) fn rule_targets(
    model: &Model,
    policy: PolicyId,
    rule: Option<u16>,
) -> (&[Target], bool) {
    match &model.policies[policy.index()].kind {
        PolicyKind::Geo(rules) => rules.list(rule),
        PolicyKind::Networks(rules) => rules.list(rule),
        PolicyKind::Failover(_)
        | PolicyKind::Nearest { .. }
        | PolicyKind::Weighted(_)
        | PolicyKind::Fastest { .. }
        | PolicyKind::All { .. } => (&[], false),
    }
}

/// Which rule of a policy fits the client, and by what.
fn matched_text(model: &Model, policy: PolicyId, rule: Option<u16>, ground: Ground) -> String {
    let name = &model.policies[policy.index()].name;
    let (to, fence) = rule_targets(model, policy, rule);
    let to: Vec<_> = to.iter().map(|&target| target_name(model, target)).collect();
    let fence = if fence { ", fenced" } else { "" };
    let which = match (rule, ground) {
        (None, _) => "no rule fits, the default counts".into(),
        (Some(rule), Ground::Continent) => format!("rule {} fits by continent", rule + 1),
        (Some(rule), Ground::Country) => format!("rule {} fits by country", rule + 1),
        (Some(rule), Ground::Subdivision) => format!("rule {} fits by subdivision", rule + 1),
        (Some(rule), Ground::Prefix) => format!("rule {} fits by the longest prefix", rule + 1),
        (Some(rule), Ground::System) => format!("rule {} fits by autonomous system", rule + 1),
        (Some(rule), Ground::Default) => format!("rule {} fits", rule + 1),
    };
    format!("policy {name}: {which}: {}{fence}", to.join(", "))
}

fn estimate_text(model: &Model, policy: PolicyId, estimate: Estimate) -> String {
    let site_text = |site: SiteId| {
        let site = &model.sites[site.index()];
        match model.policies[policy.index()].kind.cheap_within() {
            Some(_) => format!("{} (cost {})", site.name, site.cost),
            None => site.name.to_string(),
        }
    };
    match estimate {
        Estimate::Unknown => "the client's place is unknown".into(),
        Estimate::Distance { site, metres, biased } if metres == biased => {
            format!("{} km to {}", metres / 1000, site_text(site))
        }
        Estimate::Distance { site, metres, biased } => {
            let (metres, biased) = (metres / 1000, biased / 1000);
            format!("{metres} km to {}, {biased} km with bias", site_text(site))
        }
        Estimate::RoundTrip { site, micros, is_measured } => {
            let ground = if is_measured { "measured" } else { "by distance" };
            let (whole, tenths) = (micros / 1000, micros % 1000 / 100);
            format!("{whole}.{tenths} ms to {}, {ground}", site_text(site))
        }
    }
}
