//! Which of several tables counts at an instant. Reads no clock: the instant is an argument.

use crate::rtt::Table;

/// The table in force: the latest whose instant has come; of equal instants the one made last.
///
/// The order of `tables` does not matter unless two agree in both: then the first.
pub fn in_force<'a>(tables: &'a [(Box<str>, Table)], now_s: u64) -> Option<&'a (Box<str>, Table)> {
    let due = tables.iter().filter(|(_, table)| table.activates_s <= now_s);
    due.max_by_key(|(name, table)| (table.activates_s, table.built_s, name))
}

/// When the next of them comes into force.
pub fn next_instant(tables: &[(Box<str>, Table)], now_s: u64) -> Option<u64> {
    tables.iter().map(|(_, table)| table.activates_s).filter(|at| *at > now_s).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_whose_instant_has_come_is_in_force_whatever_their_order() {
        let table = |name: &str, built_s, activates_s| {
            (Box::from(name), Table { built_s, activates_s, ..Table::default() })
        };
        let mut tables = vec![table("a", 1, 100), table("b", 2, 200), table("c", 3, 200)];
        for _ in 0..tables.len() {
            let name = |now_s| in_force(&tables, now_s).map(|(name, _)| &**name);
            assert_eq!([99, 100, 199, 200].map(name), [None, Some("a"), Some("a"), Some("c")]);
            let next = |now_s| next_instant(&tables, now_s);
            assert_eq!([0, 100, 199, 200].map(next), [Some(100), Some(200), Some(200), None]);
            tables.rotate_left(1);
        }
    }
}
