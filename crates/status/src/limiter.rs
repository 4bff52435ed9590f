//! The meters of one account for one set of models.

use paceline::LimiterStanding;
use paceline::core::engine::{BucketView, LimitSource};
use serde::{Deserialize, Serialize};

use crate::words;

/// The meters of one account for one set of models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limiter {
    /// Whose.
    pub account: String,
    /// For which models: a pool of the provider, a pattern of typed ceilings, or a model's name.
    pub models: String,
    /// Attempts in flight.
    pub in_flight: u64,
    /// The most allowed, where that is limited.
    pub in_flight_limit: Option<u64>,
    /// A refusal closed it for this much longer.
    pub closed_for_seconds: Option<f64>,
    /// Attempts that were throttled since the start.
    pub throttled: u64,
    /// What held back the head of its queue when it was last asked: `requests/min`, `in_flight`, `gate`, `learning`, `health`.
    pub binds: Option<String>,
    /// Its limits.
    pub limits: Vec<Limit>,
}

/// One limit, with what is used of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// What is counted.
    pub dimension: String,
    /// Over how long, as people write it.
    pub window: String,
    /// Over how long.
    pub window_seconds: f64,
    /// The limit as believed now.
    pub limit: u64,
    /// Charged in the last window.
    pub used: u64,
    /// Where the limit comes from.
    pub source: Source,
}

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The user typed it.
    Typed,
    /// A response said so.
    #[default]
    Reported,
    /// Learned from refusals.
    Learned,
}

impl Limiter {
    pub(crate) fn of(standing: &LimiterStanding) -> Self {
        let (in_flight, most) = standing.view.in_flight;
        Self {
            account: standing.account.clone(),
            models: standing.models.clone(),
            in_flight: in_flight.into(),
            in_flight_limit: most.map(u64::from),
            closed_for_seconds: standing.view.closed_for.map(|wait| wait.as_secs_f64()),
            throttled: standing.view.throttled,
            binds: standing.view.binds.map(words::bind),
            limits: standing.view.buckets.iter().map(Limit::of).collect(),
        }
    }
}

impl Limit {
    fn of(bucket: &BucketView) -> Self {
        Self {
            dimension: bucket.quota.dimension.name().to_owned(),
            window: words::window(bucket.quota.window),
            window_seconds: bucket.quota.window.as_secs_f64(),
            limit: bucket.quota.limit,
            used: bucket.used,
            source: match bucket.source {
                LimitSource::Typed => Source::Typed,
                LimitSource::Reported => Source::Reported,
                LimitSource::Learned => Source::Learned,
            },
        }
    }
}
