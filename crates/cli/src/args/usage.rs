//! `paceline usage` and `paceline prices`: their flags.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use paceline_usage::By;

use crate::units;

#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// The ledger: the file that `[usage]` in a configuration or `paceline run --usage` names
    #[arg(long, value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    pub(crate) file: Option<PathBuf>,

    /// The configuration file that names the ledger
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Only requests that began then or later: `7d`, `12h`, `2026-11-20` or `2026-11-20T14:30` (UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,

    /// What to tell apart, separated by commas: day (UTC), model, caller, upstream, account, priority, finish
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "model")]
    pub(crate) by: Vec<By>,

    /// As CSV, with money in millionths of a US dollar
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,

    /// As JSON, with money in millionths of a US dollar
    #[arg(long)]
    pub(crate) json: bool,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then, unix time.
    At(Duration),
}

impl Since {
    /// The unix time that is meant at `now`.
    pub(crate) fn unix(self, now: SystemTime) -> Duration {
        match self {
            Since::At(at) => at,
            Since::Ago(ago) => now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(ago),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = units::duration(text) {
            return Ok(Since::Ago(ago));
        }
        let time: Option<jiff::civil::DateTime> = text.parse().ok(); // A day is its midnight.
        let seconds = time.and_then(|time| {
            let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            u64::try_from(time.timestamp().as_second()).ok()
        });
        seconds.map(|seconds| Since::At(Duration::from_secs(seconds))).ok_or_else(|| {
            format!(
                "`{text}` is neither a span nor a time; write it as `7d`, `12h`, `2026-11-20` or `2026-11-20T14:30`"
            )
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    /// Only models of this name, in which a star stands for anything
    #[arg(long, value_name = "GLOB")]
    pub(crate) model: Option<String>,

    /// The configuration file whose own prices count, too
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_read_as_people_write_them() {
        let cases = [
            ("7d", Some(Since::Ago(Duration::from_secs(7 * 86_400)))),
            ("12h", Some(Since::Ago(Duration::from_secs(12 * 3_600)))),
            ("2026-11-20", Some(Since::At(Duration::from_secs(1_795_132_800)))),
            ("2026-11-20T14:30", Some(Since::At(Duration::from_secs(1_795_132_800 + 52_200)))),
            ("2026-02-30", None),
            ("1950-01-01", None),
            ("yesterday", None),
            ("7", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse().ok(), want, "{text}");
        }
    }
}
