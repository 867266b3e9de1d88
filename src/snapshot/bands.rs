//! Splits classes by the bands in which pools that shed see their clients. Costs nothing where no pool sheds.
//!
//! Classes come first; they say whose first choice a pool is. The distances of all those, by number of addresses, are cut
//! into sixteen bands. Then each class falls apart by the bands of its places.

use std::collections::HashMap;

use crate::geo::PlaceMap;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::snapshot::classes::Sorted;
use crate::snapshot::classes::TooManyClasses;
use crate::snapshot::views::Views;
use crate::steering::Band;
use crate::steering::Bands;
use crate::steering::Tree;
use crate::steering::band::BANDED_DEPTH;
use crate::steering::band::Edges;
use crate::steering::band::WHOLE;
use crate::steering::band::for_each_first;
use crate::steering::band::for_each_near;

/// How much one IPv4 address counts, where each /64 of IPv6 counts 1: as much as a /48.
const EACH_V4: u128 = 1 << 16;

/// How many clients there are of whom the same is known.
#[derive(Clone, Debug)]
pub struct Banding {
    /// By position among [`Views::signatures`].
    addresses: Vec<u128>,
}

/// What bands ask of a class.
struct Shape {
    /// Pools that shed and have bands here, ascending: those that are near, and those of which nobody is a client.
    named: Vec<PoolId>,
    /// Whether others shed too.
    has_more: bool,
}

impl Banding {
    /// Counts addresses; `None` if no pool sheds.
    pub fn new(model: &Model, places: &PlaceMap, views: &Views) -> Option<Self> {
        if model.pools.iter().all(|pool| pool.shed.is_none()) {
            return None;
        }
        let mut addresses = vec![0; views.signatures().len()];
        let mut add = |place: crate::geo::PlaceId, count: u128| {
            addresses[views.of_place()[place.index()] as usize] += count;
        };
        let v4 = places.leaves_v4();
        for (&len, &place) in v4.prefix_lens.iter().zip(v4.places) {
            add(place, EACH_V4 << (32 - u32::from(len)));
        }
        // A /64 counts where it ends, so that parts of one add up to it.
        let v6 = places.leaves_v6();
        for (leaf, (&start, &place)) in v6.starts.iter().zip(v6.places).enumerate() {
            let end = v6.starts.get(leaf + 1).map_or(1 << 64, |next| next >> 64);
            add(place, end - (start >> 64));
        }
        Some(Self { addresses })
    }

    /// Splits the classes of an entry. If they become too many, only first choices have bands of their own.
    pub(super) fn split(
        &self,
        sorted: Sorted,
        model: &Model,
        places: &PlaceMap,
        views: &Views,
    ) -> Result<Sorted, TooManyClasses> {
        let edges = self.edges(&sorted, model, places, views);
        if edges.is_empty() {
            return Ok(sorted);
        }
        let split = |depth| split(&sorted, &edges, depth, model, places, views);
        split(BANDED_DEPTH).or_else(|TooManyClasses| split(1))
    }

    /// Where the bands of each pool end that sheds, by the clients whose first choice it is; if it is nobody's, by all
    /// that it is a candidate of.
    fn edges(
        &self,
        sorted: &Sorted,
        model: &Model,
        places: &PlaceMap,
        views: &Views,
    ) -> HashMap<PoolId, Edges> {
        let of_class: Vec<_> = sorted.trees.iter().map(|tree| shares_of(tree, model)).collect();
        let population = |wanted: &dyn Fn(PoolId, u64) -> u64| {
            let mut population: HashMap<PoolId, Vec<(u64, u128)>> = HashMap::new();
            for (signature, &(_, place)) in views.signatures().iter().enumerate() {
                let Some((metres, _)) = views.view(places, place).spot else { continue };
                for &(pool, site, share) in &of_class[usize::from(sorted.class_of(signature))] {
                    let count = self.addresses[signature] * u128::from(wanted(pool, share));
                    if count > 0 {
                        population.entry(pool).or_default().push((metres[site.index()], count));
                    }
                }
            }
            population
        };
        let edges_of = |(pool, all): (PoolId, Vec<_>)| Some((pool, Edges::of(all)?));
        let mut edges: HashMap<PoolId, Edges> =
            population(&|_, share| share).into_iter().filter_map(edges_of).collect();
        // Nobody's first choice: all who can come to it.
        let mut rest = of_class.iter().flatten().map(|(pool, ..)| pool);
        if rest.any(|pool| !edges.contains_key(pool)) {
            let of_rest = population(&|pool, _| u64::from(!edges.contains_key(&pool)));
            edges.extend(of_rest.into_iter().filter_map(edges_of));
        }
        edges
    }
}

