//! Endpoints that were found, and by what they were judged, as they are kept. Judges nothing.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::control::restart::moment;
use crate::control::stored::form::instant_ms;
use crate::discovery::Floor;
use crate::discovery::members::special;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::Now;
use crate::wire::Name;

/// An endpoint that a source told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundForm {
    /// Whose.
    pub pool: Box<str>,
    /// Its name in the pool.
    pub name: Box<str>,
    /// Its addresses, one a family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The name whose addresses are its own, in place of addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// Where it is probed, in place of the check's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its weight.
    pub weight: u16,
    /// Its source has dropped it, and the floor holds it.
    #[serde(default)]
    pub held: bool,
}

impl FoundForm {
    /// The form of an endpoint.
    pub(crate) fn of(pool: &str, name: &str, endpoint: &Endpoint, held: bool) -> Self {
        let addresses = Family::BOTH.into_iter().filter_map(|family| endpoint.address(family));
        Self {
            pool: pool.into(),
            name: name.into(),
            addresses: addresses.collect(),
            host: endpoint.target().map(|host| host.to_string().into()),
            port: endpoint.probe.first().and_then(|special| special.port),
            weight: endpoint.weight,
            held,
        }
    }

    /// The endpoint of a form; `None` if the form is no endpoint's.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let address =
            |family| self.addresses.iter().copied().find(|one| Family::of(*one) == family);
        let leaf = match &self.host {
            Some(host) => Leaf::Alias(Name::absolute(host).ok()?),
            None if self.addresses.is_empty() => return None,
            None => {
                let v4 = address(Family::V4).and_then(|address| match address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                });
                let v6 = address(Family::V6).and_then(|address| match address {
                    IpAddr::V6(address) => Some(address),
                    IpAddr::V4(_) => None,
                });
                Leaf::Addresses { v4, v6 }
            }
        };
        Some(Endpoint {
            key: format!("{}/{}", self.pool, self.name).into(),
            leaf,
            weight: self.weight,
            capacity: None,
            probe: self.port.map(special).into_iter().collect(),
            state: None,
        })
    }
}

/// How a pool judges what is found, and what went lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingForm {
    /// Which pool.
    pub pool: Box<str>,
    /// Digest of the settings.
    pub settings: u64,
    /// When endpoints went, since 1970, and how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<(u64, usize)>,
}

impl FindingForm {
    /// The form of a floor.
    pub(crate) fn of(pool: &str, settings: u64, floor: &Floor, now: Now) -> Self {
        let unix = |at: Duration| now.unix.saturating_sub(now.monotonic.saturating_sub(at));
        let dropped = floor.dropped(now.monotonic).map(|(at, gone)| (instant_ms(unix(at)), gone));
        Self { pool: pool.into(), settings, dropped: dropped.collect() }
    }

    /// The floor of a form. A clock that was set back makes it hold longer, by its window at most.
    pub(crate) fn floor(&self, now: Now) -> Floor {
        let dropped = self.dropped.iter();
        Floor::restored(dropped.map(|(at_ms, gone)| (moment(*at_ms, now).monotonic, *gone)))
    }
}

pub(crate) fn found_key(pool: &str, name: &str) -> String {
    format!("found {pool}/{name}")
}

pub(crate) fn finding_key(pool: &str) -> String {
    format!("finding {pool}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_comes_back_as_it_was_and_a_form_that_is_none_does_not() {
        for (text, is_one) in [
            (
                r#"{"pool":"eu","name":"a","addresses":["192.0.2.1","2001:db8::1"],"port":80,"weight":3,"held":true}"#,
                true,
            ),
            (r#"{"pool":"eu","name":"a","addresses":["192.0.2.1"],"weight":0,"held":false}"#, true),
            (r#"{"pool":"eu","name":"a","host":"a.example.net.","weight":1,"held":false}"#, true),
            (r#"{"pool":"eu","name":"a","weight":1,"held":false}"#, false),
            (r#"{"pool":"eu","name":"a","host":"a..b","weight":1,"held":false}"#, false),
        ] {
            let form: FoundForm = serde_json::from_str(text).expect("a form");
            assert_eq!(serde_json::to_string(&form).expect("a text"), text);
            let endpoint = form.endpoint();
            assert_eq!(endpoint.is_some(), is_one, "{text}");
            let again = endpoint.map(|one| FoundForm::of("eu", "a", &one, form.held));
            assert_eq!(again, is_one.then_some(form));
        }
    }

    #[test]
    fn what_went_lately_goes_by_the_wall_clock_and_is_never_of_the_future() {
        let now = |seconds: u64| Now {
            monotonic: Duration::from_secs(10_000 + seconds),
            unix: Duration::from_secs(1_000_000 + seconds),
        };
        let mut floor = Floor::default();
        floor.note(now(0).monotonic, 3);
        floor.note(now(500).monotonic, 2);
        let form = FindingForm::of("eu", 7, &floor, now(500));
        let gone = |now: Now| -> usize {
            form.floor(now).dropped(now.monotonic).map(|(_, gone)| gone).sum()
        };
        assert_eq!((gone(now(500)), gone(now(700)), gone(now(1100))), (5, 2, 0));
        let set_back = Now { unix: Duration::from_secs(900_000), ..now(5000) };
        assert_eq!(gone(set_back), 5, "nobody knows how long ago it was");
    }
}
