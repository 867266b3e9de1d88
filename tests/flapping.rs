//! Endpoints that flap, by simulation from seeds: changes an hour are bounded, and one that stays well always comes back.
//!
//! `RHUMB_SEED=7` replays one case.

#[path = "worlds/random.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod random;

use std::time::Duration;

use random::Random;
use random::for_each_seed;
use rhumb::health::Observation;
use rhumb::health::Thresholds;
use rhumb::health::Tracker;
use rhumb::model::Verdict;

/// Endpoints simulated in an everyday run.
const CASES: u64 = 300;

/// Falls of one endpoint in one hour, at most, with the defaults: four from a clean sheet, then three for each wait
/// of 20 minutes; or one each six minutes, which is seldom enough to be borne.
const FALLS_MAX: usize = 11;

/// The defaults of a check, probed every 2 seconds so that flaps are many.
fn thresholds(damping: Option<Duration>) -> Thresholds {
    Thresholds { fall: 3, rise: 5, hold_down: Duration::from_secs(60), damping }
}

const HALF_LIFE: Option<Duration> = Some(Duration::from_secs(600));
const INTERVAL: Duration = Duration::from_secs(2);

/// An endpoint in a bad mood: it fails and passes for stretches of random length.
struct Mood {
    passes: bool,
    left: u64,
    /// Longest stretches of failing and of passing, in probes.
    longest: [u64; 2],
}

impl Mood {
    fn new(random: &mut Random) -> Self {
        let longest = [*random.pick(&[3, 5, 20]), *random.pick(&[6, 30, 60, 200, 400])];
        Self { passes: true, left: 1, longest }
    }

    fn next(&mut self, random: &mut Random) -> Observation {
        self.left -= 1;
        if self.left == 0 {
            self.passes = !self.passes;
            self.left = 1 + random.below(self.longest[usize::from(self.passes)]);
        }
        if self.passes { Observation::Pass } else { Observation::Fail }
    }
}

/// Moments at which an endpoint that serves was taken down, over twelve hours; and the tracker as it is then.
fn falls(seed: u64, damping: Option<Duration>) -> (Vec<Duration>, Tracker, Duration) {
    let mut random = Random::new(seed);
    let mut mood = Mood::new(&mut random);
    let mut tracker = Tracker::new(thresholds(damping), Verdict::Unknown);
    let (mut now, mut falls) = (Duration::ZERO, Vec::new());
    while now < Duration::from_secs(12 * 3600) {
        let before = tracker.verdict();
        let after = tracker.observe(mood.next(&mut random), now);
        if before == Verdict::Up && after == Some(Verdict::Down) {
            falls.push(now);
        }
        now += INTERVAL;
    }
    (falls, tracker, now)
}

/// Most of them within one hour.
fn most_an_hour(falls: &[Duration]) -> usize {
    let hour = Duration::from_secs(3600);
    let within = |(first, start): (usize, &Duration)| {
        falls[first..].iter().take_while(|at| **at < *start + hour).count()
    };
    falls.iter().enumerate().map(within).max().unwrap_or(0)
}

#[test]
fn falls_an_hour_are_bounded_and_were_not_without_damping() {
    let (mut damped, mut free) = (0, 0);
    for_each_seed(CASES, |seed| {
        let most = most_an_hour(&falls(seed, HALF_LIFE).0);
        assert!(most <= FALLS_MAX, "{most} falls in an hour");
        damped = damped.max(most);
        free = free.max(most_an_hour(&falls(seed, None).0));
    });
    println!("at most {damped} falls an hour, {free} without damping");
    assert!(free >= 3 * damped, "{free} and {damped}: the moods are too mild to tell");
}

#[test]
fn whatever_was_an_endpoint_that_stays_well_is_back_within_three_half_lives() {
    for_each_seed(CASES, |seed| {
        let (_, mut tracker, start) = falls(seed, HALF_LIFE);
        let mut now = start;
        while tracker.verdict() != Verdict::Up {
            tracker.observe(Observation::Pass, now);
            now += INTERVAL;
            assert!(now - start <= Duration::from_secs(1800) + 6 * INTERVAL, "still held");
        }
    });
}

#[test]
fn a_failover_is_never_delayed_whatever_the_penalty() {
    for_each_seed(CASES, |seed| {
        let mut random = Random::new(seed);
        let mut mood = Mood::new(&mut random);
        let [mut damped, mut free] =
            [HALF_LIFE, None].map(|damping| Tracker::new(thresholds(damping), Verdict::Up));
        let (mut now, mut fails) = (Duration::ZERO, 0);
        for _ in 0..2000 {
            let observation = mood.next(&mut random);
            fails = if observation == Observation::Fail { fails + 1 } else { 0 };
            damped.observe(observation, now);
            free.observe(observation, now);
            if fails >= 3 {
                assert_eq!((damped.verdict(), free.verdict()), (Verdict::Down, Verdict::Down));
            }
            now += INTERVAL;
        }
    });
}
