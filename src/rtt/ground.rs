//! Where clients and sites are, as far as estimates need it: what to expect, what cannot be, who belongs together.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::Location;
use crate::model::Site;
use crate::rtt::Group;
use crate::rtt::RTT_MAX_US;
use crate::rtt::prior;
use crate::rtt::spell_ms;
use crate::steering::distance;

/// Radius in kilometres of a location without one, as `nearest` takes it.
const RADIUS_UNKNOWN_KM: u16 = 50;

/// The map that measurements are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Addresses to places.
    pub places: &'a PlaceMap,
    /// All sites.
    pub sites: &'a [Site],
}

/// Why a measurement is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No site of that name.
    UnknownSite {
        /// The name.
        name: String,
        /// Names that exist, as far as fits a line.
        known: String,
    },
    /// Not above 0, or above [`RTT_MAX_US`].
    OutOfRange,
    /// Light in fibre takes longer.
    TooFast {
        /// The least that is possible, in microseconds.
        least_us: i64,
        /// Kilometres between site and client, or the nearest place of a network.
        km: u64,
    },
}

impl Refusal {
    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::UnknownSite { known, .. } => format!("name a site of the configuration: {known}"),
            Self::OutOfRange => format!("give above 0 to {} ms", RTT_MAX_US / 1000),
            Self::TooFast { .. } => {
                "measure again, or correct where geo data has the network or the site".into()
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSite { name, .. } => write!(f, "there is no site `{name}`"),
            Self::OutOfRange => f.write_str("the round-trip time is out of range"),
            Self::TooFast { least_us, km } => {
                let least = spell_ms(*least_us as i32);
                write!(f, "impossible: {km} km take at least {least} ms in fibre")
            }
        }
    }
}

impl<'a> Ground<'a> {
    /// Where an address is.
    pub fn place(&self, address: IpAddr) -> &'a Place {
        self.places.place(self.places.find(address).place)
    }

    /// Metres from a place to a site, if the place has a location.
    pub fn metres(&self, place: &Place, site: &Site) -> Option<u64> {
        let point = place.location?;
        let here = Location { latitude: point.latitude(), longitude: point.longitude() };
        Some(distance::metres(here, site.location))
    }

    /// What distance says of the way from a place to a site, in microseconds.
    pub fn prior_us(&self, place: &Place, site: &Site) -> i64 {
        prior::expected_us(self.metres(place, site))
    }

    /// The group of a network: that of all its clients, as far as its first and last address tell.
    pub fn group_of(&self, network: IpNet) -> Option<Group> {
        let first = Group::of(self.place(network.network()))?;
        (Group::of(self.place(network.broadcast())) == Some(first)).then_some(first)
    }

    /// A site by name.
    pub fn find_site(&self, name: &str) -> Option<&'a Site> {
        self.sites.iter().find(|site| *site.name == *name)
    }

    /// The site of a measurement that can be true.
    ///
    /// Of a network that spans several places the nearest counts; of those without a location nobody can say that they
    /// are near.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn judge(&self, network: IpNet, site: &str, rtt_us: i32) -> Result<&'a Site, Refusal> {
        let site = self.find_site(site).ok_or_else(|| self.no_site(site))?;
        if !(1..=RTT_MAX_US).contains(&rtt_us) {
            return Err(Refusal::OutOfRange);
        }
        let shortest = |id: PlaceId| self.shortest(self.places.place(id), site);
        let nearest = self.places.within(network).filter_map(shortest).min();
        let Some((least_us, metres)) = nearest else { return Ok(site) };
        match i64::from(rtt_us) < least_us {
            true => Err(Refusal::TooFast { least_us, km: metres / 1000 }),
            false => Ok(site),
        }
    }

    /// The shortest round trip from a place, and the metres it goes.
    fn shortest(&self, place: &Place, site: &Site) -> Option<(i64, u64)> {
        let metres = self.metres(place, site)?;
        // The radius holds most users, not all: twice as far out is still believed.
        let radius_km = place.accuracy_km.unwrap_or(RADIUS_UNKNOWN_KM);
        Some((prior::shortest_us(metres, u64::from(radius_km) * 2_000), metres))
    }

    fn no_site(&self, name: &str) -> Refusal {
        let names: Vec<&str> = self.sites.iter().map(|site| &*site.name).take(10).collect();
        let more = if self.sites.len() > names.len() { ", ..." } else { "" };
        let known = if names.is_empty() { "it has none".into() } else { names.join(", ") + more };
        Refusal::UnknownSite { name: name.chars().take(64).collect(), known }
    }
}

