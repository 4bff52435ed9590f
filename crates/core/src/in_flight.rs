//! How many attempts may be in flight at once.
//!
//! Providers with quotas rarely limit this; those without quotas (one's own servers) limit nothing else. A refusal for
//! concurrency lowers the limit once per round; every answer at the limit raises it a little, so that it expires.

use crate::time::Time;

/// Where a self-hosted upstream starts: few servers answer more at once without being told to.
const SELF_HOSTED_START: f64 = 4.0;
/// What a refusal leaves of the number that was in flight.
const CUT: f64 = 0.8;

#[derive(Debug)]
pub(crate) struct InFlight {
    current: u32,
    ceiling: Option<u32>,
    learned: Option<f64>,
    last_cut: Time,
}

impl InFlight {
    pub(crate) fn new(ceiling: Option<u32>, self_hosted: bool) -> Self {
        let learned = self_hosted.then_some(SELF_HOSTED_START);
        Self { current: 0, ceiling, learned, last_cut: Time::ZERO }
    }

    pub(crate) fn current(&self) -> u32 {
        self.current
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        let learned = self.learned.map(|limit| limit as u32);
        match (self.ceiling, learned) {
            (Some(ceiling), Some(learned)) => Some(ceiling.min(learned)),
            (ceiling, learned) => ceiling.or(learned),
        }
    }

    pub(crate) fn set_ceiling(&mut self, ceiling: Option<u32>) {
        self.ceiling = ceiling;
    }

    pub(crate) fn has_room(&self) -> bool {
        self.limit().is_none_or(|limit| self.current < limit)
    }

    pub(crate) fn start(&mut self) {
        self.current += 1;
    }

    pub(crate) fn end(&mut self) {
        self.current = self.current.saturating_sub(1);
    }

    /// Takes over another's attempts in flight; of what both learned, the stricter.
    pub(crate) fn absorb(&mut self, other: &InFlight) {
        self.current += other.current;
        self.learned = [self.learned, other.learned].into_iter().flatten().reduce(f64::min);
    }

    /// An answer came while `current` were in flight: at the limit, there may be room for more.
    pub(crate) fn handle_success(&mut self) {
        if let Some(learned) = &mut self.learned
            && f64::from(self.current + 1) >= learned.floor()
        {
            *learned += 1.0 / *learned;
        }
    }

    /// Refused for concurrency: an attempt that was sent at `sent_at`. Those sent before the last cut say nothing new.
    pub(crate) fn handle_refusal(&mut self, now: Time, sent_at: Time) {
        if sent_at <= self.last_cut && self.last_cut != Time::ZERO {
            return;
        }
        self.learned = Some((f64::from(self.current) * CUT).max(1.0));
        self.last_cut = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn cuts_once_per_round_and_grows_back() {
        let mut slots = InFlight::new(None, false);
        assert!(slots.has_room());
        (0..10).for_each(|_| slots.start());
        let now = Time::ZERO + Duration::from_secs(1);
        slots.handle_refusal(now, Time::from_nanos(5));
        slots.handle_refusal(now + Duration::from_millis(1), Time::from_nanos(6));
        assert_eq!(slots.limit(), Some(8), "the second refusal was of the same round");
        for _ in 0..20 {
            slots.handle_success();
        }
        assert!(slots.limit() >= Some(9));
    }

    #[test]
    fn a_typed_ceiling_is_never_exceeded() {
        let mut slots = InFlight::new(Some(2), true);
        for _ in 0..100 {
            slots.start();
            slots.handle_success();
            slots.end();
        }
        assert_eq!(slots.limit(), Some(2));
    }
}
