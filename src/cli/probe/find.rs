//! Which endpoint and which check a person means.

use crate::config::reader::closest;
use crate::model::CheckId;
use crate::model::Endpoint;
use crate::model::Model;
use crate::model::Pool;

/// Most names in a refusal.
const NAMES_MAX: usize = 5;

/// An endpoint, and the check it is probed by.
#[derive(Debug)]
pub(super) struct Wanted<'m> {
    pub(super) endpoint: &'m Endpoint,
    pub(super) check: CheckId,
}

/// Finds an endpoint by `pool/endpoint` or by its own name, and a check by its name.
pub(super) fn find<'m>(
    model: &'m Model,
    text: &str,
    check: Option<&str>,
) -> Result<Wanted<'m>, String> {
    let (pool, endpoint) = find_endpoint(model, text)?;
    let check = match check {
        Some(name) => find_check(model, name)?,
        None => pool.check.ok_or_else(|| {
            format!(
                "pool {} has no check, so that nobody probes it; name one with --check",
                pool.name
            )
        })?,
    };
    Ok(Wanted { endpoint, check })
}

fn endpoints(model: &Model) -> impl Iterator<Item = (&Pool, &Endpoint)> {
    let pools = model.written_pools();
    pools.flat_map(|pool| pool.endpoints.iter().map(move |endpoint| (pool, endpoint)))
}

/// What stands behind the slash.
fn own_name(endpoint: &Endpoint) -> &str {
    endpoint.key.split_once('/').map_or(&*endpoint.key, |(_, name)| name)
}

fn find_endpoint<'m>(model: &'m Model, text: &str) -> Result<(&'m Pool, &'m Endpoint), String> {
    let is_meant = |endpoint: &Endpoint| match text.contains('/') {
        true => &*endpoint.key == text,
        false => own_name(endpoint) == text,
    };
    let found: Vec<_> = endpoints(model).filter(|(_, endpoint)| is_meant(endpoint)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(unknown(model, text)),
        [..] => {
            let keys: Vec<&str> = found.iter().map(|(_, endpoint)| &*endpoint.key).collect();
            let count = keys.len();
            Err(format!("{count} endpoints are named {text}: {}", listed(&keys)))
        }
    }
}

/// What to say of a name that nothing has.
fn unknown(model: &Model, text: &str) -> String {
    let keys: Vec<&str> = endpoints(model).map(|(_, endpoint)| &*endpoint.key).collect();
    if let Some(pool) = model.written_pools().find(|pool| *pool.name == *text) {
        let members: Vec<&str> = pool.endpoints.iter().map(|endpoint| &*endpoint.key).collect();
        return format!("{text} is a pool; name one of its endpoints: {}", listed(&members));
    }
    let names: Vec<&str> = match text.contains('/') {
        true => keys.clone(),
        false => endpoints(model).map(|(_, endpoint)| own_name(endpoint)).collect(),
    };
    let near = closest(text, &names).map(|near| match text.contains('/') {
        true => near.to_owned(),
        false => {
            let of = |key: &&str| key.ends_with(&format!("/{near}"));
            let keys: Vec<&str> = keys.iter().copied().filter(of).collect();
            listed(&keys)
        }
    });
    let pool = text.split_once('/').map(|(pool, _)| pool);
    let members = pool.and_then(|pool| model.written_pools().find(|one| *one.name == *pool));
    let members = members
        .map(|pool| pool.endpoints.iter().map(|endpoint| &*endpoint.key).collect::<Vec<&str>>());
    let hint = match (near, members) {
        (Some(near), _) => format!("; did you mean {near}?"),
        (None, Some(members)) if !members.is_empty() => {
            format!("; its pool has {}", listed(&members))
        }
        (None, _) if keys.is_empty() => "; the files have no endpoints".to_owned(),
        (None, _) => format!("; there are {}", listed(&keys)),
    };
    format!("there is no endpoint {text}{hint}")
}

fn find_check(model: &Model, name: &str) -> Result<CheckId, String> {
    let found = model.checks.iter().position(|check| *check.name == *name);
    found.map(CheckId::at).ok_or_else(|| {
        let names: Vec<&str> = model.checks.iter().map(|check| &*check.name).collect();
        let hint = match closest(name, &names) {
            Some(near) => format!("; did you mean {near}?"),
            None if names.is_empty() => "; the files have no checks".to_owned(),
            None => format!("; there are {}", listed(&names)),
        };
        format!("there is no check {name}{hint}")
    })
}

/// `a, b, c and 7 others`
fn listed(names: &[&str]) -> String {
    let (first, rest) = names.split_at(names.len().min(NAMES_MAX));
    let first = first.join(", ");
    match rest.len() {
        0 => first,
        more => format!("{first} and {more} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use crate::model::Model;

    fn model() -> Model {
        let text = "[zone]\nname = \"x.test\"\nnameservers = [\"ns.example.net\"]\n\
            [check]\nweb.kind = \"http\"\nping.kind = \"icmp\"\n\
            [pool.eu]\ncheck = \"web\"\nendpoint.fra-1.addresses = [\"192.0.2.1\"]\nendpoint.a.addresses = [\"192.0.2.2\"]\n\
            [pool.us]\nendpoint.a.addresses = [\"192.0.2.3\"]\n\
            [name.www]\nsteer = \"eu\"\n[name.us]\nsteer = \"us\"\n";
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/x.toml", text)]));
        model.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn found(text: &str, check: Option<&str>) -> Result<(String, String), String> {
        let model = model();
        let wanted = find(&model, text, check)?;
        let check = model.checks[wanted.check.index()].name.to_string();
        Ok((wanted.endpoint.key.to_string(), check))
    }

    #[test]
    fn an_endpoint_is_named_with_its_pool_or_alone_where_that_is_clear() {
        let pair = |key: &str, check: &str| Ok((key.to_owned(), check.to_owned()));
        assert_eq!(found("eu/fra-1", None), pair("eu/fra-1", "web"));
        assert_eq!(found("fra-1", None), pair("eu/fra-1", "web"));
        assert_eq!(found("us/a", Some("ping")), pair("us/a", "ping"));
        let failed = |text, check| found(text, check).unwrap_err();
        assert_eq!(failed("a", None), "2 endpoints are named a: eu/a, us/a");
        assert_eq!(
            failed("us/a", None),
            "pool us has no check, so that nobody probes it; name one with --check"
        );
    }

    #[test]
    fn a_name_that_nothing_has_is_told_with_those_that_are_near() {
        let failed = |text, check| found(text, check).unwrap_err();
        assert_eq!(failed("eu/fra1", None), "there is no endpoint eu/fra1; did you mean eu/fra-1?");
        assert_eq!(failed("fra-2", None), "there is no endpoint fra-2; did you mean eu/fra-1?");
        assert_eq!(failed("eu", None), "eu is a pool; name one of its endpoints: eu/fra-1, eu/a");
        assert_eq!(
            failed("us/something-else", None),
            "there is no endpoint us/something-else; its pool has us/a"
        );
        assert_eq!(
            failed("zzzzzzzz", None),
            "there is no endpoint zzzzzzzz; there are eu/fra-1, eu/a, us/a"
        );
        assert_eq!(failed("fra-1", Some("wep")), "there is no check wep; did you mean web?");
        assert_eq!(
            failed("fra-1", Some("tomcat")),
            "there is no check tomcat; there are web, ping"
        );
    }
}
