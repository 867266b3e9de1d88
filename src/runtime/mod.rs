//! The shell: the only folder that touches sockets, files, clocks, threads, TLS and randomness.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is the shell")]

pub mod admin;
pub mod answerer;
pub mod beacons;
pub mod control_loop;
pub mod control_socket;
pub mod descriptors;
pub mod discover;
pub mod encrypted;
mod exposition;
pub mod fetch;
pub mod files;
pub mod history;
pub mod last_results;
pub mod log;
pub mod measuring;
pub mod metrics;
pub mod node_file;
mod obey;
mod occurrence_counts;
pub mod probe;
pub mod publish;
mod pushes;
pub mod resolve;
pub mod respond;
pub mod rtt_folder;
pub mod serve;
pub mod service_manager;
mod showing;
pub mod start_error;
pub mod state;
pub mod supervise;
pub mod tcp;
mod token;
pub mod udp;
pub mod waiters;
pub mod watch;
