//! Which headers pass, in both directions.

use paceline::PASSED_HEADERS;

use crate::support::{ASK, CALLER, CHAT, COMPLETION, KEY, MESSAGE, MESSAGES, before, open};
use crate::upstream::{Server, answer, json};

/// What an upstream sees beside what passes: our own.
const OURS: [&str; 4] = ["accept-encoding", "content-length", "host", "content-type"];
/// Headers that SDKs, browsers, proxies and attackers send.
const SENT: [&str; 104] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "alt-svc",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-organization-id",
    "anthropic-version",
    "anthropic-workspace-id",
    "baggage",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ipcountry",
    "cf-ray",
    "cf-visitor",
    "chatgpt-account-id",
    "client-ip",
    "content-language",
    "content-location",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "dpr",
    "early-data",
    "etag",
    "fastly-client-ip",
    "forwarded",
    "from",
    "front-end-https",
    "helicone-auth",
    "http-referer",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "keep-alive",
    "last-modified",
    "link",
    "max-forwards",
    "metadata-flavor",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "pragma",
    "priority",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "save-data",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-gpc",
    "server",
    "set-cookie",
    "surrogate-capability",
    "te",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "warning",
    "www-authenticate",
    "x-amz-date",
    "x-amz-security-token",
    "x-amzn-trace-id",
    "x-app",
    "x-aws-ec2-metadata-token",
    "x-azure-clientip",
    "x-b3-traceid",
    "x-client-ip",
    "x-client-request-id",
    "x-cluster-client-ip",
    "x-csrf-token",
    "x-envoy-external-address",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-goog-iam-authority-selector",
    "x-host",
    "x-http-method-override",
    "x-ms-client-request-id",
    "x-original-url",
    "x-paceline-deadline",
    "x-paceline-priority",
    "x-portkey-api-key",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
    "x-rewrite-url",
    "x-session-token",
    "x-stainless-lang",
    "x-stainless-retry-count",
    "x-stainless-timeout",
    "x-title",
    "x-vault-token",
];

#[tokio::test(start_paused = true)]
async fn upstreams_see_what_may_pass_and_our_credential() {
    let server = Server::start(vec![]).await;
    let stand = before(&server).await;
    let own = ["openai-organization", "openai-project", "anthropic-workspace-id"];
    let mut sent = 0;
    for (path, body, key) in [
        (MESSAGES, MESSAGE, "x-api-key"),
        (CHAT, COMPLETION, "authorization"),
        ("/v1/embeddings", r#"{"data":[]}"#, "authorization"),
    ] {
        for names in SENT.chunks(40) {
            server.play(json(200, body));
            let value = |name: &str| match name {
                "x-paceline-deadline" => "60",
                "x-paceline-priority" => "batch",
                _ => "of-the-caller",
            };
            let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, value(name))).collect();
            headers.push(("x-api-key", CALLER));
            let seen = stand.call("POST", path, &headers, ASK).await;
            assert_eq!(seen.status, 200, "{names:?}: {}", seen.text());
            let upstream = &server.take_seen()[0];
            assert!(!upstream.head.contains(CALLER));
            assert_eq!(upstream.header(key).len(), 1);
            assert!(upstream.header(key)[0].ends_with(KEY));
            for (name, value) in upstream.headers().filter(|(name, _)| *name != key) {
                let passes = PASSED_HEADERS.contains(&name) && !own.contains(&name);
                assert!(passes || OURS.contains(&name), "{name}: {value}");
                assert!(value != "of-the-caller" || names.contains(&name));
            }
            for name in names.iter().filter(|name| PASSED_HEADERS.contains(name) && !own.contains(name)) {
                assert_eq!(upstream.header(name), ["of-the-caller"], "{name}");
            }
            sent += names.len();
        }
    }
    assert_eq!(sent, 3 * SENT.len());
}

