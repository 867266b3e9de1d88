//! Whether clients are to be led to this node: an isolated one withdraws, as long as another is there for them.
//!
//! Decides and remembers; the shell runs the operator's hook and reports. If all are isolated at once, whatever they have
//! in common is at fault, and nobody withdraws: who has withdrawn comes back as soon as nobody else is well.

use std::time::Duration;

/// How long it must be so before anything is done: those that lose their network together know of each other by then.
///
/// Anchors are asked every two seconds and fail at the second time; beats come each second, and a node dies after five.
pub const STEADY: Duration = Duration::from_secs(10);

/// What the hook is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Lead clients to this node.
    Announced,
    /// Lead them to others.
    Withdrawn,
}

impl Presence {
    /// The hook's argument.
    pub fn order(self) -> &'static str {
        match self {
            Self::Announced => "announce",
            Self::Withdrawn => "withdraw",
        }
    }

    /// What it is then.
    pub fn word(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// How a run of the hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    /// What it was asked for.
    pub presence: Presence,
    /// Why it failed, if it did. It is run again.
    pub fault: Option<Box<str>>,
}

/// What is wanted and what was done.
#[derive(Clone, Debug, Default)]
pub struct Withdrawal {
    has_hook: bool,
    /// Since when.
    wanted: Option<(Presence, Duration)>,
    ordered: Option<Presence>,
    done: Option<Presence>,
    fault: Option<Box<str>>,
}

impl Withdrawal {
    /// Nothing is known yet of what whoever ran before has left; without a hook nothing ever is.
    pub fn new(has_hook: bool) -> Self {
        Self { has_hook, ..Self::default() }
    }

    /// Looks at how things are; what the hook is to be asked for now, if that is news.
    ///
    /// `others` are servers that live, are not isolated and have not withdrawn.
    pub fn observe(&mut self, is_isolated: bool, others: usize, now: Duration) -> Option<Presence> {
        if !self.has_hook {
            return None;
        }
        let wanted = match is_isolated && others > 0 {
            true => Presence::Withdrawn,
            false => Presence::Announced,
        };
        let since = match self.wanted {
            Some((before, since)) if before == wanted => since,
            _ => now,
        };
        self.wanted = Some((wanted, since));
        let is_last = self.ordered == Some(Presence::Withdrawn) && others == 0;
        if self.ordered == Some(wanted) || !(is_last || now >= since + STEADY) {
            return None;
        }
        self.ordered = Some(wanted);
        self.fault = None;
        Some(wanted)
    }

    /// Takes in how the hook ended; true if that is news: the first failure of an order, and each success.
    pub fn take(&mut self, report: &HookReport) -> bool {
        match &report.fault {
            Some(_) => self.fault.replace(report.fault.clone().unwrap_or_default()).is_none(),
            None => {
                self.fault = None;
                self.done.replace(report.presence) != Some(report.presence)
            }
        }
    }

    /// Whether clients are led to others. While it is not sure they may be led here.
    pub fn is_withdrawn(&self) -> bool {
        self.done == Some(Presence::Withdrawn)
    }

    /// What was done last.
    pub fn done(&self) -> Option<Presence> {
        self.done
    }

    /// What is to be done and cannot be, and why.
    pub fn fault(&self) -> Option<(Presence, &str)> {
        self.ordered.zip(self.fault.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn done(presence: Presence) -> HookReport {
        HookReport { presence, fault: None }
    }

    #[test]
    fn it_announces_after_the_start_withdraws_when_isolated_and_comes_back() {
        let mut node = Withdrawal::new(true);
        assert_eq!(node.observe(false, 2, s(100)), None);
        assert_eq!(node.observe(false, 2, s(109)), None);
        assert_eq!(node.observe(false, 2, s(110)), Some(Presence::Announced));
        assert!(node.take(&done(Presence::Announced)));
        assert_eq!(node.observe(true, 2, s(200)), None);
        assert_eq!(node.observe(true, 2, s(209)), None);
        assert_eq!(node.observe(true, 2, s(210)), Some(Presence::Withdrawn));
        assert_eq!(node.observe(true, 2, s(211)), None, "once");
        assert!(!node.is_withdrawn(), "nobody has said that it was done");
        assert!(node.take(&done(Presence::Withdrawn)) && node.is_withdrawn());
        assert_eq!(node.observe(false, 2, s(300)), None);
        assert_eq!(node.observe(true, 2, s(305)), None, "not steady");
        assert_eq!(node.observe(false, 2, s(306)), None);
        assert_eq!(node.observe(false, 2, s(316)), Some(Presence::Announced));
    }

    #[test]
    fn who_is_isolated_when_nobody_else_is_well_stays() {
        let mut node = Withdrawal::new(true);
        node.observe(false, 2, s(0));
        assert_eq!(node.observe(true, 0, s(10)), Some(Presence::Announced));
        assert_eq!(node.observe(true, 0, s(1000)), None);
    }

    #[test]
    fn who_has_withdrawn_comes_back_at_once_when_nobody_else_is_well() {
        let mut node = Withdrawal::new(true);
        node.observe(true, 1, s(0));
        assert_eq!(node.observe(true, 1, s(10)), Some(Presence::Withdrawn));
        assert_eq!(node.observe(true, 0, s(11)), Some(Presence::Announced));
    }

    #[test]
    fn nodes_that_are_all_isolated_within_seconds_all_stay() {
        let mut nodes: Vec<Withdrawal> = (0..3).map(|_| Withdrawal::new(true)).collect();
        for second in 0..100 {
            let isolated: Vec<bool> = (0..3).map(|node| second > 30 + 3 * node).collect();
            for (at, node) in nodes.iter_mut().enumerate() {
                let well = (0..3).filter(|other| *other != at && !isolated[*other]).count();
                let told = node.observe(isolated[at], well, s(second));
                assert_ne!(told, Some(Presence::Withdrawn), "node {at} after {second} s");
            }
        }
    }

    #[test]
    fn a_failure_is_told_once_and_success_after_it() {
        let mut node = Withdrawal::new(true);
        node.observe(false, 1, s(0));
        node.observe(false, 1, s(10));
        let failed =
            HookReport { presence: Presence::Announced, fault: Some("ended with 1".into()) };
        assert!(node.take(&failed) && !node.take(&failed));
        assert_eq!(node.fault(), Some((Presence::Announced, "ended with 1")));
        assert!(node.take(&done(Presence::Announced)));
        assert_eq!((node.fault(), node.done()), (None, Some(Presence::Announced)));
    }

    #[test]
    fn without_a_hook_nothing_is_asked_for() {
        let mut node = Withdrawal::default();
        assert!((0..99).all(|second| node.observe(second > 20, 2, s(second)).is_none()));
    }
}
