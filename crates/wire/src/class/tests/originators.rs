//! What the two providers that gave the dialects their names really sent, word for word.

use paceline_core::feedback::Class;

use super::{check, failure};

#[test]
fn openai() {
    check(&[
        (
            "openai",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4.1 in organization org-XXXX on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            Class::Throttled,
            Some(3_890),
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-XXXX on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            Class::Daily,
            Some(86_400),
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-XXXX on tokens per min (TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            Class::TooBig,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            Class::Money,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#,
            Class::Money,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"m","type":"x","code":"credit_balance_exhausted"}}"#,
            Class::Money,
            None,
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            Class::TooBig,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Slow down","type":"rate_limit_error","code":"slow_down"}}"#,
            Class::Ramp,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Resource Unavailable","type":"x","code":null}}"#,
            Class::Overloaded,
            None,
        ),
        (
            "openai",
            503,
            r#"{"error":{"message":"m","type":"service_unavailable_error","code":"server_is_overloaded"}}"#,
            Class::Overloaded,
            None,
        ),
        ("openai", 500, r#"{"error":{"message":"m","type":"server_error"}}"#, Class::Transient, None),
        (
            "openai",
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error"}}"#,
            Class::BadRequest,
            None,
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"invalid_prompt"}}"#,
            Class::Policy,
            None,
        ),
        (
            "openai",
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            Class::Auth,
            None,
        ),
        (
            "openai",
            403,
            r#"{"error":{"message":"Country, region, or territory not supported"}}"#,
            Class::Auth,
            None,
        ),
        (
            "openai",
            404,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"model_not_found"}}"#,
            Class::BadRequest,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Please try again in 114h18m0s."}}"#,
            Class::Daily,
            Some(411_480_000),
        ),
    ]);
}

#[test]
fn anthropic() {
    let error = |kind: &str, message: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}","details":null}}}}"#)
    };
    let limit = |message: &str| error("rate_limit_error", message);
    let cases = [
        (
            429,
            limit(
                "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: x, model: claude-sonnet-4-6). For details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later.",
            ),
            Class::Throttled,
        ),
        (
            429,
            limit(
                "This request would exceed the rate limit for your organization (x) of 40,000 input tokens per minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits.",
            ),
            Class::Throttled,
        ),
        (
            429,
            limit("Number of concurrent connections has exceeded your rate limit. Please try again later or contact sales"),
            Class::Concurrency,
        ),
        (429, limit("This request would exceed your account's rate limit. Please try again later."), Class::Throttled),
        (429, limit("Rate limited"), Class::Throttled),
        (429, limit("Extra usage is required for long context requests."), Class::TooBig),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"You have reached your API usage limits: x. You will regain access on 2026-09-01 at 00:00 UTC.","details":{"error_code":"enforced_spend_limit_reached"}}}"#.to_owned(),
            Class::Money,
        ),
        (
            400,
            error("invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-09-01"),
            Class::Money,
        ),
        (
            400,
            error("invalid_request_error", "You have reached your specified workspace API usage limits."),
            Class::Money,
        ),
        (400, error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), Class::Money),
        (400, error("invalid_request_error", "prompt is too long: 207791 tokens > 200000 maximum"), Class::TooBig),
        (
            400,
            error(
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or `max_tokens` and try again",
            ),
            Class::TooBig,
        ),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), Class::Policy),
        (400, error("invalid_request_error", "messages: at least one message is required"), Class::BadRequest),
        (401, error("authentication_error", "invalid x-api-key"), Class::Auth),
        (402, error("billing_error", "m"), Class::Money),
        (403, error("permission_error", "m"), Class::Auth),
        (404, error("not_found_error", "model: x"), Class::BadRequest),
        (409, error("conflict_error", "m"), Class::BadRequest),
        (413, error("request_too_large", "m"), Class::TooBig),
        (500, error("api_error", "Internal server error"), Class::Transient),
        (504, error("timeout_error", "m"), Class::Transient),
        (529, error("overloaded_error", "Overloaded"), Class::Overloaded),
        (200, error("overloaded_error", "Overloaded"), Class::Overloaded),
        (200, limit("Rate limited"), Class::Throttled),
        (200, error("api_error", "m"), Class::Transient),
        (200, error("timeout_error", "m"), Class::Transient),
        (200, error("authentication_error", "m"), Class::Auth),
        (200, error("permission_error", "m"), Class::Auth),
        (200, error("billing_error", "m"), Class::Money),
        (200, error("invalid_request_error", "m"), Class::BadRequest),
        (200, error("request_too_large", "m"), Class::TooBig),
    ];
    for (status, body, class) in cases {
        assert_eq!(failure("anthropic", status, &[], &body).class, class, "{status}: {body}");
    }
}
