//! Walks the search tree of a MaxMind DB file. Reads no record.
//!
//! Not `maxminddb`'s `within()`: on a hostile file whose nodes share children it visits up to 2^128
//! paths without yielding once, so a caller cannot stop it. This walk counts its steps; it takes
//! the IPv4 half of an IPv6 tree once, as IPv4, whatever aliases lead to it.
//!
//! Format: <https://maxmind.github.io/MaxMind-DB/>, "Binary Search Tree Section".

/// Steps a walk may take for each node of the file. A tree takes 2, one with aliases little more.
const STEPS_PER_NODE_MAX: u64 = 64;

/// Steps any walk may take, so that tiny files may share nodes as they like.
const STEPS_ALWAYS: u64 = 65_536;

/// Depth of the IPv4 half in an IPv6 tree: `::/96`.
const V4_DEPTH: u8 = 96;

/// The tree section of a file; the sizes are checked by whoever opened it.
#[derive(Clone, Copy, Debug)]
pub(in crate::geo) struct Tree<'a> {
    pub bytes: &'a [u8],
    pub node_count: u32,
    /// Bits in one half of a node: 24, 28 or 32.
    pub record_size: u16,
    /// 4 or 6.
    pub ip_version: u16,
}

/// A network with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) enum TreeNetwork {
    V4(u32, u8),
    V6(u128, u8),
}

/// A network's place in the walk.
#[derive(Clone, Copy, Debug)]
pub(in crate::geo) struct Found {
    pub network: TreeNetwork,
    /// Names the data record: equal numbers are one record.
    pub record: u32,
}

/// A node or record still to visit.
#[derive(Clone, Copy)]
struct Pending {
    node: u32,
    address: u128,
    depth: u8,
}

impl Tree<'_> {
    /// Hands every network that has data to `found`, ascending within each family.
    ///
    /// # Errors
    /// `E` of `found`, or a text about a tree that is too deep or has too many paths.
    pub fn walk<E: From<String>>(
        self,
        mut found: impl FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let width = if self.ip_version == 4 { 32 } else { 128 };
        let v4_root = self.find_v4_root();
        let steps_max = u64::from(self.node_count) * STEPS_PER_NODE_MAX + STEPS_ALWAYS;
        let mut steps = 0;
        let mut pending = vec![Pending { node: 0, address: 0, depth: 0 }];
        while let Some(at) = pending.pop() {
            steps += 1;
            if steps > steps_max {
                return Err(String::from("more paths than nodes allow").into());
            }
            if at.node == self.node_count || (Some(at.node) == v4_root && at.address != 0) {
                continue;
            }
            if at.node > self.node_count {
                self.emit(at, v4_root.is_some(), &mut found)?;
                continue;
            }
            if at.depth == width {
                return Err(String::from("a path longer than an address").into());
            }
            let (left, right) = self
                .children(at.node)
                .ok_or_else(|| String::from("a node beyond the end of the file"))?;
            let depth = at.depth + 1;
            let bit = 1 << (width - depth);
            pending.push(Pending { node: right, address: at.address | bit, depth });
            pending.push(Pending { node: left, address: at.address, depth });
        }
        Ok(())
    }

    fn emit<E>(
        self,
        at: Pending,
        has_v4_half: bool,
        found: &mut impl FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut one = |network| found(Found { network, record: at.node });
        if self.ip_version == 4 {
            return one(TreeNetwork::V4(at.address as u32, at.depth));
        }
        match (at.depth.checked_sub(V4_DEPTH), at.address >> 32) {
            (Some(depth), 0) => one(TreeNetwork::V4(at.address as u32, depth)),
            // A file that keeps IPv4 only under ::ffff:0:0/96.
            (Some(_), 0xffff) if has_v4_half => Ok(()),
            (Some(depth), 0xffff) => one(TreeNetwork::V4(at.address as u32, depth)),
            (None, 0) if at.address == 0 => {
                // One record above the IPv4 half holds for all of it.
                one(TreeNetwork::V4(0, 0))?;
                one(TreeNetwork::V6(at.address, at.depth))
            }
            (Some(_) | None, _) => one(TreeNetwork::V6(at.address, at.depth)),
        }
    }

    /// The node at `::/96`, if the tree goes that deep: aliases are other ways to it.
    fn find_v4_root(self) -> Option<u32> {
        if self.ip_version == 4 {
            return None;
        }
        let mut node = 0;
        for _ in 0..V4_DEPTH {
            node = if node < self.node_count { self.children(node)?.0 } else { return None };
        }
        (node < self.node_count).then_some(node)
    }

    /// Both halves of a node; `None` if it lies outside the file.
    fn children(self, node: u32) -> Option<(u32, u32)> {
        let size = usize::from(self.record_size) / 4;
        let start = (node as usize).checked_mul(size)?;
        let bytes = self.bytes.get(start..start.checked_add(size)?)?;
        let number = |high: u8, low: &[u8]| {
            low.iter().fold(u32::from(high), |number, byte| (number << 8) | u32::from(*byte))
        };
        match self.record_size {
            24 => Some((number(0, &bytes[..3]), number(0, &bytes[3..]))),
            28 => Some((number(bytes[3] >> 4, &bytes[..3]), number(bytes[3] & 15, &bytes[4..]))),
            32 => Some((number(0, &bytes[..4]), number(0, &bytes[4..]))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(nodes: &[(u32, u32)], ip_version: u16) -> Result<Vec<TreeNetwork>, String> {
        let bytes: Vec<u8> = nodes
            .iter()
            .flat_map(|(left, right)| [left.to_be_bytes(), right.to_be_bytes()])
            .flatten()
            .collect();
        let tree =
            Tree { bytes: &bytes, node_count: nodes.len() as u32, record_size: 32, ip_version };
        let mut networks = Vec::new();
        tree.walk(|found| {
            networks.push(found.network);
            Ok::<(), String>(())
        })?;
        Ok(networks)
    }

    #[test]
    fn an_ipv4_tree_gives_its_networks_in_order() {
        let networks = walk(&[(1, 30), (2, 31)], 4).unwrap();
        assert_eq!(networks, [TreeNetwork::V4(1 << 30, 2), TreeNetwork::V4(1 << 31, 1)]);
    }

    #[test]
    fn a_cycle_is_an_error() {
        assert!(walk(&[(0, 0)], 6).is_err());
        assert!(walk(&[(1, 1), (0, 0)], 4).is_err());
    }

    #[test]
    fn shared_nodes_without_data_stop_after_a_bounded_number_of_steps() {
        let mut nodes: Vec<(u32, u32)> = (1..128).map(|next| (next, next)).collect();
        nodes.push((128, 128));
        assert!(walk(&nodes, 6).unwrap_err().contains("paths"));
    }

    #[test]
    fn aliases_of_the_ipv4_half_are_not_walked_again() {
        // Zeros down to ::/96 at node 96; 8000::/1 is an alias of it.
        let mut nodes: Vec<(u32, u32)> = (1..=96).map(|next| (next, 97)).collect();
        nodes[0].1 = 96;
        nodes.push((97, 120));
        assert_eq!(walk(&nodes, 6).unwrap(), [TreeNetwork::V4(1 << 31, 1)]);
    }
}
