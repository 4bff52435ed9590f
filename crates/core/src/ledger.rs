//! The exact guard: a sliding window over our own charges.
//!
//! Who keeps every window of length W within a limit keeps a fixed window of any phase and a refilling bucket too, so
//! this one ledger stands for all the algorithms providers use. It is a ring of bins; a bin counts until its youngest
//! charge has left the window.

mod bins;

use std::time::Duration;

use self::bins::{Bin, Bins};
use crate::time::Time;
use crate::tuning::{LEDGER_BINS, LEDGER_GUARD};

#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    bin_nanos: u64,
    bins: Bins,
    newest: u64, // Index, since the origin of time, of the youngest bin.
    sum: i64,
    total: u64, // Everything ever charged; never corrected.
    gone: i64,  // Everything that has left the window.
    best: Option<(Known, Time)>,
}

/// What the last answer to [`Ledger::best_fall`] was found for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    newest: u64,
    sum: i64,
    target: u64,
}

impl Ledger {
    pub(crate) fn new(window: Duration) -> Self {
        let window_nanos = (window.as_nanos() as u64).max(LEDGER_BINS);
        let bin_nanos = window_nanos / LEDGER_BINS;
        // Short windows cannot afford the whole guard: a tenth of them is plenty.
        let guard = (LEDGER_GUARD.as_nanos() as u64).min(window_nanos / 10);
        let bins = (window_nanos + guard).div_ceil(bin_nanos) + 1;
        Self { bin_nanos, bins: Bins::new(bins as usize), newest: 0, sum: 0, total: 0, gone: 0, best: None }
    }

    /// Charges in the window that ends at `now`.
    pub(crate) fn sum(&mut self, now: Time) -> u64 {
        self.advance(now);
        self.sum.max(0) as u64
    }

    /// The same without advancing: for a look from outside.
    pub(crate) fn peek_sum(&self, now: Time) -> u64 {
        let current = now.as_nanos() / self.bin_nanos;
        let expired = current.saturating_sub(self.newest).min(self.bins.len() as u64);
        let gone: i64 = (1..=expired).map(|step| self.bins[self.slot(self.newest + step)].amount).sum();
        (self.sum - gone).max(0) as u64
    }

    /// Charges `amount` now.
    pub(crate) fn charge(&mut self, now: Time, amount: u64) {
        self.advance(now);
        if amount == 0 {
            return;
        }
        let slot = self.slot(self.newest);
        self.bins[slot].amount += amount as i64;
        self.sum += amount as i64;
        self.total = self.total.saturating_add(amount);
    }

    /// Corrects what was charged at `at`, unless that has left the window.
    pub(crate) fn adjust(&mut self, at: Time, delta: i64) {
        let index = (at.as_nanos() / self.bin_nanos).min(self.newest);
        if index + (self.bins.len() as u64) <= self.newest {
            return;
        }
        if delta == 0 {
            return;
        }
        let slot = self.slot(index);
        self.bins[slot].amount += delta;
        self.sum += delta;
    }

    /// Charges `amount` evenly over the time from `from` to `to` (both past).
    pub(crate) fn spread(&mut self, from: Time, to: Time, amount: u64) {
        const PIECES: u64 = 32;
        let span = to.since(from);
        let pieces = (span.as_nanos() as u64 / self.bin_nanos).clamp(1, PIECES);
        self.advance(to);
        for piece in 0..pieces {
            let share = amount * (piece + 1) / pieces - amount * piece / pieces;
            let at = from + span.mul_f64((piece as f64 + 0.5) / pieces as f64);
            self.adjust(at, share as i64);
        }
        self.total = self.total.saturating_add(amount);
    }

    /// Takes over what another ledger of the same window holds.
    pub(crate) fn absorb(&mut self, now: Time, mut other: Ledger) {
        if (self.bin_nanos, self.bins.len()) != (other.bin_nanos, other.bins.len()) {
            return;
        }
        self.advance(now);
        other.advance(now);
        if other.bins.are_used() {
            for slot in 0..self.bins.len() {
                self.bins[slot].amount += other.bins[slot].amount;
                self.bins[slot].total_before += other.bins[slot].total_before;
                self.bins[slot].gone_before += other.bins[slot].gone_before;
            }
        }
        self.sum += other.sum;
        self.gone += other.gone;
        self.total = self.total.saturating_add(other.total);
    }

    /// Everything ever charged.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What had been charged in all by `at`, never more (to the bin's start).
    pub(crate) fn total_at(&self, at: Time) -> u64 {
        let index = at.as_nanos() / self.bin_nanos;
        if index > self.newest {
            return self.total;
        }
        let oldest = self.newest.saturating_sub(self.bins.len() as u64 - 1);
        self.bins[self.slot(index.max(oldest))].total_before
    }

