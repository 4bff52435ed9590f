//! The limits a provider holds us to: which one binds, and over which window.

use std::time::Duration;

use paceline_core::quota::{Dimension, Quota};
use paceline_mock::model::{Algorithm, Limit};

/// The window of every limit that is told or typed.
pub const MINUTE: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// How a per-minute limit is enforced in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A bucket that refills steadily and holds a minute's worth.
    MinuteBucket,
    /// A bucket that holds one second's worth.
    SecondBucket,
    /// A bucket that holds ten seconds' worth.
    TenSecondBucket,
    /// A count that starts again every minute.
    FixedMinute,
    /// Everything charged in the last minute.
    SlidingLog,
    /// A count that starts again every ten seconds.
    FixedTenSeconds,
    /// This minute's count and the weighted last one.
    SlidingCounter,
}

impl Window {
    /// The five that providers are known to use.
    pub const USUAL: [Window; 5] = [
        Window::MinuteBucket,
        Window::SecondBucket,
        Window::TenSecondBucket,
        Window::FixedMinute,
        Window::SlidingLog,
    ];

    /// The hard ones.
    pub const HARD: [Window; 2] = [Window::FixedTenSeconds, Window::SlidingCounter];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Window> {
        Self::USUAL.into_iter().chain(Self::HARD)
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Window::MinuteBucket => "minute bucket",
            Window::SecondBucket => "1 s burst",
            Window::TenSecondBucket => "10 s bucket",
            Window::FixedMinute => "fixed minute",
            Window::SlidingLog => "sliding log",
            Window::FixedTenSeconds => "fixed 10 s",
            Window::SlidingCounter => "sliding counter",
        }
    }

    /// The provider's limit for a quota. `phase` is where fixed windows start.
    pub fn limit(self, quota: &Quota, phase: Duration) -> Limit {
        let bucket = |of| Algorithm::bucket(quota.limit, quota.window, of);
        let algorithm = match self {
            Window::MinuteBucket => bucket(quota.window),
            Window::SecondBucket => bucket(SECOND),
            Window::TenSecondBucket => bucket(TEN_SECONDS),
            Window::FixedMinute => Algorithm::FixedWindow { period: MINUTE, phase },
            Window::SlidingLog => Algorithm::SlidingLog { period: MINUTE },
            Window::FixedTenSeconds => Algorithm::FixedWindow { period: TEN_SECONDS, phase },
            Window::SlidingCounter => Algorithm::SlidingCounter { period: MINUTE, phase },
        };
        Limit { dimension: quota.dimension, amount: quota.limit, window: quota.window, algorithm }
    }
}

/// Which limit binds under the default mix; the others have room to spare (at least 1.6 times the need).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// 600 requests per minute.
    Requests,
    /// A million input tokens per minute.
    Input,
    /// 180,000 output tokens per minute, counted as they are produced.
    Output,
}

impl Binding {
    /// All of them.
    pub const ALL: [Binding; 3] = [Binding::Requests, Binding::Input, Binding::Output];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Binding::Requests => "requests",
            Binding::Input => "input",
            Binding::Output => "output",
        }
    }

    /// The dimension that binds.
    pub fn dimension(self) -> Dimension {
        match self {
            Binding::Requests => Dimension::Requests,
            Binding::Input => Dimension::InputTokens,
            Binding::Output => Dimension::OutputTokens,
        }
    }

    /// The quotas of one account, a hundredth of `percent` of the usual size.
    pub fn quotas(self, percent: u64) -> Vec<Quota> {
        let (requests, input, output) = match self {
            Binding::Requests => (600, 2_500_000, 400_000),
            Binding::Input => (1_000, 1_000_000, 300_000),
            Binding::Output => (1_000, 2_000_000, 180_000),
        };
        [(Dimension::Requests, requests), (Dimension::InputTokens, input), (Dimension::OutputTokens, output)]
            .map(|(dimension, limit)| Quota { dimension, window: MINUTE, limit: limit * percent / 100 })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::BATCH;

    #[test]
    fn only_the_binding_limit_is_short() {
        let need = |dimension| match dimension {
            Dimension::Requests => 1.0,
            Dimension::InputTokens => BATCH.input_mean,
            _ => BATCH.output_mean,
        };
        for binding in Binding::ALL {
            let rates: Vec<(Dimension, f64)> = binding
                .quotas(100)
                .iter()
                .map(|q| (q.dimension, q.limit as f64 / need(q.dimension)))
                .collect();
            let own = rates.iter().find(|(d, _)| *d == binding.dimension()).map_or(0.0, |(_, rate)| *rate);
            for (dimension, rate) in &rates {
                assert!(*dimension == binding.dimension() || own * 1.6 <= *rate, "{binding:?} {dimension:?}");
            }
        }
    }
}
