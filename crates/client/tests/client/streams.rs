//! Streams: passed on as they come, early errors dealt with unseen, truncation always told.

use std::time::Duration;

use paceline::core::feedback::Class;
use paceline::wire::sse::EVENT_CAP;
use paceline::{Client, ClientEvent, Request, SendError, StreamError, Streaming, Upstream};

use crate::support::{
    ANSWER, EVENTS, KEY, OVERLOADED, Server, Step, ask_stream, chunk, json, provider, stream, stream_head,
};

/// All bytes, and how it ended.
async fn drain(mut stream: Streaming) -> (String, Option<StreamError>) {
    let mut bytes = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (String::from_utf8(bytes).unwrap(), Some(error)),
        }
    }
    (String::from_utf8(bytes).unwrap(), None)
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_exactly_as_they_came() {
    let odd =
        [": hello\r\n\r\n", EVENTS[0], "event: ping\ndata: {\"type\":\"ping\"}\n\n", EVENTS[1], EVENTS[2]];
    let all = [&odd[..], &EVENTS[3..]].concat();
    let server = Server::start(vec![stream(&all), stream(&EVENTS)]).await;
    let client = server.client();
    let mut events = client.events();
    let stream = client.stream(ask_stream()).await.unwrap();
    assert_eq!(stream.status, 200);
    assert_eq!(stream.trip.attempts, 1);
    let (bytes, error) = drain(stream).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bytes, all.concat());
    let finished = loop {
        if let ClientEvent::Finished { usage, .. } = events.recv().await.unwrap() {
            break usage.unwrap();
        }
    };
    assert_eq!((finished.input_tokens, finished.output_tokens), (10, 3));
    drain(client.stream(ask_stream()).await.unwrap()).await;
    assert_eq!(server.seen()[1].connection, 0, "a stream read to its end leaves its connection to the next");
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_first_event_is_retried_unseen() {
    let early = [
        ("an event", stream(&[OVERLOADED])),
        (
            "after a ping",
            stream(&[": waiting\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", OVERLOADED]),
        ),
        ("cut", vec![stream_head(), chunk(": waiting\n\n"), Step::Close]),
        ("a clean end", stream(&[])),
        (
            "a status",
            json(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        ),
    ];
    for (name, script) in early {
        let server = Server::start(vec![script, stream(&EVENTS)]).await;
        let stream =
            server.client().stream(ask_stream()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stream.trip.attempts, 2, "{name}");
        assert_eq!(drain(stream).await.0, EVENTS.concat(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_told_wherever_it_is() {
    for kept in 1..EVENTS.len() {
        let head: Vec<Step> =
            [stream_head()].into_iter().chain(EVENTS[..kept].iter().map(|event| chunk(event))).collect();
        let endings: [(&str, Vec<Step>); 3] = [
            ("clean end", vec![Step::Bytes(b"0\r\n\r\n".to_vec())]),
            ("close", vec![Step::Close]),
            ("reset", vec![Step::Sleep(Duration::from_millis(10)), Step::Reset]),
        ];
        for (name, ending) in endings {
            let server = Server::start(vec![[head.clone(), ending].concat()]).await;
            let (bytes, error) = drain(server.client().stream(ask_stream()).await.unwrap()).await;
            assert_eq!(bytes, EVENTS[..kept].concat(), "{name} after {kept}");
            assert!(matches!(error, Some(StreamError::Cut { .. })), "{name} after {kept}: {error:?}");
            assert_eq!(server.seen().len(), 1, "what has begun is not repeated");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_error_is_handed_over_and_told() {
    let server = Server::start(vec![stream(&[EVENTS[0], EVENTS[1], EVENTS[2], OVERLOADED])]).await;
    let (bytes, error) = drain(server.client().stream(ask_stream()).await.unwrap()).await;
    assert!(bytes.ends_with(OVERLOADED), "{bytes}");
    assert!(matches!(error, Some(StreamError::Reported { class: Class::Overloaded, .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_ends_at_the_idle_deadline() {
    let server = Server::start(vec![vec![stream_head(), chunk(EVENTS[0]), Step::Hang]]).await;
    let start = tokio::time::Instant::now();
    let (_, error) = drain(server.client().stream(ask_stream()).await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!(error.to_string(), "the stream from `mock` broke off before its end");
    assert_eq!(start.elapsed().as_secs(), 120);
    server.was_left(1).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_closes_its_connection() {
    let server = Server::start(vec![vec![stream_head(), chunk(EVENTS[0]), Step::Hang]]).await;
    let client = server.client();
    let start = tokio::time::Instant::now();
    let mut stream = client.stream(ask_stream()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    server.was_left(1).await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    assert_eq!(client.snapshot().await.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_client_handle() {
    let server = Server::start(vec![stream(&EVENTS)]).await;
    let client = server.client();
    let stream = client.stream(ask_stream()).await.unwrap();
    drop(client);
    let (bytes, error) = drain(stream).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bytes, EVENTS.concat());
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_slows_the_upstream_and_loses_nothing() {
    let piece = EVENTS[2].repeat(100);
    let mut all = vec![EVENTS[0], EVENTS[1]];
    all.extend(vec![piece.as_str(); 300]);
    all.extend(&EVENTS[3..]);
    let server = Server::start(vec![stream(&all)]).await;
    let mut stream = server.client().stream(ask_stream()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(item) = stream.next().await {
        bytes.extend_from_slice(&item.unwrap());
        tokio::time::sleep(Duration::from_secs(200)).await;
    }
    assert_eq!(String::from_utf8(bytes).unwrap(), all.concat());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_comes_in_one_piece() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let stream = server.client().stream(ask_stream()).await.unwrap();
    let (bytes, error) = drain(stream).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bytes, ANSWER.to_owned());
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_had_whole() {
    let cut = stream(&EVENTS[..4]);
    let server = Server::start(vec![cut, stream(&EVENTS)]).await;
    let response = server.client().send(ask_stream()).await.unwrap();
    assert_eq!(response.body, EVENTS.concat());
    assert_eq!(response.usage.unwrap().output_tokens, 3);
    assert_eq!(response.trip.attempts, 2, "the cut one was repeated");
}

#[tokio::test(start_paused = true)]
async fn a_final_no_is_passed_on() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let server = Server::start(vec![json(400, body)]).await;
    match server.client().stream(ask_stream()).await {
        Err(SendError::Failed(failed)) => assert_eq!(failed.body, body),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_after_the_closing_event_takes_nothing_away() {
    let whole = EVENTS.concat();
    for kept in [whole.len(), whole.len() - 1, whole.len() - 2, whole.len() - 3] {
        for ending in [Step::Close, Step::Bytes(b"0\r\n\r\n".to_vec())] {
            let script = vec![stream_head(), chunk(&whole[..kept]), ending.clone()];
            let server = Server::start(vec![script]).await;
            let (bytes, error) = drain(server.client().stream(ask_stream()).await.unwrap()).await;
            assert_eq!(error.is_none(), kept + 2 >= whole.len(), "{kept}, {ending:?}: {error:?}");
            // Readers drop an event that no empty line ends, and would take the stream for complete without it.
            let end = if error.is_none() && kept < whole.len() { "\n\n" } else { "" };
            assert_eq!(bytes, format!("{}{end}", &whole[..kept]), "{kept}, {ending:?}");
        }
    }
}

/// Its closing event holds the whole answer, and may be too big to be looked into: then only the empty line proves it.
#[tokio::test(start_paused = true)]
async fn a_closing_event_too_big_to_read_is_cut_without_its_empty_line() {
    let ask = || Request::new("/v1/responses", r#"{"model":"test-1","input":"Hi","stream":true}"#);
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n";
    let text = "x".repeat(EVENT_CAP);
    let completed =
        format!("data: {{\"type\":\"response.completed\",\"response\":{{\"x\":\"{text}\"}}}}\n\n");
    for missing in 0..5 {
        let kept = &completed[..completed.len() - missing];
        let server = Server::start(vec![stream(&[created, kept])]).await;
        let upstream = Upstream::new("mock", provider("openai"))
            .base_url(format!("http://{}", server.address))
            .api_key(KEY);
        let client = Client::builder().upstream(upstream).build().unwrap();
        let (bytes, error) = drain(client.stream(ask()).await.unwrap()).await;
        assert!(bytes == format!("{created}{kept}"), "{missing}: {} bytes", bytes.len());
        assert_eq!(error.is_none(), missing == 0, "{missing}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_its_usage() {
    let server = Server::start(vec![stream(&EVENTS), json(200, ANSWER)]).await;
    let client = server.client();
    for _ in 0..2 {
        let mut stream = client.stream(ask_stream()).await.unwrap();
        while let Some(item) = stream.next().await {
            item.unwrap();
        }
        let usage = stream.usage().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (10, 3));
    }
}
