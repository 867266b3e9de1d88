//! Weighted rendezvous hashing: every node, platform and version chooses alike.
//!
//! The hash is fixed and documented in `docs/decisions/0004-rendezvous-hash.md`; golden vectors guard it.
//!
//! A choice among alternatives with weights `w` takes the least `-log2(u) / w`, where `u` is uniform in (0, 1] and
//! made of the client key and the alternative: the same order as the greatest `-w / ln(u)`. Removing an
//! alternative moves only its own clients; changing a weight moves the least share that can be moved.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::model::KeySource;
use crate::model::Period;
use crate::model::policy::client_prefix_len;

/// Key of the SipHash-2-4 that names are hashed with. Never changes: it is part of the meaning of an answer.
const SEED: &[u8; 16] = b"rhumb rendezvous";

/// What a choice is keyed by: one client in one time bucket asking for one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey(pub u64);

/// Hash of a name: of an owner, a weighted target or a pool member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameSeed(pub u64);

impl NameSeed {
    /// Hashes the parts of a name: each with its length before it, so that no two names run together.
    fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = SipHasher24::new_with_key(SEED);
        for part in parts {
            hasher.write_u64((part.len() as u64).to_le());
            hasher.write(part);
        }
        Self(hasher.finish())
    }

    /// The steered owner name in wire form, or its affinity.
    pub fn of_owner(owner: &[u8]) -> Self {
        Self::of(&[b"owner", owner])
    }

    /// A target of a weighted policy.
    pub fn of_target(policy: &str, target: &str) -> Self {
        Self::of(&[b"target", policy.as_bytes(), target.as_bytes()])
    }

    /// A pool to which clients come back by and by.
    pub fn of_pool(pool: &str) -> Self {
        Self::of(&[b"pool", pool.as_bytes()])
    }

    /// An endpoint of a pool; `key` is `pool/endpoint`.
    pub fn of_member(key: &str) -> Self {
        Self::of(&[b"member", key.as_bytes()])
    }
}

impl ClientKey {
    /// The key of a client.
    ///
    /// `client` is masked to /24 or /48 first. The bucket is `floor((unix_s + phase) / period)`; the phase differs from
    /// client to client, so that not all of them move in one second.
    #[inline]
    pub fn of(client: IpAddr, period: Period, unix_s: u64, owner: NameSeed) -> Self {
        let client = mix(masked(client));
        let bucket = match period {
            Period::Forever => 0,
            Period::Every(period) => {
                let period_s = period.as_secs().max(1);
                // Shifted by one so that no bucket is the 0 of `Forever`.
                unix_s.wrapping_add(mix(client) % period_s) / period_s + 1
            }
        };
        Self(mix(client ^ mix(bucket) ^ owner.0))
    }
}

impl ClientKey {
    /// Whether this client is among so many tenths of all; whoever is stays so when there are more.
    #[inline]
    pub fn is_within_tenths(self, seed: NameSeed, tenths: u8) -> bool {
        self.tenth(seed) < tenths
    }

    /// The tenth of all clients it belongs to, 0 to 9: the first digit of `hash / 2^64`.
    #[inline]
    fn tenth(self, seed: NameSeed) -> u8 {
        ((u128::from(mix(self.0 ^ seed.0)) * 10) >> 64) as u8
    }
}

/// Seconds that a client's choice still lasts; `None` if it lasts for ever.
pub fn seconds_left(client: IpAddr, period: Period, unix_s: u64) -> Option<u64> {
    let Period::Every(period) = period else { return None };
    let period_s = period.as_secs().max(1);
    let phase = mix(mix(masked(client))) % period_s;
    Some(period_s - unix_s.wrapping_add(phase) % period_s)
}

/// Whose address is the key: `resolver` where the name says so, else `client`.
#[inline]
pub fn key_address(source: KeySource, client: IpAddr, resolver: IpAddr) -> IpAddr {
    match source {
        KeySource::Client => client,
        KeySource::Resolver => resolver,
    }
}

/// The client's prefix as a number: 24 bits of IPv4, or 48 bits of IPv6 with the top bit set.
#[inline]
fn masked(client: IpAddr) -> u64 {
    let bits = u32::from(client_prefix_len(client));
    match client {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> (32 - bits)),
        IpAddr::V6(v6) => (v6.to_bits() >> (128 - bits)) as u64 | 1 << 63,
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every input bit moves every output bit.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let z = mix_but_last(value);
    z ^ (z >> 31)
}

