//! Numbers that are the same on every machine, and the seeds of cases.
#![allow(clippy::disallowed_methods, reason = "which cases run is said by the environment")]

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// Runs `case` for each seed, and names the seed of one that fails. Returns how many ran.
///
/// `RHUMB_SEED=7` runs one; `RHUMB_CASES=full` runs 100,000, `RHUMB_CASES=500` so many.
pub fn for_each_seed(usual: u64, case: impl FnMut(u64)) -> u64 {
    for_each_seed_of(usual, 100_000, case)
}

/// The same with another number of cases that are all.
pub fn for_each_seed_of(usual: u64, full: u64, mut case: impl FnMut(u64)) -> u64 {
    let number = |key| std::env::var(key).ok().map(|text| text.parse::<u64>().unwrap_or(full));
    let seeds = match number("RHUMB_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RHUMB_CASES").unwrap_or(usual),
    };
    for seed in seeds.clone() {
        let named = NameOnPanic(seed);
        case(seed);
        drop(named);
    }
    seeds.end - seeds.start
}

/// Prints how to replay a case that fails.
struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay this case with RHUMB_SEED={}", self.0);
        }
    }
}
