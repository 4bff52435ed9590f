//! Errors of our own, spelled as the caller's dialect spells them, so that every SDK understands them.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use paceline_wire::Dialect;
use serde_json::json;

use crate::body::Body;

/// SDKs obey this before all else.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// SDKs read this before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// A longer hint is ignored by some SDKs, which then come back at once; others give up.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What is wrong, in the classes that both dialects know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request itself: 400, or another status of its own.
    BadRequest,
    /// No credential, or none that we know: 401.
    Unauthenticated,
    /// A credential that may not do this: 403.
    Forbidden,
    /// Nothing is here: 404.
    NotFound,
    /// More than we take: 413.
    TooLarge,
    /// It would have to wait too long: 429.
    RateLimited,
    /// No money is left for it, ours or the caller's budget: 402 at us, told as 429 where SDKs expect that.
    Budget,
    /// Ours: 500.
    Internal,
    /// The upstream's: 502.
    BadGateway,
    /// We stop or are full: 503.
    Unavailable,
    /// The upstream took too long: 504.
    Timeout,
}

impl Kind {
    /// The status that goes with it, unless there is a better one.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited | Self::Budget => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Anthropic's word for it.
    fn anthropic(self) -> &'static str {
        match self {
            Self::BadRequest => "invalid_request_error",
            Self::Unauthenticated => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limit_error",
            Self::Budget => "billing_error",
            Self::Internal | Self::BadGateway => "api_error",
            Self::Unavailable => "overloaded_error",
            Self::Timeout => "timeout_error",
        }
    }

    /// OpenAI's words for it: type and code.
    fn openai(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::BadRequest | Self::TooLarge => ("invalid_request_error", None),
            Self::Unauthenticated => ("invalid_request_error", Some("invalid_api_key")),
            Self::Forbidden => ("invalid_request_error", Some("forbidden")),
            Self::NotFound => ("invalid_request_error", Some("not_found")),
            Self::RateLimited => ("requests", Some("rate_limit_exceeded")),
            Self::Budget => ("insufficient_quota", Some("insufficient_quota")),
            Self::Internal | Self::BadGateway | Self::Timeout => ("server_error", None),
            Self::Unavailable => ("service_unavailable_error", Some("server_is_overloaded")),
        }
    }

    /// Whether the same request may fare better a little later. Otherwise SDKs are told not to try.
    fn may_pass(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable)
    }

    /// The error as the body of an answer, or as the data of an event in a stream.
    pub fn body(self, dialect: Dialect, message: &str) -> String {
        match dialect {
            Dialect::Anthropic => {
                json!({"type": "error", "error": {"type": self.anthropic(), "message": message}})
            }
            Dialect::OpenAi => {
                let (kind, code) = self.openai();
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
        }
        .to_string()
    }
}

/// An answer that says no, in `dialect`. `message` says what to do about it, and holds nothing secret.
pub fn error(dialect: Dialect, kind: Kind, message: &str) -> Response<Body> {
    let mut response = Response::new(kind.body(dialect, message).into());
    *response.status_mut() = kind.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let retry = if kind.may_pass() { "true" } else { "false" };
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(retry));
    response
}

/// Tells when to come back: exactly in milliseconds, rounded up in seconds, and never later than every SDK believes.
pub fn retry_after(mut response: Response<Body>, wait: Duration) -> Response<Body> {
    let wait = wait.min(LONGEST_RETRY_AFTER);
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_wait_in_both_forms_and_never_too_long() {
        let cases =
            [(0, "1", "1"), (1_500, "2", "1500"), (60_000, "60", "60000"), (3_600_000, "60", "60000")];
        for (millis, seconds, exact) in cases {
            let refused = error(Dialect::OpenAi, Kind::RateLimited, "later");
            let refused = retry_after(refused, Duration::from_millis(millis));
            assert_eq!(refused.headers()["retry-after"], seconds, "{millis}");
            assert_eq!(refused.headers()["retry-after-ms"], exact, "{millis}");
            assert_eq!(refused.headers()["x-should-retry"], "true");
        }
    }

    #[test]
    fn each_dialect_has_its_own_form() {
        assert_eq!(
            Kind::RateLimited.body(Dialect::Anthropic, "a \"b\""),
            r#"{"error":{"message":"a \"b\"","type":"rate_limit_error"},"type":"error"}"#
        );
        assert_eq!(
            Kind::Unauthenticated.body(Dialect::OpenAi, "x"),
            r#"{"error":{"code":"invalid_api_key","message":"x","param":null,"type":"invalid_request_error"}}"#
        );
    }
}
