//! How long a refusal asks to wait, by the best of the hints it carries.
//!
//! A hint is a minimum. Garbage, the past, and waits beyond a year are no hints: then the next best one counts. A long wait
//! is kept as it is; that it means a daily limit rather than a sleep is decided elsewhere.

mod date;
mod duration;
mod text;

use std::time::Duration;

use http::HeaderMap;

use crate::class::ErrorBody;
use crate::limits;
use crate::provider::Provider;
pub use date::{until_epoch, until_http_date, until_rfc3339};
pub use duration::go_duration;

/// Nobody means a wait beyond this.
pub const LONGEST_WAIT: Duration = Duration::from_secs(366 * 86_400);

/// How long the answer asks to wait; `None` when it doesn't say, or its status is no refusal.
///
/// In this order: `retry-after-ms`, `retry-after` (a number or a date), the body's own field, the words of its message,
/// the numbers it names, the reset of the limit that the headers show as exhausted.
pub fn wait(
    provider: &Provider,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now_unix: Duration,
) -> Option<Duration> {
    best(provider, status, headers, &ErrorBody::parse(body), now_unix)
}

/// As [`wait`], of a body that is parsed already.
pub(crate) fn best(
    provider: &Provider,
    status: u16,
    headers: &HeaderMap,
    body: &ErrorBody,
    now_unix: Duration,
) -> Option<Duration> {
    // Anthropic sends `retry-after` with ordinary successes: obeying it there would stall everything. An error inside a
    // success still has its body to speak.
    let refused = asks_to_wait(status);
    let said = || refused.then(|| retry_after(headers, now_unix)).flatten();
    let reset = || refused.then(|| limits::exhausted_reset(provider, headers, now_unix)).flatten();
    said()
        .or_else(|| meant(go_duration(&body.retry_delay()?)))
        .or_else(|| meant(text::wait(body.text())))
        .or_else(|| meant(body.named().retry_in()))
        .or_else(|| meant(reset()))
        .or_else(|| meant(limits::exhausted_reset(provider, &body.echoed_headers()?, now_unix)))
}

/// The wait that the headers `retry-after-ms` and `retry-after` ask for.
///
/// ```
/// # use std::time::Duration;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("retry-after", "Fri, 29 Sep 2023 16:26:57 GMT".parse().unwrap());
/// let now = Duration::from_secs(1_696_004_797);
/// assert_eq!(paceline_wire::hint::retry_after(&headers, now), Some(Duration::from_secs(20)));
/// ```
pub fn retry_after(headers: &HeaderMap, now_unix: Duration) -> Option<Duration> {
    let millis = || {
        let number = limits::text(headers, "retry-after-ms")?;
        // A bare number reads as seconds.
        let bare = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        go_duration(number).filter(|_| bare).map(|seconds| seconds / 1_000)
    };
    let seconds_or_date = || {
        let text = limits::text(headers, "retry-after")?;
        go_duration(text).or_else(|| until_http_date(text, now_unix))
    };
    meant(millis()).or_else(|| meant(seconds_or_date()))
}

/// Whether an answer with this status may ask to wait.
pub(crate) fn asks_to_wait(status: u16) -> bool {
    matches!(status, 402 | 408 | 409 | 425 | 429 | 498 | 499 | 500..=599)
}

fn meant(wait: Option<Duration>) -> Option<Duration> {
    wait.filter(|wait| !wait.is_zero() && *wait <= LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
