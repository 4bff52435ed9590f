//! What the many that speak a dialect of others really sent, word for word.

use paceline_core::feedback::Class;

use super::{check, failure, gemini_quota};

#[test]
fn azure() {
    check(&[
        (
            "azure",
            429,
            r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 33 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}"#,
            Class::Throttled,
            Some(33_000),
        ),
        (
            "azure",
            429,
            r#"{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 2 seconds."}}"#,
            Class::Throttled,
            Some(2_000),
        ),
        (
            "azure",
            429,
            r#"{"error":{"code":"RateLimitReached","message":"Your requests to x have exceeded y"}}"#,
            Class::Throttled,
            None,
        ),
        (
            "azure",
            429,
            r#"{"error":{"code":"429","message":"x. Please retry after 86400 seconds."}}"#,
            Class::Daily,
            Some(86_400_000),
        ),
        (
            "azure",
            429,
            r#"{"error":{"code":"429","message":"System is experiencing high demand"}}"#,
            Class::Overloaded,
            None,
        ),
        (
            "azure",
            429,
            r#"{"error":{"message":"The service is temporarily unable to process your request"}}"#,
            Class::Overloaded,
            None,
        ),
        (
            "azure",
            401,
            r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#,
            Class::Auth,
            None,
        ),
        (
            "azure",
            404,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#,
            Class::BadRequest,
            None,
        ),
        (
            "azure",
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
            Class::Policy,
            None,
        ),
    ]);
}

#[test]
fn gemini() {
    let minute = "GenerateContentInputTokensPerModelPerMinute-FreeTier";
    let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    // 24:00 at UTC-8 is 18 h 38 min 49 s away.
    let midnight = Some(67_129_000);
    check(&[
        ("gemini", 429, &gemini_quota(minute, "250000", "26s"), Class::Throttled, Some(26_000)),
        ("gemini", 429, &gemini_quota(minute, "250000", "34.074824224s"), Class::Throttled, Some(34_074)),
        ("gemini", 429, &gemini_quota(minute, "250000", "900ms"), Class::Throttled, Some(900)),
        ("gemini", 429, &gemini_quota(minute, "250000", ""), Class::Throttled, Some(60_000)),
        ("gemini", 429, &gemini_quota(minute, "250000", "2000s"), Class::Daily, Some(2_000_000)),
        ("gemini", 429, &gemini_quota(day, "50", "26s"), Class::Daily, midnight),
        ("gemini", 429, &gemini_quota(day, "50", ""), Class::Daily, midnight),
        ("gemini", 429, &gemini_quota(day, "50", "10h17m5.7s"), Class::Daily, Some(37_025_700)),
        ("gemini", 429, &gemini_quota(minute, "0", "26s"), Class::TooBig, None),
        (
            "gemini",
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded, limit: 0, model: x","status":"RESOURCE_EXHAUSTED"}}"#,
            Class::TooBig,
            None,
        ),
        (
            "gemini",
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded, limit: 05, model: x"}}"#,
            Class::Throttled,
            None,
        ),
        (
            "gemini",
            429,
            r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#,
            Class::Throttled,
            None,
        ),
        (
            "gemini",
            429,
            r#"{"error":{"code":429,"message":"Resource exhausted, please try again later.","status":"RESOURCE_EXHAUSTED"}}"#,
            Class::Ramp,
            None,
        ),
        (
            "gemini",
            429,
            r#"{"error":{"code":429,"message":"Too many requests. Exceeded the Provisioned Throughput."}}"#,
            Class::Throttled,
            None,
        ),
        (
            "gemini",
            402,
            r#"{"error":{"code":402,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#,
            Class::Money,
            None,
        ),
        (
            "gemini",
            503,
            r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
            Class::Overloaded,
            None,
        ),
        (
            "gemini",
            499,
            r#"{"error":{"code":499,"message":"m","status":"CANCELLED"}}"#,
            Class::Overloaded,
            None,
        ),
        (
            "gemini",
            500,
            r#"{"error":{"code":500,"message":"m","status":"INTERNAL"}}"#,
            Class::Transient,
            None,
        ),
        (
            "gemini",
            504,
            r#"{"error":{"code":504,"message":"m","status":"DEADLINE_EXCEEDED"}}"#,
            Class::Transient,
            None,
        ),
        (
            "gemini",
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            Class::Auth,
            None,
        ),
        ("gemini", 429, r#"{"error":{"code":"quota_exceeded","message":"m"}}"#, Class::Daily, midnight),
        ("gemini", 429, r#"{"error":{"code":"too_many_requests","message":"m"}}"#, Class::Throttled, None),
    ]);
}

#[test]
fn groq_mistral_deepseek_and_xai() {
    check(&[
        (
            "groq",
            429,
            r#"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Class::Daily,
            Some(578_016),
        ),
        (
            "groq",
            413,
            r#"{"error":{"message":"Request too large for model `x` in organization `y` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Requested 14137, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Class::TooBig,
            None,
        ),
        (
            "groq", // A wait is quoted although it can never fit.
            429,
            r#"{"error":{"message":"on tokens per minute (TPM): Limit 7000, Used 0, Requested 12903. Please try again in 50.597s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Class::TooBig,
            None,
        ),
        ("groq", 498, r#"{"error":{"message":"m","code":"capacity_exceeded"}}"#, Class::Overloaded, None),
        (
            "mistral",
            429,
            r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#,
            Class::Throttled,
            None,
        ),
        ("mistral", 429, r#"{"message":"Requests rate limit exceeded"}"#, Class::Throttled, None),
        (
            "mistral",
            429,
            r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"x"}"#,
            Class::Overloaded,
            None,
        ),
        ("mistral", 402, "{}", Class::Money, None),
        ("mistral", 422, r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, Class::BadRequest, None),
        (
            "deepseek",
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error"}}"#,
            Class::Money,
            None,
        ),
        ("deepseek", 429, r#"{"error":{"message":"Rate limit reached"}}"#, Class::Concurrency, None),
        ("deepseek", 503, "", Class::Overloaded, None),
        ("deepseek", 422, "", Class::BadRequest, None),
        (
            "xai",
            429,
            "{\"code\":\"x\",\"error\":\"Too many tokens for team t and model grok-4-0709. Your team's rate limit is \u{2014} Tokens per Minute (actual/limit): 65605/16000\"}",
            Class::Throttled,
            None,
        ),
        (
            "xai",
            429,
            r#"{"code":"x","error":"Your team t has either used all available credits or reached its monthly spending limit. To continue, buy more."}"#,
            Class::Money,
            None,
        ),
    ]);
}

#[test]
fn openrouter_together_cerebras_and_servers_of_ones_own() {
    // The day ends 38,329 s from now.
    check(&[
        (
            "openrouter",
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1763942400000"}}}}"#,
            Class::Daily,
            Some(38_329_000),
        ),
        (
            "openrouter",
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded","metadata":{"error_type":"rate_limit_exceeded"}}}"#,
            Class::Throttled,
            None,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 12"}}"#,
            Class::Money,
            None,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"code":402,"message":"m","metadata":{"code":"in_flight_budget_exhausted"}}}"#,
            Class::Throttled,
            None,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"code":402,"message":"m","metadata":{"code":"weight_exceeds_budget"}}}"#,
            Class::TooBig,
            None,
        ),
        (
            "openrouter",
            403,
            r#"{"error":{"code":403,"message":"m","metadata":{"reasons":["x"],"flagged_input":"y"}}}"#,
            Class::Policy,
            None,
        ),
        (
            "openrouter",
            503,
            r#"{"error":{"code":503,"message":"m","metadata":{"error_type":"provider_overloaded"},"availability":{"code":"capacity_exhausted","retryable":true,"retry_after":7}}}"#,
            Class::Overloaded,
            Some(7_000),
        ),
        (
            "openrouter",
            502,
            r#"{"error":{"code":502,"message":"m","metadata":{"error_type":"provider_unavailable"}}}"#,
            Class::Transient,
            None,
        ),
        (
            "openrouter",
            200,
            r#"{"error":{"code":429,"message":"Rate limit exceeded"}}"#,
            Class::Throttled,
            None,
        ),
        ("openrouter", 200, r#"{"error":{"code":402,"message":"m"}}"#, Class::Money, None),
        (
            "openrouter",
            200,
            r#"{"choices":[{"finish_reason":"error","error":{"code":502,"message":"m"}}]}"#,
            Class::Transient,
            None,
        ),
        (
            "openrouter",
            429,
            r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"Please try again in 5s\"}}"}}}"#,
            Class::Throttled,
            Some(5_000),
        ),
        (
            "together",
            429,
            r#"{"error":{"message":"m","error_type":"dynamic_request_limited"}}"#,
            Class::Throttled,
            None,
        ),
        ("together", 503, r#"{"error":{"message":"m"}}"#, Class::Overloaded, None),
        (
            "cerebras",
            429,
            r#"{"message":"Tokens per minute limit exceeded - too many tokens processed."}"#,
            Class::Throttled,
            None,
        ),
        ("fireworks", 503, "", Class::Overloaded, None),
        (
            "ollama",
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            Class::Concurrency,
            None,
        ),
        (
            "vllm",
            503,
            r#"{"error":{"message":"m","type":"ServiceUnavailable","code":503}}"#,
            Class::Concurrency,
            None,
        ),
    ]);
}

