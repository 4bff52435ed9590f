//! Reads whole answers: did it succeed, what did it use, and if it failed, what does that mean.
//!
//! A success is only what has the shape of one. An empty body, a page of HTML, JSON cut short, or an error inside a 200
//! are failures: none of them may pass for an answer.

mod envelope;
mod message;
pub mod usage;

use std::time::Duration;

use http::HeaderMap;
use paceline_core::feedback::{Class, Failure};

use crate::class::{self, ErrorBody};
use crate::dialect::Endpoint;
use crate::limits;
use crate::provider::Provider;
use crate::usage::FullUsage;
use envelope::Envelope;
pub use message::{explain, sanitize};

/// No name that a provider gives is longer.
const LONGEST_NAME: usize = 128;

/// What a whole answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What was asked for.
    Success {
        /// What it used, when it tells.
        usage: Option<FullUsage>,
    },
    /// Anything else.
    Failure {
        /// What it means.
        failure: Failure,
        /// The same for people: one short line, without control characters and keys; for a refused credential nothing
        /// of the provider's own words.
        message: String,
        /// What it used all the same, as a refusal of the model does.
        usage: Option<FullUsage>,
    },
}

/// Reads a whole answer to a request that was not streamed.
///
/// `now_unix` is the wall clock, for hints that name an instant.
pub fn read(
    provider: &Provider,
    endpoint: Endpoint,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now_unix: Duration,
) -> Reading {
    let classify = |usage| {
        let mut error = ErrorBody::parse(body);
        let failure = class::of(provider, status, headers, &mut error, Some(now_unix));
        let message = message::of(status, failure.class, &error);
        Reading::Failure { failure, message, usage }
    };
    if !(200..300).contains(&status) {
        return classify(None);
    }
    // DeepSeek keeps a waiting connection alive with blank lines.
    match judge(endpoint, status, headers, body.trim_ascii()) {
        Verdict::Success(usage) => Reading::Success { usage },
        Verdict::Error(usage) => classify(usage),
        Verdict::Garbage(message) => Reading::Failure {
            failure: plain(Class::Transient),
            message: format!("status {status}, but {message}"),
            usage: None,
        },
        Verdict::Refused(usage) => Reading::Failure {
            failure: plain(Class::Policy),
            message: "the model refused to answer".to_owned(),
            usage,
        },
    }
}

/// The name that the provider gave this exchange.
pub fn request_id(provider: &Provider, headers: &HeaderMap) -> Option<String> {
    let usual = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"];
    let id = provider
        .request_id
        .as_deref()
        .into_iter()
        .chain(usual)
        .find_map(|name| limits::text(headers, name))?;
    is_name(id).then(|| id.to_owned())
}

/// The organisation whose limits the request's credential draws on, when the answer tells.
pub fn organisation<'a>(provider: &Provider, headers: &'a HeaderMap) -> Option<&'a str> {
    let own_limits = provider.organisation_unless.iter().any(|name| headers.contains_key(name.as_str()));
    let mut names = provider.organisation.iter().filter_map(|name| limits::text(headers, name));
    names.next().filter(|name| is_name(name) && !own_limits)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_graphic())
}

enum Verdict {
    Success(Option<FullUsage>),
    Error(Option<FullUsage>),
    Garbage(String),
    Refused(Option<FullUsage>),
}

fn judge(endpoint: Endpoint, status: u16, headers: &HeaderMap, body: &[u8]) -> Verdict {
    let unread = endpoint == Endpoint::Other && !claims_json(headers);
    if body.is_empty() {
        let nothing_promised = endpoint == Endpoint::Other && status != 200;
        return if nothing_promised { Verdict::Success(None) } else { garbage("the body is empty") };
    }
    let envelope = match Envelope::parse(body) {
        Ok(envelope) => envelope,
        Err(_) if unread => return Verdict::Success(None),
        Err(_) if body[0] == b'<' => return garbage("the body is a page of HTML"),
        Err(_) if body[0] == b'[' => return list(endpoint, body),
        // What is passed through may answer with any value, such as the `null` of a thing that is not there yet.
        Err(_) if endpoint == Endpoint::Other && is_json(body) => return Verdict::Success(None),
        Err(_) => return garbage("the body is cut short or no JSON"),
    };
    let usage = envelope.usage(endpoint);
    if envelope.is_error(endpoint) {
        Verdict::Error(usage)
    } else if let Some(missing) = envelope.missing(endpoint) {
        garbage(&format!("the answer has no `{missing}`"))
    } else if envelope.is_refusal() {
        Verdict::Refused(usage)
    } else {
        Verdict::Success(usage)
    }
}

/// A list is an answer where models are listed, and an error where Gemini wraps one.
fn list(endpoint: Endpoint, body: &[u8]) -> Verdict {
    let Ok(first) = envelope::first_of_list(body) else { return garbage("the body is cut short or no JSON") };
    if first.is_some_and(|first| first.is_error(endpoint)) {
        Verdict::Error(None)
    } else if matches!(endpoint, Endpoint::Models | Endpoint::Other) {
        Verdict::Success(None)
    } else {
        garbage("the answer is a list")
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn garbage(what: &str) -> Verdict {
    Verdict::Garbage(what.to_owned())
}

fn claims_json(headers: &HeaderMap) -> bool {
    let kind = limits::text(headers, "content-type").unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn plain(class: Class) -> Failure {
    Failure { class, wait: None, named: None, unprocessed: false }
}

#[cfg(test)]
mod tests;
