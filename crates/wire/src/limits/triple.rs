//! `x-ratelimit-<limit|remaining|reset>-<what>`, as OpenAI, Groq and Azure send it.

use std::time::Duration;

use paceline_core::feedback::LimitSeen;
use paceline_core::quota::Dimension;

use super::{DAY, Headers, MINUTE, Numbers, count, window};
use crate::hint::go_duration;

/// OpenAI: `requests` is the minute's or the day's, whichever is tighter. The arithmetic tells which.
pub(super) fn openai(headers: &Headers<'_>) -> Vec<LimitSeen> {
    let seen = |numbers: Numbers, dimension, window: Option<Duration>| LimitSeen {
        window_is_guessed: true,
        ..numbers.seen(dimension, window, 1)
    };
    let requests =
        go(headers, "requests").map(|numbers| seen(numbers, Dimension::Requests, inferred(numbers)));
    let tokens = tighter(go(headers, "tokens"), go(headers, "project-tokens")).map(|numbers| {
        // A full bucket tells nothing; tokens are metered by the minute.
        seen(numbers, Dimension::TotalTokens, inferred(numbers).or(Some(MINUTE)))
    });
    requests.into_iter().chain(tokens).collect()
}

/// Groq: `requests` is always the day's, `tokens` always the minute's.
pub(super) fn groq(headers: &Headers<'_>) -> Vec<LimitSeen> {
    let requests = go(headers, "requests").map(|numbers| numbers.seen(Dimension::Requests, Some(DAY), 1));
    let tokens = go(headers, "tokens").map(|numbers| numbers.seen(Dimension::TotalTokens, Some(MINUTE), 1));
    requests.into_iter().chain(tokens).collect()
}

/// Azure: bare integers, and the window in a header of its own.
pub(super) fn azure(headers: &Headers<'_>) -> Vec<LimitSeen> {
    let one = |what: &str, dimension| {
        let mut numbers = numbers(headers, what, None)?;
        let period = headers.joined(&["x-ratelimit-renewalperiod-", what]).and_then(count);
        let window = period.filter(|period| *period > 0).map_or(MINUTE, Duration::from_secs);
        let reset = headers.joined(&["x-ratelimit-reset-", what]).and_then(count);
        numbers.reset = reset.and_then(|reset| azure_reset(numbers, reset, window));
        Some(numbers.seen(dimension, Some(window), 1))
    };
    one("requests", Dimension::Requests).into_iter().chain(one("tokens", Dimension::TotalTokens)).collect()
}

/// Azure in 2023 spelled its reset otherwise, in seconds, and sent nothing else.
pub(super) fn azure_bare_reset(headers: &Headers<'_>) -> Option<Duration> {
    let resets = ["x-rate-limit-reset-tokens", "x-rate-limit-reset-requests"];
    let seconds = resets.iter().filter_map(|name| count(headers.text(name)?)).max()?;
    Some(Duration::from_secs(seconds).min(MINUTE))
}

/// The unit of Azure's reset is nowhere told: recordings say milliseconds, users say seconds. The one that lies nearer to
/// what the use explains is taken, and no more than the window believed.
fn azure_reset(numbers: Numbers, reset: u64, window: Duration) -> Option<Duration> {
    let used = numbers.limit?.checked_sub(numbers.remaining?).filter(|used| *used > 0)?;
    let explained = window.as_secs_f64() * used as f64 / numbers.limit? as f64;
    let (seconds, millis) = (Duration::from_secs(reset), Duration::from_millis(reset));
    let distance = |reset: Duration| (reset.as_secs_f64().max(1e-9) / explained).ln().abs();
    let nearer = if distance(seconds) < distance(millis) { seconds } else { millis };
    Some(nearer.min(window))
}

fn go(headers: &Headers<'_>, what: &str) -> Option<Numbers> {
    let reset = headers.joined(&["x-ratelimit-reset-", what]).and_then(go_duration);
    numbers(headers, what, reset)
}

fn numbers(headers: &Headers<'_>, what: &str, reset: Option<Duration>) -> Option<Numbers> {
    Numbers::named(headers, &["x-ratelimit-limit-", what], &["x-ratelimit-remaining-", what], reset)
}

fn inferred(numbers: Numbers) -> Option<Duration> {
    window::infer(numbers.limit?, numbers.remaining?, numbers.reset?)
}

/// Of the organisation's and the project's limit the smaller, so that the answer doesn't alternate; what is left of
/// either bounds it.
fn tighter(organisation: Option<Numbers>, project: Option<Numbers>) -> Option<Numbers> {
    let (Some(one), Some(other)) = (organisation, project) else { return organisation.or(project) };
    let limit = |numbers: &Numbers| numbers.limit.unwrap_or(u64::MAX);
    let (small, large) = if limit(&other) < limit(&one) { (other, one) } else { (one, other) };
    let left = |numbers: &Numbers| numbers.remaining.unwrap_or(u64::MAX);
    if left(&large) < left(&small) {
        return Some(Numbers { remaining: large.remaining, reset: large.reset, ..small });
    }
    Some(small)
}
