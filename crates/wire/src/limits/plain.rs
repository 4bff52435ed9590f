//! The grammars of providers that adapt their limits: Fireworks, Together and OpenRouter.

use std::time::Duration;

use paceline_core::feedback::LimitSeen;
use paceline_core::quota::Dimension;

use super::{DAY, HOUR, Headers, MINUTE, Numbers, SECOND};
use crate::hint::{go_duration, until_epoch};

/// Fireworks: tokens per second, of three kinds; requests of an older API without a window.
///
/// The whole prompt and its uncached part are limited apart. Whichever is charged when the cache helps is the input.
pub(super) fn fireworks(headers: &Headers<'_>, cache_reads_free: bool) -> Vec<LimitSeen> {
    let one = |what: &str, dimension, window| {
        let (limit, remaining) = (["x-ratelimit-limit-", what], ["x-ratelimit-remaining-", what]);
        let numbers = Numbers::named(headers, &limit, &remaining, None)?;
        Some(numbers.seen(dimension, window, 1))
    };
    let prompt = |what| one(what, Dimension::InputTokens, Some(SECOND));
    let (charged, other) = ("tokens-cache-adjusted-prompt", "tokens-prompt");
    let (first, second) = if cache_reads_free { (charged, other) } else { (other, charged) };
    let seen = [
        one("requests", Dimension::Requests, None),
        prompt(first).or_else(|| prompt(second)),
        one("tokens-generated", Dimension::OutputTokens, Some(SECOND)),
    ];
    seen.into_iter().flatten().collect()
}

/// Together: allowances per second.
pub(super) fn together(headers: &Headers<'_>) -> Vec<LimitSeen> {
    let one = |family: &'static str, dimension| {
        let name = |part: &'static str| [family, "-", part];
        let reset = headers.joined(&name("reset")).and_then(go_duration);
        let numbers = Numbers::named(headers, &name("limit"), &name("remaining"), reset)?;
        Some(numbers.seen(dimension, Some(SECOND), 1))
    };
    let seen = [one("x-ratelimit", Dimension::Requests), one("x-tokenlimit", Dimension::TotalTokens)];
    seen.into_iter().flatten().collect()
}

/// OpenRouter: one limit on requests, on refusals only. Its window shows in how far its reset lies ahead.
pub(super) fn openrouter(headers: &Headers<'_>, now: Duration) -> Vec<LimitSeen> {
    let reset = epoch_reset(headers, now);
    let numbers = Numbers::named(headers, &["x-ratelimit-limit"], &["x-ratelimit-remaining"], reset);
    let window = reset.and_then(|reset| match reset {
        soon if soon <= MINUTE => Some(MINUTE),
        late if late > HOUR => Some(DAY),
        _ => None,
    });
    let guessed = |numbers: Numbers| LimitSeen {
        window_is_guessed: true,
        ..numbers.seen(Dimension::Requests, window, 1)
    };
    numbers.map(guessed).into_iter().collect()
}

/// A suggested wait in seconds that belongs to no limit.
pub(super) fn bare_reset(headers: &Headers<'_>) -> Option<Duration> {
    go_duration(headers.text("x-ratelimit-reset")?)
}

/// The instant, an epoch in milliseconds, at which the limit is whole again.
pub(super) fn epoch_reset(headers: &Headers<'_>, now: Duration) -> Option<Duration> {
    until_epoch(headers.text("x-ratelimit-reset")?, now)
}
