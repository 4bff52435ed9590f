//! Everything that can be made to go wrong.

use serde::{Deserialize, Serialize};

use super::Details;
use crate::problem::Problem;
use crate::profile::Dialect;

/// One kind of trouble, or one harmless oddity that clients must bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// 529 `overloaded_error`; at OpenAI 503 `server_is_overloaded`.
    Overloaded,
    /// 503.
    Unavailable,
    /// 500.
    ServerError,
    /// 502 with a web page instead of JSON.
    BadGateway,
    /// 504.
    GatewayTimeout,
    /// 429 that names no limit, with or without `retry-after`.
    Throttled,
    /// 429 for growing too fast.
    SlowDown,
    /// 429 for too many connections.
    Concurrency,
    /// 429 that no waiting cures: `insufficient_quota`, or Anthropic's spend limit.
    InsufficientQuota,
    /// 400 that means money: the spend limit a user set.
    SpendLimit,
    /// 402.
    Billing,
    /// 429 `Request too large`; at Anthropic 413.
    RequestTooLarge,
    /// Groq's 413 with code `rate_limit_exceeded`.
    #[serde(rename = "groq-413")]
    Groq413,
    /// 400: too long for the model.
    ContextLength,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404 for the model.
    NotFound,
    /// 200 with `{"error": …}`.
    #[serde(rename = "error-in-200")]
    ErrorIn200,
    /// 200 with a body that is no JSON.
    Garbage,
    /// 200 with no body.
    Empty,
    /// The connection is reset before any byte.
    ResetBeforeHeaders,
    /// The connection is closed before any byte.
    CloseBeforeHeaders,
    /// The connection is reset after the head and part of the body.
    Reset,
    /// The connection is closed after part of the body.
    Cut,
    /// The body ends early although HTTP says that it is whole.
    Truncate,
    /// No byte comes for `wait`, or ever.
    Hang,
    /// After part of the body nothing comes for `wait`, or ever.
    Stall,
    /// The body comes in small pieces, `wait` apart.
    Drip,
    /// A stream begins with an error event.
    StreamErrorFirst,
    /// A stream breaks off with an error event.
    StreamErrorMid,
    /// Blanks before the last brace of each event.
    Padding,
    /// Comments between events.
    Comments,
    /// Pings (where the dialect has them) between events.
    Pings,
    /// Events of an unknown kind.
    UnknownEvents,
    /// Lines that end with CR and LF.
    Crlf,
    /// `data:` before `event:`.
    DataFirst,
    /// Segments that end within characters and lines.
    Split,
    /// No limit headers at all.
    NoLimitHeaders,
}

impl Fault {
    /// The name, as in scripts and in the log.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// A correct answer all the same: clients must not notice, and several may come together.
    pub fn is_harmless(self) -> bool {
        use Fault::*;
        matches!(
            self,
            Padding | Comments | Pings | UnknownEvents | Crlf | DataFirst | Split | Drip | NoLimitHeaders
        )
    }

    /// The error answer it is, if it is one; such a call reaches no meter.
    pub(crate) fn problem(self, dialect: Dialect, details: &Details, model: &str) -> Option<Problem> {
        let mut problem = match dialect {
            Dialect::Anthropic => anthropic(self, model)?,
            Dialect::OpenAi => openai(self, model)?,
        };
        if let Some(message) = &details.message {
            problem.message.clone_from(message);
        }
        problem.status = details.status.unwrap_or(problem.status);
        problem.retry_after = details.retry_after.or(problem.retry_after);
        Some(problem)
    }

    /// The error that breaks off a stream.
    pub(crate) fn stream_problem(dialect: Dialect, details: &Details) -> Problem {
        let mut problem = match dialect {
            Dialect::Anthropic => Problem::new(200, "overloaded_error", "Overloaded"),
            Dialect::OpenAi => {
                let message = "The server had an error while processing your request. Sorry about that!";
                Problem::new(200, "server_error", message)
            }
        };
        if let Some(message) = &details.message {
            problem.message.clone_from(message);
        }
        problem
    }
}

