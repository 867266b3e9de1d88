//! Steps of an evaluation for machines: as [`crate::steering::Step`], with names for ids and units in the names of numbers.

use serde::Deserialize;
use serde::Serialize;

use crate::answer::words::rule_targets;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::Target;
use crate::steering::Braked;
use crate::steering::Pass;
use crate::steering::Step;
use crate::steering::trace::Estimate;
use crate::steering::trace::Ground;
use crate::steering::trace::Reason;

/// One step, as JSON shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum StepReport {
    /// Weights decide that are not those of the files.
    Shifted {
        /// Whose weights.
        policy: String,
        /// Which shift, by whom and why; absent where that is not told.
        note: Option<String>,
    },
    /// A rule of a `geo` or `networks` policy fitted the client, or none did.
    Matched {
        /// Whose rules.
        policy: String,
        /// Which rule, from 1; absent for the default.
        rule: Option<u16>,
        /// By what it fitted.
        ground: GroundReport,
        /// Where it leads, in the order of fallback.
        to: Vec<TargetReport>,
        /// Whether a fence ends that list.
        fence: bool,
    },
    /// A target was ranked by `nearest` or `fastest`.
    Ranked {
        /// Whose targets.
        policy: String,
        /// What was ranked.
        target: TargetReport,
        /// Its rank, from 1; equals share one. Absent: it stands as written, behind the ranked ones.
        rank: Option<u16>,
        /// By what.
        estimate: EstimateReport,
    },
    /// A weighted policy's turn.
    Weighed {
        /// Whose weights decided.
        policy: String,
        /// What was chosen.
        target: TargetReport,
        /// Whether it is this client's own share.
        own_share: bool,
        /// Whether it takes overflow of the others.
        takes_overflow: bool,
    },
    /// No candidate has the asked family: targets without spill are considered too.
    WidenedForFamily,
    /// Whoever qualifies stands back: the first of them serves all the same.
    NobodyElseQualifies,
    /// No candidate qualifies, and a fence ends the list.
    Fenced,
    /// A pool was looked at and not taken.
    PassedOver {
        /// In which pass.
        pass: PassReport,
        /// Which pool.
        pool: String,
        /// Why.
        reason: ReasonReport,
    },
    /// A pool was taken.
    Taken {
        /// In which pass.
        pass: PassReport,
        /// Which pool.
        pool: String,
    },
    /// A member of the pool that was taken is up by the brake alone.
    HeldUp {
        /// Which pool.
        pool: String,
        /// `pool/endpoint`
        endpoint: String,
        /// How many of its addresses are down by their probes.
        failing: u16,
        /// How many of them pass again and wait.
        passing: u16,
        /// Since when, in seconds since 1970.
        since_s: u64,
    },
}

/// A pool or a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetReport {
    /// A pool, by name.
    Pool(String),
    /// A policy, by name.
    Policy(String),
}

/// By what a rule fits a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroundReport {
    /// Its continent.
    Continent,
    /// Its country.
    Country,
    /// Its part of a country.
    Subdivision,
    /// The longest prefix of all rules that holds its address.
    Prefix,
    /// Its autonomous system.
    Asn,
    /// No rule fits.
    Default,
}

/// How good a target is for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum EstimateReport {
    /// Nobody knows where the client is.
    Unknown,
    /// By distance.
    Distance {
        /// The target's nearest site.
        site: String,
        /// What the site costs, if cost counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site_cost: Option<f64>,
        /// On the globe.
        distance_m: u64,
        /// After bias.
        biased_m: u64,
    },
    /// By round-trip time.
    RoundTrip {
        /// The target's fastest site.
        site: String,
        /// What the site costs, if cost counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site_cost: Option<f64>,
        /// Microseconds.
        rtt_us: u64,
        /// Whether measurements are part of it; else distance says it.
        measured: bool,
    },
}

