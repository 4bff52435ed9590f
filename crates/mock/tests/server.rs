//! The mock on its socket, spoken to by hand: limits, manners, faults, and what the log says afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use paceline_mock::log::{Outcome, Record, fingerprint};
use paceline_mock::profile::{Amounts, Profile};
use paceline_mock::script::Script;
use paceline_mock::server::{Handle, Options, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back, and how the connection ended.
struct Answer {
    head: String,
    body: Vec<u8>,
    reset: bool,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A chunked body that has its last chunk, or a body as long as announced.
    fn is_whole(&self) -> bool {
        match self.header("content-length") {
            Some(length) => length.parse() == Ok(self.body.len()),
            None => self.body.ends_with(b"0\r\n\r\n"),
        }
    }
}

async fn send(addr: SocketAddr, path: &str, key: &str, body: &Value) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request(path, key, body).as_bytes()).await.unwrap();
    receive(stream).await
}

fn request(path: &str, key: &str, body: &Value) -> String {
    let (body, method) = (body.to_string(), if path == "/v1/models" { "GET" } else { "POST" });
    let key = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\n{key}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn receive(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    let reset = match stream.read_to_end(&mut all).await {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let body = all.split_off(end);
    Answer { head: String::from_utf8(all).unwrap(), body, reset }
}

fn message(text: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    json!({"model": "claude-sonnet-4-6", "max_tokens": 40, "stream": stream, "messages": messages})
}

fn chat(text: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    json!({"model": "gpt-5", "max_completion_tokens": 40, "stream": stream, "messages": messages})
}

async fn start(profile: &str, limits: Amounts, script: &str) -> Handle {
    let profile = Profile::named(profile).unwrap();
    let script = Script::parse("test", script).unwrap();
    let options = Options { profile, limits, script, instant: true, ..Options::default() };
    Server::start(options).await.unwrap()
}

async fn faulty(fault: &str, details: &str) -> Handle {
    start("unlimited", Amounts::default(), &format!("[[rule]]\nfault = \"{fault}\"\n{details}\n")).await
}

fn rpm(amount: u64) -> Amounts {
    Amounts { requests_per_minute: Some(amount), ..Amounts::default() }
}

/// The log's lines, once there are as many as that.
async fn calls(mock: &Handle, count: usize) -> Vec<Record> {
    loop {
        let calls = mock.calls();
        if count <= calls.len() {
            return calls;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn anthropic_answers_refuses_and_tells() {
    let mock = start("anthropic-tiny", rpm(2), "").await;
    let ok = send(mock.addr(), "/v1/messages", "k", &message("hello", false)).await;
    assert_eq!(ok.status(), 200, "{}", ok.head);
    assert_eq!(ok.json()["usage"]["output_tokens"], 40);
    assert_eq!(ok.json()["stop_reason"], "max_tokens");
    assert_eq!(ok.header("anthropic-ratelimit-input-tokens-limit"), Some("30000"));
    assert_eq!(ok.header("anthropic-ratelimit-input-tokens-remaining"), Some("30000"), "rounded");
    assert!(ok.header("request-id").unwrap().starts_with("req_"));
    let hint: u64 = ok.header("retry-after").unwrap().parse().unwrap();
    assert!((12..=61).contains(&hint), "odd, but so it is on success");

    send(mock.addr(), "/v1/messages", "other-key", &message("hello", false)).await;
    let refused = send(mock.addr(), "/v1/messages", "third-key", &message("hello", false)).await;
    assert_eq!(refused.status(), 429, "all keys share the organisation's limit");
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let text = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("rate limit of 2 requests per minute"), "{text}");
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), (Some("30"), Some("true")));

    let log = calls(&mock, 3).await;
    assert_eq!(
        log.iter().map(|call| call.outcome).collect::<Vec<_>>(),
        [Outcome::Completed, Outcome::Completed, Outcome::Refused]
    );
    assert_eq!(log[0].marker, fingerprint(message("hello", false).to_string().as_bytes()));
    assert_eq!((log[0].attempt, log[2].attempt), (1, 3));
    assert_eq!(log[2].refused.as_deref(), Some("requests"));
    assert_eq!((log[0].input_tokens, log[0].output_tokens, log[2].input_tokens), (12, 40, 0));
    assert!(!log[0].key.is_empty() && log[0].key != "k" && log[0].key != log[1].key);
}

#[tokio::test]
async fn openai_answers_refuses_and_tells() {
    let limits = Amounts { requests_per_minute: None, tokens_per_minute: Some(100), ..Amounts::default() };
    let mock = start("openai-tiny", limits, "").await;
    let ok = send(mock.addr(), "/v1/chat/completions", "k", &chat(&"x".repeat(40), false)).await;
    assert_eq!(ok.status(), 200, "{}", ok.head);
    assert_eq!(ok.header("x-ratelimit-limit-tokens"), Some("100"));
    assert_eq!(
        ok.header("x-ratelimit-remaining-tokens"),
        Some("77"),
        "40 / 4 + 3 + 10; max_tokens plays no part"
    );
    assert_eq!(ok.header("x-ratelimit-limit-requests"), Some("50"));
    assert_eq!(ok.header("x-ratelimit-reset-requests"), Some("1.2s"));
    assert!(ok.header("retry-after").is_none());

    let refused = send(mock.addr(), "/v1/chat/completions", "k", &chat(&"x".repeat(340), false)).await;
    let text = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!((refused.status(), &refused.json()["error"]["type"]), (429, &json!("tokens")));
    assert!(
        text.contains("on tokens per min (TPM): Limit 100, Used 23, Requested 98. Please try again in 1"),
        "{text}"
    );

    let large = send(mock.addr(), "/v1/chat/completions", "k", &chat(&"x".repeat(400), false)).await;
    let text = large.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Request too large for gpt-5"), "{text}");
    assert_eq!(large.header("x-should-retry"), Some("false"));
    let remaining = refused.header("x-ratelimit-remaining-requests");
    assert_eq!(remaining, Some("48"), "a refused request counts as one");
}

#[tokio::test]
async fn keys_are_needed_and_paths_are_known() {
    let mock = start("anthropic-tiny", Amounts::default(), "").await;
    for (path, body, key, status, kind) in [
        ("/v1/messages", message("x", false), "", 401, "authentication_error"),
        ("/v1/chat/completions", chat("x", false), "", 401, "invalid_request_error"),
        ("/v1/messages", json!({"model": "m"}), "k", 400, "invalid_request_error"),
        ("/v1/files", json!({}), "k", 404, "not_found_error"),
    ] {
        let answer = send(mock.addr(), path, key, &body).await;
        assert_eq!((answer.status(), &answer.json()["error"]["type"]), (status, &json!(kind)), "{path}");
    }
    assert_eq!(send(mock.addr(), "/v1/models", "k", &json!({})).await.json()["object"], "list");
    assert!(calls(&mock, 5).await[..4].iter().all(|call| call.outcome == Outcome::Rejected));
}

#[tokio::test]
async fn a_stream_has_every_event_in_order() {
    let mock = start("unlimited", Amounts::default(), "").await;
    let answer = send(mock.addr(), "/v1/messages", "k", &message("hello", true)).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let text = answer.text();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    let answer = send(mock.addr(), "/v1/chat/completions", "k", &chat("hello", true)).await;
    assert!(answer.text().contains("data: [DONE]\n\n"));
    assert!(answer.is_whole());
}

#[tokio::test]
async fn errors_come_as_the_script_says() {
    let cases = [
        ("overloaded", "", 529, 503),
        ("unavailable", "retry_after = 2", 503, 503),
        ("server-error", "", 500, 500),
        ("bad-gateway", "", 502, 502),
        ("gateway-timeout", "", 504, 504),
        ("throttled", "", 429, 429),
        ("slow-down", "", 429, 429),
        ("concurrency", "", 429, 429),
        ("insufficient-quota", "", 429, 429),
        ("spend-limit", "", 400, 429),
        ("billing", "", 402, 402),
        ("request-too-large", "", 413, 429),
        ("groq-413", "", 413, 413),
        ("context-length", "", 400, 400),
        ("unauthorized", "", 401, 401),
        ("forbidden", "", 403, 403),
        ("not-found", "", 404, 404),
        ("server-error", "status = 507", 507, 507),
        ("error-in-200", "", 200, 200),
        ("garbage", "", 200, 200),
        ("empty", "", 200, 200),
    ];
    for (fault, details, anthropic, openai) in cases {
        let mock = faulty(fault, details).await;
        for (path, body, status) in [
            ("/v1/messages", message("x", false), anthropic),
            ("/v1/messages", message("x", true), anthropic),
            ("/v1/chat/completions", chat("x", false), openai),
        ] {
            let answer = send(mock.addr(), path, "k", &body).await;
            assert_eq!(answer.status(), status, "{fault} at {path}");
            assert!(answer.is_whole(), "{fault}");
            let has_error = answer.json()["error"].is_object();
            assert_eq!(has_error, !["bad-gateway", "garbage", "empty"].contains(&fault), "{fault}");
        }
        let log = calls(&mock, 3).await;
        assert!(
            log.iter().all(|call| call.outcome == Outcome::Fault && call.fault.as_deref() == Some(fault))
        );
    }
}

#[tokio::test]
async fn connections_break_as_the_script_says() {
    // Fault, streamed, whether a head comes, whether it ends with a reset, whether HTTP calls the body whole.
    let cases = [
        ("reset-before-headers", false, false, true, false),
        ("close-before-headers", false, false, false, false),
        ("reset", false, true, true, false),
        ("reset", true, true, true, false),
        ("cut", false, true, false, false),
        ("cut", true, true, false, false),
        ("truncate", false, true, false, true),
        ("truncate", true, true, false, true),
    ];
    for (fault, stream, head, reset, whole) in cases {
        let mock = faulty(fault, "").await;
        let answer = send(mock.addr(), "/v1/messages", "k", &message("x", stream)).await;
        assert_eq!(!answer.head.is_empty(), head, "{fault}, streamed: {stream}");
        assert_eq!(answer.reset, reset, "{fault}, streamed: {stream}");
        assert_eq!(head && answer.is_whole(), whole, "{fault}, streamed: {stream}");
        assert!(!answer.text().contains("message_stop") && !answer.text().contains("stop_sequence\":null}"));
        let log = calls(&mock, 1).await;
        assert_eq!((log[0].outcome, log[0].fault.as_deref()), (Outcome::Fault, Some(fault)));
    }
}

#[tokio::test]
async fn streams_fail_as_the_script_says() {
    for (path, body, error) in [
        ("/v1/messages", message("x", true), "event: error\ndata: {\"error\":{\"message\":\"Overloaded\""),
        ("/v1/chat/completions", chat("x", true), "data: {\"error\":{"),
    ] {
        let mock = faulty("stream-error-first", "").await;
        let text = send(mock.addr(), path, "k", &body).await.text();
        assert!(text.split_once("\r\n").unwrap().1.starts_with(error), "{text}");
        let mock = faulty("stream-error-mid", "after = 4").await;
        let text = send(mock.addr(), path, "k", &body).await.text();
        assert_eq!(text.matches("data: ").count(), 5, "{text}");
        assert!(text.contains(error));
    }
}

#[tokio::test]
async fn disguises_leave_the_answer_whole() {
    for fault in [
        "padding",
        "comments",
        "pings",
        "unknown-events",
        "crlf",
        "data-first",
        "split",
        "drip",
        "no-limit-headers",
    ] {
        let mock = faulty(fault, if fault == "drip" { "wait = \"1ms\"" } else { "" }).await;
        for (path, body) in [
            ("/v1/messages", message("x", true)),
            ("/v1/messages", message("x", false)),
            ("/v1/chat/completions", chat("x", true)),
            ("/v1/responses", json!({"model": "gpt-5", "input": "x", "stream": true})),
        ] {
            let answer = send(mock.addr(), path, "k", &body).await;
            assert!(answer.is_whole(), "{fault} at {path}");
        }
        assert!(calls(&mock, 4).await.iter().all(|call| call.outcome == Outcome::Completed));
    }
}

#[tokio::test]
async fn a_caller_who_leaves_is_noticed_and_frees_its_slot() {
    for (details, stream) in [("hang", false), ("stall", true), ("stall", false)] {
        let mut profile = Profile::named("unlimited").unwrap();
        profile.rules.concurrency = Some(1);
        let script = Script::parse("test", &format!("[[rule]]\nfault = \"{details}\"\nnth = 1\n")).unwrap();
        let options = Options { profile, script, instant: true, ..Options::default() };
        let mock = Server::start(options).await.unwrap();
        let mut first = TcpStream::connect(mock.addr()).await.unwrap();
        first.write_all(request("/v1/messages", "k", &message("x", stream)).as_bytes()).await.unwrap();
        if details == "stall" {
            let mut some = [0; 16];
            first.read_exact(&mut some).await.unwrap();
            let second = send(mock.addr(), "/v1/messages", "k", &message("y", false)).await;
            assert_eq!(second.status(), 429, "the only slot is taken");
            assert!(second.text().contains("Number of concurrent connections has exceeded your rate limit"));
        }
        drop(first);
        let count = if details == "stall" { 2 } else { 1 };
        let log = calls(&mock, count).await;
        assert_eq!(log[count - 1].outcome, Outcome::ClientGone, "{details}, streamed: {stream}");
        let third = send(mock.addr(), "/v1/messages", "k", &message("z", false)).await;
        assert_eq!(third.status(), 200);
    }
}

#[tokio::test]
async fn projects_and_counting_have_limits_of_their_own() {
    let script = r#"
        [[account]]
        organization = "org-a"
        keys = ["sk-1"]
        [[account.project]]
        name = "blog"
        keys = ["sk-blog"]
        limits = { requests_per_minute = 1, tokens_per_minute = 1000 }
    "#;
    let mock = start("openai-tiny", rpm(2), script).await;
    let send = async |key| send(mock.addr(), "/v1/chat/completions", key, &chat("x", false)).await;
    let first = send("sk-blog").await;
    assert_eq!(first.header("x-ratelimit-limit-project-tokens"), Some("1000"));
    assert_eq!(first.header("openai-organization"), Some("org-a"));
    assert_eq!(send("sk-blog").await.status(), 429);
    assert_eq!(send("sk-1").await.status(), 200);
    assert_eq!(send("sk-1").await.status(), 429);
    assert_eq!(send("sk-2").await.status(), 401);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "count me"}]});
    let counted = self::send(mock.addr(), "/v1/messages/count_tokens", "sk-1", &body).await;
    assert_eq!((counted.status(), counted.json()["input_tokens"].as_u64()), (200, Some(13)));
}

