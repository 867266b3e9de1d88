//! How the members of a steered name were chosen: the same look-ups and passes as the answer, with their steps kept.

use std::net::IpAddr;

use serde::Deserialize;
use serde::Serialize;

use crate::answer::Request;
use crate::answer::degraded::Case;
use crate::answer::degraded::degraded_text;
use crate::answer::steered::Subject;
use crate::answer::steered::key_of;
use crate::answer::steered::locate;
use crate::answer::steered::scope_of;
use crate::answer::steered::ttl_of;
use crate::answer::step_report::StepReport;
use crate::answer::words::step_text;
use crate::answer::words::target_name;
use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::PolicyId;
use crate::model::Service;
use crate::model::SteerId;
use crate::snapshot::Classes;
use crate::snapshot::Compiled;
use crate::snapshot::Snapshot;
use crate::snapshot::classes::Classified;
use crate::snapshot::classes::leaf_of;
use crate::steering::Decision;
use crate::steering::Pass;
use crate::steering::Selection;
use crate::steering::Step;
use crate::steering::decide;
use crate::steering::plan::Member;
use crate::steering::rendezvous::key_address;
use crate::steering::rendezvous::seconds_left;
use crate::wire::Ecs;

/// How addresses were chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steering {
    /// The policy or pool the name enters.
    pub entry: String,
    /// The client's network in the place table.
    pub network: String,
    /// What geo data says of it.
    pub place: String,
    /// Where the client's address came from.
    pub source: String,
    /// The client's class among those of the entry, from 0.
    pub class: u16,
    /// How many classes the entry has.
    pub classes: usize,
    /// Each step, in words.
    pub steps: Vec<String>,
    /// The same steps, one for one, for machines.
    #[serde(default)]
    pub trace: Vec<StepReport>,
    /// The pool that answers.
    pub pool: Option<String>,
    /// On what ground, in words.
    pub ground: String,
    /// Members that could answer, those that do first.
    pub members: Vec<MemberReport>,
    /// Seconds.
    pub ttl: u32,
    /// Bits of the client subnet the answer depends on.
    pub scope: u8,
    /// Seconds until the client may get another choice; `None`: never.
    pub choice_lasts_s: Option<u64>,
}

/// A member of the chosen pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// `pool/endpoint`
    pub endpoint: String,
    /// Its address of the asked family; what it is, if it is a name.
    pub address: String,
    /// Its share.
    pub weight: u16,
    /// What is left of it in percent, if the member is degraded; then all weights are multiplied by one factor.
    #[serde(default)]
    pub slow: Option<u8>,
    /// Whether it is in the answer.
    pub chosen: bool,
    /// Whether it is up by the brake alone.
    #[serde(default)]
    pub held_by_brake: bool,
}

impl MemberReport {
    /// What to add to its weight if it is degraded.
    pub fn slow_text(&self) -> String {
        self.slow.map_or_else(String::new, |left| format!(" (degraded to {left} %)"))
    }
}

/// Whose answer is to be explained, by which snapshot.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) request: &'a Request,
    /// Where no client subnet counts it is not looked at.
    pub(super) client: IpAddr,
    pub(super) ecs: Option<Ecs>,
}

/// How members were chosen for the client of a query.
pub(super) fn steering(asker: Asker<'_>, steer: SteerId, family: Family) -> Steering {
    let Asker { snapshot, request, client, ecs } = asker;
    let compiled = &snapshot.compiled;
    let model = &compiled.model;
    let plan = compiled.steer(steer);
    let subject = Subject::seen_by(compiled, plan, ecs.as_ref(), &request.client);
    // Where no client subnet counts, the resolver is the client.
    let client = if subject.from_ecs { client } else { *subject.address };
    let classified = locate(compiled, plan, &subject);
    let route = &compiled.routes[plan.route];
    let classes = &compiled.classes[route.classes];
    let key = key_of(plan, &subject, &request.client, request.unix_s);
    let class = classes.class(classified.class);
    let mut steps = growth(compiled, steer, classes, classified, client);
    let decision =
        decide(class, snapshot.terms(plan.route), &snapshot.pools, family, key, &mut steps);
    let notes = weight_notes(snapshot, &steps);
    if let Decision::Serve(selection) = decision {
        steps.extend(held_up(snapshot, selection, family));
    }
    // The client's own place, though its class may be that of most of its prefix.
    let leaf = leaf_of(&compiled.places, client);
    let network = ipnet::IpNet::new(client, leaf.prefix_len).map(|net| net.trunc().to_string());
    let place = compiled.places.place(leaf.place);
    let mut report = Steering {
        entry: target_name(model, model.steers[steer.index()].target),
        network: network.unwrap_or_default(),
        place: match place.is_unknown() {
            true => "unknown: no geo data for it".into(),
            false => place.to_string(),
        },
        source: source_text(&subject, classified.uniform_len),
        class: classified.class,
        classes: classes.trees().len(),
        steps: notes
            .iter()
            .filter_map(StepReport::shift_text)
            .chain(steps.iter().map(|step| step_text(model, step)))
            .collect(),
        trace: notes
            .iter()
            .cloned()
            .chain(steps.iter().map(|step| StepReport::new(model, step)))
            .collect(),
        pool: None,
        ground: String::new(),
        members: Vec::new(),
        ttl: 0,
        scope: scope_of(route, plan, &subject, classified.uniform_len, family),
        choice_lasts_s: None,
    };
    let case = Case { snapshot, plan, class: classified.class, family, key };
    match decision {
        Decision::Serve(selection) => {
            add_selection(&mut report, case, selection);
            if class.tree.is_keyed() || report.members.len() > 1 {
                let address = key_address(plan.key, subject.address, &request.client);
                report.choice_lasts_s = seconds_left(*address, plan.period, request.unix_s);
            }
        }
        Decision::NoFamily => report.ground = format!("no pool has an {family} address: NODATA"),
        Decision::Nothing => {
            report.ground = format!("{}: SERVFAIL", plain(case.nothing_text()));
        }
    }
    report
}

