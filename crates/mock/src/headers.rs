//! How a provider words where its limits stand: the headers of each dialect, with their rounding.
//!
//! A limit that is also enforced by the second comes twice in the standings; only the first of each dimension and window
//! is told, as providers do.

use std::time::Duration;

use jiff::Timestamp;
use paceline_core::quota::Dimension;

use crate::model::Standing;

/// One header: name and value.
pub type Header = (String, String);

/// Anthropic rounds what it tells about tokens to a multiple of this.
const TOKEN_ROUNDING: u64 = 1000;

/// `anthropic-ratelimit-*`: limits, remaining (tokens to the nearest thousand), resets as instants to the second.
pub fn anthropic(standings: &[Standing], now_unix: Duration) -> Vec<Header> {
    let mut headers = Vec::new();
    let mut tell = |name: &str, standing: Standing| {
        let field = |what: &str| format!("anthropic-ratelimit-{name}-{what}");
        headers.push((field("limit"), standing.limit.to_string()));
        headers.push((field("remaining"), standing.remaining.to_string()));
        headers.push((field("reset"), rfc3339(now_unix + standing.reset)));
    };
    let shortest = |dimension| of(standings, dimension).into_iter().min_by_key(|s| s.window);
    let (input, output) = (shortest(Dimension::InputTokens), shortest(Dimension::OutputTokens));
    if let Some(standing) = shortest(Dimension::Requests) {
        tell("requests", standing);
    }
    if let Some(standing) = total(input, output).or_else(|| shortest(Dimension::TotalTokens)) {
        tell("tokens", rounded(standing));
    }
    if let Some(standing) = input {
        tell("input-tokens", rounded(standing));
    }
    if let Some(standing) = output {
        tell("output-tokens", rounded(standing));
    }
    headers
}

/// `x-ratelimit-*`: exact counts, resets as Go durations cut to the millisecond. Of requests per minute and per day, the
/// tighter one is told, under the same name.
pub fn openai(standings: &[Standing]) -> Vec<Header> {
    let mut headers = Vec::new();
    let mut tell = |name: &str, standing: Standing| {
        headers.push((format!("x-ratelimit-limit-{name}"), standing.limit.to_string()));
        headers.push((format!("x-ratelimit-remaining-{name}"), standing.remaining.to_string()));
        headers.push((format!("x-ratelimit-reset-{name}"), go_duration(standing.reset)));
    };
    if let Some(standing) = tightest(of(standings, Dimension::Requests)) {
        tell("requests", standing);
    }
    let tokens = [Dimension::TotalTokens, Dimension::InputTokens].map(|d| tightest(of(standings, d)));
    if let Some(standing) = tokens.into_iter().flatten().next() {
        tell("tokens", standing);
    }
    headers
}

/// Azure's variant: resets as bare milliseconds, the window's length in seconds; `odd` says -1 for everything unknown.
pub fn azure(standings: &[Standing], odd: bool) -> Vec<Header> {
    let mut headers = Vec::new();
    for (name, dimension) in [("requests", Dimension::Requests), ("tokens", Dimension::TotalTokens)] {
        let Some(standing) = tightest(of(standings, dimension)) else {
            continue;
        };
        let (limit, remaining) = match odd {
            true => ("-1".to_owned(), "-1".to_owned()),
            false => (standing.limit.to_string(), standing.remaining.to_string()),
        };
        let reset = if odd { 0 } else { standing.reset.as_millis() };
        headers.push((format!("x-ratelimit-limit-{name}"), limit));
        headers.push((format!("x-ratelimit-remaining-{name}"), remaining));
        headers.push((format!("x-ratelimit-reset-{name}"), reset.to_string()));
        headers.push((format!("x-ratelimit-renewalperiod-{name}"), standing.window.as_secs().to_string()));
    }
    headers
}

/// Go's `time.Duration.String()` of `span` cut to the millisecond: `174ms`, `3.89s`, `1m26.4s`, `1h0m0s`.
pub fn go_duration(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    if seconds == 0 {
        return if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") };
    }
    let fraction = match format!(".{millis:03}").trim_end_matches('0') {
        "." => String::new(),
        digits => digits.to_owned(),
    };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}{fraction}s"),
        (0, _) => format!("{minutes}m{rest}{fraction}s"),
        _ => format!("{hours}h{minutes}m{rest}{fraction}s"),
    }
}

