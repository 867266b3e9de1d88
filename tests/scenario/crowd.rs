//! What a scenario expects of 2,000 client networks at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::scenario::expect::data_of;
use crate::scenario::world::World;

/// How many client networks are asked for: shares are then right within 4 points (about 3.6 sigma at 50 %).
const CLIENTS: u32 = 2000;

/// How far a share may be off, in points.
const TOLERANCE: f64 = 4.0;

impl World {
    /// `NAME TYPE ADDRESS=PERCENT …`; 0 is exactly none, 100 exactly all.
    pub(super) fn expect_spread(&self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, rtype, shares @ ..] = &words[..] else {
            return Err("write NAME TYPE ADDRESS=PERCENT".into());
        };
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for answers in self.ask_all(name, rtype)? {
            for answer in answers {
                *counts.entry(answer).or_default() += 1;
            }
        }
        for share in shares {
            let (address, percent) = share.split_once('=').ok_or("write ADDRESS=PERCENT")?;
            check_share(address, counts.remove(address).unwrap_or(0), percent)?;
        }
        if counts.is_empty() { Ok(()) } else { Err(format!("others answered too: {counts:?}")) }
    }

    /// `NAME TYPE`: notes what every client gets.
    pub(super) fn note(&mut self, rest: &str) -> Result<(), String> {
        let (name, rtype) = rest.split_once(' ').ok_or("write NAME TYPE")?;
        self.noted = self.ask_all(name, rtype)?;
        Ok(())
    }

    /// `NAME TYPE PERCENT [from ADDRESS]`: so many clients get something else than was noted, all of them from there.
    pub(super) fn expect_moved(&self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (name, rtype, percent, from) = match &words[..] {
            [name, rtype, percent] => (name, rtype, percent, None),
            [name, rtype, percent, "from", address] => (name, rtype, percent, Some(*address)),
            _ => return Err("write NAME TYPE PERCENT [from ADDRESS]".into()),
        };
        if self.noted.is_empty() {
            return Err("nothing was noted".into());
        }
        let mut moved = 0;
        for (before, after) in self.noted.iter().zip(self.ask_all(name, rtype)?) {
            if *before == after {
                continue;
            }
            moved += 1;
            if from.is_some_and(|from| before.iter().all(|answer| answer != from)) {
                return Err(format!("a client moved from {before:?} to {after:?}"));
            }
        }
        check_share("moved clients", moved, percent)
    }

    /// `NAME A=AAAA …`: every client gets both addresses of one of these pairs.
    pub(super) fn expect_pairs(&self, rest: &str) -> Result<(), String> {
        let (name, pairs) = rest.split_once(' ').ok_or("write NAME A=AAAA …")?;
        let pairs: Vec<&str> = pairs.split_whitespace().collect();
        let mut seen = Vec::new();
        for (v4, v6) in self.ask_all(name, "A")?.iter().zip(self.ask_all(name, "AAAA")?) {
            let pair = format!("{}={}", v4.join(","), v6.join(","));
            match pairs.iter().find(|wanted| **wanted == pair) {
                Some(wanted) => seen.push(*wanted),
                None => return Err(format!("a client gets {pair}")),
            }
        }
        match pairs.iter().find(|pair| !seen.contains(pair)) {
            Some(pair) => Err(format!("no client gets {pair}")),
            None => Ok(()),
        }
    }

    /// Each client's answers, sorted.
    fn ask_all(&self, name: &str, rtype: &str) -> Result<Vec<Vec<String>>, String> {
        let ask = |client: u32| {
            let address = IpAddr::from([100, 64 + (client >> 8) as u8, client as u8, 1]);
            let mut answers = data_of(&self.answer(&format!("{name} {rtype} from {address}"))?);
            answers.sort();
            Ok(answers)
        };
        (0..CLIENTS).map(ask).collect()
    }
}

fn check_share(what: &str, count: u32, percent: &str) -> Result<(), String> {
    let wanted: f64 = percent.parse().map_err(|_| "not a percentage")?;
    let got = f64::from(count) * 100.0 / f64::from(CLIENTS);
    let is_exact = wanted == 0.0 || wanted == 100.0;
    if (got - wanted).abs() > TOLERANCE || (is_exact && got != wanted) {
        return Err(format!("{what}: {got} %"));
    }
    Ok(())
}
