//! Maps that remember which of their keys may have changed, so that only those are written. Know nothing of what is in them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;

/// Makes one kind of tracked map. It is read as the map inside; whatever changes it names the keys.
macro_rules! tracked {
    ($(#[$doc:meta])* $name:ident, $map:ident, $($bound:ident)+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<K, V> {
            map: $map<K, V>,
            touched: BTreeSet<K>,
        }

        impl<K, V> Default for $name<K, V> {
            fn default() -> Self {
                Self { map: $map::default(), touched: BTreeSet::new() }
            }
        }

        impl<K, V> Deref for $name<K, V> {
            type Target = $map<K, V>;

            fn deref(&self) -> &Self::Target {
                &self.map
            }
        }

        impl<K: Clone + $($bound +)+, V> $name<K, V> {
            /// As the map's own.
            pub fn insert(&mut self, key: K, value: V) -> Option<V> {
                self.touched.insert(key.clone());
                self.map.insert(key, value)
            }

            /// As the map's own.
            pub fn remove<Q: ?Sized + $($bound +)+>(&mut self, key: &Q) -> Option<V>
            where
                K: Borrow<Q>,
            {
                let (key, value) = self.map.remove_entry(key)?;
                self.touched.insert(key);
                Some(value)
            }

            /// As the map's own; the value counts as changed.
            pub fn get_mut<Q: ?Sized + $($bound +)+>(&mut self, key: &Q) -> Option<&mut V>
            where
                K: Borrow<Q>,
            {
                let (key, _) = self.map.get_key_value(key)?;
                let key = key.clone();
                let value = self.map.get_mut::<K>(&key);
                self.touched.insert(key);
                value
            }

            /// Puts another value in place of one that is there, of which the same is to be written.
            pub fn replace_quietly<Q: ?Sized + $($bound +)+>(&mut self, key: &Q, value: V)
            where
                K: Borrow<Q>,
            {
                if let Some(there) = self.map.get_mut(key) {
                    *there = value;
                }
            }

            /// As the map's own; what stays is not changed.
            pub fn retain(&mut self, mut keeps: impl FnMut(&K, &V) -> bool) {
                let touched = &mut self.touched;
                self.map.retain(|key, value| {
                    let is_kept = keeps(key, value);
                    if !is_kept {
                        touched.insert(key.clone());
                    }
                    is_kept
                });
            }

            /// Takes everything out.
            pub fn take_all(&mut self) -> $map<K, V> {
                self.touch_all();
                std::mem::take(&mut self.map)
            }

            /// A key whose value is to be looked at, though it has not changed.
            pub fn touch(&mut self, key: K) {
                self.touched.insert(key);
            }

            /// As [`Self::touch`], of every key.
            pub fn touch_all(&mut self) {
                self.touched.extend(self.map.keys().cloned());
            }

            /// The keys that were touched since the last time.
            pub fn take_touched(&mut self) -> BTreeSet<K> {
                std::mem::take(&mut self.touched)
            }
        }
    };
}

tracked!(
    /// A map in order.
    Tracked,
    BTreeMap,
    Ord
);
tracked!(
    /// A map without order.
    TrackedHash,
    HashMap,
    Eq Hash Ord
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_it_names_the_keys_and_no_other() {
        let mut map: Tracked<&str, u8> = Tracked::default();
        let of = |keys: &[&'static str]| keys.iter().copied().collect::<BTreeSet<_>>();
        map.insert("a", 1);
        map.insert("b", 2);
        map.insert("c", 3);
        assert_eq!(map.take_touched(), of(&["a", "b", "c"]));
        assert_eq!((map.len(), map.get("b")), (3, Some(&2)), "it is read as a map");
        assert_eq!(map.take_touched(), of(&[]));
        assert!(map.remove("x").is_none() && map.get_mut("x").is_none());
        assert_eq!(map.take_touched(), of(&[]), "nothing has changed");
        *map.get_mut("a").unwrap() = 4;
        map.retain(|key, _| *key != "b");
        assert_eq!(map.take_touched(), of(&["a", "b"]));
        assert_eq!(map.take_all().len(), 2);
        assert_eq!((map.take_touched(), map.len()), (of(&["a", "c"]), 0));
        map.touch("z");
        assert_eq!(map.take_touched(), of(&["z"]));
        map.insert("d", 1);
        map.take_touched();
        map.replace_quietly("d", 2);
        map.replace_quietly("e", 2);
        assert_eq!((map.take_touched(), map.get("d"), map.get("e")), (of(&[]), Some(&2), None));
    }

    #[test]
    fn one_without_order_does_the_same() {
        let mut map: TrackedHash<u8, u8> = TrackedHash::default();
        map.insert(1, 1);
        map.insert(2, 2);
        map.retain(|key, _| *key == 1);
        assert_eq!(map.take_touched(), BTreeSet::from([1, 2]));
        map.remove(&1);
        assert_eq!((map.take_touched(), map.is_empty()), (BTreeSet::from([1]), true));
    }
}
