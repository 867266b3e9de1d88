//! cli.

pub mod geo;
