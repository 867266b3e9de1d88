//! What a zone says of a name and type (RFC 1034 section 4.3.2, RFC 4592).

use crate::model::LeafRecords;
use crate::model::SteerId;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::zone::Rrset;
use crate::zone::Zone;
use crate::zone::hash::NameHash;
use crate::zone::hash::first_label;
use crate::zone::node::Node;

/// What a zone says of a name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'z> {
    /// Records of the asked type.
    Records(&'z Rrset),
    /// The addresses depend on the client.
    Steered(SteerId),
    /// The name is an alias, and which one depends on the client.
    SteeredAlias(SteerId),
    /// The SRV records depend on the client.
    SteeredServices(SteerId),
    /// The name is an alias: its CNAME record.
    Alias(&'z Rrset),
    /// The name is in somebody else's zone.
    Delegation(Delegation<'z>),
    /// The name is below a DNAME: another one takes its place (RFC 6672).
    Redirected(Redirection<'z>),
    /// The name exists, but any type was asked for (RFC 8482).
    AnyType,
    /// The name exists without records of that type.
    NoData,
    /// The name does not exist, and nothing below it.
    NxDomain,
}

/// A zone cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation<'z> {
    /// Labels of the delegated name.
    pub labels: usize,
    /// Its name servers.
    pub ns: &'z Rrset,
    /// Its delegation signers, if the child is signed.
    pub ds: Option<&'z Rrset>,
}

/// A DNAME above a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirection<'z> {
    /// Labels of the DNAME's owner.
    pub labels: usize,
    /// The one record (RFC 6672 section 2.4).
    pub dname: &'z Rrset,
}

impl Zone {
    /// Labels of the zone's name.
    #[inline]
    pub fn apex_labels(&self) -> usize {
        self.apex_labels
    }

    /// Whether a name that lies in this zone is its apex.
    #[inline]
    pub fn is_apex(&self, qname: &Qname) -> bool {
        qname.label_count() == self.apex_labels
    }

    /// Looks up a name that lies in this zone; `hash` is the name's.
    #[inline]
    pub fn find(&self, qname: &Qname, hash: NameHash, qtype: RecordType) -> Found<'_> {
        match self.find_node(hash, qname.as_wire()) {
            Some((position, node)) => match node.cut() {
                // The parent side of a cut answers for DS only (RFC 4035 section 3.1.4.1).
                Some(cut) if cut != position || qtype != RecordType::DS => self.hidden(cut),
                _ => self.data(node, qtype),
            },
            None => self.find_missing(qname, qtype),
        }
    }

    /// The set of type `rtype` at a name, whether a cut is above it or not: glue.
    pub fn find_glue(&self, name: &Qname, rtype: RecordType) -> Option<&Rrset> {
        let (_, node) = self.find_node(NameHash::of(name), name.as_wire())?;
        self.find_rrset(node, rtype)
    }

    /// What a name that exists has.
    #[inline]
    fn data(&self, node: &Node, qtype: RecordType) -> Found<'_> {
        if let Some((records, steer)) = node.steer() {
            match (records, qtype) {
                (LeafRecords::Addresses, RecordType::A | RecordType::AAAA) => {
                    return Found::Steered(steer);
                }
                // Whatever is asked; ANY too is answered by the alias itself (RFC 8482 section 4.2).
                (LeafRecords::Cname, _) => return Found::SteeredAlias(steer),
                (LeafRecords::Srv, RecordType::SRV) => return Found::SteeredServices(steer),
                (LeafRecords::Addresses | LeafRecords::Srv, _) => {}
            }
        }
        if let Some(rrset) = self.find_rrset(node, qtype) {
            return Found::Records(rrset);
        }
        if let Some(alias) = self.find_rrset(node, RecordType::CNAME) {
            // ANY is answered by the alias itself (RFC 8482 section 4.2), and not followed (RFC 1034 section 3.6.2).
            let is_any = qtype == RecordType::ANY;
            return if is_any { Found::Records(alias) } else { Found::Alias(alias) };
        }
        let has_data = node.steer().is_some() || !self.rrsets(node).is_empty();
        if qtype == RecordType::ANY && has_data { Found::AnyType } else { Found::NoData }
    }

    /// Looks for the closest encloser, and for a wildcard below it.
    fn find_missing(&self, qname: &Qname, qtype: RecordType) -> Found<'_> {
        let mut hash = self.apex_hash(qname);
        let mut encloser: Option<(&Node, NameHash, usize)> = None;
        for labels in self.apex_labels..qname.label_count() {
            if labels > self.apex_labels {
                hash = hash.child(first_label(qname, labels));
            }
            // An ancestor exists only if its own parent does, empty non-terminals included.
            let Some((_, node)) = self.find_node(hash, qname.suffix(labels)) else { break };
            encloser = Some((node, hash, labels));
        }
        let Some((node, hash, labels)) = encloser else { return Found::NxDomain };
        if let Some(cut) = node.cut() {
            return self.hidden(cut);
        }
        if let Some(dname) = self.find_rrset(node, RecordType::DNAME) {
            return Found::Redirected(Redirection { labels, dname });
        }
        if !node.has_wildcard() {
            return Found::NxDomain;
        }
        let mut wildcard = [0u8; 257];
        wildcard[..2].copy_from_slice(b"\x01*");
        let suffix = qname.suffix(labels);
        wildcard[2..2 + suffix.len()].copy_from_slice(suffix);
        match self.find_node(hash.child(b"\x01*"), &wildcard[..2 + suffix.len()]) {
            Some((_, node)) if node.cut().is_none() => self.data(node, qtype),
            _ => Found::NxDomain,
        }
    }

    /// Hash of this zone's apex, by a name that lies in the zone.
    fn apex_hash(&self, qname: &Qname) -> NameHash {
        (1..=self.apex_labels)
            .fold(NameHash::ROOT, |hash, labels| hash.child(first_label(qname, labels)))
    }

    /// What hides the names at or below the node `cut`.
    fn hidden(&self, cut: u32) -> Found<'_> {
        let node = &self.nodes[cut as usize];
        let labels = node.labels();
        match self.find_rrset(node, RecordType::NS) {
            Some(ns) if labels > self.apex_labels => {
                let ds = self.find_rrset(node, RecordType::DS);
                Found::Delegation(Delegation { labels, ns, ds })
            }
            _ => {
                let dname = self.find_rrset(node, RecordType::DNAME);
                let dname = dname.expect("names are hidden by NS records or by a DNAME");
                Found::Redirected(Redirection { labels, dname })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;
    use crate::wire::Name;
    use crate::zonefile::Records;

    fn name(text: &str) -> Name {
        Name::absolute(text).unwrap()
    }

    fn zone() -> Zone {
        let soa = [name("ns.").as_wire(), name("h.").as_wire(), &[0; 16], &[0, 0, 0, 30]].concat();
        let steered = |owner, steer, records| model::Steered {
            owner: name(owner),
            steer: SteerId(steer),
            records,
        };
        let steered = vec![
            steered("www.z.test", 0, LeafRecords::Addresses),
            steered("*.any.z.test", 1, LeafRecords::Addresses),
            steered("cdn.z.test", 2, LeafRecords::Cname),
            steered("_sip._tcp.z.test", 3, LeafRecords::Srv),
            steered("*.alias.z.test", 4, LeafRecords::Cname),
        ];
        let mut records = Records::default();
        let mut record = |owner, rtype, rdata: &[u8]| records.push(&name(owner), rtype, 60, rdata);
        record("z.test", RecordType::SOA, &soa);
        record("z.test", RecordType::NS, name("ns.other.").as_wire());
        record("a.b.c.z.test", RecordType::A, &[192, 0, 2, 1]);
        record("*.w.z.test", RecordType::TXT, b"\x01x");
        record("sub.z.test", RecordType::NS, name("ns.sub.z.test").as_wire());
        record("ns.sub.z.test", RecordType::A, &[192, 0, 2, 53]);
        record("old.z.test", RecordType::CNAME, name("www.z.test").as_wire());
        record("www.z.test", RecordType::MX, b"\0\x0a\0");
        record("moved.z.test", RecordType::DNAME, name("new.test").as_wire());
        record("moved.z.test", RecordType::A, &[192, 0, 2, 9]);
        record("hidden.moved.z.test", RecordType::A, &[192, 0, 2, 10]);
        record("ns.moved.z.test", RecordType::NS, name("ns.other.").as_wire());
        Zone::build(model::Zone::new(name("z.test"), records, steered))
    }

    #[track_caller]
    fn found(qname: &str, qtype: RecordType) -> String {
        let zone = zone();
        let qname = Qname::from(&name(qname));
        match zone.find(&qname, NameHash::of(&qname), qtype) {
            Found::Records(rrset) => format!("records {}", rrset.rtype),
            Found::Steered(id) => format!("steered {}", id.0),
            Found::SteeredAlias(id) => format!("steered alias {}", id.0),
            Found::SteeredServices(id) => format!("steered services {}", id.0),
            Found::Alias(_) => "alias".into(),
            Found::Delegation(cut) => format!("delegation {}", cut.labels),
            Found::Redirected(redirection) => format!("redirected {}", redirection.labels),
            Found::AnyType => "any".into(),
            Found::NoData => "nodata".into(),
            Found::NxDomain => "nxdomain".into(),
        }
    }

    #[test]
    fn exact_names_answer_with_what_they_have() {
        assert_eq!(found("a.b.c.z.test", RecordType::A), "records A");
        assert_eq!(found("a.b.c.z.test", RecordType::AAAA), "nodata");
        assert_eq!(found("WWW.z.test", RecordType::AAAA), "steered 0");
        assert_eq!(found("www.z.test", RecordType::MX), "records MX");
        assert_eq!(found("www.z.test", RecordType::TXT), "nodata");
        assert_eq!(found("www.z.test", RecordType::ANY), "any");
        assert_eq!(found("old.z.test", RecordType::A), "alias");
        assert_eq!(found("old.z.test", RecordType::CNAME), "records CNAME");
        assert_eq!(found("old.z.test", RecordType::ANY), "records CNAME");
    }

    #[test]
    fn a_steered_alias_is_one_for_every_type_and_steered_services_for_srv_only() {
        for rtype in [RecordType::A, RecordType::TXT, RecordType::CNAME, RecordType::ANY] {
            assert_eq!(found("cdn.z.test", rtype), "steered alias 2");
            assert_eq!(found("x.alias.z.test", rtype), "steered alias 4");
        }
        assert_eq!(found("x.cdn.z.test", RecordType::A), "nxdomain");
        assert_eq!(found("_sip._tcp.z.test", RecordType::SRV), "steered services 3");
        assert_eq!(found("_sip._tcp.z.test", RecordType::A), "nodata");
        assert_eq!(found("_sip._tcp.z.test", RecordType::CNAME), "nodata");
        assert_eq!(found("_sip._tcp.z.test", RecordType::ANY), "any");
        assert_eq!(found("_tcp.z.test", RecordType::SRV), "nodata");
    }

    #[test]
    fn empty_non_terminals_exist_and_their_strangers_do_not() {
        assert_eq!(found("b.c.z.test", RecordType::A), "nodata");
        assert_eq!(found("c.z.test", RecordType::ANY), "nodata");
        assert_eq!(found("x.c.z.test", RecordType::A), "nxdomain");
    }

    #[test]
    fn a_wildcard_answers_below_its_closest_encloser_only() {
        assert_eq!(found("q.w.z.test", RecordType::TXT), "records TXT");
        assert_eq!(found("p.q.w.z.test", RecordType::TXT), "records TXT");
        assert_eq!(found("q.w.z.test", RecordType::A), "nodata");
        assert_eq!(found("q.any.z.test", RecordType::A), "steered 1");
        assert_eq!(found("q.z.test", RecordType::A), "nxdomain");
    }

    #[test]
    fn names_at_and_below_a_cut_are_somebody_elses() {
        assert_eq!(found("sub.z.test", RecordType::A), "delegation 3");
        assert_eq!(found("deep.er.sub.z.test", RecordType::A), "delegation 3");
        assert_eq!(found("ns.sub.z.test", RecordType::A), "delegation 3");
        assert_eq!(found("sub.z.test", RecordType::DS), "nodata");
    }

    #[test]
    fn a_dname_hides_what_is_below_it_and_not_itself() {
        assert_eq!(found("moved.z.test", RecordType::DNAME), "records DNAME");
        assert_eq!(found("moved.z.test", RecordType::A), "records A");
        assert_eq!(found("moved.z.test", RecordType::AAAA), "nodata");
        assert_eq!(found("moved.z.test", RecordType::ANY), "any");
        for below in
            ["x.moved.z.test", "y.x.moved.z.test", "hidden.moved.z.test", "ns.moved.z.test"]
        {
            for rtype in [RecordType::A, RecordType::DNAME, RecordType::DS, RecordType::ANY] {
                assert_eq!(found(below, rtype), "redirected 3", "{below}");
            }
        }
    }

    #[test]
    fn a_dname_at_the_apex_hides_all_but_the_apex() {
        let soa = [name("ns.").as_wire(), name("h.").as_wire(), &[0; 20]].concat();
        let mut records = Records::default();
        let mut record = |owner, rtype, rdata: &[u8]| records.push(&name(owner), rtype, 60, rdata);
        record("z.test", RecordType::SOA, &soa);
        record("z.test", RecordType::NS, name("ns.other.").as_wire());
        record("z.test", RecordType::DNAME, name("new.test").as_wire());
        record("a.z.test", RecordType::A, &[192, 0, 2, 10]);
        let zone = Zone::build(model::Zone::new(name("z.test"), records, Vec::new()));
        let find = |text: &str, qtype| {
            let qname = Qname::from(&name(text));
            match zone.find(&qname, NameHash::of(&qname), qtype) {
                Found::Redirected(redirection) => Some(redirection.labels),
                _ => None,
            }
        };
        assert_eq!(find("a.z.test", RecordType::A), Some(2));
        assert_eq!(find("b.a.z.test", RecordType::A), Some(2));
        assert_eq!(find("z.test", RecordType::NS), None);
        assert_eq!(find("z.test", RecordType::A), None);
    }
}
