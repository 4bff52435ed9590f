//! The time by which spending is kept: the wall clock at the start, then the monotonic one, so that nobody who sets the
//! clock gives a budget back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells unix time that never jumps.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at_start: Duration,
    started: Option<Instant>,
}

impl Clock {
    /// Starts from the wall clock.
    pub fn start() -> Self {
        let at_start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at_start, started: Some(Instant::now()) }
    }

    /// A clock that stands still, for tests.
    pub fn frozen(at: Duration) -> Self {
        Self { at_start: at, started: None }
    }

    /// Unix time.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// Unix time at `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Duration {
        self.at_start + self.started.map(|started| instant.duration_since(started)).unwrap_or_default()
    }
}
