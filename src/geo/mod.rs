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
pub mod fault;
pub mod layer;
pub mod place;
pub mod place_map;
mod steps;

pub use fault::GeoFault;
pub use layer::Layer;
pub use place::Place;
pub use place::PlaceId;
pub use place::Point;
pub use place_map::Leaf;
pub use place_map::Leaves;
pub use place_map::PlaceMap;
