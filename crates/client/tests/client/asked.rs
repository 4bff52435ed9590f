//! What is asked before attempts go out, and told of answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paceline::core::engine::Health;
use paceline::{Client, SendError};
use tokio::sync::Semaphore;

use crate::support::{ANSWER, KEY, Server, Step, ask, json, provider};

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_its_leave() {
    let server = Server::start(vec![json(500, "{}"), json(200, ANSWER)]).await;
    let client = server.client();
    let leaves = Arc::new(Semaphore::new(0));
    let answers = Arc::new(AtomicUsize::new(0));
    let request = ask()
        .before_send({
            let leaves = leaves.clone();
            move || {
                let leaves = leaves.clone();
                async move { leaves.acquire().await.map(tokio::sync::SemaphorePermit::forget).is_ok() }
            }
        })
        .on_answer({
            let answers = answers.clone();
            move || {
                answers.fetch_add(1, Ordering::SeqCst);
            }
        });
    let sending = tokio::spawn(async move { client.send(request).await });
    for attempt in 0..2 {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!((server.seen().len(), answers.load(Ordering::SeqCst)), (attempt, 0));
        leaves.add_permits(1);
    }
    assert_eq!(sending.await.unwrap().unwrap().trip.attempts, 2);
    assert_eq!((server.seen().len(), answers.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_veto_is_nobodys_failure() {
    const VETOES: usize = 30; // More than failures that open a breaker, and than a retry budget.
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let client = server.client();
    for _ in 0..VETOES {
        let ended = client.send(ask().before_send(|| async { false })).await;
        assert!(matches!(ended, Err(SendError::Vetoed)), "{ended:?}");
    }
    let snapshot = client.snapshot().await;
    assert_eq!((snapshot.in_flight, snapshot.retries, snapshot.throttled), (0, 0, 0));
    assert_eq!(snapshot.upstreams[0].view.health, Health::Closed);
    assert_eq!(server.seen().len(), 0);
    assert_eq!(client.send(ask()).await.unwrap().trip.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn failures_tell_whether_they_may_have_been_billed() {
    let cut = vec![Step::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()), Step::Close];
    for (script, told) in [
        (vec![json(500, "{}"), json(429, "{}")], vec![false, false]),
        (vec![vec![Step::Close], json(500, "{}")], vec![true, true]),
        (vec![json(500, "{}"), cut], vec![false, true]),
    ] {
        let server = Server::start([script, vec![json(200, ANSWER)]].concat()).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (told_here, asked_here) = (heard.clone(), heard.clone());
        let request = ask()
            .before_send(move || {
                asked_here.lock().unwrap().push("asked".to_owned());
                async { true }
            })
            .on_retry(move |maybe_billed| told_here.lock().unwrap().push(maybe_billed.to_string()));
        server.client().send(request).await.unwrap();
        let mut heard = heard.lock().unwrap().clone();
        heard.dedup(); // Whether it is told of one failure once or twice is open.
        let told = told.iter().map(bool::to_string);
        let expected =
            std::iter::once("asked".to_owned()).chain(told.flat_map(|told| [told, "asked".to_owned()]));
        assert_eq!(heard, expected.collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_reached_the_upstream_was_not_billed() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = paceline::Upstream::new("gone", provider("anthropic"));
    let client = Client::builder().upstream(upstream.base_url(format!("http://{closed}")).api_key(KEY));
    match client.seed(1).build().unwrap().send(ask()).await {
        Err(SendError::Failed(failed)) => {
            assert!(!failed.maybe_billed && failed.trip.attempts > 1, "{failed:?}")
        }
        other => panic!("{other:?}"),
    }
}
