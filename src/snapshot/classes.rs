//! Clients that a policy treats alike, and the candidate tree of each such class.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::geo::Leaf;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::Location;
use crate::model::Model;
use crate::model::PolicyKind;
use crate::model::SiteId;
use crate::model::Target;
use crate::snapshot::cover::Cover;
use crate::steering::distance;
use crate::steering::distance::Radius;
use crate::steering::interpreter::NEAREST_DEPTH;
use crate::steering::rendezvous::NameSeed;
use crate::steering::tree::Branch;
use crate::steering::tree::Tree;

/// What one entry (a policy or pool that names steer to) makes of every place.
#[derive(Clone, Debug)]
pub struct Classes {
    trees: Box<[Tree]>,
    /// `None`: every place is of class 0.
    by_place: Option<ByPlace>,
}

/// Classes of places, and what follows for prefixes.
#[derive(Clone, Debug)]
struct ByPlace {
    class: Box<[u16]>,
    v4: Cover,
    v6: Cover,
}

/// A client's class, and the scope that this alone asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// Index into [`Classes::trees`].
    pub class: u16,
    /// Widest prefix around the client in which the class is the same, in bits.
    pub uniform_len: u8,
}

/// More classes than 16 bits can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyClasses;

impl std::fmt::Display for TooManyClasses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a policy sorts clients into more than 65,535 classes")
    }
}

impl Classes {
    /// Classifies every place for `entry`; `distances` is shared by all entries of one model.
    pub fn new(
        model: &Model,
        entry: Target,
        places: &PlaceMap,
        distances: &Distances,
    ) -> Result<Self, TooManyClasses> {
        let grower = Grower { model };
        if !grower.uses_place(entry) {
            return Ok(Self { trees: Box::new([grower.tree(entry, None)]), by_place: None });
        }
        let mut known: HashMap<Tree, u16> = HashMap::new();
        let mut trees = Vec::new();
        let mut by_view: HashMap<Option<(u32, Radius)>, u16> = HashMap::new();
        let mut class = Vec::with_capacity(places.places().len());
        for view in &distances.view_of {
            let id = match by_view.get(view) {
                Some(&id) => id,
                None => {
                    let tree = grower.tree(entry, view.map(|view| distances.view(view)));
                    let next = u16::try_from(trees.len()).map_err(|_| TooManyClasses)?;
                    let id = *known.entry(tree.clone()).or_insert(next);
                    if id == next {
                        trees.push(tree);
                    }
                    by_view.insert(*view, id);
                    id
                }
            };
            class.push(id);
        }
        if trees.len() == 1 {
            return Ok(Self { trees: trees.into(), by_place: None });
        }
        let (v4, v6) = (places.leaves_v4(), places.leaves_v6());
        let v4 = Cover::new(v4.prefix_lens, v4.places, &class, 32);
        let v6 = Cover::new(v6.prefix_lens, v6.places, &class, 128);
        Ok(Self { trees: trees.into(), by_place: Some(ByPlace { class: class.into(), v4, v6 }) })
    }

    /// Candidate trees by class.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The class of clients at a place.
    pub fn of_place(&self, place: PlaceId) -> u16 {
        self.by_place.as_ref().map_or(0, |by_place| by_place.class[place.index()])
    }

    /// The class of a client prefix of `source_len` bits around `address`, which lies in `leaf`.
    ///
    /// A prefix with several classes gets the one that covers most of it.
    #[inline]
    pub fn classify(
        &self,
        places: &PlaceMap,
        address: IpAddr,
        source_len: u8,
        leaf: Leaf,
    ) -> Classified {
        let Some(by_place) = &self.by_place else { return Classified { class: 0, uniform_len: 0 } };
        let cover = match address {
            IpAddr::V4(_) => &by_place.v4,
            IpAddr::V6(_) => &by_place.v6,
        };
        let uniform_len = cover.uniform_len(leaf.index);
        let class = if source_len >= uniform_len {
            by_place.class[leaf.place.0 as usize]
        } else {
            cover.most(leaf_of(places, middle(address, source_len)).index)
        };
        Classified { class, uniform_len }
    }
}

/// The leaf of an address in the table of its own family, IPv4-mapped addresses included.
#[inline]
pub fn leaf_of(places: &PlaceMap, address: IpAddr) -> Leaf {
    match address {
        IpAddr::V4(v4) => places.find_v4(v4),
        IpAddr::V6(v6) => places.find_v6(v6),
    }
}

/// The first address of the right half of a prefix; `address` has no bits beyond it.
fn middle(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() | 1 << (31 - prefix_len)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() | 1 << (127 - prefix_len)).into()),
    }
}

