//! Whether this node's prober has lost its own network: then what it sees says nothing of endpoints.
//!
//! Two signs. Its anchors fail. Or over half of its targets fail together, and so do over half of those at each of two
//! sites or more: that many do not fail by themselves. Anchors that pass speak against the second sign, and after a
//! quarter of an hour it is believed no longer: two regions that are really lost must not be served for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Anchors;

/// Failures that began within this time began together; for slow checks, within two of their intervals.
pub const TOGETHER: Duration = Duration::from_secs(60);

/// How long a prober takes what it sees for its own fault, if no anchor says so.
///
/// Source: as long as the brake holds (design, section 5.12), which is about the same doubt.
pub const DOUBT_MAX: Duration = Duration::from_secs(15 * 60);

/// What this node's probes of a target come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Where the target stands; targets without a site stand together.
    pub site: u16,
    /// Since when it fails, if it does.
    pub failing_since: Option<Duration>,
    /// Between its probes.
    pub interval: Duration,
}

/// Whether the prober is isolated, and since when so much fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    is_isolated: bool,
    failing_since: Option<Duration>,
    why: Box<str>,
}

impl Isolation {
    /// Whether the prober is isolated.
    pub fn is_isolated(&self) -> bool {
        self.is_isolated
    }

    /// Why, in words.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Looks at all targets anew; true if something changed.
    pub fn observe(
        &mut self,
        targets: impl Iterator<Item = Outlook>,
        anchors: Anchors,
        now: Duration,
    ) -> bool {
        let counts = failing_together(targets, self.failing_since.unwrap_or(now));
        self.failing_since = counts.map(|_| self.failing_since.unwrap_or(now));
        let is_in_doubt = self.failing_since.is_some_and(|since| now < since + DOUBT_MAX);
        let why = match (anchors, counts.filter(|_| is_in_doubt)) {
            (Anchors::Fail, _) => Some("its anchors fail".to_owned()),
            (Anchors::Unset, Some((failing, all, sites))) => {
                Some(format!("{failing} of its {all} targets fail together, at {sites} sites"))
            }
            (Anchors::Pass, _) | (Anchors::Unset, None) => None,
        };
        let is_isolated = why.is_some();
        let is_new = is_isolated != self.is_isolated;
        self.is_isolated = is_isolated;
        if is_new {
            self.why = why.unwrap_or_default().into();
        }
        is_new
    }
}

/// How many fail together, of how many, at how many sites that lost over half; `None` if that is no sign.
///
/// What began to fail long before `moment` counts nowhere: it was so before anything happened.
fn failing_together(
    targets: impl Iterator<Item = Outlook>,
    moment: Duration,
) -> Option<(usize, usize, usize)> {
    let mut sites: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    for Outlook { site, failing_since, interval } in targets {
        let oldest = moment.saturating_sub(TOGETHER.max(interval * 2));
        if failing_since.is_some_and(|since| since < oldest) {
            continue;
        }
        let (failing, all) = sites.entry(site).or_default();
        *failing += usize::from(failing_since.is_some());
        *all += 1;
    }
    let is_most = |(failing, all): (usize, usize)| failing * 2 > all;
    let sum = |(a, b): (usize, usize), (c, d): (usize, usize)| (a + c, b + d);
    let (failing, all) = sites.values().copied().fold((0, 0), sum);
    let lost = sites.values().copied().filter(|counts| is_most(*counts)).count();
    (is_most((failing, all)) && lost >= 2).then_some((failing, all, lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Targets of sites: how many fail, since when, and how many do not.
    fn outlooks(sites: &[(usize, u64, usize)]) -> Vec<Outlook> {
        let mut all = Vec::new();
        for (site, (failing, since, passing)) in sites.iter().enumerate() {
            let outlook =
                |failing_since| Outlook { site: site as u16, failing_since, interval: s(10) };
            all.extend(std::iter::repeat_n(outlook(Some(s(*since))), *failing));
            all.extend(std::iter::repeat_n(outlook(None), *passing));
        }
        all
    }

    fn is_isolated(sites: &[(usize, u64, usize)], anchors: Anchors) -> bool {
        let mut isolation = Isolation::default();
        isolation.observe(outlooks(sites).into_iter(), anchors, s(1000));
        isolation.is_isolated()
    }

    #[test]
    fn over_half_of_all_and_over_half_at_two_sites_must_fail_together() {
        for (sites, isolated) in [
            (&[(4, 990, 0), (4, 990, 0)][..], true),
            (&[(3, 990, 1), (3, 990, 1), (0, 0, 3)], true),
            (&[(2, 990, 2), (2, 990, 2)], false),
            (&[(8, 990, 0), (0, 0, 2)], false),
            (&[(8, 990, 0), (1, 990, 9)], false),
            (&[(1, 990, 0), (1, 990, 0), (0, 0, 9)], false),
            (&[(4, 900, 0), (4, 990, 0)], false),
            (&[(4, 900, 4), (4, 900, 4), (4, 990, 0)], false),
            (&[(6, 900, 1), (6, 900, 1)], false),
            (&[(6, 900, 0), (2, 990, 1), (2, 990, 1)], true),
            (&[], false),
        ] {
            assert_eq!(is_isolated(sites, Anchors::Unset), isolated, "{sites:?}");
        }
    }

    #[test]
    fn anchors_that_fail_are_enough_and_anchors_that_pass_speak_against_it() {
        assert!(is_isolated(&[], Anchors::Fail));
        assert!(is_isolated(&[(0, 0, 9)], Anchors::Fail));
        assert!(!is_isolated(&[(4, 990, 0), (4, 990, 0)], Anchors::Pass));
    }

    #[test]
    fn it_lasts_until_enough_passes_again_or_for_a_quarter_of_an_hour() {
        let mut isolation = Isolation::default();
        let mut at = |now: u64, sites: &[(usize, u64, usize)]| {
            let is_new = isolation.observe(outlooks(sites).into_iter(), Anchors::Unset, s(now));
            (is_new, isolation.is_isolated(), isolation.why().to_owned())
        };
        let lost = [(4, 990, 0), (4, 990, 0)];
        let why = "8 of its 8 targets fail together, at 2 sites".to_owned();
        assert_eq!(at(1000, &lost), (true, true, why.clone()));
        assert_eq!(at(1300, &lost), (false, true, why));
        assert!(!at(1310, &[(1, 990, 3), (4, 990, 0)]).1, "5 of 8, but over half at one site only");
    }

    #[test]
    fn a_loss_that_lasts_is_believed() {
        let mut isolation = Isolation::default();
        let lost = || outlooks(&[(4, 990, 0), (4, 990, 0)]).into_iter();
        assert!(isolation.observe(lost(), Anchors::Unset, s(1000)));
        assert!(!isolation.observe(lost(), Anchors::Unset, s(1899)) && isolation.is_isolated());
        assert!(isolation.observe(lost(), Anchors::Unset, s(1900)) && !isolation.is_isolated());
        assert!(!isolation.observe(lost(), Anchors::Unset, s(4000)) && !isolation.is_isolated());
        let back = || outlooks(&[(0, 0, 4), (0, 0, 4)]).into_iter();
        isolation.observe(back(), Anchors::Unset, s(4100));
        let again = || outlooks(&[(4, 4190, 0), (4, 4190, 0)]).into_iter();
        assert!(isolation.observe(again(), Anchors::Unset, s(4200)), "another loss");
    }
}
