//! The gate that a refusal closes for everybody: it opens with one probe, never with a stampede.

use std::time::Duration;

use crate::engine::AttemptId;
use crate::time::Time;
use crate::tuning::{GATE_CAP, GATE_DEFAULT, GATE_FACTOR, GATE_LONGEST, GATE_RELAPSE, PROBE_GRACE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open {
        since: Time,
        failed: u32, // Probes in a row, before it opened.
    },
    Closed {
        until: Time,
        failed: u32, // Probes in a row.
    },
    Probing {
        attempt: AttemptId,
        passes_at: Time,
        failed: u32,
    },
}

impl Gate {
    /// Has never been closed.
    pub(crate) const OPEN: Gate = Gate::Open { since: Time::ZERO, failed: 0 };

    /// When a request may pass: `now` or earlier means yes (as the probe, if the gate is not open).
    pub(crate) fn ready_at(&mut self, now: Time) -> Time {
        match *self {
            Gate::Open { .. } => Time::ZERO,
            Gate::Closed { until, .. } => until,
            Gate::Probing { passes_at, failed, .. } => {
                if passes_at <= now {
                    *self = Gate::Open { since: now, failed }; // Refusals come fast: no refusal by now means that it passed.
                }
                passes_at
            }
        }
    }

    /// An attempt passes. Through a gate whose time has come, it is the probe.
    pub(crate) fn pass(&mut self, now: Time, attempt: AttemptId) {
        if let Gate::Closed { failed, .. } = *self {
            *self = Gate::Probing { attempt, passes_at: now + PROBE_GRACE, failed };
        }
    }

    /// The attempt was accepted, or ended in a way that says nothing about limits.
    pub(crate) fn handle_accepted(&mut self, now: Time, accepted: AttemptId) {
        if let Gate::Probing { attempt, failed, .. } = *self
            && attempt == accepted
        {
            *self = Gate::Open { since: now, failed };
        }
    }

    /// A refusal closes the gate for the hinted time, a little jittered (`jitter` in 0..1) and capped.
    /// True when it was the probe that failed, or the gate had just opened: that says nothing that was not known.
    pub(crate) fn close(
        &mut self,
        now: Time,
        refused: AttemptId,
        hint: Option<Duration>,
        jitter: f64,
    ) -> bool {
        let (known, failed, nothing_new) = match *self {
            Gate::Open { since, failed } if since != Time::ZERO && now.since(since) < GATE_RELAPSE => {
                (Time::ZERO, failed + 1, true)
            }
            Gate::Open { .. } => (Time::ZERO, 0, false),
            Gate::Closed { until, failed } => (until, failed, false),
            Gate::Probing { attempt, failed, .. } if attempt == refused => (Time::ZERO, failed + 1, true),
            Gate::Probing { failed, .. } => (Time::ZERO, failed, false),
        };
        let unhinted = GATE_DEFAULT.saturating_mul(GATE_FACTOR.saturating_pow(failed)).min(GATE_LONGEST);
        let wait = hint.map_or(unhinted, |hint| hint.min(GATE_CAP));
        let until = now + wait.mul_f64(1.0 + 0.1 * jitter);
        *self = Gate::Closed { until: until.max(known), failed };
        nothing_new
    }

    /// Closes until an instant that is known, such as a daily reset.
    pub(crate) fn close_until(&mut self, until: Time) {
        *self = Gate::Closed { until, failed: 0 };
    }

    pub(crate) fn closed_for(&self, now: Time) -> Option<Duration> {
        match self {
            Gate::Closed { until, .. } if now < *until => Some(until.since(now)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn opens_with_one_probe() {
        let mut gate = Gate::OPEN;
        gate.close(at(0), AttemptId(0), Some(Duration::from_secs(2)), 0.0);
        assert_eq!(gate.ready_at(at(10)), at(2_000));
        gate.pass(at(2_000), AttemptId(1));
        assert!(gate.ready_at(at(2_001)) > at(2_001), "one probe at a time");
        gate.handle_accepted(at(2_001), AttemptId(7));
        assert!(gate.ready_at(at(2_001)) > at(2_001), "another attempt's answer proves nothing");
        gate.handle_accepted(at(2_001), AttemptId(1));
        assert!(gate.ready_at(at(2_002)) <= at(2_002));
    }

    #[test]
    fn a_probe_that_is_not_refused_has_passed() {
        let mut gate = Gate::OPEN;
        gate.close(at(0), AttemptId(0), None, 0.0);
        gate.pass(at(1_000), AttemptId(1));
        let passes = gate.ready_at(at(1_000));
        assert!(gate.ready_at(passes) <= passes);
        assert!(matches!(gate, Gate::Open { .. }));
    }

    #[test]
    fn failed_probes_only_lengthen_the_wait() {
        let mut gate = Gate::OPEN;
        assert!(!gate.close(at(0), AttemptId(0), None, 0.0));
        gate.pass(at(1_000), AttemptId(1));
        assert!(gate.close(at(1_100), AttemptId(1), None, 0.0));
        assert_eq!(gate.ready_at(at(1_100)), at(4_100));
        gate.pass(at(4_100), AttemptId(2));
        assert!(gate.close(at(4_200), AttemptId(2), None, 0.0));
        assert_eq!(gate.ready_at(at(4_200)), at(13_200));
    }

    #[test]
    fn absurd_hints_are_capped() {
        let mut gate = Gate::OPEN;
        gate.close(at(0), AttemptId(0), Some(Duration::from_secs(86_400)), 0.5);
        assert!(gate.closed_for(at(0)).expect("closed") <= GATE_CAP.mul_f64(1.1));
    }
}
