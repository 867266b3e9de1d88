//! Clients that a policy treats alike, and the candidate tree of each such class.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::geo::Leaf;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::Target;
use crate::snapshot::cover::Cover;
use crate::snapshot::grow::Grower;
use crate::snapshot::views::Signature;
use crate::snapshot::views::Uses;
use crate::snapshot::views::Views;
use crate::steering::tree::Tree;

/// What one entry (a policy or pool that names steer to) makes of every place.
#[derive(Clone, Debug)]
pub struct Classes {
    trees: Box<[Tree]>,
    /// By class: a place of it.
    examples: Box<[PlaceId]>,
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
    /// Classifies every place for `entry`; `views` is shared by all entries of one model.
    pub fn new(
        grower: Grower<'_>,
        entry: Target,
        places: &PlaceMap,
        views: &Views,
    ) -> Result<Self, TooManyClasses> {
        let uses = grower.uses(entry);
        if uses == Uses::default() {
            return Ok(Self::one(grower.tree(entry, None)));
        }
        let mut known: HashMap<Tree, u16> = HashMap::new();
        let (mut trees, mut examples) = (Vec::new(), Vec::new());
        let mut by_signature: HashMap<Signature, u16> = HashMap::new();
        let mut classes = Vec::with_capacity(views.signatures().len());
        for &(signature, place) in views.signatures() {
            let signature = signature.masked(uses);
            let id = match by_signature.get(&signature) {
                Some(&id) => id,
                None => {
                    let tree = grower.tree(entry, Some(views.view(places, place)));
                    let next = u16::try_from(trees.len()).map_err(|_| TooManyClasses)?;
                    let id = *known.entry(tree.clone()).or_insert(next);
                    if id == next {
                        trees.push(tree);
                        examples.push(place);
                    }
                    by_signature.insert(signature, id);
                    id
                }
            };
            classes.push(id);
        }
        if trees.len() == 1 {
            return Ok(Self { trees: trees.into(), examples: examples.into(), by_place: None });
        }
        let class: Vec<u16> = views.of_place().iter().map(|&at| classes[at as usize]).collect();
        let (v4, v6) = (places.leaves_v4(), places.leaves_v6());
        let v4 = Cover::new(v4.prefix_lens, v4.places, &class, 32);
        let v6 = Cover::new(v6.prefix_lens, v6.places, &class, 128);
        let by_place = Some(ByPlace { class: class.into(), v4, v6 });
        Ok(Self { trees: trees.into(), examples: examples.into(), by_place })
    }

    /// One tree for everybody.
    fn one(tree: Tree) -> Self {
        Self { trees: [tree].into(), examples: [PlaceId::UNKNOWN].into(), by_place: None }
    }

    /// This place if it is of the class, else another one that is.
    pub fn place_like(&self, place: PlaceId, class: u16) -> PlaceId {
        let own = self.by_place.as_ref().map_or(0, |by_place| by_place.class[place.index()]);
        if own == class { place } else { self.examples[usize::from(class)] }
    }

    /// Candidate trees by class.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
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
