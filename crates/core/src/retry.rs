//! How often and how soon a failed request is tried again.

use std::time::Duration;

use crate::engine::Config;
use crate::time::Time;

const SLOTS: usize = 10; // One second each.

/// The retry budget that all requests share: a share of the requests, and a floor, over ten seconds.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    share: f64,
    floor: f64,
    slots: [(u32, u32); SLOTS], // Requests and retries of each second.
    newest: u64,
    retries: u64,
}

impl RetryBudget {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            share: config.retry_share,
            floor: config.retry_floor_per_second,
            slots: [(0, 0); SLOTS],
            newest: 0,
            retries: 0,
        }
    }

    pub(crate) fn set_config(&mut self, config: &Config) {
        self.share = config.retry_share;
        self.floor = config.retry_floor_per_second;
    }

    /// A first attempt goes out: it pays into the budget.
    pub(crate) fn deposit(&mut self, now: Time) {
        self.slot(now).0 += 1;
    }

    /// Takes one retry from the budget, if it holds one.
    pub(crate) fn try_withdraw(&mut self, now: Time) -> bool {
        self.slot(now);
        let (requests, retries) =
            self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        let allowed = f64::from(requests) * self.share + self.floor * SLOTS as f64;
        if allowed < f64::from(retries + 1) {
            return false;
        }
        self.slot(now).1 += 1;
        self.retries += 1;
        true
    }

    /// Retries since the start.
    pub(crate) fn retries(&self) -> u64 {
        self.retries
    }

    fn slot(&mut self, now: Time) -> &mut (u32, u32) {
        let second = now.as_nanos() / 1_000_000_000;
        for stale in (self.newest + 1..=second).take(SLOTS) {
            self.slots[(stale % SLOTS as u64) as usize] = (0, 0);
        }
        self.newest = self.newest.max(second);
        &mut self.slots[(self.newest % SLOTS as u64) as usize]
    }
}

/// Exponential backoff with full jitter. `failures` counts from 1; `jitter` is in 0..1.
pub(crate) fn backoff(config: &Config, failures: u32, jitter: f64) -> Duration {
    let doubled = config.backoff_base.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(20)));
    doubled.min(config.backoff_cap).mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn allows_a_share_of_the_requests_and_a_floor() {
        let mut budget = RetryBudget::new(&Config::default());
        (0..1_000).for_each(|_| budget.deposit(at(1)));
        let granted = (0..1_000).filter(|_| budget.try_withdraw(at(2))).count();
        assert_eq!(granted, 300);
        assert!(!budget.try_withdraw(at(9)));
        assert!(budget.try_withdraw(at(13)), "what was spent ten seconds ago no longer counts");
    }

    #[test]
    fn backoff_doubles_to_its_cap() {
        let config = Config::default();
        let longest = |failures| backoff(&config, failures, 1.0).as_millis();
        assert_eq!([longest(1), longest(2), longest(3), longest(99)], [500, 1_000, 2_000, 30_000]);
        assert_eq!(backoff(&config, 5, 0.0), Duration::ZERO);
    }
}