#[cfg(test)]
pub(in crate::rtt) mod tests {
    use super::*;
    use crate::geo::Layer;
    use crate::geo::Point;

    /// Frankfurt and Ashburn.
    pub fn sites() -> Vec<Site> {
        [("fra", 50.11, 8.68), ("iad", 38.95, -77.45)]
            .map(|(name, latitude, longitude)| Site {
                name: name.into(),
                location: Location { latitude, longitude },
                country: None,
                region: None,
                cost: 1.0,
            })
            .into()
    }

    /// 192.0.2.0/24, 198.51.100.0/24 and 2001:db8::/32 in Frankfurt with AS64496; 203.0.113.0/24 in Ashburn with
    /// AS64497.
    pub fn places() -> PlaceMap {
        let mut layer = Layer::new();
        let place = |country: &[u8; 2], latitude, longitude, asn| Place {
            country: Some(*country),
            location: Point::from_degrees(latitude, longitude),
            accuracy_km: Some(20),
            asn: Some(asn),
            ..Place::default()
        };
        let frankfurt = place(b"DE", 50.11, 8.68, 64496);
        for network in ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"] {
            layer.insert(network.parse().unwrap(), frankfurt.clone()).unwrap();
        }
        let ashburn = place(b"US", 38.95, -77.45, 64497);
        layer.insert("203.0.113.0/24".parse().unwrap(), ashburn).unwrap();
        PlaceMap::compile(&[layer])
    }

    #[test]
    fn what_is_faster_than_light_in_fibre_is_refused() {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        let judge = |network: &str, site: &str, rtt_us| {
            let judged = ground.judge(network.parse().unwrap(), site, rtt_us);
            judged.map(|site| site.name.to_string()).map_err(|why| why.to_string())
        };
        // 6,553 km less twice 20 km of radius.
        let least = "impossible: 6553 km take at least 65.133 ms in fibre";
        assert_eq!(judge("192.0.2.0/24", "iad", 65_132), Err(least.into()));
        assert_eq!(judge("192.0.2.0/24", "iad", 65_133), Ok("iad".into()));
        assert_eq!(judge("192.0.2.0/24", "fra", 1), Ok("fra".into()));
        assert_eq!(judge("100.64.0.0/24", "iad", 1), Ok("iad".into()), "nobody knows where it is");
        for out in [0, -1, RTT_MAX_US + 1, i32::MIN] {
            assert_eq!(judge("192.0.2.0/24", "fra", out), Err(Refusal::OutOfRange.to_string()));
        }
        assert_eq!(judge("192.0.2.0/24", "ams", 9_000), Err("there is no site `ams`".into()));
    }

    #[test]
    fn of_a_network_of_several_places_the_nearest_decides() {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        let is_believed =
            |network: &str, site: &str| ground.judge(network.parse().unwrap(), site, 1_000).is_ok();
        // Both ends are unknown: what is known of it decides all the same.
        assert!(!is_believed("192.0.0.0/16", "iad"), "Frankfurt alone is known of it");
        assert!(is_believed("192.0.0.0/16", "fra"));
        // Frankfurt is neither its first address nor its last.
        assert!(is_believed("192.0.0.0/8", "fra"));
        assert!(is_believed("192.0.0.0/4", "iad"), "Ashburn is in it, too");
        assert!(is_believed("0.0.0.0/0", "iad") && is_believed("2001:db8::/16", "fra"));
        assert!(!is_believed("2001::/16", "iad"));
    }

    #[test]
    fn a_group_is_one_only_if_both_ends_agree() {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        let group = |network: &str| ground.group_of(network.parse().unwrap());
        assert_eq!(group("192.0.2.0/24"), Some(Group { country: *b"DE", asn: 64496 }));
        assert_eq!(group("192.0.0.0/16"), None);
        assert_eq!(group("100.64.0.0/24"), None);
    }
}
