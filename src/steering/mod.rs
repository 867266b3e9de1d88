//! From a client to the members that answer: candidate trees, passes, rendezvous.
//!
//! Knows nothing of packets or prefixes: a class of clients has its tree already, a client is a key.
#![forbid(unsafe_code)]

pub mod band;
pub mod braked;
pub mod distance;
pub mod first;
pub mod heads;
pub mod intake;
pub mod interpreter;
pub mod member_state;
pub mod order;
pub mod passes;
pub mod plan;
pub mod rank;
pub mod readiness;
pub mod remembered;
pub mod rendezvous;
pub mod round_trip;
pub mod select;
pub mod share;
mod slowness;
pub mod trace;
pub mod tree;

pub use band::Band;
pub use band::Bands;
pub use band::Class;
pub use braked::Braked;
pub use heads::Heads;
pub use member_state::MemberState;
pub use order::Rank;
pub use passes::Decision;
pub use passes::Pass;
pub use passes::Selection;
pub use passes::decide;
pub use plan::Intake;
pub use plan::PoolPlan;
pub use plan::Shedding;
pub use rendezvous::ClientKey;
pub use select::Chosen;
pub use select::choose;
pub use select::only;
pub use trace::NoTrace;
pub use trace::Step;
pub use trace::Trace;
pub use tree::Tree;
