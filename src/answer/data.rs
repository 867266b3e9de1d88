//! The sections of a reply: data, aliases followed, referrals, negatives.

use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::Request;
use crate::answer::plain_options;
use crate::model::Family;
use crate::snapshot::Snapshot;
use crate::wire::Qname;
use crate::wire::Query;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::Writer;
use crate::wire::header::HEADER_LEN;
use crate::wire::writer::Full;
use crate::wire::writer::ReplyOptions;
use crate::wire::writer::Section;
use crate::zone::Delegation;
use crate::zone::Found;
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
    truncated: bool,
}

/// What one step of the answer came to.
pub(super) enum Step<'a> {
    Done(Rcode, Happened),
    /// Go on at the name of this wire form, whose octets are at this offset of the reply.
    Follow(&'a [u8], usize),
}

impl<'a> Answering<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        request: &'a Request,
        query: &'a Query,
        writer: Writer<'a>,
    ) -> Self {
        let options = plain_options(query, &snapshot.compiled.identity);
        Self { snapshot, request, query, writer, options, truncated: false }
    }

    /// Answers a question of class IN.
    #[inline]
    pub(super) fn answer(mut self) -> Outcome {
        match self.follow_aliases() {
            Ok((rcode, happened)) => self.finish(rcode, happened),
            Err(Full) => {
                self.writer.truncate();
                self.truncated = true;
                self.finish(Rcode::NoError, Happened::Static)
            }
        }
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
        let mut step = self.answer_for(&self.query.qname, HEADER_LEN)?;
        for followed in 0.. {
            match step {
                Step::Done(rcode, happened) => return Ok((rcode, happened)),
                Step::Follow(..) if followed == ALIASES_MAX => break,
                Step::Follow(target, owner) => {
                    let target = Qname::parse(target).expect("rdata of a CNAME is a name");
                    step = self.answer_for(&target, owner)?;
                }
            }
        }
        Ok((Rcode::NoError, Happened::Static))
    }

    /// Answers for one name; `owner` is where its octets are in the reply.
    #[inline]
    fn answer_for(&mut self, name: &Qname, owner: usize) -> Result<Step<'a>, Full> {
        let is_first = owner == HEADER_LEN;
        let snapshot: &'a Snapshot = self.snapshot;
        let Some(in_zone) = snapshot.compiled.zones.find(name) else {
            let (rcode, happened) = match is_first {
                true => (Rcode::Refused, Happened::NotOurs),
                false => (Rcode::NoError, Happened::Static), // the alias leads out of our zones
            };
            return Ok(Step::Done(rcode, happened));
        };
        let zone = in_zone.zone;
        self.writer.set_authoritative();
        match zone.find(name, in_zone.hash, self.query.qtype) {
            Found::Records(rrset) => {
                self.put_answer(zone, rrset, owner)?;
                Ok(Step::Done(Rcode::NoError, Happened::Static))
            }
            Found::Steered(steer) => {
                let family =
                    if self.query.qtype == RecordType::A { Family::V4 } else { Family::V6 };
                self.put_steered(zone, steer, family, name, owner)
            }
            Found::Alias(cname) => {
                let target_at = self.writer.position() + 12;
                self.put_answer(zone, cname, owner)?;
                Ok(match zone.rdata(cname).next() {
                    Some(target) => Step::Follow(target, target_at),
                    None => Step::Done(Rcode::NoError, Happened::Static),
                })
            }
            Found::Delegation(cut) => {
                self.put_referral(zone, &cut, name, owner)?;
                Ok(Step::Done(Rcode::NoError, Happened::Referral))
            }
            Found::AnyType => {
                self.writer.put_record(owner, RecordType(13), ANY_TTL, ANY_RDATA)?;
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

    #[inline]
    fn put_answer(&mut self, zone: &Zone, rrset: &Rrset, owner: usize) -> Result<(), Full> {
        let records = zone.records(rrset);
        if owner == HEADER_LEN {
            self.writer.put_encoded(Section::Answer, records, rrset.count)
        } else {
            self.writer.put_encoded_at(Section::Answer, records, rrset.count, owner)
        }
    }

    /// The SOA that lets a negative answer be cached (RFC 2308 section 3).
    pub(super) fn put_negative(
        &mut self,
        zone: &Zone,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        let soa = zone.negative_soa();
        let labels = zone.apex().labels().count();
        self.writer.put_encoded_at(
            Section::Authority,
            zone.records(soa),
            1,
            owner + name.suffix_start(labels),
        )
    }

    /// A referral: not authoritative, with the glue that is needed to follow it (RFC 9471).
    fn put_referral(
        &mut self,
        zone: &Zone,
        cut: &Delegation<'_>,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        if owner == HEADER_LEN {
            self.writer.clear_authoritative();
        }
        let cut_at = owner + name.suffix_start(cut.labels);
        self.writer.put_encoded_at(
            Section::Authority,
            zone.records(cut.ns),
            cut.ns.count,
            cut_at,
        )?;
        let wants_dnssec = self.query.edns.is_some_and(|edns| edns.dnssec_ok);
        if let Some(ds) = cut.ds.filter(|_| wants_dnssec) {
            self.writer.put_encoded_at(Section::Authority, zone.records(ds), ds.count, cut_at)?;
        }
        for server in zone.rdata(cut.ns).filter_map(Qname::parse) {
            let is_in_domain = server.label_count() >= cut.labels
                && server.suffix(cut.labels) == name.suffix(cut.labels);
            for rtype in [RecordType::A, RecordType::AAAA] {
                let Some(glue) = zone.find_glue(&server, rtype) else { continue };
                let mark = self.writer.mark();
                let put = self.writer.put_encoded_named(
                    Section::Additional,
                    zone.records(glue),
                    glue.count,
                    server.as_wire(),
                );
                match put {
                    Ok(_) => {}
                    // Without in-domain glue the referral cannot be followed: TC (RFC 9471 section 3.1).
                    Err(Full) if is_in_domain => return Err(Full),
                    Err(Full) => self.writer.rewind(mark),
                }
            }
        }
        Ok(())
    }
}
