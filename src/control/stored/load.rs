//! What is served, by digest, so that a past answer can be made again of the same files and the same geo data.

use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Files;
use crate::geo::GeoInput;
use crate::geo::Shape;
use crate::model::EcsTrust;
use crate::model::ExplainAccess;
use crate::model::NodeTerms;
use crate::rtt::Table;

/// What is served. Digests are SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedForm {
    /// Of the operator's files, and of what the node's own file says of answers.
    pub files: Box<str>,
    /// Of the geo data.
    pub geo: Box<str>,
    /// Of what counts in the table of round-trip times; `None` without one.
    pub table: Option<Box<str>>,
    /// What the node's own file says of answers.
    pub node: NodeForm,
}

/// What the node's own file says of answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeForm {
    /// What NSID says.
    pub identity: Vec<u8>,
    /// Who is told everything.
    pub explain_full: Vec<IpNet>,
    /// Who is told everything but addresses.
    pub explain_redacted: Vec<IpNet>,
    /// Whose client subnets are believed; `None`: everybody's.
    pub ecs_from: NetworksForm,
    /// Folders whose programs checks may run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<Box<str>>,
}

/// Networks, or all of them.
pub type NetworksForm = Option<Vec<IpNet>>;

impl From<&NodeTerms> for NodeForm {
    fn from(NodeTerms { identity, explain, ecs_from, exec }: &NodeTerms) -> Self {
        let ExplainAccess { full, redacted } = explain;
        Self {
            identity: identity.to_vec(),
            explain_full: full.clone(),
            explain_redacted: redacted.clone(),
            ecs_from: match ecs_from {
                EcsTrust::Any => None,
                EcsTrust::Networks(networks) => Some(networks.clone()),
            },
            exec: exec.clone(),
        }
    }
}

impl From<NodeForm> for NodeTerms {
    fn from(form: NodeForm) -> Self {
        let NodeForm { identity, explain_full, explain_redacted, ecs_from, exec } = form;
        Self {
            identity: identity.into(),
            explain: ExplainAccess { full: explain_full, redacted: explain_redacted },
            ecs_from: ecs_from.map_or(EcsTrust::Any, EcsTrust::Networks),
            exec,
        }
    }
}

/// One file among those that something is made of, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartForm {
    /// Path.
    pub name: Box<str>,
    /// SHA-256 of the file in hexadecimal.
    pub digest: Box<str>,
    /// How records of a geo database are laid out, if that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Box<str>>,
    /// Whether it is an overlay.
    #[serde(default)]
    pub is_overlay: bool,
}

impl PartForm {
    /// A file that is neither database nor overlay.
    pub fn plain(name: &str, digest: Box<str>) -> Self {
        Self { name: name.into(), digest, shape: None, is_overlay: false }
    }

    /// The shape it names.
    pub fn shape(&self) -> Option<Shape> {
        self.shape.as_deref().and_then(Shape::find)
    }
}

/// What is served with all that it is made of.
#[derive(Clone, Debug)]
pub struct Kept {
    /// By digest.
    pub served: ServedForm,
    /// The operator's files; `None`: they were kept before.
    pub files: Option<Files>,
    /// Geo data; `None`: it was kept before.
    pub geo: Option<GeoInput>,
    /// The table of round-trip times that counts.
    pub table: Option<Arc<Table>>,
}
