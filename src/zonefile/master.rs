//! A whole master file (RFC 1035 section 5): owners, TTLs, classes and directives, with the files it includes.

use crate::wire::Name;
use crate::wire::NameFault;
use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::TYPES_REMEDY;
use crate::zonefile::generate::Generate;
use crate::zonefile::lexer::BYTE_ORDER_MARK;
use crate::zonefile::lexer::Lexer;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::parse_ttl;
use crate::zonefile::records::Records;

/// Files included inside one another, at most.
pub const INCLUDE_DEPTH_MAX: usize = 8;

/// Records that `$GENERATE` makes for one zone, at most: sixteen networks of /16.
pub const GENERATED_MAX: u64 = 1_048_576;

/// Faults that are shown of one zone, at most: then reading stops.
pub const FAULTS_MAX: usize = 1000;

/// A text to be read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Which file it is, by the caller's count.
    pub file: usize,
    /// What it holds.
    pub text: &'a str,
}

/// Finds the files that `$INCLUDE` names.
pub trait FindIncluded<'a> {
    /// The file that `name` means, written in the file `by`.
    fn find_included(&self, by: usize, name: &str) -> Option<Source<'a>>;
}

/// No file can be included.
#[derive(Clone, Copy, Debug)]
pub struct NoIncludes;

impl<'a> FindIncluded<'a> for NoIncludes {
    fn find_included(&self, _: usize, _: &str) -> Option<Source<'a>> {
        None
    }
}

/// Where a record stands: 4 GiB a file is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file, by the caller's count.
    pub file: u32,
    /// First octet of the entry.
    pub start: u32,
    /// The octet after the entry.
    pub end: u32,
}

/// What a file holds: every record that is right, and every fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Records in the order of the file.
    pub records: Records,
    /// By record: where it stands.
    pub places: Vec<Place>,
    /// Faults with their files, in the order they were met.
    pub faults: Vec<(usize, Fault)>,
}

/// Reads a master file. `origin` counts until `$ORIGIN` says otherwise.
///
/// A record without a TTL has that of `$TTL` (RFC 2308 section 4), else the last one that was written (RFC 1035
/// section 5.1), else `ttl`, in seconds.
pub fn parse<'a>(
    source: Source<'a>,
    origin: &Name,
    ttl: u32,
    files: &impl FindIncluded<'a>,
) -> Parsed {
    let mut reading = Reading {
        files,
        open: Vec::new(),
        origin: origin.clone(),
        default_ttl: None,
        last_ttl: ttl,
        owner: Vec::new(),
        generated: 0,
        is_stopped: false,
        parsed: Parsed::default(),
    };
    reading.file(source);
    reading.parsed
}

/// A master file that is being read.
struct Reading<'f, F> {
    files: &'f F,
    /// Files being read, each included by the one before.
    open: Vec<usize>,
    origin: Name,
    /// `$TTL`
    default_ttl: Option<u32>,
    last_ttl: u32,
    /// Wire form; empty before the first record.
    owner: Vec<u8>,
    /// Records made by `$GENERATE` so far.
    generated: u64,
    is_stopped: bool,
    parsed: Parsed,
}