    /// What had been charged in all by the end of the bin that holds `at`.
    pub(crate) fn total_after(&self, at: Time) -> u64 {
        self.total_at(at + Duration::from_nanos(self.bin_nanos))
    }

    /// What has left the window since `at`, as far as was seen; never less.
    pub(crate) fn gone_since(&self, at: Time) -> u64 {
        let index = at.as_nanos() / self.bin_nanos;
        if index > self.newest {
            return 0;
        }
        let oldest = self.newest.saturating_sub(self.bins.len() as u64 - 1);
        (self.gone - self.bins[self.slot(index.max(oldest))].gone_before).max(0) as u64
    }

    /// When the sum will have fallen to `target`, if nothing else is charged.
    pub(crate) fn falls_to(&mut self, now: Time, target: u64) -> Time {
        self.advance(now);
        self.falls_to_from(now, target)
    }

    fn falls_to_from(&self, now: Time, target: u64) -> Time {
        let mut sum = self.sum;
        let count = self.bins.len() as u64;
        let oldest = self.newest.saturating_sub(count - 1);
        for index in oldest..=self.newest {
            if sum <= target as i64 {
                return Time::from_nanos(index.saturating_add(count - 1).saturating_mul(self.bin_nanos))
                    .max(now);
            }
            sum -= self.bins[self.slot(index)].amount;
        }
        Time::from_nanos((self.newest + count).saturating_mul(self.bin_nanos))
    }

    /// When best to have the sum fallen to `target`, so as to charge `need` then: soon, but with little room idle until
    /// then. Room is saved up as late as possible; where much was charged at once, much leaves the window at once, and
    /// waiting for that costs others nothing. A second's wait is worth `impatience` of idle room times seconds.
    pub(crate) fn best_fall(&mut self, now: Time, target: u64, need: u64, impatience: f64) -> Time {
        self.advance(now);
        let known = Known { newest: self.newest, sum: self.sum, target };
        if let Some((_, at)) = self.best.filter(|(same, _)| *same == known) {
            return at.max(now);
        }
        let at = self.find_best_fall(now, target, need, impatience);
        self.best = Some((known, at));
        at
    }

    fn find_best_fall(&self, now: Time, target: u64, need: u64, impatience: f64) -> Time {
        let (mut sum, count) = (self.sum, self.bins.len() as u64);
        let oldest = self.newest.saturating_sub(count - 1);
        let leaves_at = |index: u64| Time::from_nanos((index + count - 1).saturating_mul(self.bin_nanos));
        let bin_secs = self.bin_nanos as f64 / 1e9;
        let mut best = (f64::INFINITY, self.falls_to_from(now, target));
        let need = need as f64;
        // Idle room from the bin `from` on, if all is gathered by the bin `index`: the gone since, summed up.
        let (mut from, mut gone, mut gone_before, mut idle) = (oldest, 0.0, 0.0, 0.0);
        for index in oldest..=self.newest {
            let at = leaves_at(index).max(now);
            if sum <= target as i64 {
                while from < index && need - (gone - gone_before) <= 0.0 {
                    idle -= gone_before;
                    gone_before += self.bins[self.slot(from)].amount as f64;
                    from += 1;
                }
                let waste = ((index - from) as f64 * (need - gone) + idle) * bin_secs;
                let cost = waste + impatience * at.since(now).as_secs_f64();
                if cost < best.0 {
                    best = (cost, at);
                }
            }
            let amount = self.bins[self.slot(index)].amount;
            idle += gone;
            sum -= amount;
            gone += amount as f64;
        }
        best.1
    }

    fn slot(&self, index: u64) -> usize {
        (index % self.bins.len() as u64) as usize
    }

