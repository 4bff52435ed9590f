//! Two limiters that turn out to stand for one account become one.

use super::Limiter;
use crate::engine::Learned;
use crate::time::Time;

impl Limiter {
    /// Takes over what `other` has charged and has in flight; of what both believe, the stricter holds.
    pub(crate) fn absorb(&mut self, now: Time, other: Limiter) {
        for bucket in other.buckets {
            let own = self.bucket(bucket.dimension, bucket.window);
            own.absorb(now, bucket);
        }
        self.production.absorb(&other.production);
        self.slots.absorb(&other.slots);
        if self.gate.closed_for(now) < other.gate.closed_for(now) {
            self.gate = other.gate;
        }
        self.closed_at = self.closed_at.max(other.closed_at);
        self.ramp_began = self.ramp_began.max(other.ramp_began);
        self.interactive.absorb(&other.interactive);
        self.burst_spoiled = self.burst_spoiled.max(other.burst_spoiled);
        self.bursting = false;
        self.told |= other.told;
    }

    /// Starts from what `other` has charged and learned. What is in flight there stays there.
    pub(crate) fn inherit(&mut self, now: Time, other: &Limiter) {
        let learned = other.learned(now).into_iter().map(|learned| Learned { used: 0, ..learned });
        self.recall(now, &learned.collect::<Vec<_>>());
        for bucket in &other.buckets {
            self.bucket(bucket.dimension, bucket.window).ledger.absorb(now, bucket.ledger.clone());
        }
    }
}
