//! Reads the limits that a response's headers report, in the grammar of each provider.
//!
//! What comes out is evidence: garbage is discarded, negative and zero limits are unknown, rounding is told. Whether to
//! believe it is decided elsewhere.

mod anthropic;
mod headers;
mod number;
mod plain;
mod suffixed;
mod triple;
mod window;

use std::time::Duration;

use http::HeaderMap;
use paceline_core::feedback::LimitSeen;
use paceline_core::quota::Dimension;

use crate::hint::{LONGEST_WAIT, until_http_date};
use crate::provider::{LimitHeaders, Provider};
use headers::Headers;
pub(crate) use headers::text;
pub(crate) use number::count;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The limits that `headers` report, at most one for each dimension and window.
///
/// `now_unix` is the wall clock; where the response carries a `date`, that clock is used instead, because the provider
/// computed its instants by it.
pub fn read(provider: &Provider, headers: &HeaderMap, now_unix: Duration) -> Vec<LimitSeen> {
    let headers = &Headers::of(headers);
    let now = || clock(headers, now_unix); // Most tell durations.
    match provider.limit_headers {
        LimitHeaders::None => Vec::new(),
        LimitHeaders::Anthropic => {
            let seen = anthropic::read(headers, now());
            // Its OpenAI-compatible endpoint answers in that grammar.
            if seen.is_empty() { triple::openai(headers) } else { seen }
        }
        LimitHeaders::OpenAi => triple::openai(headers),
        LimitHeaders::Groq => triple::groq(headers),
        LimitHeaders::Azure => triple::azure(headers),
        LimitHeaders::Mistral | LimitHeaders::Cerebras => suffixed::read(headers),
        LimitHeaders::Fireworks => plain::fireworks(headers, provider.cache_reads.free),
        LimitHeaders::Together => plain::together(headers),
        LimitHeaders::OpenRouter => plain::openrouter(headers, now()),
    }
}

/// How long until the limit that a refusal's headers show as exhausted has room again; the longest when several are.
pub(crate) fn exhausted_reset(
    provider: &Provider,
    headers: &HeaderMap,
    now_unix: Duration,
) -> Option<Duration> {
    let seen = read(provider, headers, now_unix);
    let exhausted = seen.iter().filter(|limit| limit.remaining == Some(0));
    let refills =
        matches!(provider.limit_headers, LimitHeaders::Anthropic | LimitHeaders::OpenAi | LimitHeaders::Groq);
    let resets = exhausted.filter_map(|limit| if refills { next_unit(limit) } else { limit.reset });
    resets.max().or_else(|| {
        let headers = &Headers::of(headers);
        bare_reset(provider.limit_headers, headers, clock(headers, now_unix))
    })
}

/// Where a meter refills bit by bit, `reset` is when it is full; one request fits long before.
fn next_unit(seen: &LimitSeen) -> Option<Duration> {
    let one = match (seen.dimension, seen.window, seen.limit) {
        (Dimension::Requests, Some(window), Some(limit)) => Some(window / u32::try_from(limit.max(1)).ok()?),
        _ => None,
    };
    one.into_iter().chain(seen.reset).min()
}

/// Resets that stand alone, without the limit they belong to.
fn bare_reset(grammar: LimitHeaders, headers: &Headers<'_>, now: Duration) -> Option<Duration> {
    match grammar {
        LimitHeaders::Anthropic => anthropic::unified_reset(headers, now),
        LimitHeaders::Azure => triple::azure_bare_reset(headers),
        LimitHeaders::Together => plain::bare_reset(headers),
        LimitHeaders::OpenRouter => plain::epoch_reset(headers, now),
        _ => None,
    }
}

/// The clock that the answer was made by: its own `date`, else the caller's.
fn clock(headers: &Headers<'_>, now_unix: Duration) -> Duration {
    headers.text("date").and_then(|date| until_http_date(date, Duration::ZERO)).unwrap_or(now_unix)
}

/// The three numbers of one limit, as read.
#[derive(Clone, Copy, Default)]
struct Numbers {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Numbers {
    /// The numbers under two header names, each in parts, and a reset.
    fn named(
        headers: &Headers<'_>,
        limit: &[&str],
        remaining: &[&str],
        reset: Option<Duration>,
    ) -> Option<Numbers> {
        let said = headers.joined(limit);
        let limit = said.and_then(count).filter(|limit| *limit > 0);
        if said.is_some() && limit.is_none() {
            // -1 or 0 stands for unknown, and then its neighbours say nothing either.
            return None;
        }
        let remaining = headers.joined(remaining).and_then(count);
        // More left than there is cannot be.
        let remaining = remaining.filter(|left| limit.is_none_or(|limit| *left <= limit));
        let reset = reset.filter(|reset| *reset <= LONGEST_WAIT);
        let useful = limit.is_some() || remaining.is_some();
        useful.then_some(Numbers { limit, remaining, reset })
    }

    fn seen(self, dimension: Dimension, window: Option<Duration>, rounding: u64) -> LimitSeen {
        let Numbers { limit, remaining, reset } = self;
        LimitSeen { dimension, window, window_is_guessed: false, limit, remaining, reset, rounding }
    }
}

#[cfg(test)]
mod tests;
