//! DNS messages as octets: what a query needs is parsed without allocation, replies are written in place.
//!
//! Does not know zones or policies; typed messages of the cold path are hickory-proto's.
#![forbid(unsafe_code)]

pub mod name;
pub mod rdata;

pub use name::Name;
pub use rdata::RecordType;
