//! Responses cut at every octet, and laws on generated ones.

use proptest::prelude::*;

use super::Asked;
use super::Fault;
use super::HEAD_MAX;
use super::INTERIM_MAX;
use super::Progress;
use super::Reader;

/// What came out of all octets: the status, the body so far, whether it is over, and what was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    status: Option<u16>,
    body: Vec<u8>,
    is_over: bool,
    fault: Option<Fault>,
}

/// Feeds pieces one after the other; the connection ends after the last.
fn read<'a>(asked: Asked, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut reader, mut outcome) = (Reader::new(asked), Outcome::default());
    for piece in pieces {
        let mut octets = piece;
        loop {
            match reader.feed(octets) {
                Err(fault) => return Outcome { fault: Some(fault), ..outcome },
                Ok((progress, rest)) => {
                    octets = rest;
                    match progress {
                        Progress::More => break,
                        Progress::Head(head) => outcome.status = Some(head.status()),
                        Progress::Body(piece) => outcome.body.extend_from_slice(piece),
                        Progress::End => return Outcome { is_over: true, ..outcome },
                    }
                }
            }
        }
        assert!(octets.is_empty(), "More means that all is used up");
    }
    match reader.ends_with_connection() {
        Ok(is_over) => Outcome { is_over, ..outcome },
        Err(fault) => Outcome { fault: Some(fault), ..outcome },
    }
}

/// The same in one piece, in single octets and cut once at each place.
fn read_each_way(asked: Asked, octets: &[u8]) -> Outcome {
    let whole = read(asked, [octets]);
    assert_eq!(read(asked, octets.chunks(1)), whole, "{}", octets.escape_ascii());
    // Each place of a short one, and of a long one those near its ends.
    let places = (0..=octets.len()).filter(|at| at.min(&(octets.len() - at)) < &400);
    for at in places {
        let (one, other) = octets.split_at(at);
        assert_eq!(read(asked, [one, other]), whole, "{at}: {}", octets.escape_ascii());
    }
    whole
}

fn whole(status: u16, body: &str) -> Outcome {
    Outcome { status: Some(status), body: body.into(), is_over: true, fault: None }
}

#[test]
fn responses_end_where_they_say() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", whole(200, "ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", whole(200, "ok")),
        ("HTTP/1.1 200\r\ncontent-LENGTH:2\r\n\r\nok", whole(200, "ok")),
        ("HTTP/1.1 200 \r\nContent-Length: 2, 2\r\nContent-Length: 02\r\n\r\nok", whole(200, "ok")),
        ("HTTP/1.0 200 OK\nContent-Length: 2\n\nok", whole(200, "ok")),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", whole(200, "")),
        ("HTTP/1.1 200 OK\r\n\r\nok", whole(200, "ok")),
        ("HTTP/1.1 200 OK\r\n\r\n", whole(200, "")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n2\r\nok", whole(200, "2\r\nok")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nok", whole(200, "ok")),
        ("HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok", whole(204, "")),
        ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", whole(304, "")),
        ("HTTP/1.1 101 Switching\r\n\r\n\u{1}\u{2}", whole(101, "")),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", whole(999, "")),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok",
            whole(200, "ok"),
        ),
    ];
    for (octets, outcome) in cases {
        assert_eq!(read_each_way(Asked::Whole, octets.as_bytes()), outcome, "{octets}");
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    assert_eq!(read_each_way(Asked::Head, head.as_bytes()), whole(200, ""));
}

#[test]
fn chunks_are_joined_and_what_is_around_them_is_left_out() {
    let cases = [
        "2\r\nok\r\n0\r\n\r\n",
        "1\r\no\r\n1\r\nk\r\n0\r\n\r\nmore",
        "0002  \t\r\nok\r\n000\r\n\r\n",
        "2;name=value;q=\"a;b\"\r\nok\r\n0;last\r\n\r\n",
        "2 ;x\r\nok\r\n0\r\nExpires: never\r\nX:\r\n\r\n",
    ];
    for body in cases {
        for coding in ["chunked", "gzip, Chunked", "gzip\r\nTransfer-Encoding: chunked"] {
            let octets = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{body}");
            assert_eq!(
                read_each_way(Asked::Whole, octets.as_bytes()),
                whole(200, "ok"),
                "{octets}"
            );
        }
    }
}

#[test]
fn folded_lines_are_unfolded() {
    let octets = b"HTTP/1.1 200 OK\r\nX: a\r\n \t b\nContent-Length:\r\n 2\r\nY: c\n\td\r\n\r\nok";
    assert_eq!(read_each_way(Asked::Whole, octets), whole(200, "ok"));
    let Ok((Progress::Head(head), rest)) = Reader::new(Asked::Whole).feed(octets) else { panic!() };
    assert_eq!(
        (head.find("x"), head.find("Y"), rest),
        (Some(&b"a   \t b"[..]), Some(&b"c \td"[..]), &b"ok"[..])
    );
    assert_eq!((head.find("z"), head.fields().count()), (None, 3));
}

#[test]
fn what_breaks_off_is_not_whole() {
    for octets in [
        "",
        "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let outcome = read_each_way(Asked::Whole, octets.as_bytes());
        assert_eq!((outcome.is_over, outcome.fault), (false, None), "{octets}");
    }
}

