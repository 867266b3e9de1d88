//! Orders of operators: drain, force up, force down; each with a reason, an author and an end.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::config::reader::closest;
use crate::model::Admin;
use crate::model::Model;
use crate::model::Pool;

/// Most names that a refusal offers.
const NAMES_MAX: usize = 4;

/// What an order is for. Of several that match an endpoint the most specific counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every endpoint of every pool at a site.
    Site(Box<str>),
    /// Every endpoint of a pool.
    Pool(Box<str>),
    /// One endpoint: `pool/endpoint`.
    Endpoint(Box<str>),
}

impl Scope {
    /// Finds what a text names: `site:fra`, `pool:eu`, `eu/fra-1`, or a bare name that only one of them has.
    pub fn find(text: &str, model: &Model) -> Result<Self, String> {
        let has_site = |name: &str| model.sites.iter().any(|site| &*site.name == name);
        let has_pool = |name: &str| model.written_pools().any(|pool| &*pool.name == name);
        if let Some(name) = text.strip_prefix("site:") {
            return if has_site(name) {
                Ok(Self::Site(name.into()))
            } else {
                let sites = model.sites.iter().map(|site| format!("site:{}", site.name));
                Err(format!("there is no site {name}{}", meant(text, sites.collect())))
            };
        }
        if let Some(name) = text.strip_prefix("pool:") {
            return if has_pool(name) {
                Ok(Self::Pool(name.into()))
            } else {
                let pools = model.written_pools().map(|pool| format!("pool:{}", pool.name));
                Err(format!("there is no pool {name}{}", meant(text, pools.collect())))
            };
        }
        if text.contains('/') {
            let mut endpoints = model.written_pools().flat_map(|pool| &pool.endpoints);
            return match endpoints.any(|endpoint| &*endpoint.key == text) {
                true => Ok(Self::Endpoint(text.into())),
                false => {
                    let meant = meant(text, endpoint_keys(model).collect());
                    Err(format!("there is no endpoint {text}; `rhumb status` lists them{meant}"))
                }
            };
        }
        match (has_site(text), has_pool(text)) {
            (true, true) => {
                Err(format!("{text} is a site and a pool: write site:{text} or pool:{text}"))
            }
            (true, false) => Ok(Self::Site(text.into())),
            (false, true) => Ok(Self::Pool(text.into())),
            (false, false) => Err(format!(
                "nothing is named {text}; name a site, a pool, or an endpoint as pool/endpoint{}",
                meant_bare(text, model)
            )),
        }
    }

    /// Whether `text` is a way to write it, whatever the model has.
    pub fn is_written(&self, text: &str) -> bool {
        match self {
            Self::Site(name) => text.strip_prefix("site:").unwrap_or(text) == &**name,
            Self::Pool(name) => text.strip_prefix("pool:").unwrap_or(text) == &**name,
            Self::Endpoint(key) => text == &**key,
        }
    }

    /// Whether it covers an endpoint of a pool.
    pub fn covers(&self, model: &Model, pool: &Pool, endpoint: &str) -> bool {
        match self {
            Self::Site(name) => {
                pool.site.is_some_and(|site| model.sites[site.index()].name == *name)
            }
            Self::Pool(name) => pool.name == *name,
            Self::Endpoint(key) => **key == *endpoint,
        }
    }
}

/// `pool/endpoint` of every endpoint.
fn endpoint_keys(model: &Model) -> impl Iterator<Item = String> {
    let endpoints = model.written_pools().flat_map(|pool| &pool.endpoints);
    endpoints.map(|endpoint| endpoint.key.to_string())
}

/// The end of a refusal of a text without a slash: the endpoints of that name, whose pool was left out, else the
/// site or pool that is nearest.
fn meant_bare(text: &str, model: &Model) -> String {
    let is_so_named =
        |key: &String| key.rsplit('/').next().is_some_and(|end| end.eq_ignore_ascii_case(text));
    let endpoints: Vec<String> = endpoint_keys(model).filter(is_so_named).take(NAMES_MAX).collect();
    if !endpoints.is_empty() {
        return format!("; did you mean {}?", endpoints.join(" or "));
    }
    let sites = model.sites.iter().map(|site| site.name.to_string());
    meant(text, sites.chain(model.written_pools().map(|pool| pool.name.to_string())).collect())
}

/// The end of a refusal: the name that was likely meant, if one is near.
fn meant(text: &str, names: Vec<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    closest(text, &names).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(name) => write!(f, "site {name}"),
            Self::Pool(name) => write!(f, "pool {name}"),
            Self::Endpoint(key) => write!(f, "endpoint {key}"),
        }
    }
}

/// An order in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is ordered; never `Enabled`.
    pub admin: Admin,
    /// Why.
    pub reason: Box<str>,
    /// Who.
    pub author: Box<str>,
    /// When it was given, since 1970.
    pub since: Duration,
    /// When it ends, since 1970; `None`: when it is taken back.
    pub until: Option<Duration>,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.admin, self.author, self.reason)?;
        match self.until {
            Some(until) => write!(f, " (until {})", instant(until)),
            None => f.write_str(" (until taken back)"),
        }
    }
}

/// A moment since 1970 as people write it (RFC 3339, UTC).
///
/// Years after 9999 cannot be written: they are shown as the last second of that year.
pub fn instant(unix: Duration) -> String {
    let unix = unix.min(Duration::from_secs(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + unix).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::Files;
    use crate::config::SourceFile;

    #[test]
    fn a_refusal_says_what_was_likely_meant() {
        let text = "site.fra = { latitude = 1, longitude = 1 }\n\
                    pool.eu = { site = 'fra', endpoint.fra-1.addresses = ['192.0.2.1'] }\n\
                    pool.us = { endpoint.iad-1.addresses = ['192.0.2.2'] }\n";
        let files = Files::new(vec![SourceFile::new("zones/a.toml", text)]);
        let model = config::load(&files).0.expect("it loads");
        for (written, meant) in [
            ("fra-1", Some("eu/fra-1")),
            ("eu/fra1", Some("eu/fra-1")),
            ("eu/FRA-1", Some("eu/fra-1")),
            ("frq", Some("fra")),
            ("site:frra", Some("site:fra")),
            ("pool:us1", Some("pool:us")),
            ("tokyo", None),
            ("eu/tokyo-one", None),
        ] {
            let why = Scope::find(written, &model).expect_err("it is not there");
            let told =
                why.split_once("; did you mean ").map(|(_, name)| name.trim_end_matches('?'));
            assert_eq!(told, meant, "{why}");
        }
        assert_eq!(Scope::find("eu/fra-1", &model), Ok(Scope::Endpoint("eu/fra-1".into())));
    }
}
