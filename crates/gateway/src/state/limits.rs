//! What was learned about limits, as entries of a file: accounts, models and numbers, never a key.

use std::time::Duration;

use paceline::LearnedLimits;
use paceline::core::engine::{Learned, LimitSource};
use paceline::core::quota::{Dimension, Quota};
use serde::{Deserialize, Serialize};

use super::inherited::Part;

/// Limits that nobody has confirmed for so long are learned anew.
const OLDEST: Duration = Duration::from_secs(86_400);
/// The longest window of a limit.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

/// One limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitEntry {
    provider: String,
    account: String,
    models: String,
    dimension: String,
    pub(super) window_ms: u64,
    pub(super) limit: u64,
    source: Source,
    pub(super) confirmed: u64, // Unix time in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) used: u64, // In the window that ended then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) older: Vec<Part>, // What of it an earlier process used; of a gateway's state only.
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Reported,
    Learned,
    Typed, // By flags or configuration, so it is only what was used of it that matters.
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What to write of `learned` at `now` (unix time), with what was used of windows that are no shorter than `lasting`.
pub fn entries(learned: &[LearnedLimits], now: Duration, lasting: Duration) -> Vec<LimitEntry> {
    let limits = learned.iter().flat_map(|of| of.limits.iter().map(move |limit| (of, limit)));
    let entry = |(of, limit): (&LearnedLimits, &Learned)| {
        let used = if lasting <= limit.quota.window { limit.used } else { 0 };
        if limit.source == LimitSource::Typed && used == 0 {
            return None; // It is typed again, or no longer wanted.
        }
        Some(LimitEntry {
            provider: of.provider.clone(),
            account: of.account.clone(),
            models: of.models.clone(),
            dimension: limit.quota.dimension.name().to_owned(),
            window_ms: u64::try_from(limit.quota.window.as_millis()).ok()?,
            limit: limit.quota.limit,
            source: match limit.source {
                LimitSource::Reported => Source::Reported,
                LimitSource::Learned => Source::Learned,
                LimitSource::Typed => Source::Typed,
            },
            used,
            older: Vec::new(),
            confirmed: now.saturating_sub(limit.age).as_secs(),
        })
    };
    limits.filter_map(entry).collect()
}

/// The limits that are still fresh at `now` (unix time), older by the time between. `None` when one of them makes no sense.
pub fn learned(entries: Vec<LimitEntry>, now: Duration) -> Option<Vec<LearnedLimits>> {
    let mut all: Vec<LearnedLimits> = Vec::new();
    for entry in entries {
        let mut limit = entry.learned(now)?;
        if OLDEST < limit.age && 0 < limit.used && limit.age < limit.quota.window {
            // The limit is not to be relied on any more, but what was used of a month still is.
            limit.source = LimitSource::Typed;
        } else if OLDEST < limit.age {
            continue;
        }
        // What was confirmed in the future was confirmed by a clock that is not to be trusted.
        if now < Duration::from_secs(entry.confirmed) {
            continue;
        }
        let LimitEntry { provider, account, models, .. } = entry;
        let same = |known: &&mut LearnedLimits| {
            (&known.provider, &known.account, &known.models) == (&provider, &account, &models)
        };
        match all.iter_mut().rev().find(same) {
            Some(known) => known.limits.push(limit),
            None => all.push(LearnedLimits { provider, account, models, limits: vec![limit] }),
        }
    }
    Some(all)
}

impl LimitEntry {
    /// Whether `other` tells of the same limit.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (&self.provider, &self.account, &self.models) == (&other.provider, &other.account, &other.models)
            && (&self.dimension, self.window_ms) == (&other.dimension, other.window_ms)
    }

    fn learned(&self, now: Duration) -> Option<Learned> {
        let dimension = Dimension::ALL.into_iter().find(|known| known.name() == self.dimension)?;
        let window = Duration::from_millis(self.window_ms);
        if self.limit == 0 || window.is_zero() || LONGEST_WINDOW < window {
            return None;
        }
        Some(Learned {
            quota: Quota { dimension, window, limit: self.limit },
            source: match self.source {
                Source::Reported => LimitSource::Reported,
                Source::Learned => LimitSource::Learned,
                Source::Typed if self.used == 0 => return None,
                Source::Typed => LimitSource::Typed,
            },
            used: self.used,
            age: now.saturating_sub(Duration::from_secs(self.confirmed)),
        })
    }
}
