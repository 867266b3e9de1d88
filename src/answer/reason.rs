//! The reason of an answer, by DNS: `_explain.NAME TXT` in class CH and, while zones are unsigned, in IN.
//!
//! Only for clients that the node's file allows; for all others such a name is like any other. This path allocates: it
//! is for people, and no query of anybody else comes here.

use crate::answer::Happened;
use crate::answer::Outcome;
use crate::answer::data::Answering;
use crate::answer::explain::Asked;
use crate::answer::explain::Explanation;
use crate::answer::explain::HintReport;
use crate::answer::explain::Question;
use crate::answer::explain::Steering;
use crate::answer::explain::explain_query;
use crate::model::Disclosure;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::Rcode;
use crate::wire::RecordType;
use crate::wire::writer::Full;

/// The label that asks why; `_explain-aaaa` asks for another type than A.
const LABEL: &[u8] = b"_explain";

/// Most lines of a reason; a tree of many pools in which everything is down has more steps than anybody reads.
const LINES_MAX: usize = 200;

impl Answering<'_> {
    /// What the query wants to have explained; `None` if it is a query like any other, or the client is not told.
    #[inline]
    pub(super) fn asks_why(&self) -> Option<Asked> {
        let wire = self.query.qname.as_wire();
        // Nearly every query ends here.
        if !wire.get(1..).is_some_and(|label| label.starts_with(LABEL)) {
            return None;
        }
        self.find_asked()
    }

    #[cold]
    fn find_asked(&self) -> Option<Asked> {
        let access = &self.snapshot.compiled.node.explain;
        let is_text = matches!(self.query.qtype, RecordType::TXT | RecordType::ANY);
        if !is_text || access.of(self.request.client) == Disclosure::Nothing {
            return None;
        }
        let wire = self.query.qname.as_wire();
        let (label, rest) = wire.get(1..)?.split_at_checked(usize::from(wire[0]))?;
        let rtype = match label.strip_prefix(LABEL)? {
            b"" => RecordType::A,
            suffix => RecordType::parse(std::str::from_utf8(suffix.strip_prefix(b"-")?).ok()?)?,
        };
        // An answer that is explained is asked for: one that explains would ask for itself.
        let explains = rest.get(1..).is_some_and(|next| next.starts_with(LABEL));
        let name = Name::from_wire(rest).filter(|_| !explains)?;
        let is_ours = || self.snapshot.compiled.zones.find(&Qname::from(&name)).is_some();
        let ecs = self.query.edns.and_then(|edns| edns.ecs);
        let is_chaos = self.query.qclass == super::CLASS_CH;
        (is_chaos || is_ours()).then_some(Asked { name, rtype, ecs })
    }

    /// Answers with the reason, a record a line.
    #[cold]
    pub(super) fn answer_why(mut self, asked: &Asked, class: u16) -> Outcome {
        let client = asked.ecs.filter(|ecs| ecs.source_prefix_len > 0).map(|ecs| ecs.address);
        let question = Question {
            name: asked.name.to_string(),
            rtype: asked.rtype.to_string(),
            client: client.unwrap_or(self.request.client),
            resolver: Some(self.request.client),
            direct: client.is_none(),
            unix_s: self.request.unix_s,
        };
        let lines = match explain_query(self.snapshot, self.request, question, asked) {
            Ok(explanation) => {
                let access = &self.snapshot.compiled.node.explain;
                lines(&explanation, access.of(self.request.client))
            }
            Err(why) => vec![why],
        };
        if let Some(ecs) = asked.ecs {
            // It names the client: nobody else may be told the same.
            self.options.ecs = Some((ecs, ecs.source_prefix_len));
        }
        match self.put_lines(class, &lines) {
            Ok(()) => self.writer.set_authoritative(),
            Err(Full) => self.truncate(),
        }
        self.finish(Rcode::NoError, Happened::Explained)
    }

    fn put_lines(&mut self, class: u16, lines: &[String]) -> Result<(), Full> {
        // Numbered, because the records of a set have no order.
        for (number, line) in lines.iter().take(LINES_MAX).enumerate() {
            // A text record is shown octet by octet.
            let line = format!("{:02} {}", number + 1, line.replace('\u{b1}', "+-"));
            self.writer.put_text(class, line.as_bytes())?;
        }
        match lines.len().saturating_sub(LINES_MAX) {
            0 => Ok(()),
            more => {
                let line = format!("{} and {more} lines more: rhumb explain", LINES_MAX + 1);
                self.writer.put_text(class, line.as_bytes())
            }
        }
    }
}

/// A reason as lines of text.
fn lines(explanation: &Explanation, disclosure: Disclosure) -> Vec<String> {
    let Explanation {
        question,
        supposed_down: _,
        states,
        generation,
        zone,
        found,
        steering,
        hints,
        rcode,
        records,
    } = explanation;
    let is_full = disclosure == Disclosure::Full;
    let mut lines = vec![
        format!("{} {}: {found}", question.name, question.rtype),
        format!("zone {}, generation {generation}", zone.as_deref().unwrap_or("none")),
    ];
    match is_full {
        // Who said so, and why, is for those who are told all.
        true => lines.extend(states.iter().map(|state| format!("state: {state}"))),
        false if states.is_empty() => {}
        false => lines.push(format!("state: {} endpoint(s) by an order or a file", states.len())),
    }
    if let Some(steering) = steering {
        steering_lines(steering, is_full, &mut lines);
    }
    for HintReport { parameter, name, found, steering } in hints {
        lines.push(format!("{parameter} follows {name}: {found}"));
        if let Some(steering) = steering {
            steering_lines(steering, is_full, &mut lines);
        }
    }
    match is_full {
        true => lines.extend(records.iter().map(|record| format!("answer: {record}"))),
        false => lines.push(format!("answer: {} record(s)", records.len())),
    }
    lines.push(rcode.clone());
    lines
}

fn steering_lines(steering: &Steering, is_full: bool, lines: &mut Vec<String>) {
    let Steering {
        entry,
        network,
        place,
        source,
        class,
        classes,
        steps,
        trace,
        pool,
        ground,
        members,
        ttl,
        scope,
        choice_lasts_s,
    } = steering;
    match is_full {
        true => {
            lines.push(format!("asked as: {source}"));
            lines.push(format!("place: {place} ({network})"));
        }
        false => lines.push(format!("place: {place}")),
    }
    lines.push(format!("class {class} of {classes} of {entry}"));
    for (step, report) in steps.iter().zip(trace) {
        // Who shifts, and why, is not for everybody.
        let redacted = if is_full { None } else { report.without_author().shift_text() };
        lines.push(format!("step: {}", redacted.as_ref().unwrap_or(step)));
    }
    lines.push(format!("pool {}: {ground}", pool.as_deref().unwrap_or("none")));
    for member in members {
        let mark = if member.chosen { "member served" } else { "member not served" };
        let address = if is_full { format!(" {}", member.address) } else { String::new() };
        let held = if member.held_by_brake { ", held up by the brake" } else { "" };
        let (key, weight, slow) = (&member.endpoint, member.weight, member.slow_text());
        lines.push(format!("{mark}: {key}{address} weight {weight}{slow}{held}"));
    }
    let lasts = match choice_lasts_s {
        Some(seconds) => format!(", choice holds {seconds} s more"),
        None => String::new(),
    };
    lines.push(format!("ttl {ttl} s, scope /{scope}{lasts}"));
}