/// The finalizer without its last step, which leaves the top 31 bits as they are.
#[inline]
fn mix_but_last(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// Bits of [`far`].
pub(super) const FAR_BITS: u32 = 31;

/// `1 - u` of an alternative in units of 2^-31, rounded down: cheaper than the whole hash.
#[inline]
pub(super) fn far(key: ClientKey, alternative: NameSeed) -> u64 {
    !mix_but_last(key.0 ^ alternative.0) >> (64 - FAR_BITS)
}

/// How far an alternative is from being chosen; the least wins. Weight 0 comes after every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// `-log2(u)` in units of 2^-40, at least 1.
    log: u64,
    weight: u16,
}

impl Score {
    /// The score of one alternative for one client.
    #[inline]
    pub fn of(key: ClientKey, alternative: NameSeed, weight: u16) -> Self {
        Self { log: negative_log2(mix(key.0 ^ alternative.0)), weight }
    }

    /// Whether this alternative is chosen before `other`. Never true both ways.
    #[inline]
    pub fn beats(self, other: Self) -> bool {
        // log/weight compared by cross multiplication: 47 + 16 bits fit.
        let (this, that) = (self.log * u64::from(other.weight), other.log * u64::from(self.weight));
        match (self.weight, other.weight) {
            (0, 0) => self.log < other.log,
            (0, _) => false,
            (_, 0) => true,
            _ => this < that,
        }
    }
}

/// A score to beat, of a weight above 0. Most alternatives that do not are known to without their logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    score: Score,
    /// An alternative whose `1 - u` is at least this for each unit of its weight loses. In units of 2^-40.
    per_weight: u64,
}

impl Bar {
    /// The bar that a score sets; `None` if its weight is 0: everything with a weight beats it.
    #[inline]
    pub fn new(score: Score) -> Option<Self> {
        let weight = u64::from(score.weight);
        // -log2(u) >= (1 - u) / ln 2, which is more than 23/16 (1 - u); one unit more for what is rounded down.
        let least = ((score.log + weight) * 16).checked_div(23 * weight)?;
        Some(Self { score, per_weight: least + 1 })
    }

    /// The score of an alternative if it is chosen before: the same as by [`Score::of`] and [`Score::beats`].
    #[inline]
    pub fn beaten_by(self, key: ClientKey, alternative: NameSeed, weight: u16) -> Option<Score> {
        let hash = mix(key.0 ^ alternative.0);
        if self.refuses(hash, weight) {
            return None;
        }
        let score = Score { log: negative_log2(hash), weight };
        score.beats(self.score).then_some(score)
    }

    /// Whether an alternative is known to lose; if not it may still. Weight 0 always loses.
    #[inline]
    pub fn is_out_of_reach(self, key: ClientKey, alternative: NameSeed, weight: u16) -> bool {
        self.refuses(mix(key.0 ^ alternative.0), weight)
    }

    #[inline]
    fn refuses(self, hash: u64, weight: u16) -> bool {
        !hash >> (64 - FRACTION_BITS) >= self.per_weight * u64::from(weight)
    }
}

/// `-ln(u)` of a hash, as the table has it.
#[cfg(test)]
pub(super) fn natural_log_of(hash: u64) -> f64 {
    negative_log2(hash) as f64 / (1u64 << FRACTION_BITS) as f64 * std::f64::consts::LN_2
}

/// Bits after the binary point of a logarithm.
const FRACTION_BITS: u32 = 40;

/// Bits of the mantissa that index the table.
const TABLE_BITS: u32 = 10;

/// `log2(1 + i / 1024)` in units of 2^-40, for i of 0 to 1024.
static LOG2: [u64; (1 << TABLE_BITS) + 1] = log2_table();

/// `-log2(hash / 2^64)` in units of 2^-40, at least 1; a hash of 0 counts as 1.
///
/// Integer arithmetic only, so that it is the same to the bit everywhere. Error below 2e-7.
#[inline]
fn negative_log2(hash: u64) -> u64 {
    let hash = hash.max(1);
    let zeros = hash.leading_zeros();
    let mantissa = hash << zeros << 1; // without the leading one
    let index = (mantissa >> (64 - TABLE_BITS)) as usize;
    let within = mantissa << TABLE_BITS >> 34; // 30 bits
    let (low, high) = (LOG2[index], LOG2[index + 1]);
    let log = low + (((high - low) * within) >> 30);
    (((u64::from(zeros) + 1) << FRACTION_BITS) - log).max(1)
}

