//! Hints of SVCB and HTTPS records that follow the addresses of the name they are for (RFC 9460 section 7.3).
//!
//! `ipv4hint=auto` becomes what the client would get by asking for A, in the same second; where that is nothing, the
//! parameter is left out.

use crate::answer::additional::Target;
use crate::answer::data::Answering;
use crate::answer::data::look_up;
use crate::answer::steered::NoChoice;
use crate::answer::steered::for_each_address;
use crate::model::ANSWERS_MAX;
use crate::model::Family;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::wire::service::IPV4_HINT;
use crate::wire::service::IPV6_HINT;
use crate::wire::service::PARAMETER_HEAD_LEN;
use crate::wire::service::find_auto;
use crate::wire::writer::Full;
use crate::wire::writer::Owner;
use crate::wire::writer::Section;
use crate::zone::Found;
use crate::zone::Rrset;
use crate::zone::Zone;

/// Whether a set has hints that follow addresses.
pub(super) fn has_auto_hints(zone: &Zone, rrset: &Rrset) -> bool {
    let has_hints = rrset.rtype == RecordType::HTTPS || rrset.rtype == RecordType::SVCB;
    has_hints && zone.rdata(rrset).any(|rdata| find_auto(rdata, 0).is_some())
}

/// Which families' hints of a set follow addresses, and whose: each pair once.
pub(super) fn followed(zone: &Zone, rrset: &Rrset, owner: &Qname) -> Vec<(Family, Qname)> {
    let mut all: Vec<(Family, Qname)> = Vec::new();
    if !has_auto_hints(zone, rrset) {
        return all;
    }
    for rdata in zone.rdata(rrset) {
        let mut from = 0;
        while let Some((at, key)) = find_auto(rdata, from) {
            from = at + PARAMETER_HEAD_LEN;
            let Some(name) = followed_name(rrset.rtype, rdata, owner) else { continue };
            let is_known = |(family, other): &(Family, Qname)| {
                *family == family_of(key) && other.as_wire() == name.as_wire()
            };
            if !all.iter().any(is_known) {
                all.push((family_of(key), name));
            }
        }
    }
    all
}

/// The name that a record is for, whose addresses its hints follow; none for an alias.
fn followed_name(rtype: RecordType, rdata: &[u8], owner: &Qname) -> Option<Qname> {
    let target = Target::of(rtype, rdata, owner.as_wire()).filter(|target| !target.is_alias)?;
    Qname::parse(target.name)
}

/// The key of a family's hints.
fn key_of(family: Family) -> u16 {
    match family {
        Family::V4 => IPV4_HINT,
        Family::V6 => IPV6_HINT,
    }
}

/// The family of a hint's key.
fn family_of(key: u16) -> Family {
    if key == IPV4_HINT { Family::V4 } else { Family::V6 }
}

/// Hints of one family for one client, as a whole parameter.
struct Hints {
    octets: [u8; PARAMETER_HEAD_LEN + 16 * ANSWERS_MAX],
    /// 0 if there is none: the parameter is left out.
    len: usize,
    /// How long they hold.
    ttl: u32,
    scope: u8,
}

impl Hints {
    const NONE: Self = Self {
        octets: [0; PARAMETER_HEAD_LEN + 16 * ANSWERS_MAX],
        len: 0,
        ttl: u32::MAX,
        scope: 0,
    };

    /// Adds an address, unless there are [`ANSWERS_MAX`].
    fn push(&mut self, family: Family, address: &[u8]) {
        let start = self.len.max(PARAMETER_HEAD_LEN);
        let Some(room) = self.octets.get_mut(start..start + address.len()) else { return };
        room.copy_from_slice(address);
        self.len = start + address.len();
        self.octets[..2].copy_from_slice(&key_of(family).to_be_bytes());
        self.octets[2..PARAMETER_HEAD_LEN]
            .copy_from_slice(&((self.len - PARAMETER_HEAD_LEN) as u16).to_be_bytes());
    }

