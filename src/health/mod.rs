//! From single probe results to one site's verdict, and when the next probe is due.
//!
//! Knows no clock, socket or randomness: time and random numbers are arguments. Votes of several sites
//! are the business of `quorum`.
#![forbid(unsafe_code)]

pub mod damping;
pub mod load;
pub mod schedule;
pub mod tracker;

pub use damping::Damping;
pub use load::LoadWord;
pub use schedule::Schedule;
pub use tracker::Holding;
pub use tracker::Observation;
pub use tracker::Thresholds;
pub use tracker::Tracker;
