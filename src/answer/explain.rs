//! Why a client gets what it gets: the same look-ups and passes as the answer, with their steps kept.

use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::rr::Name as ProtoName;
use hickory_proto::rr::RecordType as ProtoType;
use serde::Deserialize;
use serde::Serialize;

use crate::answer::Request;
use crate::answer::Transport;
use crate::answer::answer;
use crate::answer::data::look_up;
use crate::answer::names::EITHER;
use crate::answer::steered::Located;
use crate::answer::steered::Subject;
use crate::answer::steered::degraded_text;
use crate::answer::steered::key_of;
use crate::answer::steered::locate;
use crate::answer::steered::scope_of;
use crate::answer::steered::ttl_of;
use crate::answer::words::step_text;
use crate::answer::words::target_name;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::Service;
use crate::model::SteerId;
use crate::model::policy::client_prefix_len;
use crate::snapshot::Classes;
use crate::snapshot::Compiled;
use crate::snapshot::Snapshot;
use crate::snapshot::SteerPlan;
use crate::snapshot::classes::leaf_of;
use crate::steering::ClientKey;
use crate::steering::Decision;
use crate::steering::Pass;
use crate::steering::Selection;
use crate::steering::Step;
use crate::steering::choose;
use crate::steering::decide;
use crate::steering::plan::Member;
use crate::steering::rendezvous::key_address;
use crate::steering::rendezvous::seconds_left;
use crate::wire::Ecs;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::zone::Found;

/// Whose answer is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The name asked for.
    pub name: String,
    /// The type asked for, as `A`.
    pub rtype: String,
    /// The client on whose behalf is asked; its /24 or /48 is sent as client subnet, as resolvers do.
    pub client: IpAddr,
    /// Who sends the query; the client itself when absent.
    pub resolver: Option<IpAddr>,
    /// The client itself sends the query, without a client subnet.
    #[serde(default)]
    pub direct: bool,
    /// The second it is, since 1970.
    pub unix_s: u64,
}

/// An answer and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// What was taken to be down besides what is.
    #[serde(default)]
    pub supposed_down: Vec<String>,
    /// Generation of the snapshot that answered.
    pub generation: u64,
    /// Apex of the zone, if the name is ours.
    pub zone: Option<String>,
    /// What the zone has at the name, in words.
    pub found: String,
    /// How the addresses were chosen, if the name is steered.
    pub steering: Option<Steering>,
    /// The reply's code.
    pub rcode: String,
    /// The reply's answer and authority records, as dig shows them.
    pub records: Vec<String>,
}

/// How addresses were chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl MemberReport {
    /// What to add to its weight if it is degraded.
    pub fn slow_text(&self) -> String {
        self.slow.map_or_else(String::new, |left| format!(" (degraded to {left} %)"))
    }
}

/// Answers a question as the server would, and says why.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Result<Explanation, String> {
    let name = Name::absolute(&question.name).map_err(|why| format!("{}: {why}", question.name))?;
    let rtype = RecordType::parse(&question.rtype).ok_or_else(|| {
        format!("{} is not a record type; write one such as A or AAAA", question.rtype)
    })?;
    let client = question.client.to_canonical();
    let ecs = match question.direct {
        true => None,
        false => Some(
            Ecs::new(masked(client), client_prefix_len(client))
                .ok_or("the client's prefix is not a subnet")?,
        ),
    };
    let resolver = question.resolver.filter(|_| !question.direct);
    let request = Request {
        client: resolver.unwrap_or(client),
        local: None,
        transport: Transport::Tcp,
        unix_s: question.unix_s,
    };
    explain_query(snapshot, &request, question.clone(), &Asked { name, rtype, ecs })
}

/// A question as a query asks it.
pub(super) struct Asked {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    pub(super) ecs: Option<Ecs>,
}

