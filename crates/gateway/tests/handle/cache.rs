//! Requests that begin alike: one goes first, and the others read what it has cached.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{CALLER, MESSAGE, MESSAGE_EVENTS, MESSAGES, Stand, before};
use crate::upstream::{Server, Step, chunk, json, stream_head};

fn ask(question: u32, stream: bool) -> String {
    format!(
        r#"{{"model":"m","max_tokens":9,"stream":{stream},"system":[{{"type":"text","text":"a long one","cache_control":{{"type":"ephemeral"}}}}],"messages":[{{"role":"user","content":"{question}"}}]}}"#
    )
}

/// An answer that begins after a second and goes on for ten more.
fn slow_stream() -> Vec<Step> {
    let whole = [
        Step::Sleep(Duration::from_secs(1)),
        stream_head(),
        chunk(MESSAGE_EVENTS[0].as_bytes()),
        Step::Sleep(Duration::from_secs(10)),
    ];
    let rest = [chunk(MESSAGE_EVENTS[1..].concat().as_bytes()), Step::Bytes(b"0\r\n\r\n".to_vec())];
    whole.into_iter().chain(rest).collect()
}

async fn post_all(stand: &Stand, asks: &[String]) -> Vec<crate::support::Answer> {
    let mut answers = Vec::new();
    let mut streams = Vec::new();
    for ask in asks {
        streams.push(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], ask).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for mut stream in streams {
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await.unwrap();
        answers.push(crate::support::Answer::parse(&bytes));
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn the_others_wait_for_the_first_ones_head() {
    let server = Server::always(slow_stream()).await;
    let stand = before(&server).await;
    let start = Instant::now();
    let asks: Vec<String> = (0..5).map(|question| ask(question, true)).collect();
    let watching = tokio::spawn({
        let server = server.clone();
        async move {
            server.has_seen(2).await;
            start.elapsed()
        }
    });
    let answers = post_all(&stand, &asks).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.whole));
    let second = watching.await.unwrap();
    assert!((1_000..2_000).contains(&second.as_millis()), "{second:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "but not for its end: {:?}", start.elapsed());
    assert_eq!(server.take_seen().len(), 5);
    // What was seen lately waits for nobody.
    let start = Instant::now();
    let asks: Vec<String> = (5..8).map(|question| ask(question, true)).collect();
    let (answers, ()) = tokio::join!(post_all(&stand, &asks), server.has_seen(3));
    assert_eq!(answers.len(), 3);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_fails_or_leaves_is_followed_by_the_next() {
    let bad = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let late = vec![Step::Sleep(Duration::from_secs(1)), json(400, bad).remove(0)];
    let server = Server::start(vec![late, json(200, MESSAGE), json(200, MESSAGE)]).await;
    let stand = before(&server).await;
    let asks: Vec<String> = (0..3).map(|question| ask(question, false)).collect();
    let answers = post_all(&stand, &asks).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [400, 200, 200]);

    let server = Server::start(vec![vec![Step::Hang], json(200, MESSAGE)]).await;
    let stand = before(&server).await;
    let first = stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(0, false)).await;
    server.has_seen(1).await;
    let second = stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(1, false)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.seen().len(), 1);
    drop(first);
    server.has_seen(2).await;
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long_or_for_another_beginning() {
    let server = Server::always(vec![Step::Hang]).await;
    let stand = before(&server).await;
    let start = Instant::now();
    let mut streams = vec![stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(0, true)).await];
    server.has_seen(1).await;
    streams.push(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(1, true)).await);
    let other = ask(2, true).replace("a long one", "another one");
    streams.push(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &other).await);
    let urgent = [("x-api-key", CALLER), ("x-paceline-priority", "interactive")];
    streams.push(stand.begin("POST", MESSAGES, &urgent, &ask(3, true)).await);
    server.has_seen(3).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    server.has_seen(4).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    // A whole answer's head is not seen: ten seconds are enough for it.
    let server = Server::always(vec![Step::Hang]).await;
    let stand = before(&server).await;
    let start = Instant::now();
    streams.push(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(0, false)).await);
    server.has_seen(1).await;
    streams.push(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], &ask(1, false)).await);
    server.has_seen(2).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}
