//! Messages of the gossip engine in our own form: who knows what, and the values that the other lacks.
//!
//! The engine's own form carries keys, versions and texts that a hostile member could set as it likes. Ours carries
//! sealed values only; keys and versions are made again from what is signed in them. See `docs/decisions/0035`.

use crate::cluster::envelope::SEALED_MAX;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::wire::Reader;
use crate::cluster::wire::put_number;
use crate::cluster::wire::put_short;

/// Longest message, in octets: the engine's own are below 64 KB, and ours are shorter.
pub const GOSSIP_MAX: usize = 96 * 1024;

/// Most lives of nodes in a message: 64 nodes that were restarted often.
const LIVES_MAX: usize = 2048;

/// Most values of a node in a message: a shard of votes has at least 64 octets of signature.
const VALUES_MAX: usize = GOSSIP_MAX / 64;

/// A message; `V` is a value, sealed as it comes or admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gossip<V = Box<[u8]>> {
    /// What I know; what do you know besides?
    Ask(Vec<Known>),
    /// What I know, and what you lack.
    Answer(Vec<Known>, Vec<News<V>>),
    /// What you lack.
    Rest(Vec<News<V>>),
}

/// How far somebody knows a life of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which node.
    pub node: NodeName,
    /// Which life.
    pub generation: Generation,
    /// How often the engine has stirred there.
    pub heartbeat: u64,
    /// The engine's own: up to which version withdrawn values are forgotten.
    pub collected: u64,
    /// The newest version.
    pub newest: u64,
}

/// Values of a life of a node, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News<V> {
    /// Which node.
    pub node: NodeName,
    /// Which life.
    pub generation: Generation,
    /// As in [`Known`].
    pub collected: u64,
    /// They follow this version.
    pub after: u64,
    /// The values.
    pub values: Vec<V>,
}

impl Gossip {
    /// The message in octets.
    pub fn write(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(1024);
        match self {
            Self::Ask(known) => {
                octets.push(0);
                write_known(&mut octets, known);
            }
            Self::Answer(known, news) => {
                octets.push(1);
                write_known(&mut octets, known);
                write_news(&mut octets, news);
            }
            Self::Rest(news) => {
                octets.push(2);
                write_news(&mut octets, news);
            }
        }
        octets
    }

    /// Leaves out what makes it longer than [`GOSSIP_MAX`]: the newest values, which follow with a later message.
    ///
    /// The engine bounds its messages as they are compressed; votes that are all alike compress to nearly nothing.
    pub fn fit(mut self) -> Self {
        let news = match &mut self {
            Self::Ask(_) => return self,
            Self::Answer(_, news) | Self::Rest(news) => std::mem::take(news),
        };
        let mut left = GOSSIP_MAX.saturating_sub(self.write().len());
        let mut fitting = Vec::new();
        for mut one in news {
            // A name, four numbers of at most ten octets, and that of the values.
            left = left.saturating_sub(128);
            let mut takes = |octets: usize| {
                let rest = left.checked_sub(octets + 4);
                left = rest.unwrap_or(0);
                rest.is_some()
            };
            let count = one.values.iter().take_while(|value| takes(value.len())).count();
            one.values.truncate(count);
            fitting.extend((count > 0).then_some(one));
        }
        match &mut self {
            Self::Ask(_) => {}
            Self::Answer(_, news) | Self::Rest(news) => *news = fitting,
        }
        self
    }

    /// Reads octets; total, and what it reads is bounded.
    pub fn read(octets: &[u8]) -> Option<Self> {
        if octets.len() > GOSSIP_MAX {
            return None;
        }
        let mut reader = Reader::new(octets);
        let gossip = match reader.u8()? {
            0 => Self::Ask(read_known(&mut reader)?),
            1 => Self::Answer(read_known(&mut reader)?, read_news(&mut reader)?),
            2 => Self::Rest(read_news(&mut reader)?),
            _ => return None,
        };
        reader.is_empty().then_some(gossip)
    }
}

fn write_known(octets: &mut Vec<u8>, known: &[Known]) {
    put_number(octets, known.len() as u64);
    for Known { node, generation, heartbeat, collected, newest } in known {
        put_short(octets, node.as_str().as_bytes());
        [generation.0, *heartbeat, *collected, *newest]
            .into_iter()
            .for_each(|number| put_number(octets, number));
    }
}