fn anthropic(fault: Fault, model: &str) -> Option<Problem> {
    let (rate, invalid) = ("rate_limit_error", "invalid_request_error");
    let problem = match fault {
        Fault::Overloaded => Problem::new(529, "overloaded_error", "Overloaded").retry(None, true),
        Fault::Unavailable => Problem::new(503, "api_error", "Service Unavailable").retry(None, true),
        Fault::ServerError => Problem::new(500, "api_error", "Internal server error").retry(None, true),
        Fault::BadGateway => Problem::page(),
        Fault::GatewayTimeout => Problem::new(504, "timeout_error", "Request timed out").retry(None, true),
        Fault::Throttled => Problem::new(429, rate, "Rate limited").retry(None, true),
        Fault::SlowDown => {
            let text = "This request would exceed your account's rate limit. Please try again later.";
            Problem::new(429, rate, text).retry(None, true)
        }
        Fault::Concurrency => crate::problem::concurrency(Dialect::Anthropic),
        Fault::InsufficientQuota => {
            let text = "You have reached your API usage limits: your organization's monthly spend limit. You will regain \
                        access on 2026-12-01 at 00:00 UTC.";
            Problem::new(429, rate, text).code("enforced_spend_limit_reached").retry(None, false)
        }
        Fault::SpendLimit => {
            let text = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 \
                        UTC.";
            Problem::new(400, invalid, text)
        }
        Fault::Billing => {
            let text = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to \
                        upgrade or purchase credits.";
            Problem::new(402, "billing_error", text)
        }
        Fault::RequestTooLarge => {
            Problem::new(413, "request_too_large", "Request exceeds the maximum allowed number of bytes.")
        }
        Fault::ContextLength => {
            Problem::new(400, invalid, "prompt is too long: 207791 tokens > 200000 maximum")
        }
        Fault::Unauthorized => crate::problem::unauthorized(Dialect::Anthropic, true),
        Fault::Forbidden => {
            let text = "Your API key does not have permission to use the specified resource.";
            Problem::new(403, "permission_error", text)
        }
        Fault::NotFound => Problem::new(404, "not_found_error", format!("model: {model}")),
        other => return openai_only(other, model),
    };
    Some(problem)
}

fn openai(fault: Fault, model: &str) -> Option<Problem> {
    let invalid = "invalid_request_error";
    let problem = match fault {
        Fault::Overloaded | Fault::Unavailable => {
            let text = "The server is currently overloaded with other requests. Sorry about that! You can retry your \
                        request, or contact us through our help center if the error persists.";
            let problem = Problem::new(503, "service_unavailable_error", text).retry(None, true);
            if fault == Fault::Overloaded { problem.code("server_is_overloaded") } else { problem }
        }
        Fault::ServerError => {
            let text = "The server had an error while processing your request. Sorry about that!";
            Problem::new(500, "server_error", text).retry(None, true)
        }
        Fault::BadGateway => Problem::page(),
        Fault::GatewayTimeout => Problem::new(504, "server_error", "Request timed out").retry(None, true),
        Fault::Throttled => Problem::new(429, "requests", "Rate limit reached. Please try again later.")
            .code("rate_limit_exceeded")
            .retry(None, true),
        Fault::SlowDown => {
            let text = "Your traffic grows too fast. Please slow down and ramp up gradually.";
            Problem::new(429, "rate_limit_error", text).code("slow_down").retry(None, true)
        }
        Fault::Concurrency => crate::problem::concurrency(Dialect::OpenAi),
        Fault::InsufficientQuota => {
            let text = "You exceeded your current quota, please check your plan and billing details. For more information \
                        on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.";
            Problem::new(429, "insufficient_quota", text).code("insufficient_quota").retry(None, false)
        }
        Fault::SpendLimit => {
            let text = "Your project has reached its spend limit.";
            Problem::new(429, "insufficient_quota", text)
                .code("project_spend_limit_exceeded")
                .retry(None, false)
        }
        Fault::Billing => Problem::new(402, "insufficient_quota", "Insufficient Balance"),
        Fault::RequestTooLarge => {
            let text = format!(
                "Request too large for {model} in organization org-mock on tokens per min (TPM): Limit 30000, Requested \
                 31538. The input or output tokens must be reduced in order to run successfully. Visit \
                 https://platform.openai.com/account/rate-limits to learn more."
            );
            Problem::new(429, "tokens", text).code("rate_limit_exceeded").retry(None, false)
        }
        Fault::ContextLength => {
            let text = "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 \
                        tokens. Please reduce the length of the messages.";
            let problem = Problem::new(400, invalid, text).code("context_length_exceeded");
            Problem { param: Some("messages"), ..problem }
        }
        Fault::Unauthorized => crate::problem::unauthorized(Dialect::OpenAi, true),
        Fault::Forbidden => Problem::new(403, invalid, "Country, region, or territory not supported")
            .code("unsupported_country_region_territory"),
        Fault::NotFound => {
            let text = format!("The model `{model}` does not exist or you do not have access to it.");
            Problem::new(404, invalid, text).code("model_not_found")
        }
        other => return openai_only(other, model),
    };
    Some(problem)
}

fn openai_only(fault: Fault, model: &str) -> Option<Problem> {
    let text = format!(
        "Request too large for model `{model}` in organization `org_01mock` service tier `on_demand` on tokens per minute \
         (TPM): Limit 12000, Requested 14137, please reduce your message size and try again. Need more tokens? Upgrade \
         to Dev Tier today at https://console.groq.com/settings/billing"
    );
    let problem = Problem::new(413, "tokens", text).code("rate_limit_exceeded");
    (fault == Fault::Groq413).then_some(problem)
}