#[tokio::test]
async fn limits_change_while_it_runs() {
    let mock = start("anthropic-tiny", rpm(1), "").await;
    let send = async || send(mock.addr(), "/v1/messages", "k", &message("x", false)).await.status();
    assert_eq!([send().await, send().await], [200, 429]);
    mock.set_limits(rpm(3));
    assert_eq!([send().await, send().await, send().await], [200, 200, 429]);
}

#[tokio::test]
async fn an_accelerated_clock_agrees_with_its_own_headers() {
    let profile = Profile::named("anthropic-tiny").unwrap();
    let unix = Some(Duration::from_secs(1_763_904_071));
    let options = Options { profile, speed: 60.0, unix, limits: rpm(1), ..Options::default() };
    let mock = Server::start(options).await.unwrap();
    let started = std::time::Instant::now();
    let answer = send(mock.addr(), "/v1/messages", "k", &message("x", false)).await;
    let elapsed = started.elapsed();
    assert_eq!(answer.status(), 200);
    assert!(answer.header("date").unwrap().starts_with("Sun, 23 Nov 2025 13:2"), "{}", answer.head);
    let reset = answer.header("anthropic-ratelimit-requests-reset");
    assert!(reset.is_none_or(|reset| reset.starts_with("2025-11-23T13:2")), "{reset:?}");
    let call = calls(&mock, 1).await.remove(0);
    assert!(
        call.end - call.at <= elapsed.as_secs_f64() * 60.0,
        "the answer took its time sixty times faster"
    );
    assert!(0.1 < call.end - call.at);
}

