//! `http` and `https`: method, headers, bodies, JSON, HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::Version;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rhumb::model::CheckKind;
use rhumb::model::HttpCheck;
use rhumb::model::HttpVersion;
use rhumb::model::JsonField;
use rhumb::model::JsonValue;
use rhumb::model::TlsCheck;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::backend::Backend;
use crate::backend::Reply;
use crate::certificate::Authority;
use crate::check;
use crate::first;
use crate::first_said;

fn ok(body: &str) -> Reply {
    Reply::Full(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// What a check says of a backend with this reply.
async fn said_of(check: HttpCheck, reply: Reply) -> String {
    let backend = Backend::start(reply).await;
    first_said(CheckKind::Http(check), backend.address).await
}

#[tokio::test]
async fn the_backend_sees_method_and_headers() {
    let mut backend = Backend::start(ok("")).await;
    let check_of = HttpCheck {
        method: "POST",
        headers: vec![
            ("authorization".into(), "Bearer x y".into()),
            ("user-agent".into(), "mine".into()),
        ],
        ..HttpCheck::default()
    };
    assert_eq!(first_said(CheckKind::Http(check_of), backend.address).await, "ok");
    let head = backend.request().await.0.to_ascii_lowercase();
    assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: bearer x y\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: mine\r\n") && !head.contains("rhumb"), "{head}");
}

#[tokio::test]
async fn a_reply_to_head_is_judged_by_its_status_alone() {
    let head = HttpCheck { method: "HEAD", ..HttpCheck::default() };
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    assert_eq!(said_of(head, Reply::Full(announced.into())).await, "ok");
}

fn matching(regex: &str) -> HttpCheck {
    HttpCheck { body_regex: Some(regex.into()), ..HttpCheck::default() }
}

#[tokio::test]
async fn a_regular_expression_is_looked_for_in_the_body() {
    assert_eq!(
        said_of(matching("(?m)^status: (ok|degraded)$"), ok("v: 1\nstatus: ok")).await,
        "ok"
    );
    assert_eq!(
        said_of(matching("^ok$"), ok("not ok")).await,
        "body does not match /^ok$/ in its whole 6 octets"
    );
    // One that drives other engines mad.
    let evil = "a".repeat(60_000);
    let failed = said_of(matching("^(a+)+$"), ok(&format!("{evil}!"))).await;
    assert!(failed.starts_with("body does not match"), "{failed}");
    let both = HttpCheck { body: Some("one".into()), ..matching("two") };
    assert_eq!(said_of(both.clone(), ok("one two")).await, "ok");
    assert_eq!(said_of(both, ok("two")).await, "body lacks \"one\" in its whole 3 octets");
}

fn with_json(fields: &[(&str, JsonValue)]) -> HttpCheck {
    let field = |(pointer, value): &(&str, JsonValue)| JsonField {
        pointer: (*pointer).into(),
        value: value.clone(),
    };
    HttpCheck { json: fields.iter().map(field).collect(), ..HttpCheck::default() }
}

#[tokio::test]
async fn fields_of_json_must_be_what_is_wanted() {
    let text = |text: &str| JsonValue::Text(text.into());
    let wanted = with_json(&[
        ("/status", text("UP")),
        ("/db/replicas", JsonValue::Integer(3)),
        ("/list/1/a~1b", JsonValue::Boolean(true)),
    ]);
    let good = r#"{"status":"UP","db":{"replicas":3.0},"list":[0,{"a/b":true}]}"#;
    assert_eq!(said_of(wanted.clone(), ok(good)).await, "ok");
    let cases = [
        (good.replace("UP", "DOWN"), "JSON /status is \"DOWN\", wanted \"UP\""),
        (good.replace("3.0", "\"3\""), "JSON /db/replicas is \"3\", wanted 3"),
        (good.replace("\"a/b\"", "\"b\""), "JSON has no /list/1/a~1b"),
        (good.replace("true", "{}"), "JSON /list/1/a~1b is an object, wanted true"),
    ];
    for (body, reason) in cases {
        assert_eq!(said_of(wanted.clone(), ok(&body)).await, reason);
    }
    let failed = said_of(wanted.clone(), ok("<html>")).await;
    assert!(failed.starts_with("body is not JSON: expected value"), "{failed}");
    // Nested so deep that a recursive reader would overflow its stack.
    let failed = said_of(wanted.clone(), ok(&"[".repeat(60_000))).await;
    assert!(failed.starts_with("body is not JSON: recursion limit"), "{failed}");
    let endless = Reply::Endless("HTTP/1.1 200 OK\r\n\r\n[".into(), "1,".repeat(1000));
    let failed = said_of(wanted, endless).await;
    assert_eq!(failed, "backend sent more than 65536 octets, and no probe reads more");
}

#[tokio::test]
async fn a_gzip_bomb_is_never_unpacked() {
    // A megabyte of zeros is a kilobyte of gzip: it is looked into as it comes.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b'0'; 1 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let len = bomb.len();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&bomb).await;
        }
    });
    let failed = first_said(CheckKind::Http(matching("0{100}")), address).await;
    assert_eq!(failed, format!("body does not match /0{{100}}/ in its whole {len} octets"));
}

/// A server of hyper that speaks HTTP/2 only, and tells in its body what it was asked.
async fn http_2_server(tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |request: Request<Incoming>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let text = format!("{} {}", request.method(), request.uri());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                match tls {
                    None => server.serve_connection(TokioIo::new(stream), service_fn(answer)).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return Ok(()) };
                        server.serve_connection(TokioIo::new(stream), service_fn(answer)).await
                    }
                }
            });
        }
    });
    address
}

fn http_2(body: &str) -> HttpCheck {
    HttpCheck {
        version: HttpVersion::Two,
        host: Some("shop.test".into()),
        path: "/health?a=b".into(),
        body: Some(body.into()),
        ..HttpCheck::default()
    }
}

#[tokio::test]
async fn http_2_is_spoken_in_clear_and_behind_tls() {
    let address = http_2_server(None).await;
    let kind = CheckKind::Http(http_2("GET http://shop.test/health?a=b"));
    let report = first(check(kind, address.port()), address).await;
    assert!(report.result.outcome.is_ok(), "{report:?}");
    assert!(report.result.phases.first_byte.is_some());

    let authority = Authority::new();
    let acceptor = authority.acceptor_speaking("shop.test", b"h2");
    let address = http_2_server(Some(acceptor)).await;
    let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let https = |body: &str| CheckKind::Https(http_2(body), tls.clone());
    let passed = first_said(https("GET https://shop.test/health?a=b"), address).await;
    assert!(passed.starts_with("ok, certificate expires in"), "{passed}");
    let failed = first_said(https("POST"), address).await;
    assert_eq!(failed, "body lacks \"POST\" in its whole 32 octets");
}

#[tokio::test]
async fn a_backend_without_http_2_is_told_apart() {
    let authority = Authority::new();
    let backend = Backend::start_tls(authority.acceptor("shop.test", 2100), ok("")).await;
    let tls = TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let failed = first_said(CheckKind::Https(http_2("x"), tls), backend.address).await;
    assert_eq!(failed, "TLS: backend does not offer HTTP/2");
    // It waits for the end of a request that to HTTP/1.1 never ends, and answers in its own way.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let old = address.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = address.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.shutdown().await;
            // What is left unread when it closes would reset the connection, and the reply with it.
            while stream.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {}
        }
    });
    let failed = first_said(CheckKind::Http(http_2("x")), old).await;
    assert!(failed.starts_with("not a valid HTTP response: http2 error"), "{failed}");
}
