//! A limit learned from refusals: what the provider accepted is what it allows.
//!
//! Rises step by step while nothing is known; the first refusal ends that. Then it holds what was accepted, and probes
//! upward, slowly and after ever longer holds, so that every learned restriction expires.

use std::time::Duration;

use crate::time::Time;
use crate::tuning::{
    SETPOINT_BACKSTEP, SETPOINT_GENTLE, SETPOINT_GROWTH, SETPOINT_GROWTH_DOUBLES, SETPOINT_HOLD,
    SETPOINT_HOLD_CAP, SETPOINT_LEAST_EARNED, SETPOINT_PROBE_BACKSTEP, SETPOINT_RESTART, START_BACKSTEP,
    START_FACTOR, START_RATE, START_REACTION, START_STEP,
};

#[derive(Clone, Debug)]
pub(crate) struct SetPoint {
    window: Duration,
    per_window: f64,
    phase: Phase,
    held: f64, // What was kept before the probing that the last refusal ended; infinite where none was.
    is_proven: bool, // It was kept for a whole window.
    gentle: Duration, // How long probing upward is slow.
    last_refusal: Option<Mark>,
    accepted: (Time, f64), // The volume of the window that ended with the last refusal.
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Rising { step_began: Time, charged_then: u64 },
    Holding { since: Time, hold: Duration },
}

/// A refusal, and what the ledger knew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) at: Time,
    /// The volume of the last window.
    pub(crate) accepted: u64,
    /// Everything ever charged.
    pub(crate) charged: u64,
    /// How long ago the first charge was.
    pub(crate) age: Duration,
    /// The share that is left at least.
    pub(crate) least: f64,
}

impl Refusal {
    /// Lowers a limit to what was measured, but never by too much at once.
    fn lower(&self, limit: f64, measured: f64) -> f64 {
        measured.clamp(limit * self.least, limit) * SETPOINT_BACKSTEP
    }

    /// The volume of a window, judged by a shorter time if no whole window has passed.
    fn volume(&self, window: Duration) -> f64 {
        if self.age < window / 6 {
            return f64::INFINITY; // Too short a time to judge by.
        }
        self.accepted as f64 * window.as_secs_f64() / self.age.min(window).as_secs_f64()
    }
}

/// Where the ledger stood when the provider last said no.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Time,
    charged: u64,
}

impl SetPoint {
    /// Nothing is known: start slowly and rise.
    pub(crate) fn rising(now: Time, window: Duration) -> Self {
        let phase = Phase::Rising { step_began: now, charged_then: 0 };
        Self {
            window,
            per_window: START_RATE * window.as_secs_f64(),
            phase,
            held: f64::INFINITY,
            is_proven: false,
            gentle: SETPOINT_GENTLE,
            last_refusal: None,
            accepted: (now, 0.0),
        }
    }

    /// An earlier session learned `limit`; begin a little below, and probe.
    pub(crate) fn remembered(now: Time, window: Duration, limit: u64) -> Self {
        let phase = Phase::Holding { since: now, hold: SETPOINT_HOLD };
        let per_window = limit as f64 * SETPOINT_RESTART;
        Self {
            window,
            per_window,
            phase,
            held: f64::INFINITY,
            is_proven: true,
            gentle: SETPOINT_GENTLE,
            last_refusal: None,
            accepted: (now, 0.0),
        }
    }

    /// A believed limit was refused: start from what was accepted.
    pub(crate) fn refused(window: Duration, believed: u64, refusal: Refusal) -> Self {
        let phase = Phase::Holding { since: refusal.at, hold: SETPOINT_HOLD };
        let per_window = refusal.lower(believed as f64, refusal.volume(window));
        let last_refusal = Some(Mark { at: refusal.at, charged: refusal.charged });
        let accepted = (refusal.at, refusal.accepted as f64);
        Self {
            window,
            per_window,
            phase,
            held: f64::INFINITY,
            is_proven: true,
            gentle: Duration::ZERO, // More was believed, perhaps rightly.
            last_refusal,
            accepted,
        }
    }

    pub(crate) fn is_rising(&self) -> bool {
        matches!(self.phase, Phase::Rising { .. })
    }