impl<'a, F: FindIncluded<'a>> Reading<'_, F> {
    fn file(&mut self, source: Source<'a>) {
        self.open.push(source.file);
        let mut lexer = Lexer::new(source.text);
        let mut words = Vec::new();
        while !self.is_stopped {
            let Some(line) = lexer.next_line(&mut words) else { break };
            let result = self.line(&words, line.continues_owner, source);
            for fault in lexer.take_faults().into_iter().chain(result.err()) {
                self.fault(source.file, fault);
            }
        }
        for fault in lexer.take_faults() {
            self.fault(source.file, fault);
        }
        self.open.pop();
    }

    /// Keeps a fault; too many of them end the reading.
    fn fault(&mut self, file: usize, mut fault: Fault) {
        if self.is_stopped {
            return;
        }
        if self.parsed.faults.len() == FAULTS_MAX {
            self.is_stopped = true;
            fault.message = format!("more than {FAULTS_MAX} faults; the rest is not read");
            fault.remedy = "is this a master file? correct those above first".into();
        }
        self.parsed.faults.push((file, fault));
    }

    fn line(
        &mut self,
        words: &[Word<'a>],
        continues_owner: bool,
        source: Source<'a>,
    ) -> Result<(), Fault> {
        let first = &words[0];
        if first.text.starts_with('$') && !first.is_quoted && !continues_owner {
            return self.directive(first, &words[1..], source);
        }
        self.entry(words, continues_owner, place(words, source.file))
    }

    /// `[owner] [TTL] [class] type data`
    fn entry(
        &mut self,
        mut words: &[Word<'_>],
        continues_owner: bool,
        place: Place,
    ) -> Result<(), Fault> {
        let all = words;
        let first = &words[0];
        if !continues_owner {
            self.owner.clear();
            Name::parse_into(first.text, &self.origin, &mut self.owner)
                .map_err(|why| not_a_name(first, why))?;
            words = &words[1..];
        } else if self.owner.is_empty() {
            let message = "no owner stands before this record";
            return Err(fault(first, message, "start the line with a name"));
        }
        let end = all[all.len() - 1].span.end;
        let ttl = self.ttl_and_class(&mut words)?;
        let Some((word, data)) = words.split_first() else {
            return Err(Fault {
                span: end..end,
                message: "the record ends before its type".into(),
                remedy: "write owner, TTL, type and data".into(),
            });
        };
        let rtype = rtype(word)?;
        if self.parsed.records.is_full() {
            self.is_stopped = true;
            return Err(fault(word, "the zone is larger than 2 GB", "split it"));
        }
        let origin = &self.origin;
        self.parsed.records.add(&self.owner, rtype, ttl, |octets| {
            rdata::parse_rdata(rtype, data, origin, end, octets)
        })?;
        self.parsed.places.push(place);
        Ok(())
    }

    /// TTL and class, each at most once, in either order.
    fn ttl_and_class(&mut self, words: &mut &[Word<'_>]) -> Result<u32, Fault> {
        let (mut ttl, mut has_class) = (None, false);
        while let Some((word, rest)) = words.split_first() {
            let is_number = word.text.as_bytes().first().is_some_and(u8::is_ascii_digit);
            if is_number && !word.is_quoted && ttl.is_none() {
                let remedy = "write seconds up to 2147483647, or a time such as 1h30m";
                ttl = Some(parse_ttl(word.text).ok_or_else(|| fault(word, "not a TTL", remedy))?);
            } else if ["CH", "HS", "CS"].iter().any(|class| word.text.eq_ignore_ascii_case(class)) {
                return Err(fault(word, "only class IN is served", "write IN, or leave it out"));
            } else if !has_class && is_class_in(word) {
                has_class = true;
            } else {
                break;
            }
            *words = rest;
        }
        if let Some(ttl) = ttl {
            self.last_ttl = ttl;
        }
        Ok(ttl.or(self.default_ttl).unwrap_or(self.last_ttl))
    }

    fn directive(
        &mut self,
        directive: &Word<'a>,
        words: &[Word<'a>],
        source: Source<'a>,
    ) -> Result<(), Fault> {
        let name = directive.text.to_ascii_uppercase();
        match name.as_str() {
            "$ORIGIN" => self.origin = self.name(only_word(directive, words, "a name")?)?,
            "$TTL" => {
                let word = only_word(directive, words, "a time")?;
                let remedy = "write seconds, or a time such as 1h30m";
                let ttl = parse_ttl(word.text).ok_or_else(|| fault(word, "not a time", remedy))?;
                self.default_ttl = Some(ttl);
            }
            "$INCLUDE" => self.include(directive, words, source)?,
            "$GENERATE" => self.generate(directive, words, source)?,
            _ => {
                let message = format!("the directive {} is not known", directive.text);
                let remedy = "use $ORIGIN, $TTL, $INCLUDE or $GENERATE";
                return Err(fault(directive, message, remedy));
            }
        }
        Ok(())
    }

    /// `$INCLUDE file [origin]`: origin and owner are again what they were before (RFC 1035 section 5.1).
    fn include(
        &mut self,
        directive: &Word<'a>,
        words: &[Word<'a>],
        source: Source<'a>,
    ) -> Result<(), Fault> {
        let (file, origin) = match words {
            [file] => (file, self.origin.clone()),
            [file, origin] => (file, self.name(origin)?),
            _ => {
                let remedy = "write $INCLUDE file, or $INCLUDE file origin";
                return Err(fault(directive, "$INCLUDE needs a file", remedy));
            }
        };
        let Some(included) = self.files.find_included(source.file, file.text) else {
            let message = format!("there is no file \"{}\"", file.text);
            let remedy = "write a path from the folder of this file, and see that it can be read";
            return Err(fault(file, message, remedy));
        };
        if self.open.contains(&included.file) {
            let message = "this file includes itself, here or on the way here";
            return Err(fault(file, message, "take one $INCLUDE out"));
        }
        if self.open.len() == INCLUDE_DEPTH_MAX {
            let message = format!("files are included deeper than {INCLUDE_DEPTH_MAX}");
            return Err(fault(file, message, "include it from a file further up"));
        }
        let before = (std::mem::replace(&mut self.origin, origin), self.owner.clone());
        self.file(included);
        (self.origin, self.owner) = before;
        Ok(())
    }

    /// `$GENERATE range owner [TTL] [class] type data`, as BIND reads it: a line for each number.
    fn generate(
        &mut self,
        directive: &Word<'a>,
        words: &[Word<'a>],
        source: Source<'a>,
    ) -> Result<(), Fault> {
        let generate = Generate::parse(directive, words)?;
        self.generated = self.generated.saturating_add(generate.count());
        if self.generated > GENERATED_MAX {
            let message = format!("$GENERATE makes more than {GENERATED_MAX} records of this zone");
            return Err(fault(directive, message, "write a smaller range"));
        }
        let whole = words[0].span.start..words[words.len() - 1].span.end;
        let mut text = String::new();
        for number in generate.numbers() {
            text.clear();
            generate.write(number, &mut text);
            let mut lexer = Lexer::new(&text);
            let mut line = Vec::new();
            let is_line = lexer.next_line(&mut line).is_some();
            let mut faults = lexer.take_faults();
            let result = match (faults.pop(), is_line) {
                (Some(fault), _) => Err(fault),
                (None, false) => Ok(()),
                (None, true) => self.entry(&line, false, place(words, source.file)),
            };
            // One fault tells of all: the lines differ by a number only.
            if let Err(Fault { span: _, message, remedy }) = result {
                let message = format!("for {number}, \"{}\": {message}", text.trim_end());
                return Err(Fault { span: whole, message, remedy });
            }
        }
        Ok(())
    }

    fn name(&self, word: &Word<'_>) -> Result<Name, Fault> {
        Name::parse(word.text, &self.origin).map_err(|why| not_a_name(word, why))
    }
}

fn not_a_name(word: &Word<'_>, why: NameFault) -> Fault {
    fault(word, why.to_string(), "write a name such as www or www.example.com.")
}

/// The one word after a directive.
fn only_word<'w, 'a>(
    directive: &Word<'a>,
    words: &'w [Word<'a>],
    what: &str,
) -> Result<&'w Word<'a>, Fault> {
    match words {
        [word] => Ok(word),
        [] => {
            let message = format!("{} needs {what}", directive.text);
            Err(fault(directive, message, format!("add {what}")))
        }
        [_, extra, ..] => Err(fault(extra, "nothing follows here", "take it out")),
    }
}

fn rtype(word: &Word<'_>) -> Result<RecordType, Fault> {
    let Some(rtype) = RecordType::parse(word.text).filter(|_| !word.is_quoted) else {
        let message = format!("\"{}\" is not a record type that can be written", word.text);
        return Err(fault(word, message, TYPES_REMEDY));
    };
    if !rtype.is_data() {
        return Err(fault(word, format!("{rtype} is no type of data"), "take the record out"));
    }
    Ok(rtype)
}

/// `IN`, or `CLASS1` (RFC 3597 section 5).
fn is_class_in(word: &Word<'_>) -> bool {
    let is_in = word.text.eq_ignore_ascii_case("IN") || word.text.eq_ignore_ascii_case("CLASS1");
    is_in && !word.is_quoted
}

fn place(words: &[Word<'_>], file: usize) -> Place {
    let (first, last) = (&words[0], &words[words.len() - 1]);
    Place { file: file as u32, start: first.span.start as u32, end: last.span.end as u32 }
}

/// Names of files that `$INCLUDE` lines of a text name, before anything else of it is read.
pub fn included(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.trim_start_matches(BYTE_ORDER_MARK).lines();
    let lines = lines.filter(|line| line.starts_with('$'));
    lines.filter_map(|line| {
        let mut lexer = Lexer::new(line);
        let mut words = Vec::new();
        lexer.next_line(&mut words)?;
        let is_include = words[0].text.eq_ignore_ascii_case("$INCLUDE");
        words.get(1).filter(|_| is_include).map(|word| word.text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(text: &str) -> Parsed {
        let origin = Name::absolute("z.test").unwrap();
        parse(Source { file: 0, text }, &origin, 60, &NoIncludes)
    }

    /// Owner, TTL and data of each record.
    fn rows(parsed: &Parsed) -> Vec<(String, u32, &[u8])> {
        let row = |record: crate::zonefile::Record<'_>| record.owner_name().to_string();
        let all = (0..parsed.records.len()).map(|at| parsed.records.get(at));
        all.map(|record| (row(record), record.ttl, record.rdata)).collect()
    }

    #[test]
    fn reads_what_rfc_1035_section_5_writes() {
        let text = "$TTL 1h\n@ IN SOA ns1 host ( 7 2h ; refresh\n 30m 1w 30 )\n\
                    \t300 NS ns1\nns1 A 192.0.2.1\nt TXT \"a ; \\\"b\\\" (c)\" d\\032e\nx TYPE4711 \\# 2 0aFF\n";
        let parsed = parse_one(text);
        assert_eq!(parsed.faults, []);
        let rows = rows(&parsed);
        let ns1 = Name::absolute("ns1.z.test").unwrap();
        assert_eq!(rows[1], ("z.test.".into(), 300, ns1.as_wire()));
        assert_eq!(rows[2], ("ns1.z.test.".into(), 3600, &[192, 0, 2, 1][..]));
        assert_eq!(rows[3].2, b"\x0ba ; \"b\" (c)\x03d e");
        assert_eq!(rows[4].2, [0x0a, 0xff]);
        assert_eq!(
            rows[0].2[rows[0].2.len() - 20..],
            [0, 0, 0, 7, 0, 0, 0x1c, 0x20, 0, 0, 7, 8, 0, 9, 0x3a, 0x80, 0, 0, 0, 30]
        );
        let place = parsed.places[0];
        assert_eq!(&text[place.start as usize..place.end as usize][..9], "@ IN SOA ");
    }

    #[test]
    fn shows_every_fault_with_its_place() {
        let text = "a A 192.0.2\nb A 192.0.2.1 x\nc MX ten mail\nd WRONG x\n$NOPE\ne TXT \"open\nf A 192.0.2.7\n";
        let parsed = parse_one(text);
        let mut places: Vec<_> =
            parsed.faults.iter().map(|(_, fault)| fault.span.clone()).collect();
        places.sort_by_key(|span| span.start);
        let places: Vec<_> = places.into_iter().map(|span| &text[span]).collect();
        assert_eq!(places, ["192.0.2", "x", "ten", "WRONG", "$NOPE", "\""]);
        assert_eq!(parsed.records.len(), 1);
    }

    #[test]
    fn a_record_without_a_ttl_takes_the_default_or_the_last_one_written() {
        let parsed =
            parse_one("a A 192.0.2.1\nb 5 A 192.0.2.1\nc A 192.0.2.1\n$TTL 7\nd A 192.0.2.1\n");
        let ttls: Vec<_> = rows(&parsed).into_iter().map(|(_, ttl, _)| ttl).collect();
        assert_eq!(ttls, [60, 5, 5, 7]);
    }

    #[test]
    fn too_many_faults_end_the_reading() {
        let parsed = parse_one(&"x\n".repeat(5000));
        assert_eq!(parsed.faults.len(), FAULTS_MAX + 1);
        assert!(parsed.faults[FAULTS_MAX].1.message.contains("is not read"));
    }

    /// Files by name; the first is read.
    struct Texts(&'static [(&'static str, &'static str)]);

    impl<'a> FindIncluded<'a> for Texts {
        fn find_included(&self, _: usize, name: &str) -> Option<Source<'a>> {
            let file = self.0.iter().position(|(known, _)| *known == name)?;
            Some(Source { file, text: self.0[file].1 })
        }
    }

    fn parse_all(texts: Texts) -> Parsed {
        let origin = Name::absolute("z.test").unwrap();
        parse(Source { file: 0, text: texts.0[0].1 }, &origin, 60, &texts)
    }

    #[test]
    fn an_included_file_has_its_own_origin_and_leaves_ours_alone() {
        let parsed = parse_all(Texts(&[
            ("main", "a A 192.0.2.1\n$INCLUDE sub s\n A 192.0.2.2\nb A 192.0.2.3\n$INCLUDE sub\n"),
            ("sub", "$ORIGIN deep\nx A 192.0.2.9\n"),
        ]));
        assert_eq!(parsed.faults, []);
        let owners: Vec<_> = rows(&parsed).into_iter().map(|(owner, ..)| owner).collect();
        assert_eq!(
            owners,
            ["a.z.test.", "x.deep.s.z.test.", "a.z.test.", "b.z.test.", "x.deep.z.test."]
        );
        assert_eq!(parsed.places[1].file, 1);
    }

    #[test]
    fn files_that_include_themselves_or_nothing_are_faults() {
        let parsed = parse_all(Texts(&[
            ("main", "$INCLUDE two\n$INCLUDE none\na A 192.0.2.1\n"),
            ("two", "$INCLUDE main\nb A 192.0.2.1\n"),
        ]));
        let faults: Vec<_> =
            parsed.faults.iter().map(|(file, fault)| (*file, fault.message.as_str())).collect();
        assert_eq!(
            faults,
            [
                (1, "this file includes itself, here or on the way here"),
                (0, "there is no file \"none\"")
            ]
        );
        assert_eq!(parsed.records.len(), 2, "what is right is read all the same");
        assert_eq!(
            included("$TTL 1\n$include a.inc x ; y\n $INCLUDE no\n").collect::<Vec<_>>(),
            ["a.inc"]
        );
        assert_eq!(included("\u{feff}$INCLUDE a.inc\n").collect::<Vec<_>>(), ["a.inc"]);
    }

    #[test]
    fn generate_writes_a_line_for_each_number() {
        let parsed = parse_one(
            "$GENERATE 0-4/2 host-${1,3} 30 A 192.0.2.$\n$GENERATE 18-18 ${0,7,n} PTR h-${0,0,x}\n\
             $GENERATE 1-1 m$ MX \"10 m$\"\n$GENERATE 1-1 t TXT \"\\$$$ $\"\n",
        );
        assert_eq!(parsed.faults, []);
        let owners: Vec<_> =
            rows(&parsed).into_iter().map(|(owner, ttl, _)| (owner, ttl)).collect();
        assert_eq!(
            owners,
            [
                ("host-001.z.test.".into(), 30),
                ("host-003.z.test.".into(), 30),
                ("host-005.z.test.".into(), 30),
                ("2.1.0.0.z.test.".into(), 30),
                ("m1.z.test.".into(), 30),
                ("t.z.test.".into(), 30),
            ]
        );
        assert_eq!(parsed.records.get(1).rdata, [192, 0, 2, 2]);
        assert_eq!(parsed.records.get(5).rdata, b"\x02$$\x011");
    }

    #[test]
    fn generate_says_once_what_is_wrong() {
        for (text, message) in [
            ("$GENERATE 5-1 a A 192.0.2.1", "not a range"),
            ("$GENERATE 1-3 a${1,2,q} A 192.0.2.1", "not a form of a number"),
            ("$GENERATE 0-3 a${-1} A 192.0.2.1", "an offset makes this range negative"),
            ("$GENERATE 254-300 a$ A 192.0.2.$", "for 256, \"a256 A 192.0.2.256\": "),
            ("$GENERATE 0-4294967295 a$ A 192.0.2.1", "$GENERATE makes more than 1048576 records"),
        ] {
            let parsed = parse_one(text);
            assert_eq!(parsed.faults.len(), 1, "{text}");
            assert!(parsed.faults[0].1.message.starts_with(message), "{:?}", parsed.faults);
        }
    }
}
