//! Tells from arithmetic over how long a limit runs.
//!
//! A bucket that refills continuously is full again after `used / limit * window`. So `reset`, `limit` and `remaining`
//! betray the window, within what rounding hides: `remaining` is cut to a whole number, `reset` to a millisecond.

use std::time::Duration;

/// The windows that providers use.
const CANDIDATES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
];

/// What cutting to a millisecond hides above the value, and what rounding instead would hide below it.
const CUT: u128 = 1_000_000;
const ROUNDED: u128 = 500_000;
/// One part in this many is forgiven besides: the parts of an answer are not computed in the same instant. Candidates lie
/// at least six times apart, so this confuses none.
const SLACK: u128 = 50;

/// From so many units in use on, the unit that `remaining` hides is a small enough part of them to be allowed for.
const ENOUGH: u64 = 3;

/// The window that makes the three numbers agree; `None` when none does or more than one.
pub(super) fn infer(limit: u64, remaining: u64, reset: Duration) -> Option<Duration> {
    let used = limit.checked_sub(remaining).filter(|used| *used > 0)?;
    if reset.is_zero() {
        return None;
    }
    let seen = Seen { limit: u128::from(limit), reset: reset.as_nanos() };
    // The real level lies anywhere in the last unit. With hardly a unit in use that is next to no evidence: the countdown
    // of a fixed window would pass for a day's bucket. Such a report has to fit to the unit, as that of a bucket which was
    // full before does.
    let low = if used < ENOUGH { used } else { used - 1 };
    let mut fitting = CANDIDATES.into_iter().filter(|window| seen.fits(low, used, *window));
    let first = fitting.next()?;
    if fitting.next().is_some() { None } else { Some(first) }
}

struct Seen {
    limit: u128,
    reset: u128,
}

impl Seen {
    /// Whether a use between `low` and `high` of a `window` shows this reset.
    fn fits(&self, low: u64, high: u64, window: Duration) -> bool {
        // Both sides are multiplied by the limit, since divisions of 128 bits are slow. A limit is at most 10^15 and a reset a
        // year, so nothing here reaches 10^34.
        let explained = |used: u64| u128::from(used) * window.as_nanos();
        let seen = |reset: u128| reset * self.limit;
        let seen_low = seen(self.reset.saturating_sub(ROUNDED));
        let seen_high = seen(self.reset.saturating_add(CUT));
        explained(low) * (SLACK - 1) <= seen_high * SLACK && seen_low * SLACK <= explained(high) * (SLACK + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recorded_headers_betray_their_window() {
        let cases = [
            (10_000, 9_999, 6, Some(60)),
            (10_000, 9_999, 8_640, Some(86_400)),
            (30_000, 29_999, 2, Some(60)),
            (200, 196, 1_396_298, Some(86_400)),
            (14_400, 14_397, 17_399, Some(86_400)),
            (30_000_000, 29_998_385, 3, Some(60)),
            (120, 119, 500, Some(60)),
            (60, 59, 16, Some(1)),
            (600, 300, 30_000, Some(60)),
            (600, 0, 5_000, None),
            (600, 600, 0, None),
            (600, 599, 0, None),
            (10_000, 9_999, 86, None), // A day's bucket with a hundredth of a request left to refill, or an hour's.
            (10_000, 9_998, 12, Some(60)),
            (10_000, 9_998, 17_280, Some(86_400)),
            (10, 20, 100, None),
            (0, 0, 100, None),
        ];
        for (limit, remaining, millis, want) in cases {
            let window = infer(limit, remaining, Duration::from_millis(millis));
            assert_eq!(
                window.map(|window| window.as_secs()),
                want,
                "{remaining} of {limit}, reset in {millis} ms"
            );
        }
    }

    #[test]
    fn a_countdown_with_hardly_a_unit_in_use_is_no_days_bucket() {
        for limit in [500, 1_000, 2_000, 5_000] {
            for seconds in [1, 5, 12, 20, 30, 59] {
                for used in [1, 2] {
                    let window = infer(limit, limit - used, Duration::from_secs(seconds));
                    assert_eq!(window, None, "{used} of {limit} used, {seconds} s to go");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn never_a_wrong_window(
            limit in 1u64..1_000_000, at in 0usize..5, level in 0.0f64..1.0,
        ) {
            // A bucket of this limit and window, filled to some level, with the header's own rounding.
            let window = CANDIDATES[at];
            let used = level * limit as f64;
            let remaining = (limit as f64 - used).floor() as u64;
            let reset = Duration::from_millis((used / limit as f64 * window.as_secs_f64() * 1e3).floor() as u64);
            // With a unit or less in use the answer is a best guess; above, it is never wrong.
            if limit - remaining > 1 {
                prop_assert!(infer(limit, remaining, reset).is_none_or(|inferred| inferred == window));
            }
        }

        #[test]
        fn no_numbers_panic(limit: u64, remaining: u64, seconds: u64, nanos in 0u32..1_000_000_000) {
            let _ = infer(limit % 1_000_000_000_000_001, remaining, Duration::new(seconds, nanos));
        }
    }
}
