//! How long requests waited, by their class.

use std::time::Duration;

use paceline_core::engine::Priority;
use paceline_sim::plan::Recorded;

/// Who waited no longer than this has not waited: pacing smooths even traffic that fits.
pub(super) const A_WAIT: Duration = Duration::from_millis(100);

/// Waits in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits(Vec<Duration>);

impl Waits {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        Self(waits)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many waited at all.
    pub(super) fn waited(&self) -> u64 {
        self.0.iter().filter(|wait| A_WAIT < **wait).count() as u64
    }

    /// The wait that so many of a hundred did not exceed; none without any.
    pub(super) fn percentile(&self, of_a_hundred: usize) -> Option<Duration> {
        let rank = (self.0.len() * of_a_hundred).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }
}

/// The requests of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByPriority {
    pub(super) name: &'static str,
    /// How many there were.
    pub(super) requests: u64,
    /// How long those waited that were answered.
    pub(super) replayed: Waits,
    /// How long they waited at the time, where that is known.
    pub(super) recorded: Waits,
}

/// The classes that there are requests of.
pub(super) fn by_priority(
    recorded: &[Recorded],
    waits: &[Option<Duration>],
    waited: &[Option<Duration>],
) -> Vec<ByPriority> {
    let classes =
        [("interactive", Priority::Interactive), ("normal", Priority::Normal), ("batch", Priority::Batch)];
    let of = |(name, priority)| {
        let is_own = |(each, _): &(&Recorded, &Option<Duration>)| each.priority == priority;
        let own = |waits: &[Option<Duration>]| {
            Waits::of(recorded.iter().zip(waits).filter(is_own).filter_map(|(_, wait)| *wait).collect())
        };
        let requests = recorded.iter().filter(|each| each.priority == priority).count() as u64;
        ByPriority { name, requests, replayed: own(waits), recorded: own(waited) }
    };
    classes.map(of).into_iter().filter(|class| class.requests > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_somebody_had() {
        let waits = Waits::of((1..=200).rev().map(Duration::from_millis).collect());
        for (of_a_hundred, millis) in [(0, 1), (50, 100), (95, 190), (99, 198), (100, 200)] {
            assert_eq!(waits.percentile(of_a_hundred), Some(Duration::from_millis(millis)), "{of_a_hundred}");
        }
        assert_eq!((waits.count(), waits.waited()), (200, 100));
        assert_eq!((Waits::default().percentile(50), Waits::default().waited()), (None, 0));
    }
}
