//! What a file says of who tells of endpoints.

use std::time::Duration;

use crate::config::problem::At;
use crate::config::problem::Place;
use crate::model::Percent;
use crate::model::PortUse;
use crate::wire::Name;

/// `[pool.NAME.discover]`
#[derive(Clone, Debug)]
pub struct DiscoverSpec {
    /// Where it stands.
    pub place: Place,
    /// Who is asked.
    pub source: SourceSpec,
    /// Most that may go at once.
    pub max_drop: Percent,
    /// `weight_label`
    pub weight_label: String,
    /// `name_label`
    pub name_label: Option<String>,
    /// `site_label`
    pub site_label: Option<At<String>>,
    /// `port`
    pub port: PortUse,
}

/// Who is asked for endpoints.
#[derive(Clone, Debug)]
pub enum SourceSpec {
    /// `file`
    File(At<String>),
    /// `http`
    Http {
        /// Where.
        url: String,
        /// Between two requests.
        interval: Duration,
        /// Of one request.
        timeout: Duration,
        /// File beside this one.
        authorization: Option<At<String>>,
        /// File beside this one.
        ca: Option<At<String>>,
    },
    /// `srv`
    Srv {
        /// Owner of the records.
        service: Name,
        /// Between two questions.
        interval: Duration,
    },
}