/// Pools of a tree that shed, with their sites and the share of clients whose first choice they are.
///
/// Nothing for a tree of one pool: nobody else could take its clients.
fn shares_of(tree: &Tree, model: &Model) -> Vec<(PoolId, SiteId, u64)> {
    let mut shares: Vec<(PoolId, SiteId, u64)> = Vec::new();
    for pool in shedding_pools(tree, model) {
        let Some(site) = model.pools[pool.index()].site else { continue };
        let mut sum = 0;
        for_each_first(tree, WHOLE, &mut |first, share| {
            sum += if first == pool { share } else { 0 };
        });
        shares.push((pool, site, sum));
    }
    shares
}

/// Pools of a tree that shed, ascending; nothing if it has one pool only.
fn shedding_pools(tree: &Tree, model: &Model) -> Vec<PoolId> {
    let mut pools = Vec::new();
    tree.for_each_pool(&mut |pool| pools.push(pool));
    pools.sort_unstable();
    pools.dedup();
    if pools.len() == 1 {
        pools.clear();
    }
    pools.retain(|pool| model.pools[pool.index()].shed.is_some());
    pools
}

/// Gives each place the class of its tree and bands; classes are numbered as they appear.
fn split(
    sorted: &Sorted,
    edges: &HashMap<PoolId, Edges>,
    depth: usize,
    model: &Model,
    places: &PlaceMap,
    views: &Views,
) -> Result<Sorted, TooManyClasses> {
    let shapes: Vec<Shape> =
        sorted.trees.iter().map(|tree| Shape::new(tree, edges, depth, model)).collect();
    let mut next = Sorted {
        trees: Vec::new(),
        bands: Vec::new(),
        examples: Vec::new(),
        of_signature: Vec::with_capacity(views.signatures().len()),
    };
    let mut known: HashMap<(u16, Bands), u16> = HashMap::new();
    for (signature, &(_, place)) in views.signatures().iter().enumerate() {
        let class = sorted.class_of(signature);
        let metres = views.view(places, place).spot.map(|(metres, _)| metres);
        let bands = shapes[usize::from(class)].bands(metres, edges, model);
        let id = match known.get(&(class, bands.clone())) {
            Some(&id) => id,
            None => {
                let id = u16::try_from(next.trees.len()).map_err(|_| TooManyClasses)?;
                next.trees.push(sorted.trees[usize::from(class)].clone());
                next.bands.push(bands.clone());
                next.examples.push(place);
                known.insert((class, bands), id);
                id
            }
        };
        next.of_signature.push(id);
    }
    Ok(next)
}

impl Shape {
    fn new(tree: &Tree, edges: &HashMap<PoolId, Edges>, depth: usize, model: &Model) -> Self {
        let mut named = shedding_pools(tree, model);
        let mut near = Vec::new();
        for_each_near(tree, depth, &mut |pool| near.push(pool));
        let count = named.len();
        named.retain(|pool| near.contains(pool) || !edges.contains_key(pool));
        Self { has_more: named.len() < count, named }
    }

    /// The bands of clients so far from each site; `None`: nobody knows where they are.
    fn bands(
        &self,
        metres: Option<&[u64]>,
        edges: &HashMap<PoolId, Edges>,
        model: &Model,
    ) -> Bands {
        let band = |pool: PoolId| {
            let site = model.pools[pool.index()].site;
            let metres = metres.zip(site).map(|(metres, site)| metres[site.index()]);
            let edges = edges.get(&pool);
            metres.zip(edges).map_or(Band::NEAREST, |(metres, edges)| edges.band_of(metres))
        };
        let named = self.named.iter().map(|&pool| (pool, band(pool))).collect();
        let others = match metres.is_some() && self.has_more {
            true => Band::FARTHEST,
            false => Band::NEAREST,
        };
        Bands::new(named, others)
    }
}
