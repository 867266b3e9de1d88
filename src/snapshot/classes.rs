//! Clients that a policy treats alike, and the candidate tree of each such class.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::geo::Leaf;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::model::Target;
use crate::snapshot::cover::Cover;
use crate::snapshot::grow::Grower;
use crate::snapshot::sketch::Sketch;
use crate::snapshot::views::Signature;
use crate::snapshot::views::Uses;
use crate::snapshot::views::View;
use crate::snapshot::views::Views;
use crate::steering::ClientKey;
use crate::steering::Heads;
use crate::steering::tree::Tree;

/// What one entry (a policy or pool that names steer to) makes of every place.
#[derive(Clone, Debug)]
pub struct Classes {
    trees: Box<[Tree]>,
    /// What the client's key decides first in each.
    heads: Heads,
    /// By class: a place of it.
    examples: Box<[PlaceId]>,
    /// `None`: every place is of class 0.
    by_place: Option<Arc<ByPlace>>,
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
        let mut sorter = Sorter::new(grower, entry);
        let mut by_signature: HashMap<Signature, u16> = HashMap::new();
        let mut classes = Vec::with_capacity(views.signatures().len());
        for &(signature, place) in views.signatures() {
            let signature = signature.masked(uses);
            let id = match by_signature.get(&signature) {
                Some(&id) => id,
                None => {
                    let id = sorter.class_of(place, views.view(places, place))?;
                    by_signature.insert(signature, id);
                    id
                }
            };
            classes.push(id);
        }
        let Sorter { trees, examples, .. } = sorter;
        let (trees, examples) = (trees.into_boxed_slice(), examples.into_boxed_slice());
        let heads = Heads::of(&trees);
        if trees.len() == 1 {
            return Ok(Self { trees, heads, examples, by_place: None });
        }
        let class: Vec<u16> = views.of_place().iter().map(|&at| classes[at as usize]).collect();
        let (v4, v6) = (places.leaves_v4(), places.leaves_v6());
        let v4 = Cover::new::<u32>(v4.prefix_lens, v4.places, &class);
        let v6 = Cover::new::<u128>(v6.prefix_lens, v6.places, &class);
        let by_place = Some(Arc::new(ByPlace { class: class.into(), v4, v6 }));
        Ok(Self { trees, heads, examples, by_place })
    }

    /// One tree for everybody.
    fn one(tree: Tree) -> Self {
        let trees: Box<[Tree]> = [tree].into();
        let heads = Heads::of(&trees);
        Self { trees, heads, examples: [PlaceId::UNKNOWN].into(), by_place: None }
    }

    /// This place if it is of the class, else another one that is.
    pub fn place_like(&self, place: PlaceId, class: u16) -> PlaceId {
        let own = self.by_place.as_ref().map_or(0, |by_place| by_place.class[place.index()]);
        if own == class { place } else { self.examples[usize::from(class)] }
    }

    /// The same with other weights in one policy; `None` if no tree has it.
    pub fn with_weights(
        &self,
        policy: PolicyId,
        weight_of: &impl Fn(Target) -> u16,
    ) -> Option<Self> {
        if !self.trees.iter().any(|tree| tree.has_weights_of(policy)) {
            return None;
        }
        let trees: Box<[Tree]> =
            self.trees.iter().map(|tree| tree.with_weights(policy, weight_of)).collect();
        let (examples, by_place) = (self.examples.clone(), self.by_place.clone());
        Some(Self { heads: Heads::of(&trees), trees, examples, by_place })
    }

    /// Candidate trees by class.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The first candidate of a client of a class.
    #[inline]
    pub fn first_choice(&self, class: u16, key: ClientKey) -> Option<PoolId> {
        self.heads.first_choice(usize::from(class), key)
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

/// Sorts places into classes by the trees that an entry has for them.
struct Sorter<'a> {
    grower: Grower<'a>,
    entry: Target,
    sketch: Sketch,
    words: Vec<u16>,
    by_words: HashMap<Box<[u16]>, u16>,
    by_tree: HashMap<Tree, u16>,
    trees: Vec<Tree>,
    examples: Vec<PlaceId>,
}

impl<'a> Sorter<'a> {
    fn new(grower: Grower<'a>, entry: Target) -> Self {
        Self {
            grower,
            entry,
            sketch: Sketch::new(grower.model, entry),
            words: Vec::new(),
            by_words: HashMap::new(),
            by_tree: HashMap::new(),
            trees: Vec::new(),
            examples: Vec::new(),
        }
    }

    /// The class of a place of which this is known.
    fn class_of(&mut self, place: PlaceId, view: View<'_>) -> Result<u16, TooManyClasses> {
        self.sketch.write(self.grower, view, &mut self.words);
        if let Some(&id) = self.by_words.get(&self.words[..]) {
            return Ok(id);
        }
        let tree = self.grower.tree(self.entry, Some(view));
        let id = match self.by_tree.get(&tree) {
            Some(&id) => id,
            None => {
                let id = u16::try_from(self.trees.len()).map_err(|_| TooManyClasses)?;
                self.trees.push(tree.clone());
                self.examples.push(place);
                self.by_tree.insert(tree, id);
                id
            }
        };
        self.by_words.insert(self.words[..].into(), id);
        Ok(id)
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
