//! The law of shedding: from the loads of one window to the levels of the next. Pure numbers, no records.
//!
//! A pool's load falls because it sheds, so a level that followed the load would swing. The level is an integrator: it
//! goes on by one step while the load is above `start`, stays while it is not, and goes back when the load would be below
//! `start` with the step taken back. Who takes clients in is asked first: a step is taken only if it fits in, with all
//! that is on its way (answers are cached, so that a step shows only windows later).

use crate::model::Shed;
use crate::steering::Shedding;
use crate::steering::band::BANDS;

/// Most sixteenths that are shed: the nearest always stays.
const LEVEL_MAX: u8 = BANDS - 1;

/// Windows that a step may take to show in the loads.
const LAG: u32 = 3;

/// Fewest windows from a step to the next step back, and, below `full`, to the next step up.
const PATIENCE_MIN: u8 = 2;

/// Most windows that a step back waits, after steps back that had to be taken again.
const PATIENCE_MAX: u8 = 16;

/// A step up so many windows after a step back takes it back.
const REGRET: u8 = 8;

/// Windows after which old trouble of a pool that takes clients in is forgotten.
const FORGET: u8 = 120;

/// Part of the way from `start` to `full` by which the load must be below `start` for a step back.
const DEAD_BAND: f64 = 0.1;

/// Part of the way from `start` to `full` that a pool which takes clients in keeps free below its own `start`.
const RESERVE: f64 = 0.5;

/// What is remembered of a pool from window to window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// What its snapshot has.
    pub shedding: Shedding,
    /// A bit for each window in which the level rose, the newest lowest.
    rose: u8,
    /// Windows since the level changed.
    rest: u8,
    /// Whether the level went back then.
    went_back: bool,
    /// Windows that a step back waits.
    patience: u8,
    /// Windows since it was closed or opened.
    turned: u8,
    /// How often it was closed while others shed, of late.
    strikes: u8,
}

impl Course {
    /// All of it, as it is kept over a restart.
    pub(in crate::control) fn octets(self) -> [u8; 8] {
        let Self { shedding, rose, rest, went_back, patience, turned, strikes } = self;
        let Shedding { level, is_closed } = shedding;
        [level, is_closed.into(), rose, rest, went_back.into(), patience, turned, strikes]
    }

    /// What it comes to after so many windows in which nothing happens.
    pub(in crate::control) fn aged(self, windows: u64) -> Self {
        let windows = u8::try_from(windows).unwrap_or(u8::MAX);
        Self {
            rose: self.rose.checked_shl(windows.into()).unwrap_or(0),
            rest: self.rest.saturating_add(windows),
            turned: self.turned.saturating_add(windows),
            ..self
        }
    }

    /// What [`Course::octets`] was made of.
    pub(in crate::control) fn of_octets(octets: [u8; 8]) -> Self {
        let [level, is_closed, rose, rest, went_back, patience, turned, strikes] = octets;
        let shedding = Shedding { level: level.min(LEVEL_MAX), is_closed: is_closed != 0 };
        Self { shedding, rose, rest, went_back: went_back != 0, patience, turned, strikes }
    }
}

impl Default for Course {
    fn default() -> Self {
        Self {
            shedding: Shedding::default(),
            rose: 0,
            rest: u8::MAX,
            went_back: false,
            patience: PATIENCE_MIN,
            turned: u8::MAX,
            strikes: 0,
        }
    }
}

/// A pool at the end of a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Its terms, if it sheds.
    pub terms: Option<Shed>,
    /// Its load, if enough is known of it.
    pub load: Option<f64>,
    /// What its members can carry, if all of them say so.
    pub capacity: Option<f64>,
    /// Whether pass 1 takes it.
    pub qualifies: bool,
    /// What is remembered.
    pub course: Course,
}

/// What others can do for a pool; later is better.
///
/// Nobody here knows to whom the next step goes: whoever has least room among those that take anybody decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relief {
    /// One of them needs its room itself.
    Tight,
    /// One of them has no room for more.
    Full,
    /// Each has room for one step more.
    Room,
}

