//! Steps about load: what endpoints say of theirs, window by window.

use std::collections::BTreeMap;
use std::time::Duration;

use rhumb::control::Event;
use rhumb::control::LoadReport;
use rhumb::control::shed::WINDOW;
use rhumb::model::TargetKey;

use crate::scenario::world::World;

impl World {
    /// `POOL=LOAD POOL/ENDPOINT=LOAD … [xN]`: in each of N windows these say so, later ones instead of earlier ones, and
    /// the window ends. Whoever is not named says nothing.
    pub(super) fn report_loads(&mut self, rest: &str) -> Result<(), String> {
        let (mut loads, mut windows) = (BTreeMap::<TargetKey, f64>::new(), 1);
        for word in rest.split_whitespace() {
            if let Some(number) = word.strip_prefix('x') {
                windows = number.parse().map_err(|_| "write xN")?;
                continue;
            }
            let (name, load) = word.split_once('=').ok_or("write POOL=LOAD")?;
            let load = load.parse().map_err(|_| "write POOL=LOAD")?;
            let is_meant = |key: &&TargetKey| {
                *key.endpoint == *name || key.endpoint.split('/').next() == Some(name)
            };
            let before = loads.len();
            let mut meant = self.trackers.keys().filter(is_meant).peekable();
            if meant.peek().is_none() {
                return Err(format!("{name} is not probed, {before} are"));
            }
            loads.extend(meant.map(|key| (key.clone(), load)));
        }
        for _ in 0..windows {
            let reports = loads.iter().map(|(key, &load)| LoadReport { key: key.clone(), load });
            self.handle(Event::Loads(reports.collect()));
            let into = Duration::from_secs(self.now.unix.as_secs() % WINDOW.as_secs());
            self.advance(WINDOW - into);
            self.handle(Event::Settle);
        }
        Ok(())
    }
}
