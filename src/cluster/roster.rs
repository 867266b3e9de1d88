//! Who belongs to a cluster, and at which site each node stands.

use std::collections::BTreeMap;

use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::model::ClusterTerms;

/// A node by the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The position of its site among [`Roster::sites`].
    pub site: usize,
    /// What it does.
    pub role: Role,
}

/// Every node of a cluster, this one included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    own: NodeName,
    members: BTreeMap<NodeName, Member>,
    sites: Vec<Box<str>>,
}

impl Roster {
    /// The nodes of a configuration; this one stands at `site`.
    pub fn new(terms: &ClusterTerms, site: &str) -> Self {
        let peers = terms.peers.iter().map(|peer| (&peer.node, &*peer.site, peer.role));
        let nodes = peers.chain([(&terms.node, site, terms.role)]);
        let mut sites: Vec<Box<str>> = nodes.clone().map(|(_, site, _)| site.into()).collect();
        sites.sort();
        sites.dedup();
        let member = |(node, site, role): (&NodeName, &str, Role)| {
            let site = sites.partition_point(|other| **other < *site);
            (node.clone(), Member { site, role })
        };
        Self { own: terms.node.clone(), members: nodes.map(member).collect(), sites }
    }

    /// This node.
    pub fn own(&self) -> &NodeName {
        &self.own
    }

    /// Where this node stands.
    pub fn own_site(&self) -> usize {
        self.members.get(&self.own).map_or(0, |member| member.site)
    }

    /// Every node.
    pub fn members(&self) -> &BTreeMap<NodeName, Member> {
        &self.members
    }

    /// Names of the sites, in order.
    pub fn sites(&self) -> &[Box<str>] {
        &self.sites
    }

    /// How many nodes stand at a site.
    pub fn nodes_at(&self, site: usize) -> usize {
        self.members.values().filter(|member| member.site == site).count()
    }
}
