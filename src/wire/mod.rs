//! DNS messages as octets: what a query needs is parsed without allocation, replies are written in place.
//!
//! Does not know zones or policies; typed messages of the cold path are hickory-proto's.
#![forbid(unsafe_code)]

pub mod compress;
pub mod edns;
pub mod extended_error;
pub mod header;
pub mod name;
pub mod options;
mod parts;
pub mod qname;
pub mod query;
pub mod rdata;
pub mod service;
pub mod tsig;
pub mod writer;

pub use compress::Names;
pub use edns::Ecs;
pub use edns::Edns;
pub use header::Rcode;
pub use name::Name;
pub use name::NameFault;
pub(crate) use name::write_name;
pub use qname::Qname;
pub use query::Fault;
pub use query::Query;
pub use rdata::RecordType;
pub use tsig::TsigPlace;
pub use tsig::UnsignedTsig;
pub use writer::Writer;
