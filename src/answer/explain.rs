//! Why a client gets what it gets: the same look-ups and passes as the answer, with their steps kept.

use std::collections::BTreeSet;
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
use crate::answer::hints::followed;
use crate::answer::names::EITHER;
use crate::answer::steering_report::Asker;
pub use crate::answer::steering_report::MemberReport;
pub use crate::answer::steering_report::Steering;
use crate::answer::steering_report::steering;
use crate::answer::words::target_name;
use crate::model::Family;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::policy::client_prefix_len;
use crate::snapshot::Snapshot;
use crate::wire::Ecs;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::zone::Found;
use crate::zone::Rrset;
use crate::zone::Zone;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// What was taken to be down besides what is.
    #[serde(default)]
    pub supposed_down: Vec<String>,
    /// Endpoints below the name that are not as their probes say: by an order, or by their file.
    #[serde(default)]
    pub states: Vec<String>,
    /// Generation of the snapshot that answered.
    pub generation: u64,
    /// Apex of the zone, if the name is ours.
    pub zone: Option<String>,
    /// What the zone has at the name, in words.
    pub found: String,
    /// How the addresses were chosen, if the name is steered.
    pub steering: Option<Steering>,
    /// How the hints of HTTPS or SVCB records were chosen, if they follow addresses.
    #[serde(default)]
    pub hints: Vec<HintReport>,
    /// The reply's code.
    pub rcode: String,
    /// The reply's answer and authority records, as dig shows them.
    pub records: Vec<String>,
}

/// How the hints of one family were chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HintReport {
    /// `ipv4hint` or `ipv6hint`
    pub parameter: String,
    /// The name whose addresses it has.
    pub name: String,
    /// What the zone has there, in words.
    pub found: String,
    /// How the addresses were chosen, if that name is steered.
    pub steering: Option<Steering>,
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
    let asker = Asker { snapshot, request, client, ecs };
    let steering = match found {
        Some(Found::Steered(steer)) => {
            let family = if rtype == RecordType::A { Family::V4 } else { Family::V6 };
            Some(steering(asker, steer, family))
        }
        Some(Found::SteeredAlias(steer) | Found::SteeredServices(steer)) => {
            Some(steering(asker, steer, EITHER))
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
        states: states_below(snapshot, name),
        generation: snapshot.generation,
        zone: zone.map(|zone| zone.apex().to_string()),
        found: found_text(&snapshot.compiled.model, found.as_ref()),
        steering,
        hints: match (zone, &found) {
            (Some(zone), Some(Found::Records(rrset))) => hint_reports(asker, zone, rrset, &qname),
            _ => Vec::new(),
        },
        rcode: format!("{:?}", reply.metadata.response_code).to_uppercase(),
        records: reply.answers.iter().chain(&reply.authorities).map(ToString::to_string).collect(),
    })
}

/// Endpoints below a steered name that are not as their probes say.
fn states_below(snapshot: &Snapshot, name: &Name) -> Vec<String> {
    let model = &snapshot.compiled.model;
    let steers = model.steers.iter().filter(|steer| steer.owner == *name);
    let pools: BTreeSet<PoolId> =
        steers.flat_map(|steer| model.pools_below(steer.target)).collect();
    let notes = pools.into_iter().flat_map(|pool| snapshot.pools[pool.index()].notes());
    notes.map(ToString::to_string).collect()
}

/// How the hints of a set of HTTPS or SVCB records were chosen.
fn hint_reports(asker: Asker<'_>, zone: &Zone, rrset: &Rrset, owner: &Qname) -> Vec<HintReport> {
    let report = |(family, name): (Family, Qname)| {
        let (parameter, rtype) = match family {
            Family::V4 => ("ipv4hint", RecordType::A),
            Family::V6 => ("ipv6hint", RecordType::AAAA),
        };
        let found = look_up(asker.snapshot, &name, rtype).map(|(_, found)| found);
        HintReport {
            parameter: parameter.into(),
            name: Name::from_wire(name.as_wire()).map(|name| name.to_string()).unwrap_or_default(),
            found: found_text(&asker.snapshot.compiled.model, found.as_ref()),
            steering: match found {
                Some(Found::Steered(steer)) => Some(steering(asker, steer, family)),
                _ => None,
            },
        }
    };
    followed(zone, rrset, owner).into_iter().map(report).collect()
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
