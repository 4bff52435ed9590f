use proptest::prelude::*;

use super::*;
use crate::provider::Catalog;

// 2025-11-23 13:21:11 UTC.
const NOW: Duration = Duration::from_secs(1_763_904_071);

fn headers(text: &str) -> HeaderMap {
    let pairs = text.lines().filter_map(|line| line.trim().split_once(": "));
    pairs.map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

/// Each limit as `dimension window: remaining/limit reset ~rounding`, with `-` for what is unknown.
fn told(provider: &str, text: &str) -> Vec<String> {
    let provider = Catalog::embedded().provider(provider).unwrap();
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let line = |seen: LimitSeen| {
        let window = or_dash(seen.window.map(|window| format!("{window:?}")));
        let (limit, remaining) =
            (or_dash(seen.limit.map(|n| n.to_string())), or_dash(seen.remaining.map(|n| n.to_string())));
        let reset = or_dash(seen.reset.map(|reset| format!("{reset:?}")));
        format!("{} {window}: {remaining}/{limit} {reset} ~{}", seen.dimension.name(), seen.rounding)
    };
    read(provider, &headers(text), NOW).into_iter().map(line).collect()
}

#[test]
fn anthropic_recorded() {
    let text = "anthropic-organization-id: 617d109c-a187-4902-889d-689223d134aa
        anthropic-ratelimit-input-tokens-limit: 2000000
        anthropic-ratelimit-input-tokens-remaining: 2000000
        anthropic-ratelimit-input-tokens-reset: 2025-11-23T13:21:11Z
        anthropic-ratelimit-output-tokens-limit: 400000
        anthropic-ratelimit-output-tokens-remaining: 400000
        anthropic-ratelimit-output-tokens-reset: 2025-11-23T13:21:12Z
        anthropic-ratelimit-tokens-limit: 2400000
        anthropic-ratelimit-tokens-remaining: 2400000
        anthropic-ratelimit-tokens-reset: 2025-11-23T13:21:11Z
        request-id: req_011CVQtbqszdJeNPUoVMEFqc
        retry-after: 49";
    assert_eq!(
        told("anthropic", text),
        ["input_tokens 60s: 2000000/2000000 0ns ~1000", "output_tokens 60s: 400000/400000 1s ~1000"]
    );
}

#[test]
fn anthropic_variants() {
    let all = "anthropic-ratelimit-requests-limit: 50
        anthropic-ratelimit-requests-remaining: 49
        anthropic-ratelimit-requests-reset: 2025-11-23T13:21:12Z
        anthropic-ratelimit-tokens-limit: 38000
        anthropic-ratelimit-tokens-remaining: 12345
        anthropic-ratelimit-tokens-reset: garbage
        anthropic-priority-input-tokens-limit: 5
        anthropic-fast-output-tokens-limit: 5";
    assert_eq!(told("anthropic", all), ["requests 60s: 49/50 1s ~1", "tokens 60s: 12345/38000 - ~1"]);
    // The OpenAI-compatible endpoint.
    let compatible = "x-ratelimit-limit-requests: 1000
        x-ratelimit-remaining-requests: 999
        x-ratelimit-reset-requests: 60ms";
    assert_eq!(told("anthropic", compatible), ["requests 60s: 999/1000 60ms ~1"]);
    // A date of its own sets the clock.
    let dated = "date: Sun, 23 Nov 2025 13:00:00 GMT
        anthropic-ratelimit-requests-limit: 50
        anthropic-ratelimit-requests-remaining: 0
        anthropic-ratelimit-requests-reset: 2025-11-23T13:01:00Z";
    assert_eq!(told("anthropic", dated), ["requests 60s: 0/50 60s ~1"]);
}

#[test]
fn openai_requests_are_the_minutes_or_the_days() {
    let with_reset = |reset: &str| {
        format!(
            "x-ratelimit-limit-requests: 10000
            x-ratelimit-remaining-requests: 9999
            x-ratelimit-reset-requests: {reset}
            x-ratelimit-limit-tokens: 150000000
            x-ratelimit-remaining-tokens: 149998385
            x-ratelimit-reset-tokens: 0s"
        )
    };
    let tokens = "tokens 60s: 149998385/150000000 0ns ~1";
    let cases = [
        ("6ms", "requests 60s: 9999/10000 6ms ~1"),
        ("8.64s", "requests 86400s: 9999/10000 8.64s ~1"),
        ("0s", "requests -: 9999/10000 0ns ~1"),
        ("soon", "requests -: 9999/10000 - ~1"),
        ("-6ms", "requests -: 9999/10000 - ~1"),
        ("999999999h", "requests -: 9999/10000 - ~1"),
    ];
    for (reset, requests) in cases {
        assert_eq!(told("openai", &with_reset(reset)), [requests, tokens], "{reset}");
    }
}

#[test]
fn the_tighter_of_organisation_and_project() {
    let text = "x-ratelimit-limit-tokens: 1000000
        x-ratelimit-remaining-tokens: 50000
        x-ratelimit-reset-tokens: 57s
        x-ratelimit-limit-project-tokens: 100000
        x-ratelimit-remaining-project-tokens: 90000
        x-ratelimit-reset-project-tokens: 6s";
    let limits = told("openai", text);
    assert_eq!(limits.len(), 1);
    assert!(limits[0].contains(": 50000/100000 57s"), "{limits:?}");
    let project = "x-ratelimit-limit-project-tokens: 100000
        x-ratelimit-remaining-project-tokens: 90000
        x-ratelimit-reset-project-tokens: 6s";
    assert_eq!(told("openai", project), ["tokens 60s: 90000/100000 6s ~1"]);
}

#[test]
fn groq_has_days_and_minutes() {
    let text = "x-ratelimit-limit-requests: 14400
        x-ratelimit-remaining-requests: 14397
        x-ratelimit-reset-requests: 17.399999999s
        x-ratelimit-limit-tokens: 6000
        x-ratelimit-remaining-tokens: 5234
        x-ratelimit-reset-tokens: 7.66s";
    assert_eq!(
        told("groq", text),
        ["requests 86400s: 14397/14400 17.399999999s ~1", "tokens 60s: 5234/6000 7.66s ~1"]
    );
}

#[test]
fn azure_units_and_unknowns() {
    let recorded = "x-ratelimit-limit-requests: 120
        x-ratelimit-remaining-requests: 119
        x-ratelimit-reset-requests: 500
        x-ratelimit-renewalperiod-requests: 60
        x-ratelimit-limit-tokens: 120000
        x-ratelimit-remaining-tokens: 119986
        x-ratelimit-reset-tokens: 7
        x-ratelimit-renewalperiod-tokens: 60";
    assert_eq!(
        told("azure", recorded),
        ["requests 60s: 119/120 500ms ~1", "tokens 60s: 119986/120000 7ms ~1"]
    );
    let unknown = "x-ratelimit-limit-tokens: -1
        x-ratelimit-remaining-tokens: -1
        x-ratelimit-reset-tokens: 0
        x-ratelimit-limit-requests: 0
        x-ratelimit-remaining-requests: 0";
    assert!(told("azure", unknown).is_empty());
    let old = "x-ratelimit-remaining-requests: 7
        x-ratelimit-remaining-tokens: -4";
    assert_eq!(told("azure", old), ["requests 60s: 7/- - ~1"]);
    let seconds = "x-ratelimit-limit-tokens: 1000
        x-ratelimit-remaining-tokens: 0
        x-ratelimit-reset-tokens: 55";
    assert_eq!(told("azure", seconds), ["tokens 60s: 0/1000 55s ~1"]);
    let clamped = "x-ratelimit-limit-tokens: 1000
        x-ratelimit-remaining-tokens: 0
        x-ratelimit-reset-tokens: 86400000";
    assert_eq!(told("azure", clamped), ["tokens 60s: 0/1000 60s ~1"]);
}

#[test]
fn mistral_names_its_windows() {
    let text = "x-ratelimit-limit-req-10-second: 60
        x-ratelimit-remaining-req-10-second: 59
        x-ratelimit-limit-tokens-minute: 2000000
        x-ratelimit-remaining-tokens-minute: 1999000
        x-ratelimit-limit-tokens-month: 10000000000
        x-ratelimit-remaining-tokens-month: 9990000000
        x-ratelimit-tokens-query-cost: 12
        mistral-correlation-id: 1";
    assert_eq!(
        told("mistral", text),
        [
            "requests 10s: 59/60 - ~1",
            "tokens 60s: 1999000/2000000 - ~1",
            "tokens 2592000s: 9990000000/10000000000 - ~1",
        ]
    );
    let older = "ratelimitbysize-limit: 500000
        ratelimitbysize-remaining: 467982
        ratelimitbysize-reset: 21
        ratelimitbysize-query-cost: 32018";
    assert_eq!(told("mistral", older), ["tokens 60s: 467982/500000 21s ~1"]);
    let by_size = "x-ratelimitbysize-limit-minute: 500000
        x-ratelimitbysize-remaining-minute: 467982
        x-ratelimit-limit-req-minute: 60";
    assert_eq!(told("mistral", by_size), ["requests 60s: -/60 - ~1", "tokens 60s: 467982/500000 - ~1"]);
}

#[test]
fn cerebras_adds_resets() {
    let text = "x-ratelimit-limit-requests-day: 14400
        x-ratelimit-remaining-requests-day: 14399
        x-ratelimit-reset-requests-day: 33011.382867
        x-ratelimit-limit-tokens-minute: 60000
        x-ratelimit-remaining-tokens-minute: 0
        x-ratelimit-reset-tokens-minute: 11.382867
        x-ratelimit-limit-tokens-0-minute: 5
        x-ratelimit-limit-tokens-99999999999-day: 5
        x-ratelimit-limit-tokens-fortnight: 5
        x-ratelimit-limit--minute: 5";
    assert_eq!(
        told("cerebras", text),
        ["requests 86400s: 14399/14400 33011.382867s ~1", "tokens 60s: 0/60000 11.382867s ~1"]
    );
}

#[test]
fn limits_per_second() {
    let fireworks = "x-ratelimit-limit-tokens-prompt: 60000
        x-ratelimit-limit-tokens-cache-adjusted-prompt: 15000
        x-ratelimit-limit-tokens-generated: 600
        x-ratelimit-limit-requests: 6000
        x-ratelimit-remaining-requests: 5999
        x-ratelimit-over-limit: no";
    let limits = told("fireworks", fireworks);
    assert_eq!(limits[0], "requests -: 5999/6000 - ~1");
    assert!(limits[1].starts_with("input_tokens 1s: -/"), "{limits:?}");
    assert_eq!(limits[2], "output_tokens 1s: -/600 - ~1");
    let together = "x-ratelimit-limit: 2
        x-ratelimit-remaining: 1
        x-ratelimit-reset: 1
        x-tokenlimit-limit: 3000
        x-tokenlimit-remaining: 2900";
    assert_eq!(told("together", together), ["requests 1s: 1/2 1s ~1", "tokens 1s: 2900/3000 - ~1"]);
}

#[test]
fn openrouter_on_refusals() {
    let daily = "x-ratelimit-limit: 50
        x-ratelimit-remaining: 0
        x-ratelimit-reset: 1763942400000";
    assert_eq!(told("openrouter", daily), ["requests 86400s: 0/50 38329s ~1"]);
    let minute = "x-ratelimit-limit: 20
        x-ratelimit-remaining: 0
        x-ratelimit-reset: 1763904101000";
    assert_eq!(told("openrouter", minute), ["requests 60s: 0/20 30s ~1"]);
    let stale = "x-ratelimit-limit: 20
        x-ratelimit-remaining: 0
        x-ratelimit-reset: 1000";
    assert_eq!(told("openrouter", stale), ["requests -: 0/20 - ~1"]);
}

#[test]
fn silence_is_no_limit() {
    for provider in Catalog::embedded().providers() {
        assert!(
            read(provider, &headers("content-type: application/json"), NOW).is_empty(),
            "{}",
            provider.name
        );
    }
    let noise = "x-ratelimit-limit-requests: 10
        x-ratelimit-remaining-requests: 9";
    assert!(told("gemini", noise).is_empty());
}

#[test]
fn impossible_numbers_are_dropped() {
    let text = "x-ratelimit-limit-requests: 100
        x-ratelimit-remaining-requests: 101
        x-ratelimit-limit-tokens: 1e6
        x-ratelimit-remaining-tokens: 5";
    assert_eq!(told("openai", text), ["requests -: -/100 - ~1"]);
}

proptest! {
    #[test]
    fn no_headers_panic(
        what in prop::sample::select(vec![
            "x-ratelimit-{}-requests", "x-ratelimit-{}-tokens", "x-ratelimit-{}-project-tokens", "x-ratelimit-{}",
            "anthropic-ratelimit-{}-requests", "anthropic-ratelimit-input-tokens-{}", "x-ratelimit-{}-tokens-minute",
            "x-ratelimit-{}-req-10-second", "x-ratelimit-{}-tokens-generated", "x-tokenlimit-{}",
        ]),
        limit in "-?[0-9]{0,25}(\\.[0-9]*)?", remaining in "-?[0-9]{0,25}", reset in ".{0,30}", now: u64,
    ) {
        let mut map = HeaderMap::new();
        for (part, value) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
            let name: http::HeaderName = what.replace("{}", part).parse().unwrap();
            if let Ok(value) = http::HeaderValue::from_str(&value) {
                map.insert(name, value);
            }
        }
        for provider in Catalog::embedded().providers() {
            for seen in read(provider, &map, Duration::from_secs(now)) {
                prop_assert!(seen.limit != Some(0) && seen.rounding > 0);
                prop_assert!(seen.remaining.unwrap_or(0) <= seen.limit.unwrap_or(u64::MAX));
                prop_assert!(seen.reset.unwrap_or_default() <= LONGEST_WAIT);
            }
        }
    }
}
