//! Steps about round-trip times: tables that are imported, and measurements of which tables are made.

use std::net::IpAddr;
use std::sync::Arc;

use rhumb::control::Event;
use rhumb::control::round_trips::Making;
use rhumb::control::round_trips::Measurement;
use rhumb::rtt::Ground;
use rhumb::rtt::Moment;
use rhumb::rtt::Shelf;
use rhumb::rtt::Source;
use rhumb::rtt::Table;
use rhumb::rtt::file_name;
use rhumb::rtt::import::window_of;
use rhumb::rtt::import_table;
use rhumb::rtt::key::network_of;
use rhumb::rtt::parse_import;
use rhumb::rtt::render;

use crate::scenario::world::World;
use crate::scenario::world::duration;

impl World {
    /// `[at +DURATION]` and CSV: a table for the folder, as `rhumb rtt import` makes it.
    pub(super) fn import_round_trips(&mut self, rest: &str, csv: &str) -> Result<(), String> {
        let later = match rest.strip_prefix("at +") {
            Some(text) => duration(text)?,
            None if rest.is_empty() => duration("0s")?,
            None => return Err("write RTT or RTT at +DURATION".into()),
        };
        let snapshot = self.controller.snapshot().ok_or("nothing is loaded")?;
        let compiled = Arc::clone(&snapshot.compiled);
        let ground = Ground { places: &compiled.geo, sites: &compiled.model.sites };
        let rows = parse_import(csv, &ground).map_err(|problems| format!("{problems:?}"))?;
        let built_s = self.now.unix.as_secs();
        let moment = Moment { built_s, activates_s: built_s + later.as_secs() };
        let (shelf, none) = (Shelf::read(self.tables.clone()), Table::default());
        let before = shelf.newest().map_or(&none, |shelved| &shelved.table);
        let (table, _) = import_table(before, &window_of(&rows), &ground, moment);
        let text = render(&table);
        self.tables.push((file_name(&text).into(), text.into_bytes()));
        Ok(())
    }

    /// `WINDOW DELAY`
    pub(super) fn make_tables(&mut self, rest: &str) -> Result<(), String> {
        let (window, delay) = rest.split_once(' ').ok_or("write WINDOW DELAY")?;
        let making = Making { window: duration(window)?, delay: duration(delay)? };
        self.controller.make_tables(making);
        Ok(())
    }

    /// `SITE MS from ADDRESS [xN]`
    pub(super) fn measure(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (site, ms, client, times) = match words[..] {
            [site, ms, "from", client] => (site, ms, client, "x1"),
            [site, ms, "from", client, times] => (site, ms, client, times),
            _ => return Err("write SITE MS from ADDRESS [xN]".into()),
        };
        let client: IpAddr = client.parse().map_err(|_| "not an address")?;
        let ms: u32 = ms.parse().map_err(|_| "write whole milliseconds")?;
        let times = times.strip_prefix('x').and_then(|times| times.parse().ok());
        let measurement = Measurement {
            network: network_of(client),
            site: site.into(),
            source: Source::Beacon,
            rtt_us: ms * 1000,
        };
        self.handle(Event::Measured(vec![measurement; times.ok_or("write xN")?]));
        Ok(())
    }
}
