//! Stops sending to an upstream that fails, and finds out when it is well again.
//!
//! Throttling is not failure: a 429 never counts here. A breaker opens on a run of failures or a bad share of them. Then
//! one probe goes, and after each that succeeds one more. When nothing else is alive that is too slow, for answers take
//! long: then probes are doubled while none fails.

use std::time::Duration;

use crate::engine::Health;
use crate::feedback::Class;
use crate::time::Time;

const SLOTS: usize = 10; // One second each.
const ENOUGH_SAMPLES: u32 = 20;
const BAD_SHARE: f64 = 0.5;
const CONSECUTIVE: u32 = 5;
const FIRST_BREAK: Duration = Duration::from_secs(5);
const LONGEST_BREAK: Duration = Duration::from_secs(300);
/// When nothing else is alive, waiting helps nobody: probe this often.
const BREAK_WHEN_ALONE: Duration = Duration::from_millis(1500);
/// So many probes in a row close it.
const ENOUGH_PROBES: u32 = 3;
/// Alone, probes are doubled after each such span without a failure ...
const HALF_OPEN_STEP: Duration = Duration::from_millis(500);
/// ... and after this many spans the breaker closes.
const HALF_OPEN_STEPS: u32 = 4;
/// A refused credential is probed this often.
const OUT_OF_SERVICE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    slots: [(u32, u32); SLOTS], // Successes and failures of each second.
    newest: u64,
    consecutive: u32,
    breaks: u32, // In a row: each break is longer.
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        since: Time,
        length: Duration,
    },
    HalfOpen {
        since: Time,
        probes: u32,
        succeeded: u32,
    },
    OutOfService {
        class: Class,
        since: Time,
        until: Time,
    },
}

impl Breaker {
    /// When an attempt may pass. `alone`: no other upstream could serve it.
    pub(crate) fn ready_at(&mut self, now: Time, alone: bool) -> Time {
        match self.state {
            State::Closed => Time::ZERO,
            State::Open { since, length } => {
                since + if alone { length.min(BREAK_WHEN_ALONE) } else { length }
            }
            State::OutOfService { until, .. } => until,
            State::HalfOpen { probes, succeeded, .. } if !alone => {
                if probes <= succeeded {
                    Time::ZERO
                } else {
                    Time::NEVER
                }
            }
            State::HalfOpen { since, probes, .. } => {
                if HALF_OPEN_STEP * HALF_OPEN_STEPS <= now.since(since) {
                    self.close();
                    return Time::ZERO;
                }
                let steps = (now.since(since).as_nanos() / HALF_OPEN_STEP.as_nanos()) as u32;
                let allowed = (1u32 << (steps + 1)) - 1;
                if probes < allowed { Time::ZERO } else { since + HALF_OPEN_STEP * (steps + 1) }
            }
        }
    }

    /// An attempt passes. True when it is a probe, which tests the upstream.
    pub(crate) fn pass(&mut self, now: Time) -> bool {
        match &mut self.state {
            State::Closed => false,
            State::HalfOpen { probes, .. } => {
                *probes += 1;
                true
            }
            State::Open { .. } => {
                self.state = State::HalfOpen { since: now, probes: 1, succeeded: 0 };
                true
            }
            State::OutOfService { until, .. } => {
                *until = now + OUT_OF_SERVICE;
                true
            }
        }
    }

