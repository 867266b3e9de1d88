//! What a scenario expects of a reply, of the log and of the status.

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;

use rhumb::control::status::SiteRoundTrip;

use crate::scenario::world::World;

impl World {
    /// Words of a step of the last explanation; steps are used up in order.
    pub(super) fn expect_reason(&mut self, words: &str) -> Result<(), String> {
        let found = self.reason.iter().position(|step| step.contains(words));
        let found =
            found.ok_or_else(|| format!("the steps are:\n    {}", self.reason.join("\n    ")))?;
        self.reason.drain(..=found);
        Ok(())
    }

    /// A step of the last explanation in JSON, exactly; steps are used up in order.
    pub(super) fn expect_trace(&mut self, json: &str) -> Result<(), String> {
        let found = self.trace.iter().position(|step| step == json);
        let found =
            found.ok_or_else(|| format!("the steps are:\n    {}", self.trace.join("\n    ")))?;
        self.trace.drain(..=found);
        Ok(())
    }

    /// `RCODE [aa] [tc] [scope N] [ede WORDS…]`, then every record: answer, authority, additional.
    pub(super) fn expect(&self, rest: &str, block: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let (rest, ede) = match rest.split_once(" ede ") {
            Some((rest, text)) => (rest, Some(text)),
            None => (rest, None),
        };
        let mut words = rest.split_whitespace();
        let rcode = format!("{:?}", reply.metadata.response_code).to_uppercase();
        let wanted = words.next().unwrap_or("");
        if rcode != wanted {
            return Err(format!("the code is {rcode}"));
        }
        let (mut aa, mut tc, mut scope) = (false, false, None);
        while let Some(word) = words.next() {
            match word {
                "aa" => aa = true,
                "tc" => tc = true,
                "scope" => scope = words.next().and_then(|bits| bits.parse::<u8>().ok()),
                _ => return Err(format!("{word} is not known")),
            }
        }
        if (reply.metadata.authoritative, reply.metadata.truncation) != (aa, tc) {
            return Err(format!(
                "aa is {}, tc is {}",
                reply.metadata.authoritative, reply.metadata.truncation
            ));
        }
        if scope.is_some() && scope != scope_of(reply) {
            return Err(format!("the scope is {:?}", scope_of(reply)));
        }
        let said = ede_of(reply);
        match (ede, &said) {
            (Some(words), Some(text)) if text.contains(words) => {}
            (None, None) => {}
            _ => return Err(format!("the extended error is {said:?}")),
        }
        let records: String = reply
            .answers
            .iter()
            .chain(&reply.authorities)
            .chain(&reply.additionals)
            .map(|record| record.to_string().replace(" IN ", " ") + "\n")
            .collect();
        // An SOA's serial is a digest: dots stand for it.
        let same = records.lines().count() == block.lines().count()
            && records.lines().zip(block.lines()).all(|(got, want)| {
                match want.strip_suffix("...") {
                    Some(start) => got.starts_with(start),
                    None => got == want,
                }
            });
        if same { Ok(()) } else { Err(format!("the records are\n{records}")) }
    }

    /// `ADDRESS ADDRESS …`: the answer is these, in any order.
    pub(super) fn expect_all_of(&self, rest: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let mut answers = data_of(reply);
        let mut wanted: Vec<&str> = rest.split_whitespace().collect();
        answers.sort();
        wanted.sort_unstable();
        if answers == wanted { Ok(()) } else { Err(format!("the answers are {answers:?}")) }
    }

    /// `ADDRESS ADDRESS …`: the one answer is among them.
    pub(super) fn expect_one_of(&self, rest: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let answers = data_of(reply);
        match &answers[..] {
            [one] if rest.split_whitespace().any(|address| address == one) => Ok(()),
            _ => Err(format!("the answers are {answers:?}")),
        }
    }

    pub(super) fn expect_told(&mut self, rest: &str) -> Result<(), String> {
        match self.told.iter().position(|text| text.contains(rest)) {
            Some(position) => {
                self.told.drain(..=position);
                Ok(())
            }
            None => Err(format!("what was told is {:#?}", self.told)),
        }
    }

    pub(super) fn expect_not_told(&self, rest: &str) -> Result<(), String> {
        match self.told.iter().find(|text| text.contains(rest)) {
            Some(text) => Err(format!("it was told: {text}")),
            None => Ok(()),
        }
    }

    /// `N`: so many snapshots since the last time this was asked.
    pub(super) fn expect_published(&mut self, rest: &str) -> Result<(), String> {
        let count = std::mem::take(&mut self.published);
        if rest.parse() == Ok(count) {
            Ok(())
        } else {
            Err(format!("{count} snapshots were published"))
        }
    }

    /// The answer's data are those of the question before.
    pub(super) fn expect_same(&self) -> Result<(), String> {
        let [before, now] = [&self.reply_before, &self.reply]
            .map(|reply| reply.as_ref().map(data_of).unwrap_or_default());
        if before == now && !now.is_empty() { Ok(()) } else { Err(format!("{before:?}, {now:?}")) }
    }

    /// `N`: the scope alone.
    pub(super) fn expect_scope(&self, rest: &str) -> Result<(), String> {
        let scope = scope_of(self.reply.as_ref().ok_or("nothing was asked")?);
        if scope.is_some() && rest.parse().ok() == scope {
            Ok(())
        } else {
            Err(format!("the scope is {scope:?}"))
        }
    }

