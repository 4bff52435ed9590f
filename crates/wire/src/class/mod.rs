//! What a failed answer means, by its status and its body together: status 429 alone arrives with at least six meanings.

mod body;
mod named;
mod rules;

use std::time::Duration;

use http::HeaderMap;
use paceline_core::feedback::{Class, Failure, LimitSeen};

use crate::hint;
use crate::limits;
use crate::provider::{LimitHeaders, Provider};
pub(crate) use body::{ErrorBody, Shape, is_error};

/// A wait beyond this is a daily limit, not a sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(15 * 60);

/// What an answer that failed means.
///
/// `now_unix` is the wall clock, for hints that name an instant.
pub fn read(
    provider: &Provider,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now_unix: Duration,
) -> Failure {
    of(provider, status, headers, &mut ErrorBody::parse(body), Some(now_unix))
}

/// What an error body means that arrived without headers of its own: an error event of a stream, a line of a batch.
///
/// `status` is that of the answer around it, often a success that was promised too early.
pub fn from_error_body(provider: &Provider, status: u16, body: &[u8]) -> Failure {
    of(provider, status, &HeaderMap::new(), &mut ErrorBody::parse(body), None)
}

/// As [`read`], of a body that is parsed already.
pub(crate) fn of(
    provider: &Provider,
    status: u16,
    headers: &HeaderMap,
    body: &mut ErrorBody,
    now_unix: Option<Duration>,
) -> Failure {
    if let Some(kind) = limits::text(headers, "x-amzn-errortype") {
        body.add_name(kind);
    }
    let now = now_unix.unwrap_or_default();
    let seen = rules::Seen {
        status: rules::effective_status(status, body),
        body,
        quirks: &provider.quirks,
        retry_advised: limits::text(headers, "x-should-retry")
            .map(|advice| advice.eq_ignore_ascii_case("true")),
        shows_room: shows_room(provider, headers, now),
    };
    let class = seen.class();
    let wait = hint::best(provider, status, headers, body, now);
    let class = match class {
        Class::Throttled | Class::Ramp if wait.is_some_and(|wait| wait > LONGEST_SLEEP) => Class::Daily,
        other => other,
    };
    let wait = wait.filter(|_| may_pass(class)).or_else(|| unsaid_wait(provider, class, body));
    let wait = match class {
        Class::Daily => calendar_wait(provider, wait, now_unix),
        _ => wait,
    };
    Failure { class, wait, named: body.named().limit(), unprocessed: false }
}

/// Whether waiting can help at all.
fn may_pass(class: Class) -> bool {
    match class {
        Class::Throttled
        | Class::Ramp
        | Class::Overloaded
        | Class::Concurrency
        | Class::Daily
        | Class::Transient => true,
        Class::Money | Class::Auth | Class::TooBig | Class::Policy | Class::BadRequest => false,
    }
}

/// Gemini names the minute's quota and sometimes forgets the delay: the minute is one.
fn unsaid_wait(provider: &Provider, class: Class, body: &ErrorBody) -> Option<Duration> {
    let by_minute = class == Class::Throttled && provider.quirks.day_resets_at_utc_offset.is_some();
    let named = body.named();
    if by_minute && body.has_violations() { named.window.filter(|_| !named.is_daily()) } else { None }
}

/// Where days begin at midnight, a short hint doesn't open a daily limit: midnight does.
fn calendar_wait(
    provider: &Provider,
    wait: Option<Duration>,
    now_unix: Option<Duration>,
) -> Option<Duration> {
    if wait.is_some_and(|wait| wait > LONGEST_SLEEP) {
        return wait;
    }
    let until_midnight = || {
        let offset = i64::from(provider.quirks.day_resets_at_utc_offset?) * 3_600;
        let local = i64::try_from(now_unix?.as_secs()).ok()?.checked_add(offset)?;
        u64::try_from(86_400 - local.rem_euclid(86_400)).ok().map(Duration::from_secs)
    };
    until_midnight().or(wait)
}

/// Whether the headers show room left in every dimension: then a refusal is about something else, such as too steep a rise.
///
/// Asked of Anthropic alone: the headers of others leave out some of the meters that refuse.
fn shows_room(provider: &Provider, headers: &HeaderMap, now: Duration) -> bool {
    if provider.limit_headers != LimitHeaders::Anthropic {
        return false;
    }
    let seen = limits::read(provider, headers, now);
    let roomy = |limit: u64, remaining: u64| remaining.saturating_mul(10) >= limit;
    let room = |seen: &LimitSeen| matches!((seen.limit, seen.remaining), (Some(l), Some(r)) if roomy(l, r));
    !seen.is_empty() && seen.iter().all(room)
}

#[cfg(test)]
mod tests;
