//! What earlier clients learned about limits, until a limiter starts from it.

use std::collections::HashMap;

use paceline_core::engine::Learned;
use paceline_core::time::Time;

use super::Meter;
use crate::watch::LearnedLimits;

/// Limits from earlier, by limiters yet to be made.
pub(super) struct Earlier(HashMap<Meter, Vec<Learned>>);

impl Earlier {
    pub(super) fn new(learned: Vec<LearnedLimits>) -> Self {
        let meter = |from: &LearnedLimits| Meter {
            provider: from.provider.clone(),
            account: from.account.clone(),
            models: from.models.clone(),
        };
        Self(learned.into_iter().map(|from| (meter(&from), from.limits)).collect())
    }

    /// What `meter` is to start from.
    pub(super) fn take(&mut self, meter: &Meter, now: Time) -> Vec<Learned> {
        aged(self.0.remove(meter).unwrap_or_default(), now)
    }

    /// All of it, with what limiters have learned by now.
    pub(super) fn with<'a>(
        &'a self,
        now: Time,
        own: impl Iterator<Item = (&'a Meter, Vec<Learned>)>,
    ) -> Vec<LearnedLimits> {
        let earlier = self.0.iter().map(|(meter, limits)| (meter, aged(limits.clone(), now)));
        let mut all: Vec<LearnedLimits> = own
            .chain(earlier)
            .filter(|(_, limits)| !limits.is_empty())
            .map(|(meter, limits)| LearnedLimits {
                provider: meter.provider.clone(),
                account: meter.account.clone(),
                models: meter.models.clone(),
                limits,
            })
            .collect();
        all.sort_by(|a, b| (&a.provider, &a.account, &a.models).cmp(&(&b.provider, &b.account, &b.models)));
        all
    }
}

/// What was learned before the start, at `now`.
fn aged(mut learned: Vec<Learned>, now: Time) -> Vec<Learned> {
    for limit in &mut learned {
        limit.age = limit.age.saturating_add(now.since(Time::ZERO));
    }
    learned
}
