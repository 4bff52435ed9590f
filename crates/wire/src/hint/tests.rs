use proptest::prelude::*;

use super::*;
use crate::provider::Catalog;

// 2023-09-29 16:26:37 UTC, the instant of the SDKs' own tests.
const NOW: Duration = Duration::from_secs(1_696_004_797);

fn provider(name: &str) -> &'static Provider {
    Catalog::embedded().provider(name).unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn millis(pairs: &[(&str, &str)]) -> Option<u128> {
    retry_after(&headers(pairs), NOW).map(|wait| wait.as_millis())
}

#[test]
fn retry_after_vectors_of_the_sdks() {
    // What the official OpenAI SDK is tested with. Where it caps a wait or falls back on its own, we keep the hint as it
    // is (121 s) or have none: what to do then is not for this crate to say.
    let cases = [
        ("20", Some(20)),
        ("0", None),
        ("-10", None),
        ("60", Some(60)),
        ("61", Some(61)),
        ("120", Some(120)),
        ("121", Some(121)),
        ("Fri, 29 Sep 2023 16:26:57 GMT", Some(20)),
        ("Fri, 29 Sep 2023 16:26:37 GMT", None),
        ("Fri, 29 Sep 2023 16:26:27 GMT", None),
        ("Fri, 29 Sep 2023 16:27:37 GMT", Some(60)),
        ("Fri, 29 Sep 2023 16:27:38 GMT", Some(61)),
        ("Fri, 29 Sep 2023 16:28:37 GMT", Some(120)),
        ("Fri, 29 Sep 2023 16:28:38 GMT", Some(121)),
        ("99999999999999999999999999999999999", None),
        ("inf", None),
        ("nan", None),
        ("Zun, 29 Sep 2023 16:26:27 GMT", None),
        ("Fri, 29 Sep 100000 16:26:57 GMT", None),
        ("", None),
    ];
    for (value, want) in cases {
        assert_eq!(millis(&[("retry-after", value)]), want.map(|seconds| seconds * 1_000), "`{value}`");
    }
    let in_millis =
        [("120000", Some(120_000)), ("120001", Some(120_001)), ("1500.7", Some(1_500)), ("0", None)];
    for (value, want) in in_millis {
        assert_eq!(millis(&[("retry-after-ms", value)]), want, "`{value}`");
    }
}