    /// The limit to keep now, per window.
    pub(crate) fn value(&self, now: Time) -> f64 {
        match self.phase {
            Phase::Rising { .. } => self.per_window.max(1.0),
            Phase::Holding { since, hold } => {
                let probing = now.since(since).saturating_sub(hold);
                let hurried = probing.saturating_sub(self.gentle).as_secs_f64();
                let steps = probing.as_secs_f64() + hurried * hurried / SETPOINT_GROWTH_DOUBLES.as_secs_f64();
                (self.per_window * (1.0 + SETPOINT_GROWTH * steps)).max(1.0)
            }
        }
    }

    /// What a window may hold now. The provider has just accepted so much in one: until that has passed, a lower limit
    /// is kept by the rate alone, for waiting until the window has drained to it would gain nothing.
    pub(crate) fn window_value(&self, now: Time) -> f64 {
        let (at, accepted) = self.accepted;
        let value = self.value(now);
        if now.since(at) <= self.window { value.max(accepted) } else { value }
    }

    /// Raises a rising rate once it has been used for long enough; `charged` is the ledger's running total.
    pub(crate) fn advance(&mut self, now: Time, charged: u64) {
        let Phase::Rising { step_began, charged_then } = self.phase else { return };
        let elapsed = now.since(step_began);
        if elapsed < START_STEP {
            return;
        }
        let possible = self.per_window * START_STEP.as_secs_f64() / self.window.as_secs_f64();
        if (charged - charged_then) as f64 >= possible * 0.5 {
            self.per_window *= START_FACTOR;
        }
        self.phase = Phase::Rising { step_began: now, charged_then: charged };
    }

    /// The provider refused.
    pub(crate) fn handle_refusal(&mut self, refusal: Refusal) {
        let accepted = refusal.accepted as f64;
        let hold = match self.phase {
            Phase::Rising { step_began, .. } => {
                let stepped_back = self.per_window * START_BACKSTEP;
                let sudden = refusal.at.since(step_began) < START_REACTION;
                self.per_window =
                    if sudden { stepped_back.max(accepted) } else { stepped_back.min(accepted) };
                SETPOINT_HOLD
            }
            Phase::Holding { since, hold } => self.step_back(refusal, since, hold),
        };
        self.phase = Phase::Holding { since: refusal.at, hold };
        self.last_refusal = Some(Mark { at: refusal.at, charged: refusal.charged });
        self.accepted = (refusal.at, accepted);
    }

    /// Takes a held limit back to what the refusal leaves of it; the next hold.
    fn step_back(&mut self, refusal: Refusal, since: Time, hold: Duration) -> Duration {
        let kept = refusal.at.since(since);
        self.is_proven |= self.window <= kept;
        let value = self.value(refusal.at);
        // The volume of a window may hold what was saved up before, but never too little: where nothing was kept for long,
        // it is the best that is known.
        let (mut measured, least) = match self.measured_since_last(refusal) {
            Some(earned) => (earned, refusal.least.max(SETPOINT_LEAST_EARNED)),
            None => (refusal.volume(self.window), if self.is_proven { refusal.least } else { 0.0 }),
        };
        let probed = hold < kept;
        if probed {
            // What held before the probing upward is safe, and what is refused is not: the limit lies between.
            let between = self.per_window + (value - self.per_window) / 2.0;
            measured = measured.min(between.max(value * SETPOINT_PROBE_BACKSTEP));
        }
        // Windows that ended before now were not overspent, and one of them began no earlier than two ago.
        self.held = if probed { self.value(refusal.at - 2 * self.window) } else { f64::INFINITY };
        self.per_window = Refusal { least, ..refusal }.lower(value, measured);
        if probed { (hold * 2).min(SETPOINT_HOLD_CAP) } else { hold }
    }

    /// Refused again and again: the provider's window is closed, not its bucket empty. It was overspent some time ago, by
    /// a probing that went on meanwhile.
    pub(crate) fn handle_block(&mut self) {
        self.last_refusal = None;
        self.per_window = self.per_window.min(self.held);
    }

