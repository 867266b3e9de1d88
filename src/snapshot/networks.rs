//! Which rule of every `networks` policy fits each prefix that any of them names: one table for all of them.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::geo::Refinement;
use crate::geo::Table;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::policy::Network;
use crate::model::policy::Rules;

/// Stands for no rule.
const NONE: u16 = u16::MAX;

/// A row for each set of rules that fit together somewhere, a column for each policy. Row 0: none fits.
#[derive(Clone, Debug, Default)]
pub struct NetworkTable {
    columns: HashMap<PolicyId, usize>,
    rows: Vec<Box<[u16]>>,
    networks: Vec<(IpNet, u32)>,
}

/// A rule as one prefix sees it: what a rule has itself counts before what it has from a list.
struct Claim {
    prefix: IpNet,
    column: usize,
    rule: u16,
    is_own: bool,
}

impl NetworkTable {
    /// The table of a model's policies.
    pub fn new(model: &Model) -> Self {
        let mut table = Self::default();
        let mut claims = Vec::new();
        for (position, policy) in model.policies.iter().enumerate() {
            let PolicyKind::Networks(rules) = &policy.kind else { continue };
            let column = table.columns.len();
            table.columns.insert(PolicyId::at(position), column);
            collect(model, rules, column, &mut claims);
        }
        claims.sort_by_key(|claim| (claim.prefix, claim.column, claim.is_own));
        table.fill(&claims);
        table
    }

    /// Walks prefixes from wide to narrow: each has the rules of the one around it, but for its own.
    fn fill(&mut self, claims: &[Claim]) {
        let mut known: HashMap<Box<[u16]>, u32> = HashMap::new();
        let empty: Box<[u16]> = vec![NONE; self.columns.len()].into();
        known.insert(empty.clone(), 0);
        self.rows.push(empty);
        let mut around: Vec<(IpNet, u32)> = Vec::new();
        for claims in claims.chunk_by(|a, b| a.prefix == b.prefix) {
            let prefix = claims[0].prefix;
            while around.last().is_some_and(|(outer, _)| !outer.contains(&prefix)) {
                around.pop();
            }
            let outer = around.last().map_or(0, |&(_, row)| row);
            let mut row = self.rows[outer as usize].clone();
            claims.iter().for_each(|claim| row[claim.column] = claim.rule);
            let next = self.rows.len() as u32;
            let id = *known.entry(row.clone()).or_insert(next);
            if id == next {
                self.rows.push(row);
            }
            around.push((prefix, id));
            self.networks.push((prefix, id));
        }
    }

    /// The prefixes with their rows, to be joined to a map of places.
    pub fn refinement(&self) -> Refinement {
        Refinement::new(Table::Networks, self.networks.iter().copied())
    }

    /// The rule of a policy that fits in a row.
    pub fn find_rule(&self, policy: PolicyId, row: u32) -> Option<u16> {
        let rule = self.rows[row as usize][*self.columns.get(&policy)?];
        (rule != NONE).then_some(rule)
    }
}

fn collect(model: &Model, rules: &Rules<Network>, column: usize, claims: &mut Vec<Claim>) {
    for (rule, conditions) in rules.rules.iter().map(|rule| &rule.conditions).enumerate() {
        let rule = rule as u16;
        for condition in conditions {
            let (prefixes, is_own): (&[IpNet], bool) = match condition {
                Network::Prefix(prefix) => (std::slice::from_ref(prefix), true),
                Network::List(list) => (&model.lists[list.index()].prefixes, false),
                Network::System(_) => continue,
            };
            claims.extend(prefixes.iter().map(|&prefix| Claim { prefix, column, rule, is_own }));
        }
    }
}
