//! What headers prove about one bucket: a lower and an upper bound on what is left, never the truth.

use std::time::Duration;

use crate::feedback::LimitSeen;
use crate::ledger::Ledger;
use crate::time::Time;
use crate::tuning::{
    EVIDENCE_FRESH, EVIDENCE_REORDER, REFILL_LITTLE, REFILL_MUCH, REFILL_TOLERANCE, REFILL_TRUST,
};

/// The newest believable report. Ordered by when its request was sent, for responses overtake each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    remaining: u64,
    rounding: u64,
    sent_at: Time,
    /// Charged before the report's own request was sent, and certainly in it.
    counted: u64,
    /// Charged up to and including the report's own request.
    charged_then: u64,
    own_cost: u64,
}

/// When the reporting request was sent, and what it was charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) cost: u64,
}

impl Evidence {
    /// Reads a report; `None` when it is older than what is known, or impossible.
    pub(crate) fn read(
        seen: &LimitSeen,
        limit: u64,
        sent: Sent,
        ledger: &Ledger,
        known: Option<&Evidence>,
    ) -> Option<Self> {
        let remaining = seen.remaining?;
        if remaining > limit || known.is_some_and(|known| sent.at < known.sent_at) {
            return None;
        }
        Some(Self {
            remaining,
            rounding: seen.rounding.min(limit),
            sent_at: sent.at,
            counted: ledger.total_at(sent.at - EVIDENCE_REORDER),
            charged_then: ledger.total_after(sent.at),
            own_cost: sent.cost,
        })
    }

    pub(crate) fn is_fresh(&self, now: Time) -> bool {
        now.since(self.sent_at) <= EVIDENCE_FRESH
    }

    /// At least this much is left: what was left, less everything the report may not have counted, as far as estimates
    /// are right.
    ///
    /// `refills`: the meter is known to earn continuously, so that what it earned since counts too.
    pub(crate) fn at_least(&self, now: Time, ledger: &Ledger, quota: (u64, Duration), refills: bool) -> i64 {
        let (limit, window) = quota;
        let earned = if refills { self.earned(now, limit, window) * REFILL_TRUST } else { 0.0 };
        let uncounted = (ledger.total() - self.counted) as i64 - self.own_cost as i64;
        let margin = (self.rounding / 2) as i64;
        let left = self.remaining as i64 - uncounted.max(0) - margin;
        left.saturating_add(earned as i64).min(limit as i64)
    }

    /// At most this much is left: what was left and what was earned since, less what was sent after it. A window earns
    /// what leaves it, which may be much at once.
    pub(crate) fn at_most(&self, now: Time, ledger: &Ledger, limit: u64, window: Duration) -> i64 {
        let earned = self.earned(now, limit, window).max(ledger.gone_since(self.sent_at) as f64);
        let since = ledger.total().saturating_sub(self.charged_then) as i64;
        (self.remaining as i64 + self.rounding as i64 - since).saturating_add(earned as i64)
    }

    fn earned(&self, now: Time, limit: u64, window: Duration) -> f64 {
        limit as f64 * now.since(self.sent_at).as_secs_f64() / window.as_secs_f64()
    }
}

/// Whether a meter earns continuously, as a bucket does, or all at once, as a window does.
///
/// A bucket is full again after the used share of its window; a fixed window, after the rest of the minute; a sliding
/// one, a window after the last charge. The three agree at one point of use, but not at two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refill {
    with_little_used: bool,
    with_much_used: bool,
}

impl Refill {
    pub(crate) fn is_continuous(self) -> bool {
        self.with_little_used && self.with_much_used
    }

    /// `ago`: how long ago the report's request was sent. Its `reset` may count from then.
    pub(crate) fn handle_report(&mut self, seen: &LimitSeen, window: Duration, ago: Duration) {
        let (Some(limit), Some(remaining), Some(reset)) = (seen.limit, seen.remaining, seen.reset) else {
            return;
        };
        let used = limit.saturating_sub(remaining) as f64 / limit.max(1) as f64;
        if !REFILL_LITTLE.contains(&used) && !REFILL_MUCH.contains(&used) {
            return;
        }
        let full_in = window.mul_f64(used);
        let error = full_in.abs_diff(reset).min(full_in.abs_diff(reset.saturating_add(ago)));
        if REFILL_TOLERANCE < error {
            *self = Self::default();
        } else if REFILL_LITTLE.contains(&used) {
            self.with_little_used = true;
        } else {
            self.with_much_used = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Dimension;

    const MINUTE: Duration = Duration::from_secs(60);

    fn report(remaining: u64) -> LimitSeen {
        LimitSeen {
            dimension: Dimension::Requests,
            window: Some(MINUTE),
            window_is_guessed: false,
            limit: Some(600),
            remaining: Some(remaining),
            reset: None,
            rounding: 1,
        }
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn subtracts_what_the_report_may_not_have_counted() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(0), 10);
        ledger.charge(at(5_000), 1);
        let sent = Sent { at: at(5_000), cost: 1 };
        ledger.charge(at(6_000), 20);
        let evidence = Evidence::read(&report(500), 600, sent, &ledger, None).expect("believable");
        assert_eq!(evidence.at_least(at(6_000), &ledger, (600, MINUTE), false), 500 - 20);
        assert_eq!(evidence.at_most(at(6_000), &ledger, 600, MINUTE), 500 + 1 - 20 + 10);
    }

    #[test]
    fn only_a_bucket_refills_continuously() {
        let reports = |reset: fn(f64) -> f64| {
            let mut refill = Refill::default();
            for used in [0.05, 0.25, 0.35, 0.5, 0.65, 0.8] {
                let remaining = 600 - (used * 600.0) as u64;
                let reset = Some(Duration::from_secs_f64(reset(used)));
                refill.handle_report(&LimitSeen { reset, ..report(remaining) }, MINUTE, Duration::ZERO);
            }
            refill.is_continuous()
        };
        assert!(reports(|used| used * 60.0));
        assert!(!reports(|used| (1.0 - used) * 60.0), "a fixed window");
        assert!(!reports(|_| 60.0), "a sliding log");
    }

    #[test]
    fn ignores_reports_that_are_overtaken_or_impossible() {
        let mut ledger = Ledger::new(MINUTE);
        ledger.charge(at(0), 1);
        let sent = |millis| Sent { at: at(millis), cost: 1 };
        let newer = Evidence::read(&report(100), 600, sent(2_000), &ledger, None).expect("believable");
        assert!(Evidence::read(&report(500), 600, sent(1_000), &ledger, Some(&newer)).is_none());
        assert!(Evidence::read(&report(601), 600, sent(3_000), &ledger, Some(&newer)).is_none());
    }
}
