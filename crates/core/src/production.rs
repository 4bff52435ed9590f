//! Output tokens are not known before: what is known is what answers produced so far, and how fast.
//!
//! Learns the mean length and the speed from *all* answers, those in flight included. The finished ones alone would
//! mislead: the short ones finish first.

use std::time::Duration;

use crate::quota::MOST_UNITS;
use crate::time::Time;
use crate::tuning::{OUTPUT_MEAN_PRIOR, OUTPUT_MEMORY, OUTPUT_PRIOR_WEIGHT, OUTPUT_SPEED_PRIOR};

#[derive(Debug)]
pub(crate) struct Production {
    tokens: f64,
    seconds: f64,
    answers: f64,
    in_flight: u32,
    started_secs: f64, // Sum over those in flight of the second they started in.
}

impl Production {
    pub(crate) fn new() -> Self {
        let tokens = OUTPUT_MEAN_PRIOR * OUTPUT_PRIOR_WEIGHT;
        Self {
            tokens,
            seconds: tokens / OUTPUT_SPEED_PRIOR,
            answers: OUTPUT_PRIOR_WEIGHT,
            in_flight: 0,
            started_secs: 0.0,
        }
    }

    pub(crate) fn start(&mut self, now: Time) {
        self.in_flight += 1;
        self.started_secs += now.as_secs_f64();
    }

    /// An answer left the flight, having produced `tokens` if that is known.
    pub(crate) fn end(&mut self, started: Time, lasted: Duration, tokens: Option<u64>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.started_secs -= started.as_secs_f64();
        let Some(tokens) = tokens else { return };
        let keep = 1.0 - 1.0 / OUTPUT_MEMORY;
        self.tokens = self.tokens * keep + tokens as f64;
        self.seconds = self.seconds * keep + lasted.as_secs_f64();
        self.answers = self.answers * keep + 1.0;
    }

    /// Takes over another's answers in flight.
    pub(crate) fn absorb(&mut self, other: &Production) {
        self.in_flight += other.in_flight;
        self.started_secs += other.started_secs;
    }

    /// Tokens an answer makes per second of its flight, on average.
    pub(crate) fn speed(&self) -> f64 {
        (self.tokens / self.seconds.max(1e-3)).max(1.0)
    }

    /// Tokens that those in flight have probably produced by now.
    pub(crate) fn underway(&self, now: Time) -> u64 {
        (self.elapsed(now) * self.speed()) as u64
    }

    /// Tokens that an answer capped at `max` will probably produce.
    pub(crate) fn expected(&self, now: Time, max: Option<u64>) -> u64 {
        let mean = (self.tokens + self.elapsed(now) * self.speed()) / self.answers;
        (mean.ceil() as u64).min(max.unwrap_or(MOST_UNITS)).max(1)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    fn elapsed(&self, now: Time) -> f64 {
        (f64::from(self.in_flight) * now.as_secs_f64() - self.started_secs).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of 100..1,000 tokens at 100 tokens/s, all started at once; after two seconds only the short ones ended.
    #[test]
    fn is_not_misled_by_the_short_answers_that_end_first() {
        let mut production = Production::new();
        for _ in 0..100 {
            production.start(Time::ZERO);
        }
        let now = Time::ZERO + Duration::from_secs(2);
        for answer in 1..=20u64 {
            production.end(Time::ZERO, Duration::from_millis(answer * 100), Some(answer * 10));
        }
        let naive = (1..=20u64).map(|a| a * 10).sum::<u64>() / 20;
        assert!(naive < 110);
        assert!(production.expected(now, None) > 500, "{}", production.expected(now, None));
    }

    #[test]
    fn never_expects_more_than_the_cap() {
        let production = Production::new();
        assert_eq!(production.expected(Time::ZERO, Some(16)), 16);
        assert_eq!(production.expected(Time::ZERO, Some(0)), 1);
    }
}
