//! Measurements of one window, added up. The order in which they come in does not show.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::rtt::Evidence;
use crate::rtt::ROWS_MAX;
use crate::rtt::Source;
use crate::rtt::key::gathered;

/// Most networks times sites in one window; what comes beyond it is not heard.
pub const CELLS_MAX: usize = 200_000;

/// Most samples that a network's window counts for: nobody speaks louder by speaking often.
pub const WINDOW_SAMPLES_MAX: u32 = 50;

/// Sum of some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    samples: u64,
    total_us: u64,
}

/// Measurements of one window by network and site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    cells: BTreeMap<(IpNet, Box<str>), [Sum; Source::ALL.len()]>,
    cells_max: usize,
}

/// For what is measured: holds [`CELLS_MAX`] networks times sites.
impl Default for Window {
    fn default() -> Self {
        Self { cells: BTreeMap::new(), cells_max: CELLS_MAX }
    }
}

/// The window holds no further network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowFull;

impl Window {
    /// For a table of the operator: holds as much as a table does.
    pub fn for_import() -> Self {
        Self { cells_max: ROWS_MAX, ..Self::default() }
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Number of networks times sites.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Adds samples of a network with the same round-trip time; a network longer than /24 or /48 counts as that.
    ///
    /// # Errors
    /// [`WindowFull`] if the network is new to a window that has no room.
    pub fn add(
        &mut self,
        network: IpNet,
        site: &str,
        source: Source,
        (samples, rtt_us): (u32, u32),
    ) -> Result<(), WindowFull> {
        let full = self.cells.len() >= self.cells_max;
        let key = (gathered(network), Box::from(site));
        if full && !self.cells.contains_key(&key) {
            return Err(WindowFull);
        }
        let sum = &mut self.cells.entry(key).or_default()[source.index()];
        sum.samples += u64::from(samples);
        sum.total_us += u64::from(samples) * u64::from(rtt_us);
        Ok(())
    }

    /// Adds what another window has, as far as there is room.
    pub fn absorb(&mut self, other: &Self) {
        for (key, sums) in &other.cells {
            if self.cells.len() >= self.cells_max && !self.cells.contains_key(key) {
                continue;
            }
            let known = self.cells.entry(key.clone()).or_default();
            for (known, sum) in known.iter_mut().zip(sums) {
                known.samples += sum.samples;
                known.total_us += sum.total_us;
            }
        }
    }

    /// Each network and site with its evidence by source, in order.
    pub fn cells(&self) -> impl Iterator<Item = (IpNet, &str, [Evidence; Source::ALL.len()])> {
        self.cells.iter().map(|((network, site), sums)| {
            let evidence = Source::ALL.map(|source| {
                let Sum { samples, total_us } = sums[source.index()];
                let most = match source {
                    Source::Handshake | Source::Beacon => u64::from(WINDOW_SAMPLES_MAX),
                    Source::Import => u64::from(u32::MAX),
                };
                let mean_us = total_us.checked_div(samples).unwrap_or(0) as i32;
                Evidence::new(samples.min(most) as u32, mean_us)
            });
            (*network, &**site, evidence)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn samples_of_a_24_are_one_and_a_crowd_counts_for_fifty() {
        let mut window = Window::default();
        for _ in 0..100 {
            window.add(network("192.0.2.7/32"), "fra", Source::Beacon, (1, 10_000)).unwrap();
        }
        window.add(network("192.0.2.128/25"), "fra", Source::Import, (900, 20_000)).unwrap();
        let cells: Vec<_> = window.cells().collect();
        assert_eq!(cells.len(), 1);
        let (of, site, [handshake, beacon, import]) = cells[0];
        assert_eq!((of, site), (network("192.0.2.0/24"), "fra"));
        assert_eq!(handshake, Evidence::default());
        assert_eq!((beacon, import), (Evidence::new(50, 10_000), Evidence::new(900, 20_000)));
    }

    #[test]
    fn what_was_heard_before_and_after_adds_up() {
        let mut windows = [Window::default(), Window::default()];
        for (window, rtt_us) in windows.iter_mut().zip([10_000, 30_000]) {
            window.add(network("192.0.2.0/24"), "fra", Source::Beacon, (1, rtt_us)).unwrap();
        }
        let [mut one, other] = windows;
        one.absorb(&other);
        let (_, _, [_, beacon, _]) = one.cells().next().unwrap();
        assert_eq!((one.len(), beacon), (1, Evidence::new(2, 20_000)));
    }

    #[test]
    fn a_full_window_hears_nobody_new() {
        let mut window = Window::default();
        let at = |index: usize| {
            let address = std::net::Ipv4Addr::from_bits((index as u32) << 8);
            IpNet::from(std::net::IpAddr::V4(address))
        };
        for index in 0..CELLS_MAX {
            window.add(at(index), "fra", Source::Beacon, (1, 1_000)).unwrap();
        }
        assert_eq!(window.add(at(CELLS_MAX), "fra", Source::Beacon, (1, 1_000)), Err(WindowFull));
        assert_eq!(window.add(at(7), "fra", Source::Beacon, (1, 1_000)), Ok(()));
        assert_eq!(window.len(), CELLS_MAX);
    }

    proptest! {
        #[test]
        fn the_order_of_samples_does_not_show(
            samples in prop::collection::vec((0..4_u8, 0..2_usize, 0..3_usize, 1..900_000_u32), 0..60),
            rotation in 0..60_usize,
        ) {
            let gather = |samples: &[(u8, usize, usize, u32)]| {
                let mut window = Window::default();
                for &(last, site, source, rtt_us) in samples {
                    let of = network(&format!("192.0.{last}.9/32"));
                    let site = ["fra", "iad"][site];
                    window.add(of, site, Source::ALL[source], (1, rtt_us)).unwrap();
                }
                window
            };
            let mut turned = samples.clone();
            turned.reverse();
            if !turned.is_empty() {
                let by = rotation % turned.len();
                turned.rotate_left(by);
            }
            prop_assert_eq!(gather(&samples), gather(&turned));
        }
    }
}
