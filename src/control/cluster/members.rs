//! Who belongs to the cluster, while it runs: peers that a reload adds vote from then on, those that it takes out do not.
//!
//! What is known of nodes that stay goes on: their words, their lives, and what this node said. Verdicts are judged anew by
//! the sites that are to vote now.

use std::collections::BTreeMap;

use crate::cluster::Member;
use crate::cluster::NodeName;
use crate::cluster::Roster;
use crate::control::cluster::news::NewsKind;
use crate::control::cluster::news::NodeNews;
use crate::control::cluster::panel::Panel;
use crate::control::cluster::panel::Told;
use crate::control::cluster::panel::Voter;
use crate::model::Anchors;
use crate::model::ClusterTerms;

impl Voter {
    /// Every node of a cluster, of which nothing is known but that this one lives.
    pub(super) fn all(roster: &Roster) -> Vec<Self> {
        let voter = |(node, member): (&NodeName, &Member)| Self {
            node: node.clone(),
            site: member.site,
            is_own: node == roster.own(),
            is_live: node == roster.own(),
            is_isolated: false,
            told: Told::default(),
            anchors: Anchors::Unset,
        };
        roster.members().iter().map(voter).collect()
    }
}

impl Panel {
    /// The nodes of a file; this one stands where it stood.
    pub fn roster_of(&self, terms: &ClusterTerms) -> Roster {
        Roster::new(terms, &self.roster.sites()[self.roster.own_site()])
    }

    /// Takes other members; false if they are those of before. Targets must be seated anew after it.
    pub fn set_roster(&mut self, roster: Roster) -> bool {
        if roster == self.roster {
            return false;
        }
        let before = std::mem::replace(&mut self.roster, roster);
        self.book.retain(|node| self.roster.members().contains_key(node));
        self.tell_members(&before);
        let mut known: BTreeMap<NodeName, Voter> = BTreeMap::new();
        for voter in std::mem::take(&mut self.voters) {
            known.insert(voter.node.clone(), voter);
        }
        self.voters = Voter::all(&self.roster);
        for voter in &mut self.voters {
            if let Some(Voter { is_live, is_isolated, anchors, told, .. }) =
                known.remove(&voter.node)
            {
                (voter.is_live, voter.is_isolated, voter.anchors) = (is_live, is_isolated, anchors);
                voter.told = told;
            }
        }
        let sites = self.roster.sites();
        self.stable.renumber(|site| sites.binary_search(&before.sites()[site]).ok());
        self.regions = vec![None; sites.len()];
        self.is_roster_new = true;
        true
    }

    fn tell_members(&mut self, before: &Roster) {
        let site = |roster: &Roster, node: &NodeName| {
            roster.members().get(node).map(|member| roster.sites()[member.site].clone())
        };
        let nodes = before.members().keys().chain(self.roster.members().keys());
        let mut nodes: Vec<NodeName> = nodes.cloned().collect();
        nodes.sort();
        nodes.dedup();
        for node in nodes {
            let (was, is) = (site(before, &node), site(&self.roster, &node));
            let news = match (was, is) {
                (Some(site), None) => NodeNews { node, site, kind: NewsKind::Removed },
                (was, Some(site)) if was.as_ref() != Some(&site) => {
                    NodeNews { node, site, kind: NewsKind::Added }
                }
                _ => continue,
            };
            self.news.push(news);
        }
    }
}
