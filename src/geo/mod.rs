//! Addresses to places: databases of any number are compiled into one shared prefix table.
//!
//! Pure: bytes and text come in as arguments. It reads no file, knows no policy and decides no
//! answer; [`PlaceMap`] says where an address is and how long the prefix is that says so.
//!
//! ```text
//! MMDB bytes --read_database--> Layer --\
//! MMDB bytes --read_database--> Layer ----PlaceMap::compile--> PlaceMap --find--> Leaf, Place
//! networks   --Layer::insert--> Layer --/
//!
//! source text --parse_source--> networks --write_database--> MMDB bytes
//! ```
#![forbid(unsafe_code)]

mod compile;
pub mod database;
pub mod fault;
pub mod layer;
pub mod place;
pub mod place_map;
mod record;
pub mod source;
mod steps;
mod tree;
pub mod write;

pub use database::DatabaseInfo;
pub use database::read_database;
pub use fault::GeoFault;
pub use layer::Layer;
pub use place::Place;
pub use place::PlaceId;
pub use place::Point;
pub use place_map::Leaf;
pub use place_map::Leaves;
pub use place_map::PlaceMap;
pub use source::SourceNetwork;
pub use source::SourceProblem;
pub use source::parse_source;
pub use write::WriteInfo;
pub use write::write_database;