/// Which pass, and in pass 3 by which word of `on_all_down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassReport {
    /// Pass 1.
    Qualified,
    /// Pass 2.
    BestShare,
    /// Pass 3: the first pool.
    FailOpen,
    /// Pass 3: the pool of `on_all_down`.
    NamedPool,
    /// Pass 3: who was healthy last.
    LastGood,
}

/// Why a pool was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum ReasonReport {
    /// By configuration it has no address of the asked family.
    LacksFamily,
    /// Too little of it is healthy, in weight, or in members where `min_healthy` counts members.
    BelowMinHealthy {
        /// `IPv4` or `IPv6`.
        family: String,
        /// What is healthy.
        healthy: u32,
        /// What it needs.
        needed: u32,
        /// What is not drained.
        enabled: u32,
    },
    /// It qualifies, and waits for an operator to bring its clients back.
    AwaitsFailback,
    /// It qualifies, and its clients come back by and by: this one not yet.
    Ramping {
        /// How many of them have come back, in percent.
        back_percent: u8,
    },
    /// Its load makes it send its farthest clients elsewhere, and this one is among them.
    Shed {
        /// Sixteenths of its clients that it sends elsewhere.
        shed_sixteenths: u8,
        /// The sixteenth that this client is of: 0 is the nearest, 15 the farthest.
        band: u8,
    },
    /// It has load enough of its own and takes nobody whom another pool sheds.
    Laden,
    /// No member of the asked family passes its probe; another pool has one that does.
    FamilyDown,
    /// No member is healthy.
    NoHealthyMember,
    /// Another pool has a larger healthy share, or an earlier one as large a share.
    SmallerShare,
    /// No member of the asked family is enabled.
    NoEnabledMember,
    /// Nothing is remembered as good.
    NothingRemembered,
}

impl StepReport {
    /// The same without what tells who ordered it and why.
    pub(super) fn without_author(&self) -> Self {
        match self {
            Self::Shifted { policy, note: _ } => {
                Self::Shifted { policy: policy.clone(), note: None }
            }
            Self::Matched { .. }
            | Self::Ranked { .. }
            | Self::Weighed { .. }
            | Self::WidenedForFamily
            | Self::NobodyElseQualifies
            | Self::Fenced
            | Self::PassedOver { .. }
            | Self::Taken { .. }
            | Self::HeldUp { .. } => self.clone(),
        }
    }

    /// A shift in words; every other step is told by what it was made of.
    pub(super) fn shift_text(&self) -> Option<String> {
        match self {
            Self::Shifted { policy, note: Some(note) } => {
                Some(format!("policy {policy} is shifted: {note}"))
            }
            Self::Shifted { policy, note: None } => Some(format!("policy {policy} is shifted")),
            Self::Matched { .. }
            | Self::Ranked { .. }
            | Self::Weighed { .. }
            | Self::WidenedForFamily
            | Self::NobodyElseQualifies
            | Self::Fenced
            | Self::PassedOver { .. }
            | Self::Taken { .. }
            | Self::HeldUp { .. } => None,
        }
    }

