//! Subjects on the bus: who speaks stands in each, and where it goes. All of them are ASCII and shorter than 250 octets.
//!
//! ```text
//! rhumb.CLUSTER.value.NODE.TOPIC...      what NODE says, to everybody
//! rhumb.CLUSTER.to.ASKER.NODE.TOPIC...   the same, to who asked for it
//! rhumb.CLUSTER.ask.NODE.ASKER           ASKER lacks something of NODE
//! rhumb.CLUSTER.want.NODE                NODE is asked for a piece of a bundle or table
//! rhumb.CLUSTER.inbox.ASKER.NUMBER...    and gives it to who asked
//! ```

use crate::cluster::NodeName;

/// The subjects of one node.
#[derive(Debug)]
pub(super) struct Subjects {
    root: String,
    own: NodeName,
}

impl Subjects {
    pub(super) fn new(cluster: &str, own: &NodeName) -> Self {
        Self { root: format!("rhumb.{cluster}"), own: own.clone() }
    }

    /// Where this node says something to everybody; `slot` is that of a topic.
    pub(super) fn value(&self, slot: &str) -> String {
        format!("{}.value.{}.{}", self.root, self.own, tokens(slot))
    }

    /// Where this node says something to who asked.
    pub(super) fn to(&self, asker: &NodeName, slot: &str) -> String {
        format!("{}.to.{asker}.{}.{}", self.root, self.own, tokens(slot))
    }

    /// Where this node asks another for what it lacks.
    pub(super) fn ask(&self, of: &NodeName) -> String {
        format!("{}.ask.{of}.{}", self.root, self.own)
    }

    /// What every node says.
    pub(super) fn all_values(&self) -> String {
        format!("{}.value.>", self.root)
    }

    /// What is said to this node alone.
    pub(super) fn all_to_own(&self) -> String {
        format!("{}.to.{}.>", self.root, self.own)
    }

    /// What this node is asked for.
    pub(super) fn asks_of_own(&self) -> String {
        format!("{}.ask.{}.*", self.root, self.own)
    }

    /// Where a node is asked for a piece.
    pub(super) fn want(&self, of: &NodeName) -> String {
        format!("{}.want.{of}", self.root)
    }

    /// Where this node is asked for a piece.
    pub(super) fn wants_of_own(&self) -> String {
        self.want(&self.own)
    }

    /// What replies to this node begin with.
    pub(super) fn inbox(&self) -> String {
        format!("{}.inbox.{}", self.root, self.own)
    }

    /// Whether something may be given there.
    pub(super) fn is_inbox(&self, subject: &str) -> bool {
        self.tokens_of(subject).is_some_and(|mut tokens| tokens.next() == Some("inbox"))
    }

    /// In whose name a value is, by the subject on which it came.
    pub(super) fn find_speaker(&self, subject: &str) -> Option<NodeName> {
        let mut tokens = self.tokens_of(subject)?;
        match tokens.next()? {
            "value" => NodeName::parse(tokens.next()?),
            "to" => NodeName::parse(tokens.nth(1)?),
            _ => None,
        }
    }

    /// Who asks, by the subject on which that came.
    pub(super) fn find_asker(&self, subject: &str) -> Option<NodeName> {
        let mut tokens = self.tokens_of(subject)?;
        match tokens.next()? {
            "ask" => NodeName::parse(tokens.nth(1)?),
            _ => None,
        }
    }

    fn tokens_of<'s>(&self, subject: &'s str) -> Option<std::str::Split<'s, char>> {
        Some(subject.strip_prefix(self.root.as_str())?.strip_prefix('.')?.split('.'))
    }
}

/// A slot as tokens of a subject.
fn tokens(slot: &str) -> String {
    slot.replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topic;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    #[test]
    fn a_subject_tells_who_speaks_and_who_asks() {
        let (fra, iad) =
            (Subjects::new("prod", &name("fra-1")), Subjects::new("prod", &name("iad-1")));
        let slot = Topic::Votes { layout: 9, shard: 7 }.slot();
        assert_eq!(fra.value(&slot), "rhumb.prod.value.fra-1.votes.0000000000000007");
        assert_eq!(iad.find_speaker(&fra.value(&slot)), Some(name("fra-1")));
        assert_eq!(fra.to(&name("iad-1"), "beat"), "rhumb.prod.to.iad-1.fra-1.beat");
        assert_eq!(iad.find_speaker(&fra.to(&name("iad-1"), "beat")), Some(name("fra-1")));
        assert_eq!(fra.find_asker(&iad.ask(&name("fra-1"))), Some(name("iad-1")));
        let inbox = format!("{}.x.y", iad.inbox());
        assert!(fra.is_inbox(&inbox) && !fra.is_inbox(&fra.value("beat")), "{inbox}");
        for strange in [
            "",
            "rhumb.prod",
            "rhumb.prod.",
            "rhumb.product.value.a.beat",
            "rhumb.prod.value",
            "rhumb.prod.value.A.beat",
            "rhumb.prod.other.a.beat",
            "rhumb.prod.ask.a",
        ] {
            assert_eq!((fra.find_speaker(strange), fra.find_asker(strange)), (None, None));
        }
    }

    #[test]
    fn the_longest_subject_is_short_ascii() {
        let long = name(&"x".repeat(63));
        let subjects = Subjects::new(long.as_str(), &long);
        let subject = subjects.to(&long, &Topic::Record { id: u128::MAX }.slot());
        assert!(subject.is_ascii() && subject.len() < 250, "{}", subject.len());
    }
}