/// Answers what `asked` asks as the server would, and says why; `question` is only repeated.
pub(super) fn explain_query(
    snapshot: &Snapshot,
    request: &Request,
    question: Question,
    asked: &Asked,
) -> Result<Explanation, String> {
    let &Asked { ref name, rtype, ecs } = asked;
    let client = question.client.to_canonical();
    let reply = ask(snapshot, request, name, rtype, ecs.as_ref())?;
    let qname = Qname::from(name);
    let (zone, found) = look_up(snapshot, &qname, rtype).unzip();
    let steering = match found {
        Some(Found::Steered(steer)) => {
            let family = if rtype == RecordType::A { Family::V4 } else { Family::V6 };
            Some(steering(snapshot, request, steer, family, client, ecs))
        }
        Some(Found::SteeredAlias(steer) | Found::SteeredServices(steer)) => {
            Some(steering(snapshot, request, steer, EITHER, client, ecs))
        }
        Some(
            Found::Records(_)
            | Found::Alias(_)
            | Found::Delegation(_)
            | Found::Redirected(_)
            | Found::AnyType
            | Found::NoData
            | Found::NxDomain,
        )
        | None => None,
    };
    Ok(Explanation {
        question,
        supposed_down: Vec::new(),
        generation: snapshot.generation,
        zone: zone.map(|zone| zone.apex().to_string()),
        found: found_text(&snapshot.compiled.model, found.as_ref()),
        steering,
        rcode: format!("{:?}", reply.metadata.response_code).to_uppercase(),
        records: reply.answers.iter().chain(&reply.authorities).map(ToString::to_string).collect(),
    })
}

/// Sends a real query through [`answer`] and reads the reply with another implementation.
fn ask(
    snapshot: &Snapshot,
    request: &Request,
    name: &Name,
    rtype: RecordType,
    ecs: Option<&Ecs>,
) -> Result<Message, String> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    let name = ProtoName::from_ascii(name.to_string()).map_err(|why| why.to_string())?;
    message.add_query(hickory_proto::op::Query::query(name, ProtoType::from(rtype.0)));
    let mut octets = message.to_vec().map_err(|why| why.to_string())?;
    let mut option = [0; Ecs::WIRE_MAX];
    let len = ecs.map_or(0, |ecs| ecs.write(0, &mut option));
    octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, len as u8]);
    octets.extend_from_slice(&option[..len]);
    octets[11] = 1;
    let query_len = octets.len();
    octets.resize(usize::from(u16::MAX), 0);
    let outcome = answer(snapshot, request, &mut octets, query_len);
    Message::from_vec(&octets[..outcome.reply_len])
        .map_err(|why| format!("our own reply cannot be read: {why}"))
}

fn masked(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 80 << 80).into()),
    }
}

fn found_text(model: &Model, found: Option<&Found<'_>>) -> String {
    match found {
        None => "the name is in none of our zones".into(),
        Some(Found::Records(rrset)) => format!("{} static {} record(s)", rrset.count, rrset.rtype),
        Some(Found::Steered(steer)) => {
            format!("steered by {}", target_name(model, model.steers[steer.index()].target))
        }
        Some(Found::SteeredAlias(steer) | Found::SteeredServices(steer)) => {
            let records = match found {
                Some(Found::SteeredAlias(_)) => LeafRecords::Cname,
                _ => LeafRecords::Srv,
            };
            let entry = target_name(model, model.steers[steer.index()].target);
            format!("{} steered by {entry}", records.text())
        }
        Some(Found::Alias(_)) => "an alias; ask for the name it leads to".into(),
        Some(Found::Delegation(_)) => "delegated to other name servers".into(),
        Some(Found::Redirected(_)) => "below a DNAME; ask for the name it leads to".into(),
        Some(Found::AnyType) => "exists; ANY is answered by RFC 8482".into(),
        Some(Found::NoData) => "exists, without records of that type".into(),
        Some(Found::NxDomain) => "does not exist".into(),
    }
}

