//! SRV records as a list of targets (RFC 2782).

use std::sync::Arc;

use crate::discovery::Entry;
use crate::wire::Name;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// Where the service is.
    pub port: u16,
    /// The host; the root says that there is no such service.
    pub target: Name,
}

/// Entries of records: those of the lowest priority are active, all others stand by.
///
/// A weight of 0 means "hardly ever" in SRV and "standby" here, so that active ones have 1 at least.
pub fn entries(records: &[Record]) -> Vec<Entry> {
    let usable = || records.iter().filter(|record| record.target.labels().count() > 0);
    let lowest = usable().map(|record| record.priority).min();
    let entry = |record: &Record| {
        let weight = if Some(record.priority) == lowest { record.weight.max(1) } else { 0 };
        let host = record.target.to_string();
        let target = format!("{}:{}", host.trim_end_matches('.'), record.port);
        Entry { target: target.into(), labels: Arc::default(), weight: Some(weight), offset: 0 }
    };
    usable().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Record {
        Record { priority, weight, port: 8080, target: Name::absolute(target).unwrap() }
    }

    #[test]
    fn the_lowest_priority_is_active_and_the_others_stand_by() {
        let records = [
            record(20, 5, "c.example.net"),
            record(10, 3, "a.example.net"),
            record(10, 0, "b.example.net"),
            record(30, 1, "d.example.net"),
        ];
        let weights = |records: &[Record]| -> Vec<(String, u16)> {
            let entries = entries(records).into_iter();
            entries.map(|one| (one.target.into(), one.weight.unwrap())).collect()
        };
        let host = |name: &str| format!("{name}.example.net:8080");
        assert_eq!(
            weights(&records),
            [(host("c"), 0), (host("a"), 3), (host("b"), 1), (host("d"), 0)]
        );
        assert_eq!(weights(&records[..1]), [(host("c"), 5)], "the lowest that there is");
        assert!(entries(&[record(0, 0, ".")]).is_empty(), "there is no such service");
    }
}
