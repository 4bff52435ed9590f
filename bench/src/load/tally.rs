//! What came of the requests: times as quantiles, and the first words of what went wrong.

use std::time::Duration;

use serde::Serialize;

/// Kinds of trouble that are told in words; there is never need for more.
const MOST_TROUBLES: usize = 3;

/// The outcome of one caller, or of all together.
#[derive(Debug, Default)]
pub struct Tally {
    times: Vec<Duration>,
    wrong: usize,
    reconnects: usize,
    troubles: Vec<String>,
}

/// A tally as it is told.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Right answers.
    pub requests: usize,
    /// Requests without one.
    pub wrong: usize,
    /// Connections that the peer closed between two answers.
    pub reconnects: usize,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Right answers a second.
    pub per_second: f64,
    /// Half of the answers took no longer.
    pub p50_micros: f64,
    /// All but one in a hundred took no longer.
    pub p99_micros: f64,
    /// None took longer.
    pub max_micros: f64,
    /// What went wrong, in words.
    pub troubles: Vec<String>,
}

impl Tally {
    /// Counts a right answer.
    pub fn right(&mut self, took: Duration) {
        self.times.push(took);
    }

    /// Counts a request without a right answer.
    pub fn wrong(&mut self, error: &anyhow::Error) {
        self.wrong += 1;
        let said: String = format!("{error:#}").chars().take(300).collect();
        if self.troubles.len() < MOST_TROUBLES && !self.troubles.contains(&said) {
            self.troubles.push(said);
        }
    }

    /// Counts a connection that was found closed.
    pub fn reconnected(&mut self) {
        self.reconnects += 1;
    }

    /// Adds another's outcome.
    pub fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.wrong += other.wrong;
        self.reconnects += other.reconnects;
        for said in other.troubles {
            if self.troubles.len() < MOST_TROUBLES && !self.troubles.contains(&said) {
                self.troubles.push(said);
            }
        }
    }

    /// Everything in figures, after `elapsed` in all.
    pub fn figures(mut self, elapsed: Duration) -> Figures {
        self.times.sort_unstable();
        let seconds = elapsed.as_secs_f64();
        Figures {
            requests: self.times.len(),
            wrong: self.wrong,
            reconnects: self.reconnects,
            seconds,
            per_second: self.times.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            p50_micros: micros(&self.times, 0.50),
            p99_micros: micros(&self.times, 0.99),
            max_micros: micros(&self.times, 1.0),
            troubles: self.troubles,
        }
    }
}

/// The smallest time that `share` of all do not exceed; 0 of none.
fn micros(sorted: &[Duration], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let mut tally = Tally::default();
        for micros in (1..=200).rev() {
            tally.right(Duration::from_micros(micros));
        }
        let figures = tally.figures(Duration::from_secs(2));
        let found = (figures.p50_micros, figures.p99_micros, figures.max_micros, figures.per_second);
        assert_eq!(found, (100.0, 198.0, 200.0, 100.0));
    }

    #[test]
    fn nothing_measured_is_no_trouble() {
        let figures = Tally::default().figures(Duration::ZERO);
        assert_eq!((figures.requests, figures.p99_micros), (0, 0.0));
    }
}
