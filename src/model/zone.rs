//! A zone's static records and its steered names.

use crate::model::SteerId;
use crate::wire::Name;
use crate::wire::RecordType;

/// One zone, checked: it has an SOA and NS at its apex, and every owner lies in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// The zone's name.
    pub apex: Name,
    /// Static records, SOA and NS included, in any order.
    pub records: Vec<Record>,
    /// Owners whose A and AAAA are steered.
    pub steered: Vec<(Name, SteerId)>,
}

/// One static resource record of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Absolute owner name.
    pub owner: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Seconds.
    pub ttl: u32,
    /// Wire form without compression, at most 65,535 octets.
    pub rdata: Box<[u8]>,
}
