//! Keeps the flow smooth: a small bucket that refills at the steady rate and may go into debt.
//!
//! Providers enforce a minute's limit by the second or by ten, so a pacer lets through little more than the steady rate
//! at once. A request larger than the bucket goes when the bucket is full and leaves a debt; refusing it until the
//! bucket "holds enough" would refuse it for ever.

use std::time::Duration;

use crate::time::Time;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    level: f64,
    at: Time,
}

/// What a pacer runs at, decided anew for each question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Units earned per second.
    pub(crate) rate: f64,
    /// What a request must find saved up at most, however large it is.
    pub(crate) burst: f64,
    /// The most that can be saved up.
    pub(crate) saved: f64,
}

impl Pacer {
    /// Starts with `level` saved up.
    pub(crate) fn new(now: Time, level: f64) -> Self {
        Self { level, at: now }
    }

    /// Earns until `now`.
    pub(crate) fn advance(&mut self, now: Time, pace: Pace) {
        let earned = now.since(self.at).as_secs_f64() * pace.rate;
        // A pace that shrank takes nothing away: what was saved is kept, but not added to.
        self.level = (self.level + earned).min(pace.saved.max(self.level));
        self.at = self.at.max(now);
    }

    /// When `cost` may go, with `hold` kept for others (or, below zero, that much of debt allowed).
    pub(crate) fn ready_at(&self, cost: f64, hold: f64, pace: Pace) -> Time {
        // Nobody need find more than can be saved up: whoever is held back while all is saved waits for something else.
        let needed = (cost.min(pace.burst) + hold).min(pace.burst.max(pace.saved));
        let missing = needed - self.level;
        if missing <= 1e-9 {
            return self.at;
        }
        if pace.rate <= 0.0 {
            return Time::NEVER;
        }
        // One nanosecond more, lest rounding wakes us just too early.
        self.at
            + Duration::try_from_secs_f64(missing / pace.rate).unwrap_or(Duration::MAX)
            + Duration::from_nanos(1)
    }

    /// Spends `cost`; what was ready before may leave a debt.
    pub(crate) fn take(&mut self, cost: f64) {
        self.level -= cost;
    }

    /// Gives back what a request did not use (or takes what it used on top).
    pub(crate) fn correct(&mut self, delta: f64, pace: Pace) {
        self.level = (self.level + delta).min(pace.saved.max(self.level));
    }

    /// Spends everything saved up: after a refusal nothing may go at once.
    pub(crate) fn drain(&mut self) {
        self.level = self.level.min(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { rate: 10.0, burst: 8.0, saved: 8.0 };

    fn at(secs: f64) -> Time {
        Time::ZERO + Duration::from_secs_f64(secs)
    }

    fn next(pacer: &mut Pacer, now: Time, cost: f64) -> Time {
        pacer.advance(now, PACE);
        pacer.ready_at(cost, 0.0, PACE)
    }

    #[test]
    fn lets_a_small_burst_through_and_then_keeps_the_rate() {
        let mut pacer = Pacer::new(Time::ZERO, 8.0);
        let mut now = Time::ZERO;
        let mut sent = 0;
        while now < at(60.0) {
            let ready = next(&mut pacer, now, 1.0);
            if ready <= now {
                pacer.take(1.0);
                sent += 1;
            } else {
                now = ready;
            }
        }
        assert!((606..=609).contains(&sent), "{sent}");
    }

    #[test]
    fn a_full_bucket_lets_through_whatever_is_held_for_others() {
        let mut pacer = Pacer::new(Time::ZERO, 0.0);
        let ready = pacer.ready_at(2.0, 8.0, PACE);
        pacer.advance(ready, PACE);
        assert!(pacer.ready_at(2.0, 8.0, PACE) <= ready);
    }

    #[test]
    fn a_request_larger_than_the_bucket_leaves_a_debt() {
        let mut pacer = Pacer::new(Time::ZERO, 0.0);
        assert!(next(&mut pacer, Time::ZERO, 50.0) > at(0.79));
        pacer.advance(at(0.8), PACE);
        pacer.take(50.0);
        let ready = next(&mut pacer, at(0.8), 1.0);
        assert!(ready > at(5.0) && ready < at(5.2), "{ready}");
    }

    #[test]
    fn stands_still_without_a_rate() {
        let pacer = Pacer::new(Time::ZERO, 0.0);
        assert_eq!(pacer.ready_at(1.0, 0.0, Pace { rate: 0.0, burst: 1.0, saved: 1.0 }), Time::NEVER);
    }
}
