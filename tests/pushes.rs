//! Reports on endpoints, as a deployment posts them to a running server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use live::Folder;
use live::Live;
use live::ask;
use live::get;
use live::wait_until;
use sha2::Digest;
use sha2::Sha256;

fn zone(token: &str) -> String {
    let digest = Sha256::digest(token);
    let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!(
        r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[check.ci]
kind = "push"
token_sha256 = ["{digest}"]
silence = "1h"
interval = "100ms"
fall = 1
rise = 1
hold_down = "0s"
[pool.eu]
check = "ci"
endpoint.a.addresses = ["192.0.2.1"]
[pool.us]
check = "ci"
endpoint.a.addresses = ["192.0.2.2"]
[policy.order]
kind = "failover"
targets = ["eu", "us"]
[name.www]
steer = "order"
"#
    )
}

/// Posts, and returns the status code with the body.
fn post(admin: SocketAddr, path: &str, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let token = token.unwrap_or_default();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

#[test]
fn reports_with_the_token_move_answers_and_no_others_are_heard() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone("a long secret of many characters"));
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    let token = Some("a long secret of many characters");
    wait_until("the check is known", || post(admin, "/push/ci/eu/a?state=up", token).0 == 204);
    for (path, token, code) in [
        ("/push/ci/eu/a?state=down", None, 403),
        ("/push/ci/eu/a?state=down", Some("guess"), 403),
        ("/push/other/eu/a?state=down", token, 403),
        ("/push/ci/eu/b?state=down", token, 404),
        ("/push/ci/eu/a?state=maybe", token, 400),
        ("/push/ci/eu/a", token, 400),
        ("/push/ci/eu", token, 404),
    ] {
        assert_eq!(post(admin, path, token).0, code, "{path}");
    }
    assert_eq!(get(admin, "/push/ci/eu/a?state=down").0, 405, "only posts are reports");
    assert_eq!(post(admin, "/push/ci/us/a?state=up", token), (204, String::new()));
    let answers = || ask(live.address(), "www.shop.test.").addresses;
    wait_until("both are up", || live.verdict("eu/a").0 == "up" && live.verdict("us/a").0 == "up");
    assert_eq!(answers(), ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(post(admin, "/push/ci/eu/a?state=down&reason=build+7%20broken", token).0, 204);
    wait_until("it is down", || live.verdict("eu/a").0 == "down");
    assert_eq!(answers(), ["192.0.2.2".parse::<std::net::IpAddr>().unwrap()]);
    let shown = format!("{:?}", live.status().pools);
    assert!(shown.contains("reported down: build 7 broken"), "{shown}");
    live.stop();
}
