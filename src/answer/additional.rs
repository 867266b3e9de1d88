//! Addresses of the names that an answer points to: what fits, never a reason to cut the reply (RFC 2181 section 9).

use crate::answer::data::Answering;
use crate::answer::data::look_up;
use crate::answer::hints::has_auto_hints;
use crate::model::Family;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::wire::compress::name_len;
use crate::wire::writer::Owner;
use crate::wire::writer::Section;
use crate::zone::Found;
use crate::zone::Rrset;
use crate::zone::Zone;

/// Most names looked up for one reply; more than the root has servers.
pub(super) const TARGETS_MAX: usize = 16;

/// A name that data point to.
#[derive(Clone, Copy)]
pub(super) struct Target<'r> {
    /// In wire form.
    pub(super) name: &'r [u8],
    /// It is asked for the same type again: AliasMode of SVCB and HTTPS (RFC 9460 section 2.4.2).
    pub(super) is_alias: bool,
}

impl<'r> Target<'r> {
    /// The name in a record's data; `None` where it says that there is none.
    pub(super) fn of(rtype: RecordType, rdata: &'r [u8], owner: &'r [u8]) -> Option<Self> {
        let before = match rtype {
            RecordType::NS => 0,
            RecordType::MX | RecordType::SVCB | RecordType::HTTPS => 2,
            RecordType::SRV => 6,
            _ => return None,
        };
        let name = rdata.get(before..)?;
        let name = &name[..name_len(name)?];
        let is_service = rtype == RecordType::SVCB || rtype == RecordType::HTTPS;
        let is_alias = is_service && rdata[..2] == [0, 0];
        match name {
            // ServiceMode: the owner itself (RFC 9460 section 2.5.2).
            [0] if is_service && !is_alias => Some(Self { name: owner, is_alias }),
            // No service, no mail, no host (RFC 9460 section 2.5.1, RFC 7505 section 3, RFC 2782).
            [0] => None,
            _ => Some(Self { name, is_alias }),
        }
    }
}

impl<'a> Answering<'a> {
    /// Adds addresses for the names in the data of a set that `owner` has; most types have none.
    pub(super) fn add_targets(&mut self, zone: &'a Zone, rrset: &Rrset, owner: &Qname) {
        let rtype = rrset.rtype;
        let mut done: [&[u8]; TARGETS_MAX] = [&[]; TARGETS_MAX];
        let targets =
            zone.rdata(rrset).filter_map(|rdata| Target::of(rtype, rdata, owner.as_wire()));
        for (position, target) in targets.take(TARGETS_MAX).enumerate() {
            if done[..position].iter().any(|name| name.eq_ignore_ascii_case(target.name)) {
                continue;
            }
            done[position] = target.name;
            let Some(name) = Qname::parse(target.name) else { continue };
            // One that leads to itself is in the answer already.
            if target.is_alias && target.name != owner.as_wire() {
                self.add_service(&name, rtype);
            }
            self.add_addresses(&name, rtype == RecordType::NS);
        }
    }

    /// Adds what AliasMode leads to, if it is ours and there (RFC 9460 section 4.1).
    fn add_service(&mut self, name: &Qname, rtype: RecordType) {
        let Some((zone, Found::Records(rrset))) = look_up(self.snapshot, name, rtype) else {
            return;
        };
        if !has_auto_hints(zone, rrset) {
            return self.add_set(zone, rrset, name);
        }
        // Additional data are kept for everybody (RFC 7871 section 7.3.1), these may be for some.
        if self.query.edns.is_some_and(|edns| edns.ecs.is_some()) {
            return;
        }
        let mark = self.writer.mark();
        let owner = Owner::Named(name.as_wire());
        if self.put_hinted(Section::Additional, zone, rrset, name, owner).is_err() {
            self.writer.rewind(mark);
        }
    }

    /// Adds A and AAAA of a name in our zones, its glue too where a name server is meant.
    pub(super) fn add_addresses(&mut self, name: &Qname, is_server: bool) {
        for (rtype, family) in [(RecordType::A, Family::V4), (RecordType::AAAA, Family::V6)] {
            let Some((zone, found)) = look_up(self.snapshot, name, rtype) else { return };
            match found {
                Found::Records(rrset) => self.add_set(zone, rrset, name),
                Found::Steered(steer) => {
                    let mark = self.writer.mark();
                    if self.put_additional_steered(steer, family, name).is_err() {
                        self.writer.rewind(mark);
                    }
                }
                Found::Delegation(_) if is_server => {
                    if let Some(glue) = zone.find_glue(name, rtype) {
                        self.add_set(zone, glue, name);
                    }
                }
                Found::NoData => {}
                // No alias: what names point to has addresses of its own (RFC 2181 section 10.3).
                Found::Delegation(_)
                | Found::Alias(_)
                | Found::SteeredAlias(_)
                | Found::SteeredServices(_)
                | Found::Redirected(_)
                | Found::AnyType
                | Found::NxDomain => return,
            }
        }
    }

    /// Adds a set whole, or not at all.
    fn add_set(&mut self, zone: &Zone, rrset: &Rrset, name: &Qname) {
        let owner = Owner::Named(name.as_wire());
        // What does not fit is left out: the client asks for it if it needs it.
        let _ = self.writer.put_set(Section::Additional, owner, zone.records(rrset), rrset.count);
    }
}