    /// Between two refusals the provider's meter was empty twice: what it accepted between them is what it earned.
    /// Only short spans tell that; over longer ones the meter may have been full in between, or a window was closed.
    fn measured_since_last(&self, refusal: Refusal) -> Option<f64> {
        let mark = self.last_refusal?;
        let elapsed = refusal.at.since(mark.at);
        if elapsed < self.window / 15 || elapsed > self.window / 2 {
            return None;
        }
        Some((refusal.charged - mark.charged) as f64 / elapsed.as_secs_f64() * self.window.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::SETPOINT_LEAST;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    fn refusal(secs: u64, accepted: u64, charged: u64) -> Refusal {
        Refusal { at: at(secs), accepted, charged, age: MINUTE, least: SETPOINT_LEAST }
    }

    #[test]
    fn rises_while_it_is_used() {
        let mut point = SetPoint::rising(at(0), MINUTE);
        let start = point.value(at(0));
        point.advance(at(10), 60);
        assert_eq!(point.value(at(10)), start * 1.5);
        point.advance(at(20), 61); // Idle: nothing was learned about a higher rate.
        assert_eq!(point.value(at(20)), start * 1.5);
    }

    #[test]
    fn two_refusals_tell_what_the_provider_earns() {
        let mut point = SetPoint::refused(MINUTE, 690, refusal(100, 690, 1_000));
        point.handle_refusal(refusal(106, 690, 1_062)); // 62 in 6 s: 620 a minute, and a margin.
        assert!((point.value(at(106)) - 617.0).abs() < 1.0, "{}", point.value(at(106)));
    }

    #[test]
    fn a_poor_moment_of_a_window_is_not_taken_for_its_limit() {
        let mut point = SetPoint::refused(MINUTE, 420, refusal(100, 420, 1_000));
        point.handle_refusal(refusal(110, 400, 1_030)); // 30 in 10 s, for others took what left the window.
        assert!(370.0 < point.value(at(110)), "{}", point.value(at(110)));
        (1..=5).for_each(|n| point.handle_refusal(refusal(110 + 10 * n, 200, 1_030 + 30 * n)));
        assert!(point.value(at(160)) < 240.0, "what lasts is believed: {}", point.value(at(160)));
    }

    #[test]
    fn the_limit_lies_between_what_held_and_what_was_refused() {
        let mut point = SetPoint::remembered(at(0), MINUTE, 600);
        let held = point.value(at(0));
        let probed = SETPOINT_HOLD.as_secs() + 130;
        let refused = point.value(at(probed));
        point.handle_refusal(refusal(probed, refused as u64, 10_000));
        let between = point.value(at(probed));
        assert!(held < between && between < refused, "{held} {between} {refused}");
        point.handle_block();
        let back = point.value(at(probed));
        assert!(held <= back && back < held * 1.01, "a closed window was overspent before: {back}");
    }

    #[test]
    fn what_was_never_kept_is_not_held_to() {
        let mut point = SetPoint::rising(at(0), MINUTE);
        (1..=5).for_each(|step| point.advance(at(step * 10), step * 1_000));
        point.handle_refusal(refusal(51, 900, 900));
        let first = point.value(at(51));
        assert!(1_500.0 < first, "{first}");
        let mut kept = point.clone();
        point.handle_refusal(refusal(110, 600, 1_500));
        assert!(point.value(at(110)) <= 600.0, "{}", point.value(at(110)));
        kept.handle_refusal(refusal(120, 600, 1_500));
        assert!(first / 2.1 < kept.value(at(120)), "it was kept for a window");
    }

    #[test]
    fn every_restriction_expires() {
        let mut point = SetPoint::refused(MINUTE, 300, refusal(0, 300, 300));
        let probed = SETPOINT_HOLD.as_secs() + 10; // The probing upward provokes the next refusal.
        point.handle_refusal(refusal(probed, 300, 350));
        let held = point.value(at(probed));
        assert!(
            point.value(at(probed) + SETPOINT_HOLD * 2) <= held + 1e-9,
            "held twice as long after the second refusal"
        );
        assert!(point.value(at(2_000)) > held * 1.9);
    }
}
