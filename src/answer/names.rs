//! Steered names whose endpoints are names themselves: one CNAME, or SRV records.
//!
//! The choice is the same for both families, since a name has one verdict.

use crate::answer::data::Answering;
use crate::answer::data::Step;
use crate::answer::steered::Choice;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::Service;
use crate::model::SteerId;
use crate::snapshot::Snapshot;
use crate::steering::plan::Member;
use crate::wire::Qname;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::compress::NAME_MAX;
use crate::wire::writer::Full;

/// The family by which names are chosen: both have the same plan.
pub(super) const EITHER: Family = Family::V4;

impl<'a> Answering<'a> {
    /// The one CNAME of a name that is steered to names, and on to where it leads.
    pub(super) fn put_steered_alias(&mut self, steer: SteerId, owner: usize) -> Result<Step, Full> {
        let (scope, choice) = self.choose_for(steer, EITHER);
        let first = choice.ok().and_then(|choice| {
            let member = choice.chosen.iter().next()?;
            Some((choice, &endpoint(self.snapshot, &choice, member).leaf))
        });
        let Some((choice, Leaf::Cname(target))) = first else {
            return Ok(self.refuse_nothing(steer, EITHER, scope));
        };
        let followed = self.writer.put_alias(owner, choice.ttl, target.as_wire())?;
        self.widen_scope(scope);
        let Choice { selection, is_degraded, .. } = choice;
        let happened = self.note_pass(steer, EITHER, selection, is_degraded);
        // As at any alias, CNAME and ANY end there (RFC 1034 section 3.6.2, RFC 8482 section 4.2).
        Ok(match self.query.qtype {
            RecordType::CNAME | RecordType::ANY => Step::Done(Rcode::NoError, happened),
            _ => {
                self.chosen = Some(happened);
                Step::Follow(followed)
            }
        })
    }

    /// The SRV records of a name that is steered to services, with the addresses of their hosts if those are ours.
    pub(super) fn put_steered_services(
        &mut self,
        steer: SteerId,
        owner: usize,
    ) -> Result<Step, Full> {
        let (scope, choice) = self.choose_for(steer, EITHER);
        let Ok(choice) = choice else { return Ok(self.refuse_nothing(steer, EITHER, scope)) };
        let snapshot: &'a Snapshot = self.snapshot;
        let members = choice.chosen;
        let endpoints = || members.iter().map(|member| endpoint(snapshot, &choice, member));
        let services = || endpoints().filter_map(|one| Some((service(one)?, one.weight)));
        let mut rdata = [0; 6 + NAME_MAX];
        for (service, weight) in services() {
            let len = write_service(service, weight, &mut rdata);
            self.writer.put_record(owner, RecordType::SRV, choice.ttl, &rdata[..len])?;
        }
        self.widen_scope(scope);
        for (position, (service, _)) in services().enumerate() {
            let is_new = services().take(position).all(|(other, _)| other.target != service.target);
            if let Some(host) = Qname::parse(service.target.as_wire()).filter(|_| is_new) {
                self.add_addresses(&host, false);
            }
        }
        let Choice { selection, is_degraded, .. } = choice;
        let happened = self.note_pass(steer, EITHER, selection, is_degraded);
        Ok(Step::Done(Rcode::NoError, happened))
    }
}

/// The endpoint that a chosen member stands for.
fn endpoint<'a>(snapshot: &'a Snapshot, choice: &Choice<'a>, member: &Member) -> &'a Endpoint {
    let pool = &snapshot.compiled.model.pools[choice.selection.pool.index()];
    &pool.endpoints[member.endpoint.index()]
}

fn service(endpoint: &Endpoint) -> Option<&Service> {
    match &endpoint.leaf {
        Leaf::Srv(service) => Some(service),
        Leaf::Addresses { .. } | Leaf::Alias(_) | Leaf::Cname(_) => None,
    }
}

/// Rdata of an SRV record, whose name is never compressed (RFC 2782); returns its length.
fn write_service(service: &Service, weight: u16, out: &mut [u8; 6 + NAME_MAX]) -> usize {
    for (at, number) in [service.priority, weight, service.port].into_iter().enumerate() {
        out[at * 2..at * 2 + 2].copy_from_slice(&number.to_be_bytes());
    }
    let target = service.target.as_wire();
    out[6..6 + target.len()].copy_from_slice(target);
    6 + target.len()
}
