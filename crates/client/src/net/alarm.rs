//! A deadline that moves often and rarely passes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Leaves the timer alone when the deadline moves away, which it does with every piece of an answer: the timer then rings
/// early, and is set again. All timers of a process share one lock.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// What `future` comes to, unless `deadline` passes first.
    pub(super) async fn wait<F: Future>(&mut self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(cx, deadline).map(|()| None),
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rings_at_the_deadline_of_now_whatever_it_was_before() {
        let mut alarm = Alarm::default();
        for seconds in [5, 1, 3, 3, 0, 10] {
            let began = Instant::now();
            let wait = Duration::from_secs(seconds);
            assert_eq!(alarm.wait(began + wait, pending::<()>()).await, None);
            assert_eq!(began.elapsed(), wait, "{seconds} s");
            let ready = alarm.wait(began, async { "there" }).await;
            assert_eq!(ready, Some("there"), "what is there is not late");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_set_for_less_rings_early_unnoticed() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        let soon = tokio::time::sleep(Duration::from_millis(10));
        assert_eq!(alarm.wait(began + Duration::from_secs(1), soon).await, Some(()));
        assert_eq!(alarm.wait(began + Duration::from_secs(2), pending::<()>()).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
