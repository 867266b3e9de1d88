//! How slow a target is: a level that follows the times of its probes, as slowly as verdicts follow their results.

use std::time::Duration;

use crate::model::Check;

/// The level of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Degree {
    /// `None` until a probe has passed.
    level: Option<u8>,
    /// Probes in a row that were slower than the level, and the mildest of their levels.
    slower: (u32, u8),
    /// Probes in a row that were faster than the level, and the worst of their levels.
    faster: (u32, u8),
}

impl Degree {
    /// One that starts with a level from before.
    pub fn new(level: u8) -> Self {
        Self { level: Some(level).filter(|level| *level > 0), ..Self::default() }
    }

    /// The level; 0 is none.
    pub fn level(&self) -> u8 {
        self.level.unwrap_or(0)
    }

    /// Takes in how long a probe that passed took; `Some` if the level changes.
    ///
    /// The first decides. From then on it takes `fall` probes in a row to get worse and `rise` to get better, by as much
    /// as all of them agree on.
    pub fn observe(&mut self, took: Duration, check: &Check) -> Option<u8> {
        let now = check.level_of(took);
        let Some(level) = self.level else {
            self.level = Some(now);
            return Some(now).filter(|level| *level > 0);
        };
        let (count, mildest) = self.slower;
        self.slower = match now > level {
            true => (count + 1, if count == 0 { now } else { mildest.min(now) }),
            false => (0, 0),
        };
        let (count, worst) = self.faster;
        self.faster = match now < level {
            true => (count + 1, if count == 0 { now } else { worst.max(now) }),
            false => (0, 0),
        };
        let next = if self.slower.0 >= u32::from(check.fall.max(1)) {
            self.slower.1
        } else if self.faster.0 >= u32::from(check.rise.max(1)) {
            self.faster.1
        } else {
            return None;
        };
        *self = Self { level: Some(next), ..Self::default() };
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::Degree;
    use crate::model::Check;
    use crate::model::CheckKind;
    use crate::model::Percent;
    use crate::model::Sources;
    use crate::model::Step;
    use std::time::Duration;

    /// Three to get worse, two to get better; slow above 100 ms, very slow above 500 ms.
    fn check() -> Check {
        let step = |ms, weight| Step { over: Duration::from_millis(ms), weight: Percent(weight) };
        Check {
            name: "web".into(),
            kind: CheckKind::Icmp,
            port: 0,
            source: Sources::default(),
            invert: false,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            hold_down: Duration::ZERO,
            damping: None,
            jitter_percent: 0,
            degraded: vec![step(100, 50), step(500, 10)],
            voting: crate::model::Voting::default(),
        }
    }

    fn after(degree: &mut Degree, times: &[u64]) -> Vec<u8> {
        let check = check();
        let level = |ms: &u64| {
            degree.observe(Duration::from_millis(*ms), &check);
            degree.level()
        };
        times.iter().map(level).collect()
    }

    #[test]
    fn the_first_probe_decides_and_then_it_takes_as_many_as_for_a_verdict() {
        assert_eq!(after(&mut Degree::default(), &[200, 10, 10]), [1, 1, 0]);
        assert_eq!(after(&mut Degree::default(), &[10, 200, 200, 200, 10, 10]), [0, 0, 0, 1, 1, 0]);
        assert_eq!(after(&mut Degree::default(), &[100]), [0], "over is more than");
    }

    #[test]
    fn a_single_slow_or_fast_probe_changes_nothing() {
        let mut degree = Degree::default();
        assert_eq!(after(&mut degree, &[10, 900, 900, 10, 900, 900, 10]), [0; 7]);
        let mut degree = Degree::new(2);
        assert_eq!(after(&mut degree, &[10, 900, 10, 900]), [2; 4]);
    }

    #[test]
    fn a_level_is_passed_over_only_if_all_probes_pass_over_it() {
        assert_eq!(after(&mut Degree::default(), &[10, 900, 200, 900]), [0, 0, 0, 1]);
        assert_eq!(after(&mut Degree::default(), &[10, 900, 900, 900]), [0, 0, 0, 2]);
        assert_eq!(after(&mut Degree::new(2), &[10, 200]), [2, 1]);
        assert_eq!(after(&mut Degree::new(2), &[10, 10]), [2, 0]);
    }

    #[test]
    fn weights_go_by_level_and_fewer_levels_than_before_are_borne() {
        let check = check();
        let weights = [0, 1, 2, 3].map(|level| check.weight_at(level).0);
        assert_eq!(weights, [100, 50, 10, 10]);
        let plain = Check { degraded: Vec::new(), ..check };
        assert_eq!(plain.weight_at(2), Percent(100));
    }
}
