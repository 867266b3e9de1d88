//! `tcp` with `send` and `expect`.

use std::net::SocketAddr;
use std::time::Duration;

use rhumb::model::CheckKind;
use rhumb::model::Sources;
use rhumb::model::Talk;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::backend::closed_port;
use crate::check;
use crate::first;
use crate::first_said;
use crate::said;

fn talk(send: &[u8], expect: &[u8]) -> CheckKind {
    let octets = |octets: &[u8]| (!octets.is_empty()).then(|| octets.into());
    CheckKind::Tcp(Talk { send: octets(send), expect: octets(expect) })
}

/// A server that reads so many octets and answers with these pieces, then closes.
async fn server(reads: usize, pieces: &[&[u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = vec![0; reads];
            if stream.read_exact(&mut heard).await.is_err() {
                continue;
            }
            for piece in &pieces {
                let piece = if piece == b"ECHO" { &heard } else { piece };
                if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    address
}

#[tokio::test]
async fn what_is_sent_is_answered_as_expected() {
    let address = server(6, &[b"+PO", b"NG\r\n"]).await;
    assert_eq!(first_said(talk(b"PING\r\n", b"PONG"), address).await, "ok");
    let address = server(3, &[b"ECHO"]).await;
    assert_eq!(first_said(talk(&[0, 255, 10], &[255, 10]), address).await, "ok");
}

#[tokio::test]
async fn a_greeting_is_waited_for_without_sending() {
    let address = server(0, &[b"220 mail.test ESMTP\r\n"]).await;
    assert_eq!(first_said(talk(b"", b"220 "), address).await, "ok");
}

#[tokio::test]
async fn another_reply_is_shown_as_it_begins() {
    let address = server(4, &[b"-LOADING Redis is loading\r\n"]).await;
    assert_eq!(
        first_said(talk(b"PING", b"+PONG"), address).await,
        "reply lacks \"+PONG\", it begins with \"-LOADING Redis is loading\\r\\n\""
    );
    let address = server(0, &[]).await;
    let failed = first_said(talk(b"", b"220"), address).await;
    assert_eq!(failed, "connection closed early, waiting for the response");
}

#[tokio::test]
async fn an_endless_reply_costs_64_kib_and_a_silent_one_the_deadline() {
    let flood = vec![b'.'; 200 * 1024];
    let address = server(0, &[&flood]).await;
    let failed = first_said(talk(b"", b"OK"), address).await;
    assert_eq!(failed, format!("reply lacks \"OK\", it begins with \"{}\"", ".".repeat(64)));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut check = check(talk(b"", b"220"), silent.local_addr().unwrap().port());
    check.timeout = Duration::from_millis(100);
    let report = first(check, silent.local_addr().unwrap()).await;
    assert_eq!(said(&report), "timed out after 100ms, waiting for the response");
    assert!(report.result.phases.connect.is_some() && report.result.phases.first_byte.is_none());
}

#[tokio::test]
async fn an_inverted_check_passes_where_nothing_listens() {
    let closed = closed_port().await;
    let mut inverted = check(talk(b"", b""), closed.port());
    inverted.invert = true;
    let report = first(inverted.clone(), closed).await;
    assert_eq!(said(&report), "ok, inverted: connect refused");
    let open = server(0, &[]).await;
    inverted.port = open.port();
    assert_eq!(said(&first(inverted, open).await), "passed, and the check is inverted");
}

#[tokio::test]
async fn a_probe_comes_from_the_address_it_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut from = check(talk(b"", b""), address.port());
    from.source = Sources { v4: Some("127.0.0.77".parse().unwrap()), v6: None };
    assert_eq!(said(&first(from.clone(), address).await), "ok");
    assert_eq!(listener.accept().await.unwrap().1.ip().to_string(), "127.0.0.77");

    // An address that this host does not have says nothing of the backend.
    from.source = Sources { v4: Some("203.0.113.77".parse().unwrap()), v6: None };
    let report = first(from, address).await;
    assert!(report.result.outcome.unwrap_err().is_local());
    assert_eq!(report.flip, None);
}
