//! From single probe results to one site's verdict, and from verdicts of parts to those of the checks made of them.
//!
//! Knows no clock, socket or randomness: time and random numbers are arguments. Votes of several sites
//! are the business of `quorum`.
#![forbid(unsafe_code)]

pub mod composite;
pub mod damping;
pub mod degree;
pub mod load;
pub mod schedule;
pub mod tracker;

pub use damping::Damping;
pub use damping::Penalty;
pub use degree::Degree;
pub use load::LoadWord;
pub use schedule::Schedule;
pub use tracker::Holding;
pub use tracker::Observation;
pub use tracker::Thresholds;
pub use tracker::Tracker;