    fn advance(&mut self, now: Time) {
        let current = now.as_nanos() / self.bin_nanos;
        if current <= self.newest {
            return;
        }
        let steps = (current - self.newest).min(self.bins.len() as u64);
        if !self.bins.are_used() {
            self.newest = current;
            return;
        }
        for index in current - steps + 1..=current {
            let slot = self.slot(index);
            self.sum -= self.bins[slot].amount;
            self.gone += self.bins[slot].amount;
            self.bins[slot] = Bin { amount: 0, total_before: self.total, gone_before: self.gone };
        }
        self.newest = current;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn forgets_a_charge_after_its_window_and_guard() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(1_000), 7);
        assert_eq!(ledger.sum(at(61_000)), 7);
        assert_eq!(ledger.sum(at(61_100)), 7);
        assert_eq!(ledger.sum(at(61_200)), 0);
    }

    #[test]
    fn a_large_one_waits_for_much_that_leaves_at_once() {
        let mut ledger = Ledger::new(MINUTE);
        for second in 0..60 {
            ledger.charge(at(second * 1_000), if second == 20 { 200 } else { 10 });
        }
        let now = at(60_000);
        let best = |ledger: &mut Ledger, impatience| ledger.best_fall(now, 590, 200, impatience);
        let soonest = best(&mut ledger, 1e9);
        assert_eq!(soonest, ledger.falls_to(now, 590));
        assert!(soonest < at(80_000), "{soonest}");
        ledger.best = None;
        let patient = best(&mut ledger, 1.0);
        assert!(at(80_100) < patient && patient < at(80_500), "{patient}");
        assert_eq!(best(&mut ledger, 1.0), patient, "the same question has the same answer");
    }

    #[test]
    fn knows_what_has_left_the_window_since() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(0), 5);
        ledger.charge(at(2_000), 7);
        assert_eq!(ledger.sum(at(61_000)), 7);
        assert_eq!((ledger.gone_since(at(59_000)), ledger.gone_since(at(61_000))), (5, 0));
        assert_eq!(ledger.sum(at(63_000)), 0);
        assert_eq!((ledger.gone_since(at(59_000)), ledger.gone_since(at(61_500))), (12, 7));
    }

    #[test]
    fn tells_when_room_comes() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(0), 5);
        ledger.charge(at(10_000), 5);
        let when = ledger.falls_to(at(20_000), 5);
        assert!(ledger.sum(when) <= 5, "{when}");
        assert!(ledger.sum(when) == 5 && when < at(60_400), "{when}");
    }

    #[test]
    fn spreads_what_was_produced_over_time() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.spread(at(0), at(30_000), 1_000);
        assert_eq!(ledger.sum(at(30_000)), 1_000);
        let half = ledger.sum(at(75_100));
        assert!((450..=550).contains(&half), "{half}");
    }

    #[test]
    fn takes_no_room_until_something_is_charged() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(1_000), 0);
        ledger.adjust(at(1_000), 0);
        ledger.spread(at(0), at(2_000), 0);
        assert_eq!((ledger.sum(at(5_000)), ledger.peek_sum(at(90_000))), (0, 0));
        assert!(!ledger.bins.are_used());
        let mut other = Ledger::new(MINUTE);
        other.charge(at(5_000), 3);
        ledger.absorb(at(6_000), other.clone());
        other.absorb(at(6_000), Ledger::new(MINUTE));
        assert_eq!((ledger.sum(at(6_000)), other.sum(at(6_000))), (3, 3));
        assert_eq!((ledger.total_at(at(4_000)), ledger.total_after(at(5_000))), (0, 3));
    }

    #[test]
    fn two_that_become_one_count_everything_once() {
        let (mut one, mut other) = (Ledger::new(MINUTE), Ledger::new(MINUTE));
        one.charge(at(1_000), 7);
        other.charge(at(500), 2);
        other.charge(at(30_000), 5);
        one.absorb(at(30_010), other);
        assert_eq!((one.total(), one.total_at(at(20_000)), one.total_after(at(1_000))), (14, 9, 9));
        for (now, sum) in [(30_010, 14), (60_900, 12), (62_000, 5), (91_000, 0)] {
            assert_eq!(one.sum(at(now)), sum, "{now}");
        }
    }

    proptest! {
        /// The ring agrees with a log of every charge: never below it, above it only by what the guard and a bin keep.
        #[test]
        fn agrees_with_a_naive_log(steps in prop::collection::vec((0u64..5_000, 0u64..100), 1..300)) {
            let mut ledger = Ledger::new(MINUTE);
            let mut log: VecDeque<(u64, u64)> = VecDeque::new();
            let mut now = 0;
            for (pause, amount) in steps {
                now += pause;
                ledger.charge(at(now), amount);
                log.push_back((now, amount));
                let window = |keep: u64| log.iter().filter(|(t, _)| t + keep > now).map(|(_, a)| a).sum::<u64>();
                let sum = ledger.sum(at(now));
                prop_assert_eq!(ledger.peek_sum(at(now)), sum);
                prop_assert!(window(60_000) <= sum && sum <= window(60_300));
                let room = ledger.falls_to(at(now), sum / 2);
                prop_assert!(ledger.peek_sum(room) <= sum / 2);
            }
        }
    }
}
