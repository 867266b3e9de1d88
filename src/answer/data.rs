//! The answer itself: data, aliases followed, negatives.

use crate::answer::CLASS_IN;
use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::Request;
use crate::answer::hints::has_auto_hints;
use crate::answer::plain_options;
use crate::answer::standing::nsid;
use crate::model::Family;
use crate::snapshot::Snapshot;
use crate::wire::Qname;
use crate::wire::Query;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::Writer;
use crate::wire::compress::NAME_MAX;
use crate::wire::compress::name_len;
use crate::wire::header::HEADER_LEN;
use crate::wire::writer::Full;
use crate::wire::writer::Owner;
use crate::wire::writer::ReplyOptions;
use crate::wire::writer::Section;
use crate::zone::Found;
use crate::zone::Redirection;
use crate::zone::Rrset;
use crate::zone::Zone;

/// Most aliases followed in one answer; then the chain is given as far as it got.
const ALIASES_MAX: usize = 8;

/// TTL of the answer to ANY, in seconds. RFC 8482 section 4.2 leaves it open; its example has an hour.
const ANY_TTL: u32 = 3600;

/// Rdata of HINFO "RFC8482" "" (RFC 8482 section 4.2).
const ANY_RDATA: &[u8] = b"\x07RFC8482\x00";

/// One reply in the making.
pub(super) struct Answering<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) request: &'a Request,
    pub(super) query: &'a Query,
    pub(super) writer: Writer<'a>,
    pub(super) options: ReplyOptions<'a>,
    /// What became of the last steered alias that was followed.
    pub(super) chosen: Option<Happened>,
    truncated: bool,
}

/// What one step of the answer came to.
pub(super) enum Step {
    Done(Rcode, Happened),
    /// Go on at the name that begins at this offset of the reply.
    Follow(usize),
}

/// The zone that answers for a name and type, and what it says; `None` if the name is in no zone of ours.
#[inline(always)] // else its result goes through memory: 30 instructions on the plain A path
pub(super) fn look_up<'s>(
    snapshot: &'s Snapshot,
    name: &Qname,
    qtype: RecordType,
) -> Option<(&'s Zone, Found<'s>)> {
    let in_zone = snapshot.compiled.zones.find(name)?;
    if qtype == RecordType::DS && in_zone.zone.is_apex(name) {
        // The parent's side of a cut has the DS, if that zone is ours too (RFC 4035 section 3.1.4.1).
        if let Some(parent) = snapshot.compiled.zones.find_above(name) {
            return Some((parent.zone, parent_side(parent.zone.find(name, parent.hash, qtype))));
        }
    }
    Some((in_zone.zone, in_zone.zone.find(name, in_zone.hash, qtype)))
}

