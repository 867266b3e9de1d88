//! What operators assert of their configuration, judged before it serves: every class of clients, every branch that
//! shares can take, in the states of health that an assertion speaks of.
//!
//! Runs the same passes as an answer does, on compiled tables; decides no answer and reads no file. A client is a leaf of
//! the place table: resolvers that send less of a client's address, or none, are judged as clients where they are.
#![forbid(unsafe_code)]

mod audience;
mod example;
mod load;
mod report;
mod spread;
mod standing;
mod states;
mod ways;

pub use audience::Audience;
pub use example::Example;
pub use load::Carried;
pub use load::Overload;
pub use report::report;
pub use standing::Why;
pub use states::State;
pub use states::States;
pub use ways::Case;
pub use ways::TooManyWays;
pub use ways::WAYS_MAX;

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::model::Assertion;
use crate::model::Claim;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Found;
use crate::model::Leaf;
use crate::model::Pool;
use crate::model::SteerId;
use crate::snapshot::Compiled;
use crate::steering::Decision;
use crate::steering::Step;

/// An assertion that does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Position in [`Model::assertions`](crate::model::Model::assertions).
    pub assertion: usize,
    /// What shows it.
    pub proof: Proof,
}

/// What shows that an assertion does not hold.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A client that gets what it must not.
    Client(Box<CounterExample>),
    /// Sites that carry too much.
    Load(Overload),
    /// Nothing: there is more to look at than is looked at.
    TooManyWays(SteerId),
}

/// A client that gets what it must not.
#[derive(Clone, Debug)]
pub struct CounterExample {
    /// The name it asks for.
    pub steer: SteerId,
    /// Other names of the assertion for which it does not hold either.
    pub others: Vec<SteerId>,
    /// The family asked for.
    pub family: Family,
    /// In which state of health.
    pub state: State,
    /// Whose network, and when.
    pub example: Example,
    /// What it gets.
    pub decision: Decision,
    /// The share of clients of its class that do, above 0 to 1.
    pub share: f64,
    /// What is wrong with that.
    pub why: Why,
    /// How it came to that.
    pub steps: Vec<Step>,
}

/// Every assertion of a configuration that does not hold, in the order they are written.
pub fn judge(compiled: &Compiled) -> Vec<Failure> {
    let compiled = &*assumed(compiled);
    let states = States::new(&compiled.model);
    let assertions = compiled.model.assertions.iter().enumerate();
    let judge = |(position, assertion): (usize, &Assertion)| {
        let proof = match &assertion.claim {
            Claim::StaysIn(_) | Claim::Within(_) | Claim::Answers => {
                standing::judge(compiled, &states, assertion)
            }
            Claim::MaxLoad { limit, traffic } => {
                load::judge(compiled, &states, assertion, *limit, traffic)
            }
        };
        proof.map(|proof| Failure { assertion: position, proof })
    };
    assertions.filter_map(judge).collect()
}

/// Tables with one endpoint of both families in each pool that finds its endpoints: as an alias is taken to resolve, so
/// they are taken to be found, for who they are is known at run time only.
fn assumed(compiled: &Compiled) -> Cow<'_, Compiled> {
    let pools = compiled.model.pools.iter().filter(|pool| pool.discover.is_some());
    let stand_in = |pool: &Pool| Endpoint {
        key: format!("{}/found", pool.name).into(),
        leaf: Leaf::Addresses {
            v4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        },
        weight: 1,
        capacity: None,
        probe: Vec::new(),
        state: None,
    };
    let found: Found = pools.map(|pool| (pool.name.clone(), vec![stand_in(pool)])).collect();
    match found.is_empty() {
        true => Cow::Borrowed(compiled),
        false => Cow::Owned(compiled.with_found(&found)),
    }
}
