//! What a request without an answer is told: one table, from why it ended to status, words, and whether to come back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use paceline::core::feedback::Class;
use paceline::{End, Failed, Fault, SendError, Trip};
use paceline_wire::Dialect;

use super::access::{Refusal, Spent};
use super::headers;
use crate::answer::{self, Kind};
use crate::body::Body;

/// When to come back, where nobody can tell.
const SOON: Duration = Duration::from_secs(5);
/// A wait beyond this is nothing that an SDK should sit out by itself.
const LONGEST_SITTING: Duration = Duration::from_secs(900);
/// Cloudflare and Anthropic say so when there is no room.
const OVERLOADED: u16 = 529;

/// What the caller is told.
#[derive(Debug)]
pub(super) struct Outcome {
    kind: Kind,
    status: StatusCode,
    message: String,
    wait: Option<Duration>,
    /// Whether an SDK is to try again; `None` leaves it to what the provider said.
    retry: Option<bool>,
    /// The provider's own words, which go in place of ours.
    said: Option<Box<(HeaderMap, Bytes)>>,
    trip: Option<Box<Trip>>,
}

/// The last answer of a request that failed.
struct Last {
    class: Class,
    end: End,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    message: String,
}

impl Outcome {
    /// One of our own, that trying again does not change.
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            message: message.into(),
            wait: None,
            retry: Some(false),
            said: None,
            trip: None,
        }
    }

    /// One that passes, after `wait`.
    fn passing(kind: Kind, message: impl Into<String>, wait: Duration) -> Self {
        Self { wait: Some(wait), retry: Some(wait <= LONGEST_SITTING), ..Self::new(kind, message) }
    }

    /// Another status than the kind's own.
    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// What became of a request that the client could not serve.
    pub(super) fn of(error: SendError, pass_through: bool) -> Self {
        let message = error.to_string();
        match error {
            SendError::Invalid { .. } => Self::new(Kind::BadRequest, message),
            SendError::TooLarge { .. } => Self::new(Kind::TooLarge, message),
            SendError::TooLate { wait } => Self::passing(Kind::RateLimited, message, wait.unwrap_or(SOON)),
            SendError::QueueFull => Self::passing(Kind::Unavailable, message, SOON),
            SendError::NoUpstream { class } => Self::out_of_service(class, message, pass_through),
            SendError::Failed(failed) => Self::failed(*failed, message, pass_through),
            SendError::Vetoed => Self::unrecordable(),
            SendError::Closed => Self::passing(Kind::Unavailable, "the gateway is stopping", SOON),
            // What a later client may say.
            _ => Self::new(Kind::Internal, message),
        }
    }

    /// Nothing may be sent that the usage ledger does not take down.
    pub(super) fn unrecordable() -> Self {
        Self::passing(
            Kind::Unavailable,
            "the usage ledger cannot be written; ask whoever runs the gateway",
            SOON,
        )
    }

    /// What a caller is told who may not.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::new(
                Kind::Unauthenticated,
                "the gateway does not know this credential; send a key of the gateway as `authorization: Bearer <key>` or `x-api-key: <key>`",
            ),
            Refusal::TooManyTries { wait } => {
                Self::passing(Kind::RateLimited, "too many failed tries from this address", *wait)
            }
            Refusal::Spent { what: Spent::Requests, wait } => {
                Self::passing(Kind::RateLimited, "this key's own limit of requests is reached", *wait)
            }
            Refusal::Spent { what: Spent::Tokens, wait } => {
                Self::passing(Kind::RateLimited, "this key's own limit of tokens is reached", *wait)
            }
            Refusal::TooMuch { what: Spent::Total } => Self::new(
                Kind::TooLarge,
                "the request may cost more than the whole budget of this gateway; lower `max_tokens`",
            ),
            Refusal::TooMuch { what } => {
                let what = match what {
                    Spent::Requests => "requests",
                    Spent::Tokens => "tokens",
                    Spent::Budget | Spent::Total => "money",
                };
                Self::new(
                    Kind::TooLarge,
                    format!(
                        "the request asks for more {what} than this key may ever use at once; lower `max_tokens`"
                    ),
                )
            }
            Refusal::Unpriced => Self::new(
                Kind::Forbidden,
                "there is a budget, and the price of the model is not known; ask whoever runs the gateway",
            ),
            Refusal::Spent { what: Spent::Budget, wait } => Self {
                wait: Some(*wait),
                ..Self::new(Kind::Budget, "the budget of this key is spent; ask whoever runs the gateway")
            },
            Refusal::Spent { what: Spent::Total, wait } => Self {
                wait: Some(*wait),
                ..Self::new(Kind::Budget, "the budget of this gateway is spent; ask whoever runs it")
            },
        }
    }

    /// It was never sent: no credential that could serve it is in service.
    fn out_of_service(class: Class, message: String, pass_through: bool) -> Self {
        match (class, pass_through) {
            (Class::Auth, true) => Self::new(Kind::Unauthenticated, message),
            (Class::Auth, false) => Self::new(Kind::BadGateway, message),
            (Class::Money, _) => Self::new(Kind::Budget, message),
            _ => Self::passing(Kind::Unavailable, message, SOON),
        }
    }

    /// It was sent and failed for good.
    fn failed(failed: Failed, message: String, pass_through: bool) -> Self {
        let Failed { class, end, status, headers, body, trip, fault, .. } = failed;
        let outcome = match (status, fault) {
            (Some(status), None) => {
                Self::answered(Last { class, end, status, headers, body, message }, pass_through)
            }
            (_, fault) => Self::broken(fault.as_ref(), message),
        };
        Self { trip: Some(Box::new(trip)), ..outcome }
    }

    /// Its last answer said no.
    fn answered(last: Last, pass_through: bool) -> Self {
        let Last { class, end, status, headers, body, message } = last;
        if status.is_redirection() || status.is_informational() {
            return Self::new(Kind::BadGateway, message);
        }
        if status.is_success() && class != Class::Policy {
            return Self::in_success(class, message);
        }
        if !pass_through && is_about_us(class, status) {
            return Self::about_us(class);
        }
        // The provider's own advice holds where we have not tried again ourselves.
        let retry = (end != End::Final || is_terminal(class)).then_some(false);
        let wait = (!headers::says_when(&headers) && is_later(status)).then_some(SOON);
        // Pages and the like are no errors of an API.
        let says = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
        let shown = || headers::answered(headers, pass_through, status.is_success());
        let said = says.then(|| Box::new((shown(), body)));
        Self { wait, retry, said, ..Self::new(kind(class), message).status(status) }
    }

    /// There was no whole answer.
    fn broken(fault: Option<&Fault>, message: String) -> Self {
        let message = fault.map_or(message.clone(), |fault| format!("{message}: {fault}"));
        use Fault::{ConnectTimeout, FirstByteTimeout, IdleTimeout, Stopped, TotalTimeout, Unsendable};
        match fault {
            Some(ConnectTimeout(_) | FirstByteTimeout(_) | IdleTimeout(_) | TotalTimeout(_)) => {
                Self::new(Kind::Timeout, message)
            }
            Some(Unsendable) => Self::new(Kind::BadRequest, message),
            Some(Stopped) => Self::passing(Kind::Unavailable, message, SOON),
            _ => Self::new(Kind::BadGateway, message),
        }
    }

    /// A status that says success above a body that does not: an error in disguise, or nothing that can be read.
    fn in_success(class: Class, message: String) -> Self {
        match class {
            Class::Transient | Class::Auth => Self::new(Kind::BadGateway, message),
            class => {
                let kind = kind(class);
                let wait = is_later(kind.status()).then_some(SOON);
                Self { wait, ..Self::new(kind, message) }
            }
        }
    }

    /// An answer about our account, which is none of the caller's business: the provider's text names it, ours does not.
    fn about_us(class: Class) -> Self {
        match class {
            Class::Money => Self::new(
                Kind::Budget,
                "the gateway's account at the provider has no credit left or reached its spend limit",
            ),
            Class::TooBig => Self::new(
                Kind::TooLarge,
                "the request is larger than the rate limit at the provider ever allows; shorten it",
            ),
            class if is_throttled(class) => {
                let told = Self::passing(Kind::RateLimited, "the provider's rate limit is reached", SOON);
                Self { retry: Some(false), ..told }
            }
            _ => Self::new(
                Kind::BadGateway,
                "the provider refused the gateway's own credential; whoever runs the gateway must check it",
            ),
        }
    }

    /// The answer in `dialect`.
    pub(super) fn response(self, dialect: Dialect) -> Response<Body> {
        let Self { kind, status, message, wait, retry, said, trip } = self;
        let mut response = match said {
            Some(said) => {
                let (headers, body) = *said;
                let mut response = Response::new(Body::from(body));
                *response.headers_mut() = headers;
                response
            }
            None => answer::error(dialect, kind, &message),
        };
        *response.status_mut() = status;
        if let Some(retry) = retry {
            let retry = HeaderValue::from_static(if retry { "true" } else { "false" });
            response.headers_mut().insert("x-should-retry", retry);
        }
        if let Some(wait) = wait {
            response = answer::retry_after(response, wait);
        }
        if let Some(trip) = trip {
            super::forward::tell_trip(response.headers_mut(), &trip);
        }
        response
    }

    /// The error as the data of an event, for a stream that has been opened already.
    pub(super) fn event_data(&self, dialect: Dialect) -> String {
        let said = self.said.as_ref().and_then(|said| std::str::from_utf8(&said.1).ok());
        let error = said.filter(|said| {
            // Whatever says it in the dialect's own way has an `error`; without line ends, it is the data of one event.
            let tree: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(said).ok();
            tree.is_some_and(|tree| tree.get("error").is_some_and(|error| !error.is_null()))
        });
        match error {
            Some(said) => said.replace(['\r', '\n'], " "),
            None => self.kind.body(dialect, &self.message),
        }
    }
}