fn steering(
    snapshot: &Snapshot,
    request: &Request,
    steer: SteerId,
    family: Family,
    client: IpAddr,
    ecs: Option<Ecs>,
) -> Steering {
    let compiled = &snapshot.compiled;
    let model = &compiled.model;
    let plan = compiled.steer(steer);
    let subject = Subject::seen_by(compiled, plan, ecs, request.client);
    // Where no client subnet counts, the resolver is the client.
    let client = if subject.from_ecs { client } else { subject.address };
    let located = locate(compiled, plan, &subject);
    let route = &compiled.routes[plan.route];
    let classes = &compiled.classes[route.classes];
    let key = key_of(plan, &subject, request.client, request.unix_s);
    let tree = &classes.trees()[usize::from(located.classified.class)];
    let mut steps = growth(compiled, steer, classes, located, client);
    let decision =
        decide(tree, snapshot.terms(plan.route), &snapshot.pools, family, key, &mut steps);
    let notes = weight_notes(snapshot, &steps);
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
        source: source_text(&subject, located.classified.uniform_len),
        class: located.classified.class,
        classes: classes.trees().len(),
        steps: notes.into_iter().chain(steps.iter().map(|step| step_text(model, step))).collect(),
        pool: None,
        ground: String::new(),
        members: Vec::new(),
        ttl: 0,
        scope: scope_of(route, plan, &subject, located.classified.uniform_len, family),
        choice_lasts_s: None,
    };
    match decision {
        Decision::Serve(selection) => {
            add_selection(&mut report, snapshot, plan, selection, family, key);
            if tree.is_keyed() || report.members.len() > 1 {
                let address = key_address(plan.key, subject.address, request.client);
                report.choice_lasts_s = seconds_left(address, plan.period, request.unix_s);
            }
        }
        Decision::NoFamily => report.ground = format!("no pool has an {family} address: NODATA"),
        Decision::Nothing => report.ground = "nothing may be served: SERVFAIL".into(),
    }
    report
}

/// What to say of weights that decided and are not those of the files.
fn weight_notes(snapshot: &Snapshot, steps: &[Step]) -> Vec<String> {
    let compiled = &snapshot.compiled;
    let decided = |policy: PolicyId| {
        steps
            .iter()
            .any(|step| matches!(step, Step::Weighed { policy: other, .. } if *other == policy))
    };
    let mut notes = Vec::new();
    for (&policy, note) in compiled.weight_notes.iter().filter(|(policy, _)| decided(**policy)) {
        let name = &compiled.model.policies[policy.index()].name;
        notes.push(format!("policy {name} is shifted: {note}"));
    }
    notes
}

/// Why the candidates of the client's class are what they are.
fn growth(
    compiled: &Compiled,
    steer: SteerId,
    classes: &Classes,
    located: Located,
    client: IpAddr,
) -> Vec<Step> {
    let own = leaf_of(&compiled.places, client).place;
    let place = classes.place_like(own, located.classified.class);
    compiled.explain(compiled.model.steers[steer.index()].target, place)
}

/// As whom the server saw the client.
fn source_text(subject: &Subject, uniform_len: u8) -> String {
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
fn add_selection(
    report: &mut Steering,
    snapshot: &Snapshot,
    plan: &SteerPlan,
    selection: Selection,
    family: Family,
    key: ClientKey,
) {
    let members = selection.members(&snapshot.pools, family);
    let is_degraded = selection.is_degraded(&snapshot.pools, family);
    let is_panic = selection.is_panic(&snapshot.pools, family);
    let pool = &snapshot.compiled.model.pools[selection.pool.index()];
    report.pool = Some(pool.name.to_string());
    report.ground = match (selection.pass, is_degraded) {
        (Pass::Qualified, false) => "the first pool that keeps min_healthy".into(),
        _ => degraded_text(selection, is_panic).trim_start_matches("rhumb: ").into(),
    };
    let chosen: Vec<&Member> = choose(members, plan.answers, key).iter().collect();
    let others =
        members.iter().filter(|member| chosen.iter().all(|c| c.endpoint != member.endpoint));
    let all = chosen.iter().map(|&m| (m, true)).chain(others.map(|m| (m, false)));
    let member_report = |(member, chosen): (&Member, bool)| {
        let endpoint = &pool.endpoints[member.endpoint.index()];
        let side = snapshot.pools[selection.pool.index()].family(family);
        MemberReport {
            endpoint: endpoint.key.to_string(),
            address: leaf_text(endpoint, side.addresses(member.endpoint), family),
            weight: member.weight,
            slow: side.slowness(member.endpoint),
            chosen,
        }
    };
    report.members = all.map(member_report).collect();
    report.ttl = ttl_of(plan, is_degraded);
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