fn write_news(octets: &mut Vec<u8>, news: &[News<Box<[u8]>>]) {
    put_number(octets, news.len() as u64);
    for News { node, generation, collected, after, values } in news {
        put_short(octets, node.as_str().as_bytes());
        [generation.0, *collected, *after, values.len() as u64]
            .into_iter()
            .for_each(|number| put_number(octets, number));
        for value in values {
            put_number(octets, value.len() as u64);
            octets.extend(&**value);
        }
    }
}

fn read_node(reader: &mut Reader<'_>) -> Option<(NodeName, Generation)> {
    let name = std::str::from_utf8(reader.short()?).ok()?;
    Some((NodeName::parse(name)?, Generation(reader.number()?)))
}

fn read_known(reader: &mut Reader<'_>) -> Option<Vec<Known>> {
    let count = reader.count(LIVES_MAX)?;
    let mut known = Vec::new();
    for _ in 0..count {
        let (node, generation) = read_node(reader)?;
        let [heartbeat, collected, newest] = [reader.number()?, reader.number()?, reader.number()?];
        known.push(Known { node, generation, heartbeat, collected, newest });
    }
    Some(known)
}

fn read_news(reader: &mut Reader<'_>) -> Option<Vec<News<Box<[u8]>>>> {
    let count = reader.count(LIVES_MAX)?;
    let mut news = Vec::new();
    for _ in 0..count {
        let (node, generation) = read_node(reader)?;
        let [collected, after] = [reader.number()?, reader.number()?];
        let mut values = Vec::new();
        for _ in 0..reader.count(VALUES_MAX)? {
            let length = reader.count(SEALED_MAX)?;
            values.push(reader.take(length)?.into());
        }
        news.push(News { node, generation, collected, after, values });
    }
    Some(news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> impl Strategy<Value = Known> {
        ("[a-z0-9][a-z0-9-]{0,5}", any::<[u64; 4]>()).prop_map(|(name, [a, b, c, d])| Known {
            node: NodeName::parse(&name).unwrap(),
            generation: Generation(a),
            heartbeat: b >> 40,
            collected: c >> 60,
            newest: d >> 50,
        })
    }

    fn news() -> impl Strategy<Value = News<Box<[u8]>>> {
        let values = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4);
        (known(), values).prop_map(|(Known { node, generation, collected, newest, .. }, values)| {
            let values = values.into_iter().map(Into::into).collect();
            News { node, generation, collected, after: newest, values }
        })
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_written(
            known in proptest::collection::vec(known(), 0..5),
            news in proptest::collection::vec(news(), 0..4),
        ) {
            let answer = Gossip::Answer(known.clone(), news.clone());
            for gossip in [Gossip::Ask(known), answer, Gossip::Rest(news)] {
                let octets = gossip.write();
                prop_assert_eq!(Gossip::read(&octets), Some(gossip));
                prop_assert_eq!(Gossip::read(&octets[..octets.len() - 1]), None);
            }
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(gossip) = Gossip::read(&octets) {
                // One message has one form.
                prop_assert_eq!(gossip.write(), octets);
            }
        }
    }

    #[test]
    fn what_is_too_much_for_one_message_is_cut_without_a_gap() {
        let value = |sequence: u8| -> Box<[u8]> { vec![sequence; 600].into() };
        let news = |name: &str| News {
            node: NodeName::parse(name).unwrap(),
            generation: Generation(1),
            collected: 0,
            after: 0,
            values: (0..120).map(value).collect(),
        };
        let whole = Gossip::Answer(Vec::new(), vec![news("a"), news("b"), news("c")]);
        assert!(Gossip::read(&whole.write()).is_none());
        let cut = whole.fit();
        assert_eq!(Gossip::read(&cut.write()), Some(cut.clone()));
        let Gossip::Answer(_, all) = cut else { panic!("{cut:?}") };
        let counts: Vec<_> = all.iter().map(|news| news.values.len()).collect();
        assert!(counts[0] == 120 && (30..60).contains(&counts[1]), "{counts:?}");
        assert!(all[1].values.iter().zip(0..).all(|(one, sequence)| **one == *value(sequence)));
        let small = Gossip::Rest(vec![news("a")]);
        assert_eq!(small.clone().fit(), small);
    }

    #[test]
    fn counts_that_promise_more_than_there_is_cost_nothing() {
        let mut octets = vec![0];
        put_number(&mut octets, LIVES_MAX as u64);
        assert_eq!(Gossip::read(&octets), None);
        assert_eq!(Gossip::read(&vec![0; GOSSIP_MAX + 1]), None);
    }
}
