//! What a node says each second: that it lives, how its own network is, and digests of what it has.
//!
//! ```text
//!   0       1       2                                    34      38           46        54        62     70
//!   +-------+-------+------------------------------------+-------+------------+---------+---------+------+ - - - -
//!   | 3     | flags | config, geo, rtt, verdicts: 8 each | votes | generation | said at | records | unix | later versions
//!   +-------+-------+------------------------------------+-------+------------+---------+---------+------+ - - - -
//!   flags: 1 isolated; 2 anchors pass, 4 anchors fail; 8 withdrawn
//!   said at: milliseconds of the speaker's monotonic clock; unix: milliseconds of its wall clock
//!   version 1 ends before generation, version 2 before records
//! ```

use std::time::Duration;

use crate::model::Anchors;

/// Version that this one writes; a later one only adds octets.
const VERSION: u8 = 3;
/// Octets of the second version.
const LEN_SECOND: usize = 54;
/// Octets of the first version: what every beat has.
const LEN_MIN: usize = 38;

const ISOLATED: u8 = 1;
const ANCHORS_PASS: u8 = 2;
const ANCHORS_FAIL: u8 = 4;
const WITHDRAWN: u8 = 8;

/// First octets of the digests of what a node has: nodes with the same ones answer alike. 0: it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// Files.
    pub config: u64,
    /// Geo data.
    pub geo: u64,
    /// Round-trip times that count.
    pub rtt: u64,
    /// Verdicts.
    pub verdicts: u64,
    /// Orders and other records, as they count; 0: it does not tell.
    pub records: u64,
}

/// What a node says each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Its prober has lost its own network: none of its words counts.
    pub is_isolated: bool,
    /// What its anchors tell.
    pub anchors: Anchors,
    /// What it has.
    pub digests: Digests,
    /// How many targets it has a vote on.
    pub votes: u32,
    /// Clients are led to others: its hook has withdrawn it.
    pub is_withdrawn: bool,
    /// Which of its snapshots is in force; 0 if it does not say.
    pub generation: u64,
    /// When it says so, on its own monotonic clock, to the millisecond; zero if it does not tell.
    pub said_at: Duration,
    /// What its wall clock shows, since 1970, to the millisecond; zero if it does not tell.
    pub unix: Duration,
}

/// What a node serves, as it says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Digests of what it has.
    pub digests: Digests,
    /// Which of its snapshots is in force.
    pub generation: u64,
    /// What its wall clock shows.
    pub unix: Duration,
}

impl Beat {
    /// As octets.
    pub fn to_octets(self) -> Box<[u8]> {
        let anchors = match self.anchors {
            Anchors::Unset => 0,
            Anchors::Pass => ANCHORS_PASS,
            Anchors::Fail => ANCHORS_FAIL,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.is_isolated, ISOLATED) | flag(self.is_withdrawn, WITHDRAWN);
        let mut octets = vec![VERSION, anchors | flags];
        let Digests { config, geo, rtt, verdicts, records } = self.digests;
        for digest in [config, geo, rtt, verdicts] {
            octets.extend(digest.to_be_bytes());
        }
        octets.extend(self.votes.to_be_bytes());
        octets.extend(self.generation.to_be_bytes());
        let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
        octets.extend(ms(self.said_at));
        octets.extend(records.to_be_bytes());
        octets.extend(ms(self.unix));
        octets.into()
    }

    /// Of octets; `None` if they are none of a beat.
    pub fn of_octets(octets: &[u8]) -> Option<Self> {
        if octets.len() < LEN_MIN || octets[0] == 0 {
            return None;
        }
        let flags = octets[1];
        let anchors = match flags & (ANCHORS_PASS | ANCHORS_FAIL) {
            0 => Anchors::Unset,
            ANCHORS_PASS => Anchors::Pass,
            _ => Anchors::Fail,
        };
        // What a former version does not say is zero.
        let number = |at: usize, len: usize| {
            let octets = octets.get(at..at + len).unwrap_or_default();
            octets.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet))
        };
        let is_second = octets.len() >= LEN_SECOND;
        let [config, geo, rtt, verdicts] = [2, 10, 18, 26].map(|at| number(at, 8));
        Some(Self {
            is_isolated: flags & ISOLATED != 0,
            anchors,
            digests: Digests { config, geo, rtt, verdicts, records: number(54, 8) },
            votes: number(34, 4) as u32,
            is_withdrawn: flags & WITHDRAWN != 0,
            generation: if is_second { number(38, 8) } else { 0 },
            said_at: Duration::from_millis(if is_second { number(46, 8) } else { 0 }),
            unix: Duration::from_millis(number(62, 8)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Octets of this version.
    const LEN: usize = 70;

    #[test]
    fn a_beat_is_read_as_it_was_said_and_a_later_version_too() {
        for anchors in [Anchors::Unset, Anchors::Pass, Anchors::Fail] {
            for is_isolated in [false, true] {
                let digests =
                    Digests { config: 1, geo: u64::MAX, rtt: 3, verdicts: 1 << 40, records: 9 };
                let (is_withdrawn, generation) = (!is_isolated, 1 << 50);
                let (votes, said_at) = (70_000, Duration::from_millis(1 << 40));
                let beat = Beat {
                    is_isolated,
                    anchors,
                    digests,
                    votes,
                    is_withdrawn,
                    generation,
                    said_at,
                    unix: Duration::from_millis(1 << 41),
                };
                let mut octets = beat.to_octets().to_vec();
                assert_eq!((octets.len(), Beat::of_octets(&octets)), (LEN, Some(beat)));
                octets[0] = 4;
                octets.extend([7; 9]);
                assert_eq!(Beat::of_octets(&octets), Some(beat));
                assert_eq!(Beat::of_octets(&octets[..LEN_MIN - 1]), None);
                // What former versions say of themselves.
                octets.truncate(LEN_SECOND);
                octets[0] = 2;
                let digests = Digests { records: 0, ..beat.digests };
                let beat = Beat { digests, unix: Duration::ZERO, ..beat };
                assert_eq!(Beat::of_octets(&octets), Some(beat));
                octets.truncate(LEN_MIN);
                (octets[0], octets[1]) = (1, octets[1] & !WITHDRAWN);
                let said_at = Duration::ZERO;
                let first = Beat { is_withdrawn: false, generation: 0, said_at, ..beat };
                assert_eq!(Beat::of_octets(&octets), Some(first));
            }
        }
        assert_eq!(Beat::of_octets(&[]), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_beat_or_none(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let beat = Beat::of_octets(&octets);
            prop_assert_eq!(beat.is_some(), octets.len() >= LEN_MIN && octets[0] > 0);
        }
    }
}