    /// `N`: the TTL of every answer.
    pub(super) fn expect_ttl(&self, rest: &str) -> Result<(), String> {
        let reply = self.reply.as_ref().ok_or("nothing was asked")?;
        let ttls: Vec<u32> = reply.answers.iter().map(|record| record.ttl).collect();
        let is_right = !ttls.is_empty() && ttls.iter().all(|ttl| rest.parse() == Ok(*ttl));
        if is_right { Ok(()) } else { Err(format!("the TTLs are {ttls:?}")) }
    }

    /// `WORDS` or `nothing`: the text of the extended error.
    pub(super) fn expect_ede(&self, rest: &str) -> Result<(), String> {
        let text = ede_of(self.reply.as_ref().ok_or("nothing was asked")?);
        match &text {
            Some(text) if text.contains(rest) => Ok(()),
            None if rest == "nothing" => Ok(()),
            _ => Err(format!("the extended error is {text:?}")),
        }
    }

    /// `POOL/ENDPOINT …` or `nothing`: exactly these are probed.
    pub(super) fn expect_probed(&self, rest: &str) -> Result<(), String> {
        let mut probed: Vec<&str> = self.trackers.keys().map(|key| &*key.endpoint).collect();
        probed.dedup();
        let wanted: Vec<&str> =
            rest.split_whitespace().filter(|endpoint| *endpoint != "nothing").collect();
        if probed == wanted { Ok(()) } else { Err(format!("{probed:?} are probed")) }
    }

    /// `NAME …` or `nothing`: exactly these names are resolved.
    pub(super) fn expect_resolved(&self, rest: &str) -> Result<(), String> {
        let wanted: Vec<&str> = rest.split_whitespace().filter(|name| *name != "nothing").collect();
        match self.resolving == wanted {
            true => Ok(()),
            false => Err(format!("{:?} are resolved", self.resolving)),
        }
    }

    /// `WORDS`: a line of the status holds them.
    pub(super) fn expect_status(&self, rest: &str) -> Result<(), String> {
        let lines = self.status_lines();
        match lines.iter().any(|line| line.contains(rest)) {
            true => Ok(()),
            false => Err(format!("the status is {lines:#?}")),
        }
    }

    /// The status as short lines: files, then targets, then orders.
    fn status_lines(&self) -> Vec<String> {
        let status = self.controller.status(self.now);
        let mut lines = vec![match self.digest_loaded == status.config {
            true => "config: the files loaded last".to_owned(),
            false => "config: other files".to_owned(),
        }];
        let refused = [
            ("files", &status.refused),
            ("geo data", &status.refused_geo),
            ("tables", &status.refused_tables),
        ];
        for (what, refused) in refused {
            lines.push(match refused {
                Some(refused) => format!("{what} refused: {}", refused.problems),
                None => format!("{what} fine"),
            });
        }
        let is_table = status.round_trips.is_some();
        lines.push(if is_table { "a table counts" } else { "no table counts" }.into());
        for pool in &status.pools {
            lines.push(format!("pool {}: {}", pool.name, pool.standing_text()));
            lines.extend(pool.failback.iter().map(|text| format!("{}: {text}", pool.name)));
            lines.extend(pool.discovery.iter().map(|text| format!("{}: {text}", pool.name)));
            lines.extend(pool.shed.iter().map(|text| format!("{}: {text}", pool.name)));
        }
        for endpoint in status.pools.iter().flat_map(|pool| &pool.endpoints) {
            if !endpoint.name.is_empty() {
                lines.push(format!("{} {} {}", endpoint.key, endpoint.name, endpoint.order));
            }
            for target in &endpoint.targets {
                let from = |one: &SiteRoundTrip| format!("{} {:.0} ms", one.site, one.ms);
                let far: Vec<String> = target.round_trips.iter().map(from).collect();
                lines.push(format!("{} is far from {}", endpoint.key, far.join(", ")));
                let since = target.since_s.map_or(String::new(), |s| format!(" for {s}s"));
                lines.push(format!(
                    "{} {} {}{since} {}",
                    endpoint.key,
                    target.address,
                    target.verdict_text(),
                    endpoint.order
                ));
            }
        }
        lines.extend(status.brake.iter().map(|held| format!("brake: {held}")));
        lines.extend(status.shifts.iter().map(|shift| match &shift.ended {
            Some(ended) => format!("{}: {ended}", shift.policy),
            None => format!("{}: {}", shift.policy, shift.shift),
        }));
        lines.extend(status.orders.iter().map(|order| format!("{}: {}", order.scope, order.order)));
        lines
    }
}

/// The data of the answer's records.
pub(super) fn data_of(reply: &Message) -> Vec<String> {
    reply.answers.iter().map(|record| record.data.to_string()).collect()
}

fn scope_of(reply: &Message) -> Option<u8> {
    match reply.edns.as_ref()?.options().get(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(subnet.scope_prefix()),
        _ => None,
    }
}

/// The text of an extended error (RFC 8914).
fn ede_of(reply: &Message) -> Option<String> {
    match reply.edns.as_ref()?.options().get(EdnsCode::from(15))? {
        EdnsOption::Unknown(_, octets) => {
            Some(String::from_utf8_lossy(octets.get(2..)?).into_owned())
        }
        _ => None,
    }
}
