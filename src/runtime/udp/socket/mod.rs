//! What the standard library's sockets lack: batches, packet info and a few options.
//!
//! The only folder with `unsafe`; its API is safe. Linux only.
#![allow(unsafe_code)]

mod batch;
pub(crate) mod options;
mod packet_info;
mod round_trip;

pub(crate) use self::batch::Batch;
pub(crate) use self::round_trip::round_trip_us;
