//! Which target stands where: targets in order, cut into shards.
//!
//! Nodes whose files are the same have the same layout, and a word has no other name than its place. So each shard
//! carries a digest of what stands in it: words of a shard with another digest are about other targets, and are never
//! mixed. The digest is that of one shard, not of all, so that during a change of files only the shards that it touches
//! stand alone. What nodes may know at different moments, since a resolver or a list told them, is in groups of its own.

use std::collections::HashMap;
use std::net::IpAddr;

use sha2::Digest;
use sha2::Sha256;

use crate::cluster::Topic;
use crate::cluster::shard::SHARD_LEN;
use crate::model::Family;
use crate::model::TargetKey;

/// A target that is to stand in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Empty for what stands in files; else the pool whose endpoints are found or resolved.
    pub group: Box<str>,
    /// Its name.
    pub key: TargetKey,
    /// Where it is: words on another address say nothing of it.
    pub address: IpAddr,
    /// The port that is probed.
    pub port: u16,
}

/// A shard: up to 256 targets that stand side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Under what its words are said.
    pub topic: Topic,
    /// The place of its first target.
    pub start: usize,
    /// How many targets it has.
    pub count: usize,
    /// Its group and number, whatever stands in it: so probers keep their shards over changes of files.
    pub seed: u64,
}

/// All targets in order.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    targets: Vec<Placed>,
    places: HashMap<TargetKey, usize>,
    shards: Vec<Shard>,
    topics: HashMap<Topic, usize>,
}

impl Layout {
    /// Puts targets in order; of two with one name the first counts.
    pub fn new(mut targets: Vec<Placed>) -> Self {
        targets.sort_by(|a, b| (&a.group, &a.key).cmp(&(&b.group, &b.key)));
        targets.dedup_by(|a, b| a.key == b.key);
        let mut shards = Vec::new();
        let mut start = 0;
        for group in targets.chunk_by(|a, b| a.group == b.group) {
            for (number, chunk) in group.chunks(SHARD_LEN).enumerate() {
                shards.push(shard(number, start, chunk));
                start += chunk.len();
            }
        }
        let places = targets.iter().enumerate();
        let places = places.map(|(place, target)| (target.key.clone(), place)).collect();
        let topics = shards.iter().enumerate().map(|(at, shard)| (shard.topic, at)).collect();
        Self { targets, places, shards, topics }
    }

    /// Every target, by place.
    pub fn targets(&self) -> &[Placed] {
        &self.targets
    }

    /// Every shard.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Where a target stands.
    pub fn place_of(&self, key: &TargetKey) -> Option<usize> {
        self.places.get(key).copied()
    }

    /// The position of the shard that is said under a topic.
    pub fn shard_of_topic(&self, topic: Topic) -> Option<usize> {
        self.topics.get(&topic).copied()
    }

    /// The position of the shard in which a place is.
    pub fn shard_of_place(&self, place: usize) -> usize {
        self.shards.partition_point(|shard| shard.start <= place).saturating_sub(1)
    }
}

fn shard(number: usize, start: usize, targets: &[Placed]) -> Shard {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let mut seed = Sha256::new();
    let group: &str = targets.first().map_or("", |target| &target.group);
    add(&mut seed, group.as_bytes());
    seed.update(number.to_be_bytes());
    let mut digest = seed.clone();
    for Placed { group: _, key, address, port } in targets {
        let TargetKey { endpoint, check, family, address: named } = key;
        add(&mut digest, endpoint.as_bytes());
        add(&mut digest, check.as_bytes());
        digest.update([match family {
            Family::V4 => 4,
            Family::V6 => 6,
        }]);
        add(&mut digest, named.map_or(String::new(), |named| named.to_string()).as_bytes());
        add(&mut digest, address.to_string().as_bytes());
        digest.update(port.to_be_bytes());
    }
    // Not its number: each group counts its own from 0, and a slot is of one shard.
    let seed = first_octets(seed);
    let topic = Topic::Votes { layout: first_octets(digest), shard: seed };
    Shard { topic, start, count: targets.len(), seed }
}

/// Adds a text with its length, so that no two lists of texts are one.
fn add(digest: &mut Sha256, octets: &[u8]) {
    digest.update((octets.len() as u64).to_be_bytes());
    digest.update(octets);
}

