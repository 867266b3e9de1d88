//! `icmp`: echo requests over datagram sockets, where the system allows them.

use std::process::Command;
use std::time::Duration;

use rhumb::model::CheckKind;

use crate::check;
use crate::first;
use crate::said;

/// Says that the test runs in a network of its own, where echo requests are allowed.
const INSIDE: &str = "RHUMB_TEST_ICMP";

/// Runs this test again in a network of its own; false: it runs there now.
fn ran_elsewhere(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let script = "ip link set lo up && echo '0 0' > /proc/sys/net/ipv4/ping_group_range && exec \"$0\" --exact \"$1\" --nocapture";
    let program = std::env::current_exe().unwrap();
    let run = Command::new("unshare")
        .args(["-rn", "sh", "-c", script])
        .arg(program)
        .arg(test)
        .env(INSIDE, "1")
        .output();
    match run {
        Ok(run) if run.status.success() => {
            let text = String::from_utf8_lossy(&run.stdout).into_owned();
            assert!(text.contains("1 passed"), "{text}");
        }
        Ok(run) => {
            let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
            assert!(!text.contains("panicked"), "{text}");
            println!("skipped: no network of its own: {}", text.trim());
        }
        Err(why) => println!("skipped: unshare: {why}"),
    }
    true
}

#[tokio::test]
async fn an_echo_comes_back_where_the_host_is_up() {
    if ran_elsewhere("icmp::an_echo_comes_back_where_the_host_is_up") {
        return;
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let report = first(check(CheckKind::Icmp, 0), address.parse().unwrap()).await;
        assert_eq!(said(&report), "ok", "{address}");
        assert!(report.result.phases.first_byte.is_some());
    }
}

#[tokio::test]
async fn a_host_that_nobody_reaches_fails() {
    if ran_elsewhere("icmp::a_host_that_nobody_reaches_fails") {
        return;
    }
    let mut gone = check(CheckKind::Icmp, 0);
    gone.timeout = Duration::from_millis(100);
    // The network has no other interface than loopback.
    let report = first(gone, "192.0.2.1:0".parse().unwrap()).await;
    assert!(said(&report).starts_with("connect failed: Network is unreachable"), "{report:?}");
}

#[tokio::test]
async fn a_system_that_forbids_it_is_told_and_no_host_is_blamed() {
    let report = first(check(CheckKind::Icmp, 0), "127.0.0.1:0".parse().unwrap()).await;
    match &report.result.outcome {
        Ok(_) => println!("skipped: this system allows echo requests"),
        Err(failure) => {
            assert!(failure.is_local() && failure.to_string().contains("ping_group_range"));
            assert_eq!(report.flip, None);
        }
    }
}
