//! Errors, word for word as the providers say them.

use std::time::Duration;

use paceline_core::quota::Dimension;
use serde_json::{Value, json};

use crate::headers::go_duration;
use crate::model::Refused;
use crate::profile::{DAY, Dialect};

/// How an error is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// In the dialect's envelope.
    #[default]
    Envelope,
    /// As Azure does: a code and a message, no type.
    Azure,
    /// As the web page of a proxy that lost its provider.
    Page,
}

/// What a proxy says when the provider behind it is gone.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad \
    Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// The dialect's `type`.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`; Anthropic's `details.error_code`.
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) retry_after_ms: Option<u128>,
    pub(crate) should_retry: Option<bool>,
    pub(crate) shape: Shape,
}

impl Problem {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Problem {
        let message = message.into();
        let (code, param, shape) = (None, None, Shape::Envelope);
        let (retry_after, retry_after_ms, should_retry) = (None, None, None);
        Problem { status, kind, code, param, message, retry_after, retry_after_ms, should_retry, shape }
    }

    pub(crate) fn code(self, code: &'static str) -> Problem {
        Problem { code: Some(code), ..self }
    }

    pub(crate) fn retry(self, seconds: Option<u64>, should_retry: bool) -> Problem {
        Problem { retry_after: seconds, should_retry: Some(should_retry), ..self }
    }

    /// The web page of a proxy.
    pub(crate) fn page() -> Problem {
        Problem { shape: Shape::Page, ..Problem::new(502, "", "") }
    }

    /// Content type and text.
    pub(crate) fn render(&self, dialect: Dialect, request_id: &str) -> (&'static str, String) {
        let json = match self.shape {
            Shape::Page => return ("text/html", BAD_GATEWAY.to_owned()),
            Shape::Azure => json!({"error": {"code": self.code, "message": self.message}}),
            Shape::Envelope => self.body(dialect, request_id),
        };
        ("application/json", json.to_string())
    }

    /// The dialect's envelope.
    pub(crate) fn body(&self, dialect: Dialect, request_id: &str) -> Value {
        match dialect {
            Dialect::Anthropic => {
                let mut error = json!({"type": self.kind, "message": self.message});
                if let Some(code) = self.code {
                    error["details"] = json!({"error_code": code});
                }
                json!({"type": "error", "error": error, "request_id": request_id})
            }
            Dialect::OpenAi => {
                let (kind, param, code) = (self.kind, self.param, self.code);
                json!({"error": {"message": self.message, "type": kind, "param": param, "code": code}})
            }
        }
    }
}

/// A refusal of the meter.
pub(crate) fn throttled(dialect: Dialect, refused: &Refused, model: &str, organization: &str) -> Problem {
    let seconds = whole_seconds(refused.retry_in);
    match dialect {
        Dialect::Anthropic => anthropic_throttled(refused, model, organization).retry(Some(seconds), true),
        Dialect::OpenAi => {
            let fits = !refused.never_fits();
            openai_throttled(refused, model, organization).retry(fits.then_some(seconds), fits)
        }
    }
}

/// A refusal of the meter, as Azure words it.
pub(crate) fn azure_throttled(refused: &Refused) -> Problem {
    let seconds = whole_seconds(refused.retry_in);
    let what = if refused.dimension == Some(Dimension::Requests) { "call" } else { "token" };
    let message = format!(
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01-preview have exceeded \
         {what} rate limit of your current OpenAI S0 pricing tier. Please retry after {seconds} seconds. Please go here: \
         https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."
    );
    let problem = Problem::new(429, "", message).code("429").retry(Some(seconds), true);
    Problem { shape: Shape::Azure, retry_after_ms: Some(refused.retry_in.as_millis()), ..problem }
}

/// `retry-after` is a whole number, at least one, and never too short.
fn whole_seconds(wait: Duration) -> u64 {
    let rounded_up = if wait.subsec_nanos() == 0 { wait.as_secs() } else { wait.as_secs().saturating_add(1) };
    rounded_up.max(1)
}

fn anthropic_throttled(refused: &Refused, model: &str, organization: &str) -> Problem {
    let kind = "rate_limit_error";
    let what = match refused.dimension {
        None => return concurrency(Dialect::Anthropic),
        Some(Dimension::Requests) => "requests",
        Some(Dimension::InputTokens) => "input tokens",
        Some(Dimension::OutputTokens) => "output tokens",
        Some(Dimension::TotalTokens) => "tokens",
    };
    let per = if refused.window == DAY { "day" } else { "minute" };
    let message = format!(
        "This request would exceed your organization's rate limit of {} {what} per {per} (org: {}, model: {model}). For \
         details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current \
         usage. Please reduce the prompt length or the maximum tokens requested, or try again later. You may also \
         contact sales at https://claude.com/contact-sales to discuss your options for a rate limit increase.",
        thousands(refused.limit),
        organization_uuid(organization),
    );
    Problem::new(429, kind, message)
}