/// The instant, given since 1970, as RFC 3339 in UTC, cut to the second.
pub fn rfc3339(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The instant, given since 1970, as the `date` header has it.
pub fn http_date(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// The first standing of each window of `dimension`.
fn of(standings: &[Standing], dimension: Dimension) -> Vec<Standing> {
    let mut told: Vec<Standing> = Vec::new();
    for standing in standings.iter().filter(|s| s.dimension == dimension) {
        if told.iter().all(|before| before.window != standing.window) {
            told.push(*standing);
        }
    }
    told
}

/// The one with the smallest share left; the shorter window when equal.
fn tightest(standings: Vec<Standing>) -> Option<Standing> {
    let share = |s: &Standing| u128::from(s.remaining) * 1_000_000_000 / u128::from(s.limit.max(1));
    standings.into_iter().min_by_key(|s| (share(s), s.window))
}

/// Input and output as one: sums, and the earlier reset of the two.
fn total(input: Option<Standing>, output: Option<Standing>) -> Option<Standing> {
    let (input, output) = (rounded(input?), rounded(output?));
    Some(Standing {
        dimension: Dimension::TotalTokens,
        window: input.window,
        limit: input.limit.saturating_add(output.limit),
        remaining: input.remaining.saturating_add(output.remaining),
        reset: input.reset.min(output.reset),
    })
}

fn rounded(standing: Standing) -> Standing {
    let thousands = standing.remaining.saturating_add(TOKEN_ROUNDING / 2) / TOKEN_ROUNDING;
    Standing { remaining: (thousands * TOKEN_ROUNDING).min(standing.limit), ..standing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(dimension: Dimension, window: u64, limit: u64, remaining: u64, reset_ms: u64) -> Standing {
        let (window, reset) = (Duration::from_secs(window), Duration::from_millis(reset_ms));
        Standing { dimension, window, limit, remaining, reset }
    }

    fn lines(headers: Vec<Header>) -> Vec<String> {
        headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn durations_are_worded_as_go_does() {
        let cases = [
            (0, "0s"),
            (6, "6ms"),
            (174, "174ms"),
            (1000, "1s"),
            (1574, "1.574s"),
            (3890, "3.89s"),
            (8640, "8.64s"),
            (86_400, "1m26.4s"),
            (360_000, "6m0s"),
            (578_016, "9m38.016s"),
            (1_396_298, "23m16.298s"),
            (3_600_000, "1h0m0s"),
            (411_480_000, "114h18m0s"),
        ];
        for (ms, text) in cases {
            assert_eq!(go_duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(go_duration(Duration::from_nanos(1_574_400_000)), "1.574s", "cut, not rounded");
    }

    #[test]
    fn instants_are_worded_to_the_second() {
        let unix = Duration::from_millis(1_763_904_071_900);
        assert_eq!(rfc3339(unix), "2025-11-23T13:21:11Z");
        assert_eq!(http_date(unix), "Sun, 23 Nov 2025 13:21:11 GMT");
    }

    #[test]
    fn anthropic_rounds_tokens_and_sums_them() {
        let standings = [
            standing(Dimension::Requests, 60, 50, 49, 1200),
            standing(Dimension::InputTokens, 60, 200_000, 126_499, 22_050),
            standing(Dimension::OutputTokens, 60, 8_000, 7_500, 3_750),
            standing(Dimension::Requests, 60, 50, 0, 500), // The hidden enforcement by the second.
        ];
        let told = lines(anthropic(&standings, Duration::from_secs(1_763_904_071)));
        let expected = [
            "anthropic-ratelimit-requests-limit: 50",
            "anthropic-ratelimit-requests-remaining: 49",
            "anthropic-ratelimit-requests-reset: 2025-11-23T13:21:12Z",
            "anthropic-ratelimit-tokens-limit: 208000",
            "anthropic-ratelimit-tokens-remaining: 134000",
            "anthropic-ratelimit-tokens-reset: 2025-11-23T13:21:14Z",
            "anthropic-ratelimit-input-tokens-limit: 200000",
            "anthropic-ratelimit-input-tokens-remaining: 126000",
            "anthropic-ratelimit-input-tokens-reset: 2025-11-23T13:21:33Z",
            "anthropic-ratelimit-output-tokens-limit: 8000",
            "anthropic-ratelimit-output-tokens-remaining: 8000",
            "anthropic-ratelimit-output-tokens-reset: 2025-11-23T13:21:14Z",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn azure_tells_milliseconds_or_nothing() {
        let standings = [standing(Dimension::Requests, 60, 120, 119, 500)];
        let names = ["limit", "remaining", "reset", "renewalperiod"];
        for (odd, values) in [(false, ["120", "119", "500", "60"]), (true, ["-1", "-1", "0", "60"])] {
            let expected: Vec<String> = names
                .iter()
                .zip(values)
                .map(|(name, v)| format!("x-ratelimit-{name}-requests: {v}"))
                .collect();
            assert_eq!(lines(azure(&standings, odd)), expected);
        }
    }

    #[test]
    fn openai_tells_the_tighter_of_minute_and_day() {
        let minute = standing(Dimension::Requests, 60, 10_000, 9_999, 6);
        let day = standing(Dimension::Requests, 86_400, 10_000, 9_000, 8_640_000);
        let tokens = standing(Dimension::TotalTokens, 60, 200_000, 199_990, 3);
        assert_eq!(
            lines(openai(&[minute, day, tokens])),
            [
                "x-ratelimit-limit-requests: 10000",
                "x-ratelimit-remaining-requests: 9000",
                "x-ratelimit-reset-requests: 2h24m0s",
                "x-ratelimit-limit-tokens: 200000",
                "x-ratelimit-remaining-tokens: 199990",
                "x-ratelimit-reset-tokens: 3ms",
            ]
        );
        let told = lines(openai(&[minute, standing(Dimension::Requests, 86_400, 100_000, 99_999, 864)]));
        assert_eq!(told[2], "x-ratelimit-reset-requests: 6ms");
    }
}