/// Metres from every place to every site; rows are shared by places at one point.
#[derive(Clone, Debug)]
pub struct Distances {
    site_count: usize,
    metres: Vec<u64>,
    /// By place: which row, and how exact the place is, if it has a location.
    view_of: Vec<Option<(u32, Radius)>>,
}

/// What `nearest` knows of clients at one place.
#[derive(Clone, Copy)]
struct View<'a> {
    /// To each site.
    metres: &'a [u64],
    radius: Radius,
}

impl Distances {
    /// Measures from every place of `places` to every site of `model`.
    pub fn new(model: &Model, places: &PlaceMap) -> Self {
        let site_count = model.sites.len();
        let mut rows: HashMap<(i32, i32), u32> = HashMap::new();
        let mut metres = Vec::new();
        let view_of = places
            .places()
            .iter()
            .map(|place| {
                let point = place.location?;
                let next = rows.len() as u32;
                let row = *rows.entry(point.micro_degrees()).or_insert(next);
                if row == next {
                    let here =
                        Location { latitude: point.latitude(), longitude: point.longitude() };
                    metres.extend(
                        model.sites.iter().map(|site| distance::metres(here, site.location)),
                    );
                }
                Some((row, Radius::of(place.accuracy_km)))
            })
            .collect();
        Self { site_count, metres, view_of }
    }

    fn view(&self, (row, radius): (u32, Radius)) -> View<'_> {
        let metres = &self.metres[row as usize * self.site_count..][..self.site_count];
        View { metres, radius }
    }
}

/// Makes candidate trees from policies.
struct Grower<'a> {
    model: &'a Model,
}

impl Grower<'_> {
    /// Whether `nearest` appears anywhere below.
    fn uses_place(&self, target: Target) -> bool {
        let Target::Policy(policy) = target else { return false };
        let kind = &self.model.policies[policy.index()].kind;
        matches!(kind, PolicyKind::Nearest(_))
            || kind.targets().into_iter().any(|target| self.uses_place(target))
    }

    /// The tree of a target for clients with this view of the sites.
    fn tree(&self, target: Target, view: Option<View<'_>>) -> Tree {
        let policy = match target {
            Target::Pool(pool) => return Tree::Pool(pool),
            Target::Policy(policy) => policy,
        };
        let rule = &self.model.policies[policy.index()];
        let fence = rule.fence;
        match &rule.kind {
            PolicyKind::Failover(targets) => Tree::Ordered {
                children: targets.iter().map(|&t| self.tree(t, view)).collect(),
                fence,
            },
            PolicyKind::Nearest(targets) => {
                let order = match view {
                    Some(View { metres, radius }) => {
                        let far =
                            |&(target, bias): &(Target, _)| match self.metres_to(target, metres) {
                                Some(metres) => distance::biased(metres, bias),
                                None => u64::MAX,
                            };
                        nearest_first(targets.iter().map(|e| (far(e), e.0)).collect(), radius)
                    }
                    None => rule.kind.targets(),
                };
                Tree::Ordered {
                    children: order.into_iter().map(|t| self.tree(t, view)).collect(),
                    fence,
                }
            }
            PolicyKind::Weighted(targets) => {
                let branches = targets.iter().map(|weighted| Branch {
                    target: weighted.target,
                    seed: NameSeed::of_target(&rule.name, self.name(weighted.target)),
                    weight: weighted.weight,
                    spill: weighted.spill,
                    tree: self.tree(weighted.target, view),
                });
                Tree::Weighted { policy, branches: branches.collect(), fence }
            }
        }
    }

    /// Metres to the nearest pool below a target.
    fn metres_to(&self, target: Target, metres: &[u64]) -> Option<u64> {
        match target {
            Target::Pool(pool) => {
                self.model.pools[pool.index()].site.map(|SiteId(site)| metres[site as usize])
            }
            Target::Policy(policy) => {
                let targets = self.model.policies[policy.index()].kind.targets();
                targets.into_iter().filter_map(|target| self.metres_to(target, metres)).min()
            }
        }
    }

    fn name(&self, target: Target) -> &str {
        match target {
            Target::Pool(pool) => &self.model.pools[pool.index()].name,
            Target::Policy(policy) => &self.model.policies[policy.index()].name,
        }
    }
}

/// The [`NEAREST_DEPTH`] nearest, nearest first, then the rest as written: so that classes stay few.
fn nearest_first(ranked: Vec<(u64, Target)>, radius: Radius) -> Vec<Target> {
    let distances: Vec<u64> = ranked.iter().map(|entry| entry.0).collect();
    let mut places = distance::rank(&distances, radius);
    let depth = NEAREST_DEPTH.min(places.len());
    places[depth..].sort_unstable();
    places.into_iter().map(|place| ranked[place].1).collect()
}