fn openai_throttled(refused: &Refused, model: &str, organization: &str) -> Problem {
    let (what, letter, kind) = match refused.dimension {
        None => return concurrency(Dialect::OpenAi),
        Some(Dimension::Requests) => ("requests", 'R', "requests"),
        Some(_) => ("tokens", 'T', "tokens"),
    };
    let (per, last) = if refused.window == DAY { ("day", 'D') } else { ("min", 'M') };
    let name = format!("{what} per {per} ({letter}P{last})");
    let visit = "Visit https://platform.openai.com/account/rate-limits to learn more.";
    let Refused { limit, used, requested, retry_in, .. } = *refused;
    let message = if refused.never_fits() {
        format!(
            "Request too large for {model} in organization {organization} on {name}: Limit {limit}, Requested \
             {requested}. The input or output tokens must be reduced in order to run successfully. {visit}"
        )
    } else {
        format!(
            "Rate limit reached for {model} in organization {organization} on {name}: Limit {limit}, Used {used}, \
             Requested {requested}. Please try again in {}. {visit}",
            go_duration(retry_in)
        )
    };
    Problem::new(429, kind, message).code("rate_limit_exceeded")
}

/// Too many calls at once.
pub(crate) fn concurrency(dialect: Dialect) -> Problem {
    let problem = match dialect {
        Dialect::Anthropic => Problem::new(
            429,
            "rate_limit_error",
            "Number of concurrent connections has exceeded your rate limit. Please try again later or contact sales at \
             https://www.anthropic.com/contact-sales to discuss your options for a rate limit increase.",
        ),
        Dialect::OpenAi => {
            Problem::new(429, "requests", "Too many concurrent requests. Please try again later.")
                .code("rate_limit_exceeded")
        }
    };
    problem.retry(None, true)
}

/// No key, or a wrong one.
pub(crate) fn unauthorized(dialect: Dialect, key_given: bool) -> Problem {
    match (dialect, key_given) {
        (Dialect::Anthropic, true) => Problem::new(401, "authentication_error", "invalid x-api-key"),
        (Dialect::Anthropic, false) => {
            Problem::new(401, "authentication_error", "x-api-key header is required")
        }
        (Dialect::OpenAi, true) => {
            let message = "Incorrect API key provided: ****. You can find your API key at \
                           https://platform.openai.com/account/api-keys.";
            Problem::new(401, "invalid_request_error", message).code("invalid_api_key")
        }
        (Dialect::OpenAi, false) => {
            let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                           using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
            Problem::new(401, "invalid_request_error", message)
        }
    }
}

/// A body above the edge's limit.
pub(crate) fn body_too_large(dialect: Dialect) -> Problem {
    match dialect {
        Dialect::Anthropic => {
            Problem::new(413, "request_too_large", "Request exceeds the maximum allowed number of bytes.")
        }
        Dialect::OpenAi => Problem::new(413, "invalid_request_error", "Request body is too large."),
    }
}

/// A path that is not served.
pub(crate) fn unknown_path(dialect: Dialect, method: &str, path: &str) -> Problem {
    match dialect {
        Dialect::Anthropic => Problem::new(404, "not_found_error", "Not Found"),
        Dialect::OpenAi => {
            Problem::new(404, "invalid_request_error", format!("Invalid URL ({method} {path})"))
        }
    }
}

/// The organisation's name as the UUID that Anthropic would show.
pub(crate) fn organization_uuid(organization: &str) -> String {
    let hash = blake3::hash(organization.as_bytes()).to_hex();
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}

/// `30000` as `30,000`.
fn thousands(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(dimension: Dimension, limit: u64, used: u64, requested: u64, ms: u64) -> Refused {
        let (window, retry_in) = (Duration::from_secs(60), Duration::from_millis(ms));
        Refused { dimension: Some(dimension), window, limit, used, requested, retry_in }
    }

    #[test]
    fn openai_says_it_word_for_word() {
        let problem = throttled(
            Dialect::OpenAi,
            &refused(Dimension::TotalTokens, 30_000, 28_039, 3_906, 3_890),
            "gpt-4.1",
            "org-XXXX",
        );
        let body = r#"{"error":{"message":"Rate limit reached for gpt-4.1 in organization org-XXXX on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        assert_eq!(problem.body(Dialect::OpenAi, "r"), serde_json::from_str::<Value>(body).unwrap());
        assert_eq!((problem.status, problem.retry_after), (429, Some(4)));

        let day = Refused { window: DAY, ..refused(Dimension::Requests, 1000, 1000, 1, 86_400) };
        let text = throttled(Dialect::OpenAi, &day, "gpt-4o", "org-XXXX").message;
        let start = "Rate limit reached for gpt-4o in organization org-XXXX on requests per day (RPD): Limit 1000, Used \
                     1000, Requested 1. Please try again in 1m26.4s. ";
        assert!(text.starts_with(start), "{text}");

        let large = refused(Dimension::TotalTokens, 30_000, 0, 31_538, 3_000);
        let problem = throttled(Dialect::OpenAi, &large, "gpt-4o", "org-XXXX");
        let start = "Request too large for gpt-4o in organization org-XXXX on tokens per min (TPM): Limit 30000, \
                     Requested 31538. The input or output tokens must be reduced in order to run successfully. ";
        assert!(problem.message.starts_with(start));
        assert_eq!((problem.retry_after, problem.should_retry), (None, Some(false)));
    }

    #[test]
    fn anthropic_says_it_word_for_word() {
        let refused = refused(Dimension::InputTokens, 30_000, 29_999, 5, 1);
        let problem = throttled(Dialect::Anthropic, &refused, "claude-sonnet-4-6", "org-a");
        let start = "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: ";
        assert!(problem.message.starts_with(start), "{}", problem.message);
        assert_eq!(problem.retry_after, Some(1));
        let body = problem.body(Dialect::Anthropic, "req_1");
        assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!("req_1")));
        assert_eq!(organization_uuid("org-a").len(), 36);
    }
}
