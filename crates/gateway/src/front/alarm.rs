//! A deadline that moves often and rarely passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Longer than anything lasts here, and short enough to be added to any instant.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The instant after `wait`, whatever somebody has configured.
pub(super) fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(FOREVER)
}

/// Leaves the timer alone when the deadline moves away, which it does with every request: the timer then rings early,
/// and is set again.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `deadline` has passed; until then it wakes whoever asked last.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