/// All pools at the end of a window; `shares` says whether clients of one may be sent to the other.
pub struct Window<'a> {
    pools: &'a mut [Seen],
    shares: &'a dyn Fn(usize, usize) -> bool,
}

/// Ends a window: sets the course of each pool for the next one.
pub fn end_window(pools: &mut [Seen], shares: &dyn Fn(usize, usize) -> bool) {
    let mut window = Window { pools, shares };
    for at in 0..window.pools.len() {
        window.turn(at);
    }
    for at in 0..window.pools.len() {
        window.step(at);
    }
}

impl Window<'_> {
    /// Closes a pool to what others shed, or opens it.
    fn turn(&mut self, at: usize) {
        let Seen { terms: Some(terms), load, qualifies, course, .. } = self.pools[at] else {
            return;
        };
        let is_used = self.others(at).any(|other| self.pools[other].course.shedding.level > 0);
        // While nobody sheds it moves nobody to close whoever has little room, or says nothing.
        let most = if is_used { terms.start } else { limit(terms) };
        let is_known = load.is_some() || is_used;
        let is_laden =
            !qualifies || !is_known || course.shedding.level > 0 || load.is_some_and(|l| l > most);
        let is_closed = match (course.shedding.is_closed, load) {
            _ if is_laden => true,
            // Whoever was closed while others shed waits the longer, the more often it was.
            (true, _) if course.turned < PATIENCE_MIN << course.strikes => true,
            // All that others shed comes at once when it opens.
            (true, Some(load)) => load + self.shed_to(at) > limit(terms),
            (was, _) => was,
        };
        let course = &mut self.pools[at].course;
        course.turned = course.turned.saturating_add(1);
        if course.turned == FORGET && !is_closed {
            course.strikes = 0;
        }
        if is_closed != course.shedding.is_closed {
            course.shedding.is_closed = is_closed;
            course.turned = 0;
            if is_closed && is_used {
                course.strikes = (course.strikes + 1).min(4);
            }
        }
    }

    /// Moves the level of a pool by one step, or leaves it.
    fn step(&mut self, at: usize) {
        let Seen { terms: Some(terms), load, course, .. } = self.pools[at] else { return };
        let relief = self.relief(at);
        let course_before = course;
        let course = &mut self.pools[at].course;
        course.rose <<= 1;
        course.rest = course.rest.saturating_add(1);
        let level = course.shedding.level;
        let Some(load) = load else {
            if level > 0 && course.rest >= course.patience {
                course.go_back(level - 1);
            }
            return;
        };
        // With one step less it would have this load.
        let home = f64::from(BANDS - level);
        let before = load * (home + 1.0) / home;
        let pace = if load > terms.full { 1 } else { PATIENCE_MIN };
        if relief.is_none() && level > 0 {
            // All clients are home already. Somebody who comes back must not get them at once.
            *course = Course { rest: 0, ..Course::default() };
            course.shedding.is_closed = course_before.shedding.is_closed;
            (course.turned, course.strikes) = (course_before.turned, course_before.strikes);
        } else if relief == Some(Relief::Tight) && level > 0 {
            course.go_back(level - 1);
        } else if load > terms.start && relief == Some(Relief::Room) {
            if level < LEVEL_MAX && course.rest >= pace {
                course.go_on();
            }
        } else if level > 0
            && before < terms.start - DEAD_BAND * (terms.full - terms.start)
            && course.rest >= course.patience
        {
            course.go_back(level - 1);
        }
    }

    fn others(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.pools.len()).filter(move |&other| other != at && (self.shares)(at, other))
    }

    /// By how much the load of `to` grows if `from` sheds one step more.
    fn one_step(&self, from: usize, to: usize) -> f64 {
        let Seen { load, capacity, course, .. } = self.pools[from];
        let share = load.unwrap_or(0.0) / f64::from(BANDS - course.shedding.level);
        match (capacity, self.pools[to].capacity) {
            (Some(from), Some(to)) if to > 0.0 => share * from / to,
            _ => share,
        }
    }

    /// By how much the load of a pool grows if it takes all that others shed.
    fn shed_to(&self, at: usize) -> f64 {
        let all = self.others(at).map(|other| {
            f64::from(self.pools[other].course.shedding.level) * self.one_step(other, at)
        });
        all.sum()
    }

    /// By how much the load of a pool grows by steps that do not show yet.
    fn under_way(&self, at: usize) -> f64 {
        let all = self.others(at).map(|other| {
            let steps = (self.pools[other].course.rose & ((1 << LAG) - 1)).count_ones();
            f64::from(steps) * self.one_step(other, at)
        });
        all.sum()
    }

    /// What others can do for a pool; `None` if nobody takes anybody, so that shedding moves nobody.
    fn relief(&self, at: usize) -> Option<Relief> {
        let takes = |other: &usize| {
            let Seen { qualifies, course, .. } = self.pools[*other];
            qualifies && !course.shedding.is_closed
        };
        let of = |other: usize| {
            let Seen { terms, load, .. } = self.pools[other];
            match (terms, load) {
                // It has no limit.
                (None, _) => Relief::Room,
                (Some(_), None) => Relief::Full,
                (Some(terms), Some(load)) => {
                    let with_one_more = load + self.under_way(other) + self.one_step(at, other);
                    match limit(terms) {
                        limit if with_one_more <= limit => Relief::Room,
                        limit if load <= limit => Relief::Full,
                        _ => Relief::Tight,
                    }
                }
            }
        };
        self.others(at).filter(takes).map(of).min()
    }
}

