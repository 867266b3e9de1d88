//! Reads the history: what happened, and what held at a moment.

use std::time::Duration;

use redb::ReadableTable;
use redb::ReadableTableMetadata;

use crate::config;
use crate::control::event_record::EventRecord;
use crate::control::event_record::Subjects;
use crate::control::order::instant;
use crate::control::past::Past;
use crate::control::stored::SERVED_KEY;
use crate::control::stored::ServedForm;
use crate::control::stored::Stored;
use crate::runtime::state::fault::Fault;
use crate::runtime::state::row::Head;
use crate::runtime::state::row::Row;
use crate::runtime::state::store::HISTORY;
use crate::runtime::state::store::Reading;
use crate::runtime::state::store::STATE;
use crate::runtime::state::store::meta;

/// Rows that one page of events looks at, at most.
const ROWS_A_PAGE: usize = 10_000;

/// How far a clock may have been set back for events still to be found by time.
const SET_BACK_MAX: Duration = Duration::from_secs(2 * 3600);

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// From when, in milliseconds since 1970.
    pub since_ms: u64,
    /// To when.
    pub until_ms: u64,
    /// What they are about; everything if `None`.
    pub subjects: Option<Subjects>,
    /// The row to go on with; `None`: find the first.
    pub from: Option<u64>,
}

/// Events of some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order they happened.
    pub events: Vec<EventRecord>,
    /// The row to go on with, if there are more.
    pub next: Option<u64>,
}

/// What held at a moment, and what was served.
pub struct Then {
    /// What held.
    pub past: Past,
    /// What was served.
    pub served: ServedForm,
}

impl Reading {
    /// What is looked for by a name or an endpoint, as the files that are served now mean them.
    pub fn subjects(
        &self,
        name: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Option<Subjects>, String> {
        if name.is_none() && endpoint.is_none() {
            return Ok(None);
        }
        let table = self.transaction.open_table(STATE).map_err(|why| why.to_string())?;
        let served = table.get(SERVED_KEY).map_err(|why| why.to_string())?;
        let served = served.and_then(|found| serde_json::from_slice(found.value()).ok());
        let Some(Stored::Served(served)) = served else { return Err("nothing was served".into()) };
        let model = config::load(&self.files(&served)?).0.ok_or("the files have problems")?;
        let found = match (name, endpoint) {
            (_, Some(endpoint)) => Subjects::of_endpoint(&model, endpoint)?,
            (Some(name), None) => Subjects::of_name(&model, name)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(found))
    }

    /// One page of events.
    pub fn events(&self, wanted: &Wanted) -> Result<Page, Fault> {
        let history = self.transaction.open_table(HISTORY)?;
        let from = match wanted.from {
            Some(from) => from,
            None => self.find_first(wanted.since_ms)?,
        };
        let mut page = Page::default();
        for (count, entry) in history.range(from..)?.enumerate() {
            let (number, row) = entry?;
            if count == ROWS_A_PAGE {
                page.next = Some(number.value());
                break;
            }
            let is_wanted = |event: &EventRecord| {
                (wanted.since_ms..=wanted.until_ms).contains(&event.at_ms)
                    && wanted.subjects.as_ref().is_none_or(|subjects| event.concerns(subjects))
            };
            page.events.extend(Row::new(row.value()).events().into_iter().filter(is_wanted));
        }
        Ok(page)
    }

    /// The first row that may have an event of then or later.
    fn find_first(&self, since_ms: u64) -> Result<u64, Fault> {
        let history = self.transaction.open_table(HISTORY)?;
        let since = Duration::from_millis(since_ms).saturating_sub(SET_BACK_MAX);
        let mut first = u64::MAX;
        for entry in history.iter()?.rev() {
            let (number, row) = entry?;
            if Row::new(row.value()).head().is_some_and(|head| head.at < since) {
                break;
            }
            first = number.value();
        }
        Ok(first)
    }

    /// How many rows there are.
    pub fn rows(&self) -> Result<u64, Fault> {
        Ok(self.transaction.open_table(HISTORY)?.len()?)
    }

    /// What held at a moment. Of a moment that came twice, for the clock was set back, it is the second.
    pub fn at(&self, at: Duration) -> Result<Then, String> {
        let failed = |why: Fault| why.to_string();
        let mut state = self.state().map_err(failed)?;
        let history = self.transaction.open_table(HISTORY).map_err(|why| failed(why.into()))?;
        let rows = history.iter().map_err(|why| failed(why.into()))?;
        let (mut oldest, mut generation) = (None, None);
        for entry in rows.rev() {
            let (_, row) = entry.map_err(|why| failed(why.into()))?;
            let row = Row::new(row.value());
            let head = row.head().ok_or("a row of the history is damaged")?;
            if head.at <= at {
                generation = Some(head.generation);
                break;
            }
            if let Some(since) = head.gap_since.filter(|since| *since < at) {
                return Err(unknown(at, since, head));
            }
            for (key, before) in row.undo() {
                match before {
                    Some(value) => drop(state.insert(key, value)),
                    None => drop(state.remove(&key)),
                }
            }
            oldest = Some(head);
        }
        let generation = match generation {
            Some(generation) => generation,
            None => self.horizon(at, oldest).map_err(failed)?.ok_or_else(|| {
                let begin = self.begin(oldest).unwrap_or_default();
                format!("the history does not reach back to {}: it begins at {begin}", instant(at))
            })?,
        };
        let stored = state.values().filter_map(|value| serde_json::from_slice(value).ok());
        let stored: Vec<Stored> = stored.collect();
        let served = stored.iter().find_map(|one| match one {
            Stored::Served(served) => Some(served.clone()),
            _ => None,
        });
        let served = served.ok_or_else(|| format!("nothing was served at {}", instant(at)))?;
        Ok(Then { past: Past { generation, stored }, served })
    }

    /// The generation that was in force before the oldest row, if it is known as far back as `at`.
    fn horizon(&self, at: Duration, oldest: Option<Head>) -> Result<Option<u64>, Fault> {
        let horizon = self.find_number(meta::HORIZON_US)?.map(Duration::from_micros);
        let reaches = horizon.is_some_and(|horizon| horizon <= at);
        match reaches || oldest.is_none() && horizon.is_some() {
            true => self.find_number(meta::HORIZON_GENERATION),
            false => Ok(None),
        }
    }

    /// When the history begins, in words.
    fn begin(&self, oldest: Option<Head>) -> Option<String> {
        let horizon = self.find_number(meta::HORIZON_US).ok().flatten().map(Duration::from_micros);
        horizon.or(oldest.map(|head| head.at)).map(instant)
    }
}

/// Nothing is known of a moment.
fn unknown(at: Duration, since: Duration, head: Head) -> String {
    format!(
        "nothing is known of {}: from {} to {} the server did not run, or could not write",
        instant(at),
        instant(since),
        instant(head.at)
    )
}
