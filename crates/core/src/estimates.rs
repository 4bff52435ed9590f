//! How wrong the estimates of those in flight may be, all together.
//!
//! A charge that is only estimated may turn out larger. What answers taught about single estimates tells how much must
//! stay free for the sum of those that are not settled yet: little for many small ones, whose errors cancel out, and much
//! for a single large one.

use crate::tuning::{ESTIMATE_ERROR, ESTIMATE_MEMORY, ESTIMATE_SIGMAS};

/// Errors are counted up to this many standard deviations' worth of the charge: beyond it nothing is left to divide by.
const MOST_ERROR: f64 = 0.5;

#[derive(Debug)]
pub(crate) struct Estimates {
    error_variance: f64, // Of an estimate against what was charged in the end, relative to the latter.
    open_squares: f64,   // Sum of the squared costs that are not settled yet.
}

impl Default for Estimates {
    fn default() -> Self {
        Self { error_variance: ESTIMATE_ERROR * ESTIMATE_ERROR, open_squares: 0.0 }
    }
}

impl Estimates {
    /// Somebody goes who will cost about this much.
    pub(crate) fn note(&mut self, cost: u64) {
        self.open_squares += (cost as f64).powi(2);
    }

    /// One of them ended; `charged` is what it did cost, if that is known.
    pub(crate) fn settle(&mut self, cost: u64, charged: Option<u64>) {
        self.open_squares = (self.open_squares - (cost as f64).powi(2)).max(0.0);
        if let Some(charged) = charged.filter(|_| 0 < cost) {
            let error = ((charged as f64 - cost as f64) / charged.max(1) as f64).clamp(-1.0, 1.0);
            self.error_variance += (error * error - self.error_variance) / ESTIMATE_MEMORY;
        }
    }

    /// Takes over another's estimates: as wrong as the worse of the two.
    pub(crate) fn absorb(&mut self, other: &Estimates) {
        self.error_variance = self.error_variance.max(other.error_variance);
        self.open_squares += other.open_squares;
    }

    /// What must stay free lest those in flight, and one more of this cost, are charged more than they seem to be.
    pub(crate) fn margin(&self, cost: u64) -> f64 {
        let error = (ESTIMATE_SIGMAS * self.error_variance.sqrt()).min(MOST_ERROR);
        // An estimate that is too low by a fifth of the charge is exceeded by a quarter of itself.
        error / (1.0 - error) * (self.open_squares + (cost as f64).powi(2)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of a tenth of the charge, up and down.
    fn taught() -> Estimates {
        let mut estimates = Estimates::default();
        for charged in [90, 110].repeat(500) {
            estimates.note(100);
            estimates.settle(100, Some(charged));
        }
        estimates
    }

    #[test]
    fn many_small_ones_need_less_than_a_large_one() {
        let mut estimates = taught();
        let large = estimates.margin(100_000);
        assert!((40_000.0..46_000.0).contains(&large), "{large}");
        (0..99).for_each(|_| estimates.note(1_000));
        let small = estimates.margin(1_000);
        assert!((small - large / 10.0).abs() < 1.0, "{small}");
    }

    #[test]
    fn covers_an_estimate_that_is_three_deviations_too_low() {
        let estimates = taught();
        let (charged, deviation) = (100_000.0, 0.1);
        let cost = charged * (1.0 - 3.0 * deviation);
        assert!(charged <= cost + estimates.margin(cost as u64));
    }

    #[test]
    fn what_is_settled_needs_no_margin() {
        let mut estimates = Estimates::default();
        estimates.note(1_000);
        estimates.settle(1_000, None);
        assert_eq!(estimates.margin(0), 0.0);
        estimates.settle(1_000, Some(0)); // Free after all: nothing to divide by.
        assert!(estimates.margin(1_000).is_finite());
    }
}
