//! What other nodes say besides votes: digests, clocks, how far targets are, what their brake holds. And this node's hook.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use rhumb::cluster::Beat;
use rhumb::cluster::Digests;
use rhumb::cluster::Layout;
use rhumb::cluster::Topic;
use rhumb::cluster::round_trips;
use rhumb::cluster::shard::SHARD_LEN;
use rhumb::control::Event;
use rhumb::control::cluster::withdrawal::HookReport;
use rhumb::control::cluster::withdrawal::Presence;
use rhumb::model::Now;
use rhumb::model::TargetKey;

use crate::scenario::world::World;
use crate::scenario::world::duration;

/// What a peer has of what this node has.
#[derive(Default)]
pub struct Having {
    /// Whether it says anything of it.
    is_told: bool,
    /// What it has otherwise.
    differs: BTreeSet<String>,
    /// Its clock: whether it is ahead, and by how much; `None`: it does not tell.
    clock: Option<(bool, Duration)>,
}

impl Having {
    /// Puts it into a beat; `own` is this node's last.
    pub fn put(&self, beat: &mut Beat, own: Option<&[u8]>, now: Now) {
        if let Some((is_ahead, by)) = self.clock {
            beat.unix = if is_ahead { now.unix + by } else { now.unix - by };
        }
        let Some(own) = own.and_then(Beat::of_octets).filter(|_| self.is_told) else { return };
        let of = |what: &str, digest: u64| digest ^ u64::from(self.differs.contains(what)) << 40;
        let Digests { config, geo, rtt, verdicts, records } = own.digests;
        beat.digests = Digests {
            config: of("config", config),
            geo: of("geo", geo),
            rtt: of("rtt", rtt),
            verdicts: of("verdicts", verdicts),
            records: of("records", records),
        };
    }

    /// `agrees`, `differs in WHAT`, `clock ahead|behind TIME`; false if it is none of these.
    pub fn learn(&mut self, words: &[&str]) -> Result<bool, String> {
        match words {
            ["agrees"] => (self.is_told, self.differs) = (true, BTreeSet::new()),
            ["differs", "in", what] => {
                self.is_told = true;
                self.differs.insert((*what).to_owned());
            }
            ["clock", "ahead", by] => self.clock = Some((true, duration(by)?)),
            ["clock", "behind", by] => self.clock = Some((false, duration(by)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What this node's hook was asked for and not yet expected.
#[derive(Default)]
pub struct Hook {
    orders: Vec<Presence>,
}

impl Hook {
    pub fn note(&mut self, order: Presence) {
        self.orders.push(order);
    }
}

/// Digest of a layout, as brakes compare it.
fn digest(layout: &Layout) -> u64 {
    layout.shards().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, shard| {
        let next = match shard.topic {
            Topic::Votes { layout, .. } => layout,
            _ => 0,
        };
        (hash ^ next).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What a brake that holds these says.
pub fn held(layout: &Layout, keys: &[TargetKey]) -> Box<[u8]> {
    let mut shards: BTreeMap<u16, [u8; SHARD_LEN / 8]> = BTreeMap::new();
    for place in keys.iter().filter_map(|key| layout.place_of(key)) {
        let shard = layout.shard_of_place(place);
        let bit = place - layout.shards()[shard].start;
        shards.entry(shard as u16).or_default()[bit / 8] |= 1 << (bit % 8);
    }
    let mut octets = vec![1];
    octets.extend(digest(layout).to_be_bytes());
    for (shard, bits) in shards {
        octets.extend(shard.to_be_bytes());
        octets.extend(bits);
    }
    octets.into()
}

/// Shards of round-trip times in which these targets are so far away, and of the others nothing is known.
pub fn measured(layout: &Layout, keys: &[TargetKey], time: Duration) -> Vec<(Topic, Box<[u8]>)> {
    let shard_of = |shard: &rhumb::cluster::layout::Shard| {
        let Topic::Votes { layout: digest, shard: number } = shard.topic else { return None };
        let targets = &layout.targets()[shard.start..shard.start + shard.count];
        let is_measured = |key| if keys.contains(key) { round_trips::code(time) } else { 0 };
        let codes: Vec<u8> = targets.iter().map(|target| is_measured(&target.key)).collect();
        Some((Topic::Rtt { shard: number }, round_trips::pack(digest, &codes)))
    };
    layout.shards().iter().filter_map(shard_of).collect()
}

impl World {
    /// `does it` or `fails WHY`: how the hook ended that was asked for last.
    pub(super) fn hook(&mut self, rest: &str) -> Result<(), String> {
        let presence = *self.peers.hook.orders.last().ok_or("the hook was asked for nothing")?;
        let fault = match rest.split_once(' ') {
            Some(("does", "it")) => None,
            Some(("fails", why)) => Some(why.into()),
            _ => return Err("write `does it` or `fails WHY`".into()),
        };
        self.handle(Event::Hooked(HookReport { presence, fault }));
        self.handle(Event::Settle);
        self.peers.hook.orders.clear();
        Ok(())
    }

    /// `withdraw`, `announce` or `nothing`: what the hook is asked for.
    pub(super) fn expect_hook(&mut self, rest: &str) -> Result<(), String> {
        let orders = self.peers.hook.orders.iter().map(|order| order.order());
        let orders = orders.collect::<Vec<_>>().join(", ");
        let is_so = orders == rest || (orders.is_empty() && rest == "nothing");
        if is_so { Ok(()) } else { Err(format!("the hook was asked for: {orders}")) }
    }
}
