//! Interactive requests: what they cost and how often they come, so that others leave room for them.

use std::time::Duration;

use super::Charges;
use crate::bucket::Arrivals;
use crate::quota::Dimension;
use crate::time::Time;
use crate::tuning::{INTERACTIVE_ACTIVE, INTERACTIVE_MEMORY};

/// The most requests that the typical cost is averaged over.
const MOST_COSTS: f64 = 20.0;

#[derive(Debug)]
pub(super) struct Interactive {
    began: Time,
    last: Option<Time>,
    cost: [f64; 4],
    costs: f64,  // That it is averaged over.
    recent: f64, // Arrivals, each the less the longer ago.
}

impl Interactive {
    pub(super) fn new(now: Time) -> Self {
        Self { began: now, last: None, cost: [0.0; 4], costs: 0.0, recent: 0.0 }
    }

    /// One of them goes.
    pub(super) fn note(&mut self, now: Time, charges: &Charges) {
        self.costs = (self.costs + 1.0).min(MOST_COSTS);
        for (mean, cost) in self.cost.iter_mut().zip(charges) {
            *mean += (*cost as f64 - *mean) / self.costs;
        }
        self.recent = self.recent(now) + 1.0;
        self.last = Some(now);
    }

    /// Whether there were any not long ago.
    pub(super) fn is_active(&self, now: Time) -> bool {
        self.last.is_some_and(|at| now.since(at) < INTERACTIVE_ACTIVE)
    }

    /// Those to come, while there are any.
    pub(super) fn arrivals(&self, now: Time) -> [Arrivals; 4] {
        if !self.is_active(now) {
            return [Arrivals::default(); 4];
        }
        let memory = INTERACTIVE_MEMORY.as_secs_f64();
        let seen = memory * (1.0 - fading(now.since(self.began).max(Duration::from_secs(1))));
        let rate = self.recent(now) / seen;
        Dimension::ALL.map(|dimension| Arrivals { cost: self.cost[dimension as usize], rate })
    }

    /// Takes over what another has seen.
    pub(super) fn absorb(&mut self, other: &Interactive) {
        self.last = self.last.max(other.last);
    }

    fn recent(&self, now: Time) -> f64 {
        self.last.map_or(0.0, |last| self.recent * fading(now.since(last)))
    }
}

/// What is left of an arrival's weight after this long.
fn fading(age: Duration) -> f64 {
    (-age.as_secs_f64() / INTERACTIVE_MEMORY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expects_as_many_as_came() {
        let mut interactive = Interactive::new(Time::ZERO);
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        for second in [2, 4, 6, 8] {
            interactive.note(at(second * 1_000), &[1, 700, 150, 850]);
        }
        for (now, rate) in [(at(8_000), 0.45..0.60), (at(30_000), 0.08..0.10)] {
            let arrivals = interactive.arrivals(now)[Dimension::Requests as usize];
            assert!(rate.contains(&arrivals.rate) && arrivals.cost == 1.0, "{now}: {arrivals:?}");
        }
        assert_eq!(interactive.arrivals(at(80_000))[0].cost, 0.0, "they have gone");
    }
}