/// Fills [`LOG2`] by squaring: each squaring of the mantissa gives one bit of its logarithm.
const fn log2_table() -> [u64; (1 << TABLE_BITS) + 1] {
    let mut table = [0; (1 << TABLE_BITS) + 1];
    let mut i = 0;
    while i < 1 << TABLE_BITS {
        let mut x = ((1 << TABLE_BITS) + i as u128) << (62 - TABLE_BITS); // 1.0 is 2^62
        let mut log = 0u64;
        let mut bit = 0;
        while bit < FRACTION_BITS {
            x = (x * x) >> 62;
            log <<= 1;
            if x >= 1 << 63 {
                log |= 1;
                x >>= 1;
            }
            bit += 1;
        }
        table[i] = log;
        i += 1;
    }
    table[1 << TABLE_BITS] = 1 << FRACTION_BITS;
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_logarithm_is_right_to_a_millionth_and_exact_at_powers_of_two() {
        for exponent in 1..64 {
            assert_eq!(negative_log2(1 << exponent), (64 - exponent) << 40, "2^{exponent}");
        }
        let mut hash = 1u64;
        for _ in 0..100_000 {
            hash = mix(hash);
            let exact = -(hash as f64 / 2f64.powi(64)).log2();
            let ours = negative_log2(hash) as f64 / 2f64.powi(40);
            assert!((ours - exact).abs() < 1e-6, "{hash}: {ours} against {exact}");
        }
        assert_eq!(negative_log2(u64::MAX), 1);
    }

    #[test]
    fn who_is_passed_over_without_a_logarithm_loses_with_it() {
        let mut state = 7u64;
        let mut draw = || {
            state = mix(state);
            state
        };
        let mut seen = [0; 2];
        for round in 0..400_000 {
            let (key, other) = (ClientKey(draw()), NameSeed(draw()));
            let weights = [0, 1, 1, 2, 3, 100, 101, 65_535];
            let weight = |draw: u64| weights[(draw % 8) as usize];
            let (own, theirs) = (weight(draw()), weight(draw()));
            // Any score, and scores as small as those of the best of many.
            let log = (draw() >> (18 + round % 46)).max(1);
            let best = Score { log, weight: theirs };
            let score = Score::of(key, other, own);
            let expected = score.beats(best).then_some(score);
            let Some(bar) = Bar::new(best) else {
                assert_eq!(theirs, 0);
                continue;
            };
            assert_eq!(bar.beaten_by(key, other, own), expected, "{own}, {best:?}");
            seen[usize::from(expected.is_some())] += 1;
        }
        assert!(seen.iter().all(|count| *count > 20_000), "{seen:?}");
    }

    #[test]
    fn whoever_is_just_beaten_or_just_not_is_told_from_the_other() {
        let mut hash = 3u64;
        for round in 0..400_000 {
            hash = mix(hash);
            let near_one = !(hash >> (round % 64));
            let log = negative_log2(near_one);
            for (own, theirs) in [(1, 1), (7, 7), (65_535, 65_535), (3, 2), (2, 3), (1, 65_535)] {
                let score = Score { log, weight: own };
                let equal = (log * theirs).div_ceil(u64::from(own)).max(1);
                for other in [equal.saturating_sub(1).max(1), equal, equal + 1] {
                    let best = Score { log: other, weight: theirs as u16 };
                    let bar = Bar::new(best).unwrap();
                    let loses = !near_one >> 24 >= bar.per_weight * u64::from(own);
                    assert!(!(loses && score.beats(best)), "{near_one}, {own}, {best:?}");
                }
            }
        }
    }

    #[test]
    fn the_logarithm_never_rises() {
        let mut before = u64::MAX;
        for step in 0..1u64 << 16 {
            let log = negative_log2(step << 48 | 0x5555);
            assert!(log <= before);
            before = log;
        }
    }

    /// These numbers are the meaning of every keyed answer ever given: a change here moves all clients of all users.
    #[test]
    fn golden_vectors() {
        let owner = NameSeed::of_owner(b"\x03www\x04shop\x04test\x00");
        let member = NameSeed::of_member("eu/fra-1");
        let target = NameSeed::of_target("canary", "next");
        assert_eq!([owner.0, member.0, target.0], GOLDEN[..3]);
        let hour = Period::Every(Duration::from_secs(3600));
        let v4 = ClientKey::of("198.51.100.7".parse().unwrap(), hour, 1_800_000_000, owner);
        let v6 = ClientKey::of("2001:db8::7".parse().unwrap(), Period::Forever, 0, owner);
        assert_eq!([v4.0, v6.0], GOLDEN[3..5]);
        assert_eq!(Score::of(v4, member, 2).log, GOLDEN[5]);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf, "SplitMix64 of seed 0");
    }

    /// Computed by a separate program from the text of the decision record; the last is within the
    /// table's error (3e-8) of the exact 144,382,683,092.
    const GOLDEN: [u64; 6] = [
        5_065_721_141_825_495_543,
        15_857_616_725_650_185_221,
        14_016_358_325_869_594_550,
        2_903_524_471_281_039_088,
        3_999_802_431_788_125_557,
        144_382_716_389,
    ];
}
