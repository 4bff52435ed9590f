//! How each quota was used over the last hour.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_status::{Limiter, Status};
use serde::Serialize;

/// Between two samples.
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples that are kept: an hour of them.
pub(super) const SAMPLES: usize = 360;
/// Meters whose history is kept at most; where callers bring credentials of their own there may be many more.
const MOST_METERS: usize = 64;
/// Limits of one meter that are kept at most.
const MOST_LIMITS: usize = 8;

/// The history of all meters. All samples are of the same instants; a meter that came later has fewer of them.
#[derive(Default, Serialize)]
pub(super) struct History {
    /// When the samples were taken: unix time, in milliseconds.
    at_ms: VecDeque<u64>,
    meters: Vec<Meter>,
}

#[derive(Serialize)]
struct Meter {
    account: String,
    models: String,
    /// Attempts that were throttled since the sample before.
    throttled: VecDeque<u64>,
    limits: Vec<Limit>,
    #[serde(skip)]
    throttled_before: u64,
}

#[derive(Serialize)]
struct Limit {
    dimension: String,
    window: String,
    used: VecDeque<u64>,
    limit: VecDeque<u64>,
}

impl History {
    /// Takes a sample.
    pub(super) fn note(&mut self, at_ms: u64, status: &Status) {
        push(&mut self.at_ms, at_ms);
        self.meters.retain(|meter| status.limiters.iter().any(|limiter| meter.is(limiter)));
        for limiter in &status.limiters {
            let known = self.meters.iter().position(|meter| meter.is(limiter));
            match known {
                Some(known) => self.meters[known].note(limiter),
                None if self.meters.len() < MOST_METERS => {
                    let mut meter = Meter::new(limiter);
                    meter.note(limiter);
                    self.meters.push(meter);
                }
                None => {}
            }
        }
    }
}

impl Meter {
    fn new(limiter: &Limiter) -> Self {
        Self {
            account: limiter.account.clone(),
            models: limiter.models.clone(),
            throttled: VecDeque::new(),
            limits: Vec::new(),
            throttled_before: 0,
        }
    }

    fn is(&self, limiter: &Limiter) -> bool {
        self.account == limiter.account && self.models == limiter.models
    }

    fn note(&mut self, limiter: &Limiter) {
        push(&mut self.throttled, limiter.throttled.saturating_sub(self.throttled_before));
        self.throttled_before = limiter.throttled;
        self.limits.retain(|known| limiter.limits.iter().any(|limit| known.is(limit)));
        for limit in limiter.limits.iter().take(MOST_LIMITS) {
            if !self.limits.iter().any(|known| known.is(limit)) {
                self.limits.push(Limit::new(limit));
            }
            if let Some(known) = self.limits.iter_mut().find(|known| known.is(limit)) {
                push(&mut known.used, limit.used);
                push(&mut known.limit, limit.limit);
            }
        }
    }
}

impl Limit {
    fn new(limit: &paceline_status::Limit) -> Self {
        Self {
            dimension: limit.dimension.clone(),
            window: limit.window.clone(),
            used: VecDeque::new(),
            limit: VecDeque::new(),
        }
    }

    fn is(&self, limit: &paceline_status::Limit) -> bool {
        self.dimension == limit.dimension && self.window == limit.window
    }
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(meters: &[(&str, u64, u64)]) -> Status {
        let limiters = meters.iter().map(|(models, used, throttled)| Limiter {
            models: (*models).to_owned(),
            throttled: *throttled,
            limits: vec![paceline_status::Limit {
                dimension: "requests".into(),
                window: "min".into(),
                limit: 50,
                used: *used,
                ..Default::default()
            }],
            ..Default::default()
        });
        Status { limiters: limiters.collect(), ..Status::default() }
    }

    #[test]
    fn keeps_an_hour_and_counts_what_was_throttled_between_samples() {
        let mut history = History::default();
        for sample in 0..SAMPLES as u64 + 5 {
            history.note(sample, &status(&[("m", sample, sample / 2)]));
        }
        let meter = &history.meters[0];
        assert_eq!((history.at_ms.len(), history.at_ms[0]), (SAMPLES, 5));
        assert_eq!((meter.limits[0].used.len(), meter.limits[0].used[0]), (SAMPLES, 5));
        assert_eq!(meter.throttled.iter().sum::<u64>(), (SAMPLES as u64 + 4) / 2 - 2);
    }

    #[test]
    fn forgets_meters_that_are_gone_and_bounds_those_that_are_there() {
        let mut history = History::default();
        let names: Vec<String> = (0..MOST_METERS + 9).map(|n| format!("m-{n}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 0)).collect();
        history.note(1, &status(&many));
        assert_eq!(history.meters.len(), MOST_METERS);
        history.note(2, &status(&[("late", 7, 0), ("m-3", 2, 0)]));
        let kept: Vec<_> = history.meters.iter().map(|m| (m.models.as_str(), m.throttled.len())).collect();
        assert_eq!(kept, [("m-3", 2), ("late", 1)]);
    }
}
