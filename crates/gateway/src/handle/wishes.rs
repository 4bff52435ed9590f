//! What a caller wishes for its request beside the answer: its class, and by when it must start.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use paceline::Priority;
use tokio::time::Instant;

static PRIORITY: HeaderName = HeaderName::from_static("x-paceline-priority");
static DEADLINE: HeaderName = HeaderName::from_static("x-paceline-deadline");
/// How long an SDK waits.
static ANNOUNCED: [HeaderName; 2] =
    [HeaderName::from_static("x-stainless-read-timeout"), HeaderName::from_static("x-stainless-timeout")];
/// The longest that anybody can wish for.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// SDKs announce when they hang up. An answer that only starts then comes too late, so a tenth is left for it.
const ANNOUNCED_SHARE: f64 = 0.9;

/// The class that `x-paceline-priority` names.
pub(super) fn priority(headers: &HeaderMap) -> Result<Option<Priority>, String> {
    let Some(text) = text(headers, &PRIORITY)? else { return Ok(None) };
    match text.trim() {
        "interactive" => Ok(Some(Priority::Interactive)),
        "normal" => Ok(Some(Priority::Normal)),
        "batch" => Ok(Some(Priority::Batch)),
        _ => Err("`x-paceline-priority` must be `interactive`, `normal` or `batch`".to_owned()),
    }
}

/// When the request must have started: the earliest of what it says itself, what its SDK announces, and `longest` from
/// `now`.
pub(super) fn deadline(
    headers: &HeaderMap,
    now: Instant,
    wall_clock: SystemTime,
    longest: Duration,
) -> Result<Instant, String> {
    let own = text(headers, &DEADLINE)?;
    let own = own.map(|text| own_deadline(text, wall_clock)).transpose()?;
    let announced = ANNOUNCED.iter().filter_map(|name| {
        // What an SDK says beside the point is no fault of its user.
        let seconds = text(headers, name).ok()??.trim().parse::<f64>().ok()?;
        (seconds > 0.0).then(|| duration(seconds * ANNOUNCED_SHARE)).flatten()
    });
    let wait = announced.chain(own).chain([longest]).min().unwrap_or(longest);
    Ok(now + wait.min(LONGEST))
}

fn own_deadline(text: &str, wall_clock: SystemTime) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>()
        && 0.0 <= seconds
    {
        return Ok(duration(seconds).unwrap_or(LONGEST));
    }
    let at = text.parse::<jiff::Timestamp>().map(SystemTime::from).map_err(|_| {
        "`x-paceline-deadline` must be seconds from now, or an instant such as `2026-01-31T12:00:00Z`"
            .to_owned()
    })?;
    Ok(at.duration_since(wall_clock).unwrap_or_default())
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, String> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| format!("`{name}` is no text"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_earliest_deadline_holds() {
        let wall_clock = SystemTime::from("2026-01-31T12:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let cases: [(&[(&str, &str)], u64); 12] = [
            (&[], 300_000),
            (&[("x-paceline-deadline", "20")], 20_000),
            (&[("x-paceline-deadline", "0.5")], 500),
            (&[("x-paceline-deadline", "0")], 0),
            (&[("x-paceline-deadline", "1e300")], 300_000),
            (&[("x-paceline-deadline", "2026-01-31T12:01:00Z")], 60_000),
            (&[("x-paceline-deadline", "2026-01-31T11:00:00Z")], 0),
            (&[("x-paceline-deadline", "9999"), ("x-stainless-read-timeout", "100")], 90_000),
            (&[("x-stainless-timeout", "60.0"), ("x-stainless-read-timeout", "100")], 54_000),
            (&[("x-stainless-timeout", "600")], 300_000),
            (&[("x-stainless-timeout", "NOT_GIVEN")], 300_000),
            (&[("x-stainless-timeout", "-1"), ("x-stainless-read-timeout", "inf")], 300_000),
        ];
        let now = Instant::now();
        for (pairs, millis) in cases {
            let seen = deadline(&headers(pairs), now, wall_clock, Duration::from_secs(300)).unwrap();
            assert_eq!(seen - now, Duration::from_millis(millis), "{pairs:?}");
        }
        for text in ["soon", "-1", "NaN", "2026-01-31"] {
            let seen = deadline(&headers(&[("x-paceline-deadline", text)]), now, wall_clock, LONGEST);
            assert!(seen.is_err(), "{text}");
        }
    }

    #[test]
    fn priorities_have_three_names() {
        let seen = |text| priority(&headers(&[("x-paceline-priority", text)]));
        assert_eq!(seen("interactive"), Ok(Some(Priority::Interactive)));
        assert_eq!(seen("batch"), Ok(Some(Priority::Batch)));
        assert!(seen("urgent").is_err());
        assert_eq!(priority(&HeaderMap::new()), Ok(None));
    }
}
