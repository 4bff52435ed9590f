//! How much is allowed, and by which kind of clock that is enforced.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_core::quota::Dimension;
use serde::Deserialize;

use super::{DAY, MINUTE};
use crate::model::{Algorithm, Limit};

/// The limits of an account; what is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amounts {
    /// RPM.
    pub requests_per_minute: Option<u64>,
    /// RPD.
    pub requests_per_day: Option<u64>,
    /// ITPM.
    pub input_tokens_per_minute: Option<u64>,
    /// OTPM.
    pub output_tokens_per_minute: Option<u64>,
    /// TPM.
    pub tokens_per_minute: Option<u64>,
    /// TPD.
    pub tokens_per_day: Option<u64>,
}

impl Amounts {
    /// These amounts, except where `other` has its own.
    pub fn overridden_by(self, other: Amounts) -> Amounts {
        Amounts {
            requests_per_minute: other.requests_per_minute.or(self.requests_per_minute),
            requests_per_day: other.requests_per_day.or(self.requests_per_day),
            input_tokens_per_minute: other.input_tokens_per_minute.or(self.input_tokens_per_minute),
            output_tokens_per_minute: other.output_tokens_per_minute.or(self.output_tokens_per_minute),
            tokens_per_minute: other.tokens_per_minute.or(self.tokens_per_minute),
            tokens_per_day: other.tokens_per_day.or(self.tokens_per_day),
        }
    }

    /// The limits for a meter. Daily ones refill steadily, whatever holds for the minute.
    pub fn enforced(&self, by: Enforcement) -> Vec<Limit> {
        self.enforced_with(by, by)
    }

    /// The same, with another way for requests.
    pub fn enforced_with(&self, by: Enforcement, requests_by: Enforcement) -> Vec<Limit> {
        let limits = [
            (Dimension::Requests, MINUTE, self.requests_per_minute),
            (Dimension::Requests, DAY, self.requests_per_day),
            (Dimension::InputTokens, MINUTE, self.input_tokens_per_minute),
            (Dimension::OutputTokens, MINUTE, self.output_tokens_per_minute),
            (Dimension::TotalTokens, MINUTE, self.tokens_per_minute),
            (Dimension::TotalTokens, DAY, self.tokens_per_day),
        ];
        let limit = |(dimension, window, amount): (Dimension, Duration, Option<u64>)| {
            let amount = amount?;
            let algorithm = match (window == MINUTE, dimension) {
                (true, Dimension::Requests) => requests_by.algorithm(amount),
                (true, _) => by.algorithm(amount),
                (false, _) => Algorithm::Bucket { capacity: amount },
            };
            Some(Limit { dimension, amount, window, algorithm })
        };
        limits.into_iter().filter_map(limit).collect()
    }
}

/// How a minute's limit is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// A bucket that holds the minute's amount.
    #[default]
    MinuteBucket,
    /// A bucket that holds a second's share.
    SecondBucket,
    /// A bucket that holds ten seconds' share.
    TenSecondBucket,
    /// A count that starts again every minute.
    FixedMinute,
    /// A sixth of the amount, in a count that starts again every ten seconds.
    FixedTenSeconds,
    /// The last sixty seconds, exactly.
    SlidingLog,
    /// This minute's count plus the last one's, weighted.
    SlidingCounter,
}

impl Enforcement {
    /// Every kind, with its name.
    pub const ALL: [(Enforcement, &'static str); 7] = [
        (Enforcement::MinuteBucket, "minute-bucket"),
        (Enforcement::SecondBucket, "second-bucket"),
        (Enforcement::TenSecondBucket, "ten-second-bucket"),
        (Enforcement::FixedMinute, "fixed-minute"),
        (Enforcement::FixedTenSeconds, "fixed-ten-seconds"),
        (Enforcement::SlidingLog, "sliding-log"),
        (Enforcement::SlidingCounter, "sliding-counter"),
    ];

    /// The algorithm for a limit of `amount` a minute.
    pub fn algorithm(self, amount: u64) -> Algorithm {
        let (phase, ten_seconds) = (Duration::ZERO, Duration::from_secs(10));
        match self {
            Enforcement::MinuteBucket => Algorithm::Bucket { capacity: amount },
            Enforcement::SecondBucket => Algorithm::bucket(amount, MINUTE, Duration::from_secs(1)),
            Enforcement::TenSecondBucket => Algorithm::bucket(amount, MINUTE, ten_seconds),
            Enforcement::FixedMinute => Algorithm::FixedWindow { period: MINUTE, phase },
            Enforcement::FixedTenSeconds => Algorithm::FixedWindow { period: ten_seconds, phase },
            Enforcement::SlidingLog => Algorithm::SlidingLog { period: MINUTE },
            Enforcement::SlidingCounter => Algorithm::SlidingCounter { period: MINUTE, phase },
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Enforcement::ALL.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// A name that is no [`Enforcement`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown window `{name}`; known are {}", Enforcement::ALL.map(|(_, name)| format!("`{name}`")).join(", "))]
pub struct UnknownEnforcement {
    name: String,
}

impl FromStr for Enforcement {
    type Err = UnknownEnforcement;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Enforcement::ALL.iter().find(|(_, known)| *known == name);
        known.map(|(kind, _)| *kind).ok_or_else(|| UnknownEnforcement { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (kind, name) in Enforcement::ALL {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.to_string(), name);
        }
        let error = "minute".parse::<Enforcement>().unwrap_err().to_string();
        assert!(error.starts_with("unknown window `minute`; known are `minute-bucket`, "));
    }

    #[test]
    fn a_days_limit_refills_whatever_holds_for_the_minute() {
        let amounts =
            Amounts { requests_per_minute: Some(60), requests_per_day: Some(200), ..Amounts::default() };
        let algorithms: Vec<_> =
            amounts.enforced(Enforcement::SecondBucket).iter().map(|l| l.algorithm).collect();
        assert_eq!(algorithms, [Algorithm::Bucket { capacity: 1 }, Algorithm::Bucket { capacity: 200 }]);
    }

    #[test]
    fn what_is_typed_wins() {
        let base =
            Amounts { requests_per_minute: Some(60), tokens_per_minute: Some(9), ..Amounts::default() };
        let typed = Amounts { requests_per_minute: Some(5), ..Amounts::default() };
        let both = base.overridden_by(typed);
        assert_eq!((both.requests_per_minute, both.tokens_per_minute), (Some(5), Some(9)));
    }
}