#[test]
fn providers_behind_a_dialect_of_ours() {
    // Bedrock and Cohere speak through base URLs of one's own.
    check(&[
        (
            "openai",
            429,
            r#"{"message":"Too many tokens, please wait before trying again."}"#,
            Class::Throttled,
            None,
        ),
        (
            "openai",
            429,
            r#"{"message":"Too many requests, please wait before trying again."}"#,
            Class::Throttled,
            None,
        ),
        (
            "openai",
            429,
            r#"{"message":"Too many tokens per day, please wait before trying again."}"#,
            Class::Daily,
            None,
        ),
        ("openai", 400, r#"{"__type":"ThrottlingException","message":"m"}"#, Class::Throttled, None),
        ("openai", 429, r#"{"__type":"ModelNotReadyException","message":"m"}"#, Class::Overloaded, None),
        ("openai", 408, r#"{"__type":"ModelTimeoutException","message":"m"}"#, Class::Transient, None),
        ("openai", 403, r#"{"__type":"AccessDeniedException","message":"m"}"#, Class::Auth, None),
        ("openai", 400, r#"{"__type":"ValidationException","message":"m"}"#, Class::BadRequest, None),
        (
            "openai",
            429,
            r#"{"message":"You are past the per minute request limit, please wait and try again later."}"#,
            Class::Throttled,
            None,
        ),
        (
            "openai",
            429,
            r#"{"message":"You are using a Trial key, which is limited to 40 API calls / minute. You can continue to use the Trial key for free or upgrade"}"#,
            Class::Throttled,
            None,
        ),
        (
            "openai",
            429,
            r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
            Class::Daily,
            None,
        ),
    ]);
    let coral =
        [("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/")];
    assert_eq!(failure("openai", 400, &coral, "").class, Class::Throttled);
}