    fn as_octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl<'a> Answering<'a> {
    /// Writes a set of SVCB or HTTPS records with the hints for this client; all of it or none.
    ///
    /// They hold no longer than the addresses do, and the reply's scope is that of the addresses looked at.
    pub(super) fn put_hinted(
        &mut self,
        section: Section,
        zone: &'a Zone,
        rrset: &Rrset,
        name: &Qname,
        owner: Owner<'_>,
    ) -> Result<(), Full> {
        let head = zone.records(rrset);
        let mut ttl = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
        // One set has one TTL (RFC 2181 section 5.2).
        for rdata in zone.rdata(rrset).filter(|_| rrset.count > 1) {
            let mut from = 0;
            while let Some((at, key)) = find_auto(rdata, from) {
                let family = family_of(key);
                ttl = ttl.min(self.hints(rrset.rtype, rdata, name, family).ttl);
                from = at + PARAMETER_HEAD_LEN;
            }
        }
        let mark = self.writer.mark();
        for rdata in zone.rdata(rrset) {
            if let Err(Full) = self.put_one_hinted(section, rrset.rtype, ttl, rdata, name, owner) {
                self.writer.rewind(mark);
                return Err(Full);
            }
        }
        Ok(())
    }

    fn put_one_hinted(
        &mut self,
        section: Section,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
        name: &Qname,
        owner: Owner<'_>,
    ) -> Result<(), Full> {
        let mut found = [Hints::NONE, Hints::NONE];
        let mut places = [rdata.len(); 2];
        let mut from = 0;
        // Keys are in ascending order, so that IPv4 comes first.
        while let Some((at, key)) = find_auto(rdata, from) {
            let family = family_of(key);
            found[family.index()] = self.hints(rtype, rdata, name, family);
            places[family.index()] = at;
            from = at + PARAMETER_HEAD_LEN;
        }
        let [v4, v6] = places;
        let after = |at: usize| (at + PARAMETER_HEAD_LEN).min(rdata.len());
        let v4 = v4.min(v6);
        let parts: [&[u8]; 5] = match places[0] == rdata.len() {
            true => [&rdata[..v6], &[], &[], found[1].as_octets(), &rdata[after(v6)..]],
            false => [
                &rdata[..v4],
                found[0].as_octets(),
                &rdata[after(v4)..v6],
                found[1].as_octets(),
                &rdata[after(v6)..],
            ],
        };
        let ttl = found.iter().fold(ttl, |ttl, hints| ttl.min(hints.ttl));
        self.writer.put_parts(section, owner, rtype, ttl, &parts)?;
        if section == Section::Answer {
            found.iter().for_each(|hints| self.widen_scope(hints.scope));
        }
        Ok(())
    }

    /// The addresses of one family that the client would get for the name a record is for.
    fn hints(&self, rtype: RecordType, rdata: &[u8], owner: &Qname, family: Family) -> Hints {
        let mut hints = Hints::NONE;
        let Some(name) = followed_name(rtype, rdata, owner) else { return hints };
        let asked = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        match look_up(self.snapshot, &name, asked) {
            Some((zone, Found::Records(rrset))) => {
                let head = zone.records(rrset);
                hints.ttl = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
                zone.rdata(rrset).for_each(|address| hints.push(family, address));
            }
            Some((_, Found::Steered(steer))) => {
                let (scope, choice) = self.choose_for(steer, family);
                hints.scope = scope;
                match choice {
                    Ok(choice) => {
                        hints.ttl = choice.ttl;
                        let Ok(()) = for_each_address(choice.side, &choice.chosen, |address| {
                            hints.push(family, address);
                            Ok::<(), std::convert::Infallible>(())
                        });
                    }
                    // They are back as soon as anybody is.
                    Err(NoChoice::Nothing { ttl }) => hints.ttl = ttl,
                    Err(NoChoice::NoFamily) => {}
                }
            }
            Some((
                _,
                Found::Alias(_)
                | Found::SteeredAlias(_)
                | Found::SteeredServices(_)
                | Found::Delegation(_)
                | Found::Redirected(_)
                | Found::AnyType
                | Found::NoData
                | Found::NxDomain,
            ))
            | None => {}
        }
        hints
    }
}
