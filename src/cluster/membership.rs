//! Who is a member: names, pins and roles, as this node's file says.

use std::collections::BTreeMap;

use crate::cluster::node::NodeName;
use crate::cluster::node::Pin;
use crate::cluster::node::Role;
use crate::model::ClusterTerms;

/// The members of a cluster, this node among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    cluster: Box<str>,
    own: NodeName,
    members: BTreeMap<NodeName, Member>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub pins: Vec<Pin>,
    /// What it may do.
    pub role: Role,
}

impl Membership {
    /// The members that `terms` name, and this node with its key.
    pub fn new(terms: &ClusterTerms, own_pin: Pin) -> Self {
        let peers = terms
            .peers
            .iter()
            .map(|peer| (peer.node.clone(), Member { pins: peer.pins.clone(), role: peer.role }));
        let own = Member { pins: vec![own_pin], role: terms.role };
        let members = peers.chain([(terms.node.clone(), own)]).collect();
        Self { cluster: terms.name.clone(), own: terms.node.clone(), members }
    }

    /// Name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// This node's name.
    pub fn own(&self) -> &NodeName {
        &self.own
    }

    /// A member by name.
    pub fn find(&self, node: &NodeName) -> Option<&Member> {
        self.members.get(node)
    }

    /// Another member by its key; never this node.
    pub fn find_peer(&self, pin: &Pin) -> Option<&NodeName> {
        let peers = self.members.iter().filter(|(node, _)| **node != self.own);
        peers.into_iter().find(|(_, member)| member.pins.contains(pin)).map(|(node, _)| node)
    }

    /// Every member but this node.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeName, &Member)> {
        self.members.iter().filter(|(node, _)| **node != self.own)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Peer;

    /// The terms of node `own` in a cluster of `nodes`, each with its pins and role.
    pub(crate) fn terms(own: &str, nodes: &[(&str, Pin, Role)]) -> ClusterTerms {
        let name = |text: &str| NodeName::parse(text).unwrap();
        let peer = |(node, pin, role): &(&str, Pin, Role)| Peer {
            node: name(node),
            address: None,
            pins: vec![*pin],
            site: "fra".into(),
            role: *role,
        };
        ClusterTerms {
            name: "prod".into(),
            node: name(own),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            bundles: false,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers: nodes.iter().filter(|(node, ..)| *node != own).map(peer).collect(),
            nats: None,
        }
    }

    #[test]
    fn a_pin_leads_to_a_peer_and_never_to_this_node() {
        let [a, b] = [1, 2].map(|seed| Pin::new([seed; 32]));
        let members = Membership::new(&terms("a", &[("b", b, Role::Agent)]), a);
        assert_eq!(members.find_peer(&b).unwrap().as_str(), "b");
        assert_eq!(members.find_peer(&a), None);
        assert_eq!(members.find(members.own()).unwrap().pins, [a]);
        assert_eq!(members.peers().count(), 1);
    }
}
