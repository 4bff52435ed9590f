//! Whether the provider answers at all, as seen by all jobs together.
//!
//! A job that failed for a passing reason waits until another one has succeeded. If none does, jobs try one at a time, so
//! that an outage is probed instead of hammered, and it fails no job: after the longest outage the run stops.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, watch};
use tokio::time::{Instant, sleep};

/// The pause between two probes.
const PROBE_PAUSE: Duration = Duration::from_secs(5);
/// Jobs that waited for a success come back spread over this time.
const RETURN_SPREAD: Duration = Duration::from_secs(2);

/// What all jobs know of the provider.
#[derive(Debug)]
pub(super) struct Health {
    successes: watch::Sender<u64>,
    last_success: Mutex<Instant>,
    turn: Turn<()>,
    max_outage: Duration,
}

/// What a job that failed may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Others succeed: try again, and count it.
    TryAgain,
    /// Nobody does: try again, and see whether that has changed.
    Probe,
    /// Nobody has for too long.
    GiveUp(Duration),
}

impl Health {
    /// Good health, so far.
    pub(super) fn new(max_outage: Duration) -> Self {
        let last_success = Mutex::new(Instant::now());
        Self { successes: watch::Sender::new(0), last_success, turn: Turn::new(()), max_outage }
    }

    /// How many jobs have succeeded.
    pub(super) fn successes(&self) -> u64 {
        *self.successes.borrow()
    }

    /// A job has succeeded.
    pub(super) fn succeeded(&self) {
        *self.last_success.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.successes.send_modify(|count| *count += 1);
    }

    /// Waits until trying again makes sense for a job that was sent after `seen` successes. `number` spreads the jobs.
    pub(super) async fn advice(&self, seen: u64, number: u32) -> Advice {
        tokio::select! {
            biased;
            () = self.success_after(seen) => {
                let share = number.wrapping_mul(0x9e37_79b1);
                sleep(RETURN_SPREAD.mul_f64(f64::from(share) / f64::from(u32::MAX))).await;
                Advice::TryAgain
            }
            advice = self.probe() => advice,
        }
    }

    async fn success_after(&self, seen: u64) {
        // The sender lives in this value: waiting can't fail.
        let _ = self.successes.subscribe().wait_for(|count| *count > seen).await;
    }

    async fn probe(&self) -> Advice {
        let _turn = self.turn.lock().await;
        sleep(PROBE_PAUSE).await;
        let lasted = self.last_success.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if lasted >= self.max_outage { Advice::GiveUp(lasted) } else { Advice::Probe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_probed_one_at_a_time_until_it_is_too_long() {
        let health = Health::new(Duration::from_secs(20));
        let begun = Instant::now();
        for seconds in [5, 10, 15] {
            assert_eq!(health.advice(0, 1).await, Advice::Probe);
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
        assert_eq!(health.advice(0, 1).await, Advice::GiveUp(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_lets_the_others_return() {
        let health = Health::new(Duration::from_secs(20));
        health.succeeded();
        let begun = Instant::now();
        assert_eq!(health.advice(0, u32::MAX).await, Advice::TryAgain);
        assert!(begun.elapsed() <= RETURN_SPREAD);
        let (advice, ()) = tokio::join!(health.advice(1, 7), async {
            sleep(Duration::from_secs(1)).await;
            health.succeeded();
        });
        assert_eq!(advice, Advice::TryAgain);
    }
}
