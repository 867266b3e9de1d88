//! What policies know of the clients at each place: distances, regions, networks, round-trip times.

use std::collections::HashMap;
use std::hash::Hash;

use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::Location;
use crate::model::Model;
use crate::model::SiteId;
use crate::snapshot::rules::Matcher;
use crate::steering::distance::Radius;
use crate::steering::distance::Spot;

/// Measured round-trip times, as `fastest` asks for them.
pub trait RoundTrips {
    /// The row of measurements for clients at a place; 0 if there are none. Equal rows are equal estimates.
    fn row(&self, place: &Place) -> u32;

    /// Microseconds from the clients of a row to a site, and whether measurements are part of it.
    ///
    /// `prior` is the estimate by distance, if the place has a location.
    fn estimate(&self, row: u32, site: SiteId, prior: Option<u64>) -> Option<(u64, bool)>;
}

/// Which parts of a view a policy looks at; places that are equal in them are of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Location and radius.
    pub spot: bool,
    /// Continent, country, subdivision.
    pub region: bool,
    /// Prefixes and autonomous systems.
    pub network: bool,
    /// Measured round-trip times.
    pub round_trips: bool,
}

impl Uses {
    /// What either looks at.
    pub fn or(self, other: Self) -> Self {
        Self {
            spot: self.spot || other.spot,
            region: self.region || other.region,
            network: self.network || other.network,
            round_trips: self.round_trips || other.round_trips,
        }
    }
}

/// Numbers that are equal where policies see no difference; 0 where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signature {
    spot: u32,
    region: u32,
    network: u32,
    round_trips: u32,
}

impl Signature {
    /// The parts that `uses` looks at, the others 0.
    pub fn masked(self, uses: Uses) -> Self {
        let pick = |part: u32, is_used: bool| if is_used { part } else { 0 };
        Self {
            spot: pick(self.spot, uses.spot),
            region: pick(self.region, uses.region),
            network: pick(self.network, uses.network),
            round_trips: pick(self.round_trips, uses.round_trips),
        }
    }
}

/// What is known of the clients at one place.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Metres to each site, and how exact the place is, if it has a location.
    pub spot: Option<(&'a [u64], Radius)>,
    /// What geo data and tables of networks say.
    pub place: &'a Place,
    /// Row of the measured round-trip times.
    pub round_trips: u32,
}

/// What is known of the clients at every place; what is equal for many is kept once.
#[derive(Clone, Debug)]
pub struct Views {
    site_count: usize,
    /// Rows of as many metres as there are sites; shared by places at one point.
    metres: Vec<u64>,
    /// By number less 1: row of `metres`, and how exact.
    spots: Vec<(u32, Radius)>,
    /// Each distinct one, with a place that has it.
    signatures: Vec<(Signature, PlaceId)>,
    /// By place: position of its signature.
    of_place: Vec<u32>,
}

/// Numbers distinct values from 0.
struct Numbers<T> {
    known: HashMap<T, u32>,
}

impl<T: Eq + Hash> Numbers<T> {
    fn new() -> Self {
        Self { known: HashMap::new() }
    }

    /// The number of a value, and whether it is new.
    fn number(&mut self, value: T) -> (u32, bool) {
        let next = self.known.len() as u32;
        let number = *self.known.entry(value).or_insert(next);
        (number, number == next)
    }
}

impl Views {
    /// Looks at every place of `places` with the eyes of the policies of `model`.
    pub fn new(
        model: &Model,
        places: &PlaceMap,
        matcher: &Matcher,
        round_trips: &dyn RoundTrips,
    ) -> Self {
        let mut new = Self {
            site_count: model.sites.len(),
            metres: Vec::new(),
            spots: Vec::new(),
            signatures: Vec::new(),
            of_place: Vec::with_capacity(places.places().len()),
        };
        let sites: Vec<Spot> = model.sites.iter().map(|site| Spot::new(site.location)).collect();
        let (mut points, mut spots) = (Numbers::new(), Numbers::new());
        let (mut regions, mut networks) = (Numbers::new(), Numbers::new());
        regions.number(Vec::new());
        networks.number((0, None));
        let mut signatures = Numbers::new();
        for (position, place) in places.places().iter().enumerate() {
            let spot = place.location.map_or(0, |point| {
                let (row, is_new) = points.number(point.micro_degrees());
                if is_new {
                    let here =
                        Location { latitude: point.latitude(), longitude: point.longitude() };
                    let here = Spot::new(here);
                    new.metres.extend(sites.iter().map(|site| here.metres_to(*site)));
                }
                let spot = (row, Radius::of(place.accuracy_km));
                let (number, is_new) = spots.number(spot);
                if is_new {
                    new.spots.push(spot);
                }
                number + 1
            });
            let row = place.rows.row(crate::geo::Table::Networks);
            let signature = Signature {
                spot,
                region: regions.number(matcher.named_regions(place)).0,
                network: networks.number((row, matcher.named_system(place))).0,
                round_trips: round_trips.row(place),
            };
            let (number, is_new) = signatures.number(signature);
            if is_new {
                new.signatures.push((signature, PlaceId(position as u32)));
            }
            new.of_place.push(number);
        }
        new
    }

    /// Each distinct signature, with a place that has it.
    pub fn signatures(&self) -> &[(Signature, PlaceId)] {
        &self.signatures
    }

    /// By place: position among [`Views::signatures`].
    pub fn of_place(&self) -> &[u32] {
        &self.of_place
    }

    /// What is known of the clients at a place.
    pub fn view<'a>(&'a self, places: &'a PlaceMap, place: PlaceId) -> View<'a> {
        let (signature, _) = self.signatures[self.of_place[place.index()] as usize];
        let spot = signature.spot.checked_sub(1).map(|number| {
            let (row, radius) = self.spots[number as usize];
            let metres = &self.metres[row as usize * self.site_count..][..self.site_count];
            (metres, radius)
        });
        View { spot, place: places.place(place), round_trips: signature.round_trips }
    }
}