    /// An attempt that was sent at `sent_at` was answered.
    pub(crate) fn handle_success(&mut self, now: Time, sent_at: Time) {
        self.count(now, true);
        self.consecutive = 0;
        match &mut self.state {
            // What was sent before the credential was refused says nothing about it now.
            State::OutOfService { since, .. } if sent_at <= *since => {}
            State::OutOfService { .. } => self.close(),
            State::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if ENOUGH_PROBES <= *succeeded {
                    self.close();
                }
            }
            State::Closed | State::Open { .. } => {}
        }
    }

    /// A probe ended and said nothing: another one is needed.
    pub(crate) fn handle_unknown(&mut self) {
        if let State::HalfOpen { probes, .. } = &mut self.state {
            *probes = probes.saturating_sub(1);
        }
    }

    /// `jitter` is in 0..1. True when this failure opened the breaker.
    pub(crate) fn handle_failure(&mut self, now: Time, jitter: f64) -> bool {
        self.count(now, false);
        self.consecutive += 1;
        let (ok, failed) = self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        let bad = ENOUGH_SAMPLES <= ok + failed && BAD_SHARE < f64::from(failed) / f64::from(ok + failed);
        match self.state {
            State::Closed if bad || CONSECUTIVE <= self.consecutive => self.open(now, jitter),
            State::HalfOpen { .. } => self.open(now, jitter),
            _ => return false,
        }
        true
    }

    /// The credential was refused, or its money is gone.
    pub(crate) fn take_out(&mut self, now: Time, class: Class) {
        self.state = State::OutOfService { class, since: now, until: now + OUT_OF_SERVICE };
    }

    /// Why nothing may be sent here before a human acts.
    pub(crate) fn out_of_service(&self, now: Time) -> Option<Class> {
        match self.state {
            State::OutOfService { class, until, .. } if now < until => Some(class),
            _ => None,
        }
    }

    pub(crate) fn health(&self, now: Time) -> Health {
        match self.state {
            State::Closed => Health::Closed,
            State::Open { since, length } => Health::Open((since + length).since(now)),
            State::HalfOpen { .. } => Health::HalfOpen,
            State::OutOfService { class, .. } => Health::OutOfService(class),
        }
    }

    fn open(&mut self, now: Time, jitter: f64) {
        let length = (FIRST_BREAK * 2u32.saturating_pow(self.breaks.min(16))).min(LONGEST_BREAK);
        self.breaks += 1;
        self.state = State::Open { since: now, length: length.mul_f64(0.8 + 0.4 * jitter) };
    }

    fn close(&mut self) {
        *self = Self { newest: self.newest, ..Self::default() };
    }

    fn count(&mut self, now: Time, ok: bool) {
        let second = now.as_nanos() / 1_000_000_000;
        for stale in (self.newest + 1..=second).take(SLOTS) {
            self.slots[(stale % SLOTS as u64) as usize] = (0, 0);
        }
        self.newest = self.newest.max(second);
        let slot = &mut self.slots[(second % SLOTS as u64) as usize];
        if ok { slot.0 += 1 } else { slot.1 += 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn broken() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.handle_failure(at(0), 0.5);
        }
        breaker
    }

    #[test]
    fn opens_after_a_run_of_failures_and_probes_in_doubling_steps() {
        let mut breaker = broken();
        assert_eq!(breaker.ready_at(at(1), false), at(5_000));
        assert_eq!(breaker.ready_at(at(1), true), at(1_500), "the last one alive is probed sooner");
        assert!(breaker.pass(at(5_000)));
        assert!(at(5_001) < breaker.ready_at(at(5_001), false));
        let probes = |now| {
            let mut breaker = broken();
            breaker.pass(at(5_000));
            (0..).take_while(|_| breaker.ready_at(now, true) <= now && breaker.pass(now)).count()
        };
        assert_eq!([probes(at(5_500)), probes(at(6_000)), probes(at(6_500))], [2, 6, 14]);
        assert_eq!(breaker.ready_at(at(7_000), true), Time::ZERO);
        assert_eq!(breaker.health(at(7_000)), Health::Closed);
    }

    #[test]
    fn beside_others_that_are_alive_only_successes_let_more_through() {
        let mut breaker = broken();
        breaker.pass(at(5_000));
        for success in 0..3 {
            assert_eq!(breaker.ready_at(at(60_000), false), Time::NEVER, "{success}");
            breaker.handle_success(at(60_000), at(60_000));
            assert_eq!(breaker.ready_at(at(60_000), false), Time::ZERO);
            breaker.pass(at(60_000));
        }
        assert_eq!(breaker.health(at(60_000)), Health::Closed);
    }

    #[test]
    fn breaks_grow_while_probes_fail() {
        let mut breaker = broken();
        breaker.pass(at(5_000));
        breaker.handle_failure(at(5_100), 0.5);
        assert_eq!(breaker.ready_at(at(5_100), false), at(15_100));
    }

    #[test]
    fn a_minority_of_failures_is_no_reason() {
        let mut breaker = Breaker::default();
        for step in 0..1_000 {
            if step % 3 == 0 {
                breaker.handle_failure(at(step * 10), 0.5);
            } else {
                breaker.handle_success(at(step * 10), at(step * 10));
            }
        }
        assert_eq!(breaker.ready_at(at(10_000), false), Time::ZERO);
    }

    #[test]
    fn a_refused_credential_is_probed_rarely() {
        let mut breaker = Breaker::default();
        breaker.take_out(at(0), Class::Auth);
        assert_eq!(breaker.out_of_service(at(1)), Some(Class::Auth));
        assert!(breaker.pass(at(300_000)));
        assert!(at(599_000) < breaker.ready_at(at(300_001), true));
        breaker.handle_success(at(300_100), at(300_000));
        assert_eq!(breaker.health(at(300_100)), Health::Closed);
    }
}