    /// A step with the names of `model`.
    pub fn new(model: &Model, step: &Step) -> Self {
        let policy_name = |policy: PolicyId| model.policies[policy.index()].name.to_string();
        let pool_name = |pool: PoolId| model.pools[pool.index()].name.to_string();
        match *step {
            Step::Matched { policy, rule, ground } => {
                let (to, fence) = rule_targets(model, policy, rule);
                Self::Matched {
                    policy: policy_name(policy),
                    rule: rule.map(|rule| rule + 1),
                    ground: ground.into(),
                    to: to.iter().map(|&target| TargetReport::new(model, target)).collect(),
                    fence,
                }
            }
            Step::Ranked { policy, target, estimate, group } => Self::Ranked {
                policy: policy_name(policy),
                target: TargetReport::new(model, target),
                rank: group.map(|group| group + 1),
                estimate: EstimateReport::new(model, policy, estimate),
            },
            Step::Weighed { policy, target, first, spill } => Self::Weighed {
                policy: policy_name(policy),
                target: TargetReport::new(model, target),
                own_share: first,
                takes_overflow: spill,
            },
            Step::WidenedForFamily => Self::WidenedForFamily,
            Step::NobodyElseQualifies => Self::NobodyElseQualifies,
            Step::Fenced => Self::Fenced,
            Step::PassedOver { pass, pool, reason } => {
                Self::PassedOver { pass: pass.into(), pool: pool_name(pool), reason: reason.into() }
            }
            Step::Taken { pass, pool } => Self::Taken { pass: pass.into(), pool: pool_name(pool) },
            Step::HeldUp { pool, endpoint, braked: Braked { failing, passing, since_s } } => {
                let endpoint = &model.pools[pool.index()].endpoints[endpoint.index()];
                Self::HeldUp {
                    pool: pool_name(pool),
                    endpoint: endpoint.key.to_string(),
                    failing,
                    passing,
                    since_s,
                }
            }
        }
    }
}

impl TargetReport {
    fn new(model: &Model, target: Target) -> Self {
        match target {
            Target::Pool(pool) => Self::Pool(model.pools[pool.index()].name.to_string()),
            Target::Policy(policy) => Self::Policy(model.policies[policy.index()].name.to_string()),
        }
    }
}

impl EstimateReport {
    fn new(model: &Model, policy: PolicyId, estimate: Estimate) -> Self {
        let is_cost_counted = model.policies[policy.index()].kind.cheap_within().is_some();
        let of = |site: SiteId| {
            let site = &model.sites[site.index()];
            (site.name.to_string(), is_cost_counted.then_some(site.cost))
        };
        match estimate {
            Estimate::Unknown => Self::Unknown,
            Estimate::Distance { site, metres, biased } => {
                let (site, site_cost) = of(site);
                Self::Distance { site, site_cost, distance_m: metres, biased_m: biased }
            }
            Estimate::RoundTrip { site, micros, is_measured } => {
                let (site, site_cost) = of(site);
                Self::RoundTrip { site, site_cost, rtt_us: micros, measured: is_measured }
            }
        }
    }
}

impl From<Ground> for GroundReport {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::Continent => Self::Continent,
            Ground::Country => Self::Country,
            Ground::Subdivision => Self::Subdivision,
            Ground::Prefix => Self::Prefix,
            Ground::System => Self::Asn,
            Ground::Default => Self::Default,
        }
    }
}

impl From<Pass> for PassReport {
    fn from(pass: Pass) -> Self {
        match pass {
            Pass::Qualified => Self::Qualified,
            Pass::BestShare => Self::BestShare,
            Pass::FailOpen => Self::FailOpen,
            Pass::NamedPool => Self::NamedPool,
            Pass::LastGood => Self::LastGood,
        }
    }
}

impl From<Reason> for ReasonReport {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::LacksFamily => Self::LacksFamily,
            Reason::BelowMinHealthy { family, healthy, needed, enabled } => {
                Self::BelowMinHealthy { family: family.to_string(), healthy, needed, enabled }
            }
            Reason::AwaitsFailback => Self::AwaitsFailback,
            Reason::Ramping { tenths } => Self::Ramping { back_percent: tenths * 10 },
            Reason::Shed { level, band } => Self::Shed { shed_sixteenths: level, band },
            Reason::Laden => Self::Laden,
            Reason::FamilyDown => Self::FamilyDown,
            Reason::NoHealthyMember => Self::NoHealthyMember,
            Reason::SmallerShare => Self::SmallerShare,
            Reason::NoEnabledMember => Self::NoEnabledMember,
            Reason::NothingRemembered => Self::NothingRemembered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::words::step_text;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use crate::model::EndpointId;
    use crate::model::Family;

