//! Endpoints that flap, by simulation from seeds: changes an hour are bounded, one that stays well always comes back, and the
//! only one that passes is never withheld.
//!
//! `RHUMB_CASES=full cargo test --test flapping` runs 10,000 seeds of each, an everyday run 1 % of them; `RHUMB_SEED=7`
//! replays one.

#[path = "worlds/random.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod random;

use std::time::Duration;

use random::Random;
use random::for_each_seed_of;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::health::Observation;
use rhumb::health::Thresholds;
use rhumb::health::Tracker;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;

/// Seeds of an everyday run.
const CASES: u64 = 100;

/// Seeds of a full one.
const ALL_CASES: u64 = 10_000;

/// Falls of one endpoint in one hour, at most, whatever it does: 4, and one for each 5 min 51 s.
///
/// Each fall adds 1 to a penalty that is never above 4, so that falls are what has decayed and 4 more. It decays by 1 in no
/// less than 600 s x log2(3/2) = 351 s: an endpoint that is up has at most 3 after a fall, and at most 2 before the next
/// if it is to stay below 3; if it does not, it has to decay to 1, which is slower (3 in 1200 s or more).
const FALLS_MAX: usize = 4 + 3600 / 351;

fn for_each_seed(case: impl FnMut(u64)) {
    let ran = for_each_seed_of(CASES, ALL_CASES, case);
    println!("{ran} seeds");
}

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
    for_each_seed(|seed| {
        let most = most_an_hour(&falls(seed, HALF_LIFE).0);
        assert!(most <= FALLS_MAX, "{most} falls in an hour");
        damped = damped.max(most);
        free = free.max(most_an_hour(&falls(seed, None).0));
    });
    println!("at most {damped} falls an hour, {free} without damping");
    assert!(free >= 3 * damped, "{free} and {damped}: the moods are too mild to tell");
}

#[test]
fn the_worst_endpoint_comes_near_the_bound_and_not_over_it() {
    let mut tracker = Tracker::new(thresholds(HALF_LIFE), Verdict::Up);
    let (mut now, mut falls) = (Duration::ZERO, Vec::new());
    while now < Duration::from_secs(12 * 3600) {
        // It falls as soon as it may without being held for it.
        let wants_down = tracker.verdict() == Verdict::Up && tracker.penalty(now).value < 2.0;
        let is_going = tracker.verdict() == Verdict::Up && tracker.consecutive_fails() > 0;
        let observation = match wants_down || is_going {
            true => Observation::Fail,
            false => Observation::Pass,
        };
        if tracker.observe(observation, now) == Some(Verdict::Down) {
            falls.push(now);
        }
        now += INTERVAL;
    }
    let most = most_an_hour(&falls);
    assert!((FALLS_MAX - 2..=FALLS_MAX).contains(&most), "{most} of {FALLS_MAX}");
}

/// A pool of three endpoints at a controller, and what their trackers say.
struct Pool {
    controller: Controller,
    now: Now,
    targets: Vec<(TargetKey, Tracker)>,
}

impl Pool {
    fn new() -> Self {
        let text = "check.c = { kind = 'tcp', port = 1 }\n[pool.p]\ncheck = 'c'\nmin_healthy = '1 member'\n\
                    endpoint.e0.addresses = ['198.18.0.1']\nendpoint.e1.addresses = ['198.18.0.2']\n\
                    endpoint.e2.addresses = ['198.18.0.3']\n";
        let files = Files::new(vec![SourceFile::new("zones/shared/a.toml", text)]);
        let target = |number: u8| {
            let (endpoint, check) = (format!("p/e{number}").into(), "c".into());
            let key = TargetKey { endpoint, check, family: Family::V4, address: None };
            (key, Tracker::new(thresholds(HALF_LIFE), Verdict::Unknown))
        };
        let start = Duration::from_secs(1000);
        let now = Now { monotonic: start, unix: Duration::from_secs(1_800_000_000) };
        let targets = (0..3).map(target).collect();
        let mut pool = Self { controller: Controller::default(), now, targets };
        pool.handle(Event::Files(Job::new(files, GeoFiles::default(), NodeTerms::default())));
        pool
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            if let Effect::Compile(job) = effect {
                self.handle(Event::Compiled(job.run()));
            }
        }
    }

    /// Each says something, and what changed is published.
    fn observe(&mut self, observations: &[Observation]) {
        self.now.monotonic += INTERVAL;
        self.now.unix += INTERVAL;
        let now = self.now.monotonic;
        let mut votes = Vec::new();
        for ((key, tracker), observation) in self.targets.iter_mut().zip(observations) {
            if let Some(verdict) = tracker.observe(*observation, now) {
                let (key, penalty) = (key.clone(), tracker.penalty(now));
                votes.push(Vote { key, verdict, degraded: 0, reason: "a probe".into(), penalty });
            }
        }
        if !votes.is_empty() {
            votes.into_iter().for_each(|vote| self.handle(Event::Vote(vote)));
            self.handle(Event::Settle);
        }
    }

    /// Who is served, by number.
    fn serving(&self) -> Vec<usize> {
        let snapshot = self.controller.snapshot().expect("the files are sound");
        let members = snapshot.pools[0].family(Family::V4).serving.iter();
        members.map(|member| member.endpoint.index()).collect()
    }
}

#[test]
fn the_only_endpoint_that_passes_is_never_withheld_whatever_its_penalty() {
    let (mut alone, mut held_back) = (0, 0);
    let mut pool = Pool::new();
    for_each_seed(|seed| {
        let mut random = Random::new(seed);
        let mut moods = [0; 3].map(|_| Mood::new(&mut random));
        for _ in 0..300 {
            let observations = moods.each_mut().map(|mood| mood.next(&mut random));
            pool.observe(&observations);
            let verdict = |at: &usize| pool.targets[*at].1.verdict();
            let passing: Vec<usize> =
                (0..3).filter(|at| matches!(verdict(at), Verdict::Up | Verdict::Held)).collect();
            let serving = pool.serving();
            if let [only] = passing[..] {
                assert!(serving.contains(&only), "{serving:?} without {only}");
                alone += 1;
                held_back += u64::from(verdict(&only) == Verdict::Held);
            }
            assert_eq!(passing.is_empty(), serving.is_empty(), "{passing:?} {serving:?}");
        }
    });
    println!("{alone} moments with one alone, {held_back} of them with one that was held");
    assert!(alone > 500 && held_back > 100, "{alone} and {held_back}: too few to tell");
}

#[test]
fn whatever_was_an_endpoint_that_stays_well_is_back_within_three_half_lives() {
    for_each_seed(|seed| {
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
    for_each_seed(|seed| {
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
