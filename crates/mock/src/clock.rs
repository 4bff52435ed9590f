//! The provider's clock: it may run faster than the machine's, and everything it says agrees with it.

use std::time::Duration;

use paceline_core::time::Time;
use tokio::time::{Instant, Sleep};

/// Speeds outside of this range make no sense: below, nothing happens; above, nothing can be told apart.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=100_000.0;
/// Nobody waits longer than this, whatever a script asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// Time as the provider lives it: `speed` of its seconds pass in one of ours.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    unix_at_origin: Duration,
    speed: f64,
}

impl Clock {
    /// A clock that starts now, at `unix` since 1970.
    pub fn start(unix: Duration, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.clamp(*SPEEDS.start(), *SPEEDS.end()) } else { 1.0 };
        Clock { origin: Instant::now(), unix_at_origin: unix, speed }
    }

    /// The provider's time since the start.
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed().mul_f64(self.speed)
    }

    /// The provider's time since 1970.
    pub fn unix(&self) -> Duration {
        self.unix_at_origin + self.now().since(Time::ZERO)
    }

    /// How long `span` of the provider's time takes here.
    pub fn real(&self, span: Duration) -> Duration {
        span.min(LONGEST_WAIT.mul_f64(self.speed.max(1.0))).div_f64(self.speed).min(LONGEST_WAIT)
    }

    /// Ends when the provider's time is `at`.
    pub fn sleep_until(&self, at: Time) -> Sleep {
        let span = self.real(at.since(Time::ZERO));
        tokio::time::sleep_until(self.origin + span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_accelerated_minute_takes_a_second() {
        let clock = Clock::start(Duration::from_secs(1_000), 60.0);
        let before = Instant::now();
        clock.sleep_until(Time::ZERO + Duration::from_secs(60)).await;
        assert_eq!(before.elapsed().as_secs(), 1);
        assert!(Duration::from_secs(1_060) <= clock.unix());
        let absurd = Clock::start(Duration::ZERO, f64::NAN);
        assert_eq!(absurd.real(Duration::MAX), LONGEST_WAIT);
    }
}
