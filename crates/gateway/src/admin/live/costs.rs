//! What was spent since midnight.

use std::time::Duration;

use paceline::Candidate;
use paceline_status::Cost;
use paceline_usage::{Ended, Finish};
use paceline_wire::price::{self, MicroUsd};

const DAY: u64 = 86_400;

/// The money of one day, by UTC.
#[derive(Default)]
pub(super) struct Costs {
    day: u64,
    cost: Cost,
}

/// When the day of `now` began.
pub(super) fn midnight(now: Duration) -> Duration {
    Duration::from_secs(now.as_secs() / DAY * DAY)
}

impl Costs {
    /// A request ended, and cost this.
    pub(super) fn note(&mut self, now: Duration, ended: &Ended, cost: Option<MicroUsd>) {
        self.turn(now);
        match cost {
            Some(cost) => self.cost.micro_usd = self.cost.micro_usd.saturating_add(cost.micros()),
            // What was refused cost nothing, whatever its price.
            None if ended.finish != Finish::Refused => self.cost.unpriced += 1,
            None => {}
        }
    }

    /// Requests of which nothing else is known.
    pub(super) fn note_lost(&mut self, now: Duration, lost: u64) {
        self.turn(now);
        self.cost.unpriced = self.cost.unpriced.saturating_add(lost);
    }

    /// What earlier processes spent on the same day.
    pub(super) fn recall(&mut self, now: Duration, spent: MicroUsd) {
        self.turn(now);
        self.cost.micro_usd = self.cost.micro_usd.saturating_add(spent.micros());
    }

    pub(super) fn today(&mut self, now: Duration) -> Cost {
        self.turn(now);
        self.cost
    }

    fn turn(&mut self, now: Duration) {
        let day = now.as_secs() / DAY;
        if day != self.day {
            *self = Self { day, cost: Cost::default() };
        }
    }
}

/// What a request cost: as was told at its end, else by the list price of whoever served it.
pub(super) fn cost(ended: &Ended, upstreams: &[Candidate]) -> Option<MicroUsd> {
    ended.cost.or_else(|| {
        let usage = ended.usage.as_ref()?;
        let name = ended.upstream.as_deref()?;
        let server = upstreams.iter().find(|candidate| candidate.upstream() == name)?;
        price::cost(server.provider(), ended.sent_as.as_deref()?, usage)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_day_begins_with_nothing() {
        let (evening, morning) = (Duration::from_secs(2 * DAY - 1), Duration::from_secs(2 * DAY));
        let mut costs = Costs::default();
        costs.recall(evening, MicroUsd::new(5));
        costs.note(evening, &Ended::of(Finish::Done), Some(MicroUsd::new(7)));
        costs.note(evening, &Ended::of(Finish::Done), None);
        costs.note(evening, &Ended::of(Finish::Refused), None);
        assert_eq!(costs.today(evening), Cost { micro_usd: 12, unpriced: 1 });
        assert_eq!(costs.today(morning), Cost::default());
        assert_eq!(midnight(evening), Duration::from_secs(DAY));
    }
}