fn first_octets(digest: Sha256) -> u64 {
    digest.finalize()[..8].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(group: &str, endpoint: &str, last: u8) -> Placed {
        let key = TargetKey {
            endpoint: endpoint.into(),
            check: "web".into(),
            family: Family::V4,
            address: None,
        };
        Placed { group: group.into(), key, address: [192, 0, 2, last].into(), port: 80 }
    }

    fn many(count: usize) -> Vec<Placed> {
        (0..count).map(|number| placed("", &format!("p/{number:04}"), number as u8)).collect()
    }

    fn topics(targets: Vec<Placed>) -> Vec<Topic> {
        Layout::new(targets).shards().iter().map(|shard| shard.topic).collect()
    }

    #[test]
    fn the_same_targets_in_any_order_have_one_layout() {
        let mut turned = many(600);
        turned.reverse();
        turned.push(many(1).remove(0));
        let (layout, other) = (Layout::new(many(600)), Layout::new(turned));
        assert_eq!((layout.shards(), layout.targets()), (other.shards(), other.targets()));
        let counts: Vec<usize> = layout.shards().iter().map(|shard| shard.count).collect();
        assert_eq!(counts, [256, 256, 88]);
        for place in [0, 255, 256, 511, 512, 599] {
            assert_eq!(layout.place_of(&layout.targets()[place].key), Some(place));
            assert_eq!(layout.shard_of_place(place), place / 256);
        }
        let topic = layout.shards()[1].topic;
        assert_eq!(layout.shard_of_topic(topic), Some(1));
        assert_eq!(layout.shard_of_topic(Topic::Beat), None);
        assert!(Layout::new(Vec::new()).shards().is_empty());
    }

    #[test]
    fn a_shard_with_anything_else_in_it_is_another_one() {
        let before = topics(many(600));
        let mut last = many(600);
        last.pop();
        let after = topics(last);
        assert_eq!(before[..2], after[..2], "shards that a change does not touch stay");
        assert_ne!(before[2], after[2]);
        for change in [
            |target: &mut Placed| target.address = [192, 0, 2, 200].into(),
            |target: &mut Placed| target.port = 81,
            |target: &mut Placed| target.key.family = Family::V6,
            |target: &mut Placed| target.key.check = "other".into(),
            |target: &mut Placed| target.key.address = Some([192, 0, 2, 0].into()),
        ] {
            let mut changed = many(600);
            change(&mut changed[0]);
            let changed = topics(changed);
            assert_ne!(before[0], changed[0]);
            assert_eq!(before[1..], changed[1..]);
        }
    }

    #[test]
    fn no_two_shards_of_whatever_group_have_one_slot_and_a_group_more_moves_none() {
        let group = |name: &str| {
            let placed = |at: usize| placed(name, &format!("{name}/{at:04}"), at as u8);
            (0..600).map(placed).collect::<Vec<_>>()
        };
        let slots = |targets| {
            let topics = topics(targets).into_iter();
            topics.map(Topic::place).collect::<std::collections::BTreeSet<_>>()
        };
        let two = [group(""), group("found")].concat();
        assert_eq!(slots(two.clone()).len(), 6);
        let three = slots([two.clone(), group("dns")].concat());
        assert_eq!(three.len(), 9);
        assert!(three.is_superset(&slots(two)));
    }

    #[test]
    fn what_nodes_learn_at_different_moments_stands_apart() {
        let with = |found: &[&str]| {
            let mut all = many(3);
            all.extend(found.iter().map(|name| placed("found", name, 9)));
            all.extend([placed("later", "later/a", 7)]);
            Layout::new(all)
        };
        let (one, two) = (with(&["found/a"]), with(&["found/a", "found/b"]));
        assert_eq!(one.shards()[0].topic, two.shards()[0].topic);
        assert_ne!(one.shards()[1].topic, two.shards()[1].topic);
        assert_eq!(one.shards()[2].topic, two.shards()[2].topic);
        let seeds =
            |layout: &Layout| layout.shards().iter().map(|one| one.seed).collect::<Vec<_>>();
        assert_eq!(seeds(&one), seeds(&two), "probers keep their shards");
    }
}
