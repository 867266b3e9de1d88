//! Record data of every type against octets that other programs made, and against those programs themselves.
//!
//! `rdata/good.txt` and `rdata/bad.txt` are the tables; where BIND, Knot DNS or NSD are installed, they judge them too.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test runs other programs")]

#[path = "rdata/judges.rs"]
mod judges;

use judges::Judge;
use proptest::prelude::*;
use rhumb::wire::Name;
use rhumb::wire::RecordType;
use rhumb::zonefile;
use rhumb::zonefile::Fault;
use rhumb::zonefile::NoIncludes;
use rhumb::zonefile::Source;
use rhumb::zonefile::has_form;
use rhumb::zonefile::lexer;
use rhumb::zonefile::parse_rdata;
use rhumb::zonefile::write_rdata;
use rhumb::zonefile::write_record;

const GOOD: &str = include_str!("rdata/good.txt");
const BAD: &str = include_str!("rdata/bad.txt");

/// A line of `good.txt`.
struct Good {
    mnemonic: &'static str,
    octets: Vec<u8>,
    text: &'static str,
    /// Judges that refuse it, and why.
    refused: Option<&'static str>,
}

/// A line of `bad.txt`.
struct Bad {
    mnemonic: &'static str,
    /// The word at fault, `$` for one that is missing.
    place: &'static str,
    text: &'static str,
    /// Judges that accept it, and why.
    accepted: Option<&'static str>,
}

/// Reads a master file without includes, from the root.
fn parse(text: &str) -> zonefile::Parsed {
    zonefile::parse(Source { file: 0, text }, &Name::root(), 0, &NoIncludes)
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

fn good() -> Vec<Good> {
    let good = |row: Vec<&'static str>| {
        let [mnemonic, _, octets, text, ref rest @ ..] = row[..] else { panic!("{row:?}") };
        Good { mnemonic, octets: from_hex(octets), text, refused: rest.first().copied() }
    };
    rows(GOOD).map(good).collect()
}

fn bad() -> Vec<Bad> {
    let bad = |row: Vec<&'static str>| {
        let [mnemonic, place, text, ref rest @ ..] = row[..] else { panic!("{row:?}") };
        Bad { mnemonic, place, text, accepted: rest.first().copied() }
    };
    rows(BAD).map(bad).collect()
}

fn from_hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "{digits}");
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn read(rtype: RecordType, text: &str) -> Result<Vec<u8>, Fault> {
    let origin = Name::absolute("example").unwrap();
    let mut out = b"before".to_vec();
    let words = lexer::words(text)?;
    parse_rdata(rtype, &words, &origin, text.len(), &mut out)?;
    Ok(out.split_off(6))
}

fn written(rtype: RecordType, octets: &[u8]) -> String {
    let mut text = String::new();
    write_rdata(rtype, octets, &mut text);
    text
}

/// Octets as `\#`, the text of RFC 3597.
fn generic(octets: &[u8]) -> String {
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("\\# {} {digits}", octets.len())
}

#[test]
fn every_good_line_gives_the_octets_that_others_made() {
    let rows = good();
    assert!(rows.len() >= 150);
    for Good { mnemonic, octets, text, .. } in rows {
        let rtype = RecordType::parse(mnemonic).unwrap();
        assert_eq!(read(rtype, text).as_ref(), Ok(&octets), "{mnemonic} {text}");
        assert!(has_form(rtype, &octets), "{mnemonic} {text}");
        let again = written(rtype, &octets);
        assert_eq!(read(rtype, &again).as_ref(), Ok(&octets), "{mnemonic} {again}");
        assert_eq!(read(rtype, &generic(&octets)).as_ref(), Ok(&octets), "{mnemonic} {text}");
        let mut line = String::new();
        let owner = Name::absolute("a.example").unwrap();
        write_record(&owner, 300, rtype, &octets, &mut line);
        let parsed = parse(&line);
        assert_eq!(parsed.faults, [], "{line}");
        assert_eq!(*parsed.records.get(0).rdata, octets[..], "{line}");
    }
}

