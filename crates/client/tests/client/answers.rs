//! Whole answers: what goes out, what comes back, and what passes for an answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{ANSWER, ASK, KEY, Server, Step, answer, ask, json};
use http::{HeaderName, HeaderValue, StatusCode};
use paceline::core::feedback::Class;
use paceline::{Client, ClientEvent, End, Failed, Request, SendError};

/// Long enough for what was sent to arrive.
const MOMENT: Duration = Duration::from_millis(10);

fn failed(error: SendError) -> Failed {
    match error {
        SendError::Failed(failed) => *failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_back_byte_for_byte() {
    let script = answer(200, &[("content-type", "application/json"), ("request-id", "req_7")], ANSWER);
    let server = Server::start(vec![script]).await;
    let client = server.client();
    let response = client.send(ask()).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.body, ANSWER);
    assert_eq!(response.usage.unwrap().output_tokens, 3);
    assert_eq!(*response.trip.upstream, *"mock");
    assert_eq!((response.trip.attempts, response.trip.throttled), (1, 0));
    assert_eq!(response.trip.request_id.as_deref(), Some("req_7"));
}

#[tokio::test(start_paused = true)]
async fn only_known_headers_go_out_and_the_credential_is_ours() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let client = server.client();
    let mut request = ask();
    let sent = [
        ("anthropic-beta", "context-1m"),
        ("anthropic-beta", "files-api"),
        ("anthropic-version", "2024-01-01"),
        ("authorization", "Bearer stolen"),
        ("x-api-key", "stolen"),
        ("cookie", "a=b"),
        ("connection", "x-api-key"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("host", "evil.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-stainless-retry-count", "1"),
        ("accept-encoding", "gzip"),
        ("proxy-authorization", "x"),
        ("te", "trailers"),
    ];
    for (name, value) in sent {
        request = request.header(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    client.send(request).await.unwrap();
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.body, ASK);
    let mut names: Vec<&str> =
        seen.head.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    names.sort_unstable();
    let expected = [
        "accept-encoding",
        "anthropic-beta",
        "anthropic-beta",
        "anthropic-version",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-api-key",
    ];
    assert_eq!(names, expected);
    assert_eq!(seen.header("anthropic-version"), ["2024-01-01"]);
    assert_eq!(seen.header("x-api-key"), [KEY]);
    assert_eq!(seen.header("host"), [server.address.to_string()]);
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
}

#[tokio::test(start_paused = true)]
async fn a_final_no_is_passed_on_after_one_attempt() {
    let body =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: required"}}"#;
    for (status, class) in [(400, Class::BadRequest), (404, Class::BadRequest), (413, Class::TooBig)] {
        let server = Server::start(vec![json(status, body)]).await;
        let failed = failed(server.client().send(ask()).await.unwrap_err());
        assert_eq!(failed.status.unwrap().as_u16(), status);
        assert_eq!(failed.body, body);
        assert_eq!((failed.class, failed.end, failed.trip.attempts), (class, End::Final, 1), "{status}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_retried_and_never_passed_on() {
    let half = &ANSWER[..ANSWER.len() / 2];
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", ANSWER.len());
    let error_inside = r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#;
    let html = answer(200, &[("content-type", "text/html")], "<html>Welcome to the hotel</html>");
    let gzip =
        answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")], "\u{1f}\u{8b}");
    let cases: [(&str, Vec<Step>); 11] = [
        ("empty", json(200, "")),
        ("half, with a clean end", json(200, half)),
        ("half, cut", vec![Step::Bytes(cut.clone().into_bytes()), Step::Close]),
        ("half, reset", vec![Step::Bytes(cut.into_bytes()), Step::Sleep(MOMENT), Step::Reset]),
        ("html", html),
        ("an error inside", json(200, error_inside)),
        ("no HTTP", vec![Step::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Step::Close]),
        ("nothing at all", vec![Step::Close]),
        ("compressed", gzip),
        ("half a head", vec![Step::Bytes(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()), Step::Close]),
        ("a head too big", {
            let big = "x".repeat(200 << 10);
            answer(200, &[("x-big", &big)], ANSWER)
        }),
    ];
    for (name, script) in cases {
        let server = Server::start(vec![script.clone(), json(200, ANSWER)]).await;
        let response = server.client().send(ask()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&response.body[..], response.trip.attempts), (ANSWER.as_bytes(), 2), "{name}");

        let server = Server::start(vec![script.clone(), script.clone(), script]).await;
        let failed = failed(server.client().send(ask()).await.unwrap_err());
        assert_eq!((failed.class, failed.end), (Class::Transient, End::Attempts), "{name}");
        assert_eq!(failed.trip.attempts, 3, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_never_followed() {
    let elsewhere = Server::start(vec![json(200, ANSWER)]).await;
    let location = format!("http://{}/v1/messages", elsewhere.address);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(vec![answer(status, &[("location", &location)], "")]).await;
        let failed = failed(server.client().send(ask()).await.unwrap_err());
        assert_eq!(failed.status.unwrap().as_u16(), status);
        assert_eq!(failed.trip.attempts, 1);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_cut() {
    let piece = crate::support::chunk(&" ".repeat(4 << 20));
    let mut script = vec![Step::Bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())];
    script.extend(vec![piece; 20]);
    let server = Server::start(vec![script]).await;
    let failed = failed(server.builder().max_attempts(1).build().unwrap().send(ask()).await.unwrap_err());
    assert_eq!(failed.fault.unwrap().to_string(), "the answer is bigger than 64 MiB");
}

#[tokio::test(start_paused = true)]
async fn the_credential_shows_in_nothing() {
    let quoted = format!(
        r#"{{"error":{{"type":"authentication_error","message":"bad key {}***{}"}}}}"#,
        &KEY[..12],
        &KEY[20..]
    );
    let server = Server::start(vec![json(401, &quoted)]).await;
    let builder = server.builder();
    let mut shown = format!("{builder:?} {builder:#?} {:?}", server.upstream("x"));
    let client: Client = builder.build().unwrap();
    let mut events = client.events();
    let failed = failed(client.send(ask()).await.unwrap_err());
    assert_eq!(failed.class, Class::Auth);
    shown += &format!("{client:?} {failed:?} {failed} {}", String::from_utf8_lossy(&failed.body));
    shown += &format!("{:?}", client.snapshot().await);
    while let Ok(event) = events.try_recv() {
        shown += &format!("{event:?}");
    }
    for fragment in KEY.as_bytes().windows(10) {
        let fragment = std::str::from_utf8(fragment).unwrap();
        assert!(!shown.contains(fragment), "{fragment} in {shown}");
    }
    assert!(!shown.contains(&KEY[..12]), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_on_the_spot_hears_what_receivers_hear() {
    let server = Server::start(vec![json(503, "{}"), json(200, ANSWER)]).await;
    let heard: Arc<Mutex<Vec<ClientEvent>>> = Arc::default();
    let hearing = heard.clone();
    let client = server.builder().on_event(move |event| hearing.lock().unwrap().push(event.clone()));
    let client = client.build().unwrap();
    let mut events = client.events();
    client.send(ask()).await.unwrap();
    let mut received = Vec::new();
    while let Ok(event) = events.try_recv() {
        received.push(event);
    }
    assert_eq!(*heard.lock().unwrap(), received);
    assert!(
        matches!(received[..], [ClientEvent::Sent { .. }, .., ClientEvent::Finished { .. }]),
        "{received:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_that_mean_nothing_are_refused_unsent() {
    let server = Server::start(vec![]).await;
    let client = server.client();
    let cases = [
        (Request::new("/v1/../admin", ASK), "is no path"),
        (Request::new("/v1/messages", "{torn"), "JSON"),
        (ask().to("nobody"), "no upstream or pool `nobody`; known are `mock`"),
        (Request::new("/v1/chat/completions", ASK), "name one of `mock`"),
    ];
    for (request, why) in cases {
        match client.send(request).await {
            Err(SendError::Invalid { reason }) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.seen().len(), 0);
}
