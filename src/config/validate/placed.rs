//! Records of a zone that is being checked, and where each stands.

use std::collections::HashMap;

use crate::config::problem::Place;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Parsed;
use crate::zonefile::Records;
use crate::zonefile::master;

/// Records, each with its place; those of a TOML file also have a key.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) records: Records,
    places: Vec<master::Place>,
    keys: HashMap<usize, String>,
    /// Whether every record could be read.
    pub(super) is_whole: bool,
    /// Whether records of a TOML file found no room.
    pub(super) is_overfull: bool,
}

impl Placed {
    /// What a master file holds; `is_whole` says whether that is every record of it.
    pub(super) fn of(parsed: Parsed, is_whole: bool) -> Self {
        let Parsed { records, places, faults: _ } = parsed;
        Self { records, places, keys: HashMap::new(), is_whole, is_overfull: false }
    }

    /// Adds a record that stands under a key of a TOML file, unless the zone is full.
    pub(super) fn push(
        &mut self,
        owner: &Name,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
        (place, key): (&Place, &str),
    ) {
        if self.records.is_full() {
            self.is_overfull = true;
            return;
        }
        self.keys.insert(self.records.len(), key.to_owned());
        self.records.push(owner, rtype, ttl, rdata);
        let Place { file, span } = place;
        self.places.push(master::Place {
            file: file.0 as u32,
            start: span.start as u32,
            end: span.end as u32,
        });
    }

    /// Where a record stands.
    pub(super) fn place(&self, position: usize) -> Place {
        self.places[position].into()
    }

    /// The key a record stands under; empty in a master file.
    pub(super) fn key(&self, position: usize) -> &str {
        self.keys.get(&position).map_or("", String::as_str)
    }
}
