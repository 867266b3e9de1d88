//! Rhumb: an authoritative DNS server that steers traffic.
//!
//! Two pure machines in a thin shell: [`answer`] turns a packet into a reply, [`control`] turns
//! events into effects, and [`runtime`] is the only part that touches sockets, files and clocks.
//! `docs/architecture.md` draws both journeys.

pub mod answer;
pub mod assertion;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod control;
pub mod discovery;
pub mod geo;
pub mod health;
pub mod http1;
pub mod model;
pub mod quorum;
pub mod rtt;
pub mod runtime;
pub mod snapshot;
pub mod steering;
pub mod wire;
pub mod zone;
pub mod zonefile;
