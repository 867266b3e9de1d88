//! What an operator asserts of a configuration: checked before it serves.

use std::fmt;

use ipnet::IpNet;

use crate::geo::place::code_text;
use crate::model::Percent;
use crate::model::SiteId;
use crate::model::SteerId;

/// One assertion. It holds for every client it speaks of, in every state of health it speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// Where it is written.
    pub written: Written,
    /// The steered names it speaks of, each once.
    pub steers: Vec<SteerId>,
    /// Clients that any of these fits; all, if there is none.
    pub clients: Vec<Clients>,
    /// What must be so.
    pub claim: Claim,
    /// In which states of health.
    pub losses: Losses,
}

/// Octets of a file of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Position of the file.
    pub file: usize,
    /// First octet.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

/// Some clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Clients {
    /// On a continent.
    Continent([u8; 2]),
    /// In a country.
    Country([u8; 2]),
    /// In a part of a country.
    Subdivision([u8; 2], Box<str>),
    /// In an autonomous system.
    System(u32),
    /// In a network.
    Network(IpNet),
}

/// As written: `continent:EU`, `country:DE`, `subdivision:US-CA`, `asn:64500`, `192.0.2.0/24`.
impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continent(code) => write!(f, "continent:{}", code_text(*code)),
            Self::Country(code) => write!(f, "country:{}", code_text(*code)),
            Self::Subdivision(country, part) => {
                write!(f, "subdivision:{}-{part}", code_text(*country))
            }
            Self::System(number) => write!(f, "asn:{number}"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// What must be so.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Answers stand in one of these.
    StaysIn(Vec<Area>),
    /// Answers stand at most so many metres from the client. Clients without a location are left out.
    Within(u64),
    /// A healthy endpoint is served.
    Answers,
    /// No site carries more than a share of its capacity.
    MaxLoad {
        /// The share.
        limit: Percent,
        /// What clients bring.
        traffic: Vec<TrafficRow>,
    },
}

/// Where endpoints may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// At sites on a continent.
    Continent([u8; 2]),
    /// At sites in a country.
    Country([u8; 2]),
    /// At one site.
    Site(SiteId),
}

/// States of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Losses {
    /// Everything is up.
    Nothing,
    /// Everything is up, or all of any single site is lost.
    OneSite,
    /// Whatever fails or is taken out.
    Anything,
}

/// Load that some clients bring to one name.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficRow {
    /// The name.
    pub steer: SteerId,
    /// Clients that all of these fit; at least one.
    pub clients: Vec<Clients>,
    /// In the unit of capacity.
    pub load: f64,
}