#[test]
fn every_bad_line_is_refused_at_the_word_that_is_wrong() {
    let rows = bad();
    assert!(rows.len() >= 150);
    for Bad { mnemonic, place, text, .. } in rows {
        let rtype = RecordType::parse(mnemonic).unwrap();
        let Err(fault) = read(rtype, text) else { panic!("{mnemonic} {text} is accepted") };
        let found = if place == "$" { "" } else { place };
        assert_eq!(&text[fault.span.clone()], found, "{mnemonic} {text}: {fault:?}");
        assert!(place != "$" || fault.span.start == text.len(), "{mnemonic} {text}: {fault:?}");
        assert!(!fault.message.is_empty() && !fault.remedy.is_empty(), "{fault:?}");
    }
}

#[test]
fn every_type_of_the_registry_with_a_text_is_in_the_table() {
    let table: Vec<_> = good().iter().map(|row| RecordType::parse(row.mnemonic).unwrap()).collect();
    // Octets in hexadecimal are all there is of these.
    let dead = [RecordType::UID, RecordType::GID, RecordType::UNSPEC];
    for rtype in RecordType::all().filter(|rtype| rtype.is_data() && !dead.contains(rtype)) {
        assert!(table.contains(&rtype), "{rtype}");
    }
}

#[test]
fn names_written_in_octets_are_made_lower_case_too() {
    for (rtype, text, octets) in [
        (RecordType::NS, "\\# 5 034E533100", "036e733100"),
        (RecordType::SRV, "\\# 9 004100410041 0141 00", "0041004100410161 00"),
        (RecordType::TXT, "\\# 2 0141", "0141"),
        (RecordType(65_280), "\\# 2 0141", "0141"),
    ] {
        assert_eq!(read(rtype, text), Ok(from_hex(&octets.replace(' ', ""))), "{rtype} {text}");
    }
}

