//! Bands of one client, counted over everybody, as the interpreter does it.

use crate::model::Location;
use crate::model::Model;
use crate::model::PoolId;
use crate::steering::band::BANDED_DEPTH;
use crate::steering::band::BANDS;
use crate::steering::band::Band;
use crate::steering::band::WHOLE;
use crate::steering::distance;
use crate::steering::interpreter::Outline;

/// Clients of whom the same is known.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// What the entry comes to for them.
    pub outline: Outline,
    /// Where they are, if anybody knows.
    pub position: Option<Location>,
    /// How many they are: each /64 of IPv6 counts 1, each IPv4 address as much as a /48.
    pub count: u128,
}

/// The bands in which pools see a client, among `everybody`; a pool that is not named sees it in the nearest.
pub fn bands(
    model: &Model,
    everybody: &[Crowd],
    outline: &Outline,
    position: Option<Location>,
) -> Vec<(PoolId, Band)> {
    let mut pools = pools_of(outline);
    pools.sort_unstable();
    pools.dedup();
    if pools.len() == 1 {
        return Vec::new();
    }
    let (mut near, _) = near(outline, 0);
    near.sort_unstable();
    let shedding = pools.into_iter().filter(|pool| model.pools[pool.index()].shed.is_some());
    let band = |pool| {
        let position = position?;
        let own =
            band(model, everybody, pool, position, &|crowd| first(&crowd.outline, pool, WHOLE));
        let has = |crowd: &Crowd| u64::from(pools_of(&crowd.outline).contains(&pool));
        let found = own.or_else(|| band(model, everybody, pool, position, &has))?;
        Some(if near.contains(&pool) { found } else { Band::FARTHEST })
    };
    shedding.map(|pool| (pool, band(pool).unwrap_or(Band::NEAREST))).collect()
}

/// The sixteenth of the clients of a pool, `share` of each crowd, that one at a position is in.
fn band(
    model: &Model,
    everybody: &[Crowd],
    pool: PoolId,
    position: Location,
    share: &dyn Fn(&Crowd) -> u64,
) -> Option<Band> {
    let site = model.sites[model.pools[pool.index()].site?.index()].location;
    let own = distance::metres(position, site);
    let (mut all, mut nearer) = (0, 0);
    for crowd in everybody {
        let Some(position) = crowd.position else { continue };
        // One tree for everybody has one pool only if nobody can be sent elsewhere.
        let alone = pools_of(&crowd.outline).iter().all(|other| *other == pool);
        let count = if alone { 0 } else { crowd.count * u128::from(share(crowd)) };
        all += count;
        if distance::metres(position, site) < own {
            nearer += count;
        }
    }
    let sixteenth = (nearer * u128::from(BANDS)).checked_div(all)?;
    Some(Band(sixteenth.min(u128::from(BANDS - 1)) as u8))
}

fn pools_of(outline: &Outline) -> Vec<PoolId> {
    match outline {
        Outline::Pool(pool) => vec![*pool],
        Outline::Ordered(each, _) => each.iter().flat_map(pools_of).collect(),
        Outline::Shares(_, shares, _) => shares.iter().flat_map(|(_, o)| pools_of(o)).collect(),
    }
}

/// The part of `share` whose first candidate a pool is.
fn first(outline: &Outline, pool: PoolId, share: u64) -> u64 {
    match outline {
        Outline::Pool(other) => {
            if *other == pool {
                share
            } else {
                0
            }
        }
        Outline::Ordered(each, _) => each.first().map_or(0, |outline| first(outline, pool, share)),
        Outline::Shares(_, shares, _) => {
            let total: u64 = shares.iter().map(|(target, _)| u64::from(target.weight)).sum();
            let part = |weight: u16| share * u64::from(weight) / total.max(1);
            shares.iter().map(|(target, o)| first(o, pool, part(target.weight))).sum()
        }
    }
}

/// Pools with fewer than four candidates before them at best, after `before` others; and how many come before the next.
fn near(outline: &Outline, before: usize) -> (Vec<PoolId>, usize) {
    if before >= BANDED_DEPTH {
        return (Vec::new(), before);
    }
    match outline {
        Outline::Pool(pool) => (vec![*pool], before + 1),
        Outline::Ordered(each, _) => {
            let (mut pools, mut before) = (Vec::new(), before);
            for outline in each {
                let (more, after) = near(outline, before);
                pools.extend(more);
                before = after;
            }
            (pools, before)
        }
        Outline::Shares(_, shares, _) => {
            let each: Vec<_> = shares.iter().map(|(_, outline)| near(outline, before)).collect();
            let after = each.iter().map(|(_, after)| *after).min().unwrap_or(before);
            (each.into_iter().flat_map(|(pools, _)| pools).collect(), after)
        }
    }
}