#[tokio::test]
async fn the_log_file_has_a_whole_line_for_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let profile = Profile::named("unlimited").unwrap();
    let options = Options { profile, instant: true, log: Some(path.clone()), ..Options::default() };
    let mock = Server::start(options).await.unwrap();
    for text in ["a", "b", "a"] {
        send(mock.addr(), "/v1/messages", "secret-key", &message(text, false)).await;
    }
    let kept = calls(&mock, 3).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, kept);
    assert!(!text.contains("secret-key"));
    assert_eq!(lines.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 1, 2]);
    assert!(mock.log_is_whole());
    mock.shutdown().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let one = start("unlimited", Amounts::default(), "").await;
    let two = start("unlimited", Amounts::default(), "").await;
    let mut texts = Vec::new();
    for mock in [&one, &one, &two] {
        let answer = send(mock.addr(), "/v1/messages", "k", &message("hello", false)).await.json();
        texts.push(answer["content"][0]["text"].as_str().unwrap().to_owned());
    }
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[tokio::test]
async fn azure_speaks_its_own_way() {
    let mock = start("azure-standard", rpm(6), "").await;
    let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    let first = send(mock.addr(), path, "k", &chat("x", false)).await;
    assert_eq!(first.status(), 200, "{}", first.head);
    assert!(first.header("apim-request-id").is_some());
    assert_eq!(first.header("x-ratelimit-renewalperiod-requests"), Some("60"));
    let refused = send(mock.addr(), path, "k", &chat("x", false)).await;
    assert_eq!((refused.status(), &refused.json()["error"]["code"]), (429, &json!("429")));
    let hint: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!(hint <= 10_000, "{hint}");
}
