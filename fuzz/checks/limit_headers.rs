//! Whatever an answer's headers and body say, what is read out of them is possible, and the same in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_wire::hint::{self, LONGEST_WAIT};
use paceline_wire::provider::{Catalog, Provider};
use paceline_wire::{Endpoint, class, limits, response};

/// The input reads as an answer does: `429 1763904071` (status and Unix time), headers, a blank line, a body.
pub(crate) fn check(input: &[u8]) {
    let mut lines = input.split_inclusive(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut numbers = first.split_whitespace().map(|number| number.parse::<u64>().unwrap_or_default());
    let status = numbers.next().unwrap_or_default() as u16;
    let now = Duration::from_secs(numbers.next().unwrap_or_default());
    let mut headers: BTreeMap<String, HeaderValue> = BTreeMap::new();
    let mut used = first.len().min(input.len());
    for line in lines {
        used += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), value) {
            headers.insert(name.as_str().to_owned(), value);
        }
    }
    let body = input.get(used..).unwrap_or_default();
    let (forth, back) = (map(headers.iter()), map(headers.iter().rev()));
    for provider in Catalog::embedded().providers() {
        read(provider, status, [&forth, &back], body, now);
    }
}

fn map<'a>(headers: impl Iterator<Item = (&'a String, &'a HeaderValue)>) -> HeaderMap {
    headers.filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.clone()))).collect()
}

fn read(provider: &Provider, status: u16, [forth, back]: [&HeaderMap; 2], body: &[u8], now: Duration) {
    let name = &provider.name;
    let seen = limits::read(provider, forth, now);
    assert_eq!(seen, limits::read(provider, back, now), "{name}: the order of headers means nothing");
    assert!(seen.len() <= 16, "{name}: {} limits", seen.len());
    for (index, limit) in seen.iter().enumerate() {
        assert!(limit.limit.is_some() || limit.remaining.is_some(), "{name}: {limit:?} says nothing");
        assert!(limit.limit != Some(0) && limit.rounding > 0, "{name}: {limit:?}");
        assert!(limit.remaining.unwrap_or(0) <= limit.limit.unwrap_or(u64::MAX), "{name}: {limit:?}");
        assert!(limit.reset.unwrap_or_default() <= LONGEST_WAIT, "{name}: {limit:?}");
        assert!(limit.window != Some(Duration::ZERO), "{name}: {limit:?}");
        let twin = |other: &paceline_core::feedback::LimitSeen| {
            other.dimension == limit.dimension && other.window == limit.window
        };
        assert!(!seen[..index].iter().any(twin), "{name}: {limit:?} twice");
    }
    let waits = [hint::wait(provider, status, forth, body, now), hint::retry_after(forth, now)];
    let failure = class::read(provider, status, forth, body, now);
    for wait in waits.into_iter().flatten() {
        assert!(!wait.is_zero() && wait <= LONGEST_WAIT, "{name}: {wait:?}");
    }
    assert!(failure.wait.unwrap_or_default() <= LONGEST_WAIT, "{name}: {failure:?}");
    if let response::Reading::Failure { message, .. } =
        response::read(provider, Endpoint::ChatCompletions, status, forth, body, now)
    {
        assert!(!message.chars().any(char::is_control), "{name}: a control character in {message:?}");
    }
}
