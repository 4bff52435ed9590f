//! Waiting: refused at once when it would be in vain, kept alive when it is not, and over when the caller leaves.

use std::time::Duration;

use paceline::core::quota::{Dimension, Quota};
use paceline::{Builder, Ceilings};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::support::{
    ASK, ASK_STREAM, Answer, CALLER, CHAT, CHAT_EVENTS, COMPLETION, KEY, MESSAGE, MESSAGE_EVENTS, MESSAGES,
    both, keyed,
};
use crate::upstream::{Server, Step, chunk, json, stream, stream_head};

/// One request a minute.
fn slow(server: &Server) -> Builder {
    let quota = Quota { dimension: Dimension::Requests, limit: 1, window: Duration::from_secs(60) };
    both(server).ceilings(Ceilings::new().quota(quota))
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_refused_at_once() {
    let server = Server::start(vec![json(200, MESSAGE), json(200, COMPLETION)]).await;
    let stand = keyed(slow(&server)).await;
    for (path, kind) in [(MESSAGES, "rate_limit_error"), (CHAT, "requests")] {
        assert_eq!(stand.post(path, ASK).await.status, 200);
        let deadlines: [&[(&str, &str)]; 4] = [
            &[("x-paceline-deadline", "5")],
            &[("x-stainless-read-timeout", "20"), ("x-paceline-deadline", "3600")],
            &[("x-stainless-timeout", "10")],
            &[("x-paceline-deadline", "1970-01-01T00:00:00Z")],
        ];
        for deadline in deadlines {
            for ask in [ASK, ASK_STREAM] {
                let start = Instant::now();
                let headers = [deadline, &[("x-api-key", CALLER)]].concat();
                let seen = stand.call("POST", path, &headers, ask).await;
                assert_eq!(
                    (seen.status, seen.json()["error"]["type"].as_str()),
                    (429, Some(kind)),
                    "{deadline:?}"
                );
                assert!(
                    start.elapsed() < Duration::from_millis(100),
                    "{deadline:?} {ask} {:?}",
                    start.elapsed()
                );
                let millis: u64 = seen.header("retry-after-ms").unwrap().parse().unwrap();
                let seconds: u64 = seen.header("retry-after").unwrap().parse().unwrap();
                assert!((50_000..=60_000).contains(&millis), "{millis}");
                assert_eq!(seconds, millis.div_ceil(1000));
                assert_eq!(seen.header("x-should-retry"), Some("true"));
            }
        }
    }
    for bad in [("x-paceline-deadline", "soon"), ("x-paceline-priority", "urgent")] {
        let seen = stand.call("POST", CHAT, &[bad, ("x-api-key", CALLER)], ASK).await;
        assert_eq!(seen.status, 400);
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_within_the_deadline_is_waited() {
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = keyed(slow(&server)).await;
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(stand.post(MESSAGES, ASK).await.status, 200);
    }
    let seen = stand.post(MESSAGES, ASK).await;
    assert!(Duration::from_secs(100) < start.elapsed(), "{:?}", start.elapsed());
    let waited: u64 = seen.header("x-paceline-wait-ms").unwrap().parse().unwrap();
    assert!((50_000..70_000).contains(&waited), "{waited}");
}

/// A stream that waits a minute behind another request, and what comes of it.
async fn waits(path: &str, first: &str, then: Vec<Step>) -> Answer {
    let server = Server::start(vec![json(200, first), then]).await;
    let stand = keyed(slow(&server)).await;
    assert_eq!(stand.post(path, ASK).await.status, 200);
    let start = Instant::now();
    let mut stream = stand.begin("POST", path, &[("x-api-key", CALLER)], ASK_STREAM).await;
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 5, "the head comes before the silence is too long");
    let mut last = Instant::now();
    while stream.read_buf(&mut bytes).await.unwrap() > 0 {
        assert!(last.elapsed() <= Duration::from_secs(11), "a sign of life every ten seconds");
        last = Instant::now();
    }
    assert!(Duration::from_secs(50) < start.elapsed());
    Answer::parse(&bytes)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_is_kept_alive() {
    let seen = waits(MESSAGES, MESSAGE, stream(&MESSAGE_EVENTS)).await;
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    assert_eq!((seen.status, seen.whole), (200, true));
    assert_eq!(seen.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(seen.header("x-paceline-request-id").is_some());
    let text = seen.text();
    let pings = text.strip_suffix(&MESSAGE_EVENTS.concat()).unwrap();
    assert!(pings.len() >= 5 * ping.len() && pings.replace(ping, "").is_empty(), "{pings}");

    let seen = waits(CHAT, COMPLETION, stream(&CHAT_EVENTS)).await;
    let events = [CHAT_EVENTS[0], CHAT_EVENTS[1], CHAT_EVENTS[2], CHAT_EVENTS[4]].concat();
    let text = seen.text();
    let comments = text.strip_suffix(&events).unwrap();
    assert!(
        seen.whole && comments.replace(": waiting\n\n", "").is_empty() && !comments.is_empty(),
        "{comments}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_is_told_in_the_stream() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no\nsuch model"}}"#;
    let seen = waits(MESSAGES, MESSAGE, json(404, body)).await;
    assert_eq!((seen.status, seen.whole), (200, false));
    assert!(seen.text().ends_with(&format!("event: error\ndata: {body}\n\n")), "{}", seen.text());

    let said = format!("{{\n \"error\": {{\"message\": \"key {KEY}\"}}\n}}");
    let seen = waits(CHAT, COMPLETION, json(401, &said)).await;
    let text = seen.text();
    let event = text.trim_end().rsplit("\n\n").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    assert!(data["error"]["message"].is_string() && !text.contains("canary") && !seen.whole, "{text}");

    let said = "{\r\n \"error\": {\"message\": \"bad\"}\r\n}";
    let seen = waits(CHAT, COMPLETION, json(400, said)).await;
    let text = seen.text();
    let event = text.trim_end().rsplit("\n\n").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["error"]["message"], "bad");

    let seen = waits(CHAT, COMPLETION, json(200, COMPLETION)).await;
    assert!(!seen.whole && seen.text().contains("is no stream"), "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_takes_the_request_along() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    let opened = vec![stream_head(), chunk(MESSAGE_EVENTS[0].as_bytes()), Step::Hang];
    let stages: [(&str, &str, Vec<Step>, u64); 5] = [
        ("before the head", ASK, vec![Step::Hang], 20),
        ("in the body", ASK, vec![Step::Bytes(head), Step::Hang], 20),
        ("before the first event", ASK_STREAM, vec![stream_head(), Step::Hang], 20),
        ("kept alive", ASK_STREAM, vec![Step::Hang], 12_000),
        ("in the stream", ASK_STREAM, opened, 20),
    ];
    for (stage, ask, script, after) in stages {
        let server = Server::start(vec![script]).await;
        let stand = keyed(both(&server)).await;
        let stream = stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], ask).await;
        server.has_seen(1).await;
        tokio::time::sleep(Duration::from_millis(after)).await;
        let start = Instant::now();
        drop(stream);
        server.was_left(1).await;
        assert!(start.elapsed() < Duration::from_millis(100), "{stage}: {:?}", start.elapsed());
        let standing = stand.client.snapshot().await;
        assert_eq!((standing.in_flight, standing.waiting), (0, [0; 3]), "{stage}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_sends_nothing() {
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = keyed(slow(&server)).await;
    assert_eq!(stand.post(MESSAGES, ASK).await.status, 200);
    for ask in [ASK, ASK_STREAM] {
        let stream = stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], ask).await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(stand.client.snapshot().await.waiting, [0, 1, 0]);
        drop(stream);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(stand.client.snapshot().await.waiting, [0; 3]);
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn classes_are_as_the_caller_says() {
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = keyed(slow(&server)).await;
    assert_eq!(stand.post(MESSAGES, ASK).await.status, 200);
    let mut waiting = Vec::new();
    for class in ["interactive", "batch"] {
        let headers = [("x-api-key", CALLER), ("x-paceline-priority", class)];
        waiting.push(stand.begin("POST", MESSAGES, &headers, ASK).await);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stand.client.snapshot().await.waiting, [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_says_so() {
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = keyed(both(&server)).await;
    stand.client.clone().close().await;
    let seen = stand.post(MESSAGES, ASK).await;
    assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (503, Some("overloaded_error")));
    assert_eq!((seen.header("retry-after"), seen.header("x-should-retry")), (Some("5"), Some("true")));
}
