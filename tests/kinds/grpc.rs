//! `grpc` and `grpcs` against the health service of tonic, and servers that are none.

use std::net::SocketAddr;
use std::time::Duration;

use rhumb::model::CheckKind;
use rhumb::model::GrpcCheck;
use rhumb::model::TlsCheck;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::Bench;
use crate::certificate::Authority;
use crate::check;
use crate::first;
use crate::first_said;
use crate::said;
use crate::target;

async fn server() -> (SocketAddr, HealthReporter) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, service) = tonic_health::server::health_reporter();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, reporter)
}

fn asking(service: &str) -> CheckKind {
    CheckKind::Grpc(GrpcCheck { service: service.into(), ..GrpcCheck::default() })
}

#[tokio::test]
async fn a_service_is_up_while_it_says_that_it_serves() {
    let (address, reporter) = server().await;
    reporter.set_service_status("shop.Cart", ServingStatus::Serving).await;
    reporter.set_service_status("shop.Pay", ServingStatus::NotServing).await;
    assert_eq!(first_said(asking(""), address).await, "ok");
    assert_eq!(first_said(asking("shop.Cart"), address).await, "ok");
    assert_eq!(first_said(asking("shop.Pay"), address).await, "gRPC: \"shop.Pay\" is NOT_SERVING");
    let failed = first_said(asking("shop.Nope"), address).await;
    assert_eq!(failed, "gRPC: \"shop.Nope\" is not known to it");
}

#[tokio::test]
async fn a_service_that_changes_in_mid_way_is_followed() {
    let (address, reporter) = server().await;
    reporter.set_service_status("shop.Cart", ServingStatus::Serving).await;
    let mut bench = Bench::start(vec![target(check(asking("shop.Cart"), address.port()), address)]);
    assert!(bench.next().await.result.outcome.is_ok());
    reporter.set_service_status("shop.Cart", ServingStatus::NotServing).await;
    let down = loop {
        let report = bench.next().await;
        if report.flip.is_some() {
            break report;
        }
    };
    assert_eq!(down.consecutive_fails, 3);
    assert_eq!(said(&down), "gRPC: \"shop.Cart\" is NOT_SERVING");
}

#[tokio::test]
async fn behind_tls_the_certificate_counts_too() {
    let (inner, _reporter) = server().await;
    let authority = Authority::new();
    let acceptor = authority.acceptor_speaking("shop.test", b"h2");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await?;
                let mut inner = TcpStream::connect(inner).await?;
                copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let kind = |host: &str| {
        let grpc = GrpcCheck { host: Some(host.into()), ..GrpcCheck::default() };
        CheckKind::Grpcs(grpc, tls.clone())
    };
    let passed = first_said(kind("shop.test"), address).await;
    assert!(passed.starts_with("ok, certificate expires in"), "{passed}");
    let failed = first_said(kind("other.test"), address).await;
    assert_eq!(failed, "certificate: not valid for other.test, only for shop.test");
}

#[tokio::test]
async fn what_is_no_grpc_server_fails_readably() {
    let plain = "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(plain.as_bytes()).await;
            let _ = stream.shutdown().await;
            // What is left unread when it closes would reset the connection, and the reply with it.
            while stream.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {}
        }
    });
    let failed = first_said(asking(""), address).await;
    assert!(failed.starts_with("not a valid HTTP response: http2 error"), "{failed}");

    // A gRPC server without the health protocol says so in its headers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = tonic::service::Routes::default();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_routes(routes)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let failed = first_said(asking(""), address).await;
    assert_eq!(failed, "gRPC: it does not speak the health protocol");

    // The kernel takes the connection, nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut stalled = check(asking(""), address.port());
    stalled.timeout = Duration::from_millis(100);
    let failed = said(&first(stalled, address).await);
    assert_eq!(failed, "timed out after 100ms, waiting for the response");
}
