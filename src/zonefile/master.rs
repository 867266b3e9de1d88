//! A whole master file: owners, TTLs, classes and directives.

use std::ops::Range;

use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::TYPES_REMEDY;
use crate::zonefile::lexer;
use crate::zonefile::lexer::Line;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::parse_ttl;

/// One record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute owner.
    pub owner: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Seconds; `None` if neither the record nor `$TTL` says.
    pub ttl: Option<u32>,
    /// Wire form without compression.
    pub rdata: Box<[u8]>,
    /// Octets of the text.
    pub span: Range<usize>,
}

/// What a file holds: every record that is right, and every fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Records in the order of the file.
    pub entries: Vec<Entry>,
    /// Faults in the order of the file.
    pub faults: Vec<Fault>,
}

/// Reads a master file; `origin` counts until `$ORIGIN` says otherwise.
pub fn parse(text: &str, origin: &Name) -> Parsed {
    let (lines, faults) = lexer::lines(text);
    let mut state = State {
        origin: origin.clone(),
        ttl: None,
        owner: None,
        parsed: Parsed { entries: Vec::new(), faults },
    };
    for line in &lines {
        if let Err(fault) = state.line(line) {
            state.parsed.faults.push(fault);
        }
    }
    state.parsed.faults.sort_by_key(|fault| fault.span.start);
    state.parsed
}

struct State {
    origin: Name,
    ttl: Option<u32>,
    owner: Option<Name>,
    parsed: Parsed,
}

impl State {
    fn line(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        let first = &line.words[0];
        if first.text.starts_with('$') && !first.is_quoted && !line.continues_owner {
            return self.directive(first, &line.words[1..]);
        }
        let mut words = &line.words[..];
        if line.continues_owner {
            if self.owner.is_none() {
                return Err(fault(
                    first,
                    "no owner stands before this record",
                    "start the line with a name",
                ));
            }
        } else {
            self.owner = None;
            self.owner = Some(self.name(first)?);
            words = &words[1..];
        }
        self.record(words, line)
    }

    /// `[TTL] [class] type data`, TTL and class in either order.
    fn record(&mut self, mut words: &[Word<'_>], line: &Line<'_>) -> Result<(), Fault> {
        let (start, end) = (line.words[0].span.start, line.words[line.words.len() - 1].span.end);
        let mut ttl = self.ttl;
        while let Some((word, rest)) = words.split_first() {
            if let Some(seconds) =
                parse_ttl(word.text).filter(|_| word.text.as_bytes()[0].is_ascii_digit())
            {
                ttl = Some(seconds);
            } else if ["CH", "HS", "CS"].iter().any(|class| word.text.eq_ignore_ascii_case(class)) {
                return Err(fault(word, "only class IN is served", "write IN, or leave it out"));
            } else if !word.text.eq_ignore_ascii_case("IN") {
                break;
            }
            words = rest;
        }
        let Some((word, data)) = words.split_first() else {
            return Err(Fault {
                span: end..end,
                message: "the record ends before its type".into(),
                remedy: "write owner, TTL, type and data".into(),
            });
        };
        let rtype = RecordType::parse(word.text).filter(|_| !word.is_quoted).ok_or_else(|| {
            fault(
                word,
                format!("\"{}\" is not a record type that can be written", word.text),
                TYPES_REMEDY,
            )
        })?;
        if !rtype.is_data() {
            return Err(fault(word, format!("{rtype} is no type of data"), "take the record out"));
        }
        let mut rdata = Vec::new();
        rdata::parse_rdata(rtype, data, &self.origin, end, &mut rdata)?;
        let owner = self.owner.clone().expect("line() has set or checked it");
        self.parsed.entries.push(Entry {
            owner,
            rtype,
            ttl,
            rdata: rdata.into(),
            span: start..end,
        });
        Ok(())
    }

    fn directive(&mut self, directive: &Word<'_>, words: &[Word<'_>]) -> Result<(), Fault> {
        let one = |what: &str| match words {
            [word] => Ok(word),
            [] => Err(fault(
                directive,
                format!("{} needs {what}", directive.text),
                format!("add {what}"),
            )),
            [_, extra, ..] => Err(fault(extra, "nothing follows here", "take it out")),
        };
        match directive.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => self.origin = self.name(one("a name")?)?,
            "$TTL" => {
                let word = one("a time")?;
                let ttl = parse_ttl(word.text);
                let ttl = ttl.ok_or_else(|| {
                    fault(word, "not a time", "write seconds, or a time such as 1h30m")
                })?;
                self.ttl = Some(ttl);
            }
            _ => {
                return Err(fault(
                    directive,
                    format!("the directive {} is not known", directive.text),
                    "use $ORIGIN or $TTL, and write the records out",
                ));
            }
        }
        Ok(())
    }

    fn name(&self, word: &Word<'_>) -> Result<Name, Fault> {
        Name::parse(word.text, &self.origin).map_err(|why| {
            fault(word, why.to_string(), "write a name such as www or www.example.com.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Name {
        Name::absolute("z.test").unwrap()
    }

    #[test]
    fn reads_what_rfc_1035_section_5_writes() {
        let text = "$TTL 1h\n@ IN SOA ns1 host ( 7 2h ; refresh\n 30m 1w 30 )\n\
                    \t300 NS ns1\nns1 A 192.0.2.1\nt TXT \"a ; \\\"b\\\" (c)\" d\\032e\nx TYPE4711 \\# 2 0aFF\n";
        let parsed = parse(text, &origin());
        assert_eq!(parsed.faults, []);
        let of = |at: usize| {
            (
                parsed.entries[at].owner.to_string(),
                parsed.entries[at].ttl,
                &*parsed.entries[at].rdata,
            )
        };
        assert_eq!(
            of(1),
            ("z.test.".into(), Some(300), Name::absolute("ns1.z.test").unwrap().as_wire())
        );
        assert_eq!(of(2), ("ns1.z.test.".into(), Some(3600), &[192, 0, 2, 1][..]));
        assert_eq!(of(3).2, b"\x0ba ; \"b\" (c)\x03d e");
        assert_eq!(of(4).2, [0x0a, 0xff]);
        let soa = &parsed.entries[0].rdata;
        assert_eq!(
            soa[soa.len() - 20..],
            [0, 0, 0, 7, 0, 0, 0x1c, 0x20, 0, 0, 7, 8, 0, 9, 0x3a, 0x80, 0, 0, 0, 30]
        );
    }

    #[test]
    fn shows_every_fault_with_its_place() {
        let text = "a A 192.0.2\nb A 192.0.2.1 x\nc MX ten mail\nd WRONG x\n$NOPE\ne TXT \"open\nf A 192.0.2.7\n";
        let parsed = parse(text, &origin());
        let places: Vec<_> = parsed.faults.iter().map(|fault| &text[fault.span.clone()]).collect();
        assert_eq!(places, ["192.0.2", "x", "ten", "WRONG", "$NOPE", "\""]);
        assert_eq!(parsed.entries.len(), 1);
    }
}
