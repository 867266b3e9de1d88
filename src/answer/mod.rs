//! Turns one query into one reply.
#![forbid(unsafe_code)]

pub mod request;

pub use request::Request;
pub use request::Transport;
