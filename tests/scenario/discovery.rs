//! Steps about endpoints that are found.

use rhumb::control::Discovered;
use rhumb::control::Event;
use rhumb::discovery::list;

use crate::scenario::world::World;

impl World {
    /// `SOURCE -> TARGET … [; LABEL=TEXT … TARGET …]`, `SOURCE -> nothing` or `SOURCE fails WHY`, wanted or not.
    ///
    /// A group of targets ends at `;`; words with `=` are its labels.
    pub(super) fn discover(&mut self, rest: &str) -> Result<(), String> {
        let (name, result) = match (rest.split_once(" -> "), rest.split_once(" fails ")) {
            (Some((name, groups)), _) => {
                let text =
                    format!("[{}]", groups.split(';').map(group).collect::<Vec<_>>().join(","));
                (name, Ok(list::read(&text).map_err(|faults| format!("{faults:?}"))?))
            }
            (None, Some((name, why))) => (name, Err(why.into())),
            (None, None) => return Err("write SOURCE -> TARGET … or SOURCE fails WHY".into()),
        };
        let source = self.sources.iter().find(|source| source.to_string() == name);
        let source =
            source.ok_or_else(|| format!("{name} is not asked, but {:?}", self.sources))?;
        self.handle(Event::Discovered(Discovered { source: source.clone(), result }));
        self.handle(Event::Settle);
        Ok(())
    }

    /// `POOL NAME …` or `POOL nothing`: exactly these endpoints are found.
    pub(super) fn expect_found(&mut self, rest: &str) -> Result<(), String> {
        let (pool, names) = rest.split_once(' ').ok_or("write POOL NAME …")?;
        let wanted: Vec<&str> = names.split(' ').filter(|word| *word != "nothing").collect();
        let snapshot = self.controller.snapshot().ok_or("nothing is served")?;
        let pools = &snapshot.compiled.model.pools;
        let pool = pools.iter().find(|one| &*one.name == pool).ok_or("there is no such pool")?;
        let written = pool.discover.as_ref().ok_or("it finds nothing")?.written;
        let key = |at: usize| pool.endpoints[at].key.split_once('/').map_or("", |(_, name)| name);
        let found: Vec<&str> = (written..pool.endpoints.len()).map(key).collect();
        match found == wanted {
            true => Ok(()),
            false => Err(format!("found: {}", found.join(" "))),
        }
    }
}

fn group(words: &str) -> String {
    let words = words.split_whitespace().filter(|word| *word != "nothing");
    let (labels, targets): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
    let label = |text: &&str| {
        let (name, text) = text.split_once('=').unwrap_or((text, ""));
        format!("{name:?}: {text:?}")
    };
    let labels: Vec<String> = labels.iter().map(label).collect();
    let targets: Vec<String> = targets.iter().map(|target| format!("{target:?}")).collect();
    format!("{{\"targets\": [{}], \"labels\": {{{}}}}}", targets.join(","), labels.join(","))
}