    const FILE: &str = r#"
[zone]
name = "a.test"
nameservers = ["ns.example.net"]
[site.fra]
latitude = 50
longitude = 8
cost = 0.5
[pool.eu]
site = "fra"
endpoint.a.addresses = ["192.0.2.1"]
[pool.us]
site = "fra"
endpoint.a.addresses = ["192.0.2.2"]
[policy.near]
kind = "nearest"
targets = ["eu", "us"]
[policy.cheap]
kind = "fastest"
targets = ["eu", "us"]
prefer = "cheap"
within = "20ms"
[policy.rules]
kind = "geo"
default = "near"
rule = [{ where = ["continent:EU"], to = ["eu", "near"], fence = true }]
[name.www]
steer = "rules"
"#;

    fn model() -> Model {
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", FILE)]));
        model.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn policy(model: &Model, name: &str) -> PolicyId {
        let at = model.policies.iter().position(|policy| &*policy.name == name);
        PolicyId::at(at.expect("the file has it"))
    }

    /// Every reason, as JSON has it.
    fn reasons() -> Vec<(Reason, &'static str)> {
        vec![
            (Reason::LacksFamily, r#"{"why":"lacks_family"}"#),
            (
                Reason::BelowMinHealthy { family: Family::V6, healthy: 1, needed: 2, enabled: 3 },
                r#"{"why":"below_min_healthy","family":"IPv6","healthy":1,"needed":2,"enabled":3}"#,
            ),
            (Reason::AwaitsFailback, r#"{"why":"awaits_failback"}"#),
            (
                Reason::Shed { level: 2, band: 15 },
                r#"{"why":"shed","shed_sixteenths":2,"band":15}"#,
            ),
            (Reason::Laden, r#"{"why":"laden"}"#),
            (Reason::Ramping { tenths: 3 }, r#"{"why":"ramping","back_percent":30}"#),
            (Reason::FamilyDown, r#"{"why":"family_down"}"#),
            (Reason::NoHealthyMember, r#"{"why":"no_healthy_member"}"#),
            (Reason::SmallerShare, r#"{"why":"smaller_share"}"#),
            (Reason::NoEnabledMember, r#"{"why":"no_enabled_member"}"#),
            (Reason::NothingRemembered, r#"{"why":"nothing_remembered"}"#),
        ]
    }

    /// Every kind of step with everything that can stand in it, as JSON has it.
    fn steps(model: &Model) -> Vec<(Step, String)> {
        let (near, cheap, rules) =
            (policy(model, "near"), policy(model, "cheap"), policy(model, "rules"));
        let (eu, site) = (PoolId(0), SiteId(0));
        let mut steps = Vec::new();
        for (ground, word) in [
            (Ground::Continent, "continent"),
            (Ground::Country, "country"),
            (Ground::Subdivision, "subdivision"),
            (Ground::Prefix, "prefix"),
            (Ground::System, "asn"),
        ] {
            steps.push((
                Step::Matched { policy: rules, rule: Some(0), ground },
                format!(
                    r#"{{"step":"matched","policy":"rules","rule":1,"ground":"{word}","to":[{{"pool":"eu"}},{{"policy":"near"}}],"fence":true}}"#
                ),
            ));
        }
        let mut add = |step: Step, json: &str| steps.push((step, json.to_owned()));
        add(
            Step::Matched { policy: rules, rule: None, ground: Ground::Default },
            r#"{"step":"matched","policy":"rules","rule":null,"ground":"default","to":[{"policy":"near"}],"fence":false}"#,
        );
        let ranked = |policy, estimate, group| Step::Ranked {
            policy,
            target: Target::Pool(eu),
            estimate,
            group,
        };
        add(
            ranked(near, Estimate::Distance { site, metres: 1500, biased: 1200 }, Some(0)),
            r#"{"step":"ranked","policy":"near","target":{"pool":"eu"},"rank":1,"estimate":{"by":"distance","site":"fra","distance_m":1500,"biased_m":1200}}"#,
        );
        add(
            ranked(cheap, Estimate::RoundTrip { site, micros: 9800, is_measured: true }, Some(1)),
            r#"{"step":"ranked","policy":"cheap","target":{"pool":"eu"},"rank":2,"estimate":{"by":"round_trip","site":"fra","site_cost":0.5,"rtt_us":9800,"measured":true}}"#,
        );
        add(
            ranked(near, Estimate::Unknown, None),
            r#"{"step":"ranked","policy":"near","target":{"pool":"eu"},"rank":null,"estimate":{"by":"unknown"}}"#,
        );
        add(
            Step::Weighed {
                policy: near,
                target: Target::Policy(cheap),
                first: true,
                spill: false,
            },
            r#"{"step":"weighed","policy":"near","target":{"policy":"cheap"},"own_share":true,"takes_overflow":false}"#,
        );
        add(Step::WidenedForFamily, r#"{"step":"widened_for_family"}"#);
        add(Step::NobodyElseQualifies, r#"{"step":"nobody_else_qualifies"}"#);
        add(Step::Fenced, r#"{"step":"fenced"}"#);
        for (reason, json) in reasons() {
            add(
                Step::PassedOver { pass: Pass::BestShare, pool: eu, reason },
                &format!(
                    r#"{{"step":"passed_over","pass":"best_share","pool":"eu","reason":{json}}}"#
                ),
            );
        }
        for (pass, word) in [
            (Pass::Qualified, "qualified"),
            (Pass::BestShare, "best_share"),
            (Pass::FailOpen, "fail_open"),
            (Pass::NamedPool, "named_pool"),
            (Pass::LastGood, "last_good"),
        ] {
            let json = format!(r#"{{"step":"taken","pass":"{word}","pool":"eu"}}"#);
            add(Step::Taken { pass, pool: eu }, &json);
        }
        let braked = Braked { failing: 2, passing: 1, since_s: 1_800_000_000 };
        add(
            Step::HeldUp { pool: eu, endpoint: EndpointId(0), braked },
            r#"{"step":"held_up","pool":"eu","endpoint":"eu/a","failing":2,"passing":1,"since_s":1800000000}"#,
        );
        steps
    }

    #[test]
    fn every_kind_of_step_has_its_names_and_numbers_in_json_and_is_read_back() {
        let model = model();
        for (step, json) in steps(&model) {
            let report = StepReport::new(&model, &step);
            assert_eq!(serde_json::to_string(&report).expect("it is plain data"), json);
            assert_eq!(serde_json::from_str::<StepReport>(&json).expect(&json), report);
            assert!(!step_text(&model, &step).is_empty());
        }
    }

    #[test]
    fn a_shift_without_its_author_says_that_there_is_one() {
        let note = Some("next from 5 % to 50 %, by ann: canary".to_owned());
        let shift = StepReport::Shifted { policy: "near".into(), note };
        let json =
            r#"{"step":"shifted","policy":"near","note":"next from 5 % to 50 %, by ann: canary"}"#;
        assert_eq!(serde_json::to_string(&shift).expect("it is plain data"), json);
        let redacted = shift.without_author().shift_text();
        assert_eq!(redacted.as_deref(), Some("policy near is shifted"));
    }

    #[test]
    fn the_manual_has_every_kind_of_step_and_every_reason() {
        let manual = include_str!("../../docs/operations.md");
        let model = model();
        let reports = steps(&model).into_iter().map(|(_, json)| json);
        let reports = reports.chain([r#"{"step":"shifted"}"#.to_owned()]);
        for json in reports {
            let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            let words = [&json["step"], &json["reason"]["why"], &json["ground"], &json["pass"]];
            for word in words.into_iter().filter_map(|word| word.as_str()) {
                assert!(manual.contains(&format!("`{word}`")), "docs/operations.md lacks {word}");
            }
        }
    }
}
