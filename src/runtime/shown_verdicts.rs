//! Verdicts as metrics show them: kept in step change by change, for a list of all is long.

use std::collections::BTreeMap;

use crate::model::TargetKey;
use crate::model::Verdict;

/// The verdict that holds for each target.
#[derive(Debug, Default)]
pub struct ShownVerdicts {
    verdicts: BTreeMap<TargetKey, Verdict>,
    down: usize,
}

impl ShownVerdicts {
    /// Other targets, with what holds for them.
    pub fn replace(&mut self, all: Vec<(TargetKey, Verdict)>) {
        self.down = all.iter().filter(|(_, verdict)| *verdict == Verdict::Down).count();
        self.verdicts = all.into_iter().collect();
    }

    /// Another verdict on a target; what is none is passed over.
    pub fn set(&mut self, key: &TargetKey, verdict: Verdict) {
        let Some(shown) = self.verdicts.get_mut(key) else { return };
        let before = std::mem::replace(shown, verdict);
        self.down -= usize::from(before == Verdict::Down);
        self.down += usize::from(verdict == Verdict::Down);
    }

    /// How many are down, of how many.
    pub fn down_of_all(&self) -> (usize, usize) {
        (self.down, self.verdicts.len())
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&TargetKey, &Verdict)> {
        self.verdicts.iter()
    }

    /// Whether these are all, and each as it is shown.
    pub fn are(&self, all: Vec<(TargetKey, Verdict)>) -> bool {
        all.into_iter().collect::<BTreeMap<_, _>>() == self.verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;

    #[test]
    fn changes_are_counted_and_strangers_are_not() {
        let key = |name: &str| TargetKey {
            endpoint: name.into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        let mut shown = ShownVerdicts::default();
        shown.replace(vec![(key("p/a"), Verdict::Down), (key("p/b"), Verdict::Up)]);
        assert_eq!(shown.down_of_all(), (1, 2));
        shown.set(&key("p/b"), Verdict::Down);
        shown.set(&key("p/b"), Verdict::Down);
        shown.set(&key("p/c"), Verdict::Down);
        assert_eq!(shown.down_of_all(), (2, 2));
        shown.set(&key("p/a"), Verdict::Held);
        assert_eq!(shown.down_of_all(), (1, 2));
        assert!(shown.are(vec![(key("p/b"), Verdict::Down), (key("p/a"), Verdict::Held)]));
        assert!(!shown.are(vec![(key("p/b"), Verdict::Down)]));
    }
}