impl Course {
    fn go_on(&mut self) {
        if self.went_back && self.rest <= REGRET {
            self.patience = (self.patience * 2).min(PATIENCE_MAX);
        }
        self.shedding.level += 1;
        self.rose |= 1;
        (self.rest, self.went_back) = (0, false);
    }

    fn go_back(&mut self, level: u8) {
        if self.went_back {
            self.patience = (self.patience / 2).max(PATIENCE_MIN);
        }
        self.shedding.level = level;
        (self.rest, self.went_back) = (0, true);
    }
}

/// Up to which load a pool takes clients in.
fn limit(terms: Shed) -> f64 {
    (terms.start - RESERVE * (terms.full - terms.start)).max(terms.start / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Shed = Shed { start: 0.8, full: 1.0 };

    fn seen(load: f64) -> Seen {
        let terms = Some(TERMS);
        Seen { terms, load: Some(load), qualifies: true, ..Seen::default() }
    }

    /// Levels after each window in which the pools have these loads, whatever they shed.
    fn levels(loads: &[[f64; 2]]) -> Vec<[u8; 2]> {
        let mut pools = [seen(0.0), seen(0.0)];
        let after = |loads: &[f64; 2]| {
            for (pool, load) in pools.iter_mut().zip(loads) {
                pool.load = Some(*load);
            }
            end_window(&mut pools, &|_, _| true);
            pools.map(|pool| pool.course.shedding.level)
        };
        loads.iter().map(after).collect()
    }

    #[test]
    fn the_level_rises_by_one_a_window_above_full_and_every_other_window_above_start() {
        let rise = levels(&[[1.2, 0.1]; 5]).map_levels();
        assert_eq!(rise, [1, 2, 3, 4, 5]);
        let slow = levels(&[[0.9, 0.1]; 6]).map_levels();
        assert_eq!(slow, [1, 1, 2, 2, 3, 3]);
        assert_eq!(levels(&[[0.8, 0.1]; 3]).map_levels(), [0, 0, 0], "start itself is not above");
    }

    /// The first pool's levels.
    trait MapLevels {
        fn map_levels(self) -> Vec<u8>;
    }

    impl MapLevels for Vec<[u8; 2]> {
        fn map_levels(self) -> Vec<u8> {
            self.into_iter().map(|[first, _]| first).collect()
        }
    }

    #[test]
    fn it_goes_back_every_other_window_and_only_if_the_step_fits() {
        let mut loads = vec![[1.2, 0.1]; 4];
        loads.extend([[0.3, 0.1]; 8]);
        assert_eq!(levels(&loads).map_levels()[4..], [4, 3, 3, 2, 2, 1, 1, 0]);
        let mut loads = vec![[1.2, 0.1]; 4];
        // With 12 of 16 parts at home 0.75 is 0.81 with one more: above start, so it stays.
        loads.extend([[0.75, 0.1]; 20]);
        assert_eq!(levels(&loads).map_levels()[23], 4);
    }

    #[test]
    fn nobody_sheds_to_whom_has_load_enough_and_two_in_need_do_not_swap() {
        assert_eq!(levels(&[[1.2, 0.9]; 4]).last(), Some(&[0, 0]));
        assert_eq!(levels(&[[1.2, 0.65]; 9]).map_levels(), [0; 9], "one step would not fit");
    }

    #[test]
    fn the_nearest_sixteenth_stays() {
        let mut pools = [seen(5.0), Seen { qualifies: true, ..Seen::default() }];
        (0..40).for_each(|_| end_window(&mut pools, &|_, _| true));
        assert_eq!(pools[0].course.shedding.level, 15, "who has no limit takes all others");
    }

    #[test]
    fn without_reports_it_goes_back_slowly_and_without_anybody_at_once() {
        let mut pools = [seen(1.2), seen(0.1)];
        (0..6).for_each(|_| end_window(&mut pools, &|_, _| true));
        let mut silent = pools;
        silent[0].load = None;
        let mut levels = Vec::new();
        for _ in 0..5 {
            end_window(&mut silent, &|_, _| true);
            levels.push(silent[0].course.shedding.level);
        }
        assert_eq!(levels, [6, 5, 5, 4, 4]);
        pools[1].qualifies = false;
        end_window(&mut pools, &|_, _| true);
        assert_eq!(pools[0].course.shedding.level, 0);
    }

    #[test]
    fn who_comes_back_is_not_overrun() {
        let mut pools = [seen(1.2), seen(0.1)];
        (0..6).for_each(|_| end_window(&mut pools, &|_, _| true));
        pools[1].qualifies = false;
        (0..3).for_each(|_| end_window(&mut pools, &|_, _| true));
        pools[1].qualifies = true;
        let mut most = 0;
        for window in 1..=12 {
            end_window(&mut pools, &|_, _| true);
            let level = pools[0].course.shedding.level;
            assert!(level < window, "it starts from nothing: {level} after {window}");
            most = most.max(level);
        }
        assert!(most > 2, "and it does start");
    }

    /// Numbers from a seed, 0 to 1 (splitmix64).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn between(&mut self, low: f64, high: f64) -> f64 {
            low + (high - low) * self.next()
        }
    }

    /// Pools with clients that follow what they shed, half of the way in each window: caches keep the rest.
    struct Plant {
        pools: Vec<Seen>,
        demand: Vec<f64>,
        capacity: Vec<f64>,
        /// By pool and level: the part of its clients that is shed. No band has exactly a sixteenth.
        parts: Vec<Vec<f64>>,
        /// By whose clients and by whom they are served.
        flow: Vec<Vec<f64>>,
        noise: f64,
    }

    impl Plant {
        fn new(random: &mut Random, count: usize, noise: f64) -> Self {
            let parts = |random: &mut Random| {
                let bands: Vec<f64> = (0..BANDS).map(|_| random.between(0.6, 1.4)).collect();
                let all: f64 = bands.iter().sum();
                (0..BANDS)
                    .map(|level| bands[usize::from(BANDS - level)..].iter().sum::<f64>() / all)
                    .collect()
            };
            let capacity: Vec<f64> = (0..count).map(|_| random.between(0.5, 2.0)).collect();
            let seen = |capacity: &f64| Seen {
                terms: Some(TERMS),
                capacity: Some(*capacity),
                qualifies: true,
                ..Seen::default()
            };
            let home = |at: usize| (0..count).map(|to| f64::from(u8::from(at == to))).collect();
            Self {
                pools: capacity.iter().map(seen).collect(),
                demand: vec![0.3; count],
                parts: (0..count).map(|_| parts(random)).collect(),
                flow: (0..count).map(home).collect(),
                capacity,
                noise,
            }
        }

        fn window(&mut self, random: &mut Random) {
            let count = self.pools.len();
            for from in 0..count {
                let shedding = self.pools[from].course.shedding;
                let open = (1..count).map(|step| (from + step) % count);
                let open = open.into_iter().find(|to| {
                    !self.pools[*to].course.shedding.is_closed
                        && self.pools[*to].course.shedding.level == 0
                });
                let part = self.parts[from][usize::from(shedding.level)];
                for to in 0..count {
                    let wanted = match open {
                        Some(open) if to == open => part,
                        Some(_) if to == from => 1.0 - part,
                        None if to == from => 1.0,
                        Some(_) | None => 0.0,
                    };
                    self.flow[from][to] = (self.flow[from][to] + wanted) / 2.0;
                }
            }
            for to in 0..count {
                let served = (0..count)
                    .map(|from| self.demand[from] * self.capacity[from] * self.flow[from][to]);
                let load = served.sum::<f64>() / self.capacity[to];
                let noise = random.between(1.0 - self.noise, 1.0 + self.noise);
                self.pools[to].load = Some(load * noise);
            }
            end_window(&mut self.pools, &|_, _| true);
        }

        fn levels(&self) -> Vec<u8> {
            self.pools.iter().map(|pool| pool.course.shedding.level).collect()
        }
    }

    #[test]
    fn any_demand_comes_to_rest_and_all_clients_come_home_when_it_falls() {
        let (mut shed, mut relieved) = (0, 0);
        for seed in 0..400 {
            let mut random = Random(seed);
            let count = 2 + seed as usize % 4;
            let noise = [0.0, 0.01, 0.03][seed as usize % 3];
            let mut plant = Plant::new(&mut random, count, noise);
            (0..10).for_each(|_| plant.window(&mut random));
            plant.demand = (0..count).map(|_| random.between(0.2, 1.1)).collect();
            plant.demand[0] = random.between(0.85, 1.6);
            for _ in 0..240 {
                let before = plant.levels();
                plant.window(&mut random);
                let rises = before.iter().zip(plant.levels()).all(|(b, a)| a <= b + 1);
                assert!(rises, "seed {seed}: more than one step in a window");
            }
            let mut bounds = vec![(u8::MAX, 0); count];
            for _ in 0..60 {
                plant.window(&mut random);
                for ((low, high), level) in bounds.iter_mut().zip(plant.levels()) {
                    (*low, *high) = ((*low).min(level), (*high).max(level));
                }
            }
            for (low, high) in &bounds {
                assert!(high - low <= 2, "seed {seed}: {bounds:?} of {:?}", plant.demand);
            }
            shed += u32::from(bounds.iter().any(|(low, _)| *low > 0));
            relieved +=
                u32::from(plant.pools[0].load.is_some_and(|load| load < plant.demand[0] - 0.05));
            for pool in &plant.pools[1..] {
                let is_own = pool.course.shedding.is_closed;
                assert!(is_own || pool.load.is_some_and(|load| load < 0.85), "seed {seed}");
            }
            plant.demand.fill(0.3);
            (0..400).for_each(|_| plant.window(&mut random));
            assert_eq!(plant.levels(), vec![0; count], "seed {seed}: all are home");
        }
        assert!(shed > 150 && relieved > 150, "{shed} {relieved}");
    }
}
