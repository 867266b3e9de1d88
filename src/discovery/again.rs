//! Endpoints that were found before a restart, judged once more by the files of now. Reads no list, and makes no endpoint.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::discovery::Members;
use crate::discovery::members::check_reach;
use crate::discovery::members::check_written;
use crate::model::Discovery;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Pool;

/// What of `known` a pool may have by its file: nothing that stands in the file itself, and no address that is not
/// believed. Labels are not kept, so that only the next list can tell weights, names and sites anew.
pub fn members_again(
    known: &BTreeMap<Box<str>, Endpoint>,
    pool: &Pool,
    discovery: &Discovery,
    allow: &[IpNet],
) -> Members {
    let mut members = Members::default();
    for (name, endpoint) in known {
        let addresses = Family::BOTH.into_iter().filter_map(|family| endpoint.address(family));
        let mut addresses = addresses.map(Some).chain([None]);
        let judged = addresses.try_for_each(|address| {
            check_written(pool, discovery, name, address)?;
            address.map_or(Ok(()), |address| check_reach(allow, address))
        });
        match judged {
            Ok(()) => drop(members.endpoints.insert(name.clone(), endpoint.clone())),
            Err(why) => members.refuse(name, why, 0),
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::discovery::list;
    use crate::discovery::members;

    fn pool(text: &str) -> Pool {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", text)]);
        config::load(&files).0.expect("it loads").pools.swap_remove(0)
    }

    #[test]
    fn what_the_file_has_by_now_and_what_is_believed_no_more_is_not_taken_up() {
        let before = pool("pool.eu.discover = { file = 'eu.json' }");
        let text = r#"[{"targets": ["198.51.100.1", "198.51.100.2", "198.51.100.3", "127.0.0.1", "a.example.net"]}]"#;
        let entries = list::read(text).expect("a list");
        let private = ["127.0.0.0/8".parse().expect("a network")];
        let discovery = before.discover.as_ref().expect("it finds");
        let known = members(&entries, &before, discovery, &[], &private).endpoints;
        let names = |members: &Members| -> Vec<String> {
            members.endpoints.keys().map(ToString::to_string).collect()
        };
        let all = members_again(&known, &before, discovery, &private);
        assert_eq!(all.endpoints, known, "nothing has changed");
        let now = pool(
            "pool.eu = { discover = { file = 'eu.json' }, endpoint.x.addresses = ['198.51.100.1'], \
             endpoint.198-51-100-2.addresses = ['203.0.113.9'] }",
        );
        let discovery = now.discover.as_ref().expect("it finds");
        let again = members_again(&known, &now, discovery, &[]);
        assert_eq!(names(&again), ["198-51-100-3", "a-example-net"]);
        assert_eq!(again.refused.len(), 3, "{:?}", again.refused);
    }
}