#[tokio::test(start_paused = true)]
async fn what_connection_names_is_taken_out_first() {
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = before(&server).await;
    let headers = [
        ("connection", "close, x-app, Anthropic-Beta"),
        ("x-app", "a"),
        ("anthropic-beta", "b"),
        ("x-title", "c"),
        ("x-api-key", CALLER),
    ];
    assert_eq!(stand.call("POST", MESSAGES, &headers, ASK).await.status, 200);
    let seen = server.seen();
    assert!(seen[0].header("x-app").is_empty() && seen[0].header("anthropic-beta").is_empty());
    assert_eq!(seen[0].header("x-title"), ["c"]);
    let headers = [("connection", "close, x-api-key"), ("x-api-key", CALLER)];
    assert_eq!(stand.call("POST", MESSAGES, &headers, ASK).await.status, 401, "it is not there for anybody");
    let headers = [
        ("connection", "close, x-api-key"),
        ("x-api-key", "other"),
        ("authorization", &format!("Bearer {CALLER}")),
    ];
    assert_eq!(stand.call("POST", MESSAGES, &headers, ASK).await.status, 200);
}

/// Answers' headers with what no caller should see, in thirty answers.
const TELLING: [&str; 34] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "age",
    "alt-svc",
    "anthropic-organization-id",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-requests-limit",
    "anthropic-workspace-id",
    "cf-cache-status",
    "cf-ray",
    "content-security-policy",
    "etag",
    "link",
    "nel",
    "openai-organization",
    "openai-project",
    "p3p",
    "proxy-authenticate",
    "public-key-pins",
    "refresh",
    "report-to",
    "server",
    "server-timing",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "traceparent",
    "via",
    "www-authenticate",
    "x-envoy-upstream-service-time",
    "x-powered-by",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-tokens",
    "x-served-by",
];

#[tokio::test(start_paused = true)]
async fn callers_see_what_may_be_answered() {
    let statuses = [200, 201, 400, 401, 403, 404, 409, 413, 422, 451];
    let mut answers = 0;
    for status in statuses {
        for names in TELLING.chunks(12) {
            let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, "of-org-secret")).collect();
            headers.extend([
                ("content-type", "application/json"),
                ("request-id", "req_1"),
                ("retry-after", "49"),
            ]);
            let body =
                if status < 300 { MESSAGE } else { r#"{"type":"error","error":{"type":"x","message":"y"}}"# };
            let server = Server::start(vec![answer(status, &headers, body)]).await;
            let seen = before(&server).await.post(MESSAGES, ASK).await;
            for (name, value) in &seen.headers {
                assert!(!value.contains("secret"), "{status}: {name}");
            }
            assert_eq!(
                seen.header("retry-after").is_some(),
                status >= 400 && !matches!(status, 401 | 403),
                "{status}"
            );
            assert_eq!(seen.header("request-id").is_some(), !matches!(status, 401 | 403), "{status}");
            answers += 1;
        }
    }
    assert_eq!(answers, 30);
}

#[tokio::test(start_paused = true)]
async fn an_accounts_owner_sees_its_limits() {
    let headers = [
        ("anthropic-organization-id", "o"),
        ("anthropic-ratelimit-requests-limit", "5"),
        ("x-ratelimit-limit-requests", "6"),
        ("openai-organization", "p"),
        ("set-cookie", "x"),
        ("content-type", "application/json"),
    ];
    let server = Server::start(vec![answer(200, &headers, MESSAGE)]).await;
    let builder = paceline::Client::builder().upstream(server.open_upstream("anthropic", "anthropic"));
    let stand = open(builder).await;
    let sent = [("x-api-key", "sk-own"), ("openai-organization", "mine"), ("cookie", "x")];
    let seen = stand.call("POST", MESSAGES, &sent, ASK).await;
    for (name, value) in &headers[..4] {
        assert_eq!(seen.header(name), Some(*value));
    }
    assert_eq!(seen.header("set-cookie"), None);
    server.play(answer(400, &headers, r#"{"type":"error","error":{"type":"x"}}"#));
    let error = stand.call("POST", MESSAGES, &[("x-api-key", "sk-own")], ASK).await;
    assert_eq!((error.status, error.header("anthropic-ratelimit-requests-limit")), (400, Some("5")));
    let upstream = &server.seen()[0];
    assert_eq!(upstream.header("openai-organization"), ["mine"]);
    assert_eq!(upstream.header("x-api-key"), ["sk-own"]);
    assert!(upstream.header("cookie").is_empty());
}
