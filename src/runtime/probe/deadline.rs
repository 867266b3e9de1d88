//! The end of a probe's time, as the probe sees it; the runner's agenda keeps the moment, so that no probe has a timer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::sync::oneshot;

/// Over once its [`Alarm`] is dropped.
#[derive(Debug)]
pub(super) struct Deadline(oneshot::Receiver<Infallible>);

/// Ends a [`Deadline`] by being dropped.
#[derive(Debug)]
pub(super) struct Alarm(
    #[expect(dead_code, reason = "dropping it is its use")] oneshot::Sender<Infallible>,
);

impl Deadline {
    /// A deadline that has not passed.
    pub(super) fn new() -> (Alarm, Self) {
        let (sender, receiver) = oneshot::channel();
        (Alarm(sender), Self(receiver))
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
