//! Streams: byte for byte, early errors unseen, and never cut in silence.

use crate::support::{
    ASK_STREAM, Answer, CHAT, CHAT_EVENTS, KEY, MESSAGE, MESSAGE_EVENTS, MESSAGES, before, both, keyed,
};
use crate::upstream::{Server, Step, chunk, json, stream, stream_head};

const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
const ASK_WITH_USAGE: &str =
    r#"{"model":"test-1","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;

/// The data of the last event, if it has the dialect's form of an error.
fn last_error(path: &str, answer: &Answer) -> Option<serde_json::Value> {
    let text = answer.text();
    let event = text.strip_suffix("\n\n")?.rsplit("\n\n").next()?;
    let data = match path {
        MESSAGES => event.strip_prefix("event: error\ndata: ")?,
        _ => event.strip_prefix("data: ")?,
    };
    let tree: serde_json::Value = serde_json::from_str(data).ok()?;
    (path != MESSAGES || tree["type"] == "error")
        .then(|| tree["error"].clone())
        .filter(|error| error.is_object())
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_as_they_came_however_they_are_cut() {
    let odd = [": hello\r\n\r\n", MESSAGE_EVENTS[0], "event: new\r\nid: 7\r\ndata: {}\r\n\r\n", "\n\n"];
    let message: String = odd.iter().chain(&MESSAGE_EVENTS[1..]).copied().collect();
    let chat = format!("{}data: {{\"choices\":[],\"x\":1}}\n\n{}", CHAT_EVENTS[0], CHAT_EVENTS[1..].concat());
    for (path, ask, whole) in [(MESSAGES, ASK_STREAM, message), (CHAT, ASK_WITH_USAGE, chat)] {
        for size in [1, 2, 7, 64, whole.len()] {
            let pieces = whole.as_bytes().chunks(size).map(chunk);
            let script =
                [stream_head()].into_iter().chain(pieces).chain([Step::Bytes(b"0\r\n\r\n".to_vec())]);
            let server = Server::start(vec![script.collect()]).await;
            let seen = before(&server).await.post(path, ask).await;
            assert_eq!((seen.status, seen.whole), (200, true), "by {size}");
            assert_eq!(seen.text(), whole, "by {size}");
            assert_eq!(seen.header("content-type"), Some("text/event-stream; charset=utf-8"));
            assert_eq!(seen.header("x-paceline-attempts"), Some("1"));
            assert_eq!(server.seen()[0].body, ask.as_bytes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_without_an_empty_line_is_given_one() {
    let cut = CHAT_EVENTS.concat();
    let server = Server::start(vec![stream(&[cut.trim_end()])]).await;
    let seen = before(&server).await.post(CHAT, ASK_WITH_USAGE).await;
    assert!(seen.whole);
    assert_eq!(seen.text(), cut, "SDKs drop an event that no empty line ends");
}

#[tokio::test(start_paused = true)]
async fn an_early_error_is_not_seen() {
    let early = [
        stream(&[OVERLOADED]),
        stream(&[": waiting\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", OVERLOADED]),
        vec![stream_head(), chunk(b": waiting\n\n"), Step::Close],
        stream(&[]),
        json(529, "{}"),
    ];
    for script in early {
        let server = Server::start(vec![script, stream(&MESSAGE_EVENTS)]).await;
        let seen = before(&server).await.post(MESSAGES, ASK_STREAM).await;
        assert_eq!((seen.status, seen.whole), (200, true));
        assert_eq!(seen.text(), MESSAGE_EVENTS.concat());
        assert_eq!(seen.header("x-paceline-attempts"), Some("2"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_error_that_lasts_has_a_status() {
    let trouble = OVERLOADED.replace("overloaded_error", "api_error").replace("Overloaded", "no");
    let server = Server::always(stream(&[&trouble])).await;
    let seen = keyed(both(&server).max_attempts(2)).await.post(MESSAGES, ASK_STREAM).await;
    assert_eq!((seen.status, server.seen().len()), (502, 2), "{}", seen.text());
    assert_eq!(seen.json()["error"]["type"], "api_error");
    assert_eq!(seen.header("x-should-retry"), Some("false"));
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let server = Server::start(vec![json(400, body)]).await;
    let seen = before(&server).await.post(MESSAGES, ASK_STREAM).await;
    assert_eq!((seen.status, seen.text().as_str()), (400, body));
}

/// Cuts a stream after every byte: each cut before the end is told by an error in the dialect and by the connection.
async fn cut_everywhere(path: &str, events: &[&str], clean_end: bool) {
    let whole = events.concat();
    // What ends an event must not be missing from the last one, but its empty line may be.
    let terminal = whole.trim_end().len();
    for kept in 0..whole.len() {
        let server = Server::start(vec![]).await;
        let stand = keyed(both(&server).max_attempts(1)).await;
        let ending = if clean_end { Step::Bytes(b"0\r\n\r\n".to_vec()) } else { Step::Close };
        let part = &whole.as_bytes()[..kept];
        let piece = if kept == 0 { Step::Bytes(Vec::new()) } else { chunk(part) };
        server.play(vec![stream_head(), piece, ending]);
        let seen = stand.post(path, ASK_WITH_USAGE).await;
        if kept < terminal {
            if seen.status == 200 {
                assert!(!seen.whole, "{kept}: a clean end");
                let error = last_error(path, &seen);
                assert!(error.is_some(), "{kept}: {}", seen.text());
                let told = seen.text();
                let before = &told[..told[..told.len() - 2].rfind("\n\n").map_or(0, |at| at + 2)];
                assert!(whole.starts_with(before), "{kept}: {before}");
            } else {
                // Nothing that matters had come: this is an answer like any other.
                assert!(
                    seen.whole && seen.status == 502 && kept < events[0].len(),
                    "{kept}: {}",
                    seen.status
                );
            }
        } else {
            // The answer is all there, however the connection ends, and so is the empty line that SDKs wait for.
            assert_eq!((seen.text().as_bytes(), seen.whole), (&[part, b"\n\n"].concat()[..], true), "{kept}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_cut_anywhere_is_told() {
    cut_everywhere(MESSAGES, &MESSAGE_EVENTS, false).await;
    cut_everywhere(MESSAGES, &MESSAGE_EVENTS, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_cut_anywhere_is_told() {
    cut_everywhere(CHAT, &CHAT_EVENTS, false).await;
    cut_everywhere(CHAT, &CHAT_EVENTS, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_response_cut_is_told_as_its_dialect_tells_it() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null},\"sequence_number\":0}\n\n";
    let server = Server::start(vec![stream(&[created])]).await;
    let seen =
        before(&server).await.post("/v1/responses", r#"{"model":"m","input":"x","stream":true}"#).await;
    assert!(!seen.whole);
    let text = seen.text();
    let data = text.strip_prefix(created).and_then(|rest| rest.strip_prefix("event: error\ndata: ")).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["type"], "error");
    assert!(data["message"].is_string() && data["error"].is_object(), "{data}");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_tells_of_its_failure_is_enough() {
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"x\"}}}\n\n";
    let created =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n";
    let cases = [
        (MESSAGES, ASK_STREAM, [MESSAGE_EVENTS[0], OVERLOADED]),
        (
            CHAT,
            ASK_WITH_USAGE,
            [CHAT_EVENTS[0], "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n"],
        ),
        ("/v1/responses", r#"{"model":"m","input":"x","stream":true}"#, [created, failed]),
    ];
    for (path, ask, events) in cases {
        let server = Server::start(vec![stream(&events)]).await;
        let seen = before(&server).await.post(path, ask).await;
        assert_eq!(seen.text(), events.concat(), "{path}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_no_sdk_would_see_is_told_again() {
    let odd = "data: {\"choices\":[],\"x_groq\":{\"error\":\"over capacity\"}}\n\n";
    let server = Server::start(vec![stream(&[CHAT_EVENTS[0], odd])]).await;
    let seen = before(&server).await.post(CHAT, ASK_WITH_USAGE).await;
    assert!(seen.text().starts_with(&[CHAT_EVENTS[0], odd].concat()));
    assert!(last_error(CHAT, &seen).is_some() && !seen.whole, "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn usage_is_asked_for_and_kept_from_who_did_not_ask() {
    let others = [CHAT_EVENTS[0], CHAT_EVENTS[1], CHAT_EVENTS[2], CHAT_EVENTS[4]].concat();
    let ask = "{ \"stream\": true , \"model\":\"test-1\",\"messages\":[]\n}";
    let server = Server::start(vec![stream(&CHAT_EVENTS), stream(&[&CHAT_EVENTS.concat()])]).await;
    let stand = before(&server).await;
    for _ in 0..2 {
        let seen = stand.post(CHAT, ask).await;
        assert_eq!((seen.text(), seen.whole), (others.clone(), true));
    }
    let sent = "{ \"stream\": true , \"model\":\"test-1\",\"messages\":[],\"stream_options\":{\"include_usage\":true}\n}";
    assert_eq!(server.seen()[0].body, sent.as_bytes());
    server.play(stream(&CHAT_EVENTS));
    let seen = stand.post(CHAT, ASK_WITH_USAGE).await;
    assert_eq!(seen.text(), CHAT_EVENTS.concat(), "who asks for it gets it");
}

#[tokio::test(start_paused = true)]
async fn who_tells_usage_unasked_is_not_asked() {
    let server = Server::always(stream(&CHAT_EVENTS)).await;
    let builder = paceline::Client::builder().upstream(server.upstream("mistral", "mistral"));
    let seen = keyed(builder).await.post("/mistral/v1/chat/completions", ASK_STREAM).await;
    assert_eq!(seen.status, 200);
    assert_eq!(server.seen()[0].body, ASK_STREAM.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_in_place_of_a_stream_is_handed_on() {
    let server = Server::start(vec![json(200, MESSAGE)]).await;
    let seen = before(&server).await.post(MESSAGES, ASK_STREAM).await;
    assert_eq!((seen.status, seen.text().as_str()), (200, MESSAGE));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(!seen.text().contains(KEY));
}