#[test]
fn retry_after_in_other_spellings() {
    let cases = [
        ("1.5", Some(1_500)),
        (" 7 ", Some(7_000)),
        ("26s", Some(26_000)),
        ("86400", Some(86_400_000)),
        ("114h18m0s", Some(411_480_000)),
        ("31622400", Some(31_622_400_000)),
        ("31622401", None),
        ("1e9", None),
        ("0x10", None),
        ("1,5", None),
        ("-0.5", None),
        ("infinity", None),
        ("tomorrow", None),
        ("1696004817", None),
    ];
    for (value, want) in cases {
        assert_eq!(millis(&[("retry-after", value)]), want, "`{value}`");
    }
    for bad in ["-5", "5s", "nan", "1 0", "."] {
        assert_eq!(millis(&[("retry-after-ms", bad)]), None, "`{bad}`");
        assert_eq!(millis(&[("retry-after-ms", bad), ("retry-after", "3")]), Some(3_000), "`{bad}`");
    }
    assert_eq!(millis(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
}

#[test]
fn the_best_hint_wins() {
    let body = br#"{"error":{"message":"on tokens per min (TPM): Limit 600, Used 600, Requested 100. Please try again in 4s.",
        "details":[{"retryDelay":"3s"}]}}"#;
    let unhinted = br#"{"error":{"message":"on tokens per min (TPM): Limit 600, Used 600, Requested 100."}}"#;
    let all = [
        ("retry-after-ms", "1000"),
        ("retry-after", "2"),
        ("x-ratelimit-limit-tokens", "600"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m0s"),
    ];
    let openai = provider("openai");
    let waits = |status, from: usize, body: &[u8]| {
        wait(openai, status, &headers(&all[from..]), body, NOW).map(|wait| wait.as_secs())
    };
    assert_eq!(waits(429, 0, body), Some(1));
    assert_eq!(waits(429, 1, body), Some(2));
    assert_eq!(waits(429, 2, body), Some(3));
    assert_eq!(waits(429, 2, br#"{"error":{"message":"Please try again in 4s."}}"#), Some(4));
    assert_eq!(waits(429, 2, unhinted), Some(10));
    assert_eq!(waits(429, 2, b"{}"), Some(60));
    assert_eq!(waits(429, 5, b"{}"), None);
    for status in [200, 204, 301, 400, 401, 404] {
        assert_eq!(waits(status, 0, b"{}"), None, "{status}");
    }
    for status in [408, 429, 498, 500, 502, 503, 504, 529] {
        assert_eq!(waits(status, 0, b""), Some(1), "{status}");
    }
}

#[test]
fn anthropic_sends_retry_after_with_successes() {
    let recorded = headers(&[
        ("retry-after", "49"),
        ("anthropic-ratelimit-input-tokens-limit", "2000000"),
        ("anthropic-ratelimit-input-tokens-remaining", "2000000"),
        ("anthropic-ratelimit-input-tokens-reset", "2025-11-23T13:21:11Z"),
    ]);
    assert_eq!(wait(provider("anthropic"), 200, &recorded, br#"{"content":[]}"#, NOW), None);
}

#[test]
fn the_exhausted_limit_says_when() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], Option<u64>);
    let cases: [Case; 9] = [
        // Full again in a minute, but one request of sixty fits after a second.
        (
            "anthropic",
            &[
                ("anthropic-ratelimit-requests-limit", "60"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2023-09-29T16:27:37Z"),
            ],
            Some(1_000),
        ),
        (
            "anthropic",
            &[
                ("anthropic-ratelimit-output-tokens-limit", "8000"),
                ("anthropic-ratelimit-output-tokens-remaining", "0"),
                ("anthropic-ratelimit-output-tokens-reset", "2023-09-29T16:27:17Z"),
            ],
            Some(40_000),
        ),
        (
            "anthropic", // The provider's own clock is 100 s ahead of ours.
            &[
                ("date", "Fri, 29 Sep 2023 16:28:17 GMT"),
                ("anthropic-ratelimit-output-tokens-limit", "8000"),
                ("anthropic-ratelimit-output-tokens-remaining", "0"),
                ("anthropic-ratelimit-output-tokens-reset", "2023-09-29T16:28:57Z"),
            ],
            Some(40_000),
        ),
        (
            "anthropic",
            &[
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-reset", "1696008397"),
            ],
            Some(3_600_000),
        ),
        (
            "groq",
            &[("x-ratelimit-limit-requests", "14400"), ("x-ratelimit-remaining-requests", "0")],
            Some(6_000),
        ),
        ("azure", &[("x-rate-limit-reset-tokens", "55")], Some(55_000)),
        ("together", &[("x-ratelimit-reset", "3")], Some(3_000)),
        (
            "openrouter",
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1696004827000")],
            Some(30_000),
        ),
        ("openai", &[("x-ratelimit-limit-tokens", "600"), ("x-ratelimit-remaining-tokens", "5")], None),
    ];
    for (name, pairs, want) in cases {
        let wait = wait(provider(name), 429, &headers(pairs), b"", NOW);
        assert_eq!(wait.map(|wait| wait.as_millis() as u64), want, "{name}: {pairs:?}");
    }
}

#[test]
fn headers_repeated_in_the_body_count() {
    let body =
        br#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min.","metadata":{"headers":
        {"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1696004827000"}}}}"#;
    assert_eq!(
        wait(provider("openrouter"), 429, &HeaderMap::new(), body, NOW),
        Some(Duration::from_secs(30))
    );
}

proptest! {
    #[test]
    fn no_header_panics(
        name in prop::sample::select(vec!["retry-after", "retry-after-ms", "date", "x-ratelimit-reset"]),
        value in prop::collection::vec(any::<u8>(), 0..40),
        body in prop::collection::vec(any::<u8>(), 0..200),
        now: u64,
    ) {
        let mut map = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            map.insert(name, value);
        }
        for provider in Catalog::embedded().providers() {
            let wait = wait(provider, 429, &map, &body, Duration::from_secs(now));
            prop_assert!(wait.is_none_or(|wait| !wait.is_zero() && wait <= LONGEST_WAIT));
        }
    }

    #[test]
    fn every_number_of_seconds_is_read_exactly(seconds in 1u64..31_622_400, millis in 0u32..1_000) {
        let text = format!("{seconds}.{millis:03}");
        let wait = retry_after(&headers(&[("retry-after", &text)]), NOW);
        prop_assert_eq!(wait, Some(Duration::new(seconds, millis * 1_000_000)));
    }
}
