//! The shell: the only folder that touches sockets, files, clocks, threads, TLS and randomness.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod probe;
pub mod respond;
pub mod supervise;
pub mod tcp;
pub mod udp;