/// What to say of weights that decided and are not those of the files.
fn weight_notes(snapshot: &Snapshot, steps: &[Step]) -> Vec<StepReport> {
    let compiled = &snapshot.compiled;
    let decided = |policy: PolicyId| {
        steps
            .iter()
            .any(|step| matches!(step, Step::Weighed { policy: other, .. } if *other == policy))
    };
    let notes = compiled.weight_notes.iter().filter(|(policy, _)| decided(**policy));
    notes
        .map(|(policy, note)| StepReport::Shifted {
            policy: compiled.model.policies[policy.index()].name.to_string(),
            note: Some(note.to_string()),
        })
        .collect()
}

/// Members of the chosen pool that are up by the brake alone.
fn held_up(snapshot: &Snapshot, selection: Selection, family: Family) -> Vec<Step> {
    let pool = selection.pool;
    let side = snapshot.pools[pool.index()].family(family);
    let members = selection.members(&snapshot.pools, family);
    let is_member = |id: EndpointId| members.iter().any(|member| member.endpoint == id);
    let held = side.braked.iter().filter(|(endpoint, _)| is_member(*endpoint));
    held.map(|&(endpoint, braked)| Step::HeldUp { pool, endpoint, braked }).collect()
}

/// Why the candidates of the client's class are what they are.
fn growth(
    compiled: &Compiled,
    steer: SteerId,
    classes: &Classes,
    classified: Classified,
    client: IpAddr,
) -> Vec<Step> {
    let own = leaf_of(&compiled.places, client).place;
    let place = classes.place_like(own, classified.class);
    compiled.explain(compiled.model.steers[steer.index()].target, place)
}

/// As whom the server saw the client.
fn source_text(subject: &Subject<'_>, uniform_len: u8) -> String {
    let Subject { address, source_len, from_ecs } = subject;
    match (from_ecs, source_len < &uniform_len) {
        (false, _) => format!("{address} itself, no client subnet"),
        (true, false) => format!("client subnet {address}/{source_len}"),
        (true, true) => format!(
            "client subnet {address}/{source_len}, which has several classes: that of most of it counts"
        ),
    }
}

/// Adds the chosen pool, why it was chosen, and its members.
fn add_selection(report: &mut Steering, case: Case<'_>, selection: Selection) {
    let Case { snapshot, plan, class: _, family, key: _ } = case;
    let members = selection.members(&snapshot.pools, family);
    let choice = case.chosen(selection);
    let side = snapshot.pools[selection.pool.index()].family(family);
    let is_degraded = selection.is_degraded(side, || side.serves_held(&choice));
    let pool = &snapshot.compiled.model.pools[selection.pool.index()];
    report.pool = Some(pool.name.to_string());
    report.ground = match (selection.pass, is_degraded) {
        (Pass::Qualified, false) => "the first pool that keeps min_healthy".into(),
        _ => plain(degraded_text(selection, case.degradation(selection))),
    };
    let chosen: Vec<&Member> = choice.iter().collect();
    let others =
        members.iter().filter(|member| chosen.iter().all(|c| c.endpoint != member.endpoint));
    let all = chosen.iter().map(|&m| (m, true)).chain(others.map(|m| (m, false)));
    let member_report = |(member, chosen): (&Member, bool)| {
        let endpoint = &pool.endpoints[member.endpoint.index()];
        MemberReport {
            endpoint: endpoint.key.to_string(),
            address: leaf_text(endpoint, side.addresses(member.endpoint), family),
            weight: member.weight,
            slow: side.slowness(member.endpoint),
            chosen,
            held_by_brake: side.braked.iter().any(|(held, _)| *held == member.endpoint),
        }
    };
    report.members = all.map(member_report).collect();
    report.ttl = ttl_of(plan, is_degraded);
}

/// The text of an extended error, without who says it.
fn plain(parts: [&str; 4]) -> String {
    parts.concat().trim_start_matches("rhumb: ").to_owned()
}

/// What an endpoint is, in words; `resolved` are its addresses if it is an alias.
fn leaf_text(endpoint: &Endpoint, resolved: &[IpAddr], family: Family) -> String {
    match &endpoint.leaf {
        Leaf::Addresses { .. } => {
            endpoint.address(family).map(|address| address.to_string()).unwrap_or_default()
        }
        Leaf::Alias(target) => {
            let addresses: Vec<String> = resolved.iter().map(ToString::to_string).collect();
            format!("{} (alias {target})", addresses.join(", "))
        }
        Leaf::Cname(target) => format!("CNAME {target}"),
        Leaf::Srv(Service { target, port, priority }) => {
            format!("SRV {target} port {port} priority {priority}")
        }
    }
}