/// What is read, written, and read again is the same; what has no form is refused.
fn check_octets(rtype: RecordType, octets: &[u8]) -> Result<(), TestCaseError> {
    let text = written(rtype, octets);
    let direct = read(rtype, &generic(octets));
    let is_right = rtype.is_data() && has_form(rtype, octets);
    prop_assert_eq!(direct.is_ok(), is_right, "{} {:?}", rtype, octets);
    prop_assert_eq!(read(rtype, &text).is_ok(), is_right, "{} {}", rtype, &text);
    if let Ok(direct) = direct {
        prop_assert!(direct.eq_ignore_ascii_case(octets));
        prop_assert_eq!(read(rtype, &text), Ok(direct), "{} {}", rtype, &text);
    } else {
        prop_assert!(text.starts_with("\\# ") || !rtype.is_data(), "{} {}", rtype, &text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_octets_are_read_as_they_are_written(
        octets in proptest::collection::vec(any::<u8>(), 0..60),
        small in proptest::collection::vec(0u8..8, 0..30),
    ) {
        for rtype in RecordType::all().chain([RecordType(0), RecordType(65_280)]) {
            check_octets(rtype, &octets)?;
            check_octets(rtype, &small)?;
        }
    }

    #[test]
    fn good_octets_with_a_few_changed_are_read_as_they_are_written(
        row in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let rows = good();
        let Good { mnemonic, mut octets, .. } = rows.into_iter().nth(row.index(200)).unwrap();
        for (at, octet) in changes {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
        }
        if is_cut && !octets.is_empty() {
            octets.truncate(cut.index(octets.len()));
        }
        check_octets(RecordType::parse(mnemonic).unwrap(), &octets)?;
    }

    #[test]
    fn any_text_is_data_of_its_form_or_a_fault_in_its_place(
        row in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        piece in "[ -~]{0,3}|\\PC",
        other in any::<prop::sample::Index>(),
    ) {
        let rows = good();
        let text = rows[row.index(rows.len())].text;
        let at = (0..=at.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at));
        let (before, after) = text.split_at(at.unwrap());
        let text = format!("{before}{piece}{after}");
        for mnemonic in [rows[row.index(rows.len())].mnemonic, rows[other.index(rows.len())].mnemonic] {
            let rtype = RecordType::parse(mnemonic).unwrap();
            match read(rtype, &text) {
                Ok(octets) => prop_assert!(has_form(rtype, &octets), "{} {}", rtype, text),
                Err(fault) => prop_assert!(text.get(fault.span.clone()).is_some(), "{:?}", fault),
            }
        }
    }
}

/// Whether a note of the table names this judge; `None` if it says that either may happen.
fn names(note: Option<&str>, judge: Judge) -> Option<bool> {
    let names = note.and_then(|note| note.split_once(':')).map_or("", |(names, _)| names);
    let named = names.split(' ').find(|name| name.trim_end_matches('?') == judge.name());
    if named.is_some_and(|name| name.ends_with('?')) { None } else { Some(named.is_some()) }
}

#[test]
fn other_servers_judge_good_and_bad_lines_as_the_tables_say() {
    for judge in Judge::ALL {
        let version = match judge.find() {
            Ok(version) => version,
            Err(why) => {
                println!("skipped: {why}");
                continue;
            }
        };
        let good = good().into_iter().map(|row| {
            let is_refused = names(row.refused, judge);
            (row.mnemonic, row.text, is_refused.map(|is_refused| !is_refused))
        });
        let bad = bad().into_iter().map(|row| (row.mnemonic, row.text, names(row.accepted, judge)));
        let mut others = Vec::new();
        for (mnemonic, text, expected) in good.chain(bad) {
            let is_accepted = judge.accepts(mnemonic, text);
            if expected.is_some_and(|expected| expected != is_accepted) {
                others.push(format!("{mnemonic} {text}: accepted: {is_accepted}"));
            }
        }
        // Another version may know more types, and check more.
        match version.contains(judge.version()) {
            true => assert!(others.is_empty(), "{version}:\n{}", others.join("\n")),
            false => println!("{version}, the tables are of {}: {others:#?}", judge.version()),
        }
    }
}

#[test]
fn bind_gives_the_octets_of_the_table_and_its_text_gives_them_to_us() {
    let judge = Judge::Bind;
    if let Err(why) = judge.find() {
        println!("skipped: {why}");
        return;
    }
    // BIND writes these in words that nobody else has.
    let is_ours = |row: &Good| !["A6", "SINK"].contains(&row.mnemonic);
    let is_theirs = |row: &Good| names(row.refused, judge) == Some(false);
    let rows: Vec<_> = good().into_iter().filter(|row| is_ours(row) && is_theirs(row)).collect();
    let zone = judges::zone(&rows.iter().map(|row| (row.mnemonic, row.text)).collect::<Vec<_>>());
    let octets = judges::compile(&zone, "raw");
    let text = String::from_utf8(judges::compile(&zone, "text")).unwrap();
    let parsed = parse(&text);
    assert_eq!(parsed.faults, []);
    let of_wire = judges::records_of_raw(&octets);
    let mut checked = 0;
    for (position, row) in rows.iter().enumerate().filter(|(_, row)| row.mnemonic != "SOA") {
        let owner = Name::absolute(&format!("r{position}.example")).unwrap();
        let theirs = of_wire.iter().find(|(name, _)| *name == owner).map(|(_, octets)| octets);
        let again = parsed.records.iter().find(|record| record.owner == owner.as_wire()).unwrap();
        assert_eq!(theirs, Some(&row.octets), "{} {}", row.mnemonic, row.text);
        assert_eq!(*again.rdata, row.octets[..], "{} {}", row.mnemonic, row.text);
        checked += 1;
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn every_server_loads_what_we_write() {
    let rows = good();
    let mut lines = String::new();
    // The apex of the test zone has an SOA of its own, and these are refused whatever their form.
    let dead = ["SOA", "MD", "MF", "NXT"];
    for (position, row) in rows.iter().enumerate().filter(|(_, row)| !dead.contains(&row.mnemonic))
    {
        let is_refused_as_data = row.mnemonic == "NS" && row.text == "@"
            || row.text.starts_with("0 0 250")
            || row.text.starts_with("TYPE65280 13");
        if is_refused_as_data {
            continue;
        }
        let owner = Name::absolute(&format!("r{position}.example")).unwrap();
        let rtype = RecordType::parse(row.mnemonic).unwrap();
        write_record(&owner, 300, rtype, &row.octets, &mut lines);
    }
    assert!(lines.lines().count() > 150);
    for judge in Judge::ALL {
        match judge.find() {
            Err(why) => println!("skipped: {why}"),
            Ok(version) => {
                let refused: Vec<_> = match judge.loads(&format!("{}{lines}", judges::HEAD)) {
                    true => Vec::new(),
                    false => lines
                        .lines()
                        .filter(|line| !judge.loads(&format!("{}{line}\n", judges::HEAD)))
                        .collect(),
                };
                assert!(refused.is_empty(), "{version}: {refused:#?}");
                assert!(
                    judge.loads(&format!("{}{lines}", judges::HEAD)),
                    "{version}: all together"
                );
            }
        }
    }
}
