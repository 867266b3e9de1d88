//! Who was healthy last in a pool that has nobody left.

use crate::model::EndpointId;

/// What is remembered of a pool that has no healthy member left: a record, kept by the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Higher is later.
    pub stamp: u64,
    /// Endpoints that were healthy just before.
    pub endpoints: Vec<EndpointId>,
}
