//! Tokio's clock in the engine's words, so that a paused clock pauses the engine, too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paceline_core::time::Time;
use tokio::time::Instant;

/// The longest sleep. Waking early does no harm, and instants further away may not exist.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

/// Counts from the start of the loop.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn now(&self) -> Time {
        self.time(Instant::now())
    }

    /// An instant as the engine knows it; what lies before the start is the start.
    pub(super) fn time(&self, instant: Instant) -> Time {
        Time::ZERO + instant.saturating_duration_since(self.origin)
    }

    /// When to wake up for `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        let now = Instant::now();
        now + time.since(self.time(now)).min(LONGEST_SLEEP)
    }
}

/// The wall clock, for the dates in headers: never for measuring time.
pub(super) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