/// What a parent zone says of the DS of a zone that is loaded here too.
///
/// The child is there even if its parent does not delegate it: never NXDOMAIN, which would deny all names in it
/// (RFC 8020 section 2).
fn parent_side(found: Found<'_>) -> Found<'_> {
    match found {
        Found::Records(_) | Found::Delegation(_) | Found::Redirected(_) | Found::NoData => found,
        Found::Steered(_)
        | Found::SteeredAlias(_)
        | Found::SteeredServices(_)
        | Found::Alias(_)
        | Found::AnyType
        | Found::NxDomain => Found::NoData,
    }
}

impl<'a> Answering<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        request: &'a Request,
        query: &'a Query,
        writer: Writer<'a>,
    ) -> Self {
        let options = plain_options(query, nsid(snapshot, request, query));
        Self { snapshot, request, query, writer, options, chosen: None, truncated: false }
    }

    /// Answers a question of class IN.
    #[inline]
    pub(super) fn answer(mut self) -> Outcome {
        if self.query.qtype == RecordType::TXT {
            if let Some(asked) = self.asks_why() {
                return self.answer_why(&asked, CLASS_IN);
            }
            if self.asks_standing() {
                return self.answer_standing(CLASS_IN);
            }
        }
        match self.follow_aliases() {
            Ok((rcode, happened)) => self.finish(rcode, happened),
            Err(Full) => {
                self.truncate();
                self.finish(Rcode::NoError, Happened::Static)
            }
        }
    }

    /// Takes every record back: the client asks again over TCP.
    pub(super) fn truncate(&mut self) {
        self.writer.truncate();
        self.truncated = true;
    }

    /// Completes the reply.
    #[inline]
    pub(super) fn finish(self, rcode: Rcode, happened: Happened) -> Outcome {
        let reply_len = self.writer.finish(rcode, self.query.edns.as_ref(), &self.options);
        Outcome { reply_len, rcode: Some(rcode), truncated: self.truncated, happened }
    }

    /// Answers for the question's name, then for each name it is an alias of (RFC 1034 section 3.6.2).
    #[inline]
    fn follow_aliases(&mut self) -> Result<(Rcode, Happened), Full> {
        match self.answer_for(&self.query.qname, HEADER_LEN)? {
            Step::Done(rcode, happened) => Ok((rcode, happened)),
            Step::Follow(target) => {
                let (rcode, happened) = self.follow(target)?;
                let is_static = happened == Happened::Static;
                Ok((rcode, self.chosen.filter(|_| is_static).unwrap_or(happened)))
            }
        }
    }

    /// Follows a chain of aliases to its end, to a name that was there before, or to the limit.
    ///
    /// The code is the last name's (RFC 6604 section 3); a chain without end has none, so NOERROR.
    fn follow(&mut self, mut target: usize) -> Result<(Rcode, Happened), Full> {
        let mut owners = [HEADER_LEN; ALIASES_MAX + 1];
        for followed in 1..=ALIASES_MAX {
            // Equal names begin at one place of the reply.
            if owners[..followed].contains(&target) {
                break;
            }
            owners[followed] = target;
            let name = self.writer.name_at(target).expect("a name was written there");
            match self.answer_for(&name, target)? {
                Step::Done(rcode, happened) => return Ok((rcode, happened)),
                Step::Follow(next) => target = next,
            }
        }
        Ok((Rcode::NoError, Happened::Static))
    }

    /// Answers for one name; `owner` is where it begins in the reply.
    #[inline]
    fn answer_for(&mut self, name: &Qname, owner: usize) -> Result<Step, Full> {
        let snapshot: &'a Snapshot = self.snapshot;
        let qtype = self.query.qtype;
        let Some((zone, found)) = look_up(snapshot, name, qtype) else {
            let (rcode, happened) = match owner {
                HEADER_LEN => (Rcode::Refused, Happened::NotOurs),
                _ => (Rcode::NoError, Happened::Static), // the alias leads out of our zones
            };
            return Ok(Step::Done(rcode, happened));
        };
        self.writer.set_authoritative();
        match found {
            Found::Records(rrset) => {
                self.put_answer(zone, rrset, name, owner)?;
                Ok(Step::Done(Rcode::NoError, Happened::Static))
            }
            Found::Steered(steer) => {
                let family = if qtype == RecordType::A { Family::V4 } else { Family::V6 };
                self.put_steered(zone, steer, family, name, owner)
            }
            Found::SteeredAlias(steer) => self.put_steered_alias(steer, owner),
            Found::SteeredServices(steer) => self.put_steered_services(steer, owner),
            Found::Alias(cname) => self.put_alias(zone, cname, owner),
            Found::Redirected(redirection) => self.put_redirection(zone, &redirection, name, owner),
            Found::Delegation(cut) => {
                self.put_referral(zone, &cut, name, owner)?;
                Ok(Step::Done(Rcode::NoError, Happened::Referral))
            }
            Found::AnyType => {
                self.writer.put_record(owner, RecordType::HINFO, ANY_TTL, ANY_RDATA)?;
                Ok(Step::Done(Rcode::NoError, Happened::Static))
            }
            Found::NoData => {
                self.put_negative(zone, name, owner)?;
                Ok(Step::Done(Rcode::NoError, Happened::Static))
            }
            Found::NxDomain => {
                self.put_negative(zone, name, owner)?;
                Ok(Step::Done(Rcode::NxDomain, Happened::Static))
            }
        }
    }

    /// Records of a set; those without names are copied as they are.
    #[inline]
    fn put_answer(
        &mut self,
        zone: &'a Zone,
        rrset: &Rrset,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        if owner == HEADER_LEN && !rrset.rtype.has_names() {
            return self.writer.put_encoded(Section::Answer, zone.records(rrset), rrset.count);
        }
        self.put_answer_with_names(zone, rrset, name, owner)
    }

    /// Records that get shorter, or that point to names whose addresses come with them.
    #[inline(never)]
    fn put_answer_with_names(
        &mut self,
        zone: &'a Zone,
        rrset: &Rrset,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        if has_auto_hints(zone, rrset) {
            self.put_hinted(Section::Answer, zone, rrset, name, Owner::At(owner))?;
        } else {
            let records = zone.records(rrset);
            self.writer.put_set(Section::Answer, Owner::At(owner), records, rrset.count)?;
        }
        self.add_targets(zone, rrset, name);
        Ok(())
    }

    /// A CNAME record, and on to where it leads.
    fn put_alias(&mut self, zone: &Zone, cname: &Rrset, owner: usize) -> Result<Step, Full> {
        let Some((ttl, target)) = ttl_and_target(zone, cname) else {
            return Ok(Step::Done(Rcode::NoError, Happened::Static));
        };
        Ok(Step::Follow(self.writer.put_alias(owner, ttl, target)?))
    }

    /// A DNAME record, and the CNAME that follows from it (RFC 6672 section 3.1).
    fn put_redirection(
        &mut self,
        zone: &Zone,
        redirection: &Redirection<'_>,
        name: &Qname,
        owner: usize,
    ) -> Result<Step, Full> {
        let Redirection { labels, dname } = *redirection;
        // A chain may come back to it; a set is in an answer once (RFC 2181 section 5).
        if !self.writer.has(name.suffix(labels), RecordType::DNAME) {
            let dname_owner = suffix_owner(name, owner, labels);
            self.writer.put_set(Section::Answer, dname_owner, zone.records(dname), dname.count)?;
        }
        let Some((ttl, target)) = ttl_and_target(zone, dname) else {
            return Ok(Step::Done(Rcode::NoError, Happened::Static));
        };
        let before = &name.as_wire()[..name.suffix_start(labels)];
        let mut renamed = [0; NAME_MAX];
        let Some(renamed) = renamed.get_mut(..before.len() + target.len()) else {
            return Ok(Step::Done(Rcode::YxDomain, Happened::Static));
        };
        renamed[..before.len()].copy_from_slice(before);
        renamed[before.len()..].copy_from_slice(target);
        let followed = self.writer.put_alias(owner, ttl, renamed)?;
        // The CNAME is of the name itself: as at any alias, CNAME and ANY end there (RFC 1034 section 3.6.2).
        Ok(match self.query.qtype {
            RecordType::CNAME | RecordType::ANY => Step::Done(Rcode::NoError, Happened::Static),
            _ => Step::Follow(followed),
        })
    }

    /// The SOA that lets a negative answer be cached (RFC 2308 section 3).
    pub(super) fn put_negative(
        &mut self,
        zone: &Zone,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        let soa = zone.records(zone.negative_soa());
        match suffix_owner(name, owner, zone.apex_labels()) {
            Owner::At(apex_at) => self.writer.put_soa(apex_at, zone.apex().as_wire(), soa),
            Owner::Named(apex) => {
                self.writer.put_set(Section::Authority, Owner::Named(apex), soa, 1)
            }
        }
    }
}

/// The last `labels` labels of a name as owner; the name begins at `at` of the reply.
#[inline]
pub(super) fn suffix_owner(name: &Qname, at: usize, labels: usize) -> Owner<'_> {
    match at {
        // The question is written in full, a later name need not be.
        HEADER_LEN => Owner::At(HEADER_LEN + name.suffix_start(labels)),
        _ => Owner::Named(name.suffix(labels)),
    }
}

/// TTL and data of a set of one record that is a name; `None` if it is none.
fn ttl_and_target<'z>(zone: &'z Zone, rrset: &Rrset) -> Option<(u32, &'z [u8])> {
    let ttl = zone.records(rrset).get(6..10)?.try_into().ok()?;
    let target = zone.rdata(rrset).next()?;
    (name_len(target)? == target.len()).then_some((u32::from_be_bytes(ttl), target))
}
