//! Whole answers: as they came, or told in the caller's words why there is none.

use std::time::Duration;

use paceline::{Client, Timeouts};

use crate::support::{ASK, CALLER, CHAT, COMPLETION, KEY, MESSAGE, MESSAGES, before, both, keyed};
use crate::upstream::{Server, Step, answer, chunk, json, stream};

#[tokio::test(start_paused = true)]
async fn both_dialects_are_answered_byte_for_byte() {
    let odd = "{ \"id\":\"c\" ,\n \"choices\":[ {\"x\":\"\\u00f6 \u{1f6b4}\"} ],\"usage\":{}}\n";
    for (path, body) in [(MESSAGES, MESSAGE), (CHAT, COMPLETION), (CHAT, odd)] {
        let server = Server::start(vec![json(200, body)]).await;
        let ask = "{ \"model\" : \"test-1\",\"messages\" :[ ], \"unknown\": 1.50 }\n";
        let stand = before(&server).await;
        let seen = stand.post(path, ask).await;
        assert_eq!((seen.status, seen.whole), (200, true), "{path}");
        assert_eq!(seen.text(), body, "{path}");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        let name = if path == CHAT { "gpt" } else { "claude" };
        assert_eq!(seen.header("x-paceline-upstream"), Some(name));
        assert_eq!(seen.header("x-paceline-model"), Some("test-1"));
        assert_eq!(seen.header("x-paceline-attempts"), Some("1"));
        assert_eq!(seen.header("x-paceline-wait-ms"), Some("0"));
        assert_eq!(seen.header("x-paceline-request-id").map(str::len), Some(16));
        assert_eq!(server.seen()[0].body, ask.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_request_did_wrong_is_told_as_the_provider_says_it() {
    let body =
        r#"{"error":{"message":"no such thing","type":"invalid_request_error","param":"x","code":"y"}} "#;
    for status in [400, 404, 409, 413, 422] {
        let server = Server::start(vec![json(status, body)]).await;
        let seen = before(&server).await.post(CHAT, ASK).await;
        assert_eq!((seen.status, seen.text().as_str()), (status, body));
        assert_eq!(server.seen().len(), 1, "{status}: never sent again");
        assert_eq!(seen.header("x-paceline-upstream"), Some("gpt"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_model_is_an_answer() {
    let body = MESSAGE.replace("end_turn", "refusal");
    let server = Server::start(vec![json(200, &body)]).await;
    let seen = before(&server).await.post(MESSAGES, ASK).await;
    assert_eq!((seen.status, seen.text()), (200, body));
    assert_eq!(seen.header("x-should-retry"), None);
}

#[tokio::test(start_paused = true)]
async fn trouble_with_our_credential_is_ours() {
    let body = format!(r#"{{"error":{{"message":"bad key {KEY} of org-secret","type":"x","code":"y"}}}}"#);
    for (status, want) in [(401, 502), (403, 502), (402, 429)] {
        for path in [MESSAGES, CHAT] {
            let server = Server::start(vec![json(status, &body)]).await;
            let seen = before(&server).await.post(path, ASK).await;
            assert_eq!(seen.status, want, "{status}");
            let text = seen.text();
            assert!(!text.contains("canary") && !text.contains("org-secret"), "{text}");
            assert_eq!(seen.header("x-should-retry"), Some("false"));
            assert_eq!(seen.json()["error"]["message"].as_str().map(str::is_empty), Some(false), "{text}");
            assert_eq!(seen.json()["type"] == "error", path == MESSAGES, "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_lead_nowhere() {
    let elsewhere = Server::always(json(200, MESSAGE)).await;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for target in [format!("http://{}/v1/messages", elsewhere.address), "/v1/other".to_owned()] {
            let script =
                answer(status, &[("location", &target), ("content-type", "text/html")], "<a>there</a>");
            let server = Server::start(vec![script]).await;
            let seen = before(&server).await.post(MESSAGES, ASK).await;
            assert_eq!(seen.status, 502, "{status}");
            assert_eq!(seen.json()["error"]["type"], "api_error");
            assert_eq!(seen.header("location"), None);
            assert_eq!(server.seen().len(), 1);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_does_not_pass_for_one() {
    let length = |body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{body}")
    };
    let cases: [(&str, Vec<Step>); 10] = [
        ("html", answer(200, &[("content-type", "text/html")], "<html>welcome</html>")),
        ("garbage", json(200, "\u{1b}[2J{\"choices\": [")),
        ("empty", json(200, "")),
        ("another shape", json(200, "{}")),
        ("a list", json(200, "[1]")),
        ("cut", vec![Step::Bytes(length("{\"choices\":[").into()), Step::Close]),
        ("encoded", answer(200, &[("content-encoding", "gzip")], "\u{1f}")),
        ("no HTTP", vec![Step::Bytes(b"\x00\x01\x02\r\n\r\n".to_vec()), Step::Close]),
        ("nothing", vec![Step::Close]),
        ("an error in disguise", json(200, r#"{"error":{"code":502,"message":"Provider returned error"}}"#)),
    ];
    for (name, script) in cases {
        let server = Server::always(script).await;
        let seen = before(&server).await.post(CHAT, ASK).await;
        assert_eq!((seen.status, seen.whole), (502, true), "{name}: {}", seen.text());
        assert_eq!(seen.json()["error"]["type"], "server_error", "{name}");
        assert_eq!(seen.header("x-should-retry"), Some("false"), "{name}: we have tried again ourselves");
        assert!(seen.header("x-paceline-attempts").unwrap().parse::<u32>().unwrap() > 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_given_up() {
    let mut script = vec![Step::Bytes(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
    )];
    script.extend(vec![chunk(&vec![b' '; 1 << 20]); 70]);
    script.push(Step::Hang);
    let server = Server::always(script).await;
    let stand = keyed(both(&server).max_attempts(1)).await;
    let seen = stand.post(CHAT, ASK).await;
    assert_eq!(seen.status, 502);
    assert!(seen.text().contains("64 MiB"), "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_a_timeout() {
    let server = Server::always(vec![Step::Hang]).await;
    let timeouts = Timeouts { first_byte: Duration::from_secs(2), ..Timeouts::default() };
    let stand = keyed(both(&server).timeouts(timeouts)).await;
    for (path, want) in [(MESSAGES, "timeout_error"), (CHAT, "server_error")] {
        let seen = stand.post(path, ASK).await;
        assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (504, Some(want)));
        assert_eq!(seen.header("x-should-retry"), Some("false"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_overload_that_lasts_is_told_as_it_is() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let server = Server::always(json(529, body)).await;
    let seen = before(&server).await.post(MESSAGES, ASK).await;
    assert_eq!((seen.status, seen.text().as_str()), (529, body));
    assert_eq!(seen.header("x-should-retry"), Some("false"));
    assert_eq!(seen.header("retry-after"), Some("5"));
    assert!(server.seen().len() > 1);
}

#[tokio::test(start_paused = true)]
async fn passing_trouble_is_not_seen() {
    let scripts = vec![json(500, "{}"), json(429, "{}"), vec![Step::Close], json(200, COMPLETION)];
    let server = Server::start(scripts).await;
    let seen = before(&server).await.post(CHAT, ASK).await;
    assert_eq!((seen.status, seen.text().as_str()), (200, COMPLETION));
    assert_eq!(seen.header("x-paceline-attempts"), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_the_callers_fault() {
    let server = Server::start(vec![]).await;
    let stand = before(&server).await;
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    for body in ["[]", "{", "\"x\"", r#"{"model":1}"#, r#"{"model":"a","model":"b"}"#, &deep] {
        for (path, kind) in [(CHAT, "invalid_request_error"), (MESSAGES, "invalid_request_error")] {
            let seen = stand.post(path, body).await;
            assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (400, Some(kind)), "{body}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn paths_and_methods_that_nobody_serves() {
    let server = Server::start(vec![]).await;
    let stand = before(&server).await;
    let cases =
        [("GET", "/v2/x", 404), ("GET", "/nobody/v1/models", 404), ("POST", "/", 405), ("GET", "/", 200)];
    for (method, path, want) in cases {
        let seen = stand.call(method, path, &[("x-api-key", CALLER)], "").await;
        assert_eq!(seen.status, want, "{method} {path}");
        assert!(seen.header("x-paceline-request-id").is_some());
    }
    let seen = stand.call("HEAD", "/", &[], "").await;
    assert_eq!((seen.status, seen.body.len()), (200, 0));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_endpoints_pass_as_they_are() {
    let file = "{\"id\":\"file-1\",\"status\":\"error\"}";
    let scripts = vec![
        json(200, file),
        answer(
            200,
            &[("content-type", "application/octet-stream"), ("content-disposition", "attachment")],
            "\u{0}raw",
        ),
        answer(204, &[], ""),
        stream(&["data: anything\n\n", "data: goes"]),
        json(404, "{\"error\":{\"message\":\"gone\"}}"),
    ];
    let server = Server::start(scripts).await;
    let stand = before(&server).await;
    let seen = stand.get("/v1/files/file-1").await;
    assert_eq!((seen.status, seen.text().as_str()), (200, file));
    let seen = stand.get("/v1/files/file-1/content?x=%20").await;
    assert_eq!((seen.text().as_str(), seen.header("content-disposition")), ("\u{0}raw", Some("attachment")));
    let seen = stand.call("DELETE", "/v1/files/file-1", &[("x-api-key", CALLER)], "").await;
    assert_eq!(seen.status, 204);
    let seen = stand.post("/v1/threads/runs", "not even JSON").await;
    assert_eq!((seen.status, seen.whole), (200, true));
    assert_eq!(seen.text(), "data: anything\n\ndata: goes");
    let seen = stand.get("/v1/files/file-2").await;
    assert_eq!((seen.status, seen.text().as_str()), (404, "{\"error\":{\"message\":\"gone\"}}"));
    let lines: Vec<String> =
        server.seen().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/files/file-1 HTTP/1.1",
            "GET /v1/files/file-1/content?x=%20 HTTP/1.1",
            "DELETE /v1/files/file-1 HTTP/1.1",
            "POST /v1/threads/runs HTTP/1.1",
            "GET /v1/files/file-2 HTTP/1.1",
        ]
    );
    assert_eq!(server.seen()[3].body, b"not even JSON");
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_is_looked_up_and_deleted() {
    let calls = [
        ("GET", "/v1/chat/completions?limit=2", "", r#"{"object":"list","data":[]}"#),
        ("GET", "/v1/chat/completions/x", "", COMPLETION),
        ("POST", "/v1/chat/completions/x", r#"{"metadata":{"a":"b"}}"#, COMPLETION),
        ("DELETE", "/v1/chat/completions/x", "", r#"{"id":"x","deleted":true}"#),
        ("GET", "/v1/chat/completions/x/messages", "", r#"{"object":"list","data":[]}"#),
        ("POST", "/v1/threads/x/messages", r#"{"role":"user","content":"Hi"}"#, r#"{"id":"msg"}"#),
        ("GET", "/v1/responses/x", "", r#"{"id":"x"}"#),
    ];
    let server = Server::start(calls.iter().map(|call| json(200, call.3)).collect()).await;
    let stand = before(&server).await;
    let bearer = format!("Bearer {CALLER}");
    for (nth, (method, path, body, want)) in calls.into_iter().enumerate() {
        let seen = stand.call(method, path, &[("authorization", &bearer)], body).await;
        assert_eq!((seen.status, seen.text().as_str()), (200, want), "{method} {path}");
        let sent = &server.seen()[nth];
        assert!(sent.head.starts_with(&format!("{method} {path} ")), "{}", sent.head);
        assert_eq!(sent.body, body.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_may_name_the_provider() {
    let (groq, claude) =
        (Server::always(json(200, COMPLETION)).await, Server::always(json(200, MESSAGE)).await);
    let builder = Client::builder()
        .upstream(groq.upstream("groq", "groq"))
        .upstream(claude.upstream("anthropic", "anthropic"));
    let stand = keyed(builder).await;
    for path in ["/groq/v1/chat/completions", "/groq/openai/v1/chat/completions", "/anthropic/v1/messages"] {
        assert_eq!(stand.post(path, ASK).await.status, 200, "{path}");
    }
    let seen = stand.post("/mistral/v1/chat/completions", ASK).await;
    assert_eq!(seen.status, 400, "known, but not configured: {}", seen.text());
    assert_eq!((groq.seen().len(), claude.seen().len()), (2, 1));
    assert!(groq.seen()[1].head.starts_with("POST /v1/chat/completions "));
}
