//! In what two replies differ, and which differences are known and why.

use crate::question::Question;
use crate::reply::AA;
use crate::reply::Reply;
use crate::reply::TC;
use crate::server::Judge;

/// A part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Presence,
    Rcode,
    Aa,
    Tc,
    /// RD, RA, Z, AD, CD.
    Flags,
    Question,
    Answer,
    Authority,
    Additional,
    /// Whether there is an OPT record, its version and flags.
    Edns,
}

/// A question with both replies; `None` where none came.
pub struct Case<'a> {
    pub judge: Judge,
    pub question: &'a Question,
    pub ours: Option<&'a Reply>,
    pub theirs: Option<&'a Reply>,
    /// Apexes of all zones that are served, in wire form.
    pub apexes: &'a [Vec<u8>],
}

impl Case<'_> {
    /// Parts that differ.
    pub fn differences(&self) -> Vec<Part> {
        let (Some(ours), Some(theirs)) = (self.ours, self.theirs) else {
            return if self.ours == self.theirs { Vec::new() } else { vec![Part::Presence] };
        };
        let opt = |reply: &Reply| reply.opt.as_ref().map(|opt| (opt.version, opt.flags));
        // A client that sees TC asks again by TCP and looks at nothing else (RFC 2181 section 9).
        let is_whole = !(ours.has(TC) && theirs.has(TC));
        let mut parts = Vec::new();
        let mut check = |part, differs: bool| differs.then(|| parts.push(part));
        check(Part::Rcode, ours.rcode != theirs.rcode);
        check(Part::Aa, ours.has(AA) != theirs.has(AA));
        check(Part::Tc, ours.has(TC) != theirs.has(TC));
        check(Part::Flags, (ours.flags ^ theirs.flags) & !(AA | TC) != 0);
        check(Part::Question, ours.question != theirs.question);
        check(Part::Answer, is_whole && ours.answer() != theirs.answer());
        check(Part::Authority, is_whole && ours.authority() != theirs.authority());
        check(Part::Additional, is_whole && ours.additional() != theirs.additional());
        check(Part::Edns, opt(ours) != opt(theirs));
        parts
    }
}

/// A known difference. Explains the `parts` that differ in cases where `applies`.
pub struct Row {
    /// All judges if `None`.
    pub judge: Option<Judge>,
    pub parts: &'static [Part],
    pub reason: &'static str,
    pub applies: fn(&Case<'_>, &Reply, &Reply) -> bool,
}

/// Rows for `case` that together explain each of `parts`; `Err` has the parts that none explains.
pub fn explain(
    rows: &[&'static Row],
    case: &Case<'_>,
    parts: &[Part],
) -> Result<Vec<&'static Row>, Vec<Part>> {
    let (Some(ours), Some(theirs)) = (case.ours, case.theirs) else { return Err(parts.to_vec()) };
    let mut left = parts.to_vec();
    let mut used = Vec::new();
    for row in rows {
        let is_about = row.judge.is_none_or(|judge| judge == case.judge);
        if is_about
            && left.iter().any(|part| row.parts.contains(part))
            && (row.applies)(case, ours, theirs)
        {
            left.retain(|part| !row.parts.contains(part));
            used.push(*row);
        }
    }
    if left.is_empty() { Ok(used) } else { Err(left) }
}
