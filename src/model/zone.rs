//! A zone's static records and its steered names.

use crate::model::LeafRecords;
use crate::model::SteerId;
use crate::wire::Name;
use crate::zonefile::Gathered;
use crate::zonefile::Owners;
use crate::zonefile::Records;

/// One zone, checked: it has an SOA and NS at its apex, and every owner lies in it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The zone's name.
    pub apex: Name,
    /// Static records, SOA and NS included. Compilation moves them into its tables.
    pub records: Records,
    /// The same records by owner, without duplicates.
    pub owners: Gathered,
    /// Owners whose addresses, alias or services are steered.
    pub steered: Vec<Steered>,
}

impl Zone {
    /// A zone of records that have been checked.
    pub fn new(apex: Name, records: Records, steered: Vec<Steered>) -> Self {
        let owners = Owners::new(&records).into_gathered();
        Self { apex, records, owners, steered }
    }

    /// Moves the records out; apex and steered names stay here too.
    pub fn take_records(&mut self) -> Self {
        let (records, owners) =
            (std::mem::take(&mut self.records), std::mem::take(&mut self.owners));
        Self { apex: self.apex.clone(), records, owners, steered: self.steered.clone() }
    }
}

/// A steered owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Steered {
    /// Its name.
    pub owner: Name,
    /// Its steering.
    pub steer: SteerId,
    /// What it answers with.
    pub records: LeafRecords,
}
