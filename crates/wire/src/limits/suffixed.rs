//! `x-ratelimit-<limit|remaining|reset>-<what>-<window>`: the window is in the name, as at Mistral and Cerebras.

use std::time::Duration;

use paceline_core::feedback::LimitSeen;
use paceline_core::quota::Dimension;

use super::{DAY, HOUR, Headers, MINUTE, MONTH, Numbers, SECOND};
use crate::hint::go_duration;

/// No provider meters one request in more ways.
const MOST_LIMITS: usize = 16;

pub(super) fn read(headers: &Headers<'_>) -> Vec<LimitSeen> {
    let mut seen: Vec<LimitSeen> = Vec::new();
    // Of two names for one limit the first counts, and headers arrive in any order.
    let mut names: Vec<_> = headers.names().filter_map(split).collect();
    names.sort_unstable();
    for (family, rest) in names {
        let Some((dimension, window)) = meaning(family, rest) else { continue };
        let known = seen.iter().any(|limit| limit.dimension == dimension && limit.window == Some(window));
        if known || seen.len() == MOST_LIMITS {
            continue;
        }
        let name = |part: &'static str| [family, part, "-", rest];
        let reset = headers.joined(&name("reset")).and_then(go_duration);
        let numbers = Numbers::named(headers, &name("limit"), &name("remaining"), reset);
        seen.extend(numbers.map(|numbers| numbers.seen(dimension, Some(window), 1)));
    }
    if seen.is_empty() {
        seen.extend(by_size(headers));
    }
    seen.sort_by_key(|limit| (limit.dimension, limit.window));
    seen
}

/// Mistral's older spelling of tokens per minute.
fn by_size(headers: &Headers<'_>) -> Option<LimitSeen> {
    let reset = headers.text("ratelimitbysize-reset").and_then(go_duration);
    let numbers = Numbers::named(headers, &["ratelimitbysize-limit"], &["ratelimitbysize-remaining"], reset)?;
    Some(numbers.seen(Dimension::TotalTokens, Some(MINUTE), 1))
}

/// The name's family and what follows `limit-` or `remaining-`.
fn split(name: &str) -> Option<(&'static str, &str)> {
    ["x-ratelimit-", "x-ratelimitbysize-"].into_iter().find_map(|family| {
        let rest = name.strip_prefix(family)?;
        let rest = rest.strip_prefix("limit-").or_else(|| rest.strip_prefix("remaining-"))?;
        Some((family, rest))
    })
}

/// What `tokens-minute` or `req-10-second` counts, over how long.
fn meaning(family: &str, rest: &str) -> Option<(Dimension, Duration)> {
    let (before, unit) = rest.rsplit_once('-').unwrap_or(("", rest));
    let unit = match unit {
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        "month" => MONTH,
        _ => return None,
    };
    let (what, number) = match before.rsplit_once('-') {
        Some((what, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (what, number.parse().ok()?)
        }
        _ => (before, 1u32),
    };
    let dimension = match (family, what) {
        (_, "req" | "requests") => Dimension::Requests,
        (_, "tokens") | ("x-ratelimitbysize-", "") => Dimension::TotalTokens,
        (_, "input-tokens") => Dimension::InputTokens,
        (_, "output-tokens") => Dimension::OutputTokens,
        _ => return None,
    };
    let window = unit.checked_mul(number).filter(|window| !window.is_zero() && *window <= 12 * MONTH)?;
    Some((dimension, window))
}
