//! Asks this node's anchors by TCP whether its own network works.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::timeout;

use crate::model::Anchors;

/// How often anchors are asked.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long an anchor may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Rounds that must fail before the anchors do: one lost packet is no broken network.
const ROUNDS: u32 = 2;

/// Asks for ever, and tells each change.
pub(super) async fn run(anchors: Vec<SocketAddr>, told: watch::Sender<Anchors>) {
    if anchors.is_empty() {
        return std::future::pending().await;
    }
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = 0;
    loop {
        ticks.tick().await;
        failed = if ask(&anchors).await { 0 } else { failed + 1 };
        let now = match failed {
            0 => Anchors::Pass,
            ROUNDS.. => Anchors::Fail,
            _ => continue,
        };
        told.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}

/// Whether at least half of them take a connection. A refusal is an answer: the network works.
async fn ask(anchors: &[SocketAddr]) -> bool {
    let mut asked = JoinSet::new();
    for anchor in anchors.iter().copied() {
        asked.spawn(async move {
            match timeout(ANSWER_MAX, TcpStream::connect(anchor)).await {
                Ok(Ok(_)) => true,
                Ok(Err(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
                Err(_) => false,
            }
        });
    }
    let answered = asked.join_all().await.into_iter().filter(|answered| *answered).count();
    answered * 2 >= anchors.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn half_of_the_anchors_are_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        // Nothing can be connected with a multicast address.
        let nowhere: SocketAddr = "224.0.0.1:9".parse().unwrap();
        assert!(ask(&[here]).await);
        assert!(ask(&[here, nowhere]).await);
        assert!(!ask(&[nowhere]).await);
        assert!(!ask(&[here, nowhere, nowhere]).await);
        drop(listener);
        assert!(ask(&[here]).await, "who refuses is there");
        let (told, mut hears) = watch::channel(Anchors::Unset);
        tokio::select! {
            () = run(vec![here], told) => panic!("it ends"),
            changed = hears.changed() => changed.unwrap(),
        }
        assert_eq!(*hears.borrow(), Anchors::Pass);
    }
}