/// Whether an answer tells of our account rather than of the request.
fn is_about_us(class: Class, status: StatusCode) -> bool {
    let refused = matches!(status.as_u16(), 401 | 402 | 403 | 407 | 429);
    refused || matches!(class, Class::Auth | Class::Money) || is_throttled(class)
}

fn is_throttled(class: Class) -> bool {
    matches!(class, Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily)
}

/// Trying again is in vain, though an SDK might.
fn is_terminal(class: Class) -> bool {
    matches!(class, Class::Money | Class::TooBig | Class::Auth)
}

/// Whether the status promises better times.
fn is_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | OVERLOADED)
}

fn kind(class: Class) -> Kind {
    match class {
        Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily => Kind::RateLimited,
        Class::Overloaded => Kind::Unavailable,
        Class::Money => Kind::Budget,
        Class::Auth | Class::Transient => Kind::BadGateway,
        Class::TooBig => Kind::TooLarge,
        Class::Policy | Class::BadRequest => Kind::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use paceline::core::quota::Dimension;

    use super::*;

    /// Status, Anthropic's kind, `x-should-retry`, `retry-after`.
    fn told(outcome: Outcome) -> (u16, String, Option<String>, Option<String>) {
        let data: serde_json::Value = serde_json::from_str(&outcome.event_data(Dialect::Anthropic)).unwrap();
        let kind = data["error"]["type"].as_str().unwrap_or_default().to_owned();
        let response = outcome.response(Dialect::Anthropic);
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind, header("x-should-retry"), header("retry-after"))
    }

    fn want(
        status: u16,
        kind: &str,
        retry: Option<bool>,
        wait: Option<u64>,
    ) -> (u16, String, Option<String>, Option<String>) {
        (status, kind.to_owned(), retry.map(|retry| retry.to_string()), wait.map(|wait| wait.to_string()))
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn every_reason_has_its_answer() {
        let too_late = |seconds| SendError::TooLate { wait: Some(Duration::from_secs(seconds)) };
        let none = |class| SendError::NoUpstream { class };
        let too_large = SendError::TooLarge { dimension: Dimension::InputTokens, want: 9, limit: 5 };
        let cases = [
            (SendError::Invalid { reason: "x".into() }, want(400, "invalid_request_error", NO, None)),
            (too_large, want(413, "request_too_large", NO, None)),
            (too_late(17), want(429, "rate_limit_error", YES, Some(17))),
            (too_late(300), want(429, "rate_limit_error", YES, Some(60))),
            (too_late(80_000), want(429, "rate_limit_error", NO, Some(60))),
            (SendError::TooLate { wait: None }, want(429, "rate_limit_error", YES, Some(5))),
            (SendError::QueueFull, want(503, "overloaded_error", YES, Some(5))),
            (SendError::Closed, want(503, "overloaded_error", YES, Some(5))),
            (SendError::Vetoed, want(503, "overloaded_error", YES, Some(5))),
            (none(Class::Auth), want(502, "api_error", NO, None)),
            (none(Class::Money), want(429, "billing_error", NO, None)),
            (none(Class::Overloaded), want(503, "overloaded_error", YES, Some(5))),
        ];
        for (error, want) in cases {
            let name = error.to_string();
            assert_eq!(told(Outcome::of(error, false)), want, "{name}");
        }
        let seen = told(Outcome::of(none(Class::Auth), true));
        assert_eq!(seen, want(401, "authentication_error", NO, None), "it is the caller's own");
    }

    #[test]
    fn every_fault_has_its_answer() {
        let second = Duration::from_secs(1);
        let io = || Arc::new(io::Error::other("x"));
        let gone = || want(502, "api_error", NO, None);
        let late = || want(504, "timeout_error", NO, None);
        let cases = [
            (Fault::Resolve(io()), gone()),
            (Fault::Connect(io()), gone()),
            (Fault::Certificate(io()), gone()),
            (Fault::Truncated, gone()),
            (Fault::TooBig(1), gone()),
            (Fault::Encoded, gone()),
            (Fault::ConnectTimeout(second), late()),
            (Fault::FirstByteTimeout(second), late()),
            (Fault::IdleTimeout(second), late()),
            (Fault::TotalTimeout(second), late()),
            (Fault::Unsendable, want(400, "invalid_request_error", NO, None)),
            (Fault::Stopped, want(503, "overloaded_error", YES, Some(5))),
        ];
        for (fault, want) in cases {
            assert_eq!(told(Outcome::broken(Some(&fault), "x".into())), want, "{fault}");
        }
    }

    #[test]
    fn every_class_of_answer_is_told_or_replaced() {
        use Class::{
            Auth, BadRequest, Concurrency, Daily, Money, Overloaded, Policy, Ramp, Throttled, TooBig,
            Transient,
        };
        let said = "its own words";
        // Status and class, what is told with our credential, and with the caller's.
        let limited = || want(429, "rate_limit_error", NO, Some(5));
        let as_said = |status| want(status, said, None, None);
        let late = |status| want(status, said, None, Some(5));
        let refused = || want(502, "api_error", NO, None);
        let cases = [
            (400, BadRequest, as_said(400), as_said(400)),
            (404, BadRequest, as_said(404), as_said(404)),
            (409, BadRequest, as_said(409), as_said(409)),
            (422, BadRequest, as_said(422), as_said(422)),
            (400, Policy, as_said(400), as_said(400)),
            (200, Policy, as_said(200), as_said(200)),
            (413, TooBig, want(413, said, NO, None), want(413, said, NO, None)),
            (429, TooBig, want(413, "request_too_large", NO, None), want(429, said, NO, Some(5))),
            (401, Auth, refused(), want(401, said, NO, None)),
            (403, Auth, refused(), want(403, said, NO, None)),
            (402, Money, want(429, "billing_error", NO, None), want(402, said, NO, None)),
            (400, Money, want(429, "billing_error", NO, None), want(400, said, NO, None)),
            (429, Throttled, limited(), late(429)),
            (429, Ramp, limited(), late(429)),
            (503, Concurrency, limited(), late(503)),
            (429, Daily, limited(), late(429)),
            (529, Overloaded, late(529), late(529)),
            (503, Overloaded, late(503), late(503)),
            (500, Transient, as_said(500), as_said(500)),
            (502, Transient, as_said(502), as_said(502)),
            (307, Transient, refused(), refused()),
            (200, Transient, refused(), refused()),
            (
                200,
                Overloaded,
                want(503, "overloaded_error", NO, Some(5)),
                want(503, "overloaded_error", NO, Some(5)),
            ),
            (200, Throttled, limited(), limited()),
        ];
        for (status, class, ours, own) in cases {
            for (pass_through, want) in [(false, ours), (true, own)] {
                let last = |end| Last {
                    class,
                    end,
                    status: StatusCode::from_u16(status).unwrap(),
                    headers: HeaderMap::new(),
                    body: format!(r#"{{"type":"error","error":{{"type":"{said}"}}}}"#).into(),
                    message: "x".into(),
                };
                let seen = told(Outcome::answered(last(End::Final), pass_through));
                assert_eq!(seen, want, "{status} {class:?} {pass_through}");
                let again = told(Outcome::answered(last(End::Budget), pass_through));
                assert_eq!(again.2.as_deref(), Some("false"), "{status} {class:?}: we tried again ourselves");
            }
        }
    }

    #[test]
    fn a_page_is_no_error_of_an_api() {
        for body in ["<html>", "", "Bad Gateway"] {
            let last = Last {
                class: Class::Transient,
                end: End::Final,
                status: StatusCode::BAD_GATEWAY,
                headers: HeaderMap::from_iter([(
                    http::header::CONTENT_TYPE,
                    HeaderValue::from_static("text/html"),
                )]),
                body: body.into(),
                message: "x".into(),
            };
            let response = Outcome::answered(last, true).response(Dialect::OpenAi);
            assert_eq!(response.headers()["content-type"], "application/json", "{body}");
        }
    }
}
