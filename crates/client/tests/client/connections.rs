//! Connections: kept, found dead, refused, hanging.

use std::time::Duration;

use http::StatusCode;
use paceline::core::feedback::Class;
use paceline::{Client, ClientEvent, Fault, SendError, Timeouts, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{ANSWER, EVENTS, KEY, Server, Step, ask, json, provider, stream, stream_head};

fn fault(error: SendError) -> Fault {
    match error {
        SendError::Failed(failed) => failed.fault.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again() {
    let server = Server::start(vec![json(200, ANSWER), json(200, ANSWER), json(200, ANSWER)]).await;
    let client = server.client();
    for _ in 0..3 {
        client.send(ask()).await.unwrap();
    }
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_connections_than_requests_in_flight() {
    let streams = [json(200, ANSWER), stream(&EVENTS)].into_iter().cycle().take(200).collect();
    let server = Server::start(streams).await;
    let client = server.client();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        workers.spawn(async move {
            for _ in 0..25 {
                client.send(ask()).await.unwrap();
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    let most = server.seen().iter().map(|seen| seen.connection).max();
    assert!(most < Some(8), "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_not_trusted() {
    let server = Server::start(vec![json(200, ANSWER), json(200, ANSWER)]).await;
    let client = server.client();
    client.send(ask()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(51)).await;
    client.send(ask()).await.unwrap();
    assert_eq!(server.seen()[1].connection, 1);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_dead_costs_no_attempt() {
    for death in [Step::Close, Step::Reset] {
        // It dies at the very moment of the second request, which is read and not answered.
        let server = Server::start(vec![json(200, ANSWER), vec![death], json(200, ANSWER)]).await;
        let client = server.builder().max_attempts(1).build().unwrap();
        client.send(ask()).await.unwrap();
        let response = client.send(ask()).await.unwrap();
        assert_eq!(response.status, StatusCode::OK);
        let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [0, 0, 1], "the repetition takes a fresh connection");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_connection_that_dies_costs_an_attempt() {
    for death in [Step::Close, Step::Reset] {
        let server = Server::start(vec![vec![death], json(200, ANSWER)]).await;
        let client = server.builder().max_attempts(1).build().unwrap();
        let fault = fault(client.send(ask()).await.unwrap_err());
        assert!(matches!(fault, Fault::Broken { stale: false, .. }), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_needs_is_closed_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = Upstream::new("one", provider("anthropic")).base_url(url).api_key(KEY);
    let client = Client::builder().upstream(upstream).seed(1).build().unwrap();
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = [0; 4096];
        assert!(0 < socket.read(&mut heard).await.unwrap());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
        socket.write_all(format!("{head}{ANSWER}").as_bytes()).await.unwrap();
        let rests = Instant::now();
        assert_eq!(socket.read(&mut heard).await.unwrap(), 0);
        rests.elapsed().as_secs()
    });
    client.send(ask()).await.unwrap();
    let rested = served.await.unwrap();
    assert!((50..60).contains(&rested), "{rested} s");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let upstream = Upstream::new("gone", provider("anthropic")).base_url(url).api_key(KEY);
    let client = Client::builder().upstream(upstream).seed(1).build().unwrap();
    let error = client.send(ask()).await.unwrap_err();
    assert!(error.to_string().starts_with("`gone` gave no answer"), "{error}");
    assert!(matches!(fault(error), Fault::Connect(_)));
}

#[tokio::test(start_paused = true)]
async fn whatever_hangs_ends_at_its_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    let slow_head = vec![Step::Sleep(Duration::from_secs(599)), Step::Bytes(head.to_vec()), Step::Hang];
    let drip = |step: &str| {
        let piece = [Step::Sleep(Duration::from_secs(100)), Step::Bytes(step.as_bytes().to_vec())];
        piece.into_iter().cycle().take(40).collect::<Vec<_>>()
    };
    let mut dripping = vec![stream_head()];
    dripping.extend(drip("4\r\n: x\n\r\n"));
    let total = Timeouts { total: Some(Duration::from_secs(1_000)), ..Timeouts::default() };
    let cases = [
        ("no byte", vec![Step::Hang], Timeouts::default(), 600, "no answer within 600.0 s"),
        (
            "after a byte",
            slow_head,
            Timeouts::default(),
            599 + 120,
            "nothing came for 120.0 s in the middle of the answer",
        ),
        ("dripping", dripping, total, 1_000, "the attempt was not over after 1000.0 s"),
    ];
    for (name, script, timeouts, seconds, message) in cases {
        let server = Server::start(vec![script]).await;
        let client = server.builder().max_attempts(1).timeouts(timeouts).build().unwrap();
        let start = Instant::now();
        let fault = fault(client.send(ask()).await.unwrap_err());
        assert_eq!(fault.to_string(), message, "{name}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{name}");
        server.was_left(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_ends_at_the_connect_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let upstream = Upstream::new("mute", provider("anthropic")).base_url(url).api_key(KEY);
    let client = Client::builder().upstream(upstream).max_attempts(1).build().unwrap();
    let start = Instant::now();
    let fault = fault(client.send(ask()).await.unwrap_err());
    assert!(matches!(fault, Fault::ConnectTimeout(_)), "{fault:?}");
    // Nothing was processed, so it was tried once more, free of the attempt count.
    assert!((5..=12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_429_costs_patience_and_no_attempt() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}}"#;
    let throttled =
        crate::support::answer(429, &[("content-type", "application/json"), ("retry-after", "7")], body);
    let script = vec![throttled.clone(), throttled.clone(), throttled, json(200, ANSWER)];
    let server = Server::start(script).await;
    let client = server.builder().max_attempts(1).build().unwrap();
    let mut events = client.events();
    let start = Instant::now();
    let response = client.send(ask()).await.unwrap();
    assert_eq!((response.trip.attempts, response.trip.throttled), (4, 3));
    assert!(21 <= start.elapsed().as_secs(), "{:?}", start.elapsed());
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    let throttles = seen.iter().filter(|event| {
        matches!(event, ClientEvent::Throttled { class: Class::Throttled, wait: Some(wait), .. } if wait.as_secs() == 7)
    });
    assert_eq!(throttles.count(), 3, "{seen:?}");
    assert!(matches!(seen.last(), Some(ClientEvent::Finished { request: 1, .. })), "{seen:?}");
}