#[test]
fn nonsense_is_refused_in_its_own_words() {
    let ok = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
    let chunked = |rest: &str| ok(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    let cases = [
        ("SSH-2.0-OpenSSH_9\r\n".into(), Fault::StatusLine),
        ("HTTP/2 200\r\n\r\n".into(), Fault::StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n".into(), Fault::StatusLine),
        ("HTTP/1.1 099 Low\r\n\r\n".into(), Fault::StatusLine),
        ("HTTP/1.1 20x OK\r\n\r\n".into(), Fault::StatusLine),
        ("\r\rHTTP/1.1 200 OK\r\n\r\n".into(), Fault::LineEnd),
        (ok(" folded\r\n\r\n"), Fault::FieldName),
        (ok("no colon\r\n\r\n"), Fault::FieldName),
        (ok("Name : x\r\n\r\n"), Fault::FieldName),
        (ok("X: a\0b\r\n\r\n"), Fault::FieldValue),
        (ok(&"X: y\r\n".repeat(101)), Fault::Fields),
        (ok(&format!("X: {}\r\n\r\n", "y".repeat(HEAD_MAX))), Fault::HeadTooLong),
        ("\r\n".repeat(HEAD_MAX), Fault::HeadTooLong),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(usize::from(INTERIM_MAX) + 1), Fault::Interim),
        (ok("Content-Length: x\r\n\r\n"), Fault::Length),
        (ok("Content-Length: \r\n\r\n"), Fault::Length),
        (ok("Content-Length: +2\r\n\r\n"), Fault::Length),
        (ok("Content-Length: 2\r\nContent-Length: 3\r\n\r\n"), Fault::Length),
        (ok("Content-Length: 2, 3\r\n\r\n"), Fault::Length),
        (ok("Content-Length: 18446744073709551616\r\n\r\n"), Fault::Length),
        (ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"), Fault::LengthAndCoding),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Fault::CodingOfOldVersion),
        (chunked("\r\n"), Fault::ChunkSize),
        (chunked("x\r\n"), Fault::ChunkSize),
        (chunked("2\nok"), Fault::ChunkSize),
        (chunked("2;x\nok"), Fault::ChunkSize),
        (chunked("2 2\r\n"), Fault::ChunkSize),
        (chunked("10000000000000000\r\n"), Fault::ChunkSize),
        (chunked("2\r\nokay\r\n"), Fault::ChunkEnd),
        (chunked("2\r\nok\rx"), Fault::ChunkEnd),
        (chunked(&format!("2;{}\r\n", "x".repeat(HEAD_MAX + 1))), Fault::Extensions),
        (chunked("0\r\nno colon\r\n\r\n"), Fault::Trailer),
        (chunked("0\r\nA: b\nC: d\r\n\r\n"), Fault::Trailer),
        (chunked("0\r\n\rx"), Fault::Trailer),
        (chunked(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(HEAD_MAX))), Fault::TrailerTooLong),
    ];
    for (octets, fault) in cases {
        let outcome = read_each_way(Asked::Whole, octets.as_bytes());
        assert_eq!(outcome.fault, Some(fault), "{octets:.200}");
        assert!(!outcome.is_over && !fault.to_string().is_empty());
    }
}

#[test]
fn nonsense_is_refused_before_it_ends() {
    let mut reader = Reader::new(Asked::Whole);
    assert_eq!(reader.feed(b"220 mail.test ESMTP\r\n").unwrap_err(), Fault::StatusLine);
}

#[test]
fn the_longest_head_is_taken_to_the_octet() {
    let around = "HTTP/1.1 200 OK\r\nX: \r\nContent-Length: 0\r\n\r\n".len();
    let of = |len: usize| {
        let value = "y".repeat(len - around);
        format!("HTTP/1.1 200 OK\r\nX: {value}\r\nContent-Length: 0\r\n\r\n")
    };
    assert_eq!(read_each_way(Asked::Whole, of(HEAD_MAX).as_bytes()), whole(200, ""));
    let outcome = read_each_way(Asked::Whole, of(HEAD_MAX + 1).as_bytes());
    assert_eq!(outcome.fault, Some(Fault::HeadTooLong));
}

#[test]
fn a_head_that_drips_costs_no_more_than_its_length_a_few_times() {
    let head =
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(99));
    let mut reader = Reader::new(Asked::Whole);
    for octet in head.as_bytes()[..head.len() - 1].chunks(1) {
        assert!(matches!(reader.feed(octet), Ok((Progress::More, []))));
    }
    assert!(matches!(reader.feed(b"\n"), Ok((Progress::Head(_), []))));
}

/// Pieces of responses, sound and not, so that mixtures come close to being one.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404 No\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "Content-Length: 3\r\n",
        "Content-Length: 2,3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: y\r\n",
        " z\r\n",
        ":",
        "2\r\nok\r\n",
        "3;e\r\nabc\r\n",
        "0\r\n",
        "ff",
        "abc",
    ];
    prop_oneof![
        8 => prop::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..5),
    ]
}

proptest! {
    /// Whatever comes, in whatever pieces: the same outcome.
    #[test]
    fn cuts_change_nothing(
        fragments in prop::collection::vec(fragment(), 0..12),
        begins_well in any::<bool>(),
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        let mut octets = if begins_well { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
        octets.extend(fragments.concat());
        let whole = read(Asked::Whole, [&octets[..]]);
        prop_assert_eq!(read(Asked::Whole, octets.chunks(1)), whole.clone());
        let mut pieces = Vec::new();
        let mut rest = &octets[..];
        for len in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, behind) = rest.split_at(rest.len().min(*len));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(read(Asked::Whole, pieces), whole);
    }
}
