//! The brake on random failures of random sites: how much goes at once is bounded, and in the end the probes are believed.
//!
//! `RHUMB_SEED=7` replays one case.

#[path = "worlds/random.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod random;

use std::collections::BTreeMap;
use std::time::Duration;

use random::Random;
use random::for_each_seed;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::control::Controller;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Occurrence;
use rhumb::control::Vote;
use rhumb::control::job::GeoFiles;
use rhumb::health::Penalty;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::TargetKey;
use rhumb::model::Verdict;

/// Worlds of an everyday run.
const CASES: u64 = 200;

/// A controller with its sites and what was seen of it.
struct Bench {
    controller: Controller,
    now: Now,
    /// By site: its targets.
    sites: Vec<Vec<TargetKey>>,
    /// What the trackers say.
    truth: BTreeMap<TargetKey, Verdict>,
    /// Site and moment of each loss that lasts, but for those believed after 15 minutes only.
    losses: BTreeMap<TargetKey, (usize, Duration)>,
    held: u64,
}

impl Bench {
    fn new(random: &mut Random, sites: usize) -> Self {
        let mut text = String::from("check.c = { kind = \"tcp\", port = 1 }\n");
        let mut targets = Vec::new();
        (0..sites).for_each(|site| {
            text += &format!("site.s{site} = {{ latitude = 1, longitude = {site} }}\n");
        });
        for site in 0..sites {
            text += &format!("[pool.p{site}]\nsite = \"s{site}\"\ncheck = \"c\"\n");
            let count = 1 + random.below(6);
            let key = |number| TargetKey {
                address: None,
                endpoint: format!("p{site}/e{number}").into(),
                check: "c".into(),
                family: Family::V4,
            };
            (0..count).for_each(|number| {
                text += &format!("endpoint.e{number}.addresses = [\"198.18.{site}.{number}\"]\n");
            });
            targets.push((0..count).map(key).collect::<Vec<_>>());
        }
        let files = Files::new(vec![SourceFile::new("zones/shared/a.toml", &text)]);
        let mut bench = Self {
            controller: Controller::default(),
            now: Now {
                monotonic: Duration::from_secs(1000),
                unix: Duration::from_secs(1_800_000_000),
            },
            truth: BTreeMap::new(),
            sites: targets,
            losses: BTreeMap::new(),
            held: 0,
        };
        bench.handle(Event::Files(Job::new(files, GeoFiles::default(), NodeTerms::default())));
        for key in bench.sites.concat() {
            bench.say(key, Verdict::Up);
        }
        bench
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Compile(job) => self.handle(Event::Compiled(job.run())),
                Effect::Record(Occurrence::Verdict { key, before, after, reason }) => {
                    let site = self.sites.iter().position(|site| site.contains(&key));
                    let is_loss = (before, after) == (Verdict::Up, Verdict::Down);
                    if is_loss && !reason.contains("held by the brake for") {
                        let site = site.expect("it has a site");
                        self.losses.insert(key, (site, self.now.monotonic));
                    } else if after != Verdict::Down {
                        self.losses.remove(&key);
                    }
                }
                Effect::Record(Occurrence::Braked { .. }) => self.held += 1,
                _ => {}
            }
        }
    }

    /// What a probe says, heard by level as the server hears it.
    fn say(&mut self, key: TargetKey, verdict: Verdict) {
        self.truth.insert(key.clone(), verdict);
        if self.controller.wants_vote(&key, verdict, 0) {
            let (reason, penalty) = ("a probe".into(), Penalty::default());
            self.handle(Event::Vote(Vote { key, verdict, degraded: 0, reason, penalty }));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.unix += time;
        for (key, verdict) in self.truth.clone() {
            self.say(key, verdict);
        }
        self.handle(Event::Settle);
    }

    /// Sites that went within the minute before now, as a sum of shares.
    fn lost_lately(&self) -> f64 {
        let minute = Duration::from_secs(60);
        let lately = self.losses.values().filter(|(_, at)| *at + minute > self.now.monotonic);
        lately.map(|(site, _)| 1.0 / self.sites[*site].len() as f64).sum()
    }
}

/// Random failures and recoveries for ten minutes; sometimes most of everything in one moment.
fn storm(random: &mut Random, bench: &mut Bench, check: impl Fn(&Bench)) {
    let all = bench.sites.concat();
    for _ in 0..60 {
        let severity = *random.pick(&[2, 10, 60, 100]);
        for key in &all {
            match bench.truth[key] {
                Verdict::Up if random.chance(severity) => bench.say(key.clone(), Verdict::Down),
                Verdict::Down if random.chance(20) => {
                    bench.say(key.clone(), Verdict::Held);
                    bench.say(key.clone(), Verdict::Up);
                }
                _ => {}
            }
            check(bench);
        }
        bench.pass(Duration::from_secs(1 + random.below(20)));
        check(bench);
    }
}

#[test]
fn no_more_than_the_budget_goes_within_a_minute_and_the_site_that_leads() {
    let mut held = 0;
    for_each_seed(CASES, |seed| {
        let mut random = Random::new(seed);
        let count = 3 + random.below(4) as usize;
        let mut bench = Bench::new(&mut random, count);
        storm(&mut random, &mut bench, |bench| {
            // Half of all sites, and what is left of the one that leads.
            let bound = count as f64 / 2.0 + 1.0;
            assert!(bench.lost_lately() < bound, "{} of {count} sites", bench.lost_lately());
        });
        held += bench.held;
    });
    assert!(held > CASES, "{held} were held: too few to tell");
}

#[test]
fn with_two_sites_nothing_is_ever_held() {
    for_each_seed(CASES / 4, |seed| {
        let mut random = Random::new(seed);
        let mut bench = Bench::new(&mut random, 2);
        storm(&mut random, &mut bench, |_| {});
        assert_eq!(bench.held, 0);
    });
}

#[test]
fn after_a_quarter_of_an_hour_of_calm_the_probes_are_believed() {
    for_each_seed(CASES, |seed| {
        let mut random = Random::new(seed);
        let count = 3 + random.below(4) as usize;
        let mut bench = Bench::new(&mut random, count);
        storm(&mut random, &mut bench, |_| {});
        for _ in 0..16 {
            bench.pass(Duration::from_secs(60));
        }
        for (key, verdict) in &bench.truth {
            assert_eq!(bench.controller.verdict(key), *verdict, "{key}");
        }
        assert_eq!(bench.controller.held_by_brake(), 0);
    });
}
