//! Orders of operators: drain, force up, force down; each with a reason, an author and an end.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Admin;
use crate::model::Model;
use crate::model::Pool;

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
        let has_pool = |name: &str| model.pools.iter().any(|pool| &*pool.name == name);
        if let Some(name) = text.strip_prefix("site:") {
            return if has_site(name) {
                Ok(Self::Site(name.into()))
            } else {
                Err(format!("there is no site {name}"))
            };
        }
        if let Some(name) = text.strip_prefix("pool:") {
            return if has_pool(name) {
                Ok(Self::Pool(name.into()))
            } else {
                Err(format!("there is no pool {name}"))
            };
        }
        if text.contains('/') {
            let mut endpoints = model.pools.iter().flat_map(|pool| &pool.endpoints);
            return match endpoints.any(|endpoint| &*endpoint.key == text) {
                true => Ok(Self::Endpoint(text.into())),
                false => Err(format!("there is no endpoint {text}; `rhumb status` lists them")),
            };
        }
        match (has_site(text), has_pool(text)) {
            (true, true) => {
                Err(format!("{text} is a site and a pool: write site:{text} or pool:{text}"))
            }
            (true, false) => Ok(Self::Site(text.into())),
            (false, true) => Ok(Self::Pool(text.into())),
            (false, false) => Err(format!(
                "nothing is named {text}; name a site, a pool, or an endpoint as pool/endpoint"
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
