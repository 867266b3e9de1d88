//! Addresses to places: databases of any number are compiled into one shared prefix table.
//!
//! Pure: bytes and text come in as arguments. It reads no file, knows no policy and decides no
//! answer; [`PlaceMap`] says where an address is and how long the prefix is that says so.
//!
//! ```text
//! overlays   --parse_overlay--> Layer --\
//! MMDB bytes --read_database--> Layer ----PlaceMap::compile--> PlaceMap --find--> Leaf, Place
//! MMDB bytes --read_database--> Layer --/
//!
//! source text --parse_source--> networks --write_database--> MMDB bytes
//! ```
#![forbid(unsafe_code)]

mod centroid;
mod compile;
mod countries;
mod data;
pub mod database;
pub mod fault;
pub mod input;
pub mod layer;
pub mod overlay;
pub mod place;
pub mod place_map;
mod record;
mod refine;
#[cfg(test)]
mod samples;
pub mod shape;
pub mod source;
mod steps;
mod tree;
pub mod write;

pub use database::DatabaseInfo;
pub use database::read_database;
pub use database::read_database_as;
pub use fault::GeoFault;
pub use input::DatabaseFile;
pub use input::GeoInput;
pub use input::GeoTable;
pub use input::OverlayFile;
pub use layer::Layer;
pub use overlay::parse_overlay;
pub use place::Place;
pub use place::PlaceId;
pub use place::Point;
pub use place::Rows;
pub use place::Table;
pub use place_map::Leaf;
pub use place_map::Leaves;
pub use place_map::PlaceMap;
pub use refine::Refinement;
pub use shape::Shape;
pub use source::SourceNetwork;
pub use source::SourceProblem;
pub use source::parse_source;
pub use write::WriteInfo;
pub use write::write_database;
