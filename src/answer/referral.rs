//! Referrals: name servers, signers, and the glue without which they cannot be reached (RFC 9471).

use crate::answer::additional::TARGETS_MAX;
use crate::answer::data::Answering;
use crate::answer::data::suffix_owner;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::wire::header::HEADER_LEN;
use crate::wire::writer::Full;
use crate::wire::writer::Owner;
use crate::wire::writer::Section;
use crate::zone::Delegation;
use crate::zone::Zone;

impl<'a> Answering<'a> {
    /// A referral: not authoritative, unless an alias of ours led to it (RFC 1034 section 4.3.2).
    pub(super) fn put_referral(
        &mut self,
        zone: &'a Zone,
        cut: &Delegation<'_>,
        name: &Qname,
        owner: usize,
    ) -> Result<(), Full> {
        if owner == HEADER_LEN {
            self.writer.clear_authoritative();
        }
        let cut_owner = suffix_owner(name, owner, cut.labels);
        let Delegation { labels, ns, ds } = *cut;
        self.writer.put_set(Section::Authority, cut_owner, zone.records(ns), ns.count)?;
        let wants_dnssec = self.query.edns.is_some_and(|edns| edns.dnssec_ok);
        if let Some(ds) = ds.filter(|_| wants_dnssec) {
            self.writer.put_set(Section::Authority, cut_owner, zone.records(ds), ds.count)?;
        }
        let child = name.suffix(labels);
        let is_in_domain =
            |server: &Qname| server.label_count() >= labels && server.suffix(labels) == child;
        let servers = || zone.rdata(ns).filter_map(Qname::parse);
        // First what the referral cannot do without: it does not fit, so TC (RFC 9471 section 3.1).
        for server in servers().filter(is_in_domain) {
            self.put_glue(zone, &server)?;
        }
        // Then what is good to have (RFC 9471 section 3.2).
        for server in servers().filter(|server| !is_in_domain(server)).take(TARGETS_MAX) {
            self.add_addresses(&server, true);
        }
        Ok(())
    }

    /// Addresses of a server below the cut it serves.
    fn put_glue(&mut self, zone: &Zone, server: &Qname) -> Result<(), Full> {
        for rtype in [RecordType::A, RecordType::AAAA] {
            if let Some(glue) = zone.find_glue(server, rtype) {
                let owner = Owner::Named(server.as_wire());
                let records = zone.records(glue);
                self.writer.put_set(Section::Additional, owner, records, glue.count)?;
            }
        }
        Ok(())
    }
}
