//! `anthropic-ratelimit-<what>-<limit|remaining|reset>`.
//!
//! Left out on purpose: the combined `tokens` when input and output are told apart (it is their sum, or repeats the
//! tighter of them), and the meters of priority and fast traffic, which ordinary requests don't draw on.

use std::time::Duration;

use paceline_core::feedback::LimitSeen;
use paceline_core::quota::Dimension;

use super::{Headers, MINUTE, Numbers};
use crate::hint::{until_epoch, until_rfc3339};

/// What is left of tokens is rounded to this; requests are exact.
const TOKEN_ROUNDING: u64 = 1_000;

pub(super) fn read(headers: &Headers<'_>, now: Duration) -> Vec<LimitSeen> {
    let mut seen: Vec<_> = [
        one(headers, "requests", Dimension::Requests, now),
        one(headers, "input-tokens", Dimension::InputTokens, now),
        one(headers, "output-tokens", Dimension::OutputTokens, now),
    ]
    .into_iter()
    .flatten()
    .collect();
    if seen.iter().all(|limit| limit.dimension == Dimension::Requests) {
        seen.extend(one(headers, "tokens", Dimension::TotalTokens, now));
    }
    seen
}

/// Subscriptions have meters of their own kind, of which a rejection tells the end.
pub(super) fn unified_reset(headers: &Headers<'_>, now: Duration) -> Option<Duration> {
    headers.text("anthropic-ratelimit-unified-status").filter(|status| *status == "rejected")?;
    until_epoch(headers.text("anthropic-ratelimit-unified-reset")?, now)
}

fn one(headers: &Headers<'_>, what: &'static str, dimension: Dimension, now: Duration) -> Option<LimitSeen> {
    let name = |part: &'static str| ["anthropic-ratelimit-", what, "-", part];
    let reset = headers.joined(&name("reset")).and_then(|instant| until_rfc3339(instant, now));
    let numbers = Numbers::named(headers, &name("limit"), &name("remaining"), reset)?;
    let round = numbers.remaining.is_none_or(|left| left % TOKEN_ROUNDING == 0);
    let rounding = if dimension != Dimension::Requests && round { TOKEN_ROUNDING } else { 1 };
    Some(numbers.seen(dimension, Some(MINUTE), rounding))
}
