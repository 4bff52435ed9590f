mod kin;
mod originators;

use paceline_core::feedback::NamedLimit;
use paceline_core::quota::Dimension;
use proptest::prelude::*;

use super::*;
use crate::provider::Catalog;

// 2025-11-23 13:21:11 UTC: 05:21:11 in the time zone of Gemini's day.
const NOW: Duration = Duration::from_secs(1_763_904_071);

fn failure(provider: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
    let provider = Catalog::embedded().provider(provider).unwrap();
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()));
    read(provider, status, &pairs.collect(), body.as_bytes(), NOW)
}

/// Class and wait in milliseconds of each answer.
fn check(cases: &[(&str, u16, &str, Class, Option<u128>)]) {
    for (provider, status, body, class, wait) in cases {
        let got = failure(provider, *status, &[], body);
        let told = (got.class, got.wait.map(|wait| wait.as_millis()));
        assert_eq!(told, (*class, *wait), "{provider} {status}: {body}");
    }
}

#[test]
fn a_refusal_despite_room_is_about_the_rise() {
    let limited = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Rate limited"}}"#;
    let named = r#"{"type":"error","error":{"type":"rate_limit_error","message":"rate limit of 50 requests per minute"}}"#;
    let room = [
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "30"),
        ("retry-after", "12"),
    ];
    let none =
        [("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-requests-remaining", "4")];
    assert_eq!(failure("anthropic", 429, &room, limited).class, Class::Ramp);
    assert_eq!(failure("anthropic", 429, &room, limited).wait, Some(Duration::from_secs(12)));
    assert_eq!(failure("anthropic", 429, &room, named).class, Class::Throttled);
    assert_eq!(failure("anthropic", 429, &none, limited).class, Class::Throttled);
    assert_eq!(failure("anthropic", 429, &[], limited).class, Class::Throttled);
}

fn gemini_quota(id: &str, value: &str, delay: &str) -> String {
    let delay = if delay.is_empty() {
        String::new()
    } else {
        format!(r#",{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}"#)
    };
    format!(
        r#"[{{"error":{{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_input_token_count","quotaId":"{id}","quotaDimensions":{{"location":"global"}},"quotaValue":"{value}"}}]}}{delay}]}}}}]"#
    )
}

#[test]
fn bodies_that_say_nothing_leave_the_status_to_speak() {
    let statuses = [
        (301, Class::BadRequest),
        (302, Class::BadRequest),
        (400, Class::BadRequest),
        (401, Class::Auth),
        (402, Class::Money),
        (403, Class::Auth),
        (404, Class::BadRequest),
        (405, Class::BadRequest),
        (408, Class::Transient),
        (409, Class::BadRequest),
        (413, Class::TooBig),
        (418, Class::BadRequest),
        (422, Class::BadRequest),
        (429, Class::Throttled),
        (498, Class::Overloaded),
        (500, Class::Transient),
        (501, Class::BadRequest),
        (502, Class::Transient),
        (503, Class::Overloaded),
        (504, Class::Transient),
        (520, Class::Transient),
        (529, Class::Overloaded),
        (200, Class::Transient),
    ];
    for (status, class) in statuses {
        for body in
            ["", "<html><h1>Try per day</h1></html>", "no", "{", "{}", "[]", "null", r#"{"error":null}"#]
        {
            assert_eq!(failure("openai", status, &[], body).class, class, "{status}: {body}");
        }
    }
}

#[test]
fn advice_to_retry_counts_only_where_nothing_else_is_known() {
    let (yes, no) = ([("x-should-retry", "true")], [("x-should-retry", "false")]);
    assert_eq!(failure("openai", 409, &yes, "").class, Class::Transient);
    assert_eq!(failure("openai", 418, &yes, "").class, Class::Transient);
    assert_eq!(failure("openai", 418, &no, "").class, Class::BadRequest);
    assert_eq!(failure("openai", 400, &yes, "").class, Class::BadRequest);
    assert_eq!(failure("openai", 401, &yes, "").class, Class::Auth);
    assert_eq!(failure("openai", 429, &no, "").class, Class::Throttled);
    assert_eq!(failure("openai", 500, &no, "").class, Class::Transient);
}

#[test]
fn waits_above_a_quarter_hour_are_daily() {
    let wait = |seconds: &str, status| failure("openai", status, &[("retry-after", seconds)], "");
    assert_eq!(wait("900", 429).class, Class::Throttled);
    assert_eq!(wait("901", 429).class, Class::Daily);
    assert_eq!(wait("901", 429).wait, Some(Duration::from_secs(901)));
    assert_eq!(wait("901", 503).class, Class::Overloaded);
    assert_eq!(wait("901", 400).wait, None);
    assert_eq!(wait("901", 402).wait, None);
}

#[test]
fn limits_are_named_for_the_core() {
    let body =
        r#"{"error":{"message":"on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please"}}"#;
    assert_eq!(
        failure("openai", 429, &[], body).named,
        Some(NamedLimit {
            dimension: Dimension::TotalTokens,
            window: Some(Duration::from_secs(60)),
            limit: Some(30_000),
            used: Some(28_039),
            requested: Some(3_906),
        })
    );
    let gemini = gemini_quota("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000", "26s");
    let named = failure("gemini", 429, &[], &gemini).named.unwrap();
    assert_eq!((named.dimension, named.limit), (Dimension::InputTokens, Some(250_000)));
}

#[test]
fn a_stream_error_needs_no_headers() {
    let provider = Catalog::embedded().provider("anthropic").unwrap();
    let event = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(from_error_body(provider, 200, event).class, Class::Overloaded);
    let openai = Catalog::embedded().provider("openai").unwrap();
    let failed =
        br#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded",
        "message":"Please try again in 2s."}}}"#;
    let failure = from_error_body(openai, 200, failed);
    assert_eq!((failure.class, failure.wait), (Class::Throttled, Some(Duration::from_secs(2))));
    let event = br#"{"type":"error","code":"server_error","message":"m","param":null,"sequence_number":3}"#;
    assert_eq!(from_error_body(openai, 200, event).class, Class::Transient);
    let chunk = br#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#;
    assert_eq!(from_error_body(openai, 200, chunk).class, Class::Transient);
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        Just("null".to_owned()),
        "[a-zA-Z0-9 :.,()/]{0,40}".prop_map(|text| format!("\"{text}\"")),
        Just(
            "\"Limit 0, Used 99999999999999999999, Requested 1. Please try again in 9999999999h\"".to_owned()
        ),
        Just("\"(TPM): Limit 5, Used 7, Requested 18446744073709551615. limit: 0\"".to_owned()),
    ];
    let key = prop::sample::select(vec![
        "error",
        "message",
        "type",
        "code",
        "status",
        "details",
        "violations",
        "quotaId",
        "quotaValue",
        "retryDelay",
        "metadata",
        "headers",
        "raw",
        "choices",
        "availability",
        "retry_after",
        "response",
    ]);
    let json = leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    prop_oneof![
        json.prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_body_panics(body in bodies(), status in 100u16..1000, now: u64) {
        for provider in Catalog::embedded().providers() {
            let failure = read(provider, status, &HeaderMap::new(), &body, Duration::from_secs(now));
            prop_assert!(failure.wait.is_none_or(|wait| !wait.is_zero() && wait <= hint::LONGEST_WAIT));
            prop_assert!(failure.wait.is_none() || may_pass(failure.class));
        }
    }
}
