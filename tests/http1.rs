//! Our reader of HTTP/1.1 beside hyper's: the same responses, sound ones and broken ones, come to the same.
//! `RHUMB_CASES=full` tries 100,000 of each.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test; RHUMB_CASES is read")]

use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::sample::select;
use proptest::test_runner::Config;
use rhumb::http1::Asked;
use rhumb::http1::Fault;
use rhumb::http1::Progress;
use rhumb::http1::Reader;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

/// What a response came to: its status if its head was sound, and its body if all of it was.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: Option<u16>,
    body: Option<Vec<u8>>,
}

/// What hyper makes of it.
async fn by_hyper(method: &str, octets: Vec<u8>) -> Outcome {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri("/").header("host", "shop.test");
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap());
    let answering = tokio::spawn(async move {
        let _ = far.read(&mut [0; 1024]).await;
        let _ = far.write_all(&octets).await;
    });
    let response = response.await;
    answering.await.unwrap();
    let Ok(response) = response else { return Outcome { status: None, body: None } };
    let status = Some(response.status().as_u16());
    let body = response.into_body().collect().await;
    connection.abort();
    Outcome { status, body: body.ok().map(|body| body.to_bytes().to_vec()) }
}

/// What we make of it, and why not more.
fn by_us(method: &str, octets: &[u8]) -> (Outcome, Option<Fault>) {
    let asked = if method == "HEAD" { Asked::Head } else { Asked::Whole };
    let (mut reader, mut rest) = (Reader::new(asked), octets);
    let (mut status, mut body) = (None, Vec::new());
    let ended = loop {
        match reader.feed(rest) {
            Ok((progress, behind)) => {
                rest = behind;
                match progress {
                    Progress::Head(head) => status = Some(head.status()),
                    Progress::Body(piece) => body.extend_from_slice(piece),
                    Progress::More => break reader.ends_with_connection(),
                    Progress::End => break Ok(true),
                }
            }
            Err(fault) => break Err(fault),
        }
    };
    let body = (ended == Ok(true)).then_some(body);
    (Outcome { status, body }, ended.err())
}

fn framed() -> impl Strategy<Value = Vec<u8>> {
    let body = "[a-z\r\n]{0,40}";
    let length = body.prop_map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let until_close = body.prop_map(|body| format!("\r\n{body}"));
    let chunk = ("[a-z\r\n]{1,20}", select(vec!["", " ", ";a=b", ";q=\"x\"", "\t;c"]));
    let trailers = select(vec!["", "Expires: never\r\n", "A: b\r\nC: d\r\n"]);
    let chunked = (prop::collection::vec(chunk, 0..5), trailers).prop_map(|(chunks, trailers)| {
        let chunk =
            |(data, behind): &(String, &str)| format!("{:x}{behind}\r\n{data}\r\n", data.len());
        let chunks: String = chunks.iter().map(chunk).collect();
        format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n{trailers}\r\n")
    });
    prop_oneof![length, until_close, chunked].prop_map(String::into_bytes)
}

/// A sound response.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let interim = select(vec![
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n",
    ]);
    let line = (
        select(vec![101, 200, 204, 301, 304, 404, 503, 999]),
        select(vec!["", " ", " OK", " Not Found"]),
    );
    let fields = select(vec![
        "",
        "Server: x\r\n",
        "Connection: close\r\nX:\r\n",
        "Connection: keep-alive\r\n",
    ]);
    (interim, line, fields, framed()).prop_map(|(interim, (status, reason), fields, framed)| {
        let mut octets = format!("{interim}HTTP/1.1 {status}{reason}\r\n{fields}").into_bytes();
        octets.extend(framed);
        octets
    })
}

/// An octet put in, taken out or replaced, or the end cut off.
#[derive(Clone, Debug)]
enum Mutation {
    Insert(Index, u8),
    Remove(Index),
    Replace(Index, u8),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let octet = || select(b"\r\n :;,0129afxHT/.\t\0\x7f".to_vec());
    prop_oneof![
        4 => (any::<Index>(), octet()).prop_map(|(at, octet)| Mutation::Insert(at, octet)),
        4 => any::<Index>().prop_map(Mutation::Remove),
        4 => (any::<Index>(), octet()).prop_map(|(at, octet)| Mutation::Replace(at, octet)),
        1 => any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn mutated(mut octets: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let len = octets.len();
        match mutation {
            _ if len == 0 => {}
            Mutation::Insert(at, octet) => octets.insert(at.index(len + 1), *octet),
            Mutation::Remove(at) => drop(octets.remove(at.index(len))),
            Mutation::Replace(at, octet) => octets[at.index(len)] = *octet,
            Mutation::Cut(at) => octets.truncate(at.index(len)),
        }
    }
    octets
}

/// Where we mean to differ: hyper passes over a length beside a coding, and takes no folded lines.
fn is_other_on_purpose(octets: &[u8], fault: Option<Fault>) -> bool {
    let has_fold = octets.windows(2).any(|pair| pair == b"\n " || pair == b"\n\t");
    has_fold || fault == Some(Fault::LengthAndCoding)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn cases() -> Config {
    let is_full = std::env::var("RHUMB_CASES").is_ok_and(|cases| cases == "full");
    Config::with_cases(if is_full { 100_000 } else { 1000 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn sound_responses_come_to_what_hyper_makes_of_them(
        octets in sound(),
        method in select(vec!["GET", "GET", "HEAD"]),
    ) {
        let theirs = runtime().block_on(by_hyper(method, octets.clone()));
        let (ours, fault) = by_us(method, &octets);
        prop_assert_eq!(fault, None);
        prop_assert!(ours.body.is_some());
        prop_assert_eq!(ours, theirs, "{}", octets.escape_ascii());
    }

    #[test]
    fn broken_responses_fail_where_they_fail_by_hyper(
        octets in sound(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let octets = mutated(octets, &mutations);
        let (ours, fault) = by_us("GET", &octets);
        if !is_other_on_purpose(&octets, fault) {
            let theirs = runtime().block_on(by_hyper("GET", octets.clone()));
            prop_assert_eq!(ours, theirs, "{:?}: {}", fault, octets.escape_ascii());
        }
    }
}
