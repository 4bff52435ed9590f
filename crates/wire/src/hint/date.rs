//! Instants as providers write them, each as the time from now until then.
//!
//! `now` is a parameter everywhere: the time since the Unix epoch by the wall clock of the caller.

use std::time::{Duration, UNIX_EPOCH};

/// How long after `now` the HTTP-date `text` is, in any of its three formats; `None` when it is past or unreadable.
pub fn until_http_date(text: &str, now: Duration) -> Option<Duration> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    ahead(date.duration_since(UNIX_EPOCH).ok()?, now)
}

/// How long after `now` the RFC 3339 instant `text` is; zero when it is past, `None` when it is unreadable.
///
/// A full bucket shows "now" as the instant when it is full, so a past one is as good as now.
pub fn until_rfc3339(text: &str, now: Duration) -> Option<Duration> {
    let then: jiff::Timestamp = text.trim().parse().ok()?;
    let then = u64::try_from(then.as_nanosecond()).ok()?;
    Some(Duration::from_nanos(then).saturating_sub(now))
}

/// How long after `now` the Unix epoch instant `text` is, in milliseconds or seconds; `None` when it is past or neither.
///
/// Told apart by size: a number of seconds that large lies ten thousand years ahead.
pub fn until_epoch(text: &str, now: Duration) -> Option<Duration> {
    const FIRST_MILLIS: u64 = 100_000_000_000;
    let text = text.trim();
    let number: u64 = text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()?;
    let then =
        if number < FIRST_MILLIS { Duration::from_secs(number) } else { Duration::from_millis(number) };
    ahead(then, now)
}

fn ahead(then: Duration, now: Duration) -> Option<Duration> {
    then.checked_sub(now).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2023-09-29 16:26:37 UTC.
    const NOW: Duration = Duration::from_secs(1_696_004_797);

    #[test]
    fn http_dates_in_all_three_formats() {
        let cases = [
            ("Fri, 29 Sep 2023 16:26:57 GMT", Some(20)),
            ("Friday, 29-Sep-23 16:26:57 GMT", Some(20)),
            ("Fri Sep 29 16:26:57 2023", Some(20)),
            ("Fri, 29 Sep 2023 16:26:37 GMT", None),
            ("Fri, 29 Sep 2023 16:26:27 GMT", None),
            ("Zun, 29 Sep 2023 16:26:57 GMT", None),
            ("Fri, 29 Sep 100000 16:26:57 GMT", None),
            ("Fri, 29 Sep 2023 16:26:57 PST", None),
            ("soon", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(until_http_date(text, NOW).map(|wait| wait.as_secs()), want, "`{text}`");
        }
    }

    #[test]
    fn rfc_3339_and_epochs() {
        let instants = [
            ("2023-09-29T16:26:57Z", Some(20_000)),
            ("2023-09-29T18:26:57.5+02:00", Some(20_500)),
            ("2023-09-29T16:26:37Z", Some(0)),
            ("2023-09-29T16:00:00Z", Some(0)),
            ("2023-13-29T16:26:57Z", None),
            ("100000-01-01T00:00:00Z", None),
            ("1900-01-01T00:00:00Z", None),
            ("20", None),
        ];
        for (text, want) in instants {
            assert_eq!(until_rfc3339(text, NOW).map(|wait| wait.as_millis()), want, "`{text}`");
        }
        let epochs = [
            ("1696004817", Some(20_000)),
            ("1696004817.9", Some(20_000)),
            ("1696004817250", Some(20_250)),
            ("1696004797", None),
            ("20", None),
            ("-1696004817", None),
            ("99999999999999999999999", None),
            ("", None),
        ];
        for (text, want) in epochs {
            assert_eq!(until_epoch(text, NOW).map(|wait| wait.as_millis()), want, "`{text}`");
        }
    }
}
