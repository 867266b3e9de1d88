//! What was reported of endpoints: the last word on each, and who may give it.
//!
//! Written by the pages, read by probes. Holds no more than there are endpoints with such a check.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use sha2::Digest;
use sha2::Sha256;
use tokio::time::Instant;

/// Characters of a reason that are kept.
const REASON_MAX: usize = 200;

/// The last word on an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Whether it is up.
    pub(super) is_up: bool,
    /// Why, if anything was said.
    pub(super) reason: Option<Box<str>>,
    /// When it was said.
    pub(super) at: Instant,
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The token is none of the check's; or there is no such check, which is not told to strangers.
    Forbidden,
    /// The check has no such endpoint.
    NoSuchEndpoint,
}

/// Reports by check and endpoint.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<Box<str>, OfCheck>>);

/// What is known of one check.
#[derive(Debug, Default)]
struct OfCheck {
    tokens: Vec<[u8; 32]>,
    endpoints: HashMap<Box<str>, Place>,
}

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// When it was first waited for.
    pub(super) since: Instant,
    pub(super) report: Option<Report>,
}

/// Checks with the digests of their tokens and their endpoints.
pub type Places = HashMap<Box<str>, (Vec<[u8; 32]>, Vec<Box<str>>)>;

impl Board {
    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, OfCheck>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for these and forgets all others; what was reported of those that stay is kept.
    pub fn set_places(&self, places: Places) {
        let mut all = self.all();
        let mut before = std::mem::take(&mut *all);
        for (check, (tokens, endpoints)) in places {
            let mut known = before.remove(&check).unwrap_or_default();
            let endpoints = endpoints.into_iter().map(|endpoint| {
                let place = known.endpoints.remove(&endpoint);
                let fresh = || Place { since: Instant::now(), report: None };
                (endpoint, place.unwrap_or_else(fresh))
            });
            let endpoints = endpoints.collect();
            all.insert(check, OfCheck { tokens, endpoints });
        }
    }

    /// Takes a report of whoever has one of the check's tokens.
    pub fn report(
        &self,
        check: &str,
        endpoint: &str,
        token: &str,
        is_up: bool,
        reason: Option<&str>,
    ) -> Result<(), Refused> {
        // The digest takes the same time for every guess.
        let token: [u8; 32] = Sha256::digest(token).into();
        let mut all = self.all();
        let known = all.get_mut(check).filter(|known| known.tokens.contains(&token));
        let known = known.ok_or(Refused::Forbidden)?;
        let place = known.endpoints.get_mut(endpoint).ok_or(Refused::NoSuchEndpoint)?;
        let reason = reason.map(|reason| {
            let kept = reason.chars().filter(|one| !one.is_control()).take(REASON_MAX);
            kept.collect::<String>().into()
        });
        place.report = Some(Report { is_up, reason, at: Instant::now() });
        Ok(())
    }

    /// What is known of an endpoint, if it has a place here.
    pub(super) fn find(&self, check: &str, endpoint: &str) -> Option<Place> {
        self.all().get(check)?.endpoints.get(endpoint).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::Board;
    use super::Places;
    use super::Refused;
    use sha2::Digest;
    use sha2::Sha256;

    fn places(token: &str, endpoints: &[&str]) -> Places {
        let endpoints = endpoints.iter().map(|one| Box::from(*one)).collect();
        Places::from([("ci".into(), (vec![Sha256::digest(token).into()], endpoints))])
    }

    #[test]
    fn only_who_has_the_token_of_a_check_reports_on_its_endpoints() {
        let board = Board::default();
        board.set_places(places("secret", &["eu/a", "eu/b"]));
        let report = |check, endpoint, token| board.report(check, endpoint, token, true, None);
        assert_eq!(report("ci", "eu/a", "guess"), Err(Refused::Forbidden));
        assert_eq!(report("other", "eu/a", "secret"), Err(Refused::Forbidden));
        assert_eq!(report("ci", "eu/c", "secret"), Err(Refused::NoSuchEndpoint));
        let find = |endpoint| board.find("ci", endpoint).and_then(|place| place.report);
        assert_eq!(find("eu/a"), None);
        assert_eq!(report("ci", "eu/a", "secret"), Ok(()));
        assert!(find("eu/a").is_some_and(|report| report.is_up));
        assert_eq!(find("eu/b"), None);
    }

    #[test]
    fn what_was_reported_outlives_a_reload_but_not_its_endpoint() {
        let board = Board::default();
        board.set_places(places("secret", &["eu/a", "eu/b"]));
        for endpoint in ["eu/a", "eu/b"] {
            board.report("ci", endpoint, "secret", false, Some("dep\nloy")).unwrap();
        }
        board.set_places(places("other", &["eu/a"]));
        let kept = board.find("ci", "eu/a").and_then(|place| place.report).unwrap();
        assert_eq!((kept.is_up, kept.reason.as_deref()), (false, Some("deploy")));
        assert!(board.find("ci", "eu/b").is_none());
        assert_eq!(board.report("ci", "eu/a", "secret", true, None), Err(Refused::Forbidden));
        assert_eq!(board.report("ci", "eu/a", "other", true, None), Ok(()));
    }
}
