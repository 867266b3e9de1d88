//! Positions in a [`Model`](crate::model::Model)'s vectors, one type each so that they cannot be mixed up.

/// Makes one id type: a `u32` that indexes one vector.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of position `index`.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits; limits of the configuration are far below.
            pub fn at(index: usize) -> Self {
                Self(u32::try_from(index).expect("limits keep every vector below 2^32"))
            }
        }
    };
}

id!(
    /// A site in [`Model::sites`](crate::model::Model::sites).
    SiteId
);
id!(
    /// A check in [`Model::checks`](crate::model::Model::checks).
    CheckId
);
id!(
    /// A pool in [`Model::pools`](crate::model::Model::pools).
    PoolId
);
id!(
    /// A policy in [`Model::policies`](crate::model::Model::policies).
    PolicyId
);
id!(
    /// A steered name in [`Model::steers`](crate::model::Model::steers).
    SteerId
);
id!(
    /// A named list of networks in [`Model::lists`](crate::model::Model::lists).
    ListId
);
id!(
    /// An endpoint's position inside its own pool.
    EndpointId
);
