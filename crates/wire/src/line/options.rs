//! What a line asks of us: its `paceline` member.

use std::time::Duration;

use paceline_core::engine::Priority;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LineError;
use super::error::{message, quoted};
use crate::hint;

/// What a line asks of us rather than of the provider. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which class it is in.
    pub priority: Option<Priority>,
    /// Whom it counts for.
    pub tenant: Option<String>,
    /// Not to be sent earlier.
    pub not_before: Option<When>,
    /// Of no use after.
    pub deadline: Option<When>,
}

/// A point in time, as people give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This long after the start of the run.
    After(Duration),
    /// At this time since the Unix epoch.
    At(Duration),
}

impl When {
    /// Reads a duration (`2h`, `1h30m`, `90s`) or an instant of RFC 3339 (`2026-11-22T18:00:00+01:00`).
    ///
    /// Instants before 1970 count as 1970: what lies that far back is over either way.
    pub fn parse(text: &str) -> Option<When> {
        let text = text.trim();
        // Everything else here carries its unit, so a bare number is more likely a mistake than seconds.
        if text.ends_with(|last: char| last.is_ascii_alphabetic())
            && let Some(duration) = hint::go_duration(text)
        {
            return Some(When::After(duration));
        }
        let instant: jiff::Timestamp = text.parse().ok()?;
        Some(When::At(Duration::try_from(instant.as_duration()).unwrap_or_default()))
    }

    /// The time since the Unix epoch, for a run that started at `start`.
    pub fn unix(self, start: Duration) -> Duration {
        match self {
            When::After(duration) => start.saturating_add(duration),
            When::At(unix) => unix,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct Written {
    priority: Option<WrittenPriority>,
    tenant: Option<String>,
    not_before: Option<String>,
    deadline: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenPriority {
    Interactive,
    Normal,
    Batch,
}

pub(super) fn read(options: Option<&RawValue>) -> Result<Options, LineError> {
    let Some(options) = options else { return Ok(Options::default()) };
    let written: Written = serde_json::from_str(options.get())
        .map_err(|error| LineError::Options { message: message(&error) })?;
    let time = |key: &'static str, text: Option<String>| match text {
        Some(text) => match When::parse(&text) {
            Some(when) => Ok(Some(when)),
            None => Err(LineError::Time { key, text: quoted(&text) }),
        },
        None => Ok(None),
    };
    Ok(Options {
        priority: written.priority.map(|priority| match priority {
            WrittenPriority::Interactive => Priority::Interactive,
            WrittenPriority::Normal => Priority::Normal,
            WrittenPriority::Batch => Priority::Batch,
        }),
        tenant: written.tenant,
        not_before: time("not_before", written.not_before)?,
        deadline: time("deadline", written.deadline)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_or_instants() {
        let cases = [
            ("2h", Some(When::After(Duration::from_secs(7200)))),
            ("1h30m", Some(When::After(Duration::from_secs(5400)))),
            (" 90s ", Some(When::After(Duration::from_secs(90)))),
            ("1d", Some(When::After(Duration::from_secs(86_400)))),
            ("1970-01-02T00:00:00Z", Some(When::At(Duration::from_secs(86_400)))),
            ("1970-01-01T02:00:00.5+01:00", Some(When::At(Duration::from_millis(3_600_500)))),
            ("1960-01-01T00:00:00Z", Some(When::At(Duration::ZERO))),
            ("90", None),
            ("-2h", None),
            ("2026-11-22", None),
            ("2026-11-22T18:00:00", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(When::parse(text), want, "{text}");
        }
        let start = Duration::from_secs(1000);
        assert_eq!(When::After(Duration::MAX).unix(start), Duration::MAX);
        assert_eq!(When::At(Duration::from_secs(5)).unix(start), Duration::from_secs(5));
    }
}
