//! `udp`: a datagram there, a datagram back.

use std::net::SocketAddr;
use std::time::Duration;

use rhumb::model::CheckKind;
use rhumb::model::Talk;
use tokio::net::UdpSocket;

use crate::check;
use crate::first;
use crate::first_said;
use crate::said;

fn talk(send: &[u8], expect: &[u8]) -> CheckKind {
    let expect = (!expect.is_empty()).then(|| expect.into());
    CheckKind::Udp(Talk { send: Some(send.into()), expect })
}

/// A server that answers each datagram with these; none means silence.
async fn server(replies: &[&[u8]]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let replies: Vec<Vec<u8>> = replies.iter().map(|reply| reply.to_vec()).collect();
    tokio::spawn(async move {
        let mut heard = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut heard).await {
            for reply in &replies {
                let reply = if reply == b"ECHO" { &heard[..len] } else { reply };
                socket.send_to(reply, from).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn what_comes_back_must_hold_what_is_expected() {
    let address = server(&[b"ECHO"]).await;
    assert_eq!(first_said(talk(&[0xff, 0, 1], &[0, 1]), address).await, "ok");
    assert_eq!(first_said(talk(b"x", b""), address).await, "ok", "any reply will do");
    let address = server(&[b"not yet", b"ready now"]).await;
    assert_eq!(first_said(talk(b"x", b"ready"), address).await, "ok", "a later one counts too");
}

#[tokio::test]
async fn silence_costs_the_deadline_and_a_closed_port_is_told_at_once() {
    let address = server(&[]).await;
    let mut silent = check(talk(b"x", b""), address.port());
    silent.timeout = Duration::from_millis(100);
    let failed = said(&first(silent, address).await);
    assert_eq!(failed, "timed out after 100ms, waiting for the response");
    let address = server(&[b"other"]).await;
    let mut wrong = check(talk(b"x", b"ready"), address.port());
    wrong.timeout = Duration::from_millis(100);
    assert_eq!(said(&first(wrong, address).await), "timed out after 100ms, reading the body");
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(first_said(talk(b"x", b""), closed).await, "connect refused");
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let flood = [0; 1200];
    let address = server(&[&flood[..]; 60]).await;
    let failed = first_said(talk(b"x", b"ready"), address).await;
    assert!(failed.starts_with("reply lacks \"ready\", it begins with \"\\x00"), "{failed}");
}
