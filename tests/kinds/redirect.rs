//! `redirects`: what is followed, what is refused, and what all of it may cost.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::A;
use rhumb::config::node::default_node;
use rhumb::model::CheckKind;
use rhumb::model::HttpCheck;
use rhumb::model::TlsCheck;
use rhumb::runtime::probe::Limits;
use rhumb::runtime::probe::ProbeReport;
use rhumb::runtime::probe::Terms;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::Bench;
use crate::certificate::Authority;
use crate::check;
use crate::dns;
use crate::said;
use crate::target;

/// A site that answers by path, and tells what it was asked.
struct Site {
    address: SocketAddr,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Site {
    async fn start(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> Self {
        Self::listen("127.0.0.1:0", None, answer).await
    }

    async fn listen(
        at: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> String + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (saw, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, saw, tls) = (answer.clone(), saw.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, saw).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, saw).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    /// The next request, in lower case.
    async fn head(&mut self) -> String {
        self.heads.recv().await.unwrap().to_ascii_lowercase()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: impl Fn(&str) -> String,
    saw: mpsc::UnboundedSender<String>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let reply = answer(head.split(' ').nth(1).unwrap());
    let _ = saw.send(head);
    // Writing fails once the client has heard enough.
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_u8().await;
}

fn ok() -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into()
}

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn following(redirects: u8) -> HttpCheck {
    HttpCheck { redirects, body: Some("ok".into()), ..HttpCheck::default() }
}

/// The first report of a target, where names are resolved and networks believed as these say.
async fn report(
    kind: CheckKind,
    address: SocketAddr,
    servers: &[SocketAddr],
    allow: &[&str],
) -> ProbeReport {
    let mut resolver = default_node().resolver;
    resolver.servers = servers.to_vec();
    resolver.timeout = Duration::from_secs(5);
    resolver.allow = allow.iter().map(|network| network.parse().unwrap()).collect();
    let terms = Terms { limits: Limits::default(), resolver };
    let target = target(check(kind, address.port()), address);
    Bench::start_by(terms, vec![target]).next().await
}

async fn said_of(kind: CheckKind, address: SocketAddr, allow: &[&str]) -> String {
    said(&report(kind, address, &[], allow).await)
}

#[tokio::test]
async fn redirects_of_the_own_host_stay_at_the_endpoint_whatever_dns_says() {
    let mut site = Site::start(|path| match path {
        "/" => to("/login?next=%2F#top"),
        "/login?next=%2F" => to("http://shop.test/home"),
        _ => ok(),
    })
    .await;
    let check = HttpCheck {
        host: Some("shop.test".into()),
        headers: vec![("authorization".into(), "Bearer secret".into())],
        ..following(2)
    };
    let passed = said_of(CheckKind::Http(check), site.address, &[]).await;
    assert_eq!(passed, "ok, redirected to http://shop.test/home");
    for path in ["/", "/login?next=%2f", "/home"] {
        let head = site.head().await;
        assert!(head.starts_with(&format!("get {path} http/1.1\r\n")), "{head}");
        assert!(head.contains("\r\nhost: shop.test\r\n"), "{head}");
        assert!(head.contains("\r\nauthorization: bearer secret\r\n"), "{head}");
    }
}

#[tokio::test]
async fn as_many_as_are_allowed_are_followed_and_circles_end() {
    let next = |path: &str| to(&format!("/{}", path[1..].parse::<u32>().unwrap_or(0) + 1));
    let mut endless = Site::start(next).await;
    let failed = said_of(CheckKind::Http(following(3)), endless.address, &[]).await;
    let url = format!("http://{}/4", endless.address);
    assert_eq!(failed, format!("more redirects than 3, the next to {url}"));
    for path in ["/", "/1", "/2", "/3"] {
        assert!(endless.head().await.starts_with(&format!("get {path} ")));
    }
    let circle = Site::start(|path| to(if path == "/a" { "/" } else { "/a" })).await;
    let failed = said_of(CheckKind::Http(following(10)), circle.address, &[]).await;
    let url = format!("http://{}/", circle.address);
    assert_eq!(failed, format!("redirects lead round: {url} again"));
}

#[tokio::test]
async fn a_redirect_that_is_wanted_is_judged_and_a_failure_behind_one_says_where() {
    let site = Site::start(|path| match path {
        "/" => to("/gone"),
        _ => "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n".into(),
    })
    .await;
    let wanted = HttpCheck { status: vec![200..=399], body: None, ..following(3) };
    assert_eq!(said_of(CheckKind::Http(wanted), site.address, &[]).await, "ok");
    let failed = said_of(CheckKind::Http(following(3)), site.address, &[]).await;
    let url = format!("http://{}/gone", site.address);
    assert_eq!(failed, format!("redirected to {url}: status 503, wanted 200-299"));
    let nowhere = Site::start(|_| "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n".into()).await;
    let failed = said_of(CheckKind::Http(following(3)), nowhere.address, &[]).await;
    assert_eq!(failed, "status 302, wanted 200-299");
}

#[tokio::test]
async fn nobody_is_led_into_this_machine_or_to_a_metadata_service() {
    let mut trap = Site::listen("127.0.0.2:0", None, |_| ok()).await;
    let port = trap.address.port();
    let cases = [
        (format!("http://127.0.0.2:{port}/"), "127.0.0.2 is refused: it is loopback"),
        (format!("http://0x7f.2:{port}/"), "127.0.0.2 is refused: it is loopback"),
        ("http://169.254.169.254/".into(), "169.254.169.254 is refused: it is link-local"),
        ("http://[fd00:ec2::254]/".into(), "fd00:ec2::254 is refused: it is a metadata service"),
        ("http://[::ffff:127.0.0.1]/".into(), "::ffff:127.0.0.1 is refused: it is IPv4-mapped"),
        ("http://0/".into(), "0.0.0.0 is refused: it is no host"),
    ];
    for (location, reason) in cases {
        let site = Site::start(move |_| to(&location)).await;
        let failed = said_of(CheckKind::Http(following(3)), site.address, &[]).await;
        assert!(failed.starts_with("redirected to http://"), "{failed}");
        assert!(failed.contains(reason), "{failed}, not {reason}");
    }
    assert!(trap.heads.try_recv().is_err());
    // What the operator allows is gone to, without what may be secret.
    let site = Site::start(move |_| to(&format!("http://127.0.0.2:{port}/x"))).await;
    let check = HttpCheck {
        headers: vec![("authorization".into(), "Bearer secret".into())],
        ..following(3)
    };
    let passed = said_of(CheckKind::Http(check), site.address, &["127.0.0.2/32"]).await;
    assert_eq!(passed, format!("ok, redirected to http://127.0.0.2:{port}/x"));
    let head = trap.head().await;
    assert!(head.contains(&format!("\r\nhost: 127.0.0.2:{port}\r\n")), "{head}");
    assert!(!head.contains("secret"), "{head}");
}

/// A name server that says 127.0.0.3 of every name for which an IPv4 address is asked.
async fn name_server() -> SocketAddr {
    let answer: dns::Answer = |question| {
        let mut reply = dns::reply(&question);
        let query = reply.queries[0].clone();
        if query.query_type() == hickory_proto::rr::RecordType::A {
            let data = RData::A(A::new(127, 0, 0, 3));
            reply.add_answer(Record::from_rdata(query.name().clone(), 30, data));
        }
        reply.metadata.recursion_available = true;
        vec![reply]
    };
    dns::server(answer, answer).await
}

#[tokio::test]
async fn other_names_are_resolved_as_the_node_resolves_and_the_time_of_that_is_told() {
    let mut other = Site::listen("127.0.0.3:0", None, |_| ok()).await;
    let url = format!("http://other.test:{}/x", other.address.port());
    let location = url.clone();
    let site = Site::start(move |_| to(&location)).await;
    let servers = [name_server().await];
    let kind = || CheckKind::Http(following(1));
    let failed = said(&report(kind(), site.address, &servers, &[]).await);
    let why = "127.0.0.3 is refused: it is loopback; [resolver] allow lets it in";
    assert_eq!(failed, format!("redirected to {url}: {why}"));
    assert!(other.heads.try_recv().is_err());
    let passed = report(kind(), site.address, &servers, &["127.0.0.3/32"]).await;
    assert_eq!(said(&passed), format!("ok, redirected to {url}"));
    assert!(passed.result.phases.dns.is_some(), "{passed:?}");
    let head = other.head().await;
    assert!(head.contains(&format!("\r\nhost: other.test:{}\r\n", other.address.port())), "{head}");
}

#[tokio::test]
async fn the_name_in_tls_follows_and_clear_text_after_tls_is_refused() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("other.test", 2100);
    let other = Site::listen("127.0.0.3:0", Some(acceptor), |path| match path {
        "/" => ok(),
        _ => to("http://other.test/"),
    })
    .await;
    let port = other.address.port();
    let servers = [name_server().await];
    let tls = || TlsCheck { ca_pem: Some(authority.pem()), ..TlsCheck::default() };
    let own = authority.acceptor("shop.test", 2100);
    let site = Site::listen("127.0.0.1:0", Some(own), move |path| {
        to(&format!("https://other.test:{port}{path}"))
    })
    .await;
    let kind = |path: &str| {
        let check = HttpCheck { host: Some("shop.test".into()), path: path.into(), ..following(3) };
        CheckKind::Https(check, tls())
    };
    let allow = ["127.0.0.3/32"];
    let passed = said(&report(kind("/"), site.address, &servers, &allow).await);
    assert!(passed.starts_with("ok, certificate expires in "), "{passed}");
    assert!(passed.ends_with(&format!("redirected to https://other.test:{port}/")), "{passed}");
    let failed = said(&report(kind("/down"), site.address, &servers, &allow).await);
    let refused = "redirected to http://other.test/: from https to http, which is refused";
    assert_eq!(failed, refused);
    // From http to https the certificate counts, too: nobody trusts this one.
    let plain = Site::start(move |_| to(&format!("https://other.test:{port}/"))).await;
    let report = report(CheckKind::Http(following(1)), plain.address, &servers, &allow).await;
    let failure = report.result.outcome.unwrap_err();
    let is_untrusted = failure.to_string().ends_with("certificate: its issuer is not trusted");
    assert!(is_untrusted || failure.is_local(), "{failure}");
}

#[tokio::test]
async fn all_steps_share_64_kib_and_the_deadline() {
    let padding = "x".repeat(15_000);
    let site = Site::start(move |path| match path {
        "/3" => format!("HTTP/1.1 200 OK\r\n\r\n{}ok", ".".repeat(30_000)),
        path => {
            let next = path[1..].parse::<u32>().unwrap_or(0) + 1;
            format!("HTTP/1.1 302 X\r\nLocation: /{next}\r\nX: {padding}\r\n\r\n")
        }
    })
    .await;
    let failed = said_of(CheckKind::Http(following(5)), site.address, &[]).await;
    assert_eq!(failed, "backend sent more than 65536 octets, and no probe reads more");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let site = Site::start(move |_| to(&format!("http://127.0.0.1:{port}/"))).await;
    let mut late = check(CheckKind::Http(following(3)), site.address.port());
    late.timeout = Duration::from_millis(200);
    let late = Bench::start(vec![target(late, site.address)]).next().await;
    assert_eq!(said(&late), "timed out after 200ms, waiting for the response");
    assert!(late.result.duration < Duration::from_secs(2), "{late:?}");
}
